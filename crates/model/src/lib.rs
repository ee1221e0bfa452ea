//! The nouns of a container registry, and the ports through which the rest of the program reaches the world.
//!
//! Everything here is a value: nothing reads a clock, a file, the environment or the network. Names are parsed
//! once, at the edge, by the grammars of the OCI distribution and image specifications, and are never bare
//! strings afterwards. Manifests keep the exact bytes they came in, because only these restore a digest.

pub mod artifact;
pub mod clock;
pub mod digest;
pub mod error;
pub mod graph;
pub mod journal;
pub mod json;
pub mod manifest;
pub mod media_type;
pub mod memory;
pub mod name;
pub mod port;
pub mod request;
pub mod snapshot;
pub mod tag;
mod text;

pub use artifact::{Artifact, Blob, Child};
pub use clock::{Fact, Time, Unknown};
pub use digest::Digest;
pub use error::{Failure, RegistryError};
pub use graph::{ArtifactGraph, AttachmentForm, Described, NodeId};
pub use manifest::{Descriptor, Manifest};
pub use media_type::{ManifestTypes, MediaType};
pub use name::{RegistryName, RepositoryName};
pub use port::{
    ArtifactRecord, Capabilities, Capability, Catalog, Clock, DeletesHow, Deletion, Head, Mount, Observer,
    Records, Referrers, RegistryIdentity, RegistryKind, RegistryProbe, RegistryRead, RegistryWrite,
};
pub use request::{RequestCounts, RequestKind};
pub use snapshot::{
    Accessory, CompleteSnapshot, ImageRecord, Immutable, Incomplete, LabelScope, Labels, ListedTag, NoUndo,
    Recorded, RegistryLabel, RepositorySnapshot, Seen, SnapshotError, Times,
};
pub use tag::{Reference, Tag};
