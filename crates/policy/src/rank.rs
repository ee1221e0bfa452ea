//! `last`: places, and who has them.
//!
//! What takes a place is a distinct artifact of a group: tags on one digest share a place, and a tagged child
//! shares its index's. An artifact ranks by its best tag. Attachments never take a place. What cannot be ranked
//! takes none either, and is kept.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use lagan_model::{Digest, NodeId, Tag, Time};

use crate::document::{Bucket, Order, Per, Period, Select, Timezone};
use crate::version::{TagReading, Version, natural};

/// What a tag is ordered by. Only keys of one kind are ever compared.
#[derive(Debug, Clone)]
pub(crate) enum Key<'a> {
    Version(&'a Version),
    Semver(semver::Version),
    Name,
    Time(Time),
}

impl<'a> Key<'a> {
    /// The key by name alone; `None` for tags without one, and for clocks.
    pub(crate) fn of_name(by: Order, tag: &Tag, reading: &'a TagReading) -> Option<Self> {
        match by {
            Order::Version => reading.version.as_ref().map(Self::Version),
            Order::Semver => {
                let text = tag.as_str();
                // A tag cannot hold the plus sign of a build; `_` stands for it.
                let text = text.strip_prefix('v').unwrap_or(text).replacen('_', "+", 1);
                semver::Version::parse(&text).ok().map(Self::Semver)
            }
            Order::Name => Some(Self::Name),
            Order::Clock(_) => None,
        }
    }

    fn compare(&self, other: &Self, tags: (&Tag, &Tag)) -> Ordering {
        match (self, other) {
            (Self::Version(a), Self::Version(b)) => a.cmp(b),
            (Self::Semver(a), Self::Semver(b)) => a.cmp_precedence(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            _ => natural(tags.0.as_str(), tags.1.as_str()),
        }
    }
}

/// The group that a tag competes in. Within one line only groups of one kind are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Group<'a> {
    Whole,
    Major(u64),
    Minor(u64, u64),
    Named(&'a str),
}

impl<'a> Group<'a> {
    /// The group of a tag; `None` where the tag has nothing to be grouped by.
    pub(crate) fn of(per: &Per, select: &Select, tag: &'a Tag, reading: &'a TagReading) -> Option<Self> {
        let numbers = || reading.version.as_ref().map(|version| version.numbers);
        Some(match per {
            Per::Repository => Self::Whole,
            Per::Channel => Self::Named(reading.channel.as_str()),
            Per::Major => Self::Major(numbers()?[0]),
            Per::Minor => {
                let [major, minor, _] = numbers()?;
                Self::Minor(major, minor)
            }
            Per::Variant => reading.variant.as_deref().map_or(Self::Whole, Self::Named),
            Per::Capture(group) => Self::Named(select.regex.as_ref()?.capture(tag, group)?),
        })
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        match self {
            Self::Whole => None,
            Self::Major(major) => Some(major.to_string().into()),
            Self::Minor(major, minor) => Some(format!("{major}.{minor}").into()),
            Self::Named(name) => Some((*name).into()),
        }
    }
}

/// Groups, each with those that compete in it, in the order in which they were first met.
#[derive(Debug, Default)]
pub(crate) struct Groups<'a> {
    found: Vec<(Group<'a>, Vec<usize>)>,
    places: HashMap<Group<'a>, usize>,
    /// Where the last one went: neighbours in a listing often belong together.
    last: usize,
}

impl<'a> Groups<'a> {
    pub(crate) fn add(&mut self, group: Group<'a>, slot: usize) {
        if self.found.get(self.last).is_none_or(|(known, _)| *known != group) {
            self.last = *self.places.entry(group).or_insert(self.found.len());
            if self.last == self.found.len() {
                self.found.push((group, Vec::new()));
            }
        }
        self.found[self.last].1.push(slot);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Group<'a>, &[usize])> {
        self.found.iter().map(|(group, slots)| (*group, slots.as_slice()))
    }
}

/// A tag that takes part in a group, with what it is ordered by.
#[derive(Debug)]
pub(crate) struct Contender<'a> {
    /// By which the caller knows it.
    pub slot: usize,
    pub tag: &'a Tag,
    pub digest: Option<&'a Digest>,
    /// The artifact; `None` while digests are not known, when every tag counts for itself.
    pub node: Option<NodeId>,
    pub key: Key<'a>,
    /// Whether its artifact takes a place: attachments do not.
    pub counts: bool,
}

impl Contender<'_> {
    /// Total: the key, then the tag's bytes, then the digest.
    fn compare(&self, other: &Self) -> Ordering {
        self.key
            .compare(&other.key, (self.tag, other.tag))
            .then_with(|| self.tag.cmp(other.tag))
            .then_with(|| self.digest.cmp(&other.digest))
    }
}

/// Where a contender stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rank {
    /// By which the caller knows the contender.
    pub slot: usize,
    /// 1 is the newest.
    pub rank: u32,
    /// How many places there are.
    pub of: u32,
    /// Of periods: whether it is the newest of its bucket.
    pub newest: bool,
    /// The slot of the contender that stands for its place: what the place is ordered by.
    pub by: usize,
}

