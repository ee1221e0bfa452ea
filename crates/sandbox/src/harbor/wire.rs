//! Rows as Harbor writes them into its answers.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::tables::{
    AccessoryRow, ArtifactRow, CollectionRow, Facts, LabelRow, ProjectRow, RepositoryRow, RobotRow, Tables,
    TagRow,
};
use super::version::HarborVersion;
use crate::content::Manifest;
use crate::moment::Moment;

/// What a never pulled artifact says of its last pull.
const NEVER: &str = "0001-01-01T00:00:00.000Z";

/// A time with milliseconds.
pub(super) fn time(moment: Moment) -> String {
    let mut text = moment.to_string();
    text.pop();
    text.push_str(".000Z");
    text
}

fn time_or_never(moment: Option<Moment>) -> String {
    moment.map_or_else(|| NEVER.to_owned(), time)
}

/// What of an answer on artifacts was asked for, and what Harbor fails to look up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    pub(super) tags: bool,
    pub(super) labels: bool,
    pub(super) accessories: bool,
    pub(super) immutability: bool,
    pub(super) failing: Failing,
}

/// Lookups that fail inside Harbor, which then answers as if there were nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Failing {
    pub(crate) tags: bool,
    pub(crate) labels: bool,
    pub(crate) accessories: bool,
    pub(crate) immutability: bool,
}

/// The fields of an artifact that depend on its bytes alone, as JSON without braces.
pub(super) fn fixed(
    manifest: &Manifest,
    facts: &Facts,
    references: &[Value],
    extra_attributes: &Value,
    body: &Value,
) -> String {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("digest", json!(manifest.digest.to_string()));
    put("type", json!(facts.kind));
    put("media_type", json!(facts.media_type));
    put("manifest_media_type", json!(facts.manifest_media_type));
    put("size", json!(facts.size));
    put(
        "icon",
        json!("sha256:0048162a053eef4d4ce3fe7518615bef084403614f8bca43b40ae2e762e11e06"),
    );
    put("extra_attrs", extra_attributes.clone());
    if let Some(annotations) = body.get("annotations") {
        put("annotations", annotations.clone());
    }
    put(
        "references",
        if references.is_empty() {
            Value::Null
        } else {
            json!(references)
        },
    );
    inside(&Value::Object(fields))
}

/// An object's JSON without its braces.
fn inside(object: &Value) -> String {
    let text = object.to_string();
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.unwrap_or_default().to_owned()
}

pub(super) fn artifact(tables: &Tables, row: &ArtifactRow, shown: Shown, version: HarborVersion) -> String {
    let repository = tables
        .repositories
        .get(&row.repository)
        .map_or("", |repository| &*repository.name);
    let immutability = shown.immutability && !shown.failing.immutability;
    let tags: Vec<Value> = match shown.tags && !shown.failing.tags {
        false => Vec::new(),
        true => row
            .tags
            .iter()
            .map(|tag| tag_of(tables, row, tag, immutability))
            .collect(),
    };
    let labels: Vec<Value> = match shown.labels && !shown.failing.labels {
        false => Vec::new(),
        true => row
            .labels
            .iter()
            .filter_map(|id| tables.labels.get(id))
            .map(label)
            .collect(),
    };
    let accessories: Vec<Value> = match shown.accessories && !shown.failing.accessories {
        false => Vec::new(),
        true => tables
            .accessories_on(row)
            .map(|found| accessory(tables, found, version))
            .collect(),
    };
    let link = format!(
        "/api/v2.0/projects/{}/artifacts/{}/additions/build_history",
        repository.replacen('/', "/repositories/", 1),
        row.digest
    );
    let mut rest = json!({
        "id": row.id,
        "project_id": row.project,
        "repository_id": row.repository,
        "push_time": time(row.pushed),
        "pull_time": time_or_never(row.pulled),
        "tags": none_if_empty(tags),
        "labels": none_if_empty(labels),
        "accessories": none_if_empty(accessories),
        "addition_links": {"build_history": {"absolute": false, "href": link}},
    });
    if version.names_repositories() {
        rest["repository_name"] = json!(repository);
    }
    if version.tells_artifact_types() {
        rest["artifact_type"] = json!(row.facts.artifact_type);
    }
    // One object out of two halves: most of it is the same every time.
    format!("{{{},{}}}", row.fixed, inside(&rest))
}

/// An empty list of a language that writes it as `null`.
fn none_if_empty(values: Vec<Value>) -> Value {
    if values.is_empty() {
        Value::Null
    } else {
        Value::Array(values)
    }
}

pub(super) fn tag_of(tables: &Tables, artifact: &ArtifactRow, tag: &TagRow, immutability: bool) -> Value {
    json!({
        "id": tag.id,
        "repository_id": artifact.repository,
        "artifact_id": artifact.id,
        "name": &*tag.name,
        "push_time": time(tag.pushed),
        "pull_time": time_or_never(tag.pulled),
        "immutable": immutability && tables.is_immutable(artifact.repository, &tag.name),
    })
}

