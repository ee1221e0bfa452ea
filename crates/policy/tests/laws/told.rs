//! What a registry tells in its listing: it decides as what is asked for one by one, and it keeps.

use std::collections::BTreeSet;

use lagan_model::{
    Accessory, Artifact, ArtifactRecord, Child, Fact, ImageRecord, Immutable, Labels, NoUndo,
    RepositorySnapshot,
};
use lagan_policy::{
    Decisions, Depth, Keep, PolicySet, Protection, ProtectionPattern, Reason, RepositoryPolicies, Select,
    Step, decide,
};
use proptest::prelude::*;

use crate::accidents::{channel, deleted, last, planned, policy, reasons, registry, removed, select};
use crate::generate::{attachment_tag, digest};
use crate::rules::tag;
use crate::world::{Asked, World, held_until, now};
use crate::{policies, run, verdicts};

impl World {
    /// All that is there as a registry tells it that reads manifests itself: no sizes, no blobs, no configuration, and
    /// of children nothing but their digests.
    fn told(&self) -> RepositorySnapshot {
        let mut snapshot = self.listed();
        for artifact in self.manifests.values() {
            let accessories = self
                .manifests
                .values()
                .filter(|one| self.referrers_api && one.subject.as_ref() == Some(&artifact.digest))
                .map(|one| Accessory {
                    digest: one.digest.clone(),
                    kind: "subject.accessory".to_owned(),
                });
            let image = artifact.image_config.as_ref().map(|config| ImageRecord {
                created: self.created[&config.digest],
                labels: self
                    .labels
                    .get(&config.digest)
                    .cloned()
                    .unwrap_or(Fact::Known(Labels::new())),
            });
            let child = |child: &Child| Child {
                digest: child.digest.clone(),
                media_type: None,
                size: None,
            };
            snapshot.insert_record(ArtifactRecord {
                artifact: Artifact {
                    size: None,
                    blobs: Vec::new(),
                    image_config: None,
                    children: artifact.children.iter().map(child).collect(),
                    ..artifact.clone()
                },
                times: self.times.get(&artifact.digest).copied().unwrap_or_default(),
                labels: self
                    .registry_labels
                    .get(&artifact.digest)
                    .cloned()
                    .unwrap_or_default(),
                kept_labels: Vec::new(),
                image,
                accessories: accessories.collect(),
            });
        }
        let tags: Vec<_> = snapshot.tags().iter().map(|listed| listed.tag.clone()).collect();
        for (position, tag) in tags.iter().enumerate() {
            let artifact = snapshot
                .complete()
                .unwrap()
                .artifact(&self.tags[tag])
                .unwrap()
                .clone();
            snapshot.resolve(position, artifact);
        }
        snapshot
    }

    fn decide_told(
        &self,
        policies: &RepositoryPolicies<'_>,
        depth: Depth,
    ) -> (RepositorySnapshot, Decisions, Asked) {
        let mut snapshot = self.told();
        let mut asked = Asked::default();
        for _ in 0..100 {
            match decide(policies, snapshot.complete().unwrap(), &self.context(depth)) {
                Step::Decided(decisions) => return (snapshot, *decisions, asked),
                Step::Missing(needs) => self.answer(&mut snapshot, &needs, &mut asked),
            }
        }
        panic!("never decided");
    }
}

#[test]
fn what_a_registry_tells_in_its_listing_decides_as_what_is_asked_for_one_by_one() {
    run(400, |world, document| {
        let set = document.set();
        // What nobody would have come across is not there: a registry that tells everything tells of it too.
        let (snapshot, ..) = world.decide(&policies(&set), Depth::Exact);
        let mut seen = world.as_seen(&snapshot);
        for digest in world.tags.values() {
            seen.manifests
                .insert(digest.clone(), world.manifests[digest].clone());
        }
        let world = seen;
        let (asked_for, decisions, _) = world.decide(&policies(&set), Depth::Exact);
        let (told, decided, asked) = world.decide_told(&policies(&set), Depth::Exact);
        prop_assert_eq!(verdicts(&asked_for, &decisions), verdicts(&told, &decided));
        prop_assert_eq!(asked.tags + asked.created + asked.labels, 0, "all was told");
        Ok(())
    });
}

fn one(rules: Vec<(lagan_policy::Select, Keep)>) -> PolicySet {
    PolicySet {
        policies: vec![policy(rules)],
        ..PolicySet::default()
    }
}

fn every(set: &PolicySet) -> RepositoryPolicies<'_> {
    set.of_repository(&"team/app".parse().unwrap(), &|_| true)
        .unwrap()
}

