//! A configuration that holds, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use lagan_config::{Config, RegistrySettings};
use lagan_model::{Digest, Time};
use lagan_policy::Mode;
use lagan_registry::RegistryUrl;
use lagan_scheduler::Schedule;

use super::address::Host;
use super::passes::Due;
use super::recovering::Left;
use super::work::Job;
use crate::admin;
use crate::cli::ConnectArgs;
use crate::exit::Failure;
use crate::metrics::{Metrics, Observing};
use crate::receiving::Receiving;
use crate::settings;

/// A configuration, and what it refers to.
pub(crate) struct Loaded {
    pub(crate) config: Arc<Config>,
    pub(crate) receivers: Receiving,
}

impl Loaded {
    /// Reads it, and everything that it refers to: what would fail at the first run fails now.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = settings::read(path, "the configuration")?;
        Self::of(path, text)
    }

    /// Reads it again. `None` where its text is the same, unless that was asked for.
    pub(super) fn again(&self, path: &Path, asked: bool) -> Result<Option<Self>, Failure> {
        let text = settings::read(path, "the configuration")?;
        if !asked && Digest::of(&text) == self.config.text {
            return Ok(None);
        }
        Self::of(path, text).map(Some)
    }

    fn of(path: &Path, text: Vec<u8>) -> Result<Self, Failure> {
        let config = Config::read(&path.display().to_string(), text)?;
        for registry in &config.registries {
            settings::of_registry(registry, &ConnectArgs::default())?;
        }
        admin::check_tokens(&config.admin.tokens)?;
        for registry in &config.registries {
            if let Some(webhook) = &registry.webhook {
                admin::check_secret(&registry.name, &webhook.secret)?;
            }
        }
        let receivers = Receiving::read(&config.notifications)?;
        Ok(Self {
            config: Arc::new(config),
            receivers,
        })
    }

    /// The hash of its text, in hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        self.config.text.encoded()
    }

    /// The policies that are run by themselves, each with what it shares with others.
    pub(super) fn schedules(&self) -> impl Iterator<Item = (String, Host, &Schedule)> {
        let registries = self.config.registries.iter();
        registries.flat_map(|registry| {
            let host = Host::of(registry);
            let schedules = registry.schedules.iter();
            schedules.map(move |(policy, schedule)| (policy.to_string(), host.clone(), schedule))
        })
    }

    /// Every policy, with its registry.
    pub(super) fn policies(&self) -> impl Iterator<Item = (&str, &str)> {
        let registries = self.config.registries.iter();
        registries.flat_map(|registry| {
            let policies = registry.policies.policies.iter();
            policies.map(|policy| (policy.name.0.as_ref(), registry.name.as_str()))
        })
    }

    /// Every policy, and its mode.
    pub(super) fn modes(&self) -> BTreeMap<String, Mode> {
        let registries = self.config.registries.iter();
        registries
            .flat_map(|registry| &registry.policies.policies)
            .map(|policy| (policy.name.to_string(), policy.mode))
            .collect()
    }

    /// The registries that are at these addresses, however they are spelled.
    pub(super) fn registries_at(&self, addresses: &BTreeSet<String>) -> impl Iterator<Item = Left> {
        let known = |url: &str| url.parse::<RegistryUrl>().ok();
        let wanted: Vec<_> = addresses.iter().filter_map(|url| known(url)).collect();
        let registries = self.config.registries.iter();
        let is_wanted = move |registry: &&RegistrySettings| {
            let here = known(&registry.url);
            here.is_some_and(|here| wanted.iter().any(|url| url.as_str() == here.as_str()))
        };
        registries.filter(is_wanted).map(|registry| Left {
            registry: registry.name.to_string(),
            host: Host::of(registry),
        })
    }

    /// The policies that are run by themselves, each with its registry.
    pub(super) fn scheduled(&self) -> impl Iterator<Item = (&str, &str)> {
        let registries = self.config.registries.iter();
        registries.flat_map(|registry| {
            let policies = registry.schedules.keys();
            policies.map(|policy| (registry.name.as_str(), policy.0.as_ref()))
        })
    }

    /// How a policy that is due is told what changed, where its registry tells that. One that is being rolled out looks at
    /// everything: its stages are judged by whole runs.
    pub(super) fn due<'a>(&'a self, job: &'a Job) -> Option<Due<'a>> {
        let registries = &self.config.registries;
        let registry = registries
            .iter()
            .find(|registry| registry.name.as_str() == job.registry)?;
        let policies = &registry.policies.policies;
        let policy = policies
            .iter()
            .find(|policy| policy.name.0.as_ref() == job.policy)?;
        if policy.rollout.is_some() {
            return None;
        }
        let (_, schedule) = registry
            .schedules
            .iter()
            .find(|(policy, _)| policy.0.as_ref() == job.policy)?;
        let next = schedule.after(job.began);
        Some(Due {
            policy: &job.policy,
            registry: &job.registry,
            full_pass: registry.webhook.as_ref()?.full_pass,
            now: job.began,
            next: next.and_then(|next| next.checked_add_signed(schedule.delay(&job.policy, next))),
        })
    }

    /// A run of a policy.
    pub(super) fn job(&self, policy: &str, id: &str, began: Time, metrics: &Arc<Metrics>) -> Option<Job> {
        self.config.registries.iter().find_map(|registry| {
            let found = registry
                .policies
                .policies
                .iter()
                .find(|known| known.name.0.as_ref() == policy)?;
            Some(Job {
                id: id.to_owned(),
                policy: policy.to_owned(),
                registry: registry.name.to_string(),
                mode: found.mode,
                began,
                observing: Observing::new(metrics, registry.name.as_str(), policy),
                pass: None,
                order: None,
            })
        })
    }
}
