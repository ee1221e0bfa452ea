//! A Harbor in each state.

use lagan_sandbox::harbor::{
    Account, CollectionSchedule, CollectionStatus, ImmutableRule, Project, Replication, ReplicationTrigger,
    RetentionRule, Role,
};
use lagan_sandbox::{Fault, HarborOptions, HarborVersion, Moment, RequestKind, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::{Place, Run};
use crate::{counting, of, says};

const SECRET: &str = "s3cret-of-the-robot";
const ROBOT: &str = "robot$lagan";

/// What planning, deleting and undoing take of a project.
const ALL: [(&str, &str); 14] = [
    ("project", "read"),
    ("repository", "list"),
    ("repository", "pull"),
    ("repository", "push"),
    ("artifact", "list"),
    ("artifact", "read"),
    ("artifact", "delete"),
    ("label", "list"),
    ("artifact-label", "create"),
    ("tag", "list"),
    ("tag", "create"),
    ("tag", "delete"),
    ("accessory", "list"),
    ("immutable-tag", "list"),
];
const SYSTEM: [(&str, &str); 3] = [
    ("garbage-collection", "list"),
    ("garbage-collection", "read"),
    ("replication-policy", "list"),
];

const PRERELEASES: &str = "{select: {channel: prerelease}, keep: {last: 2, by: version}}";

/// A robot that may do all that is needed in the project `team`.
fn able() -> Account {
    Account::robot(ROBOT, SECRET)
        .may("team", &ALL)
        .may("team", &[("tag-retention", "read")])
        .may_in_system(&SYSTEM)
}

async fn start(options: HarborOptions) -> Sandbox {
    let sandbox = Sandbox::start(SandboxOptions::default().harbor(options))
        .await
        .unwrap();
    sandbox.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 1, 1));
    sandbox
}

async fn with(account: Account) -> Sandbox {
    start(HarborOptions::default().account(account)).await
}

/// A configuration with one policy for what is in `team`.
fn configured(sandbox: &Sandbox, mode: &str, rule: &str) -> Place {
    let place = Place::new();
    place.file("secret", SECRET);
    place.file(
        "lagan.yaml",
        format!(
            "registries:\n  harbor:\n    url: {}\n    credentials: {{username: '{ROBOT}', password_file: secret}}\n\
             policies:\n  cleanup:\n    mode: {mode}\n    repositories: ['team/**']\n    rules: [{rule}]\n",
            sandbox.url()
        ),
    );
    place
}

async fn doctor(sandbox: &Sandbox) -> Run {
    configured(sandbox, "enforce", PRERELEASES)
        .run("doctor --format json")
        .await
}

