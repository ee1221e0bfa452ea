//! The configuration.

use std::path::PathBuf;

use lagan_health::Targets;
use lagan_model::{Digest, RegistryName};
use lagan_policy::VersionTable;
use lagan_scheduler::Freeze;

use super::admin::{self, AdminSettings};
use super::notifications::{self, ReceiverSettings};
use super::registry::{RegistrySettings, path};
use super::{channels, health, policy, registry, timing};
use crate::decode::{Fields, Schema, all};
use crate::error::{ConfigErrors, Problems, Read};
use crate::source::{Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::{Node, Value};
use crate::yaml;

/// All that a configuration says.
#[derive(Debug, Clone)]
pub struct Config {
    /// The hash of the text that it was read from: two with the same say the same.
    pub text: Digest,
    /// The state directory, as it was written.
    pub state_dir: Option<PathBuf>,
    /// The registries in the order of the document, each with its policies. Their names differ.
    pub registries: Vec<RegistrySettings>,
    /// The table of channels and variants, for policies from elsewhere. Each registry's policies have it too.
    pub versions: VersionTable,
    /// When nothing may be deleted, whatever the policy.
    pub freeze: Vec<Freeze>,
    /// By what the daemon tells how registries and policies do.
    pub health: Targets,
    /// Who is told what the daemon has to say. Their names differ.
    pub notifications: Vec<ReceiverSettings>,
    /// How a daemon is reached.
    pub admin: AdminSettings,
}

pub(crate) const SCHEMA: Schema = Schema {
    what: "a configuration",
    keys: &[
        "state_dir",
        "registries",
        "policies",
        "channels",
        "freeze",
        "health",
        "notifications",
        "admin",
    ],
    later: &["notice"],
};

impl Config {
    /// Reads a configuration; `file` is what errors call it.
    ///
    /// A policy that names no registry is for the only one, if there is only one.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: see [`ConfigErrors`].
    pub fn read(file: &str, text: impl AsRef<[u8]>) -> Result<Self, ConfigErrors> {
        Self::read_then(file, text.as_ref(), |_, _, _| ()).map(|(config, ())| config)
    }

    /// Reads a configuration, and looks at it beside its text.
    pub(crate) fn read_then<T>(
        file: &str,
        text: &[u8],
        look: impl FnOnce(&Self, &Node, &Problems<'_>) -> T,
    ) -> Result<(Self, T), ConfigErrors> {
        let decode = |root: &Node, problems: &mut Problems<'_>| decode(root, Digest::of(text), problems);
        yaml::read_then(file, text, decode, look)
    }

    /// A registry by name.
    #[must_use]
    pub fn registry(&self, name: &RegistryName) -> Option<&RegistrySettings> {
        self.registries.iter().find(|registry| registry.name == *name)
    }
}

fn decode(root: &Node, text: Digest, problems: &mut Problems<'_>) -> Read<Config> {
    let fields = Fields::open(root, root.span, &SCHEMA, problems)?;
    let state_dir = fields.optional("state_dir", |node| path(node, problems));
    let freeze = fields.optional("freeze", |node| timing::freezes(node, problems));
    let health = match fields.entry("health") {
        Some((key, node)) => health::decode(node, key.span, problems),
        None => Ok(Targets::default()),
    };
    let notifications = fields.optional("notifications", |node| notifications::decode_all(node, problems));
    let admin = fields.optional("admin", |node| admin::decode(node, problems));
    let registries = fields.optional("registries", |node| registry::decode_all(node, problems));
    let (versions, words) = channels::decode(fields.entry("channels"), problems);
    let policies = match fields.entry("policies") {
        Some(entry) => policy::decode_all(entry, &versions, problems),
        None => Ok(Vec::new()),
    };
    let names: Read<Vec<&str>> = match (fields.get("registries"), fields.misspelled("registries")) {
        (Some(node), _) => match &node.value {
            Value::Mapping { entries, .. } => Ok(entries.iter().map(|(key, _)| key.text.as_str()).collect()),
            _ => registries
                .as_ref()
                .map(|_| Vec::new())
                .map_err(|reported| *reported),
        },
        (None, Some(reported)) => Err(reported),
        (None, None) => Ok(Vec::new()),
    };
    let policies = policies.and_then(|policies| {
        all(policies, |decoded| {
            let registry = decoded.registry.and_then(|registry| {
                position(
                    names.as_deref().map_err(|reported| *reported)?,
                    registry.as_ref(),
                    decoded.registry_place,
                    problems,
                )
            });
            Ok((registry?, decoded.policy?, decoded.schedule?, decoded.freeze?))
        })
    });
    words?;
    let mut config = Config {
        text,
        state_dir: state_dir?,
        registries: registries?.unwrap_or_default(),
        versions,
        freeze: freeze?.unwrap_or_default(),
        health: health?,
        notifications: notifications?.unwrap_or_default(),
        admin: admin?.unwrap_or_default(),
    };
    for registry in &mut config.registries {
        registry.policies.versions = config.versions.clone();
    }
    for (position, policy, schedule, freeze) in policies? {
        let registry = &mut config.registries[position];
        registry
            .schedules
            .extend(schedule.map(|schedule| (policy.name.clone(), schedule)));
        if !freeze.is_empty() {
            registry.freezes.insert(policy.name.clone(), freeze);
        }
        registry.policies.policies.push(policy);
    }
    Ok(config)
}

/// The position of a policy's registry among those of the document.
fn position(
    names: &[&str],
    registry: Option<&RegistryName>,
    place: Span,
    problems: &mut Problems<'_>,
) -> Read<usize> {
    let (message, hint) = match (registry, names) {
        (None, [_]) => return Ok(0),
        (_, []) => {
            let hint = Some("add `registries: {NAME: {url: ...}}`".to_owned());
            ("no registry is configured for this policy".to_owned(), hint)
        }
        (None, _) => {
            let some = names.iter().take(10).copied().collect::<Vec<_>>().join(", ");
            let hint = Some(format!("add `registry`, as one of {some}"));
            (
                "this policy does not say for which registry it is".to_owned(),
                hint,
            )
        }
        (Some(registry), _) => match names.iter().position(|name| *name == registry.as_str()) {
            Some(position) => return Ok(position),
            None => {
                let hint = did_you_mean(registry.as_str(), names.iter().copied());
                (
                    format!("no registry is named {}", quoted(registry.as_str())),
                    hint,
                )
            }
        },
    };
    Err(problems.report(place, message, hint))
}
