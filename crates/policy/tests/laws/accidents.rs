//! What went wrong elsewhere, and each example of the specification, as small registries.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_model::{Artifact, Blob, Child, Digest, Fact, MediaType};
use lagan_policy::{
    Channel, Depth, Keep, KeepLine, Limits, Mode, Policy, PolicySet, Protection, ProtectionPattern, Reason,
    RepositoryPlan, Rule, Select, VersionTable, version,
};

use crate::generate::{attachment_tag, digest};
use crate::rules::tag;
use crate::world::{Asked, World, now, tags};

/// A registry that is filled by hand.
pub(crate) fn registry() -> World {
    World {
        tags: BTreeMap::new(),
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
        referrers_api: false,
        delete_tag: false,
    }
}

impl World {
    pub(crate) fn image(&mut self, number: usize, tags: &[&str]) -> Digest {
        self.push(number, tags, &[], None)
    }

    pub(crate) fn index(&mut self, number: usize, tags: &[&str], children: &[usize]) -> Digest {
        self.push(number, tags, children, None)
    }

    pub(crate) fn referrer(&mut self, number: usize, tags: &[&str], subject: usize) -> Digest {
        self.push(number, tags, &[], Some(digest(subject)))
    }

    /// An image that was created some days ago, as its configuration says.
    pub(crate) fn aged(&mut self, number: usize, tags: &[&str], days: i64) -> Digest {
        let image = self.image(number, tags);
        let config = digest(150 + number);
        self.created
            .insert(config.clone(), Fact::Known(now() - TimeDelta::days(days)));
        let artifact = self.manifests.get_mut(&image).unwrap();
        artifact.image_config = Some(Blob {
            digest: config,
            size: 10,
        });
        image
    }

    pub(crate) fn push(
        &mut self,
        number: usize,
        tags: &[&str],
        children: &[usize],
        subject: Option<Digest>,
    ) -> Digest {
        let child = |child: &usize| Child {
            digest: digest(*child),
            media_type: Some(match self.manifests.get(&digest(*child)) {
                Some(pushed) => pushed.media_type.clone(),
                None => MediaType::OCI_MANIFEST,
            }),
            size: Some(1),
        };
        let artifact = Artifact {
            digest: digest(number),
            media_type: if children.is_empty() {
                MediaType::OCI_MANIFEST
            } else {
                MediaType::OCI_INDEX
            },
            artifact_type: None,
            size: Some(1),
            children: children.iter().map(child).collect(),
            subject,
            image_config: None,
            blobs: Vec::new(),
            config_type: None,
            annotations: Some(lagan_model::Labels::new()),
            created_annotation: None,
        };
        self.manifests.insert(digest(number), artifact);
        for text in tags {
            self.tags.insert(tag(text), digest(number));
        }
        digest(number)
    }

    pub(crate) fn sign(&mut self, number: usize, subject: usize, form: &str) {
        let name = attachment_tag(&digest(subject), form);
        self.image(number, &[name.as_str()]);
    }
}

pub(crate) fn select(globs: &[&str]) -> Select {
    Select {
        tags: globs.iter().map(|glob| glob.parse().unwrap()).collect(),
        ..Select::default()
    }
}

pub(crate) fn channel(names: &[&str]) -> Select {
    let set = names
        .iter()
        .map(|name| name.parse::<version::ChannelSet>().unwrap())
        .collect();
    Select {
        channel: Some(set),
        ..Select::default()
    }
}

pub(crate) fn last(count: u32, by: &str) -> Keep {
    let by = lagan_policy::Order::ALL
        .into_iter()
        .find(|order| order.as_str() == by)
        .unwrap();
    Keep::from(vec![KeepLine::Last {
        count,
        by,
        per: by.default_per(),
    }])
}

