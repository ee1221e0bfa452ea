//! Text from outside that would act on whoever reads it.

use lagan_sandbox::{Effect, Fault, Image, Moment, Profile, RequestKind, SandboxOptions};

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

/// What a forge, a spreadsheet and a browser would act on.
const ACTIVE: &str = "=HYPERLINK(\"https://evil.example\") | [go](https://evil.example) ![x](https://evil.example/x) \
                      @everybody ``code` <img src=x onerror=alert(1)>";

const FORMATS: [&str; 6] = ["text", "json", "ndjson", "html", "csv", "markdown"];

/// Nothing that the registry says acts on whoever opens a plan in this format.
#[track_caller]
fn does_nothing(format: &str, plan: &str) {
    match format {
        // A line break of a table is one of ours: each row is whole.
        "csv" => {
            is_harmless(&plan.replace("\r\n", "\n"));
            for row in plan.split_terminator("\r\n") {
                let cells = cells(row);
                assert_eq!(cells.len(), 12, "{row}");
                let formula = cells.iter().find(|cell| cell.starts_with(['=', '+', '-', '@']));
                assert_eq!(formula, None, "{row}");
            }
        }
        "html" => {
            is_harmless(plan);
            assert_eq!(plan.matches("<script").count(), 1, "the report's own: {plan}");
            assert!(
                !plan.contains("<img") && !plan.contains("\"https://evil"),
                "{plan}"
            );
        }
        "markdown" => {
            is_harmless(plan);
            let markup = without_code(plan);
            for active in ["](", "<script", "<img", "://", "@"] {
                assert!(!markup.contains(active), "{active}: {plan}");
            }
        }
        _ => is_harmless(plan),
    }
}

/// The cells of one row of a table (RFC 4180), without their quotes.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for character in row.chars() {
        match (character, cells.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => cells.push(String::new()),
            (_, Some(cell)) => cell.push(character),
            (_, None) => {}
        }
    }
    cells
}

/// Markdown without what stands there as code, or behind a backslash.
fn without_code(text: &str) -> String {
    let mut left = String::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some(at) = rest.find(['`', '\\']) {
            left.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(escaped) = rest.strip_prefix('\\') {
                let mut characters = escaped.chars();
                characters.next();
                rest = characters.as_str();
                continue;
            }
            let (fence, content) = rest.split_at(rest.len() - rest.trim_start_matches('`').len());
            // Code ends with as many backticks as it began with, no more and no fewer.
            let end = content.match_indices(fence).find(|(at, _)| {
                !content[..*at].ends_with('`') && !content[at + fence.len()..].starts_with('`')
            });
            rest = end.map_or(content, |(at, _)| &content[at + fence.len()..]);
        }
        left.push_str(rest);
        left.push('\n');
    }
    left
}

#[test]
fn what_acts_is_found_where_it_stands() {
    assert_eq!(without_code("a `[x](y)` b"), "a  b\n");
    assert_eq!(without_code("``a` [x](y)`` [z](y)"), " [z](y)\n");
    assert_eq!(without_code(r"\[x\](y) ` @a"), "x(y)  @a\n");
    assert_eq!(cells("a,\"b,\"\"c\"\"\",=d,"), ["a", "b,c", "=d", ""]);
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
    let active = serde_json::json!({"errors": [{"code": ACTIVE, "message": ACTIVE, "detail": ACTIVE}]});
    for body in [
        error.to_string(),
        active.to_string(),
        NASTY.to_owned(),
        ACTIVE.to_owned(),
        NASTY.repeat(1000),
    ] {
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
        for format in FORMATS {
            let plan = format!("plan --registry {} {TWO} --all --format {format}", sandbox.url());
            let plan = run(&plan).await.exits(4);
            does_nothing(format, &plan.stdout);
            is_harmless(&plan.stderr);
            assert!(
                plan.stdout.contains("team/sick") && plan.stdout.contains("0.9.0-rc.1"),
                "{}",
                plan.stdout
            );
            let said = plan.said();
            assert!(said.matches("evil").count() < 40, "{said}");
            assert!(format == "html" || said.len() < 20_000, "{}", said.len());
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
    for format in FORMATS {
        let plan = run(&format!(
            "plan --registry {} {TWO} --format {format}",
            sandbox.url()
        ))
        .await
        .exits(4);
        does_nothing(format, &plan.stdout);
        is_harmless(&plan.stderr);
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

#[tokio::test]
async fn signatures_that_cannot_be_read_for_lack_of_capacity_are_not_taken_for_none() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 5);
    let oldest = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    sandbox.put_referrer("team/app", oldest, "application/spdx+json");
    let plan = format!("plan --registry {} {TWO} --format json", sandbox.url());
    let whole = run(&plan).await.exits(0).json();
    assert_eq!(whole["totals"]["incomplete_repositories"], 0);
    let limited = Fault::retry_after(429, "0")
        .on(RequestKind::ManifestGet)
        .reference("sha256-*");
    sandbox.faults().push(limited);
    let partial = run(&plan).await.exits(4).json();
    assert_eq!(partial["totals"]["delete_tags"], 0);
    assert_eq!(partial["repositories"][0]["complete"], false);
    let why = partial["repositories"][0]["incomplete"]["why"].as_str().unwrap();
    assert!(why.contains("429") && why.contains("sha256-"), "{why}");
}

#[tokio::test]
async fn a_tag_that_goes_between_listing_and_reading_is_left_out_and_the_rest_is_planned() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let listed = serde_json::json!({"name": "team/app", "tags": [
        "1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-rc.3", "1.0.0-rc.4", "1.0.0-rc.5", "1.0.0-rc.6",
    ]});
    let once = Effect::Answer {
        status: 200,
        retry_after: None,
        body: Some(listed.to_string()),
    };
    sandbox
        .faults()
        .push(Fault::new(once).on(RequestKind::TagList).first(1));
    let plan = run(&format!(
        "plan --registry {} {TWO} --format json --all",
        sandbox.url()
    ))
    .await
    .exits(0)
    .json();
    assert_eq!(plan["totals"]["tags"], 5);
    assert_eq!(plan["totals"]["delete_tags"], 3);
}

#[tokio::test]
async fn a_registry_that_lies_about_its_catalog_gets_no_plan_and_a_hint() {
    for (body, said) in [
        (r#"{"repositories":["team/app","Team/App"]}"#, "Team/App"),
        (
            r#"{"repositories":["team/app","\u0442eam/app"]}"#,
            "is not a repository name",
        ),
        (
            r#"{"repositories":["team/app"],"repositories":[]}"#,
            "cannot be read",
        ),
        (r#"{"tags":["team/app"]}"#, "cannot be read"),
    ] {
        let sandbox = start(SandboxOptions::default()).await;
        candidates(&sandbox, "team/app", 5);
        let answer = Effect::Answer {
            status: 200,
            retry_after: None,
            body: Some(body.to_owned()),
        };
        sandbox.faults().push(Fault::new(answer).on(RequestKind::Catalog));
        let refused = run(&format!("plan --registry {} {TWO}", sandbox.url()))
            .await
            .exits(1);
        is_harmless(&refused.said());
        assert!(refused.stderr.contains(said), "{body}: {}", refused.stderr);
        assert!(refused.stdout.is_empty(), "{body}");
        assert_eq!(sandbox.log().counts().of(RequestKind::TagList), 0, "{body}");
    }
}