#[tokio::test]
async fn a_harbor_that_is_ready_is_said_to_be_and_is_only_read() {
    for version in HarborVersion::ALL {
        let sandbox = start(HarborOptions::default().version(version).account(able())).await;
        let run = doctor(&sandbox).await.exits(0);
        let document = run.json();
        assert_eq!(counting(&document), [], "{version:?}");
        says(&document, "version", "ok", version.text());
        says(&document, "account", "ok", "robot$lagan, a robot");
        says(
            &document,
            "permissions",
            "ok",
            "may plan, soft-delete, delete, undo in team",
        );
        says(&document, "read-only", "ok", "takes changes");
        says(&document, "collections", "ok", "no collection is scheduled");
        says(&document, "retention", "ok", "no retention");
        says(&document, "replication", "ok", "no deletion");
        says(&document, "clock", "ok", "agrees");
        assert_eq!(document["for"], serde_json::json!(["plan", "delete", "undo"]));
        let log = sandbox.log();
        let reads = log.entries().iter().all(|entry| entry.method == "GET");
        assert!(reads, "{:?}", log.entries());
        // One more: the look at the front, which is nobody's.
        let total = document["requests"]["total"].as_u64().unwrap();
        assert_eq!(log.counts().total(), total + 1);
        assert_eq!(log.counts().of(RequestKind::ManifestGet), 0);
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_and_the_robot_that_is_printed_mends_it() {
    for version in HarborVersion::ALL {
        for missing in [
            ("tag", "delete"),
            ("artifact", "delete"),
            ("repository", "push"),
            ("immutable-tag", "list"),
        ] {
            let access: Vec<_> = ALL.into_iter().filter(|pair| *pair != missing).collect();
            let robot = Account::robot(ROBOT, SECRET)
                .may("team", &access)
                .may("team", &[("tag-retention", "read")])
                .may_in_system(&SYSTEM);
            let sandbox = start(HarborOptions::default().version(version).account(robot)).await;
            let place = configured(&sandbox, "enforce", PRERELEASES);
            let document = place.run("doctor --format json").await.exits(4).json();
            let name = format!("`{}:{}`", missing.0, missing.1);
            let found = of(&document, "permissions");
            assert_eq!(
                found,
                [("warning", &*format!("the account lacks {name}"))],
                "{version:?}"
            );

            // An administrator makes the robot that the report has.
            let printed = place.run("doctor --print-robot").await.exits(0).json();
            assert_eq!(printed, document["robot"]);
            let made = make(&sandbox, &printed).await;
            place.file("secret", made["secret"].as_str().unwrap());
            let text = std::fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
            let text = text.replace(ROBOT, made["name"].as_str().unwrap());
            place.file("lagan.yaml", text);
            let document = place.run("doctor --format json").await.exits(0).json();
            says(
                &document,
                "permissions",
                "ok",
                "may plan, soft-delete, delete, undo in team",
            );
            place.run("plan").await.exits(0);
        }
    }
}

/// Makes a robot by a payload, under another name.
async fn make(sandbox: &Sandbox, payload: &Value) -> Value {
    lagan_registry::install_crypto_provider();
    let mut payload = payload.clone();
    payload["name"] = "made".into();
    let answer = reqwest::Client::new()
        .post(format!("{}/api/v2.0/robots", sandbox.url()))
        .basic_auth(HarborOptions::ADMIN, Some(HarborOptions::PASSWORD))
        .json(&payload)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201, "{payload}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_plan_takes_less_and_a_robot_for_it_is_the_project_s_own() {
    let reader: Vec<_> = ALL
        .into_iter()
        .filter(|(_, action)| !matches!(*action, "delete" | "create" | "push" | "pull"))
        .collect();
    let sandbox = with(Account::robot(ROBOT, SECRET).may("team", &reader)).await;
    let place = configured(&sandbox, "dry-run", PRERELEASES);
    let document = place.run("doctor --format json").await.exits(0).json();
    says(
        &document,
        "permissions",
        "ok",
        "may plan, and not soft-delete, delete, undo in team",
    );
    // What it may not see is not said to be fine.
    says(&document, "collections", "unknown", "is not told");
    says(&document, "replication", "unknown", "is not told");
    says(&document, "retention", "ok", "no retention");
    let robot = &document["robot"];
    assert_eq!(robot["level"], "project");
    assert_eq!(robot["permissions"].as_array().unwrap().len(), 1);
    // The same account for deleting: what is missing, and what is not known, counts.
    let more = place
        .run("doctor --format json --for delete --for undo --for collect")
        .await
        .exits(4)
        .json();
    says(
        &more,
        "permissions",
        "warning",
        "`tag:delete`, `artifact:delete`, `repository:pull`, `tag:create`",
    );
    says(&more, "permissions", "unknown", "start collections");
    let checks: Vec<_> = counting(&more).into_iter().map(|(check, _)| check).collect();
    assert!(checks.contains(&"collections".to_owned()) && checks.contains(&"replication".to_owned()));
    let access = more["robot"]["permissions"][1].clone();
    assert_eq!(
        (&access["kind"], &access["namespace"]),
        (&"system".into(), &"/".into())
    );
}

#[tokio::test]
async fn read_only_mode_is_a_warning() {
    let sandbox = with(able()).await;
    sandbox.harbor().set_read_only(true);
    says(
        &doctor(&sandbox).await.exits(4).json(),
        "read-only",
        "warning",
        "read-only mode",
    );
}

#[tokio::test]
async fn an_account_that_harbor_does_not_know_ends_it_and_is_not_taken_for_anybody() {
    let expired = able().expires(Moment::date(2026, 6, 30));
    for account in [expired, able().disabled(), Account::robot("robot$other", SECRET)] {
        let sandbox = with(account).await;
        // Something that anybody may see is there.
        sandbox.harbor().project(&Project::new("team").public());
        let run = doctor(&sandbox).await.exits(1);
        let document = run.json();
        says(
            &document,
            "account",
            "failed",
            "takes the credentials for nobody's",
        );
        assert!(run.stdout.contains("expired"), "{}", run.stdout);
        assert_eq!(of(&document, "permissions"), []);
        assert!(!run.said().contains(SECRET));
    }
}

#[tokio::test]
async fn without_credentials_only_what_is_public_is_said_to_be_readable() {
    let sandbox = with(able()).await;
    sandbox.harbor().project(&Project::new("team").public());
    let line = format!("doctor --format json --registry {}", sandbox.url());
    let document = Place::new()
        .run(&format!("{line} 'team/**'"))
        .await
        .exits(4)
        .json();
    says(&document, "account", "note", "nobody");
    says(&document, "version", "unknown", "signed in");
    says(&document, "permissions", "warning", "lacks `immutable-tag:list`");
    let private = Place::new()
        .run(&format!("{line} 'hidden/**'"))
        .await
        .exits(4)
        .json();
    says(&private, "permissions", "warning", "projects/hidden");
}

#[tokio::test]
async fn a_collection_at_work_is_a_warning_and_one_that_has_ended_is_not() {
    let sandbox = with(able()).await;
    let id = sandbox.harbor().start_collection(false);
    let document = doctor(&sandbox).await.exits(4).json();
    says(
        &document,
        "collections",
        "warning",
        &format!("run {id} is running since 2026-07-01"),
    );
    sandbox.harbor().finish_collection(id, CollectionStatus::Success);
    let document = doctor(&sandbox).await.exits(0).json();
    says(
        &document,
        "collections",
        "ok",
        "no garbage is being collected now",
    );
}

#[tokio::test]
async fn a_schedule_says_until_when_undo_is_possible_and_delete_untagged_is_a_warning() {
    let sandbox = with(able()).await;
    let schedule = || CollectionSchedule::new("Daily", "0 0 3 * * *", Moment::date(2026, 7, 2));
    sandbox.harbor().schedule_collections(Some(schedule()));
    let document = doctor(&sandbox).await.exits(0).json();
    says(
        &document,
        "collections",
        "note",
        "daily (0 0 3 * * *), next at 2026-07-02",
    );
    sandbox
        .harbor()
        .schedule_collections(Some(schedule().delete_untagged()));
    let document = doctor(&sandbox).await.exits(4).json();
    says(&document, "collections", "warning", "`delete_untagged`");
}

#[tokio::test]
async fn retention_of_harbor_s_own_is_a_warning_where_it_runs_and_a_policy_decides_too() {
    let rule = || RetentionRule::new("latestPushedK", Some(10));
    for (rule, cron, level) in [
        (rule().repositories("app*"), "0 0 0 * * *", "warning"),
        (rule(), "0 0 0 * * *", "warning"),
        (rule().repositories("app*"), "", "note"),
        (rule().repositories("app*").disabled(), "0 0 0 * * *", "ok"),
        (rule().repositories("{a/b,c}"), "0 0 0 * * *", "warning"),
    ] {
        let sandbox = with(able()).await;
        let shown = format!("{rule:?} {cron}");
        let id = sandbox.harbor().retention("team", vec![rule]);
        sandbox.harbor().schedule_retention(id, cron);
        let exit = if level == "warning" { 4 } else { 0 };
        let document = doctor(&sandbox).await.exits(exit).json();
        let found = of(&document, "retention");
        assert_eq!((found.len(), found[0].0), (1, level), "{shown}: {found:?}");
        if level == "warning" {
            assert!(found[0].1.contains("policy cleanup decides"), "{found:?}");
        }
    }
    // Repositories that no policy names.
    let sandbox = with(able()).await;
    let id = sandbox
        .harbor()
        .retention("team", vec![rule().repositories("web")]);
    sandbox.harbor().schedule_retention(id, "0 0 0 * * *");
    let place = configured(&sandbox, "enforce", PRERELEASES);
    let text = std::fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
    place.file("lagan.yaml", text.replace("team/**", "team/app"));
    let document = place.run("doctor --format json").await.exits(0).json();
    says(&document, "retention", "ok", "no retention");
}

#[tokio::test]
async fn an_immutable_rule_over_what_a_policy_selects_is_noted_and_one_beside_it_is_not() {
    for (repositories, tags, noted) in [
        ("**", "1.*", true),
        ("app", "**", true),
        ("**", "latest", false),
        ("{a/b,c}", "**", true),
    ] {
        let sandbox = with(able()).await;
        sandbox
            .harbor()
            .immutable("team", ImmutableRule::new(repositories, tags));
        let document = doctor(&sandbox).await.exits(0).json();
        let level = if noted { "note" } else { "ok" };
        let found = of(&document, "immutable");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, level, "{repositories} {tags}: {found:?}");
    }
}

#[tokio::test]
async fn replication_that_copies_deletions_of_what_a_policy_decides_is_a_warning() {
    let replication = |pattern, trigger| Replication::new("mirror all", pattern, trigger);
    for (replication, expected) in [
        (
            replication("team/**", ReplicationTrigger::EventBased).deletions(),
            &["warning"][..],
        ),
        (
            replication("", ReplicationTrigger::EventBased).deletions(),
            &["warning"],
        ),
        (
            replication("other/**", ReplicationTrigger::EventBased).deletions(),
            &["ok"],
        ),
        // What is put back is a push.
        (
            replication("team/**", ReplicationTrigger::EventBased),
            &["note", "ok"],
        ),
        (
            replication("team/**", ReplicationTrigger::Scheduled).deletions(),
            &["ok"],
        ),
        (
            replication("team/**", ReplicationTrigger::EventBased)
                .deletions()
                .disabled(),
            &["ok"],
        ),
    ] {
        let sandbox = with(able()).await;
        let shown = format!("{replication:?}");
        sandbox.harbor().replication(replication);
        let exit = if expected == ["warning"] { 4 } else { 0 };
        let document = doctor(&sandbox).await.exits(exit).json();
        let found = of(&document, "replication");
        let levels: Vec<_> = found.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, expected, "{shown}: {found:?}");
    }
}

