//! What the rules say of each tag, before relations: every line of every `keep` votes on every tag that its rule
//! selects, and every protection on every tag.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use lagan_model::{
    ArtifactGraph, AttachmentForm, CompleteSnapshot, Fact, NoUndo, NodeId, Tag, Time, Unknown,
};

use crate::age::Age;
use crate::clocks::{Clocks, is_recorded};
use crate::document::{Clock, KeepLine, Order, Per, RepositoryPolicies, Rule};
use crate::facts::Facts;
use crate::needs::Needs;
use crate::rank::{Contender, Group, Groups, Key, Row, places, rank};
use crate::reason::{Reason, RuleName};
use crate::relations::Own;
use crate::version::{Channel, ChannelSet, TagReading};

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
    pub(crate) facts: &'b Facts<'b>,
}

/// What was said of one tag so far.
#[derive(Debug, Clone, Default)]
struct Said {
    /// Those that keep first.
    reasons: Vec<Reason>,
    keeping: usize,
    candidate: bool,
}

impl Said {
    fn reason(&mut self, reason: Reason) {
        // Most tags have one: a vector that grows by itself would take room for four.
        if self.reasons.is_empty() {
            self.reasons.reserve_exact(1);
        }
        if reason.keeps() {
            self.reasons.insert(self.keeping, reason);
            self.keeping += 1;
        } else {
            self.reasons.push(reason);
        }
    }

    fn is_kept(&self) -> bool {
        self.keeping > 0
    }

    /// Whether it goes, as far as was said.
    fn is_doomed(&self) -> bool {
        self.candidate && !self.is_kept()
    }
}

/// What was said so far.
struct Count {
    /// One for each tag.
    of: Vec<Said>,
    /// What keeps a tag if a rule selects it, which its name does not tell: this rule does not delete it, and others
    /// may.
    unless_unselected: BTreeMap<usize, Vec<Reason>>,
}

