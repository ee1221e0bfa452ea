//! `lagan undo`: puts back what was deleted, byte for byte, or says why not.

mod by_daemon;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::SubsecRound as _;
use lagan_config::Config;
use lagan_engine::{
    Chronicle, DEFAULT_HOLD, Recovery, RepositoryUndo, Stop, UndoRequest, UndoTarget, World, recover,
    recover_and_wait, undo, unsettled,
};
use lagan_model::journal::{Begin, Journal, JournalError, Purpose, RunId};
use lagan_model::{
    Clock as _, Reference, RegistryIdentity, RegistryKind, RegistryRead as _, RepositoryName, Time,
};
use lagan_policy::PolicyName;
use lagan_registry::{Connected, RegistryUrl, Settings};
use lagan_report::number::count;
use lagan_report::sanitize::harmless;
use lagan_report::{CollectedNote, OutcomeFoot, OutcomeHead, OutcomeOf, outcome_writer};
use lagan_state::{DiskJournal, RunSummary, Who};

use self::by_daemon::ask_daemon;
use super::plan::format;
use crate::admin::Client;
use crate::auditing::Auditing;
use crate::cli::{Colour, ConnectArgs, UndoArgs};
use crate::collecting::{self, Told};
use crate::exit::{Exit, Failure};
use crate::metrics::Observing;
use crate::outcome::lasting::may_have_deleted;
use crate::output::{Output, Spool, is_coloured};
use crate::progress::Progress;
use crate::running::{
    PROGRAM, Stopping, SystemClock, ask, can_ask, ended_early, is_partial, note, tell, with_causes,
};
use crate::{outcome, rollout, settings, sources, state};

/// How many repositories are restored at the same time.
const REPOSITORIES: usize = 8;

pub(crate) fn run(
    config: Option<&Path>,
    state_dir: Option<&Path>,
    colour: Colour,
    arguments: &UndoArgs,
) -> Result<Exit, Failure> {
    let config = settings::find_config(config)?.map(|(_, config)| config);
    let configured = config.as_ref().and_then(|config| config.state_dir.as_deref());
    let directory = state::directory(state_dir, configured)?;
    let stopping = Stopping::BySignal;
    super::block_on(async {
        let undone = run_target(
            config.as_ref(),
            &directory,
            colour,
            arguments,
            stopping,
            Who::user(),
            None,
        )
        .await;
        match undone {
            Err(failure) if state::is_in_use(&failure) => match Client::of(&directory).await {
                Some(daemon) => {
                    let connect = &arguments.connect;
                    let named = connect.registry.is_some();
                    let named = named
                        .then(|| sources::registry(config.as_ref(), connect))
                        .transpose()?;
                    let url = named.map(|(settings, _)| settings.url.as_str().to_owned());
                    ask_daemon(&daemon, arguments, url).await
                }
                None => Err(failure),
            },
            undone => undone,
        }
    })
}

/// On behalf of somebody, and counted where there is somebody who counts.
pub(crate) async fn run_target(
    config: Option<&Config>,
    directory: &Path,
    colour: Colour,
    arguments: &UndoArgs,
    stopping: Stopping,
    who: Who,
    observing: Option<Arc<Observing>>,
) -> Result<Exit, Failure> {
    let audit = Auditing::of(directory, who);
    let done = carry_out(config, directory, colour, arguments, stopping, &audit, observing).await;
    audit.ended("undo", done)
}

