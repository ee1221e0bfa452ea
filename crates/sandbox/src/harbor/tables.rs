//! Harbor's database: what it knows of the content, beside the content itself.
//!
//! The registry behind Harbor keeps bytes; that a manifest is an artifact with an identity, times, tags, labels and
//! accessories stands here. A row is made when something is pushed ([`super::sync`]) and goes with a deletion, while
//! blobs stay until garbage is collected.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::account::Account;
use super::rules::{CollectionSchedule, CollectionStatus, ImmutableRule, Replication, RetentionRule};
use crate::digest::Digest;
use crate::moment::Moment;

pub(super) struct ProjectRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) public: bool,
    /// The registry that a proxy-cache project stands for.
    pub(super) registry: Option<i64>,
    /// The project that has what that registry has.
    pub(super) upstream: Option<String>,
    pub(super) created: Moment,
    pub(super) retention: Option<i64>,
}

pub(super) struct RepositoryRow {
    pub(super) id: i64,
    pub(super) project: i64,
    /// With its project.
    pub(super) name: Arc<str>,
    pub(super) created: Moment,
    pub(super) updated: Moment,
    pub(super) pulls: u64,
    pub(super) artifacts: BTreeSet<i64>,
}

pub(super) struct ArtifactRow {
    pub(super) id: i64,
    pub(super) project: i64,
    pub(super) repository: i64,
    pub(super) digest: Digest,
    pub(super) pushed: Moment,
    pub(super) pulled: Option<Moment>,
    /// In the order they were made.
    pub(super) tags: Vec<TagRow>,
    pub(super) labels: Vec<i64>,
    /// The artifacts that it lists, as far as they are there.
    pub(super) children: Vec<i64>,
    pub(super) facts: Facts,
    /// The fields that never change, as JSON without braces.
    pub(super) fixed: String,
}

/// What of an artifact can be asked for.
pub(super) struct Facts {
    pub(super) kind: String,
    pub(super) media_type: String,
    pub(super) manifest_media_type: String,
    pub(super) artifact_type: String,
    pub(super) size: u64,
}

#[derive(Clone)]
pub(super) struct TagRow {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) pushed: Moment,
    pub(super) pulled: Option<Moment>,
}

pub(super) struct AccessoryRow {
    pub(super) id: i64,
    pub(super) artifact: i64,
    pub(super) repository: i64,
    pub(super) subject: Digest,
    pub(super) kind: &'static str,
    pub(super) created: Moment,
}

pub(super) struct LabelRow {
    pub(super) id: i64,
    pub(super) name: String,
    /// `None` is a global label.
    pub(super) project: Option<i64>,
    pub(super) created: Moment,
}

pub(super) struct RobotRow {
    pub(super) id: i64,
    pub(super) created: Moment,
    pub(super) account: Account,
}

pub(super) struct CollectionRow {
    pub(super) id: i64,
    pub(super) trigger: &'static str,
    pub(super) status: CollectionStatus,
    pub(super) delete_untagged: bool,
    pub(super) dry_run: bool,
    pub(super) workers: i64,
    pub(super) started: Moment,
    pub(super) updated: Moment,
}

#[derive(Default)]
pub(super) struct Tables {
    last_id: HashMap<&'static str, i64>,
    pub(super) projects: BTreeMap<i64, ProjectRow>,
    project_names: HashMap<String, i64>,
    pub(super) repositories: BTreeMap<i64, RepositoryRow>,
    repository_names: HashMap<Arc<str>, i64>,
    pub(super) artifacts: BTreeMap<i64, ArtifactRow>,
    digests: HashMap<(i64, Digest), i64>,
    parents: HashMap<i64, BTreeSet<i64>>,
    pub(super) accessories: BTreeMap<i64, AccessoryRow>,
    accessory_of: HashMap<i64, i64>,
    accessories_on: HashMap<(i64, Digest), BTreeSet<i64>>,
    pub(super) labels: BTreeMap<i64, LabelRow>,
    pub(super) immutable: BTreeMap<i64, (i64, ImmutableRule)>,
    pub(super) retentions: BTreeMap<i64, (i64, Vec<RetentionRule>)>,
    /// When these run, as cron expressions; those that are not here run by hand.
    pub(super) retention_crons: BTreeMap<i64, String>,
    pub(super) replications: BTreeMap<i64, Replication>,
    pub(super) users: Vec<Account>,
    pub(super) robots: BTreeMap<i64, RobotRow>,
    pub(super) schedule: Option<CollectionSchedule>,
    pub(super) collections: BTreeMap<i64, CollectionRow>,
}

impl Tables {
    /// The next identity in one table, from 1.
    pub(super) fn next_id(&mut self, table: &'static str) -> i64 {
        let last = self.last_id.entry(table).or_default();
        *last += 1;
        *last
    }

    pub(super) fn project(&self, name: &str) -> Option<&ProjectRow> {
        self.projects.get(self.project_names.get(name)?)
    }

    pub(super) fn project_mut(&mut self, name: &str) -> Option<&mut ProjectRow> {
        self.projects.get_mut(self.project_names.get(name)?)
    }

    /// The project of this name, made private if there is none.
    pub(super) fn ensure_project(&mut self, name: &str, now: Moment) -> i64 {
        if let Some(id) = self.project_names.get(name) {
            return *id;
        }
        let id = self.next_id("project");
        self.project_names.insert(name.to_owned(), id);
        let row = ProjectRow {
            id,
            name: name.to_owned(),
            public: false,
            registry: None,
            upstream: None,
            created: now,
            retention: None,
        };
        self.projects.insert(id, row);
        id
    }

