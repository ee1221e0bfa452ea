//! How far policies have been rolled out: a file of the state directory for each registry, and what runs make of it.
//!
//! Deletions happen by what it says, so that it is believed only whole. Where it cannot be read, no policy that is rolled
//! out in stages deletes anything, since it may say that too much had failed. A policy of which it says nothing, or that
//! decides something else than it did then, begins with its smallest share. Whoever writes it has the registry to
//! himself.

mod file;
mod said;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::TimeDelta;
use lagan_config::Config;
use lagan_engine::{ActionOutcome, ActionRun, RepositoryRun};
use lagan_model::{RegistryIdentity, RepositoryName, Time};
use lagan_policy::rollout::{Standing, Tally};
use lagan_policy::{Action, PolicyName, Reason, RepositoryPlan, Rollouts};
use lagan_registry::RegistryUrl;
use lagan_report::sanitize::harmless;

pub(crate) use self::file::{Records, path};
pub(crate) use self::said::{Changed, said};
use crate::exit::{Exit, Failure};
use crate::sources::Source;

#[cfg(test)]
mod tests;

/// How far the policies of a run have been rolled out.
pub(crate) struct Rolling {
    /// Where it stands; `None` where there is no state directory.
    path: Option<PathBuf>,
    registry: RegistryIdentity,
    records: Records,
    rollouts: Rollouts,
    tallies: BTreeMap<PolicyName, Tally>,
    /// As of when it was read, and when that was here: what a run ends at is reckoned from there.
    now: Time,
    since: Instant,
}

impl Rolling {
    /// Reads what is on record for a registry, as of a certain time. What cannot be read is told of.
    pub(crate) fn read(
        state: Option<&Path>,
        source: &Source,
        registry: &RegistryIdentity,
        now: Time,
    ) -> Self {
        let path = state.map(|state| path(state, &registry.url));
        let asked = || {
            source
                .policies
                .policies
                .iter()
                .filter(|policy| source.asks(policy))
        };
        let staged = asked().any(|policy| policy.rollout.is_some());
        let read = match &path {
            Some(path) if staged => file::read(path, &registry.url),
            _ => Ok(Records::new()),
        };
        let (records, rollouts) = match read {
            Ok(records) => {
                let rollouts = Rollouts::at(asked(), &source.policies.versions, &records, now);
                (records, rollouts)
            }
            Err(why) => {
                tracing::warn!(
                    "how far policies of {} have been rolled out is not known, and none of them deletes until somebody \
                     says `lagan rollout restart`: {}",
                    harmless(registry.name.as_str()),
                    harmless(&why)
                );
                // These know nothing, and take nothing.
                (Records::new(), Rollouts::default())
            }
        };
        Self {
            path,
            registry: registry.clone(),
            records,
            rollouts,
            tallies: BTreeMap::new(),
            now,
            since: Instant::now(),
        }
    }

    /// Where they stand.
    pub(crate) fn rollouts(&self) -> &Rollouts {
        &self.rollouts
    }

    /// Puts on record what the time has changed, and, where the run deletes, that it begins: should it not come to its
    /// end, nobody counts on its deletions.
    pub(crate) fn begin(&mut self, deletes: bool) -> Result<Vec<Changed>, Failure> {
        let standings = self.rollouts.standings();
        let changed = standings.iter().filter_map(|standing| {
            let change = standing.change?;
            Some(Changed::of(&self.registry, standing, change))
        });
        let changes: Vec<_> = changed.collect();
        if standings.is_empty() || (changes.is_empty() && !deletes) {
            return Ok(changes);
        }
        for standing in standings {
            let mut record = standing.record.clone();
            if deletes {
                record.begin();
            }
            self.records.insert(standing.policy.clone(), record);
        }
        self.write()?;
        Ok(changes)
    }

    /// Counts what became of a repository. What failed there counts for each policy that makes candidates in it, what
    /// succeeded for those that wanted it gone: another policy's deletions show nothing of a policy that had none.
    pub(crate) fn count(&mut self, source: &Source, run: &RepositoryRun, wanted: &Wanted) {
        let by = wanted.take(&run.name);
        if self.rollouts.is_empty() {
            return;
        }
        let Some(policies) = source.of_repository(&run.name) else {
            return;
        };
        let asked = policies.policies().iter().filter(|(_, asked)| *asked);
        for (policy, _) in asked.filter(|(policy, _)| policy.rollout.is_some()) {
            let known = self.tallies.entry(policy.name.clone()).or_default();
            *known = known.and(tally(run, |position| {
                let by = by.get(position);
                by.is_none_or(|by| by.is_empty() || by.contains(&policy.name))
            }));
        }
    }

    /// Puts on record what became of the deletions of a run that began to delete.
    pub(crate) fn end(&mut self) -> Result<Vec<Changed>, Failure> {
        if self.rollouts.is_empty() {
            return Ok(Vec::new());
        }
        let passed = TimeDelta::seconds(self.since.elapsed().as_secs().try_into().unwrap_or(i64::MAX));
        let now = self.now.checked_add_signed(passed).unwrap_or(Time::MAX_UTC);
        let mut changes = Vec::new();
        for standing in self.rollouts.standings() {
            let tally = self.tallies.get(&standing.policy).copied().unwrap_or_default();
            let mut ended = standing.clone();
            let change = ended.record.end(&standing.rollout, tally, now);
            changes.extend(change.map(|change| Changed::of(&self.registry, &ended, change)));
            self.records.insert(standing.policy.clone(), ended.record);
        }
        self.write()?;
        Ok(changes)
    }

