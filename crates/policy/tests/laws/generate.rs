//! Arbitrary registries: shared digests, indexes in indexes, children with tags, attachments of every form, and
//! manifests that are not there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_model::{
    Artifact, Blob, Child, Digest, Fact, Immutable, Labels, MediaType, NoUndo, Recorded, Time, Times, Unknown,
};
use proptest::prelude::*;

use crate::names::POOL;
use crate::oracle::named_subject;
use crate::rules::tag;
use crate::world::{World, now};

const MANIFESTS: usize = 9;

pub(crate) fn digest(number: usize) -> Digest {
    Digest::from_sha256([u8::try_from(number).unwrap(); 32])
}

#[derive(Debug, Clone)]
struct Seed {
    children: Vec<usize>,
    subject: Option<usize>,
    annotation: Option<usize>,
    config: Option<usize>,
}

#[derive(Debug, Clone)]
enum TagSeed {
    Name(usize),
    Attachment(usize, &'static str),
}

/// Known, at the edge of known, and unknown.
fn time(seed: usize) -> Fact<Time> {
    match seed {
        0 => Fact::Known("1970-01-01T00:00:00Z".parse().unwrap()),
        1 => Fact::Known(now() + TimeDelta::days(40)),
        2 => Fact::Unknown(Unknown::Missing),
        3 => Fact::Unknown(Unknown::Unreadable),
        days => Fact::Known(now() - TimeDelta::days(3 * i64::try_from(days).unwrap() - 12)),
    }
}

/// What an attachment or an index names: mostly manifests of the repository, sometimes one that is nowhere.
fn target() -> impl Strategy<Value = usize> {
    prop_oneof![9 => 0..MANIFESTS, 1 => 100..102usize]
}

fn manifest() -> impl Strategy<Value = Seed> {
    let children = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(target(), 1..4)];
    let subject = prop_oneof![4 => Just(None), 1 => target().prop_map(Some)];
    let annotation = prop_oneof![3 => Just(None), 1 => (0..24usize).prop_map(Some)];
    let config = prop_oneof![1 => Just(None), 5 => (0..24usize).prop_map(Some)];
    (children, subject, annotation, config).prop_map(|(children, subject, annotation, config)| Seed {
        children,
        subject,
        annotation,
        config,
    })
}

fn tag_seed() -> impl Strategy<Value = TagSeed> {
    let form = prop_oneof![Just(""), Just(".sig"), Just(".att"), Just(".sbom")];
    prop_oneof![
        5 => (0..POOL.len()).prop_map(TagSeed::Name),
        1 => (target(), form).prop_map(|(target, form)| TagSeed::Attachment(target, form)),
    ]
}

pub(crate) fn attachment_tag(subject: &Digest, form: &str) -> lagan_model::Tag {
    tag(&format!("sha256-{}{form}", subject.encoded()))
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    let manifests = prop::collection::vec(manifest(), 1..=MANIFESTS);
    let tags = prop::collection::vec((tag_seed(), 0..MANIFESTS), 0..14);
    let beside = (
        prop::collection::vec(beside(), MANIFESTS),
        prop::collection::vec(times(), 14),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        prop::collection::vec(any::<bool>(), MANIFESTS + 2),
        (
            prop::collection::vec(immutable(), 14),
            prop::bool::weighted(0.1),
            prop::collection::vec(prop::bool::weighted(0.1), MANIFESTS + 2),
        ),
    );
    (manifests, tags, any::<bool>(), any::<bool>(), beside).prop_map(
        |(manifests, tags, api, delete_tag, (facts, times, flags, remembered, kept))| {
            let mut world = build(&manifests, &tags, api, delete_tag);
            let (pushed, pulled, observed, lists) = flags;
            world.recorded = Recorded {
                pushed,
                pulled,
                observed,
            };
            world.lists_untagged = lists;
            let (immutable, proxy, held) = kept;
            let immutable = world.tags.keys().cloned().zip(immutable);
            world.immutable = immutable.filter_map(|(tag, why)| Some((tag, why?))).collect();
            world.no_undo = proxy.then_some(NoUndo::ProxyCache);
            for (number, facts) in facts.into_iter().enumerate() {
                add(&mut world, number, facts);
            }
            world.tag_times = world.tags.keys().cloned().zip(times).collect();
            let digests = || (0..MANIFESTS).chain([100, 101]).map(digest);
            let held = digests().zip(held).filter(|(_, held)| *held);
            world.held = held.map(|(digest, _)| digest).collect();
            let remembered = digests().zip(remembered).filter(|(_, remembered)| *remembered);
            world.remembered = remembered.map(|(digest, _)| digest).collect();
            world
        },
    )
}

