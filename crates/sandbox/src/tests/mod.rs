//! The whole crate over real HTTP.

mod auth;
mod content;
mod faults;
mod harbor;
mod profiles;
mod protocol;
mod pushing;
mod writes;

use bytes::Bytes;
use http::{HeaderName, Method, Response};
use serde_json::Value;

use crate::client::Client;
use crate::{Moment, Sandbox, SandboxOptions};

const DAY: Moment = Moment::date(2026, 5, 1);

async fn start(options: SandboxOptions) -> (Sandbox, Http) {
    let sandbox = Sandbox::start(options).await.expect("a port on loopback");
    let http = Http(Client::new(&sandbox.url()).expect("an address on loopback"));
    (sandbox, http)
}

/// One client, with the requests that tests make.
struct Http(Client);

impl Http {
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        self.0
            .send(method, path, headers, body.into())
            .await
            .expect("an answer")
    }

    async fn get(&mut self, path: &str) -> Response<Bytes> {
        self.send(Method::GET, path, &[], "").await
    }

    async fn status(&mut self, method: Method, path: &str) -> u16 {
        self.send(method, path, &[], "").await.status().as_u16()
    }

    /// Whether there was no answer at all, or not all of it.
    async fn breaks(&mut self, method: Method, path: &str) -> bool {
        self.0.send(method, path, &[], Bytes::new()).await.is_err()
    }
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().expect("text"))
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

fn code(response: &Response<Bytes>) -> (u16, String) {
    let code = json(response)["errors"][0]["code"]
        .as_str()
        .expect("an error envelope")
        .to_owned();
    (response.status().as_u16(), code)
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().expect("an array");
    items
        .iter()
        .map(|item| item.as_str().expect("a string").to_owned())
        .collect()
}
