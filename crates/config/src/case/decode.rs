//! A file of cases.

use std::collections::HashMap;
use std::path::PathBuf;

use lagan_model::{RegistryName, RepositoryName, Tag, Time};

use super::expected::{self, Unlisted};
use super::facts::{self, Inventory};
use super::times::{self, Clock};
use super::world::World;
use super::{Case, CaseFile, Expected, Replay};
use crate::decode::{Fields, Schema, all, label, parsed, sequence};
use crate::document::registry::path;
use crate::error::{ConfigErrors, Problems, Read};
use crate::source::{Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::Node;
use crate::yaml;

/// The keys of a file of cases.
pub(crate) const FILE: Schema = Schema {
    what: "a file of cases",
    keys: &["policy", "registry", "repository", "now", "capabilities", "cases"],
    later: &[],
};

/// The keys of a case.
pub(crate) const CASE: Schema = Schema {
    what: "a case",
    keys: &[
        "name",
        "registry",
        "repository",
        "now",
        "from",
        "capabilities",
        "tags",
        "artifacts",
        "expect",
    ],
    later: &[],
};

/// The time of cases that do not say: ages count back from it, and protections end by it.
const NOON: &str = "2026-01-01T12:00:00Z";

/// What holds for the cases that do not say otherwise.
struct Defaults {
    registry: Option<RegistryName>,
    repository: Option<(RepositoryName, Span)>,
    now: Option<Time>,
    capabilities: lagan_model::Capabilities,
}

impl CaseFile {
    /// Reads a file of cases; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: see [`ConfigErrors`].
    pub fn read(file: &str, text: impl AsRef<[u8]>) -> Result<Self, ConfigErrors> {
        yaml::read_then(file, text.as_ref(), decode, |_, _, _| ()).map(|(file, ())| file)
    }
}

fn decode(root: &Node, problems: &mut Problems<'_>) -> Read<CaseFile> {
    let fields = Fields::open(root, Span::new(root.span.start, root.span.start), &FILE, problems)?;
    let hint = Some("`policy: lagan.yaml` names the policy, or the configuration, beside this file");
    let policy: Read<PathBuf> = fields
        .required("policy", hint, problems)
        .and_then(|(_, node)| path(node, problems));
    let registry = fields.optional("registry", |node| {
        parsed(node, "the name of a registry", problems)
    });
    let repository = fields.optional("repository", |node| repository(node, problems));
    let now = fields.optional("now", |node| times::now(node, problems));
    let capabilities = facts::capabilities(fields.entry("capabilities"), problems);
    let cases = fields.required("cases", None, problems);
    let defaults = Defaults {
        registry: registry?,
        repository: repository?,
        now: now?,
        capabilities: capabilities?,
    };
    let mut names: HashMap<String, usize> = HashMap::new();
    let cases = all(sequence(&cases?.1, "a list of cases", problems)?, |node| {
        case(node, &defaults, &mut names, problems)
    });
    Ok(CaseFile {
        policy: policy?,
        cases: cases?,
    })
}

fn repository(node: &Node, problems: &mut Problems<'_>) -> Read<(RepositoryName, Span)> {
    Ok((parsed(node, "the name of a repository", problems)?, node.span))
}

fn case(
    node: &Node,
    defaults: &Defaults,
    names: &mut HashMap<String, usize>,
    problems: &mut Problems<'_>,
) -> Read<Case> {
    let fields = Fields::open(node, node.span, &CASE, problems)?;
    let name = fields
        .required("name", Some("a case is named after what it shows"), problems)
        .and_then(|(_, node)| {
            let name = label(node, "the name of a case", problems)?;
            let line = problems.line(node.span);
            match names.insert(name.to_owned(), line) {
                None => Ok(name.to_owned()),
                Some(first) => {
                    let message = format!("two cases are named {}, the first on line {first}", quoted(name));
                    Err(problems.report(node.span, message, None))
                }
            }
        });
    let registry = fields.optional("registry", |node| {
        parsed(node, "the name of a registry", problems)
    });
    let own = fields.optional("repository", |node| repository(node, problems));
    let repository = own.and_then(|own| {
        own.or_else(|| defaults.repository.clone()).ok_or_else(|| {
            fields.misspelled("repository").unwrap_or_else(|| {
                let hint = "`repository: team/app`, here or for all cases of the file".to_owned();
                problems.report(node.span, "a case needs `repository`", Some(hint))
            })
        })
    });
    let given = match fields.get("now") {
        Some(node) => times::now(node, problems).map(Some),
        None => Ok(defaults.now),
    };
    let capabilities = match fields.entry("capabilities") {
        None => Ok(defaults.capabilities),
        entry => facts::capabilities(entry, problems),
    };
    let expectations = fields
        .required(
            "expect",
            Some("`expect: {keep: [1.0.0], delete: [1.0.0-rc.1]}`"),
            problems,
        )
        .and_then(|entry| expected::decode(entry, problems));
    let given = given?;
    let clock = Clock {
        now: given.unwrap_or_else(|| NOON.parse().unwrap_or_default()),
        given: given.is_some(),
    };
    let named: Vec<Tag> = expectations.as_ref().map_or_else(
        |_| Vec::new(),
        |expectations| {
            expectations
                .tags
                .iter()
                .map(|(expected, _)| expected.tag.clone())
                .collect()
        },
    );
    let inventory = Inventory::read(
        fields.get("tags"),
        fields.get("artifacts"),
        &named,
        clock,
        problems,
    );
    let from = replay(&fields, given, problems);
    let (inventory, expectations, from) = (inventory?, expectations?, from?);
    let unlisted = expectations.unlisted;
    let (expected, world) = if from.is_some() {
        // What is there, the plan tells when it is read.
        let expected = expectations.tags.into_iter().map(|(expected, _)| expected);
        (Ok(expected.collect()), Ok(World::default()))
    } else {
        (
            listed(&inventory, expectations, &fields, problems),
            inventory.into_world(capabilities?, problems),
        )
    };
    let (repository, place) = repository?;
    let message = format!(
        "no policy names {}: nothing in it would be decided",
        quoted(repository.as_str())
    );
    Ok(Case {
        name: name?,
        line: problems.line(node.span),
        registry: registry?.or_else(|| defaults.registry.clone()),
        repository,
        now: clock.now,
        from,
        world: world?,
        expected: expected?,
        unlisted,
        not_named: Box::new(problems.at(place, message, None)),
    })
}

/// The saved plan that a case replays.
fn replay(fields: &Fields<'_>, now: Option<Time>, problems: &mut Problems<'_>) -> Read<Option<Replay>> {
    let Some(plan) = fields.optional("from", |node| path(node, problems))? else {
        return Ok(None);
    };
    for key in ["tags", "artifacts", "capabilities"] {
        if let Some((key, _)) = fields.entry(key) {
            let message = format!("a case with `from` has no `{}`", key.text);
            let hint = "the saved plan tells what is there".to_owned();
            return Err(problems.report(key.span, message, Some(hint)));
        }
    }
    Ok(Some(Replay { plan, now }))
}

/// What is expected of every tag, those included that `expect` does not list.
fn listed(
    inventory: &Inventory,
    expectations: expected::Expectations,
    fields: &Fields<'_>,
    problems: &mut Problems<'_>,
) -> Read<Vec<Expected>> {
    let known = all(&expectations.tags, |(expected, span)| {
        if inventory.has_tag(&expected.tag) {
            return Ok(());
        }
        let message = format!("the case has no tag {}", quoted(expected.tag.as_str()));
        let hint = did_you_mean(
            expected.tag.as_str(),
            inventory.tags_in_order().map(lagan_model::Tag::as_str),
        );
        Err(problems.report(*span, message, hint))
    });
    let mut all_expected: Vec<Expected> = expectations
        .tags
        .into_iter()
        .map(|(expected, _)| expected)
        .collect();
    let others: Vec<Tag> = inventory
        .tags_in_order()
        .filter(|tag| all_expected.iter().all(|expected| expected.tag != **tag))
        .cloned()
        .collect();
    known?;
    match (expectations.unlisted, others.first()) {
        (Unlisted::Error, Some(other)) => {
            let message = format!("`expect` does not list {}", quoted(other.as_str()));
            let hint = "`unlisted: keep` expects that such tags stay".to_owned();
            let span = fields
                .entry("expect")
                .map_or(Span::new(0, 0), |(key, _)| key.span);
            return Err(problems.report(span, message, Some(hint)));
        }
        (Unlisted::Keep, Some(_)) => all_expected.extend(others.into_iter().map(Expected::stays)),
        _ => {}
    }
    Ok(all_expected)
}
