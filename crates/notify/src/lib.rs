//! Messages to people and programs: what a daemon that nobody watches has to say.
//!
//! An [`Outbox`] has a queue for each receiver, and [`Outbox::tell`] never waits: whatever becomes of a receiver, what
//! is told of goes on. A queue that is full drops, a receiver that fails is tried again with growing pauses and then
//! given up, the same is not told again and again, and all of that is counted by whoever is [`Told`].
//!
//! Addresses may be secrets, as the path of a chat's webhook is: only the host of one is ever shown.

mod address;
mod attempt;
mod event;
mod gate;
mod mail;
mod message;
mod outbox;
mod receiver;
mod sign;
mod slack;
mod web;

pub use address::{Address, AddressError};
pub use mail::{Encryption, LETTER, Mail, MailError, MailServer, Mailbox};
pub use message::{Kind, Message};
pub use outbox::{ATTEMPT, Delivery, Outbox, PAUSES, QUEUE, Told};
pub use receiver::{Limits, Receiver, SetupError, Target};
pub use sign::{KeyError, SigningKey};
