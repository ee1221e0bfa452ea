//! Harbor's API over real HTTP.

mod access;
mod collection;
mod deleting;
mod description;

mod laws;
mod lists;
mod population;
mod pulls;
mod system;
mod versions;
mod writing;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use serde_json::Value;

use super::{DAY, Http, header, json, start};
use crate::harbor::HarborOptions;
use crate::{Digest, Sandbox, SandboxOptions};

/// A Harbor and a client of its administrator.
async fn harbor(options: HarborOptions) -> (Sandbox, Http) {
    let (sandbox, mut http) = start(SandboxOptions::default().harbor(options)).await;
    sign_in(&mut http, HarborOptions::ADMIN, HarborOptions::PASSWORD);
    (sandbox, http)
}

fn sign_in(http: &mut Http, name: &str, secret: &str) {
    let text = format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
    http.0.authorize(HeaderValue::from_str(&text).ok());
}

fn sign_out(http: &mut Http) {
    http.0.authorize(None);
}

fn api(path: &str) -> String {
    format!("/api/v2.0{path}")
}

/// The address of an artifact, or of something of it.
fn artifact_path(repository: &str, rest: &str) -> String {
    let (project, name) = repository.split_once('/').expect("a project");
    let name = name.replace('/', "%252F");
    api(&format!(
        "/projects/{project}/repositories/{name}/artifacts{rest}"
    ))
}

async fn get(http: &mut Http, path: &str) -> Value {
    let answer = http.get(path).await;
    assert_eq!(answer.status(), 200, "{path}: {:?}", answer.body());
    json(&answer)
}

async fn post(http: &mut Http, path: &str, body: Value) -> Response<Bytes> {
    http.send(Method::POST, path, &[], body.to_string()).await
}

async fn delete(http: &mut Http, path: &str) -> Response<Bytes> {
    http.send(Method::DELETE, path, &[], "").await
}

fn ids(rows: &Value) -> Vec<i64> {
    each(rows, |row| row["id"].as_i64().expect("a number"))
}

fn digests(rows: &Value) -> Vec<Digest> {
    each(rows, |row| {
        row["digest"]
            .as_str()
            .expect("a digest")
            .parse()
            .expect("a digest")
    })
}

fn names(rows: &Value) -> Vec<String> {
    each(rows, |row| row["name"].as_str().expect("a name").to_owned())
}

fn each<T>(rows: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    rows.as_array().expect("an array").iter().map(read).collect()
}

fn tags_of(row: &Value) -> Vec<String> {
    match &row["tags"] {
        Value::Null => Vec::new(),
        tags => names(tags),
    }
}

fn total(answer: &Response<Bytes>) -> usize {
    let text = header(answer, "x-total-count").expect("a total");
    text.parse().expect("a number")
}
