//! Registries without an API of their own, what is none, and docker-registry itself.

use lagan_sandbox::{Auth, Deletion, Effect, Fault, Moment, RequestKind, Sandbox, SandboxOptions, User};
use lagan_sandbox::{Corpus, CorpusOptions, ReferrersStyle, push};

use crate::server::Server;
use crate::support::Place;
use crate::{counting, of, says};

async fn start(options: SandboxOptions) -> Sandbox {
    let sandbox = Sandbox::start(options).await.unwrap();
    sandbox.put_image("team/app", &["1.0.0-rc.1", "1.0.0"], Moment::date(2026, 1, 1));
    sandbox
}

#[tokio::test]
async fn a_plain_registry_is_read_and_what_it_does_not_tell_is_said() {
    let sandbox = start(SandboxOptions::default()).await;
    let line = format!("doctor --format json --registry {}", sandbox.url());
    let document = Place::new().run(&line).await.exits(0).json();
    assert_eq!(document["registry"]["kind"], "oci");
    says(&document, "catalog", "ok", "1 repository is listed");
    says(&document, "reading", "ok", "team/app");
    says(&document, "referrers", "ok", "API");
    says(&document, "deletion", "unknown", "manifests");
    says(&document, "collections", "unknown", "not known");
    assert_eq!(counting(&document), []);
    assert!(
        sandbox
            .log()
            .entries()
            .iter()
            .all(|entry| entry.method == "GET" || entry.method == "HEAD")
    );
    // For deleting that is not enough.
    let document = Place::new()
        .run(&format!("{line} --for delete"))
        .await
        .exits(4)
        .json();
    assert_eq!(counting(&document).len(), 1);
}

#[tokio::test]
async fn asking_tells_whether_deletion_is_disabled_and_deletes_nothing() {
    for (deletion, exit, manifests, tags) in [
        (Deletion::ByTagToo, 0, "ok", "ok"),
        (Deletion::ByDigestOnly, 0, "ok", "note"),
        (Deletion::Disabled, 4, "warning", "note"),
        (Deletion::NoRoute, 4, "unknown", "unknown"),
    ] {
        let sandbox =
            start(SandboxOptions::default().behave(|behaviour| behaviour.deletion = deletion)).await;
        let line = format!(
            "doctor --probe --for delete --format json --registry {}",
            sandbox.url()
        );
        let document = Place::new().run(&line).await.exits(exit).json();
        let found: Vec<_> = of(&document, "deletion")
            .into_iter()
            .map(|(level, _)| level)
            .collect();
        assert_eq!(found, [manifests, tags], "{deletion:?}");
        assert!(sandbox.resolve("team/app", "1.0.0").is_some());
        let deletions = sandbox
            .log()
            .entries()
            .iter()
            .filter(|entry| entry.method == "DELETE")
            .count();
        assert!(deletions <= 2, "{deletions}");
    }
}

#[tokio::test]
async fn credentials_that_are_wrong_end_it_and_those_that_may_not_list_are_told() {
    let sandbox = start(SandboxOptions::default().auth(Auth::Basic(vec![User::new("ann", "s3cret")]))).await;
    let place = Place::new();
    place.file("right", "s3cret");
    place.file("wrong", "no-such-secret");
    let line = format!("doctor --registry {} --username ann --format json", sandbox.url());
    let document = place
        .run(&format!("{line} --password-file wrong"))
        .await
        .exits(1)
        .json();
    says(&document, "account", "failed", "401");
    assert_eq!(document["registry"]["kind"], serde_json::Value::Null);
    let document = place.run(&format!("{line} --password-file right")).await.json();
    says(&document, "account", "ok", "signed in as ann");
}

#[tokio::test]
async fn what_is_no_registry_or_not_there_or_not_known_ends_it() {
    let sandbox = start(SandboxOptions::default().fault(Fault::new(Effect::NotARegistry))).await;
    let run = Place::new()
        .run(&format!("doctor --format json --registry {}", sandbox.url()))
        .await
        .exits(1);
    says(&run.json(), "registry", "failed", "not a registry");
    // A port that was free a moment ago.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let run = Place::new()
        .run(&format!("doctor --format json --registry http://{gone}"))
        .await
        .exits(1);
    says(&run.json(), "name", "failed", "no connection");
    let run = Place::new()
        .run(&format!(
            "doctor --format json --registry http://no-such-host.invalid:{}",
            gone.port()
        ))
        .await
        .exits(1);
    says(&run.json(), "name", "failed", "no connection");
    Place::new().run("doctor --registry nobody").await.exits(2);
    Place::new().run("doctor").await.exits(2);
}

#[tokio::test]
async fn a_registry_without_a_catalog_is_a_warning_unless_every_repository_is_named() {
    let fault = || Fault::status(404).on(RequestKind::Catalog);
    for (pattern, exit, level) in [("team/*", 4, "warning"), ("team/app", 0, "note")] {
        let sandbox = start(SandboxOptions::default().fault(fault())).await;
        let line = format!("doctor --format json --registry {} '{pattern}'", sandbox.url());
        let document = Place::new().run(&line).await.exits(exit).json();
        assert_eq!(of(&document, "catalog")[0].0, level);
    }
}

#[tokio::test]
async fn what_a_rule_reads_and_the_registry_does_not_record_is_a_warning() {
    let sandbox = start(SandboxOptions::default()).await;
    let place = Place::new();
    place.file(
        "lagan.yaml",
        format!(
            "registries: {{r: {{url: '{}'}}}}\npolicies:\n  a:\n    repositories: ['team/*']\n    \
             rules: [{{select: {{tags: '*'}}, keep: {{last: 5, by: pushed}}}}]\n",
            sandbox.url()
        ),
    );
    let document = place.run("doctor --format json").await.exits(4).json();
    says(&document, "policies", "warning", "`pushed`");
}

#[tokio::test]
async fn a_clock_that_is_off_is_a_warning() {
    let date = Effect::Header("date", "Wed, 01 Jul 2026 00:00:00 GMT".to_owned());
    let sandbox = start(SandboxOptions::default().fault(Fault::new(date))).await;
    let line = format!("doctor --format json --registry {}", sandbox.url());
    let document = Place::new().run(&line).await.exits(4).json();
    says(
        &document,
        "clock",
        "warning",
        "this machine's: it says 2026-07-01",
    );
}

fn corpus() -> Corpus {
    Corpus::new(CorpusOptions {
        repositories: 1,
        tags: 3,
        referrers: ReferrersStyle::FallbackTag,
        ..CorpusOptions::default()
    })
}

#[tokio::test]
async fn docker_registry_itself_is_told_as_it_is() {
    let Some(server) = Server::start().await else {
        return;
    };
    let line = |server: &Server| {
        format!(
            "doctor --probe --for delete --format json --registry {}",
            server.url
        )
    };
    let document = Place::new().run(&line(&server)).await.exits(4).json();
    // Nothing is in it, and so nothing could be tried.
    says(&document, "reading", "unknown", "no repository");
    push(&corpus(), &server.url, None).await.unwrap();
    let document = Place::new().run(&line(&server)).await.exits(0).json();
    says(&document, "deletion", "ok", "manifests can be deleted");
    says(&document, "deletion", "note", "single tags cannot be deleted");
    says(&document, "referrers", "ok", "no referrers API");
    says(&document, "clock", "ok", "agrees");
    let Some(server) = Server::without_deletion().await else {
        return;
    };
    push(&corpus(), &server.url, None).await.unwrap();
    let document = Place::new().run(&line(&server)).await.exits(4).json();
    says(&document, "deletion", "warning", "deletion is disabled");
}
