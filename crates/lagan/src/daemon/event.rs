//! What a daemon is told, and what it tells.

use std::io;
use std::path::{Path, PathBuf};
use std::process;

use chrono::SecondsFormat;
use lagan_model::Time;
use lagan_policy::Mode;
use lagan_report::number::count;
use lagan_report::sanitize::harmless;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::history::Record;
use crate::exit::Exit;
use crate::receiving::Receiving;

/// What a daemon is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Time has passed.
    Beat,
    /// Something happened to the folder that the configuration is in. It is looked at with the next beat, when whoever
    /// writes to it may be done.
    Changed,
    /// Read the configuration again, and credentials with it.
    Reload,
    /// Stop.
    Stop,
}

/// A reason in words, several lines perhaps.
pub(super) type Why = String;

/// What a daemon tells.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// It is ready, or has taken another configuration.
    Ready {
        policies: usize,
        enforced: usize,
        unscheduled: Vec<String>,
        next: Option<(Time, String)>,
    },
    /// It lives.
    Beat,
    Began {
        policy: String,
        mode: Mode,
    },
    Ended(Box<Record>),
    /// The state directory is in use; it is tried again.
    Postponed {
        policy: String,
        why: Why,
    },
    /// A policy was due while it was run.
    LeftOut {
        policy: String,
    },
    /// Another configuration holds, but for these settings, which do from the next start on.
    Reloaded {
        restart: Vec<&'static str>,
    },
    /// Who is told what there is to say, from now on.
    Receivers(Receiving),
    /// A configuration was refused, and the old one stays.
    Refused {
        why: Why,
    },
    /// The one that was refused is gone: the configuration that holds is there again.
    PutBack,
    /// What interrupted runs left open on a registry is known.
    Recovered {
        registry: String,
    },
    /// It is not known yet.
    Unrecovered {
        registry: String,
        why: Why,
    },
    Unread {
        why: Why,
    },
    /// The history cannot be read.
    Unlisted {
        why: Why,
    },
    Unwritten {
        what: &'static str,
        why: Why,
    },
    Stopping,
    /// What was in hand took longer than it might.
    Unfinished {
        policy: String,
    },
}

impl Happening {
    /// Logs it.
    pub(crate) fn log(&self) {
        match self {
            Self::Beat | Self::Receivers(_) => {}
            Self::Ready {
                policies,
                enforced,
                unscheduled,
                next,
            } => {
                if !unscheduled.is_empty() {
                    tracing::warn!(
                        "without `schedule`, never run by the daemon: {}",
                        named(unscheduled)
                    );
                }
                let next = match next {
                    Some((due, policy)) => format!(
                        "the next is {} at {}",
                        harmless(policy),
                        due.to_rfc3339_opts(SecondsFormat::Secs, true)
                    ),
                    None => "none is ever due".to_owned(),
                };
                let policies = count(*policies as u64, "policy", "policies");
                tracing::info!("ready: {policies} with a schedule, {enforced} of them enforced; {next}");
            }
            Self::Began { policy, mode } => {
                tracing::info!("{} begins, {}", harmless(policy), named_mode(*mode))
            }
            Self::Ended(record) => {
                let (policy, outcome) = (harmless(&record.policy), record.outcome());
                let run = &record.id;
                match (&record.error, record.exit) {
                    (Some(error), _) => {
                        tracing::error!("{policy} ended: {outcome} (run {run}); {}", one_line(error));
                    }
                    (None, _) if record.held.is_some() => {
                        let why = record.held.as_deref().unwrap_or_default();
                        tracing::warn!("{policy} ended: {outcome} (run {run}); {}", one_line(why));
                    }
                    (None, Exit::Done) => tracing::info!("{policy} ended: {outcome} (run {run})"),
                    (None, _) => tracing::warn!("{policy} ended: {outcome} (run {run})"),
                }
            }
            Self::Postponed { policy, why } => {
                tracing::warn!("{} waits: {}", harmless(policy), one_line(why));
            }
            Self::LeftOut { policy } => tracing::warn!(
                "{} was due while it was run; that time is left out",
                harmless(policy)
            ),
            Self::Reloaded { restart } => {
                tracing::info!("the configuration was read again");
                for setting in restart {
                    tracing::warn!(
                        "`{setting}` is another now, which takes a restart: what held at the start holds"
                    );
                }
            }
            Self::Refused { why } => {
                tracing::error!(
                    "the configuration is refused, and the one before stays:\n{}",
                    why.trim_end()
                );
            }
            Self::PutBack => tracing::info!("the configuration is again the one that holds"),
            Self::Recovered { registry } => {
                tracing::info!("what earlier runs left open on {} is known", harmless(registry));
            }
            Self::Unrecovered { registry, why } => tracing::warn!(
                "what earlier runs left open on {} is not known yet: {}",
                harmless(registry),
                one_line(why)
            ),
            Self::Unread { why } => tracing::warn!(
                "when policies were run last is not known, and nothing is made up for: {}",
                one_line(why)
            ),
            Self::Unlisted { why } => {
                tracing::warn!("the history of runs cannot be read: {}", one_line(why));
            }
            Self::Unwritten { what, why } => tracing::error!("failed to write {what}: {}", one_line(why)),
            Self::Stopping => tracing::info!("stopping"),
            Self::Unfinished { policy } => tracing::error!(
                "{} was not done in time; what came of it is looked at before the next deletion",
                harmless(policy)
            ),
        }
    }
}

fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().map(str::trim).collect();
    harmless(&lines.join("; ")).into_owned()
}

fn named(policies: &[String]) -> String {
    let some: Vec<_> = policies.iter().take(10).map(|policy| harmless(policy)).collect();
    let more = policies.len().saturating_sub(some.len());
    match more {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

pub(crate) fn named_mode(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "dry-run",
        Mode::Enforce => "enforce",
    }
}

/// Tells of SIGTERM and SIGINT, which stop, and of SIGHUP, which reloads. The second that stops ends the process.
pub(crate) fn signals(events: Sender<Event>) -> io::Result<JoinHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        let mut stopping = false;
        loop {
            let event = tokio::select! {
                _ = interrupt.recv() => Event::Stop,
                _ = terminate.recv() => Event::Stop,
                _ = hangup.recv() => Event::Reload,
            };
            if event == Event::Stop && std::mem::replace(&mut stopping, true) {
                process::exit(Exit::Unexpected as i32);
            }
            // Nobody listens any more once it has stopped.
            _ = events.send(event).await;
        }
    }))
}

/// Tells when something happens to the folder that a file is in: a mounted ConfigMap changes by a link beside it.
/// However much happens at once, and whatever else the daemon is told meanwhile, it is told of the last of it.
pub(crate) fn changes(file: &Path, events: Sender<Event>) -> notify::Result<RecommendedWatcher> {
    let (happened, seen) = watch::channel(());
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // Nobody listens any more once the daemon has stopped.
            _ = happened.send(());
        }
    })?;
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    tokio::spawn(hand_on(seen, events));
    Ok(watcher)
}

/// Hands changes on, many as one, and waits for a place: what is dropped here would be lost for good. It ends with whoever
/// tells of them, or hears.
async fn hand_on(mut seen: watch::Receiver<()>, events: Sender<Event>) {
    while seen.changed().await.is_ok() && events.send(Event::Changed).await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_change_among_many_beats_is_told_of_and_many_changes_are_one() {
        let (events, mut told) = mpsc::channel(2);
        let (happened, seen) = watch::channel(());
        for _ in 0..2 {
            events.try_send(Event::Beat).unwrap();
        }
        let handing = tokio::spawn(hand_on(seen, events.clone()));
        for _ in 0..100 {
            happened.send(()).unwrap();
        }
        // It has seen them by now, and waits for a place.
        tokio::task::yield_now().await;
        for _ in 0..2 {
            assert_eq!(told.recv().await, Some(Event::Beat));
        }
        assert_eq!(told.recv().await, Some(Event::Changed));
        // The next one is news again.
        happened.send(()).unwrap();
        assert_eq!(told.recv().await, Some(Event::Changed));
        drop((happened, events));
        assert_eq!(told.recv().await, None);
        handing.await.unwrap();
    }
}
