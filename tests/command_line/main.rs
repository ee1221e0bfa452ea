//! What scripts and people rely on: exit codes, errors, hints, files.

#![expect(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails as the test does"
)]

mod admin;
mod convert;
mod daemon;
mod demo;
mod deploy;
mod environment;
mod journal;
mod manual;
mod output;
#[path = "../support/photograph.rs"]
mod photograph;
mod policy;
mod quickstart;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use support::{Place, run};

#[tokio::test]
async fn help_says_what_it_is_and_what_deletes() {
    let help = run("--help").await.exits(0);
    assert!(
        help.stdout.contains("Everything else only reads"),
        "{}",
        help.stdout
    );
    assert!(help.stderr.is_empty());
    for command in [
        "plan",
        "apply",
        "undo",
        "explain",
        "check",
        "journal",
        "policy",
        "demo",
        "completions",
        "man",
    ] {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command}");
        let of_command = run(&format!("{command} --help")).await.exits(0);
        assert!(of_command.stdout.contains("Usage:"), "{command}");
    }
    assert!(run("plan --help").await.stdout.contains("Deletes nothing"));
    assert!(run("--version").await.exits(0).stdout.starts_with("lagan "));
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&format!("completions {shell}")).await.exits(0).stdout;
        assert!(
            script.contains("lagan") && script.contains("explain"),
            "{shell}: {script}"
        );
    }
    run("completions tcl").await.exits(2);
}

#[tokio::test]
async fn every_example_passes_check() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
            seen += 1;
            let checked = run(&format!("check '{}'", path.display())).await.exits(0);
            assert!(checked.stdout.contains("no errors"), "{}", checked.stdout);
            assert!(checked.stderr.is_empty(), "{}", checked.stderr);
        }
    }
    assert!(seen >= 3, "{seen}");
}

#[tokio::test]
async fn check_tells_what_a_policy_can_never_do() {
    let place = Place::new();
    place.file(
        "lagan.yaml",
        "registries: {one: {url: http://localhost:1, kind: oci}, idle: {url: http://localhost:2}}
policies:
  p: {registry: one, repositories: '**', rules: [{select: {tags: '*'}, keep: {last: 1, by: pushed}}]}
",
    );
    let checked = place.run("check").await.exits(0);
    assert!(
        checked
            .stdout
            .contains("lagan.yaml: 2 registries and 1 policy, no errors, 2 warnings\n"),
        "{}",
        checked.stdout
    );
    let warnings: Vec<_> = checked
        .stdout
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(warnings.len(), 2, "{}", checked.stdout);
    assert!(
        warnings[0].starts_with("warning: lagan.yaml:1:"),
        "{}",
        warnings[0]
    );
    assert!(warnings[0].contains("idle"));
    assert!(warnings[1].contains("`pushed`") && warnings[1].contains("kept"));
}

#[tokio::test]
async fn check_exits_with_4_for_a_warning_only_where_that_was_asked_for() {
    let place = Place::new();
    place.file(
        "p.yaml",
        "repositories: 'team/*'\nrules: [{select: {regex: rc}, keep: {last: 1, by: name}}]\n",
    );
    let warned = place.run("check p.yaml").await.exits(0).stdout;
    assert!(
        warned.contains("[unanchored]") && warned.contains("hint: "),
        "{warned}"
    );
    place.run("check --strict p.yaml").await.exits(4);
    place
        .run("check --strict --allow unanchored p.yaml")
        .await
        .exits(0);
    let unknown = place.run("check --allow unanchord p.yaml").await.exits(2);
    assert!(unknown.stderr.contains("unanchored"), "{}", unknown.stderr);
}

#[tokio::test]
async fn check_holds_a_policy_against_a_plan() {
    let place = Place::new();
    place.file(
        "lagan.yaml",
        "registries: {one: {url: 'http://localhost:1'}}
policies:
  p: {repositories: [team/*, other], rules: [{select: {channel: rc}, keep: {last: 1, by: version}}]}
",
    );
    let plan = |registry: &str| {
        format!(
            r#"{{"schema":"lagan.plan/v1","registry":{{"name":"{registry}","url":"http://localhost:9","kind":"oci"}},
"repositories":[{{"name":"team/a","policies":["p"],"complete":true,"tags_total":0,"actions":[],"kept":[]}}]}}"#
        )
    };
    place.file("plan.json", plan("one"));
    let checked = place
        .run("check --strict --against plan.json")
        .await
        .exits(4)
        .stdout;
    assert!(
        checked.contains("`other` matches no repository of the plan of `one`, which has 1 repository"),
        "{checked}"
    );
    place.file("plan.json", plan("two"));
    let other = place.run("check --against plan.json").await.exits(2).stderr;
    assert!(
        other.contains("\"two\", which is no registry of this configuration"),
        "{other}"
    );
    place.file("plan.json", "{}");
    let none = place.run("check --against plan.json").await.exits(2).stderr;
    assert!(none.contains("plan.json") && none.contains("hint: "), "{none}");
}

#[tokio::test]
async fn a_configuration_is_looked_for_where_the_documentation_says() {
    let place = Place::new();
    let nothing = place.run("check").await.exits(2);
    assert!(
        nothing
            .stderr
            .starts_with("error: no configuration was found\nhint: "),
        "{}",
        nothing.stderr
    );

    for (file, registries) in [("lagan.yaml", 1), ("named.yaml", 2), ("variable.yaml", 3)] {
        let each = |n| format!("  r{n}: {{url: \"http://localhost:{n}\"}}\n");
        place.file(
            file,
            format!("registries:\n{}", (1..=registries).map(each).collect::<String>()),
        );
    }
    let found = place.run("check").await.exits(0).stdout;
    assert!(found.starts_with("lagan.yaml: 1 registry"), "{found}");
    let variable = [("LAGAN_CONFIG", "variable.yaml")];
    let found = place.run_with(&variable, "check").await.exits(0).stdout;
    assert!(found.starts_with("variable.yaml: 3 registries"), "{found}");
    for command in [
        "check --config named.yaml",
        "--config named.yaml check",
        "check named.yaml",
    ] {
        let found = place.run_with(&variable, command).await.exits(0).stdout;
        assert!(
            found.starts_with("named.yaml: 2 registries"),
            "{command}: {found}"
        );
    }
    let missing = place.run("check missing.yaml").await.exits(2);
    assert!(
        missing.stderr.contains("missing.yaml") && missing.stderr.contains("caused by"),
        "{}",
        missing.stderr
    );
}
