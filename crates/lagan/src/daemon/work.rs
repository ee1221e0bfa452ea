//! One run of a policy: `lagan plan` where it is in dry-run, `lagan apply` where it is enforced.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use chrono::SubsecRound as _;
use lagan_config::{Config, RegistrySettings};
use lagan_model::{Clock as _, Time};
use lagan_policy::{Mode, RepositoryPattern};
use lagan_registry::RegistryUrl;
use lagan_state::Who;

use super::address::Host;
use super::history::{BY_SCHEDULE, Kind};
use super::order::{Asked, Order, obeys};
use super::passes::Begun;
use crate::auditing::Auditing;
use crate::cli::{ApplyArgs, Colour, ConnectArgs, Format, Grouping, PlanArgs, SourceArgs, UndoArgs};
use crate::commands::plan::{self, Announcing};
use crate::commands::{apply, undo};
use crate::exit::{Exit, Failure};
use crate::metrics::{Metrics, Observing};
use crate::pass::Pass;
use crate::running::{Stopping, SystemClock, Told};
use crate::sources::{Source, globs};
use crate::state::{self, Past};

/// What is to be run.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) policy: String,
    pub(super) registry: String,
    pub(super) mode: Mode,
    pub(super) began: Time,
    /// Who counts what it does.
    pub(super) observing: Arc<Observing>,
    /// What it looks at, where the registry tells what changes in it.
    pub(super) pass: Option<Begun>,
    /// What was asked for; `None`: it is due.
    pub(super) order: Option<Order>,
}

/// What came of it.
pub(super) enum Done {
    /// It went to its end; what forbade deletions in it, if something did.
    Exit(Exit, Option<String>),
    /// It did not.
    Failed(Failure),
    /// It did not begin: somebody else has the state directory.
    InUse(Failure),
    /// Whoever asked for it went away before it changed anything.
    GivenUp(Failure),
    /// Whoever asked for it went away, and it stopped before it was done.
    Stopped,
    /// The daemon stops, and it changed nothing yet.
    TurnedAway(Failure),
}

