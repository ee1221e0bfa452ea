//! Who asks, in the form that the registry wants to hear it.

use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderValue;
use lagan_model::{Failure, RegistryError};
use url::Url;

use crate::challenge::Challenge;
use crate::origin;
use crate::problem;
use crate::settings::Credentials;
use crate::token::{Scope, Token, TokenService};
use crate::transport::{Request, Transport};

/// How requests are authenticated. Learnt from the registry's challenge.
enum Scheme {
    /// Not at all.
    Open,
    /// The password with each request.
    Basic(HeaderValue),
    /// A token for each scope.
    Bearer(TokenService),
}

/// What one request was sent with.
pub(crate) enum Grant {
    Nothing,
    Password(HeaderValue),
    Token(Token),
}

impl Grant {
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Password(header) => Some(header),
            Self::Token(token) => Some(&token.header),
        }
    }
}

pub(crate) struct Authenticator {
    credentials: Option<Credentials>,
    scheme: RwLock<Arc<Scheme>>,
}

impl Authenticator {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            scheme: RwLock::new(Arc::new(Scheme::Open)),
        }
    }

    pub(crate) fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// What to send with a request for `scope`.
    pub(crate) async fn grant(&self, transport: &Transport, scope: &Scope) -> Result<Grant, RegistryError> {
        match &*self.scheme() {
            Scheme::Open => Ok(Grant::Nothing),
            Scheme::Basic(header) => Ok(Grant::Password(header.clone())),
            Scheme::Bearer(tokens) => {
                let credentials = self.credentials.as_ref();
                let token = tokens.token(transport, credentials, scope, None).await?;
                Ok(Grant::Token(token))
            }
        }
    }

    /// What to send instead of a grant that was answered by 401, where there is something else to try.
    pub(crate) async fn instead_of(
        &self,
        grant: &Grant,
        transport: &Transport,
        request: &Request,
        scope: &Scope,
        challenge: Option<Challenge>,
    ) -> Result<Option<Grant>, RegistryError> {
        let learnt = match (grant, &*self.scheme()) {
            (Grant::Token(token), Scheme::Bearer(tokens)) if !token.fresh => {
                let credentials = self.credentials.as_ref();
                let refused = Some(token.serial);
                let token = tokens.token(transport, credentials, scope, refused).await?;
                return Ok(Some(Grant::Token(token)));
            }
            (Grant::Token(_), _) => false,
            // Somebody else learnt in the meantime what is wanted here.
            (Grant::Nothing, Scheme::Basic(_) | Scheme::Bearer(_))
            | (Grant::Password(_), Scheme::Bearer(_)) => true,
            (Grant::Nothing | Grant::Password(_), _) => match challenge {
                Some(Challenge::Basic) if matches!(grant, Grant::Password(_)) => false,
                Some(challenge) => self.learn(request, transport.registry(), challenge)?,
                None => false,
            },
        };
        if learnt {
            self.grant(transport, scope).await.map(Some)
        } else {
            Ok(None)
        }
    }

    /// Adopts what a challenge asks for; `false` where that takes credentials and there are none.
    ///
    /// Fails where the challenge sends for a token to a place that gets no credentials of ours.
    pub(crate) fn learn(
        &self,
        request: &Request,
        registry: &Url,
        challenge: Challenge,
    ) -> Result<bool, RegistryError> {
        let scheme = match challenge {
            Challenge::Basic => return Ok(self.offer_password()),
            Challenge::Bearer { realm, service } => {
                let refused = |failure, detail: String| {
                    RegistryError::new(failure, request.line(), detail).with_hint(
                        "nothing was sent there; check the registry's token settings and the URL given for it",
                    )
                };
                let realm = registry.join(&realm).map_err(|_| {
                    let detail = "the realm of the challenge is not the URL of a token service";
                    refused(Failure::Malformed, detail.to_owned())
                })?;
                if let Some(rule) = origin::realm_refused(registry, &realm) {
                    let place = problem::clean(&origin::shown(&realm));
                    let detail = format!("the registry sends for a token to {place}: {rule}");
                    return Err(refused(Failure::Unauthorized, detail));
                }
                Scheme::Bearer(TokenService::new(realm, service))
            }
        };
        self.adopt(scheme);
        Ok(true)
    }

    /// Sends the password with each request from now on; `false` where there is none.
    pub(crate) fn offer_password(&self) -> bool {
        match self.credentials.as_ref().and_then(Credentials::basic) {
            Some(header) => {
                self.adopt(Scheme::Basic(header));
                true
            }
            None => false,
        }
    }

    fn adopt(&self, scheme: Scheme) {
        *self.scheme.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(scheme);
    }

    fn scheme(&self) -> Arc<Scheme> {
        Arc::clone(&self.scheme.read().unwrap_or_else(PoisonError::into_inner))
    }
}
