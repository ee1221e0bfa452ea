//! The handle by which a test makes projects, labels, rules and accounts, and moves the clock.

use std::sync::atomic::Ordering;

use super::account::Account;
use super::rules::{CollectionSchedule, ImmutableRule, Replication, RetentionRule};
use super::state::named;
use super::tables::{ArtifactRow, LabelRow, Tables};
use crate::digest::Digest;
use crate::moment::Moment;
use crate::server::{Sandbox, Shared};

/// A project to make, or to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    name: String,
    public: bool,
    registry: Option<i64>,
    upstream: Option<String>,
}

impl Project {
    /// A private project.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            public: false,
            registry: None,
            upstream: None,
        }
    }

    /// Anybody may pull and list.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// A cache in front of this registry: nothing is pushed to it. Without [`Self::in_front_of`] that cannot be reached.
    #[must_use]
    pub fn proxy_cache(mut self, registry: i64) -> Self {
        self.registry = Some(registry);
        self
    }

    /// That registry has what another project here has.
    #[must_use]
    pub fn in_front_of(mut self, project: &str) -> Self {
        self.upstream = Some(project.to_owned());
        self
    }
}

/// An artifact as Harbor knows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactState {
    /// Grows with every push.
    pub id: i64,
    /// Names it in its repository.
    pub digest: Digest,
    /// When it was pushed.
    pub pushed: Moment,
    /// When it was pulled last.
    pub pulled: Option<Moment>,
    /// Its tags by name, in the order they were made, and when each was pushed and pulled.
    pub tags: Vec<(String, Moment, Option<Moment>)>,
    /// The names of its labels.
    pub labels: Vec<String>,
}

/// Steers the Harbor of a running sandbox; of a sandbox that is none, nothing comes of it.
///
/// Content is put by the sandbox's own methods (`sandbox.put_image("team/app", &["1.0"], built)`), into
/// `<project>/<repository>`; a project that is not there is made, private. Such content counts as pushed when it was built;
/// what comes over `/v2` is pushed now.
#[derive(Clone, Copy)]
pub struct Harbor<'a> {
    pub(super) shared: &'a Shared,
}

impl Sandbox {
    /// The Harbor that this sandbox is.
    #[must_use]
    pub fn harbor(&self) -> Harbor<'_> {
        Harbor {
            shared: self.shared(),
        }
    }
}