#[tokio::test]
async fn a_cache_of_another_registry_is_told() {
    let sandbox = with(able()).await;
    sandbox.harbor().project(&Project::new("team").proxy_cache(3));
    let document = doctor(&sandbox).await.exits(0).json();
    says(&document, "proxy-cache", "note", "left alone");
}

#[tokio::test]
async fn people_are_told_apart_from_robots_and_their_roles_count() {
    let developer = Account::user("ann", SECRET).role("team", Role::Developer);
    let maintainer = Account::user("ann", SECRET).role("team", Role::Maintainer);
    let admin = Account::admin("ann", SECRET);
    for (account, exit, check, level, words) in [
        (
            developer,
            4,
            "permissions",
            "warning",
            "`tag:delete`, `artifact:delete`",
        ),
        (maintainer, 4, "account", "ok", "ann, a user"),
        (admin, 0, "account", "note", "ann, an administrator"),
    ] {
        let sandbox = with(account).await;
        let place = configured(&sandbox, "enforce", PRERELEASES);
        let text = std::fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
        place.file("lagan.yaml", text.replace(ROBOT, "ann"));
        let document = place.run("doctor --format json").await.exits(exit).json();
        says(&document, check, level, words);
    }
}

#[tokio::test]
async fn what_harbor_fails_to_answer_is_unknown_and_never_fine() {
    for (kind, check) in [
        (RequestKind::ApiCollection, "collections"),
        (RequestKind::ApiSystem, "replication"),
        (RequestKind::ApiAccount, "permissions"),
        (RequestKind::ApiRule, "immutable"),
    ] {
        let sandbox = with(able()).await;
        sandbox.faults().push(Fault::status(400).on(kind));
        let document = doctor(&sandbox).await.exits(4).json();
        let found = of(&document, check);
        assert!(
            !found.is_empty() && found.iter().all(|(level, _)| *level == "unknown"),
            "{check}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_listing_of_repositories_that_fails_is_said() {
    let sandbox = with(able()).await;
    sandbox
        .faults()
        .push(Fault::status(400).on(RequestKind::ApiRepositoryList));
    let document = doctor(&sandbox).await.exits(4).json();
    says(
        &document,
        "permissions",
        "unknown",
        "its repositories are not listed",
    );
}

#[tokio::test]
async fn every_policy_that_an_immutable_rule_may_cover_is_looked_at() {
    let sandbox = with(able()).await;
    sandbox
        .harbor()
        .immutable("team", ImmutableRule::new("**", "1.*"));
    let place = configured(
        &sandbox,
        "enforce",
        "{select: {tags: 'pr-*'}, keep: {last: 2, by: version}}",
    );
    let text = std::fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
    let second = "  second:\n    repositories: ['team/**']\n    rules: [{select: {channel: prerelease}, keep: {last: 2, by: version}}]\n";
    place.file("lagan.yaml", text + second);
    let document = place.run("doctor --format json").await.exits(0).json();
    says(&document, "immutable", "note", "policy second");
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_a_finding_like_others() {
    let sandbox = with(able()).await;
    let place = configured(&sandbox, "enforce", PRERELEASES);
    let text = std::fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
    let file = place.file("config.json", r#"{"auths": {}}"#);
    let start = text.find("credentials: {").unwrap();
    let end = start + text[start..].find('}').unwrap() + 1;
    let other = format!("credentials: {{docker_config: {}}}", file.display());
    place.file("lagan.yaml", format!("{}{other}{}", &text[..start], &text[end..]));
    let document = place.run("doctor --format json").await.exits(1).json();
    assert_eq!(of(&document, "account")[0].0, "failed", "{document:#}");
    assert_eq!(of(&document, "name")[0].0, "ok");
}

#[tokio::test]
async fn a_robot_for_projects_that_are_named_is_printed_without_asking_anybody() {
    let place = Place::new();
    place.file(
        "lagan.yaml",
        "registries: {harbor: {url: 'https://harbor.invalid'}}\npolicies:\n  a:\n    repositories: ['team/**', 'web/app']\n    \
         rules: [{select: {channel: prerelease}, keep: {last: 2, by: version}}]\n",
    );
    let robot = place.run("doctor --print-robot").await.exits(0).json();
    let namespaces: Vec<_> = robot["permissions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|permission| permission["namespace"].as_str().unwrap())
        .collect();
    assert_eq!(namespaces, ["team", "web"]);
    assert_eq!(robot["level"], "system");
    let access: Vec<String> = robot["permissions"][0]["access"]
        .as_array()
        .unwrap()
        .iter()
        .map(|access| {
            format!(
                "{}:{}",
                access["resource"].as_str().unwrap(),
                access["action"].as_str().unwrap()
            )
        })
        .collect();
    assert!(
        access
            .iter()
            .all(|pair| !pair.ends_with(":delete") && !pair.ends_with(":create")),
        "{access:?}"
    );
}
