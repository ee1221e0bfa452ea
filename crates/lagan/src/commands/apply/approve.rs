//! From a plan to an approved one: made now, or saved before, held against the limits, and shown where somebody will
//! be asked.

use std::io;
use std::path::{Path, PathBuf};

use lagan_config::Config;
use lagan_engine::{
    Approval, ApprovedPlan, Chronicle, Holds, LeftOut, LeftoverRequest, PlanRequest, Present, Scope, World,
    leftovers, plan,
};
use lagan_model::journal::PolicyIdentity;
use lagan_model::{Capability, Clock as _, RegistryIdentity, RegistryProbe as _, RegistryRead as _};
use lagan_policy::{
    Action, Depth, Guard, GuardReport, Limits, Planned, PolicySet, RepositoryPattern, RepositoryPlan,
    Rollouts, Totals, Undo,
};
use lagan_registry::Connected;
use lagan_report::plan::{advice, refusal};
use lagan_report::{PlanFoot, PlanFormat, PlanHead, PlanOptions, PlanWriter, PolicyNote, RepositoryOutcome};

use crate::announced::Board;
use crate::cli::ApplyArgs;
use crate::commands::plan::{REPOSITORIES_AT_ONCE, ends};
use crate::commands::{remembered, tell_of};
use crate::exit::{Exit, Failure};
use crate::output::Spool;
use crate::pass::Pass;
use crate::plans::PlanSpool;
use crate::progress::Progress;
use crate::running::SystemClock;
use crate::saved::{self, Reader};
use crate::sources::Source;
use crate::state;

pub(super) type Here<'a> = World<'a, Connected, state::Shared, SystemClock>;

/// What earlier runs left on record.
#[derive(Clone, Copy)]
pub(super) struct Past<'a> {
    /// What they announced.
    pub(super) board: &'a Board,
    /// How far policies have been rolled out.
    pub(super) rollouts: &'a Rollouts,
    /// What they deleted, and what they left.
    pub(super) chronicle: &'a Chronicle,
    /// What may still be deleted by them.
    pub(super) in_doubt: &'a LeftOut,
    /// What was put back, and stays for a while.
    pub(super) holds: &'a Holds,
}

/// A plan that is approved, and what it says.
pub(super) struct Approved {
    pub(super) plan: ApprovedPlan,
    pub(super) spool: PlanSpool,
    pub(super) totals: Totals,
    /// Repositories that could not be read whole.
    pub(super) incomplete: Vec<RepositoryOutcome>,
    /// What it announces.
    pub(super) planned: Vec<Planned>,
    /// Whether the plan says of some deletion that it cannot be undone.
    pub(super) loses: bool,
    /// What earlier runs left and could not be looked at.
    pub(super) problems: Vec<String>,
}

impl Approved {
    /// Asks the registry whether it deletes single tags, where the plan has some to take off and this process has not
    /// seen that yet. Whoever planned that had asked.
    pub(super) async fn find_out_about_tags(&self, registry: &Connected) {
        let Some(repository) = self.spool.untags() else {
            return;
        };
        if registry.capabilities().delete_tag != Capability::Unknown {
            return;
        }
        // Where this fails, taking off fails as well, and says so.
        if let Ok(tags) = registry.list_tags(repository).await {
            registry.probe_deletion(repository, &tags).await;
        }
    }
}

/// Repositories on their way through the limits.
struct Gathering<'a> {
    source: &'a Source,
    board: &'a Board,
    planned: Vec<Planned>,
    approval: Approval<'a>,
    spool: PlanSpool,
    incomplete: Vec<RepositoryOutcome>,
    loses: bool,
    shown: Option<(Box<dyn PlanWriter>, Spool)>,
}

impl<'a> Gathering<'a> {
    fn new(source: &'a Source, past: Past<'a>, arguments: &ApplyArgs, shown: Option<bool>) -> Self {
        let Past { board, chronicle, .. } = past;
        let full_pass = source.pass.as_ref().map(|pass| pass.full);
        let (history, so_far) = chronicle.history_besides(full_pass);
        let asked = source
            .policies
            .policies
            .iter()
            .filter(|policy| source.asks(policy));
        let limits = asked
            .map(|policy| policy.limits.clone())
            .reduce(Limits::strictest);
        let approval = Approval::new(&limits.unwrap_or_default(), board.evidence())
            .overridden(&arguments.override_limit)
            .after(history)
            .besides(so_far);
        let shown = shown.map(|colour| {
            let options = PlanOptions { all: false, colour };
            (PlanFormat::Text.writer(options), Spool::new())
        });
        Self {
            source,
            board,
            planned: Vec::new(),
            approval,
            spool: PlanSpool::new(),
            incomplete: Vec::new(),
            loses: false,
            shown,
        }
    }

