//! A plan as a document, written as a stream.
//!
//! What the guards refuse and what was requested is known only when the last repository is decided, and yet it
//! belongs in front. So the repositories are written first, one by one, to where they can wait (a temporary
//! file); then the head goes to its destination, the waiting body after it, and the foot behind. A writer keeps
//! no repository: its memory does not grow with the registry.

use std::io::{self, Write};

use lagan_model::{Capabilities, RegistryIdentity, RequestCounts, Time};
use lagan_policy::{Clock, GuardReport, Mode, PolicyName, RepositoryPlan, Totals};
use serde::{Deserialize, Serialize};

use crate::pass::PassNote;

mod csv;
mod decision;
mod group;
mod html;
pub(crate) mod json;
pub(crate) mod markdown;
mod ndjson;
mod seen;
mod summary;
mod text;

pub(crate) use self::csv::inert;
pub use self::summary::{advice, refusal};
pub use group::{GroupBy, Part};

#[cfg(test)]
mod tests;

/// What stands in front of the repositories.
#[derive(Debug, Clone)]
pub struct PlanHead {
    /// The plan's own identifier, a ULID.
    pub id: String,
    /// When the plan was made.
    pub created: Time,
    /// The time that decisions used.
    pub now: Time,
    /// The registry.
    pub registry: RegistryIdentity,
    /// The policies that were evaluated, in the order of the document.
    pub policies: Vec<PolicyNote>,
    /// The clocks that rules read.
    pub clocks: Vec<ClockNote>,
    /// What the limits say.
    pub guards: Vec<GuardReport>,
    /// What the registry was seen to offer.
    pub capabilities: Capabilities,
    /// Whether it was to be asked what it can delete.
    pub probed: bool,
    /// What was left out, where not everything was looked at.
    pub pass: Option<PassNote>,
}

/// A policy, as a plan names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyNote {
    /// Its name.
    pub name: PolicyName,
    /// The SHA-256 of its native form, 64 hexadecimal digits.
    pub sha256: String,
    /// Whether it may delete.
    pub mode: Mode,
}

/// A clock that some rule reads, and whether this registry has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockNote {
    /// The clock.
    pub clock: Clock,
    /// Whether its times are known. Where they are not, all that its rules select is kept.
    pub known: bool,
    /// Why they are not known, or what is special about them.
    pub why: Option<String>,
}

/// What stands behind the repositories.
#[derive(Debug, Clone)]
pub struct PlanFoot {
    /// The sums.
    pub totals: Totals,
    /// The requests that the plan took.
    pub requests: RequestCounts,
}

/// What a reader can choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether the tags that stay are written, with their reasons.
    pub all: bool,
    /// Whether text is coloured; other formats never are.
    pub colour: bool,
}

/// The formats of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// One document, `lagan.plan/v1`.
    Json,
    /// The elements of that document's `repositories`, one a line, and nothing else.
    Ndjson,
    /// For a pull request, an issue or a wiki.
    Markdown,
    /// For a spreadsheet: one tag a row.
    Csv,
    /// One file for a browser.
    Html,
}

impl PlanFormat {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::Text,
        Self::Json,
        Self::Ndjson,
        Self::Markdown,
        Self::Csv,
        Self::Html,
    ];

    /// As `--format` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Html => "html",
        }
    }

    /// A writer for one plan.
    #[must_use]
    pub fn writer(self, options: PlanOptions) -> Box<dyn PlanWriter> {
        match self {
            Self::Text => Box::new(text::Text::new(options)),
            Self::Json => Box::new(json::Json::new(options)),
            Self::Ndjson => Box::new(ndjson::Ndjson::new(options)),
            Self::Markdown => Box::new(markdown::Markdown::new(options)),
            Self::Csv => Box::new(csv::Csv::new(options)),
            Self::Html => Box::new(html::Html::new(options)),
        }
    }
}

/// Writes one plan in one format.
///
/// First [`repository`](Self::repository) for each repository, in the order of their names; then
/// [`head`](Self::head) and [`foot`](Self::foot), once each. The document is head, repositories, foot.
///
/// Every method fails only where its writer does.
pub trait PlanWriter: Send {
    /// Writes a repository.
    fn repository(&mut self, out: &mut dyn Write, plan: &RepositoryPlan) -> io::Result<()> {
        self.see(plan);
        self.section(out, plan, None)
    }

    /// Counts a repository that is then written in parts.
    fn see(&mut self, plan: &RepositoryPlan);

    /// Writes a repository, or what of it belongs to a group.
    fn section(
        &mut self,
        out: &mut dyn Write,
        plan: &RepositoryPlan,
        group: Option<Part<'_>>,
    ) -> io::Result<()>;

    /// Whether it can write repositories in parts; before any is written.
    fn grouped(&mut self) -> bool {
        false
    }

    /// Writes what stands before the parts of a group.
    fn group(&self, _out: &mut dyn Write, _title: &str) -> io::Result<()> {
        Ok(())
    }

    /// Writes what stands behind them.
    fn group_end(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Writes what belongs in front of the repositories; some formats have their sums there.
    fn head(&self, out: &mut dyn Write, head: &PlanHead, foot: &PlanFoot) -> io::Result<()>;

    /// Writes what belongs behind them. Formats for people say here, at the end, what the head holds and must
    /// not be missed.
    fn foot(&self, out: &mut dyn Write, head: &PlanHead, foot: &PlanFoot) -> io::Result<()>;
}