pub(crate) fn policy(rules: Vec<(Select, Keep)>) -> Policy {
    let rule = |(number, (select, keep))| Rule {
        name: format!("rule {number}").into(),
        select,
        keep,
        allow_empty_repository: true,
    };
    Policy {
        name: "tidy".into(),
        repositories: vec!["**".parse().unwrap()],
        exclude_repositories: Vec::new(),
        mode: Mode::DryRun,
        rules: rules.into_iter().enumerate().map(rule).collect(),
        protect: Vec::new(),
        limits: Limits::default(),
        untag: true,
        grace: None,
        notice: None,
        rollout: None,
    }
}

pub(crate) fn protecting(mut policy: Policy, globs: &[&str]) -> Policy {
    let pattern = ProtectionPattern::Tags(globs.iter().map(|glob| glob.parse().unwrap()).collect());
    policy.protect.push(Protection {
        pattern,
        until: None,
        why: None,
    });
    policy
}

/// As whoever deletes has to plan.
pub(crate) fn planned(world: &World, policies: Vec<Policy>) -> (RepositoryPlan, Asked) {
    planned_at(world, policies, Depth::Exact)
}

pub(crate) fn planned_at(world: &World, policies: Vec<Policy>, depth: Depth) -> (RepositoryPlan, Asked) {
    let set = PolicySet {
        policies,
        versions: VersionTable::default(),
    };
    let policies = set
        .of_repository(&"team/app".parse().unwrap(), &|_| true)
        .unwrap();
    let (_, _, asked) = world.decide(&policies, depth);
    (world.plan(&policies, depth), asked)
}

/// The tags that would be removed, by their bytes.
pub(crate) fn removed(world: &World, rules: Vec<(Select, Keep)>) -> Vec<String> {
    removed_by(world, policy(rules))
}

fn removed_by(world: &World, policy: Policy) -> Vec<String> {
    let (plan, _) = planned(world, vec![policy]);
    let mut all: Vec<String> = plan.actions.iter().flat_map(tags).map(String::from).collect();
    all.sort();
    all
}

pub(crate) fn deleted(plan: &RepositoryPlan) -> Vec<Digest> {
    plan.actions.iter().flat_map(crate::world::digests).collect()
}

pub(crate) fn reasons<'p>(plan: &'p RepositoryPlan, of: &str) -> &'p [Reason] {
    &plan
        .kept
        .iter()
        .find(|kept| kept.tag.as_str() == of)
        .unwrap()
        .reasons
}

#[test]
fn deleting_one_tag_never_wipes_the_other_tags_of_its_digest() {
    let mut world = registry();
    world.image(1, &["1.0.0", "1.0.0-rc.1"]);
    let rules = || policy(vec![(channel(&["prerelease"]), Keep::none())]);
    let (plan, _) = planned(&world, vec![rules()]);
    assert!(plan.actions.is_empty());
    let shares =
        |reason: &Reason| matches!(reason, Reason::SharesDigest { with } if with.as_str() == "1.0.0");
    assert!(reasons(&plan, "1.0.0-rc.1").iter().any(shares));

    world.delete_tag = true;
    let (plan, _) = planned(&world, vec![rules()]);
    assert_eq!(plan.actions.len(), 1);
    assert_eq!(deleted(&plan), [], "the artifact stays");
    assert_eq!(removed_by(&world, rules()), ["1.0.0-rc.1"]);
}

#[test]
fn a_doomed_tag_of_a_signed_artifact_that_stays_is_taken_off() {
    let mut world = registry();
    world.delete_tag = true;
    world.image(1, &["1.0.0", "1.0.0-rc.1"]);
    world.sign(2, 1, ".sig");
    let rules = || vec![(channel(&["rc"]), Keep::none())];
    assert_eq!(
        removed(&world, rules()),
        ["1.0.0-rc.1"],
        "the signature follows, and says nothing of tags"
    );
    // Something attached that stays for itself keeps the artifact with all its tags.
    world.referrers_api = true;
    world.referrer(3, &["sbom-of-1.0.0"], 1);
    assert!(removed(&world, rules()).is_empty());
}

