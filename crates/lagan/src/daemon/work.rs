//! One run of a policy: `lagan plan` where it is in dry-run, `lagan apply` where it is enforced.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::SubsecRound as _;
use lagan_config::Config;
use lagan_model::Time;
use lagan_policy::Mode;

use crate::cli::{ApplyArgs, Colour, ConnectArgs, Format, Grouping, PlanArgs, SourceArgs};
use crate::commands::apply;
use crate::commands::plan::{self, Announcing};
use crate::exit::{Exit, Failure};
use crate::metrics::{Metrics, Observing};
use crate::running::{Stopping, Told};
use crate::sources::Source;
use crate::state;

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
}

/// What came of it.
pub(super) enum Done {
    /// It went to its end; what forbade deletions in it, if something did.
    Exit(Exit, Option<String>),
    /// It did not.
    Failed(Failure),
    /// It did not begin: somebody else has the state directory.
    InUse(Failure),
}

impl Job {
    /// Carries it out. Everything that it needs of the configuration is taken before this returns.
    pub(super) fn work(
        &self,
        config: &Config,
        state: PathBuf,
        report: PathBuf,
        told: Arc<Told>,
    ) -> impl Future<Output = Done> + use<> {
        let source = source(config, &self.registry, std::slice::from_ref(&self.policy)).map(|mut source| {
            source.now = self.began.trunc_subsecs(0);
            source.observed(&self.observing);
            source
        });
        let (mode, began) = (self.mode, self.began);
        async move {
            let mut held = None;
            let done = match (source, mode) {
                (Err(failure), _) => Err(failure),
                (Ok(source), Mode::DryRun) => dry_run(source, &state, report, false).await,
                // What is forbidden is deletions: a plan tells what they would be.
                (Ok(source), Mode::Enforce) if source.bans(&state).why(began).is_some() => {
                    held = source.bans(&state).why(began);
                    dry_run(source, &state, report, true).await
                }
                (Ok(source), Mode::Enforce) => enforce(source, &state, report, told).await,
            };
            match done {
                Ok(exit) => Done::Exit(exit, held),
                Err(failure) if state::is_in_use(&failure) => Done::InUse(failure),
                Err(failure) => Done::Failed(failure),
            }
        }
    }
}

/// Plans. A plan that would be carried out, were it not forbidden for now, announces what is new in it.
async fn dry_run(source: Source, state: &Path, report: PathBuf, announces: bool) -> Result<Exit, Failure> {
    let memory = state::memory(Some(state), None)?;
    let announcing = Announcing {
        state: Some(state.to_owned()),
        // Who does not have the state directory to himself writes nothing there.
        keep: announces && memory.is_some(),
    };
    let arguments = PlanArgs {
        repositories: Vec::new(),
        source: SourceArgs::default(),
        format: Format::Json,
        out: Some(report),
        save: None,
        compare: None,
        compare_with: None,
        group_by: Grouping::Repository,
        all: false,
        exact: announces,
        bytes: false,
        detailed_exitcode: false,
    };
    let only = Vec::new();
    plan::run_source(
        source,
        memory.as_ref(),
        &announcing,
        only,
        Colour::Never,
        &arguments,
    )
    .await
}

async fn enforce(
    mut source: Source,
    state: &Path,
    report: PathBuf,
    told: Arc<Told>,
) -> Result<Exit, Failure> {
    source.only_enforced()?;
    let arguments = ApplyArgs {
        repositories: Vec::new(),
        source: SourceArgs::default(),
        yes: true,
        override_limit: Vec::new(),
        collect_garbage: None,
        collect_untagged: false,
        format: Format::Json,
        out: Some(report),
    };
    let plan = apply::Plan::Fresh(Vec::new());
    apply::run_source(
        source,
        plan,
        state,
        Colour::Never,
        &arguments,
        Stopping::Told(told),
    )
    .await
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
pub(super) fn open_runs(state: &Path, metrics: &Metrics) -> Result<BTreeSet<String>, Failure> {
    let journal = state::create(state)?;
    let runs = journal.list()?;
    metrics.journal(&journal, &runs);
    let open = runs.into_iter().filter(|run| run.open > 0 || run.end.is_none());
    Ok(open.filter_map(|run| Some(run.begin?.registry.url)).collect())
}

/// Looks at what earlier runs left open on a registry.
pub(super) async fn recover(config: &Config, registry: &str, state: &Path) -> Result<(), Failure> {
    let source = source(config, registry, &[])?;
    apply::recover_source(source, state).await
}
