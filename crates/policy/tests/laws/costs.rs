//! What a decision asks for, counted: a request is the unit of cost.

use lagan_policy::{Action, Depth, Keep, Policy, RepositoryPlan};

use crate::accidents::{channel, last, planned_at, policy, protecting, registry, select};
use crate::world::{Asked, World};

fn planned(world: &World, policies: Vec<Policy>) -> (RepositoryPlan, Asked) {
    planned_at(world, policies, Depth::Enough)
}

fn candidates(count: usize) -> World {
    let mut world = registry();
    world.image(0, &["1.0.0", "latest"]);
    for number in 1..=count {
        world.aged(
            number,
            &[&format!("1.1.0-rc.{number}")],
            i64::try_from(number).unwrap(),
        );
    }
    world
}

#[test]
fn names_are_enough_where_no_rule_selects_anything() {
    let (_, asked) = planned(
        &candidates(0),
        vec![policy(vec![(channel(&["prerelease"]), Keep::none())])],
    );
    assert_eq!(asked, Asked::default());
}

#[test]
fn names_are_enough_where_everything_fits() {
    for by in ["version", "semver", "name", "created"] {
        let (_, asked) = planned(
            &candidates(10),
            vec![policy(vec![(channel(&["prerelease"]), last(10, by))])],
        );
        assert_eq!(asked, Asked::default(), "by {by}");
    }
}

#[test]
fn names_are_enough_where_a_name_protects_every_candidate() {
    let doom = policy(vec![(channel(&["prerelease"]), last(2, "version"))]);
    let (_, asked) = planned(&candidates(10), vec![protecting(doom, &["*-rc.*"])]);
    assert_eq!(asked, Asked::default());
}

#[test]
fn a_policy_by_version_costs_one_request_a_tag_where_the_population_exceeds_what_is_kept() {
    let (plan, asked) = planned(
        &candidates(10),
        vec![policy(vec![(channel(&["prerelease"]), last(9, "version"))])],
    );
    assert_eq!(
        asked,
        Asked {
            tags: 12,
            ..Asked::default()
        }
    );
    assert_eq!(plan.actions.len(), 1);
}

#[test]
fn created_costs_one_configuration_for_each_distinct_digest_of_the_population() {
    let mut world = candidates(10);
    world.aged(20, &["1.2.0-rc.1", "1.2.0-rc.2"], 1);
    for subject in 1..=10 {
        world.sign(100 + subject, subject, ".sig");
    }
    // A chart has no configuration that tells a time.
    world.image(30, &["1.3.0-rc.1"]);
    let (_, asked) = planned(
        &world,
        vec![policy(vec![(channel(&["prerelease"]), last(5, "created"))])],
    );
    assert_eq!((asked.created, asked.manifests), (11, 0));
}

#[test]
fn an_attachment_is_never_asked_for_its_age() {
    let mut world = registry();
    world.aged(1, &["1.0.0"], 5);
    world.aged(2, &["sbom-1"], 50);
    let image = world.tags[&crate::rules::tag("1.0.0")].clone();
    let attached = world.tags[&crate::rules::tag("sbom-1")].clone();
    world.manifests.get_mut(&attached).unwrap().subject = Some(image);
    let (plan, asked) = planned(
        &world,
        vec![policy(vec![(select(&["sbom-*"]), last(0, "created"))])],
    );
    assert_eq!(asked.created, 0);
    assert!(plan.actions.is_empty(), "its age is not known, so that it stays");
}

#[test]
fn referrers_are_asked_for_only_where_something_goes_and_children_only_by_whoever_deletes() {
    let mut world = registry();
    world.referrers_api = true;
    for (number, name) in [(1, "1.0.0-rc.1"), (2, "1.0.0-rc.2"), (3, "1.0.0")] {
        world.image(10 + number, &[]);
        world.index(number, &[name], &[10 + number]);
    }
    let doom = || vec![policy(vec![(channel(&["rc"]), last(1, "version"))])];
    for (depth, manifests) in [(Depth::Enough, 0), (Depth::Exact, 1)] {
        let (plan, asked) = planned_at(&world, doom(), depth);
        let expected = Asked {
            tags: 3,
            manifests,
            referrers: 2,
            ..Asked::default()
        };
        assert_eq!(asked, expected, "{depth:?}");
        assert_eq!(plan.deleted_unread, 1 - manifests as u64);
        assert!(matches!(&plan.actions[..], [Action::Delete { children, .. }] if children.len() == 1));
    }
}

#[test]
fn an_index_in_an_index_is_always_read_since_it_has_children_of_its_own() {
    let mut world = registry();
    world.image(3, &[]);
    world.index(2, &[], &[3]);
    world.index(1, &["1.0.0-rc.1"], &[2]);
    let (plan, asked) = planned(&world, vec![policy(vec![(channel(&["rc"]), Keep::none())])]);
    assert_eq!(asked.manifests, 1);
    assert!(matches!(&plan.actions[..], [Action::Delete { children, .. }] if children.len() == 2));
}
