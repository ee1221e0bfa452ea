//! A daemon asked over its socket, by commands that find the state directory in use.

use std::path::{Path, PathBuf};

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::SOCKET;
use crate::exit::{Exit, Failure};

/// How much of an answer that says what went wrong is read, in bytes.
const LONGEST_PROBLEM: usize = 64 * 1024;

/// A daemon that can be asked.
pub(crate) struct Client {
    socket: PathBuf,
}

/// What it answers, piece by piece.
pub(crate) struct Answer {
    body: Incoming,
    /// What was read behind the last line.
    rest: Vec<u8>,
}

impl Client {
    /// The daemon of a state directory; `None` where nobody answers there.
    pub(crate) async fn of(state: &Path) -> Option<Self> {
        let socket = state.join(SOCKET);
        UnixStream::connect(&socket).await.ok()?;
        Some(Self { socket })
    }

    /// Asks to see something.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Asks for something to be done.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.send(Method::POST, path, body.to_string().into()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Failure> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the answer, or with the daemon.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::new(Exit::Unexpected, error))?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        if answer.status().is_success() {
            return Ok(Answer {
                body: answer.into_body(),
                rest: Vec::new(),
            });
        }
        Err(refused(answer).await)
    }
}

impl Answer {
    /// The next piece; `None` at the end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(piece) = frame.map_err(broken)?.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// The next line of JSON; `None` at the end.
    pub(crate) async fn line(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let value =
                    serde_json::from_slice(&line).map_err(|error| Failure::new(Exit::Unexpected, error))?;
                return Ok(Some(value));
            }
            match self.piece().await? {
                Some(piece) => self.rest.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

fn broken(error: hyper::Error) -> Failure {
    let context = anyhow::Error::new(error).context("the daemon that has the state directory broke off");
    Failure::new(Exit::Unexpected, context)
}

/// What problem details say.
async fn refused(answer: Response<Incoming>) -> Failure {
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), LONGEST_PROBLEM);
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().map_or_else(
        || format!("the daemon that has the state directory answered {status}"),
        str::to_owned,
    );
    let exit = match status.as_u16() {
        409 => Exit::Refused,
        400..=499 => Exit::Usage,
        _ => Exit::Unexpected,
    };
    let failure = Failure::new(exit, anyhow::Error::msg(detail));
    match problem["hint"].as_str() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
