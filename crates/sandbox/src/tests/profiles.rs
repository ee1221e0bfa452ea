//! What distinguishes the profiles, asked over HTTP.

use http::Method;
use http::header::AUTHORIZATION;

use super::{DAY, code, header, json, start, strings};
use crate::{Auth, Links, Profile, SandboxOptions, User};

#[tokio::test]
async fn catalogs_are_offered_or_refused_in_their_own_way() {
    for profile in Profile::ALL {
        let (sandbox, mut http) = start(SandboxOptions::default().profile(profile)).await;
        sandbox.put_image("a", &["1"], DAY);
        let answer = http.get("/v2/_catalog").await;
        let expected = match profile {
            Profile::GitLab | Profile::DockerHub => 401,
            _ => 200,
        };
        assert_eq!(answer.status(), expected, "{profile:?}");
        if profile == Profile::ArtifactRegistry {
            assert_eq!(json(&answer)["repositories"], serde_json::json!([]));
        }
    }
}

#[tokio::test]
async fn some_give_no_token_for_the_catalog_or_take_none() {
    let auth = |profile: Profile| profile.auth(vec![User::new("u", "p")]);
    let (_sandbox, mut http) = start(SandboxOptions::default().auth(auth(Profile::Ghcr))).await;
    let basic = || (AUTHORIZATION, "Basic dTpw");
    for (scope, status) in [("registry:catalog:*", 403), ("repository:a:pull", 200)] {
        let path = format!("/token?service=ghcr.io&scope={scope}");
        let answer = http.send(Method::GET, &path, &[basic()], "").await;
        assert_eq!(answer.status(), status, "{scope}");
    }

    let (_sandbox, mut http) = start(SandboxOptions::default().auth(auth(Profile::Harbor))).await;
    let path = "/service/token?service=harbor-registry&scope=registry:catalog:*";
    let token = json(&http.send(Method::GET, path, &[basic()], "").await);
    let bearer = format!("Bearer {}", token["token"].as_str().expect("a token"));
    let refused = http
        .send(Method::GET, "/v2/_catalog", &[(AUTHORIZATION, &bearer)], "")
        .await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        header(&refused, "www-authenticate"),
        Some("Basic realm=\"harbor\"")
    );
    let listed = http.send(Method::GET, "/v2/_catalog", &[basic()], "").await;
    assert_eq!(listed.status(), 200);
}

#[tokio::test]
async fn what_is_not_there_is_deleted_in_as_many_ways_as_there_are_registries() {
    let unknown = (404, "MANIFEST_UNKNOWN".to_owned());
    let unsupported = (405, "UNSUPPORTED".to_owned());
    for profile in Profile::ALL {
        let (sandbox, mut http) = start(SandboxOptions::default().profile(profile)).await;
        sandbox.put_image("a", &["1"], DAY);
        let digest = format!("/v2/a/manifests/sha256:{}", "0".repeat(64));
        if profile == Profile::Ecr {
            for path in [digest.as_str(), "/v2/a/manifests/none"] {
                let answer = http.send(Method::DELETE, path, &[], "").await;
                assert_eq!(
                    (answer.status().as_u16(), &answer.body()[..]),
                    (404, &b"404 page not found\n"[..])
                );
            }
            continue;
        }
        let by_digest = code(&http.send(Method::DELETE, &digest, &[], "").await);
        let by_tag = code(&http.send(Method::DELETE, "/v2/a/manifests/none", &[], "").await);
        let expected = match profile {
            Profile::Ghcr => (&unsupported, &unsupported),
            Profile::Harbor | Profile::DockerHub => (&unknown, &unsupported),
            Profile::Distribution28 => (&unknown, &(400, "DIGEST_INVALID".to_owned())),
            _ => (&unknown, &unknown),
        };
        assert_eq!((&by_digest, &by_tag), expected, "{profile:?}");
        assert_eq!(sandbox.tags("a").len(), 1);
    }
}

