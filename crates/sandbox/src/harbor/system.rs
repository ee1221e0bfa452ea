//! What Harbor says of itself: version, accounts, rules, collections, replications, settings.

use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::access::project_of;
use super::account::{Who, permissions as permissions_of};
use super::failure::Failure;
use super::query::{Column, Query};
use super::reading::{listed, single};
use super::route::Route;
use super::state::who;
use super::tables::Tables;
use super::wire;
use crate::server::Call;
use crate::server::reply::{self, empty, set};
use crate::server::target::field;

pub(super) fn api_version() -> Response {
    single(&json!({ "version": "v2.0" }))
}

pub(super) fn ping() -> Response {
    let mut response = reply::json(StatusCode::OK, "Pong");
    set(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
    response
}

pub(super) fn health() -> Response {
    const COMPONENTS: [&str; 7] = [
        "core",
        "database",
        "jobservice",
        "portal",
        "redis",
        "registry",
        "registryctl",
    ];
    let components: Vec<Value> = COMPONENTS
        .iter()
        .map(|name| json!({ "name": name, "status": "healthy" }))
        .collect();
    single(&json!({ "status": "healthy", "components": components }))
}

/// The version is for those who are signed in: its absence shows that credentials were not taken.
pub(super) fn information(call: &Call<'_>) -> Response {
    let harbor = &call.shared.harbor;
    let tables = harbor.tables();
    let mut value = json!({
        "auth_mode": "db_auth",
        "self_registration": false,
        "banner_message": "",
        "primary_auth_mode": false,
    });
    if who(&tables, call.authorization(), harbor.now()).is_known() {
        let origin = call.shared.origin();
        value["harbor_version"] = json!(harbor.options.version.text());
        value["current_time"] = json!(wire::time(harbor.now()));
        value["external_url"] = json!(origin);
        value["registry_url"] = json!(origin.trim_start_matches("http://"));
        value["project_creation_restriction"] = json!("everyone");
        value["has_ca_root"] = json!(false);
        value["registry_storage_provider_name"] = json!("filesystem");
        value["read_only"] = json!(harbor.is_read_only());
        value["notification_enable"] = json!(true);
    }
    single(&value)
}

/// Users only: for a robot there is no such thing.
pub(super) fn current_user(call: &Call<'_>) -> Result<Response, Failure> {
    let harbor = &call.shared.harbor;
    let tables = harbor.tables();
    match who(&tables, call.authorization(), harbor.now()) {
        Who::Known(account) if !account.is_robot => {
            let id = tables
                .users
                .iter()
                .position(|user| user.name == account.name)
                .unwrap_or(0);
            Ok(single(&json!({
                "user_id": id + 1,
                "username": account.name,
                "realname": account.name,
                "email": format!("{}@example.com", account.name),
                "comment": "",
                "sysadmin_flag": account.system_admin,
                "admin_role_in_auth": false,
                "creation_time": wire::time(harbor.options.now),
                "update_time": wire::time(harbor.options.now),
            })))
        }
        _ => Err(Failure::precondition(
            "get current user not available for security context: robot".to_owned(),
        )),
    }
}

/// What the caller may do in one project (`scope=/project/1`); nothing for any other scope.
pub(super) fn current_permissions(call: &Call<'_>) -> Response {
    let harbor = &call.shared.harbor;
    let tables = harbor.tables();
    let who = who(&tables, call.authorization(), harbor.now());
    let scope = field(call.query, "scope").unwrap_or_default();
    let relative = field(call.query, "relative").as_deref() == Some("true");
    let row = |resource: &str, action: &str, base: &str| {
        let resource = match (relative, resource == "project") {
            (true, true) => ".".to_owned(),
            (true, false) => resource.to_owned(),
            (false, true) => base.to_owned(),
            (false, false) => format!("{base}/{resource}"),
        };
        json!({ "resource": resource, "action": action })
    };
    let id = scope.strip_prefix("/project/").and_then(|id| id.parse().ok());
    let version = harbor.options.version;
    let mut found = Vec::new();
    if let Some(project) = id.and_then(|id: i64| tables.projects.get(&id)) {
        for (resource, action) in permissions_of(version, false) {
            if who.may(project, resource, action) {
                found.push(row(resource, action, &scope));
            }
        }
    } else if scope == "/system" {
        for (resource, action) in permissions_of(version, true) {
            if who.may_in_system(resource, action) {
                found.push(row(resource, action, &scope));
            }
        }
    }
    single(&Value::Array(found))
}

/// What can be allowed to robots.
pub(super) fn permissions(call: &Call<'_>) -> Response {
    let version = call.shared.harbor.options.version;
    let all = |in_system| -> Value {
        permissions_of(version, in_system)
            .map(|(resource, action)| json!({ "resource": resource, "action": action }))
            .collect()
    };
    single(&json!({ "system": all(true), "project": all(false) }))
}

pub(super) fn immutable_rules(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let tables = call.shared.harbor.tables();
    let project = project_of(&tables, call, &route.project).map(|row| row.id);
    let rows = tables
        .immutable
        .iter()
        .filter(|(_, (of, _))| Some(*of) == project);
    let rows = query.apply(rows, |(id, _), key| id_column(**id, key), &[("id", false)])?;
    Ok(listed(call, route, &query, rows, |(id, (_, rule))| {
        rule.json(*id).to_string()
    }))
}

fn id_column(id: i64, key: &str) -> Option<Column> {
    matches!(key, "id" | "ID").then_some(Column::Number(id))
}

pub(super) fn retention(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables = call.shared.harbor.tables();
    let id = number(route)?;
    let (project, rules) = tables
        .retentions
        .get(&id)
        .ok_or_else(|| Failure::not_found(format!("retention {id} not found")))?;
    let cron = tables.retention_crons.get(&id).map_or("", String::as_str);
    let rules: Vec<Value> = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| rule.json(at + 1))
        .collect();
    Ok(single(&json!({
        "id": id,
        "algorithm": "or",
        "rules": rules,
        "trigger": {"kind": "Schedule", "references": {}, "settings": {"cron": cron}},
        "scope": {"level": "project", "ref": project},
    })))
}

