//! `lagan apply`: deletes what a plan says, with every deletion on record before it happens.
//!
//! What earlier runs left open is looked at first. Then the plan is made, held against the limits, shown, and asked
//! about; and what is carried out is that very plan.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use chrono::SubsecRound as _;
use lagan_config::{CollectAfter, CollectGarbage};
use lagan_engine::{
    ApplyError, ApplyRequest, Chronicle, Due, Going, Holds, PurgeRequest, Stop, Veto, World, all_waits,
    apply, due, purge, recover,
};
use lagan_model::journal::{Begin, Journal, Purpose, RunId};
use lagan_model::{
    Clock as _, Digest, Labels, RegistryKind, RegistryRead as _, RegistryWrite as _, RepositoryName,
};
use lagan_policy::{Limits, PolicySet, RepositoryPattern};
use lagan_registry::Connected;
use lagan_report::number::count;
use lagan_report::{OutcomeFoot, OutcomeHead, OutcomeOf, OutcomeWriter, RepositoryOutcome, outcome_writer};
use lagan_state::Who;

pub(crate) use self::approve::SavedPlan;
use self::approve::{Past, identities};
use self::by_daemon::{Meant, ask_daemon};
use super::plan::format;
use crate::admin::Client;
use crate::announced::Board;
use crate::auditing::Auditing;
use crate::bans::watch;
use crate::cli::{ApplyArgs, Colour};
use crate::collecting::{self, Ended, STARTED, Told};
use crate::exit::{Exit, Failure};
use crate::outcome::{self, lasting};
use crate::output::{Output, Spool, is_coloured};
use crate::progress::Progress;
use crate::rollout::{Changed, Rolling, Wanted};
use crate::running::{
    PROGRAM, Stopping, SystemClock, ask, can_ask, ended_early, is_partial, note, with_causes,
};
use crate::sources::{Source, globs};
use crate::{settings, state};

mod approve;
mod by_daemon;

/// How many repositories are deleted from at the same time: each holds what was read of it.
const REPOSITORIES: usize = 8;

/// The same, where a project's deletions wait for each other: one repository is read while the other is deleted from.
const REPOSITORIES_ONE_BY_ONE: usize = 2;

/// How many units of one repository are deleted at the same time. The client's own bound is what the registry feels.
const UNITS: usize = 32;

pub(crate) fn run(
    config: Option<&Path>,
    state_dir: Option<&Path>,
    colour: Colour,
    arguments: &ApplyArgs,
) -> Result<Exit, Failure> {
    if !arguments.yes && !can_ask() {
        return Err(
            Failure::usage("nobody is there to be asked whether to delete: nothing deleted")
                .with_hint("give --yes when `lagan plan` shows what is meant to go"),
        );
    }
    if arguments.source.now.is_some() {
        return Err(Failure::usage(
            "a plan as of another time is for looking at, and is not carried out: nothing deleted",
        )
        .with_hint("leave --now out"));
    }
    let mut configuration = None;
    let (source, plan) = match file(arguments)? {
        Some(path) => {
            let config = settings::find_config(config)?.map(|(_, config)| config);
            let opened = SavedPlan::open(path, config.as_ref(), arguments);
            let (source, saved) = opened.or_else(|failure| {
                let configured = config.as_ref().and_then(|config| config.state_dir.as_deref());
                let directory = state::directory(state_dir, configured)?;
                Err(Auditing::of(&directory, Who::user()).failed("apply", failure))
            })?;
            (source, Plan::Saved(Box::new(saved)))
        }
        None => {
            let only = globs(&arguments.repositories)?;
            let found = settings::find_config(config)?.map(|(_, config)| config);
            let mut source = Source::of(found.as_ref(), &arguments.source, &arguments.repositories)?;
            source.only_enforced()?;
            source.without_frozen(SystemClock.now());
            configuration = found.map(|config| config.text.encoded());
            (source, Plan::Fresh(only))
        }
    };
    let directory = state::directory(state_dir, source.state_dir.as_deref())?;
    let meant = Meant {
        registry: source.registry.url.as_str().to_owned(),
        policies: source.asked(),
        configuration,
    };
    super::block_on(async {
        let stopping = Stopping::BySignal;
        match run_source(source, plan, &directory, colour, arguments, stopping).await {
            Err(failure) if state::is_in_use(&failure) => match Client::of(&directory).await {
                Some(daemon) => ask_daemon(&daemon, arguments, &meant).await,
                None => Err(failure),
            },
            applied => applied,
        }
    })
}