#[test]
fn an_immutable_tag_stays_and_keeps_its_artifact_whoever_says_that_it_is_immutable() {
    for by in [Immutable::Marked, Immutable::Rule, Immutable::Unknown] {
        let mut world = registry();
        world.image(1, &["1.0.0-rc.1", "candidate"]);
        world.image(2, &["1.0.0-rc.2"]);
        world.immutable.insert(tag("1.0.0-rc.1"), by);
        let rules = || {
            vec![
                (channel(&["rc"]), Keep::none()),
                (select(&["candidate"]), Keep::none()),
            ]
        };
        assert_eq!(removed(&world, rules()), ["1.0.0-rc.2"]);
        let (plan, _) = planned(&world, vec![policy(rules())]);
        assert_eq!(reasons(&plan, "1.0.0-rc.1")[0], Reason::Immutable { by });
        assert!(matches!(
            reasons(&plan, "candidate")[0],
            Reason::SharesDigest { .. }
        ));
        world.delete_tag = true;
        assert_eq!(removed(&world, rules()), ["1.0.0-rc.2", "candidate"]);
    }
}

#[test]
fn what_was_put_back_stays_with_all_its_tags_and_what_it_lists() {
    let mut world = registry();
    let index = world.index(1, &["1.0.0-rc.1", "candidate"], &[2]);
    world.image(2, &[]);
    world.image(3, &["1.0.0-rc.2"]);
    world.held.insert(index);
    world.delete_tag = true;
    let rules = || {
        vec![
            (channel(&["rc"]), Keep::none()),
            (select(&["candidate"]), Keep::none()),
        ]
    };
    assert_eq!(removed(&world, rules()), ["1.0.0-rc.2"]);
    let (plan, _) = planned(&world, vec![policy(rules())]);
    for held in ["1.0.0-rc.1", "candidate"] {
        assert_eq!(
            reasons(&plan, held)[0],
            Reason::Held {
                until: held_until(),
                with: None
            }
        );
    }
}

#[test]
fn what_was_put_back_and_lost_its_tag_keeps_what_belongs_to_it_and_is_named_as_the_reason() {
    let mut world = registry();
    world.image(1, &["1.0.0-rc.1"]);
    world.index(2, &[], &[1]);
    let index = world.index(3, &[], &[2]);
    world.image(4, &["1.0.0-rc.2"]);
    let rules = || vec![(channel(&["rc"]), Keep::none())];
    assert_eq!(removed(&world, rules()), ["1.0.0-rc.1", "1.0.0-rc.2"]);
    world.held.insert(index.clone());
    world.remembered_indexes.insert(index.clone());
    assert_eq!(removed(&world, rules()), ["1.0.0-rc.2"]);
    let (plan, _) = planned(&world, vec![policy(rules())]);
    let held = Reason::Held {
        until: held_until(),
        with: Some(index),
    };
    assert_eq!(reasons(&plan, "1.0.0-rc.1")[0], held);
}

#[test]
fn what_was_put_back_takes_nobodys_place_and_supersedes_nothing() {
    let mut world = registry();
    for (number, name) in [(1, "1.0.0-rc.1"), (2, "1.0.0-rc.2"), (3, "1.0.0-rc.3")] {
        world.image(number, &[name]);
    }
    world.held.insert(world.tags[&tag("1.0.0-rc.1")].clone());
    let newest = vec![(channel(&["rc"]), last(1, "version"))];
    assert_eq!(removed(&world, newest), ["1.0.0-rc.2"]);

    let stable = world.image(4, &["1.0.0"]);
    world.held = [stable].into();
    let superseded = Select {
        superseded: true,
        ..Select::default()
    };
    let rules = vec![(superseded, Keep::none()), (channel(&["stable"]), Keep::none())];
    assert_eq!(removed(&world, rules), [""; 0]);
}

#[test]
fn an_artifact_without_a_tag_that_was_put_back_stays() {
    let mut world = registry();
    let index = world.index(1, &["1.0.0-rc.1"], &[2]);
    let child = world.image(2, &[]);
    world.held.insert(child.clone());
    let (plan, _) = planned(&world, vec![policy(vec![(channel(&["rc"]), Keep::none())])]);
    assert_eq!(deleted(&plan), [index]);
}

#[test]
fn an_immutable_tag_takes_its_place_among_those_that_are_kept() {
    let mut world = registry();
    for (number, name) in [(1, "1.0.0-rc.1"), (2, "1.0.0-rc.2"), (3, "1.0.0-rc.3")] {
        world.image(number, &[name]);
    }
    world.immutable.insert(tag("1.0.0-rc.3"), Immutable::Marked);
    let rules = vec![(channel(&["rc"]), last(1, "version"))];
    assert_eq!(removed(&world, rules), ["1.0.0-rc.1", "1.0.0-rc.2"]);
}

