//! Who may do what: nobody asks, basic credentials, or bearer tokens with scopes (the token
//! specification of Distribution).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How clients prove who they are.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// They need not.
    #[default]
    Anonymous,
    /// Name and password with every request.
    Basic(Vec<User>),
    /// A token from `/token`, for the scopes asked for there.
    Bearer(Bearer),
}

/// Someone with a password. Grants are limits: without any, everything is allowed.
#[derive(Clone)]
pub struct User {
    name: String,
    password: String,
    grants: Option<Vec<Grant>>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

impl User {
    /// May do everything.
    #[must_use]
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            grants: None,
        }
    }

    /// May do this, and nothing that no other grant allows.
    #[must_use]
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grants.get_or_insert_default().push(grant);
        self
    }
}

/// Actions on repositories, or on the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    resource: &'static str,
    name: String,
    actions: Vec<String>,
}

impl Grant {
    /// `pull`, `push`, `delete` or `*` on a repository, or on all that begin with what stands
    /// before a final `*`.
    #[must_use]
    pub fn repository(name: &str, actions: &[&str]) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self {
            resource: "repository",
            name: name.to_owned(),
            actions,
        }
    }

    /// Listing the catalog (`registry:catalog:*`).
    #[must_use]
    pub fn catalog() -> Self {
        Self {
            resource: "registry",
            name: "catalog".to_owned(),
            actions: vec!["*".to_owned()],
        }
    }

    fn allows(&self, resource: &str, name: &str, action: &str) -> bool {
        let named = self
            .name
            .strip_suffix('*')
            .map_or(self.name == name, |start| name.starts_with(start));
        self.resource == resource
            && named
            && self
                .actions
                .iter()
                .any(|allowed| allowed == "*" || allowed == action)
    }
}

/// What tokens' lifetimes are counted in.
#[derive(Clone, Default)]
pub enum Clock {
    /// One second passes with every request that arrives.
    #[default]
    Requests,
    /// Seconds, as this function tells.
    Function(Arc<dyn Fn() -> u64 + Send + Sync>),
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "Requests",
            Self::Function(_) => "Function",
        })
    }
}

/// How a registry with tokens takes questions for the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogAccess {
    /// With a token for it.
    Token,
    /// With the password; every token is answered by a challenge for that.
    Password,
    /// Never: the token service gives no token for it, 403 `DENIED`.
    Refused,
}

/// Token authentication.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// Who gets tokens.
    pub users: Vec<User>,
    /// What a token without credentials may do; nothing where empty, and then it is still given.
    pub anonymous: Vec<Grant>,
    /// Seconds on `clock`, also told as `expires_in`.
    pub lifetime: u64,
    /// What the lifetime is counted in.
    pub clock: Clock,
    /// The realm of challenges; the sandbox's own, at [`Bearer::path`], where `None`.
    pub realm: Option<String>,
    /// Where the sandbox gives tokens: `/token`.
    pub path: String,
    /// The realm names the sandbox by another host (`localhost` for `127.0.0.1`), as registries do that leave tokens
    /// to another service.
    pub on_another_host: bool,
    /// Tokens are given in `access_token` alone.
    pub access_token_only: bool,
    /// The service that challenges name, and that must be asked for.
    pub service: String,
    /// Who gets to see the catalog, and how.
    pub catalog: CatalogAccess,
}

impl Bearer {
    /// Tokens for these users that live for 300 requests.
    #[must_use]
    pub fn new(users: Vec<User>) -> Self {
        Self {
            users,
            anonymous: Vec::new(),
            lifetime: 300,
            clock: Clock::Requests,
            realm: None,
            path: "/token".to_owned(),
            on_another_host: false,
            access_token_only: false,
            service: "sandbox".to_owned(),
            catalog: CatalogAccess::Token,
        }
    }
}

/// What a request has to be allowed.
pub(crate) enum Need<'a> {
    /// To be someone.
    Identity,
    Catalog,
    Repository {
        name: &'a str,
        actions: &'static [&'static str],
        mounted_from: Option<&'a str>,
    },
}

impl Need<'_> {
    fn allowed_by(&self, allows: impl Fn(&str, &str, &str) -> bool) -> bool {
        match self {
            Self::Identity => true,
            Self::Catalog => allows("registry", "catalog", "*"),
            Self::Repository {
                name,
                actions,
                mounted_from,
            } => {
                actions.iter().all(|action| allows("repository", name, action))
                    && mounted_from.is_none_or(|from| allows("repository", from, "pull"))
            }
        }
    }

    fn scope(&self) -> Option<String> {
        match self {
            Self::Identity => None,
            Self::Catalog => Some("registry:catalog:*".to_owned()),
            Self::Repository { name, actions, .. } => {
                Some(format!("repository:{name}:{}", actions.join(",")))
            }
        }
    }
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 401, with this challenge.
    Challenge(String),
    /// 403: known, and not allowed.
    Denied,
}

struct Issued {
    grants: Vec<Grant>,
    expires: u64,
}

/// Decides, and remembers the tokens it gave.
pub(crate) struct Authority {
    auth: Auth,
    origin: String,
    tokens: Mutex<HashMap<String, Issued>>,
    issued: AtomicU64,
}

impl Authority {
    pub(crate) fn new(auth: Auth, origin: String) -> Self {
        Self {
            auth,
            origin,
            tokens: Mutex::default(),
            issued: AtomicU64::new(0),
        }
    }

