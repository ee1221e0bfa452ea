//! From what the engine did to what reports show.

use std::collections::BTreeMap;

use lagan_engine::{ActionOutcome, Mended, RepositoryRun, RepositoryUndo, UndoOutcome};
use lagan_model::journal::{Role, Skip};
use lagan_report::{MendedEntry, OutcomeEntry, RepositoryOutcome};

pub(crate) mod lasting;

/// A repository of an apply.
pub(crate) fn of_run(run: &RepositoryRun) -> RepositoryOutcome {
    let entries = run.actions.iter().flat_map(|action| {
        action.manifests.iter().map(|manifest| {
            let (why, detail) = match &manifest.outcome {
                ActionOutcome::Deleted | ActionOutcome::Untagged => (None, None),
                ActionOutcome::Skipped { why, detail } => (Some(name(*why)), Some(detail.clone())),
                ActionOutcome::Failed { detail } | ActionOutcome::InDoubt { detail } => {
                    (None, Some(detail.clone()))
                }
            };
            OutcomeEntry {
                action: action.action,
                digest: manifest.digest.clone(),
                role: manifest.role,
                belongs_to: (manifest.role != Role::Artifact).then(|| action.digest.clone()),
                tags: manifest.tags.clone(),
                record: manifest.sequence,
                deleted_by: None,
                outcome: manifest.outcome.as_str(),
                why,
                detail,
                held: manifest.held.clone(),
                conflicts: BTreeMap::new(),
                lacks: Vec::new(),
            }
        })
    });
    RepositoryOutcome {
        name: run.name.clone(),
        entries: entries.collect(),
        mended: run.mended.iter().map(mended).collect(),
        problem: run.problem.clone(),
    }
}

/// A holding repository whose copies were purged.
pub(crate) fn of_purge(run: &RepositoryRun) -> RepositoryOutcome {
    let mut outcome = of_run(run);
    for entry in &mut outcome.entries {
        entry.action = "purge";
        if entry.outcome == ActionOutcome::Deleted.as_str() {
            entry.outcome = "purged";
        }
    }
    outcome
}

/// A repository of an undo.
pub(crate) fn of_undo(undo: &RepositoryUndo) -> RepositoryOutcome {
    let entries = undo.manifests.iter().map(|manifest| {
        let mut conflicts = BTreeMap::new();
        let detail = match &manifest.outcome {
            UndoOutcome::Restored | UndoOutcome::AlreadyThere => None,
            UndoOutcome::Conflict { tags } => {
                conflicts.extend(tags.iter().cloned());
                None
            }
            UndoOutcome::Unrecoverable { why } => Some(why.clone()),
            UndoOutcome::Failed { detail } => Some(detail.clone()),
            UndoOutcome::InDoubt => {
                Some("a deletion of it may still happen, so it would not last".to_owned())
            }
        };
        OutcomeEntry {
            action: "restore",
            digest: manifest.digest.clone(),
            role: manifest.role,
            belongs_to: manifest.belongs_to.clone(),
            tags: manifest.tags.clone(),
            record: Some(manifest.deletion),
            deleted_by: Some(manifest.deleted_by),
            outcome: manifest.outcome.as_str(),
            why: None,
            detail,
            held: None,
            conflicts,
            lacks: manifest.lacks.clone(),
        }
    });
    RepositoryOutcome {
        name: undo.name.clone(),
        entries: entries.collect(),
        mended: Vec::new(),
        problem: None,
    }
}

fn mended(mended: &Mended) -> MendedEntry {
    MendedEntry {
        digest: mended.digest.clone(),
        needed_by: mended.needed_by.clone(),
        failure: mended.failure.clone(),
    }
}

/// The name that records and reports use.
fn name(why: Skip) -> String {
    match serde_json::to_value(why) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Whether an apply did all that it was to do, but for what others changed meanwhile.
pub(crate) fn is_whole(run: &RepositoryRun) -> bool {
    let outcomes = run.actions.iter().flat_map(|action| &action.manifests);
    let as_planned = |outcome: &ActionOutcome| match outcome {
        ActionOutcome::Deleted | ActionOutcome::Untagged => true,
        ActionOutcome::Failed { .. } | ActionOutcome::InDoubt { .. } => false,
        ActionOutcome::Skipped { why, .. } => match why {
            Skip::Changed | Skip::Gone | Skip::Referenced | Skip::Held => true,
            // What came before it in its unit tells.
            Skip::Unit => true,
            // It goes with a later run, as it is meant to.
            Skip::Notice | Skip::Rollout => true,
            Skip::Interrupted
            | Skip::Stopped
            | Skip::KeepAtLeast
            | Skip::InDoubt
            | Skip::NotApproved
            | Skip::NotHeld
            | Skip::Incomplete => false,
        },
    };
    run.problem.is_none()
        && run.mended.iter().all(|mended| mended.failure.is_none())
        && outcomes.map(|manifest| &manifest.outcome).all(as_planned)
}

/// How many manifests and tags are gone.
pub(crate) fn gone(run: &RepositoryRun) -> u64 {
    let outcomes = run.actions.iter().flat_map(|action| &action.manifests);
    let gone = |outcome: &ActionOutcome| matches!(outcome, ActionOutcome::Deleted | ActionOutcome::Untagged);
    outcomes.filter(|manifest| gone(&manifest.outcome)).count() as u64
}

/// Whether anything is gone, or may go yet.
pub(crate) fn may_be_gone(run: &RepositoryRun) -> bool {
    let mut outcomes = run.actions.iter().flat_map(|action| &action.manifests);
    let in_doubt = |outcome: &ActionOutcome| matches!(outcome, ActionOutcome::InDoubt { .. });
    gone(run) > 0 || outcomes.any(|manifest| in_doubt(&manifest.outcome))
}

/// Whether an undo put everything back.
pub(crate) fn is_back(undo: &RepositoryUndo) -> bool {
    let outcomes = undo.manifests.iter().map(|manifest| &manifest.outcome);
    outcomes
        .into_iter()
        .all(|outcome| matches!(outcome, UndoOutcome::Restored | UndoOutcome::AlreadyThere))
}
