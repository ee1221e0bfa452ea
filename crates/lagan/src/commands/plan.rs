//! `lagan plan`: the dry run.

use std::path::{Path, PathBuf};

use chrono::SubsecRound as _;
use lagan_engine::{Outcome, PlanRequest, Scope, plan};
use lagan_model::{RegistryKind, RegistryRead};
use lagan_policy::{Clock, Depth, GuardReport, PolicySet, RepositoryPattern, Totals};
use lagan_registry::Connected;
use lagan_report::sanitize::harmless;
use lagan_report::{ClockNote, PlanFoot, PlanFormat, PlanHead, PlanOptions, PolicyNote};

use crate::against::Against;
use crate::announced::Board;
use crate::body::Body;
use crate::cli::{Colour, CompareWith, Format, Grouping, PlanArgs};
use crate::collecting::Told;
use crate::comparing::Comparing;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Spool, is_coloured};
use crate::pass::Pass;
use crate::progress::Progress;
use crate::rollout::Rolling;
use crate::saved::Saving;
use crate::sources::{Source, globs};
use crate::state::{self, Past};

/// How many repositories are read at the same time. Each holds its tags in memory; the client's own bound, not
/// this one, is what the registry feels.
pub(super) const REPOSITORIES_AT_ONCE: usize = 16;

pub(crate) fn run(
    config: Option<&Path>,
    state: Option<&Path>,
    colour: Colour,
    arguments: &PlanArgs,
) -> Result<Exit, Failure> {
    let only = globs(&arguments.repositories)?;
    let source = Source::read(config, &arguments.source, &arguments.repositories)?;
    let configured = source.state_dir.clone();
    let past = Past::of(state, configured.as_deref())?;
    let announcing = Announcing {
        state: state::directory(state, configured.as_deref()).ok(),
        keep: false,
    };
    let planned = run_source(source, past.as_ref(), &announcing, only, colour, arguments);
    super::block_on(planned)
}

/// What becomes of the announcements of earlier plans.
#[derive(Default)]
pub(crate) struct Announcing {
    /// The state directory that they are in.
    pub(crate) state: Option<PathBuf>,
    /// Whether this plan announces what is new in it. Whoever only looks announces nothing.
    pub(crate) keep: bool,
}

pub(crate) async fn run_source(
    mut source: Source,
    past: Option<&Past>,
    announcing: &Announcing,
    only: Vec<RepositoryPattern>,
    colour: Colour,
    arguments: &PlanArgs,
) -> Result<Exit, Failure> {
    let options = PlanOptions {
        all: arguments.all,
        colour: is_coloured(colour, arguments.out.as_deref()),
    };
    let mut writer = format(arguments.format).writer(options);
    let by = arguments.group_by;
    let is_compared = arguments.compare.is_some() || arguments.compare_with.is_some();
    if by != Grouping::Repository && is_compared {
        return Err(Failure::usage("a comparison and --group-by do not go together"));
    }
    let mut body = Body::new(by, arguments.all, &source.policies.versions, writer.as_mut())?;
    // Before anything is read: a report that cannot be written is not worth the registry's time.
    let mut out = Output::open(arguments.out.as_deref())?;
    let mut views = Vec::new();
    for (form, path) in &arguments.also {
        let options = PlanOptions {
            colour: false,
            ..options
        };
        views.push((format(*form).writer(options), Spool::new(), Output::file(path)?));
    }
    let compare = arguments.compare.as_deref();
    let mut comparing = compare
        .map(|old| Comparing::open(old, arguments.format, options.colour))
        .transpose()?;
    let mut against = arguments
        .compare_with
        .map(|CompareWith::Harbor| Against::open(arguments.format, options.colour, source.now))
        .transpose()?;
    let save = arguments.save.as_deref();
    let mut saving = save.map(|path| Saving::open(path, &source)).transpose()?;
    let registry = Connected::connect(source.registry.clone(), source.kind).await?;
    if let Some(against) = &mut against {
        against.learn(&registry, &source, &only).await?;
    }
    let memory = past.map(Past::memory);
    let ledger = memory.map(|memory| memory.ledger(registry.identity()));
    let holds = match past {
        Some(past) => Some(past.holds(&registry.identity().url, source.now).await),
        None => None,
    };
    let board = Board::read(announcing.state.as_deref(), registry.identity(), source.now);
    let rolling = Rolling::read(
        announcing.state.as_deref(),
        &source,
        registry.identity(),
        source.now,
    );
    let mut announced = Vec::new();
    let scope = Scope {
        only,
        listed: source.listed.take(),
        changed: source.pass.as_ref().and_then(Pass::only),
    };
    let undo = match source.replayed {
        // Until when a deletion of another day could be undone, nobody tells.
        true => None,
        false => Told::by(&registry)
            .await
            .map(|told| told.undo(source.now, source.collect)),
    };
    let request = PlanRequest {
        policies: &source.policies,
        asked: &|policy| source.asks(policy),
        scope: &scope,
        now: source.now,
        depth: if arguments.bytes {
            Depth::Bytes
        } else if arguments.exact || saving.is_some() {
            Depth::Exact
        } else {
            Depth::Enough
        },
        probe: source.probe,
        undo,
        facts: saving.is_some() || against.is_some(),
        memory: super::remembered(memory, ledger.as_ref(), holds.as_ref(), !source.replayed),
        evidence: board.evidence(),
        rollouts: rolling.rollouts(),
        repositories_at_once: REPOSITORIES_AT_ONCE,
    };
    for unserved in source
        .policies
        .unserved(registry.identity().kind, ledger.is_some())
    {
        tracing::warn!("{}", harmless(&unserved.to_string()));
    }
    let progress = Progress::new();
    let outcome = plan(&registry, &progress, &request, |plan, seen| {
        if announcing.keep {
            announced.extend(source.announces(plan));
        }
        if let Some(saving) = &mut saving {
            saving.repository(plan, seen)?;
        }
        for (writer, body, _) in &mut views {
            writer.repository(body, plan)?;
        }
        match (&mut comparing, &mut against) {
            (Some(comparing), _) => comparing.repository(plan),
            (_, Some(against)) => against.repository(plan, seen),
            (None, None) => body.repository(writer.as_mut(), plan),
        }
    })
    .await;
    progress.finish();
    super::tell_of(memory);
    if let Some(failure) = comparing.as_mut().and_then(Comparing::failure) {
        return Err(failure);
    }
    let outcome = outcome?;
    if let Some(observing) = &source.observing {
        observing.planned(&outcome.totals, source.pass.as_ref());
    }

    let id = ulid::Ulid::new().to_string();
    let (head, foot) = ends(
        &source,
        &registry,
        ledger.is_some(),
        &id,
        &outcome.guards,
        &outcome.totals,
    );
    let exit = exit_code(&outcome, arguments.detailed_exitcode);
    if let Some(saving) = saving {
        saving.finish(&head, &foot)?;
    }
    for (writer, body, mut out) in views {
        writer.head(&mut out, &head, &foot)?;
        body.copy_to(&mut out)?;
        writer.foot(&mut out, &head, &foot)?;
        out.finish()?;
    }
    match (comparing, against) {
        (Some(comparing), _) => comparing.finish(&mut out, &head, &foot)?,
        (_, Some(against)) => against.finish(&mut out, &head)?,
        (None, None) => {
            writer.head(&mut out, &head, &foot)?;
            body.copy_to(writer.as_ref(), &mut out)?;
            writer.foot(&mut out, &head, &foot)?;
        }
    }
    out.finish()?;
    board.note(&announced, true)?;
    Ok(exit)
}