    pub(super) fn remove_project(&mut self, id: i64) {
        if let Some(row) = self.projects.remove(&id) {
            self.project_names.remove(&row.name);
        }
        self.immutable.retain(|_, (project, _)| *project != id);
        self.retentions.retain(|_, (project, _)| *project != id);
        self.labels.retain(|_, label| label.project != Some(id));
    }

    pub(super) fn repository(&self, name: &str) -> Option<&RepositoryRow> {
        self.repositories.get(self.repository_names.get(name)?)
    }

    pub(super) fn repository_mut(&mut self, name: &str) -> Option<&mut RepositoryRow> {
        self.repositories.get_mut(self.repository_names.get(name)?)
    }

    /// The repository of this whole name, made with its project if there is none; `None` where the name has no project.
    pub(super) fn ensure_repository(&mut self, name: &str, now: Moment) -> Option<i64> {
        if let Some(id) = self.repository_names.get(name) {
            return Some(*id);
        }
        let (project, _) = name.split_once('/')?;
        let project = self.ensure_project(project, now);
        let id = self.next_id("repository");
        let name: Arc<str> = Arc::from(name);
        self.repository_names.insert(Arc::clone(&name), id);
        let row = RepositoryRow {
            id,
            project,
            name,
            created: now,
            updated: now,
            pulls: 0,
            artifacts: BTreeSet::new(),
        };
        self.repositories.insert(id, row);
        Some(id)
    }

    pub(super) fn remove_repository(&mut self, id: i64) {
        if let Some(row) = self.repositories.remove(&id) {
            self.repository_names.remove(&row.name);
            for artifact in row.artifacts {
                self.remove_artifact(artifact);
            }
        }
    }

    pub(super) fn artifact_of(&self, repository: i64, digest: &Digest) -> Option<&ArtifactRow> {
        self.artifacts.get(self.digests.get(&(repository, *digest))?)
    }

    /// By digest or by tag, in a repository.
    pub(super) fn artifact(&self, repository: &str, reference: &str) -> Option<&ArtifactRow> {
        let repository = self.repository(repository)?;
        if reference.contains(':') {
            return self.artifact_of(repository.id, &reference.parse().ok()?);
        }
        repository
            .artifacts
            .iter()
            .filter_map(|id| self.artifacts.get(id))
            .find(|row| row.tags.iter().any(|tag| &*tag.name == reference))
    }

    pub(super) fn insert_artifact(&mut self, row: ArtifactRow) {
        for child in &row.children {
            self.parents.entry(*child).or_default().insert(row.id);
        }
        self.digests.insert((row.repository, row.digest), row.id);
        if let Some(repository) = self.repositories.get_mut(&row.repository) {
            repository.artifacts.insert(row.id);
            repository.updated = row.pushed;
        }
        self.artifacts.insert(row.id, row);
    }

    /// Removes an artifact's row and what depends on it: its references, and its being an accessory.
    pub(super) fn remove_artifact(&mut self, id: i64) {
        let Some(row) = self.artifacts.remove(&id) else {
            return;
        };
        self.digests.remove(&(row.repository, row.digest));
        if let Some(repository) = self.repositories.get_mut(&row.repository) {
            repository.artifacts.remove(&id);
        }
        for child in row.children {
            if let Some(parents) = self.parents.get_mut(&child) {
                parents.remove(&id);
            }
        }
        if let Some(accessory) = self.accessory_of.remove(&id)
            && let Some(row) = self.accessories.remove(&accessory)
            && let Some(others) = self.accessories_on.get_mut(&(row.repository, row.subject))
        {
            others.remove(&accessory);
        }
    }

    /// The artifacts that list this one.
    pub(super) fn parents(&self, id: i64) -> impl Iterator<Item = i64> + '_ {
        self.parents.get(&id).into_iter().flatten().copied()
    }

    pub(super) fn is_referenced(&self, id: i64) -> bool {
        self.parents(id).next().is_some()
    }

    pub(super) fn insert_accessory(&mut self, row: AccessoryRow) {
        self.accessory_of.insert(row.artifact, row.id);
        self.accessories_on
            .entry((row.repository, row.subject))
            .or_default()
            .insert(row.id);
        self.accessories.insert(row.id, row);
    }

    pub(super) fn is_accessory(&self, artifact: i64) -> bool {
        self.accessory_of.contains_key(&artifact)
    }

    /// What is attached to an artifact, oldest first.
    pub(super) fn accessories_on<'a>(
        &'a self,
        artifact: &ArtifactRow,
    ) -> impl Iterator<Item = &'a AccessoryRow> + use<'a> {
        self.accessories_on
            .get(&(artifact.repository, artifact.digest))
            .into_iter()
            .flatten()
            .filter_map(|id| self.accessories.get(id))
    }

    /// Whether a tag can neither be moved nor deleted.
    pub(super) fn is_immutable(&self, repository: i64, tag: &str) -> bool {
        let Some(repository) = self.repositories.get(&repository) else {
            return false;
        };
        let name = repository
            .name
            .split_once('/')
            .map_or(&*repository.name, |(_, name)| name);
        self.immutable
            .values()
            .any(|(project, rule)| *project == repository.project && rule.selects(name, tag))
    }

    /// The account of this name and secret that is good at this moment.
    pub(super) fn account(&self, name: &str, secret: &str, now: Moment) -> Option<&Account> {
        let robots = self.robots.values().map(|robot| &robot.account);
        self.users.iter().chain(robots).find(|account| {
            account.name == name
                && account.secret == secret
                && !account.disabled
                && account.expires.is_none_or(|moment| now < moment)
        })
    }

    pub(super) fn add_account(&mut self, account: Account, now: Moment) {
        if account.is_robot {
            let id = self.next_id("robot");
            let row = RobotRow {
                id,
                created: now,
                account,
            };
            self.robots.insert(id, row);
        } else {
            self.users.push(account);
        }
    }
}
