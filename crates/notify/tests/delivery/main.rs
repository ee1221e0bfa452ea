//! What receivers on loopback get, and what becomes of those that fail.

#![expect(clippy::unwrap_used, reason = "a test tells what went wrong by failing")]

mod mail;
mod support;
mod web;
