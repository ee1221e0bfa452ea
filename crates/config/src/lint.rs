//! What a configuration that can be read will still not do as it seems to say.
//!
//! A finding that says *never*, *nothing* or *both* is proven: over the regular sets of [`language`], or by how
//! rules are decided. What cannot be proven is not said. Each lint says in [`Lint::proves`] what its findings rest on.

mod against;
pub(crate) mod language;
mod limits;
mod overlap;
mod place;
mod protections;
mod rules;
pub(crate) mod selection;

use std::fmt;
use std::sync::OnceLock;

use lagan_model::{RegistryKind, Time};
use lagan_policy::{Policy, PolicySet, VersionTable};

pub use self::against::{SeenPlan, SeenPlanError};
use self::place::Path;
use self::selection::{Proofs, Repositories, Selection};
use crate::document::config::Config;
use crate::document::policy_file::PolicyFile;
use crate::error::{ConfigError, Problems};
use crate::source::quoted;
use crate::tree::Node;

macro_rules! lints {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $proves:literal;)*) => {
        /// What a finding is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Lint {
            $($(#[$doc])* $name,)*
        }

        impl Lint {
            /// Every lint.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, behind each of its findings in brackets.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// How much it matters.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// What its findings rest on, as a sentence.
            #[must_use]
            pub fn proves(self) -> &'static str {
                match self {
                    $(Self::$name => $proves,)*
                }
            }
        }
    };
}

lints! {
    /// A rule that selects nothing.
    NeverSelects = "never-selects", Warning,
        "No tag that a registry can hold meets all conditions of the rule.";
    /// A rule that keeps all that it selects, without saying `keep: all`.
    NeverDeletes = "never-deletes", Warning,
        "A line of `keep` needs a version, or a part of one, that no tag which the rule can select has; such tags are kept.";
    /// A rule that something else keeps everything from.
    Overruled = "overruled", Warning,
        "Whatever the rule can select, a protection without an end or a rule with `keep: all` keeps, in every repository that its policy names.";
    /// A rule that changes nothing.
    WithoutEffect = "without-effect", Warning,
        "Another rule of the policy selects the same and keeps at least as much: without this rule, every decision is the same.";
    /// An expression that was probably meant to be found inside a tag.
    Unanchored = "unanchored", Warning,
        "The expression has no anchor, matches no full version, and would be found in one: expressions must match the whole tag.";
    /// A protection that protects nothing.
    ProtectsNothing = "protects-nothing", Warning,
        "The entry's last day has passed, or no tag that a registry can hold matches it.";
    /// A clock that the registry does not have.
    ClockNotRecorded = "clock-not-recorded", Warning,
        "The kind of registry does not record the clock; what a clock does not know is kept.";
    /// A condition that the registry cannot answer.
    NotServed = "not-served", Warning,
        "The kind of registry does not tell what the condition asks for; such a rule selects nothing.";
    /// A limit that cannot be met, or that contradicts a rule.
    ContradictoryLimits = "contradictory-limits", Warning,
        "The limit refuses every plan that deletes, or holds back a repository in which a rule leaves no more than it says.";
    /// A limit that a stricter one always replaces.
    LimitOverruled = "limit-overruled", Warning,
        "Another policy names every repository that this one names, and its limit is stricter: the strictest holds.";
    /// A registry without a policy.
    NoPolicy = "no-policy", Warning,
        "No policy is for the registry: nothing in it would be deleted.";
    /// A webhook that nobody could call.
    WebhookUnheard = "webhook-unheard", Warning,
        "The registry has a `webhook`, and there is no `admin.listen`: it reaches the daemon only where that is started with `--listen`.";
    /// A glob that matches no repository of a plan.
    MatchesNoRepository = "matches-no-repository", Warning,
        "The glob matches none of the repositories in the plan that was given.";
    /// A rule that selects no tag of a plan.
    SelectedNothing = "selected-nothing", Warning,
        "The plan that was given lists every tag, and the rule's conditions on names hold for none.";
    /// A `last` that no repository of a plan reaches.
    LastNeverReached = "last-never-reached", Note,
        "No repository of the plan that was given has more tags that the rule could select than `last` keeps.";
    /// Policies that name the same repository.
    Overlap = "overlap", Note,
        "There is a name of a repository, or one in the plan that was given, that the policies all name.";
    /// A limit of a whole run that holds only where its policy runs alone.
    RunLimitOverruled = "run-limit-overruled", Note,
        "`max_deletions` is about a whole run: of all policies that are asked for, the strictest holds.";
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document does not do what it seems to say.
    Warning,
    /// What is worth knowing, and may be meant.
    Note,
}

impl Severity {
    /// The word that a finding begins with.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One finding, with its place. Its text is laid out as that of a [`ConfigError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub lint: Lint,
    /// Where, what, and perhaps what to do.
    pub place: ConfigError,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = format!(" [{}]", self.lint.code());
        self.place.write_as(f, self.lint.severity().as_str(), &code)
    }
}

/// What lints depend on besides the document.
#[derive(Debug, Clone, Copy)]
pub struct CheckOptions<'a> {
    /// The time by which protections end.
    pub now: Time,
    /// A plan that tells which repositories and tags there are.
    pub against: Option<&'a SeenPlan>,
}

/// A document that could be read, and what was found in it, in the order of its text.
#[derive(Debug, Clone)]
pub struct Checked<T> {
    /// What was read.
    pub value: T,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// The policies that are evaluated together, and the words by which they read tags.
struct Group<'a> {
    /// What the registry is configured as; `None` where that is found out, or nobody says which registry it is.
    kind: Option<RegistryKind>,
    versions: &'a VersionTable,
    policies: Vec<Placed<'a>>,
}

