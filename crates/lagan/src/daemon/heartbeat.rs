//! What wakes a daemon: a job of tokio-cron-scheduler, once a second, that says that time has passed and nothing else.
//!
//! When policies are due is asked of our own table: the library takes a zone for the offset that it has today, knows no
//! overlap, and makes up for nothing. And it waits for a time of the clock: where that is set back, for as long.

use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::Event;
use crate::exit::{Exit, Failure};

/// How long the library may be silent.
const SILENCE: Duration = Duration::from_secs(5);

/// Beats until it is stopped.
pub(crate) struct Heartbeat {
    scheduler: JobScheduler,
    steady: JoinHandle<()>,
}

impl Heartbeat {
    /// Beats from now on, once a second.
    pub(crate) async fn start(events: Sender<Event>) -> Result<Self, Failure> {
        let failed = |error: JobSchedulerError| {
            let context = anyhow::Error::new(error).context("failed to start the clock of the daemon");
            Failure::new(Exit::Unexpected, context)
        };
        let scheduler = JobScheduler::new().await.map_err(failed)?;
        let (beats, received) = channel(1);
        let beat = Job::new_async("* * * * * *", move |_, _| {
            let beats = beats.clone();
            Box::pin(async move {
                _ = beats.try_send(());
            })
        });
        scheduler.add(beat.map_err(failed)?).await.map_err(failed)?;
        scheduler.start().await.map_err(failed)?;
        let steady = tokio::spawn(steady(received, events));
        Ok(Self { scheduler, steady })
    }

    /// Stops.
    pub(crate) async fn stop(mut self) {
        self.steady.abort();
        // The process ends, and whatever is left of it with it.
        _ = self.scheduler.shutdown().await;
    }
}

/// Hands beats on, and beats itself where none comes.
async fn steady(mut beats: Receiver<()>, events: Sender<Event>) {
    while !matches!(timeout(SILENCE, beats.recv()).await, Ok(None)) {
        // A beat that finds others waiting has nothing to add.
        _ = events.try_send(Event::Beat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_is_woken_although_the_clock_was_set_back() {
        let (silent, received) = channel(1);
        let (events, mut woken) = channel(1);
        tokio::spawn(steady(received, events));
        for _ in 0..3 {
            assert_eq!(woken.recv().await, Some(Event::Beat));
        }
        drop(silent);
        assert_eq!(woken.recv().await, None);
    }
}