/// The file of a saved plan, where one is named and not repositories.
fn file(arguments: &ApplyArgs) -> Result<Option<&Path>, Failure> {
    let is_file = |text: &String| text.ends_with(".json");
    match &arguments.repositories[..] {
        [path] if is_file(path) => Ok(Some(Path::new(path))),
        texts if texts.iter().any(is_file) => Err(Failure::usage(
            "a saved plan is carried out whole: give its file alone, and no repositories",
        )),
        _ => Ok(None),
    }
}

/// Where the plan comes from.
pub(crate) enum Plan {
    /// It is made now, of the repositories that one of these matches.
    Fresh(Vec<RepositoryPattern>),
    /// It was saved.
    Saved(Box<SavedPlan>),
}

pub(crate) async fn run_source(
    source: Source,
    plan: Plan,
    directory: &Path,
    colour: Colour,
    arguments: &ApplyArgs,
    stopping: Stopping,
) -> Result<Exit, Failure> {
    let audit = Auditing::of(directory, source.who.clone());
    let done = carry_out(source, plan, directory, colour, arguments, stopping, &audit).await;
    audit.ended("apply", done)
}

async fn carry_out(
    source: Source,
    plan: Plan,
    directory: &Path,
    colour: Colour,
    arguments: &ApplyArgs,
    stopping: Stopping,
    audit: &Auditing,
) -> Result<Exit, Failure> {
    let bans = source.bans(directory);
    bans.refuse(SystemClock.now())?;
    // Before anything is read: a report that cannot be written is not worth the registry's time.
    let mut views = vec![View {
        writer: outcome_writer(
            format(arguments.format),
            is_coloured(colour, arguments.out.as_deref()),
        ),
        body: Spool::new(),
        out: Output::open(arguments.out.as_deref())?,
    }];
    for (form, path) in &arguments.also {
        views.push(View {
            writer: outcome_writer(format(*form), false),
            body: Spool::new(),
            out: Output::file(path)?,
        });
    }
    // One that somebody else has costs the registry no login.
    let journal = Journal::new(state::created(directory).await?);
    let registry = Connected::connect_to_change(source.registry.clone(), source.kind).await?;
    let wish = collecting::wish(arguments, source.collect);
    if wish.is_some()
        && arguments.collect_garbage.is_some()
        && registry.identity().kind != RegistryKind::Harbor
    {
        let failure =
            Failure::usage("only a Harbor collects its garbage when it is told to: nothing deleted");
        return Err(
            failure.with_hint("leave --collect-garbage out, and collect it as the registry's manual says")
        );
    }
    let observing = source.observing.clone();
    if let Some(observing) = &observing {
        observing.writes(journal.store());
    }
    let began = SystemClock.now().trunc_subsecs(0);
    let stop = Stop::default();
    let world = World {
        registry: &registry,
        journal: &journal,
        clock: &SystemClock,
        stop: &stop,
    };
    let url = &registry.identity().url;
    let mut chronicle = Chronicle::read(&journal, url, SystemClock.now()).await?;
    let recovery = recover(world, &mut chronicle).await?;
    let holds = chronicle.holds(SystemClock.now());
    let due = due(world, &chronicle, Limits::default().max_deletions).await;
    let shown = (!arguments.yes).then(|| is_coloured(colour, None));
    let now = match plan {
        Plan::Fresh(_) => source.now,
        // It was made before, and is looked at now.
        Plan::Saved(_) => began,
    };
    let board = Board::read(Some(directory), registry.identity(), now);
    let mut rolling = Rolling::read(Some(directory), &source, registry.identity(), now);
    let in_doubt = recovery.left_out();
    let full_pass = source.pass.as_ref().map(|pass| pass.full);
    let past = Past {
        board: &board,
        rollouts: rolling.rollouts(),
        chronicle: &chronicle,
        in_doubt: &in_doubt,
        holds: &holds,
    };
    let told = Told::by(&registry).await;
    let undo = |wish| told.as_ref().map(|told| told.undo(began, wish));
    let shown = (shown, undo(wish));
    let approved = match plan {
        Plan::Fresh(only) => approve::fresh(&source, only, past, world, arguments, shown).await?,
        Plan::Saved(saved) => approve::saved(&source, *saved, past, world, arguments, shown).await?,
    };
    if let Some(observing) = &observing {
        observing.planned(&approved.totals, source.pass.as_ref());
    }
    approved.find_out_about_tags(&registry).await;

    let run = RunId::from_bits(ulid::Ulid::new().0);
    let begin = Begin {
        run,
        purpose: Purpose::Apply {
            plan: approved.plan.id().to_owned(),
        },
        registry: registry.identity().clone(),
        policies: identities(&source.policies),
        at: began,
        program: PROGRAM.to_owned(),
        collections: told.as_ref().map(|told| told.note(began)),
        pass: full_pass,
    };
    let mut report = Report {
        views,
        head: OutcomeHead {
            run: None,
            of: OutcomeOf::Apply {
                plan: approved.plan.id().to_owned(),
            },
            registry: begin.registry.clone(),
            policies: begin.policies.clone(),
            began,
        },
        foot: OutcomeFoot {
            guards: approved.plan.guards().to_vec(),
            incomplete: approved.totals.incomplete_repositories,
            pass: source.pass.as_ref().and_then(|pass| pass.note(&approved.totals)),
            copies_waiting: due.left,
            recovery: note(&recovery),
            ..OutcomeFoot::default()
        },
    };
    for repository in &approved.incomplete {
        report.repository(repository)?;
    }
    let problems = due.problems.iter().chain(&approved.problems).cloned();
    report.foot.recovery.problems.extend(problems);
    let begin_collect = begin.clone();
    let next_collection = begin.collections.as_ref().and_then(|told| told.next);
    let (mut whole, mut deleted, mut may_be_gone, mut copies) = (true, 0, false, 0);
    let (mut failure, mut failing) = (None, run);
    // A run in which all waits is none: the limits of later ones are held against what runs did.
    let applies = approved.spool.repositories() > approved.plan.going().waiting_repositories;
    let repositories = approved.spool.repositories();
    let mut plans = Some(approved.spool.read()?);
    if !applies {
        for plan in plans.take().into_iter().flatten() {
            let run = all_waits(&approved.plan, &plan?);
            if let Some(observing) = &observing {
                observing.repository(&run, false);
            }
            report.repository(&outcome::of_run(&run))?;
        }
    }
    let rolled = |changes: Vec<Changed>| -> Result<(), Failure> {
        changes.iter().for_each(Changed::log);
        if let Some(observing) = &observing {
            observing.rolled(&changes);
        }
        Ok(audit.rolled(applies.then_some(run), &changes)?)
    };
    let mut rolled_out = Ok(());
    let collects = wish.is_some_and(|wish| wish.after == CollectAfter::EveryRun);
    if applies || !due.plans.is_empty() || collects {
        // Nobody is asked about what could not be recorded.
        if applies || !due.plans.is_empty() {
            journal.store().room()?;
        }
        if !arguments.yes && !confirmed(approved.plan.going(), &due, wish)? {
            return Err(Failure::usage("declined: nothing deleted"));
        }
        // Planning takes its time, and so does whoever is asked.
        bans.refuse(SystemClock.now())?;
        let stop = stopping.begin()?;
        let world = World { stop: &stop, ..world };
        let vetoes = Vetoes {
            holds: &holds,
            policies: &source.policies,
        };
        let begin_purge = Begin {
            run: RunId::from_bits(ulid::Ulid::new().0),
            purpose: Purpose::Purge,
            policies: Vec::new(),
            ..begin.clone()
        };
        if applies {
            audit.begins(&begin, &arguments.override_limit)?;
        }
        rolled(rolling.begin(applies)?)?;
        report.head.run = match (applies, due.plans.is_empty()) {
            (true, _) => Some(run),
            (false, false) => Some(begin_purge.run),
            (false, true) => None,
        };
        let repositories_at_once = match registry.deletes().one_by_one {
            true => REPOSITORIES_ONE_BY_ONE,
            false => REPOSITORIES,
        };
        let wanted = Wanted::default();
        let deleting = async {
            if let Some(plans) = plans {
                let goes = |plan: &_, position| approved.plan.goes(plan, position);
                let plans = plans.map(|plan| {
                    let plan = audit.decided(run, plan, goes)?;
                    wanted.note(&plan);
                    Ok(plan)
                });
                let request = ApplyRequest {
                    begin,
                    approved: &approved.plan,
                    veto: &vetoes,
                    in_doubt: &in_doubt,
                    repositories_at_once,
                    units_at_once: UNITS,
                };
                let progress = Progress::new();
                progress.deleting(repositories);
                let applied = apply(world, &request, plans, |run| {
                    whole &= outcome::is_whole(run);
                    if let Some(observing) = &observing {
                        observing.repository(run, false);
                    }
                    deleted += outcome::gone(run);
                    may_be_gone |= outcome::may_be_gone(run);
                    copies += run.copies;
                    rolling.count(&source, run, &wanted);
                    progress.deleted(
                        run.actions
                            .iter()
                            .map(|action| action.manifests.len() as u64)
                            .sum(),
                    );
                    report.repository(&outcome::of_run(run))
                })
                .await;
                progress.finish();
                failure = applied.err();
            }
            // What is over stays a little longer where the run went wrong.
            if failure.is_none() && !stop.is_requested() {
                failing = begin_purge.run;
                if let Err(error) = purges(audit, &begin_purge, &due) {
                    failure = Some(ApplyError::Plan(error));
                    return Ok(());
                }
                report.foot.purge = (!due.plans.is_empty()).then_some(begin_purge.run);
                let request = PurgeRequest {
                    begin: begin_purge,
                    in_doubt: &in_doubt,
                    repositories_at_once,
                    units_at_once: UNITS,
                };
                let purged = purge(world, &request, &mut chronicle, &due, |run| {
                    whole &= outcome::is_whole(run);
                    if let Some(observing) = &observing {
                        observing.repository(run, true);
                    }
                    deleted += outcome::gone(run);
                    may_be_gone |= outcome::may_be_gone(run);
                    report.repository(&outcome::of_purge(run))
                });
                failure = purged.await.err();
            }
            Ok::<_, Failure>(())
        };
        // A pause, and a freeze that begins, hold for a run that goes on.
        tokio::select! {
            biased;
            never = watch(&bans, &SystemClock, &stop) => match never {},
            done = deleting => done?,
        }
        // What fails asks what is beside it to stop; nobody else did.
        report.foot.stopped = failure.is_none() && stop.is_requested();
        if applies {
            rolled_out = rolling.end().and_then(rolled);
        }
    } else {
        rolled(rolling.begin(false)?)?;
    }
    if let Some(observing) = &observing {
        observing.recorded(journal.store(), applies.then_some(run));
    }
    let mut partial = !whole
        || failure.is_some()
        || report.foot.stopped
        || report.foot.incomplete > 0
        || is_partial(&report.foot.recovery)
        || report.foot.guards.iter().any(|guard| guard.refuses);
    if let Some(wish) = wish {
        let ended = Ended {
            deleted: deleted > 0,
            whole: !partial,
            broken_off: failure.is_some() || report.foot.stopped,
        };
        match collecting::collect(world, audit, begin_collect, wish, ended).await {
            Ok(collection) => {
                partial |= collection.outcome != STARTED && !ended.needs_none(wish);
                report.foot.collection = Some(collection);
            }
            Err(error) => failure = Some(ApplyError::Journal(error)),
        }
    }
    report.foot.undo = may_be_gone.then(|| {
        let collection = report.foot.collection.as_ref();
        let undo = collecting::undo_after(told.as_ref(), collection, SystemClock.now(), approved.loses);
        match copies {
            0 => undo,
            _ => lasting::undo_after(journal.store(), run, next_collection, undo),
        }
    });
    report.foot.ended = SystemClock.now().trunc_subsecs(0);
    report.foot.requests = registry.requests();
    report.foot.failure = failure.as_ref().map(why);
    let reported = report.finish();
    board.note(&approved.planned, true)?;
    rolled_out?;
    match (failure, reported) {
        (Some(error), _) => Err(failed(error, failing)),
        // Whoever gets no report has to know what to undo.
        (None, Err(failure)) if may_be_gone => Err(failure.with_hint(on_record(run))),
        (None, Err(failure)) => Err(failure),
        (None, Ok(())) if partial => Ok(Exit::Partial),
        (None, Ok(())) => Ok(Exit::Done),
    }
}

