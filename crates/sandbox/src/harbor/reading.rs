//! Lists and single rows: projects, repositories, artifacts, tags, accessories, labels.

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::access::project_of;
use super::account::Who;
use super::failure::Failure;
use super::query::{Column, Pattern, Query};
use super::route::Route;
use super::state::who;
use super::tables::{ArtifactRow, ProjectRow, RepositoryRow, Tables, TagRow};
use super::wire::{self, Shown};
use crate::server::Call;
use crate::server::reply::{empty, json};
use crate::server::target::field;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// A page of rows, each of them written by `write`.
pub(super) fn listed<T>(
    call: &Call<'_>,
    route: &Route,
    query: &Query,
    rows: Vec<T>,
    write: impl Fn(T) -> String,
) -> Response {
    let total = rows.len();
    let page = query.page_of(rows).into_iter().map(write).collect();
    page_of(call, route, query, total, page)
}

fn page_of(call: &Call<'_>, route: &Route, query: &Query, total: usize, page: Vec<String>) -> Response {
    let mut response = json(StatusCode::OK, format!("[{}]\n", page.join(",")));
    let headers = response.headers_mut();
    headers.insert(TOTAL, HeaderValue::from(total));
    let link = query.link(&route.path, call.query, total);
    // Bytes, because a query that is not encoded may hold any.
    if let Some(link) = link.and_then(|link| HeaderValue::from_bytes(link.as_bytes()).ok()) {
        headers.insert(http::header::LINK, link);
    }
    response
}

pub(super) fn single(value: &Value) -> Response {
    json(StatusCode::OK, format!("{value}\n"))
}

/// How Harbor reads a yes.
fn flag(query: &str, name: &str, default: bool) -> bool {
    const YES: [&str; 10] = [
        "true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled",
    ];
    field(query, name).map_or(default, |text| YES.contains(&text.to_lowercase().as_str()))
}

fn shown(call: &Call<'_>) -> Shown {
    Shown {
        tags: flag(call.query, "with_tag", true),
        labels: flag(call.query, "with_label", false),
        accessories: flag(call.query, "with_accessory", false),
        immutability: flag(call.query, "with_immutable_status", false),
        failing: call.failing(),
    }
}

pub(super) fn project_column(row: &ProjectRow, key: &str) -> Option<Column> {
    Some(match key {
        "project_id" | "ProjectID" => Column::Number(row.id),
        "name" | "Name" => Column::Text(row.name.clone()),
        "public" => Column::Flag(row.public),
        "creation_time" | "CreationTime" => Column::Time(Some(row.created)),
        "registry_id" | "RegistryID" => Column::Number(row.registry.unwrap_or(0)),
        _ => return None,
    })
}

/// Projects that are public, and those that the caller is known in.
pub(super) fn projects(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let tables = call.shared.harbor.tables();
    let who = who(&tables, call.authorization(), call.shared.harbor.now());
    let name = field(call.query, "name").unwrap_or_default();
    let public = field(call.query, "public").map(|_| flag(call.query, "public", false));
    let rows = tables
        .projects
        .values()
        .filter(|row| sees(who, row) && row.name.contains(&name))
        .filter(|row| public.is_none_or(|public| row.public == public));
    let rows = query.apply(rows, |row, key| project_column(row, key), &[("name", false)])?;
    Ok(listed(call, route, &query, rows, |row| {
        wire::project(&tables, row).to_string()
    }))
}

fn sees(who: Who<'_>, project: &ProjectRow) -> bool {
    project.public
        || match who {
            Who::Anonymous => false,
            Who::Known(account) => {
                account.system_admin || account.covers_every_project() || account.is_known_in(&project.name)
            }
        }
}

pub(super) fn head_project() -> Response {
    empty(StatusCode::OK)
}

pub(super) fn project(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables = call.shared.harbor.tables();
    let row = project_of(&tables, call, &route.project)
        .ok_or_else(|| Failure::not_found(format!("project {} not found", route.project)))?;
    Ok(single(&wire::project(&tables, row)))
}

fn repository_column(row: &RepositoryRow, key: &str) -> Option<Column> {
    Some(match key {
        "id" | "repository_id" | "RepositoryID" => Column::Number(row.id),
        "name" | "Name" => Column::Text(row.name.to_string()),
        "project_id" | "ProjectID" => Column::Number(row.project),
        "creation_time" | "CreationTime" => Column::Time(Some(row.created)),
        "update_time" | "UpdateTime" => Column::Time(Some(row.updated)),
        "pull_count" | "PullCount" => Column::Number(i64::try_from(row.pulls).unwrap_or(i64::MAX)),
        _ => return None,
    })
}