#[test]
fn children_of_tagged_indexes_are_not_garbage() {
    let mut world = registry();
    world.image(1, &[]);
    world.image(2, &["1.0.0-rc.1-arm64"]);
    world.index(3, &["1.0.0"], &[1, 2]);
    assert!(removed(&world, vec![(channel(&["prerelease"]), Keep::none())]).is_empty());
    let (plan, _) = planned(&world, vec![policy(vec![(select(&["*-arm64"]), Keep::none())])]);
    assert!(matches!(
        reasons(&plan, "1.0.0-rc.1-arm64")[0],
        Reason::ChildOf { .. }
    ));
}

#[test]
fn a_child_shared_by_two_indexes_goes_with_the_last_of_them() {
    let mut world = registry();
    world.image(1, &[]);
    world.image(2, &[]);
    world.index(3, &["1.0.0-rc.1"], &[1, 2]);
    world.index(4, &["1.0.0-rc.2"], &[1]);
    world.sign(5, 1, ".sig");
    let rule = |keep| vec![policy(vec![(channel(&["rc"]), last(keep, "version"))])];
    let (plan, _) = planned(&world, rule(1));
    assert_eq!(
        deleted(&plan),
        [digest(3), digest(2)],
        "the shared platform stays, and so does its signature"
    );
    let (plan, _) = planned(&world, rule(0));
    assert_eq!(
        deleted(&plan),
        [digest(3), digest(2), digest(4), digest(1), digest(5)]
    );
}

#[test]
fn provenance_that_is_attached_to_a_shared_platform_stays_with_it() {
    // Two builds of the same platform, each with provenance of its own that names the platform as its subject.
    let mut world = registry();
    world.referrers_api = true;
    world.image(1, &[]);
    world.referrer(2, &[], 1);
    world.referrer(3, &[], 1);
    world.index(4, &["1.0.0-rc.1"], &[1, 2]);
    world.index(5, &["1.0.0-rc.2"], &[1, 3]);
    let (plan, _) = planned(&world, vec![policy(vec![(channel(&["rc"]), last(1, "version"))])]);
    assert_eq!(deleted(&plan), [digest(4)]);
}

#[test]
fn keep_three_keeps_three_also_where_tags_share_digests() {
    let mut world = registry();
    for number in 1..=5 {
        let patch = format!("1.0.{number}");
        let release = format!("1.0.{number}-release");
        world.image(number, &[&patch, &release]);
    }
    let (plan, _) = planned(&world, vec![policy(vec![(select(&["*"]), last(3, "version"))])]);
    assert_eq!(deleted(&plan), [digest(1), digest(2)]);
    assert_eq!(plan.kept.len(), 6);
}

#[test]
fn tags_on_the_keep_list_survive_every_rule() {
    let mut world = registry();
    world.image(1, &["1.0.0"]);
    world.image(2, &["2.0.0"]);
    let doom = policy(vec![(select(&["*"]), Keep::none())]);
    assert_eq!(removed_by(&world, protecting(doom.clone(), &["1.*"])), ["2.0.0"]);
    // Of another policy, too, and of one that nobody asked for.
    let keeper = Policy {
        name: "keeper".into(),
        ..policy(vec![(select(&["1.0.0"]), Keep::all())])
    };
    let set = PolicySet {
        policies: vec![doom, keeper],
        versions: VersionTable::default(),
    };
    let policies = set
        .of_repository(&"team/app".parse().unwrap(), &|policy| &*policy.name.0 == "tidy")
        .unwrap();
    let kept: Vec<String> = world
        .plan(&policies, Depth::Exact)
        .kept
        .into_iter()
        .map(|kept| kept.tag.into())
        .collect();
    assert_eq!(kept, ["1.0.0"]);
}

