//! Which registry and which policies a command is about.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::SubsecRound as _;
use lagan_config::{
    CollectGarbage, Config, OneLiner, PolicyFile, RegistrySettings, one_liner, repository_list,
};
use lagan_model::{RegistryKind, RegistryName, RepositoryName, Time};
use lagan_policy::{
    Mode, Planned, Policy, PolicyName, PolicySet, RepositoryPattern, RepositoryPlan, RepositoryPolicies,
};
use lagan_registry::{RegistryUrl, Settings};
use lagan_report::sanitize::harmless;
use lagan_report::saved::SavedHead;
use lagan_scheduler::Freeze;
use lagan_state::Who;

use crate::bans::{Bans, frozen, longest};
use crate::cli::{ConnectArgs, SourceArgs};
use crate::exit::{Exit, Failure};
use crate::metrics::Observing;
use crate::output::print_notices;
use crate::pass::Pass;
use crate::settings;

/// What the policy is called that stands on the command line.
const ON_THE_COMMAND_LINE: &str = "command line";

/// A registry, all policies that keep there, and those of them that make candidates.
#[derive(Clone)]
pub(crate) struct Source {
    pub registry: Settings,
    /// What it speaks; `None`: find out.
    pub kind: Option<RegistryKind>,
    pub policies: PolicySet,
    asked: HashSet<PolicyName>,
    /// Whether the policies that make candidates are those of the configuration, whose modes count.
    configured: bool,
    pub now: Time,
    /// Whether that is another time than this one.
    pub replayed: bool,
    /// The state directory, as the configuration says.
    pub state_dir: Option<PathBuf>,
    /// Whether the registry may be asked what it can delete.
    pub probe: bool,
    /// The repositories there are, where a file says so and not the registry.
    pub listed: Option<Vec<RepositoryName>>,
    /// What is looked at, where the registry tells what changes; `None` is all, and begins nothing.
    pub pass: Option<Pass>,
    /// On whose behalf it is done.
    pub who: Who,
    /// Who counts what is done, if somebody does.
    pub observing: Option<Arc<Observing>>,
    /// Whether garbage is to be collected after an apply, as the configuration says.
    pub collect: Option<CollectGarbage>,
    /// When nothing may be deleted.
    freezes: Vec<Freeze>,
    /// When policies may delete nothing.
    of_policies: BTreeMap<PolicyName, Vec<Freeze>>,
}

impl Source {
    /// Reads configuration, policies and credentials. Nothing is contacted.
    ///
    /// A policy from arguments names the repositories of `globs`, or all of them.
    pub(crate) fn read(
        config: Option<&std::path::Path>,
        arguments: &SourceArgs,
        globs: &[String],
    ) -> Result<Self, Failure> {
        let config = settings::find_config(config)?;
        Self::of(config.as_ref().map(|(_, config)| config), arguments, globs)
    }

    /// The same of a configuration that has been read.
    pub(crate) fn of(
        config: Option<&Config>,
        arguments: &SourceArgs,
        globs: &[String],
    ) -> Result<Self, Failure> {
        let (mut registry, configured) = registry(config, &arguments.connect)?;
        if let Some(requests) = arguments.fixed_concurrency {
            registry.max_concurrency = requests;
            registry.fixed_concurrency = true;
        }
        let mut policies = configured.map_or_else(PolicySet::default, |registry| registry.policies.clone());
        if configured.is_none()
            && let Some(config) = config
        {
            policies.versions = config.versions.clone();
        }
        let own = policies.clone();
        policies.policies.extend(of_neighbours(config, configured));
        let mut from_configuration = false;
        let asked = if let Some(file) = policy_file(arguments, &registry.name)? {
            let asked = file.policies.iter().map(|policy| policy.name.clone()).collect();
            add(&mut policies, file)?;
            asked
        } else if !arguments.select.is_empty() {
            let everything = ["**".to_owned()];
            let policy = one_liner(&OneLiner {
                repositories: if globs.is_empty() { &everything } else { globs },
                select: &arguments.select,
                keep: &arguments.keep,
                protect: &arguments.protect,
                allow_empty_repository: arguments.allow_empty_repository,
                versions: &policies.versions,
            })?;
            let asked = HashSet::from([policy.name.clone()]);
            add(
                &mut policies,
                PolicySet {
                    policies: vec![policy],
                    ..PolicySet::default()
                },
            )?;
            asked
        } else {
            from_configuration = true;
            of_config(&own, arguments, configured)?
        };
        Ok(Self {
            registry,
            kind: configured.and_then(|registry| registry.kind),
            policies,
            asked,
            configured: from_configuration,
            now: arguments
                .now
                .unwrap_or_else(|| chrono::Utc::now().trunc_subsecs(0)),
            replayed: arguments.now.is_some(),
            state_dir: config.and_then(|config| config.state_dir.clone()),
            probe: arguments.probe || configured.is_some_and(|registry| registry.probe),
            listed: repositories(configured, arguments)?,
            pass: None,
            who: Who::user(),
            observing: None,
            collect: configured.and_then(|registry| registry.collect_garbage),
            freezes: config.map(|config| config.freeze.clone()).unwrap_or_default(),
            of_policies: configured
                .map(|registry| registry.freezes.clone())
                .unwrap_or_default(),
        })
    }

