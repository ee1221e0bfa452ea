//! Runs over a registry in memory: what is asked, and what is made of the answers.

mod fake;
mod memory;
mod reading;

use lagan_model::{
    Capability, Failure, MediaType, Observer, RegistryRead, RepositoryName, RequestKind, Seen, Time,
};
use lagan_policy::{
    Action, Announcements, Clock, Depth, Evidence, Keep, KeepLine, Limits, Mode, Order, Policy, PolicySet,
    RepositoryPlan, Rollout, Rollouts, Rule, Select, Stages,
};

use self::fake::Fake;
use crate::{Memory, Outcome, PlanError, PlanRequest, Scope, ScopeError, plan, replay};

fn now() -> Time {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn last(count: u32, by: Order) -> KeepLine {
    KeepLine::Last {
        count,
        by,
        per: by.default_per(),
    }
}

fn policies(repositories: &[&str], keep: KeepLine) -> PolicySet {
    let rule = Rule {
        name: "rule".into(),
        select: Select {
            tags: vec!["*".parse().unwrap()],
            ..Select::default()
        },
        keep: Keep::from(vec![keep]),
        allow_empty_repository: false,
    };
    let policy = Policy {
        name: "policy".into(),
        repositories: repositories
            .iter()
            .map(|pattern| pattern.parse().unwrap())
            .collect(),
        exclude_repositories: Vec::new(),
        mode: Mode::DryRun,
        rules: vec![rule],
        protect: Vec::new(),
        limits: Limits::default(),
        untag: true,
        grace: None,
        notice: None,
        rollout: None,
    };
    PolicySet {
        policies: vec![policy],
        ..PolicySet::default()
    }
}

type Planned = Result<(Vec<RepositoryPlan>, Outcome), PlanError<std::convert::Infallible>>;

async fn run_scoped(fake: &Fake, policies: &PolicySet, scope: &Scope, observer: &impl Observer) -> Planned {
    run_with(fake, policies, scope, observer, (Memory::default(), now())).await
}

async fn run_with(
    fake: &Fake,
    policies: &PolicySet,
    scope: &Scope,
    observer: &impl Observer,
    (memory, now): (Memory<'_>, Time),
) -> Planned {
    let request = PlanRequest {
        policies,
        asked: &|_| true,
        scope,
        now,
        depth: Depth::Enough,
        probe: fake.probed_answer.is_some(),
        undo: None,
        facts: true,
        memory,
        evidence: Evidence {
            announcements: &Announcements::default(),
            now,
        },
        rollouts: &lagan_policy::Rollouts::default(),
        repositories_at_once: 4,
    };
    let mut plans = Vec::new();
    let outcome = plan(fake, observer, &request, |plan, seen| {
        let decided = plan.complete && plan.tags_total > 0;
        assert!(seen.is_some() || !decided, "no facts of {}", plan.name);
        if let Some(seen) = seen {
            replays(policies, plan, seen, now);
        }
        plans.push(plan.clone());
        Ok(())
    })
    .await?;
    Ok((plans, outcome))
}

/// What was decided is decided again from the facts alone, after they were written and read.
fn replays(policies: &PolicySet, plan: &RepositoryPlan, seen: &Seen, now: Time) {
    let written = serde_json::to_string(&seen.snapshot).unwrap();
    let seen = Seen {
        capabilities: seen.capabilities,
        snapshot: serde_json::from_str(&written).unwrap(),
    };
    let of_repository = policies.of_repository(&plan.name, &|_| true).unwrap();
    let again = replay(&of_repository, seen, now, Depth::Enough).unwrap();
    let snapshot = again.seen.snapshot.complete().unwrap();
    let again = RepositoryPlan::new(plan.policies.clone(), snapshot, &again.decisions, Depth::Enough);
    assert_eq!((&again.actions, &again.kept), (&plan.actions, &plan.kept));
}

async fn run(fake: &Fake, policies: &PolicySet) -> (Vec<RepositoryPlan>, Outcome) {
    run_scoped(fake, policies, &Scope::default(), &()).await.unwrap()
}

fn deleted(plan: &RepositoryPlan) -> Vec<String> {
    let tags = plan.actions.iter().flat_map(|action| match action {
        Action::Delete { tags, .. } => tags.clone(),
        Action::Untag { tag, .. } => vec![tag.clone()],
    });
    tags.map(|tag| tag.to_string()).collect()
}

#[tokio::test]
async fn where_no_rule_can_delete_a_repository_costs_its_tag_pages_alone() {
    let mut fake = Fake::default();
    for name in ["a", "b"] {
        for version in 0..3 {
            fake.repository(name).image(&[&format!("1.0.{version}")], 1);
        }
    }
    for by in [
        Order::Version,
        Order::Semver,
        Order::Name,
        Order::Clock(Clock::Created),
    ] {
        let before = fake.requests();
        let (plans, _) = run(&fake, &policies(&["**"], last(3, by))).await;
        assert_eq!(
            fake.requests().of(RequestKind::Tags) - before.of(RequestKind::Tags),
            2,
            "{by}"
        );
        assert_eq!(
            fake.requests().total - before.total,
            3,
            "{by}: the catalog and two pages"
        );
        assert!(plans.iter().all(|plan| plan.kept.len() == 3));
    }
}

#[tokio::test]
async fn by_version_one_manifest_a_tag_is_read_only_where_the_population_exceeds_what_is_kept() {
    let mut fake = Fake::default();
    for version in 0..5 {
        fake.repository("large").image(&[&format!("1.0.{version}")], 1);
    }
    fake.repository("small").image(&["1.0.0"], 1);
    let (plans, outcome) = run(&fake, &policies(&["**"], last(2, Order::Version))).await;
    assert_eq!(fake.requests().of(RequestKind::Manifest), 5);
    assert_eq!(fake.requests().of(RequestKind::ConfigBlob), 0);
    assert_eq!(
        fake.requests().of(RequestKind::Referrers),
        1,
        "one answer tells that there is no such API"
    );
    assert_eq!(deleted(&plans[0]), ["1.0.0", "1.0.1", "1.0.2"]);
    assert_eq!(
        (
            outcome.totals.tags,
            outcome.totals.delete_tags,
            outcome.totals.kept_tags
        ),
        (6, 3, 3)
    );
}

#[tokio::test]
async fn by_created_one_configuration_is_read_for_each_digest_and_none_for_attachments() {
    let mut fake = Fake::default();
    let repository = fake.repository("app");
    for day in 1..=4 {
        let alias = format!("alias-{day}");
        let digest = repository.image(&[&format!("build-{day}"), &alias], day);
        let signature = format!(
            r#"{{"config":{{"mediaType":"{}","digest":"{digest}","size":9}}}}"#,
            MediaType::OCI_CONFIG
        );
        repository.manifest(
            &[&format!("{}.sig", digest.referrers_tag())],
            MediaType::OCI_MANIFEST,
            &signature,
        );
    }
    let (plans, _) = run(&fake, &policies(&["app"], last(3, Order::Clock(Clock::Created)))).await;
    assert_eq!(fake.requests().of(RequestKind::Manifest), 12);
    assert_eq!(fake.requests().of(RequestKind::ConfigBlob), 4);
    assert_eq!(
        fake.requests().of(RequestKind::Catalog),
        0,
        "a plain name needs no catalog"
    );
    assert_eq!(deleted(&plans[0]), ["alias-1", "build-1"]);
    assert!(matches!(&plans[0].actions[0], Action::Delete { attachments, .. } if attachments.len() == 1));
}

#[tokio::test]
async fn repositories_are_handed_on_in_the_order_of_their_names() {
    let mut fake = Fake::default();
    for name in ["z", "a/b", "a", "m-1", "m"] {
        fake.repository(name).image(&["1"], 1);
    }
    let (plans, _) = run(&fake, &policies(&["**"], last(1, Order::Name))).await;
    let names: Vec<_> = plans.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(names, ["a", "a/b", "m", "m-1", "z"]);
}

#[tokio::test]
async fn what_cannot_be_read_makes_its_own_repository_incomplete_and_no_other() {
    let mut fake = Fake::default();
    for name in ["bad-listing", "bad-manifest", "good"] {
        for version in 0..3 {
            fake.repository(name).image(&[&format!("1.0.{version}")], 1);
        }
    }
    fake.fail.insert("bad-listing".to_owned(), Failure::Malformed);
    fake.fail.insert("bad-manifest:1.0.2".to_owned(), Failure::Server);
    let (plans, outcome) = run(&fake, &policies(&["**"], last(1, Order::Version))).await;
    assert!(!plans[0].complete && plans[0].actions.is_empty() && plans[0].tags_total == 0);
    assert!(!plans[1].complete && plans[1].actions.is_empty() && plans[1].tags_total == 3);
    assert_eq!(
        plans[1].incomplete.as_ref().unwrap().why,
        "GET bad-manifest:1.0.2: it was told to fail"
    );
    assert_eq!(deleted(&plans[2]), ["1.0.0", "1.0.1"]);
    assert_eq!(outcome.totals.incomplete_repositories, 2);
    assert_eq!(outcome.totals.kept_tags, 3 + 1);
}

#[tokio::test]
async fn a_tag_that_is_gone_from_a_second_listing_is_no_obstacle() {
    let mut fake = Fake::default();
    for version in 0..3 {
        fake.repository("app").image(&[&format!("1.0.{version}")], 1);
    }
    fake.fail.insert("app:1.0.2".to_owned(), Failure::NotFound);
    fake.vanishing.insert("1.0.2".parse().unwrap());
    let (plans, _) = run(&fake, &policies(&["app"], last(1, Order::Version))).await;
    assert_eq!((plans[0].complete, plans[0].tags_total), (true, 2));
    assert_eq!(deleted(&plans[0]), ["1.0.0"]);
}

#[tokio::test]
async fn a_tag_that_is_listed_and_cannot_be_found_makes_its_repository_incomplete() {
    let mut fake = Fake::default();
    for version in 0..3 {
        fake.repository("app").image(&[&format!("1.0.{version}")], 1);
    }
    fake.fail.insert("app:1.0.2".to_owned(), Failure::NotFound);
    let (plans, _) = run(&fake, &policies(&["app"], last(1, Order::Version))).await;
    assert!(!plans[0].complete && plans[0].actions.is_empty());
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_is_an_error_and_so_is_a_name_that_nobody_knows() {
    let mut fake = Fake::default();
    fake.repository("app").image(&["1"], 1);
    let all = policies(&["**"], last(1, Order::Name));
    for pattern in ["other/*", "missing"] {
        let scope = Scope {
            only: vec![pattern.parse().unwrap()],
            ..Scope::default()
        };
        let error = run_scoped(&fake, &all, &scope, &()).await.unwrap_err();
        assert!(matches!(error, PlanError::Scope(ScopeError::NoMatch(named)) if named == pattern));
    }
    let named = policies(&["none/*"], last(1, Order::Name));
    let error = run_scoped(&fake, &named, &Scope::default(), &())
        .await
        .unwrap_err();
    assert!(matches!(error, PlanError::Scope(ScopeError::NothingNamed)));
}

#[tokio::test]
async fn without_a_catalog_names_have_to_be_given() {
    let mut fake = Fake {
        no_catalog: true,
        ..Fake::default()
    };
    fake.repository("app").image(&["1"], 1);
    assert_eq!(
        run(&fake, &policies(&["app"], last(1, Order::Name)))
            .await
            .0
            .len(),
        1
    );
    let all = policies(&["**"], last(1, Order::Name));
    let error = run_scoped(&fake, &all, &Scope::default(), &()).await.unwrap_err();
    assert!(
        matches!(error, PlanError::Scope(ScopeError::Registry(error)) if error.failure() == Failure::Unsupported)
    );
}

#[tokio::test]
async fn a_catalog_without_a_repository_is_told_as_that_and_not_as_a_pattern_that_matches_none() {
    let all = policies(&["**"], last(1, Order::Name));
    let asked = Scope {
        only: vec!["team/*".parse().unwrap()],
        ..Scope::default()
    };
    for scope in [Scope::default(), asked] {
        let error = run_scoped(&Fake::default(), &all, &scope, &()).await.unwrap_err();
        assert!(
            matches!(error, PlanError::Scope(ScopeError::EmptyCatalog)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_stopped_answering_is_not_asked_for_every_repository() {
    let mut fake = Fake::default();
    for number in 0..100 {
        let name = format!("app-{number:03}");
        fake.repository(&name).image(&["1"], 1);
        fake.fail.insert(name, Failure::Unreachable);
    }
    let (plans, outcome) = run(&fake, &policies(&["**"], last(1, Order::Name))).await;
    assert_eq!((plans.len(), outcome.totals.incomplete_repositories), (100, 100));
    assert!(
        fake.requests().of(RequestKind::Tags) <= 16,
        "{:?}",
        fake.requests()
    );
}

#[derive(Default)]
struct Progress(std::sync::Mutex<Vec<String>>);

impl Observer for Progress {
    fn repositories_found(&self, count: usize) {
        self.0.lock().unwrap().push(format!("found {count}"));
    }

    fn repository_done(&self, repository: &RepositoryName, complete: bool) {
        self.0.lock().unwrap().push(format!("{repository} {complete}"));
    }
}

#[tokio::test]
async fn an_observer_hears_of_every_repository() {
    let mut fake = Fake::default();
    fake.repository("a").image(&["1"], 1);
    fake.repository("b").image(&["1"], 1);
    fake.fail.insert("b".to_owned(), Failure::Denied);
    let progress = Progress::default();
    run_scoped(
        &fake,
        &policies(&["**"], last(1, Order::Name)),
        &Scope::default(),
        &progress,
    )
    .await
    .unwrap();
    assert_eq!(*progress.0.lock().unwrap(), ["found 2", "a true", "b false"]);
}

#[tokio::test]
async fn what_can_be_deleted_is_asked_only_where_a_decision_depends_on_it_and_only_who_was_told_to() {
    for (shared, answer, asked, untagged) in [
        (true, None, 0, 0),
        (true, Some(Capability::Unknown), 1, 0),
        (true, Some(Capability::NotOffered), 1, 0),
        (true, Some(Capability::Offered), 1, 1),
        (false, Some(Capability::Offered), 0, 0),
    ] {
        let mut fake = Fake {
            probed_answer: answer,
            ..Fake::default()
        };
        let app = fake.repository("app");
        // The oldest shares its digest with a tag that has no version, and stays; or is alone on it.
        app.image(if shared { &["1.0.0", "prod"] } else { &["1.0.0"] }, 1);
        app.image(&["2.0.0"], 2);
        app.image(&["4.0.0"], 3);
        let (plans, outcome) = run(&fake, &policies(&["app"], last(2, Order::Version))).await;
        assert_eq!(
            fake.requests().of(RequestKind::Probe),
            asked,
            "{shared} {answer:?}"
        );
        assert_eq!(outcome.totals.untag, untagged, "{shared} {answer:?}");
        assert!(plans[0].complete);
    }
}

#[tokio::test]
async fn a_list_stands_for_the_catalog_and_what_it_names_in_vain_is_reported() {
    let mut fake = Fake {
        no_catalog: true,
        ..Fake::default()
    };
    for name in ["team/app", "team/web", "other/app"] {
        fake.repository(name).image(&["1"], 1);
    }
    let listed = ["team/web", "team/gone", "other/app"].map(|name| name.parse().unwrap());
    let scope = Scope {
        only: vec!["team/*".parse().unwrap()],
        listed: Some(listed.into()),
        changed: None,
    };
    let all = policies(&["**"], last(1, Order::Name));
    let (plans, outcome) = run_scoped(&fake, &all, &scope, &()).await.unwrap();
    let names: Vec<_> = plans
        .iter()
        .map(|plan| (plan.name.to_string(), plan.complete))
        .collect();
    assert_eq!(
        names,
        [("team/gone".to_owned(), false), ("team/web".to_owned(), true)]
    );
    assert_eq!(outcome.totals.incomplete_repositories, 1);
    assert_eq!(fake.requests().of(RequestKind::Catalog), 0);
}

#[tokio::test]
async fn of_what_is_said_to_have_changed_only_what_policies_name_is_read_and_what_is_gone_is_no_error() {
    let mut fake = Fake::default();
    for name in ["team/app", "team/web", "other/app"] {
        fake.repository(name).image(&["1.0.0"], 1);
        fake.repository(name).image(&["1.0.1"], 2);
    }
    let scope = |names: &[&str], listed: Option<&[&str]>| Scope {
        only: Vec::new(),
        listed: listed.map(|names| names.iter().map(|name| name.parse().unwrap()).collect()),
        changed: Some(names.iter().map(|name| name.parse().unwrap()).collect()),
    };
    for pattern in ["team/*", "team/app"] {
        let named = policies(&[pattern], last(1, Order::Version));
        let hinted = scope(&["other/app", "team/app", "team/gone"], None);
        let (plans, outcome) = run_scoped(&fake, &named, &hinted, &()).await.unwrap();
        let read: Vec<_> = plans
            .iter()
            .map(|plan| (plan.name.as_str(), plan.actions.len()))
            .collect();
        let expected: &[_] = match pattern {
            "team/*" => &[("team/app", 1), ("team/gone", 0)],
            _ => &[("team/app", 1)],
        };
        assert_eq!(
            (&read[..], outcome.totals.incomplete_repositories),
            (expected, 0),
            "{pattern}"
        );
    }
    let named = policies(&["team/*"], last(1, Order::Version));
    // What is no repository by the list that stands for the catalog is none, whoever names it.
    let hinted = scope(&["team/app", "team/web"], Some(&["team/web"]));
    let (plans, _) = run_scoped(&fake, &named, &hinted, &()).await.unwrap();
    assert_eq!(
        plans.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>(),
        ["team/web"]
    );
    let before = fake.requests().total;
    for nothing in [scope(&[], None), scope(&["other/app"], None)] {
        let (plans, outcome) = run_scoped(&fake, &named, &nothing, &()).await.unwrap();
        assert_eq!((plans.len(), outcome.totals.repositories), (0, 0));
    }
    assert_eq!(fake.requests().total, before);
    assert_eq!(fake.requests().of(RequestKind::Catalog), 0);
}

#[tokio::test]
async fn which_repository_a_rollout_begins_with_is_told_by_all_and_not_by_those_that_changed() {
    let mut fake = Fake::default();
    for name in ["team/app", "team/web"] {
        fake.repository(name).image(&["1.0.0"], 1);
        fake.repository(name).image(&["1.0.1"], 2);
    }
    let mut policies = policies(&["team/*"], last(1, Order::Version));
    policies.policies[0].rollout = Some(Rollout {
        stages: Stages::new(vec!["0.01%".parse().unwrap()]).unwrap(),
        hold: "1h".parse().unwrap(),
        min_success: Rollout::MIN_SUCCESS,
    });
    let records = std::collections::BTreeMap::new();
    let rollouts = Rollouts::at(&policies.policies, &policies.versions, &records, now());
    let taken = async |changed: Option<&str>| {
        let scope = Scope {
            changed: changed.map(|name| [name.parse().unwrap()].into()),
            ..Scope::default()
        };
        let request = PlanRequest {
            policies: &policies,
            asked: &|_| true,
            scope: &scope,
            now: now(),
            depth: Depth::Enough,
            probe: false,
            undo: None,
            facts: false,
            memory: Memory::default(),
            evidence: Evidence {
                announcements: &Announcements::default(),
                now: now(),
            },
            rollouts: &rollouts,
            repositories_at_once: 4,
        };
        let mut taken = Vec::new();
        plan(&fake, &(), &request, |plan, _| {
            let note = plan.rollout.as_ref().unwrap();
            taken.extend(note.taken.then(|| plan.name.to_string()));
            Ok::<_, std::convert::Infallible>(())
        })
        .await
        .unwrap();
        taken
    };
    assert_eq!(taken(None).await.len(), 1);
    for one in ["team/app", "team/web"] {
        assert!(taken(Some(one)).await.is_empty(), "{one}");
    }
}

#[tokio::test]
async fn one_configuration_an_image_tells_labels_and_time_and_only_where_a_rule_asks() {
    let mut fake = Fake::default();
    for day in 1..=3 {
        let tier = if day == 2 { "prod" } else { "scratch" };
        fake.repository("app")
            .labelled(&[&format!("build-{day}")], day, tier);
    }
    let labels = |set: &mut PolicySet| {
        let select = &mut set.policies[0].rules[0].select;
        select
            .labels
            .insert("tier".to_owned(), vec!["scratch".parse().unwrap()]);
    };
    let mut by_label = policies(&["app"], last(1, Order::Clock(Clock::Created)));
    labels(&mut by_label);
    let (plans, _) = run(&fake, &by_label).await;
    assert_eq!(deleted(&plans[0]), ["build-1"]);
    assert_eq!(fake.requests().of(RequestKind::ConfigBlob), 3);
    let before = fake.requests();
    run(&fake, &policies(&["app"], last(1, Order::Name))).await;
    assert_eq!(
        fake.requests().of(RequestKind::ConfigBlob),
        before.of(RequestKind::ConfigBlob)
    );
}
