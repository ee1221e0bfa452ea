//! The laws of policies over arbitrary registries, and the decision against an independent oracle.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by a panic, in its helpers, too"
)]

mod accidents;
mod costs;
mod facts;
mod generate;
mod names;
mod oracle;
mod rules;
mod told;
mod whole;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::{Digest, Tag};
use lagan_policy::{
    Action, Decisions, Depth, KeepLine, Limits, PolicySet, RepositoryPlan, RepositoryPolicies, Totals,
    Verdict,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::oracle::Oracle;
use crate::rules::{Document, age, asked};
use crate::world::{World, digests, tags};

fn policies(set: &PolicySet) -> RepositoryPolicies<'_> {
    set.of_repository(&"team/app".parse().unwrap(), &asked).unwrap()
}

fn verdicts(snapshot: &lagan_model::RepositorySnapshot, decisions: &Decisions) -> BTreeMap<Tag, Verdict> {
    let tags = snapshot.tags().iter().map(|listed| listed.tag.clone());
    tags.zip(decisions.tags.iter().map(|decision| decision.verdict))
        .collect()
}

fn removed(plan: &RepositoryPlan) -> BTreeSet<Tag> {
    plan.actions.iter().flat_map(tags).collect()
}

/// Whether nothing goes that stayed before. What stays of stable tags may supersede a prerelease, which `superseded`
/// says it should: such a prerelease alone may go.
fn no_more(document: &Document, before: &BTreeSet<Tag>, after: &BTreeSet<Tag>) -> bool {
    let mut rules = document.policies.iter().flat_map(|policy| &policy.rules);
    let superseded = rules.any(|rule| rule.select.superseded);
    let prerelease = |tag: &Tag| oracle::name_of(tag).is_some_and(names::Name::is_prerelease);
    after.difference(before).all(|tag| superseded && prerelease(tag))
}

/// The same cases in every run: a law that fails fails for everybody.
fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn run(cases: u32, law: impl Fn(&World, &Document) -> Result<(), TestCaseError>) {
    let inputs = (generate::world(), rules::document());
    runner(cases)
        .run(&inputs, |(world, document)| law(&world, &document))
        .unwrap();
}

/// The same where little but what hangs on something is left unread, and much of it goes.
fn run_on_families(cases: u32, law: impl Fn(&World, &Document) -> Result<(), TestCaseError>) {
    let inputs = (generate::families(), rules::sweeping());
    runner(cases)
        .run(&inputs, |(world, document)| law(&world, &document))
        .unwrap();
}

#[test]
fn the_decision_is_what_the_specification_says() {
    let law = |world: &World, document: &Document| {
        let set = document.set();
        let (snapshot, decisions, _) = world.decide(&policies(&set), Depth::Exact);
        let verdicts = verdicts(&snapshot, &decisions);
        let oracle = Oracle::new(world, document);
        let (expected, gone) = oracle.verdicts();
        // Of what is attached to each other the one that nobody asked about keeps the other.
        let rings = oracle.seen.iter().any(|one| oracle.all_above(one).contains(one));
        for (tag, verdict) in verdicts.iter().filter(|_| !rings) {
            // Nobody asks for what is attached to an attachment of an artifact that stays: a tag of it may go where
            // knowing more would keep it.
            let either = *verdict == Verdict::Untag && expected[tag] == Verdict::Keep;
            prop_assert!(
                *verdict == expected[tag] || either,
                "{}: {:?}, {:?}",
                tag,
                verdict,
                expected[tag]
            );
        }
        let plan = world.plan(&policies(&set), Depth::Exact);
        let deleted: BTreeSet<Digest> = plan.actions.iter().flat_map(digests).collect();
        let gone: BTreeSet<Digest> = gone
            .into_iter()
            .filter(|one| world.manifests.contains_key(one))
            .collect();
        prop_assert!(
            deleted.is_subset(&gone) && (deleted == gone || rings),
            "{:?}, {:?}",
            deleted,
            gone
        );
        if decisions.graph().is_some() {
            let (expected, _) = Oracle::new(&world.as_seen(&snapshot), document).verdicts();
            prop_assert_eq!(verdicts, expected, "by what was seen");
        }
        Ok(())
    };
    run(1000, law);
    run_on_families(300, law);
}