    /// Has what is done counted, and every request.
    pub(crate) fn observed(&mut self, by: &Arc<Observing>) {
        self.registry.observer = Some(Arc::clone(by) as _);
        self.observing = Some(Arc::clone(by));
    }

    /// A source for a plan that was saved, and the policies as they are now: those of the configuration for its
    /// registry, those of a file that is given again, and what stood on the command line of the plan, which is nowhere
    /// else.
    pub(crate) fn of_saved(
        config: Option<&Config>,
        arguments: &SourceArgs,
        head: &SavedHead,
        policies: PolicySet,
    ) -> Result<(Self, PolicySet), Failure> {
        let mut connect = arguments.connect.clone();
        connect.registry.get_or_insert_with(|| head.registry.url.clone());
        let (registry, configured) = registry(config, &connect)?;
        let mut present = configured.map_or_else(PolicySet::default, |registry| registry.policies.clone());
        if configured.is_none()
            && let Some(config) = config
        {
            present.versions = config.versions.clone();
        }
        present.policies.extend(of_neighbours(config, configured));
        if let Some(file) = policy_file(arguments, &registry.name)? {
            add(&mut present, file)?;
        }
        let asked: HashSet<PolicyName> = head
            .policies
            .iter()
            .filter(|policy| policy.asked == Some(true))
            .map(|policy| policy.name.clone())
            .collect();
        let in_configuration = |name: &PolicyName| {
            let of_registry = configured.map_or(&[][..], |registry| &registry.policies.policies);
            of_registry.iter().find(|policy| policy.name == *name)
        };
        let dry = asked.iter().filter_map(in_configuration);
        if let Some(dry) = dry.into_iter().find(|policy| policy.mode != Mode::Enforce) {
            return Err(Failure::usage(format!(
                "the policy {} is in `mode: dry-run`: nothing deleted",
                dry.name
            ))
            .with_hint("plan with --policy and the names of those that are enforced"));
        }
        let written = |policy: &&Policy| policy.name.0.as_ref() == ON_THE_COMMAND_LINE;
        present
            .policies
            .extend(policies.policies.iter().filter(written).cloned());
        let source = Self {
            registry,
            // By what was asked when it was planned.
            kind: Some(head.registry.kind),
            policies,
            asked,
            configured: false,
            now: head.now,
            replayed: false,
            state_dir: config.and_then(|config| config.state_dir.clone()),
            probe: false,
            listed: None,
            pass: None,
            who: Who::user(),
            observing: None,
            collect: configured.and_then(|registry| registry.collect_garbage),
            freezes: config.map(|config| config.freeze.clone()).unwrap_or_default(),
            of_policies: configured
                .map(|registry| registry.freezes.clone())
                .unwrap_or_default(),
        };
        Ok((source, present))
    }

    /// Lets only those policies of a configuration make candidates that it has enforced. A policy that was given with
    /// the command is meant, whatever its mode.
    pub(crate) fn only_enforced(&mut self) -> Result<(), Failure> {
        if !self.configured {
            return Ok(());
        }
        let dry = self
            .policies
            .policies
            .iter()
            .filter(|policy| policy.mode != Mode::Enforce);
        for policy in dry {
            self.asked.remove(&policy.name);
        }
        if self.asked.is_empty() {
            let failure =
                Failure::usage("every policy that was asked for is in `mode: dry-run`: nothing deleted");
            return Err(failure.with_hint(
                "write `mode: enforce` in the policy when `lagan plan` shows what it is meant to delete",
            ));
        }
        Ok(())
    }

