//! Exit codes, and errors as people see them: one line, its causes, at most one hint.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use lagan_config::ConfigErrors;
use lagan_engine::{InspectError, PlanError, ScopeError};
use lagan_model::RegistryError;
use lagan_registry::{ConnectError, SettingsError};
use lagan_report::sanitize::harmless;

/// The exit codes that scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Failed unexpectedly.
    Unexpected = 1,
    /// Usage, configuration or policy error; nothing was contacted, or nothing matched.
    Usage = 2,
    /// Refused by a guard.
    Refused = 3,
    /// Something failed or could not be read; the report lists it.
    Partial = 4,
    /// There is something to delete, and the caller asked to be told so.
    Changes = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What ends a command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
            hint: None,
        }
    }

    /// A usage error in words.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(message.into()))
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the reader of our output went away, which is no failure.
    fn is_broken_pipe(&self) -> bool {
        let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        self.error
            .chain()
            .filter_map(|cause| cause.downcast_ref())
            .any(broken)
    }

    /// The cause of it that is such an error.
    pub(crate) fn cause<E: std::error::Error + Send + Sync + 'static>(&self) -> Option<&E> {
        self.error.chain().find_map(|cause| cause.downcast_ref())
    }

    /// The error and its causes in one line, and the hint.
    pub(crate) fn told(&self) -> (String, Option<String>) {
        let told = match self.error.downcast_ref::<ConfigErrors>() {
            Some(errors) => errors.to_string(),
            None => {
                let causes: Vec<_> = self.error.chain().map(ToString::to_string).collect();
                harmless(&causes.join(": ")).into_owned()
            }
        };
        let hint = self.hint.as_deref().map(|hint| harmless(hint).into_owned());
        (told, hint)
    }

    /// Writes the error to stderr.
    pub(crate) fn print(&self) {
        if self.is_broken_pipe() {
            return;
        }
        // Nobody is left to be told if this fails.
        _ = io::stderr().write_all(self.text().as_bytes());
    }

    /// The error as it is shown. Text from outside loses what could act on a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(errors) = self.error.downcast_ref::<ConfigErrors>() {
            // These have their places, lines and hints already, and escape what they show.
            text = errors.to_string();
        } else {
            let mut causes = self.error.chain();
            if let Some(error) = causes.next() {
                _ = writeln!(text, "error: {}", harmless(&error.to_string()));
            }
            for cause in causes {
                _ = writeln!(text, "  caused by: {}", harmless(&cause.to_string()));
            }
            if let Some(hint) = &self.hint {
                _ = writeln!(text, "hint: {}", harmless(hint));
            }
        }
        text
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::new(Exit::Usage, errors)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Unexpected, error)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let hint = error.hint();
        let failure = Self::new(Exit::Usage, error);
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Settings(error) => error.into(),
            ConnectError::Registry(error) => error.into(),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let hint = error.hint().map(str::to_owned);
        // An error that only repeats itself as its cause says nothing more.
        let failure = match error.source().map(ToString::to_string) {
            Some(cause) if error.to_string().contains(&cause) => {
                Self::new(Exit::Unexpected, anyhow::Error::msg(error.to_string()))
            }
            _ => Self::new(Exit::Unexpected, error),
        };
        Self { hint, ..failure }
    }
}

impl From<ScopeError> for Failure {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::Registry(error) => error.into(),
            ScopeError::EmptyCatalog => Self::new(Exit::Usage, error).with_hint(
                "perhaps who asks may not list them: name them in the policy or as arguments, or in a file \
                 (`--repositories-from`, or `repositories_file` of the registry)",
            ),
            ScopeError::NoMatch(_) | ScopeError::NothingNamed => Self::new(Exit::Usage, error)
                .with_hint("`*` stays within one path segment: `team/**` reaches all below team"),
        }
    }
}

impl From<PlanError<io::Error>> for Failure {
    fn from(error: PlanError<io::Error>) -> Self {
        match error {
            PlanError::Scope(error) => error.into(),
            PlanError::Sink(_) => Self::new(Exit::Unexpected, error),
        }
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        let exit = match error {
            InspectError::NotNamed(_) | InspectError::NotFound(_) => Exit::Usage,
            InspectError::Incomplete { .. } => Exit::Partial,
        };
        Self::new(exit, error)
    }
}