/// What stands in front of a plan's repositories, and behind them.
pub(super) fn ends(
    source: &Source,
    registry: &impl RegistryRead,
    has_ledger: bool,
    id: &str,
    guards: &[GuardReport],
    totals: &Totals,
) -> (PlanHead, PlanFoot) {
    let head = PlanHead {
        id: id.to_owned(),
        created: chrono::Utc::now().trunc_subsecs(0),
        now: source.now,
        registry: registry.identity().clone(),
        policies: policy_notes(&source.policies),
        clocks: clock_notes(&source.policies, registry.identity().kind, has_ledger),
        guards: guards.to_vec(),
        capabilities: registry.capabilities(),
        probed: source.probe,
        pass: source.pass.as_ref().and_then(|pass| pass.note(totals)),
    };
    let foot = PlanFoot {
        totals: totals.clone(),
        requests: registry.requests(),
    };
    (head, foot)
}

pub(super) fn format(format: Format) -> PlanFormat {
    match format {
        Format::Text => PlanFormat::Text,
        Format::Json => PlanFormat::Json,
        Format::Ndjson => PlanFormat::Ndjson,
        Format::Markdown => PlanFormat::Markdown,
        Format::Csv => PlanFormat::Csv,
        Format::Html => PlanFormat::Html,
    }
}

/// 3 before 4 before 5 before 0, where several hold.
fn exit_code(outcome: &Outcome, detailed: bool) -> Exit {
    let refusing = || outcome.guards.iter().filter(|guard| guard.refuses);
    if refusing().any(|guard| guard.repository.is_none()) {
        Exit::Refused
    } else if outcome.totals.incomplete_repositories > 0 || refusing().next().is_some() {
        Exit::Partial
    } else if detailed && (outcome.totals.delete_artifacts > 0 || outcome.totals.untag > 0) {
        Exit::Changes
    } else {
        Exit::Done
    }
}

fn policy_notes(policies: &PolicySet) -> Vec<PolicyNote> {
    let note = |policy: &lagan_policy::Policy| PolicyNote {
        name: policy.name.clone(),
        sha256: policy.sha256(&policies.versions),
        mode: policy.mode,
    };
    policies.policies.iter().map(note).collect()
}

/// The clocks that rules read. What a clock does not know is kept, which nobody should have to find out by
/// waiting for deletions.
pub(super) fn clock_notes(policies: &PolicySet, kind: RegistryKind, has_ledger: bool) -> Vec<ClockNote> {
    policies
        .clocks()
        .into_iter()
        .map(|clock| {
            let why = clock
                .unrecorded(kind)
                .filter(|_| !(has_ledger && clock == Clock::Observed));
            ClockNote {
                clock,
                known: why.is_none(),
                why: why.map(str::to_owned),
            }
        })
        .collect()
}
