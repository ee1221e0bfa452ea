//! What a Harbor does on its own: immutable tags, retention, replication, garbage collection.

use serde_json::{Value, json};

use super::glob;
use crate::moment::Moment;

/// Tags that can neither be moved nor deleted. Only its first two selectors count, as in Harbor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImmutableRule {
    repositories: Selector,
    tags: Selector,
    disabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Selector {
    excludes: bool,
    pattern: String,
}

impl Selector {
    fn new(pattern: &str) -> Self {
        Self {
            excludes: false,
            pattern: pattern.to_owned(),
        }
    }

    fn selects(&self, text: &str) -> bool {
        glob::matches(&self.pattern, text) != self.excludes
    }

    fn json(&self, matches: &str, excludes: &str) -> Value {
        json!({
            "kind": "doublestar",
            "decoration": if self.excludes { excludes } else { matches },
            "pattern": self.pattern,
        })
    }

    fn read(value: &Value, excludes: &str) -> Option<Self> {
        Some(Self {
            excludes: value.get("decoration")?.as_str()? == excludes,
            pattern: value.get("pattern")?.as_str()?.to_owned(),
        })
    }
}

impl ImmutableRule {
    /// Tags that match, in repositories that match: doublestar patterns, of repositories without their project.
    #[must_use]
    pub fn new(repositories: &str, tags: &str) -> Self {
        Self {
            repositories: Selector::new(repositories),
            tags: Selector::new(tags),
            disabled: false,
        }
    }

    /// Tags that do not match.
    #[must_use]
    pub fn excluding_tags(mut self) -> Self {
        self.tags.excludes = true;
        self
    }

    /// Repositories that do not match.
    #[must_use]
    pub fn excluding_repositories(mut self) -> Self {
        self.repositories.excludes = true;
        self
    }

    /// Written down and not applied.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    pub(super) fn selects(&self, repository: &str, tag: &str) -> bool {
        !self.disabled && self.repositories.selects(repository) && self.tags.selects(tag)
    }

    pub(super) fn json(&self, id: i64) -> Value {
        json!({
            "id": id,
            "priority": 0,
            "disabled": self.disabled,
            "action": "immutable",
            "template": "immutable_template",
            "tag_selectors": [self.tags.json("matches", "excludes")],
            "scope_selectors": {"repository": [self.repositories.json("repoMatches", "repoExcludes")]},
        })
    }

    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            repositories: Selector::read(value.pointer("/scope_selectors/repository/0")?, "repoExcludes")?,
            tags: Selector::read(value.pointer("/tag_selectors/0")?, "excludes")?,
            disabled: value.get("disabled").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

/// One rule of a project's retention policy. It is shown, and not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    template: String,
    count: Option<u64>,
    repositories: Selector,
    tags: Selector,
    untagged: bool,
    disabled: bool,
}

impl RetentionRule {
    /// By its template (`latestPushedK`, `nDaysSinceLastPull`, `always`, ...) and the template's number; on every
    /// repository and tag, untagged artifacts among them.
    #[must_use]
    pub fn new(template: &str, count: Option<u64>) -> Self {
        Self {
            template: template.to_owned(),
            count,
            repositories: Selector::new("**"),
            tags: Selector::new("**"),
            untagged: true,
            disabled: false,
        }
    }

    /// On repositories that match.
    #[must_use]
    pub fn repositories(mut self, pattern: &str) -> Self {
        self.repositories = Selector::new(pattern);
        self
    }

    /// On tags that match.
    #[must_use]
    pub fn tags(mut self, pattern: &str) -> Self {
        self.tags = Selector::new(pattern);
        self
    }

    /// On tags that do not match the pattern.
    #[must_use]
    pub fn excluding_tags(mut self) -> Self {
        self.tags.excludes = true;
        self
    }

    /// On repositories that do not match the pattern.
    #[must_use]
    pub fn excluding_repositories(mut self) -> Self {
        self.repositories.excludes = true;
        self
    }