#[test]
fn a_report_is_what_the_specification_says_of_what_it_read() {
    let law = |world: &World, document: &Document| {
        let set = document.set();
        let (snapshot, decisions, _) = world.decide(&policies(&set), Depth::Enough);
        if decisions.graph().is_none() {
            return Ok(());
        }
        let seen = world.as_seen(&snapshot);
        let (expected, gone) = Oracle::new(&seen, document).verdicts();
        prop_assert_eq!(verdicts(&snapshot, &decisions), expected);
        let known = snapshot.complete().unwrap();
        let gone: BTreeSet<Digest> = gone.into_iter().filter(|one| !known.is_absent(one)).collect();
        let plan = world.plan(&policies(&set), Depth::Enough);
        let deleted: BTreeSet<Digest> = plan.actions.iter().flat_map(digests).collect();
        prop_assert_eq!(deleted, gone);
        Ok(())
    };
    run(300, law);
    run_on_families(300, law);
}

#[test]
fn reading_what_goes_along_keeps_more_of_it_and_nothing_that_does_not_hang_on_it() {
    let unread_ones = std::cell::Cell::new(0);
    let spared = std::cell::Cell::new(0);
    let law = |world: &World, document: &Document| {
        let set = document.set();
        let (report, exact) = (
            world.plan(&policies(&set), Depth::Enough),
            world.plan(&policies(&set), Depth::Exact),
        );
        prop_assert!(removed(&exact).is_subset(&removed(&report)));
        let of =
            |plan: &RepositoryPlan| -> BTreeSet<Digest> { plan.actions.iter().flat_map(digests).collect() };
        let (all, some) = (of(&report), of(&exact));
        prop_assert!(some.is_subset(&all), "{:?}, {:?}", some, all);

        let (snapshot, _, _) = world.decide(&policies(&set), Depth::Enough);
        let known = snapshot.complete().unwrap();
        let unread: BTreeSet<Digest> = all
            .iter()
            .filter(|one| known.artifact(one).is_none())
            .cloned()
            .collect();
        prop_assert_eq!(report.deleted_unread, unread.len() as u64);
        prop_assert_eq!(exact.deleted_unread, 0);
        let oracle = Oracle::new(world, document);
        prop_assert!(unread.iter().all(|one| oracle.tags_on(one).is_empty()));
        // What an untagged child or attachment that stays keeps in turn.
        let mut hangs = BTreeSet::new();
        let mut work = unread.clone();
        while let Some(one) = work.pop_first() {
            if hangs.insert(one.clone()) {
                work.extend(oracle.attachments(&one));
                work.extend(oracle.subjects(&one));
                work.extend(oracle::children(world, &one));
            }
        }
        let difference: BTreeSet<Digest> = all.difference(&some).cloned().collect();
        prop_assert!(difference.is_subset(&hangs), "{:?}, {:?}", difference, hangs);
        unread_ones.set(unread_ones.get() + unread.len());
        spared.set(
            spared.get()
                + difference
                    .iter()
                    .filter(|one| world.manifests.contains_key(*one))
                    .count(),
        );
        Ok(())
    };
    run(200, law);
    run_on_families(500, law);
    // The law says nothing where nothing is left unread, or reading it never keeps anything.
    assert!(
        unread_ones.get() > 100 && spared.get() > 0,
        "{unread_ones:?}, {spared:?}"
    );
}

