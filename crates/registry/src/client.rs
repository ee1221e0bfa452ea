//! The transport with somebody's name on it.

use http::StatusCode;
use lagan_model::{Failure, RegistryError};
use tokio::sync::Semaphore;

use crate::auth::Authenticator;
use crate::challenge;
use crate::problem;
use crate::settings::{Settings, SettingsError};
use crate::token::Scope;
use crate::transport::{Answer, Request, Transport};

pub(crate) struct RegistryClient {
    transport: Transport,
    auth: Authenticator,
    /// As many requests as may ever be under way; the others wait here, before they take a token.
    turns: Semaphore,
}

impl RegistryClient {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            transport: Transport::new(settings)?,
            auth: Authenticator::new(settings),
            turns: Semaphore::new(settings.max_concurrency.get()),
        })
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn auth(&self) -> &Authenticator {
        &self.auth
    }

    /// Sends a request with what authenticates it for `scope`. A 401 is answered by one other attempt at most;
    /// the second is an answer.
    pub(crate) async fn get(&self, request: &Request, scope: &Scope) -> Result<Answer, RegistryError> {
        // A token is taken when the request is about to be sent: one that waits behind thousands of others would
        // outlive it. The semaphore is never closed.
        let _turn = self.turns.acquire().await.ok();
        let grant = self.auth.grant(&self.transport, request, scope).await?;
        let answer = self.transport.send(request, grant.header()).await?;
        if answer.status != StatusCode::UNAUTHORIZED || answer.foreign {
            return Ok(answer);
        }
        let challenge = challenge::read(&answer.headers);
        let other = self
            .auth
            .instead_of(&grant, &self.transport, request, scope, challenge);
        match other.await? {
            Some(other) => self.transport.send(request, other.header()).await,
            None => Ok(answer),
        }
    }

    /// Like [`get`](Self::get), and anything but a 200 is an error.
    pub(crate) async fn get_ok(&self, request: &Request, scope: &Scope) -> Result<Answer, RegistryError> {
        let answer = self.get(request, scope).await?;
        if answer.status == StatusCode::OK {
            Ok(answer)
        } else {
            Err(self.refusal(request, &answer))
        }
    }

    /// What a refusal means to who asked.
    pub(crate) fn refusal(&self, request: &Request, answer: &Answer) -> RegistryError {
        let error = problem::refusal(request, answer);
        if answer.foreign {
            error.with_hint("this is the answer of another host, to which the registry redirects")
        } else if error.failure() != Failure::Denied {
            error
        } else if self.auth.has_credentials() {
            error.with_hint("the credentials do not allow reading this")
        } else {
            error.with_hint("give credentials that allow reading this")
        }
    }
}