    /// `requests`: how many have arrived.
    pub(crate) fn check(&self, need: &Need<'_>, header: Option<&str>, requests: u64) -> Result<(), Refusal> {
        match &self.auth {
            Auth::Anonymous => Ok(()),
            Auth::Basic(users) => check_password(users, "sandbox", need, header),
            Auth::Bearer(bearer)
                if matches!(need, Need::Catalog) && bearer.catalog == CatalogAccess::Password =>
            {
                check_password(&bearer.users, "harbor", need, header)
            }
            Auth::Bearer(bearer) => self.check_token(bearer, need, header, requests),
        }
    }

    fn check_token(
        &self,
        bearer: &Bearer,
        need: &Need<'_>,
        header: Option<&str>,
        requests: u64,
    ) -> Result<(), Refusal> {
        let challenge = |error: Option<&str>| {
            let origin = match bearer.on_another_host {
                true => self.origin.replace("127.0.0.1", "localhost"),
                false => self.origin.clone(),
            };
            let own = format!("{origin}{}", bearer.path);
            let realm = bearer.realm.as_deref().unwrap_or(&own);
            let mut text = format!("Bearer realm=\"{realm}\",service=\"{}\"", bearer.service);
            for (field, value) in [("scope", need.scope()), ("error", error.map(str::to_owned))] {
                if let Some(value) = value {
                    text.push_str(&format!(",{field}=\"{value}\""));
                }
            }
            Err(Refusal::Challenge(text))
        };
        let Some(token) = header.and_then(|header| after_scheme(header, "bearer")) else {
            return challenge(None);
        };
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.get(token) {
            Some(issued) if now(bearer, requests) < issued.expires => {
                let granted = |resource: &str, name: &str, action: &str| {
                    issued
                        .grants
                        .iter()
                        .any(|grant| grant.allows(resource, name, action))
                };
                if need.allowed_by(granted) {
                    Ok(())
                } else {
                    challenge(Some("insufficient_scope"))
                }
            }
            _ => challenge(Some("invalid_token")),
        }
    }

    /// A token for what is asked and allowed: its text and lifetime. `None` for wrong credentials
    /// or another service. `scopes` are `repository:<name>:<actions>`, one each.
    pub(crate) fn issue(
        &self,
        service: Option<&str>,
        scopes: &[String],
        header: Option<&str>,
        requests: u64,
    ) -> Option<(String, u64)> {
        let Auth::Bearer(bearer) = &self.auth else {
            return None;
        };
        if service.is_some_and(|service| service != bearer.service) {
            return None;
        }
        let limits = match header {
            None => Some(bearer.anonymous.as_slice()),
            Some(header) => known(&bearer.users, header)?.grants.as_deref(),
        };
        let grants = scopes.iter().filter_map(|scope| granted(limits, scope)).collect();
        let token = format!(
            "sandbox-token-{}",
            self.issued.fetch_add(1, Ordering::Relaxed) + 1
        );
        let expires = now(bearer, requests).saturating_add(bearer.lifetime);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token.clone(), Issued { grants, expires });
        Some((token, bearer.lifetime))
    }

    /// Whether no token is given for these scopes, whoever asks.
    pub(crate) fn refuses(&self, scopes: &[String]) -> bool {
        let refuses = matches!(&self.auth, Auth::Bearer(bearer) if bearer.catalog == CatalogAccess::Refused);
        refuses && scopes.iter().any(|scope| scope.starts_with("registry:catalog:"))
    }

    /// Whether tokens are given at this path.
    pub(crate) fn gives_tokens_at(&self, path: &str) -> bool {
        matches!(&self.auth, Auth::Bearer(bearer) if bearer.path == path)
    }

    /// Whether a token is given in `access_token` alone.
    pub(crate) fn names_it_access_token(&self) -> bool {
        matches!(&self.auth, Auth::Bearer(bearer) if bearer.access_token_only)
    }

    /// Every token is invalid from now on.
    pub(crate) fn revoke(&self) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn check_password(users: &[User], realm: &str, need: &Need<'_>, header: Option<&str>) -> Result<(), Refusal> {
    let challenge = || Refusal::Challenge(format!("Basic realm=\"{realm}\""));
    let user = header
        .and_then(|header| known(users, header))
        .ok_or_else(challenge)?;
    let grants = user.grants.as_deref();
    let allowed = need.allowed_by(|resource, name, action| permits(grants, resource, name, action));
    if allowed { Ok(()) } else { Err(Refusal::Denied) }
}

fn now(bearer: &Bearer, requests: u64) -> u64 {
    match &bearer.clock {
        Clock::Requests => requests,
        Clock::Function(function) => function(),
    }
}

fn permits(grants: Option<&[Grant]>, resource: &str, name: &str, action: &str) -> bool {
    grants.is_none_or(|grants| grants.iter().any(|grant| grant.allows(resource, name, action)))
}

/// The part of a scope that is allowed; a scope of which nothing is left gives no grant, and the
/// token is given all the same, as token servers do.
fn granted(limits: Option<&[Grant]>, scope: &str) -> Option<Grant> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let resource = ["repository", "registry"]
        .into_iter()
        .find(|known| *known == kind)?;
    let actions: Vec<String> = actions
        .split(',')
        .filter(|action| permits(limits, resource, name, action))
        .map(str::to_owned)
        .collect();
    // A name ending in `*` would be read as a pattern; no repository is called that.
    (!actions.is_empty() && !name.ends_with('*')).then(|| Grant {
        resource,
        name: name.to_owned(),
        actions,
    })
}

fn after_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (named, rest) = header.split_once(' ')?;
    named.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn known<'a>(users: &'a [User], header: &str) -> Option<&'a User> {
    let text = String::from_utf8(STANDARD.decode(after_scheme(header, "basic")?).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    users
        .iter()
        .find(|user| user.name == name && user.password == password)
}
