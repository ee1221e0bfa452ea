//! `lagan policy test`: cases that say what a policy is to do, decided and compared.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use lagan_config::{Case, CaseFile, Config, Expected, Mismatch, Outcome, PolicyFile, Replay};
use lagan_engine::replay;
use lagan_model::RegistryName;
use lagan_policy::{PolicySet, Verdict};
use lagan_report::number::count;
use lagan_report::sanitize::harmless;
use lagan_report::wording::{kind, phrase, short};

use crate::cli::PolicyTestArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::saved;
use crate::settings;

pub(crate) fn run(arguments: &PolicyTestArgs) -> Result<Exit, Failure> {
    // Every file is read before the first is decided: what is wrong with any of them is said alone.
    let files: Vec<Ready> = arguments
        .files
        .iter()
        .map(|path| Ready::read(path))
        .collect::<Result<_, _>>()?;
    let mut outcomes = Vec::new();
    for file in &files {
        for case in &file.cases {
            let policies = file.policies(case)?;
            let outcome = match &case.from {
                None => case.run(&policies)?,
                Some(replay) => file.replay(case, replay, &policies)?,
            };
            outcomes.push((file, case, outcome));
        }
    }
    let mut out = Output::stdout();
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|(.., outcome)| !outcome.mismatches.is_empty())
        .collect();
    for (file, case, outcome) in &outcomes {
        if outcome.mismatches.is_empty() {
            writeln!(out, "ok    {}", title(file, case))?;
        } else {
            writeln!(out, "FAIL  {}", title(file, case))?;
            for mismatch in &outcome.mismatches {
                write_mismatch(&mut out, mismatch, outcome)?;
            }
        }
    }
    let cases = count(outcomes.len() as u64, "case", "cases");
    match failed.len() {
        0 => writeln!(out, "\n{cases}, all as expected")?,
        failed => writeln!(out, "\n{cases}, {failed} not as expected")?,
    }
    out.finish()?;
    Ok(if failed.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

fn title(file: &Ready, case: &Case) -> String {
    format!(
        "{}:{}: {}  ({})",
        harmless(&file.shown),
        case.line,
        harmless(&case.name),
        case.repository
    )
}

/// As in a diff: what should have been, and what was decided instead, with every reason.
fn write_mismatch(out: &mut Output, mismatch: &Mismatch, outcome: &Outcome) -> std::io::Result<()> {
    let Mismatch { expected, decision } = mismatch;
    writeln!(out, "  {}", expected.tag)?;
    writeln!(out, "    - {}{}", fate(expected.verdict), because(expected))?;
    writeln!(out, "    + {}", fate(decision.verdict))?;
    for reason in &decision.reasons {
        let mut words = phrase(reason);
        for (digest, name) in &outcome.names {
            words = words.replace(&short(digest), &format!("\"{}\"", harmless(name)));
        }
        writeln!(out, "        {}: {words}", kind(reason))?;
    }
    Ok(())
}

fn because(expected: &Expected) -> String {
    if !expected.listed {
        return ": `expect` does not list it".to_owned();
    }
    let reasons: Vec<String> = expected
        .because
        .iter()
        .map(|reason| match (&reason.kind, &reason.rule) {
            (Some(kind), None) => kind.clone(),
            (kind, Some(rule)) => format!(
                "{} of rule \"{}\"",
                kind.as_deref().unwrap_or("any reason"),
                harmless(rule)
            ),
            (None, None) => String::new(),
        })
        .collect();
    if reasons.is_empty() {
        String::new()
    } else {
        format!(": {}", reasons.join(", and "))
    }
}

fn fate(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Keep => "keep",
        Verdict::Delete => "delete",
        Verdict::Untag => "untag",
    }
}

/// A file of cases with the policies that it is about.
struct Ready {
    shown: String,
    /// What paths in it are relative to.
    folder: PathBuf,
    cases: Vec<Case>,
    policy: String,
    subject: Subject,
}

enum Subject {
    Configuration(Box<Config>),
    Policies(PolicyFile),
}

impl Ready {
    fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let file = CaseFile::read(&shown, settings::read(path, "the cases")?)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let policy = folder.join(&file.policy);
        let text = settings::read(&policy, "the policy")?;
        let name = policy.display().to_string();
        let subject = match Config::read(&name, &text) {
            Ok(config) => Subject::Configuration(Box::new(config)),
            Err(errors) => match PolicyFile::read(&name, &text, settings::policy_name(&policy)) {
                Ok(file) => Subject::Policies(file),
                Err(others) if settings::is_policy_body(&text) => return Err(others.into()),
                Err(_) => return Err(errors.into()),
            },
        };
        Ok(Self {
            shown,
            folder,
            cases: file.cases,
            policy: name,
            subject,
        })
    }

    /// The policies that decide a case.
    fn policies(&self, case: &Case) -> Result<PolicySet, Failure> {
        match (&self.subject, &case.registry) {
            (Subject::Policies(file), Some(name)) => Ok(file.for_registry(name)),
            (Subject::Policies(file), None) => Ok(PolicySet {
                policies: file.policies.iter().map(|entry| entry.policy.clone()).collect(),
                versions: file.versions.clone(),
            }),
            (Subject::Configuration(config), name) => self.of_registry(config, case, name.as_ref()),
        }
    }

    /// Decides about what a saved plan saw.
    fn replay(&self, case: &Case, from: &Replay, policies: &PolicySet) -> Result<Outcome, Failure> {
        let path = self.folder.join(&from.plan);
        let mut plan = saved::open(&path)?;
        let now = from.now.unwrap_or(plan.head().now);
        let of_repository = policies
            .of_repository(&case.repository, &|_| true)
            .ok_or_else(|| case.not_named())?;
        let found = saved::repository(&path, &mut plan, &case.repository)?;
        let place = || format!("{}:{}", self.shown, case.line);
        if let Some(why) = found.plan.incomplete {
            let message = format!(
                "{}: nothing was decided about {} in the plan {}: {}",
                place(),
                case.repository,
                path.display(),
                why.why
            );
            return Err(Failure::usage(message));
        }
        let Some(seen) = found.seen else {
            let message = format!(
                "{}: {} had no tags when the plan {} was made",
                place(),
                case.repository,
                path.display()
            );
            return Err(Failure::usage(message));
        };
        let inspection = replay(&of_repository, seen, now, saved::DEPTH).map_err(|error| {
            let context = format!("{}: the plan {} does not suffice", place(), path.display());
            Failure::new(Exit::Usage, anyhow::Error::new(error).context(context))
                .with_hint("plan again with this policy: `lagan plan --save`")
        })?;
        Ok(case.compare(&inspection.seen.snapshot, &inspection.decisions)?)
    }

    fn of_registry(
        &self,
        config: &Config,
        case: &Case,
        name: Option<&RegistryName>,
    ) -> Result<PolicySet, Failure> {
        let found = match (name, config.registries.as_slice()) {
            (Some(name), _) => config.registry(name),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        if let Some(registry) = found {
            return Ok(registry.policies.clone());
        }
        let names: Vec<&str> = config
            .registries
            .iter()
            .map(|registry| registry.name.as_str())
            .collect();
        let what = match name {
            Some(name) => format!("{} has no registry named {:?}", self.policy, name.to_string()),
            None => format!("{} has several registries, or none", self.policy),
        };
        let message = format!("{}:{}: {what}", self.shown, case.line);
        Err(Failure::usage(message).with_hint(format!("name it with `registry`: {}", names.join(", "))))
    }
}
