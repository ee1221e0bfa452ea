//! From what Harbor records to what decisions are made on.

use std::collections::HashSet;

use lagan_model::artifact::CREATED_ANNOTATION;
use lagan_model::{
    Accessory, Artifact, ArtifactRecord, Child, Digest, Fact, ImageRecord, LabelScope, Labels, MediaType,
    Recorded, RegistryLabel, RepositoryName, RepositorySnapshot, Tag, Time, Times, Unknown,
};
use serde_json::Value;

use super::rules::OfRepository;
use super::walk::Wrong;
use super::wire;
use crate::problem;

/// The kind that Harbor gives to images, and to indexes of images.
const IMAGE: &str = "IMAGE";

/// An artifact of a listing.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) record: ArtifactRecord,
    pub(super) tags: Vec<ListedTag>,
    /// Children that may themselves be indexes: the index does not say what platform they are for. Harbor does not say
    /// what a child is.
    pub(super) unsure: Vec<Digest>,
}

#[derive(Debug)]
pub(super) struct ListedTag {
    tag: Tag,
    times: Times,
    /// Whether Harbor says that it is immutable.
    marked: bool,
}

impl Listed {
    pub(super) fn read(artifact: wire::Artifact) -> Result<Self, Wrong> {
        let digest: Digest = parsed(&artifact.digest, "digest")?;
        let media_type: MediaType = parsed(&artifact.manifest_media_type, "media type")?;
        let is_index = media_type.is_index();
        let mut unsure = Vec::new();
        let mut children = Vec::with_capacity(artifact.references.len());
        for reference in &artifact.references {
            let digest: Digest = parsed(&reference.child_digest, "digest")?;
            let platform = reference.platform.as_ref();
            if platform.is_none_or(|platform| platform.architecture.is_empty()) {
                unsure.push(digest.clone());
            }
            children.push(Child {
                digest,
                media_type: None,
                size: None,
            });
        }
        let accessory = |accessory: wire::Accessory| {
            Ok(Accessory {
                digest: parsed(&accessory.digest, "digest")?,
                kind: accessory.kind,
            })
        };
        let accessories: Vec<_> = artifact
            .accessories
            .into_iter()
            .map(accessory)
            .collect::<Result<_, Wrong>>()?;
        let tag = |tag: wire::Tag| {
            Ok(ListedTag {
                tag: parsed(&tag.name, "tag")?,
                times: times(&tag.push_time, &tag.pull_time),
                marked: tag.immutable,
            })
        };
        let tags: Vec<_> = artifact.tags.into_iter().map(tag).collect::<Result<_, Wrong>>()?;
        let kept_labels = artifact.labels.iter().map(|label| RegistryLabel {
            name: label.name.clone(),
            scope: match label.scope.as_str() {
                "g" => LabelScope::Global,
                _ => LabelScope::Project,
            },
        });
        let kept_labels = kept_labels.collect();
        let image = (artifact.kind == IMAGE && !is_index).then(|| image(&artifact.extra_attrs));
        let created_annotation = artifact.annotations.get(CREATED_ANNOTATION);
        let record = ArtifactRecord {
            artifact: Artifact {
                digest,
                media_type,
                artifact_type: Some(artifact.artifact_type).filter(|kind| !kind.is_empty()),
                size: None,
                children,
                // Accessories say what they are attached to from the other side.
                subject: None,
                image_config: None,
                blobs: Vec::new(),
                config_type: artifact.media_type.parse().ok().filter(|_| !is_index),
                created_annotation: created_annotation.map(|text| Fact::from_rfc3339(text)),
                annotations: Some(artifact.annotations),
            },
            times: times(&artifact.push_time, &artifact.pull_time),
            labels: artifact
                .labels
                .into_iter()
                .map(|label| (label.name, String::new()))
                .collect(),
            kept_labels,
            image,
            accessories,
        };
        Ok(Self { record, tags, unsure })
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.record.artifact.digest
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str, what: &str) -> Result<T, Wrong> {
    text.parse()
        .map_err(|error| format!("{} is no {what}: {error}", problem::quoted(text)))
}

/// Harbor's time of what never happened is of the year 1, and so unknown by itself.
fn times(pushed: &str, pulled: &str) -> Times {
    Times {
        pushed: Fact::from_rfc3339(pushed),
        pulled: Fact::from_rfc3339(pulled),
        ..Times::default()
    }
}

/// What Harbor keeps of an image's configuration.
fn image(attributes: &wire::ExtraAttributes) -> ImageRecord {
    let missing = Fact::Unknown(Unknown::Missing);
    let created: Fact<Time> = match &attributes.created {
        Value::String(text) => Fact::from_rfc3339(text),
        Value::Null => missing,
        _ => Fact::Unknown(Unknown::Unreadable),
    };
    let labels = match &attributes.config {
        Value::Object(config) => match config.get("Labels") {
            None | Some(Value::Null) => Fact::Known(Labels::new()),
            Some(labels) => {
                serde_json::from_value(labels.clone()).map_or(Fact::Unknown(Unknown::Unreadable), Fact::Known)
            }
        },
        _ => Fact::Unknown(Unknown::Missing),
    };
    ImageRecord { created, labels }
}

/// A repository of which everything that Harbor lists was read.
///
/// Fails where a tag is on two artifacts: it was moved while the listing was read.
pub(super) fn snapshot(
    repository: &RepositoryName,
    listed: Vec<Listed>,
    rules: &mut OfRepository<'_>,
) -> Result<RepositorySnapshot, Moved> {
    let mut seen: HashSet<&Tag> = HashSet::new();
    for tag in listed.iter().flat_map(|listed| &listed.tags) {
        if !seen.insert(&tag.tag) {
            return Err(Moved(tag.tag.clone()));
        }
    }
    let tags = listed
        .iter()
        .flat_map(|listed| &listed.tags)
        .map(|tag| tag.tag.clone());
    let mut snapshot = RepositorySnapshot::listed(repository.clone(), tags);
    snapshot.set_recorded(Recorded {
        pushed: true,
        pulled: true,
        observed: false,
    });
    let mut untagged = Vec::new();
    for Listed { record, tags, .. } in listed {
        if tags.is_empty() {
            untagged.push(record.artifact.digest.clone());
        }
        for ListedTag { tag, times, marked } in tags {
            if let Some(why) = rules.why_immutable(tag.as_str(), marked) {
                snapshot.insert_immutable(tag.clone(), why);
            }
            if let Some(position) = snapshot.position(&tag) {
                snapshot.resolve(position, record.artifact.clone());
            }
            snapshot.insert_tag_times(tag, times);
        }
        snapshot.insert_record(record);
    }
    // Harbor lists what has no tag, and also what it fails to look up the tags of.
    snapshot.suspect_untagged(untagged);
    Ok(snapshot)
}

/// A tag that was moved from one artifact to another while the listing was read.
#[derive(Debug)]
pub(super) struct Moved(pub(super) Tag);

#[cfg(test)]
mod tests {
    use lagan_model::{Immutable, json};

