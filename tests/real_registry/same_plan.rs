//! The sandbox claims to behave like this registry: both must give the same plan for the same content.

use lagan_sandbox::{Deletion, Profile, RequestKind, Sandbox, SandboxOptions, push};
use serde_json::Value;

use crate::server::Server;
use crate::support::{Place, run};

fn options() -> SandboxOptions {
    SandboxOptions::default()
        .profile(Profile::Distribution28)
        .corpus(10, 30)
}

async fn plan(url: &str, line: &str) -> Value {
    run(&format!(
        "plan --registry {url} --select {line} --format json --all"
    ))
    .await
    .exits(0)
    .json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_registry_gives_the_plan_that_the_sandbox_gives() {
    let Some(server) = Server::start().await else {
        return;
    };
    let sandbox = Sandbox::start(options()).await.unwrap();
    let pushed = push(sandbox.corpus(), &server.url, None).await.unwrap();
    assert_eq!((pushed.repositories, pushed.tags), (10, 300));
    for line in [
        "channel=prerelease --keep last=2,by=version",
        "channel=prerelease --keep last=2,by=created",
        "channel=stable --keep last=3,by=version --bytes",
        "tags=* --keep last=4,by=created,within=created:30d --now 2026-11-02T00:00:00Z",
    ] {
        sandbox.log().clear();
        let (ours, theirs) = (plan(&sandbox.url(), line).await, plan(&server.url, line).await);
        for field in ["policies", "clocks", "guards", "repositories", "totals"] {
            assert_eq!(theirs[field], ours[field], "{line}: {field}");
        }
        assert_eq!(theirs["requests"], ours["requests"], "{line}");
        assert_eq!(
            theirs["requests"]["total"],
            sandbox.log().counts().total(),
            "{line}"
        );
        assert!(theirs["totals"]["delete_tags"].as_u64() > Some(0), "{line}");
        let again = plan(&server.url, line).await;
        assert_eq!(
            (&again["repositories"], &again["totals"]),
            (&theirs["repositories"], &theirs["totals"]),
            "{line}"
        );
    }
    // Where nothing can be deleted: a ping, a page of the catalog, and a page of tags for each repository.
    sandbox.log().clear();
    for url in [&sandbox.url(), &server.url] {
        let quiet = plan(url, "channel=prerelease --keep last=100,by=version").await;
        let by_kind = serde_json::json!({"ping": 1, "catalog": 1, "tags": 10});
        assert_eq!(
            quiet["requests"],
            serde_json::json!({"total": 12, "by_kind": by_kind})
        );
    }
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestGet), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_registry_asks_who_is_there() {
    /// `s3cret-of-tests`, by bcrypt at its lowest cost.
    const HTPASSWD: &str = "ci:$2y$04$WVWbYoUdyv2flSh1cC0F8O8PIYFCbhokw9VPtmcvvl8JtyPTGISoG\n";
    let Some(server) = Server::guarded(HTPASSWD).await else {
        return;
    };
    let options = SandboxOptions::default().corpus(2, 20);
    let sandbox = Sandbox::start(options.profile(Profile::Distribution28))
        .await
        .unwrap();
    push(sandbox.corpus(), &server.url, Some(("ci", "s3cret-of-tests")))
        .await
        .unwrap();
    let place = Place::new();
    place.file("password", "s3cret-of-tests\n");
    place.file("wrong", "secret-of-tests\n");
    let line = format!(
        "plan --registry {} --select channel=stable --keep last=1,by=version",
        server.url
    );
    let plan = place
        .run(&format!(
            "{line} --username ci --password-file password --format json"
        ))
        .await
        .exits(0)
        .json();
    assert_eq!(plan["totals"]["repositories"], 2);
    assert!(plan["totals"]["delete_tags"].as_u64() > Some(0));
    let wrong = place
        .run(&format!("{line} --username ci --password-file wrong"))
        .await
        .exits(1);
    assert!(
        wrong
            .stderr
            .contains("hint: check the user name and the password"),
        "{}",
        wrong.stderr
    );
    let nobody = place.run(&line).await.exits(1);
    assert!(
        nobody.stderr.contains("401") && nobody.stdout.is_empty(),
        "{}",
        nobody.said()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_registry_is_asked_what_it_deletes_and_loses_nothing_by_it() {
    let line = "channel=stable --keep last=3,by=version --probe";
    for (deletes, delete_manifest) in [(true, "offered"), (false, "not_offered")] {
        let server = match deletes {
            true => Server::start().await,
            false => Server::without_deletion().await,
        };
        let Some(server) = server else { return };
        let sandbox = Sandbox::start(options().behave(|behaviour| {
            if !deletes {
                behaviour.deletion = Deletion::Disabled;
            }
        }))
        .await
        .unwrap();
        push(sandbox.corpus(), &server.url, None).await.unwrap();
        let before = plan(&server.url, "channel=stable --keep last=3,by=version").await;
        assert!(before["totals"]["kept_for_shared_digest"].as_u64() > Some(0));
        for url in [&sandbox.url(), &server.url] {
            let asked = plan(url, line).await;
            assert_eq!(asked["capabilities"]["delete_manifest"], delete_manifest, "{url}");
            assert_eq!(asked["capabilities"]["delete_tag"], "not_offered", "{url}");
            assert_eq!(asked["requests"]["by_kind"]["probe"], 2, "{url}");
            assert_eq!(asked["repositories"], before["repositories"], "{url}");
        }
        let after = plan(&server.url, "channel=stable --keep last=3,by=version").await;
        assert_eq!(after["repositories"], before["repositories"]);
    }
}
