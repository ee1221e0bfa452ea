//! Harbor: its API (`/api/v2.0`) beside `/v2`, over the same content.

mod access;
mod account;
mod api;
mod collection;
mod failure;
mod glob;
mod options;
mod population;
mod pull;
mod query;
mod reading;
mod route;
mod rules;
mod state;
mod steer;
mod sync;
mod system;
mod tables;
mod token;
mod version;
mod wire;
mod writing;

pub(crate) use access::check;
pub use account::{Account, Role};
pub(crate) use api::{answer, finish};
pub(crate) use failure::Failure;
pub use options::HarborOptions;
pub use population::Population;
pub(crate) use route::Route;
pub use rules::{
    CollectionSchedule, CollectionStatus, ImmutableRule, Replication, ReplicationTrigger, RetentionRule,
};
pub(crate) use state::State;
pub use steer::{ArtifactState, Harbor, Project};
pub(crate) use sync::Pushed;
pub use version::HarborVersion;
pub(crate) use wire::Failing;
pub(crate) use writing::{delete_artifact, may_push};