async fn carry_out(
    config: Option<&Config>,
    directory: &Path,
    colour: Colour,
    arguments: &UndoArgs,
    stopping: Stopping,
    audit: &Auditing,
    observing: Option<Arc<Observing>>,
) -> Result<Exit, Failure> {
    let out = Output::open(arguments.out.as_deref())?;
    let mut outs = vec![(
        format(arguments.format),
        is_coloured(colour, arguments.out.as_deref()),
        out,
    )];
    for (form, path) in &arguments.also {
        outs.push((format(*form), false, Output::file(path)?));
    }
    let journal = Journal::new(state::opened(directory).await?);
    let (target, of) = target(journal.store(), arguments)?;
    let (mut settings, kind) = registry(config, journal.store(), &target, &arguments.connect)?;
    settings.observer = observing.clone().map(|observing| observing as _);
    let registry = Connected::connect_to_change(settings, kind).await?;
    let began = SystemClock.now().trunc_subsecs(0);
    let stop = Stop::default();
    let world = World {
        registry: &registry,
        journal: &journal,
        clock: &SystemClock,
        stop: &stop,
    };
    // Whoever looks, or is asked, changes nothing.
    let asks = !arguments.dry_run && !arguments.yes && can_ask();
    let mut recovery = match arguments.dry_run || asks {
        true => unsettled(world).await?,
        false => recovered(world, arguments.wait).await?,
    };
    let in_doubt = recovery.left_out();
    let in_doubt_then;
    let told = Told::by(&registry).await;
    let run = RunId::from_bits(ulid::Ulid::new().0);
    let mut request = UndoRequest {
        begin: Begin {
            run,
            purpose: Purpose::Undo { of: of.clone() },
            registry: registry.identity().clone(),
            policies: Vec::new(),
            at: began,
            program: PROGRAM.to_owned(),
            collections: told.as_ref().map(|told| told.note(began)),
            pass: None,
        },
        target,
        overwrite_moved_tags: arguments.overwrite_moved_tags,
        hold: DEFAULT_HOLD,
        dry_run: true,
        in_doubt: &in_doubt,
        repositories_at_once: REPOSITORIES,
    };
    if asks {
        let (looked, read) = watched(world, &request).await;
        read?;
        let collected = collected(&journal, &looked, told.as_ref(), began)?;
        if !looked.is_empty() && !confirmed(&looked, &collected)? {
            return Err(Failure::usage("declined: nothing was put back"));
        }
        recovery = recovered(world, arguments.wait).await?;
        in_doubt_then = recovery.left_out();
        request.in_doubt = &in_doubt_then;
    }
    request.dry_run = arguments.dry_run;
    // Whoever is asked can still leave at once.
    let stop = stopping.begin()?;
    if !arguments.dry_run {
        audit.undoes(&request.begin, arguments.overwrite_moved_tags)?;
    }
    let (undone, ended) = watched(World { stop: &stop, ..world }, &request).await;
    let failure = match ended {
        // Nothing was begun.
        Err(error) if undone.is_empty() => return Err(error.into()),
        ended => ended.err(),
    };
    if undone.is_empty() {
        nothing(&request.target, &of)?;
    }
    if let Some(observing) = observing.filter(|_| !arguments.dry_run) {
        observing.undone(&undone);
    }

    let head = OutcomeHead {
        run: (!arguments.dry_run && !undone.is_empty()).then_some(run),
        of: OutcomeOf::Undo {
            of,
            dry_run: arguments.dry_run,
        },
        registry: registry.identity().clone(),
        policies: Vec::new(),
        began,
    };
    let foot = OutcomeFoot {
        // A journal that failed may not be read either, and then nobody knows.
        collected: match collected(&journal, &undone, told.as_ref(), began) {
            Err(_) if failure.is_some() => CollectedNote::default(),
            collected => collected?,
        },
        failure: failure.as_ref().map(why),
        ended: SystemClock.now().trunc_subsecs(0),
        // What fails asks what is beside it to stop; nobody else did.
        stopped: failure.is_none() && stop.is_requested(),
        recovery: note(&recovery),
        requests: registry.requests(),
        ..OutcomeFoot::default()
    };
    let write = |outs: Vec<(_, _, Output)>| {
        for (form, coloured, mut out) in outs {
            let mut writer = outcome_writer(form, coloured);
            let mut body = Spool::new();
            for repository in &undone {
                writer.repository(&mut body, &outcome::of_undo(repository))?;
            }
            writer.head(&mut out, &head, &foot)?;
            body.copy_to(&mut out)?;
            writer.foot(&mut out, &head, &foot)?;
            out.finish()?;
        }
        Ok::<(), io::Error>(())
    };
    let reported = write(outs);
    let anew = match arguments.dry_run {
        true => Ok(()),
        false => begin_stages_anew(directory, &journal, registry.identity(), run, &undone, audit),
    };
    if let Some(error) = failure {
        if let Err(anew) = anew {
            tell(&format!(
                "failed to have stages of rollouts begin anew: {}",
                anew.told().0
            ));
        }
        return Err(match arguments.dry_run {
            true => error.into(),
            false => failed(error, run),
        });
    }
    anew?;
    reported.map_err(|error| match head.run {
        Some(run) => Failure::from(error).with_hint(format!(
            "what was put back is there: `lagan journal show {run}` tells it"
        )),
        None => error.into(),
    })?;
    let back = undone.iter().all(outcome::is_back);
    Ok(if back && !foot.stopped && !is_partial(&foot.recovery) {
        Exit::Done
    } else {
        Exit::Partial
    })
}

