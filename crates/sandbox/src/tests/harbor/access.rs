//! Who may see and do what, and how a refusal reads.

use http::Method;
use http::header::{AUTHORIZATION, COOKIE};
use serde_json::json;

use super::*;
use crate::Moment;
use crate::harbor::{Account, Project, Role};

async fn status(http: &mut Http, method: Method, path: &str) -> u16 {
    http.status(method, path).await
}

fn error_code(answer: &Response<Bytes>) -> String {
    super::json(answer)["errors"][0]["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

#[tokio::test]
async fn wrong_credentials_become_nobody_and_see_what_is_public() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.harbor().project(&Project::new("open").public());
    sandbox.put_image("open/app", &["1.0"], DAY);
    sandbox.put_image("team/app", &["1.0"], DAY);
    let information = get(&mut http, &api("/systeminfo")).await;
    assert_eq!(information["harbor_version"], "v2.15.0-5d1f2b77");
    assert_eq!(information["read_only"], false);

    for wrong in [None, Some("wrong")] {
        match wrong {
            Some(secret) => sign_in(&mut http, HarborOptions::ADMIN, secret),
            None => sign_out(&mut http),
        }
        let information = get(&mut http, &api("/systeminfo")).await;
        assert!(information["harbor_version"].is_null());
        assert_eq!(names(&get(&mut http, &api("/projects")).await), ["open"]);
        let rows = get(&mut http, &artifact_path("open/app", "")).await;
        assert_eq!(tags_of(&rows[0]), ["1.0"]);
        assert_eq!(
            status(&mut http, Method::GET, "/v2/open/app/manifests/1.0").await,
            200
        );
        for (method, path, expected) in [
            (Method::GET, artifact_path("team/app", ""), 401),
            (Method::DELETE, artifact_path("open/app", "/1.0"), 401),
            (Method::GET, api("/projects/open/artifacts"), 401),
            (Method::GET, api("/projects/open/immutabletagrules"), 401),
            (Method::GET, api("/system/gc"), 401),
            (Method::GET, api("/users/current"), 401),
            (Method::GET, api("/ping"), 200),
            (Method::GET, "/v2/".to_owned(), 401),
            (Method::GET, "/v2/team/app/manifests/1.0".to_owned(), 401),
        ] {
            assert_eq!(
                status(&mut http, method, &path).await,
                expected,
                "{path} {wrong:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_robot_may_what_it_was_allowed_and_403_is_the_answer_to_the_rest() {
    let robot = Account::robot("robot$team+plan", "Secret1").may(
        "team",
        &[
            ("project", "read"),
            ("repository", "list"),
            ("artifact", "list"),
            ("artifact", "read"),
            ("tag", "list"),
            ("immutable-tag", "list"),
        ],
    );
    let (sandbox, mut http) = harbor(HarborOptions::default().account(robot)).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    sandbox.put_image("other/app", &["1.0"], DAY);
    sign_in(&mut http, "robot$team+plan", "Secret1");
    let tag = artifact_path("team/app", &format!("/{digest}/tags/1.0"));
    for (method, path, expected) in [
        (Method::GET, api("/projects/team"), 200),
        (Method::GET, api("/projects/team/repositories"), 200),
        (Method::GET, api("/projects/team/artifacts"), 200),
        (Method::GET, artifact_path("team/app", ""), 200),
        (Method::GET, api("/projects/team/immutabletagrules"), 200),
        (Method::GET, artifact_path("team/app", "/1.0/accessories"), 403),
        (Method::DELETE, tag, 403),
        (Method::DELETE, artifact_path("team/app", "/1.0"), 403),
        (Method::GET, api("/projects/other"), 403),
        (Method::GET, api("/projects/other/repositories"), 403),
        (Method::GET, api("/system/gc/schedule"), 403),
        (Method::GET, api("/replication/policies"), 403),
        (Method::GET, api("/configurations"), 403),
        (Method::GET, api("/permissions"), 403),
        (Method::GET, api("/users/current"), 412),
        (Method::GET, "/v2/".to_owned(), 200),
        // Over `/v2` the same want is 401.
        (Method::GET, "/v2/team/app/manifests/1.0".to_owned(), 401),
        (Method::GET, "/v2/_catalog".to_owned(), 401),
    ] {
        assert_eq!(status(&mut http, method, &path).await, expected, "{path}");
    }
    assert_eq!(names(&get(&mut http, &api("/projects")).await), ["team"]);
    let project = get(&mut http, &api("/projects/team")).await["project_id"].clone();
    let path = api(&format!(
        "/users/current/permissions?relative=true&scope=/project/{project}"
    ));
    let allowed = get(&mut http, &path).await;
    let allowed = each(&allowed, |row| {
        format!(
            "{}:{}",
            row["resource"].as_str().expect("text"),
            row["action"].as_str().expect("text")
        )
    });
    assert!(allowed.contains(&".:read".to_owned()) && allowed.contains(&"immutable-tag:list".to_owned()));
    assert!(!allowed.contains(&"tag:delete".to_owned()));
}

#[tokio::test]
async fn an_expired_or_disabled_robot_is_nobody() {
    let noon = DAY + 43_200;
    let robot = |name: &str| Account::robot(name, "Secret1").may("*", &[("*", "*")]);
    let options = HarborOptions::default()
        .now(DAY)
        .account(robot("robot$short").expires(noon))
        .account(robot("robot$off").disabled());
    let (sandbox, mut http) = harbor(options).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    sign_in(&mut http, "robot$short", "Secret1");
    assert_eq!(status(&mut http, Method::GET, &api("/projects/team")).await, 200);
    sandbox.harbor().set_now(noon);
    let refused = http.get(&api("/projects/team")).await;
    assert_eq!(
        (refused.status().as_u16(), error_code(&refused)),
        (401, "UNAUTHORIZED".to_owned())
    );
    assert_eq!(get(&mut http, &api("/projects")).await, json!([]));
    sign_in(&mut http, "robot$off", "Secret1");
    assert_eq!(status(&mut http, Method::GET, &api("/projects/team")).await, 401);
}

#[tokio::test]
async fn members_may_by_their_roles() {
    let user = |name: &str, role| Account::user(name, "p").role("team", role);
    let options = HarborOptions::default()
        .account(user("guest", Role::Guest))
        .account(user("developer", Role::Developer))
        .account(user("maintainer", Role::Maintainer))
        .account(user("lead", Role::ProjectAdmin));
    let (sandbox, mut http) = harbor(options).await;
    let none = format!("/sha256:{}", "0".repeat(64));
    sandbox.put_image("team/app", &["1.0"], DAY);
    for (name, list, tag, delete, robots) in [
        ("guest", 200, 403, 403, 403),
        ("developer", 200, 404, 403, 403),
        ("maintainer", 200, 404, 404, 403),
        ("lead", 200, 404, 404, 403),
    ] {
        sign_in(&mut http, name, "p");
        assert_eq!(
            status(&mut http, Method::GET, &artifact_path("team/app", "")).await,
            list
        );
        let path = artifact_path("team/app", &format!("{none}/tags"));
        let answer = post(&mut http, &path, json!({ "name": "x" })).await;
        assert_eq!(answer.status(), tag, "{name}");
        let path = artifact_path("team/app", &none);
        assert_eq!(status(&mut http, Method::DELETE, &path).await, delete, "{name}");
        assert_eq!(
            status(&mut http, Method::GET, &api("/robots")).await,
            robots,
            "{name}"
        );
        let own = get(&mut http, &api("/users/current")).await;
        assert_eq!(
            (own["username"].as_str(), own["sysadmin_flag"].as_bool()),
            (Some(name), Some(false))
        );
    }
}

#[tokio::test]
async fn read_only_refuses_every_write() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    sandbox.harbor().set_read_only(true);
    assert_eq!(get(&mut http, &api("/systeminfo")).await["read_only"], true);
    assert_eq!(
        get(&mut http, &api("/configurations")).await["read_only"]["value"],
        true
    );
    for path in [
        artifact_path("team/app", "/1.0"),
        artifact_path("team/app", &format!("/{digest}/tags/1.0")),
        format!("/v2/team/app/manifests/{digest}"),
    ] {
        let refused = delete(&mut http, &path).await;
        assert_eq!(
            (refused.status().as_u16(), error_code(&refused)),
            (403, "DENIED".to_owned())
        );
    }
    let again = http
        .send(
            Method::PUT,
            &api("/configurations"),
            &[],
            json!({ "read_only": false }).to_string(),
        )
        .await;
    assert_eq!(again.status(), 200);
    assert_eq!(
        status(&mut http, Method::DELETE, &artifact_path("team/app", "/1.0")).await,
        200
    );
}

#[tokio::test]
async fn a_client_that_keeps_cookies_is_taken_for_a_browser() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    let answer = http.get(&api("/projects/team")).await;
    let cookie = header(&answer, "set-cookie").expect("a cookie").to_owned();
    let session = format!("theme=dark; {}", cookie.split(';').next().expect("a pair"));
    let session = session.as_str();
    let path = artifact_path("team/app", "/1.0");
    let refused = http.send(Method::DELETE, &path, &[(COOKIE, session)], "").await;
    assert_eq!(
        (refused.status().as_u16(), error_code(&refused)),
        (403, "FORBIDDEN".to_owned())
    );
    assert_eq!(delete(&mut http, &path).await.status(), 200);
}

#[tokio::test]
async fn v2_takes_basic_credentials_and_tokens_alike() {
    let robot = Account::robot("robot$pull", "Secret1").may("team", &[("repository", "pull")]);
    let (sandbox, mut http) = harbor(HarborOptions::default().account(robot)).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    sign_out(&mut http);
    let path = "/v2/team/app/manifests/1.0";
    let refused = http.get(path).await;
    assert_eq!(
        header(&refused, "www-authenticate"),
        Some(
            format!(
                "Bearer realm=\"{}/service/token\",service=\"harbor-registry\",scope=\"repository:team/app:pull\"",
                sandbox.url()
            )
            .as_str()
        )
    );
    sign_in(&mut http, "robot$pull", "Secret1");
    assert_eq!(status(&mut http, Method::GET, path).await, 200);
    let refused = delete(&mut http, path).await;
    assert_eq!(
        header(&refused, "www-authenticate"),
        Some("Basic realm=\"harbor\"")
    );
    assert_eq!(refused.status(), 401);
    let scope = "/service/token?service=harbor-registry&scope=repository:team/app:pull,delete";
    let token = get(&mut http, scope).await["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    sign_out(&mut http);
    let bearer = format!("Bearer {token}");
    let with = [(AUTHORIZATION, bearer.as_str())];
    assert_eq!(http.send(Method::HEAD, path, &with, "").await.status(), 200);
    assert_eq!(http.send(Method::DELETE, path, &with, "").await.status(), 401);
    // A token of the registry is no key to the API.
    let answer = http.send(Method::GET, &api("/projects/team"), &with, "").await;
    assert_eq!(answer.status(), 401);
    sandbox.revoke_tokens();
    sign_in(&mut http, "robot$pull", "Secret1");
    get(&mut http, scope).await;
    sign_out(&mut http);
    assert_eq!(http.send(Method::GET, path, &with, "").await.status(), 401);
}

#[tokio::test]
async fn a_robot_is_made_with_known_permissions_only_and_lives_as_long_as_it_says() {
    let now = Moment::date(2026, 7, 1);
    let (sandbox, mut http) = harbor(HarborOptions::default().now(now)).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    let robot = |action: &str| {
        json!({
            "name": "lagan",
            "level": "system",
            "duration": 1,
            "permissions": [
                {"kind": "project", "namespace": "team", "access": [{"resource": "artifact", "action": action}]},
                {"kind": "system", "namespace": "/", "access": [
                    {"resource": "garbage-collection", "action": "read"}
                ]},
            ],
        })
    };
    let refused = post(&mut http, &api("/robots"), robot("prune")).await;
    assert_eq!(
        (refused.status().as_u16(), error_code(&refused)),
        (400, "BAD_REQUEST".to_owned())
    );
    let answer = post(&mut http, &api("/robots"), robot("list")).await;
    assert_eq!(answer.status(), 201);
    let made = super::json(&answer);
    let (name, secret) = (
        made["name"].as_str().expect("text"),
        made["secret"].as_str().expect("text"),
    );
    assert_eq!(
        (name, made["expires_at"].as_i64()),
        ("robot$lagan", Some(now.plus_days(1).unix()))
    );
    assert!(sandbox.harbor().has_account("robot$lagan"));
    let listed = get(&mut http, &api("/robots")).await;
    assert_eq!(names(&listed), ["robot$lagan"]);
    assert_eq!(listed[0]["permissions"][0]["access"][0]["resource"], "artifact");
    sign_in(&mut http, name, secret);
    assert_eq!(
        status(&mut http, Method::GET, &artifact_path("team/app", "")).await,
        200
    );
    assert_eq!(
        status(&mut http, Method::GET, &api("/system/gc/schedule")).await,
        200
    );
    assert_eq!(status(&mut http, Method::GET, &api("/system/gc")).await, 403);
    sandbox.harbor().set_now(now.plus_days(1));
    assert_eq!(
        status(&mut http, Method::GET, &artifact_path("team/app", "")).await,
        401
    );
}
