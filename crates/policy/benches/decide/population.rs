//! A repository of any size, equal in every run: releases and release candidates in two variants, pull requests,
//! commits, floating tags, indexes with untagged children, tags on one digest, signatures.

use chrono::TimeDelta;
use lagan_model::{Artifact, Blob, Child, Digest, Fact, MediaType, RepositorySnapshot, Tag, Time};

pub(crate) fn now() -> Time {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Of 20 tags: 2 releases, 8 candidates and 2 of them again under another name, 4 pull requests, 2 commits, 1
/// floating tag, 1 signature. Every fourth candidate is an index with two children.
pub(crate) fn repository(tags: usize) -> RepositorySnapshot {
    let made: Vec<(Tag, usize)> = (0..tags).map(|number| (name(number), on(number))).collect();
    let names = made.iter().map(|(tag, _)| tag.clone());
    let mut snapshot = RepositorySnapshot::listed("team/app".parse().unwrap(), names);
    assert_eq!(snapshot.tags().len(), tags, "a name twice");
    for (tag, on) in made {
        let artifact = artifact(on);
        if let Some(config) = &artifact.image_config {
            snapshot.insert_config_created(config.digest.clone(), Fact::Known(created(on)));
        }
        let children: Vec<Digest> = artifact
            .children
            .iter()
            .map(|child| child.digest.clone())
            .collect();
        let position = snapshot.position(&tag).unwrap();
        snapshot.resolve(position, artifact);
        for child in children {
            snapshot.insert_artifact(image(child.clone(), child.clone()));
            snapshot.insert_config_created(child, Fact::Known(created(on)));
        }
    }
    snapshot
}

fn name(number: usize) -> Tag {
    let (family, member) = (number / 20, number % 20);
    let (major, minor, patch) = (family / 400, family / 20 % 20, family % 20);
    let text = match member {
        0 => format!("{major}.{minor}.{patch}"),
        1 => format!("{major}.{minor}.{patch}-alpine"),
        2..=9 => format!("v{major}.{minor}.{patch}-rc.{}", member - 1),
        10 | 11 => format!("{major}.{minor}.{patch}-rc{}-build", member - 9),
        12..=15 => format!("pr-{family}-{}", member - 11),
        16 | 17 => format!("{:07x}a", number * 2_654_435_761 % 0xfff_ffff),
        18 => format!("branch-{family}"),
        _ => format!("sha256-{}.sig", digest(number - 19).encoded()),
    };
    text.parse().unwrap()
}

/// The number of the artifact that a tag is on: two names of a family are second ones.
fn on(number: usize) -> usize {
    match number % 20 {
        10 | 11 => number - 8,
        _ => number,
    }
}

fn digest(number: usize) -> Digest {
    Digest::of(&number.to_le_bytes())
}

/// Some hours apart, the later numbers the later times.
fn created(number: usize) -> Time {
    let hours = i64::try_from(number % 100_000).unwrap();
    now() - TimeDelta::hours(100_000 - hours)
}

fn artifact(number: usize) -> Artifact {
    let own = digest(number);
    if number % 20 < 10 && number % 4 == 2 {
        let child = |child: usize| Child {
            digest: Digest::of(format!("{number} {child}").as_bytes()),
            media_type: Some(MediaType::OCI_MANIFEST),
            size: Some(500),
        };
        return Artifact {
            media_type: MediaType::OCI_INDEX,
            children: vec![child(0), child(1)],
            image_config: None,
            blobs: Vec::new(),
            ..image(own.clone(), own)
        };
    }
    let config = Digest::of(format!("config of {number}").as_bytes());
    image(own, config)
}

fn image(digest: Digest, config: Digest) -> Artifact {
    let config = Blob {
        digest: config,
        size: 2_000,
    };
    Artifact {
        digest,
        media_type: MediaType::OCI_MANIFEST,
        artifact_type: None,
        size: Some(500),
        children: Vec::new(),
        subject: None,
        blobs: vec![config.clone()],
        image_config: Some(config),
        config_type: None,
        annotations: None,
        created_annotation: None,
    }
}