    fn write(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        file::write(path, &self.registry.url, &self.records).map_err(|error| unwritten(path, error))
    }
}

/// By whose rules each action of the repositories in hand goes, in the order of the plan.
#[derive(Default)]
pub(crate) struct Wanted(RefCell<BTreeMap<RepositoryName, Vec<BTreeSet<PolicyName>>>>);

impl Wanted {
    /// A repository is about to be deleted from.
    pub(crate) fn note(&self, plan: &RepositoryPlan) {
        let by = plan.actions.iter().map(policies_of).collect();
        self.0.borrow_mut().insert(plan.name.clone(), by);
    }

    fn take(&self, repository: &RepositoryName) -> Vec<BTreeSet<PolicyName>> {
        self.0.borrow_mut().remove(repository).unwrap_or_default()
    }
}

/// The policies by whose rules an action goes; none where it only goes along with something.
fn policies_of(action: &Action) -> BTreeSet<PolicyName> {
    let rules = action.reasons().iter().filter_map(Reason::deletes_by);
    rules.map(|rule| rule.policy.clone()).collect()
}

/// Deletions that were tried: those that happened, and those that did not, or may not have. Of those that happened the
/// ones of actions that count. What could not be put back for something new that needs it counts among those that failed.
fn tally(run: &RepositoryRun, counts: impl Fn(usize) -> bool) -> Tally {
    let mut tally = Tally::default();
    for (position, ActionRun { manifests, .. }) in run.actions.iter().enumerate() {
        for manifest in manifests {
            match manifest.outcome {
                ActionOutcome::Deleted | ActionOutcome::Untagged => {
                    tally.succeeded += u64::from(counts(position));
                }
                ActionOutcome::Failed { .. } | ActionOutcome::InDoubt { .. } => tally.failed += 1,
                ActionOutcome::Skipped { .. } => {}
            }
        }
    }
    let lost = run.mended.iter().filter(|mended| mended.failure.is_some());
    tally.failed += lost.count() as u64;
    tally
}

/// Has the present stage of policies begin anew on a registry, where something was put back that they had deleted. Returns
/// those whose stage had begun. What cannot be read lets nothing be deleted as it is.
pub(crate) fn undone(
    state: &Path,
    url: &str,
    policies: &BTreeSet<PolicyName>,
) -> Result<Vec<PolicyName>, Failure> {
    let path = path(state, url);
    let Ok(mut records) = file::read(&path, url) else {
        return Ok(Vec::new());
    };
    let mut anew = Vec::new();
    for (policy, record) in &mut records {
        if policies.contains(policy) && record.undone() {
            anew.push(policy.clone());
        }
    }
    if !anew.is_empty() {
        file::write(&path, url, &records).map_err(|error| unwritten(&path, error))?;
    }
    Ok(anew)
}

fn unwritten(path: &Path, error: std::io::Error) -> Failure {
    let context = format!(
        "failed to write how far policies have been rolled out, {}",
        path.display()
    );
    Failure::new(Exit::Unexpected, anyhow::Error::new(error).context(context))
}

/// Where the rollout of a policy of a configuration stands.
pub(crate) struct Known {
    pub(crate) registry: String,
    pub(crate) policy: String,
    /// `None` where that cannot be read.
    pub(crate) standing: Option<Standing>,
}

/// Where the rollouts of a configuration stand, as of a certain time.
pub(crate) fn known(state: &Path, config: &Config, now: Time) -> Vec<Known> {
    let mut all = Vec::new();
    for registry in &config.registries {
        let policies = &registry.policies;
        let staged = || policies.policies.iter().filter(|policy| policy.rollout.is_some());
        if staged().next().is_none() {
            continue;
        }
        let read = address(&registry.url).map(|url| file::read(&path(state, &url), &url));
        let rollouts = match read {
            Some(Ok(records)) => Rollouts::at(staged(), &policies.versions, &records, now),
            _ => Rollouts::default(),
        };
        all.extend(staged().map(|policy| {
            let mut standings = rollouts.standings().iter();
            Known {
                registry: registry.name.to_string(),
                policy: policy.name.to_string(),
                standing: standings.find(|standing| standing.policy == policy.name).cloned(),
            }
        }));
    }
    all
}

/// An address as registries are told apart by.
pub(crate) fn address(url: &str) -> Option<String> {
    let url: RegistryUrl = url.parse().ok()?;
    Some(url.as_str().to_owned())
}

/// What became of a wish to begin anew.
#[derive(Debug, Default)]
pub(crate) struct Restarted {
    /// The registries, by address, on which the policy begins anew.
    pub(crate) registries: Vec<String>,
    /// Those whose record could not be read: there every policy begins anew.
    pub(crate) unreadable: Vec<String>,
}

/// Has a policy begin with its first stage again. A record that cannot be read is set aside.
pub(crate) fn restart(
    state: &Path,
    registries: &BTreeSet<String>,
    policy: &PolicyName,
) -> Result<Restarted, Failure> {
    let mut restarted = Restarted::default();
    for url in registries {
        let path = path(state, url);
        match file::read(&path, url) {
            Ok(mut records) => {
                if records.remove(policy).is_some() {
                    file::write(&path, url, &records).map_err(|error| unwritten(&path, error))?;
                    restarted.registries.push(url.clone());
                }
            }
            Err(_) => {
                file::set_aside(&path).map_err(|error| unwritten(&path, error))?;
                restarted.unreadable.push(url.clone());
            }
        }
    }
    Ok(restarted)
}