/// Puts on record what is purged, if anything is.
fn purges(audit: &Auditing, begin: &Begin, due: &Due) -> io::Result<()> {
    if !due.plans.is_empty() {
        audit.begins(begin, &[]).map_err(io::Error::other)?;
        for plan in &due.plans {
            audit.decided(begin.run, Ok(plan.clone()), |_, _| true)?;
        }
    }
    Ok(())
}

/// Looks at what earlier runs left open on a registry, and nothing else.
pub(crate) async fn recover_source(source: Source, directory: &Path) -> Result<(), Failure> {
    let journal = Journal::new(state::created(directory).await?);
    let registry = Connected::connect_to_change(source.registry, source.kind).await?;
    let stop = Stop::default();
    let world = World {
        registry: &registry,
        journal: &journal,
        clock: &SystemClock,
        stop: &stop,
    };
    let url = &registry.identity().url;
    let mut chronicle = Chronicle::read(&journal, url, SystemClock.now()).await?;
    recover(world, &mut chronicle).await?;
    Ok(())
}

/// A report that waits for its head.
struct Report {
    views: Vec<View>,
    head: OutcomeHead,
    foot: OutcomeFoot,
}

/// One form of it.
struct View {
    writer: Box<dyn OutcomeWriter>,
    body: Spool,
    out: Output,
}

