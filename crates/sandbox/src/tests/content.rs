//! What is generated.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{json, start};
use crate::{Corpus, CorpusOptions, Digest, Kind, Media, Moment, ReferrersStyle, SandboxOptions, media};

fn corpus(repositories: usize, tags: usize) -> Corpus {
    Corpus::new(CorpusOptions {
        repositories,
        tags,
        ..CorpusOptions::default()
    })
}

#[test]
fn equal_options_are_equal_bytes_and_another_seed_is_another_registry() {
    let other = Corpus::new(CorpusOptions {
        seed: 2,
        ..corpus(10, 40).options().clone()
    });
    for (index, (one, two)) in corpus(10, 40)
        .repositories()
        .zip(corpus(10, 40).repositories())
        .enumerate()
    {
        assert_eq!(one.manifests(), two.manifests());
        assert!(one.tags().eq(two.tags()));
        let ours: HashSet<_> = one.manifests().iter().map(|manifest| manifest.digest).collect();
        assert!(
            other
                .repository(index)
                .manifests()
                .iter()
                .all(|theirs| !ours.contains(&theirs.digest))
        );
    }
}

/// Pins the bytes: a change here makes every recorded corpus another one.
#[test]
fn the_corpus_of_the_first_seed_is_the_one_it_always_was() {
    let mut all = String::new();
    for content in corpus(10, 50).repositories() {
        for (tag, digest) in content.tags() {
            all.push_str(&format!("{} {tag} {digest}\n", content.repository()));
        }
    }
    assert_eq!(Digest::of(all.as_bytes()).hex()[..16], *"812647a703f4a5fe");
}

#[test]
fn every_repository_has_exactly_the_tags_asked_for() {
    for tags in [0, 1, 2, 5, 17, 50, 133] {
        for content in corpus(10, tags).repositories() {
            assert_eq!(content.tag_count(), tags, "{}", content.repository());
        }
    }
}

#[test]
fn everything_that_is_named_is_there() {
    for content in corpus(10, 80).repositories() {
        let mut seen = HashSet::new();
        for manifest in content.manifests() {
            assert_eq!(manifest.digest, Digest::of(&manifest.bytes));
            let value: serde_json::Value = serde_json::from_slice(&manifest.bytes).expect("JSON");
            assert_eq!(value["mediaType"], *manifest.media_type);
            for child in manifest.children.iter().chain(&manifest.attached_to) {
                assert!(
                    seen.contains(child),
                    "{:?} comes before what it names",
                    manifest.kind
                );
            }
            for blob in manifest.config.iter().chain(&manifest.layers) {
                let bytes = content.blob(&blob.digest).expect("a blob");
                assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest, blob.size));
            }
            if let Some(created) = manifest.created.filter(|_| manifest.config.is_some()) {
                let config = content
                    .blob(&manifest.config.expect("a configuration").digest)
                    .expect("a blob");
                let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
                assert_eq!(config["created"], created.to_string());
                assert!(created < content_anchor());
            }
            seen.insert(manifest.digest);
        }
        assert!(content.tags().all(|(_, digest)| seen.contains(&digest)));
    }
}

fn content_anchor() -> Moment {
    CorpusOptions::default().anchor
}

#[test]
fn what_is_parsed_from_the_bytes_is_what_the_truth_says() {
    for content in corpus(10, 60).repositories() {
        for manifest in content.manifests() {
            let read =
                crate::Manifest::read(&manifest.media_type, manifest.bytes.clone()).expect("a manifest");
            assert_eq!(read.children, manifest.children);
            assert_eq!(read.layers, manifest.layers);
            assert_eq!((read.config, read.subject), (manifest.config, manifest.subject));
            assert_eq!(read.artifact_type, manifest.artifact_type);
        }
    }
}

