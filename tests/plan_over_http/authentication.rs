//! Who may look, from the arguments to the registry.

use lagan_sandbox::{Auth, Bearer, Grant, Profile, RequestKind, Sandbox, SandboxOptions, User};

use crate::support::Place;
use crate::{TWO, candidates, start};

const PASSWORD: &str = "c0rrect-horse";

async fn guarded(auth: Auth) -> Sandbox {
    let sandbox = start(
        SandboxOptions::default()
            .profile(Profile::Distribution28)
            .auth(auth),
    )
    .await;
    for name in ["team/app", "team/web", "other/app"] {
        candidates(&sandbox, name, 5);
    }
    sandbox
}

fn user() -> User {
    let user = User::new("reader", PASSWORD).grant(Grant::catalog());
    user.grant(Grant::repository("*", &["pull"]))
}

#[tokio::test]
async fn basic_and_bearer_work_with_arguments_and_with_a_configuration() {
    for auth in [Auth::Basic(vec![user()]), Auth::Bearer(Bearer::new(vec![user()]))] {
        let bearer = matches!(auth, Auth::Bearer(_));
        let sandbox = guarded(auth).await;
        let place = Place::new();
        place.file("password", format!("{PASSWORD}\n"));
        place.file(
            "lagan.yaml",
            format!(
                "registries: {{main: {{url: \"{}\", credentials: {{username: reader, password_file: password}}}}}}
policies: {{p: {{repositories: '**', rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]}}}}
",
                sandbox.url()
            ),
        );
        let line = format!(
            "--registry {} {TWO} --username reader --password-file password",
            sandbox.url()
        );
        let mut totals = Vec::new();
        for arguments in [
            "plan --format json".to_owned(),
            format!("plan {line} --format json"),
        ] {
            let plan = place.run(&arguments).await.exits(0);
            assert!(
                !plan.stderr.contains("plain HTTP"),
                "on this machine: {}",
                plan.stderr
            );
            totals.push(plan.json()["totals"].clone());
        }
        assert_eq!(totals[0]["delete_tags"], 9);
        assert_eq!(totals[0], totals[1]);
        assert_eq!(sandbox.log().counts().of(RequestKind::Token) > 0, bearer);
    }
}

#[tokio::test]
async fn wrong_or_missing_credentials_end_the_run_and_say_what_to_do() {
    for auth in [Auth::Basic(vec![user()]), Auth::Bearer(Bearer::new(vec![user()]))] {
        let sandbox = guarded(auth).await;
        let place = Place::new();
        place.file("wrong", "incorrect-horse");
        let plan = format!("plan --registry {} {TWO}", sandbox.url());
        let wrong = place
            .run(&format!("{plan} --username reader --password-file wrong"))
            .await
            .exits(1);
        assert!(wrong.stderr.contains("401"), "{}", wrong.stderr);
        assert!(
            wrong
                .stderr
                .contains("hint: check the user name and the password"),
            "{}",
            wrong.stderr
        );
        assert!(
            wrong.stdout.is_empty() && !wrong.stderr.contains("incorrect-horse"),
            "{}",
            wrong.said()
        );
        let nobody = place.run(&plan).await.exits(1);
        assert!(nobody.stderr.contains("hint: "), "{}", nobody.stderr);
        assert!(nobody.stdout.is_empty());
        let counts = sandbox.log().counts();
        assert_eq!(
            counts.of(RequestKind::ManifestGet) + counts.of(RequestKind::TagList),
            0
        );
    }
}

#[tokio::test]
async fn a_repository_that_may_not_be_read_is_incomplete_and_the_others_are_planned() {
    let grants = User::new("reader", PASSWORD)
        .grant(Grant::catalog())
        .grant(Grant::repository("team/*", &["pull"]));
    for auth in [
        Auth::Basic(vec![grants.clone()]),
        Auth::Bearer(Bearer::new(vec![grants.clone()])),
    ] {
        let sandbox = guarded(auth).await;
        let place = Place::new();
        place.file("password", PASSWORD);
        let who = "--username reader --password-file password --format json";
        let plan = place
            .run(&format!("plan --registry {} {TWO} {who}", sandbox.url()))
            .await
            .exits(4)
            .json();
        assert_eq!(plan["totals"]["incomplete_repositories"], 1);
        assert_eq!(plan["totals"]["delete_tags"], 6);
        let refused = crate::support::repository(&plan, "other/app");
        assert_eq!(
            (&refused["complete"], &refused["actions"]),
            (&false.into(), &serde_json::json!([]))
        );
    }
}

#[tokio::test]
async fn tokens_that_end_in_the_middle_are_renewed() {
    // In requests: far fewer than are queued, so that a token taken too early ends before its request is sent.
    let bearer = Bearer {
        lifetime: 100,
        ..Bearer::new(vec![user()])
    };
    let sandbox = guarded(Auth::Bearer(bearer)).await;
    for repository in ["team/one", "team/two", "team/three"] {
        candidates(&sandbox, repository, 120);
    }
    let place = Place::new();
    place.file("password", PASSWORD);
    place.file(
        "lagan.yaml",
        format!(
            "registries: {{here: {{url: '{}', max_concurrency: 8, credentials: {{username: reader, \
             password_file: password}}}}}}",
            sandbox.url()
        ),
    );
    let plan = place
        .run(&format!("plan team/* {TWO} --format json"))
        .await
        .exits(0)
        .json();
    // With the two small repositories that are there already.
    assert_eq!(plan["totals"]["delete_tags"], 3 * 118 + 2 * 3);
    // One for the ping, one for the catalog, one for each repository: more were renewed on the way.
    let tokens = sandbox.log().counts().of(RequestKind::Token);
    assert!(tokens > 5, "{tokens}");
}
