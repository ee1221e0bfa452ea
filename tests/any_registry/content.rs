//! What the suite pushes, and what has to become of each part of it.

use lagan_model::Digest;
use serde_json::{Value, json};

pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The policy under which the content is decided.
pub(crate) const POLICY: &str = "--select channel=prerelease --keep last=1,by=version";

pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

/// What the policy decides, counted by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Goes,
}

pub(crate) struct Manifest {
    pub(crate) repository: String,
    pub(crate) digest: String,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) tags: Vec<String>,
    pub(crate) fate: Fate,
    /// Listed by what it refers to, where the registry has an API for that.
    pub(crate) subject: Option<String>,
    size: usize,
}

impl Manifest {
    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size})
    }
}

/// The content of all repositories: blobs, and manifests in an order in which they can be pushed.
pub(crate) struct Content {
    pub(crate) repositories: Vec<String>,
    pub(crate) blobs: Vec<(String, Blob)>,
    pub(crate) manifests: Vec<Manifest>,
    /// Tags that the policy takes off a manifest that another tag keeps, where single tags can be deleted.
    pub(crate) shared: (String, String),
}

impl Content {
    /// Releases and prereleases; a digest under two tags, an index, a cosign signature, a referrer; a repository in
    /// which nothing is to be done.
    pub(crate) fn new(namespace: &str) -> Self {
        use Fate::{Goes, Stays};
        let app = format!("{namespace}/app");
        let library = format!("{namespace}/tools/library");
        let mut content = Self {
            repositories: vec![app.clone(), library.clone()],
            blobs: Vec::new(),
            manifests: Vec::new(),
            shared: (app.clone(), "1.2.0-rc.3".to_owned()),
        };
        content.image(&app, "one", &["1.0.0"], Stays);
        content.image(&app, "two", &["1.1.0", "latest"], Stays);
        content.image(&app, "three", &["1.1.0-rc.1"], Goes);
        let signed = content.image(&app, "four", &["1.1.0-rc.2"], Goes);
        let signature = format!("{}.sig", signed.replace(':', "-"));
        content.image(&app, "its signature", &[&signature], Goes);
        let first = content.image(&app, "five for amd64", &[], Goes);
        let second = content.image(&app, "five for arm64", &[], Goes);
        content.index(&app, &[first, second], &["1.2.0-rc.1"], Goes);
        let subject = content.image(&app, "six", &["1.2.0-rc.2"], Goes);
        content.referrer(&app, "its bill of materials", &subject, Goes);
        content.image(&app, "seven", &["1.2.0-rc.3", "edge"], Stays);
        content.image(&app, "eight", &["1.2.0-rc.4"], Stays);
        content.image(&library, "nine", &["2.0.0"], Stays);
        content.image(&library, "ten", &["2.1.0"], Stays);
        content
    }

    pub(crate) fn with(&self, fate: Fate) -> impl Iterator<Item = &Manifest> {
        self.manifests
            .iter()
            .filter(move |manifest| manifest.fate == fate)
    }

    fn image(&mut self, repository: &str, salt: &str, tags: &[&str], fate: Fate) -> String {
        let document = self.document(repository, salt, CONFIG);
        self.manifest(repository, OCI_IMAGE, &document, tags, fate)
    }

    /// A manifest with a subject (image specification, "Image Manifest").
    fn referrer(&mut self, repository: &str, salt: &str, subject: &str, fate: Fate) -> String {
        let found = self.manifests.iter().find(|manifest| manifest.digest == subject);
        let of = found.unwrap().descriptor();
        let mut document = self.document(repository, salt, "application/vnd.oci.empty.v1+json");
        document["artifactType"] = json!("application/vnd.example.acceptance");
        document["subject"] = of;
        let digest = self.manifest(repository, OCI_IMAGE, &document, &[], fate);
        self.manifests.last_mut().unwrap().subject = Some(subject.to_owned());
        digest
    }

    fn index(&mut self, repository: &str, children: &[String], tags: &[&str], fate: Fate) {
        let of = |digest: &String| {
            let found = self.manifests.iter().find(|manifest| manifest.digest == *digest);
            found.unwrap().descriptor()
        };
        let children: Vec<_> = children.iter().map(of).collect();
        let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
        self.manifest(repository, INDEX, &document, tags, fate);
    }

    /// The index under which clients find referrers where the registry has no API for them (distribution
    /// specification, "Referrers Tag Schema"). It goes with its subject.
    pub(crate) fn fall_back(&mut self) {
        let with_subject = self
            .manifests
            .iter()
            .filter(|manifest| manifest.subject.is_some());
        let of = |manifest: &Manifest| {
            let mut descriptor = manifest.descriptor();
            descriptor["artifactType"] = json!("application/vnd.example.acceptance");
            let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]});
            let tag = manifest.subject.as_ref().unwrap().replace(':', "-");
            (manifest.repository.clone(), document, tag, manifest.fate)
        };
        let indexes: Vec<_> = with_subject.map(of).collect();
        for (repository, document, tag, fate) in indexes {
            self.manifest(&repository, INDEX, &document, &[&tag], fate);
        }
    }

    fn document(&mut self, repository: &str, salt: &str, config_type: &str) -> Value {
        let config = self.blob(
            repository,
            json!({"os": "linux", "salt": salt}).to_string().into_bytes(),
        );
        let layer = self.blob(repository, format!("the layer of {salt}").into_bytes());
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {"mediaType": config_type, "digest": config.0, "size": config.1},
            "layers": [{"mediaType": LAYER, "digest": layer.0, "size": layer.1}],
        })
    }

    fn blob(&mut self, repository: &str, bytes: Vec<u8>) -> (String, usize) {
        let (digest, size) = (Digest::of(&bytes).to_string(), bytes.len());
        let blob = Blob {
            digest: digest.clone(),
            bytes,
        };
        self.blobs.push((repository.to_owned(), blob));
        (digest, size)
    }

    fn manifest(
        &mut self,
        repository: &str,
        media_type: &'static str,
        document: &Value,
        tags: &[&str],
        fate: Fate,
    ) -> String {
        // Not as anybody would write it again: bytes have to survive, not only what they say.
        let bytes = format!("{document:#}\n").into_bytes();
        let digest = Digest::of(&bytes).to_string();
        self.manifests.push(Manifest {
            repository: repository.to_owned(),
            digest: digest.clone(),
            media_type,
            size: bytes.len(),
            bytes,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            fate,
            subject: None,
        });
        digest
    }
}
