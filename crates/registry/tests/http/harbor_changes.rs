//! Deleting and putting back by Harbor's API: every request in its order, each change once, and what an answer says.

use std::sync::Mutex;

use axum::response::Response;
use lagan_model::{Deletion, Digest, Failure, RegistryError, RegistryKind, RegistryWrite as _};
use lagan_registry::{Connected, Credentials};

use crate::journal::{deletion, deletion_of, manifest, restoration, tag, untagging};
use crate::support::{Seen, Server, broken_off, html, json, refused, respond};

const INFORMATION: &str = r#"{"auth_mode":"db_auth","harbor_version":"v2.15.0-abc"}"#;

const PERMISSIONS: &str = "/api/v2.0/users/current/permissions";

/// The tags that are on the artifact of the journal; `None` where it is gone.
type Tags = Mutex<Option<Vec<&'static str>>>;

fn rows(rows: &[String]) -> Response {
    let total = rows.len().to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-total-count", total.as_str()),
        // Whoever keeps it is taken for a browser, and refused without a token against forgery.
        ("set-cookie", "sid=1; Path=/"),
    ];
    respond(200, &headers, format!("[{}]", rows.join(",")))
}

/// What deleting takes of the account.
const RIGHTS: &str = r#"[{"resource":"tag","action":"delete"},{"resource":"tag","action":"create"},
    {"resource":"artifact","action":"delete"},{"resource":".","action":"read"}]"#;

/// A Harbor with one artifact; each change is answered by `answer`, or made where that has nothing to say.
async fn harbor(
    tags: &'static [&'static str],
    answer: impl Fn(&Seen) -> Option<Response> + Send + Sync + 'static,
) -> Server {
    harbor_that_allows(|| json(200, RIGHTS), tags, answer).await
}

