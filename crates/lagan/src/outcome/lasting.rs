//! Until when what a run deleted can be undone, by what the journal has of each deletion.
//!
//! What is held for a grace outlives a collection of garbage, and what is not held does not. A report and the history say
//! the same of a run, and what they say of the whole is no more than what holds of each manifest.

use std::collections::BTreeSet;

use lagan_engine::COPIES;
use lagan_model::journal::{DeleteIntent, DeleteResult, Outcome, Record, RunId};
use lagan_model::{RepositoryName, Time};
use lagan_policy::Undo;
use lagan_report::number::{count, grouped};
use lagan_report::wording::moment;
use lagan_state::{DiskJournal, RunRecord, RunSummary, StateError};

/// How many holding repositories are told apart.
const NAMED: usize = 2;

/// What a run deleted, held or not.
#[derive(Debug, Default)]
struct Lasting {
    /// Manifests that are held, those among them of which the journal is copy enough.
    held: u64,
    /// Those that are not.
    others: u64,
    /// When the first of those that are held may be purged.
    earliest: Option<Time>,
    /// In which repositories.
    repositories: BTreeSet<RepositoryName>,
}

impl Lasting {
    /// What the journal has of a run, before which the registry told of a collection at this time. It reads all of the
    /// run's records.
    fn of(journal: &DiskJournal, run: RunId, collection: Option<Time>) -> Result<Self, StateError> {
        let mut lasting = Self::default();
        for record in journal.records(run)? {
            let RunRecord { record, settled, .. } = record?;
            // What has no outcome may be gone.
            let stayed = matches!(
                settled,
                Some(Record::Outcome(Outcome {
                    result: DeleteResult::Skipped { .. } | DeleteResult::Failed { .. },
                    ..
                }))
            );
            if let Record::Delete(intent) = record
                && !stayed
            {
                lasting.add(intent, collection);
            }
        }
        Ok(lasting)
    }

    fn add(&mut self, intent: DeleteIntent, collection: Option<Time>) {
        let until = match intent.held {
            Some(held) => {
                if self.repositories.len() < NAMED {
                    self.repositories.insert(held.repository);
                }
                Some(held.until)
            }
            // An index has no blobs to hold, and is as safe as what it lists.
            None if intent.blobs.is_empty() => intent.undo_until.filter(|until| Some(*until) != collection),
            None => None,
        };
        match until {
            Some(until) => {
                self.held += 1;
                self.earliest = Some(self.earliest.map_or(until, |earliest| earliest.min(until)));
            }
            None => self.others += 1,
        }
    }

    /// What holds of the whole run, where `undo` does of what is not held.
    fn with(&self, undo: Undo) -> Undo {
        let Some(earliest) = self.earliest else {
            return undo;
        };
        let mut repositories = self.repositories.iter();
        let held = match (repositories.next(), repositories.next()) {
            (Some(one), None) => format!("held in {one}"),
            _ => "held".to_owned(),
        };
        if self.others == 0 {
            return Undo {
                possible: true,
                until: Some(earliest),
                why: Some(format!(
                    "it is {held}, and then until the registry's next garbage collection"
                )),
                holding: None,
            };
        }
        let some = format!(
            "{} of {} are {held}, and can be undone until {} whatever is collected",
            grouped(self.held),
            count(self.held + self.others, "manifest", "manifests"),
            moment(earliest)
        );
        Undo {
            until: undo.until.map(|until| until.min(earliest)),
            why: Some(match undo.why {
                Some(why) => format!("{why}; {some}"),
                None => some,
            }),
            ..undo
        }
    }
}

/// The same of a run that has just ended and made copies, where `undo` holds of what is not held.
pub(crate) fn undo_after(journal: &DiskJournal, run: RunId, collection: Option<Time>, undo: Undo) -> Undo {
    match Lasting::of(journal, run, collection) {
        Ok(lasting) => lasting.with(undo),
        // A journal that failed may not be read either. What was held can be undone for longer than is said then.
        Err(_) => undo,
    }
}