    fn add(&mut self, plan: &RepositoryPlan) -> io::Result<()> {
        // What no policy names is not approved.
        if let Some(policies) = self.source.of_repository(&plan.name) {
            self.approval.add(plan, &policies);
            self.planned.extend(Planned::of(plan, &policies));
        }
        let lost = |action: &Action| matches!(action, Action::Delete { undo, .. } if !undo.possible);
        self.loses |= plan.actions.iter().any(lost);
        if let Some((writer, body)) = &mut self.shown {
            writer.repository(body, plan)?;
        }
        let problem = plan.incomplete.as_ref().map(|incomplete| incomplete.why.clone());
        self.incomplete.extend(problem.map(|why| RepositoryOutcome {
            name: plan.name.clone(),
            entries: Vec::new(),
            mended: Vec::new(),
            problem: Some(why),
        }));
        self.spool.add(plan)
    }

    /// Holds the whole against the limits, and shows it on stderr where somebody will be asked.
    fn approve(
        self,
        id: String,
        totals: Totals,
        ends: impl FnOnce(&ApprovedPlan) -> (PlanHead, PlanFoot),
    ) -> Result<Approved, Failure> {
        // Whatever becomes of this plan: what is not in it has not been in every plan.
        self.board.note(&self.planned, false)?;
        let plan = self
            .approval
            .finish(id)
            .map_err(|refused| refusing(&refused.guards))?;
        if let Some((writer, body)) = self.shown {
            let (head, foot) = ends(&plan);
            let mut stderr = io::stderr();
            writer.head(&mut stderr, &head, &foot)?;
            body.copy_to(&mut stderr)?;
            writer.foot(&mut stderr, &head, &foot)?;
        }
        Ok(Approved {
            plan,
            spool: self.spool,
            totals,
            incomplete: self.incomplete,
            planned: self.planned,
            loses: self.loses,
            problems: Vec::new(),
        })
    }
}

/// Plans now, with what earlier runs left at the end of each repository.
pub(super) async fn fresh(
    source: &Source,
    only: Vec<RepositoryPattern>,
    past: Past<'_>,
    world: Here<'_>,
    arguments: &ApplyArgs,
    (shown, undo): (Option<bool>, Option<Undo>),
) -> Result<Approved, Failure> {
    let registry = world.registry;
    let memory = state::beside(world.journal.store().clone()).await?;
    let ledger = memory.ledger(registry.identity());
    let scope = Scope {
        only,
        listed: source.listed.clone(),
        changed: source.pass.as_ref().and_then(Pass::only),
    };
    let request = PlanRequest {
        policies: &source.policies,
        asked: &|policy| source.asks(policy),
        scope: &scope,
        now: source.now,
        depth: Depth::Exact,
        probe: source.probe,
        undo: undo.clone(),
        facts: false,
        memory: remembered(Some(&memory), Some(&ledger), Some(past.holds), true),
        evidence: past.board.evidence(),
        rollouts: past.rollouts,
        repositories_at_once: REPOSITORIES_AT_ONCE,
    };
    let Scope { only, changed, .. } = request.scope;
    let asked = LeftoverRequest {
        memory: request.memory,
        in_doubt: past.in_doubt,
        of: &|name| {
            let is_asked = only.is_empty() || only.iter().any(|pattern| pattern.matches(name));
            let is_read = changed.as_ref().is_none_or(|changed| changed.contains(name));
            is_asked && is_read && source.of_repository(name).is_some()
        },
    };
    let left = leftovers(world, past.chronicle, &asked).await?;
    let mut gathering = Gathering::new(source, past, arguments, shown);
    let progress = Progress::new();
    let mut more = 0;
    let planned = plan(registry, &progress, &request, |plan, _| {
        let policies = source.of_repository(&plan.name);
        let with_left = |policies| left.added_to(plan, &policies, undo.as_ref(), past.board.evidence());
        let Some(with_left) = policies.and_then(with_left) else {
            return gathering.add(plan);
        };
        let added = with_left.actions.iter().skip(plan.actions.len());
        more += added.map(Action::manifests).sum::<u64>();
        gathering.add(&with_left)
    })
    .await;
    progress.finish();
    tell_of(Some(&memory));
    let mut totals = planned?.totals;
    totals.delete_artifacts += more;
    let id = ulid::Ulid::new().to_string();
    let approved = gathering.approve(id, totals.clone(), |plan| {
        ends(source, registry, true, plan.id(), plan.guards(), &totals)
    })?;
    Ok(Approved {
        problems: left.problems,
        ..approved
    })
}

/// A plan from a file, which is what it was when it was written.
pub(crate) struct SavedPlan {
    reader: Reader,
    path: PathBuf,
}

