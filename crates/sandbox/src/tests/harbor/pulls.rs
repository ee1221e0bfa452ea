//! Reading a manifest uses the image, with exceptions.

use http::Method;
use http::header::{IF_NONE_MATCH, USER_AGENT};

use super::*;
use crate::Moment;

#[tokio::test]
async fn a_get_counts_as_a_pull_unless_harbor_takes_it_for_its_own() {
    let now = Moment::date(2026, 7, 1);
    let (sandbox, mut http) = harbor(HarborOptions::default().now(now)).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    let quoted = format!("\"{digest}\"");
    let by_tag = "/v2/team/app/manifests/1.0".to_owned();
    let by_digest = format!("/v2/team/app/manifests/{digest}");
    let pulled = || {
        let found = sandbox.harbor().artifact("team/app", "1.0").expect("an artifact");
        (found.pulled, found.tags[0].2)
    };
    for (method, headers, status) in [
        (Method::HEAD, vec![], 200),
        (Method::GET, vec![(USER_AGENT, "harbor-registry-client")], 200),
        (Method::GET, vec![(IF_NONE_MATCH, quoted.as_str())], 304),
    ] {
        for path in [&by_tag, &by_digest] {
            let answer = http.send(method.clone(), path, &headers, "").await;
            assert_eq!(answer.status(), status);
            assert_eq!(pulled(), (None, None), "{method} {headers:?}");
        }
    }
    let other = format!("\"sha256:{}\"", "0".repeat(64));
    let answer = http
        .send(Method::GET, &by_digest, &[(IF_NONE_MATCH, &*other)], "")
        .await;
    assert_eq!(answer.status(), 200, "another than it is");
    assert_eq!(
        pulled(),
        (Some(now), None),
        "tags do not learn of a pull by digest"
    );
    sandbox.harbor().set_now(now + 60);
    http.get(&by_tag).await;
    assert_eq!(pulled(), (Some(now + 60), Some(now + 60)));
    let repositories = get(&mut http, &api("/projects/team/repositories")).await;
    assert_eq!(repositories[0]["pull_count"], 2);
}

#[tokio::test]
async fn pulls_are_written_down_later_where_it_is_so() {
    let options = HarborOptions {
        pulls_seen_after: 3,
        ..HarborOptions::default()
    };
    let (sandbox, mut http) = harbor(options).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    http.get("/v2/team/app/manifests/1.0").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let rows = get(&mut http, &artifact_path("team/app", "")).await;
        seen.push(rows[0]["pull_time"] != "0001-01-01T00:00:00.000Z");
    }
    assert_eq!(seen, [false, false, true, true]);
}

#[tokio::test]
async fn a_proxy_cache_answers_over_v2_for_the_registry_behind_it() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let both = sandbox.put_image("upstream/app", &["1.0", "2.0"], DAY);
    let gone = sandbox.put_image("hub/app", &["0.9", "stable"], DAY);
    let cache = crate::harbor::Project::new("hub");
    sandbox
        .harbor()
        .project(&cache.clone().proxy_cache(3).in_front_of("upstream"));
    let listed = get(&mut http, "/v2/hub/app/tags/list").await;
    assert_eq!(listed["tags"], serde_json::json!(["0.9", "1.0", "2.0", "stable"]));
    let by_tag = "/v2/hub/app/manifests/1.0";
    let head = http.send(Method::HEAD, by_tag, &[], "").await;
    assert_eq!(head.status(), 200);
    assert_eq!(sandbox.resolve("hub/app", "1.0"), None, "a HEAD fetches nothing");
    assert_eq!(http.get(by_tag).await.status(), 200);
    assert_eq!(sandbox.resolve("hub/app", "1.0"), Some(both));
    assert_eq!(sandbox.resolve("hub/app", "stable"), Some(gone));
    let looked = http
        .send(Method::HEAD, "/v2/hub/app/manifests/0.9", &[], "")
        .await;
    assert_eq!(looked.status(), 404);
    assert_eq!(sandbox.resolve("hub/app", "stable"), None, "it went with 0.9");
    assert!(sandbox.harbor().artifact("hub/app", "stable").is_none());
}