    use super::super::rules::Rules;
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

    fn listed(text: &str) -> Result<Listed, Wrong> {
        Listed::read(json::read(text.as_bytes()).unwrap())
    }

    fn at(text: &str) -> Fact<Time> {
        Fact::Known(text.parse().unwrap())
    }

    fn image_of(extra: &str) -> Option<ImageRecord> {
        let text = format!(
            r#"{{"id":1,"type":"IMAGE","digest":"{A}","manifest_media_type":"application/vnd.oci.image.manifest.v1+json",
            "media_type":"application/vnd.oci.image.config.v1+json","extra_attrs":{extra}}}"#
        );
        listed(&text).unwrap().record.image
    }

    #[test]
    fn an_image_has_times_labels_and_what_its_configuration_says() {
        let text = format!(
            r#"{{"id":1,"type":"IMAGE","digest":"{A}","manifest_media_type":"application/vnd.oci.image.manifest.v1+json",
            "media_type":"application/vnd.oci.image.config.v1+json","size":12345678,
            "push_time":"2026-01-02T03:04:05.678Z","pull_time":"0001-01-01T00:00:00.000Z",
            "labels":[{{"id":3,"name":"keep"}}],"annotations":{{"a":"b"}},
            "extra_attrs":{{"created":"2025-12-31T00:00:00Z","architecture":"amd64","config":{{"Labels":{{"tier":"prod"}}}}}},
            "tags":[{{"name":"1.0","push_time":"2026-01-02T03:04:06Z","pull_time":"2026-02-01T00:00:00Z","immutable":true}}],
            "accessories":[{{"digest":"{B}","type":"signature.cosign"}}]}}"#
        );
        let Listed { record, tags, unsure } = listed(&text).unwrap();
        assert_eq!(record.times.pushed, at("2026-01-02T03:04:05.678Z"));
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        assert_eq!(
            record.times.pulled.plausible(now),
            Fact::Unknown(Unknown::Zero),
            "never pulled"
        );
        assert_eq!(record.artifact.size, None, "Harbor's size is that of all blobs");
        assert_eq!(record.labels, Labels::from([("keep".to_owned(), String::new())]));
        assert_eq!(record.artifact.annotations.unwrap()["a"], "b");
        let image = record.image.unwrap();
        assert_eq!(image.created, at("2025-12-31T00:00:00Z"));
        assert_eq!(
            image.labels,
            Fact::Known(Labels::from([("tier".to_owned(), "prod".to_owned())]))
        );
        assert_eq!(record.accessories[0].kind, "signature.cosign");
        assert_eq!(tags[0].times.pulled, at("2026-02-01T00:00:00Z"));
        assert!(tags[0].marked && unsure.is_empty());
    }

    #[test]
    fn what_a_configuration_does_not_say_is_unknown_and_not_empty() {
        let missing = || Fact::Unknown(Unknown::Missing);
        for (extra, created, labels) in [
            ("null", missing(), Fact::Unknown(Unknown::Missing)),
            (
                r#"{"created":null,"config":{}}"#,
                missing(),
                Fact::Known(Labels::new()),
            ),
            (
                r#"{"created":"","config":{"Labels":null}}"#,
                missing(),
                Fact::Known(Labels::new()),
            ),
            (
                r#"{"created":7,"config":{"Labels":[1]}}"#,
                Fact::Unknown(Unknown::Unreadable),
                Fact::Unknown(Unknown::Unreadable),
            ),
            (r#"{"config":"text"}"#, missing(), Fact::Unknown(Unknown::Missing)),
        ] {
            let image = image_of(extra).unwrap();
            assert_eq!((image.created, image.labels), (created, labels), "{extra}");
        }
    }

    #[test]
    fn an_index_has_children_and_those_without_a_platform_may_be_indexes() {
        let text = format!(
            r#"{{"id":1,"type":"IMAGE","digest":"{A}","manifest_media_type":"application/vnd.oci.image.index.v1+json",
            "references":[{{"parent_id":1,"child_id":2,"child_digest":"{B}","platform":{{"architecture":"arm64","os":"linux"}}}},
                          {{"parent_id":1,"child_id":3,"child_digest":"{C}","platform":null}}]}}"#
        );
        let Listed { record, unsure, .. } = listed(&text).unwrap();
        assert!(record.artifact.is_index() && record.image.is_none());
        let children: Vec<_> = record
            .artifact
            .children
            .iter()
            .map(|child| child.digest.to_string())
            .collect();
        assert_eq!(children, [B, C]);
        assert_eq!(unsure, [C.parse().unwrap()]);
    }

    #[test]
    fn charts_and_other_artifacts_are_told_by_type_and_have_no_configuration_of_an_image() {
        let text = format!(
            r#"{{"id":1,"type":"CHART","digest":"{A}","manifest_media_type":"application/vnd.oci.image.manifest.v1+json",
            "media_type":"application/vnd.cncf.helm.config.v1+json","artifact_type":"application/vnd.cncf.helm.config.v1+json",
            "extra_attrs":{{"created":"2020-01-01T00:00:00Z","version":"1.0"}}}}"#
        );
        let record = listed(&text).unwrap().record;
        assert_eq!(
            record.artifact.kind(),
            Some("application/vnd.cncf.helm.config.v1+json")
        );
        assert!(record.image.is_none());
    }

    #[test]
    fn what_is_no_name_makes_the_listing_one_that_cannot_be_read() {
        let of = |digest: &str, rest: &str| {
            format!(r#"{{"id":1,"digest":"{digest}","manifest_media_type":"a/b"{rest}}}"#)
        };
        for text in [
            of("latest", ""),
            of(A, r#","tags":[{"name":"not a tag"}]"#),
            of(A, r#","references":[{"child_digest":"x"}]"#),
            of(A, r#","accessories":[{"digest":"","type":"signature.cosign"}]"#),
            of(A, "").replace("a/b", ""),
        ] {
            assert!(listed(&text).is_err(), "{text}");
        }
    }

    fn tagged(digest: &str, tags: &[&str]) -> Listed {
        let tags: Vec<_> = tags.iter().map(|tag| format!(r#"{{"name":"{tag}"}}"#)).collect();
        let tags = tags.join(",");
        listed(&format!(
            r#"{{"id":1,"digest":"{digest}","manifest_media_type":"application/vnd.oci.image.manifest.v1+json","tags":[{tags}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_snapshot_has_every_tag_on_its_digest_and_suspects_what_has_none() {
        let rules = Rules::default();
        let name = "team/app".parse().unwrap();
        let listed = vec![tagged(A, &["1.0", "latest"]), tagged(B, &[])];
        let snapshot = snapshot(&name, listed, &mut rules.of_repository("app")).unwrap();
        snapshot.check().unwrap();
        let known = snapshot.complete().unwrap();
        assert!(known.is_resolved() && known.recorded().pushed && known.recorded().pulled);
        assert_eq!(known.tags().len(), 2);
        assert!(!known.is_untagged_confirmed());
        assert_eq!(
            known
                .untagged()
                .unwrap()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            [B]
        );
        assert_eq!(
            known.referrers(&A.parse().unwrap()).map(<[_]>::len),
            Some(0),
            "nothing to ask"
        );
    }

    #[test]
    fn immutable_is_what_is_marked_covered_by_a_rule_or_may_be() {
        let rule = |pattern: &str| {
            let text = format!(
                r#"[{{"id":1,"scope_selectors":{{"repository":[{{"kind":"doublestar","decoration":"repoMatches","pattern":"**"}}]}},
                "tag_selectors":[{{"kind":"doublestar","decoration":"matches","pattern":"{pattern}"}}]}}]"#
            );
            Rules::new(json::read(text.as_bytes()).unwrap())
        };
        let name = "team/app".parse().unwrap();
        for (pattern, marked, expected) in [
            ("v*", false, None),
            ("v*", true, Some(Immutable::Marked)),
            ("1.*", false, Some(Immutable::Rule)),
            ("1.*", true, Some(Immutable::Marked)),
            ("[!v]*", false, Some(Immutable::Unknown)),
        ] {
            let mut listed = tagged(A, &["1.0"]);
            listed.tags[0].marked = marked;
            let rules = rule(pattern);
            let snapshot = snapshot(&name, vec![listed], &mut rules.of_repository("app")).unwrap();
            let known = snapshot.complete().unwrap();
            assert_eq!(
                known.immutable(&"1.0".parse().unwrap()),
                expected,
                "{pattern} {marked}"
            );
        }
    }

    #[test]
    fn a_tag_on_two_artifacts_was_moved_while_the_listing_was_read() {
        let rules = Rules::default();
        let name = "team/app".parse().unwrap();
        let listed = vec![tagged(A, &["latest"]), tagged(B, &["1.0", "latest"])];
        let Moved(tag) = snapshot(&name, listed, &mut rules.of_repository("app")).unwrap_err();
        assert_eq!(tag.as_str(), "latest");
    }
}
