//! Queues, and those who empty them: one of each for every receiver, so that none waits for another.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lagan_model::Clock;
use reqwest::Client;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::attempt::Attempt;
use crate::gate::{Gate, Held};
use crate::mail::{GOODBYE, LETTER};
use crate::message::{Kind, Message};
use crate::receiver::{Receiver, SetupError, Target};
use crate::web::{self, Post};
use crate::{event, slack};

/// How many messages wait for one receiver; of more, the new ones are dropped.
pub const QUEUE: usize = 64;

/// How long an attempt to post may take.
pub const ATTEMPT: Duration = Duration::from_secs(10);

/// The pauses between attempts. After the last attempt the message is given up.
pub const PAUSES: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// What became of a message for one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// It was taken.
    Sent,
    /// It was refused, or not taken as often as it was tried.
    Failed,
    /// Too many were waiting already.
    QueueFull,
    /// Enough was told in the last hour.
    RateLimited,
    /// The same was told not long ago.
    Duplicate,
}

impl Delivery {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Sent,
        Self::Failed,
        Self::QueueFull,
        Self::RateLimited,
        Self::Duplicate,
    ];

    /// The name that metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::QueueFull => "queue_full",
            Self::RateLimited => "rate_limited",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Who is told what became of messages. It must not wait.
pub trait Told: Debug + Send + Sync {
    /// This became of a message of this kind for this receiver.
    fn delivery(&self, receiver: &str, kind: Kind, delivery: Delivery);
}

/// Messages on their way.
#[derive(Debug)]
pub struct Outbox {
    lanes: Vec<Lane>,
    told: Arc<dyn Told>,
}

#[derive(Debug)]
struct Lane {
    receiver: Arc<Receiver>,
    gate: Arc<Mutex<Gate>>,
    queue: mpsc::Sender<Message>,
    worker: JoinHandle<()>,
}

impl Outbox {
    /// Sends to these receivers from now on, on tasks of the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub fn open<C: Clock + 'static>(
        receivers: Vec<Receiver>,
        clock: &Arc<C>,
        told: Arc<dyn Told>,
    ) -> Result<Self, SetupError> {
        Self::with(receivers, BTreeMap::new(), clock, told)
    }

    /// The same with other receivers. Those that have the same name remember what they were told, where their limits
    /// are the same. What is on its way is still sent to where it was meant to go.
    ///
    /// # Errors
    ///
    /// As [`Outbox::open`]; then everything is as it was.
    pub fn reopen<C: Clock + 'static>(
        &mut self,
        receivers: Vec<Receiver>,
        clock: &Arc<C>,
    ) -> Result<(), SetupError> {
        let gates = self
            .lanes
            .iter()
            .map(|lane| (lane.receiver.name.clone(), lane.gate.clone()));
        *self = Self::with(receivers, gates.collect(), clock, self.told.clone())?;
        Ok(())
    }

    fn with<C: Clock + 'static>(
        receivers: Vec<Receiver>,
        mut gates: BTreeMap<String, Arc<Mutex<Gate>>>,
        clock: &Arc<C>,
        told: Arc<dyn Told>,
    ) -> Result<Self, SetupError> {
        let mut lanes = Vec::with_capacity(receivers.len());
        let mut clients = BTreeMap::new();
        for receiver in receivers {
            let client = match receiver.target.address().map(Address::is_local) {
                None => None,
                Some(local) => Some(match clients.entry(local) {
                    Entry::Occupied(client) => Client::clone(client.get()),
                    Entry::Vacant(place) => place.insert(web::client(local)?).clone(),
                }),
            };
            if receiver.target.is_in_the_clear() {
                tracing::warn!(
                    "{} is told without encryption: whoever is on the way can read it",
                    receiver.name
                );
            }
            let receiver = Arc::new(receiver);
            let known = gates.remove(&receiver.name);
            let gate = known
                .filter(|gate| locked(gate).limits() == receiver.limits)
                .unwrap_or_else(|| Arc::new(Mutex::new(Gate::new(receiver.limits))));
            let (queue, waiting) = mpsc::channel(QUEUE);
            let worker = Worker {
                receiver: receiver.clone(),
                gate: gate.clone(),
                clock: clock.clone(),
                told: told.clone(),
                client,
            };
            lanes.push(Lane {
                receiver,
                gate,
                queue,
                worker: tokio::spawn(worker.run(waiting)),
            });
        }
        Ok(Self { lanes, told })
    }

    /// Tells everybody whom it concerns. Never waits.
    pub fn tell(&self, message: &Message) {
        for lane in &self.lanes {
            if !lane.receiver.kinds.contains(&message.kind) {
                continue;
            }
            let delivery = match locked(&lane.gate).pass(message, message.at) {
                Ok(()) => match lane.queue.try_send(message.clone()) {
                    Ok(()) => continue,
                    Err(TrySendError::Full(_) | TrySendError::Closed(_)) => Delivery::QueueFull,
                },
                Err(Held::TooMany) => Delivery::RateLimited,
                Err(Held::Duplicate) => Delivery::Duplicate,
            };
            let (receiver, kind) = (&lane.receiver.name, message.kind.as_str());
            match delivery {
                Delivery::Duplicate => tracing::debug!("{receiver} was told the same ({kind}) not long ago"),
                Delivery::RateLimited => {
                    tracing::warn!("{receiver} is not told ({kind}): enough was sent in the last hour");
                }
                _ => {
                    locked(&lane.gate).forget(message);
                    tracing::warn!("{receiver} is not told ({kind}): {QUEUE} messages wait for it");
                }
            }
            self.told.delivery(receiver, message.kind, delivery);
        }
    }

    /// Waits until everything is sent or given up, and no longer than this. What is left then is lost, and the log says
    /// whom it was for.
    pub async fn close<C: Clock>(self, clock: &C, within: Duration) {
        let workers: Vec<_> = self
            .lanes
            .into_iter()
            // Its queue ends here.
            .map(|lane| (lane.receiver, lane.worker))
            .collect();
        let mut over = std::pin::pin!(clock.sleep(within));
        let mut is_over = false;
        for (receiver, mut worker) in workers {
            if !is_over {
                tokio::select! {
                    biased;
                    _ = &mut worker => {}
                    () = &mut over => is_over = true,
                }
            }
            if !worker.is_finished() {
                worker.abort();
                tracing::warn!("{} is not told everything: it takes too long", receiver.name);
            }
        }
    }
}