/// What is known of a manifest beside what it says.
#[derive(Debug, Clone)]
struct Beside {
    annotated: Fact<Labels>,
    configured: Fact<Labels>,
    registered: Option<Labels>,
    kind: Option<&'static str>,
    times: Times,
}

fn immutable() -> impl Strategy<Value = Option<Immutable>> {
    prop_oneof![
        12 => Just(None),
        1 => Just(Some(Immutable::Marked)),
        1 => Just(Some(Immutable::Rule)),
        1 => Just(Some(Immutable::Unknown)),
    ]
}

fn tier(value: &'static str) -> Labels {
    Labels::from([("tier".to_owned(), value.to_owned())])
}

fn tiers() -> impl Strategy<Value = Labels> {
    prop_oneof![
        3 => Just(Labels::new()),
        2 => Just(tier("scratch")),
        1 => Just(tier("prod")),
    ]
}

fn beside() -> impl Strategy<Value = Beside> {
    let maybe =
        || prop_oneof![9 => tiers().prop_map(Fact::Known), 1 => Just(Fact::Unknown(Unknown::Missing))];
    let kind = prop_oneof![
        3 => Just(None),
        2 => Just(Some("a/x")),
        1 => Just(Some("a/y")),
        1 => Just(Some("application/vnd.cncf.notary.signature")),
    ];
    let registered = prop_oneof![3 => Just(None), 1 => tiers().prop_map(Some)];
    (maybe(), maybe(), registered, kind, times()).prop_map(
        |(annotated, configured, registered, kind, times)| Beside {
            annotated,
            configured,
            registered,
            kind,
            times,
        },
    )
}

/// Mostly known, else as unknown as times are anywhere.
fn moment() -> impl Strategy<Value = Fact<Time>> {
    prop_oneof![
        1 => (0..4usize).prop_map(time),
        8 => (4..24usize).prop_map(time),
        4 => (1..60i64).prop_map(|hours| Fact::Known(now() - TimeDelta::hours(7 * hours))),
        2 => Just(Fact::Unknown(Unknown::NotRecorded)),
        1 => Just(Fact::Unknown(Unknown::FirstListing)),
    ]
}

fn times() -> impl Strategy<Value = Times> {
    (moment(), moment(), moment()).prop_map(|(pushed, pulled, observed)| Times {
        pushed,
        pulled,
        observed,
    })
}

fn add(world: &mut World, number: usize, facts: Beside) {
    let Some(manifest) = world.manifests.get_mut(&digest(number)) else {
        return;
    };
    manifest.annotations = facts.annotated.known();
    if let Some(config) = &manifest.image_config {
        world.labels.insert(config.digest.clone(), facts.configured);
    }
    // Half of them by their own field, half by their configuration.
    if number.is_multiple_of(2) {
        manifest.artifact_type = facts.kind.map(str::to_owned);
    } else {
        manifest.config_type = facts.kind.map(|kind| kind.parse().unwrap());
    }
    if let Some(labels) = facts.registered {
        world.registry_labels.insert(digest(number), labels);
    }
    world.times.insert(digest(number), facts.times);
}

/// Indexes with untagged children, many of them shared or attached to something: what a report does not read.
pub(crate) fn families() -> impl Strategy<Value = World> {
    const LEAVES: usize = 5;
    let leaf = prop::option::of(target()).prop_map(|subject| Seed {
        children: Vec::new(),
        subject,
        annotation: None,
        config: None,
    });
    let children = prop::collection::vec(prop_oneof![12 => 0..MANIFESTS, 1 => 100..102usize], 1..4);
    let index = children.prop_map(|children| Seed {
        children,
        subject: None,
        annotation: None,
        config: None,
    });
    let manifests = (
        prop::collection::vec(leaf, LEAVES),
        prop::collection::vec(index, MANIFESTS - LEAVES),
    );
    let name = (0..POOL.len()).prop_map(TagSeed::Name);
    let tags = (
        prop::collection::vec((name, LEAVES..MANIFESTS), 1..6),
        prop::collection::vec((tag_seed(), 0..LEAVES), 0..2),
    );
    (manifests, tags, any::<bool>(), any::<bool>()).prop_map(
        |((mut seeds, indexes), (mut tags, more), api, delete_tag)| {
            seeds.extend(indexes);
            tags.extend(more);
            build(&seeds, &tags, api, delete_tag)
        },
    )
}

