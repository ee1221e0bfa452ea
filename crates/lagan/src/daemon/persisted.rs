//! When policies were run last, in a file: what missed runs are made up for by. It is written when a run begins or
//! ends, and when schedules change.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use chrono::Datelike as _;
use lagan_model::Time;
use lagan_scheduler::Last;
use serde_json::{Map, Value, json};

use crate::output::Output;

pub(super) type Lasts = BTreeMap<String, Last>;

const SCHEMA: &str = "lagan.schedule/v1";
const NAME: &str = "schedule.json";

/// Reads them. There are none before the first time.
pub(super) fn read(folder: &Path) -> Result<Lasts, String> {
    let text = match fs::read(folder.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lasts::new()),
        Err(error) => return Err(error.to_string()),
    };
    let value: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let policies = value.get("policies").and_then(Value::as_object);
    let policies = policies
        .filter(|_| value["schema"] == SCHEMA)
        .ok_or_else(|| format!("{NAME} is no {SCHEMA}"))?;
    let last = |(policy, last): (&String, &Value)| {
        let schedule = last["schedule"].as_str()?.to_owned();
        let at: Time = last["last"].as_str()?.parse().ok()?;
        // Time zones are reckoned with from there.
        let at = (1970..10_000).contains(&at.year()).then_some(at)?;
        Some((policy.clone(), Last { schedule, at }))
    };
    let read: Option<Lasts> = policies.iter().map(last).collect();
    read.ok_or_else(|| format!("{NAME} holds something else than times"))
}

/// Writes them, whole or not at all.
pub(super) fn write(folder: &Path, lasts: &Lasts) -> io::Result<()> {
    let policies: Map<String, Value> = lasts
        .iter()
        .map(|(policy, last)| {
            let value = json!({ "schedule": last.schedule, "last": last.at.to_rfc3339() });
            (policy.clone(), value)
        })
        .collect();
    let text = serde_json::to_vec_pretty(&json!({ "schema": SCHEMA, "policies": policies }))?;
    let mut out = Output::private(&folder.join(NAME))?;
    out.write_all(&text)?;
    out.finish()
}
