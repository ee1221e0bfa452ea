//! What a request does, and with it whether it may be sent again.
//!
//! A read that failed in passing is simply sent again. A change is not: one whose answer was lost may have been made
//! all the same, and until it is sent again somebody may have pushed what it would then delete or overwrite. Whoever
//! wants a change looks at the registry first, and then decides. The rule is here, with the methods, so that nobody
//! who adds a request has to remember it.

use bytes::Bytes;
use http::{HeaderValue, Method};
use secrecy::SecretString;

/// What a request does.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// GET.
    Read,
    /// HEAD.
    Look,
    /// GET of the first byte, by a Range that the other side may ignore.
    Taste,
    /// POST of a form to a token service. The form holds a secret.
    Exchange(SecretString),
    /// GET of some bytes, by a Range.
    Part {
        /// The first of them.
        first: u64,
        /// The last.
        last: u64,
    },
    /// DELETE.
    Delete,
    /// POST without content: it begins an upload, unless that is not needed.
    Begin,
    /// PATCH: more of an upload.
    Append {
        /// Where in the whole it begins.
        first: u64,
        /// Its bytes; at least one.
        content: Bytes,
    },
    /// POST of a document of JSON.
    Create(Bytes),
    /// PUT.
    Put {
        /// What the content is.
        media_type: HeaderValue,
        /// Its exact bytes.
        content: Bytes,
    },
}

impl Action {
    pub(crate) fn method(&self) -> Method {
        match self {
            Self::Read | Self::Taste | Self::Part { .. } => Method::GET,
            Self::Look => Method::HEAD,
            Self::Exchange(_) | Self::Begin | Self::Create(_) => Method::POST,
            Self::Append { .. } => Method::PATCH,
            Self::Delete => Method::DELETE,
            Self::Put { .. } => Method::PUT,
        }
    }

    /// Whether it may be sent again when nobody knows what came of it, and follow a redirect.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self {
            Self::Read | Self::Look | Self::Taste | Self::Part { .. } | Self::Exchange(_) => true,
            Self::Delete | Self::Begin | Self::Append { .. } | Self::Create(_) | Self::Put { .. } => false,
        }
    }
}