#[test]
fn looking_at_more_than_decides_never_changes_a_verdict() {
    run(200, |world, document| {
        let set = document.set();
        let of = |depth| {
            let (snapshot, decisions, asked) = world.decide(&policies(&set), depth);
            (verdicts(&snapshot, &decisions), asked)
        };
        let (_, fewest) = of(Depth::Enough);
        let (exact, few) = of(Depth::Exact);
        let (everything, _) = of(Depth::Everything);
        let (bytes, many) = of(Depth::Bytes);
        prop_assert_eq!(&exact, &everything);
        prop_assert_eq!(&exact, &bytes);
        prop_assert!(fewest.tags == few.tags && fewest.manifests <= few.manifests);
        prop_assert!(few.tags <= many.tags && few.manifests <= many.manifests);
        let untagged = |rule: &rules::RuleSpec| rule.select.untagged.is_some();
        let reaches = world.lists_untagged
            && document
                .policies
                .iter()
                .flat_map(|policy| &policy.rules)
                .any(untagged);
        if !reaches && exact.values().all(|verdict| *verdict == Verdict::Keep) && few.tags == 0 {
            prop_assert_eq!(
                few,
                world::Asked::default(),
                "names alone showed that nothing goes"
            );
        }
        Ok(())
    });
}

#[test]
fn a_plan_partitions_the_snapshot_and_gives_reasons_for_every_tag() {
    run(200, |world, document| {
        let set = document.set();
        let (snapshot, decisions, _) = world.decide(&policies(&set), Depth::Exact);
        for decision in &decisions.tags {
            let keeps = decision.reasons.iter().filter(|reason| reason.keeps()).count();
            let first = decision
                .reasons
                .iter()
                .take_while(|reason| reason.keeps())
                .count();
            prop_assert_eq!(keeps, first, "reasons that keep stand first");
            prop_assert!(!decision.reasons.is_empty());
            prop_assert_eq!(keeps > 0, decision.verdict == Verdict::Keep, "{:?}", decision);
        }
        let plan = world.plan(&policies(&set), Depth::Exact);
        let gone: Vec<Tag> = plan.actions.iter().flat_map(tags).collect();
        let kept: Vec<Tag> = plan.kept.iter().map(|kept| kept.tag.clone()).collect();
        prop_assert!(kept.is_sorted());
        let mut all: Vec<Tag> = gone.iter().chain(&kept).cloned().collect();
        all.sort();
        let listed: Vec<Tag> = snapshot.tags().iter().map(|listed| listed.tag.clone()).collect();
        prop_assert_eq!(all, listed);
        let deleted: Vec<Digest> = plan.actions.iter().flat_map(digests).collect();
        prop_assert_eq!(
            deleted.iter().collect::<BTreeSet<_>>().len(),
            deleted.len(),
            "a digest twice"
        );
        for action in &plan.actions {
            prop_assert!(
                !action.reasons().is_empty() && !action.reasons().iter().any(|reason| reason.keeps())
            );
        }
        let mut totals = Totals::new(false);
        totals.add(&plan);
        prop_assert_eq!(totals.tags, totals.delete_tags + totals.untag + totals.kept_tags);
        prop_assert_eq!(totals.kept_tags, kept.len() as u64);
        prop_assert_eq!(totals.delete_artifacts, deleted.len() as u64);

        let oracle = Oracle::new(world, document);
        let counted: BTreeSet<&Digest> = world
            .tags
            .values()
            .filter(|digest| !oracle.is_attachment(digest))
            .collect();
        if decisions.graph().is_some() {
            prop_assert_eq!(plan.tagged_artifacts, counted.len() as u64);
        }
        let gone = deleted.iter().filter(|digest| counted.contains(digest)).count();
        prop_assert_eq!(plan.tagged_artifacts_deleted, gone as u64);
        Ok(())
    });
}