fn build(seeds: &[Seed], tags: &[(TagSeed, usize)], referrers_api: bool, delete_tag: bool) -> World {
    let tags: BTreeMap<_, _> = tags
        .iter()
        .map(|(seed, on)| {
            let tag = match seed {
                TagSeed::Name(name) => tag(POOL[*name].tag),
                TagSeed::Attachment(target, form) => attachment_tag(&digest(*target), form),
            };
            (tag, on % seeds.len())
        })
        .collect();
    let tagged: BTreeSet<usize> = tags.values().copied().collect();
    let mut world = World {
        tags: tags.into_iter().map(|(tag, on)| (tag, digest(on))).collect(),
        manifests: BTreeMap::new(),
        created: BTreeMap::new(),
        labels: BTreeMap::new(),
        registry_labels: BTreeMap::new(),
        recorded: lagan_model::Recorded::default(),
        tag_times: BTreeMap::new(),
        times: BTreeMap::new(),
        lists_untagged: false,
        immutable: BTreeMap::new(),
        held: BTreeSet::new(),
        no_undo: None,
        remembered: BTreeSet::new(),
        remembered_indexes: BTreeSet::new(),
        referrers_api,
        delete_tag,
    };
    let mut depth = vec![0usize; seeds.len()];
    for (number, seed) in seeds.iter().enumerate() {
        // What a digest names was there before it, so that there are no rings; and indexes are not nested deeper
        // than times are followed.
        let before = |one: &usize| *one < number || *one >= MANIFESTS;
        let mut children: Vec<usize> = seed.children.iter().copied().filter(before).collect();
        children.retain(|child| depth.get(*child).is_none_or(|depth| *depth < 3));
        if seed.subject.is_some() && !tagged.contains(&number) {
            // Nothing tells of an untagged index that is attached to what stays.
            children.clear();
        }
        depth[number] = children
            .iter()
            .filter_map(|child| depth.get(*child))
            .max()
            .map_or(0, |depth| depth + 1);
        let is_index = !children.is_empty();
        let config = seed.config.filter(|_| !is_index).map(|time_seed| {
            let config = digest(150 + number);
            world.created.insert(config.clone(), time(time_seed));
            Blob {
                digest: config,
                size: 100,
            }
        });
        let artifact = Artifact {
            digest: digest(number),
            media_type: if is_index {
                MediaType::OCI_INDEX
            } else {
                MediaType::OCI_MANIFEST
            },
            artifact_type: None,
            size: Some(500),
            children: children.iter().map(|child| listed(*child, &world)).collect(),
            subject: seed.subject.filter(before).map(digest),
            blobs: config.iter().cloned().collect(),
            image_config: config,
            config_type: None,
            annotations: Some(Labels::new()),
            created_annotation: seed.annotation.map(time),
        };
        world.manifests.insert(artifact.digest.clone(), artifact);
    }
    if !referrers_api {
        list_referrers(&mut world);
    }
    world
}

fn listed(child: usize, world: &World) -> Child {
    let digest = digest(child);
    let known = world.manifests.get(&digest);
    let media_type = known.map_or(MediaType::OCI_MANIFEST, |artifact| artifact.media_type.clone());
    Child {
        digest,
        media_type: Some(media_type),
        size: Some(500),
    }
}

/// Without an API, who pushes a referrer lists it under the fallback tag of its subject.
fn list_referrers(world: &mut World) {
    let mut referrers: BTreeMap<Digest, Vec<Child>> = BTreeMap::new();
    for artifact in world.manifests.values() {
        if let Some(subject) = &artifact.subject {
            referrers.entry(subject.clone()).or_default().push(Child {
                digest: artifact.digest.clone(),
                media_type: Some(artifact.media_type.clone()),
                size: artifact.size,
            });
        }
    }
    for (number, (subject, children)) in referrers.into_iter().enumerate() {
        let index = digest(200 + number);
        let artifact = Artifact {
            digest: index.clone(),
            media_type: MediaType::OCI_INDEX,
            artifact_type: None,
            size: Some(500),
            children,
            subject: None,
            image_config: None,
            blobs: Vec::new(),
            config_type: None,
            annotations: Some(Labels::new()),
            created_annotation: None,
        };
        world.manifests.insert(index.clone(), artifact);
        let tag = attachment_tag(&subject, "");
        debug_assert_eq!(named_subject(&tag), Some(subject));
        world.tags.insert(tag, index);
    }
}
