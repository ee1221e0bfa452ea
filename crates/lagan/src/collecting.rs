//! Garbage collection of a registry: until when a deletion can be undone, whether it still can, and starting a
//! collection after a run.
//!
//! Until a collection starts, everything that was deleted can be put back; from then on its blobs may be gone. Only a
//! Harbor tells of its collections, and starts one when it is told to.

use std::collections::BTreeSet;

use chrono::{SubsecRound as _, TimeDelta};
use lagan_config::{CollectAfter, CollectGarbage};
use lagan_engine::World;
use lagan_model::journal::{Begin, Collections, End, JournalError, Purpose, RunId};
use lagan_model::{Clock as _, Failure, RegistryError, Time};
use lagan_policy::Undo;
use lagan_registry::{Asked, CollectionRun, CollectionSchedule, Connected};
use lagan_report::sanitize::{clipped, harmless};
use lagan_report::wording::moment;
use lagan_report::{CollectedNote, CollectionNote};
use lagan_scheduler::{Schedule, Zone};
use lagan_state::RunSummary;

use crate::auditing::Auditing;
use crate::cli::{ApplyArgs, Collect};
use crate::running::SystemClock;
use crate::state;

/// How an end of [`Purpose::Collect`] says that nothing was started. Everything else may have been.
const NOT_STARTED: &str = "not_started";
const IN_DOUBT: &str = "in_doubt";
pub(crate) const STARTED: &str = "started";

/// How far the clocks of a registry and of this machine may be apart, where nothing but times can be compared.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// What is to be collected after an apply: what the command line says, or else the configuration.
pub(crate) fn wish(arguments: &ApplyArgs, configured: Option<CollectGarbage>) -> Option<CollectGarbage> {
    let after = match arguments.collect_garbage {
        None => return configured,
        Some(Collect::Never) => return None,
        Some(Collect::WholeRun) => CollectAfter::WholeRun,
        Some(Collect::EveryRun) => CollectAfter::EveryRun,
    };
    Some(CollectGarbage {
        after,
        delete_untagged: arguments.collect_untagged,
    })
}

/// What a registry told of its collections.
#[derive(Debug)]
pub(crate) struct Told {
    schedule: Asked<Option<CollectionSchedule>>,
    runs: Asked<Vec<CollectionRun>>,
}

impl Told {
    /// Asks a registry that has an answer: two requests.
    pub(crate) async fn by(registry: &Connected) -> Option<Self> {
        match registry {
            Connected::Oci(_) => None,
            Connected::Harbor(harbor) => Some(Self {
                schedule: harbor.collection_schedule().await,
                runs: harbor.latest_collections().await,
            }),
        }
    }

    /// Whether, and until when, what is deleted now can be brought back; `wish` is what is to follow.
    pub(crate) fn undo(&self, now: Time, wish: Option<CollectGarbage>) -> Undo {
        let (possible, until, why) = match (wish, self.at_work()) {
            (Some(_), _) => {
                let why = "garbage is to be collected when the run has ended, as was asked for";
                (false, None, why.to_owned())
            }
            (None, Some(run)) => {
                let why = format!(
                    "garbage is being collected now ({}), which may take what is deleted meanwhile",
                    named(run)
                );
                (false, None, why)
            }
            (None, None) => {
                let (until, mut why) = due(&self.schedule, now);
                if self.runs.is_err() {
                    why.push_str("; whether it is being collected now is not told");
                }
                (true, until, why)
            }
        };
        Undo {
            possible,
            until,
            why: Some(why),
            holding: None,
        }
    }

    /// The same for the journal.
    pub(crate) fn note(&self, now: Time) -> Collections {
        let undo = self.undo(now, None);
        Collections {
            next: undo.until,
            why: undo.why.unwrap_or_default(),
            over: self.runs.as_ref().ok().map(|runs| over(runs)),
        }
    }

    /// The collection that may take something at this moment.
    fn at_work(&self) -> Option<&CollectionRun> {
        let mut runs = self.runs.as_ref().ok()?.iter();
        runs.find(|run| run.is_open() && run.takes())
    }
}

/// Every collection that took something, up to this number, is over.
fn over(runs: &[CollectionRun]) -> i64 {
    let taking = || runs.iter().filter(|run| run.takes());
    let open = taking().filter(|run| run.is_open()).map(|run| run.id).min();
    let last = taking().map(|run| run.id).max();
    open.map_or(last.unwrap_or(0), |open| open - 1)
}

fn named(run: &CollectionRun) -> String {
    let since = run
        .started
        .map_or_else(String::new, |started| format!(", started {}", moment(started)));
    format!(
        "collection {}, {}{since}",
        run.id,
        clipped(&run.status, 40).to_lowercase()
    )
}

