//! What a service manager is told: systemd's protocol, over the socket that it names. Without one, nothing.

use lagan_report::number::count;
use sd_notify::NotifyState;

use super::Happening;

/// A service manager, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Service {
    watched: bool,
}

impl Service {
    /// Finds out whether it wants signs of life.
    pub(crate) fn new() -> Self {
        Self {
            watched: sd_notify::watchdog_enabled().is_some(),
        }
    }

    /// Passes on what concerns it.
    pub(crate) fn tell(&self, happening: &Happening) {
        let failed = match happening {
            Happening::Ready { policies, .. } => {
                let status = format!(
                    "{} with a schedule",
                    count(*policies as u64, "policy", "policies")
                );
                sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)])
            }
            Happening::Refused { .. } => sd_notify::notify(&[NotifyState::Status(
                "the configuration is refused, and the one before stays",
            )]),
            Happening::Beat if self.watched => sd_notify::notify(&[NotifyState::Watchdog]),
            Happening::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            _ => Ok(()),
        };
        if let Err(error) = failed {
            tracing::debug!("the service manager was not told: {error}");
        }
    }
}
