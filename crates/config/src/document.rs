//! What may stand in a document, one file for each kind of mapping.

pub(crate) mod admin;
pub(crate) mod channels;
pub(crate) mod config;
pub(crate) mod email;
pub(crate) mod grace;
pub(crate) mod health;
pub(crate) mod keep;
pub(crate) mod limits;
pub(crate) mod notice;
pub(crate) mod notifications;
pub(crate) mod policy;
pub(crate) mod policy_file;
pub(crate) mod protect;
pub(crate) mod registry;
pub(crate) mod rollout;
pub(crate) mod rule;
pub(crate) mod select;
pub(crate) mod timing;
pub(crate) mod webhook;