#[test]
fn ten_repositories_show_everything_a_registry_has() {
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut tags = BTreeSet::new();
    let (mut shared_digests, mut shared_children, mut tagged_children, mut docker_lists) = (0, 0, 0, 0);
    for content in corpus(10, 100).repositories() {
        let by_digest = content.tags_by_digest();
        shared_digests += by_digest.values().filter(|tags| tags.len() > 1).count();
        let mut parents: BTreeMap<Digest, usize> = BTreeMap::new();
        for manifest in content.manifests() {
            *kinds.entry(manifest.kind).or_default() += 1;
            docker_lists += usize::from(manifest.media_type == media::DOCKER_LIST);
            if manifest.kind == Kind::Child {
                tagged_children += usize::from(by_digest.contains_key(&manifest.digest));
            }
            for child in &manifest.children {
                *parents.entry(*child).or_default() += 1;
            }
            if manifest.kind == Kind::Untagged {
                assert!(!by_digest.contains_key(&manifest.digest));
            }
        }
        shared_children += parents.values().filter(|parents| **parents > 1).count();
        tags.extend(content.tags().map(|(tag, _)| tag.to_owned()));
    }
    let shown: Vec<Kind> = kinds.keys().copied().collect();
    let mut expected: Vec<Kind> = vec![
        Kind::Release,
        Kind::Variant,
        Kind::Prerelease,
        Kind::Nightly,
        Kind::Commit,
        Kind::Branch,
        Kind::Odd,
        Kind::Child,
        Kind::Signature,
        Kind::Attestation,
        Kind::Sbom,
        Kind::Referrer,
        Kind::FallbackIndex,
        Kind::Chart,
        Kind::Untagged,
    ];
    expected.sort_unstable();
    assert_eq!(shown, expected);
    assert!(shared_digests > 20 && shared_children > 2 && tagged_children > 20 && docker_lists > 2);
    for word in ["latest", "latest-nightly", "prod", "staging", "stable", "main"] {
        assert!(tags.contains(word), "{word}");
    }
    for part in [
        "-alpine", "-a100", "-rc", "-nightly", "-amd64", "-prod", ".sig", ".att", ".sbom", "sha-",
    ] {
        assert!(tags.iter().any(|tag| tag.contains(part)), "{part}");
    }
}

#[test]
fn an_older_registry_has_nothing_of_oci() {
    let options = CorpusOptions {
        media: Media::Docker,
        ..corpus(10, 60).options().clone()
    };
    for content in Corpus::new(options).repositories() {
        assert_eq!(content.tag_count(), 60);
        for manifest in content.manifests() {
            assert!([media::DOCKER_MANIFEST, media::DOCKER_LIST].contains(&&*manifest.media_type));
        }
    }
}

#[test]
fn where_there_is_an_api_referrers_have_no_fallback_tags() {
    let options = CorpusOptions {
        referrers: ReferrersStyle::Api,
        ..corpus(10, 60).options().clone()
    };
    let mut referrers = 0;
    for content in Corpus::new(options).repositories() {
        assert_eq!(content.tag_count(), 60);
        referrers += content
            .manifests()
            .iter()
            .filter(|manifest| manifest.kind == Kind::Referrer)
            .count();
        assert!(
            content
                .manifests()
                .iter()
                .all(|manifest| manifest.kind != Kind::FallbackIndex)
        );
    }
    assert!(referrers > 5);
}

#[test]
fn names_are_distinct() {
    let names: HashSet<String> = corpus(5_000, 0).names().collect();
    assert_eq!(names.len(), 5_000);
}

#[tokio::test]
async fn a_table_made_again_is_the_same_table() {
    let mut options = SandboxOptions::default().corpus(6, 30);
    options.cached_tables = 2;
    let (sandbox, mut http) = start(options).await;
    let names: Vec<String> = sandbox.corpus().names().collect();
    let mut rounds = Vec::new();
    for _ in 0..2 {
        let mut seen = Vec::new();
        for name in &names {
            let list = http.get(&format!("/v2/{name}/tags/list")).await;
            for tag in super::strings(&json(&list)["tags"]) {
                seen.push(http.get(&format!("/v2/{name}/manifests/{tag}")).await.into_body());
            }
        }
        rounds.push(seen);
    }
    assert_eq!(rounds[0], rounds[1]);
    assert_eq!(rounds[0].len(), 180);
    assert_eq!(sandbox.tables_built(), 12);
}
