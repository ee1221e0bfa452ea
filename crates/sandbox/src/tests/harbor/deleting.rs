//! What goes with what, and what may not.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::*;
use crate::harbor::ImmutableRule;
use crate::{Effect, Fault, Image, Lookup};

fn code(answer: &Response<Bytes>) -> (u16, String) {
    let code = json(answer)["errors"][0]["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    (answer.status().as_u16(), code)
}

#[tokio::test]
async fn a_tag_is_deleted_from_the_artifact_that_was_named_and_from_no_other() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let old = sandbox.put_image("team/app", &["1.0", "latest"], DAY);
    let new = sandbox.put_image("team/app", &["latest"], DAY.plus_days(1));
    let path = |digest: Digest, tag: &str| artifact_path("team/app", &format!("/{digest}/tags/{tag}"));
    let refused = delete(&mut http, &path(old, "latest")).await;
    assert_eq!(code(&refused), (404, "NOT_FOUND".to_owned()));
    assert_eq!(sandbox.resolve("team/app", "latest"), Some(new));
    assert_eq!(delete(&mut http, &path(old, "1.0")).await.status(), 200);
    assert_eq!(sandbox.resolve("team/app", "1.0"), None);
    // The artifact stays, untagged.
    let untagged = get(&mut http, &artifact_path("team/app", "?q=tags%3Dnil")).await;
    assert_eq!(digests(&untagged), [old]);
    assert_eq!(
        http.status(Method::GET, &format!("/v2/team/app/manifests/{old}"))
            .await,
        200
    );
    let entry = sandbox.log().of(crate::RequestKind::ApiTagDelete).remove(0);
    assert_eq!((&*entry.repository, &*entry.reference), ("team/app", "latest"));

    sandbox
        .harbor()
        .immutable("team", ImmutableRule::new("**", "latest"));
    let refused = delete(&mut http, &path(new, "latest")).await;
    assert_eq!(code(&refused), (412, "PRECONDITION".to_owned()));
    let lost = Fault::new(Effect::LookupFails(Lookup::Tags));
    sandbox.faults().push(lost);
    assert_eq!(code(&delete(&mut http, &path(new, "latest")).await).0, 404);
}

#[tokio::test]
async fn an_artifact_takes_its_tags_its_accessories_and_children_nothing_else_holds() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let own = sandbox.put("team/app", &Image::new(DAY));
    let shared = sandbox.put("team/app", &Image::new(DAY).architecture("arm64"));
    let tagged = sandbox.put("team/app", &Image::new(DAY).tag("child"));
    let index = sandbox.put_index("team/app", &["1.0", "latest"], &[own, shared, tagged]);
    let other = sandbox.put_index("team/app", &["2.0"], &[shared]);
    let signature = sandbox.put_signature("team/app", index);
    let on_signature = sandbox.put_referrer("team/app", signature, "application/example");
    let attestation = sandbox.put_attestation("team/app", index);
    let child = sandbox.manifest("team/app", &own).expect("a manifest");
    let config = child.config.expect("a configuration").digest;

    let refused = delete(&mut http, &artifact_path("team/app", &format!("/{shared}"))).await;
    assert_eq!(code(&refused), (412, "VIOLATE_FOREIGN_KEY_CONSTRAINT".to_owned()));
    assert_eq!(
        delete(&mut http, &artifact_path("team/app", "/1.0"))
            .await
            .status(),
        200
    );
    for gone in [index, own, signature, on_signature] {
        assert!(sandbox.manifest("team/app", &gone).is_none(), "{gone}");
        let path = artifact_path("team/app", &format!("/{gone}"));
        assert_eq!(code(&delete(&mut http, &path).await).0, 404);
    }
    for kept in [shared, tagged, other, attestation] {
        assert!(sandbox.manifest("team/app", &kept).is_some(), "{kept}");
    }
    assert_eq!(sandbox.resolve("team/app", "latest"), None);
    // Bytes stay until garbage is collected.
    assert!(sandbox.has_blob("team/app", &config));
    assert_eq!(
        delete(&mut http, &artifact_path("team/app", "/2.0"))
            .await
            .status(),
        200
    );
    assert!(
        sandbox.manifest("team/app", &shared).is_none(),
        "held by nothing any more"
    );
}

