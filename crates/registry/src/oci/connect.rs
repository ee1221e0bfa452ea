//! Connecting: is there a registry, how does it authenticate, and does it accept who asks.

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use lagan_model::{Failure, RegistryError, RegistryIdentity, RegistryKind, RequestCounts, RequestKind, json};
use thiserror::Error;
use url::Url;

use super::{Deletability, Listings, Mounting, OciRegistry, ReferrersApi, SeenTypes};
use crate::action::Action;
use crate::challenge::{self, Challenge};
use crate::client::RegistryClient;
use crate::settings::{Settings, SettingsError};
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};
use crate::{origin, problem};

/// The header by which registries have always made themselves known.
pub(super) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The longest answer to a ping, in bytes. It says nothing: a larger one is no registry's.
const MAX_PING_BYTES: usize = 64 * 1024;

/// Why a registry cannot be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The settings are at fault; nothing was contacted.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The registry, or what stands in its place, refused or did not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl ConnectError {
    /// What would help, where something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Registry(error) => error.hint(),
        }
    }
}

impl OciRegistry {
    /// Connects: one to three requests, the last of which has verified the credentials, where there are some.
    ///
    /// Credentials are offered even to a registry that would answer anybody: one that shows more to those it
    /// knows would otherwise list a part and look complete.
    ///
    /// # Errors
    ///
    /// [`Failure::Unreachable`], [`Failure::NotARegistry`], [`Failure::Unauthorized`], and whatever else a request
    /// can come to. Every one of them concerns the registry as a whole.
    pub async fn connect(settings: Settings) -> Result<Self, ConnectError> {
        let greeting = Greeting::send(&settings).await?;
        Self::accept(greeting, &settings).await
    }

    /// Goes on where a registry answered.
    pub(crate) async fn accept(greeting: Greeting, settings: &Settings) -> Result<Self, ConnectError> {
        let Greeting {
            client,
            request,
            answer,
        } = greeting;
        let learnt = match answer.status {
            StatusCode::OK if !speaks_registry(&answer) => {
                return Err(not_a_registry(&request, &answer).into());
            }
            StatusCode::OK => client.auth().offer_password(&request).await?,
            StatusCode::UNAUTHORIZED => match challenge::read(&answer.headers) {
                Some(challenge) => {
                    client
                        .auth()
                        .learn(&request, client.transport(), challenge)
                        .await?
                }
                None => false,
            },
            _ => return Err(unexpected(&request, &answer).into()),
        };
        if answer.status == StatusCode::UNAUTHORIZED && !learnt {
            return Err(unauthorized(&client, &request, &answer).into());
        }
        if learnt && client.auth().has_credentials() {
            verify(&client, &request).await?;
        }
        // It may name a token service yet. Until then it shows what it shows to anybody, which may be a part.
        if !learnt && client.auth().has_identity_token().await {
            tracing::warn!(
                registry = settings.url.as_str(),
                "the registry names no token service, and only to one can an identity token be given: it is asked as nobody"
            );
        }
        if settings.credentials.is_some() && origin::is_in_the_clear(settings.url.url()) {
            tracing::warn!(
                registry = settings.url.as_str(),
                "credentials are sent over plain HTTP"
            );
        }
        Self::over(client, settings, RegistryKind::Oci)
    }

    /// A registry to which a client is connected.
    pub(crate) fn over(
        client: RegistryClient,
        settings: &Settings,
        kind: RegistryKind,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            identity: RegistryIdentity {
                name: settings.name.clone(),
                url: settings.url.as_str().to_owned(),
                kind,
            },
            root: root(settings)?,
            client,
            listings: Listings::default(),
            referrers: ReferrersApi::default(),
            deletion: Deletability::default(),
            media_types: SeenTypes::default(),
            mounting: Mounting::default(),
        })
    }
}

fn root(settings: &Settings) -> Result<Url, SettingsError> {
    Url::parse(&format!("{}/v2/", settings.url.as_str())).map_err(SettingsError::UrlSyntax)
}

/// The first question to a registry, which nobody signs, and its answer.
pub(crate) struct Greeting {
    client: RegistryClient,
    request: Request,
    answer: Answer,
}