/// A policy, with its place and its sets.
struct Placed<'a> {
    policy: &'a Policy,
    path: Path,
    repositories: Repositories,
    /// One for each rule.
    selections: Vec<Selection<'a>>,
}

impl<'a> Placed<'a> {
    fn new(policy: &'a Policy, path: Path) -> Self {
        Self {
            policy,
            path,
            repositories: Repositories::of(&policy.repositories, &policy.exclude_repositories),
            selections: policy
                .rules
                .iter()
                .map(|rule| Selection::of(&rule.select))
                .collect(),
        }
    }

    fn rule_path(&self, rule: usize) -> Path {
        self.path.then("rules").then(rule)
    }
}

/// Where findings are collected.
struct Report<'a> {
    root: &'a Node,
    problems: &'a Problems<'a>,
    /// Whether there will be a ledger of earlier runs.
    ledger: bool,
    found: Vec<(usize, Finding)>,
}

impl Report<'_> {
    fn say(&mut self, lint: Lint, path: &Path, message: String, hint: Option<String>) {
        let span = path.span(self.root);
        let place = self.problems.at(span, message, hint);
        let finding = (span.start, Finding { lint, place });
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    fn finish(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|(at, finding)| (*at, finding.lint));
        self.found.into_iter().map(|(_, finding)| finding).collect()
    }
}

fn lint(group: &Group<'_>, options: &CheckOptions<'_>, report: &mut Report<'_>) {
    // Without these there are no proofs; their expressions are our own, and small.
    static PROOFS: OnceLock<Option<Proofs>> = OnceLock::new();
    let Some(proofs) = PROOFS.get_or_init(Proofs::new) else {
        return;
    };
    rules::lint(group, proofs, report);
    protections::lint(group, proofs, options.now, report);
    limits::lint(group, proofs, report);
    let seen = options.against;
    overlap::lint(group, proofs, seen, report);
    if let Some(seen) = seen {
        against::lint(group, seen, report);
    }
}

impl Config {
    /// Reads a configuration, and tells what it will not do as it seems to say.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn check(
        file: &str,
        text: impl AsRef<[u8]>,
        options: &CheckOptions<'_>,
    ) -> Result<Checked<Self>, crate::ConfigErrors> {
        Self::read_then(file, text.as_ref(), |config, root, problems| {
            let mut report = Report {
                root,
                problems,
                ledger: config.state_dir.is_some(),
                found: Vec::new(),
            };
            for registry in &config.registries {
                let set: &PolicySet = &registry.policies;
                let path = |policy: &Policy| Path::default().then("policies").then(&*policy.name.0);
                let group = Group {
                    kind: registry.kind,
                    versions: &set.versions,
                    policies: set
                        .policies
                        .iter()
                        .map(|policy| Placed::new(policy, path(policy)))
                        .collect(),
                };
                let name = registry.name.as_str();
                if group.policies.is_empty() {
                    let path = Path::default().then("registries").then(name);
                    let message = format!(
                        "no policy is for {}: nothing in it would be deleted",
                        quoted(name)
                    );
                    report.say(Lint::NoPolicy, &path, message, None);
                }
                if registry.webhook.is_some() && config.admin.listen.is_none() {
                    let path = Path::default().then("registries").then(name).then("webhook");
                    let message = format!(
                        "{} cannot tell the daemon what changes in it: the daemon listens nowhere but on its socket",
                        quoted(name)
                    );
                    let hint = "`admin: {listen: 0.0.0.0:8480}`, or `lagan daemon --listen`, lets it in; without, \
                                every run reads everything";
                    report.say(Lint::WebhookUnheard, &path, message, Some(hint.to_owned()));
                }
                let against = options.against.filter(|seen| seen.is_of(name, &registry.url));
                lint(&group, &CheckOptions { against, ..*options }, &mut report);
            }
            report.finish()
        })
        .map(|(value, findings)| Checked { value, findings })
    }
}

impl PolicyFile {
    /// Reads a file of policies, and tells what it will not do as it seems to say.
    ///
    /// # Errors
    ///
    /// As [`PolicyFile::read`].
    pub fn check(
        file: &str,
        text: impl AsRef<[u8]>,
        name: &str,
        options: &CheckOptions<'_>,
    ) -> Result<Checked<Self>, crate::ConfigErrors> {
        Self::read_then(file, text.as_ref(), name, |file, root, problems| {
            let mut report = Report {
                root,
                problems,
                ledger: false,
                found: Vec::new(),
            };
            let several = Path::default().then("policies");
            let path = |policy: &Policy| {
                if several.is_written(root) {
                    several.then(&*policy.name.0)
                } else {
                    Path::default()
                }
            };
            let mut registries: Vec<_> = file
                .policies
                .iter()
                .map(|entry| entry.registry.as_ref())
                .collect();
            registries.sort();
            registries.dedup();
            if registries.iter().any(Option::is_some) {
                registries.retain(Option::is_some);
            }
            for registry in registries {
                let ours = file
                    .policies
                    .iter()
                    .filter(|entry| entry.registry.is_none() || entry.registry.as_ref() == registry);
                let group = Group {
                    kind: None,
                    versions: &file.versions,
                    policies: ours
                        .map(|entry| Placed::new(&entry.policy, path(&entry.policy)))
                        .collect(),
                };
                let against = options
                    .against
                    .filter(|seen| registry.is_none_or(|name| seen.is_of(name.as_str(), "")));
                lint(&group, &CheckOptions { against, ..*options }, &mut report);
            }
            report.finish()
        })
        .map(|(value, findings)| Checked { value, findings })
    }
}
