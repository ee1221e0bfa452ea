//! What Harbor says of its rules, its replications and its labels.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::harbor::{Account, ImmutableRule, Replication, ReplicationTrigger, RetentionRule, Role};

#[tokio::test]
async fn rules_of_immutability_read_as_they_are_applied() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.put_image("team/app", &["1.0", "dev"], DAY);
    sandbox.put_image("team/web/ui", &["1.0", "dev"], DAY);
    let immutable = async |http: &mut Http, repository: &str| {
        let path = artifact_path(repository, "/1.0?with_immutable_status=true");
        let row = get(http, &path).await;
        each(&row["tags"], |tag| {
            (tag["immutable"] == true).then(|| tag["name"].as_str().expect("a name").to_owned())
        })
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
    };
    let steer = sandbox.harbor();
    for (rule, decorations, app, ui) in [
        (
            ImmutableRule::new("app", "1.*"),
            ("repoMatches", "matches"),
            vec!["1.0"],
            vec![],
        ),
        (
            ImmutableRule::new("app", "1.*").excluding_tags(),
            ("repoMatches", "excludes"),
            vec!["dev"],
            vec![],
        ),
        (
            ImmutableRule::new("app", "1.*").excluding_repositories(),
            ("repoExcludes", "matches"),
            vec![],
            vec!["1.0"],
        ),
        (
            ImmutableRule::new("**", "**").disabled(),
            ("repoMatches", "matches"),
            vec![],
            vec![],
        ),
        (
            ImmutableRule::new("**", "dev"),
            ("repoMatches", "matches"),
            vec!["dev"],
            vec!["dev"],
        ),
    ] {
        let id = steer.immutable("team", rule);
        let rows = get(&mut http, &api("/projects/team/immutabletagrules")).await;
        assert_eq!(ids(&rows), [id]);
        let pointer = |pointer: &str| rows[0].pointer(pointer).and_then(Value::as_str);
        assert_eq!(
            (
                pointer("/scope_selectors/repository/0/decoration"),
                pointer("/tag_selectors/0/decoration")
            ),
            (Some(decorations.0), Some(decorations.1))
        );
        assert_eq!(immutable(&mut http, "team/app").await, app);
        assert_eq!(immutable(&mut http, "team/web/ui").await, ui);
        let path = api(&format!("/projects/team/immutabletagrules/{id}"));
        assert_eq!(delete(&mut http, &path).await.status(), 200);
        assert_eq!(delete(&mut http, &path).await.status(), 404);
    }
}

#[tokio::test]
async fn a_retention_policy_reads_as_harbor_writes_it() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let id = sandbox.harbor().retention(
        "team",
        vec![
            RetentionRule::new("latestPushedK", Some(10))
                .tags("v*")
                .excluding_tags(),
            RetentionRule::new("always", None)
                .repositories("app")
                .tagged_only()
                .disabled(),
        ],
    );
    let project = get(&mut http, &api("/projects/team")).await;
    assert_eq!(project["metadata"]["retention_id"], id.to_string());
    let policy = get(&mut http, &api(&format!("/retentions/{id}"))).await;
    assert_eq!(
        (&policy["algorithm"], &policy["scope"]["ref"]),
        (&json!("or"), &project["project_id"])
    );
    let (first, second) = (&policy["rules"][0], &policy["rules"][1]);
    assert_eq!(first["params"], json!({ "latestPushedK": 10 }));
    assert_eq!(first["disabled"], false);
    assert_eq!(
        first["tag_selectors"][0],
        json!({
            "kind": "doublestar",
            "decoration": "excludes",
            "pattern": "v*",
            "extras": "{\"untagged\":true}",
        })
    );
    assert_eq!(
        (&second["params"], &second["disabled"]),
        (&json!({}), &json!(true))
    );
    assert_eq!(second["tag_selectors"][0]["extras"], "{\"untagged\":false}");
    assert_eq!(second["scope_selectors"]["repository"][0]["pattern"], "app");
}

#[tokio::test]
async fn replications_say_whether_deletions_go_along() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let steer = sandbox.harbor();
    steer.replication(Replication::new("push", "team/**", ReplicationTrigger::EventBased).deletions());
    steer.replication(Replication::new("copy", "**", ReplicationTrigger::Manual).disabled());
    let rows = get(&mut http, &api("/replication/policies?sort=id")).await;
    let read = each(&rows, |row| {
        (
            row["name"].as_str().expect("text").to_owned(),
            row["trigger"]["type"].as_str().expect("text").to_owned(),
            row["replicate_deletion"] == true && row["deletion"] == true,
            row["enabled"] == true,
        )
    });
    assert_eq!(
        read,
        [
            ("push".to_owned(), "event_based".to_owned(), true, true),
            ("copy".to_owned(), "manual".to_owned(), false, false)
        ]
    );
    let found = get(&mut http, &api("/replication/policies?q=name%3D~cop")).await;
    assert_eq!(names(&found), ["copy"]);
}

#[tokio::test]
async fn labels_are_made_by_who_may() {
    let options = HarborOptions::default()
        .account(Account::user("keeper", "p").role("team", Role::Maintainer))
        .account(Account::user("guest", "p").role("team", Role::Guest));
    let (sandbox, mut http) = harbor(options).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    let id = get(&mut http, &api("/projects/team")).await["project_id"].clone();
    for (name, scope, project, expected) in [
        ("keeper", "p", id.clone(), 201),
        ("keeper", "p", json!(99), 403),
        ("keeper", "g", id.clone(), 403),
        ("keeper", "x", id.clone(), 400),
        ("guest", "p", id.clone(), 403),
    ] {
        sign_in(&mut http, name, "p");
        let body = json!({ "name": "keep", "scope": scope, "project_id": project });
        let answer = post(&mut http, &api("/labels"), body).await;
        assert_eq!(answer.status(), expected, "{name} {scope} {project}");
    }
    sign_in(&mut http, "guest", "p");
    let path = artifact_path("team/app", "/1.0/labels");
    assert_eq!(post(&mut http, &path, json!({ "id": 1 })).await.status(), 403);
    assert_eq!(http.status(Method::GET, &api("/labels/1")).await, 200);
    sign_out(&mut http);
    assert_eq!(http.status(Method::GET, &api("/labels/1")).await, 401);
}

#[tokio::test]
async fn a_project_takes_what_is_its_own_along_and_nothing_else() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let steer = sandbox.harbor();
    let (global, other) = (steer.label(None, "global"), steer.label(Some("other"), "theirs"));
    let own = steer.label(Some("team"), "own");
    let rule = steer.retention("team", vec![RetentionRule::new("always", None)]);
    steer.immutable("team", ImmutableRule::new("**", "**"));
    steer.immutable("other", ImmutableRule::new("**", "**"));
    assert_eq!(delete(&mut http, &api("/projects/team")).await.status(), 200);
    for (label, status) in [(global, 200), (other, 200), (own, 404)] {
        assert_eq!(
            http.status(Method::GET, &api(&format!("/labels/{label}"))).await,
            status
        );
    }
    assert_eq!(
        http.status(Method::GET, &api(&format!("/retentions/{rule}")))
            .await,
        404
    );
    let rules = get(&mut http, &api("/projects/other/immutabletagrules")).await;
    assert_eq!(ids(&rules).len(), 1);
}
