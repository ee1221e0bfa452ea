//! What Harbor's API answers, as far as it is read. Fields that are not named here come and go with versions, and are
//! passed over.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `null`, which is how Harbor writes most empty lists, or nothing at all, is an empty value.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// `GET /systeminfo`. The version is told only to who is signed in.
#[derive(Debug, Deserialize)]
pub(super) struct SystemInfo {
    pub(super) auth_mode: Option<String>,
    pub(super) harbor_version: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) project_id: i64,
    pub(super) name: String,
    /// The registry that it caches; 0 or nothing where it caches none.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) registry_id: i64,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    /// The number of its retention policy, as a text.
    pub(super) retention_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub(super) id: i64,
    /// With its project.
    pub(super) name: String,
    /// Without children and accessories.
    #[serde(default)]
    pub(super) artifact_count: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    pub(super) id: i64,
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    pub(super) kind: String,
    /// That of the configuration.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) media_type: String,
    pub(super) manifest_media_type: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) artifact_type: String,
    pub(super) digest: String,
    /// With its project. Missing in old versions.
    pub(super) repository_name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) push_time: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) pull_time: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) extra_attrs: ExtraAttributes,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) references: Vec<Reference>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) tags: Vec<Tag>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) labels: Vec<Label>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) accessories: Vec<Accessory>,
}

/// Of an image what its configuration says; of others anything.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ExtraAttributes {
    #[serde(default)]
    pub(super) created: Value,
    #[serde(default)]
    pub(super) config: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub(super) child_digest: String,
    pub(super) platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Platform {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) architecture: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) name: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) push_time: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) pull_time: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) immutable: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub(super) id: i64,
    pub(super) name: String,
    /// `g` for all projects, `p` for one.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) scope: String,
}

/// A tag in a listing of an artifact's tags.
#[derive(Debug, Deserialize)]
pub(super) struct TagRow {
    pub(super) id: i64,
    pub(super) name: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) immutable: bool,
}

/// An accessory in a listing of an artifact's accessories.
#[derive(Debug, Deserialize)]
pub(super) struct AccessoryRow {
    pub(super) id: i64,
    pub(super) digest: String,
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    pub(super) kind: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Accessory {
    pub(super) digest: String,
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    pub(super) kind: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ImmutableRule {
    pub(super) id: i64,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) disabled: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) tag_selectors: Vec<Selector>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) scope_selectors: BTreeMap<String, Vec<Selector>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Selector {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) decoration: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) pattern: String,
}

#[cfg(test)]
mod tests {
    use lagan_model::json;

    use super::*;

    #[test]
    fn an_artifact_reads_whatever_is_null_missing_or_new() {
        let least = br#"{"id":7,"digest":"sha256:a","manifest_media_type":"b/c"}"#;
        let artifact: Artifact = json::read(least).unwrap();
        assert!(artifact.tags.is_empty() && artifact.references.is_empty() && artifact.push_time.is_empty());
        let most = br#"{"id":7,"digest":"sha256:a","manifest_media_type":"b/c","type":null,"tags":null,"labels":null,
            "accessories":null,"references":null,"annotations":null,"extra_attrs":null,"artifact_type":null,
            "next_year":{"anything":[1,2]}}"#;
        let artifact: Artifact = json::read(most).unwrap();
        assert!(artifact.labels.is_empty() && artifact.accessories.is_empty() && artifact.kind.is_empty());
    }

    #[test]
    fn what_identifies_must_be_there() {
        for broken in [
            r#"{"digest":"sha256:a","manifest_media_type":"b/c"}"#,
            r#"{"id":"7","digest":"sha256:a","manifest_media_type":"b/c"}"#,
            r#"{"id":7,"manifest_media_type":"b/c"}"#,
            r#"{"id":7,"digest":"sha256:a"}"#,
            r#"{"id":7,"digest":"sha256:a","manifest_media_type":"b/c","tags":[{"id":1}]}"#,
            r#"{"id":7,"digest":"sha256:a","manifest_media_type":"b/c","accessories":[{"type":"x"}]}"#,
        ] {
            assert!(json::read::<Artifact>(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_project_caches_another_registry_where_it_says_which() {
        let cache = |text: &str| json::read::<Project>(text.as_bytes()).unwrap().registry_id;
        assert_eq!(cache(r#"{"project_id":1,"name":"team"}"#), 0);
        assert_eq!(cache(r#"{"project_id":1,"name":"team","registry_id":null}"#), 0);
        assert_eq!(cache(r#"{"project_id":1,"name":"hub","registry_id":3}"#), 3);
    }
}
