//! Harbor: its API (`/api/v2.0`) beside `/v2`, over the same content.
//!
//! ```no_run
//! # async fn story() -> std::io::Result<()> {
//! use lagan_sandbox::harbor::{Account, ImmutableRule, Project};
//! use lagan_sandbox::{Effect, Fault, HarborOptions, HarborVersion, Lookup, Moment, RequestKind};
//! use lagan_sandbox::{Sandbox, SandboxOptions};
//!
//! let robot = Account::robot("robot$lagan", "secret").may("team", &[("artifact", "list"), ("tag", "list")]);
//! let options = HarborOptions::default().version(HarborVersion::V2_11).account(robot);
//! let sandbox = Sandbox::start(SandboxOptions::default().harbor(options)).await?;
//! let built = Moment::date(2026, 1, 1);
//! let image = sandbox.put_image("team/app", &["1.0", "latest"], built); // pushed when it was built
//! sandbox.put_signature("team/app", image); // an accessory
//! let harbor = sandbox.harbor();
//! harbor.project(&Project::new("team").public());
//! harbor.set_pulled("team/app", "latest", built.plus_days(3));
//! let label = harbor.label(None, "keep");
//! harbor.put_label("team/app", "1.0", label);
//! harbor.immutable("team", ImmutableRule::new("**", "release-*"));
//! sandbox.faults().push(
//!     Fault::new(Effect::LookupFails(Lookup::Tags)).on(RequestKind::ApiArtifactList).nth(2),
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # What it does as Harbor does it
//!
//! Facts are from Harbor's sources (`src/server/v2.0/handler`, `src/controller`, `src/pkg/artifact/dao`,
//! `src/server/middleware` in <https://github.com/goharbor/harbor>) and from its description of the API, which a test
//! compares every answer with where it is at hand.
//!
//! | trap | here |
//! |---|---|
//! | pages hold 10 entries unless `page_size` says otherwise; more than 100 is 422, and 0 is everything | always |
//! | a `q` or `sort` that no column has is passed over | always |
//! | `Link` has a query that is not encoded | always |
//! | accessories are taken out of a page after it was cut: a page can be short, or empty, and more can follow; `X-Total-Count` does not count them | always |
//! | an untagged child of an index is in no list, but for one with `q=base=*`; parents of a child are in no answer | always |
//! | empty lists are `null` | always |
//! | a project whose name is a number is looked for by number, unless `X-Is-Resource-Name` says otherwise | always |
//! | a repository that is not there lists as nothing, 200 | always |
//! | a lookup that fails inside looks like nothing: untagged, mutable, without labels or accessories | [`crate::Effect::LookupFails`] |
//! | what goes wrong inside is 500 without a reason | [`crate::Fault::status`] |
//! | names with slashes are encoded twice, and a proxy may decode them | [`HarborOptions::proxy_decodings`] |
//! | wrong credentials, and robots that are expired or disabled, are nobody: 200 and what is public; `/systeminfo` tells its version to those it knows | always |
//! | a want of permission is 403 (401 for nobody), and 401 over `/v2`; a project that one may not see is 403 | always |
//! | a client that sends the session's cookie back may not write without a CSRF token | always |
//! | a manifest read over `/v2` is a pull, unless by HEAD, with a matching `If-None-Match`, or by Harbor's own User-Agent; by digest it is none of any tag | always |
//! | pulls are written down late | [`HarborOptions::pulls_seen_after`] |
//! | never pulled is the year 1 | always |
//! | a deletion takes tags, accessories and children that nothing else holds along, or nothing: 412 for an immutable tag among them, and for what an index lists | always |
//! | each deletion refreshes the project's quota, and the next one there waits | [`HarborOptions::quota_refresh`], [`Harbor::most_deletions_at_once`] |
//! | nothing is written in read-only mode: 403 `DENIED` | [`Harbor::set_read_only`] |
//! | nothing is pushed to a proxy cache: 405 | [`Project::proxy_cache`] |
//! | a proxy cache asks the other registry for each manifest and list of tags that is read over `/v2`, fetches what that has, and deletes what it no longer has (`src/server/middleware/repoproxy`) | [`Project::in_front_of`] |
//! | no collection is scheduled: an empty answer | always |
//! | a collection takes blobs that nothing refers to, and with `delete_untagged` every untagged artifact, but no blob that was pushed or asked for within two hours | [`Harbor::finish_collection`] |
//! | a list changes under the walk | [`crate::Effect::Meanwhile`] |
//!
//! # What it does not
//!
//! Scans, webhooks, quotas themselves, project members over the API, soft accessories (nydus), and carrying out retention
//! and replication. Columns that nothing here has cannot be asked for. What a project that is not there answers (403 until
//! 2.11, 404 in 2.15) is read from the sources of some releases and not measured on each.

mod access;
mod account;
mod api;
mod collection;
mod deleting;
mod failure;
mod glob;
mod options;
mod population;
mod pull;
mod pull_through;
mod query;
mod reading;
mod robots;
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
pub(crate) use deleting::delete_artifact;
pub(crate) use failure::{Failure, injected};
pub use options::HarborOptions;
pub use population::Population;
pub(crate) use pull_through::pull_through;
pub(crate) use route::Route;
pub use rules::{
    CollectionSchedule, CollectionStatus, ImmutableRule, Replication, ReplicationTrigger, RetentionRule,
};
pub(crate) use state::State;
pub use steer::{ArtifactState, Harbor, Project};
pub(crate) use sync::Pushed;
pub use version::HarborVersion;
pub(crate) use wire::Failing;
pub(crate) use writing::may_push;
