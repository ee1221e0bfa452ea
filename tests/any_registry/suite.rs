//! The steps, and the table of what came of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use serde_json::Value;

use crate::client::{Access, Client, Served};
use crate::content::{Content, Fate, POLICY};
use crate::support::{Place, Run};

/// Everything that the registry serves of what was pushed.
#[derive(Debug, PartialEq, Eq)]
struct Photograph {
    /// By repository.
    tags: BTreeMap<String, Vec<String>>,
    /// By `repository:tag` and `repository@digest`.
    manifests: BTreeMap<String, Served>,
    /// By digest, where there is an API for them.
    referrers: BTreeMap<String, Vec<String>>,
}

struct Suite<'a> {
    client: Client,
    content: Content,
    place: Place,
    access: &'a Access,
    url: &'a str,
    table: String,
    step: &'static str,
}

/// Runs every step in repositories below a namespace, prints what came of each, and takes them away again.
///
/// Panics where a step does not come to what it has to.
pub(crate) async fn accept(url: &str, namespace: &str, access: &Access) {
    let client = Client::new(url, access);
    let is_harbor = client.is_harbor().await;
    if is_harbor {
        client.make_project(namespace).await;
    }
    let mut suite = Suite {
        client,
        content: Content::new(namespace),
        place: Place::new(),
        access,
        url,
        table: String::new(),
        step: "reach",
    };
    let kind = if is_harbor { "Harbor" } else { "an OCI registry" };
    suite.came_to(kind);
    let done = AssertUnwindSafe(suite.run(is_harbor)).catch_unwind().await;
    if done.is_err() {
        suite.came_to("FAILED, as said above");
    }
    suite.step = "clean up";
    let cleaned = AssertUnwindSafe(suite.clean_up(is_harbor, namespace))
        .catch_unwind()
        .await;
    if cleaned.is_err() {
        suite.came_to(&format!("FAILED: remove what is left below {namespace} yourself"));
    }
    eprintln!("\n{url}\n{}", suite.table);
    if let Err(panic) = done.and(cleaned) {
        std::panic::resume_unwind(panic);
    }
}