#[test]
fn nothing_kept_loses_a_child_an_attachment_or_its_subject() {
    run(200, |world, document| {
        let set = document.set();
        let plan = world.plan(&policies(&set), Depth::Exact);
        let deleted: BTreeSet<Digest> = plan.actions.iter().flat_map(digests).collect();
        let oracle = Oracle::new(world, document);
        for one in &deleted {
            for parent in oracle.parents(one) {
                prop_assert!(deleted.contains(&parent), "{} loses its child {}", parent, one);
            }
            for relative in oracle.attachments(one).iter().chain(&oracle.subjects(one)) {
                let gone = deleted.contains(relative) || !world.manifests.contains_key(relative);
                prop_assert!(gone, "{} stays without {}", relative, one);
            }
        }
        Ok(())
    });
}

#[test]
fn steps_are_in_the_order_that_registries_accept() {
    run(200, |world, document| {
        let set = document.set();
        let plan = world.plan(&policies(&set), Depth::Exact);
        let untags = plan
            .actions
            .iter()
            .take_while(|action| matches!(action, Action::Untag { .. }))
            .count();
        let deletes = &plan.actions[untags..];
        prop_assert!(
            deletes
                .iter()
                .all(|action| matches!(action, Action::Delete { .. })),
            "untags first"
        );
        let order: Vec<Digest> = plan.actions.iter().flat_map(digests).collect();
        let oracle = Oracle::new(world, document);
        for (position, one) in order.iter().enumerate() {
            for later in &order[position + 1..] {
                // Tags that name each other's artifacts make rings, which have no order.
                let below = oracle.above(one).contains(later) && !oracle.all_above(later).contains(one);
                prop_assert!(!below, "{} goes before {}", one, later);
            }
        }
        Ok(())
    });
}

#[test]
fn applying_a_plan_leaves_nothing_to_do() {
    run(200, |world, document| {
        let set = document.set();
        let plan = world.plan(&policies(&set), Depth::Exact);
        let mut after = world.clone();
        after.apply(&plan);
        let kept: BTreeSet<Tag> = plan.kept.iter().map(|kept| kept.tag.clone()).collect();
        prop_assert_eq!(
            kept,
            after.tags.keys().cloned().collect::<BTreeSet<_>>(),
            "every kept tag is still there"
        );
        let again = after.plan(&policies(&set), Depth::Exact);
        prop_assert_eq!(again.actions, Vec::new());
        Ok(())
    });
}

#[test]
fn keeping_more_never_deletes_another_tag() {
    run(200, |world, document| {
        let before = removed(&world.plan(&policies(&document.set()), Depth::Exact));
        for policy in 0..document.policies.len() {
            for rule in 0..document.policies[policy].rules.len() {
                for line in 0..document.policies[policy].rules[rule].lines.len() {
                    let mut more = document.clone();
                    match &mut more.policies[policy].rules[rule].lines[line] {
                        KeepLine::Last { count, .. } | KeepLine::Period { count, .. } => *count += 1,
                        KeepLine::Within { age: within, .. } => *within = age(90),
                        KeepLine::All => continue,
                    }
                    let after = removed(&world.plan(&policies(&more.set()), Depth::Exact));
                    prop_assert!(
                        no_more(&more, &before, &after),
                        "{:?} is no part of {:?}",
                        after,
                        before
                    );
                }
            }
        }
        Ok(())
    });
}

#[test]
fn protecting_never_deletes_another_tag() {
    let inputs = (
        generate::world(),
        rules::document(),
        rules::protection(),
        any::<prop::sample::Index>(),
    );
    let law = |(world, document, protection, policy): (World, Document, _, prop::sample::Index)| {
        let before = removed(&world.plan(&policies(&document.set()), Depth::Exact));
        let mut more = document;
        let policy = policy.index(more.policies.len());
        more.policies[policy].protects.push(protection);
        let after = removed(&world.plan(&policies(&more.set()), Depth::Exact));
        prop_assert!(
            no_more(&more, &before, &after),
            "{:?} is no part of {:?}",
            after,
            before
        );
        Ok(())
    };
    runner(200).run(&inputs, law).unwrap();
}

