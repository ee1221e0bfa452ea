//! A plain HTTP client on one connection: enough to push to a registry on loopback, and honest
//! enough to test a server with, since it hides nothing.

use std::io;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("use {0}: only http://host:port without a path is understood")]
    Address(String),
    #[error("connect")]
    Connect(#[source] io::Error),
    #[error("make a request")]
    Request(#[source] http::Error),
    #[error("exchange a request")]
    Exchange(#[source] hyper::Error),
}

/// A connection, opened when first needed and again when it was closed.
pub(crate) struct Client {
    host: String,
    authorization: Option<HeaderValue>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(url: &str) -> Result<Self, ClientError> {
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match host.filter(|host| !host.is_empty() && !host.contains('/')) {
            Some(host) => Ok(Self {
                host: host.to_owned(),
                authorization: None,
                sender: None,
            }),
            None => Err(ClientError::Address(url.to_owned())),
        }
    }

    /// Sent with every request from now on.
    pub(crate) fn authorize(&mut self, value: Option<HeaderValue>) {
        self.authorization = value;
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<Response<Bytes>, ClientError> {
        let length = body.len();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host);
        request = request.header(CONTENT_LENGTH, length);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Full::new(body)).map_err(ClientError::Request)?;
        let response = self
            .sender()
            .await?
            .send_request(request)
            .await
            .map_err(ClientError::Exchange)?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(ClientError::Exchange)?.to_bytes();
        Ok(Response::from_parts(parts, bytes))
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ClientError> {
        let usable = match self.sender.take() {
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        let sender = match usable {
            Some(sender) => sender,
            None => {
                let default_port = if self.host.contains(':') { "" } else { ":80" };
                let address = format!("{}{default_port}", self.host);
                let stream = TcpStream::connect(address).await.map_err(ClientError::Connect)?;
                stream.set_nodelay(true).map_err(ClientError::Connect)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(ClientError::Exchange)?;
                // Ends with the connection; what went wrong on it, the sender reports too.
                tokio::spawn(connection);
                sender
            }
        };
        Ok(self.sender.insert(sender))
    }
}
