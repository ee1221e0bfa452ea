use serde_json::{Value, json};

use super::*;

fn names(notification: &Value) -> Result<Vec<String>, HintError> {
    let changed = changed(notification.to_string().as_bytes())?;
    Ok(changed.iter().map(ToString::to_string).collect())
}

fn event(action: &str, repository: &str) -> Value {
    json!({
        "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
        "timestamp": "2026-11-21T12:00:00Z",
        "action": action,
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 708, "digest": format!("sha256:{}", "a".repeat(64)), "length": 708,
            "repository": repository, "url": "http://registry:5000/v2/", "tag": "latest"
        },
        "request": { "id": "r", "addr": "10.0.0.1:1", "host": "registry:5000", "method": "PUT", "useragent": "x" },
        "actor": {}, "source": { "addr": "registry:5000", "instanceID": "i" }
    })
}

fn harbor(kind: &str) -> Value {
    json!({
        "type": kind, "occur_at": 1_795_262_400, "operator": "admin",
        "event_data": {
            "resources": [{ "digest": "sha256:a", "tag": "1.0", "resource_url": "harbor.example.com/team/app:1.0" }],
            "repository": {
                "date_created": 1_795_262_400, "name": "app", "namespace": "team", "repo_full_name": "team/app",
                "repo_type": "private"
            }
        }
    })
}

#[test]
fn distribution_tells_of_pushes_and_deletions_and_of_pulls_that_are_no_hints() {
    let envelope = json!({ "events": [
        event("push", "team/app"), event("delete", "team/base"), event("pull", "team/other"),
        event("mount", "team/layers"), event("push", "team/app"),
    ] });
    assert_eq!(names(&envelope).unwrap(), ["team/app", "team/base"]);
    assert_eq!(
        names(&json!({ "events": [{ "action": "delete" }] })).unwrap(),
        [""; 0]
    );
    assert_eq!(names(&json!({ "events": [] })).unwrap(), [""; 0]);
}

#[test]
fn harbor_tells_in_its_own_form_and_as_cloud_events() {
    for kind in ["PUSH_ARTIFACT", "DELETE_ARTIFACT", "SCANNING_COMPLETED"] {
        assert_eq!(names(&harbor(kind)).unwrap(), ["team/app"], "{kind}");
    }
    assert_eq!(names(&harbor("PULL_ARTIFACT")).unwrap(), [""; 0]);
    for (kind, expected) in [
        ("harbor.artifact.pushed", &["team/app"][..]),
        ("harbor.artifact.pulled", &[]),
    ] {
        let mut event = harbor(kind);
        event["data"] = event["event_data"].take();
        event["specversion"] = "1.0".into();
        let event: Value = {
            let members = event.as_object().unwrap().clone().into_iter();
            members.filter(|(name, _)| name != "event_data").collect()
        };
        assert_eq!(names(&event).unwrap(), expected, "{kind}");
    }
    let about_a_project = json!({ "type": "QUOTA_EXCEED", "event_data": { "resources": [] } });
    assert_eq!(names(&about_a_project).unwrap(), [""; 0]);
}

#[test]
fn what_no_registry_sends_is_refused() {
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "\"team/app\"",
        "{\"events\":{}}",
        "{\"events\":[7]}",
        "{\"events\":[{\"target\":{\"repository\":\"a\"}}]}",
        "{\"type\":\"PUSH_ARTIFACT\"}",
        "{\"event_data\":{\"repository\":{\"repo_full_name\":\"a\"}}}",
        "{\"type\":7,\"event_data\":{}}",
        "{\"type\":\"PUSH_ARTIFACT\",\"event_data\":{\"repository\":{}}}",
        "{\"events\":[],\"events\":[]}",
        "{\"events\":[]",
        "{\"events\":[]} {}",
    ] {
        assert!(changed(text.as_bytes()).is_err(), "{text}");
    }
    assert!(changed(b"{\"events\":[{\"action\":\"push\",\"target\":{\"repository\":\"\xff\"}}]}").is_err());
    assert!(changed("[".repeat(100_000).as_bytes()).is_err());
    let deep = format!("{{\"events\":[],\"x\":{}", "{\"x\":".repeat(100_000));
    assert!(changed(deep.as_bytes()).is_err());
    let long = vec![b' '; MAX_HINT_BYTES + 1];
    assert_eq!(changed(&long), Err(HintError::TooLong));
}

#[test]
fn a_name_that_is_none_is_refused_with_all_that_came_with_it() {
    for name in [
        "",
        "../../etc/passwd",
        "team/App",
        "team//app",
        "team/app:1.0",
        "team/app\u{0}",
        "team/äpp",
        &"a".repeat(9_000),
    ] {
        let envelope = json!({ "events": [event("push", "team/app"), event("push", name)] });
        assert!(matches!(names(&envelope), Err(HintError::Name(_))), "{name:?}");
        let mut told = harbor("PUSH_ARTIFACT");
        told["event_data"]["repository"]["repo_full_name"] = name.into();
        assert!(matches!(names(&told), Err(HintError::Name(_))), "{name:?}");
    }
    // An escape in a name is that character.
    let escaped = br#"{"events":[{"action":"push","target":{"repository":"te\u0061m/app"}}]}"#;
    assert_eq!(changed(escaped).unwrap().len(), 1);
}

fn name(number: usize) -> RepositoryName {
    format!("team/app{number}").parse().unwrap()
}

#[test]
fn everybody_hears_what_came_since_they_last_asked() {
    let mut hints = Hints::default();
    let start = hints.now();
    hints.add([name(1), name(2)].into());
    let between = hints.now();
    hints.add([name(2), name(3)].into());
    assert_eq!(hints.since(start), Some([name(1), name(2), name(3)].into()));
    assert_eq!(hints.since(between), Some([name(2), name(3)].into()));
    assert_eq!(hints.since(hints.now()), Some(BTreeSet::new()));
    // What nobody asks for any more is not kept; whoever does ask all the same hears that it is not known.
    hints.forget(between);
    assert_eq!(hints.named.len(), 2);
    assert_eq!(hints.since(between), Some([name(2), name(3)].into()));
    assert_eq!(hints.since(start), None);
    // A place of other hints is no place of these.
    assert_eq!(Hints::default().since(between), None);
}

#[test]
fn of_too_many_and_of_what_was_lost_all_may_have_changed() {
    let mut hints = Hints::default();
    let start = hints.now();
    hints.add((0..MAX_HINTS).map(name).collect());
    assert_eq!(hints.since(start).map(|names| names.len()), Some(MAX_HINTS));
    let full = hints.now();
    hints.add([name(MAX_HINTS)].into());
    assert!(hints.named.is_empty());
    let over = hints.now();
    hints.add([name(1)].into());
    assert_eq!((hints.since(start), hints.since(full)), (None, None));
    assert_eq!(hints.since(over), Some([name(1)].into()));
    hints.lose();
    assert_eq!(hints.since(over), None);
    assert_eq!(hints.since(hints.now()), Some(BTreeSet::new()));
}

proptest::proptest! {
    #[test]
    fn garbage_is_an_error_or_names_repositories(garbage in ".{0,200}", cut in 0_usize..900) {
        _ = changed(garbage.as_bytes());
        let whole = json!({ "events": [event("push", "team/app")] }).to_string();
        let cut = cut.min(whole.len());
        proptest::prop_assert_eq!(changed(&whole.as_bytes()[..cut]).is_ok(), cut == whole.len());
    }
}
