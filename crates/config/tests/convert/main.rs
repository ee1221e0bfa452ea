//! Each converter held against a model of its vendor's documentation. The models read the same documents with another
//! parser, decide on whole images as the vendors do, and share no code with the converters.
//!
//! What must hold: nothing goes that the vendor would have kept; and where no notice says that the meaning differs,
//! images with one tag each go and stay alike.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod artifact_registry;
mod dialect;
mod ecr;
mod fixtures;
mod harbor;
mod refused;
mod world;
mod zot;