/// Shows how it gets on.
async fn watched(
    world: World<'_, Connected, state::Shared, SystemClock>,
    request: &UndoRequest<'_>,
) -> (Vec<RepositoryUndo>, Result<(), JournalError>) {
    let progress = Progress::new();
    let done = undo(world, request, &progress.undoing()).await;
    progress.finish();
    done
}

/// How an undo failed as a whole.
fn why(error: &JournalError) -> String {
    format!("failed to {}: nothing more was put back", with_causes(error))
}

/// An undo that ended early: what it put back is there.
fn failed(error: JournalError, run: RunId) -> Failure {
    let hint = format!(
        "what was put back is there, and held; the same `lagan undo` again goes on with the rest, and \
         `lagan journal show {run}` tells what is on record"
    );
    ended_early(error, &hint)
}

/// What was put back should have stayed, as somebody found: the policies of the runs that deleted it have not shown in
/// their present stage that they may go on to a larger one.
fn begin_stages_anew(
    directory: &Path,
    journal: &Journal<state::Shared>,
    registry: &RegistryIdentity,
    run: RunId,
    undone: &[RepositoryUndo],
    audit: &Auditing,
) -> Result<(), Failure> {
    let manifests = undone.iter().flat_map(|repository| &repository.manifests);
    // What was there already may have been put back by an undo that was interrupted, and went no further.
    let put_back = manifests.filter(|manifest| manifest.outcome.is_there());
    let runs: BTreeSet<RunId> = put_back.map(|manifest| manifest.deleted_by).collect();
    let mut policies = BTreeSet::new();
    for run in runs {
        let begin = journal.store().summary(run)?.begin;
        let of_run = begin.into_iter().flat_map(|begin| begin.policies);
        policies.extend(of_run.map(|policy| PolicyName::from(policy.name.as_str())));
    }
    let anew = rollout::undone(directory, &registry.url, &policies)?;
    for policy in &anew {
        tell(&format!(
            "the present stage of the rollout of {} begins anew: what it had deleted was put back",
            harmless(&policy.0)
        ));
    }
    Ok(audit.undone(run, registry, &anew)?)
}

/// What is to be undone, so that it means the same whenever its turn comes: what stands for the last run is that run, and
/// the registry is named. Where another process has the journal, the registry is not known yet.
pub(crate) fn settled(
    config: &Config,
    directory: &Path,
    mut arguments: UndoArgs,
) -> Result<UndoArgs, Failure> {
    let is_last = arguments.target.as_deref() == Some(LAST);
    let journal = match state::open(directory) {
        Err(failure) if state::is_in_use(&failure) && !is_last => return Ok(arguments),
        opened => opened?,
    };
    if is_last {
        arguments.target = Some(last(&journal)?.to_string());
    }
    let (target, _) = target(&journal, &arguments)?;
    let (settings, _) = registry(Some(config), &journal, &target, &arguments.connect)?;
    let url = || settings.url.as_str().to_owned();
    arguments.connect.registry.get_or_insert_with(url);
    Ok(arguments)
}

