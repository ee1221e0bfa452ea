//! The record of a registry: a line with it, and a line with its hash.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lagan_model::Digest;
use lagan_policy::PolicyName;
use lagan_policy::rollout::Record;
use serde::{Deserialize, Serialize};

use crate::output::{Output, private_folder};

const SCHEMA: &str = "lagan.rollout/v1";
const FOLDER: &str = "rollout";

/// What is on record of each policy.
pub(crate) type Records = BTreeMap<PolicyName, Record>;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Written {
    schema: String,
    registry: String,
    policies: Records,
}

/// The last line: the hash of the one before it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Foot {
    sha256: String,
}

/// Where the record of a registry is.
pub(crate) fn path(state: &Path, registry: &str) -> PathBuf {
    let name = format!("{}.json", Digest::of(registry.as_bytes()).encoded());
    state.join(FOLDER).join(name)
}

/// Reads it. There is none before the first run.
pub(super) fn read(path: &Path, registry: &str) -> Result<Records, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Records::new()),
        Err(error) => return Err(error.to_string()),
    };
    parse(&text, registry)
}

fn parse(text: &str, registry: &str) -> Result<Records, String> {
    let (body, foot) = text.split_once('\n').ok_or("it is cut off")?;
    let foot: Foot = serde_json::from_str(foot).map_err(|_| "it is cut off")?;
    if Digest::of(body.as_bytes()).encoded() != foot.sha256 {
        return Err("its checksum is not that of its content".to_owned());
    }
    let written: Written = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if written.schema != SCHEMA {
        return Err(format!("it is no {SCHEMA}"));
    }
    if written.registry != registry {
        return Err(format!("it is about {}", written.registry));
    }
    Ok(written.policies)
}

/// Writes it, whole or not at all.
pub(super) fn write(path: &Path, registry: &str, records: &Records) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let written = Written {
        schema: SCHEMA.to_owned(),
        registry: registry.to_owned(),
        policies: records.clone(),
    };
    let body = serde_json::to_vec(&written)?;
    let foot = Foot {
        sha256: Digest::of(&body).encoded(),
    };
    let mut out = Output::private(path)?;
    out.write_all(&body)?;
    out.write_all(b"\n")?;
    serde_json::to_writer(&mut out, &foot)?;
    out.write_all(b"\n")?;
    out.finish()
}

/// Keeps one that cannot be read for whoever wants to look at it.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, path.with_extension("unreadable"))
}