/// When garbage is collected next by the registry's own schedule, and what that depends on.
fn due(schedule: &Asked<Option<CollectionSchedule>>, now: Time) -> (Option<Time>, String) {
    let told = match schedule {
        Err(error) => {
            let why = match error.failure() {
                Failure::Denied => {
                    "the account may not ask (`garbage-collection:read` of the system)".to_owned()
                }
                _ => format!("could not be asked ({})", clipped(&error.to_string(), 160)),
            };
            return (
                None,
                format!("until the next garbage collection; when that is, {why}"),
            );
        }
        Ok(told) => told.as_ref().filter(|schedule| schedule.dry_run != Some(true)),
    };
    let Some(schedule) = told else {
        let why = "until somebody starts a garbage collection: none is scheduled";
        return (None, why.to_owned());
    };
    let cron = clipped(&schedule.cron, 60);
    let when = format!("{}, `{cron}`", clipped(&schedule.kind, 20).to_lowercase());
    let next = schedule.next.filter(|next| *next > now);
    match next.or_else(|| by_cron(&schedule.cron, now)) {
        Some(next) => (
            Some(next),
            format!(
                "until the next garbage collection ({when}); one that somebody starts before ends it sooner"
            ),
        ),
        None => (
            None,
            format!("until the next garbage collection ({when}), whose time cannot be told"),
        ),
    }
}

/// Harbor reads its expressions in UTC. One that has not six fields is none of its own.
fn by_cron(cron: &str, now: Time) -> Option<Time> {
    if cron.split_ascii_whitespace().count() != 6 {
        return None;
    }
    let schedule = Schedule {
        cron: cron.parse().ok()?,
        zone: Zone::UTC,
        jitter: TimeDelta::zero(),
    };
    schedule.after(now)
}

/// How a run ended, as far as that says whether a collection may follow it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// Something was deleted.
    pub deleted: bool,
    /// All that was to be done was done, and nothing is in doubt.
    pub whole: bool,
    /// It was told to stop, or it failed.
    pub broken_off: bool,
}

impl Ended {
    /// Whether there was nothing to collect for.
    pub(crate) fn needs_none(self, wish: CollectGarbage) -> bool {
        wish.after == CollectAfter::WholeRun && self.whole && !self.deleted
    }
}

/// Whether, and until when, what a run deleted can be brought back, now that it is over. `loses`: some of it could not
/// be brought back from the beginning, whatever is collected.
pub(crate) fn undo_after(
    told: Option<&Told>,
    collection: Option<&CollectionNote>,
    now: Time,
    loses: bool,
) -> Undo {
    let over = |why: &str| Undo {
        possible: false,
        until: None,
        why: Some(why.to_owned()),
        holding: None,
    };
    let mut undo = match (collection.map(|note| note.outcome), told) {
        (Some(STARTED), _) => over("garbage is being collected since the run ended, as was asked for"),
        (Some(IN_DOUBT), _) => over("garbage may be being collected since the run ended"),
        (_, Some(told)) => told.undo(now, None),
        (_, None) => Undo::until_collection(),
    };
    if let (true, Some(why)) = (undo.possible && loses, &mut undo.why) {
        why.push_str("; but not of what the plan said cannot be");
    }
    undo
}

/// Has the registry collect its garbage after a run, unless something speaks against it. `begin` is the head of that
/// run, from which the collection gets its own: it is in the journal before it is asked for.
///
/// # Errors
///
/// When the journal fails.
pub(crate) async fn collect(
    world: World<'_, Connected, state::Shared, SystemClock>,
    audit: &Auditing,
    begin: Begin,
    wish: CollectGarbage,
    ended: Ended,
) -> Result<CollectionNote, JournalError> {
    let nothing = |why: String| CollectionNote {
        outcome: NOT_STARTED,
        run: None,
        id: None,
        status: None,
        delete_untagged: wish.delete_untagged,
        why: Some(why),
    };
    let Connected::Harbor(harbor) = world.registry else {
        return Ok(nothing(
            "this registry cannot be told to collect its garbage".to_owned(),
        ));
    };
    if ended.broken_off {
        return Ok(nothing("the run was broken off".to_owned()));
    }
    if wish.after == CollectAfter::WholeRun && !ended.whole {
        let why = "the run did not do all that it was to do, or left something in doubt; `--collect-garbage=every-run` \
                   does not mind";
        return Ok(nothing(why.to_owned()));
    }
    if wish.after == CollectAfter::WholeRun && !ended.deleted {
        let why = "the run deleted nothing; `--collect-garbage=every-run` does not mind";
        return Ok(nothing(why.to_owned()));
    }
    let before = match harbor.latest_collections().await {
        Ok(runs) => runs,
        Err(error) => {
            let why = format!("whether one is at work already is not told: {}", said(&error));
            return Ok(nothing(why));
        }
    };
    // A dry run among them: what is started while it goes on would wait for it, and begin at some other time.
    if let Some(run) = before.iter().find(|run| run.is_open()) {
        return Ok(nothing(format!(
            "one is at work or waits already: {}",
            named(run)
        )));
    }
    let run = RunId::from_bits(ulid::Ulid::new().0);
    let begin = Begin {
        run,
        purpose: Purpose::Collect,
        policies: Vec::new(),
        at: world.clock.now().trunc_subsecs(0),
        ..begin
    };
    // What nobody could read up on later is not begun.
    if let Err(error) = audit.collects(&begin, wish.delete_untagged) {
        return Ok(nothing(format!("failed to {error}")));
    }
    world.journal.begin(begin).await?;
    let started = harbor.start_collection(wish.delete_untagged).await;
    let note = CollectionNote {
        run: Some(run),
        ..match started {
            Ok(id) => {
                let now = harbor.latest_collections().await.unwrap_or_default();
                let status = now
                    .into_iter()
                    .find(|run| Some(run.id) == id)
                    .map(|run| run.status);
                CollectionNote {
                    outcome: STARTED,
                    id,
                    status,
                    why: None,
                    ..nothing(String::new())
                }
            }
            Err(error) if was_not_started(&error) => nothing(said(&error)),
            Err(error) => CollectionNote {
                outcome: IN_DOUBT,
                ..nothing(said(&error))
            },
        }
    };
    let end = End {
        at: world.clock.now(),
        results: [(note.outcome.to_owned(), 1)].into(),
        stopped: false,
    };
    world.journal.end(run, end).await?;
    Ok(note)
}

