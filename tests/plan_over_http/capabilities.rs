//! What a plan asks of a registry besides its content, and what it makes of it.

use lagan_sandbox::{Fault, Profile, RequestKind, Sandbox, SandboxOptions};

use crate::support::{Place, doomed, repository, run};
use crate::{TWO, candidates, start};

/// So many repositories with five candidates each, the oldest of them on a digest with a tag that stays.
async fn shared(repositories: usize) -> Sandbox {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution3)).await;
    for number in 0..repositories {
        let name = format!("team/app-{number}");
        candidates(&sandbox, &name, 5);
        let oldest = sandbox.resolve(&name, "1.0.0-rc.1").unwrap();
        sandbox.tag(&name, "prod", oldest);
    }
    sandbox
}

fn deletions(sandbox: &Sandbox) -> u64 {
    sandbox.log().counts().of(RequestKind::ManifestDelete)
}

#[tokio::test]
async fn a_dry_run_only_reads_and_says_what_it_therefore_does_not_know() {
    let sandbox = shared(3).await;
    let text = run(&format!("plan --registry {} {TWO}", sandbox.url()))
        .await
        .exits(0);
    let said = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("3 tags stay only for sharing a digest with a kept tag")
            && said.contains("--probe asks it"),
        "{said}"
    );
    for entry in sandbox.log().entries() {
        assert!(entry.method == "GET" || entry.method == "HEAD", "{entry:?}");
    }
    let json = run(&format!("plan --registry {} {TWO} --format json", sandbox.url()))
        .await
        .exits(0)
        .json();
    assert_eq!(json["totals"]["kept_for_shared_digest"], 3);
    assert_eq!(json["capabilities"]["delete_tag"], "unknown");
    assert_eq!(json["capabilities"]["probed"], false);
    assert!(json["requests"]["by_kind"].get("probe").is_none());
}

#[tokio::test]
async fn a_registry_is_asked_once_for_all_repositories_and_every_one_is_decided_by_the_answer() {
    let sandbox = shared(20).await;
    let plan = run(&format!(
        "plan --registry {} {TWO} --probe --format json",
        sandbox.url()
    ))
    .await
    .exits(0)
    .json();
    assert_eq!(deletions(&sandbox), 2);
    assert_eq!(plan["requests"]["by_kind"]["probe"], 2);
    assert_eq!(plan["requests"]["total"], sandbox.log().counts().total());
    assert_eq!(plan["totals"]["untag"], 20);
    for number in 0..20 {
        let name = format!("team/app-{number}");
        assert!(
            doomed(repository(&plan, &name)).contains(&"1.0.0-rc.1".to_owned()),
            "{name}"
        );
        assert_eq!(sandbox.tags(&name).len(), 6, "{name}");
    }
}

#[tokio::test]
async fn nothing_is_asked_where_no_decision_depends_on_it() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    sandbox.tag(
        "team/app",
        "1.0.0-rc.0",
        sandbox.resolve("team/app", "1.0.0-rc.1").unwrap(),
    );
    let plan = run(&format!(
        "plan --registry {} {TWO} --probe --format json",
        sandbox.url()
    ))
    .await
    .exits(0)
    .json();
    assert_eq!(plan["totals"]["delete_tags"], 4);
    assert_eq!(deletions(&sandbox), 0);
}

#[tokio::test]
async fn a_question_that_fails_keeps_and_spoils_nothing_else() {
    for status in [401, 403, 429, 500, 503] {
        let sandbox = shared(2).await;
        sandbox
            .faults()
            .push(Fault::status(status).on(RequestKind::ManifestDelete));
        let run = run(&format!(
            "plan --registry {} {TWO} --probe --format json",
            sandbox.url()
        ))
        .await
        .exits(0);
        let plan = run.json();
        assert_eq!(plan["totals"]["kept_for_shared_digest"], 2, "{status}");
        assert_eq!(plan["totals"]["incomplete_repositories"], 0, "{status}");
        assert_eq!(plan["totals"]["delete_tags"], 4, "{status}");
        assert!(deletions(&sandbox) <= 2, "{status}");
        assert!(
            run.stderr.contains("does not say what it can delete"),
            "{status}: {}",
            run.stderr
        );
    }
}

