//! Who is told, of what, and how.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use chrono::TimeDelta;
use thiserror::Error;

use crate::address::Address;
use crate::mail::Mail;
use crate::message::Kind;
use crate::sign::SigningKey;

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// What it is called in the configuration.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// Of what it is told.
    pub kinds: BTreeSet<Kind>,
    /// How often.
    pub limits: Limits,
}

/// How often somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages in an hour, evenly; after a while of silence, as many at once.
    pub per_hour: NonZeroU16,
    /// How long the same is not told again.
    pub repeat_after: TimeDelta,
}

impl Default for Limits {
    /// 30 in an hour, the same once a day.
    fn default() -> Self {
        Self {
            per_hour: NonZeroU16::MIN.saturating_add(29),
            repeat_after: TimeDelta::days(1),
        }
    }
}

/// Where a receiver is.
#[derive(Debug, Clone)]
pub enum Target {
    /// A program: CloudEvents by POST, signed where there is a key.
    Webhook {
        /// Where it is posted to.
        address: Address,
        /// What signs.
        key: Option<SigningKey>,
    },
    /// A chat with incoming webhooks like those of Slack.
    Slack {
        /// Where it is posted to: who knows it may write there.
        address: Address,
    },
    /// People who read mail.
    Email(Mail),
}

impl Target {
    /// Where it is posted to, if it is.
    pub(crate) fn address(&self) -> Option<&Address> {
        match self {
            Self::Webhook { address, .. } | Self::Slack { address } => Some(address),
            Self::Email(_) => None,
        }
    }

    /// Whether what is sent there can be read on the way.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        match self {
            Self::Webhook { address, .. } | Self::Slack { address } => address.is_in_the_clear(),
            Self::Email(mail) => mail.is_in_the_clear(),
        }
    }
}

/// Receivers that nothing can be sent to.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The HTTP client could not be made.
    #[error("the HTTP client for notifications cannot be set up: {0}")]
    Client(reqwest::Error),
}
