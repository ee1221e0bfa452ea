//! Writes: tags, labels, projects, rules, settings, and what a push has to obey.

use std::sync::atomic::Ordering;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::Value;

use super::access::project_of;
use super::account::{Role, Who};
use super::failure::Failure;
use super::reading::artifact_of;
use super::route::Route;
use super::rules::ImmutableRule;
use super::state::who;
use super::system::number;
use super::tables::{ArtifactRow, LabelRow, Tables, TagRow};
use crate::digest::Digest;
use crate::server::Call;
use crate::server::reply::{empty, set};
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

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn immutable(tag: &str, what: &str) -> Failure {
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

pub(super) fn edit(tables: &mut Tables, id: i64, change: impl FnOnce(&mut ArtifactRow)) {
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

/// Only whether anything may be written can be set.
pub(super) fn configure(call: &Call<'_>, body: &Bytes) -> Result<Response, Failure> {
    if let Some(read_only) = read(body)?.get("read_only").and_then(Value::as_bool) {
        call.shared.harbor.read_only.store(read_only, Ordering::Relaxed);
    }
    Ok(ok())
}
