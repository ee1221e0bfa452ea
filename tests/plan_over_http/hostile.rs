//! Text from outside that would act on whoever reads it.

use lagan_sandbox::{Effect, Fault, Image, Moment, RequestKind, SandboxOptions};

use crate::support::run;
use crate::{TWO, candidates, start};

const NASTY: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}evil\u{200b}\r\n<script>alert(1)</script>";

#[track_caller]
fn is_harmless(text: &str) {
    let bad = text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert_eq!(bad, None, "{text:?}");
}

#[tokio::test]
async fn error_bodies_and_labels_do_no_harm() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    candidates(&sandbox, "team/sick", 4);
    let created = Moment::date(2025, 1, 1);
    sandbox.put(
        "team/app",
        &Image::new(created).tag("0.9.0-rc.1").label(NASTY, NASTY),
    );
    let error = serde_json::json!({"errors": [{"code": format!("DENIED{NASTY}"), "message": NASTY, "detail": NASTY}]});
    for body in [error.to_string(), NASTY.to_owned(), NASTY.repeat(1000)] {
        sandbox.faults().clear();
        let answer = Effect::Answer {
            status: 403,
            retry_after: None,
            body: Some(body),
        };
        sandbox.faults().push(
            Fault::new(answer.clone())
                .on(RequestKind::TagList)
                .repository("team/sick"),
        );
        for format in ["text", "json", "ndjson"] {
            let plan = format!("plan --registry {} {TWO} --all --format {format}", sandbox.url());
            let plan = run(&plan).await.exits(4);
            is_harmless(&plan.said());
            assert!(
                plan.stdout.contains("team/sick") && plan.stdout.contains("0.9.0-rc.1"),
                "{}",
                plan.stdout
            );
            assert!(plan.said().len() < 20_000, "{}", plan.said().len());
        }
        let explain = format!("explain team/sick:1.0.0-rc.1 --registry {} {TWO}", sandbox.url());
        is_harmless(&run(&explain).await.exits(4).said());
        sandbox.faults().push(Fault::new(answer).on(RequestKind::Catalog));
        is_harmless(
            &run(&format!("plan --registry {} {TWO}", sandbox.url()))
                .await
                .exits(1)
                .said(),
        );
    }
}

#[tokio::test]
async fn names_that_no_registry_may_list_are_refused_and_shown_escaped() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let tags = serde_json::json!({"name": "team/app", "tags": ["1.0.0-rc.1", NASTY]});
    let answer = Effect::Answer {
        status: 200,
        retry_after: None,
        body: Some(tags.to_string()),
    };
    sandbox.faults().push(Fault::new(answer).on(RequestKind::TagList));
    for format in ["text", "json"] {
        let plan = run(&format!(
            "plan --registry {} {TWO} --format {format}",
            sandbox.url()
        ))
        .await
        .exits(4);
        is_harmless(&plan.said());
        assert!(plan.stdout.contains("team/app"), "{}", plan.stdout);
    }
}

#[tokio::test]
async fn manifests_that_are_no_such_thing_leave_their_repository_alone() {
    for (media_type, bytes) in [
        ("application/vnd.oci.image.manifest.v1+json", "not json"),
        (
            "application/vnd.oci.image.manifest.v1+json",
            "{\"schemaVersion\":2,\"config\":7}",
        ),
        (
            "application/vnd.oci.image.index.v1+json",
            "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:../..\"}]}",
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "{\"schemaVersion\":1}",
        ),
        ("text/html", "<html>"),
    ] {
        let sandbox = start(SandboxOptions::default()).await;
        candidates(&sandbox, "team/app", 5);
        sandbox.put_raw_manifest("team/app", &["1.0.0-rc.9"], media_type, bytes);
        let plan = run(&format!("plan --registry {} {TWO} --format json", sandbox.url()))
            .await
            .exits(4)
            .json();
        assert_eq!(plan["totals"]["delete_tags"], 0, "{bytes}");
        assert_eq!(plan["repositories"][0]["complete"], false, "{bytes}");
    }
}
