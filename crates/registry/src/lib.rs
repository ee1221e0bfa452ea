//! The client for registries: the adapter behind [`RegistryRead`](lagan_model::RegistryRead).
//!
//! Everything that decides about deletion reads through here, so it fails closed: a listing that cannot be read
//! to its end, bytes that do not hash to their digest, an answer in a shape that the specification does not
//! know are errors, and never a shorter list or an empty answer. What answers is not trusted either: every
//! body has a limit, credentials go to the registry's own origin and to its token service only, and links and
//! redirects that lead elsewhere are not followed (except from a blob to object storage, without credentials).
//!
//! [`OciRegistry`] speaks OCI Distribution, [`HarborRegistry`] Harbor's own API; [`Connected`] is one of them. Another
//! kind of registry becomes a sibling of these, on the same `client`.

mod action;
mod address;
mod auth;
mod budget;
mod challenge;
mod client;
mod connected;
mod count;
mod credentials;
mod front;
mod gate;
mod grant;
mod guard;
mod harbor;
mod hint;
mod link;
mod observe;
mod oci;
mod origin;
mod page;
mod problem;
mod retry;
mod settings;
mod tls;
mod token;
mod transport;
mod window;

pub use address::{RegistryUrl, TokenRealm};
pub use connected::Connected;
pub use credentials::{CredentialError, CredentialSource, DockerConfig};
pub use front::{Certificate, Front, FrontError};
pub use harbor::HarborRegistry;
pub use harbor::collecting::{CollectionRun, CollectionSchedule};
pub use harbor::examine::{
    Account, Allowed, Asked, Examination, ImmutableRule, ProjectFacts, ReplicationPolicy, Selector,
};
pub use harbor::release::HarborRelease;
pub use harbor::retention::{Fate, Retained, Retention};
pub use hint::{HintError, Hints, MAX_HINT_BYTES, MAX_HINTS, Mark, changed};
pub use observe::{Answered, Observer, Sent};
pub use oci::{ConnectError, OciRegistry};
pub use page::{MAX_ENTRIES, MAX_LISTING_BYTES, MAX_PAGE_BYTES, MAX_PAGES};
pub use settings::{CaBundle, ClientCertificate, Credentials, Retry, Settings, SettingsError, Timeouts};
pub use tls::install_crypto_provider;
