//! Garbage collection: what it starts with, and what it takes.
//!
//! A run stands open until the test ends it ([`super::Harbor::finish_collection`]); what it takes is taken then.

use std::collections::HashSet;

use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::failure::Failure;
use super::route::Route;
use super::rules::{CollectionSchedule, CollectionStatus};
use super::steer::Harbor;
use super::system::number;
use super::tables::{CollectionRow, Tables};
use super::writing::{created, ok, read};
use crate::digest::Digest;
use crate::moment::Moment;
use crate::server::{Call, Shared};

/// Blobs that were pushed or asked for within so many seconds are spared.
const WINDOW: i64 = 2 * 3_600;

fn start(
    tables: &mut Tables,
    trigger: &'static str,
    delete_untagged: bool,
    dry_run: bool,
    workers: i64,
    now: Moment,
) -> i64 {
    let busy = tables.collections.values().any(|row| row.status.is_open());
    let id = tables.next_id("collection");
    let row = CollectionRow {
        id,
        trigger,
        status: match busy {
            true => CollectionStatus::Pending,
            false => CollectionStatus::Running,
        },
        delete_untagged,
        dry_run,
        workers,
        started: now,
        updated: now,
    };
    tables.collections.insert(id, row);
    id
}

/// Starts a run (`Manual`), or sets when the next ones start.
pub(super) fn schedule(call: &Call<'_>, body: &Bytes) -> Result<Response, Failure> {
    let harbor = &call.shared.harbor;
    let (body, now) = (read(body)?, harbor.now());
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let yes = |pointer: &str| body.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
    let mut tables = harbor.tables();
    let delete_untagged = yes("/parameters/delete_untagged");
    let kind = text("/schedule/type");
    let days = match kind {
        "Manual" => {
            let workers = body.pointer("/parameters/workers").and_then(Value::as_i64);
            let dry_run = yes("/parameters/dry_run");
            let id = start(
                &mut tables,
                "MANUAL",
                delete_untagged,
                dry_run,
                workers.unwrap_or(1),
                now,
            );
            return Ok(created(&format!("/api/v2.0/system/gc/{id}")));
        }
        "None" => {
            tables.schedule = None;
            return Ok(created("/api/v2.0/system/gc/0"));
        }
        "Weekly" => 7,
        "Hourly" | "Daily" | "Custom" => 1,
        _ => {
            return Err(Failure::unprocessable(
                "schedule.type in body should be one of [Hourly Daily Weekly Custom Manual None Schedule]",
            ));
        }
    };
    let cron = text("/schedule/cron");
    if cron.is_empty() {
        return Err(Failure::bad_request(
            "empty cron string for gc schedule".to_owned(),
        ));
    }
    let next = match kind {
        "Hourly" => now + 3_600,
        _ => now.plus_days(days),
    };
    let schedule = CollectionSchedule::new(kind, cron, next);
    tables.schedule = Some(match delete_untagged {
        true => schedule.delete_untagged(),
        false => schedule,
    });
    Ok(match *call.method {
        http::Method::PUT => ok(),
        _ => created("/api/v2.0/system/gc/0"),
    })
}

pub(super) fn stop(call: &Call<'_>, route: &Route) -> Result<Response, Failure> {
    let id = number(route)?;
    let now = call.shared.harbor.now();
    let mut tables = call.shared.harbor.tables();
    match end(&mut tables, id, CollectionStatus::Stopped, now) {
        Some(_) => Ok(ok()),
        None => Err(Failure::not_found(format!(
            "garbage collection execution {id} not found"
        ))),
    }
}

/// Ends a run, and lets the next one begin; whether it was open before and takes untagged artifacts.
fn end(tables: &mut Tables, id: i64, status: CollectionStatus, now: Moment) -> Option<(bool, bool)> {
    let row = tables.collections.get_mut(&id)?;
    let was = (row.status.is_open() && !row.dry_run, row.delete_untagged);
    if row.status.is_open() {
        (row.status, row.updated) = (status, now);
    }
    let waiting = |row: &&mut CollectionRow| row.status == CollectionStatus::Pending;
    let running = tables
        .collections
        .values()
        .any(|row| row.status == CollectionStatus::Running);
    if let Some(next) = tables.collections.values_mut().find(waiting).filter(|_| !running) {
        next.status = CollectionStatus::Running;
    }
    Some(was)
}

impl Harbor<'_> {
    /// A collection begins that its schedule has started; it waits where one is at work. Answers its identity.
    pub fn start_collection(self, delete_untagged: bool) -> i64 {
        let harbor = &self.shared.harbor;
        let now = harbor.now();
        start(&mut harbor.tables(), "SCHEDULE", delete_untagged, false, 1, now)
    }

    /// A collection ends; where it ends well it has taken the blobs that nothing refers to and that nobody touched for two
    /// hours, and with `delete_untagged` first the artifacts without a tag, however new. Answers how many blobs it took.
    pub fn finish_collection(self, id: i64, status: CollectionStatus) -> usize {
        let harbor = &self.shared.harbor;
        let mut tables = harbor.tables();
        match end(&mut tables, id, status, harbor.now()) {
            Some((true, delete_untagged)) if status == CollectionStatus::Success => {
                if delete_untagged {
                    take_untagged(self.shared, &mut tables);
                }
                take_blobs(self.shared, &tables)
            }
            _ => 0,
        }
    }
}

fn take_untagged(shared: &Shared, tables: &mut Tables) {
    loop {
        let untagged: Vec<i64> = tables
            .artifacts
            .values()
            .filter(|row| row.tags.is_empty() && !tables.is_referenced(row.id))
            .filter(|row| !tables.is_accessory(row.id))
            .map(|row| row.id)
            .collect();
        if untagged.is_empty() {
            return;
        }
        for id in untagged {
            let Some(row) = tables.artifacts.get(&id) else {
                continue;
            };
            let name = tables
                .repositories
                .get(&row.repository)
                .map(|row| std::sync::Arc::clone(&row.name));
            let accessories: Vec<i64> = tables.accessories_on(row).map(|found| found.artifact).collect();
            for id in accessories.into_iter().chain([id]) {
                let digest = tables.artifacts.get(&id).map(|row| row.digest);
                tables.remove_artifact(id);
                if let (Some(name), Some(digest)) = (&name, digest) {
                    shared.store.delete_manifest(name, &digest);
                }
            }
        }
    }
}

fn take_blobs(shared: &Shared, tables: &Tables) -> usize {
    let harbor = &shared.harbor;
    let names: Vec<_> = tables
        .repositories
        .values()
        .map(|row| std::sync::Arc::clone(&row.name))
        .collect();
    let mut held: HashSet<Digest> = HashSet::new();
    for name in &names {
        shared.store.read(name, |view| {
            for manifest in view.manifests() {
                let blobs = manifest.config.iter().chain(&manifest.layers);
                held.extend(blobs.map(|blob| blob.digest));
            }
        });
    }
    let spared = harbor.now() - WINDOW;
    let touched = harbor.touched();
    let mut taken = 0;
    for name in &names {
        let blobs = shared.store.read(name, |view| view.blobs()).unwrap_or_default();
        for digest in blobs {
            let free = !held.contains(&digest) && touched.get(&digest).is_none_or(|moment| *moment <= spared);
            if free && shared.store.delete_blob(name, &digest) {
                taken += 1;
            }
        }
    }
    taken
}