    /// Not on untagged artifacts.
    #[must_use]
    pub fn tagged_only(mut self) -> Self {
        self.untagged = false;
        self
    }

    /// Written down and not applied.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    pub(super) fn json(&self, id: usize) -> Value {
        let mut tags = self.tags.json("matches", "excludes");
        tags["extras"] = json!(json!({ "untagged": self.untagged }).to_string());
        let mut rule = json!({
            "id": id,
            "priority": 0,
            "disabled": self.disabled,
            "action": "retain",
            "template": self.template,
            "params": {},
            "tag_selectors": [tags],
            "scope_selectors": {"repository": [self.repositories.json("repoMatches", "repoExcludes")]},
        });
        if let Some(count) = self.count {
            rule["params"][&self.template] = json!(count);
        }
        rule
    }
}

/// When a replication runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationTrigger {
    /// By hand.
    Manual,
    /// At the times of a cron expression.
    Scheduled,
    /// With every push, and deletion where deletions are replicated.
    EventBased,
}

/// A policy that copies a project's content elsewhere. It is shown, and not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    name: String,
    repositories: String,
    trigger: ReplicationTrigger,
    deletions: bool,
    enabled: bool,
}

impl Replication {
    /// Copies repositories whose whole names match this pattern.
    #[must_use]
    pub fn new(name: &str, repositories: &str, trigger: ReplicationTrigger) -> Self {
        Self {
            name: name.to_owned(),
            repositories: repositories.to_owned(),
            trigger,
            deletions: false,
            enabled: true,
        }
    }

    /// And deletes there what is deleted here.
    #[must_use]
    pub fn deletions(mut self) -> Self {
        self.deletions = true;
        self
    }

    /// Switched off.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn json(&self, id: i64, time: &str) -> Value {
        let registry = |id: i64, name: &str, kind: &str| {
            json!({
                "id": id,
                "name": name,
                "type": kind,
                "url": format!("https://{}.example", name.to_lowercase()),
                "status": "healthy",
                "insecure": false,
                "creation_time": time,
                "update_time": time,
            })
        };
        let trigger = match self.trigger {
            ReplicationTrigger::Manual => json!({"type": "manual"}),
            ReplicationTrigger::EventBased => json!({"type": "event_based"}),
            ReplicationTrigger::Scheduled => {
                json!({"type": "scheduled", "trigger_settings": {"cron": "0 0 3 * * *"}})
            }
        };
        json!({
            "id": id,
            "name": self.name,
            "src_registry": registry(0, "Local", "harbor"),
            "dest_registry": registry(1, "mirror", "harbor"),
            "dest_namespace_replace_count": 1,
            "filters": [{"type": "name", "value": self.repositories}],
            "trigger": trigger,
            "deletion": self.deletions,
            "replicate_deletion": self.deletions,
            "override": true,
            "enabled": self.enabled,
            "speed": -1,
            "creation_time": time,
            "update_time": time,
        })
    }
}

/// When garbage is collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionSchedule {
    pub(super) kind: String,
    pub(super) cron: String,
    pub(super) delete_untagged: bool,
    pub(super) next: Moment,
}

impl CollectionSchedule {
    /// `Hourly`, `Daily`, `Weekly` or `Custom`, its cron expression of six fields, and when it is due next.
    #[must_use]
    pub fn new(kind: &str, cron: &str, next: Moment) -> Self {
        Self {
            kind: kind.to_owned(),
            cron: cron.to_owned(),
            delete_untagged: false,
            next,
        }
    }

    /// Takes untagged artifacts as well.
    #[must_use]
    pub fn delete_untagged(mut self) -> Self {
        self.delete_untagged = true;
        self
    }
}

/// How a collection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionStatus {
    /// Waits for another.
    Pending,
    /// At work.
    Running,
    /// Ended well.
    Success,
    /// Ended badly.
    Error,
    /// Was stopped.
    Stopped,
}

impl CollectionStatus {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Success => "Success",
            Self::Error => "Error",
            Self::Stopped => "Stopped",
        }
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}
