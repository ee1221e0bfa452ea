//! `lagan check`: a configuration, or policies in a file of their own, without a network.

use std::io::Write as _;
use std::path::Path;

use lagan_config::{Config, PolicyFile};
use lagan_policy::{Policy, PolicySet};
use lagan_report::number::count;
use lagan_report::sanitize::harmless;

use crate::cli::CheckArgs;
use crate::commands::plan::clock_notes;
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
    let name = harmless(&shown);
    let mut out = Output::stdout();
    match Config::read(&shown, &text) {
        Ok(config) => of_config(&mut out, &name, &config)?,
        Err(errors) => match PolicyFile::read(&shown, &text, settings::policy_name(&path)) {
            Ok(file) => of_policy_file(&mut out, &name, file)?,
            Err(others) if is_policy_body(&text) => return Err(others.into()),
            Err(_) => return Err(errors.into()),
        },
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// Whether a text that is neither was meant to be one policy: it has a key that a policy must have, and that a
/// configuration cannot have.
fn is_policy_body(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(b"rules:") || line.starts_with(b"repositories:"))
}

fn of_config(out: &mut Output, name: &str, config: &Config) -> Result<(), Failure> {
    let policies = config
        .registries
        .iter()
        .map(|registry| registry.policies.policies.len())
        .sum::<usize>();
    writeln!(
        out,
        "{name}: {} and {}, no errors",
        count(config.registries.len() as u64, "registry", "registries"),
        count(policies as u64, "policy", "policies"),
    )?;
    for registry in &config.registries {
        clocks(
            out,
            &format!("policies for {}", registry.name),
            &registry.policies,
        )?;
        if registry.policies.policies.is_empty() {
            writeln!(
                out,
                "warning: no policy is for {}: nothing in it would be deleted",
                registry.name
            )?;
        }
    }
    Ok(())
}

fn of_policy_file(out: &mut Output, name: &str, file: PolicyFile) -> Result<(), Failure> {
    let policies: Vec<Policy> = file.policies.into_iter().map(|entry| entry.policy).collect();
    writeln!(
        out,
        "{name}: {} for `--policy-file`, no errors",
        count(policies.len() as u64, "policy", "policies")
    )?;
    clocks(
        out,
        "its policies",
        &PolicySet {
            policies,
            versions: file.versions,
        },
    )
}

fn clocks(out: &mut Output, whose: &str, policies: &PolicySet) -> Result<(), Failure> {
    for note in clock_notes(policies).into_iter().filter(|note| !note.known) {
        let why = note.why.unwrap_or_default();
        writeln!(
            out,
            "warning: {whose} read the clock `{}`: {why}. All that their rules select is kept",
            note.clock,
        )?;
    }
    Ok(())
}
