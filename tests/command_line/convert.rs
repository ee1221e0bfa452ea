//! `lagan policy convert`, and lifecycle rules wherever a policy file is taken.

use lagan_sandbox::{Sandbox, SandboxOptions};

use crate::support::Place;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/convert");

fn example(name: &str) -> String {
    std::fs::read_to_string(format!("{EXAMPLES}/{name}")).unwrap()
}

#[tokio::test]
async fn every_example_is_converted_and_what_is_printed_passes_check() {
    let place = Place::new();
    for (file, exit) in [
        ("lifecycle-rules.yaml", 0),
        ("harbor.json", 4),
        ("ecr.json", 4),
        ("artifact-registry.json", 4),
        ("zot.json", 4),
    ] {
        let path = place.file(file, example(file));
        let converted = place
            .run(&format!("policy convert '{}'", path.display()))
            .await
            .exits(exit);
        let lost = converted
            .stderr
            .lines()
            .any(|line| line.starts_with("not expressed: "));
        assert_eq!(lost, exit == 4, "{}", converted.stderr);
        assert_eq!(converted.stdout.contains("# not expressed (line "), lost);
        place.file("native.yaml", &converted.stdout);
        place.run("check native.yaml").await.exits(0);

        let to_file = place
            .run(&format!("policy convert {file} --out out.yaml"))
            .await
            .exits(exit);
        assert!(to_file.stdout.is_empty());
        assert_eq!(
            std::fs::read_to_string(place.path().join("out.yaml")).unwrap(),
            converted.stdout
        );
    }
}

#[tokio::test]
async fn a_document_is_attached_where_the_argument_says() {
    let place = Place::new();
    place.file("ecr.json", example("ecr.json"));
    let nowhere = place.run("policy convert ecr.json").await;
    assert!(
        nowhere.stdout.contains("repositories: [REPOSITORY]"),
        "{}",
        nowhere.stdout
    );
    assert!(
        nowhere.stderr.contains("give --attached-to"),
        "{}",
        nowhere.stderr
    );
    let named = place
        .run("policy convert ecr.json --attached-to team/app")
        .await
        .exits(4);
    assert!(
        named.stdout.contains("repositories: [team/app]"),
        "{}",
        named.stdout
    );
    assert!(!named.said().contains("attached-to"));
    let wrong = place
        .run("policy convert ecr.json --attached-to Team")
        .await
        .exits(2);
    assert!(wrong.stderr.contains("--attached-to"), "{}", wrong.stderr);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_at_its_place_and_prints_nothing() {
    let place = Place::new();
    place.file(
        "p.json",
        "{\"rules\": [{\"rulePriority\": 1, \"selection\": {}}]}",
    );
    let refused = place.run("policy convert p.json").await.exits(2);
    assert!(refused.stdout.is_empty());
    assert!(
        refused
            .stderr
            .starts_with("error: p.json:1:12: a rule of a lifecycle policy needs `action`"),
        "{}",
        refused.stderr
    );
    let mistaken = place.run("policy convert p.json --from zot").await.exits(2);
    assert!(
        mistaken.stderr.contains("unknown key `rules`"),
        "{}",
        mistaken.stderr
    );
    place.run("policy convert missing.json").await.exits(2);
    place.run("policy convert p.json --from docker").await.exits(2);
}

#[tokio::test]
async fn lifecycle_rules_load_as_they_stand_and_decide_as_their_converted_form() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let created = "2026-01-01T00:00:00Z".parse().unwrap();
    for number in 1..=12 {
        sandbox.put_image(
            "project/backend-api",
            &[&format!("v1.0.0-beta.{number}")],
            created,
        );
    }
    sandbox.put_image("project/backend-api", &["v1.0.0"], created);
    let place = Place::new();
    place.file("rules.yaml", example("lifecycle-rules.yaml"));
    let plan = |file: &str| {
        format!(
            "plan 'project/*' --registry {} --policy-file {file} --format json --all",
            sandbox.url()
        )
    };
    let loaded = place.run(&plan("rules.yaml")).await.exits(0);
    assert!(
        loaded
            .stderr
            .contains("note: rules.yaml:12:21: `deletion_count: 10` is the number kept"),
        "{}",
        loaded.stderr
    );
    assert_eq!(loaded.json()["totals"]["delete_tags"], 2);

    let converted = place.run("policy convert rules.yaml").await.exits(0);
    place.file("native.yaml", &converted.stdout);
    let native = place.run(&plan("native.yaml")).await.exits(0);
    assert!(!native.stderr.contains("deletion_count"), "{}", native.stderr);
    assert_eq!(loaded.json()["repositories"], native.json()["repositories"]);

    let explained = place
        .run(&format!(
            "explain project/backend-api:v1.0.0-beta.1 --registry {} --policy-file rules.yaml",
            sandbox.url()
        ))
        .await
        .exits(0);
    assert!(
        explained.stdout.contains("beyond the last 10"),
        "{}",
        explained.stdout
    );
    let checked = place.run("check rules.yaml").await.exits(0);
    assert!(
        checked.stdout.contains("`deletion_count: 10` is the number kept"),
        "{}",
        checked.stdout
    );
}