impl Suite<'_> {
    fn came_to(&mut self, what: &str) {
        writeln!(self.table, "  {:<22} {what}", self.step).unwrap();
    }

    async fn run(&mut self, is_harbor: bool) {
        self.step = "push";
        self.push().await;
        let before = self.photograph().await;
        let counted = before.manifests.len();
        let with = if before.referrers.is_empty() {
            "without"
        } else {
            "with"
        };
        self.came_to(&format!("{counted} references, {with} an API for referrers"));
        // What is pushed is what is served, or nothing below says anything.
        for manifest in &self.content.manifests {
            let served = &before.manifests[&format!("{}@{}", manifest.repository, manifest.digest)];
            assert_eq!(served.bytes, manifest.bytes, "{}", manifest.digest);
        }

        self.step = "plan";
        let plan = self.lagan("plan", 0).await.json();
        let doomed = self.doomed(is_harbor);
        assert_eq!(doomed_images(&plan), doomed, "{plan:#}");
        assert_eq!(self.photograph().await, before, "a plan changes nothing");
        self.came_to(&format!("would take {}, as counted by hand", doomed.join(", ")));

        self.step = "apply";
        let applied = self.lagan("apply --yes", 0).await.json();
        let gone = self.content.with(Fate::Goes).count();
        let after = self.photograph().await;
        for manifest in &self.content.manifests {
            let key = format!("{}@{}", manifest.repository, manifest.digest);
            let there = after.manifests.get(&key);
            match manifest.fate {
                Fate::Goes => assert_eq!(there, None, "{key} {:?} should be gone", manifest.tags),
                Fate::Stays => assert_eq!(there, before.manifests.get(&key), "{key} {:?}", manifest.tags),
            }
        }
        for (key, served) in &after.manifests {
            assert_eq!(
                Some(served),
                before.manifests.get(key),
                "{key} is as it was, or gone"
            );
        }
        self.came_to(&format!(
            "{gone} manifests gone, the others byte for byte as they were"
        ));

        self.step = "journal";
        self.lagan_alone("journal verify", 0).await;
        self.came_to("verified");

        self.step = "undo";
        let run = applied["run"].as_str().expect("a run").to_owned();
        self.lagan_alone(&format!("undo {run} --format json"), 0).await;
        let restored = self.photograph().await;
        assert_eq!(restored.tags, before.tags);
        assert_eq!(restored.referrers, before.referrers);
        for (key, served) in &before.manifests {
            assert_eq!(restored.manifests.get(key), Some(served), "{key}");
        }
        self.came_to("tags, digests, bytes, types and referrers as before");

        self.step = "undo again";
        self.lagan_alone(&format!("undo {run} --format json"), 0).await;
        self.came_to("everything is there");

        self.step = "apply again";
        let again = self.lagan("apply --yes", 0).await.json();
        assert_eq!(again["totals"]["outcomes"]["deleted"], Value::Null, "{again:#}");
        assert_eq!(self.photograph().await, restored);
        self.came_to("what was put back is held");
    }

    async fn push(&mut self) {
        for (repository, blob) in &self.content.blobs {
            self.client.push_blob(repository, blob).await;
        }
        let mut listed = true;
        for manifest in &self.content.manifests {
            self.client.push_manifest(&manifest.repository, manifest).await;
            if let Some(subject) = &manifest.subject {
                let referrers = self.client.referrers(&manifest.repository, subject).await;
                listed = referrers.is_some_and(|all| all.contains(&manifest.digest));
            }
        }
        if !listed {
            self.content.fall_back();
            for manifest in self.content.manifests.iter().rev().take(1) {
                self.client.push_manifest(&manifest.repository, manifest).await;
            }
        }
    }

    async fn photograph(&self) -> Photograph {
        let mut photograph = Photograph {
            tags: BTreeMap::new(),
            manifests: BTreeMap::new(),
            referrers: BTreeMap::new(),
        };
        for repository in &self.content.repositories {
            let tags = self.client.tags(repository).await;
            photograph.tags.insert(repository.clone(), tags);
        }
        for manifest in &self.content.manifests {
            let repository = &manifest.repository;
            for tag in &manifest.tags {
                if let Some(served) = self.client.manifest(repository, tag).await {
                    photograph.manifests.insert(format!("{repository}:{tag}"), served);
                }
            }
            let digest = &manifest.digest;
            if let Some(served) = self.client.manifest(repository, digest).await {
                photograph
                    .manifests
                    .insert(format!("{repository}@{digest}"), served);
            }
            if let Some(referrers) = self.client.referrers(repository, digest).await {
                photograph.referrers.insert(digest.clone(), referrers);
            }
        }
        photograph
    }

    /// The tags of images that have to go. Those of attachments are a matter of the registry.
    fn doomed(&self, single_tags: bool) -> Vec<String> {
        let goes = self.content.with(Fate::Goes);
        let mut tags: Vec<_> = goes.flat_map(|manifest| manifest.tags.clone()).collect();
        if single_tags {
            tags.push(self.content.shared.1.clone());
        }
        tags.retain(|tag| !tag.starts_with("sha256-"));
        tags.sort();
        tags
    }

    /// A command on these repositories alone: nobody else's are read.
    async fn lagan(&self, command: &str, code: i32) -> Run {
        let repositories = self
            .place
            .file("repositories", self.content.repositories.join("\n"));
        let line = format!(
            "{command} --registry {} --repositories-from {} {POLICY} --format json",
            self.url,
            repositories.display()
        );
        let limit = if command.starts_with("apply") {
            " --override-limit max_percent_per_repository=off"
        } else {
            ""
        };
        self.lagan_alone(&format!("{line}{limit}"), code).await
    }

    async fn lagan_alone(&self, line: &str, code: i32) -> Run {
        let Access {
            username,
            password_file,
            ca_file,
        } = self.access;
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_ref()
                .map(|path| std::path::absolute(path).unwrap().display().to_string())
        };
        let variables = [
            ("LAGAN_USERNAME", username.clone()),
            ("LAGAN_PASSWORD_FILE", path(password_file)),
            ("LAGAN_CA_FILE", path(ca_file)),
        ];
        let variables: Vec<_> = variables
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
            .collect();
        self.place.run_with(&variables, line).await.exits(code)
    }

    async fn clean_up(&mut self, is_harbor: bool, namespace: &str) {
        if is_harbor {
            self.client
                .remove_project(namespace, &self.content.repositories)
                .await;
            self.came_to("the project is gone");
            return;
        }
        // Indexes before what they list.
        for manifest in self.content.manifests.iter().rev() {
            self.client.delete(&manifest.repository, &manifest.digest).await;
        }
        self.came_to("every manifest deleted; some registries go on listing the names of empty repositories");
    }
}

/// The tags of images that a plan would take, sorted.
fn doomed_images(plan: &Value) -> Vec<String> {
    let repositories = plan["repositories"].as_array().expect("a list of repositories");
    let mut tags: Vec<_> = repositories.iter().flat_map(crate::support::doomed).collect();
    tags.retain(|tag| !tag.starts_with("sha256-"));
    tags.sort();
    tags
}