/// The number that a path ends in.
pub(super) fn number(route: &Route) -> Result<i64, Failure> {
    route.reference.parse().map_err(|_| {
        Failure::unprocessable(&format!(
            "id in path must be of type int64: \"{}\"",
            route.reference
        ))
    })
}

/// Robots of the system, or of a project (`q=Level=project,ProjectID=1`).
pub(super) fn robots(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let mut query = Query::read(call.query)?;
    let level = match query.take("Level") {
        Some(super::query::Pattern::Exact(level)) => level,
        _ => "system".to_owned(),
    };
    let project = match query.take("ProjectID") {
        Some(super::query::Pattern::Exact(id)) => id.parse::<i64>().ok(),
        _ => None,
    };
    if level == "project" && project.is_none() {
        return Err(Failure::bad_request(
            "must with project ID when to query project robots".to_owned(),
        ));
    }
    let tables = call.shared.harbor.tables();
    let name = project
        .and_then(|id| tables.projects.get(&id))
        .map(|row| row.name.as_str());
    let rows = tables.robots.values().filter(|row| {
        wire::level_of(&row.account) == level
            && (level == "system" || name.is_some_and(|name| row.account.is_known_in(name)))
    });
    let rows = query.apply(
        rows,
        |row, key| match key {
            "name" | "Name" => Some(Column::Text(row.account.name.clone())),
            "creation_time" | "CreationTime" => Some(Column::Time(Some(row.created))),
            _ => id_column(row.id, key),
        },
        &[("creation_time", true), ("id", true)],
    )?;
    let version = call.shared.harbor.options.version;
    Ok(listed(call, route, &query, rows, |row| {
        wire::robot(row, version).to_string()
    }))
}

