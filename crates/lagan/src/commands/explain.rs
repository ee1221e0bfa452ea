//! `lagan explain`: why one tag is kept or deleted.

use std::io::Write;
use std::path::Path;

use lagan_config::embedded;
use lagan_engine::{InspectError, InspectRequest, Inspection, inspect, replay};
use lagan_model::{ArtifactGraph, NodeId, RegistryIdentity, RegistryRead as _, RepositoryName, Tag, Time};
use lagan_policy::reason::RuleName;
use lagan_policy::{
    Action, Policy, PolicySet, Reason, RepositoryPlan, RolloutNote, Rule, TagReading, Verdict as Decided,
};
use lagan_registry::Connected;
use lagan_report::saved::SavedRepository;
use lagan_report::wording::rule_of;
use lagan_report::{Explanation, PolicyTrail, Recorded, Related, Relations, Replayed, RuleTrail, Verdict};

use crate::cli::{Colour, ExplainArgs, ExplainFormat};
use crate::exit::{Exit, Failure};
use crate::output::{Output, is_coloured};
use crate::progress::Progress;
use crate::rollout::Rolling;
use crate::sources::Source;
use crate::state::Past;
use crate::{saved, state};

pub(crate) fn run(
    config: Option<&Path>,
    state: Option<&Path>,
    colour: Colour,
    arguments: &ExplainArgs,
) -> Result<Exit, Failure> {
    let (repository, tag) = parse(&arguments.tag)?;
    if let Some(plan) = &arguments.from {
        return replayed(plan, &repository, tag, colour, arguments.format);
    }
    let globs = [repository.to_string()];
    let source = Source::read(config, &arguments.source, &globs)?;
    let past = Past::of(state, source.state_dir.as_deref())?;
    let directory = state::directory(state, source.state_dir.as_deref()).ok();
    let mut out = Output::stdout();
    let exit = super::block_on(run_source(
        source,
        past.as_ref(),
        directory.as_deref(),
        (repository, tag),
        colour,
        arguments.format,
        &mut out,
    ))?;
    out.finish()?;
    Ok(exit)
}

pub(crate) async fn run_source(
    source: Source,
    past: Option<&Past>,
    state: Option<&Path>,
    (repository, tag): (RepositoryName, Tag),
    colour: Colour,
    format: ExplainFormat,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let registry = Connected::connect(source.registry.clone(), source.kind).await?;
    let progress = Progress::new();
    let asked = |policy: &Policy| source.asks(policy);
    let memory = past.map(Past::memory);
    let ledger = memory.map(|memory| memory.ledger(registry.identity()));
    let holds = match past {
        Some(past) => Some(past.holds(&registry.identity().url, source.now).await),
        None => None,
    };
    let request = InspectRequest {
        policies: &source.policies,
        asked: &asked,
        repository: &repository,
        now: source.now,
        probe: source.probe,
        // A question changes nothing.
        memory: super::remembered(memory, ledger.as_ref(), holds.as_ref(), false),
    };
    let inspected = inspect(&registry, &progress, &request).await;
    progress.finish();
    super::tell_of(memory);
    let inspection = inspected?;
    let Some(position) = inspection.seen.snapshot.position(&tag) else {
        let failure = Failure::usage(format!("{repository} has no tag {tag}"));
        return Err(failure.with_hint("tags mind case; `lagan plan --all` lists those that are there"));
    };
    let rolling = Rolling::read(state, &source, registry.identity(), source.now);
    let of_repository = source.of_repository(&repository);
    let explained = Explained {
        registry: registry.identity().clone(),
        policies: &source.policies,
        asked: &asked,
        now: source.now,
        inspection: &inspection,
        rollout: of_repository.and_then(|policies| rolling.rollouts().note(&repository, &policies)),
    };
    write(&explained.tag(position, None), colour, format, out)?;
    Ok(Exit::Done)
}