/// What counts as one of what is kept: one table for all lines that count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row {
    /// `last`: each place for itself.
    Places,
    /// A period: all places in one bucket of the calendar.
    Periods(Period, Timezone),
}

impl Row {
    /// The bucket of a place; `None` where each has its own.
    fn bucket(self, place: &Contender<'_>) -> Option<Bucket> {
        match (self, &place.key) {
            (Self::Periods(period, timezone), Key::Time(at)) => Some(period.bucket(*at, timezone)),
            _ => None,
        }
    }
}

/// How many places the contenders would take.
pub(crate) fn places(contenders: &[Contender<'_>], ancestors: &dyn Fn(NodeId) -> Vec<NodeId>) -> usize {
    let leaders = leaders(contenders, ancestors);
    let mut seen: Vec<usize> = contenders
        .iter()
        .zip(&leaders)
        .filter(|(contender, _)| contender.counts)
        .map(|(_, l)| *l)
        .collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

/// Ranks the contenders of one group. `ancestors` are the indexes that list a node, near and far.
pub(crate) fn rank(
    contenders: &[Contender<'_>],
    ancestors: &dyn Fn(NodeId) -> Vec<NodeId>,
    row: Row,
) -> Vec<Rank> {
    let leaders = leaders(contenders, ancestors);
    // The best tag of each place, and whether the place counts.
    let mut best: Vec<Option<(usize, bool)>> = vec![None; contenders.len()];
    for (index, leader) in leaders.iter().enumerate() {
        let place = &mut best[*leader];
        let contender = &contenders[index];
        *place = Some(match *place {
            None => (index, contender.counts),
            Some((known, counts)) => {
                let better = contender.compare(&contenders[known]).is_gt();
                (if better { index } else { known }, counts || contender.counts)
            }
        });
    }
    let mut places: Vec<(usize, usize, bool)> = best
        .iter()
        .enumerate()
        .filter_map(|(leader, best)| best.map(|(tag, counts)| (leader, tag, counts)))
        .collect();
    places.sort_unstable_by(|a, b| contenders[b.1].compare(&contenders[a.1]));
    // The newest first: what a bucket has first is its newest, however the calendar runs.
    let mut standing = vec![(0u32, false, 0usize); contenders.len()];
    let mut buckets: HashMap<Bucket, u32> = HashMap::new();
    let mut taken = 0;
    for (leader, tag, counts) in places {
        let bucket = row.bucket(&contenders[tag]);
        let known = bucket.and_then(|bucket| buckets.get(&bucket).copied());
        // What takes no place stands beside the next one that does.
        let rank = known.unwrap_or_else(|| clamp(taken + 1));
        if counts && known.is_none() {
            taken += 1;
            buckets.extend(bucket.map(|bucket| (bucket, rank)));
        }
        standing[leader] = (rank, known.is_none(), contenders[tag].slot);
    }
    contenders
        .iter()
        .zip(leaders)
        .map(|(contender, leader)| {
            let (rank, newest, by) = standing[leader];
            Rank {
                slot: contender.slot,
                rank,
                of: clamp(taken),
                newest,
                by,
            }
        })
        .collect()
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// For each contender the index of the contender that stands for its place.
fn leaders(contenders: &[Contender<'_>], ancestors: &dyn Fn(NodeId) -> Vec<NodeId>) -> Vec<usize> {
    let mut leaders: Vec<usize> = (0..contenders.len()).collect();
    // Those on one artifact stand side by side. Nodes are numbered much as tags are listed, so that little is moved.
    let mut on: Vec<(NodeId, usize)> = contenders
        .iter()
        .enumerate()
        .filter_map(|(index, contender)| Some((contender.node?, index)))
        .collect();
    on.sort();
    // The best contender of each artifact, in the order of nodes.
    let greater = |a: usize, b: usize| {
        if contenders[b].compare(&contenders[a]).is_gt() {
            b
        } else {
            a
        }
    };
    let best: Vec<(NodeId, usize)> = on
        .chunk_by(|a, b| a.0 == b.0)
        .filter_map(|tags| {
            let indices = tags.iter().map(|(_, index)| *index);
            Some((tags.first()?.0, indices.reduce(greater)?))
        })
        .collect();
    let best_of = |node: &NodeId| {
        let at = best.binary_search_by_key(node, |(node, _)| *node).ok()?;
        Some(best[at].1)
    };
    for (tags, (node, own)) in on.chunk_by(|a, b| a.0 == b.0).zip(&best) {
        // A child stands with the best of the indexes of this group that list it; of those, with one that is itself
        // no child here.
        let above = ancestors(*node);
        let tops = above
            .iter()
            .filter(|top| ancestors(**top).iter().all(|above| best_of(above).is_none()));
        let leader = tops.filter_map(best_of).reduce(greater).unwrap_or(*own);
        for (_, index) in tags {
            leaders[*index] = leader;
        }
    }
    leaders
}
