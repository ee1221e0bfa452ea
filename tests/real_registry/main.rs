//! Against docker-registry itself, started here on loopback with a storage of its own.
//!
//! The registry is Debian's package of that name. Without it these tests fail, unless `LAGAN_SKIP_REAL_REGISTRY=1`
//! says that they are to be skipped.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a helper of a test fails as the test does, and says what it skips"
)]

mod apply;
mod hints;
mod independent;
mod killed;
#[path = "../support/oracle.rs"]
mod oracle;
#[path = "../support/photograph.rs"]
mod photograph;
mod proxy;
mod same_plan;
mod server;
#[path = "../support/mod.rs"]
mod support;