/// Explains from a saved plan, by making its decision again.
fn replayed(
    path: &Path,
    repository: &RepositoryName,
    tag: Tag,
    colour: Colour,
    format: ExplainFormat,
) -> Result<Exit, Failure> {
    let mut plan = saved::open(path)?;
    let policies = saved::policies(path, plan.head())?;
    let head = plan.head().clone();
    let asked = |policy: &Policy| {
        let entry = head.policies.iter().find(|entry| entry.name == policy.name);
        entry.is_some_and(|entry| entry.asked == Some(true))
    };
    let SavedRepository { plan: recorded, seen } = saved::repository(path, &mut plan, repository)?;
    if let Some(why) = recorded.incomplete {
        let repository = repository.clone();
        return Err(InspectError::Incomplete { repository, why }.into());
    }
    let no_tag = || {
        Failure::usage(format!(
            "{repository} had no tag {tag} when the plan {} was made",
            path.display()
        ))
    };
    let seen = seen.ok_or_else(no_tag)?;
    let of_repository = policies
        .of_repository(repository, &asked)
        .ok_or_else(|| InspectError::NotNamed(repository.clone()))?;
    let inspection = replay(&of_repository, seen, head.now, saved::DEPTH).map_err(|error| {
        Failure::new(Exit::Unexpected, error).with_hint("plan again with `lagan plan --save`")
    })?;
    let position = inspection.seen.snapshot.position(&tag).ok_or_else(no_tag)?;
    let again = match inspection.seen.snapshot.complete() {
        Ok(complete) => RepositoryPlan::new(
            recorded.policies.clone(),
            complete,
            &inspection.decisions,
            saved::DEPTH,
        ),
        Err(why) => {
            return Err(Failure::new(
                Exit::Unexpected,
                anyhow::Error::msg(why.why.clone()),
            ));
        }
    };
    let rollout = recorded.rollout.clone();
    let others_differ = (&again.actions, &again.kept) != (&recorded.actions, &recorded.kept);
    let replayed = Replayed {
        plan: head.id.clone(),
        created: head.created,
        recorded: recorded_of(&recorded, &again, &tag),
        others_differ,
    };
    let explained = Explained {
        registry: head.registry.clone(),
        policies: &policies,
        asked: &asked,
        now: head.now,
        inspection: &inspection,
        rollout,
    };
    let explanation = explained.tag(position, Some(replayed));
    let mut out = Output::stdout();
    write(&explanation, colour, format, &mut out)?;
    out.finish()?;
    // A plan whose decisions cannot be made again is a finding.
    Ok(if others_differ { Exit::Partial } else { Exit::Done })
}

/// What a plan recorded of a tag, if it is not what the plan that was made again says.
///
/// A deleted artifact's reasons are those of all its tags together, which is why plans are compared, and not a tag's
/// reasons with its artifact's.
fn recorded_of(recorded: &RepositoryPlan, again: &RepositoryPlan, tag: &Tag) -> Option<Recorded> {
    let said = |plan: &RepositoryPlan| {
        let kept = plan.kept.iter().find(|kept| kept.tag == *tag);
        if let Some(kept) = kept {
            return Some(Recorded {
                verdict: Verdict::Kept,
                reasons: kept.reasons.clone(),
            });
        }
        plan.actions.iter().find_map(|action| match action {
            Action::Untag { tag: of, reasons, .. } if of == tag => Some(Recorded {
                verdict: Verdict::Untagged,
                reasons: reasons.clone(),
            }),
            Action::Delete {
                tags,
                attachments,
                children,
                reasons,
                ..
            } if tags
                .iter()
                .chain(
                    attachments
                        .iter()
                        .chain(children)
                        .flat_map(|dependent| &dependent.tags),
                )
                .any(|of| of == tag) =>
            {
                Some(Recorded {
                    verdict: Verdict::Deleted,
                    reasons: reasons.clone(),
                })
            }
            _ => None,
        })
    };
    said(recorded).filter(|then| said(again).as_ref() != Some(then))
}

fn write(
    explanation: &Explanation,
    colour: Colour,
    format: ExplainFormat,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match format {
        ExplainFormat::Text => explanation.write_text(out, is_coloured(colour, None))?,
        ExplainFormat::Json => explanation.write_json(out)?,
    }
    Ok(())
}

fn verdict(decided: Decided) -> Verdict {
    match decided {
        Decided::Keep => Verdict::Kept,
        Decided::Delete => Verdict::Deleted,
        Decided::Untag => Verdict::Untagged,
    }
}

/// All that an explanation is made of.
struct Explained<'a> {
    registry: RegistryIdentity,
    policies: &'a PolicySet,
    asked: &'a dyn Fn(&Policy) -> bool,
    now: Time,
    inspection: &'a Inspection,
    rollout: Option<RolloutNote>,
}