/// The same, which answers so when it is asked what the account may do.
async fn harbor_that_allows(
    rights: impl Fn() -> Response + Send + Sync + 'static,
    tags: &'static [&'static str],
    answer: impl Fn(&Seen) -> Option<Response> + Send + Sync + 'static,
) -> Server {
    let state: Tags = Mutex::new(Some(tags.to_vec()));
    Server::start(move |seen| {
        let path = seen.path.as_str();
        match path {
            "/api/v2.0/systeminfo" => return json(200, INFORMATION),
            "/api/v2.0/projects/team" => return json(200, r#"{"project_id":7,"name":"team"}"#),
            PERMISSIONS => {
                assert_eq!(
                    (&*seen.query["scope"], &*seen.query["relative"]),
                    ("/project/7", "true")
                );
                return rights();
            }
            _ => {}
        }
        if seen.method != "GET"
            && let Some(answer) = answer(seen)
        {
            return answer;
        }
        let mut state = state.lock().unwrap();
        if path.ends_with("/immutabletagrules") {
            return rows(&[]);
        }
        let Some(tags) = &mut *state else {
            return refused(404, "NOT_FOUND");
        };
        match (seen.method.as_str(), path.rsplit('/').next().unwrap()) {
            ("GET", "accessories") => rows(&[]),
            ("GET", "tags") => {
                let named = tags.iter().enumerate();
                let named: Vec<_> = named
                    .map(|(id, name)| format!(r#"{{"id":{},"name":"{name}"}}"#, id + 1))
                    .collect();
                rows(&named)
            }
            ("POST", "tags") => {
                let named: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
                let name = named["name"].as_str().unwrap();
                tags.push(Vec::leak(vec![name.to_owned()])[0].as_str());
                respond(201, &[], "")
            }
            ("DELETE", last) if path.contains("/tags/") => {
                let before = tags.len();
                tags.retain(|tag| *tag != last);
                match tags.len() < before {
                    true => respond(200, &[], ""),
                    false => refused(404, "NOT_FOUND"),
                }
            }
            ("DELETE", _) => {
                *state = None;
                respond(200, &[], "")
            }
            _ => refused(404, "NOT_FOUND"),
        }
    })
    .await
}

async fn connect(server: &Server) -> Connected {
    let mut settings = server.settings();
    settings.credentials = Some(Credentials::new("robot$lagan", "secret".into()).unwrap().into());
    Connected::connect(settings, Some(RegistryKind::Harbor))
        .await
        .unwrap()
}

async fn delete(server: &Server) -> Result<Deletion, RegistryError> {
    connect(server).await.delete(&deletion().await).await
}

/// Method and what the path ends with, of everything but reading.
fn changes(server: &Server) -> Vec<(String, String)> {
    let log = server.log().into_iter().filter(|seen| seen.method != "GET");
    log.map(|seen| {
        let end = seen.path.split("/artifacts/").nth(1).unwrap_or_default();
        let end = end.split_once('/').map_or("", |(_, end)| end);
        (seen.method, end.to_owned())
    })
    .collect()
}

fn of(method: &str, end: &str) -> (String, String) {
    (method.to_owned(), end.to_owned())
}

#[tokio::test]
async fn each_tag_goes_before_the_artifact_and_every_request_names_things_as_harbor_wants_them() {
    let server = harbor(&["1.0"], |_| None).await;
    assert_eq!(delete(&server).await.unwrap(), Deletion::Accepted);
    assert_eq!(changes(&server), [of("DELETE", "tags/1.0"), of("DELETE", "")]);
    for seen in server.log() {
        assert_eq!(seen.header("x-is-resource-name"), Some("true"), "{}", seen.path);
        assert_eq!(seen.header("cookie"), None, "{}", seen.path);
        assert!(seen.authorization().unwrap().starts_with("Basic "));
        if seen.path.contains("/artifacts/") {
            let digest = manifest().digest().to_string();
            assert!(
                seen.path.contains(&format!("/artifacts/{digest}")),
                "{}",
                seen.path
            );
        }
    }
}

#[tokio::test]
async fn an_artifact_with_other_tags_than_are_on_record_is_left() {
    for tags in [&["1.0", "prod"][..], &["prod"], &[]] {
        let server = harbor(Vec::leak(tags.to_vec()), |_| None).await;
        let done = delete(&server).await.unwrap();
        assert!(matches!(done, Deletion::Left { .. }), "{tags:?}: {done:?}");
        assert_eq!(changes(&server), [], "{tags:?}");
    }
}

#[tokio::test]
async fn a_tag_that_is_nowhere_after_its_deletion_was_answered_by_a_404_may_have_been_deleted_by_it() {
    // What stands between may send a deletion twice, and hand on the second answer.
    let gone = |seen: &Seen| seen.method == "DELETE" && seen.path.ends_with("/tags/1.0");
    let server = harbor(&["1.0"], move |seen| {
        (gone(seen) || seen.method == "HEAD").then(|| refused(404, "NOT_FOUND"))
    })
    .await;
    delete(&server).await.unwrap_err();

    // Somebody has put it on something else.
    let server = harbor(&["1.0"], move |seen| match seen.method.as_str() {
        "HEAD" => {
            let other = Digest::of(b"other").to_string();
            let headers = [
                ("content-type", "application/vnd.oci.image.manifest.v1+json"),
                ("docker-content-digest", other.as_str()),
                ("content-length", "2"),
            ];
            Some(respond(200, &headers, ""))
        }
        _ => gone(seen).then(|| refused(404, "NOT_FOUND")),
    })
    .await;
    let done = delete(&server).await.unwrap();
    assert!(matches!(done, Deletion::Left { .. }), "{done:?}");
    assert!(changes(&server).iter().all(|(method, _)| method != "POST"));
}

#[tokio::test]
async fn what_keeps_the_artifact_makes_its_tags_come_back() {
    for (status, code) in [(412, "PRECONDITION"), (412, "VIOLATE_FOREIGN_KEY_CONSTRAINT")] {
        let server = harbor(&["1.0"], move |seen| {
            let whole = seen.method == "DELETE" && !seen.path.contains("/tags/");
            whole.then(|| refused(status, code))
        })
        .await;
        let done = delete(&server).await.unwrap();
        let Deletion::Left { detail } = done else {
            panic!("{done:?}")
        };
        assert!(detail.contains(code), "{detail}");
        let expected = [of("DELETE", "tags/1.0"), of("DELETE", ""), of("POST", "tags")];
        assert_eq!(changes(&server), expected, "{code}");
        let log = server.log();
        let put = log.iter().find(|seen| seen.method == "POST").unwrap();
        assert_eq!(put.body, r#"{"name":"1.0"}"#);
    }
}

#[tokio::test]
async fn no_change_is_ever_sent_twice_and_what_is_not_known_is_not_called_refused() {
    type Answer = fn() -> Response;
    let answers: [(Answer, Failure); 7] = [
        (|| refused(500, "UNKNOWN"), Failure::Server),
        (|| refused(503, "UNKNOWN"), Failure::Server),
        (|| html(502), Failure::Server),
        (|| broken_off(&[], "{", 100), Failure::Unreachable),
        (|| refused(403, "FORBIDDEN"), Failure::Denied),
        (|| refused(429, "TOOMANYREQUESTS"), Failure::Overloaded),
        (|| html(404), Failure::Refused),
    ];
    for (answer, failure) in answers {
        for whole in [false, true] {
            let server = harbor(&["1.0"], move |seen| {
                let is_whole = !seen.path.contains("/tags");
                (seen.method == "DELETE" && is_whole == whole).then(answer)
            })
            .await;
            let error = delete(&server).await.unwrap_err();
            assert_eq!(error.failure(), failure, "{whole}: {error}");
            let sent = changes(&server);
            let last = if whole {
                of("DELETE", "")
            } else {
                of("DELETE", "tags/1.0")
            };
            let times = sent.iter().filter(|change| **change == last).count();
            assert_eq!(times, 1, "{whole} {failure:?}: {sent:?}");
            // What was taken off is put back.
            assert_eq!(
                sent.contains(&of("POST", "tags")),
                whole,
                "{whole} {failure:?}: {sent:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_tag_that_cannot_be_put_back_makes_it_unknown_whether_all_of_it_is_there() {
    let server = harbor(&["1.0"], |seen| {
        let keeps = seen.method == "POST" || !seen.path.contains("/tags");
        keeps.then(|| refused(403, "FORBIDDEN"))
    })
    .await;
    let error = delete(&server).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Server, "{error}");
    assert!(error.to_string().contains("could not be put back"), "{error}");
}

#[tokio::test]
async fn every_tag_that_can_be_is_put_back_and_one_that_is_elsewhere_by_now_is_no_failure() {
    let recorded = deletion_of(&["a", "b", "c"]).await;
    for (answer, is_left) in [
        // Somebody pushed `a` meanwhile.
        (refused as fn(u16, &str) -> Response, true),
        (|_, _| html(409), false),
        (|_, _| refused(502, "UNKNOWN"), false),
        // A page to sign in at.
        (|_, _| html(200), false),
    ] {
        let server = harbor(&["a", "b", "c"], move |seen| {
            let on_c = seen.method == "DELETE" && seen.path.ends_with("/tags/c");
            let a_again = seen.method == "POST" && seen.body.contains(r#""a""#);
            on_c.then(|| refused(412, "PRECONDITION"))
                .or(a_again.then(|| answer(409, "CONFLICT")))
        })
        .await;
        let done = connect(&server).await.delete(&recorded).await;
        match done {
            Ok(Deletion::Left { detail }) => assert!(is_left && detail.contains("PRECONDITION"), "{detail}"),
            Ok(done) => panic!("{done:?}"),
            Err(error) => {
                assert!(!is_left && error.failure() == Failure::Server, "{error}");
                assert!(error.to_string().contains("the tag a was taken off"), "{error}");
            }
        }
        let log = server.log();
        let put: Vec<_> = log.iter().filter(|seen| seen.method == "POST").collect();
        assert!(
            put.iter().any(|seen| seen.body == r#"{"name":"b"}"#),
            "b is put back"
        );
    }
}

#[tokio::test]
async fn a_tag_that_fails_to_come_back_once_is_sent_once_more() {
    let server = harbor(&["1.0"], |seen| {
        let whole = seen.method == "DELETE" && !seen.path.contains("/tags/");
        let first = seen.method == "POST" && seen.before == 0;
        whole
            .then(|| refused(412, "PRECONDITION"))
            .or(first.then(|| refused(502, "UNKNOWN")))
    })
    .await;
    let done = delete(&server).await.unwrap();
    assert!(matches!(done, Deletion::Left { .. }), "{done:?}");
    let sent = changes(&server);
    assert_eq!(
        sent.iter()
            .filter(|change| **change == of("POST", "tags"))
            .count(),
        2
    );
}

#[tokio::test]
async fn after_a_tag_that_could_not_be_put_back_nothing_more_is_sent_to_its_project() {
    let server = harbor(&["1.0"], |seen| {
        let keeps = seen.method == "POST" || !seen.path.contains("/tags");
        keeps.then(|| refused(403, "FORBIDDEN"))
    })
    .await;
    let registry = connect(&server).await;
    let error = registry.delete(&deletion().await).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Server, "{error}");
    let sent = changes(&server).len();
    let error = registry.delete(&deletion().await).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Denied, "{error}");
    assert!(error.to_string().contains("`artifact:delete`"), "{error}");
    assert_eq!(changes(&server).len(), sent);
}

#[tokio::test]
async fn a_single_tag_goes_only_while_another_one_holds_the_artifact() {
    let server = harbor(&["1.0", "latest"], |_| None).await;
    let registry = connect(&server).await;
    let recorded = untagging().await;
    assert_eq!(registry.untag(&recorded).await.unwrap(), Deletion::Accepted);
    assert_eq!(changes(&server), [of("DELETE", "tags/1.0")]);
    for tags in [&["1.0"][..], &["latest"]] {
        let server = harbor(Vec::leak(tags.to_vec()), |_| None).await;
        let done = connect(&server).await.untag(&recorded).await.unwrap();
        assert!(matches!(done, Deletion::Left { .. }), "{tags:?}: {done:?}");
        assert_eq!(changes(&server), [], "{tags:?}");
    }
}

#[tokio::test]
async fn a_tag_is_made_where_there_is_none_and_only_if_it_is_on_record() {
    let server = harbor(&[], |_| None).await;
    let registry = connect(&server).await;
    let recorded = restoration().await;
    registry.create_tag(&recorded, &tag("1.0")).await.unwrap();
    let error = registry.create_tag(&recorded, &tag("other")).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Refused);
    assert_eq!(changes(&server), [of("POST", "tags")]);
    let taken = harbor(&[], |_| Some(refused(409, "CONFLICT"))).await;
    let error = connect(&taken)
        .await
        .create_tag(&recorded, &tag("1.0"))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Refused, "{error}");
    assert!(error.to_string().contains("409"), "{error}");
}

#[tokio::test]
async fn what_deleting_may_take_is_asked_for_once_a_project_and_nothing_is_sent_where_it_is_missing() {
    for (rights, untagged, lacking) in [
        // Told without a list, as Harbor does where there is nothing.
        ("null", &[][..], "`artifact:delete` in project team"),
        (
            "null",
            &["1.0"],
            "`tag:delete`, `artifact:delete`, `tag:create` in project team",
        ),
        (
            r#"[{"resource":"tag","action":"delete"}]"#,
            &["1.0"],
            "`artifact:delete`, `tag:create` in project team",
        ),
        (
            r#"[{"resource":"tag","action":"delete"},{"resource":"artifact","action":"delete"}]"#,
            &["1.0"],
            "`tag:create` in project team",
        ),
    ] {
        let server = harbor_that_allows(move || json(200, rights), untagged, |_| None).await;
        let registry = connect(&server).await;
        let recorded = deletion_of(untagged).await;
        for _ in 0..3 {
            let error = registry.delete(&recorded).await.unwrap_err();
            assert_eq!(error.failure(), Failure::Denied, "{error}");
            let said = error.to_string();
            assert!(
                said.contains(&format!("not sent: the account lacks {lacking}")),
                "{said}"
            );
            assert!(
                said.starts_with("DELETE http") && said.contains("/artifacts/sha256:"),
                "{said}"
            );
            assert!(error.hint().unwrap().contains("lagan doctor"));
        }
        assert_eq!(changes(&server), [], "{rights}");
        let asked = server.log().into_iter().filter(|seen| seen.path == PERMISSIONS);
        assert_eq!(asked.count(), 1, "{rights}");
    }
}

#[tokio::test]
async fn what_has_no_tag_takes_only_the_right_to_delete_it_and_one_tag_of_several_that_to_take_it_off() {
    let artifacts = || json(200, r#"[{"resource":"artifact","action":"delete"}]"#);
    let server = harbor_that_allows(artifacts, &[], |_| None).await;
    let recorded = deletion_of(&[]).await;
    let done = connect(&server).await.delete(&recorded).await.unwrap();
    assert_eq!(done, Deletion::Accepted);

    let tags = || json(200, r#"[{"resource":"tag","action":"delete"}]"#);
    let server = harbor_that_allows(tags, &["1.0", "latest"], |_| None).await;
    let registry = connect(&server).await;
    // That one artifact may not be deleted says nothing of the tags of another.
    let refused = registry.delete(&deletion_of(&["1.0", "latest"]).await).await;
    assert_eq!(refused.unwrap_err().failure(), Failure::Denied);
    let done = registry.untag(&untagging().await).await.unwrap();
    assert_eq!(done, Deletion::Accepted);
    assert_eq!(changes(&server), [of("DELETE", "tags/1.0")]);
}

#[tokio::test]
async fn what_the_account_may_do_and_cannot_be_told_lets_nothing_be_sent() {
    type Answer = fn() -> Response;
    let answers: [(Answer, &str); 4] = [
        (|| refused(403, "FORBIDDEN"), "403"),
        (|| refused(401, "UNAUTHORIZED"), "no longer takes the credentials"),
        (|| html(200), "cannot be read"),
        (|| refused(400, "BAD_REQUEST"), "400"),
    ];
    for (answer, words) in answers {
        let server = harbor_that_allows(answer, &["1.0"], |_| None).await;
        let error = delete(&server).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Refused, "{error}");
        let said = error.to_string();
        let told = "not sent: what the account may do in project team cannot be told";
        assert!(said.contains(told) && said.contains(words), "{said}");
        assert_eq!(changes(&server), [], "{words}");
    }
}
