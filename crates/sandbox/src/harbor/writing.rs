//! Writes: deleting tags and artifacts, tagging, labelling, projects, rules, robots, settings.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::access::project_of;
use super::account::{Account, IN_PROJECTS, IN_SYSTEM, Role, Who};
use super::failure::Failure;
use super::reading::artifact_of;
use super::route::Route;
use super::rules::ImmutableRule;
use super::state::who;
use super::system::number;
use super::tables::{ArtifactRow, LabelRow, Tables, TagRow};
use super::{HarborVersion, wire};
use crate::digest::Digest;
use crate::server::Call;
use crate::server::reply::{empty, json, set};
use crate::server::target::is_tag;

pub(super) fn ok() -> Response {
    empty(StatusCode::OK)
}

pub(super) fn created(location: &str) -> Response {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, LOCATION, location);
    response
}

pub(super) fn read(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::unprocessable(&format!("body: {error}")))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Deletes one artifact with its tags, its accessories and the children that nothing else holds: all of it or nothing.
///
/// The project's quota is refreshed after it; until then the project's next deletion waits.
pub(crate) async fn delete_artifact(
    call: &Call<'_>,
    repository: &str,
    reference: &str,
    status: StatusCode,
) -> Result<Response, Failure> {
    let harbor = &call.shared.harbor;
    let not_found = || Failure::not_found(format!("artifact {repository}@{reference} not found"));
    let project = harbor
        .tables()
        .artifact(repository, reference)
        .map(|row| row.project)
        .ok_or_else(not_found)?;
    let lane = harbor.lane(project);
    let inside = lane.inside.fetch_add(1, Ordering::Relaxed) + 1;
    lane.most.fetch_max(inside, Ordering::Relaxed);
    let gate = lane.gate.lock().await;
    let deleted = delete_now(call, repository, reference)
        .ok_or_else(not_found)
        .flatten();
    if deleted.is_ok() && !harbor.options.quota_refresh.is_zero() {
        call.shared
            .until_stopped(tokio::time::sleep(harbor.options.quota_refresh))
            .await;
    }
    drop(gate);
    lane.inside.fetch_sub(1, Ordering::Relaxed);
    deleted.map(|()| empty(status))
}

/// The transaction; `None` where there is no such artifact.
fn delete_now(call: &Call<'_>, repository: &str, reference: &str) -> Option<Result<(), Failure>> {
    let mut tables = call.shared.harbor.tables();
    let root = tables.artifact(repository, reference)?.id;
    let mut going = Going::default();
    if let Err(failure) = going.delete(&tables, root, true) {
        return Some(Err(failure));
    }
    for id in going.order {
        let digest = tables.artifacts.get(&id).map(|row| row.digest);
        tables.remove_artifact(id);
        if let Some(digest) = digest {
            call.shared.store.delete_manifest(repository, &digest);
        }
    }
    Some(Ok(()))
}

/// What one deletion takes along.
#[derive(Default)]
struct Going {
    order: Vec<i64>,
    seen: HashSet<i64>,
}

impl Going {
    fn delete(&mut self, tables: &Tables, id: i64, is_root: bool) -> Result<(), Failure> {
        let Some(row) = tables.artifacts.get(&id) else {
            return Ok(());
        };
        if self.seen.contains(&id) || (!is_root && !row.tags.is_empty()) {
            return Ok(());
        }
        if tables.parents(id).any(|parent| !self.seen.contains(&parent)) {
            return match is_root {
                true => Err(Failure::referenced()),
                false => Ok(()),
            };
        }
        if let Some(tag) = row
            .tags
            .iter()
            .find(|tag| tables.is_immutable(row.repository, &tag.name))
        {
            return Err(immutable(&tag.name, "deleted"));
        }
        self.seen.insert(id);
        let accessories: Vec<i64> = tables.accessories_on(row).map(|found| found.artifact).collect();
        for accessory in accessories {
            self.delete(tables, accessory, true)?;
        }
        for child in &row.children {
            self.delete(tables, *child, false)?;
        }
        self.order.push(id);
        Ok(())
    }
}

fn immutable(tag: &str, what: &str) -> Failure {
    Failure::precondition(format!("the tag {tag} configured as immutable, cannot be {what}"))
}

