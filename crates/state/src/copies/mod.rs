//! The two copies of a journal, writing both from the beginning, and what they hold together.

pub(crate) mod builder;
pub(crate) mod checkpoint;
mod contained;
pub(crate) mod index;
pub(crate) mod kv;
pub(crate) mod mirror;
pub(crate) mod union;