#[test]
fn a_proxy_cache_is_left_alone() {
    let mut world = registry();
    world.image(1, &["1.0.0-rc.1"]);
    world.no_undo = Some(NoUndo::ProxyCache);
    let (plan, _) = planned(&world, vec![policy(vec![(channel(&["rc"]), Keep::none())])]);
    assert!(plan.actions.is_empty());
    let said = reasons(&plan, "1.0.0-rc.1");
    assert!(matches!(said[0], Reason::ProxyCache { .. }), "{said:?}");
    assert!(matches!(said[1], Reason::KeepNone { .. }), "{said:?}");
}

#[test]
fn what_only_looked_as_if_it_had_no_tag_is_not_selected_as_untagged() {
    let mut world = registry();
    world.recorded.pushed = true;
    world.lists_untagged = true;
    for number in [1, 2] {
        world.image(number, &[]);
        let pushed = Fact::Known(now() - chrono::TimeDelta::days(30));
        world.times.insert(
            digest(number),
            lagan_model::Times {
                pushed,
                ..Default::default()
            },
        );
    }
    let untagged = lagan_policy::Select {
        untagged: Some("24h".parse().unwrap()),
        ..Default::default()
    };
    let set = one(vec![(untagged, Keep::none())]);
    let of = |confirmed: BTreeSet<_>| {
        let mut snapshot = world.told();
        let known = snapshot.complete().unwrap();
        assert!(!known.is_untagged_confirmed());
        let step = decide(&every(&set), known, &world.context(Depth::Exact));
        let Step::Missing(needs) = step else {
            panic!("decided without asking again")
        };
        assert!(needs.untagged);
        snapshot.list_untagged(confirmed);
        let known = snapshot.complete().unwrap();
        let Step::Decided(decisions) = decide(&every(&set), known, &world.context(Depth::Exact)) else {
            panic!("asked for what is known")
        };
        deleted(&lagan_policy::RepositoryPlan::new(
            Vec::new(),
            known,
            &decisions,
            Depth::Exact,
        ))
    };
    assert_eq!(of(BTreeSet::from([digest(1), digest(2)])), [digest(1), digest(2)]);
    assert_eq!(of(BTreeSet::from([digest(2)])), [digest(2)]);
    assert!(of(BTreeSet::new()).is_empty());
}

#[test]
fn a_signature_is_one_by_what_the_registry_calls_it_and_what_it_cannot_call_is_read() {
    for (kind, signed, read) in [
        ("signature.cosign", true, 0),
        ("signature.notation", true, 0),
        ("sbom.harbor", false, 0),
        ("accelerator.nydus", false, 0),
        ("subject.accessory", false, 1),
    ] {
        let mut world = registry();
        world.image(1, &["1.0.0-rc.1"]);
        world.image(2, &[]);
        let mut policy = policy(vec![(channel(&["rc"]), Keep::none())]);
        policy.protect.push(Protection {
            pattern: ProtectionPattern::Signed,
            until: None,
            why: None,
        });
        let set = PolicySet {
            policies: vec![policy],
            ..PolicySet::default()
        };
        let mut told = World {
            manifests: world
                .manifests
                .iter()
                .take(1)
                .map(|(a, b)| (a.clone(), b.clone()))
                .collect(),
            ..world.clone()
        }
        .told();
        let accessory = Accessory {
            digest: digest(2),
            kind: kind.to_owned(),
        };
        told.insert_accessories(digest(1), vec![accessory]);
        let mut asked = Asked::default();
        let decisions = loop {
            match decide(
                &every(&set),
                told.complete().unwrap(),
                &world.context(Depth::Enough),
            ) {
                Step::Decided(decisions) => break decisions,
                Step::Missing(needs) => world.answer(&mut told, &needs, &mut asked),
            }
        };
        let kept = decisions.tags[0].reasons.iter().any(Reason::keeps);
        assert_eq!((kept, asked.manifests), (signed, read), "{kind}");
    }
}

#[test]
fn tags_that_name_their_subject_are_pinned_to_it_where_the_registry_lists_them_as_any_other() {
    let mut world = registry();
    world.image(1, &["1.0.0"]);
    world.image(2, &["1.0.0-rc.1"]);
    for (number, subject, form) in [(3, 1, ".att"), (4, 1, ".sbom"), (5, 2, ".att"), (6, 2, ".sbom")] {
        world.sign(number, subject, form);
    }
    let set = one(vec![(channel(&["rc"]), Keep::none())]);
    let (snapshot, decisions, _) = world.decide_told(&every(&set), Depth::Exact);
    let gone = verdicts(&snapshot, &decisions);
    let gone: Vec<_> = gone
        .into_iter()
        .filter(|(_, verdict)| *verdict != lagan_policy::Verdict::Keep)
        .map(|(tag, _)| tag)
        .collect();
    let pinned = [".att", ".sbom"].map(|form| attachment_tag(&digest(2), form));
    assert_eq!(gone, [vec![tag("1.0.0-rc.1")], pinned.to_vec()].concat());
}
