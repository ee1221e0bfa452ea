//! What goes wrong: chosen requests are answered otherwise than a healthy registry would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use crate::change::Change;
use crate::log::RequestKind;

/// What happens to a request that a fault applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This status instead of doing anything. Without a body, an error envelope that fits a status
    /// of 400 and above, else nothing.
    Answer {
        /// The status, 200 to 599.
        status: u16,
        /// `Retry-After`, as it is to be sent: seconds, a date, or nonsense.
        retry_after: Option<String>,
        /// The body, sent as `application/json`.
        body: Option<String>,
    },
    /// The answer comes later, in the runtime's time; further faults still apply.
    Delay(Duration),
    /// No answer until the client leaves or the sandbox stops.
    Hang,
    /// 200 with a web page, as a wrong address or a captive portal answers.
    NotARegistry,
    /// The connection closes without an answer; nothing is done.
    Cut,
    /// All is done, then the connection closes without an answer.
    ReplyLost,
    /// A deletion is answered 202 and carried out when so many more requests have arrived.
    /// Other requests are not changed.
    ApplyLate {
        /// Requests after this one.
        requests: u64,
    },
    /// Headers and half of the body, then the connection closes.
    CutBody,
    /// Half of the body, and a `Content-Length` that agrees.
    TruncatedBody,
    /// The body with its last byte changed; length and headers stay.
    WrongBody,
    /// So many spaces after the body: still the same JSON, and too much.
    HugeBody {
        /// Bytes to add.
        padding: u64,
    },
    /// A `Docker-Content-Digest` of something else.
    WrongDigest,
    /// No `Docker-Content-Digest`.
    NoDigest,
    /// Another `Content-Type`.
    ContentType(String),
    /// This header instead of the answer's own, `Date` for one.
    Header(&'static str, String),
    /// A page whose Link leads to itself.
    LinkToItself,
    /// A page that begins with the entry it was to begin after.
    RepeatedEntry,
    /// A Link to this URL, on the last page too.
    LinkTo(String),
    /// Somebody else changes the content before the request is answered; the answer itself is not changed.
    Meanwhile(Change),
    /// Harbor fails to look something up and answers 200 as if there were none of it.
    LookupFails(Lookup),
}

/// What Harbor looks up for an artifact beside its own row, and leaves out where it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Its tags: it looks untagged.
    Tags,
    /// Its labels.
    Labels,
    /// Its accessories.
    Accessories,
    /// Whether its tags are immutable: they look as if they were not.
    Immutability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    First(u64),
    Nth(u64),
    Every(u64),
    After(u64),
}

/// One thing that goes wrong: which requests, which of them, and what happens.
///
/// Requests are counted for each fault on its own, those alone that it matches. Requests refused
/// for want of credentials never reach a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kinds: Vec<RequestKind>,
    method: Option<Method>,
    repository: Option<String>,
    reference: Option<String>,
    when: When,
    effect: Effect,
}

impl Fault {
    /// On every request.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self {
            kinds: Vec::new(),
            method: None,
            repository: None,
            reference: None,
            when: When::Always,
            effect,
        }
    }

    /// This status with an error envelope.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(Effect::Answer {
            status,
            retry_after: None,
            body: None,
        })
    }

    /// This status and `Retry-After`.
    #[must_use]
    pub fn retry_after(status: u16, retry_after: &str) -> Self {
        Self::new(Effect::Answer {
            status,
            retry_after: Some(retry_after.to_owned()),
            body: None,
        })
    }

    /// A tag that is listed and then is not there.
    #[must_use]
    pub fn vanished(repository: &str, tag: &str) -> Self {
        let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#;
        Self::new(Effect::Answer {
            status: 404,
            retry_after: None,
            body: Some(body.to_owned()),
        })
        .on(RequestKind::ManifestGet)
        .on(RequestKind::ManifestHead)
        .repository(repository)
        .reference(tag)
    }

    /// On requests of this kind; called again, of either kind.
    #[must_use]
    pub fn on(mut self, kind: RequestKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// With this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Of this repository, or of all that begin with what stands before a final `*`.
    #[must_use]
    pub fn repository(mut self, name: &str) -> Self {
        self.repository = Some(name.to_owned());
        self
    }

    /// Of this tag or digest, or of all that begin with what stands before a final `*`.
    #[must_use]
    pub fn reference(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    /// The first `count` such requests only.
    #[must_use]
    pub fn first(mut self, count: u64) -> Self {
        self.when = When::First(count);
        self
    }

    /// The `number`th such request only, counted from 1.
    #[must_use]
    pub fn nth(mut self, number: u64) -> Self {
        self.when = When::Nth(number);
        self
    }

    /// Every `step`th such request.
    #[must_use]
    pub fn every(mut self, step: u64) -> Self {
        self.when = When::Every(step);
        self
    }

    /// All such requests but the first `count`.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.when = When::After(count);
        self
    }

    fn matches(&self, request: &Asked<'_>) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&request.kind))
            && self.method.as_ref().is_none_or(|method| method == request.method)
            && self
                .repository
                .as_deref()
                .is_none_or(|pattern| fits(pattern, request.repository))
            && self
                .reference
                .as_deref()
                .is_none_or(|pattern| fits(pattern, request.reference))
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == text, |start| text.starts_with(start))
}

