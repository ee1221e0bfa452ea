//! The client against servers on loopback: those that follow the specification, and those that do not.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod authentication;
mod authority;
mod changes;
mod connecting;
mod content;
mod credentials;
mod harbor;
mod harbor_changes;
mod harbor_collections;
mod hostile;
mod http2;
mod journal;
mod limits;
mod listings;
mod looks;
mod mounts;
mod probe;
mod proxies;
mod referrers;
mod retries;
mod secrets;
mod support;
mod tls;
