//! What the rules say of each tag, before relations: every line of every `keep` votes on every tag that its rule
//! selects, and every protection on every tag.

use std::collections::HashMap;

use lagan_model::{ArtifactGraph, CompleteSnapshot, Fact, NodeId, Tag, Time, Unknown};

use crate::age::Age;
use crate::clocks::Clocks;
use crate::document::{Clock, KeepLine, Order, Per, RepositoryPolicies, Rule};
use crate::needs::Needs;
use crate::rank::{Contender, Group, Key, places, rank};
use crate::reason::{Reason, RuleName};
use crate::relations::Own;
use crate::version::{Channel, TagReading};

/// What the rules say of each tag, before relations.
pub(crate) struct Votes {
    /// Those that keep first.
    pub(crate) reasons: Vec<Vec<Reason>>,
    pub(crate) own: Vec<Own>,
}

/// The tags that are voted on, and by which rules.
#[derive(Clone, Copy)]
pub(crate) struct Ballot<'a> {
    pub(crate) policies: &'a RepositoryPolicies<'a>,
    pub(crate) snapshot: CompleteSnapshot<'a>,
    pub(crate) now: Time,
    /// One for each tag of the snapshot.
    pub(crate) readings: &'a [TagReading],
}

/// What votes depend on once the digest of every tag is known.
#[derive(Clone, Copy)]
pub(crate) struct Artifacts<'b> {
    pub(crate) graph: &'b ArtifactGraph,
    /// Which artifacts are attached to something.
    pub(crate) attachment: &'b [bool],
    pub(crate) clocks: &'b Clocks<'b>,
}

impl<'a> Ballot<'a> {
    pub(crate) fn tag(&self, position: usize) -> &'a Tag {
        &self.snapshot.tags()[position].tag
    }

    /// What every rule says of every tag; by names alone where there are no artifacts.
    pub(crate) fn votes(&self, artifacts: Option<Artifacts<'_>>, needs: &mut Needs) -> Votes {
        let count = self.readings.len();
        let mut reasons: Vec<Vec<Reason>> = vec![Vec::new(); count];
        let mut deletes: Vec<Vec<Reason>> = vec![Vec::new(); count];
        let mut candidate = vec![false; count];
        for (policy, asked) in self.policies.policies() {
            for rule in &policy.rules {
                let name = RuleName {
                    policy: policy.name.clone(),
                    rule: rule.name.clone(),
                };
                let selected: Vec<usize> = (0..count)
                    .filter(|tag| rule.select.unmet(self.tag(*tag), &self.readings[*tag]).is_none())
                    .collect();
                let lines = LineVotes {
                    ballot: self,
                    rule,
                    name: &name,
                    selected: &selected,
                    artifacts,
                };
                for (tag, votes) in selected.iter().zip(lines.of_rule(needs)) {
                    if votes.iter().flatten().any(Reason::keeps) {
                        reasons[*tag].extend(votes.into_iter().flatten().filter(Reason::keeps));
                    } else if *asked {
                        candidate[*tag] = true;
                        deletes[*tag].extend(votes.into_iter().flatten());
                    }
                }
            }
            if !policy.protect.is_empty() {
                for (tag, reasons) in reasons.iter_mut().enumerate() {
                    reasons.extend(policy.protections(self.tag(tag), &self.readings[tag], self.now));
                }
            }
        }
        let mut own = Vec::with_capacity(count);
        for (tag, (reasons, deletes)) in reasons.iter_mut().zip(deletes).enumerate() {
            own.push(if !reasons.is_empty() {
                Own::Keep
            } else if candidate[tag] {
                Own::Doom
            } else if self.readings[tag].channel == Channel::Attachment {
                Own::Follow
            } else {
                reasons.push(Reason::NotSelected);
                Own::Keep
            });
            reasons.extend(deletes);
        }
        Votes { reasons, own }
    }
}

/// What a line says of a tag. `None` does not keep it, as far as is known, and asks for no reason: while names
/// alone are known it may yet be kept, and while facts are missing the vote is taken again.
type Vote = Option<Reason>;

/// The lines of one rule's `keep`, each a row that votes on every selected tag.
struct LineVotes<'a, 'b> {
    ballot: &'b Ballot<'a>,
    rule: &'b Rule,
    name: &'b RuleName,
    /// The positions in the snapshot of the tags that the rule selects. A vote is known by its index here.
    selected: &'b [usize],
    /// `None` while names alone are known.
    artifacts: Option<Artifacts<'b>>,
}