impl SavedPlan {
    /// Opens it, and refuses one that is for another registry, other policies or another day. Nothing is contacted.
    pub(crate) fn open(
        path: &Path,
        config: Option<&Config>,
        arguments: &ApplyArgs,
    ) -> Result<(Source, Self), Failure> {
        let given = &arguments.source;
        if !given.select.is_empty() || !given.policy.is_empty() {
            return Err(
                Failure::usage("a saved plan has its policies with it: nothing deleted")
                    .with_hint("leave --select and --policy out; a --policy-file of the plan is given again"),
            );
        }
        let reader = saved::open(path)?;
        let head = reader.head();
        let policies = saved::policies(path, head)?;
        let (source, present) = Source::of_saved(config, given, head, policies)?;
        let here = RegistryIdentity {
            name: source.registry.name.clone(),
            url: source.registry.url.as_str().to_owned(),
            kind: head.registry.kind,
        };
        let plan = lagan_engine::SavedPlan {
            registry: &head.registry,
            policies: &identities(&source.policies),
            now: head.now,
            created: head.created,
        };
        let stale = plan.stale(&Present {
            registry: &here,
            policies: &identities(&present),
            now: SystemClock.now(),
        });
        if !stale.is_empty() {
            let said: Vec<_> = stale.iter().map(ToString::to_string).collect();
            let message = format!(
                "this plan is not carried out: nothing deleted; {}",
                said.join("; ")
            );
            let failure = Failure::new(Exit::Refused, anyhow::Error::msg(message));
            return Err(
                failure.with_hint("plan again with `lagan plan --save`, and give the same --policy-file")
            );
        }
        let path = path.to_owned();
        Ok((source, Self { reader, path }))
    }
}

/// Takes the plan from its file.
pub(super) async fn saved(
    source: &Source,
    plan: SavedPlan,
    past: Past<'_>,
    world: Here<'_>,
    arguments: &ApplyArgs,
    (shown, undo): (Option<bool>, Option<Undo>),
) -> Result<Approved, Failure> {
    let SavedPlan { mut reader, path } = plan;
    let head = reader.head().clone();
    let unread = |error| saved::refused(&path, error);
    let Past { board, rollouts, .. } = past;
    let mut gathering = Gathering::new(source, past, arguments, shown);
    while let Some(repository) = reader.next_repository().map_err(unread)? {
        // What was told when it was planned may not be true any more.
        let mut plan = match &undo {
            Some(told) => repository.plan.with_undo(told),
            None => repository.plan,
        };
        // The file says what waited when it was written, and how far a policy had been rolled out.
        let policies = source.of_repository(&plan.name);
        plan.waiting = policies
            .as_ref()
            .map(|policies| board.evidence().waiting(&plan, policies))
            .unwrap_or_default();
        plan.rollout = policies.and_then(|policies| {
            let planned = plan.rollout.as_ref();
            rollouts.note_again(&plan.name, &policies, planned)
        });
        gathering.add(&plan)?;
    }
    let foot = reader.finish().map_err(unread)?;
    let totals = foot.totals.clone();
    gathering.approve(head.id.clone(), totals, |plan| {
        let policies = head.policies.iter().map(|policy| PolicyNote {
            name: policy.name.clone(),
            sha256: policy.sha256.clone(),
            mode: policy.mode,
        });
        let head = PlanHead {
            id: head.id.clone(),
            created: head.created,
            now: head.now,
            registry: head.registry.clone(),
            policies: policies.collect(),
            clocks: head.clocks.clone(),
            guards: plan.guards().to_vec(),
            capabilities: world.registry.capabilities(),
            probed: true,
            pass: None,
        };
        let foot = PlanFoot {
            totals: foot.totals,
            requests: foot.requests,
        };
        (head, foot)
    })
}

/// The limits refuse the whole run.
fn refusing(guards: &[GuardReport]) -> Failure {
    let refusing: Vec<_> = guards.iter().filter(|guard| guard.refuses).collect();
    let lines: Vec<_> = refusing
        .iter()
        .map(|guard| format!("{}: {}", guard.limit.as_str(), refusal(guard)))
        .collect();
    let message = format!(
        "the limits refuse this plan: nothing deleted; {}",
        lines.join("; ")
    );
    let failure = Failure::new(Exit::Refused, anyhow::Error::msg(message));
    match refusing.iter().find(|guard| guard.repository.is_none()) {
        Some(guard) => {
            let value = match guard.limit {
                Guard::MaxDeletions => guard.wanted.to_string(),
                _ => "off".to_owned(),
            };
            failure.with_hint(format!(
                "{}; `--override-limit {}={value}` lifts it for one run",
                advice(guard.limit),
                guard.limit.as_str(),
            ))
        }
        None => failure,
    }
}

/// Policies as the journal names them.
pub(super) fn identities(policies: &PolicySet) -> Vec<PolicyIdentity> {
    let all = policies.policies.iter();
    all.map(|policy| PolicyIdentity {
        name: policy.name.to_string(),
        sha256: policy.sha256(&policies.versions),
    })
    .collect()
}