/// Looks at what earlier runs left open; with `wait`, until nothing of it can happen any more.
async fn recovered(
    world: World<'_, Connected, state::Shared, SystemClock>,
    wait: bool,
) -> Result<Recovery, Failure> {
    if wait {
        let waiting = |until: Time| {
            tell(&format!(
                "waiting until {} for deletions that may still happen",
                until.format("%Y-%m-%d %H:%M:%S UTC")
            ));
        };
        return Ok(recover_and_wait(world, waiting).await?);
    }
    let url = &world.registry.identity().url;
    let mut chronicle = Chronicle::read(world.journal, url, world.clock.now()).await?;
    Ok(recover(world, &mut chronicle).await?)
}

/// What is to be undone, and how that is called.
fn target(journal: &DiskJournal, arguments: &UndoArgs) -> Result<(UndoTarget, String), Failure> {
    if let Some(since) = arguments.since {
        return Ok((
            UndoTarget::Since(since),
            format!("everything since {}", since.to_rfc3339()),
        ));
    }
    if let Some(repository) = &arguments.repository {
        return Ok((UndoTarget::Repository(repository.clone()), repository.to_string()));
    }
    let text = arguments.target.as_deref().unwrap_or_default();
    let of_run = |run: RunId| (UndoTarget::Run(run), run.to_string());
    if text == LAST {
        return Ok(of_run(last(journal)?));
    }
    // Names of repositories have no capitals, names of runs nothing else.
    if let Ok(run) = text.parse::<RunId>()
        && !text.bytes().any(|byte| byte.is_ascii_lowercase())
    {
        journal.summary(run)?;
        return Ok(of_run(run));
    }
    let wrong = |what: &str, error: String| {
        Failure::usage(format!("{text:?} is no {what}: {error}")).with_hint(
            "give a run (`lagan journal list`), `last`, REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST",
        )
    };
    let (repository, reference) = match text.split_once('@').or_else(|| text.split_once(':')) {
        Some((repository, reference)) => (repository, Some(reference)),
        None => (text, None),
    };
    let repository: RepositoryName = repository
        .parse()
        .map_err(|error| wrong("run and no repository", format!("{error}")))?;
    match reference {
        None => Ok((UndoTarget::Repository(repository), text.to_owned())),
        Some(reference) => {
            let reference: Reference = reference
                .parse()
                .map_err(|error| wrong("artifact", format!("{error}")))?;
            Ok((UndoTarget::Artifact(repository, reference), text.to_owned()))
        }
    }
}

/// What stands for the last run that deleted something.
const LAST: &str = "last";

/// The last run that deleted something.
fn last(journal: &DiskJournal) -> Result<RunId, Failure> {
    let runs = journal.list()?;
    let last = runs.iter().rfind(|run| deletes(run));
    last.map(|run| run.run)
        .ok_or_else(|| Failure::usage("the journal has no run that deleted anything"))
}

/// Whether a run is an apply that deleted something, or may have.
fn deletes(run: &RunSummary) -> bool {
    let purpose = run.begin.as_ref().map(|begin| &begin.purpose);
    matches!(purpose, Some(Purpose::Apply { .. })) && may_have_deleted(run)
}

