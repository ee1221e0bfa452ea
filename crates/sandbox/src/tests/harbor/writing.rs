//! Tags, labels and projects that are made, and content that is pushed again.

use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::*;
use crate::Moment;
use crate::harbor::{ImmutableRule, Project};

#[tokio::test]
async fn a_tag_is_made_on_an_artifact_and_is_new() {
    let now = Moment::date(2026, 7, 1);
    let (sandbox, mut http) = harbor(HarborOptions::default().now(now)).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    let path = artifact_path("team/app", &format!("/{digest}/tags"));
    let mut make = async |name: &str| {
        let answer = post(&mut http, &path, json!({ "name": name })).await;
        answer.status().as_u16()
    };
    assert_eq!(make("stable").await, 201);
    assert_eq!(make("stable").await, 409);
    assert_eq!(make("").await, 400);
    assert_eq!(make("a b").await, 400);
    assert_eq!(sandbox.resolve("team/app", "stable"), Some(digest));
    let found = sandbox
        .harbor()
        .artifact("team/app", "stable")
        .expect("an artifact");
    assert_eq!(found.tags[1], ("stable".to_owned(), now, None));
    let listed = get(&mut http, &path).await;
    assert_eq!(names(&listed), ["stable", "1.0"], "the newest first");
    assert_eq!(found.pushed, DAY);
    let none = artifact_path("team/app", &format!("/sha256:{}/tags", "0".repeat(64)));
    assert_eq!(post(&mut http, &none, json!({ "name": "x" })).await.status(), 404);
}

#[tokio::test]
async fn labels_are_put_on_artifacts_and_taken_off() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    let project = get(&mut http, &api("/projects/team")).await["project_id"].clone();
    let body = json!({ "name": "keep", "scope": "p", "project_id": project });
    let answer = post(&mut http, &api("/labels"), body.clone()).await;
    assert_eq!(answer.status(), 201);
    let location = header(&answer, "location").expect("a location").to_owned();
    let label = get(&mut http, &location).await;
    assert_eq!(post(&mut http, &api("/labels"), body).await.status(), 409);
    let listed = get(&mut http, &api(&format!("/labels?scope=p&project_id={project}"))).await;
    assert_eq!(names(&listed), ["keep"]);
    assert_eq!(http.status(Method::GET, &api("/labels")).await, 400);

    let path = artifact_path("team/app", "/1.0/labels");
    let id = json!({ "id": label["id"] });
    assert_eq!(post(&mut http, &path, id.clone()).await.status(), 200);
    assert_eq!(post(&mut http, &path, id).await.status(), 409);
    assert_eq!(post(&mut http, &path, json!({ "id": 99 })).await.status(), 404);
    let query = format!("?with_label=true&q=labels%3D({})", label["id"]);
    let rows = get(&mut http, &artifact_path("team/app", &query)).await;
    assert_eq!(names(&rows[0]["labels"]), ["keep"]);
    let taken = artifact_path("team/app", &format!("/1.0/labels/{}", label["id"]));
    assert_eq!(delete(&mut http, &taken).await.status(), 200);
    assert_eq!(delete(&mut http, &taken).await.status(), 404);
}

#[tokio::test]
async fn a_project_is_made_once() {
    let (_sandbox, mut http) = harbor(HarborOptions::default()).await;
    let body = json!({ "project_name": "fresh", "metadata": { "public": "true" } });
    let answer = post(&mut http, &api("/projects"), body.clone()).await;
    assert_eq!(answer.status(), 201);
    let location = header(&answer, "location").expect("a location").to_owned();
    assert_eq!(get(&mut http, &location).await["name"], "fresh");
    assert_eq!(post(&mut http, &api("/projects"), body).await.status(), 409);
    assert!(location.ends_with("/projects/1"), "{location}");
    let by_name = http::HeaderName::from_static("x-resource-name-in-location");
    let named = json!({ "project_name": "named" }).to_string();
    let answer = http
        .send(Method::POST, &api("/projects"), &[(by_name, "true")], named)
        .await;
    assert_eq!(header(&answer, "location"), Some("/api/v2.0/projects/named"));
    let wrong = json!({ "project_name": "No Such" });
    assert_eq!(post(&mut http, &api("/projects"), wrong).await.status(), 400);
    assert_eq!(post(&mut http, &api("/projects"), json!("{")).await.status(), 400);
    sign_out(&mut http);
    let other = json!({ "project_name": "other" });
    assert_eq!(post(&mut http, &api("/projects"), other).await.status(), 401);
}

#[tokio::test]
async fn what_was_deleted_is_pushed_back_by_digest_and_tagged_again() {
    let now = Moment::date(2026, 7, 1);
    let (sandbox, mut http) = harbor(HarborOptions::default().now(now)).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    let manifest = sandbox.manifest("team/app", &digest).expect("a manifest");
    let before = sandbox.harbor().artifact("team/app", "1.0").expect("an artifact");
    assert_eq!(
        delete(&mut http, &artifact_path("team/app", "/1.0"))
            .await
            .status(),
        200
    );
    let path = format!("/v2/team/app/manifests/{digest}");
    assert_eq!(http.status(Method::GET, &path).await, 404);
    let put = http
        .send(
            Method::PUT,
            &path,
            &[(CONTENT_TYPE, &*manifest.media_type)],
            manifest.bytes.clone(),
        )
        .await;
    assert_eq!(put.status(), 201, "its blobs are still there");
    let tags = artifact_path("team/app", &format!("/{digest}/tags"));
    assert_eq!(
        post(&mut http, &tags, json!({ "name": "1.0" })).await.status(),
        201
    );
    let after = sandbox.harbor().artifact("team/app", "1.0").expect("an artifact");
    assert_eq!(after.pushed, now, "when it was pushed first is lost");
    assert!(after.id > before.id);
}