impl Greeting {
    pub(crate) async fn send(settings: &Settings) -> Result<Self, ConnectError> {
        let client = RegistryClient::new(settings)?;
        let request = Request {
            kind: RequestKind::Ping,
            url: root(settings)?,
            accept: HeaderValue::from_static("application/json, */*"),
            limit: MAX_PING_BYTES,
            redirects: Redirects::SameOrigin,
            action: Action::Read,
        };
        client.read_credentials(&request).await?;
        let sent = client.transport().send(&request, None);
        let answer = client.in_time(&request, sent).await;
        let answer = answer.map_err(|error| as_ping(&request, error))?;
        Ok(Self {
            client,
            request,
            answer,
        })
    }

    /// The service for which a token is wanted.
    pub(crate) fn service(&self) -> Option<String> {
        match challenge::read(&self.answer.headers) {
            Some(Challenge::Bearer { service, .. }) => service,
            Some(Challenge::Basic) | None => None,
        }
    }

    /// The requests that it took.
    pub(crate) fn requests(&self) -> RequestCounts {
        self.client.transport().counters().read()
    }
}

/// Pings again as who we are.
async fn verify(client: &RegistryClient, request: &Request) -> Result<(), RegistryError> {
    let answer = client.get(request, &Scope::Nothing).await;
    let answer = answer.map_err(|error| as_ping(request, error))?;
    match answer.status {
        StatusCode::OK if speaks_registry(&answer) => Ok(()),
        StatusCode::OK => Err(not_a_registry(request, &answer)),
        StatusCode::UNAUTHORIZED => Err(unauthorized(client, request, &answer)),
        _ => Err(unexpected(request, &answer)),
    }
}

/// Whether a 200 comes from a registry: it says so, or it says nothing, or it speaks JSON. A page does not.
fn speaks_registry(answer: &Answer) -> bool {
    answer.headers.contains_key(API_VERSION)
        || answer.body.trim_ascii().is_empty()
        || (answer
            .header(&CONTENT_TYPE)
            .is_none_or(|kind| !kind.starts_with("text/html"))
            && json::read::<serde::de::IgnoredAny>(&answer.body).is_ok())
}

fn unauthorized(client: &RegistryClient, request: &Request, answer: &Answer) -> RegistryError {
    let error = RegistryError::new(Failure::Unauthorized, request.line(), problem::describe(answer));
    error.with_hint(
        match (client.auth().has_credentials(), challenge::read(&answer.headers)) {
            (true, Some(_)) => "check the user name and the password",
            (false, Some(_)) => "give credentials: this registry is not public",
            (_, None) => "the registry does not say how to authenticate: look at what stands in front of it",
        },
    )
}

fn unexpected(request: &Request, answer: &Answer) -> RegistryError {
    let error = problem::refusal(request, answer);
    match error.failure() {
        Failure::Overloaded | Failure::Server | Failure::Denied | Failure::Timeout => error,
        _ => not_a_registry(request, answer),
    }
}

fn not_a_registry(request: &Request, answer: &Answer) -> RegistryError {
    let detail = if answer.status == StatusCode::OK {
        "what answers is not a registry".to_owned()
    } else {
        format!("what answers is not a registry: {}", problem::describe(answer))
    };
    let plain_to_tls = request.url.scheme() == "http" && answer.status == StatusCode::BAD_REQUEST;
    RegistryError::new(Failure::NotARegistry, request.line(), detail).with_hint(if plain_to_tls {
        "does it speak TLS there? then its URL begins with https://"
    } else {
        "check scheme, host, port and path prefix of the registry's URL"
    })
}

/// At this point an answer that makes no sense means that it is no registry's.
fn as_ping(request: &Request, error: RegistryError) -> RegistryError {
    match error.failure() {
        Failure::Malformed | Failure::TooLarge if error.request() == request.line() => {
            let text = error.to_string();
            let detail = text.strip_prefix(error.request()).unwrap_or(&text);
            let detail = detail.trim_start_matches(": ").to_owned();
            let hint = error
                .hint()
                .unwrap_or("check scheme, host, port and path prefix of the registry's URL")
                .to_owned();
            RegistryError::new(Failure::NotARegistry, request.line(), detail).with_hint(hint)
        }
        _ => error,
    }
}