#[tokio::test]
async fn one_immutable_tag_keeps_everything_that_would_go_along() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let image = sandbox.put_image("team/app", &["1.0", "stable"], DAY);
    let signature = sandbox.put_signature("team/app", image);
    let steer = sandbox.harbor();
    let first = steer.immutable("team", ImmutableRule::new("app", "stable"));
    let path = artifact_path("team/app", "/1.0");
    assert_eq!(
        code(&delete(&mut http, &path).await),
        (412, "PRECONDITION".to_owned())
    );
    let over_v2 = delete(&mut http, &format!("/v2/team/app/manifests/{image}")).await;
    assert_eq!(code(&over_v2).0, 412);
    let rule = api(&format!("/projects/team/immutabletagrules/{first}"));
    assert_eq!(delete(&mut http, &rule).await.status(), 200);
    // A signature's own tag counts too.
    steer.immutable("team", ImmutableRule::new("**", "sha256-*"));
    assert_eq!(code(&delete(&mut http, &path).await).0, 412);
    assert_eq!(sandbox.tags("team/app").len(), 3);
    assert!(sandbox.manifest("team/app", &signature).is_some());
}

#[tokio::test(start_paused = true)]
async fn deletions_in_one_project_wait_for_its_quota_and_others_do_not() {
    let options = HarborOptions {
        quota_refresh: Duration::from_secs(2),
        ..HarborOptions::default()
    };
    let (sandbox, _) = harbor(options).await;
    let sandbox = Arc::new(sandbox);
    let began = tokio::time::Instant::now();
    let mut tasks = Vec::new();
    for (repository, tag) in [("a/app", "1"), ("a/app", "2"), ("a/web", "1"), ("b/app", "1")] {
        sandbox.put_image(repository, &[tag], DAY);
        let url = sandbox.url();
        tasks.push(async move {
            let mut http = Http(crate::client::Client::new(&url).expect("an address"));
            sign_in(&mut http, HarborOptions::ADMIN, HarborOptions::PASSWORD);
            let path = artifact_path(repository, &format!("/{tag}"));
            assert_eq!(delete(&mut http, &path).await.status(), 200);
            (repository, began.elapsed().as_secs())
        });
    }
    let mut ended = futures_util::future::join_all(tasks).await;
    ended.sort_unstable();
    let seconds: Vec<u64> = ended.iter().map(|(_, seconds)| *seconds).collect();
    assert_eq!(ended[3], ("b/app", 2));
    let mut of_a = seconds[..3].to_vec();
    of_a.sort_unstable();
    assert_eq!(of_a, [2, 4, 6]);
    assert_eq!(sandbox.harbor().most_deletions_at_once("a"), 3);
    assert_eq!(sandbox.harbor().most_deletions_at_once("b"), 1);
}

#[tokio::test]
async fn a_repository_goes_with_all_it_holds_and_then_is_not_there() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let child = sandbox.put("team/app", &Image::new(DAY));
    let index = sandbox.put_index("team/app", &["1.0"], &[child]);
    sandbox.put_signature("team/app", index);
    let path = api("/projects/team/repositories/app");
    let project = api("/projects/team");
    assert_eq!(code(&delete(&mut http, &project).await).0, 412);
    assert_eq!(delete(&mut http, &path).await.status(), 200);
    assert_eq!(code(&http.get(&path).await).0, 404);
    assert_eq!(
        get(&mut http, &artifact_path("team/app", "")).await,
        serde_json::json!([])
    );
    assert_eq!(http.status(Method::GET, "/v2/team/app/tags/list").await, 404);
    assert_eq!(delete(&mut http, &project).await.status(), 200);
    assert_eq!(get(&mut http, &api("/projects")).await, serde_json::json!([]));
}

#[tokio::test]
async fn the_registry_deletes_by_digest_alone_and_as_the_api_does() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let image = sandbox.put_image("team/app", &["1.0"], DAY);
    let signature = sandbox.put_signature("team/app", image);
    let by_tag = delete(&mut http, "/v2/team/app/manifests/1.0").await;
    assert_eq!(code(&by_tag), (400, "UNSUPPORTED".to_owned()));
    let by_digest = format!("/v2/team/app/manifests/{image}");
    assert_eq!(delete(&mut http, &by_digest).await.status(), 202);
    assert!(sandbox.manifest("team/app", &signature).is_none());
    assert_eq!(code(&delete(&mut http, &by_digest).await).0, 404);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_lane() {
    let options = HarborOptions {
        quota_refresh: Duration::from_secs(3_600),
        ..HarborOptions::default()
    };
    let (sandbox, mut http) = harbor(options).await;
    // Each is dropped as soon as it was made; the next may come before the server has seen that.
    for tag in ["1", "2", "3", "4"] {
        sandbox.put_image("a/app", &[tag], DAY);
        let path = artifact_path("a/app", &format!("/{tag}"));
        let gone = async {
            while sandbox.resolve("a/app", tag).is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = gone => {}
            _ = http.0.send(Method::DELETE, &path, &[], Bytes::new()) => panic!("answered"),
        }
        http = Http(crate::client::Client::new(&sandbox.url()).expect("an address"));
        sign_in(&mut http, HarborOptions::ADMIN, HarborOptions::PASSWORD);
    }
    assert!(sandbox.harbor().most_deletions_at_once("a") <= 2);
}