fn said(error: &RegistryError) -> String {
    let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
    harmless(&format!("{error}{hint}")).into_owned()
}

/// After these a change was not made.
fn was_not_started(error: &RegistryError) -> bool {
    use Failure::{Denied, Overloaded, Refused, Unauthorized, Unsupported};
    matches!(
        error.failure(),
        Denied | Overloaded | Refused | Unauthorized | Unsupported
    )
}

/// Whether garbage was collected since one of these runs began: by what the journal knows, and by what the registry
/// told, where it was asked.
pub(crate) fn since(
    journal: &[RunSummary],
    of: &BTreeSet<RunId>,
    told: Option<&Told>,
    now: Time,
) -> CollectedNote {
    let of_run = |run: &RunSummary| of.contains(&run.run);
    let begins = journal.iter().filter(|run| of_run(run));
    let deleting = begins.filter_map(|run| run.begin.as_ref().filter(|begin| begin.deletes()));
    let mut note = CollectedNote {
        since: Some(false),
        ..CollectedNote::default()
    };
    for begin in deleting {
        if let Some(why) = on_record(begin, journal).or_else(|| seen(begin, told)) {
            return CollectedNote {
                since: Some(true),
                why: Some(why),
                warns: true,
            };
        }
        let Some(why) = why_unknown(begin, told) else {
            continue;
        };
        note.since = None;
        match was_due(begin, now) {
            Some(due) => (note.why, note.warns) = (Some(due), true),
            None => _ = note.why.get_or_insert(why),
        }
    }
    note
}

/// What the journal has of collections after a run: those that it had started, and those that later runs saw.
fn on_record(begin: &Begin, journal: &[RunSummary]) -> Option<String> {
    let here = || {
        journal
            .iter()
            .filter_map(|run| Some((run, run.begin.as_ref()?)))
            .filter(|(_, other)| other.registry.url == begin.registry.url)
    };
    let refused = |run: &RunSummary| {
        let end = run.end.as_ref();
        end.is_some_and(|end| end.results.contains_key(NOT_STARTED))
    };
    let started = |(run, other): &(&RunSummary, &Begin)| {
        other.purpose == Purpose::Collect && other.at >= begin.at && !refused(run)
    };
    if let Some((run, other)) = here().find(started) {
        return Some(format!("{} had it collected at {}", run.run, moment(other.at)));
    }
    let over = |begin: &Begin| begin.collections.as_ref()?.over;
    let before = over(begin)?;
    here().find_map(|(run, other)| {
        let after = over(other).filter(|after| *after > before)?;
        let at = moment(other.at);
        Some(format!(
            "collection {after} was over when {} began, at {at}",
            run.run
        ))
    })
}

/// A collection that the registry tells of. Numbers are compared where the run knows them: clocks differ.
fn seen(begin: &Begin, told: Option<&Told>) -> Option<String> {
    let runs = told?.runs.as_ref().ok()?;
    let over = begin.collections.as_ref().and_then(|told| told.over);
    let may_have_taken = |run: &&CollectionRun| {
        run.takes()
            && match over {
                Some(over) => run.id > over,
                None => run.is_open() || run.started.is_none_or(|started| started + SKEW >= begin.at),
            }
    };
    runs.iter().find(may_have_taken).map(named)
}

/// A collection that was due by the registry's schedule, where nothing tells whether it came.
fn was_due(begin: &Begin, now: Time) -> Option<String> {
    let due = begin.collections.as_ref()?.next.filter(|next| *next <= now)?;
    Some(format!("by its schedule it was due at {}", moment(due)))
}

fn why_unknown(begin: &Begin, told: Option<&Told>) -> Option<String> {
    match told.map(|told| &told.runs) {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(said(error)),
        None if begin.collections.is_some() => Some("the registry was not asked".to_owned()),
        None => Some("this registry does not tell when it collects its garbage".to_owned()),
    }
}

#[cfg(test)]
mod tests;
