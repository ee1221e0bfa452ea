//! Who is told what the daemon has to say, with secrets as their files have them.

use std::fs;
use std::path::{Path, PathBuf};

use lagan_config::{ReceiverSettings, ReceiverTarget, SecretSource, UrlSource};
use lagan_notify::Receiver;
use lagan_report::sanitize::harmless;

use crate::exit::Failure;
use crate::settings;
use crate::stamp::Stamp;

/// The receivers of a configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receiving(Vec<One>);

#[derive(Debug, Clone)]
struct One {
    settings: ReceiverSettings,
    receiver: Receiver,
    /// What it was made of.
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Whether they can be read again: a pipe gives what it holds only once.
    lasting: bool,
}

impl Receiving {
    /// Reads what they refer to.
    ///
    /// # Errors
    ///
    /// Where a secret cannot be read, or is none.
    pub(crate) fn read(settings: &[ReceiverSettings]) -> Result<Self, Failure> {
        settings.iter().map(One::read).collect::<Result<_, _>>().map(Self)
    }

    /// All of them.
    pub(crate) fn receivers(&self) -> Vec<Receiver> {
        self.0.iter().map(|one| one.receiver.clone()).collect()
    }

    /// Reads again what has changed, and says whether something has. What cannot be read stays as it was, and is told of
    /// once.
    pub(crate) fn refresh(&mut self) -> bool {
        let mut some = false;
        for one in &mut self.0 {
            some |= one.refresh();
        }
        some
    }
}

impl One {
    fn read(settings: &ReceiverSettings) -> Result<Self, Failure> {
        // What changes while it is read is read again.
        let files = stamped(files(&settings.target));
        Ok(Self {
            lasting: files.iter().all(|(path, _)| path.is_file()),
            receiver: settings::receiver(settings)?,
            settings: settings.clone(),
            files,
        })
    }

    fn refresh(&mut self) -> bool {
        let is_other = |(path, stamp): &(PathBuf, Option<Stamp>)| Stamp::of(path) != *stamp;
        if !self.lasting || !self.files.iter().any(is_other) {
            return false;
        }
        self.files = stamped(files(&self.settings.target));
        // Nothing is waited for, whatever is there now.
        let can_be_read = |(path, _): &(PathBuf, _)| !fs::metadata(path).is_ok_and(|file| !file.is_file());
        let read = match self.files.iter().all(can_be_read) {
            true => settings::receiver(&self.settings).map_err(|failure| failure.text()),
            false => Err("a secret is no regular file any more".to_owned()),
        };
        match read {
            Ok(receiver) => {
                self.receiver = receiver;
                true
            }
            Err(why) => {
                let name = harmless(&self.settings.name);
                tracing::warn!(
                    "the receiver {name} is told with what it had before: {}",
                    harmless(why.trim_end())
                );
                false
            }
        }
    }
}

fn stamped(files: Vec<&Path>) -> Vec<(PathBuf, Option<Stamp>)> {
    let stamped = files.into_iter().map(|path| (path.to_owned(), Stamp::of(path)));
    stamped.collect()
}

/// The files that a receiver is made of, beside the configuration.
fn files(target: &ReceiverTarget) -> Vec<&Path> {
    fn file(source: &SecretSource) -> Option<&Path> {
        match source {
            SecretSource::File(path) => Some(path),
            SecretSource::Environment(_) => None,
        }
    }
    let files = match target {
        ReceiverTarget::Webhook { url, secret } => {
            let url = match url {
                UrlSource::Written(_) => None,
                UrlSource::Secret(source) => file(source),
            };
            [url, secret.as_ref().and_then(file)]
        }
        ReceiverTarget::Slack { url } => [file(url), None],
        ReceiverTarget::Email(email) => [
            email.ca_file.as_deref(),
            email.login.as_ref().and_then(|(_, password)| file(password)),
        ],
    };
    files.into_iter().flatten().collect()
}
