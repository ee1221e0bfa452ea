//! Who asks, in the form that the registry wants to hear it.

use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderValue;
use lagan_model::{Failure, RegistryError};
use url::Url;

use crate::challenge::Challenge;
use crate::credentials::{CredentialError, Login, Logins};
use crate::guard::Purpose;
use crate::origin;
use crate::problem;
use crate::settings::Settings;
use crate::token::{Scope, Token, TokenService};
use crate::transport::{Request, Transport};

/// What helps where a token service is refused.
const SENT_NOTHING: &str =
    "nothing was sent there; check the registry's token settings and the URL given for it";

/// How requests are authenticated. Learnt from the registry's challenge.
enum Scheme {
    /// Not at all.
    Open,
    /// The password with each request.
    Basic,
    /// A token for each scope.
    Bearer(TokenService),
}

/// What one request was sent with.
pub(crate) enum Grant {
    Nothing,
    Password(HeaderValue, Arc<Login>),
    Token(Token),
}

impl Grant {
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Password(header, _) => Some(header),
            Self::Token(token) => Some(&token.header),
        }
    }
}

pub(crate) struct Authenticator {
    logins: Option<Logins>,
    /// Token services that may have the credentials, wherever they are.
    realms: Vec<Url>,
    scheme: RwLock<Arc<Scheme>>,
}

impl Authenticator {
    pub(crate) fn new(settings: &Settings) -> Self {
        let source = settings.credentials.clone();
        Self {
            logins: source.map(|source| Logins::new(source, settings.url.clone())),
            realms: settings
                .token_realms
                .iter()
                .map(|realm| realm.url().clone())
                .collect(),
            scheme: RwLock::new(Arc::new(Scheme::Open)),
        }
    }

    pub(crate) fn has_credentials(&self) -> bool {
        self.logins.is_some()
    }

