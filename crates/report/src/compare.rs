//! What changed between two plans: what a team looks at before it lets a changed policy loose.
//!
//! Both plans come in the order of their names and are followed side by side, so that one repository of each is held.
//! A rank moves with every push, and a time says the same about another tag: reasons are compared by their kinds and
//! by the rules and patterns that they come from, numbers and neighbours aside.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use lagan_model::{Digest, Incomplete, RepositoryName, Tag};
use lagan_policy::{Action, Reason, RepositoryPlan};
use serde::Serialize;

use crate::explain::Verdict;
use crate::saved::{PlanFileError, PlanReader, SavedFoot};
use crate::wording::{kind, rule_of};

mod json;
mod markdown;
mod text;
mod words;

#[cfg(test)]
mod tests;

pub use words::{CompareFormat, CompareWriter, Compared};

/// A repository in which something changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RepositoryChange {
    /// The repository.
    pub name: RepositoryName,
    /// What became of it.
    pub change: Presence,
    /// Why nothing was decided in the older plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete_before: Option<Incomplete>,
    /// Why nothing is decided in the newer plan. Its tags are then not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<Incomplete>,
    /// How many tags the newer plan has that the older does not know, and keeps.
    pub new_kept: u64,
    /// Tags, and artifacts without one, about which another thing is decided.
    pub tags: Vec<TagChange>,
}

/// Whether a repository is in both plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// In both.
    Changed,
    /// In the newer alone.
    New,
    /// In the older alone.
    Gone,
}

/// What changed about a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It would be deleted or taken off now, and would not have been.
    NewlyDeleted,
    /// It stays now, and would have gone.
    NoLongerDeleted,
    /// It is not there any more.
    Gone,
    /// The same happens to it, for other reasons.
    OtherReasons,
}

/// One tag about which another thing is decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagChange {
    /// What changed.
    pub change: Change,
    /// The tag; `None` for an artifact that has none.
    pub tag: Option<Tag>,
    /// What was decided; `None` where the older plan did not know it.
    pub before: Option<Decided>,
    /// What is decided; `None` where it is gone.
    pub now: Option<Decided>,
}

/// What a plan decided about a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What it is on, where somebody asked.
    pub digest: Option<Digest>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// How much changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChangeTotals {
    /// Tags that would be deleted or taken off now, and would not have been.
    pub newly_deleted: u64,
    /// Tags that stay now, and would have gone.
    pub no_longer_deleted: u64,
    /// Tags that are not there any more.
    pub gone: u64,
    /// Tags to which the same happens for other reasons.
    pub other_reasons: u64,
    /// Tags that the older plan does not know, and that stay.
    pub new_kept: u64,
    /// Repositories in the newer plan alone.
    pub repositories_new: u64,
    /// Repositories in the older plan alone: gone, or out of scope.
    pub repositories_gone: u64,
    /// Repositories in both in which something changed.
    pub repositories_changed: u64,
}

/// Follows an older plan while a newer one is made.
#[derive(Debug)]
pub struct Comparison<R> {
    old: PlanReader<R>,
    next: Option<RepositoryPlan>,
    totals: ChangeTotals,
}

impl<R: BufRead> Comparison<R> {
    /// Compares with an older plan.
    ///
    /// # Errors
    ///
    /// Where that cannot be read.
    pub fn with(mut old: PlanReader<R>) -> Result<Self, PlanFileError> {
        let next = old.next_repository()?.map(|repository| repository.plan);
        Ok(Self {
            old,
            next,
            totals: ChangeTotals::default(),
        })
    }

    /// What changed up to a repository of the newer plan, itself included. Repositories come in the order of names.
    ///
    /// # Errors
    ///
    /// Where the older plan cannot be read further.
    pub fn add(&mut self, new: &RepositoryPlan) -> Result<Vec<RepositoryChange>, PlanFileError> {
        let mut changes = Vec::new();
        while let Some(old) = self.next.take_if(|old| old.name < new.name) {
            changes.extend(self.counted(between(Some(&old), None)));
            self.advance()?;
        }
        let old = self.next.take_if(|old| old.name == new.name);
        changes.extend(self.counted(between(old.as_ref(), Some(new))));
        if old.is_some() {
            self.advance()?;
        }
        Ok(changes)
    }

    /// The repositories that the newer plan does not have, and how much changed in all.
    ///
    /// # Errors
    ///
    /// Where the older plan cannot be read to its end.
    pub fn finish(mut self) -> Result<(Vec<RepositoryChange>, ChangeTotals, SavedFoot), PlanFileError> {
        let mut changes = Vec::new();
        while let Some(old) = self.next.take() {
            changes.extend(self.counted(between(Some(&old), None)));
            self.advance()?;
        }
        Ok((changes, self.totals, self.old.finish()?))
    }

    fn advance(&mut self) -> Result<(), PlanFileError> {
        self.next = self.old.next_repository()?.map(|repository| repository.plan);
        Ok(())
    }

    fn counted(&mut self, change: Option<RepositoryChange>) -> Option<RepositoryChange> {
        let change = change?;
        let totals = &mut self.totals;
        match change.change {
            Presence::Changed => totals.repositories_changed += 1,
            Presence::New => totals.repositories_new += 1,
            Presence::Gone => totals.repositories_gone += 1,
        }
        totals.new_kept += change.new_kept;
        for tag in &change.tags {
            *match tag.change {
                Change::NewlyDeleted => &mut totals.newly_deleted,
                Change::NoLongerDeleted => &mut totals.no_longer_deleted,
                Change::Gone => &mut totals.gone,
                Change::OtherReasons => &mut totals.other_reasons,
            } += 1;
        }
        Some(change)
    }
}

