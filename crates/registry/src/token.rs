//! Bearer tokens: fetched once for each scope, whoever waits for them, and kept until shortly before they expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use lagan_model::{Failure, RegistryError, RepositoryName, RequestKind, json};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::action::Action;
use crate::credentials::Login;
use crate::grant;
use crate::problem;
use crate::settings::secret_header;
use crate::transport::{Redirects, Request, Transport};

/// The longest answer of a token service, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// How long a token is good for where the service does not say.
const UNSAID: Duration = Duration::from_secs(60);

/// How long a token is kept at most, whatever the service says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its end a token is no longer used, at most.
const MARGIN: Duration = Duration::from_secs(10);

/// How many tokens are kept before those that have expired are dropped for the first time.
const MANY: usize = 4096;

/// What a token is for: never more than the request at hand needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Nothing but to say who asks.
    Nothing,
    /// Reading the catalog.
    Catalog,
    /// Reading one repository.
    Pull(RepositoryName),
    /// Deleting in one repository, or asking whether one may.
    Delete(RepositoryName),
    /// Writing to one repository: only to bring back what was deleted, and to hold it.
    Push(RepositoryName),
    /// Writing to one repository what is read from another.
    Mount {
        /// Where it is written.
        to: RepositoryName,
        /// Where it is.
        from: RepositoryName,
    },
}

impl Scope {
    /// As the token specification writes it; several parts stand with spaces between them.
    pub(crate) fn text(&self) -> Option<String> {
        let (repository, actions) = match self {
            Self::Mount { to, from } => {
                return Some(format!("repository:{to}:pull,push repository:{from}:pull"));
            }
            Self::Nothing => return None,
            Self::Catalog => return Some("registry:catalog:*".to_owned()),
            Self::Pull(repository) => (repository, "pull"),
            Self::Delete(repository) => (repository, "pull,delete"),
            Self::Push(repository) => (repository, "pull,push"),
        };
        Some(format!("repository:{repository}:{actions}"))
    }

    /// The repository that it is about, if it is about one.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Nothing | Self::Catalog => None,
            Self::Pull(repository)
            | Self::Delete(repository)
            | Self::Push(repository)
            | Self::Mount { to: repository, .. } => Some(repository),
        }
    }
}

/// A token as it was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    /// Tells this token from the one that replaced it.
    pub(crate) serial: u64,
    /// Whether it was fetched for this very request.
    fetched: bool,
    /// When it is no longer used; `None` has been already.
    until: Option<Instant>,
    /// What it allows, where that is known to be less than what was asked for.
    pub(crate) granted: Option<Arc<str>>,
}

impl Token {
    /// Whether fetching another would change nothing: it was fetched for this very request, which has not waited longer
    /// than it lasts.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fetched && self.is_valid()
    }

    fn is_valid(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    serial: u64,
}

/// The token service of a registry, and the tokens it has issued.
pub(crate) struct TokenService {
    realm: Url,
    service: Option<String>,
    slots: Mutex<Slots>,
    /// See [`MANY`].
    many: usize,
}

struct Slots {
    by_scope: HashMap<Scope, Arc<tokio::sync::Mutex<Slot>>>,
    /// How many there may be before the expired ones are looked for again. Doubles, so that looking stays cheap.
    room: usize,
}

#[derive(Deserialize)]
struct Issued {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<i64>,
    /// Anything: only where it is text does it say what was granted.
    scope: Option<serde_json::Value>,
}

impl TokenService {
    /// The service at `realm`, which may have the credentials (see [`crate::origin::realm_refused`]).
    pub(crate) fn new(realm: Url, service: Option<String>) -> Self {
        Self::keeping(MANY, realm, service)
    }

    fn keeping(many: usize, realm: Url, service: Option<String>) -> Self {
        Self {
            realm,
            service,
            slots: Mutex::new(Slots {
                by_scope: HashMap::new(),
                room: many,
            }),
            many,
        }
    }