impl<'a> Ballot<'a> {
    pub(crate) fn tag(&self, position: usize) -> &'a Tag {
        &self.snapshot.tags()[position].tag
    }

    /// What every rule says of every tag; by names alone where there are no artifacts.
    pub(crate) fn votes(&self, artifacts: Option<Artifacts<'_>>, needs: &mut Needs) -> Votes {
        let count = self.readings.len();
        let mut said = Count {
            of: vec![Said::default(); count],
            unless_unselected: BTreeMap::new(),
        };
        self.by_rules(false, &[], artifacts, &mut said, needs);
        if self.snapshot.has_immutable() {
            for (tag, said) in said.of.iter_mut().enumerate() {
                if let Some(by) = self.snapshot.immutable(self.tag(tag)) {
                    said.reason(Reason::Immutable { by });
                }
            }
        }
        for (policy, _) in self.policies.policies() {
            if !policy.protect.is_empty() {
                for (tag, said) in said.of.iter_mut().enumerate() {
                    for reason in policy.protections(self.tag(tag), &self.readings[tag], self.now) {
                        said.reason(reason);
                    }
                }
            }
        }
        let protected: Vec<bool> = (0..count)
            .map(|tag| self.protect_by_facts(tag, artifacts, &mut said, needs))
            .collect();
        // What is superseded depends on what is kept; what is kept of stable tags, never on what is superseded.
        let superseding = self.superseding(&said, artifacts.is_some());
        if needs.is_empty() {
            self.by_rules(true, &superseding, artifacts, &mut said, needs);
            for (tag, asked) in protected.into_iter().enumerate() {
                if !asked && said.of[tag].is_doomed() {
                    self.protect_by_facts(tag, artifacts, &mut said, needs);
                }
            }
        }
        // What is held takes nobody's place, and supersedes nothing: it may go when that ends.
        if let Some(artifacts) = artifacts {
            for (tag, said) in said.of.iter_mut().enumerate() {
                let node = artifacts.graph.node_of_tag(tag);
                if let Some(held) = node.and_then(|node| self.held(artifacts.graph, node)) {
                    said.reason(held);
                }
            }
        }
        let Count {
            of: mut said,
            mut unless_unselected,
        } = said;
        let own = said.iter_mut().enumerate().map(|(tag, said)| {
            if said.is_kept() {
                Own::Keep
            } else if said.candidate {
                Own::Doom
            } else if self.readings[tag].channel == Channel::Attachment {
                Own::Follow
            } else {
                match unless_unselected.remove(&tag) {
                    Some(reasons) => said.reasons = reasons,
                    None => said.reason(Reason::NotSelected),
                }
                Own::Keep
            }
        });
        Votes {
            own: own.collect(),
            reasons: said.into_iter().map(|said| said.reasons).collect(),
        }
    }

    /// What the rules say, those that select by `superseded` or the others.
    fn by_rules(
        &self,
        superseded: bool,
        superseding: &[Option<usize>],
        artifacts: Option<Artifacts<'_>>,
        said: &mut Count,
        needs: &mut Needs,
    ) {
        for (policy, asked) in self.policies.policies() {
            for rule in policy
                .rules
                .iter()
                .filter(|rule| rule.select.superseded == superseded)
            {
                let name = RuleName {
                    policy: policy.name.clone(),
                    rule: rule.name.clone(),
                };
                let Some(selected) = self.selected(rule, &name, superseding, artifacts, said, needs) else {
                    continue;
                };
                let told = artifacts.is_some() || rule.select.is_told_by_names();
                let lines = LineVotes {
                    ballot: self,
                    rule,
                    name: &name,
                    selected: &selected,
                    artifacts,
                };
                let mut lines = lines.of_rule(needs);
                for (slot, tag) in selected.iter().enumerate() {
                    let keeps = lines
                        .iter()
                        .filter_map(|line| line[slot].as_ref())
                        .any(Reason::keeps);
                    let votes = lines
                        .iter_mut()
                        .filter_map(|line| line[slot].take())
                        .filter(|vote| vote.keeps() == keeps);
                    if keeps && told {
                        votes.for_each(|vote| said.of[*tag].reason(vote));
                    } else if keeps {
                        said.unless_unselected.entry(*tag).or_default().extend(votes);
                    } else if *asked {
                        let because = self.because(rule, &name, *tag, superseding, artifacts);
                        let said = &mut said.of[*tag];
                        said.candidate = true;
                        if self.is_forbidden() {
                            let rule = name.clone();
                            said.reason(Reason::ProxyCache { rule });
                        }
                        because
                            .into_iter()
                            .chain(votes)
                            .for_each(|reason| said.reason(reason));
                    }
                }
            }
        }
    }

    /// Why an artifact stays that was put back.
    pub(crate) fn held(&self, graph: &ArtifactGraph, node: NodeId) -> Option<Reason> {
        let until = self.snapshot.held(graph.digest(node))?;
        Some(Reason::Held { until, with: None })
    }

    /// Whether nothing that is deleted here could be brought back.
    pub(crate) fn is_forbidden(&self) -> bool {
        match self.snapshot.no_undo() {
            Some(NoUndo::ProxyCache) => true,
            None => false,
        }
    }

    /// The tags that a rule selects; by names alone, all that it could select. `None` while facts are missing.
    fn selected(
        &self,
        rule: &Rule,
        name: &RuleName,
        superseding: &[Option<usize>],
        artifacts: Option<Artifacts<'_>>,
        said: &mut Count,
        needs: &mut Needs,
    ) -> Option<Vec<usize>> {
        let select = &rule.select;
        let mut selected: Vec<usize> = (0..self.readings.len())
            .filter(|tag| select.unmet(self.tag(*tag), &self.readings[*tag]).is_none())
            .filter(|tag| !select.superseded || superseding[*tag].is_some())
            .filter(|tag| !select.orphaned || artifacts.is_some() || self.may_be_orphaned(*tag))
            .collect();
        if select.is_told_by_names() {
            return Some(selected);
        }
        let Some(artifacts) = artifacts else {
            return Some(selected);
        };
        let mut missing = false;
        selected.retain(|tag| {
            let told = match artifacts.graph.node_of_tag(*tag) {
                Some(node) => artifacts.facts.meets(select, node, needs),
                None => Some(Fact::Unknown(Unknown::Missing)),
            };
            match told {
                Some(Fact::Known(met)) => met,
                Some(Fact::Unknown(why)) => {
                    let rule = name.clone();
                    said.of[*tag].reason(Reason::SelectionUnknown { rule, why });
                    false
                }
                None => {
                    missing = true;
                    false
                }
            }
        });
        // Places among some of what is selected would be better than the true ones.
        (!missing).then_some(selected)
    }

    /// Whether the name of an attachment says that its subject could be gone.
    fn may_be_orphaned(&self, tag: usize) -> bool {
        AttachmentForm::of(self.tag(tag)).is_some_and(|(_, subject)| self.snapshot.is_remembered(&subject))
    }

    /// What makes a tag one that a rule selects, where its name does not say that.
    fn because(
        &self,
        rule: &Rule,
        name: &RuleName,
        tag: usize,
        superseding: &[Option<usize>],
        artifacts: Option<Artifacts<'_>>,
    ) -> Vec<Reason> {
        let rule_name = || name.clone();
        if let Some(by) = superseding.get(tag).copied().flatten() {
            return vec![Reason::Superseded {
                rule: rule_name(),
                by: self.tag(by).clone(),
            }];
        }
        let node = artifacts.and_then(|artifacts| Some((artifacts, artifacts.graph.node_of_tag(tag)?)));
        match node {
            Some((artifacts, node)) if rule.select.orphaned => {
                let subjects = artifacts.graph.subjects(node).iter();
                let reason = |subject: &NodeId| Reason::Orphaned {
                    rule: rule_name(),
                    subject: artifacts.graph.digest(*subject).clone(),
                };
                subjects.map(reason).collect()
            }
            _ => Vec::new(),
        }
    }

    /// For each prerelease the greatest stable tag of its MAJOR.MINOR and variant that is kept and no older than its
    /// own version numbers. By names alone every stable tag counts as kept, so that nothing is missed.
    ///
    /// Only what the rules and protections say of a stable tag counts: what relations keep may go in the next run.
    fn superseding(&self, said: &Count, known: bool) -> Vec<Option<usize>> {
        let rules = self
            .policies
            .policies()
            .iter()
            .flat_map(|(policy, _)| &policy.rules);
        if !rules.into_iter().any(|rule| rule.select.superseded) {
            return Vec::new();
        }
        let line = |tag: usize| {
            let reading = &self.readings[tag];
            let version = reading.version.as_ref()?;
            let [major, minor, patch] = version.numbers;
            Some(((major, minor, reading.variant.as_deref()), patch))
        };
        let mut newest: HashMap<(u64, u64, Option<&str>), (u64, usize)> = HashMap::new();
        for tag in 0..self.readings.len() {
            let kept = !known || !said.of[tag].is_doomed();
            if self.readings[tag].channel == Channel::Stable
                && kept
                && let Some((line, patch)) = line(tag)
            {
                let best = newest.entry(line).or_insert((patch, tag));
                if patch > best.0 {
                    *best = (patch, tag);
                }
            }
        }
        let by = |tag: usize| {
            let prerelease = ChannelSet::PRERELEASE.contains(self.readings[tag].channel);
            let (line, patch) = line(tag).filter(|_| prerelease)?;
            newest
                .get(&line)
                .filter(|(stable, _)| *stable >= patch)
                .map(|(_, tag)| *tag)
        };
        (0..self.readings.len()).map(by).collect()
    }

    /// Adds what protects a tag and its name does not tell. What has to be read for that is asked for only where
    /// nothing else keeps the tag; returns whether it was.
    fn protect_by_facts(
        &self,
        tag: usize,
        artifacts: Option<Artifacts<'_>>,
        said: &mut Count,
        needs: &mut Needs,
    ) -> bool {
        let Some(artifacts) = artifacts else { return false };
        let (Some(node), ask) = (artifacts.graph.node_of_tag(tag), said.of[tag].is_doomed()) else {
            return false;
        };
        let reasons = self.protections_by_facts(node, artifacts, ask.then_some(needs));
        reasons.into_iter().for_each(|reason| said.of[tag].reason(reason));
        ask
    }

    /// What protects an artifact, by what names do not tell.
    pub(crate) fn protections_by_facts(
        &self,
        node: NodeId,
        artifacts: Artifacts<'_>,
        mut ask: Option<&mut Needs>,
    ) -> Vec<Reason> {
        let digest = artifacts.graph.digest(node);
        let mut reasons = Vec::new();
        for (policy, _) in self.policies.policies() {
            if policy.protects_by_facts() {
                let ask = ask.as_deref_mut();
                reasons.extend(policy.protections_by_facts(artifacts.facts, node, digest, self.now, ask));
            }
        }
        reasons
    }
}

