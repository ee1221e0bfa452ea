//! `lagan check`: a configuration, or policies in a file of their own, without a network.

use std::io::Write as _;
use std::path::Path;

use chrono::Utc;
use lagan_config::{CheckOptions, Config, Finding, Notice, PolicyFile, SeenPlan, Severity};
use lagan_report::number::count;
use lagan_report::sanitize::harmless;

use crate::cli::CheckArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::settings;

pub(crate) fn run(config: Option<&Path>, arguments: &CheckArgs) -> Result<Exit, Failure> {
    let Some(path) = settings::config_path(arguments.file.as_deref().or(config)) else {
        return Err(Failure::usage("no configuration was found")
            .with_hint("name it, as in `lagan check lagan.yaml`, or write ./lagan.yaml"));
    };
    let text = settings::read(&path, "the configuration")?;
    let shown = path.display().to_string();
    let seen = arguments.against.as_deref().map(seen_plan).transpose()?;
    let options = CheckOptions {
        now: Utc::now(),
        against: seen.as_ref(),
    };
    let (what, notices, mut findings) = match Config::check(&shown, &text, &options) {
        Ok(checked) => {
            if let Some(seen) = &seen {
                of_a_registry(&checked.value, seen)?;
            }
            (of_config(&checked.value), Vec::new(), checked.findings)
        }
        Err(errors) => match PolicyFile::check(&shown, &text, settings::policy_name(&path), &options) {
            Ok(checked) => {
                let what = of_policy_file(&checked.value);
                (what, checked.value.notices, checked.findings)
            }
            Err(others) if settings::is_policy_body(&text) => return Err(others.into()),
            Err(_) => return Err(errors.into()),
        },
    };
    findings.retain(|finding| {
        !arguments
            .allow
            .iter()
            .any(|allowed| allowed == finding.lint.code())
    });
    let warnings = findings
        .iter()
        .filter(|finding| finding.lint.severity() == Severity::Warning)
        .count();
    write(&shown, &what, &notices, &findings)?;
    Ok(if arguments.strict && warnings > 0 {
        Exit::Partial
    } else {
        Exit::Done
    })
}

fn write(name: &str, what: &str, notices: &[Notice], findings: &[Finding]) -> Result<(), Failure> {
    let mut out = Output::stdout();
    let of = |severity| {
        let found = findings
            .iter()
            .filter(|finding| finding.lint.severity() == severity);
        found.count() as u64
    };
    let found = [
        (of(Severity::Warning), "warning", "warnings"),
        (of(Severity::Note), "note", "notes"),
    ];
    write!(out, "{}: {what}, no errors", harmless(name))?;
    for (number, one, many) in found.into_iter().filter(|(number, ..)| *number > 0) {
        write!(out, ", {}", count(number, one, many))?;
    }
    writeln!(out)?;
    for notice in notices {
        // Notices escape what they show.
        writeln!(out, "{notice}")?;
    }
    for finding in findings {
        // Places, lines and hints escape what they show.
        write!(out, "\n{finding}")?;
    }
    out.finish()?;
    Ok(())
}

fn seen_plan(path: &Path) -> Result<SeenPlan, Failure> {
    let text = settings::read(path, "the plan")?;
    SeenPlan::read(&text).map_err(|error| {
        let context =
            anyhow::Error::new(error).context(format!("failed to read the plan {}", path.display()));
        Failure::new(Exit::Usage, context)
            .with_hint("`lagan plan --all --format json --out plan.json` writes one")
    })
}

/// A plan of a registry that is not configured would be silent about everything.
fn of_a_registry(config: &Config, seen: &SeenPlan) -> Result<(), Failure> {
    let known = config
        .registries
        .iter()
        .any(|registry| seen.is_of(registry.name.as_str(), &registry.url));
    if known {
        return Ok(());
    }
    let message = format!(
        "the plan is of {:?}, which is no registry of this configuration",
        seen.registry()
    );
    Err(Failure::usage(message))
}

fn of_config(config: &Config) -> String {
    let policies = config
        .registries
        .iter()
        .map(|registry| registry.policies.policies.len())
        .sum::<usize>();
    format!(
        "{} and {}",
        count(config.registries.len() as u64, "registry", "registries"),
        count(policies as u64, "policy", "policies"),
    )
}

fn of_policy_file(file: &PolicyFile) -> String {
    format!(
        "{} for `--policy-file`",
        count(file.policies.len() as u64, "policy", "policies")
    )
}