#[tokio::test]
async fn some_delete_a_manifest_only_when_no_tag_is_left_on_it() {
    for (profile, status) in [
        (Profile::ArtifactRegistry, 400),
        (Profile::DockerHub, 403),
        (Profile::Strict, 202),
    ] {
        let (sandbox, mut http) = start(SandboxOptions::default().profile(profile)).await;
        let tagged = sandbox.put_image("a", &["1"], DAY);
        let untagged = sandbox.put_image("a", &[], DAY);
        let mut delete = async |digest| {
            http.status(Method::DELETE, &format!("/v2/a/manifests/{digest}"))
                .await
        };
        assert_eq!(delete(tagged).await, status, "{profile:?}");
        assert_eq!(delete(untagged).await, 202, "{profile:?}");
    }
}

#[tokio::test]
async fn pages_are_capped_refused_and_linked_as_the_profile_has_it() {
    let tags: Vec<String> = (0..250).map(|number| format!("t{number:03}")).collect();
    let names: Vec<&str> = tags.iter().map(String::as_str).collect();
    let (sandbox, mut http) = start(SandboxOptions::default().profile(Profile::Quay)).await;
    sandbox.put_image("a", &names, DAY);
    let page = http.get("/v2/a/tags/list?n=1000").await;
    assert_eq!(strings(&json(&page)["tags"]).len(), 100);
    assert_eq!(
        header(&page, "link"),
        Some("</v2/a/tags/list?last=t099&n=100>; rel=\"next\"")
    );

    let (sandbox, mut http) = start(SandboxOptions::default().profile(Profile::Ecr)).await;
    sandbox.put_image("a", &names, DAY);
    assert_eq!(
        code(&http.get("/v2/a/tags/list?n=1001").await),
        (405, "UNSUPPORTED".to_owned())
    );

    for (links, expected) in [(Links::Absolute, true), (Links::Missing, false)] {
        let (sandbox, mut http) =
            start(SandboxOptions::default().behave(|behaviour| behaviour.links = links)).await;
        sandbox.put_image("a", &names, DAY);
        let page = http.get("/v2/a/tags/list?n=100").await;
        let link = header(&page, "link").map(str::to_owned);
        assert_eq!(
            link.is_some_and(|link| link.starts_with(&format!("<{}/", sandbox.url()))),
            expected
        );
    }
}

#[tokio::test]
async fn tokens_come_from_where_the_profile_says() {
    for profile in Profile::ALL {
        let auth = profile.auth(vec![User::new("u", "p")]);
        let path = match &auth {
            Auth::Bearer(bearer) => bearer.path.clone(),
            _ => continue,
        };
        let (sandbox, mut http) = start(SandboxOptions::default().profile(profile).auth(auth)).await;
        let refused = http.get("/v2/").await;
        let challenge = header(&refused, "www-authenticate")
            .expect("a challenge")
            .to_owned();
        let host = match profile {
            Profile::GitLab | Profile::DockerHub => sandbox.url().replace("127.0.0.1", "localhost"),
            _ => sandbox.url(),
        };
        assert!(
            challenge.starts_with(&format!("Bearer realm=\"{host}{path}\"")),
            "{profile:?}: {challenge}"
        );
        let given = json(
            &http
                .send(Method::GET, &path, &[(AUTHORIZATION, "Basic dTpw")], "")
                .await,
        );
        assert!(given["access_token"].is_string(), "{profile:?}");
        assert_eq!(given["token"].is_null(), profile == Profile::Acr, "{profile:?}");
    }
}

#[tokio::test]
async fn a_get_of_elastic_container_registry_names_no_digest() {
    let (sandbox, mut http) = start(SandboxOptions::default().profile(Profile::Ecr)).await;
    sandbox.put_image("a", &["1"], DAY);
    let mut stated = async |method| {
        let answer = http.send(method, "/v2/a/manifests/1", &[], "").await;
        header(&answer, "docker-content-digest").is_some()
    };
    assert_eq!(
        (stated(Method::GET).await, stated(Method::HEAD).await),
        (false, true)
    );
}
