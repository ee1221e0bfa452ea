//! What the account may do in a project, asked before the first deletion there.
//!
//! An artifact loses its tags before it goes, and gets them back where it stays after all. An account that may take tags
//! off, and neither delete artifacts nor make tags, would strip what it cannot delete. So all that a deletion may take is
//! asked for beforehand, once a project, and nothing is sent where something of it is missing, or cannot be told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lagan_model::{Failure, RegistryError};
use tokio::sync::OnceCell;

use super::HarborRegistry;
use super::examine::Allowed;
use super::name::Name;
use super::projects::Refusal;

/// A resource and an action, in Harbor's words.
pub(super) type Need = (&'static str, &'static str);

/// Taking off one tag of several.
pub(super) const UNTAG: &[Need] = &[("tag", "delete")];

/// Deleting what has no tag.
pub(super) const DELETE: &[Need] = &[("artifact", "delete")];

/// Deleting what has tags, which come back where it stays.
pub(super) const DELETE_WITH_TAGS: &[Need] = &[("tag", "delete"), ("artifact", "delete"), ("tag", "create")];

/// Filled by the first deletion in the project.
type Cell = Arc<OnceCell<Result<Allowed, Refusal>>>;

/// Why it is not known.
enum Untold {
    /// There is no such project.
    NoProject,
    Error(RegistryError),
}

impl From<RegistryError> for Untold {
    fn from(error: RegistryError) -> Self {
        Self::Error(error)
    }
}

/// By project.
#[derive(Debug, Default)]
pub(super) struct Rights(Mutex<HashMap<String, Cell>>);

impl Rights {
    fn cell(&self, project: &str) -> Cell {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(project.to_owned()).or_default())
    }
}

impl HarborRegistry {
    /// Whether the account may do all of this in a project; `request` is what would be sent.
    ///
    /// # Errors
    ///
    /// Where it may not, or that cannot be told. Nothing of the deletion was sent then.
    pub(super) async fn check_rights(
        &self,
        name: Name<'_>,
        needs: &[Need],
        request: &str,
    ) -> Result<(), RegistryError> {
        let cell = self.rights.cell(name.project);
        let read = cell.get_or_try_init(|| async {
            let told = async {
                let project = match self.seen_project(name.project).await {
                    Err(error) if error.failure() == Failure::NotFound => return Err(Untold::NoProject),
                    project => project?,
                };
                Ok(self.allowed(&format!("/project/{}", project.id)).await?)
            };
            match told.await {
                Ok(allowed) => Ok(Ok(allowed)),
                // Asked again, it would be refused again.
                Err(Untold::Error(error)) if error.failure() == Failure::Denied => {
                    Ok(Err(Refusal::of(&error)))
                }
                Err(untold) => Err(untold),
            }
        });
        let untold = |error: RegistryError| {
            let detail = format!(
                "not sent: what the account may do in project {} cannot be told: {error}",
                name.project
            );
            let refused = RegistryError::new(Failure::Refused, request, detail);
            match error.hint() {
                Some(hint) => refused.with_hint(hint),
                None => refused,
            }
        };
        let allowed = match read.await {
            Ok(Ok(allowed)) => allowed,
            Ok(Err(refusal)) => return Err(untold(refusal.clone().error())),
            // What is not there cannot be stripped: whoever asks finds out.
            Err(Untold::NoProject) => return Ok(()),
            Err(Untold::Error(error)) => return Err(untold(error)),
        };
        let lacks =
            |(resource, action): &&Need| !allowed.contains(&((*resource).to_owned(), (*action).to_owned()));
        let missing: Vec<String> = needs
            .iter()
            .filter(lacks)
            .map(|(resource, action)| format!("`{resource}:{action}`"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "not sent: the account lacks {} in project {}",
            missing.join(", "),
            name.project
        );
        Err(
            RegistryError::new(Failure::Denied, request, detail).with_hint(
                "give the account this permission, or leave the project out of the policies; `lagan doctor --for delete \
                 --print-robot` prints a robot account that has it",
            ),
        )
    }
}