pub(super) fn label(row: &LabelRow) -> Value {
    let mut value = json!({
        "id": row.id,
        "name": row.name,
        "color": "#0065AB",
        "scope": if row.project.is_some() { "p" } else { "g" },
        "creation_time": time(row.created),
        "update_time": time(row.created),
    });
    if let Some(project) = row.project {
        value["project_id"] = json!(project);
    }
    value
}

pub(super) fn accessory(tables: &Tables, row: &AccessoryRow, version: HarborVersion) -> Value {
    let artifact = tables.artifacts.get(&row.artifact);
    let subject = tables.artifact_of(row.repository, &row.subject);
    let mut value = json!({
        "id": row.id,
        "artifact_id": row.artifact,
        "subject_artifact_id": subject.map_or(0, |subject| subject.id),
        "digest": artifact.map(|artifact| artifact.digest.to_string()).unwrap_or_default(),
        "size": artifact.map_or(0, |artifact| artifact.facts.size),
        "type": row.kind,
        "icon": "sha256:20401d5b3a0f6dbc607c8d732eb08471af4ae6b19811a4efce8c6a724aed2882",
        "creation_time": time(row.created),
    });
    if version.names_subjects() {
        let repository = tables.repositories.get(&row.repository);
        value["subject_artifact_digest"] = json!(row.subject.to_string());
        value["subject_artifact_repo"] = json!(repository.map_or("", |repository| &*repository.name));
    }
    value
}

pub(super) fn project(tables: &Tables, row: &ProjectRow) -> Value {
    let repositories = tables
        .repositories
        .values()
        .filter(|repository| repository.project == row.id)
        .count();
    let mut metadata = json!({ "public": row.public.to_string() });
    if let Some(retention) = row.retention {
        metadata["retention_id"] = json!(retention.to_string());
    }
    let mut value = json!({
        "project_id": row.id,
        "owner_id": 1,
        "owner_name": "admin",
        "name": row.name,
        "creation_time": time(row.created),
        "update_time": time(row.created),
        "repo_count": repositories,
        "metadata": metadata,
        "current_user_role_ids": Value::Null,
        "cve_allowlist": {
            "id": row.id,
            "project_id": row.id,
            "items": [],
            "creation_time": time(row.created),
            "update_time": time(row.created),
        },
    });
    if let Some(registry) = row.registry {
        value["registry_id"] = json!(registry);
    }
    value
}

pub(super) fn repository(tables: &Tables, row: &RepositoryRow) -> Value {
    let artifacts = row
        .artifacts
        .iter()
        .filter_map(|id| tables.artifacts.get(id))
        .filter(|artifact| is_listed(tables, artifact) && !tables.is_accessory(artifact.id));
    json!({
        "id": row.id,
        "project_id": row.project,
        "name": &*row.name,
        "artifact_count": artifacts.count(),
        "pull_count": row.pulls,
        "creation_time": time(row.created),
        "update_time": time(row.updated),
    })
}

/// Whether lists of artifacts know of it: an untagged child of an index is left out.
pub(super) fn is_listed(tables: &Tables, row: &ArtifactRow) -> bool {
    !row.tags.is_empty() || !tables.is_referenced(row.id)
}

pub(super) fn robot(row: &RobotRow, version: HarborVersion) -> Value {
    let account = &row.account;
    let level = level_of(account);
    let permissions: Vec<Value> = account
        .grants
        .iter()
        .map(|grant| {
            let access: Vec<Value> = grant
                .access
                .iter()
                .map(|(resource, action)| json!({ "resource": resource, "action": action }))
                .collect();
            json!({
                "kind": if grant.project.is_some() { "project" } else { "system" },
                "namespace": grant.project.as_deref().unwrap_or("/"),
                "access": access,
            })
        })
        .collect();
    let mut value = json!({
        "id": row.id,
        "name": account.name,
        "level": level,
        "duration": account.expires.map_or(-1, |expires| (expires.unix() - row.created.unix()) / 86_400),
        "expires_at": account.expires.map_or(-1, Moment::unix),
        "disable": account.disabled,
        "editable": true,
        "creation_time": time(row.created),
        "update_time": time(row.created),
        "permissions": permissions,
    });
    if version.tells_creators() {
        value["creator_type"] = json!("local");
        value["creator_ref"] = json!(1);
    }
    value
}

/// `project` for a robot whose name has one.
pub(super) fn level_of(account: &Account) -> &'static str {
    if account.name.contains('+') {
        "project"
    } else {
        "system"
    }
}

pub(super) fn collection(row: &CollectionRow, version: HarborVersion) -> Value {
    let mut parameters = json!({
        "delete_untagged": row.delete_untagged,
        "dry_run": row.dry_run,
        "redis_url_reg": "redis://redis:6379/1",
        "time_window": 2,
    });
    if version.collects_in_parallel() {
        parameters["workers"] = json!(row.workers);
    }
    json!({
        "id": row.id,
        "job_name": "GARBAGE_COLLECTION",
        "job_kind": row.trigger,
        "job_parameters": parameters.to_string(),
        "job_status": row.status.text(),
        "deleted": false,
        "schedule": {
            "type": if row.trigger == "MANUAL" { "Manual" } else { "Schedule" },
            "cron": "",
            "next_scheduled_time": NEVER,
        },
        "creation_time": time(row.started),
        "update_time": time(row.updated),
    })
}
