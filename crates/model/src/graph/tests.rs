use super::*;
use crate::artifact::{Artifact, Child};
use crate::manifest::Descriptor;
use crate::snapshot::RepositorySnapshot;

fn digest(number: u8) -> Digest {
    Digest::from_sha256([number; 32])
}

fn artifact(number: u8, children: &[u8], subject: Option<u8>) -> Artifact {
    let index = !children.is_empty();
    Artifact {
        digest: digest(number),
        media_type: if index {
            MediaType::OCI_INDEX
        } else {
            MediaType::OCI_MANIFEST
        },
        artifact_type: None,
        size: Some(u64::from(number)),
        children: children
            .iter()
            .map(|child| Child {
                digest: digest(*child),
                media_type: Some(MediaType::OCI_MANIFEST),
                size: Some(7),
            })
            .collect(),
        subject: subject.map(digest),
        image_config: None,
        blobs: Vec::new(),
        config_type: None,
        annotations: None,
        created_annotation: None,
    }
}

/// A snapshot with these tags, each on an artifact.
fn snapshot(tags: &[(String, Artifact)]) -> RepositorySnapshot {
    let names = tags.iter().map(|(tag, _)| tag.parse().unwrap());
    let mut snapshot = RepositorySnapshot::listed("app".parse().unwrap(), names);
    for (tag, artifact) in tags {
        let position = snapshot.position(&tag.parse().unwrap()).unwrap();
        snapshot.resolve(position, artifact.clone());
    }
    snapshot
}

fn named(subject: u8, form: &str) -> String {
    format!("{}{form}", digest(subject).referrers_tag())
}

/// The edges of a graph from each digest, as numbers.
fn edges(graph: &ArtifactGraph, of: impl Fn(&ArtifactGraph, NodeId) -> Vec<NodeId>) -> Edges {
    let number = |node: NodeId| {
        (1..=u8::MAX)
            .find(|number| digest(*number) == *graph.digest(node))
            .unwrap()
    };
    let mut edges: Edges = graph
        .nodes()
        .flat_map(|node| of(graph, node).into_iter().map(move |to| (node, to)))
        .map(|(from, to)| (number(from), number(to)))
        .collect();
    edges.sort_unstable();
    edges
}

type Edges = Vec<(u8, u8)>;

/// From indexes to children, and from attachments to subjects.
fn both_ways(graph: &ArtifactGraph) -> (Edges, Edges) {
    let turned = |edges: Edges| {
        let mut edges: Vec<_> = edges.into_iter().map(|(a, b)| (b, a)).collect();
        edges.sort_unstable();
        edges
    };
    let children = edges(graph, |graph, node| graph.children(node).to_vec());
    assert_eq!(
        children,
        turned(edges(graph, |graph, node| graph.parents(node).to_vec()))
    );
    let subjects = edges(graph, |graph, node| graph.subjects(node).to_vec());
    assert_eq!(
        subjects,
        turned(edges(graph, |graph, node| graph.attachments(node).to_vec()))
    );
    (children, subjects)
}

#[test]
fn cosign_and_fallback_tags_name_their_subject_and_other_tags_do_not() {
    for (form, expected) in [
        ("", AttachmentForm::ReferrersIndex),
        (".sig", AttachmentForm::Signature),
        (".att", AttachmentForm::Attestation),
        (".sbom", AttachmentForm::Sbom),
    ] {
        let tag = named(7, form).parse().unwrap();
        assert_eq!(AttachmentForm::of(&tag), Some((expected, digest(7))));
    }
    let whole = named(0xab, "");
    for other in [
        "latest".to_owned(),
        "sha256-abc".to_owned(),
        format!("{whole}.other"),
        format!("{whole}.sig.att"),
        format!("{whole}0"),
        whole.to_uppercase().replace("SHA", "sha"),
        whole.replace("sha256-", "sha512-"),
    ] {
        assert_eq!(AttachmentForm::of(&other.parse().unwrap()), None, "{other}");
    }
}

