//! A registry in one process over real HTTP, with realistic content and injectable faults.
//!
//! ```no_run
//! # async fn story() -> std::io::Result<()> {
//! use lagan_sandbox::{Fault, Moment, RequestKind, Sandbox, SandboxOptions};
//!
//! let sandbox = Sandbox::start(SandboxOptions::default().corpus(20, 50)).await?;
//! let image = sandbox.put_image("team/app", &["1.0.0", "latest"], Moment::date(2026, 1, 1));
//! sandbox.put_signature("team/app", image);
//! sandbox.faults().push(Fault::retry_after(429, "1").on(RequestKind::ManifestGet).first(3));
//! // ... a client at work on sandbox.url() ...
//! let gets = sandbox.log().counts().of(RequestKind::ManifestGet);
//! # Ok(())
//! # }
//! ```
//!
//! [`SandboxOptions::harbor`] makes it a Harbor, with its API beside `/v2` ([`harbor`]).
//!
//! Content is a pure function of [`CorpusOptions`]: [`Corpus`] lists what a sandbox serves, and is
//! the truth that a tool's decisions can be judged by. [`push`] writes the same content to any
//! other registry. Nothing in this crate reads a clock.

mod auth;
mod change;
mod client;
mod content;
mod digest;
mod faults;
mod handmade;
pub mod harbor;
mod log;
pub mod media;
mod moment;
mod options;
mod profile;
mod push;
mod random;
mod server;
mod store;
#[cfg(test)]
mod tests;

pub use auth::{Auth, Bearer, CatalogAccess, Clock, Grant, User};
pub use change::Change;
pub use content::{BlobRef, Content, Corpus, CorpusOptions, Kind, Manifest, Media, ReferrersStyle};
pub use digest::{Digest, InvalidDigest};
pub use faults::{Effect, Fault, FaultId, Faults, Lookup};
pub use handmade::Image;
pub use harbor::{HarborOptions, HarborVersion};
pub use log::{AccessLog, Counts, LogEntry, RequestKind};
pub use moment::{InvalidMoment, Moment};
pub use options::{Behaviour, CatalogAnswer, Deletion, Links, Oversized, SandboxOptions, TagListing};
pub use profile::Profile;
pub use push::{PushError, Pushed, push};
pub use server::Sandbox;