impl Harbor<'_> {
    fn change<T>(self, change: impl FnOnce(&mut Tables) -> T) -> T {
        change(&mut self.shared.harbor.tables())
    }

    /// What its clock says.
    #[must_use]
    pub fn now(self) -> Moment {
        self.shared.harbor.now()
    }

    /// Sets its clock.
    pub fn set_now(self, now: Moment) {
        self.shared.harbor.set_now(now);
    }

    /// Refuses to write, or no longer.
    pub fn set_read_only(self, read_only: bool) {
        self.shared.harbor.read_only.store(read_only, Ordering::Relaxed);
    }

    /// Makes a project, or makes the one of this name as this says; answers its identity.
    pub fn project(self, project: &Project) -> i64 {
        let now = self.now();
        self.change(|tables| {
            let id = tables.ensure_project(&project.name, now);
            if let Some(row) = tables.project_mut(&project.name) {
                (row.public, row.registry) = (project.public, project.registry);
                row.upstream.clone_from(&project.upstream);
            }
            id
        })
    }

    /// One more user or robot.
    pub fn add_account(self, account: Account) {
        let now = self.now();
        self.change(|tables| tables.add_account(account, now));
    }

    /// Whether somebody of this name has an account, robots that were made over the API among them.
    #[must_use]
    pub fn has_account(self, name: &str) -> bool {
        self.change(|tables| named(tables, name).is_some())
    }

    /// A label of a project, or a global one; answers its identity.
    pub fn label(self, project: Option<&str>, name: &str) -> i64 {
        let now = self.now();
        self.change(|tables| {
            let project = project.map(|project| tables.ensure_project(project, now));
            let id = tables.next_id("label");
            let row = LabelRow {
                id,
                name: name.to_owned(),
                project,
                created: now,
            };
            tables.labels.insert(id, row);
            id
        })
    }

    /// Puts a label on an artifact, by tag or digest; answers whether both are there.
    pub fn put_label(self, repository: &str, reference: &str, label: i64) -> bool {
        self.change(|tables| {
            let known = tables.labels.contains_key(&label);
            edit(tables, repository, reference, |row| {
                if known && !row.labels.contains(&label) {
                    row.labels.push(label);
                }
            }) && known
        })
    }

    /// Sets when an artifact was pushed (by digest) or when a tag was (by tag, which leaves its artifact); answers whether
    /// it is there.
    pub fn set_pushed(self, repository: &str, reference: &str, pushed: Moment) -> bool {
        self.change(|tables| {
            edit(tables, repository, reference, |row| {
                match row.tags.iter_mut().find(|tag| &*tag.name == reference) {
                    Some(tag) => tag.pushed = pushed,
                    None => row.pushed = pushed,
                }
            })
        })
    }

    /// Sets when an artifact was pulled last, under a tag (then both know it) or by its digest (then the tags do not);
    /// answers whether it is there.
    pub fn set_pulled(self, repository: &str, reference: &str, pulled: Moment) -> bool {
        self.change(|tables| {
            edit(tables, repository, reference, |row| {
                row.pulled = Some(pulled);
                if let Some(tag) = row.tags.iter_mut().find(|tag| &*tag.name == reference) {
                    tag.pulled = Some(pulled);
                }
            })
        })
    }

    /// One more immutability rule of a project; answers its identity.
    pub fn immutable(self, project: &str, rule: ImmutableRule) -> i64 {
        let now = self.now();
        self.change(|tables| {
            let project = tables.ensure_project(project, now);
            let id = tables.next_id("immutable");
            tables.immutable.insert(id, (project, rule));
            id
        })
    }

    /// The retention policy of a project; answers its identity.
    pub fn retention(self, project: &str, rules: Vec<RetentionRule>) -> i64 {
        let now = self.now();
        self.change(|tables| {
            let project = tables.ensure_project(project, now);
            let id = tables.next_id("retention");
            tables.retentions.insert(id, (project, rules));
            if let Some(row) = tables.projects.get_mut(&project) {
                row.retention = Some(id);
            }
            id
        })
    }

    /// When a retention policy runs, by its identity: a cron expression of six fields; empty is by hand.
    pub fn schedule_retention(self, retention: i64, cron: &str) {
        self.change(|tables| tables.retention_crons.insert(retention, cron.to_owned()));
    }

    /// One more replication policy; answers its identity.
    pub fn replication(self, replication: Replication) -> i64 {
        self.change(|tables| {
            let id = tables.next_id("replication");
            tables.replications.insert(id, replication);
            id
        })
    }

    /// When garbage is collected from now on; never where `None`.
    pub fn schedule_collections(self, schedule: Option<CollectionSchedule>) {
        self.change(|tables| tables.schedule = schedule);
    }

    /// An artifact by tag or digest.
    #[must_use]
    pub fn artifact(self, repository: &str, reference: &str) -> Option<ArtifactState> {
        self.change(|tables| {
            let row = tables.artifact(repository, reference)?;
            Some(ArtifactState {
                id: row.id,
                digest: row.digest,
                pushed: row.pushed,
                pulled: row.pulled,
                tags: row
                    .tags
                    .iter()
                    .map(|tag| (tag.name.to_string(), tag.pushed, tag.pulled))
                    .collect(),
                labels: row
                    .labels
                    .iter()
                    .filter_map(|id| Some(tables.labels.get(id)?.name.clone()))
                    .collect(),
            })
        })
    }

    /// The most deletions of artifacts that were at work or waiting in one project at one time.
    #[must_use]
    pub fn most_deletions_at_once(self, project: &str) -> usize {
        let id = self.change(|tables| tables.project(project).map(|row| row.id));
        id.map_or(0, |id| self.shared.harbor.lane(id).most.load(Ordering::Relaxed))
    }
}

fn edit(
    tables: &mut Tables,
    repository: &str,
    reference: &str,
    change: impl FnOnce(&mut ArtifactRow),
) -> bool {
    let id = tables.artifact(repository, reference).map(|row| row.id);
    let row = id.and_then(|id| tables.artifacts.get_mut(&id));
    row.map(change).is_some()
}
