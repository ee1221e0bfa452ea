//! `plan --save`, and what reads such a plan without a registry.

use std::fs;

use lagan_sandbox::{Moment, Profile, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::{Place, kinds};
use crate::{TWO, candidates, start};

const CONFIG: &str = "
channels: {stable: [prod]}
policies:
  tidy:
    repositories: [\"team/**\"]
    rules:
      - name: two
        select: {channel: [prerelease]}
        keep: {last: 2, by: version, within: {created: 30d}}
    protect: [{tags: [\"1.0.0-rc.1\"], why: \"shipped to @somebody\"}]
  others:
    repositories: [\"team/app\"]
    rules: [{select: {tags: [\"*-rc.2\"]}, keep: all}]
";

async fn sandbox() -> Sandbox {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 6);
    candidates(&sandbox, "team/web", 3);
    sandbox.put_image("team/app", &["1.0.0-prod", "latest"], Moment::date(2026, 2, 1));
    sandbox
}

fn config(place: &Place, url: &str) {
    place.file(
        "lagan.yaml",
        format!("registries: {{here: {{url: \"{url}\"}}}}\n{CONFIG}"),
    );
}

/// A plan in `plan.json`, of a registry that is gone afterwards.
async fn saved(place: &Place) -> Value {
    let sandbox = sandbox().await;
    config(place, &sandbox.url());
    let line = "plan --policy tidy --now 2026-11-20T12:00:00Z --save plan.json --all --format json";
    let plan = place.run(line).await.exits(0).json();
    sandbox.shutdown().await.unwrap();
    plan
}

#[tokio::test]
async fn a_saved_plan_is_the_plan_with_policies_facts_and_a_checksum() {
    let place = Place::new();
    let shown = saved(&place).await;
    let text = fs::read_to_string(place.path().join("plan.json")).unwrap();
    let plan: Value = serde_json::from_str(&text).unwrap();
    for field in [
        "schema", "id", "created", "now", "registry", "guards", "totals", "requests",
    ] {
        assert_eq!(plan[field], shown[field], "{field}");
    }
    assert_eq!(plan["policies"][0]["asked"], true);
    assert_eq!(plan["policies"][1]["asked"], false);
    assert_eq!(plan["policies"][0]["policy"]["rules"][0]["keep"]["last"], 2);
    assert_eq!(plan["channels"]["stable"][0], "prod");
    let (saved, seen) = (&plan["repositories"][0], &shown["repositories"][0]);
    for field in ["name", "policies", "tags_total", "actions", "kept"] {
        assert_eq!(saved[field], seen[field], "{field}");
    }
    assert_eq!(saved["snapshot"]["tags"].as_array().unwrap().len(), 8);
    assert!(text.ends_with("\"}\n") && text[text.len() - 77..].starts_with("\"sha256\":\""));
    // Nothing is left beside it.
    let files: Vec<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
}

#[tokio::test]
async fn every_decision_of_a_saved_plan_is_made_again_without_the_registry() {
    let place = Place::new();
    let plan = saved(&place).await;
    let mut explained = 0;
    for repository in plan["repositories"].as_array().unwrap() {
        let name = repository["name"].as_str().unwrap();
        let mut tags: Vec<(String, &str, &Value)> = Vec::new();
        for kept in repository["kept"].as_array().unwrap() {
            tags.push((kept["tag"].as_str().unwrap().to_owned(), "kept", &kept["reasons"]));
        }
        for action in repository["actions"].as_array().unwrap() {
            for tag in action["tags"].as_array().unwrap() {
                tags.push((tag.as_str().unwrap().to_owned(), "deleted", &action["reasons"]));
            }
        }
        for (tag, verdict, reasons) in tags {
            let line = format!("explain {name}:{tag} --from plan.json --format json");
            let again = place.run(&line).await.exits(0).json();
            assert_eq!(again["verdict"], verdict, "{tag}");
            assert_eq!(&again["reasons"], reasons, "{tag}");
            assert_eq!(again["now"], plan["now"]);
            let expected = serde_json::json!({
                "plan": plan["id"], "created": plan["created"], "recorded": null, "others_differ": false,
            });
            assert_eq!(again["replayed"], expected);
            explained += 1;
        }
    }
    assert_eq!(explained, 11);
    let text = place
        .run("explain team/app:1.0.0-rc.1 --from plan.json")
        .await
        .exits(0)
        .stdout;
    for part in [
        "which recorded the same\n",
        "  policy tidy (dry-run)\n    rule two: keeps last 2 by version, within created 30d\n",
        "      would delete  beyond the last 2: rank 6 of 6 by version\n",
        "    protects        protected by \"1.0.0-rc.1\" of policy tidy: shipped to @somebody\n",
        "  policy others (dry-run, not asked for: it only keeps)\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The same content with a checksum that matches, as an editor with a hash function would make it.
fn resealed(place: &Place, name: &str, change: impl Fn(&str) -> String) {
    use lagan_report::saved::Sealed;
    use std::io::Write as _;
    let text = fs::read_to_string(place.path().join("plan.json")).unwrap();
    let body = change(&text[..text.len() - 77]);
    let mut out = Sealed::new(Vec::new());
    out.write_all(body.as_bytes()).unwrap();
    place.file(name, out.seal().unwrap());
}

#[tokio::test]
async fn a_decision_that_is_not_the_recorded_one_is_said_and_is_a_finding() {
    let place = Place::new();
    saved(&place).await;
    resealed(&place, "other.json", |text| {
        assert!(text.contains("\"rank\":5,\"of\":6"));
        text.replace("\"rank\":5,\"of\":6", "\"rank\":1,\"of\":6")
    });
    let run = place.run("explain team/app:1.0.0-rc.2 --from other.json").await;
    let differs = run.stdout.contains("  DIFFERS       plan ");
    assert!(run.code == 4 && differs, "{}", run.said());
    let run = place
        .run("explain team/app:1.0.0-rc.6 --from other.json")
        .await
        .exits(4);
    assert!(
        run.stdout
            .contains("  DIFFERS       other tags of this repository"),
        "{}",
        run.stdout
    );
    let run = place
        .run("explain team/web:1.0.0-rc.3 --from other.json --format json")
        .await;
    assert_eq!(run.exits(0).json()["replayed"]["others_differ"], false);
}

#[tokio::test]
async fn a_plan_that_is_not_as_it_was_written_is_refused_with_a_hint() {
    let place = Place::new();
    saved(&place).await;
    let text = fs::read_to_string(place.path().join("plan.json")).unwrap();
    place.file("cut.json", &text[..text.len() / 2]);
    place.file("edited.json", text.replace("1.0.0-rc.5", "1.0.0-rc.9"));
    place.file("newer.json", text.replace("plan/v1", "plan/v2"));
    place.file(
        "other.json",
        "{\"schema\":\"lagan.explain/v1\",\"registry\":{}}\n",
    );
    resealed(&place, "policy.json", |text| {
        text.replace("\"last\":2", "\"last\":3")
    });
    resealed(&place, "bad-policy.json", |text| {
        text.replace("\"last\":2", "\"last\":\"some\"")
    });
    for (file, said) in [
        ("cut.json", "no checksum at its end"),
        ("edited.json", "it was edited"),
        ("newer.json", "the format \"lagan.plan/v2\""),
        ("other.json", "this is no plan"),
        ("policy.json", "this version reads tidy as another policy"),
        ("bad-policy.json", "bad-policy.json:1:"),
        ("missing.json", "failed to read the plan missing.json"),
        (".", "no regular file"),
    ] {
        let run = place
            .run(&format!("explain team/app:latest --from {file}"))
            .await
            .exits(2);
        assert!(
            run.stderr.contains(said) && run.stdout.is_empty(),
            "{file}: {}",
            run.said()
        );
        let hinted = run.stderr.matches("hint: ").count();
        assert!(
            hinted == 1 || matches!(file, "missing.json" | "." | "bad-policy.json"),
            "{}",
            run.stderr
        );
    }
    for (what, said) in [
        ("team/app:none", "had no tag none"),
        ("team/none:1", "has no repository team/none"),
    ] {
        let run = place
            .run(&format!("explain {what} --from plan.json"))
            .await
            .exits(2);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_in_the_plan_and_cannot_be_explained() {
    let place = Place::new();
    let sandbox = sandbox().await;
    sandbox
        .faults()
        .push(lagan_sandbox::Fault::status(400).repository("team/web"));
    let line = format!("plan --registry {} {TWO} --save plan.json", sandbox.url());
    place.run(&line).await.exits(4);
    let run = place
        .run("explain team/web:1.0.0-rc.1 --from plan.json")
        .await
        .exits(4);
    assert!(
        run.stderr.contains("team/web could not be read completely"),
        "{}",
        run.stderr
    );
    let json = place
        .run("explain team/app:1.0.0-rc.1 --from plan.json --format json")
        .await
        .exits(0)
        .json();
    assert_eq!(kinds(&json["reasons"]), ["beyond_last"]);
}

#[tokio::test]
async fn a_plan_that_cannot_be_saved_contacts_nobody_and_a_report_that_fails_leaves_no_file() {
    let place = Place::new();
    let sandbox = sandbox().await;
    let line = |save: &str| format!("plan --registry {} {TWO} --save {save}", sandbox.url());
    for (save, said) in [
        ("no/such/plan.json", "No such file"),
        (".", "directory"),
        ("/dev/null", "no regular file"),
    ] {
        let run = place.run(&line(save)).await.exits(2);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    assert_eq!(sandbox.log().counts().total(), 0);
    let before = place.file("plan.json", "before");
    // No such repository: there is no plan.
    place
        .run(&format!("{} none/at/all", line("plan.json")))
        .await
        .exits(2);
    assert_eq!(fs::read(before).unwrap(), b"before");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_comparison_says_what_changed_in_registry_and_policy_since_a_plan() {
    let place = Place::new();
    let sandbox = sandbox().await;
    config(&place, &sandbox.url());
    place.run("plan --save old.json").await.exits(0);
    place
        .run("plan --all --format json --out plain.json")
        .await
        .exits(0);
    let same = place.run("plan --compare old.json").await.exits(0).stdout;
    assert!(
        same.contains("policies       the same\n\nIn all\n  newly deleted  0 tags\n"),
        "{same}"
    );

    sandbox.put_image("team/app", &["1.0.0-rc.7"], Moment::date(2026, 1, 7));
    sandbox.delete_tag("team/web", "1.0.0-rc.2");
    for old in ["old.json", "plain.json"] {
        let json = place
            .run(&format!("plan --compare {old} --format json"))
            .await
            .exits(0)
            .json();
        assert_eq!(json["schema"], "lagan.compare/v1");
        let told = |repository: usize, tag: usize| {
            let tag = &json["repositories"][repository]["tags"][tag];
            (tag["change"].clone(), tag["tag"].clone())
        };
        assert_eq!(
            told(0, 0),
            ("newly_deleted".into(), "1.0.0-rc.5".into()),
            "{json}"
        );
        assert_eq!(json["repositories"][0]["new_kept"], 1);
        assert_eq!(told(1, 0), ("gone".into(), "1.0.0-rc.2".into()), "{json}");
    }
    let markdown = place
        .run("plan --compare old.json --format markdown team/app")
        .await
        .exits(0)
        .stdout;
    assert!(
        markdown.contains("| **delete** | `1.0.0-rc.5` | now deleted: "),
        "{markdown}"
    );
    assert!(markdown.contains("1 gone or out of scope"), "{markdown}");

    for (line, said) in [
        ("--compare old.json --format html", "text, markdown and json"),
        ("--compare lagan.yaml", "this is no plan"),
    ] {
        let run = place.run(&format!("plan {line}")).await.exits(2);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    place.run("plan --format json --out brief.json").await.exits(0);
    let run = place.run("plan --compare brief.json").await.exits(2);
    assert!(
        run.stderr.contains("does not hold the tags that stay"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_report_can_be_ordered_by_rule_or_channel() {
    let place = Place::new();
    let sandbox = sandbox().await;
    config(&place, &sandbox.url());
    let text = place.run("plan --group-by rule").await.exits(0).stdout;
    let (_, group) = text
        .split_once("\nRule tidy/two\n-------------\n\nteam/app  4 tags: 2 deleted")
        .expect(&text);
    assert!(
        group.contains("  delete  1.0.0-rc.3") && group.contains("\nIn all\n"),
        "{text}"
    );
    let csv = place
        .run("plan --group-by channel --all --format csv")
        .await
        .exits(0)
        .stdout;
    assert!(
        csv.starts_with("group,repository,tag,")
            && csv.contains("\r\nChannel floating,team/app,latest,keep,"),
        "{csv}"
    );
    let html = place
        .run("plan --group-by channel --all --format html")
        .await
        .exits(0)
        .stdout;
    assert!(html.contains("<section class=\"group\" aria-label=\"Channel rc\">"));
    assert_eq!(html.matches("id=\"r:team/app\"").count(), 1);
    for line in [
        "--group-by rule --format json",
        "--group-by rule --compare none.json",
    ] {
        place.run(&format!("plan {line}")).await.exits(2);
    }
}

#[tokio::test]
async fn cases_of_a_policy_replay_a_saved_plan() {
    let place = Place::new();
    saved(&place).await;
    let cases = |case: &str| {
        let text = format!(
            "policy: lagan.yaml\nrepository: team/app\ncases:\n  - {{name: c, from: plan.json, {case}}}\n"
        );
        place.file("cases.yaml", text);
    };
    let test = "policy test cases.yaml";
    // What the case does not list has to stay, and does.
    cases("expect: {delete: [1.0.0-rc.3, 1.0.0-rc.4], keep: {1.0.0-rc.1: protected}}");
    place.run(test).await.exits(0);
    cases("expect: {delete: 1.0.0-rc.3}");
    let told = place.run(test).await.exits(4).stdout;
    assert!(
        told.contains("  1.0.0-rc.4\n    - keep: `expect` does not list it\n    + delete\n"),
        "{told}"
    );
    // At the time of the case nothing is older than thirty days.
    cases("now: 2025-01-01, expect: {unlisted: keep}");
    place.run(test).await.exits(0);
    for (case, wrong) in [
        (
            "expect: {keep: 9.9.9}",
            "the plan that the case replays has no tag `9.9.9`",
        ),
        (
            "expect: {keep: 1.0.0-rc.1, unlisted: error}",
            "`expect` does not list",
        ),
        ("tags: [a], expect: {keep: a}", "a case with `from` has no `tags`"),
        (
            "repository: team/gone, expect: {keep: a}",
            "has no repository team/gone",
        ),
        ("repository: other/app, expect: {keep: a}", "no policy names"),
    ] {
        cases(case);
        let told = place.run(test).await.exits(2).stderr;
        assert!(told.contains(wrong), "{case}: {told}");
    }
    // A policy that asks what the plan's own did not.
    cases("expect: {unlisted: keep}");
    let config = fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
    let labels = config.replace("channel: [prerelease]", "labels: {tier: scratch}");
    place.file("lagan.yaml", labels);
    let told = place.run(test).await.exits(2).stderr;
    assert!(
        told.contains("the plan plan.json does not suffice") && told.contains("--save"),
        "{told}"
    );
    // One that decides otherwise shows what changes.
    place.file("lagan.yaml", config.replace("last: 2", "last: 1"));
    let told = place.run(test).await.exits(4).stdout;
    assert!(told.contains("1.0.0-rc.5"), "{told}");
    let plan = fs::read_to_string(place.path().join("plan.json")).unwrap();
    place.file("plan.json", plan.replace("1.0.0-rc.6", "1.0.0-rc.7"));
    place.run(test).await.exits(2);
}