/// The repositories of one project, or of all that the caller sees.
pub(super) fn repositories(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let tables = call.shared.harbor.tables();
    let who = who(&tables, call.authorization(), call.shared.harbor.now());
    let rows = tables.repositories.values().filter(|row| {
        tables.projects.get(&row.project).is_some_and(|project| {
            if route.project.is_empty() {
                sees(who, project)
            } else {
                project.name == route.project
            }
        })
    });
    let default = [("creation_time", true), ("id", true)];
    let rows = query.apply(rows, |row, key| repository_column(row, key), &default)?;
    Ok(listed(call, route, &query, rows, |row| {
        wire::repository(&tables, row).to_string()
    }))
}

pub(super) fn repository(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables = call.shared.harbor.tables();
    let row = tables
        .repository(&route.repository)
        .ok_or_else(|| Failure::not_found(format!("repository {} not found", route.repository)))?;
    Ok(single(&wire::repository(&tables, row)))
}

fn artifact_column(tables: &Tables, row: &ArtifactRow, key: &str) -> Option<Column> {
    let text = |text: &str| Column::Text(text.to_owned());
    Some(match key {
        "id" | "ID" => Column::Number(row.id),
        "digest" | "Digest" => text(&row.digest.to_string()),
        "type" | "Type" => text(&row.facts.kind),
        "media_type" | "MediaType" => text(&row.facts.media_type),
        "manifest_media_type" | "ManifestMediaType" => text(&row.facts.manifest_media_type),
        "artifact_type" | "ArtifactType" => text(&row.facts.artifact_type),
        "project_id" | "ProjectID" => Column::Number(row.project),
        "repository_id" | "RepositoryID" => Column::Number(row.repository),
        "repository_name" | "RepositoryName" => text(&tables.repositories.get(&row.repository)?.name),
        "size" | "Size" => Column::Number(i64::try_from(row.facts.size).unwrap_or(i64::MAX)),
        "push_time" | "PushTime" => Column::Time(Some(row.pushed)),
        "pull_time" | "PullTime" => Column::Time(row.pulled),
        _ => return None,
    })
}

fn has_tags(row: &ArtifactRow, pattern: &Pattern) -> Result<bool, Failure> {
    Ok(match pattern {
        Pattern::Exact(text) if text == "nil" => row.tags.is_empty(),
        Pattern::Exact(text) if text == "*" => !row.tags.is_empty(),
        Pattern::Exact(text) => row.tags.iter().any(|tag| &*tag.name == text),
        Pattern::Contains(text) => row.tags.iter().any(|tag| tag.name.contains(text)),
        _ => {
            return Err(Failure::bad_request(
                "the type of \"tags\" value is invalid".to_owned(),
            ));
        }
    })
}

fn has_labels(row: &ArtifactRow, pattern: &Pattern) -> Result<bool, Failure> {
    let Pattern::AllOf(ids) = pattern else {
        return Err(Failure::bad_request(
            "the value of \"labels\" query can only be integer list with intersetion relationship".to_owned(),
        ));
    };
    Ok(ids
        .iter()
        .all(|id| id.parse().is_ok_and(|id: i64| row.labels.contains(&id))))
}

/// The artifacts of a repository, or of a whole project; with `q=base=*` untagged children of indexes, too.
///
/// Accessories are taken out of a page after it was cut, so that a page can be shorter than its size, or empty, and more
/// can follow; `X-Total-Count` does not count them. A repository that is not there has no artifacts.
pub(super) fn artifacts(call: &Call<'_>, route: &Route, of_project: bool) -> Result<Response, Failure> {
    let mut query = Query::read(call.query)?;
    let tags = query.take("tags").or_else(|| query.take("Tags"));
    let labels = query.take("labels");
    let everything = match query.take("base") {
        None => false,
        Some(Pattern::Exact(text)) if text == "*" => true,
        Some(_) => {
            let message = "the value of \"base\" query can only be exact match value with \"*\"";
            return Err(Failure::bad_request(message.to_owned()));
        }
    };
    let tables = call.shared.harbor.tables();
    let project = project_of(&tables, call, &route.project).map(|row| row.id);
    let repositories = tables.repositories.values().filter(|row| match of_project {
        true => Some(row.project) == project,
        false => *row.name == *route.repository,
    });
    let mut rows = Vec::new();
    let ids = repositories.flat_map(|row| &row.artifacts);
    for row in ids.filter_map(|id| tables.artifacts.get(id)) {
        let fits = (everything || wire::is_listed(&tables, row))
            && match &tags {
                Some(pattern) => has_tags(row, pattern)?,
                None => true,
            }
            && match &labels {
                Some(pattern) => has_labels(row, pattern)?,
                None => true,
            };
        if fits {
            rows.push(row);
        }
    }
    let default = [("push_time", true), ("id", true)];
    let rows = query.apply(
        rows.into_iter(),
        |row, key| artifact_column(&tables, row, key),
        &default,
    )?;
    let total = rows.iter().filter(|row| !tables.is_accessory(row.id)).count();
    let shown = shown(call);
    let version = call.shared.harbor.options.version;
    let page = query
        .page_of(rows)
        .into_iter()
        .filter(|row| !tables.is_accessory(row.id))
        .map(|row| wire::artifact(&tables, row, shown, version))
        .collect();
    Ok(page_of(call, route, &query, total, page))
}