impl Report {
    fn repository(&mut self, repository: &RepositoryOutcome) -> io::Result<()> {
        self.views
            .iter_mut()
            .try_for_each(|View { writer, body, .. }| writer.repository(body, repository))
    }

    fn finish(self) -> Result<(), Failure> {
        for View {
            writer,
            body,
            mut out,
        } in self.views
        {
            writer.head(&mut out, &self.head, &self.foot)?;
            body.copy_to(&mut out)?;
            writer.foot(&mut out, &self.head, &self.foot)?;
            out.finish()?;
        }
        Ok(())
    }
}

/// What must stay, although the plan was approved: what was put back, and what has a label by now that protects it.
struct Vetoes<'a> {
    holds: &'a Holds,
    policies: &'a PolicySet,
}

impl Veto for Vetoes<'_> {
    fn why_kept(&self, repository: &RepositoryName, digest: &Digest, labels: &Labels) -> Option<String> {
        let protected = || {
            let now = SystemClock.now();
            let (policy, label) = self.policies.protecting_label(repository, labels, now)?;
            Some(format!("it is protected by {label} of policy {policy}"))
        };
        self.holds.why_kept(repository, digest, labels).or_else(protected)
    }

    fn kept_indexes(&self, repository: &RepositoryName) -> BTreeSet<Digest> {
        self.holds.kept_indexes(repository)
    }

    fn holds_any(&self, repository: &RepositoryName) -> bool {
        self.holds.holds_any(repository)
    }
}