    /// Lets those policies make no candidates that are frozen, where others are not.
    pub(crate) fn without_frozen(&mut self, now: Time) {
        let of = |policy: &PolicyName| longest(self.of_policies.get(policy)?, now);
        let held: Vec<_> = self
            .asked
            .iter()
            .filter_map(|policy| of(policy).map(|(freeze, until)| (policy.clone(), frozen(freeze, until))))
            .collect();
        // Where all are, the run is refused, and says why.
        if held.len() < self.asked.len() {
            for (policy, why) in held {
                tracing::warn!(
                    "{} only keeps in this run: {}",
                    harmless(&policy.0),
                    harmless(&why)
                );
                self.asked.remove(&policy);
            }
        }
    }

    /// What may forbid the deletions of a run.
    pub(crate) fn bans(&self, state: &Path) -> Bans {
        let of_policies = self
            .asked
            .iter()
            .filter_map(|policy| self.of_policies.get(policy));
        Bans {
            state: state.to_owned(),
            freezes: self
                .freezes
                .iter()
                .chain(of_policies.flatten())
                .cloned()
                .collect(),
        }
    }

    /// What a plan of a repository announces.
    pub(crate) fn announces(&self, plan: &RepositoryPlan) -> Option<Planned> {
        Planned::of(plan, &self.of_repository(&plan.name)?)
    }

    /// The policies of a repository.
    pub(crate) fn of_repository(&self, repository: &RepositoryName) -> Option<RepositoryPolicies<'_>> {
        self.policies
            .of_repository(repository, &|policy| self.asks(policy))
    }

    /// Whether a policy makes candidates; the others only keep.
    pub(crate) fn asks(&self, policy: &Policy) -> bool {
        self.asked.contains(&policy.name)
    }

    /// The policies that make candidates, by name.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut names: Vec<String> = self.asked.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }
}

/// The first segments that patterns name outright, as Harbor's projects are named, sorted.
pub(crate) fn first_segments<'p>(patterns: impl Iterator<Item = &'p RepositoryPattern>) -> Vec<String> {
    let literal = patterns.filter_map(|pattern| {
        let (first, _) = pattern.as_str().split_once('/')?;
        let is_plain = !first.contains(['*', '?', '[', ']', '{', '}', '\\']);
        is_plain.then(|| first.to_owned())
    });
    let mut named: Vec<String> = literal.collect();
    named.sort();
    named.dedup();
    named
}

/// The globs of the command line.
pub(crate) fn globs(texts: &[String]) -> Result<Vec<RepositoryPattern>, Failure> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| Failure::usage(format!("{text:?} is no glob over repositories: {error}")))
    };
    texts.iter().map(parse).collect()
}