#[test]
fn a_policy_that_nobody_asked_for_makes_no_candidates() {
    let mut world = registry();
    world.image(1, &["1.0.0"]);
    world.image(2, &["pr-1"]);
    let other = Policy {
        name: "other".into(),
        ..policy(vec![(select(&["*"]), Keep::none())])
    };
    let asked = policy(vec![(select(&["pr-*"]), Keep::none())]);
    let set = PolicySet {
        policies: vec![other, asked],
        versions: VersionTable::default(),
    };
    let policies = set
        .of_repository(&"team/app".parse().unwrap(), &|policy| &*policy.name.0 == "tidy")
        .unwrap();
    let plan = world.plan(&policies, Depth::Exact);
    assert_eq!(deleted(&plan), [digest(2)]);
}

#[test]
fn times_of_one_digest_tie_by_tag_and_not_at_random() {
    let mut world = registry();
    for (number, name) in [(1, "pr-2"), (2, "pr-10"), (3, "pr-1")] {
        world.aged(number, &[name], 5);
    }
    // Equal times: the tags' bytes decide.
    assert_eq!(
        removed(&world, vec![(select(&["pr-*"]), last(1, "created"))]),
        ["pr-1", "pr-10"]
    );
}

#[test]
fn an_ungrouped_alternation_deletes_nothing_beside_its_words() {
    let mut world = registry();
    for (number, name) in ["dev", "test", "dev-prod", "my-test"].into_iter().enumerate() {
        world.image(number, &[name]);
    }
    let regex = Select {
        regex: Some("dev|test".parse().unwrap()),
        ..Select::default()
    };
    assert_eq!(removed(&world, vec![(regex, Keep::none())]), ["dev", "test"]);
}

#[test]
fn signatures_take_no_place_however_new_they_are() {
    let mut world = registry();
    world.aged(1, &["1.0.0"], 30);
    world.aged(2, &["1.0.1"], 20);
    world.aged(3, &["1.0.2"], 10);
    for (number, subject) in [(11, 1), (12, 2), (13, 3)] {
        world.sign(number, subject, ".sig");
        world.sign(number + 10, subject, ".sbom");
    }
    for by in ["version", "created", "name"] {
        let (plan, _) = planned(&world, vec![policy(vec![(select(&["*"]), last(2, by))])]);
        assert_eq!(deleted(&plan), [digest(1), digest(11), digest(21)], "by {by}");
    }
}

#[test]
fn an_attachment_with_a_tag_of_its_own_keeps_its_subject() {
    let mut world = registry();
    world.referrers_api = true;
    world.image(1, &["1.0.0-rc.1"]);
    world.referrer(2, &["sbom-of-rc"], 1);
    let rule = || vec![(channel(&["rc"]), Keep::none())];
    assert!(removed(&world, rule()).is_empty());
    let both = vec![
        (channel(&["rc"]), Keep::none()),
        (select(&["sbom-*"]), Keep::none()),
    ];
    assert_eq!(removed(&world, both), ["1.0.0-rc.1", "sbom-of-rc"]);
}

#[test]
fn a_referrer_that_an_untagged_fallback_index_lists_goes_with_its_subject() {
    let mut world = registry();
    world.image(1, &["1.0.0-rc.1"]);
    world.referrer(2, &[], 1);
    let fallback = attachment_tag(&digest(1), "");
    world.index(3, &[fallback.as_str()], &[2]);
    let (plan, _) = planned(&world, vec![policy(vec![(channel(&["rc"]), Keep::none())])]);
    assert_eq!(deleted(&plan), [digest(1), digest(3), digest(2)]);
    // Held by something that stays, it keeps its subject.
    world.index(4, &["2.0.0"], &[2]);
    let (plan, _) = planned(&world, vec![policy(vec![(channel(&["rc"]), Keep::none())])]);
    assert!(plan.actions.is_empty());
}

