//! Garbage: when it is collected, collecting it after a run, and what an undo says then.

use std::time::{SystemTime, UNIX_EPOCH};

use lagan_sandbox::harbor::{Account, CollectionSchedule, CollectionStatus};
use lagan_sandbox::{
    Effect, Fault, HarborOptions, HarborVersion, Moment, RequestKind, Sandbox, SandboxOptions,
};
use serde_json::{Value, json};

use super::{EVERYTHING, PRERELEASES, ROBOT, SECRET, candidates, configured, run};
use crate::support::Place;
use crate::{outcomes, undo};

const LOOK: [(&str, &str); 2] = [("garbage-collection", "list"), ("garbage-collection", "read")];
const START: (&str, &str) = ("garbage-collection", "create");

/// Harbor's clock and this machine's agree to some seconds.
fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Moment::from_unix(since.as_secs().try_into().unwrap())
}

fn rfc3339(moment: Moment) -> String {
    chrono::DateTime::from_timestamp(moment.unix(), 0)
        .unwrap()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

async fn start(version: HarborVersion, account: Account) -> Sandbox {
    let options = HarborOptions::default()
        .version(version)
        .now(now())
        .account(account);
    crate::start(SandboxOptions::default().harbor(options)).await
}

/// A robot that may also see, and start, collections.
fn collector() -> Account {
    Account::robot(ROBOT, SECRET)
        .may("*", &EVERYTHING)
        .may_in_system(&LOOK)
        .may_in_system(&[START])
}

async fn harbor() -> Sandbox {
    let sandbox = start(HarborVersion::V2_15, collector()).await;
    candidates(&sandbox, "team/app", 5);
    sandbox
}

/// The requests about collections that change something.
fn started(sandbox: &Sandbox) -> usize {
    let log = sandbox.log();
    let entries = log.entries();
    let changes = entries
        .iter()
        .filter(|entry| entry.kind == RequestKind::ApiCollection && entry.method != "GET");
    changes.count()
}

fn collection(report: &Value) -> (&str, &str) {
    let of = &report["collection"];
    (
        of["outcome"].as_str().unwrap(),
        of["why"].as_str().unwrap_or_default(),
    )
}

/// The only `undo` that a plan has.
async fn undo_of_plan(place: &Place) -> Value {
    let plan = place.run("plan --format json").await.exits(0).json();
    let actions = plan["repositories"][0]["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 3);
    assert!(actions.iter().all(|action| action["undo"] == actions[0]["undo"]));
    actions[0]["undo"].clone()
}

#[tokio::test]
async fn what_was_deleted_before_a_collection_is_lost_and_every_report_said_so_before() {
    for version in HarborVersion::ALL {
        let sandbox = start(version, collector()).await;
        candidates(&sandbox, "team/app", 5);
        let place = configured(&sandbox, PRERELEASES);
        let report = run(&place, "--collect-garbage").await.exits(0).json();
        assert_eq!(outcomes(&report), json!({"deleted": 3}), "{version:?}");
        assert_eq!(report["collection"]["outcome"], "started");
        assert_eq!(report["collection"]["status"], "Running");
        assert_eq!(report["collection"]["delete_untagged"], false);
        assert_eq!(report["undo"]["possible"], false);
        let id = report["collection"]["id"].as_i64().unwrap();
        let taken = sandbox.harbor().finish_collection(id, CollectionStatus::Success);
        assert!(taken >= 3, "{taken}");

        let looked = undo(&place, "last --dry-run", 4).await;
        assert_eq!(outcomes(&looked), json!({"unrecoverable": 3}));
        assert_eq!(looked["collected"]["since"], true);
        let text = place.run("undo last --dry-run").await.exits(4).stdout;
        assert!(text.contains("garbage was collected since"), "{text}");
        sandbox.log().clear();
        let undone = undo(&place, "last --yes", 4).await;
        assert_eq!(outcomes(&undone), json!({"unrecoverable": 3}));
        let counts = sandbox.log().counts();
        assert_eq!(
            counts.of(RequestKind::ManifestPut) + counts.of(RequestKind::ApiTagCreate),
            0
        );

        let run = report["run"].as_str().unwrap();
        let shown = place.run(&format!("journal show {run}")).await.exits(0).stdout;
        assert!(shown.contains("garbage was collected since"), "{shown}");
        let collecting = report["collection"]["run"].as_str().unwrap();
        assert!(shown.contains(collecting), "{shown}");
        let listed = place.run("journal list").await.exits(0).stdout;
        assert!(
            listed.contains("collect garbage") && listed.contains("1 started"),
            "{listed}"
        );
    }
}

#[tokio::test]
async fn an_apply_says_beforehand_that_nothing_comes_back_after_the_collection_that_is_to_follow() {
    let sandbox = harbor().await;
    let place = configured(&sandbox, PRERELEASES);
    let before = std::fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
    let with = before.replace(
        "    credentials:",
        "    collect_garbage: {after: whole-run}\n    credentials:",
    );
    place.file("lagan.yaml", with);
    let undo = undo_of_plan(&place).await;
    assert_eq!((&undo["possible"], &undo["until"]), (&json!(false), &Value::Null));
    let text = place.run("plan").await.exits(0).stdout;
    assert!(text.contains("3 manifests CANNOT be brought back"), "{text}");
    // The key holds for an apply, and the command line goes before it.
    let report = run(&place, "--collect-garbage=never").await.exits(0).json();
    assert_eq!(
        (&report["collection"], &report["undo"]["possible"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(started(&sandbox), 0);
    sandbox.put_image(
        "team/app",
        &["2.0.0-rc.1", "2.0.0-rc.2", "2.0.0-rc.3"],
        Moment::date(2026, 2, 1),
    );
    candidates(&sandbox, "team/more", 3);
    let report = run(&place, "").await.exits(0).json();
    assert_eq!(collection(&report).0, "started");
    assert_eq!(started(&sandbox), 1);
}

#[tokio::test]
async fn nothing_is_collected_after_a_run_that_left_something_undone_unless_that_is_said() {
    let without: Vec<_> = EVERYTHING
        .into_iter()
        .filter(|permission| *permission != ("tag", "delete"))
        .collect();
    let robot = Account::robot(ROBOT, SECRET)
        .may("team", &EVERYTHING)
        .may("other", &without)
        .may_in_system(&LOOK)
        .may_in_system(&[START]);
    let sandbox = start(HarborVersion::V2_11, robot).await;
    candidates(&sandbox, "team/app", 3);
    candidates(&sandbox, "other/app", 3);
    let place = configured(&sandbox, PRERELEASES);
    let report = run(&place, "--collect-garbage").await.exits(4).json();
    assert_eq!(outcomes(&report), json!({"deleted": 1, "failed": 1}));
    assert_eq!(collection(&report).0, "not_started");
    assert!(collection(&report).1.contains("did not do all"), "{report}");
    assert_eq!(report["undo"]["possible"], true);
    assert_eq!(started(&sandbox), 0);
    let report = run(&place, "--collect-garbage=every-run").await.exits(4).json();
    assert_eq!(collection(&report).0, "started");
    assert_eq!(started(&sandbox), 1);
}

#[tokio::test]
async fn a_run_that_deletes_nothing_starts_a_collection_only_where_every_run_does() {
    let sandbox = start(HarborVersion::V2_8, collector()).await;
    candidates(&sandbox, "team/app", 2);
    let place = configured(&sandbox, PRERELEASES);
    let report = run(&place, "--collect-garbage").await.exits(0).json();
    assert_eq!(collection(&report).0, "not_started");
    assert!(collection(&report).1.contains("deleted nothing"), "{report}");
    assert_eq!((started(&sandbox), &report["undo"]), (0, &Value::Null));
    let report = run(&place, "--collect-garbage=every-run").await.exits(0).json();
    assert_eq!((collection(&report).0, &report["run"]), ("started", &Value::Null));
}

#[tokio::test]
async fn no_collection_is_started_while_another_is_at_work_or_waits() {
    let sandbox = harbor().await;
    let first = sandbox.harbor().start_collection(false);
    let second = sandbox.harbor().start_collection(false);
    let place = configured(&sandbox, PRERELEASES);
    let said = undo_of_plan(&place).await;
    assert_eq!(said["possible"], false);
    assert!(
        said["why"].as_str().unwrap().contains("being collected now"),
        "{said}"
    );
    let report = run(&place, "--collect-garbage").await.exits(4).json();
    assert_eq!(outcomes(&report), json!({"deleted": 3}));
    assert_eq!(collection(&report).0, "not_started");
    assert!(
        collection(&report).1.contains("at work or waits already"),
        "{report}"
    );
    assert_eq!(
        (started(&sandbox), &report["undo"]["possible"]),
        (0, &json!(false))
    );
    sandbox
        .harbor()
        .finish_collection(first, CollectionStatus::Success);
    let waiting = run(&place, "--collect-garbage=every-run").await.exits(4).json();
    assert_eq!(collection(&waiting).0, "not_started");
    sandbox
        .harbor()
        .finish_collection(second, CollectionStatus::Stopped);
    let report = run(&place, "--collect-garbage=every-run").await.exits(0).json();
    assert_eq!(collection(&report).0, "started");
}

#[tokio::test]
async fn an_account_that_may_not_start_a_collection_gets_one_line_that_says_what_it_lacks() {
    let robot = || Account::robot(ROBOT, SECRET).may("*", &EVERYTHING);
    for (account, lacks, sent) in [
        (
            robot().may_in_system(&LOOK),
            "`garbage-collection:create` of the system",
            1,
        ),
        (robot(), "`garbage-collection:list` of the system", 0),
    ] {
        let sandbox = start(HarborVersion::V2_15, account).await;
        candidates(&sandbox, "team/app", 5);
        let place = configured(&sandbox, PRERELEASES);
        let report = run(&place, "--collect-garbage").await.exits(4).json();
        assert_eq!(outcomes(&report), json!({"deleted": 3}));
        assert_eq!(collection(&report).0, "not_started");
        assert!(collection(&report).1.contains(lacks), "{report}");
        assert_eq!(started(&sandbox), sent);
        assert_eq!(report["undo"]["possible"], true);
        assert_eq!(
            outcomes(&undo(&place, "last --yes", 0).await),
            json!({"restored": 3})
        );
        let text = place
            .run("apply --yes --collect-garbage=every-run")
            .await
            .exits(4)
            .stdout;
        assert_eq!(text.matches(lacks).count(), 1, "{text}");
    }
}

#[tokio::test]
async fn read_only_mode_and_an_answer_that_is_lost_are_told_apart() {
    let sandbox = start(HarborVersion::V2_11, collector()).await;
    candidates(&sandbox, "team/app", 2);
    let place = configured(&sandbox, PRERELEASES);
    sandbox.harbor().set_read_only(true);
    let report = run(&place, "--collect-garbage=every-run").await.exits(4).json();
    assert_eq!(collection(&report).0, "not_started");
    assert!(collection(&report).1.contains("read-only mode"), "{report}");
    sandbox.harbor().set_read_only(false);
    candidates(&sandbox, "team/app", 3);
    // After the two questions of the plan, and the look at what is at work.
    let lost = Fault::new(Effect::ReplyLost).on(RequestKind::ApiCollection);
    sandbox.faults().push(lost.nth(4));
    let report = run(&place, "--collect-garbage").await.exits(4).json();
    assert_eq!(outcomes(&report), json!({"deleted": 1}));
    assert_eq!(collection(&report).0, "in_doubt", "{report}");
    assert_eq!(report["undo"]["possible"], false);
    // Once, whatever came of it.
    assert_eq!(started(&sandbox), 2);
    let run = report["run"].as_str().unwrap();
    let shown = place
        .run(&format!("journal show {run} --format json"))
        .await
        .exits(0)
        .json();
    assert_eq!(shown["collected"]["since"], true);
}

#[tokio::test]
async fn until_when_a_deletion_can_be_undone_is_what_harbors_schedule_says() {
    let sandbox = harbor().await;
    let place = configured(&sandbox, PRERELEASES);
    let none = undo_of_plan(&place).await;
    assert_eq!((&none["possible"], &none["until"]), (&json!(true), &Value::Null));
    assert!(
        none["why"].as_str().unwrap().contains("none is scheduled"),
        "{none}"
    );
    for (kind, cron, seconds) in [
        ("Hourly", "0 0 * * * *", 3_000),
        ("Daily", "0 0 0 * * *", 50_000),
        ("Weekly", "0 0 0 * * 0", 500_000),
        ("Custom", "0 30 2 1 * *", 1_500_000),
    ] {
        let next = now() + seconds;
        sandbox
            .harbor()
            .schedule_collections(Some(CollectionSchedule::new(kind, cron, next)));
        let undo = undo_of_plan(&place).await;
        assert_eq!(undo["until"], rfc3339(next), "{kind}");
        assert!(undo["why"].as_str().unwrap().contains(cron), "{undo}");
    }
    // Where Harbor leaves the time out, its expression is read: seconds first, in UTC.
    let custom = CollectionSchedule::new("Custom", "30 15 4 29 2 *", Moment::YEAR_ONE);
    sandbox.harbor().schedule_collections(Some(custom));
    let report = run(&place, "").await.exits(0).json();
    assert_eq!(report["undo"]["until"], "2028-02-29T04:15:30Z");
    let run = report["run"].as_str().unwrap();
    let shown = place
        .run(&format!("journal show {run} --format json"))
        .await
        .exits(0)
        .json();
    assert_eq!(shown["undo"]["until"], "2028-02-29T04:15:30Z");
    assert_eq!(
        shown["collected"],
        json!({"since": null, "why": "the registry was not asked"})
    );
    let until: Vec<_> = shown["actions"].as_array().unwrap().iter().collect();
    assert!(
        until
            .iter()
            .all(|action| action["undo_until"] == "2028-02-29T04:15:30Z")
    );
    let listed = place.run("journal list").await.exits(0).stdout;
    assert!(listed.contains("2028-02-29T04:15:30Z"), "{listed}");
}

#[tokio::test]
async fn an_account_that_may_not_ask_leaves_the_time_unknown_and_nothing_else() {
    let robot = Account::robot(ROBOT, SECRET).may("*", &EVERYTHING);
    let sandbox = start(HarborVersion::V2_15, robot).await;
    candidates(&sandbox, "team/app", 5);
    let place = configured(&sandbox, PRERELEASES);
    let undo = undo_of_plan(&place).await;
    assert_eq!((&undo["possible"], &undo["until"]), (&json!(true), &Value::Null));
    let why = undo["why"].as_str().unwrap();
    assert!(why.contains("`garbage-collection:read`"), "{why}");
    assert!(
        why.contains("whether it is being collected now is not told"),
        "{why}"
    );
    let report = run(&place, "").await.exits(0).json();
    assert_eq!(report["undo"]["until"], Value::Null);
    assert!(
        report["undo"]["why"]
            .as_str()
            .unwrap()
            .contains("`garbage-collection:read`")
    );
}

#[tokio::test]
async fn a_collection_that_somebody_else_started_since_is_noticed() {
    let sandbox = harbor().await;
    let steer = sandbox.harbor();
    // One that was over before is none that matters.
    let before = steer.start_collection(false);
    steer.finish_collection(before, CollectionStatus::Success);
    let place = configured(&sandbox, PRERELEASES);
    let report = run(&place, "").await.exits(0).json();
    let run = report["run"].as_str().unwrap();
    let looked = undo(&place, &format!("{run} --dry-run"), 0).await;
    assert_eq!(looked["collected"], json!({"since": false, "why": null}));
    let since = steer.start_collection(false);
    let looked = undo(&place, &format!("{run} --dry-run"), 0).await;
    assert_eq!(looked["collected"]["since"], true);
    let why = looked["collected"]["why"].as_str().unwrap();
    assert!(why.contains(&format!("collection {since}, running")), "{why}");
    // The journal knows of it as soon as a run has seen that it is over.
    let show = format!("journal show {run} --format json");
    assert_eq!(
        place.run(&show).await.exits(0).json()["collected"]["since"],
        Value::Null
    );
    // Looked at, blobs are spared for two hours.
    steer.set_now(now() + 3 * 3_600);
    steer.finish_collection(since, CollectionStatus::Success);
    let undone = undo(&place, &format!("{run} --yes"), 4).await;
    assert_eq!(outcomes(&undone), json!({"unrecoverable": 3}));
    assert_eq!(place.run(&show).await.exits(0).json()["collected"]["since"], true);
}

#[tokio::test]
async fn untagged_artifacts_go_only_where_that_was_said() {
    for (arguments, said) in [
        ("--collect-garbage", false),
        ("--collect-garbage --collect-untagged", true),
    ] {
        let sandbox = harbor().await;
        let untagged = sandbox.put("team/app", &lagan_sandbox::Image::new(Moment::date(2026, 1, 1)));
        let place = configured(&sandbox, PRERELEASES);
        let report = run(&place, arguments).await.exits(0).json();
        assert_eq!(report["collection"]["delete_untagged"], said);
        let id = report["collection"]["id"].as_i64().unwrap();
        sandbox.harbor().finish_collection(id, CollectionStatus::Success);
        assert_eq!(sandbox.manifest("team/app", &untagged).is_none(), said);
    }
}

#[tokio::test]
async fn a_plan_costs_two_requests_for_collections_whatever_it_plans() {
    for repositories in [1, 40] {
        let sandbox = start(HarborVersion::V2_15, collector()).await;
        for number in 0..repositories {
            candidates(&sandbox, &format!("team/app-{number}"), 3);
        }
        let place = configured(&sandbox, PRERELEASES);
        sandbox.log().clear();
        let plan = place.run("plan --format json").await.exits(0).json();
        assert_eq!(sandbox.log().counts().of(RequestKind::ApiCollection), 2);
        assert_eq!(plan["requests"]["by_kind"]["collections"], 2);
        sandbox.log().clear();
        run(&place, "--collect-garbage").await.exits(0);
        // What is at work, before the run and after it; when the next is due; the start, and a look at it.
        assert_eq!(sandbox.log().counts().of(RequestKind::ApiCollection), 5);
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_told_refuses_before_anything_is_deleted() {
    let sandbox = crate::start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    let line = format!(
        "apply --registry {} --yes {} --collect-garbage",
        sandbox.url(),
        crate::TWO
    );
    let run = place.run(&line).await.exits(2);
    assert!(run.stderr.contains("only a Harbor"), "{}", run.stderr);
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 0);
}