fn confirmed(going: Going, due: &Due, wish: Option<CollectGarbage>) -> Result<bool, Failure> {
    let then = wish.map_or("", |wish| match wish.delete_untagged {
        false => ", and then have garbage collected, after which nothing that was deleted can be brought back",
        true => {
            ", and then have garbage collected with everything that has no tag, after which none of that can be brought \
             back"
        }
    });
    let purges = (due.manifests() > 0).then(|| {
        format!(
            "purge {} whose grace is over, which then can be undone only until the next garbage collection",
            count(due.manifests(), "held copy", "held copies")
        )
    });
    if going.repositories == 0 {
        return match (purges, then) {
            (None, "") => Ok(true),
            (purges, then) => {
                let purges = purges.unwrap_or_else(|| "go on".to_owned());
                Ok(ask(&format!("\nNothing to delete; {purges}{then}?"))?)
            }
        };
    }
    let mut what = vec![count(going.manifests, "manifest", "manifests")];
    if going.untags > 0 {
        what.push(count(going.untags, "single tag", "single tags"));
    }
    let repositories = count(going.repositories, "repository", "repositories");
    let also = purges.map_or_else(String::new, |purges| format!(", and {purges}"));
    Ok(ask(&format!(
        "\nDelete {} in {repositories}{also}{then}?",
        what.join(" and ")
    ))?)
}

