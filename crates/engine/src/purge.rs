//! Purging: what a holding repository held long enough is deleted, by the protocol of every other deletion.
//!
//! Only copies that this journal has on record are purged, and only when every grace of theirs is over. A manifest with
//! any other tag on it stays.

use std::collections::BTreeMap;

use lagan_model::journal::{Begin, JournalStore};
use lagan_model::{Clock, Digest, Failure, MediaType, RegistryWrite, RepositoryName, Tag, Time};
use lagan_policy::{Action, Announcements, Evidence, Limits, RepositoryPlan, Undo};

use crate::apply::{ApplyError, ApplyRequest, apply};
use crate::approve::Approval;
use crate::chronicle::Chronicle;
use crate::recover::LeftOut;
use crate::run::{RepositoryRun, RunTotals};
use crate::safeguard::{Safeguard, on};
use crate::world::World;

/// Copies whose grace is over.
#[derive(Debug, Default)]
pub struct Due {
    /// What is to be purged, by holding repository.
    pub plans: Vec<RepositoryPlan>,
    /// How many more are over, and stay until the next time because of the limit.
    pub left: u64,
    /// How many are held on.
    pub held: u64,
    /// What could not be looked at.
    pub problems: Vec<String>,
}

impl Due {
    /// How many manifests are to be purged.
    #[must_use]
    pub fn manifests(&self) -> u64 {
        self.plans.iter().map(|plan| plan.actions.len() as u64).sum()
    }
}

/// A manifest in a holding repository.
struct Found {
    tags: Vec<Tag>,
    media_type: MediaType,
    until: Time,
}

/// Finds the copies whose grace is over and that are there; of them `most` at most, the longest over first. They are
/// counted for themselves, and none of the other limits is about them. What the registry does not answer is among the
/// problems.
pub async fn due<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    chronicle: &Chronicle,
    most: Option<u64>,
) -> Due {
    let now = world.clock.now();
    let mut due = Due::default();
    let mut over: Vec<(Time, RepositoryName, Digest, Found)> = Vec::new();
    for (repository, of_repository) in chronicle.copies() {
        if !of_repository
            .values()
            .any(|copy| copy.until <= now || !on(Safeguard::PurgeWhenDue))
        {
            due.held += of_repository.len() as u64;
            continue;
        }
        let listed = match world.registry.list_tags(&repository).await {
            Ok(listed) => listed,
            Err(error) if error.failure() == Failure::NotFound => continue,
            Err(error) => {
                due.problems.push(error.to_string());
                continue;
            }
        };
        // A copy that is on record and not listed counts as well: it may be made late, or its tag may have been moved.
        let mut ends: BTreeMap<&Digest, Time> = BTreeMap::new();
        for copy in of_repository.values() {
            let end = ends.entry(&copy.digest).or_insert(copy.until);
            *end = copy.until.max(*end);
        }
        let mut found: BTreeMap<Digest, Found> = BTreeMap::new();
        for tag in listed {
            let Some(copy) = of_repository.get(&tag) else {
                continue;
            };
            let manifest = found.entry(copy.digest.clone()).or_insert_with(|| Found {
                tags: Vec::new(),
                media_type: copy.media_type.clone(),
                until: ends.get(&copy.digest).copied().unwrap_or(copy.until),
            });
            manifest.tags.push(tag);
        }
        for (digest, mut manifest) in found {
            if manifest.until <= now || !on(Safeguard::PurgeWhenDue) {
                manifest.tags.sort_unstable();
                over.push((manifest.until, repository.clone(), digest, manifest));
            } else {
                due.held += 1;
            }
        }
    }
    over.sort_by(|a, b| (a.0, &a.1, &a.2).cmp(&(b.0, &b.1, &b.2)));
    let room = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    due.left = over.len().saturating_sub(room) as u64;
    over.truncate(room);
    let mut actions: BTreeMap<RepositoryName, Vec<Action>> = BTreeMap::new();
    for (_, repository, digest, manifest) in over {
        actions.entry(repository).or_default().push(Action::Delete {
            digest,
            tags: manifest.tags,
            media_type: Some(manifest.media_type),
            size: None,
            children: Vec::new(),
            attachments: Vec::new(),
            undo: Undo::until_collection(),
            reasons: Vec::new(),
        });
    }
    due.plans = actions
        .into_iter()
        .map(|(repository, actions)| RepositoryPlan {
            actions,
            ..RepositoryPlan::untagged(repository, Vec::new())
        })
        .collect();
    due
}

/// How copies are purged.
#[derive(Debug)]
pub struct PurgeRequest<'a> {
    /// The head of the run.
    pub begin: Begin,
    /// What earlier deletions may still take.
    pub in_doubt: &'a LeftOut,
    /// How many repositories are worked on at the same time; at least 1.
    pub repositories_at_once: usize,
    /// How many manifests of one repository are deleted at the same time; at least 1.
    pub units_at_once: usize,
}

/// Purges what was found to be due, as far as it still is: a copy may have been made anew by a run that the chronicle
/// does not know yet. What became of each repository is handed to `sink`.
///
/// # Errors
///
/// As those of [`apply`](crate::apply()).
pub async fn purge<R: RegistryWrite, S: JournalStore, C: Clock, E>(
    world: World<'_, R, S, C>,
    request: &PurgeRequest<'_>,
    chronicle: &mut Chronicle,
    due: &Due,
    sink: impl FnMut(&RepositoryRun) -> Result<(), E>,
) -> Result<RunTotals, ApplyError<E>> {
    let limits = Limits {
        max_deletions: None,
        max_percent_per_repository: None,
        keep_at_least: 0,
        max_change_from_last_run: None,
    };
    if due.plans.is_empty() {
        return Ok(RunTotals::default());
    }
    let read = chronicle.read_new(world.journal, world.clock.now()).await;
    read.map_err(ApplyError::Journal)?;
    let now = self::due(world, chronicle, None).await;
    let mut plans = due.plans.clone();
    for plan in &mut plans {
        let still = now.plans.iter().find(|other| other.name == plan.name);
        let actions = still.map(|still| &still.actions);
        plan.actions
            .retain(|action| actions.is_some_and(|actions| actions.contains(action)));
    }
    plans.retain(|plan| !plan.actions.is_empty());
    if plans.is_empty() {
        return Ok(RunTotals::default());
    }
    // A purge comes after the grace that announced it.
    let announcements = Announcements::default();
    let evidence = Evidence {
        announcements: &announcements,
        now: world.clock.now(),
    };
    let mut approval = Approval::new(&limits, evidence);
    for plan in &plans {
        approval.add_under(plan, &limits, Vec::new());
    }
    // Without limits nothing is refused; and what is not approved is left alone.
    let Ok(approved) = approval.finish(String::new()) else {
        return Ok(RunTotals::default());
    };
    let request = ApplyRequest {
        begin: request.begin.clone(),
        approved: &approved,
        veto: &(),
        in_doubt: request.in_doubt,
        repositories_at_once: request.repositories_at_once,
        units_at_once: request.units_at_once,
    };
    apply(world, &request, plans.into_iter().map(Ok), sink).await
}
