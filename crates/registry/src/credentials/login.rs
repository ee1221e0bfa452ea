//! What was read last, and when it has to be read again.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::{CredentialError, CredentialSource, Stamp};
use crate::address::RegistryUrl;
use crate::settings::Credentials;

/// What a source held.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    /// A user name and a password.
    Password(Credentials),
    /// What a token service gives out instead of keeping a password: an OAuth 2 refresh token.
    IdentityToken(SecretString),
}

impl Login {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Password(one), Self::Password(other)) => one.same(other),
            (Self::IdentityToken(one), Self::IdentityToken(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            _ => false,
        }
    }
}

/// The login for one registry.
pub(crate) struct Logins {
    source: CredentialSource,
    registry: RegistryUrl,
    last: Mutex<Option<(Arc<Login>, Option<Stamp>)>>,
}

impl Logins {
    pub(crate) fn new(source: CredentialSource, registry: RegistryUrl) -> Self {
        Self {
            source,
            registry,
            last: Mutex::new(None),
        }
    }

    /// What the source holds now.
    pub(crate) async fn current(&self) -> Result<Arc<Login>, CredentialError> {
        let mut last = self.last.lock().await;
        // Taken before the content is read: a change in between is then seen the next time.
        let stamp = self.source.stamp();
        match &*last {
            Some((login, known)) if *known == stamp => Ok(Arc::clone(login)),
            _ => {
                let login = Arc::new(self.source.read(&self.registry).await?);
                *last = Some((Arc::clone(&login), stamp));
                Ok(login)
            }
        }
    }

    /// What the source holds instead of a login that was refused; `None` if that is all it holds.
    pub(crate) async fn instead_of(&self, refused: &Login) -> Result<Option<Arc<Login>>, CredentialError> {
        let mut last = self.last.lock().await;
        if let Some((login, _)) = &*last
            && !login.same(refused)
        {
            return Ok(Some(Arc::clone(login)));
        }
        let stamp = self.source.stamp();
        let login = Arc::new(self.source.read(&self.registry).await?);
        let other = (!login.same(refused)).then(|| Arc::clone(&login));
        *last = Some((login, stamp));
        Ok(other)
    }
}