impl Job {
    /// What was asked for, which begins now.
    pub(super) fn of(order: Order, began: Time, metrics: &Arc<Metrics>) -> Self {
        Self {
            id: order.id.clone(),
            policy: order.name(),
            registry: order.registry.clone(),
            mode: order.mode(),
            began,
            observing: Observing::new(metrics, &order.registry, order.policy()),
            pass: None,
            order: Some(order),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match (&self.order, self.mode) {
            (Some(order), _) => order.kind(),
            (None, Mode::DryRun) => Kind::Plan,
            (None, Mode::Enforce) => Kind::Apply,
        }
    }

    /// The policy that it is counted for; none where it is about several, or about none.
    pub(super) fn counted_for(&self) -> &str {
        self.order.as_ref().map_or(&self.policy, Order::policy)
    }

    /// Who asked for it.
    pub(super) fn by(&self) -> &str {
        self.order.as_ref().map_or(BY_SCHEDULE, |order| &order.by)
    }

    /// Carries it out. Everything that it needs of the configuration is taken before this returns.
    pub(super) fn work(
        &self,
        config: &Arc<Config>,
        state: PathBuf,
        report: PathBuf,
        told: Arc<Told>,
    ) -> Pin<Box<dyn Future<Output = Done>>> {
        match &self.order {
            None => Box::pin(self.due(config, state, report, told)),
            Some(order) => {
                let observing = Arc::clone(&self.observing);
                let (order, config) = (order.clone(), Arc::clone(config));
                Box::pin(ordered(order, observing, config, state, report, told))
            }
        }
    }

    fn due(
        &self,
        config: &Config,
        state: PathBuf,
        report: PathBuf,
        told: Arc<Told>,
    ) -> impl Future<Output = Done> + use<> {
        let source = source(config, &self.registry, std::slice::from_ref(&self.policy)).map(|mut source| {
            source.now = self.began.trunc_subsecs(0);
            source.observed(&self.observing);
            source.who = Who::Schedule {
                policy: self.policy.clone(),
            };
            source.pass = self.pass.as_ref().map(|begun| begun.pass.clone());
            source
        });
        let (mode, began) = (self.mode, self.began);
        async move {
            let source = match source {
                Ok(source) => source,
                Err(failure) => return Done::of(Err(failure), None),
            };
            // What is forbidden is deletions: a plan tells what they would be.
            let held = source.bans(&state).why(began).filter(|_| mode == Mode::Enforce);
            let make = async |source: Source| {
                let (report, told) = (report.clone(), Arc::clone(&told));
                match mode {
                    Mode::DryRun => dry_run(source, &state, report, false).await,
                    Mode::Enforce if held.is_some() => dry_run(source, &state, report, true).await,
                    Mode::Enforce => enforce(source, &state, report, told).await,
                }
            };
            let whole = source.pass.as_ref().is_some_and(|pass| pass.changed.is_some());
            let whole = whole.then(|| {
                let mut whole = source.clone();
                whole.pass = Some(Pass::full(began));
                whole
            });
            let done = make(source).await;
            let done = match whole {
                // What a limit says of a part, it has to say of the whole. Nothing was deleted yet.
                Some(whole) if is_refused(&done) => make(whole).await,
                _ => done,
            };
            Done::of(done, held)
        }
    }
}

fn is_refused(done: &Result<Exit, Failure>) -> bool {
    let exit = done.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
    exit == Exit::Refused
}

impl Done {
    fn of(done: Result<Exit, Failure>, held: Option<String>) -> Self {
        match done {
            Ok(exit) => Self::Exit(exit, held),
            Err(failure) if state::is_in_use(&failure) => Self::InUse(failure),
            Err(failure) => Self::Failed(failure),
        }
    }
}

/// Carries out what was asked for, as long as somebody listens.
async fn ordered(
    order: Order,
    observing: Arc<Observing>,
    config: Arc<Config>,
    state: PathBuf,
    report: PathBuf,
    told: Arc<Told>,
) -> Done {
    let mut work = Box::pin(carry_out(
        &order,
        &observing,
        &config,
        &state,
        report,
        Arc::clone(&told),
    ));
    let given_up = async {
        match order.detached {
            true => std::future::pending().await,
            false => order.tell.closed().await,
        }
    };
    tokio::select! {
        done = &mut work => return Done::of(done, None),
        () = given_up => {}
    }
    told.request();
    if told.has_begun() {
        return match work.await {
            Ok(Exit::Partial) => Done::Stopped,
            done => Done::of(done, None),
        };
    }
    Done::GivenUp(Failure::new(
        Exit::Unexpected,
        anyhow::Error::msg("whoever asked for it went away before anything was changed"),
    ))
}

async fn carry_out(
    order: &Order,
    observing: &Arc<Observing>,
    config: &Config,
    state: &Path,
    report: PathBuf,
    told: Arc<Told>,
) -> Result<Exit, Failure> {
    // It may have changed while this waited.
    if let Some(named) = &order.configuration {
        obeys(config, named)?;
    }
    match &order.what {
        Asked::Plan(wanted) => {
            let mut source = source(config, &order.registry, &order.policies)?;
            source.observed(observing);
            let arguments = PlanArgs {
                save: wanted.save.then(|| report.with_file_name(SAVED)),
                all: wanted.all,
                bytes: wanted.bytes,
                ..plan_arguments(report, order.form)
            };
            plan_to(source, globs(&wanted.repositories)?, state, false, &arguments).await
        }
        Asked::Apply(repositories) => {
            let mut source = source(config, &order.registry, &order.policies)?;
            source.observed(observing);
            source.who = asker(order);
            source.only_enforced()?;
            source.without_frozen(SystemClock.now());
            let plan = apply::Plan::Fresh(globs(repositories)?);
            let arguments = apply_arguments(report, order.form);
            apply_to(source, plan, state, &arguments, told).await
        }
        Asked::Saved(path) => {
            let arguments = apply_arguments(report, order.form);
            let opened = apply::SavedPlan::open(path, Some(config), &arguments);
            let audit = || Auditing::of(state, asker(order));
            let opened = opened.and_then(|(source, saved)| {
                same_place(config, order, &source)?;
                Ok((source, saved))
            });
            let (mut source, saved) = opened.map_err(|failure| audit().failed("apply", failure))?;
            source.observed(observing);
            source.who = asker(order);
            let plan = apply::Plan::Saved(Box::new(saved));
            apply_to(source, plan, state, &arguments, told).await
        }
        Asked::Undo(arguments) => {
            let arguments = UndoArgs {
                yes: true,
                format: Format::Json,
                also: also(&report, order.form),
                out: Some(report),
                ..(**arguments).clone()
            };
            let stopping = Stopping::Told(told);
            let who = asker(order);
            let url = arguments.connect.registry.as_deref().unwrap_or_default();
            let observing = observing.of_undo(configured_at(config, url));
            let colour = Colour::Never;
            undo::run_target(
                Some(config),
                state,
                colour,
                &arguments,
                stopping,
                who,
                Some(observing),
            )
            .await
        }
    }
}

/// How the configuration calls the registry at an address; nothing where it knows none there. It may be a name already.
fn configured_at<'a>(config: &'a Config, registry: &str) -> &'a str {
    let url = |text: &str| text.parse::<RegistryUrl>().ok();
    let meant = url(registry);
    let is_meant = |known: &&RegistrySettings| {
        let here = meant.as_ref().zip(url(&known.url));
        known.name.as_str() == registry || here.is_some_and(|(meant, here)| meant.as_str() == here.as_str())
    };
    config
        .registries
        .iter()
        .find(is_meant)
        .map_or("", |known| known.name.as_str())
}

/// Whether a plan is about the registry that its run has to itself: that may be at another address by now.
fn same_place(config: &Config, order: &Order, source: &Source) -> Result<(), Failure> {
    let here = Host::named(config, &order.registry);
    if here.is_none_or(|here| here == Host::at(&source.registry.url)) {
        return Ok(());
    }
    let message = format!(
        "this plan is about {}, and {} is at another address by now: nothing deleted",
        source.registry.url, order.registry
    );
    Err(Failure::new(Exit::Refused, anyhow::Error::msg(message)).with_hint("plan again"))
}

