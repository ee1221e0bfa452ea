//! Retention that was written for something else, in native form.
//!
//! Each converter reads one format, and makes policies of it, with a remark wherever the meaning differs. One rule is
//! above all: **the native form deletes nothing that the document would have kept.** Where the meaning has no native
//! form, more is kept, and a remark says so; nothing is dropped without one. Words that no documentation of the
//! format explains are errors: what they mean cannot be known.
//!
//! The tests hold each converter against a model of its vendor's documentation that shares no code with it.

use std::fmt;
use std::str::FromStr;

use lagan_model::RepositoryName;
use lagan_policy::VersionTable;

use crate::document::policy::PolicyEntry;
use crate::error::{ConfigErrors, Problems, Read};
use crate::notice::{Notice, NoticeKind};
use crate::print::commented_file;
use crate::tree::Node;
use crate::yaml;

mod artifact_registry;
pub(crate) mod dialect;
mod draft;
mod ecr;
pub(crate) mod glob;
mod harbor;
mod regex;
mod render;
mod shared;
mod zot;

use draft::Draft;
use shared::Attached;

/// A format that can be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The lifecycle-rule dialect.
    LifecycleRules,
    /// A retention policy of Harbor, as `GET /api/v2.0/retentions/{id}` answers it.
    Harbor,
    /// A lifecycle policy of Amazon ECR.
    Ecr,
    /// Cleanup policies of Google Artifact Registry.
    ArtifactRegistry,
    /// The configuration of zot, or the part of it that is about retention.
    Zot,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::LifecycleRules,
        Self::Harbor,
        Self::Ecr,
        Self::ArtifactRegistry,
        Self::Zot,
    ];

    /// As arguments write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LifecycleRules => "lifecycle-rules",
            Self::Harbor => "harbor",
            Self::Ecr => "ecr",
            Self::ArtifactRegistry => "artifact-registry",
            Self::Zot => "zot",
        }
    }

    /// What it is, as people call it.
    #[must_use]
    pub fn described(self) -> &'static str {
        match self {
            Self::LifecycleRules => "lifecycle rules",
            Self::Harbor => "a retention policy of Harbor",
            Self::Ecr => "a lifecycle policy of Amazon ECR",
            Self::ArtifactRegistry => "cleanup policies of Google Artifact Registry",
            Self::Zot => "retention of zot",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no format that can be converted"))
    }
}

/// A document in native form.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// What it was converted from.
    pub format: Format,
    /// The policies.
    pub policies: Vec<PolicyEntry>,
    /// The policies as a document for `--policy-file`, with every notice as a comment where it belongs.
    pub text: String,
    /// Where the meaning differs, and what else there is to know.
    pub notices: Vec<Notice>,
}

impl Conversion {
    /// Whether everything has a native form.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.notices
            .iter()
            .all(|notice| notice.kind != NoticeKind::NotExpressed)
    }
}

/// What a conversion is told besides the document.
#[derive(Debug, Clone, Copy)]
pub struct ConvertOptions<'a> {
    /// The format; `None` to tell it by the document.
    pub from: Option<Format>,
    /// What the policies are called.
    pub name: &'a str,
    /// What the document is attached to, where its format leaves that to the place it is stored in: a repository of
    /// ECR or Artifact Registry, a project of Harbor.
    pub attached_to: Option<&'a RepositoryName>,
}

/// Converts a document. `file` is what errors and notices call it.
///
/// # Errors
///
/// All that is wrong with it: see [`ConfigErrors`]. What is right and has no native form is no error but a notice.
pub fn convert(
    file: &str,
    text: impl AsRef<[u8]>,
    options: &ConvertOptions<'_>,
) -> Result<Conversion, ConfigErrors> {
    let (source, unreadable) = yaml::source(file, text.as_ref());
    let mut problems = Problems::new(&source);
    let read = match unreadable {
        Some((span, message)) => Err(problems.report(span, message, None)),
        None => yaml::read_all(&mut problems, source.text())
            .and_then(|documents| decode(&documents, options, &mut problems)),
    };
    let (format, draft) = problems.settle(read)?;
    let policies = draft.entries(options.name);
    let comments = render::comments(format, &draft, &source);
    Ok(Conversion {
        format,
        text: commented_file(&policies, &VersionTable::default(), &comments),
        policies,
        notices: draft.all_remarks().map(|remark| remark.notice(&source)).collect(),
    })
}

fn decode(
    documents: &[Node],
    options: &ConvertOptions<'_>,
    problems: &mut Problems<'_>,
) -> Read<(Format, Draft)> {
    let first = &documents[0];
    let format = match options.from {
        Some(format) => format,
        None => match detect(first) {
            Some(format) => format,
            None => {
                let native = first.get("repositories").is_some() || first.get("policies").is_some();
                let (message, hint) = if native {
                    (
                        "this is a policy file already",
                        "`lagan check FILE` reads it".to_owned(),
                    )
                } else {
                    let known = Format::ALL.map(Format::as_str).join(", ");
                    (
                        "this is no format that is known here",
                        format!("name it, if it is: --from {known}"),
                    )
                };
                return Err(problems.report(first.start(), message, Some(hint)));
            }
        },
    };
    if let (Some(second), true) = (documents.get(1), format != Format::LifecycleRules) {
        return Err(yaml::one_document(second, problems));
    }
    let attached = Attached::new(format, options.attached_to);
    let draft = match format {
        Format::LifecycleRules => dialect::decode(documents, options.name, problems),
        Format::Harbor => harbor::decode(first, &attached, problems),
        Format::Ecr => ecr::decode(first, &attached, problems),
        Format::ArtifactRegistry => artifact_registry::decode(first, &attached, problems),
        Format::Zot => zot::decode(first, problems),
    }?;
    Ok((format, draft))
}

/// The format that a document shows by its keys.
pub(crate) fn detect(root: &Node) -> Option<Format> {
    let any = |items: &[Node], keys: &[&str]| {
        items
            .iter()
            .any(|item| keys.iter().any(|key| item.get(key).is_some()))
    };
    if any(root.items(), &["condition", "mostRecentVersions"]) || root.get("cleanupPolicies").is_some() {
        return Some(Format::ArtifactRegistry);
    }
    if root.get("lifecyclePolicyText").is_some() {
        return Some(Format::Ecr);
    }
    let storage = root.get("storage").unwrap_or(root);
    let policies = root.get("policies").map_or(&[][..], Node::items);
    if storage.get("retention").is_some() || any(policies, &["repositories", "repoNames", "keepTags"]) {
        return Some(Format::Zot);
    }
    let rules = root.get("rules")?.items();
    if any(rules, &["selection", "rulePriority"]) {
        Some(Format::Ecr)
    } else if any(rules, &["template", "params"]) || root.get("algorithm").is_some() {
        Some(Format::Harbor)
    } else {
        dialect::mark(root).map(|_| Format::LifecycleRules)
    }
}
