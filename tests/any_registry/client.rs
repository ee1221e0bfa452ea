//! A client as anybody would write one, for what the suite pushes and looks at.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Certificate, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::content::{Blob, INDEX, Manifest, OCI_IMAGE};

/// Who asks, and whom to trust; nobody and the system's authorities unless said.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) username: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
}

impl Access {
    /// As the binary reads it from the environment.
    pub(crate) fn of_environment() -> Self {
        let path = |name| env::var_os(name).map(PathBuf::from);
        Self {
            username: env::var("LAGAN_USERNAME").ok(),
            password_file: path("LAGAN_PASSWORD_FILE"),
            ca_file: path("LAGAN_CA_FILE"),
        }
    }

    fn password(&self) -> String {
        let Some(file) = &self.password_file else {
            return String::new();
        };
        let password = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        password.trim_end_matches(['\r', '\n']).to_owned()
    }
}

/// What is served for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    basic: Option<(String, String)>,
    /// By repository, where the registry sends for tokens.
    tokens: Mutex<HashMap<String, String>>,
}

impl Client {
    pub(crate) fn new(url: &str, access: &Access) -> Self {
        // The client needs one, whether it speaks TLS or not.
        lagan_registry::install_crypto_provider();
        let mut http = reqwest::Client::builder();
        if let Some(file) = &access.ca_file {
            let pem = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            http = http.tls_certs_merge(Certificate::from_pem_bundle(&pem).unwrap());
        }
        let basic = access.username.clone().map(|name| (name, access.password()));
        Self {
            http: http.build().unwrap(),
            url: url.trim_end_matches('/').to_owned(),
            basic,
            tokens: Mutex::default(),
        }
    }