/// Who asked, for the audit log.
fn asker(order: &Order) -> Who {
    Who::Api {
        name: order.by.clone(),
    }
}

/// The name of a plan that was kept whole, beside its report.
pub(crate) const SAVED: &str = "plan.json";

/// How a report is called in its folder.
pub(crate) fn report_name(form: Format) -> &'static str {
    match form {
        Format::Text => "report.txt",
        Format::Json => "report.json",
        Format::Ndjson => "report.ndjson",
        Format::Markdown => "report.md",
        Format::Csv => "report.csv",
        Format::Html => "report.html",
    }
}

/// What is written beside the report: what browsers show, and what whoever asked wants to show.
fn also(report: &Path, form: Option<Format>) -> Vec<(Format, PathBuf)> {
    let form = form.filter(|form| !matches!(form, Format::Json | Format::Html));
    let forms = [Some(Format::Html), form].into_iter().flatten();
    forms
        .map(|form| (form, report.with_file_name(report_name(form))))
        .collect()
}

/// Plans. A plan that would be carried out, were it not forbidden for now, announces what is new in it.
async fn dry_run(source: Source, state: &Path, report: PathBuf, announces: bool) -> Result<Exit, Failure> {
    let arguments = PlanArgs {
        exact: announces,
        ..plan_arguments(report, None)
    };
    plan_to(source, Vec::new(), state, announces, &arguments).await
}

async fn plan_to(
    source: Source,
    only: Vec<RepositoryPattern>,
    state: &Path,
    announces: bool,
    arguments: &PlanArgs,
) -> Result<Exit, Failure> {
    // Beside the journal, which can be read meanwhile.
    let journal = state::created(state).await?;
    let past = state::apart(move || Past::beside(journal)).await?;
    let announcing = Announcing {
        state: Some(state.to_owned()),
        keep: announces,
    };
    plan::run_source(source, Some(&past), &announcing, only, Colour::Never, arguments).await
}

fn plan_arguments(report: PathBuf, form: Option<Format>) -> PlanArgs {
    PlanArgs {
        repositories: Vec::new(),
        source: SourceArgs::default(),
        format: Format::Json,
        also: also(&report, form),
        out: Some(report),
        save: None,
        compare: None,
        compare_with: None,
        group_by: Grouping::Repository,
        all: false,
        exact: false,
        bytes: false,
        detailed_exitcode: false,
    }
}

async fn enforce(
    mut source: Source,
    state: &Path,
    report: PathBuf,
    told: Arc<Told>,
) -> Result<Exit, Failure> {
    source.only_enforced()?;
    let plan = apply::Plan::Fresh(Vec::new());
    apply_to(source, plan, state, &apply_arguments(report, None), told).await
}

async fn apply_to(
    source: Source,
    plan: apply::Plan,
    state: &Path,
    arguments: &ApplyArgs,
    told: Arc<Told>,
) -> Result<Exit, Failure> {
    let stopping = Stopping::Told(told);
    apply::run_source(source, plan, state, Colour::Never, arguments, stopping).await
}

fn apply_arguments(report: PathBuf, form: Option<Format>) -> ApplyArgs {
    ApplyArgs {
        repositories: Vec::new(),
        source: SourceArgs::default(),
        yes: true,
        override_limit: Vec::new(),
        collect_garbage: None,
        collect_untagged: false,
        format: Format::Json,
        also: also(&report, form),
        out: Some(report),
    }
}

fn source(config: &Config, registry: &str, policies: &[String]) -> Result<Source, Failure> {
    let arguments = SourceArgs {
        connect: ConnectArgs {
            registry: Some(registry.to_owned()),
            ..ConnectArgs::default()
        },
        policy: policies.to_vec(),
        ..SourceArgs::default()
    };
    Source::of(Some(config), &arguments, &[])
}

/// The addresses of the registries on which runs are open. Creates the state directory.
pub(super) async fn open_runs(state: &Path, metrics: &Arc<Metrics>) -> Result<BTreeSet<String>, Failure> {
    let journal = state::created(state).await?;
    let metrics = Arc::clone(metrics);
    let listed = move || {
        let runs = journal.list()?;
        metrics.journal(&journal, &runs);
        let open = runs.into_iter().filter(|run| run.open > 0 || run.end.is_none());
        Ok(open.filter_map(|run| Some(run.begin?.registry.url)).collect())
    };
    state::apart(listed).await
}

/// Looks at what earlier runs left open on a registry.
/// Everything that it needs of the configuration is taken before this returns.
pub(super) fn recover(
    config: &Config,
    registry: &str,
    state: PathBuf,
) -> impl Future<Output = Result<(), Failure>> + use<> {
    let source = source(config, registry, &[]);
    async move { apply::recover_source(source?, &state).await }
}