#[tokio::test]
async fn pushes_are_refused_where_tags_are_immutable_or_the_project_is_a_cache() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let old = sandbox.put_image("team/app", &["1.0"], DAY);
    let new = sandbox.put_image("team/app", &["2.0"], DAY);
    sandbox
        .harbor()
        .immutable("team", ImmutableRule::new("**", "1.*"));
    sandbox.harbor().project(&Project::new("cache").proxy_cache(1));
    let cached = sandbox.put_image("cache/app", &["1.0"], DAY);
    let mut push = async |repository: &str, digest: Digest, reference: &str| {
        let manifest = sandbox.manifest(repository, &digest).expect("a manifest");
        let path = format!("/v2/{repository}/manifests/{reference}");
        let headers = [(CONTENT_TYPE, &*manifest.media_type)];
        let answer = http
            .send(Method::PUT, &path, &headers, manifest.bytes.clone())
            .await;
        answer.status().as_u16()
    };
    assert_eq!(push("team/app", new, "1.0").await, 412);
    assert_eq!(push("team/app", old, "1.0").await, 201);
    assert_eq!(push("team/app", old, "1.1").await, 201, "a tag that is new");
    assert_eq!(push("team/app", old, "2.0").await, 201, "a tag that may move");
    assert_eq!(push("cache/app", cached, "2.0").await, 405);
    let moved = sandbox.harbor().artifact("team/app", "2.0").expect("an artifact");
    assert_eq!(moved.digest, old);
    let tags = artifact_path("cache/app", &format!("/{cached}/tags"));
    assert_eq!(post(&mut http, &tags, json!({ "name": "x" })).await.status(), 405);
}

#[tokio::test]
async fn whoever_may_push_need_not_be_allowed_to_pull() {
    let robot = crate::harbor::Account::robot("robot$push", "Secret1").may("team", &[("repository", "push")]);
    let (sandbox, mut http) = harbor(HarborOptions::default().account(robot)).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    let manifest = sandbox.manifest("team/app", &digest).expect("a manifest");
    sign_in(&mut http, "robot$push", "Secret1");
    let path = "/v2/team/app/manifests/2.0";
    let headers = [(CONTENT_TYPE, &*manifest.media_type)];
    let answer = http
        .send(Method::PUT, path, &headers, manifest.bytes.clone())
        .await;
    assert_eq!(answer.status(), 201);
    assert_eq!(http.status(Method::GET, path).await, 401);
    assert_eq!(http.status(Method::DELETE, path).await, 401);
}

#[tokio::test]
async fn who_makes_a_project_leads_it_and_caches_are_for_administrators() {
    let robot =
        crate::harbor::Account::robot("robot$maker", "Secret1").may_in_system(&[("project", "create")]);
    let options = HarborOptions::default()
        .account(crate::harbor::Account::user("ann", "p"))
        .account(crate::harbor::Account::user("bob", "p"))
        .account(robot);
    let (_sandbox, mut http) = harbor(options).await;
    let cache = |name: &str| json!({ "project_name": name, "registry_id": 3 });
    assert_eq!(
        post(&mut http, &api("/projects"), cache("one")).await.status(),
        201
    );
    assert_eq!(get(&mut http, &api("/projects/one")).await["registry_id"], 3);
    sign_in(&mut http, "ann", "p");
    assert_eq!(
        post(&mut http, &api("/projects"), cache("two")).await.status(),
        403
    );
    let body = json!({ "project_name": "ours" });
    assert_eq!(post(&mut http, &api("/projects"), body).await.status(), 201);
    assert_eq!(names(&get(&mut http, &api("/projects")).await), ["ours"]);
    sign_in(&mut http, "bob", "p");
    assert_eq!(http.status(Method::DELETE, &api("/projects/ours")).await, 403);
    sign_in(&mut http, "ann", "p");
    assert_eq!(http.status(Method::DELETE, &api("/projects/ours")).await, 200);
    // A robot makes what it then may not see.
    sign_in(&mut http, "robot$maker", "Secret1");
    let body = json!({ "project_name": "made" });
    assert_eq!(post(&mut http, &api("/projects"), body).await.status(), 201);
    assert_eq!(http.status(Method::GET, &api("/projects/made")).await, 403);
    sign_in(&mut http, "bob", "p");
    let body = json!({ "project_name": "of-bob", "public": true });
    assert_eq!(post(&mut http, &api("/projects"), body).await.status(), 201);
    sign_out(&mut http);
    assert_eq!(names(&get(&mut http, &api("/projects")).await), ["of-bob"]);
}
