//! `lagan doctor`: whether a registry is ready for what it is to be used for. Only GET and HEAD are sent, and with
//! `--probe` two deletions of what does not exist.

mod collections;
mod front;
mod harbor;
mod oci;
mod purpose;
mod rules;

use std::io::Write as _;
use std::path::Path;

use chrono::SubsecRound as _;
use lagan_model::{Failure as Why, RegistryError, RegistryRead as _, RequestCounts};
use lagan_policy::{Mode, PolicySet, RepositoryPattern};
use lagan_registry::{ConnectError, Connected};
use lagan_report::doctor::{Checkup, Finding, Level};

use crate::cli::{Colour, DoctorArgs, DoctorFormat};
use crate::exit::{Exit, Failure};
use crate::output::{Output, is_coloured};
use crate::{settings, sources};

use self::purpose::Purposes;

/// What the registry is to be used for.
struct Patient {
    settings: lagan_registry::Settings,
    kind: Option<lagan_model::RegistryKind>,
    policies: PolicySet,
    /// Where given, nothing else is looked at.
    only: Vec<RepositoryPattern>,
    purposes: Purposes,
    probe: bool,
    /// Whether a file lists the repositories in the place of a catalog.
    is_listed: bool,
}

impl Patient {
    /// Whether somebody asks for something below the first segment of a name. Without policies, everything is.
    fn wants(&self, segment: &str) -> bool {
        let below = |pattern: &RepositoryPattern| pattern.may_match_below(segment);
        let policies = &self.policies.policies;
        let named = policies.is_empty() || policies.iter().flat_map(|policy| &policy.repositories).any(below);
        named && (self.only.is_empty() || self.only.iter().any(below))
    }

    /// The first segments that are named outright, whether they are there or not, sorted.
    fn named(&self) -> Vec<String> {
        let policies = self.policies.policies.iter();
        let patterns = policies.flat_map(|policy| &policy.repositories).chain(&self.only);
        let mut named = sources::first_segments(patterns);
        named.retain(|first| self.wants(first));
        named
    }

    /// Whether every pattern names its project outright.
    fn is_literal(&self) -> bool {
        let policies = self.policies.policies.iter();
        let mut patterns: Vec<_> = policies.flat_map(|policy| &policy.repositories).collect();
        if patterns.is_empty() {
            patterns.extend(&self.only);
        }
        let plain =
            |pattern: &&RepositoryPattern| !sources::first_segments([*pattern].into_iter()).is_empty();
        !patterns.is_empty() && patterns.iter().all(plain)
    }
}

pub(crate) fn run(config: Option<&Path>, colour: Colour, arguments: &DoctorArgs) -> Result<Exit, Failure> {
    let only = sources::globs(&arguments.repositories)?;
    let config = settings::find_config(config)?;
    let config = config.as_ref().map(|(_, config)| config);
    let (settings, configured) = sources::registry(config, &arguments.connect)?;
    let policies = configured.map_or_else(PolicySet::default, |registry| registry.policies.clone());
    let is_enforced = policies
        .policies
        .iter()
        .any(|policy| policy.mode == Mode::Enforce);
    let patient = Patient {
        purposes: Purposes::new(
            &arguments.purposes,
            is_enforced,
            configured.is_some_and(|registry| registry.collect_garbage.is_some()),
        ),
        kind: configured.and_then(|registry| registry.kind),
        probe: arguments.probe || configured.is_some_and(|registry| registry.probe),
        is_listed: configured.is_some_and(|registry| registry.repositories_file.is_some()),
        settings,
        policies,
        only,
    };
    let mut out = Output::open(arguments.out.as_deref())?;
    if arguments.print_robot {
        let payload = super::block_on(robot(&patient))?;
        serde_json::to_writer_pretty(&mut out, &payload).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
        out.finish()?;
        return Ok(Exit::Done);
    }
    let checkup = super::block_on(examine(&patient))?;
    match arguments.format {
        DoctorFormat::Text => checkup.write_text(&mut out, is_coloured(colour, arguments.out.as_deref()))?,
        DoctorFormat::Json => checkup.write_json(&mut out)?,
    }
    out.finish()?;
    Ok(match checkup.worst() {
        None => Exit::Done,
        Some(Level::Failed) => Exit::Unexpected,
        Some(_) => Exit::Partial,
    })
}

async fn examine(patient: &Patient) -> Result<Checkup, Failure> {
    let mut checkup = Checkup {
        name: patient.settings.name.to_string(),
        url: patient.settings.url.as_str().to_owned(),
        kind: None,
        checked: chrono::Utc::now().trunc_subsecs(0),
        purposes: patient.purposes.words(),
        findings: Vec::new(),
        robot: None,
        requests: RequestCounts::default(),
    };
    if !front::look(patient, &mut checkup.findings).await? {
        return Ok(checkup);
    }
    let registry = match Connected::connect(patient.settings.clone(), patient.kind).await {
        Ok(registry) => registry,
        Err(ConnectError::Registry(error)) => {
            let check = match error.failure() {
                Why::Unauthorized => "account",
                _ => "registry",
            };
            checkup.findings.push(of_error(check, Level::Failed, &error));
            return Ok(checkup);
        }
        // Credentials that cannot be read; whatever else settings lack was found out before anything was contacted.
        Err(error) => {
            let finding = Finding::new("account", Level::Failed, error.to_string());
            checkup.findings.push(match error.hint() {
                Some(hint) => finding.with_hint(hint),
                None => finding,
            });
            return Ok(checkup);
        }
    };
    checkup.kind = Some(registry.identity().kind);
    match &registry {
        Connected::Harbor(harbor) => {
            let username = registry.username().await;
            checkup.robot = Some(harbor::look(patient, harbor, username, &mut checkup.findings).await);
        }
        Connected::Oci(_) => oci::look(patient, &registry, &mut checkup.findings).await,
    }
    for unserved in patient.policies.unserved(registry.identity().kind, true) {
        let finding = Finding::new("policies", Level::Warning, unserved.to_string());
        checkup.findings.push(finding);
    }
    for clock in super::plan::clock_notes(&patient.policies, registry.identity().kind, true) {
        if let Some(why) = clock.why {
            let text = format!("rules read the clock `{}`: {why}", clock.clock);
            checkup
                .findings
                .push(Finding::new("policies", Level::Warning, text));
        }
    }
    checkup.requests = registry.requests();
    Ok(checkup)
}

/// The robot account that may do just what is needed. Where every project is named, nobody has to be asked.
async fn robot(patient: &Patient) -> Result<serde_json::Value, Failure> {
    let mut projects = patient.named();
    if !patient.is_literal() {
        match Connected::connect(patient.settings.clone(), patient.kind).await? {
            Connected::Harbor(harbor) => {
                let visible = harbor.project_names().await?;
                projects.extend(visible.into_iter().filter(|name| patient.wants(name)));
                projects.sort();
                projects.dedup();
            }
            Connected::Oci(_) => {
                return Err(Failure::usage(
                    "the registry is no Harbor, and has no robot accounts",
                ));
            }
        }
    }
    if projects.is_empty() {
        return Err(Failure::usage("no project is named, and none is visible")
            .with_hint("name repositories, as in `lagan doctor --print-robot 'team/**'`"));
    }
    Ok(patient.purposes.robot(&projects))
}

/// What a request came to, as a finding.
fn of_error(check: &'static str, level: Level, error: &RegistryError) -> Finding {
    let finding = Finding::new(check, level, error.to_string());
    match error.hint() {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    }
}
