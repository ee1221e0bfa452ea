//! A plan as a witness of what there is: `lagan.plan/v1`, as `lagan plan --format json` writes it.

use std::collections::BTreeMap;

use lagan_model::{RepositoryName, Tag};
use lagan_policy::{KeepLine, Select};
use serde::Deserialize;
use thiserror::Error;

use super::rules::is_about_tags;
use super::{Group, Lint, Placed, Report};
use crate::source::quoted;

const SCHEMA: &str = "lagan.plan/v1";

/// Why a plan cannot be read.
#[derive(Debug, Error)]
pub enum SeenPlanError {
    /// Not the document that it should be.
    #[error("it is no plan in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A document of another kind, or of a newer version.
    #[error("its schema is {0:?}, and not {SCHEMA:?}")]
    Schema(String),
}

/// The repositories of a plan, and their tags as far as it lists them.
#[derive(Debug, Clone)]
pub struct SeenPlan {
    registry: Registry,
    repositories: BTreeMap<RepositoryName, Repository>,
}

#[derive(Debug, Clone, Deserialize)]
struct Registry {
    name: String,
    url: String,
}

#[derive(Debug, Clone)]
struct Repository {
    /// How many tags there are at the most; `None` where that could not be read.
    total: Option<u64>,
    /// All of them, where the plan has those that stay.
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

#[derive(Deserialize)]
struct Document {
    registry: Registry,
    repositories: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    name: RepositoryName,
    complete: bool,
    tags_total: u64,
    actions: Vec<ActionTags>,
    kept: Option<Vec<OneTag>>,
}

#[derive(Deserialize)]
struct OneTag {
    tag: Tag,
}

/// The tags of an action of any kind.
#[derive(Deserialize)]
struct ActionTags {
    tag: Option<Tag>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    children: Vec<DependentTags>,
    #[serde(default)]
    attachments: Vec<DependentTags>,
}

#[derive(Deserialize)]
struct DependentTags {
    #[serde(default)]
    tags: Vec<Tag>,
}

impl SeenPlan {
    /// Reads a plan.
    ///
    /// # Errors
    ///
    /// When it is none, or one of a version that is not known here.
    pub fn read(text: &[u8]) -> Result<Self, SeenPlanError> {
        let head: Head = serde_json::from_slice(text)?;
        if head.schema != SCHEMA {
            return Err(SeenPlanError::Schema(head.schema));
        }
        let document: Document = serde_json::from_slice(text)?;
        let repositories = document.repositories.into_iter().map(|element| {
            let listed = |kept: Vec<OneTag>| -> Vec<Tag> {
                let gone = element.actions.into_iter().flat_map(|action| {
                    let dependents = action.children.into_iter().chain(action.attachments);
                    action
                        .tag
                        .into_iter()
                        .chain(action.tags)
                        .chain(dependents.flat_map(|dependent| dependent.tags))
                });
                kept.into_iter().map(|kept| kept.tag).chain(gone).collect()
            };
            let total = element.complete.then_some(element.tags_total);
            // Only a list that is as long as it should be is all of them.
            let tags = element
                .kept
                .map(listed)
                .filter(|tags| total == Some(tags.len() as u64));
            (element.name, Repository { total, tags })
        });
        Ok(Self {
            registry: document.registry,
            repositories: repositories.collect(),
        })
    }

    /// The registry that it is of, by name.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry.name
    }

    /// Whether it is of the registry with this name or URL.
    #[must_use]
    pub fn is_of(&self, name: &str, url: &str) -> bool {
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        self.registry.name == name || !url.is_empty() && plain(&self.registry.url) == plain(url)
    }

    pub(super) fn repositories(&self) -> impl Iterator<Item = &RepositoryName> {
        self.repositories.keys()
    }
}

pub(super) fn lint(group: &Group<'_>, seen: &SeenPlan, report: &mut Report<'_>) {
    for placed in &group.policies {
        globs(placed, seen, report);
        let named: Vec<&Repository> = seen
            .repositories
            .iter()
            .filter(|(name, _)| placed.policy.names(name))
            .map(|(_, repository)| repository)
            .collect();
        if named.is_empty() {
            continue;
        }
        for (position, rule) in placed.policy.rules.iter().enumerate() {
            if !is_about_tags(&rule.select) {
                continue;
            }
            let most = named.iter().map(|one| most(one, &rule.select, group)).try_fold(
                (0, true),
                |(most, listed), of_one| {
                    let (count, is_listed) = of_one?;
                    Some((count.max(most), listed && is_listed))
                },
            );
            // Of what could not be read, nothing is said.
            let Some((most, listed)) = most else { continue };
            if listed && most == 0 {
                let message = format!(
                    "rule {} selects none of the tags in the {} that its policy names in the plan",
                    quoted(&rule.name),
                    repositories(named.len())
                );
                let path = placed.rule_path(position).then("select");
                report.say(Lint::SelectedNothing, &path, message, None);
                continue;
            }
            for line in &rule.keep.lines {
                if let KeepLine::Last { count, .. } = line
                    && most > 0
                    && u64::from(*count) >= most
                {
                    let what = if listed {
                        "tags that the rule selects"
                    } else {
                        "tags"
                    };
                    let message = format!(
                        "rule {} keeps the last {count}, and no repository of the plan has more than {most} {what}",
                        quoted(&rule.name)
                    );
                    let path = placed.rule_path(position).then("keep").then("last");
                    report.say(Lint::LastNeverReached, &path, message, None);
                }
            }
        }
    }
}

fn globs(placed: &Placed<'_>, seen: &SeenPlan, report: &mut Report<'_>) {
    for (position, glob) in placed.policy.repositories.iter().enumerate() {
        if seen.repositories().any(|name| glob.matches(name)) {
            continue;
        }
        let path = placed.path.then("repositories").then(position);
        let message = format!(
            "{} matches no repository of the plan of {}, which has {}",
            quoted(glob.as_str()),
            quoted(seen.registry()),
            repositories(seen.repositories.len())
        );
        // A plan that was narrowed to some repositories has no others.
        let hint = if glob.as_str().contains('*') && !glob.as_str().contains("**") {
            Some("`*` stays within one path segment: `team/**` reaches all below team".to_owned())
        } else {
            None
        };
        report.say(Lint::MatchesNoRepository, &path, message, hint);
    }
}

fn repositories(count: usize) -> String {
    if count == 1 {
        "1 repository".to_owned()
    } else {
        format!("{count} repositories")
    }
}

/// How many tags a rule could select there at the most, and whether that was counted tag by tag.
fn most(repository: &Repository, select: &Select, group: &Group<'_>) -> Option<(u64, bool)> {
    // What the plan does not tell of a tag may be as the rule wants it.
    let by_name = Select {
        tags: select.tags.clone(),
        exclude: select.exclude.clone(),
        regex: select.regex.clone(),
        channel: select.channel,
        version: select.version.clone(),
        ..Select::default()
    };
    let tags = repository.tags.as_ref().filter(|_| !by_name.is_empty());
    let Some(tags) = tags else {
        return Some((repository.total?, false));
    };
    let selected = tags
        .iter()
        .filter(|tag| by_name.unmet(tag, &group.versions.read(tag)).is_none());
    Some((selected.count() as u64, true))
}