impl Explained<'_> {
    /// The explanation of the tag at a position of the snapshot.
    fn tag(self, position: usize, replayed: Option<Replayed>) -> Explanation {
        let Inspection { seen, decisions } = self.inspection;
        let listed = &seen.snapshot.tags()[position];
        let repository = seen.snapshot.repository();
        let reading = self.policies.versions.read(&listed.tag);
        let decision = &decisions.tags[position];
        Explanation {
            registry: self.registry,
            repository: repository.clone(),
            tag: listed.tag.clone(),
            digest: listed.digest.clone(),
            now: self.now,
            policies: trails(
                self.policies,
                self.asked,
                repository,
                &listed.tag,
                &reading,
                &decision.reasons,
            ),
            reading,
            verdict: verdict(decision.verdict),
            reasons: decision.reasons.clone(),
            relations: relations(self.inspection, position),
            incomplete: None,
            rollout: self.rollout,
            replayed,
        }
    }
}

pub(crate) fn parse(text: &str) -> Result<(RepositoryName, Tag), Failure> {
    let wrong = |what: String| {
        Failure::usage(format!("{text:?} is no REPOSITORY:TAG: {what}"))
            .with_hint("write it without the registry, as in team/app:1.4.0-rc.2")
    };
    let (repository, tag) = text
        .rsplit_once(':')
        .ok_or_else(|| wrong("there is no colon".to_owned()))?;
    let repository = repository
        .parse()
        .map_err(|error: lagan_model::name::NameError| wrong(error.to_string()))?;
    let tag = tag
        .parse()
        .map_err(|error: lagan_model::tag::TagError| wrong(error.to_string()))?;
    Ok((repository, tag))
}

fn trails(
    policies: &PolicySet,
    asked: &dyn Fn(&Policy) -> bool,
    repository: &RepositoryName,
    tag: &Tag,
    reading: &TagReading,
    reasons: &[Reason],
) -> Vec<PolicyTrail> {
    let naming = policies.policies.iter().filter(|policy| policy.names(repository));
    let trail = |policy: &Policy| {
        let body = embedded::body(policy);
        let rule = |(position, rule): (usize, &Rule)| {
            let name = RuleName {
                policy: policy.name.clone(),
                rule: rule.name.clone(),
            };
            let said = reasons.iter().filter_map(rule_of);
            let unmet = rule.select.unmet_as_decided(tag, reading, &name, said);
            let unknown = reasons
                .iter()
                .any(|reason| matches!(reason, Reason::SelectionUnknown { rule, .. } if *rule == name));
            RuleTrail {
                name: rule.name.to_string(),
                keep: body["rules"][position]["keep"].clone(),
                selected: (!unknown).then_some(unmet.is_none()),
                why: match unmet {
                    _ if unknown => "a condition depends on what is not known".to_owned(),
                    None => "every condition holds".to_owned(),
                    Some(unmet) => unmet.as_str().to_owned(),
                },
            }
        };
        PolicyTrail {
            name: policy.name.clone(),
            mode: policy.mode,
            asked: asked(policy),
            untag: policy.untag,
            rules: policy.rules.iter().enumerate().map(rule).collect(),
        }
    };
    naming.map(trail).collect()
}

fn relations(inspection: &Inspection, position: usize) -> Relations {
    let Some((graph, node)) = inspection
        .decisions
        .graph()
        .and_then(|graph| Some((graph, graph.node_of_tag(position)?)))
    else {
        return Relations::default();
    };
    let related = |nodes: &[NodeId]| {
        nodes
            .iter()
            .map(|node| related(inspection, graph, *node))
            .collect()
    };
    let other = |tag: &usize| *tag != position;
    Relations {
        same_digest: graph
            .tags(node)
            .filter(other)
            .map(|tag| inspection.seen.snapshot.tags()[tag].tag.clone())
            .collect(),
        children: related(graph.children(node)),
        parents: related(graph.parents(node)),
        attachments: related(graph.attachments(node)),
        subjects: related(graph.subjects(node)),
    }
}

fn related(inspection: &Inspection, graph: &ArtifactGraph, node: NodeId) -> Related {
    Related {
        digest: graph.digest(node).clone(),
        tags: graph
            .tags(node)
            .map(|tag| inspection.seen.snapshot.tags()[tag].tag.clone())
            .collect(),
    }
}