/// The registry that it is about: that of the run, or the one that is given, or the only one there is; and what it
/// speaks, where that is known.
fn registry(
    config: Option<&Config>,
    journal: &DiskJournal,
    target: &UndoTarget,
    arguments: &ConnectArgs,
) -> Result<(Settings, Option<RegistryKind>), Failure> {
    let of_run = match target {
        UndoTarget::Run(run) => journal.summary(*run)?.begin.map(|begin| begin.registry),
        _ => None,
    };
    // By what it was deleted.
    let kind_of_run = of_run.as_ref().map(|registry| registry.kind);
    let of_run = of_run.map(|registry| registry.url);
    let configured = config.is_some_and(|config| config.registries.len() == 1);
    let mut arguments = arguments.clone();
    if arguments.registry.is_none() {
        arguments.registry = match &of_run {
            Some(url) => Some(url.clone()),
            None if configured => None,
            None => Some(only_registry(journal)?),
        };
    }
    let (settings, configured) = sources::registry(config, &arguments)?;
    let kind = kind_of_run.or_else(|| configured.and_then(|registry| registry.kind));
    if let Some(url) = of_run
        && url.parse::<RegistryUrl>()?.as_str() != settings.url.as_str()
    {
        return Err(Failure::usage(format!(
            "that run was on {url}, and not on {}: nothing was put back",
            settings.url.as_str()
        ))
        .with_hint("leave --registry out: the journal knows the registry of a run"));
    }
    Ok((settings, kind))
}

fn only_registry(journal: &DiskJournal) -> Result<String, Failure> {
    let runs = journal.list()?.into_iter();
    let mut urls: Vec<_> = runs
        .filter_map(|summary| Some(summary.begin?.registry.url))
        .collect();
    urls.sort_unstable();
    urls.dedup();
    match &urls[..] {
        [url] => Ok(url.clone()),
        [] => Err(Failure::usage(
            "the journal has no runs: nothing was ever deleted",
        )),
        several => Err(Failure::usage("the journal is of several registries")
            .with_hint(format!("give --registry with one of {}", several.join(", ")))),
    }
}

/// Nothing on record is what was asked for. Of a run that deleted nothing, that is all there is to say.
fn nothing(target: &UndoTarget, of: &str) -> Result<(), Failure> {
    match target {
        UndoTarget::Run(_) | UndoTarget::Since(_) => Ok(()),
        UndoTarget::Repository(_) | UndoTarget::Artifact(..) => Err(Failure::usage(format!(
            "the journal has no deletion of {of} on this registry: nothing was put back"
        ))
        .with_hint("`lagan journal list` and `lagan journal show RUN` tell what was deleted")),
    }
}

/// Whether garbage was collected since these were deleted.
fn collected(
    journal: &Journal<state::Shared>,
    undone: &[RepositoryUndo],
    told: Option<&Told>,
    now: Time,
) -> Result<CollectedNote, Failure> {
    let manifests = undone.iter().flat_map(|repository| &repository.manifests);
    let runs: BTreeSet<RunId> = manifests.map(|manifest| manifest.deleted_by).collect();
    if runs.is_empty() {
        return Ok(CollectedNote::default());
    }
    Ok(collecting::since(&journal.store().list()?, &runs, told, now))
}

fn confirmed(looked: &[RepositoryUndo], collected: &CollectedNote) -> Result<bool, Failure> {
    let of = |name: &str| {
        let manifests = looked.iter().flat_map(|repository| &repository.manifests);
        manifests
            .filter(|manifest| manifest.outcome.as_str() == name)
            .count() as u64
    };
    let mut what = vec![format!(
        "{} would be put back",
        count(of("restored"), "manifest", "manifests")
    )];
    for (name, words) in [
        ("already_there", "there already"),
        ("conflict", "with tags that are on something else by now"),
        ("unrecoverable", "that cannot be put back"),
        ("failed", "that could not be looked at"),
        ("in_doubt", "whose deletion may still happen"),
    ] {
        if of(name) > 0 {
            what.push(format!("{} {words}", of(name)));
        }
    }
    if let Some(warning) = collected.warning() {
        tell(&warning);
    }
    let repositories = count(looked.len() as u64, "repository", "repositories");
    Ok(ask(&format!("{} in {repositories}. Go on?", what.join(", ")))?)
}