/// What a fault is matched against.
pub(crate) struct Asked<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) method: &'a Method,
    pub(crate) repository: &'a str,
    pub(crate) reference: &'a str,
}

/// Names a fault that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultId(u64);

#[derive(Debug)]
struct Active {
    id: u64,
    fault: Fault,
    seen: u64,
    fired: u64,
}

/// The faults of a running sandbox.
#[derive(Debug, Default)]
pub struct Faults {
    /// Whether there are any: the healthy path takes no lock.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    active: Vec<Active>,
}

impl Faults {
    /// From now on, this too goes wrong.
    pub fn push(&self, fault: Fault) -> FaultId {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let id = state.next;
        state.active.push(Active {
            id,
            fault,
            seen: 0,
            fired: 0,
        });
        self.any.store(true, Ordering::Release);
        FaultId(id)
    }

    /// This one no longer.
    pub fn remove(&self, id: FaultId) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.active.retain(|active| active.id != id.0);
        self.any.store(!state.active.is_empty(), Ordering::Release);
    }

    /// All is well again.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.active.clear();
        self.any.store(false, Ordering::Release);
    }

    /// How often this fault applied; 0 for one that was removed.
    #[must_use]
    pub fn fired(&self, id: FaultId) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .active
            .iter()
            .find(|active| active.id == id.0)
            .map_or(0, |active| active.fired)
    }

    /// Counts a request and answers what happens to it, in the order the faults were pushed.
    pub(crate) fn effects(&self, request: &Asked<'_>) -> Vec<Effect> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut effects = Vec::new();
        for active in state
            .active
            .iter_mut()
            .filter(|active| active.fault.matches(request))
        {
            active.seen += 1;
            let applies = match active.fault.when {
                When::Always => true,
                When::First(count) => active.seen <= count,
                When::Nth(number) => active.seen == number,
                When::Every(step) => step > 0 && active.seen.is_multiple_of(step),
                When::After(count) => active.seen > count,
            };
            if applies {
                active.fired += 1;
                effects.push(active.fault.effect.clone());
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(fault: Fault) -> Vec<bool> {
        let faults = Faults::default();
        faults.push(fault);
        let asked = Asked {
            kind: RequestKind::ManifestGet,
            method: &Method::GET,
            repository: "team/app",
            reference: "1.0.0",
        };
        (0..6).map(|_| !faults.effects(&asked).is_empty()).collect()
    }

    #[test]
    fn faults_apply_to_the_requests_they_count() {
        let fault = Fault::status(503);
        assert_eq!(fired(fault.clone()), [true; 6]);
        assert_eq!(
            fired(fault.clone().first(2)),
            [true, true, false, false, false, false]
        );
        assert_eq!(
            fired(fault.clone().nth(3)),
            [false, false, true, false, false, false]
        );
        assert_eq!(
            fired(fault.clone().every(2)),
            [false, true, false, true, false, true]
        );
        assert_eq!(
            fired(fault.clone().after(4)),
            [false, false, false, false, true, true]
        );
        assert_eq!(
            fired(fault.clone().repository("team/*").reference("1.0.0")),
            [true; 6]
        );
        assert_eq!(fired(fault.clone().repository("team")), [false; 6]);
        assert_eq!(fired(fault.clone().on(RequestKind::TagList)), [false; 6]);
        assert_eq!(fired(fault.method(Method::HEAD)), [false; 6]);
    }

    #[test]
    fn a_removed_fault_no_longer_applies() {
        let faults = Faults::default();
        let (one, two) = (
            faults.push(Fault::status(500)),
            faults.push(Fault::new(Effect::NoDigest)),
        );
        let asked = Asked {
            kind: RequestKind::Base,
            method: &Method::GET,
            repository: "",
            reference: "",
        };
        assert_eq!(faults.effects(&asked).len(), 2);
        faults.remove(one);
        assert_eq!(faults.effects(&asked), [Effect::NoDigest]);
        assert_eq!((faults.fired(one), faults.fired(two)), (0, 2));
        faults.clear();
        assert!(faults.effects(&asked).is_empty());
    }
}
