//! Artifacts without a tag, where a registry lists them: what rules with `untagged` say of each.
//!
//! What an index lists, and what is attached to something, follows that, and is never selected here: this is how
//! others delete the platforms of images that are in use. Each artifact stands for itself, so that ranks need no
//! places.

use std::cmp::Reverse;
use std::collections::HashMap;

use lagan_model::{Digest, Fact, NodeId, Time, Unknown};

use crate::age::Age;
use crate::document::{Bucket, Clock, KeepLine, Order, Rule};
use crate::needs::Needs;
use crate::reason::{Reason, RuleName};
use crate::votes::{Artifacts, Ballot};

/// What is said of one artifact without a tag.
#[derive(Debug)]
pub(crate) struct Untagged {
    pub(crate) node: NodeId,
    /// Whether a rule makes it a candidate and nothing of its own keeps it.
    pub(crate) doomed: bool,
    /// Those that keep first.
    pub(crate) reasons: Vec<Reason>,
}

impl Ballot<'_> {
    /// Whether some rule could select what has no tag here.
    pub(crate) fn reaches_untagged(&self) -> bool {
        let rules = self
            .policies
            .policies()
            .iter()
            .flat_map(|(policy, _)| &policy.rules);
        let listed = self
            .snapshot
            .untagged()
            .is_some_and(|mut listed| listed.next().is_some());
        listed && rules.into_iter().any(|rule| rule.select.untagged.is_some())
    }

    /// What is listed without a tag and has to be read before anything is said of it.
    pub(crate) fn unread_untagged(&self) -> impl Iterator<Item = &Digest> {
        let listed = self.snapshot.untagged().into_iter().flatten();
        listed.filter(|digest| self.snapshot.artifact(digest).is_none() && !self.snapshot.is_absent(digest))
    }

    /// What the rules say of all artifacts that are listed without a tag.
    pub(crate) fn untagged_votes(&self, artifacts: Artifacts<'_>, needs: &mut Needs) -> Vec<Untagged> {
        let graph = artifacts.graph;
        let on_its_own = |node: &NodeId| {
            graph.tags(*node).len() == 0
                && graph.parents(*node).is_empty()
                && graph.subjects(*node).is_empty()
                && !artifacts.attachment[node.index()]
        };
        let listed = |node: &NodeId| {
            let digest = graph.digest(*node);
            self.snapshot.is_listed_untagged(digest) && self.snapshot.artifact(digest).is_some()
        };
        let nodes: Vec<NodeId> = graph.nodes().filter(listed).filter(on_its_own).collect();
        let mut keeps: Vec<Vec<Reason>> = vec![Vec::new(); nodes.len()];
        let mut deletes: Vec<Vec<Reason>> = vec![Vec::new(); nodes.len()];
        let mut candidate = vec![false; nodes.len()];
        for (policy, asked) in self.policies.policies() {
            for rule in &policy.rules {
                let Some(min_age) = &rule.select.untagged else {
                    continue;
                };
                let name = RuleName {
                    policy: policy.name.clone(),
                    rule: rule.name.clone(),
                };
                let votes = OfRule {
                    ballot: self,
                    artifacts,
                    rule,
                    name: &name,
                    nodes: &nodes,
                };
                for (position, votes) in votes.votes(min_age, needs) {
                    if votes.iter().any(Reason::keeps) {
                        keeps[position].extend(votes.into_iter().filter(Reason::keeps));
                    } else if *asked {
                        if self.is_forbidden() {
                            let rule = name.clone();
                            keeps[position].push(Reason::ProxyCache { rule });
                        }
                        candidate[position] = true;
                        deletes[position].extend(votes);
                    }
                }
            }
        }
        let mut said = Vec::with_capacity(nodes.len());
        for (position, node) in nodes.into_iter().enumerate() {
            let mut reasons = std::mem::take(&mut keeps[position]);
            let ask = (candidate[position] && reasons.is_empty()).then_some(&mut *needs);
            reasons.extend(self.protections_by_facts(node, artifacts, ask));
            reasons.extend(self.held(graph, node));
            let doomed = reasons.is_empty() && candidate[position];
            if reasons.is_empty() && !doomed {
                reasons.push(Reason::NotSelected);
            }
            reasons.append(&mut deletes[position]);
            said.push(Untagged {
                node,
                doomed,
                reasons,
            });
        }
        said
    }
}

struct OfRule<'a, 'b> {
    ballot: &'b Ballot<'a>,
    artifacts: Artifacts<'b>,
    rule: &'b Rule,
    name: &'b RuleName,
    nodes: &'b [NodeId],
}

/// An artifact that a rule selects: its position, and what was said of it.
type Voted = (usize, Vec<Reason>);

impl OfRule<'_, '_> {
    fn clock(&self, clock: Clock, position: usize, needs: &mut Needs) -> Option<Fact<Time>> {
        let node = self.nodes[position];
        self.artifacts
            .clocks
            .read(clock, None, self.artifacts.graph, node, needs)
    }

    fn unknown(&self, clock: Clock, why: Unknown) -> Reason {
        Reason::ClockUnknown {
            rule: self.name.clone(),
            clock,
            why,
        }
    }

    fn aged(&self, clock: Clock, at: Time, age: &Age) -> Reason {
        let (rule, age) = (self.name.clone(), age.clone());
        if self.ballot.now.signed_duration_since(at) <= age.delta() {
            Reason::Within { rule, clock, at, age }
        } else {
            Reason::OlderThan { rule, clock, at, age }
        }
    }

