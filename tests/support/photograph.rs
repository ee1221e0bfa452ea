//! Everything that a registry serves, byte for byte, read without any code of lagan.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::Value;

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// What is served for one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shot {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

/// All manifests by repository and reference, and what is attached to each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Photograph {
    /// By `repository:tag` and `repository@digest`.
    pub(crate) manifests: BTreeMap<String, Shot>,
    /// Digests of referrers by `repository@digest`, where there is an API for them.
    pub(crate) referrers: BTreeMap<String, BTreeSet<String>>,
}

impl Photograph {
    /// What is in one and not in the other, or not the same, for a message that can be read.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let keys: BTreeSet<_> = self.manifests.keys().chain(other.manifests.keys()).collect();
        for key in keys {
            match (self.manifests.get(key), other.manifests.get(key)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(a), Some(b)) => lines.push(format!(
                    "{key}: {} {} {} bytes, then {} {} {} bytes",
                    a.digest,
                    a.media_type,
                    a.bytes.len(),
                    b.digest,
                    b.media_type,
                    b.bytes.len()
                )),
                (Some(_), None) => lines.push(format!("{key} is gone")),
                (None, _) => lines.push(format!("{key} is new")),
            }
        }
        let keys: BTreeSet<_> = self.referrers.keys().chain(other.referrers.keys()).collect();
        for key in keys {
            let (a, b) = (self.referrers.get(key), other.referrers.get(key));
            if a != b {
                lines.push(format!("referrers of {key}: {a:?}, then {b:?}"));
            }
        }
        lines
    }
}

/// Takes one. With `before`, every digest that was there then is asked for, whether anything leads to it or not.
pub(crate) async fn photograph(url: &str, before: Option<&Photograph>) -> Photograph {
    // The client needs one, whether it speaks TLS or not.
    lagan_registry::install_crypto_provider();
    let client = Client::new();
    let mut photograph = Photograph::default();
    for repository in catalog(&client, url).await {
        let tags: Value = json(&client, &format!("{url}/v2/{repository}/tags/list")).await;
        let mut work: BTreeSet<String> = tags["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|tag| tag.as_str().unwrap().to_owned())
            .collect();
        if let Some(before) = before {
            let start = format!("{repository}@");
            let digests = before.manifests.keys().filter_map(|key| key.strip_prefix(&start));
            work.extend(digests.map(str::to_owned));
        }
        let mut seen = work.clone();
        while !work.is_empty() {
            let shots: Vec<_> = stream::iter(std::mem::take(&mut work))
                .map(|reference| shoot(&client, url, &repository, reference))
                .buffer_unordered(16)
                .collect()
                .await;
            for (reference, shot, referrers) in shots {
                let Some(shot) = shot else { continue };
                let mut more = children(&shot);
                more.insert(shot.digest.clone());
                if let Some(referrers) = referrers {
                    more.extend(referrers.iter().cloned());
                    let key = format!("{repository}@{}", shot.digest);
                    photograph.referrers.insert(key, referrers);
                }
                work.extend(more.into_iter().filter(|digest| seen.insert(digest.clone())));
                let sign = if reference.contains(':') { '@' } else { ':' };
                photograph
                    .manifests
                    .insert(format!("{repository}{sign}{reference}"), shot);
            }
        }
    }
    photograph
}

async fn catalog(client: &Client, url: &str) -> Vec<String> {
    let page: Value = json(client, &format!("{url}/v2/_catalog?n=1000")).await;
    let names = page["repositories"].as_array().unwrap().iter();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

async fn json(client: &Client, url: &str) -> Value {
    let answer = client.get(url).send().await.unwrap();
    if !answer.status().is_success() {
        return Value::Null;
    }
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn shoot(
    client: &Client,
    url: &str,
    repository: &str,
    reference: String,
) -> (String, Option<Shot>, Option<BTreeSet<String>>) {
    let manifest = client.get(format!("{url}/v2/{repository}/manifests/{reference}"));
    let answer = manifest.header("accept", ACCEPT).send().await.unwrap();
    if answer.status() == 404 {
        return (reference, None, None);
    }
    assert_eq!(answer.status(), 200, "{repository} {reference}");
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let (digest, media_type) = (header("docker-content-digest"), header("content-type"));
    let shot = Shot {
        digest,
        media_type,
        bytes: answer.bytes().await.unwrap().to_vec(),
    };
    let listed = json(
        client,
        &format!("{url}/v2/{repository}/referrers/{}", shot.digest),
    )
    .await;
    let referrers = listed["manifests"].as_array().map(|all| digests(all));
    (reference, Some(shot), referrers)
}

fn children(shot: &Shot) -> BTreeSet<String> {
    let document: Value = serde_json::from_slice(&shot.bytes).unwrap();
    document["manifests"]
        .as_array()
        .map(|all| digests(all))
        .unwrap_or_default()
}

fn digests(descriptors: &[Value]) -> BTreeSet<String> {
    let all = descriptors.iter();
    all.map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned())
        .collect()
}