/// Why a manifest may not be pushed under a tag, or at all.
pub(crate) fn may_push(
    call: &Call<'_>,
    repository: &str,
    tag: Option<&str>,
    digest: Digest,
) -> Result<(), Failure> {
    let tables = call.shared.harbor.tables();
    let project = repository.split('/').next().and_then(|name| tables.project(name));
    if let Some(project) = project.filter(|project| project.registry.is_some()) {
        return Err(Failure::method_not_allowed(&format!(
            "can not push artifact to a proxy project: {}",
            project.name
        )));
    }
    let moved = tag.and_then(|tag| Some((tag, tables.artifact(repository, tag)?)));
    match moved {
        Some((tag, row)) if row.digest != digest && tables.is_immutable(row.repository, tag) => {
            Err(immutable(tag, "updated"))
        }
        _ => Ok(()),
    }
}

/// Deletes a tag if it is on this artifact.
pub(super) fn delete_tag(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let mut tables = call.shared.harbor.tables();
    let artifact = artifact_of(&tables, route)?;
    let (id, tag) = (artifact.id, &*route.reference);
    let there = artifact.tags.iter().any(|row| &*row.name == tag) && !call.failing().tags;
    if !there {
        return Err(Failure::not_found(format!(
            "tag {tag} attached to artifact {id} not found"
        )));
    }
    if tables.is_immutable(artifact.repository, tag) {
        return Err(immutable(tag, "deleted"));
    }
    edit(&mut tables, id, |row| row.tags.retain(|row| &*row.name != tag));
    call.shared.store.delete_tag(&route.repository, tag);
    Ok(ok())
}

fn edit(tables: &mut Tables, id: i64, change: impl FnOnce(&mut ArtifactRow)) {
    if let Some(row) = tables.artifacts.get_mut(&id) {
        change(row);
    }
}

pub(super) fn create_tag(call: &Call<'_>, route: &Route, body: &Bytes) -> Result<Response, Failure> {
    let body = read(body)?;
    let name = text(&body, "name");
    if !is_tag(name) {
        return Err(Failure::bad_request(format!("invalid tag name: {name}")));
    }
    let now = call.shared.harbor.now();
    let mut tables = call.shared.harbor.tables();
    if tables
        .project(&route.project)
        .is_some_and(|row| row.registry.is_some())
    {
        return Err(Failure::method_not_allowed(
            "the operation isn't supported for a proxy cache project",
        ));
    }
    let (id, digest) = {
        let artifact = artifact_of(&tables, route)?;
        (artifact.id, artifact.digest)
    };
    if tables.artifact(&route.repository, name).is_some() {
        return Err(Failure::conflict(format!(
            "tag {name} already exists under the repository {}",
            route.repository
        )));
    }
    let tag = TagRow {
        id: tables.next_id("tag"),
        name: name.into(),
        pushed: now,
        pulled: None,
    };
    edit(&mut tables, id, |row| row.tags.push(tag));
    call.shared
        .store
        .write(&route.repository, |_, overlay| overlay.put_tag(name, digest));
    Ok(empty(StatusCode::CREATED))
}

pub(super) fn add_label(call: &Call<'_>, route: &Route, body: &Bytes) -> Result<Response, Failure> {
    let id = read(body)?.get("id").and_then(Value::as_i64).unwrap_or(0);
    let mut tables = call.shared.harbor.tables();
    let artifact = artifact_of(&tables, route)?;
    let (artifact, project) = (artifact.id, artifact.project);
    let label = tables
        .labels
        .get(&id)
        .ok_or_else(|| Failure::not_found(format!("label {id} not found")))?;
    if label.project.is_some_and(|of| of != project) {
        return Err(Failure::not_found(format!(
            "project id {project}, label {id} not found"
        )));
    }
    if tables
        .artifacts
        .get(&artifact)
        .is_some_and(|row| row.labels.contains(&id))
    {
        return Err(Failure::conflict(format!(
            "label {id} is already added to the artifact {artifact}"
        )));
    }
    edit(&mut tables, artifact, |row| row.labels.push(id));
    Ok(ok())
}

pub(super) fn remove_label(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let id = number(route)?;
    let mut tables = call.shared.harbor.tables();
    let artifact = artifact_of(&tables, route)?;
    let there = artifact.labels.contains(&id);
    let artifact = artifact.id;
    if !there {
        return Err(Failure::not_found(format!(
            "reference with label {id} and artifact {artifact} not found"
        )));
    }
    edit(&mut tables, artifact, |row| {
        row.labels.retain(|label| *label != id)
    });
    Ok(ok())
}