#[test]
fn tags_on_one_digest_share_a_node() {
    let one = artifact(1, &[], None);
    let snapshot = snapshot(&[
        ("b".into(), one.clone()),
        ("a".into(), one),
        ("c".into(), artifact(2, &[], None)),
    ]);
    let graph = ArtifactGraph::of(snapshot.complete().unwrap());
    assert_eq!(graph.len(), 2);
    assert_eq!(graph.node_of_tag(0), graph.node_of_tag(1));
    let node = graph.node_of_tag(0).unwrap();
    assert_eq!(graph.tags(node).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(graph.node_of_tag(3), None);
}

#[test]
fn a_child_has_every_index_that_lists_it_as_a_parent() {
    let snapshot = snapshot(&[
        ("a".into(), artifact(3, &[1, 2, 1], None)),
        ("b".into(), artifact(4, &[1, 3], None)),
    ]);
    let graph = ArtifactGraph::of(snapshot.complete().unwrap());
    assert_eq!(both_ways(&graph), (vec![(3, 1), (3, 2), (4, 1), (4, 3)], vec![]));
    let described = |number: u8| {
        let node = graph
            .nodes()
            .find(|node| *graph.digest(*node) == digest(number))
            .unwrap();
        let described = graph.described(node).clone();
        (described.media_type.unwrap(), described.size.unwrap())
    };
    assert_eq!(described(1), (MediaType::OCI_MANIFEST, 7), "as its index says");
    assert_eq!(described(3), (MediaType::OCI_INDEX, 3), "as it says itself");
}

#[test]
fn attachments_are_found_by_field_by_tag_and_by_the_api() {
    let mut snapshot = snapshot(&[
        ("a".into(), artifact(1, &[], None)),
        ("by-field".into(), artifact(2, &[], Some(1))),
        (named(1, ".sig"), artifact(3, &[], None)),
        // Its field and its tag disagree: both hold.
        (named(2, ".att"), artifact(4, &[], Some(3))),
    ]);
    let by_api = Descriptor {
        media_type: MediaType::OCI_MANIFEST,
        digest: digest(5),
        size: 9,
        artifact_type: None,
        platform: None,
    };
    snapshot.insert_referrers(digest(1), vec![by_api]);
    let graph = ArtifactGraph::of(snapshot.complete().unwrap());
    assert_eq!(
        both_ways(&graph),
        (vec![], vec![(2, 1), (3, 1), (4, 2), (4, 3), (5, 1)])
    );
}

#[test]
fn what_a_fallback_index_lists_is_attached_to_its_subject() {
    let snapshot = snapshot(&[
        ("a".into(), artifact(1, &[], None)),
        (named(1, ""), artifact(4, &[2, 3], None)),
        // A signature in the form of an index lists no referrers.
        (named(1, ".sig"), artifact(6, &[5], None)),
    ]);
    let graph = ArtifactGraph::of(snapshot.complete().unwrap());
    assert_eq!(
        both_ways(&graph),
        (vec![(4, 2), (4, 3), (6, 5)], vec![(2, 1), (3, 1), (4, 1), (6, 1)])
    );
}

#[test]
fn nothing_is_attached_to_itself() {
    let snapshot = snapshot(&[
        (named(1, ".sig"), artifact(1, &[], None)),
        (named(2, ""), artifact(3, &[2], None)),
    ]);
    let graph = ArtifactGraph::of(snapshot.complete().unwrap());
    assert_eq!(both_ways(&graph).1, [(3, 2)]);
}

#[test]
fn a_snapshot_without_digests_has_an_empty_graph() {
    let names = ["a", "b"].map(|tag| tag.parse().unwrap());
    let snapshot = RepositorySnapshot::listed("app".parse().unwrap(), names);
    let graph = ArtifactGraph::of(snapshot.complete().unwrap());
    assert!(graph.is_empty() && graph.nodes().next().is_none());
    assert_eq!(graph.node_of_tag(0), None);
}