pub(super) fn robot(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables = call.shared.harbor.tables();
    let id = number(route)?;
    let row = tables
        .robots
        .get(&id)
        .ok_or_else(|| Failure::not_found(format!("robot {id} not found")))?;
    Ok(single(&wire::robot(row, call.shared.harbor.options.version)))
}

pub(super) fn collections(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let tables = call.shared.harbor.tables();
    let rows = query.apply(
        tables.collections.values(),
        |row, key| match key {
            "status" | "Status" => Some(Column::Text(row.status.text().to_owned())),
            "start_time" | "StartTime" | "creation_time" => Some(Column::Time(Some(row.started))),
            _ => id_column(row.id, key),
        },
        &[("start_time", true), ("id", true)],
    )?;
    let version = call.shared.harbor.options.version;
    Ok(listed(call, route, &query, rows, |row| {
        wire::collection(row, version).to_string()
    }))
}

pub(super) fn collection(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables = call.shared.harbor.tables();
    let id = number(route)?;
    let row = tables
        .collections
        .get(&id)
        .ok_or_else(|| Failure::not_found(format!("garbage collection execution {id} not found")))?;
    Ok(single(&wire::collection(row, call.shared.harbor.options.version)))
}

/// An empty answer where nothing is scheduled.
pub(super) fn schedule(call: &Call<'_>) -> Response {
    let harbor = &call.shared.harbor;
    let tables = harbor.tables();
    let Some(schedule) = &tables.schedule else {
        return empty(StatusCode::OK);
    };
    let mut parameters = json!({ "delete_untagged": schedule.delete_untagged });
    if harbor.options.version.collects_in_parallel() {
        parameters["workers"] = json!(1);
    }
    single(&json!({
        "id": 1,
        "job_name": "",
        "job_kind": schedule.cron,
        "job_parameters": parameters.to_string(),
        "job_status": "",
        "deleted": false,
        "schedule": {
            "type": schedule.kind,
            "cron": schedule.cron,
            "next_scheduled_time": wire::time(schedule.next),
        },
        "creation_time": wire::time(harbor.options.now),
        "update_time": wire::time(harbor.options.now),
    }))
}

pub(super) fn replications(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let tables = call.shared.harbor.tables();
    let rows = query.apply(
        tables.replications.iter(),
        |(id, row), key| match key {
            "name" | "Name" => Some(Column::Text(row.name().to_owned())),
            _ => id_column(**id, key),
        },
        &[("id", true)],
    )?;
    let time = wire::time(call.shared.harbor.options.now);
    Ok(listed(call, route, &query, rows, |(id, row)| {
        row.json(*id, &time).to_string()
    }))
}

pub(super) fn replication(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables: std::sync::MutexGuard<'_, Tables> = call.shared.harbor.tables();
    let id = number(route)?;
    let row = tables
        .replications
        .get(&id)
        .ok_or_else(|| Failure::not_found(format!("replication policy {id} not found")))?;
    Ok(single(&row.json(id, &wire::time(call.shared.harbor.options.now))))
}

pub(super) fn configuration(call: &Call<'_>) -> Response {
    let harbor = &call.shared.harbor;
    let item = |value: Value| json!({ "value": value, "editable": true });
    single(&json!({
        "auth_mode": item(json!("db_auth")),
        "project_creation_restriction": item(json!("everyone")),
        "quota_per_project_enable": item(json!(true)),
        "read_only": item(json!(harbor.is_read_only())),
        "robot_name_prefix": item(json!(harbor.options.robot_prefix)),
        "robot_token_duration": item(json!(30)),
        "scanner_skip_update_pulltime": item(json!(false)),
        "storage_per_project": item(json!(-1)),
        "token_expiration": item(json!(30)),
    }))
}