    /// Reads the credentials, where there are some to read.
    pub(crate) async fn read(&self) -> Result<Option<Arc<Login>>, CredentialError> {
        match &self.logins {
            Some(logins) => logins.current().await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether there is an identity token and no password: it can be shown to a token service alone.
    pub(crate) async fn has_identity_token(&self) -> bool {
        let login = self.read().await.ok().flatten();
        matches!(login.as_deref(), Some(Login::IdentityToken(_)))
    }

    /// The user name, where there is one.
    pub(crate) async fn username(&self) -> Option<String> {
        match self.read().await.ok()?.as_deref()? {
            Login::Password(credentials) => Some(credentials.username().to_owned()),
            Login::IdentityToken(_) => None,
        }
    }

    /// What to send with a request for `scope`.
    pub(crate) async fn grant(
        &self,
        transport: &Transport,
        request: &Request,
        scope: &Scope,
    ) -> Result<Grant, RegistryError> {
        match &*self.scheme() {
            Scheme::Open => Ok(Grant::Nothing),
            Scheme::Basic => {
                let login = self.read().await.map_err(|error| unread(request, &error))?;
                // Adopted with a password: what has none now was swapped under the run.
                login.and_then(password).ok_or_else(|| {
                    let detail =
                        "the credentials are no longer a password, and the registry takes nothing else";
                    RegistryError::new(Failure::Unauthorized, request.line(), detail)
                        .with_hint("nothing was sent; put back a user name and a password, or run again")
                })
            }
            Scheme::Bearer(tokens) => self.token(tokens, transport, request, scope, None).await,
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
        // Harbor lists its catalog for a password and takes no token there
        // (<https://github.com/goharbor/harbor/issues/22118>). Everything else goes on with tokens.
        if let (Grant::Token(_), Some(Challenge::Basic), Scope::Catalog) = (grant, &challenge, scope) {
            let login = self.read().await.map_err(|error| unread(request, &error))?;
            if let Some(password) = login.and_then(password) {
                return Ok(Some(password));
            }
        }
        let learnt = match (grant, &*self.scheme()) {
            (Grant::Token(token), Scheme::Bearer(tokens)) if !token.is_fresh() => {
                let refused = Some(token.serial);
                return self
                    .token(tokens, transport, request, scope, refused)
                    .await
                    .map(Some);
            }
            // The password may have been changed since it was read.
            (Grant::Password(_, refused), Scheme::Basic)
                if !matches!(challenge, Some(Challenge::Bearer { .. })) =>
            {
                return Ok(self.other_login(request, refused).await?.and_then(password));
            }
            (Grant::Token(_), _) => false,
            // Somebody else learnt in the meantime what is wanted here.
            (Grant::Nothing, Scheme::Basic | Scheme::Bearer(_))
            | (Grant::Password(..), Scheme::Bearer(_)) => true,
            (Grant::Nothing | Grant::Password(..), _) => match challenge {
                Some(challenge) => self.learn(request, transport, challenge).await?,
                None => false,
            },
        };
        if learnt {
            self.grant(transport, request, scope).await.map(Some)
        } else {
            Ok(None)
        }
    }

    /// Adopts what a challenge asks for; `false` where that takes credentials and there are none.
    ///
    /// Fails where the challenge sends for a token to a place that gets no credentials of ours.
    pub(crate) async fn learn(
        &self,
        request: &Request,
        transport: &Transport,
        challenge: Challenge,
    ) -> Result<bool, RegistryError> {
        let registry = transport.registry();
        let scheme = match challenge {
            Challenge::Basic => return self.offer_password(request).await,
            Challenge::Bearer { realm, service } => {
                let refused = |failure, detail: String| RegistryError::new(failure, request.line(), detail);
                let realm = registry.join(&realm).map_err(|_| {
                    let detail = "the realm of the challenge is not the URL of a token service";
                    refused(Failure::Malformed, detail.to_owned()).with_hint(SENT_NOTHING)
                })?;
                let place = problem::clean(&origin::shown(&realm));
                let rule = origin::realm_refused(registry, &realm, &self.realms, self.has_credentials());
                let rule = match rule {
                    Some(rule) => Some(rule.to_owned()),
                    None => {
                        let allowed = self.realms.iter().any(|allowed| origin::same(allowed, &realm));
                        let purpose = if allowed {
                            Purpose::AllowedToken
                        } else {
                            Purpose::Token
                        };
                        transport.named_for_tokens(&realm, purpose).err()
                    }
                };
                if let Some(rule) = rule {
                    let detail = format!("the registry sends for a token to {place}: {rule}");
                    let hint = if rule == origin::UNNAMED {
                        format!(
                            "nothing was sent there; if it is this registry's token service, give `--token-realm {place}`, \
                             or `token_realms: [{place}]` in the configuration"
                        )
                    } else {
                        SENT_NOTHING.to_owned()
                    };
                    return Err(refused(Failure::Unauthorized, detail).with_hint(hint));
                }
                Scheme::Bearer(TokenService::new(realm, service))
            }
        };
        self.adopt(scheme);
        Ok(true)
    }

    /// Sends the password with each request from now on; `false` where there is none.
    pub(crate) async fn offer_password(&self, request: &Request) -> Result<bool, RegistryError> {
        let login = self.read().await.map_err(|error| unread(request, &error))?;
        let offered = login.and_then(password).is_some();
        if offered {
            self.adopt(Scheme::Basic);
        }
        Ok(offered)
    }

    /// A token; where the token service refuses what was read earlier, with what is to be read now.
    async fn token(
        &self,
        tokens: &TokenService,
        transport: &Transport,
        request: &Request,
        scope: &Scope,
        refused: Option<u64>,
    ) -> Result<Grant, RegistryError> {
        let login = self.read().await.map_err(|error| unread(request, &error))?;
        let outcome = tokens.token(transport, login.as_deref(), scope, refused).await;
        let token = match (outcome, login) {
            (Err(error), Some(login)) if error.failure() == Failure::Unauthorized => {
                let Some(other) = self.other_login(request, &login).await? else {
                    return Err(error);
                };
                tokens.token(transport, Some(&other), scope, refused).await?
            }
            (outcome, _) => outcome?,
        };
        Ok(Grant::Token(token))
    }

    async fn other_login(
        &self,
        request: &Request,
        refused: &Login,
    ) -> Result<Option<Arc<Login>>, RegistryError> {
        match &self.logins {
            Some(logins) => logins
                .instead_of(refused)
                .await
                .map_err(|error| unread(request, &error)),
            None => Ok(None),
        }
    }

    fn adopt(&self, scheme: Scheme) {
        *self.scheme.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(scheme);
    }

    fn scheme(&self) -> Arc<Scheme> {
        Arc::clone(&self.scheme.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The password, where the login is one.
fn password(login: Arc<Login>) -> Option<Grant> {
    let header = match &*login {
        Login::Password(credentials) => credentials.basic()?,
        Login::IdentityToken(_) => return None,
    };
    Some(Grant::Password(header, login))
}

/// Credentials that could be read when the run began, and now cannot: nobody goes on as somebody else.
fn unread(request: &Request, error: &CredentialError) -> RegistryError {
    RegistryError::new(Failure::Unauthorized, request.line(), error.to_string())
}
