//! A snapshot as plain data: in order, so that the same facts give the same bytes, and checked when it is read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::{ListedTag, RepositorySnapshot};
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::name::RepositoryName;
use crate::tag::Tag;

/// Facts that contradict each other: nobody has seen such a repository.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// A tag is on something of which nothing is known.
    #[error("tag {tag} of {repository} is on {digest}, of which nothing is known")]
    Unknown {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it is on.
        digest: Digest,
    },
    /// A manifest that was read is said not to be there.
    #[error("{digest} of {repository} is known, and said not to be there")]
    Absent {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
}

impl RepositorySnapshot {
    /// Whether its facts agree with each other, as those of a snapshot that was collected do.
    ///
    /// A snapshot that was read from a file has to be checked before anything is decided by it: a tag on something
    /// of which nothing is known would be taken for one without subject and children.
    ///
    /// # Errors
    ///
    /// The first contradiction.
    pub fn check(&self) -> Result<(), SnapshotError> {
        for listed in &self.tags {
            if let Some(digest) = &listed.digest
                && !self.artifacts.contains_key(digest)
            {
                return Err(SnapshotError::Unknown {
                    repository: self.repository.clone(),
                    tag: listed.tag.clone(),
                    digest: digest.clone(),
                });
            }
        }
        match self
            .absent
            .iter()
            .find(|digest| self.artifacts.contains_key(*digest))
        {
            Some(digest) => Err(SnapshotError::Absent {
                repository: self.repository.clone(),
                digest: digest.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// As a listing is, whoever wrote it: each tag once, sorted by its bytes.
pub(super) fn sorted_tags<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ListedTag>, D::Error> {
    let mut tags = Vec::<ListedTag>::deserialize(from)?;
    let sorted = |pair: &[ListedTag]| pair[0].tag < pair[1].tag;
    if !tags.windows(2).all(sorted) {
        tags.sort_by(|a, b| a.tag.cmp(&b.tag));
        let twice = tags.windows(2).find(|pair| !sorted(pair));
        if let Some(pair) = twice {
            return Err(D::Error::custom(format_args!(
                "tag {} stands there twice",
                pair[0].tag
            )));
        }
    }
    Ok(tags)
}

pub(super) fn artifacts<S: Serializer>(map: &IndexMap<Digest, Artifact>, to: S) -> Result<S::Ok, S::Error> {
    let mut list: Vec<&Artifact> = map.values().collect();
    list.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
    to.collect_seq(list)
}

pub(super) fn artifacts_by_digest<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<IndexMap<Digest, Artifact>, D::Error> {
    let list = Vec::<Artifact>::deserialize(from)?;
    Ok(list
        .into_iter()
        .map(|artifact| (artifact.digest.clone(), artifact))
        .collect())
}

pub(super) fn digests<S: Serializer>(set: &HashSet<Digest>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(set.iter().collect::<BTreeSet<_>>())
}

pub(super) fn by_digest<V: Serialize, S: Serializer>(
    map: &HashMap<Digest, V>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(map.iter().collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Fact, Unknown};
    use crate::manifest::Descriptor;
    use crate::media_type::MediaType;

    fn listed(names: &[&str]) -> RepositorySnapshot {
        let tags = names.iter().map(|name| name.parse().unwrap());
        RepositorySnapshot::listed("team/app".parse().unwrap(), tags)
    }

    fn artifact(content: &[u8]) -> Artifact {
        Artifact {
            digest: Digest::of(content),
            media_type: MediaType::OCI_MANIFEST,
            artifact_type: None,
            size: Some(1),
            children: Vec::new(),
            subject: None,
            image_config: None,
            blobs: Vec::new(),
            config_type: None,
            annotations: None,
            created_annotation: None,
        }
    }

    /// A snapshot with every kind of fact in it.
    fn full() -> RepositorySnapshot {
        let mut snapshot = listed(&["b", "a", "c"]);
        let image = Artifact {
            config_type: None,
            annotations: None,
            created_annotation: Some(Fact::Known("2026-01-02T03:04:05Z".parse().unwrap())),
            ..artifact(b"1")
        };
        let signature = Artifact {
            subject: Some(Digest::of(b"1")),
            artifact_type: Some("application/vnd.dev.cosign".to_owned()),
            ..artifact(b"2")
        };
        snapshot.resolve(0, image);
        snapshot.resolve(1, signature);
        snapshot.resolve(2, artifact(b"3"));
        for content in [b"4", b"5"] {
            snapshot.insert_absent(Digest::of(content));
            snapshot.insert_config_created(Digest::of(content), Fact::Unknown(Unknown::Zero));
            let referrer = Descriptor {
                media_type: MediaType::OCI_MANIFEST,
                digest: Digest::of(b"2"),
                size: 7,
                artifact_type: None,
                platform: None,
            };
            snapshot.insert_referrers(Digest::of(content), vec![referrer]);
        }
        snapshot
    }

    #[test]
    fn a_snapshot_reads_back_as_it_was_and_is_written_the_same_again() {
        let snapshot = full();
        let json = serde_json::to_string(&snapshot).unwrap();
        let read: RepositorySnapshot = serde_json::from_str(&json).unwrap();
        assert_eq!(read, snapshot);
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(read.check().is_ok());
    }

    #[test]
    fn tags_in_another_order_are_sorted_and_a_tag_that_stands_there_twice_is_refused() {
        let json = |tags: &str| format!(r#"{{"repository":"a","tags":[{tags}],"artifacts":[]}}"#);
        let (a, b) = (r#"{"tag":"a","digest":null}"#, r#"{"tag":"b","digest":null}"#);
        let read: RepositorySnapshot = serde_json::from_str(&json(&format!("{b},{a}"))).unwrap();
        assert_eq!(read.position(&"b".parse().unwrap()), Some(1));
        let twice = serde_json::from_str::<RepositorySnapshot>(&json(&format!("{b},{a},{b}")));
        assert!(
            twice
                .unwrap_err()
                .to_string()
                .contains("tag b stands there twice")
        );
    }

    #[test]
    fn facts_that_contradict_each_other_are_found() {
        let mut snapshot = full();
        snapshot.insert_absent(Digest::of(b"1"));
        assert!(matches!(snapshot.check(), Err(SnapshotError::Absent { .. })));
        let mut snapshot = full();
        snapshot.artifacts.swap_remove(&Digest::of(b"3"));
        assert!(matches!(snapshot.check(), Err(SnapshotError::Unknown { tag, .. }) if tag.as_str() == "c"));
    }
}