    /// A token for `scope`, other than the one with the serial number `refused`.
    pub(crate) async fn token(
        &self,
        transport: &Transport,
        login: Option<&Login>,
        scope: &Scope,
        refused: Option<u64>,
    ) -> Result<Token, RegistryError> {
        let slot = self.slot(scope);
        // Held while the token is fetched: whoever else needs the same one waits for it here.
        let mut slot = slot.lock().await;
        if let Some(token) = &slot.token
            && token.is_valid()
            && refused != Some(token.serial)
        {
            return Ok(token.clone());
        }
        // Counted from before the request: the service's clock started after that.
        let asked = Instant::now();
        let (header, granted, lifetime) = self.fetch(transport, login, scope).await?;
        slot.serial += 1;
        let token = Token {
            header,
            serial: slot.serial,
            fetched: true,
            until: asked.checked_add(usable(lifetime)),
            granted,
        };
        slot.token = Some(Token {
            fetched: false,
            ..token.clone()
        });
        Ok(token)
    }

    fn slot(&self, scope: &Scope) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.by_scope.get(scope) {
            return Arc::clone(slot);
        }
        if slots.by_scope.len() >= slots.room {
            // Whoever waits for a token, or fetches one, holds its slot. What nobody holds and was never filled belongs to
            // a scope that was refused, or whose request was given up.
            slots.by_scope.retain(|_, slot| {
                Arc::strong_count(slot) > 1
                    || slot
                        .try_lock()
                        .is_ok_and(|slot| slot.token.as_ref().is_some_and(Token::is_valid))
            });
            slots.room = self.many.max(slots.by_scope.len() * 2);
        }
        Arc::clone(slots.by_scope.entry(scope.clone()).or_default())
    }

    async fn fetch(
        &self,
        transport: &Transport,
        login: Option<&Login>,
        scope: &Scope,
    ) -> Result<(HeaderValue, Option<Arc<str>>, Duration), RegistryError> {
        let mut url = self.realm.clone();
        let service = self.service.as_deref().map(|service| ("service", service));
        let scope_text = scope.text();
        let (action, basic) = match login {
            Some(Login::IdentityToken(token)) => {
                // The distribution project's token specification, "Authenticating using OAuth 2".
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("client_id", "lagan");
                form.append_pair("refresh_token", token.expose_secret());
                form.extend_pairs(service);
                form.extend_pairs(scope_text.as_deref().map(|scope| ("scope", scope)));
                (Action::Exchange(SecretString::from(form.finish())), None)
            }
            Some(Login::Password(credentials)) => {
                ask_for(&mut url, service, scope_text.as_deref());
                (Action::Read, credentials.basic())
            }
            None => {
                ask_for(&mut url, service, scope_text.as_deref());
                (Action::Read, None)
            }
        };
        let request = Request {
            kind: RequestKind::Token,
            url,
            accept: HeaderValue::from_static("application/json"),
            limit: MAX_TOKEN_BYTES,
            redirects: Redirects::Never,
            action,
        };
        let answer = transport.send(&request, basic.as_ref()).await?;
        let status = answer.status.as_u16();
        if status != 200 {
            let refused = problem::refusal(&request, &answer);
            let failure = match status {
                429 | 500.. => refused.failure(),
                // Without credentials it is this repository that is not public; with them, it is the credentials.
                401 if login.is_some() || *scope == Scope::Nothing => Failure::Unauthorized,
                400..500 => Failure::Denied,
                _ => Failure::Malformed,
            };
            let detail = match failure {
                Failure::Unauthorized | Failure::Denied => problem::denied(&answer, scope),
                _ => problem::describe(&answer),
            };
            let error = RegistryError::new(failure, request.line(), detail);
            return Err(match (failure, login.is_some()) {
                (Failure::Unauthorized, true) => error.with_hint("check the user name and the password"),
                (Failure::Unauthorized | Failure::Denied, false) => {
                    error.with_hint("give credentials: this is not public")
                }
                (Failure::Denied, true) => error.with_hint("these credentials may not read this"),
                _ => error,
            });
        }
        // The parser's own message could repeat a part of the token.
        let issued: Issued = json::read(&answer.body)
            .map_err(|_| problem::malformed(&request, "the token service's answer cannot be read"))?;
        let unusable = || problem::malformed(&request, "the token service's answer holds no usable token");
        let token = [issued.token, issued.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.expose_secret().is_empty())
            .ok_or_else(unusable)?;
        let header = SecretString::from(format!("Bearer {}", token.expose_secret()));
        let header = secret_header(&header).ok_or_else(unusable)?;
        let granted = scope_text.as_deref().and_then(|scope| {
            let stated = issued.scope.as_ref().and_then(serde_json::Value::as_str);
            let mut parts = scope.split(' ');
            parts.find_map(|part| {
                grant::shortfall(token.expose_secret(), part)
                    .or_else(|| grant::stated(stated.unwrap_or_default(), part))
            })
        });
        if let Some(granted) = &granted {
            tracing::debug!(
                asked = scope_text,
                granted,
                "the token service grants less than was asked for"
            );
        }
        let lifetime = issued.expires_in.map_or(UNSAID, |seconds| {
            Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
        });
        Ok((header, granted.map(Arc::from), lifetime))
    }
}