fn why(error: &ApplyError<io::Error>) -> String {
    match error {
        ApplyError::Journal(error) => format!("failed to {}: nothing more was deleted", with_causes(error)),
        error => with_causes(error),
    }
}

/// A run that ended early: what it did is on record.
fn failed(error: ApplyError<io::Error>, run: RunId) -> Failure {
    match error {
        ApplyError::Journal(error) => ended_early(error, &on_record(run)),
        error => Failure::new(Exit::Unexpected, error).with_hint(on_record(run)),
    }
}

fn on_record(run: RunId) -> String {
    format!(
        "`lagan journal show {run}` tells what was done; running it again goes on, `lagan undo {run}` goes back"
    )
}

#[cfg(test)]
mod tests {
    use lagan_model::journal::JournalError;

    use super::*;

    #[test]
    fn a_run_without_room_says_so_and_what_helps_before_it_says_how_to_go_on() {
        let full = || JournalError::Store {
            doing: "sync /state/mirror.jsonl".to_owned(),
            source: io::Error::from(io::ErrorKind::StorageFull).into(),
        };
        let text = |error| failed(ApplyError::Journal(error), RunId::from_bits(1)).text();
        let room = text(JournalError::NoSpace { free: 1, needed: 2 });
        assert!(
            room.starts_with("error: failed to write the journal: 1 bytes are free"),
            "{room}"
        );
        assert!(
            room.contains(
                "hint: free some space on the disk that has the state directory; `lagan journal show"
            ),
            "{room}"
        );
        let disk = text(full());
        assert!(disk.contains("caused by: no storage space"), "{disk}");
        assert!(disk.contains("hint: free some space on the disk; "), "{disk}");
        assert_eq!(
            why(&ApplyError::Journal(full())),
            "failed to sync /state/mirror.jsonl: no storage space: nothing more was deleted"
        );
    }

    #[test]
    fn a_run_that_finds_too_little_room_on_its_way_is_partial_and_one_whose_journal_fails_has_failed() {
        let exit = |error| failed(ApplyError::Journal(error), RunId::from_bits(1)).exit;
        assert_eq!(exit(JournalError::NoSpace { free: 1, needed: 2 }), Exit::Partial);
        assert_eq!(exit(JournalError::Stopped), Exit::Unexpected);
    }
}
