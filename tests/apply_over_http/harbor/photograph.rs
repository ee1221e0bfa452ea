//! Everything that a Harbor has, read by its API without any code of lagan: manifests byte for byte, tags, labels, what
//! is attached to what.

use std::collections::{BTreeMap, BTreeSet};

use lagan_sandbox::{Digest, HarborOptions, Sandbox};
use reqwest::Client;
use serde_json::Value;

/// What is known of one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shot {
    media_type: String,
    bytes: Vec<u8>,
    pub(super) tags: BTreeSet<String>,
    pub(super) labels: BTreeSet<String>,
    pub(super) accessories: BTreeSet<String>,
    references: BTreeSet<String>,
}

/// All artifacts by `repository@digest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Photograph(pub(super) BTreeMap<String, Shot>);

impl Photograph {
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let keys: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut lines = Vec::new();
        for key in keys {
            match (self.0.get(key), other.0.get(key)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(a), Some(b)) => lines.push(format!(
                    "{key}: {:?} {:?} {:?}, then {:?} {:?} {:?}",
                    a.tags, a.labels, a.accessories, b.tags, b.labels, b.accessories
                )),
                (Some(_), None) => lines.push(format!("{key} is gone")),
                (None, _) => lines.push(format!("{key} is new")),
            }
        }
        lines
    }
}

/// Takes one.
pub(super) async fn photograph(sandbox: &Sandbox) -> Photograph {
    lagan_registry::install_crypto_provider();
    let camera = Camera {
        client: Client::new(),
        root: format!("{}/api/v2.0", sandbox.url()),
    };
    let mut all = Photograph::default();
    for project in camera.list("/projects?").await {
        let project = text(&project["name"]);
        for repository in camera.list(&format!("/projects/{project}/repositories?")).await {
            let name = text(&repository["name"]);
            let rest = name[project.len() + 1..].replace('/', "%252F");
            let path = format!("/projects/{project}/repositories/{rest}/artifacts");
            let mut work: Vec<String> = camera
                .list(&format!("{path}?q=base%3D*&"))
                .await
                .iter()
                .map(|artifact| text(&artifact["digest"]))
                .collect();
            let mut seen: BTreeSet<String> = work.iter().cloned().collect();
            while let Some(digest) = work.pop() {
                let artifact = camera
                    .get(&format!(
                        "{path}/{digest}?with_label=true&with_accessory=true&with_tag=true"
                    ))
                    .await;
                let of = |field: &str, read: fn(&Value) -> String| -> BTreeSet<String> {
                    let rows = artifact[field].as_array().into_iter().flatten();
                    rows.map(read).collect()
                };
                let accessories = of("accessories", |row| {
                    format!("{} {}", text(&row["type"]), text(&row["digest"]))
                });
                for accessory in &accessories {
                    let digest = accessory.split(' ').nth(1).unwrap().to_owned();
                    if seen.insert(digest.clone()) {
                        work.push(digest);
                    }
                }
                let parsed: Digest = digest.parse().unwrap();
                let manifest = sandbox.manifest(&name, &parsed).unwrap();
                let shot = Shot {
                    media_type: manifest.media_type.to_string(),
                    bytes: manifest.bytes.to_vec(),
                    tags: of("tags", |row| text(&row["name"])),
                    labels: of("labels", |row| {
                        format!("{}:{}", text(&row["scope"]), text(&row["name"]))
                    }),
                    accessories,
                    references: of("references", |row| text(&row["child_digest"])),
                };
                all.0.insert(format!("{name}@{digest}"), shot);
            }
        }
    }
    all
}

struct Camera {
    client: Client,
    root: String,
}

impl Camera {
    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.root));
        let answer = request
            .basic_auth(HarborOptions::ADMIN, Some(HarborOptions::PASSWORD))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        for page in 1.. {
            let found = self.get(&format!("{path}page_size=100&page={page}")).await;
            let found = found.as_array().unwrap().clone();
            // A page out of which accessories were cut is short, and not the last.
            if found.is_empty() {
                break;
            }
            rows.extend(found);
        }
        rows
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
