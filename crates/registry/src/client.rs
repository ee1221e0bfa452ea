//! The transport with somebody's name on it, and an end.

use std::time::Duration;

use http::StatusCode;
use lagan_model::{Failure, RegistryError};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::action::Action;
use crate::auth::{Authenticator, Grant};
use crate::challenge;
use crate::oci::ConnectError;
use crate::problem;
use crate::settings::{Settings, SettingsError};
use crate::token::Scope;
use crate::transport::{Answer, Request, Transport};

pub(crate) struct RegistryClient {
    transport: Transport,
    auth: Authenticator,
    /// As many requests as may ever be under way; the others wait here, before they take a token.
    turns: Semaphore,
    /// When the run is over, and how long it may take in all. `None` where that is beyond what a clock can count.
    deadline: Option<(Instant, Duration)>,
}

impl RegistryClient {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            transport: Transport::new(settings)?,
            auth: Authenticator::new(settings),
            turns: Semaphore::new(settings.max_concurrency.get()),
            deadline: Instant::now()
                .checked_add(settings.timeouts.run)
                .map(|deadline| (deadline, settings.timeouts.run)),
        })
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn auth(&self) -> &Authenticator {
        &self.auth
    }

    /// Reads the credentials, where there are some, before the first request; helpers take their time.
    pub(crate) async fn read_credentials(&self, first: &Request) -> Result<(), ConnectError> {
        let read = self.in_time(first, async { Ok(self.auth.read().await) }).await?;
        read.map(|_| ())
            .map_err(|error| SettingsError::from(error).into())
    }

    /// Sends a request with what authenticates it for `scope`. A 401 is answered by one other attempt at most;
    /// the second is an answer.
    pub(crate) async fn get(&self, request: &Request, scope: &Scope) -> Result<Answer, RegistryError> {
        let span = tracing::debug_span!(
            "request",
            kind = request.kind.as_str(),
            host = request.url.host_str(),
            repository = scope.repository().map(tracing::field::display),
        );
        let asked = self.ask(request, scope).instrument(span);
        self.in_time(request, asked).await
    }

    /// Cuts `work` for a request short when the time of the run is over. Then nothing new is begun either.
    pub(crate) async fn in_time<T>(
        &self,
        request: &Request,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let Some((deadline, whole)) = self.deadline else {
            return work.await;
        };
        let ended = if Instant::now() < deadline {
            tokio::time::timeout_at(deadline, work).await.ok()
        } else {
            None
        };
        ended.unwrap_or_else(|| {
            let what = if request.action.is_repeatable() {
                "not read"
            } else {
                "not done, or not seen to be"
            };
            let detail = format!("{what}: the time of the run, {whole:?}, was over");
            Err(RegistryError::new(Failure::TimeIsUp, request.line(), detail)
                .with_hint("give the run a later deadline, or fewer repositories"))
        })
    }

    async fn ask(&self, request: &Request, scope: &Scope) -> Result<Answer, RegistryError> {
        // A token is taken when the request is about to be sent: one that waits behind thousands of others would
        // outlive it. The semaphore is never closed.
        let _turn = self.turns.acquire().await.ok();
        // What a request holds while it is under way is several kilobytes, which those that wait need not have: there
        // may be hundreds of them.
        Box::pin(self.ask_now(request, scope)).await
    }

    async fn ask_now(&self, request: &Request, scope: &Scope) -> Result<Answer, RegistryError> {
        let grant = self.auth.grant(&self.transport, request, scope).await?;
        let answer = self.send(request, &grant).await?;
        let refused = match (answer.status, &grant) {
            (StatusCode::UNAUTHORIZED, _) => true,
            (StatusCode::FORBIDDEN, Grant::Password(..)) => problem::says_expired(&answer),
            _ => false,
        };
        if !refused || answer.foreign {
            return Ok(answer);
        }
        let challenge = challenge::read(&answer.headers);
        let other = self
            .auth
            .instead_of(&grant, &self.transport, request, scope, challenge);
        match other.await? {
            Some(other) => self.send(request, &other).await,
            None => Ok(answer),
        }
    }

    async fn send(&self, request: &Request, grant: &Grant) -> Result<Answer, RegistryError> {
        let mut answer = self.transport.send(request, grant.header()).await?;
        if let (401 | 403, Grant::Token(token)) = (answer.status.as_u16(), grant) {
            answer.granted.clone_from(&token.granted);
        }
        Ok(answer)
    }

    /// Like [`get`](Self::get), and anything but a 200 is an error.
    pub(crate) async fn get_ok(&self, request: &Request, scope: &Scope) -> Result<Answer, RegistryError> {
        let answer = self.get(request, scope).await?;
        if answer.status == StatusCode::OK {
            Ok(answer)
        } else {
            Err(self.refusal(request, &answer, scope))
        }
    }

    /// What a refusal means to who asked.
    pub(crate) fn refusal(&self, request: &Request, answer: &Answer, scope: &Scope) -> RegistryError {
        let error = problem::refusal_of(request, answer, scope);
        let what = match request.action {
            Action::Delete => "deleting this",
            Action::Begin | Action::Append { .. } | Action::Create(_) | Action::Put { .. } => "pushing this",
            Action::Read | Action::Look | Action::Taste | Action::Part { .. } | Action::Exchange(_) => {
                "reading this"
            }
        };
        if answer.foreign {
            error.with_hint("this is the answer of another host, to which the registry redirects")
        } else if error.failure() != Failure::Denied {
            error
        } else if self.auth.has_credentials() {
            error.with_hint(format!("the credentials do not allow {what}"))
        } else {
            error.with_hint(format!("give credentials that allow {what}"))
        }
    }
}
