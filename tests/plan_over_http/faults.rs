//! Registries that fail: an incomplete repository, or a clear end; never a plan made from a part.

use futures_util::future::join_all;
use lagan_sandbox::{Effect, Fault, Profile, RequestKind, Sandbox, SandboxOptions};

use crate::support::{Run, doomed, repository, run};
use crate::{TWO, candidates, start};

const SICK: &str = "team/sick";
const WELL: &str = "team/well";

async fn two_repositories(profile: Profile) -> Sandbox {
    let sandbox = start(SandboxOptions::default().profile(profile)).await;
    candidates(&sandbox, SICK, 6);
    candidates(&sandbox, WELL, 6);
    sandbox
}

async fn plan(sandbox: &Sandbox, line: &str) -> Run {
    run(&format!(
        "plan --registry {} {line} --format json --all",
        sandbox.url()
    ))
    .await
}

/// The sick repository is incomplete, with a reason that says what `why` says; the other is planned as ever.
#[track_caller]
fn only_the_sick_one_is_left_out(run: Run, what: &str, why: &str) {
    let run = run.exits(4);
    let plan = run.json();
    assert_eq!(doomed(repository(&plan, WELL)).len(), 4, "{what}");
    let sick = repository(&plan, SICK);
    assert_eq!(sick["complete"], false, "{what}: {sick}");
    assert_eq!(sick["actions"], serde_json::json!([]), "{what}");
    let said = sick["incomplete"]["why"].as_str().unwrap();
    assert!(said.contains(SICK) && said.contains(why), "{what}: {said}");
    assert_eq!(plan["totals"]["incomplete_repositories"], 1, "{what}");
    assert_eq!(plan["totals"]["delete_tags"], 4, "{what}");
    assert!(!run.stderr.contains("panicked"), "{what}: {}", run.stderr);
}

#[tokio::test]
async fn what_cannot_be_read_of_a_repository_leaves_that_repository_alone() {
    use RequestKind::{BlobGet, ManifestGet, Referrers, TagList};
    let by_version = TWO;
    let by_created = "--select channel=prerelease --keep last=2,by=created";
    let page = || Effect::Answer {
        status: 200,
        retry_after: None,
        body: Some("{\"name\":\"x\"}".to_owned()),
    };
    let cases: Vec<(&str, RequestKind, Effect, &str, &str)> = vec![
        (
            "tags: not JSON",
            TagList,
            Effect::TruncatedBody,
            by_version,
            "cannot be read",
        ),
        (
            "tags: no tags in it",
            TagList,
            page(),
            by_version,
            "cannot be read",
        ),
        (
            "tags: too much",
            TagList,
            Effect::HugeBody { padding: 9 << 20 },
            by_version,
            "",
        ),
        ("tags: a web page", TagList, Effect::NotARegistry, by_version, ""),
        (
            "tags: a page that leads to itself",
            TagList,
            Effect::LinkToItself,
            by_version,
            "loop",
        ),
        (
            "tags: elsewhere",
            TagList,
            Effect::LinkTo("http://127.0.0.2:1/v2/".to_owned()),
            by_version,
            "not followed",
        ),
        ("tags: cut", TagList, Effect::Cut, by_version, ""),
        (
            "tags: cut in the middle",
            TagList,
            Effect::CutBody,
            by_version,
            "",
        ),
        (
            "tags: 500",
            TagList,
            Effect::Answer {
                status: 500,
                retry_after: None,
                body: None,
            },
            by_version,
            "500",
        ),
        (
            "tags: 403",
            TagList,
            Effect::Answer {
                status: 403,
                retry_after: None,
                body: None,
            },
            by_version,
            "403",
        ),
        (
            "manifest: wrong digest",
            ManifestGet,
            Effect::WrongDigest,
            by_version,
            "hashes to",
        ),
        (
            "manifest: other bytes",
            ManifestGet,
            Effect::WrongBody,
            by_version,
            "",
        ),
        (
            "manifest: half",
            ManifestGet,
            Effect::TruncatedBody,
            by_version,
            "",
        ),
        (
            "manifest: cut in the middle",
            ManifestGet,
            Effect::CutBody,
            by_version,
            "",
        ),
        (
            "manifest: a web page",
            ManifestGet,
            Effect::NotARegistry,
            by_version,
            "",
        ),
        (
            "manifest: 503",
            ManifestGet,
            Effect::Answer {
                status: 503,
                retry_after: None,
                body: None,
            },
            by_version,
            "503",
        ),
        (
            "manifest: 401",
            ManifestGet,
            Effect::Answer {
                status: 401,
                retry_after: None,
                body: None,
            },
            by_version,
            "401",
        ),
        (
            "manifest: 404",
            ManifestGet,
            Effect::Answer {
                status: 404,
                retry_after: None,
                body: None,
            },
            by_version,
            "404",
        ),
        (
            "manifest: too much",
            ManifestGet,
            Effect::HugeBody { padding: 5 << 20 },
            by_version,
            "larger than",
        ),
        (
            "manifest: another type",
            ManifestGet,
            Effect::ContentType("application/vnd.oci.image.index.v1+json".to_owned()),
            by_version,
            "",
        ),
        (
            "referrers: too much",
            Referrers,
            Effect::HugeBody { padding: 5 << 20 },
            by_version,
            "larger than",
        ),
        (
            "referrers: 429",
            Referrers,
            Effect::Answer {
                status: 429,
                retry_after: Some("0".to_owned()),
                body: None,
            },
            by_version,
            "429",
        ),
        ("manifest: lost", ManifestGet, Effect::ReplyLost, by_version, ""),
        ("blob: other bytes", BlobGet, Effect::WrongBody, by_created, ""),
        (
            "blob: 500",
            BlobGet,
            Effect::Answer {
                status: 500,
                retry_after: None,
                body: None,
            },
            by_created,
            "500",
        ),
        (
            "referrers: 500",
            Referrers,
            Effect::Answer {
                status: 500,
                retry_after: None,
                body: None,
            },
            by_version,
            "500",
        ),
        (
            "referrers: not JSON",
            Referrers,
            Effect::TruncatedBody,
            by_version,
            "",
        ),
        (
            "referrers: a loop",
            Referrers,
            Effect::LinkToItself,
            by_version,
            "loop",
        ),
    ];
    // All at once: what is tried again waits in between.
    join_all(
        cases
            .into_iter()
            .map(|(what, kind, effect, line, why)| async move {
                let sandbox = two_repositories(Profile::Strict).await;
                sandbox
                    .faults()
                    .push(Fault::new(effect).on(kind).repository(SICK));
                only_the_sick_one_is_left_out(plan(&sandbox, line).await, what, why);
            }),
    )
    .await;
}