pub(crate) fn registry<'c>(
    config: Option<&'c Config>,
    arguments: &ConnectArgs,
) -> Result<(Settings, Option<&'c RegistrySettings>), Failure> {
    let configured = config.map_or(&[][..], |config| &config.registries);
    let names = || {
        configured
            .iter()
            .map(|registry| registry.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = match &arguments.registry {
        Some(url) if url.contains("://") => {
            // A registry of the configuration keeps its policies' protections, by whatever name it is called, and
            // however its URL is spelled.
            let wanted = url.parse::<RegistryUrl>()?;
            let same = |registry: &&RegistrySettings| {
                registry
                    .url
                    .parse::<RegistryUrl>()
                    .is_ok_and(|known| known.as_str() == wanted.as_str())
            };
            match configured.iter().find(same) {
                Some(registry) => Some(registry),
                None => return Ok((settings::of_url(url, arguments)?, None)),
            }
        }
        Some(name) => {
            let known = name.parse::<RegistryName>().ok();
            configured
                .iter()
                .find(|registry| Some(&registry.name) == known.as_ref())
        }
        None => match configured {
            [registry] => Some(registry),
            [] => {
                return Err(
                    Failure::usage("no registry is given, and no configuration was found")
                        .with_hint("give --registry http://localhost:5000, or write ./lagan.yaml"),
                );
            }
            _ => {
                let failure = Failure::usage("the configuration has several registries");
                return Err(failure.with_hint(format!("give --registry with one of {}", names())));
            }
        },
    };
    match found {
        Some(registry) => Ok((settings::of_registry(registry, arguments)?, Some(registry))),
        None => {
            let name = arguments.registry.as_deref().unwrap_or_default();
            let failure = Failure::usage(format!("no registry of the configuration is named {name:?}"));
            Err(match configured {
                [] => failure
                    .with_hint("a registry that is not configured is given by URL, as http://localhost:5000"),
                _ => failure.with_hint(format!("there is {}", names())),
            })
        }
    }
}

/// The policies of other entries for the same registry, which only keep: one may have an entry for each account.
fn of_neighbours(config: Option<&Config>, configured: Option<&RegistrySettings>) -> Vec<Policy> {
    let (Some(config), Some(own)) = (config, configured) else {
        return Vec::new();
    };
    let url = |registry: &RegistrySettings| registry.url.parse::<RegistryUrl>().ok();
    let Some(here) = url(own) else { return Vec::new() };
    let others = config.registries.iter().filter(|other| other.name != own.name);
    let neighbours = others.filter(|other| url(other).is_some_and(|url| url.as_str() == here.as_str()));
    neighbours
        .flat_map(|other| other.policies.policies.iter().cloned())
        .collect()
}

/// The repositories that a file names, read anew for each run.
fn repositories(
    configured: Option<&RegistrySettings>,
    arguments: &SourceArgs,
) -> Result<Option<Vec<RepositoryName>>, Failure> {
    let path = arguments
        .repositories_from
        .as_deref()
        .or_else(|| configured?.repositories_file.as_deref());
    let Some(path) = path else { return Ok(None) };
    let text = settings::read(path, "the list of repositories")?;
    Ok(Some(repository_list(&path.display().to_string(), text)?))
}

fn policy_file(arguments: &SourceArgs, registry: &RegistryName) -> Result<Option<PolicySet>, Failure> {
    let Some(path) = &arguments.policy_file else {
        return Ok(None);
    };
    let text = settings::read(path, "the policy file")?;
    let file = PolicyFile::read(&path.display().to_string(), text, settings::policy_name(path))?;
    print_notices(&file.notices);
    let policies = file.for_registry(registry);
    if policies.policies.is_empty() {
        let message = format!("no policy of {} is for the registry {registry}", path.display());
        return Err(Failure::usage(message).with_hint("leave `registry` out of a policy that is for any"));
    }
    Ok(Some(policies))
}

/// Adds policies that are asked for to those that only keep.
fn add(policies: &mut PolicySet, more: PolicySet) -> Result<(), Failure> {
    let known: HashSet<_> = policies
        .policies
        .iter()
        .map(|policy| policy.name.clone())
        .collect();
    if let Some(twice) = more.policies.iter().find(|policy| known.contains(&policy.name)) {
        let message = format!(
            "the configuration has a policy named {:?} already",
            twice.name.to_string()
        );
        return Err(Failure::usage(message).with_hint("rename the file, or the policy in it"));
    }
    // Words are added and never taken away: what the configuration's policies keep, they keep by its words.
    for (word, meaning) in more.versions.added() {
        if policies
            .versions
            .added()
            .get(word)
            .is_some_and(|known| known != meaning)
        {
            let message =
                format!("`channels` of the policy file and of the configuration disagree on {word:?}");
            return Err(Failure::usage(message));
        }
        policies
            .versions
            .add(word, *meaning)
            .map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    policies.policies.extend(more.policies);
    Ok(())
}

fn of_config(
    policies: &PolicySet,
    arguments: &SourceArgs,
    configured: Option<&RegistrySettings>,
) -> Result<HashSet<PolicyName>, Failure> {
    let all: HashSet<PolicyName> = policies
        .policies
        .iter()
        .map(|policy| policy.name.clone())
        .collect();
    if all.is_empty() {
        let of = configured.map_or_else(
            || "this registry".to_owned(),
            |registry| registry.name.to_string(),
        );
        return Err(Failure::usage(format!("there is no policy for {of}"))
            .with_hint("try --select channel=prerelease --keep last=10,by=version"));
    }
    if arguments.policy.is_empty() {
        return Ok(all);
    }
    let named = arguments
        .policy
        .iter()
        .map(|name| PolicyName::from(name.as_str()));
    named
        .map(|name| {
            if all.contains(&name) {
                return Ok(name);
            }
            let mut known: Vec<_> = all.iter().map(ToString::to_string).collect();
            known.sort();
            let failure = Failure::usage(format!(
                "no policy for this registry is named {:?}",
                name.to_string()
            ));
            Err(failure.with_hint(format!("there is {}", known.join(", "))))
        })
        .collect()
}
