//! A clock that shows what it is told, and somebody who hears what became of messages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use lagan_model::{Clock, Time};
use lagan_notify::{Delivery, Kind, Limits, Message, Outbox, PAUSES, Receiver, Target, Told};
use serde_json::json;
use tokio::sync::{mpsc, watch};

/// Longer than any story takes, so that one that hangs fails.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// A clock that stands still until it is told to go on, and says who waits for it.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) shown: watch::Sender<Time>,
    waits: mpsc::UnboundedSender<Duration>,
}

impl Clock for Hands {
    fn now(&self) -> Time {
        *self.shown.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now() + TimeDelta::from_std(duration).unwrap();
        let mut shown = self.shown.subscribe();
        self.waits.send(duration).unwrap();
        shown.wait_for(|now| *now >= until).await.unwrap();
    }
}

#[derive(Debug)]
pub(crate) struct Heard(mpsc::UnboundedSender<(String, Delivery)>);

impl Told for Heard {
    fn delivery(&self, receiver: &str, _kind: Kind, delivery: Delivery) {
        self.0.send((receiver.to_owned(), delivery)).unwrap();
    }
}

pub(crate) struct Scene {
    pub(crate) clock: Arc<Hands>,
    pub(crate) waits: mpsc::UnboundedReceiver<Duration>,
    told: Arc<Heard>,
    pub(crate) heard: mpsc::UnboundedReceiver<(String, Delivery)>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (waiting, waits) = mpsc::unbounded_channel();
        let (telling, heard) = mpsc::unbounded_channel();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let clock = Hands {
            shown: watch::Sender::new(now),
            waits: waiting,
        };
        Self {
            clock: Arc::new(clock),
            waits,
            told: Arc::new(Heard(telling)),
            heard,
        }
    }

    pub(crate) fn open(&self, receivers: Vec<Receiver>) -> Outbox {
        Outbox::open(receivers, &self.clock, self.told.clone()).unwrap()
    }

    pub(crate) fn pass(&self, duration: Duration) {
        let more = TimeDelta::from_std(duration).unwrap();
        self.clock.shown.send_modify(|now| *now += more);
    }

    /// How long somebody waits, who begins to wait or did and was not asked yet.
    pub(crate) async fn next_wait(&mut self) -> Duration {
        tokio::time::timeout(LONGEST, self.waits.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Waits until somebody waits for so long, and lets that pass. Attempts that are answered waited before.
    pub(crate) async fn wait_for(&mut self, duration: Duration, attempt: Duration) {
        loop {
            let waits = self.next_wait().await;
            if waits == duration {
                return self.pass(duration);
            }
            assert_eq!(waits, attempt, "while waiting for {duration:?}");
        }
    }

    /// Lets all pauses between attempts pass.
    pub(crate) async fn pauses(&mut self, attempt: Duration) {
        for pause in PAUSES {
            self.wait_for(pause, attempt).await;
        }
    }

    pub(crate) async fn heard(&mut self) -> (String, Delivery) {
        tokio::time::timeout(LONGEST, self.heard.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

pub(crate) fn receiver(name: &str, target: Target) -> Receiver {
    Receiver {
        name: name.to_owned(),
        target,
        kinds: BTreeSet::from(Kind::ALL),
        limits: Limits::default(),
    }
}

pub(crate) fn message(number: usize) -> Message {
    Message {
        id: format!("01{number:024}"),
        kind: Kind::RunFailed,
        at: "2026-11-21T12:00:00Z".parse().unwrap(),
        subject: "registries/r/policies/p".to_owned(),
        summary: format!("p failed <{number}>"),
        data: json!({ "run": number }),
        likeness: number.to_string(),
    }
}
