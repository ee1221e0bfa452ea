//! What differs between releases.

use http::Method;

use super::*;
use crate::HarborVersion;

#[tokio::test]
async fn releases_differ_in_what_a_client_can_see() {
    for version in HarborVersion::ALL {
        let (sandbox, mut http) = harbor(HarborOptions::default().version(version)).await;
        let digest = sandbox.put_image("team/app", &["1.0"], DAY);
        sandbox.put_signature("team/app", digest);
        let newer = version >= HarborVersion::V2_11;
        let newest = version == HarborVersion::V2_15;
        let expected = if newer { 200 } else { 404 };
        let of_project = api("/projects/team/artifacts");
        assert_eq!(
            http.status(Method::GET, &of_project).await,
            expected,
            "{version:?}"
        );
        assert_eq!(http.status(Method::GET, &api("/permissions")).await, expected);
        assert_eq!(
            http.status(Method::GET, &api("/projects/none/repositories"))
                .await,
            if newest { 404 } else { 403 }
        );
        let rows = get(&mut http, &artifact_path("team/app", "?with_accessory=true")).await;
        assert_eq!(rows[0]["artifact_type"].is_string(), newest);
        assert_eq!(rows[0]["repository_name"].is_string(), newer);
        let accessory = &rows[0]["accessories"][0];
        assert_eq!(accessory["subject_artifact_id"], rows[0]["id"]);
        assert_eq!(accessory["subject_artifact_repo"].is_string(), newer);
        let information = get(&mut http, &api("/systeminfo")).await;
        assert_eq!(information["harbor_version"], version.text());
        assert_eq!(get(&mut http, "/api/version").await["version"], "v2.0");
    }
}

#[tokio::test]
async fn a_registry_that_is_no_harbor_has_no_api() {
    let (_sandbox, mut http) = start(SandboxOptions::default().profile(crate::Profile::Harbor)).await;
    for path in ["/api/version", "/api/v2.0/ping", "/api/v2.0/projects"] {
        assert_eq!(http.status(Method::GET, path).await, 404);
    }
}

#[tokio::test]
async fn what_a_robot_can_be_allowed_grows_and_is_not_looked_at_in_old_releases() {
    for (version, expected) in [
        (HarborVersion::V2_8, [201, 201, 201]),
        (HarborVersion::V2_11, [400, 201, 400]),
        (HarborVersion::V2_15, [201, 201, 400]),
    ] {
        let (_sandbox, mut http) = harbor(HarborOptions::default().version(version)).await;
        let mut statuses = Vec::new();
        for (resource, action) in [
            ("robot", "list"),
            ("tag-retention", "read"),
            ("artifact", "prune"),
        ] {
            let body = serde_json::json!({
                "name": resource,
                "level": "project",
                "duration": -1,
                "permissions": [{
                    "kind": "project",
                    "namespace": "team",
                    "access": [{"resource": resource, "action": action}],
                }],
            });
            let answer = post(&mut http, &api("/robots"), body).await;
            statuses.push(answer.status().as_u16());
        }
        assert_eq!(statuses, expected, "{version:?}");
        if version >= HarborVersion::V2_11 {
            let all = get(&mut http, &api("/permissions")).await;
            let row = serde_json::json!({ "resource": "robot", "action": "list" });
            let listed = all["project"].as_array().expect("an array").contains(&row);
            assert_eq!(listed, version == HarborVersion::V2_15);
        }
    }
}