/// Until when what a run of the journal deleted can be undone, as it was when the run began; `None` of one that deleted
/// nothing.
pub(crate) fn undo_on_record(
    journal: &DiskJournal,
    summary: &RunSummary,
) -> Result<Option<Undo>, StateError> {
    let Some(begin) = summary.begin.as_ref().filter(|begin| begin.deletes()) else {
        return Ok(None);
    };
    if !may_have_deleted(summary) {
        return Ok(None);
    }
    let end = summary.end.as_ref();
    let holds = end.is_none_or(|end| end.results.contains_key(COPIES));
    let told = begin.collections.as_ref().map(|told| Undo {
        possible: true,
        until: told.next,
        why: Some(told.why.clone()),
        holding: None,
    });
    let undo = told.unwrap_or_else(Undo::until_collection);
    let collection = undo.until;
    Ok(Some(match holds {
        true => Lasting::of(journal, summary.run, collection)?.with(undo),
        false => undo,
    }))
}

/// Whether a run that deletes has deleted something, or may have.
pub(crate) fn may_have_deleted(run: &RunSummary) -> bool {
    match &run.end {
        Some(end) => ["deleted", "untagged", "in_doubt"]
            .iter()
            .any(|result| end.results.contains_key(*result)),
        // It was interrupted, behind its head.
        None => run.records > 1,
    }
}

#[cfg(test)]
mod tests {
    use lagan_model::journal::{Held, Role};
    use lagan_model::{Blob, Digest, MediaType};

    use super::*;

    fn at(minute: u32) -> Time {
        format!("2026-11-21T12:{minute:02}:00Z").parse().unwrap()
    }

    /// A deletion of an image, or of an index where `blobs` is 0, that is held until a minute of an hour.
    fn deletion(blobs: u64, held: Option<u32>) -> DeleteIntent {
        let blob = |number: u64| Blob {
            digest: Digest::of(&number.to_be_bytes()),
            size: 1,
        };
        DeleteIntent {
            unit: 0,
            role: Role::Artifact,
            repository: "team/app".parse().unwrap(),
            digest: Digest::of(b"it"),
            media_type: MediaType::OCI_MANIFEST,
            size: 7,
            tags: Vec::new(),
            parents: Vec::new(),
            children: Vec::new(),
            subject: None,
            attachments: Vec::new(),
            blobs: (0..blobs).map(blob).collect(),
            pushed: None,
            pulled: None,
            labels: Vec::new(),
            reasons: serde_json::Value::Null,
            undo_until: held.map(at),
            held: held.filter(|_| blobs > 0).map(|until| Held {
                repository: "hold/team/app".parse().unwrap(),
                until: at(until),
            }),
            at: at(0),
        }
    }

    fn with(deletions: Vec<DeleteIntent>, undo: Undo) -> (bool, Option<Time>, String) {
        let mut lasting = Lasting::default();
        for intent in deletions {
            lasting.add(intent, Some(at(59)));
        }
        let undo = lasting.with(undo);
        (undo.possible, undo.until, undo.why.unwrap_or_default())
    }

    #[test]
    fn what_is_held_as_a_whole_can_be_undone_whatever_is_collected() {
        let all = || {
            vec![
                deletion(2, Some(20)),
                deletion(0, Some(10)),
                deletion(1, Some(15)),
            ]
        };
        let collected = Undo {
            possible: false,
            ..Undo::until_collection()
        };
        for undo in [Undo::until_collection(), collected] {
            let (possible, until, why) = with(all(), undo);
            assert_eq!((possible, until), (true, Some(at(10))));
            assert_eq!(
                why,
                "it is held in hold/team/app, and then until the registry's next garbage collection"
            );
        }
    }

    #[test]
    fn what_is_held_in_part_lasts_as_long_as_the_rest_and_says_what_is_held() {
        // An index of which the registry told until when, as of everything else, is not held.
        let told = DeleteIntent {
            undo_until: Some(at(59)),
            ..deletion(0, None)
        };
        let some = || vec![deletion(1, Some(20)), deletion(1, None), told.clone()];
        let says = "1 of 3 manifests are held in hold/team/app, and can be undone until 2026-11-21T12:20:00Z \
                    whatever is collected";
        let (possible, until, why) = with(some(), Undo::until_collection());
        assert_eq!((possible, until), (true, None));
        assert!(
            why.starts_with("until the registry's next") && why.ends_with(says),
            "{why}"
        );
        let scheduled = Undo {
            until: Some(at(5)),
            ..Undo::until_collection()
        };
        assert_eq!(with(some(), scheduled).1, Some(at(5)));
        let collected = Undo {
            possible: false,
            ..Undo::until_collection()
        };
        let (possible, until, why) = with(some(), collected);
        assert_eq!((possible, until), (false, None));
        assert!(why.ends_with(says), "{why}");
        let none = Undo::until_collection();
        assert_eq!(with(vec![told], none.clone()).2, none.why.unwrap());
    }
}