#[tokio::test]
async fn one_tag_that_is_listed_and_cannot_be_found_leaves_its_repository_alone() {
    let sandbox = two_repositories(Profile::Strict).await;
    sandbox.faults().push(Fault::vanished(SICK, "1.0.0-rc.3"));
    only_the_sick_one_is_left_out(plan(&sandbox, TWO).await, "404", "1.0.0-rc.3");
}

#[tokio::test]
async fn what_passes_is_tried_again_and_changes_nothing() {
    use RequestKind::{Catalog, ManifestGet, TagList};
    let healthy = two_repositories(Profile::Strict).await;
    let expected = plan(&healthy, TWO).await.exits(0).json()["repositories"].clone();
    let cases = vec![
        Fault::retry_after(429, "0").on(ManifestGet).first(5),
        Fault::retry_after(429, "1").on(TagList).first(1),
        Fault::retry_after(503, "0").on(Catalog).first(2),
        Fault::status(502).on(ManifestGet).nth(3),
        Fault::new(Effect::Cut).on(ManifestGet).nth(2),
        Fault::new(Effect::CutBody).on(TagList).first(1),
        Fault::new(Effect::NoDigest),
    ];
    join_all(cases.into_iter().map(|fault| {
        let expected = &expected;
        async move {
            let sandbox = two_repositories(Profile::Strict).await;
            let what = format!("{fault:?}");
            let id = sandbox.faults().push(fault);
            let run = plan(&sandbox, TWO).await.exits(0);
            assert_eq!(&run.json()["repositories"], expected, "{what}");
            assert!(sandbox.faults().fired(id) > 0, "{what}");
            let counted = run.json()["requests"]["total"].as_u64().unwrap();
            assert_eq!(counted, sandbox.log().counts().total(), "{what}");
        }
    }))
    .await;
}