    /// Sends a request about a repository; `path` begins with `/`, or is where the registry sent to.
    async fn send(
        &self,
        method: Method,
        repository: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.url)
        } else {
            path.to_owned()
        };
        let send = async || {
            let mut request = self.http.request(method.clone(), &url);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if !body.is_empty() || method == Method::POST || method == Method::PUT {
                request = request.body(body.to_vec());
            }
            let token = self.tokens.lock().unwrap().get(repository).cloned();
            request = match (token, &self.basic) {
                (Some(token), _) => request.bearer_auth(token),
                (None, Some((name, password))) => request.basic_auth(name, Some(password)),
                (None, None) => request,
            };
            request
                .send()
                .await
                .unwrap_or_else(|error| panic!("{method} {url}: {error}"))
        };
        let answer = send().await;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return answer;
        }
        let challenge = answer
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok());
        let Some(token) = self.token(repository, challenge.unwrap_or_default()).await else {
            return answer;
        };
        self.tokens.lock().unwrap().insert(repository.to_owned(), token);
        send().await
    }

    /// What the place that a challenge names gives for everything that is done to a repository.
    async fn token(&self, repository: &str, challenge: &str) -> Option<String> {
        let parameters = challenge.strip_prefix("Bearer ")?;
        let of = |name: &str| {
            let (_, rest) = parameters.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let mut request = self.http.get(of("realm")?);
        request = request.query(&[("scope", format!("repository:{repository}:pull,push,delete"))]);
        if let Some(service) = of("service") {
            request = request.query(&[("service", service)]);
        }
        if let Some((name, password)) = &self.basic {
            request = request.basic_auth(name, Some(password));
        }
        let answer: Value = request.send().await.unwrap().json().await.ok()?;
        let token = answer["token"]
            .as_str()
            .or_else(|| answer["access_token"].as_str())?;
        Some(token.to_owned())
    }

    /// Whether there is a registry, and whether it is Harbor.
    pub(crate) async fn is_harbor(&self) -> bool {
        let answer = self.send(Method::GET, "", "/v2/", &[], b"").await;
        let status = answer.status();
        assert!(
            matches!(status.as_u16(), 200 | 401),
            "no registry at {}: GET /v2/ is answered by {status}",
            self.url
        );
        let ping = self.send(Method::GET, "", "/api/v2.0/ping", &[], b"").await;
        ping.status() == StatusCode::OK && ping.text().await.unwrap().contains("Pong")
    }

    /// Makes a project of Harbor.
    pub(crate) async fn make_project(&self, name: &str) {
        let body = json!({"project_name": name, "metadata": {"public": "false"}}).to_string();
        let headers = [(CONTENT_TYPE.as_str(), "application/json")];
        let path = "/api/v2.0/projects";
        let answer = self.send(Method::POST, "", path, &headers, body.as_bytes()).await;
        expect(answer, &[201], "make a project").await;
    }

    /// Takes a project of Harbor away, with its repositories.
    pub(crate) async fn remove_project(&self, name: &str, repositories: &[String]) {
        for repository in repositories {
            let short = repository.strip_prefix(&format!("{name}/")).unwrap_or(repository);
            let path = format!(
                "/api/v2.0/projects/{name}/repositories/{}",
                short.replace('/', "%252F")
            );
            let answer = self.send(Method::DELETE, "", &path, &[], b"").await;
            expect(answer, &[200, 404], "remove a repository").await;
        }
        let headers = [("X-Is-Resource-Name", "true")];
        let path = format!("/api/v2.0/projects/{name}");
        let answer = self.send(Method::DELETE, "", &path, &headers, b"").await;
        expect(answer, &[200], "remove the project").await;
    }

    pub(crate) async fn push_blob(&self, repository: &str, blob: &Blob) {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = self.send(Method::POST, repository, &path, &[], b"").await;
        let begun = expect(begun, &[202], "begin an upload").await;
        let place = begun.headers()[LOCATION].to_str().unwrap().to_owned();
        let joint = if place.contains('?') { '&' } else { '?' };
        let place = format!("{place}{joint}digest={}", blob.digest);
        let headers = [(CONTENT_TYPE.as_str(), "application/octet-stream")];
        let put = self
            .send(Method::PUT, repository, &place, &headers, &blob.bytes)
            .await;
        expect(put, &[201], "upload a blob").await;
    }

    pub(crate) async fn push_manifest(&self, repository: &str, manifest: &Manifest) {
        let untagged = [manifest.digest.clone()];
        let references = if manifest.tags.is_empty() {
            &untagged[..]
        } else {
            &manifest.tags
        };
        for reference in references {
            let path = format!("/v2/{repository}/manifests/{reference}");
            let headers = [(CONTENT_TYPE.as_str(), manifest.media_type)];
            let put = self
                .send(Method::PUT, repository, &path, &headers, &manifest.bytes)
                .await;
            expect(put, &[201], "push a manifest").await;
        }
    }

    /// What is served for a tag or a digest; `None` where there is nothing.
    pub(crate) async fn manifest(&self, repository: &str, reference: &str) -> Option<Served> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let accept = format!("{OCI_IMAGE}, {INDEX}");
        let answer = self
            .send(Method::GET, repository, &path, &[(ACCEPT.as_str(), &accept)], b"")
            .await;
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        let answer = expect(answer, &[200], "read a manifest").await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let (digest, media_type) = (header("docker-content-digest"), header("content-type"));
        let bytes = answer.bytes().await.unwrap().to_vec();
        Some(Served {
            digest,
            media_type,
            bytes,
        })
    }

    /// The tags of a repository, sorted.
    pub(crate) async fn tags(&self, repository: &str) -> Vec<String> {
        let path = format!("/v2/{repository}/tags/list?n=100");
        let answer = self.send(Method::GET, repository, &path, &[], b"").await;
        if answer.status() == StatusCode::NOT_FOUND {
            return Vec::new();
        }
        let answer = expect(answer, &[200], "list tags").await;
        let page: Value = answer.json().await.unwrap();
        let names = page["tags"].as_array().into_iter().flatten();
        let mut names: Vec<_> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Digests of what refers to a manifest, sorted; `None` where the registry has no API for that.
    pub(crate) async fn referrers(&self, repository: &str, digest: &str) -> Option<Vec<String>> {
        let path = format!("/v2/{repository}/referrers/{digest}");
        let answer = self.send(Method::GET, repository, &path, &[], b"").await;
        if !answer.status().is_success() {
            return None;
        }
        let index: Value = answer.json().await.ok()?;
        let referrers = index["manifests"].as_array()?.iter();
        let mut digests: Vec<_> = referrers
            .map(|one| one["digest"].as_str().unwrap().to_owned())
            .collect();
        digests.sort();
        Some(digests)
    }

    /// Deletes a manifest, if it is there.
    pub(crate) async fn delete(&self, repository: &str, digest: &str) {
        let path = format!("/v2/{repository}/manifests/{digest}");
        let answer = self.send(Method::DELETE, repository, &path, &[], b"").await;
        expect(answer, &[200, 202, 404], "delete a manifest").await;
    }
}

/// Fails with what the registry says, unless it is one of these.
async fn expect(answer: Response, codes: &[u16], what: &str) -> Response {
    let status = answer.status();
    if codes.contains(&status.as_u16()) {
        return answer;
    }
    let mut url = answer.url().clone();
    url.set_query(None);
    let said = answer.text().await.unwrap_or_default();
    panic!("failed to {what}: {url} is answered by {status}: {said}");
}