impl<'a> LineVotes<'a, '_> {
    /// The votes of all lines for each selected tag: at least one each.
    fn of_rule(&self, needs: &mut Needs) -> Vec<Vec<Vote>> {
        let rule = || self.name.clone();
        let count = self.selected.len();
        if self.rule.keep.lines.is_empty() {
            return vec![vec![Some(Reason::KeepNone { rule: rule() })]; count];
        }
        let mut votes: Vec<Vec<Vote>> = vec![Vec::with_capacity(self.rule.keep.lines.len()); count];
        for line in &self.rule.keep.lines {
            let of_line = match line {
                KeepLine::All => vec![Some(Reason::KeepAll { rule: rule() }); count],
                KeepLine::Last { count, by, per } => self.last(*count, *by, per, needs),
                KeepLine::Within { clock, age } => self.within(*clock, age, needs),
                KeepLine::Period { .. } => vec![Some(Reason::KeepAll { rule: rule() }); count],
            };
            for (votes, vote) in votes.iter_mut().zip(of_line) {
                votes.push(vote);
            }
        }
        votes
    }

    fn node(&self, position: usize) -> Option<NodeId> {
        self.artifacts?.graph.node_of_tag(position)
    }

    /// What a clock says of a tag; `None` where that is not known yet.
    fn clock(&self, clock: Clock, position: usize, needs: &mut Needs) -> Option<Fact<Time>> {
        if clock.unrecorded().is_some() {
            return Some(Fact::Unknown(Unknown::NotRecorded));
        }
        let artifacts = self.artifacts?;
        let node = self.node(position)?;
        if artifacts.attachment[node.index()] {
            // A signature's age says nothing of what it signs, and is not worth a request.
            return Some(Fact::Unknown(Unknown::Missing));
        }
        artifacts.clocks.read(clock, artifacts.graph.digest(node), needs)
    }

    fn within(&self, clock: Clock, age: &Age, needs: &mut Needs) -> Vec<Vote> {
        let vote = |position: &usize| {
            let rule = self.name.clone();
            Some(match self.clock(clock, *position, needs)? {
                Fact::Known(at) if self.ballot.now.signed_duration_since(at) <= age.delta() => {
                    Reason::Within {
                        rule,
                        clock,
                        at,
                        age: age.clone(),
                    }
                }
                Fact::Known(at) => Reason::OlderThan {
                    rule,
                    clock,
                    at,
                    age: age.clone(),
                },
                Fact::Unknown(why) => Reason::ClockUnknown { rule, clock, why },
            })
        };
        self.selected.iter().map(vote).collect()
    }

    fn last(&self, last: u32, by: Order, per: &Per, needs: &mut Needs) -> Vec<Vote> {
        let mut votes: Vec<Vote> = vec![None; self.selected.len()];
        let mut groups: HashMap<Group, Vec<usize>> = HashMap::new();
        for (slot, position) in self.selected.iter().enumerate() {
            let (tag, reading) = (self.ballot.tag(*position), &self.ballot.readings[*position]);
            match Group::of(per, &self.rule.select, tag, reading) {
                Some(group) => groups.entry(group).or_default().push(slot),
                None => {
                    votes[slot] = Some(Reason::GroupUnknown {
                        rule: self.name.clone(),
                        per: per.to_string(),
                    });
                }
            }
        }
        for (group, slots) in groups {
            self.last_of_group(&group, &slots, last, by, needs, &mut votes);
        }
        votes
    }

    fn last_of_group(
        &self,
        group: &Group,
        slots: &[usize],
        last: u32,
        by: Order,
        needs: &mut Needs,
        votes: &mut [Vote],
    ) {
        let ancestors = |node| {
            self.artifacts
                .map_or_else(Vec::new, |artifacts| ancestors(artifacts.graph, node))
        };
        let recorded = !matches!(by, Order::Clock(clock) if clock.unrecorded().is_some());
        let few = || {
            let by_name: Vec<_> = slots
                .iter()
                .map(|slot| self.contender(*slot, Key::Name))
                .collect();
            places(&by_name, &ancestors) <= last as usize
        };
        // Nobody has to read a clock, or a digest, to see that all of few are kept.
        let unread = matches!(by, Order::Clock(_)) || self.artifacts.is_none();
        if recorded && unread && few() {
            let tags = u32::try_from(slots.len()).unwrap_or(u32::MAX);
            for slot in slots {
                votes[*slot] = Some(Reason::Fits {
                    rule: self.name.clone(),
                    tags,
                    last,
                    group: group.name(),
                });
            }
            return;
        }
        let mut contenders = Vec::with_capacity(slots.len());
        let mut pending = false;
        for slot in slots {
            let position = self.selected[*slot];
            let key = if let Order::Clock(clock) = by {
                match self.clock(clock, position, needs) {
                    Some(Fact::Known(time)) => Some(Key::Time(time)),
                    Some(Fact::Unknown(why)) => {
                        votes[*slot] = Some(Reason::ClockUnknown {
                            rule: self.name.clone(),
                            clock,
                            why,
                        });
                        None
                    }
                    None => {
                        pending = true;
                        None
                    }
                }
            } else {
                let key = Key::of_name(by, self.ballot.tag(position), &self.ballot.readings[position]);
                if key.is_none() {
                    votes[*slot] = Some(Reason::VersionUnknown {
                        rule: self.name.clone(),
                        by,
                    });
                }
                key
            };
            contenders.extend(key.map(|key| self.contender(*slot, key)));
        }
        // A rank among some of the group would be better than the true one.
        if pending {
            return;
        }
        for place in rank(&contenders, &ancestors) {
            let (rule, group, rank, of) = (self.name.clone(), group.name(), place.rank, place.of);
            votes[place.slot] = Some(if rank <= last {
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
            });
        }
    }

    fn contender<'k>(&self, slot: usize, key: Key<'k>) -> Contender<'k>
    where
        'a: 'k,
    {
        let position = self.selected[slot];
        let listed = &self.ballot.snapshot.tags()[position];
        let node = self.node(position);
        let attached = self
            .artifacts
            .zip(node)
            .is_some_and(|(artifacts, node)| artifacts.attachment[node.index()]);
        Contender {
            slot,
            tag: &listed.tag,
            digest: listed.digest.as_ref(),
            node,
            key,
            counts: !attached,
        }
    }
}

/// Every index that lists a node, near and far, each once.
fn ancestors(graph: &ArtifactGraph, node: NodeId) -> Vec<NodeId> {
    let mut found: Vec<NodeId> = Vec::new();
    let mut work: Vec<NodeId> = graph.parents(node).to_vec();
    while let Some(parent) = work.pop() {
        if !found.contains(&parent) {
            found.push(parent);
            work.extend(graph.parents(parent));
        }
    }
    found
}