#[test]
fn the_order_of_policies_and_rules_never_matters() {
    run(200, |world, document| {
        let mut turned = document.clone();
        turned.policies.reverse();
        for policy in &mut turned.policies {
            policy.rules.reverse();
            policy.protects.reverse();
            for rule in &mut policy.rules {
                rule.lines.reverse();
            }
        }
        let of = |document: &Document| {
            let set = document.set();
            let (snapshot, decisions, asked) = world.decide(&policies(&set), Depth::Exact);
            (verdicts(&snapshot, &decisions), asked)
        };
        prop_assert_eq!(of(document), of(&turned));
        Ok(())
    });
}

#[test]
fn the_order_of_answers_never_matters() {
    run(200, |world, document| {
        let set = document.set();
        let (snapshot, decisions, _) = world.decide(&policies(&set), Depth::Bytes);
        // The same facts again, each in the opposite order.
        let mut turned = lagan_model::RepositorySnapshot::listed(
            snapshot.repository().clone(),
            world.tags.keys().cloned(),
        );
        world.tell(&mut turned);
        let known = snapshot.complete().unwrap();
        for digest in world.remembered.iter().filter(|digest| known.is_absent(digest)) {
            turned.insert_absent(digest.clone());
        }
        if known.untagged().is_some() && known.is_untagged_confirmed() {
            turned.list_untagged(known.untagged().into_iter().flatten().cloned());
        }
        for (position, listed) in known.tags().iter().enumerate().rev() {
            if let Some(digest) = &listed.digest {
                turned.resolve(position, world.manifests[digest].clone());
            }
        }
        let mut artifacts: Vec<_> = known.artifacts().cloned().collect();
        artifacts.sort_by(|a, b| b.digest.cmp(&a.digest));
        for artifact in artifacts {
            for child in artifact
                .children
                .iter()
                .filter(|child| known.is_absent(&child.digest))
            {
                turned.insert_absent(child.digest.clone());
            }
            if let Some(config) = &artifact.image_config
                && let Some(created) = known.config_created(&config.digest)
            {
                turned.insert_config_created(config.digest.clone(), created);
            }
            if let Some(config) = &artifact.image_config
                && let Some(labels) = known.config_labels(&config.digest)
            {
                turned.insert_config_labels(config.digest.clone(), labels.clone());
            }
            for one in artifact
                .children
                .iter()
                .map(|child| &child.digest)
                .chain([&artifact.digest])
            {
                if let Some(times) = known.artifact_times(one) {
                    turned.insert_artifact_times(one.clone(), times);
                }
            }
            turned.insert_artifact(artifact);
        }
        for (subject, referrers) in known.all_referrers() {
            turned.insert_referrers(subject.clone(), referrers.iter().rev().cloned().collect());
        }
        let policies = policies(&set);
        let context = world.context(Depth::Bytes);
        let lagan_policy::Step::Decided(again) =
            lagan_policy::decide(&policies, turned.complete().unwrap(), &context)
        else {
            return Err(TestCaseError::fail("the same facts were not enough"));
        };
        prop_assert_eq!(&decisions.tags, &again.tags);
        let plan = |snapshot: &lagan_model::RepositorySnapshot, decisions: &Decisions| {
            RepositoryPlan::new(Vec::new(), snapshot.complete().unwrap(), decisions, Depth::Bytes)
        };
        prop_assert_eq!(plan(&snapshot, &decisions), plan(&turned, &again));
        Ok(())
    });
}

#[test]
fn guards_hold_what_the_plan_says() {
    run(200, |world, document| {
        let set = document.set();
        let plan = world.plan(&policies(&set), Depth::Exact);
        let stays = plan.tagged_artifacts - plan.tagged_artifacts_deleted;
        for keep_at_least in 0..4 {
            let limits = Limits {
                keep_at_least,
                ..Limits::default()
            };
            let mut guards = lagan_policy::Guards::new(&limits);
            let held = guards.add(&plan, &limits).is_some();
            prop_assert_eq!(held, plan.tagged_artifacts_deleted > 0 && stays < keep_at_least);
        }
        Ok(())
    });
}
