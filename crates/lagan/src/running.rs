//! What commands that change a registry have in common: the clock, asking, being stopped, and what earlier runs left.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::ops::Deref;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lagan_engine::{Recovery, Stop};
use lagan_model::journal::JournalError;
use lagan_model::{Clock, Time};
use lagan_report::sanitize::harmless;
use lagan_report::{InDoubtNote, RecoveryNote};
use lagan_state::StateError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::exit::{Exit, Failure};

/// Name and version of this program, for the journal.
pub(crate) const PROGRAM: &str = concat!("lagan ", env!("CARGO_PKG_VERSION"));

/// The time of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        chrono::Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Whether somebody is there to answer.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal. Anything but a yes is a no.
pub(crate) fn ask(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Tells a run to stop at the first SIGINT or SIGTERM: what it has in hand, it finishes. The second ends the process;
/// the next run finds out what came of it. Nobody listens any more when this is dropped.
pub(crate) struct StopOnSignals {
    stop: Arc<Stop>,
    listener: JoinHandle<()>,
}

impl StopOnSignals {
    /// Listens from now on. Needs a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let told = Arc::clone(&stop);
        let listener = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if told.is_requested() {
                    tell("stopped at once: run it again, which finds out what came of what was under way");
                    process::exit(Exit::Unexpected as i32);
                }
                told.request();
                tell("stopping when the artifacts in hand are done; once more stops at once");
            }
        });
        Ok(Self { stop, listener })
    }
}

impl Deref for StopOnSignals {
    type Target = Stop;

    fn deref(&self) -> &Stop {
        &self.stop
    }
}

impl Drop for StopOnSignals {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// A run that is told to stop by the program it is a part of.
#[derive(Debug, Default)]
pub(crate) struct Told {
    stop: Stop,
    begun: AtomicBool,
}

impl Told {
    /// Asks it to stop.
    pub(crate) fn request(&self) {
        self.stop.request();
    }

    /// Whether it may have changed something by now. Before, it can be left at once.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }
}

/// Who tells a run to stop.
pub(crate) enum Stopping {
    /// Whoever sends a signal to this process.
    BySignal,
    /// The program that it is a part of.
    Told(Arc<Told>),
}

/// A run that begins to change something, and may be told to stop.
pub(crate) enum Begun {
    BySignal(StopOnSignals),
    Told(Arc<Told>),
}

impl Stopping {
    /// Listens from now on.
    pub(crate) fn begin(self) -> io::Result<Begun> {
        match self {
            Self::BySignal => StopOnSignals::listen().map(Begun::BySignal),
            Self::Told(told) => {
                told.begun.store(true, Ordering::Release);
                Ok(Begun::Told(told))
            }
        }
    }
}

impl Deref for Begun {
    type Target = Stop;

    fn deref(&self) -> &Stop {
        match self {
            Self::BySignal(stop) => stop,
            Self::Told(told) => &told.stop,
        }
    }
}

/// Says something beside the report.
pub(crate) fn tell(text: &str) {
    // Nobody is left to be told if this fails.
    _ = writeln!(io::stderr(), "{text}");
}

/// What there is to say of what earlier runs left.
pub(crate) fn note(recovery: &Recovery) -> RecoveryNote {
    let mut note = RecoveryNote::default();
    for settled in &recovery.settled {
        *note.settled.entry(settled.result).or_default() += 1;
    }
    note.in_doubt
        .extend(recovery.in_doubt.iter().map(|doubt| InDoubtNote {
            run: doubt.run,
            repository: doubt.repository.clone(),
            digest: doubt.digest.clone(),
            until: doubt.until,
        }));
    note.problems.extend(recovery.problems.iter().cloned());
    for mended in &recovery.mended {
        match &mended.failure {
            None => note.mended += 1,
            Some(failure) => note.problems.push(format!(
                "{} could not be put back, and {} needs it: {failure}",
                mended.digest, mended.needed_by
            )),
        }
    }
    note
}

/// Whether something is left that a person should look at.
pub(crate) fn is_partial(recovery: &RecoveryNote) -> bool {
    !recovery.in_doubt.is_empty() || !recovery.problems.is_empty()
}

/// A run whose journal failed on its way; `hint` says how to go on with it.
pub(crate) fn ended_early(error: JournalError, hint: &str) -> Failure {
    // There was enough room when it began.
    let exit = match error {
        JournalError::NoSpace { .. } => Exit::Partial,
        _ => Exit::Unexpected,
    };
    let error = StateError::from(error);
    let hint = match error.hint() {
        Some(first) => format!("{first}; {hint}"),
        None => hint.to_owned(),
    };
    let mut failure = Failure::from(error).with_hint(hint);
    failure.exit = exit;
    failure
}

/// An error with all that it comes from, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    harmless(&text).into_owned()
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        StateError::from(error).into()
    }
}