    /// The votes on each artifact that the rule selects, or cannot tell if it does. None while facts are missing.
    fn votes(&self, min_age: &Age, needs: &mut Needs) -> Vec<Voted> {
        let mut settled: Vec<Voted> = Vec::new();
        let mut selected: Vec<Voted> = Vec::new();
        let mut missing = false;
        for position in 0..self.nodes.len() {
            let told = self
                .artifacts
                .facts
                .meets(&self.rule.select, self.nodes[position], needs);
            let at = self.clock(Clock::Pushed, position, needs);
            match (told, at) {
                (Some(Fact::Known(false)), _) => {}
                (None, _) | (_, None) => missing = true,
                (Some(Fact::Unknown(why)), _) => {
                    let rule = self.name.clone();
                    settled.push((position, vec![Reason::SelectionUnknown { rule, why }]));
                }
                (_, Some(Fact::Unknown(why))) => {
                    settled.push((position, vec![self.unknown(Clock::Pushed, why)]));
                }
                (_, Some(Fact::Known(at))) if self.ballot.now.signed_duration_since(at) < min_age.delta() => {
                    let (rule, min_age) = (self.name.clone(), min_age.clone());
                    settled.push((position, vec![Reason::TooYoung { rule, at, min_age }]));
                }
                _ => selected.push((position, Vec::new())),
            }
        }
        if missing {
            return Vec::new();
        }
        if let Some((clock, age)) = &self.rule.keep.unless_older_than {
            let mut narrowed = Vec::new();
            for (position, _) in selected {
                match self.clock(*clock, position, needs) {
                    None => return Vec::new(),
                    Some(Fact::Unknown(why)) => settled.push((position, vec![self.unknown(*clock, why)])),
                    Some(Fact::Known(at)) => match self.aged(*clock, at, age) {
                        within @ Reason::Within { .. } if self.rule.keep.lines == [KeepLine::All] => {
                            settled.push((position, vec![within]));
                        }
                        Reason::Within { .. } => narrowed.push((position, Vec::new())),
                        older => settled.push((position, vec![older])),
                    },
                }
            }
            selected = narrowed;
        }
        if self.rule.keep.lines.is_empty() {
            for (_, reasons) in &mut selected {
                let rule = self.name.clone();
                reasons.push(Reason::KeepNone { rule });
            }
        }
        for line in &self.rule.keep.lines {
            if !self.line(line, &mut selected, needs) {
                return Vec::new();
            }
        }
        settled.append(&mut selected);
        settled
    }

    /// Adds what a line says; `false` while facts are missing.
    fn line(&self, line: &KeepLine, selected: &mut [Voted], needs: &mut Needs) -> bool {
        let rule = || self.name.clone();
        let clock = match line {
            KeepLine::All => {
                for (_, reasons) in selected {
                    reasons.push(Reason::KeepAll { rule: rule() });
                }
                return true;
            }
            KeepLine::Last { by, .. } if !matches!(by, Order::Clock(_)) => {
                for (_, reasons) in selected {
                    let (rule, by) = (rule(), *by);
                    reasons.push(Reason::VersionUnknown { rule, by });
                }
                return true;
            }
            KeepLine::Last {
                by: Order::Clock(clock),
                ..
            }
            | KeepLine::Period { clock, .. }
            | KeepLine::Within { clock, .. } => *clock,
            KeepLine::Last { .. } => return true,
        };
        let times: Vec<Option<Fact<Time>>> = selected
            .iter()
            .map(|(position, _)| self.clock(clock, *position, needs))
            .collect();
        let mut order: Vec<(usize, Time)> = Vec::new();
        for (slot, at) in times.into_iter().enumerate() {
            match at {
                None => return false,
                Some(Fact::Unknown(why)) => selected[slot].1.push(self.unknown(clock, why)),
                Some(Fact::Known(at)) => order.push((slot, at)),
            }
        }
        order.sort_by_key(|(slot, at)| {
            let node = self.nodes[selected[*slot].0];
            Reverse((*at, self.artifacts.graph.digest(node).clone()))
        });
        let of = clamp(order.len());
        let mut buckets: HashMap<Bucket, u32> = HashMap::new();
        for (index, (slot, at)) in order.into_iter().enumerate() {
            let rule = rule();
            let reason = match line {
                KeepLine::Within { age, .. } => self.aged(clock, at, age),
                KeepLine::Period {
                    period,
                    count,
                    timezone,
                    ..
                } => {
                    let (period, count, group) = (*period, *count, None);
                    let bucket = period.bucket(at, *timezone);
                    let newest = !buckets.contains_key(&bucket);
                    let next = clamp(buckets.len() + 1);
                    let rank = *buckets.entry(bucket).or_insert(next);
                    let bucket = period.bucket_name(at, *timezone);
                    if rank > count {
                        Reason::BeyondPeriods {
                            rule,
                            period,
                            bucket,
                            clock,
                            at,
                            rank,
                            count,
                            group,
                        }
                    } else if newest {
                        Reason::NewestOf {
                            rule,
                            period,
                            bucket,
                            clock,
                            at,
                            rank,
                            count,
                            group,
                        }
                    } else {
                        Reason::NotNewestOf {
                            rule,
                            period,
                            bucket,
                            clock,
                            at,
                            group,
                        }
                    }
                }
                KeepLine::Last { count, by, .. } => {
                    let (last, by, rank, group) = (*count, *by, clamp(index + 1), None);
                    if rank <= last {
                        Reason::Rank {
                            rule,
                            rank,
                            of,
                            last,
                            by,
                            group,
                        }
                    } else {
                        Reason::BeyondLast {
                            rule,
                            rank,
                            of,
                            last,
                            by,
                            group,
                        }
                    }
                }
                KeepLine::All => Reason::KeepAll { rule },
            };
            selected[slot].1.push(reason);
        }
        true
    }
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