#[tokio::test]
async fn the_setting_of_a_registry_asks_for_plan_and_explain_alike() {
    let sandbox = shared(1).await;
    let place = Place::new();
    place.file(
        "lagan.yaml",
        format!(
            "registries: {{main: {{url: \"{}\", probe: true}}}}
policies: {{p: {{repositories: '**', rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]}}}}
",
            sandbox.url()
        ),
    );
    let plan = place.run("plan --format json").await.exits(0).json();
    assert_eq!(plan["totals"]["untag"], 1);
    let explained = place
        .run("explain team/app-0:1.0.0-rc.1 --format json")
        .await
        .exits(0)
        .json();
    assert_eq!(explained["verdict"], "untagged", "{explained}");
    assert_eq!(deletions(&sandbox), 4);
}

#[tokio::test]
async fn a_list_of_repositories_stands_for_the_catalog_and_globs_apply_to_it() {
    let sandbox = shared(3).await;
    sandbox.faults().push(Fault::status(404).on(RequestKind::Catalog));
    let place = Place::new();
    place.file("names", "team/app-2\nteam/app-0 # the first\n\nother/x\n");
    place.file(
        "lagan.yaml",
        format!(
            "registries: {{main: {{url: \"{}\", repositories_file: names}}}}
policies: {{p: {{repositories: 'team/*', rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]}}}}
",
            sandbox.url()
        ),
    );
    let names = |plan: &serde_json::Value| -> Vec<String> {
        let all = plan["repositories"].as_array().unwrap().iter();
        all.map(|repository| repository["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let plan = place.run("plan --format json").await.exits(0).json();
    assert_eq!(names(&plan), ["team/app-0", "team/app-2"]);
    // It is read anew each time, and an argument goes before it.
    place.file("names", "team/app-1\n");
    assert_eq!(
        names(&place.run("plan --format json").await.exits(0).json()),
        ["team/app-1"]
    );
    place.file("others", "team/app-0\n");
    let other = place
        .run("plan --format json --repositories-from others")
        .await
        .exits(0)
        .json();
    assert_eq!(names(&other), ["team/app-0"]);
    let globs = place.run("plan 'team/app-9*' --format json").await.exits(2);
    assert!(globs.stderr.contains("no repository matches"), "{}", globs.stderr);
    // What the list names and the registry does not know is no empty repository.
    place.file("names", "team/app-1\nteam/gone\n");
    let gone = place.run("plan --format json").await.exits(4).json();
    assert_eq!(repository(&gone, "team/gone")["complete"], false);
    assert_eq!(repository(&gone, "team/app-1")["complete"], true);
    assert_eq!(sandbox.log().counts().of(RequestKind::Catalog), 0);
}

#[tokio::test]
async fn a_list_that_cannot_be_used_is_an_error_and_nothing_is_contacted() {
    let sandbox = shared(1).await;
    let place = Place::new();
    place.file("empty", "");
    place.file("comments", "# nothing\n\n");
    place.file("wrong", "team/app-0\nTeam/App\nteam/*\n");
    for (file, said) in [
        ("missing", "failed to read the list of repositories missing"),
        (".", "failed to read the list of repositories"),
        ("empty", "empty:1:1: the list names no repository"),
        ("comments", "the list names no repository"),
        ("wrong", "wrong:2:1"),
        ("wrong", "wrong:3:1"),
    ] {
        let line = format!(
            "plan --registry {} {TWO} --repositories-from {file}",
            sandbox.url()
        );
        let refused = place.run(&line).await.exits(2);
        assert!(refused.stderr.contains(said), "{file}: {}", refused.stderr);
        assert!(refused.stdout.is_empty(), "{file}");
    }
    assert_eq!(sandbox.log().counts().total(), 0);
}