/// The artifact of a request, by tag or digest.
pub(super) fn artifact_of<'a>(tables: &'a Tables, route: &Route) -> Result<&'a ArtifactRow, Failure> {
    tables
        .artifact(&route.repository, &route.artifact)
        .ok_or_else(|| {
            let between = if route.artifact.contains(':') { '@' } else { ':' };
            Failure::not_found(format!(
                "artifact {}{between}{} not found",
                route.repository, route.artifact
            ))
        })
}

pub(super) fn artifact(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables = call.shared.harbor.tables();
    let row = artifact_of(&tables, route)?;
    let version = call.shared.harbor.options.version;
    Ok(json(
        StatusCode::OK,
        wire::artifact(&tables, row, shown(call), version) + "\n",
    ))
}

fn tag_column(row: &TagRow, key: &str) -> Option<Column> {
    Some(match key {
        "id" | "ID" => Column::Number(row.id),
        "name" | "Name" => Column::Text(row.name.to_string()),
        "push_time" | "PushTime" => Column::Time(Some(row.pushed)),
        "pull_time" | "PullTime" => Column::Time(row.pulled),
        _ => return None,
    })
}

pub(super) fn tags(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let tables = call.shared.harbor.tables();
    let artifact = artifact_of(&tables, route)?;
    let default = [("push_time", true), ("id", true)];
    let rows = query.apply(artifact.tags.iter(), |row, key| tag_column(row, key), &default)?;
    let immutability = shown(call).immutability && !call.failing().immutability;
    Ok(listed(call, route, &query, rows, |row| {
        wire::tag_of(&tables, artifact, row, immutability).to_string()
    }))
}

pub(super) fn accessories(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let tables = call.shared.harbor.tables();
    let artifact = artifact_of(&tables, route)?;
    let rows = query.apply(
        tables.accessories_on(artifact),
        |row, key| match key {
            "id" | "ID" => Some(Column::Number(row.id)),
            "type" | "Type" => Some(Column::Text(row.kind.to_owned())),
            "creation_time" | "CreationTime" => Some(Column::Time(Some(row.created))),
            _ => None,
        },
        &[("id", false)],
    )?;
    let version = call.shared.harbor.options.version;
    Ok(listed(call, route, &query, rows, |row| {
        wire::accessory(&tables, row, version).to_string()
    }))
}

/// Global labels (`scope=g`), or those of one project (`scope=p&project_id=`).
pub(super) fn labels(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let query = Query::read(call.query)?;
    let scope = field(call.query, "scope").unwrap_or_default();
    let project = match scope.as_str() {
        "g" => None,
        "p" => Some(
            field(call.query, "project_id")
                .and_then(|id| id.parse::<i64>().ok())
                .ok_or_else(|| {
                    Failure::bad_request("must with project ID when to query project labels".to_owned())
                })?,
        ),
        other => return Err(Failure::bad_request(format!("invalid scope: {other}"))),
    };
    let tables = call.shared.harbor.tables();
    let name = field(call.query, "name").unwrap_or_default();
    let rows = tables
        .labels
        .values()
        .filter(|row| row.project == project && row.name.contains(&name));
    let rows = query.apply(
        rows,
        |row, key| match key {
            "id" | "ID" => Some(Column::Number(row.id)),
            "name" | "Name" => Some(Column::Text(row.name.clone())),
            _ => None,
        },
        &[("name", false)],
    )?;
    Ok(listed(call, route, &query, rows, |row| {
        wire::label(row).to_string()
    }))
}

pub(super) fn label(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let tables = call.shared.harbor.tables();
    let row = route
        .reference
        .parse()
        .ok()
        .and_then(|id: i64| tables.labels.get(&id))
        .ok_or_else(|| Failure::not_found(format!("label {} not found", route.reference)))?;
    Ok(single(&wire::label(row)))
}
