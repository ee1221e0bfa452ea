//! One change at a time in a project, and none that was refused already.
//!
//! After each deletion of an artifact Harbor counts the project's storage anew, which can take seconds, and the next
//! deletion waits for that: sent at once, they would only fill Harbor's connections until they time out. And what one
//! account may not do in a project it may not do a thousand times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lagan_model::{Failure, RegistryError};
use tokio::sync::{Mutex as Gate, OwnedMutexGuard};

use super::projects::Refusal;

/// By project.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<HashMap<String, Lane>>);

#[derive(Debug, Default)]
struct Lane {
    gate: Arc<Gate<()>>,
    refusal: Option<Refusal>,
}

impl Lanes {
    /// Waits until nothing else is being deleted in a project.
    ///
    /// # Errors
    ///
    /// What an earlier deletion was refused with, if that is no matter of one artifact.
    pub(super) async fn enter(&self, project: &str) -> Result<OwnedMutexGuard<()>, RegistryError> {
        let gate = self.with(project, |lane| Arc::clone(&lane.gate));
        let place = gate.lock_owned().await;
        match self.with(project, |lane| lane.refusal.clone()) {
            None => Ok(place),
            Some(refusal) => Err(refusal.error().with_hint(
                "nothing more was sent to this project after that: run it again when it is allowed there",
            )),
        }
    }

    /// Takes note of how a deletion ended.
    pub(super) fn ended(&self, project: &str, error: &RegistryError) {
        if matches!(error.failure(), Failure::Denied | Failure::Unsupported) {
            self.with(project, |lane| {
                lane.refusal.get_or_insert_with(|| Refusal::of(error));
            });
        }
    }

    /// Lets nothing more be sent to a project after this.
    pub(super) fn close(&self, project: &str, error: &RegistryError) {
        self.with(project, |lane| {
            lane.refusal.get_or_insert_with(|| Refusal::of(error).not_sent());
        });
    }

    fn with<T>(&self, project: &str, then: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        then(lanes.entry(project.to_owned()).or_default())
    }
}
