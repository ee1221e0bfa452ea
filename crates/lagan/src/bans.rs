//! What forbids deletions for a time: freezes of the configuration, and a pause that somebody asked for.

use std::convert::Infallible;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::SecondsFormat;
use lagan_engine::Stop;
use lagan_model::{Clock, Time};
use lagan_report::sanitize::harmless;
use lagan_scheduler::Freeze;
use lagan_state::StateError;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::running::tell;

const SCHEMA: &str = "lagan.pause/v1";
const NAME: &str = "pause.json";

/// How often a run looks whether it may go on.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Deletions are paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Since when.
    pub(crate) since: Option<Time>,
    /// Until when; `None`: until somebody resumes.
    pub(crate) until: Option<Time>,
    /// Why, in somebody's words.
    pub(crate) why: Option<String>,
}

impl Pause {
    /// The pause of a state directory that holds at a time. One that cannot be read holds.
    pub(crate) fn read(state: &Path, now: Time) -> Option<Self> {
        let text = match fs::read(state.join(NAME)) {
            Ok(text) => text,
            // Where there is no directory there is no pause, and nothing can be deleted either.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return None;
            }
            Err(error) => return Some(Self::unreadable(&error.to_string())),
        };
        let pause = Self::parse(&text).unwrap_or_else(|why| Self::unreadable(&why));
        pause.until.is_none_or(|until| now < until).then_some(pause)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if value["schema"] != SCHEMA {
            return Err(format!("it is no {SCHEMA}"));
        }
        let time = |key: &str| match &value[key] {
            Value::Null => Ok(None),
            value => value
                .as_str()
                .and_then(|text| text.parse().ok())
                .map(Some)
                .ok_or_else(|| format!("{key:?} is no time")),
        };
        Ok(Self {
            since: time("since")?,
            until: time("until")?,
            why: value["why"].as_str().map(str::to_owned),
        })
    }

    fn unreadable(why: &str) -> Self {
        Self {
            since: None,
            until: None,
            why: Some(format!("{NAME} cannot be read: {why}")),
        }
    }

    /// Lets it hold from now on.
    pub(crate) fn write(&self, state: &Path) -> io::Result<()> {
        let time = |time: Option<Time>| time.map(|time| time.to_rfc3339());
        let text = serde_json::to_vec_pretty(&json!({
            "schema": SCHEMA,
            "since": time(self.since),
            "until": time(self.until),
            "why": self.why,
        }))?;
        let mut out = Output::private(&state.join(NAME))?;
        out.write_all(&text)?;
        out.finish()
    }

    /// Lets none hold. Whether one was there.
    pub(crate) fn remove(state: &Path) -> io::Result<bool> {
        match fs::remove_file(state.join(NAME)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What there is to say of it.
    pub(crate) fn said(&self) -> String {
        let mut said = "deletions are paused".to_owned();
        if let Some(since) = self.since {
            said.push_str(&format!(" since {}", shown(since)));
        }
        if let Some(until) = self.until {
            said.push_str(&format!(" until {}", shown(until)));
        }
        said + &because(self.why.as_deref())
    }
}

/// What there is to say of a freeze that holds until then.
pub(crate) fn frozen(freeze: &Freeze, until: Time) -> String {
    format!(
        "deletions are frozen until {}{}",
        shown(until),
        because(freeze.why.as_deref())
    )
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

/// A time as people read it.
pub(crate) fn shown(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The one of some freezes that holds the longest.
pub(crate) fn longest<'f>(
    freezes: impl IntoIterator<Item = &'f Freeze>,
    now: Time,
) -> Option<(&'f Freeze, Time)> {
    let holding = freezes
        .into_iter()
        .filter_map(|freeze| Some((freeze, freeze.until(now)?)));
    holding.max_by_key(|(_, until)| *until)
}

/// What may forbid the deletions of a run.
#[derive(Debug, Clone)]
pub(crate) struct Bans {
    /// The state directory.
    pub(crate) state: PathBuf,
    /// The freezes of the configuration, and those of every policy that makes candidates.
    pub(crate) freezes: Vec<Freeze>,
}

impl Bans {
    /// What forbids them at a time.
    pub(crate) fn why(&self, now: Time) -> Option<String> {
        match Pause::read(&self.state, now) {
            Some(pause) => Some(pause.said()),
            None => longest(&self.freezes, now).map(|(freeze, until)| frozen(freeze, until)),
        }
    }

    /// Refuses a run that would delete.
    pub(crate) fn refuse(&self, now: Time) -> Result<(), Failure> {
        // Who may not enter the directory cannot use it, whether or not there is a pause.
        if let Err(error) = fs::metadata(self.state.join("."))
            && error.kind() == io::ErrorKind::PermissionDenied
        {
            let failed = StateError::Io {
                doing: "open the state directory",
                path: self.state.clone(),
                source: error,
            };
            return Err(failed.into());
        }
        match self.why(now) {
            None => Ok(()),
            Some(why) => Err(Failure::new(
                Exit::Refused,
                anyhow::Error::msg(format!("{why}; nothing deleted")),
            )
            .with_hint("a plan can be made at any time; `lagan resume` ends a pause, the configuration has the freezes")),
        }
    }
}

/// Asks a run to stop as soon as something forbids its deletions. It never ends; the run does.
pub(crate) async fn watch<C: Clock>(bans: &Bans, clock: &C, stop: &Stop) -> Infallible {
    loop {
        if let Some(why) = bans.why(clock.now())
            && !stop.is_requested()
        {
            tell(&format!(
                "stopping when the artifacts in hand are done: {}",
                harmless(&why)
            ));
            stop.request();
        }
        clock.sleep(BETWEEN_LOOKS).await;
    }
}
