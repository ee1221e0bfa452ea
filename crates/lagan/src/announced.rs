//! What was announced: a file of the state directory for each registry. It is evidence, by which deletions may happen;
//! what is not in it, for whatever reason, is not announced, and waits.
//!
//! Whoever writes it has the registry to himself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::TimeDelta;
use lagan_model::{Digest, RegistryIdentity, RepositoryName, Time};
use lagan_policy::{Announcement, Announcements, Evidence, Planned};
use lagan_report::sanitize::harmless;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};
use crate::output::{Output, private_folder};

const SCHEMA: &str = "lagan.announced/v1";
const FOLDER: &str = "announced";

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    schema: String,
    registry: String,
}

/// What some policies announced in one repository. What was announced at one time stands together.
#[derive(Serialize, Deserialize)]
struct Line {
    repository: RepositoryName,
    by: Digest,
    planned: Time,
    announced: Vec<(Time, Vec<Digest>)>,
}

/// The last line: the hash of every byte before it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Foot {
    sha256: String,
}

/// What is announced on a registry, for a plan of a certain time.
pub(crate) struct Board {
    /// Where it stands; `None` where there is no state directory.
    path: Option<PathBuf>,
    registry: String,
    announced: Announcements,
    /// The time of the plan, and when that was here: what is announced when a plan is at its end is announced then.
    now: Time,
    since: Instant,
    /// Whether there is a file that cannot be read.
    damaged: bool,
}

impl Board {
    /// Reads what is on record for a registry. What cannot be read is told of, and announces nothing.
    pub(crate) fn read(state: Option<&Path>, registry: &RegistryIdentity, now: Time) -> Self {
        let name = format!("{}.ndjson", Digest::of(registry.url.as_bytes()).encoded());
        let path = state.map(|state| state.join(FOLDER).join(name));
        let read = path.as_deref().map_or(Ok(None), |path| read(path, &registry.url));
        let damaged = read.is_err();
        let announced = read.unwrap_or_else(|why| {
            tracing::warn!(
                "what was announced on {} is not known, and waits anew: {}",
                harmless(registry.name.as_str()),
                harmless(&why)
            );
            None
        });
        Self {
            path,
            registry: registry.url.clone(),
            announced: announced.unwrap_or_default(),
            now,
            since: Instant::now(),
            damaged,
        }
    }

    /// By what deletions may happen.
    pub(crate) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            announcements: &self.announced,
            now: self.now,
        }
    }

    /// Takes note of a plan: of what is no longer in it; and, where it is `kept`, of what is new in it.
    pub(crate) fn note(&self, planned: &[Planned], kept: bool) -> Result<(), Failure> {
        let Some(path) = self.path.as_deref().filter(|_| !planned.is_empty()) else {
            return Ok(());
        };
        let passed = TimeDelta::seconds(self.since.elapsed().as_secs().try_into().unwrap_or(i64::MAX));
        let now = self.now.checked_add_signed(passed).unwrap_or(Time::MAX_UTC);
        let mut announced = self.announced.clone();
        for planned in planned {
            announced.note(planned, kept, now);
        }
        // Nothing but the times of plans is another.
        if !kept && announced.count() == self.announced.count() {
            return Ok(());
        }
        announced.forget_silent(now);
        let written = self
            .set_aside(path)
            .and_then(|()| write(path, &self.registry, &announced));
        written.map_err(|error| {
            let context = format!("failed to write what is announced, {}", path.display());
            Failure::new(Exit::Unexpected, anyhow::Error::new(error).context(context))
        })
    }

    /// Keeps what cannot be read for whoever wants to look at it.
    fn set_aside(&self, path: &Path) -> io::Result<()> {
        match self.damaged {
            true => fs::rename(path, path.with_extension("unreadable")),
            false => Ok(()),
        }
    }
}

fn read(path: &Path, registry: &str) -> Result<Option<Announcements>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    parse(&text, registry).map(Some)
}

fn parse(text: &str, registry: &str) -> Result<Announcements, String> {
    let cut_off = || "it is cut off".to_owned();
    let whole = text.strip_suffix('\n').ok_or_else(cut_off)?;
    let at = whole.rfind('\n').ok_or_else(cut_off)? + 1;
    let (body, foot) = whole.split_at(at);
    let foot: Foot = serde_json::from_str(foot).map_err(|_| cut_off())?;
    if Digest::of(body.as_bytes()).encoded() != foot.sha256 {
        return Err("its checksum is not that of its content".to_owned());
    }
    let mut lines = body.lines();
    let said = |error: serde_json::Error| error.to_string();
    let head: Head = serde_json::from_str(lines.next().unwrap_or_default()).map_err(said)?;
    if head.schema != SCHEMA {
        return Err(format!("it is no {SCHEMA}"));
    }
    if head.registry != registry {
        return Err(format!("it is about {}", head.registry));
    }
    let line = |line: &str| {
        let line: Line = serde_json::from_str(line).map_err(said)?;
        let since = line.announced.into_iter();
        let since = since.flat_map(|(at, actions)| actions.into_iter().map(move |action| (action, at)));
        let announcement = Announcement {
            by: line.by,
            planned: line.planned,
            since: since.collect(),
        };
        Ok((line.repository, announcement))
    };
    lines.map(line).collect()
}

fn write(path: &Path, registry: &str, announced: &Announcements) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let mut body = Vec::new();
    let head = Head {
        schema: SCHEMA.to_owned(),
        registry: registry.to_owned(),
    };
    line(&mut body, &head)?;
    for (repository, announcement) in announced.iter() {
        let mut by_time: BTreeMap<Time, Vec<Digest>> = BTreeMap::new();
        for (action, since) in &announcement.since {
            by_time.entry(*since).or_default().push(action.clone());
        }
        let announced = Line {
            repository: repository.clone(),
            by: announcement.by.clone(),
            planned: announcement.planned,
            announced: by_time.into_iter().collect(),
        };
        line(&mut body, &announced)?;
    }
    let foot = Foot {
        sha256: Digest::of(&body).encoded(),
    };
    line(&mut body, &foot)?;
    let mut out = Output::private(path)?;
    out.write_all(&body)?;
    out.finish()
}

fn line(out: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
