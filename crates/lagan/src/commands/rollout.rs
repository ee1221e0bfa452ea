//! `lagan rollout`: how far policies have been rolled out, and having one begin anew.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use lagan_config::Config;
use lagan_model::Clock as _;
use lagan_policy::PolicyName;
use lagan_report::sanitize::harmless;
use lagan_state::Who;

use crate::auditing::Auditing;
use crate::cli::{RolloutCommand, RolloutRestartArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::rollout::{address, known, restart, said};
use crate::running::SystemClock;
use crate::{settings, state};

pub(crate) fn run(
    config: Option<&Path>,
    state_dir: Option<&Path>,
    command: &RolloutCommand,
) -> Result<Exit, Failure> {
    let config = settings::find_config(config)?.map(|(_, config)| config);
    let configured = config.as_ref().and_then(|config| config.state_dir.as_deref());
    let directory = state::directory(state_dir, configured)?;
    match command {
        RolloutCommand::Show => show(config.as_ref(), &directory),
        RolloutCommand::Restart(arguments) => begin_anew(config.as_ref(), &directory, arguments),
    }
}

fn show(config: Option<&Config>, directory: &Path) -> Result<Exit, Failure> {
    let Some(config) = config else {
        return Err(
            Failure::usage("no configuration was found, and so no policies are known")
                .with_hint("give --config FILE; a plan shows where a policy of `--policy-file` stands"),
        );
    };
    let mut out = Output::stdout();
    let all = known(directory, config, SystemClock.now());
    if all.is_empty() {
        writeln!(out, "no policy of the configuration is rolled out in stages")?;
    }
    for known in all {
        let deletions = known.standing.as_ref().map(|standing| {
            let record = &standing.record;
            record.fell_back.map_or(record.tally, |fell_back| fell_back.tally)
        });
        let deletions = deletions.filter(|tally| tally.tried() > 0).map(|tally| {
            format!(
                "; {} of {} deletions of the stage succeeded",
                tally.succeeded,
                tally.tried()
            )
        });
        writeln!(
            out,
            "{} on {}: {}{}",
            harmless(&known.policy),
            harmless(&known.registry),
            said(known.standing.as_ref()),
            deletions.unwrap_or_default()
        )?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn begin_anew(
    config: Option<&Config>,
    directory: &Path,
    arguments: &RolloutRestartArgs,
) -> Result<Exit, Failure> {
    let registries = registries(config, arguments.registry.as_deref())?;
    let policy = PolicyName::from(arguments.policy.as_str());
    // Held as long as it is written: no run works by what is being changed.
    let _journal = state::open(directory)?;
    let restarted = restart(directory, &registries, &policy)?;
    if restarted.registries.is_empty() && restarted.unreadable.is_empty() {
        return Err(Failure::usage(format!(
            "nothing is on record of a rollout of {:?}",
            arguments.policy
        ))
        .with_hint("`lagan rollout show` lists the policies that are rolled out in stages"));
    }
    Auditing::of(directory, Who::user()).restarts(&policy, &restarted)?;
    let mut out = Output::stdout();
    for registry in &restarted.registries {
        writeln!(
            out,
            "the rollout of {} on {} begins anew with its first stage",
            harmless(&arguments.policy),
            harmless(registry)
        )?;
    }
    for registry in &restarted.unreadable {
        writeln!(
            out,
            "the record of {} could not be read and was set aside: every rollout there begins anew with its first stage",
            harmless(registry)
        )?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// The addresses of the registry that is named, or of all of the configuration.
fn registries(config: Option<&Config>, named: Option<&str>) -> Result<BTreeSet<String>, Failure> {
    let configured = config.map_or(&[][..], |config| &config.registries);
    let of_url = |url: &str| {
        address(url).ok_or_else(|| Failure::usage(format!("{url:?} is no address of a registry")))
    };
    match named {
        Some(url) if url.contains("://") => Ok(BTreeSet::from([of_url(url)?])),
        Some(name) => {
            let found = configured.iter().find(|registry| registry.name.as_str() == name);
            let found = found.ok_or_else(|| {
                Failure::usage(format!("no registry of the configuration is named {name:?}"))
            })?;
            Ok(BTreeSet::from([of_url(&found.url)?]))
        }
        None if configured.is_empty() => Err(Failure::usage(
            "no registry is given, and no configuration was found",
        )
        .with_hint("give --registry http://localhost:5000")),
        None => configured.iter().map(|registry| of_url(&registry.url)).collect(),
    }
}