#[tokio::test]
async fn without_a_listing_of_repositories_there_is_no_plan() {
    use RequestKind::Catalog;
    let cases = vec![
        ("not JSON", Effect::TruncatedBody, "cannot be read"),
        ("a loop", Effect::LinkToItself, "loop"),
        (
            "elsewhere",
            Effect::LinkTo("http://127.0.0.2:1/v2/_catalog".to_owned()),
            "not followed",
        ),
        ("a web page", Effect::NotARegistry, ""),
        (
            "403",
            Effect::Answer {
                status: 403,
                retry_after: None,
                body: None,
            },
            "403",
        ),
        (
            "500",
            Effect::Answer {
                status: 500,
                retry_after: None,
                body: None,
            },
            "500",
        ),
        ("cut", Effect::CutBody, ""),
        (
            "a name that is none",
            Effect::Answer {
                status: 200,
                retry_after: None,
                body: Some(r#"{"repositories":["../x"]}"#.to_owned()),
            },
            "../x",
        ),
    ];
    join_all(cases.into_iter().map(|(what, effect, why)| async move {
        let sandbox = two_repositories(Profile::Strict).await;
        sandbox.faults().push(Fault::new(effect).on(Catalog));
        let run = plan(&sandbox, TWO).await.exits(1);
        assert!(run.stdout.is_empty(), "{what}: {}", run.stdout);
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.contains(why),
            "{what}: {}",
            run.stderr
        );
        assert_eq!(sandbox.log().counts().of(RequestKind::TagList), 0, "{what}");
    }))
    .await;
}

#[tokio::test]
async fn what_is_no_registry_is_told_from_one() {
    let sandbox = two_repositories(Profile::Strict).await;
    sandbox.faults().push(Fault::new(Effect::NotARegistry));
    let page = plan(&sandbox, TWO).await.exits(1);
    assert!(
        page.stderr.contains("hint: ") && page.stdout.is_empty(),
        "{}",
        page.said()
    );
    assert!(!page.stderr.contains("<html"), "{}", page.stderr);

    let url = sandbox.url();
    sandbox.shutdown().await.unwrap();
    let gone = run(&format!("plan --registry {url} {TWO}")).await.exits(1);
    assert!(
        gone.stderr.contains("no connection") && gone.stderr.contains("hint: "),
        "{}",
        gone.stderr
    );
    let tls = run(&format!(
        "plan --registry https://{} {TWO}",
        two_repositories(Profile::Strict).await.host()
    ))
    .await;
    assert!(tls.exits(1).stderr.starts_with("error: "));
}

#[tokio::test]
async fn a_listing_whose_pages_repeat_is_not_believed() {
    let options = SandboxOptions::default().behave(|behaviour| behaviour.tag_page = Some(3));
    let sandbox = start(options.behave(|behaviour| behaviour.tag_limit = Some(100))).await;
    candidates(&sandbox, SICK, 9);
    candidates(&sandbox, WELL, 6);
    let same = Effect::LinkTo(format!("{}/v2/{SICK}/tags/list?n=100&last=x", sandbox.url()));
    sandbox
        .faults()
        .push(Fault::new(same).on(RequestKind::TagList).repository(SICK));
    only_the_sick_one_is_left_out(plan(&sandbox, TWO).await, "repeated", "");
}

#[tokio::test]
async fn text_says_what_was_left_out() {
    let sandbox = two_repositories(Profile::Strict).await;
    sandbox
        .faults()
        .push(Fault::status(403).on(RequestKind::TagList).repository(SICK));
    let text = run(&format!("plan --registry {} {TWO}", sandbox.url()))
        .await
        .exits(4)
        .stdout;
    assert!(
        text.contains("INCOMPLETE") && text.contains("1 repository could not be read"),
        "{text}"
    );
    let explained = run(&format!(
        "explain {SICK}:1.0.0-rc.1 --registry {} {TWO}",
        sandbox.url()
    ))
    .await
    .exits(4);
    assert!(
        explained.stderr.contains("could not be read"),
        "{}",
        explained.stderr
    );
}

#[tokio::test]
async fn what_is_not_read_when_the_time_is_over_is_incomplete_and_the_run_ends() {
    let sandbox = two_repositories(Profile::Strict).await;
    let hang = Fault::new(Effect::Hang).on(RequestKind::TagList).repository(SICK);
    sandbox.faults().push(hang);
    let run = plan(&sandbox, &format!("{TWO} --deadline 5s")).await;
    only_the_sick_one_is_left_out(run, "no answer", "the time of the run, 5s, was over");
}