/// A query has a field for each part of a scope (token specification, "Requesting a Token"), where a form has one for all.
fn ask_for(url: &mut Url, service: Option<(&str, &str)>, scope: Option<&str>) {
    let parts = scope.into_iter().flat_map(|scope| scope.split(' '));
    let parts = parts.map(|part| ("scope", part));
    url.query_pairs_mut()
        .extend_pairs(service.into_iter().chain(parts));
}

/// How long a token with this lifetime is used.
fn usable(lifetime: Duration) -> Duration {
    let lifetime = lifetime.min(LONGEST);
    lifetime - MARGIN.min(lifetime / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_until_a_little_before_its_end_and_never_beyond_a_day() {
        for (lifetime, expected) in [(0, 0), (5, 4), (60, 50), (300, 290), (u64::MAX, 86_390)] {
            assert_eq!(
                usable(Duration::from_secs(lifetime)),
                Duration::from_secs(expected)
            );
        }
    }

    #[tokio::test]
    async fn past_so_many_only_tokens_that_serve_and_those_that_are_waited_for_are_kept() {
        let service = TokenService::keeping(4, "https://tokens.example".parse().unwrap(), None);
        let scope = |number: usize| Scope::Pull(format!("team/{number}").parse().unwrap());
        let known = |number: usize| {
            let slots = service.slots.lock().unwrap();
            slots.by_scope.contains_key(&scope(number))
        };
        let fill = async |number: usize, lifetime: u64| {
            let token = Token {
                header: HeaderValue::from_static("Bearer t"),
                serial: 1,
                fetched: false,
                until: Instant::now().checked_add(Duration::from_secs(lifetime)),
                granted: None,
            };
            service.slot(&scope(number)).lock().await.token = Some(token);
        };
        fill(0, 3600).await;
        fill(1, 0).await;
        // Refused: nothing came of it.
        drop(service.slot(&scope(2)));
        // Waited for.
        let waiting = service.slot(&scope(3));
        assert!((0..4).all(known));
        drop(service.slot(&scope(4)));
        assert_eq!([0, 1, 2, 3, 4].map(known), [true, false, false, true, true]);
        assert!(Arc::ptr_eq(&waiting, &service.slot(&scope(3))));
        // Whatever is refused, and however much of it, takes no more room than that.
        for number in 5..1000 {
            drop(service.slot(&scope(number)));
        }
        assert!(known(0) && known(3));
        let kept = service.slots.lock().unwrap().by_scope.len();
        assert!(kept <= 8, "{kept}");
    }

    #[test]
    fn a_scope_asks_for_no_more_than_its_request_needs() {
        let name: RepositoryName = "team/app".parse().unwrap();
        for (scope, actions) in [
            (Scope::Pull(name.clone()), "pull"),
            (Scope::Delete(name.clone()), "pull,delete"),
            (Scope::Push(name.clone()), "pull,push"),
        ] {
            assert_eq!(scope.text().unwrap(), format!("repository:team/app:{actions}"));
            assert_eq!(scope.repository(), Some(&name));
        }
        let both = Scope::Mount {
            to: "hold/app".parse().unwrap(),
            from: name.clone(),
        };
        let parts = "repository:hold/app:pull,push repository:team/app:pull";
        assert_eq!(both.text().unwrap(), parts);
        let mut url = Url::parse("https://tokens.example/").unwrap();
        ask_for(&mut url, Some(("service", "s")), both.text().as_deref());
        let asked: Vec<_> = url
            .query_pairs()
            .map(|(field, value)| format!("{field}={value}"))
            .collect();
        assert_eq!(
            asked,
            [
                "service=s",
                "scope=repository:hold/app:pull,push",
                "scope=repository:team/app:pull"
            ]
        );
        assert_eq!(Scope::Catalog.text().unwrap(), "registry:catalog:*");
        assert_eq!(Scope::Nothing.text(), None);
    }
}