pub(super) fn create_label(call: &Call<'_>, route: &Route, body: &Bytes) -> Result<Response, Failure> {
    let harbor = &call.shared.harbor;
    let body = read(body)?;
    let (name, now) = (text(&body, "name"), harbor.now());
    let mut tables = harbor.tables();
    let project = match text(&body, "scope") {
        "g" => None,
        "p" => Some(body.get("project_id").and_then(Value::as_i64).unwrap_or(0)),
        _ => return Err(Failure::bad_request("unsupported label scope".to_owned())),
    };
    let who = who(&tables, call.authorization(), now);
    let allowed = match project {
        None => who.may_in_system("label", "create"),
        Some(id) => tables
            .projects
            .get(&id)
            .is_some_and(|row| who.may(row, "label", "create")),
    };
    if !allowed {
        return Err(Failure::forbidden());
    }
    if tables
        .labels
        .values()
        .any(|row| row.name == name && row.project == project)
    {
        return Err(Failure::conflict(format!("label {name} already exists")));
    }
    let id = tables.next_id("label");
    let row = LabelRow {
        id,
        name: name.to_owned(),
        project,
        created: now,
    };
    tables.labels.insert(id, row);
    Ok(created(&format!("{}/{id}", route.path)))
}

pub(super) fn create_project(call: &Call<'_>, route: &Route, body: &Bytes) -> Result<Response, Failure> {
    let harbor = &call.shared.harbor;
    let body = read(body)?;
    let name = text(&body, "project_name");
    let fits = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    if name.is_empty() || !fits {
        return Err(Failure::bad_request(format!("project name {name} is not valid")));
    }
    let now = harbor.now();
    let mut tables = harbor.tables();
    if tables.project(name).is_some() {
        return Err(Failure::conflict(format!(
            "The project named {name} already exists"
        )));
    }
    let (creator, admin) = match who(&tables, call.authorization(), now) {
        Who::Known(account) if !account.is_robot => (Some(account.name.clone()), account.system_admin),
        _ => (None, false),
    };
    let registry = body.get("registry_id").and_then(Value::as_i64);
    if registry.is_some() && !admin {
        return Err(Failure::forbidden());
    }
    let id = tables.ensure_project(name, now);
    if let Some(row) = tables.project_mut(name) {
        row.registry = registry;
        row.public = body.pointer("/metadata/public").and_then(Value::as_str) == Some("true")
            || body.get("public").and_then(Value::as_bool) == Some(true);
    }
    for user in &mut tables.users {
        if Some(&user.name) == creator.as_ref() {
            user.roles.push((name.to_owned(), Role::ProjectAdmin));
        }
    }
    let by_name = call
        .headers
        .get("x-resource-name-in-location")
        .is_some_and(|value| value == "true");
    Ok(created(&match by_name {
        true => format!("{}/{name}", route.path),
        false => format!("{}/{id}", route.path),
    }))
}

/// A project goes when it is empty.
pub(super) fn delete_project(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let mut tables = call.shared.harbor.tables();
    let id = project_of(&tables, call, &route.project)
        .map(|row| row.id)
        .ok_or_else(|| Failure::not_found(format!("project {} not found", route.project)))?;
    if tables.repositories.values().any(|row| row.project == id) {
        return Err(Failure::precondition(
            "the project contains repositories, can not be deleted".to_owned(),
        ));
    }
    tables.remove_project(id);
    Ok(ok())
}

/// Artifacts go one by one, indexes before their children; the first that may not stops it.
pub(super) async fn delete_repository(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let harbor = &call.shared.harbor;
    let missing = || Failure::not_found(format!("repository {} not found", route.repository));
    loop {
        let next = {
            let tables = harbor.tables();
            let row = tables.repository(&route.repository).ok_or_else(missing)?;
            row.artifacts
                .iter()
                .find(|id| !tables.is_referenced(**id))
                .and_then(|id| tables.artifacts.get(id))
                .map(|row| row.digest.to_string())
        };
        let Some(digest) = next else {
            break;
        };
        delete_artifact(call, &route.repository, &digest, StatusCode::OK).await?;
    }
    let mut tables = harbor.tables();
    let id = tables.repository(&route.repository).map(|row| row.id);
    tables.remove_repository(id.ok_or_else(missing)?);
    call.shared.store.forget(&route.repository);
    Ok(ok())
}

pub(super) fn create_immutable_rule(
    call: &Call<'_>,
    route: &Route,
    body: &Bytes,
) -> Result<Response, Failure> {
    let rule = ImmutableRule::read(&read(body)?)
        .ok_or_else(|| Failure::bad_request("a rule needs selectors".to_owned()))?;
    let mut tables = call.shared.harbor.tables();
    let project = project_of(&tables, call, &route.project)
        .map(|row| row.id)
        .ok_or_else(|| Failure::not_found(format!("project {} not found", route.project)))?;
    if tables
        .immutable
        .values()
        .any(|known| *known == (project, rule.clone()))
    {
        return Err(Failure::conflict("immutable rule already exists".to_owned()));
    }
    let id = tables.next_id("immutable");
    tables.immutable.insert(id, (project, rule));
    Ok(created(&format!("{}/{id}", route.path)))
}

