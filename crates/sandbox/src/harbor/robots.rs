//! Robots that are made over the API.

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::account::{Account, permissions};
use super::failure::Failure;
use super::route::Route;
use super::system::number;
use super::writing::{ok, read, text};
use super::{HarborVersion, wire};
use crate::server::Call;
use crate::server::reply::{json, set};

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
    let asked = body.get("permissions").and_then(Value::as_array);
    let asked = asked
        .filter(|all| !all.is_empty())
        .ok_or_else(|| bad("empty permission"))?;
    if level == "project" && asked.len() > 1 {
        return Err(bad("permission"));
    }
    let namespace = text(&asked[0], "namespace");
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
    for permission in asked {
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
        let version = harbor.options.version;
        let known = |pair: &&(&str, &str)| permissions(version, in_system).any(|known| known == **pair);
        if version >= HarborVersion::V2_11
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
