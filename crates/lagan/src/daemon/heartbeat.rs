//! What wakes a daemon: a job of tokio-cron-scheduler, once a second, that says that time has passed and nothing else.
//!
//! When policies are due is asked of our own table: the library takes a zone for the offset that it has today, knows no
//! overlap, and makes up for nothing.

use tokio::sync::mpsc::Sender;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::Event;
use crate::exit::{Exit, Failure};

/// Beats until it is dropped.
pub(crate) struct Heartbeat {
    scheduler: JobScheduler,
}

impl Heartbeat {
    /// Beats from now on, once a second.
    pub(crate) async fn start(events: Sender<Event>) -> Result<Self, Failure> {
        let failed = |error: JobSchedulerError| {
            let context = anyhow::Error::new(error).context("failed to start the clock of the daemon");
            Failure::new(Exit::Unexpected, context)
        };
        let scheduler = JobScheduler::new().await.map_err(failed)?;
        let beat = Job::new_async("* * * * * *", move |_, _| {
            let events = events.clone();
            Box::pin(async move {
                // A beat that finds others waiting has nothing to add.
                _ = events.try_send(Event::Beat);
            })
        });
        scheduler.add(beat.map_err(failed)?).await.map_err(failed)?;
        scheduler.start().await.map_err(failed)?;
        Ok(Self { scheduler })
    }

    /// Stops.
    pub(crate) async fn stop(mut self) {
        // The process ends, and whatever is left of it with it.
        _ = self.scheduler.shutdown().await;
    }
}
