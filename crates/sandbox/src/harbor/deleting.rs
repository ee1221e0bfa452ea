//! Deletions: of a tag, of an artifact and what goes along, of a repository, of a project.

use std::collections::HashSet;

use axum::response::Response;
use http::StatusCode;

use super::access::project_of;
use super::failure::Failure;
use super::reading::artifact_of;
use super::route::Route;
use super::tables::Tables;
use super::writing::{edit, immutable, ok};
use crate::server::Call;
use crate::server::reply::empty;

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
    let _place = lane.enter();
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
