//! Answers that say what a Harbor is set up to do, as far as they are read.

use serde::Deserialize;

use super::ReplicationPolicy;
use crate::harbor::api::Keyed;
use crate::harbor::wire::nullable;

#[derive(Debug, Deserialize)]
pub(super) struct Information {
    pub(super) harbor_version: Option<String>,
    pub(super) read_only: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CurrentUser {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) username: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) sysadmin_flag: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Permission {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) resource: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) action: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Replication {
    id: i64,
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    enabled: bool,
    /// What `replicate_deletion` was called before.
    #[serde(default, deserialize_with = "nullable")]
    deletion: bool,
    #[serde(default, deserialize_with = "nullable")]
    replicate_deletion: bool,
    trigger: Option<Trigger>,
    #[serde(default, deserialize_with = "nullable")]
    filters: Vec<Filter>,
    src_registry: Option<Registry>,
    dest_registry: Option<Registry>,
}

#[derive(Debug, Deserialize)]
struct Trigger {
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Filter {
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    kind: String,
    #[serde(default)]
    value: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Registry {
    #[serde(default, deserialize_with = "nullable")]
    id: i64,
    #[serde(default, deserialize_with = "nullable")]
    name: String,
}

impl Keyed for Replication {
    fn key(&self) -> i64 {
        self.id
    }
}

impl Replication {
    pub(super) fn policy(self) -> ReplicationPolicy {
        let name = self.filters.iter().find(|filter| filter.kind == "name");
        ReplicationPolicy {
            name: self.name,
            is_enabled: self.enabled,
            is_event_based: self.trigger.is_some_and(|trigger| trigger.kind == "event_based"),
            deletes: self.deletion || self.replicate_deletion,
            // Harbor itself is the registry without a number. What names no source is taken for one that copies from here.
            is_outward: self.src_registry.is_none_or(|registry| registry.id == 0),
            repositories: name
                .and_then(|filter| filter.value.as_str())
                .unwrap_or_default()
                .to_owned(),
            destination: self
                .dest_registry
                .map(|registry| registry.name)
                .unwrap_or_default(),
        }
    }
}
