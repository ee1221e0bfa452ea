//! `lagan explain`: why one tag is kept or deleted.

use std::path::Path;

use lagan_engine::{Inspection, inspect};
use lagan_model::{ArtifactGraph, NodeId, RegistryRead as _, RepositoryName, Tag};
use lagan_policy::reason::RuleName;
use lagan_policy::{Policy, PolicySet, Reason, TagReading, Verdict as Decided};
use lagan_registry::OciRegistry;
use lagan_report::wording::rule_of;
use lagan_report::{Explanation, Related, Relations, Selection, Verdict};

use crate::cli::{Colour, ExplainArgs, ExplainFormat};
use crate::exit::{Exit, Failure};
use crate::output::{Output, is_coloured};
use crate::progress::Progress;
use crate::sources::Source;

pub(crate) fn run(config: Option<&Path>, colour: Colour, arguments: &ExplainArgs) -> Result<Exit, Failure> {
    let (repository, tag) = parse(&arguments.tag)?;
    let globs = [repository.to_string()];
    let source = Source::read(config, &arguments.source, &globs)?;
    super::block_on(run_source(source, repository, tag, colour, arguments.format))
}

pub(super) async fn run_source(
    source: Source,
    repository: RepositoryName,
    tag: Tag,
    colour: Colour,
    format: ExplainFormat,
) -> Result<Exit, Failure> {
    let registry = OciRegistry::connect(source.registry.clone()).await?;
    let progress = Progress::new();
    let asked = |policy: &Policy| source.asks(policy);
    let inspected = inspect(
        &registry,
        &progress,
        &source.policies,
        &asked,
        &repository,
        source.now,
        source.probe,
    )
    .await;
    progress.finish();
    let inspection = inspected?;
    let Some(position) = inspection.seen.snapshot.position(&tag) else {
        let failure = Failure::usage(format!("{repository} has no tag {tag}"));
        return Err(failure.with_hint("tags mind case; `lagan plan --all` lists those that are there"));
    };
    let reading = source.policies.versions.read(&tag);
    let explanation = Explanation {
        registry: registry.identity().clone(),
        repository: repository.clone(),
        digest: inspection.seen.snapshot.tags()[position].digest.clone(),
        now: source.now,
        selections: selections(
            &source.policies,
            &repository,
            &tag,
            &reading,
            &inspection.decisions.tags[position].reasons,
        ),
        verdict: match inspection.decisions.tags[position].verdict {
            Decided::Keep => Verdict::Kept,
            Decided::Delete => Verdict::Deleted,
            Decided::Untag => Verdict::Untagged,
        },
        reasons: inspection.decisions.tags[position].reasons.clone(),
        relations: relations(&inspection, position),
        incomplete: None,
        reading,
        tag,
    };
    let mut out = Output::stdout();
    match format {
        ExplainFormat::Text => explanation.write_text(&mut out, is_coloured(colour, None))?,
        ExplainFormat::Json => explanation.write_json(&mut out)?,
    }
    out.finish()?;
    Ok(Exit::Done)
}

pub(super) fn parse(text: &str) -> Result<(RepositoryName, Tag), Failure> {
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

fn selections(
    policies: &PolicySet,
    repository: &RepositoryName,
    tag: &Tag,
    reading: &TagReading,
    reasons: &[Reason],
) -> Vec<Selection> {
    let naming = policies.policies.iter().filter(|policy| policy.names(repository));
    naming
        .flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)))
        .map(|(policy, rule)| {
            let name = RuleName {
                policy: policy.name.clone(),
                rule: rule.name.clone(),
            };
            let said = reasons.iter().filter_map(rule_of);
            let unmet = rule.select.unmet_as_decided(tag, reading, &name, said);
            Selection {
                policy: policy.name.clone(),
                rule: rule.name.to_string(),
                selected: unmet.is_none(),
                why: unmet.map_or_else(
                    || "every condition holds".to_owned(),
                    |unmet| unmet.as_str().to_owned(),
                ),
            }
        })
        .collect()
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