/// What a line says of a tag. `None` does not keep it, as far as is known, and asks for no reason: while names
/// alone are known it may yet be kept, and while facts are missing the vote is taken again.
type Vote = Option<Reason>;

/// A line that counts what it keeps.
#[derive(Clone, Copy)]
struct Counting {
    count: u32,
    by: Order,
    row: Row,
}

/// The lines of one rule's `keep`, each a row that votes on every selected tag.
#[derive(Clone, Copy)]
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
    /// Rows of one vote for each selected tag: at least one row.
    fn of_rule(&self, needs: &mut Needs) -> Vec<Vec<Vote>> {
        let Some((clock, age)) = &self.rule.keep.unless_older_than else {
            return self.of_lines(needs);
        };
        let mut narrowing = self.within(*clock, age, needs);
        let unknown = narrowing.iter().any(Option::is_none);
        if !unknown && self.rule.keep.lines == [KeepLine::All] {
            return vec![narrowing];
        }
        // What is older takes no place: nobody is ranked before it is known what that is.
        let newer: Vec<usize> = (0..narrowing.len())
            .filter(|slot| matches!(narrowing[*slot], Some(Reason::Within { .. })))
            .collect();
        for slot in &newer {
            narrowing[*slot] = None;
        }
        let mut rows = Vec::new();
        if !unknown {
            let selected: Vec<usize> = newer.iter().map(|slot| self.selected[*slot]).collect();
            let narrowed = LineVotes {
                selected: &selected,
                ..*self
            };
            for votes in narrowed.of_lines(needs) {
                let mut row: Vec<Vote> = vec![None; narrowing.len()];
                for (slot, vote) in newer.iter().zip(votes) {
                    row[*slot] = vote;
                }
                rows.push(row);
            }
        }
        rows.push(narrowing);
        rows
    }

    fn of_lines(&self, needs: &mut Needs) -> Vec<Vec<Vote>> {
        let rule = || self.name.clone();
        let count = self.selected.len();
        if self.rule.keep.lines.is_empty() {
            return vec![vec![Some(Reason::KeepNone { rule: rule() }); count]];
        }
        let lines = self.rule.keep.lines.iter().map(|line| match line {
            KeepLine::All => vec![Some(Reason::KeepAll { rule: rule() }); count],
            KeepLine::Last { count, by, per } => {
                let row = Counting {
                    count: *count,
                    by: *by,
                    row: Row::Places,
                };
                self.counted(row, per, needs)
            }
            KeepLine::Period {
                period,
                count,
                clock,
                per,
                timezone,
            } => {
                let row = Counting {
                    count: *count,
                    by: Order::Clock(*clock),
                    row: Row::Periods(*period, *timezone),
                };
                self.counted(row, per, needs)
            }
            KeepLine::Within { clock, age } => self.within(*clock, age, needs),
        });
        lines.collect()
    }

    fn node(&self, position: usize) -> Option<NodeId> {
        self.artifacts?.graph.node_of_tag(position)
    }

    /// What a clock says of a tag; `None` where that is not known yet.
    fn clock(&self, clock: Clock, position: usize, needs: &mut Needs) -> Option<Fact<Time>> {
        if !is_recorded(clock, self.ballot.snapshot) {
            return Some(Fact::Unknown(Unknown::NotRecorded));
        }
        let artifacts = self.artifacts?;
        let node = self.node(position)?;
        if clock == Clock::Created && artifacts.attachment[node.index()] {
            // A signature's age says nothing of what it signs, and is not worth a request.
            return Some(Fact::Unknown(Unknown::Missing));
        }
        let tag = Some(self.ballot.tag(position));
        artifacts.clocks.read(clock, tag, artifacts.graph, node, needs)
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

    /// The votes of a line that counts what it keeps, in each group for itself.
    fn counted(&self, row: Counting, per: &Per, needs: &mut Needs) -> Vec<Vote> {
        let mut votes: Vec<Vote> = vec![None; self.selected.len()];
        let mut groups = Groups::default();
        for (slot, position) in self.selected.iter().enumerate() {
            let (tag, reading) = (self.ballot.tag(*position), &self.ballot.readings[*position]);
            match Group::of(per, &self.rule.select, tag, reading) {
                Some(group) => groups.add(group, slot),
                None => {
                    votes[slot] = Some(Reason::GroupUnknown {
                        rule: self.name.clone(),
                        per: per.to_string(),
                    });
                }
            }
        }
        for (group, slots) in groups.all() {
            self.counted_of_group(group.name().as_ref(), slots, row, needs, &mut votes);
        }
        votes
    }

    fn counted_of_group(
        &self,
        group: Option<&Arc<str>>,
        slots: &[usize],
        row: Counting,
        needs: &mut Needs,
        votes: &mut [Vote],
    ) {
        let Counting { count: last, by, row } = row;
        let ancestors = |node| {
            self.artifacts
                .map_or_else(Vec::new, |artifacts| ancestors(artifacts.graph, node))
        };
        let recorded = !matches!(by, Order::Clock(clock) if !is_recorded(clock, self.ballot.snapshot));
        let few = || {
            if self.more_stand_alone(slots, last as usize) {
                return false;
            }
            let by_name: Vec<_> = slots
                .iter()
                .map(|slot| self.contender(*slot, Key::Name))
                .collect();
            places(&by_name, &ancestors) <= last as usize
        };
        // Nobody has to read a clock, or a digest, to see that all of few are kept.
        let unread = matches!(by, Order::Clock(_)) || self.artifacts.is_none();
        let places = matches!(row, Row::Places);
        if places && recorded && unread && few() {
            let tags = u32::try_from(slots.len()).unwrap_or(u32::MAX);
            for slot in slots {
                votes[*slot] = Some(Reason::Fits {
                    rule: self.name.clone(),
                    tags,
                    last,
                    group: group.cloned(),
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
        let at: HashMap<usize, Time> = contenders
            .iter()
            .filter(|_| !places)
            .filter_map(|contender| match contender.key {
                Key::Time(at) => Some((contender.slot, at)),
                _ => None,
            })
            .collect();
        for place in rank(&contenders, &ancestors, row) {
            let (rule, group, rank, of) = (self.name.clone(), group.cloned(), place.rank, place.of);
            votes[place.slot] = match (row, by, at.get(&place.by)) {
                (Row::Periods(period, timezone), Order::Clock(clock), Some(at)) => {
                    let (at, bucket) = (*at, period.bucket_name(*at, timezone));
                    Some(if rank > last {
                        Reason::BeyondPeriods {
                            rule,
                            period,
                            bucket,
                            clock,
                            at,
                            rank,
                            count: last,
                            group,
                        }
                    } else if place.newest {
                        Reason::NewestOf {
                            rule,
                            period,
                            bucket,
                            clock,
                            at,
                            rank,
                            count: last,
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
                    })
                }
                _ if rank <= last => Some(Reason::Rank {
                    rule,
                    rank,
                    of,
                    last,
                    by,
                    group,
                }),
                _ => Some(Reason::BeyondLast {
                    rule,
                    rank,
                    of,
                    last,
                    by,
                    group,
                }),
            };
        }
    }

    /// Whether more than so many of these are artifacts that nothing lists: each has a place of its own, whoever ranks
    /// how.
    fn more_stand_alone(&self, slots: &[usize], than: usize) -> bool {
        let Some(artifacts) = self.artifacts else {
            return false;
        };
        let mut alone = BTreeSet::new();
        slots
            .iter()
            .filter_map(|slot| self.node(self.selected[*slot]))
            .filter(|node| !artifacts.attachment[node.index()] && artifacts.graph.parents(*node).is_empty())
            .any(|node| alone.insert(node) && alone.len() > than)
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