/// What changed in one repository; `None` where nothing did.
fn between(old: Option<&RepositoryPlan>, new: Option<&RepositoryPlan>) -> Option<RepositoryChange> {
    let mut change = RepositoryChange {
        name: new.or(old)?.name.clone(),
        change: match (old, new) {
            (Some(_), Some(_)) => Presence::Changed,
            (None, _) => Presence::New,
            (_, None) => Presence::Gone,
        },
        incomplete_before: old.and_then(|plan| plan.incomplete.clone()),
        incomplete: new.and_then(|plan| plan.incomplete.clone()),
        new_kept: 0,
        tags: Vec::new(),
    };
    // Of a repository that is not there, or could not be read, no tag can be said to be gone.
    if let Some(new) = new.filter(|new| new.complete) {
        let mut before = old.map(decided).unwrap_or_default();
        for (key, now) in decided(new) {
            let was = before.remove(&key);
            match differs(was.as_ref(), &now) {
                Some(what) => change.tags.push(TagChange {
                    change: what,
                    tag: key.tag(),
                    before: was,
                    now: Some(now),
                }),
                None => change.new_kept += u64::from(was.is_none()),
            }
        }
        for (key, was) in before {
            change.tags.push(TagChange {
                change: Change::Gone,
                tag: key.tag(),
                before: Some(was),
                now: None,
            });
        }
        change
            .tags
            .sort_by(|a, b| (a.change, &a.tag).cmp(&(b.change, &b.tag)));
    }
    let whole = |plan: Option<&RepositoryPlan>| plan.is_some_and(|plan| plan.complete);
    let same = change.change == Presence::Changed
        && change.tags.is_empty()
        && change.new_kept == 0
        && whole(old) == whole(new);
    (!same).then_some(change)
}

fn differs(was: Option<&Decided>, now: &Decided) -> Option<Change> {
    let goes = |decided: &Decided| decided.verdict != Verdict::Kept;
    match (was, goes(now)) {
        (None, true) => Some(Change::NewlyDeleted),
        (None, false) => None,
        (Some(was), true) if !goes(was) => Some(Change::NewlyDeleted),
        (Some(was), false) if goes(was) => Some(Change::NoLongerDeleted),
        (Some(was), _) => {
            let other = was.verdict != now.verdict || essence(&was.reasons) != essence(&now.reasons);
            other.then_some(Change::OtherReasons)
        }
    }
}

/// What reasons say, ranks, times and neighbours aside.
fn essence(reasons: &[Reason]) -> BTreeSet<(&'static str, String)> {
    let from = |reason: &Reason| match (reason, rule_of(reason)) {
        (Reason::Protected { policy, pattern, .. }, _) => format!("{policy}\0{pattern}"),
        (_, Some(rule)) => format!("{}\0{}", rule.policy, rule.rule),
        _ => String::new(),
    };
    // Among the newest, whether these had to be ranked or were few enough.
    let kind = |reason: &Reason| match kind(reason) {
        "fits" => "rank",
        kind => kind,
    };
    reasons
        .iter()
        .map(|reason| (kind(reason), from(reason)))
        .collect()
}

/// What is decided about: a tag, or an artifact that has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Tag(Tag),
    Untagged(Digest),
}

impl Key {
    fn tag(&self) -> Option<Tag> {
        match self {
            Self::Tag(tag) => Some(tag.clone()),
            Self::Untagged(_) => None,
        }
    }
}

fn decided(plan: &RepositoryPlan) -> BTreeMap<Key, Decided> {
    let mut all = BTreeMap::new();
    let mut add = |tag: &Tag, verdict, digest: Option<&Digest>, reasons: &[Reason]| {
        let decided = Decided {
            verdict,
            digest: digest.cloned(),
            reasons: reasons.to_vec(),
        };
        all.insert(Key::Tag(tag.clone()), decided);
    };
    for kept in &plan.kept {
        add(&kept.tag, Verdict::Kept, kept.digest.as_ref(), &kept.reasons);
    }
    let mut untagged = Vec::new();
    for action in &plan.actions {
        match action {
            Action::Untag { tag, digest, reasons } => add(tag, Verdict::Untagged, Some(digest), reasons),
            Action::Delete {
                digest,
                tags,
                children,
                attachments,
                reasons,
                ..
            } => {
                for tag in tags {
                    add(tag, Verdict::Deleted, Some(digest), reasons);
                }
                let subject = [Reason::DeletedWithSubject {
                    subject: digest.clone(),
                }];
                for dependent in children.iter().chain(attachments) {
                    for tag in &dependent.tags {
                        add(tag, Verdict::Deleted, Some(&dependent.digest), &subject);
                    }
                }
                if tags.is_empty() {
                    untagged.push((digest, reasons));
                }
            }
        }
    }
    for (digest, reasons) in untagged {
        let decided = Decided {
            verdict: Verdict::Deleted,
            digest: Some(digest.clone()),
            reasons: reasons.clone(),
        };
        all.insert(Key::Untagged(digest.clone()), decided);
    }
    all
}