fn locked(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Empties a queue.
struct Worker<C> {
    receiver: Arc<Receiver>,
    gate: Arc<Mutex<Gate>>,
    clock: Arc<C>,
    told: Arc<dyn Told>,
    /// Of those that are posted to.
    client: Option<Client>,
}

impl<C: Clock> Worker<C> {
    async fn run(self, mut waiting: mpsc::Receiver<Message>) {
        while let Some(message) = waiting.recv().await {
            let (receiver, kind) = (&self.receiver.name, message.kind.as_str());
            let delivery = match self.deliver(&message).await {
                Ok(()) => Delivery::Sent,
                Err(why) => {
                    tracing::warn!("{receiver} was not told ({kind}): {why}");
                    locked(&self.gate).forget(&message);
                    Delivery::Failed
                }
            };
            self.told.delivery(receiver, message.kind, delivery);
        }
    }

    /// Tries until it is taken, or it makes no sense any more.
    async fn deliver(&self, message: &Message) -> Result<(), String> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let attempt = self.attempt(message).await;
            let (why, asked) = match attempt {
                Attempt::Taken => return Ok(()),
                Attempt::Never(why) => return Err(why),
                Attempt::Later(why, asked) => (why, asked),
            };
            let Some(pause) = pauses.next() else {
                return Err(format!("{why}, {} times", PAUSES.len() + 1));
            };
            let receiver = &self.receiver.name;
            tracing::debug!("{receiver} is told later: {why}");
            self.clock
                .sleep(asked.map_or(pause, |asked| asked.max(pause)))
                .await;
        }
    }

    async fn attempt(&self, message: &Message) -> Attempt {
        match &self.receiver.target {
            Target::Webhook { address, key } => {
                let post = Post {
                    address,
                    media_type: event::MEDIA_TYPE,
                    body: &event::of(message),
                    signed: key.as_ref().map(|key| (key, message.id.as_str())),
                };
                self.post(&post).await
            }
            Target::Slack { address } => {
                let post = Post {
                    address,
                    media_type: "application/json",
                    body: &slack::of(message),
                    signed: None,
                };
                self.post(&post).await
            }
            Target::Email(mail) => match self.within(LETTER, mail.send(message)).await {
                None => too_late(),
                Some(Err(attempt)) => attempt,
                Some(Ok(mut connection)) => {
                    // It has the letter, whatever becomes of the connection.
                    _ = self.within(GOODBYE, connection.quit()).await;
                    Attempt::Taken
                }
            },
        }
    }

    async fn post(&self, post: &Post<'_>) -> Attempt {
        let Some(client) = &self.client else {
            return Attempt::Never("there is no client for it".to_owned());
        };
        let posted = web::post(client, post, self.clock.now());
        self.within(ATTEMPT, posted).await.unwrap_or_else(too_late)
    }

    /// What comes of something in this time.
    async fn within<T>(&self, longest: Duration, done: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = done => Some(done),
            () = self.clock.sleep(longest) => None,
        }
    }
}

fn too_late() -> Attempt {
    Attempt::Later("no answer in time".to_owned(), None)
}
