//! Documents and arguments read into settings and policies, with every error at its place.
//!
//! Three ways in: [`Config::read`] for the configuration, [`PolicyFile::read`] for policies in a file of their
//! own, [`one_liner`] for arguments of the command line. All three build the same tree of spanned values and
//! run the same decoder over it, so that a rule means the same wherever it is written. The decoder collects
//! errors instead of stopping at the first: [`ConfigErrors`] has all of them, in the order of the text.
//!
//! This crate is pure: it is given text and the name to call it by, and reads no file and no environment. Paths
//! and names of variables are returned as they were written, and no secret ever passes through here.
//!
//! # Why an event parser and no serde
//!
//! A deserializer stops at the first error, and what it hands over has lost what we promise to keep: an unquoted
//! `1.10` arrives as the number 1.1, a duplicate key as one of the two. `serde-saphyr` can be talked into a tree
//! of spanned values, but a visitor sees a scalar already resolved, without its style. Its own event parser,
//! `granit-parser`, gives exactly what is wanted: scalars as they stand in the text, with style and byte range;
//! typed errors, so that a hint can be chosen; aliases without an anchor as events, so that an unquoted `*-rc.*`
//! is one error among others; limits on nesting; no `unsafe`, two small dependencies.
//!
//! Anchors, aliases, merge keys, tags, directives and further documents are refused: a policy that decides what
//! is deleted should read the same from top to bottom, and what cannot be expanded cannot explode.

mod case;
mod convert;
mod decode;
mod document;
pub mod embedded;
mod error;
mod lint;
mod notice;
mod one_liner;
mod overlap;
mod print;
mod repository_list;
mod schema;
mod source;
mod suggest;
mod tree;
mod yaml;

pub use case::{Case, CaseFile, Expected, ExpectedReason, Mismatch, Outcome, Replay};
pub use convert::{Conversion, ConvertOptions, Format, convert};
pub use document::admin::{AdminSettings, AdminToken, Right};
pub use document::config::Config;
pub use document::email::{EmailSettings, EmailTls};
pub use document::notifications::{EVENTS, ReceiverSettings, ReceiverTarget, UrlSource};
pub use document::policy::PolicyEntry;
pub use document::policy_file::PolicyFile;
pub use document::registry::{
    ClientCertificateFiles, CollectAfter, CollectGarbage, Credentials, RegistrySettings, SecretSource,
    TlsSettings,
};
pub use document::webhook::WebhookSettings;
pub use error::{ConfigError, ConfigErrors};
pub use lint::{CheckOptions, Checked, Finding, Lint, SeenPlan, SeenPlanError, Severity};
pub use notice::{Notice, NoticeKind};
pub use one_liner::{OneLiner, one_liner};
pub use overlap::{Doublestar, Meeting, Overlaps};
pub use print::{native_file, native_policy};
pub use repository_list::{MAX_LIST, repository_list};
pub use schema::{Document, json_schema};
pub use source::MAX_DOCUMENT;

#[cfg(test)]
mod tests;
