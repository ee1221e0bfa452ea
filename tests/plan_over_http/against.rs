//! `plan --compare-with harbor`, and `policy convert` of what a Harbor itself answers.

use lagan_sandbox::harbor::{Account, ImmutableRule, RetentionRule};
use lagan_sandbox::{HarborOptions, HarborVersion, Image, Moment, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::start;
use crate::support::{Place, Run};

const SECRET: &str = "s3cret-of-the-robot";
const ROBOT: &str = "robot$lagan";
const NOW: &str = "2026-07-01T00:00:00Z";

const READER: [(&str, &str); 7] = [
    ("project", "read"),
    ("repository", "list"),
    ("artifact", "list"),
    ("artifact", "read"),
    ("tag", "list"),
    ("accessory", "list"),
    ("immutable-tag", "list"),
];

async fn harbor(version: HarborVersion, reads_retention: bool) -> Sandbox {
    let mut robot = Account::robot(ROBOT, SECRET).may("*", &READER);
    if reads_retention {
        robot = robot.may("*", &[("tag-retention", "read")]);
    }
    let options = HarborOptions::default().version(version).account(robot);
    start(SandboxOptions::default().harbor(options)).await
}

/// Candidates of a release, the highest version pushed first.
fn candidates(sandbox: &Sandbox, repository: &str) {
    for number in 1..=4 {
        let tag = format!("1.0.0-rc.{number}");
        sandbox.put_image(repository, &[&tag], Moment::date(2026, 1, 10 - number));
    }
}

const BY_VERSION: &str = "{select: {channel: prerelease}, keep: {last: 2, by: version}}";

fn configured(sandbox: &Sandbox, rule: &str) -> Place {
    let place = Place::new();
    place.file("secret", SECRET);
    place.file(
        "lagan.yaml",
        format!(
            "registries:\n  harbor:\n    url: {}\n    credentials: {{username: '{ROBOT}', password_file: secret}}\n\
             policies:\n  cleanup:\n    repositories: ['*/**']\n    rules: [{rule}]\n",
            sandbox.url()
        ),
    );
    place
}

async fn compare(place: &Place, more: &str) -> Run {
    let line = format!("plan --compare-with harbor --format json --now {NOW} {more}");
    place.run(&line).await
}

/// The tags of the artifacts of a repository about which the two differ in this way.
fn differing(document: &Value, repository: &str, difference: &str) -> Vec<String> {
    let all = document["repositories"].as_array().unwrap();
    let found = all.iter().find(|found| found["name"] == repository);
    let artifacts = found.map_or(&[][..], |found| found["artifacts"].as_array().unwrap());
    artifacts
        .iter()
        .filter(|artifact| artifact["difference"] == difference)
        .flat_map(|artifact| artifact["tags"].as_array().unwrap())
        .map(|tag| tag.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_artifact_that_only_one_of_them_deletes_is_named_with_the_reasons_of_both() {
    for version in HarborVersion::ALL {
        let sandbox = harbor(version, true).await;
        candidates(&sandbox, "team/app");
        sandbox.put_image("team/app", &["latest"], Moment::date(2026, 6, 1));
        let rule = RetentionRule::new("latestPushedK", Some(3));
        sandbox.harbor().retention("team", vec![rule.repositories("app")]);
        let place = configured(&sandbox, BY_VERSION);
        sandbox.log().clear();
        let document = compare(&place, "").await.exits(0).json();
        // Kept by Harbor: latest, rc.1 and rc.2, which were pushed last. By the policy: latest, rc.3 and rc.4.
        let of = |difference| differing(&document, "team/app", difference);
        assert_eq!(
            of("registry_deletes"),
            ["1.0.0-rc.3", "1.0.0-rc.4"],
            "{version:?}"
        );
        assert_eq!(of("plan_deletes"), ["1.0.0-rc.1", "1.0.0-rc.2"]);
        assert_eq!(
            document["totals"],
            serde_json::json!({"repositories": 1, "incomplete_repositories": 0, "same": 1, "registry_deletes": 2,
                               "plan_deletes": 2, "unknown": 0})
        );
        let first = &document["repositories"][0]["artifacts"][0];
        assert_eq!(
            first["registry"],
            serde_json::json!({"verdict": "deleted", "why":
                "no rule retains it: rule 1 (latestPushedK 3): number 4 of 5 by when they were pushed"})
        );
        assert_eq!(first["plan"]["verdict"], "kept");
        assert_eq!(first["plan"]["tags"][0]["reasons"][0]["kind"], "rank");
        let log = sandbox.log();
        assert!(log.entries().iter().all(|entry| entry.method == "GET"));
        for (format, words) in [
            ("text", "harbor deletes  1.0.0-rc.3"),
            ("markdown", "| **lagan deletes** | `1.0.0-rc.1` |"),
        ] {
            let line = format!("plan --compare-with harbor --format {format} --now {NOW}");
            let text = place.run(&line).await.exits(0).stdout;
            assert!(text.contains(words), "{text}");
            assert!(text.contains("deletes 2 artifacts"), "{text}");
        }
    }
}

#[tokio::test]
async fn where_harbor_has_no_retention_only_the_plan_deletes_and_what_cannot_be_read_is_not_known() {
    for reads_retention in [true, false] {
        let sandbox = harbor(HarborVersion::default(), reads_retention).await;
        candidates(&sandbox, "free/app");
        candidates(&sandbox, "team/app");
        candidates(&sandbox, "team/web");
        let rule = RetentionRule::new("always", None);
        sandbox.harbor().retention("team", vec![rule.repositories("app")]);
        let document = compare(&configured(&sandbox, BY_VERSION), "")
            .await
            .exits(0)
            .json();
        let gone = ["1.0.0-rc.1", "1.0.0-rc.2"];
        assert_eq!(differing(&document, "free/app", "plan_deletes"), gone);
        let (known, unknown) = match reads_retention {
            true => (&gone[..], 0),
            false => (&[][..], 4),
        };
        for repository in ["team/app", "team/web"] {
            assert_eq!(
                differing(&document, repository, "plan_deletes"),
                known,
                "{repository}"
            );
            assert_eq!(
                differing(&document, repository, "unknown").len(),
                unknown,
                "{repository}"
            );
        }
        assert_eq!(
            document
                .to_string()
                .contains("`tag-retention:read` in project team"),
            !reads_retention
        );
    }
}

#[tokio::test]
async fn a_tag_that_is_taken_off_and_an_immutable_one_are_told_as_they_are() {
    let sandbox = harbor(HarborVersion::default(), true).await;
    let image = Image::new(Moment::date(2026, 1, 1)).tag("1.0.0-rc.1").tag("prod");
    sandbox.put("team/app", &image);
    sandbox.put_image("team/app", &["1.0.0-rc.2"], Moment::date(2026, 1, 2));
    sandbox.put_image("team/app", &["1.0.0-rc.3"], Moment::date(2026, 1, 3));
    sandbox
        .harbor()
        .immutable("team", ImmutableRule::new("**", "1.0.0-rc.2"));
    let rule = RetentionRule::new("latestPushedK", Some(1));
    sandbox.harbor().retention("team", vec![rule]);
    let rule = "{select: {channel: prerelease}, keep: {last: 1, by: version}}";
    let document = compare(&configured(&sandbox, rule), "").await.exits(0).json();
    let artifacts = document["repositories"][0]["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 1, "{document:#}");
    assert_eq!(artifacts[0]["difference"], "registry_deletes");
    assert_eq!(artifacts[0]["plan"]["verdict"], "untagged");
    let verdicts: Vec<_> = artifacts[0]["plan"]["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| (tag["tag"].as_str().unwrap(), tag["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("1.0.0-rc.1", "untagged"), ("prod", "kept")]);
}

#[tokio::test]
async fn retention_that_harbor_answers_is_converted_and_then_decides_the_same() {
    let sandbox = harbor(HarborVersion::default(), true).await;
    for repository in ["team/app", "team/nested/web"] {
        candidates(&sandbox, repository);
        sandbox.put_image(repository, &["release-1", "x"], Moment::date(2025, 1, 1));
    }
    let rules = vec![
        RetentionRule::new("latestPushedK", Some(2)).tagged_only(),
        RetentionRule::new("always", None).tags("release-*").tagged_only(),
    ];
    sandbox.harbor().retention("team", rules);
    let place = configured(&sandbox, BY_VERSION);
    for from in [sandbox.url(), "--registry harbor".to_owned()] {
        let who = if from.contains("://") {
            format!(" --username '{ROBOT}' --password-file secret")
        } else {
            String::new()
        };
        let line = format!("policy convert {from}{who} --attached-to team --out team.yaml");
        place.run(&line).await.exits(0);
        place.run("check team.yaml").await.exits(0);
        let text = std::fs::read_to_string(place.path().join("team.yaml")).unwrap();
        assert!(
            text.contains("repositories: ['team/**']") && text.contains("last: 2"),
            "{text}"
        );
    }
    // In a place without other policies, which would keep as well.
    std::fs::write(
        place.path().join("lagan.yaml"),
        format!(
            "registries:\n  harbor:\n    url: {}\n    credentials: {{username: '{ROBOT}', password_file: secret}}\n",
            sandbox.url()
        ),
    )
    .unwrap();
    let document = compare(&place, "--policy-file team.yaml").await.exits(0).json();
    assert_eq!(document["repositories"], serde_json::json!([]), "{document:#}");
    assert_eq!(document["totals"]["same"], 10);
    let plan = place
        .run(&format!("plan --policy-file team.yaml --format json --now {NOW}"))
        .await
        .exits(0)
        .json();
    assert_eq!(
        plan["totals"]["delete_artifacts"], 4,
        "there is something to agree about"
    );
}

#[tokio::test]
async fn what_cannot_be_compared_or_converted_is_refused() {
    let plain = start(SandboxOptions::default()).await;
    candidates(&plain, "team/app");
    let sandbox = harbor(HarborVersion::default(), true).await;
    candidates(&sandbox, "team/app");
    let place = configured(&sandbox, BY_VERSION);
    place.file("old.json", "{}");
    let plan = "plan --compare-with harbor";
    for (line, words) in [
        (format!("{plan} --format csv"), "text, markdown and json"),
        (format!("{plan} --group-by rule"), "do not go together"),
        (format!("{plan} --compare old.json"), "cannot be used with"),
        (
            format!(
                "{plan} --registry {} --select channel=prerelease --keep last=1,by=version",
                plain.url()
            ),
            "no Harbor",
        ),
        ("policy convert --registry harbor".to_owned(), "--attached-to"),
        (
            "policy convert --registry harbor --attached-to team".to_owned(),
            "has no retention policy",
        ),
        (
            format!("policy convert {} --attached-to team", plain.url()),
            "no Harbor",
        ),
        (
            "policy convert --registry harbor --from ecr --attached-to team".to_owned(),
            "only a Harbor",
        ),
        ("policy convert".to_owned(), "required"),
    ] {
        let run = place.run(&line).await.exits(2);
        assert!(run.stderr.contains(words), "{line}: {}", run.stderr);
        assert!(run.stdout.is_empty());
    }
}