#[test]
fn a_signature_of_what_was_never_seen_stays() {
    let mut world = registry();
    world.sign(1, 99, ".sig");
    world.image(2, &["1.0.0"]);
    let (plan, _) = planned(&world, vec![policy(vec![(select(&["*"]), Keep::none())])]);
    assert_eq!(deleted(&plan), [digest(2)]);
    let name = attachment_tag(&digest(99), ".sig");
    assert!(matches!(
        reasons(&plan, name.as_str())[0],
        Reason::SubjectUnseen { .. }
    ));
}

#[test]
fn a_tag_that_signs_its_own_digest_goes_with_it_and_says_why() {
    let mut world = registry();
    let own = attachment_tag(&digest(1), ".sig");
    world.image(1, &["1.0.0", own.as_str()]);
    let set = PolicySet {
        policies: vec![policy(vec![(select(&["*"]), Keep::none())])],
        versions: VersionTable::default(),
    };
    let policies = set
        .of_repository(&"team/app".parse().unwrap(), &|_| true)
        .unwrap();
    let (_, decisions, _) = world.decide(&policies, Depth::Exact);
    assert!(
        decisions
            .tags
            .iter()
            .all(|decision| decision.reasons.iter().any(|reason| !reason.keeps()))
    );
}

#[test]
fn the_signature_of_a_child_that_is_gone_already_is_part_of_the_plan() {
    let mut world = registry();
    world.index(1, &["1.0.0"], &[50]);
    world.sign(2, 50, ".sig");
    let (plan, _) = planned(&world, vec![policy(vec![(select(&["*"]), Keep::none())])]);
    assert_eq!(
        deleted(&plan),
        [digest(1), digest(2)],
        "what answers 404 is not deleted again"
    );
    assert_eq!(plan.kept.len(), 0);
}

#[test]
fn what_reads_as_nothing_known_is_kept_unless_a_glob_names_it() {
    let mut world = registry();
    for (number, name) in ["2.3.1-a100", "1.4.0-20260101", "1.0.0-rc.1-prod", "20260101"]
        .into_iter()
        .enumerate()
    {
        world.image(number, &[name]);
    }
    let every: Vec<&str> = Channel::SELECTABLE
        .iter()
        .map(|channel| channel.as_str())
        .collect();
    assert!(removed(&world, vec![(channel(&every), Keep::none())]).is_empty());
    let version = Select {
        version: Some(">=0.0.0".parse().unwrap()),
        ..Select::default()
    };
    assert!(removed(&world, vec![(version, Keep::none())]).is_empty());
    assert_eq!(
        removed(&world, vec![(select(&["2*"]), Keep::none())]),
        ["20260101", "2.3.1-a100"]
            .map(String::from)
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
}

#[test]
fn variants_do_not_compete_by_version() {
    let mut world = registry();
    for (number, name) in ["1.0.0", "1.0.0-alpine", "1.1.0", "1.1.0-alpine"]
        .into_iter()
        .enumerate()
    {
        world.image(number, &[name]);
    }
    assert_eq!(
        removed(&world, vec![(select(&["*"]), last(1, "version"))]),
        ["1.0.0", "1.0.0-alpine"]
    );
}

#[test]
fn last_and_within_are_alternatives() {
    let mut world = registry();
    for (number, days) in [(1, 100), (2, 50), (3, 20), (4, 10)] {
        world.aged(number, &[&format!("pr-{number}")], days);
    }
    let mut keep = last(1, "created");
    keep.lines.push(KeepLine::Within {
        clock: lagan_policy::Clock::Created,
        age: "30d".parse().unwrap(),
    });
    assert_eq!(removed(&world, vec![(select(&["pr-*"]), keep)]), ["pr-1", "pr-2"]);
}

#[test]
fn a_clock_that_the_registry_does_not_have_keeps_everything() {
    let mut world = registry();
    world.image(1, &["1.0.0"]);
    for by in ["pushed", "pulled", "observed"] {
        let (plan, asked) = planned(&world, vec![policy(vec![(select(&["*"]), last(0, by))])]);
        assert!(plan.actions.is_empty());
        assert_eq!(asked, Asked::default());
    }
}