pub(super) fn delete_immutable_rule(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let id = number(route)?;
    let mut tables = call.shared.harbor.tables();
    let project = project_of(&tables, call, &route.project).map(|row| row.id);
    let there = tables
        .immutable
        .get(&id)
        .is_some_and(|(of, _)| Some(*of) == project);
    if !there {
        return Err(Failure::not_found(format!(
            "the immutable tag rule {id} not found"
        )));
    }
    tables.immutable.remove(&id);
    Ok(ok())
}

pub(super) fn create_robot(call: &Call<'_>, route: &Route, body: &Bytes) -> Result<Response, Failure> {
    let harbor = &call.shared.harbor;
    let body = read(body)?;
    let (name, level, now) = (text(&body, "name"), text(&body, "level"), harbor.now());
    let bad = |what: &str| Failure::bad_request(format!("bad request {what}"));
    let fits = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    if name.is_empty() || !fits {
        return Err(bad(
            "robot name is not in lower case or contains illegal characters",
        ));
    }
    let days = body.get("duration").and_then(Value::as_i64).unwrap_or(30);
    let permissions = body.get("permissions").and_then(Value::as_array);
    let permissions = permissions
        .filter(|all| !all.is_empty())
        .ok_or_else(|| bad("empty permission"))?;
    if level == "project" && permissions.len() > 1 {
        return Err(bad("permission"));
    }
    let namespace = text(&permissions[0], "namespace");
    let full = match level {
        "system" => format!("{}{name}", harbor.options.robot_prefix),
        "project" => format!("{}{namespace}+{name}", harbor.options.robot_prefix),
        _ => return Err(bad("error level input")),
    };
    let mut tables = harbor.tables();
    let secret = format!("Sandbox{:08}secret", tables.robots.len() + 1);
    let mut account = Account::robot(&full, &secret);
    if days > 0 {
        account = account.expires(now.plus_days(days));
    }
    for permission in permissions {
        let in_system = text(permission, "kind") == "system";
        let access = permission.get("access").and_then(Value::as_array);
        let access: Vec<(&str, &str)> = access
            .into_iter()
            .flatten()
            .map(|access| (text(access, "resource"), text(access, "action")))
            .collect();
        if access.is_empty() {
            return Err(bad("empty access"));
        }
        let table = if in_system { IN_SYSTEM } else { IN_PROJECTS };
        let known = |(resource, action): &&(&str, &str)| {
            table
                .iter()
                .any(|(named, actions)| named == resource && actions.contains(action))
        };
        if harbor.options.version >= HarborVersion::V2_11
            && let Some((resource, action)) = access.iter().find(|pair| !known(pair))
        {
            return Err(bad(&format!("permission: {resource}:{action}")));
        }
        account = match in_system {
            true => account.may_in_system(&access),
            false => account.may(text(permission, "namespace"), &access),
        };
    }
    let taken = tables.robots.values().any(|row| row.account.name == full);
    if taken {
        return Err(Failure::conflict(format!("robot {full} already exists")));
    }
    let expires = account.expires.map_or(-1, |moment| moment.unix());
    tables.add_account(account, now);
    let id = tables.robots.keys().next_back().copied().unwrap_or(0);
    let payload = json!({
        "id": id,
        "name": full,
        "secret": secret,
        "creation_time": wire::time(now),
        "expires_at": expires,
    });
    let mut response = json(StatusCode::CREATED, payload.to_string());
    set(&mut response, LOCATION, &format!("{}/{id}", route.path));
    Ok(response)
}

pub(super) fn delete_robot(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let id = number(route)?;
    match call.shared.harbor.tables().robots.remove(&id) {
        Some(_) => Ok(ok()),
        None => Err(Failure::not_found(format!("robot {id} not found"))),
    }
}

/// Only whether anything may be written can be set.
pub(super) fn configure(call: &Call<'_>, body: &Bytes) -> Result<Response, Failure> {
    if let Some(read_only) = read(body)?.get("read_only").and_then(Value::as_bool) {
        call.shared.harbor.read_only.store(read_only, Ordering::Relaxed);
    }
    Ok(ok())
}
