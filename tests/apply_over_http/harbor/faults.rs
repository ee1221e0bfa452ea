//! Answers that are lost, others who act meanwhile, and a program that is killed.

use lagan_sandbox::harbor::ImmutableRule;
use lagan_sandbox::{Change, Effect, Fault, HarborVersion, Image, Lookup, Moment, RequestKind};
use serde_json::json;

use super::photograph::photograph;
use super::{PRERELEASES, apply, candidates, configured, entries, harbor};
use crate::{outcomes, undo};

fn tag_names(sandbox: &lagan_sandbox::Sandbox) -> Vec<String> {
    let mut names: Vec<_> = sandbox
        .tags("team/app")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_tag_that_is_put_on_it_while_it_is_being_deleted_saves_it() {
    // The other client acts right before the tag is taken off, or right after, or right before the artifact would go.
    for (kind, nth) in [
        (RequestKind::ApiTagList, 1),
        (RequestKind::ApiTagDelete, 1),
        (RequestKind::ApiTagList, 2),
    ] {
        let sandbox = harbor(HarborVersion::default()).await;
        candidates(&sandbox, "team/app", 3);
        let before = tag_names(&sandbox);
        let digest = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
        let change = Change::Tag("team/app".to_owned(), "prod".to_owned(), digest);
        let fault = Fault::new(Effect::Meanwhile(change)).on(kind).nth(nth);
        sandbox.faults().push(fault);
        let place = configured(&sandbox, PRERELEASES);
        let report = apply(&place, 0).await;
        assert_eq!(outcomes(&report), json!({"skipped": 1}), "{kind:?} {nth}");
        let skipped = entries(&report, "skipped")[0];
        assert_eq!(skipped["why"], "changed", "{kind:?} {nth}");
        assert!(skipped["detail"].as_str().unwrap().contains("prod"), "{skipped}");
        assert_eq!(sandbox.log().counts().of(RequestKind::ApiArtifactDelete), 0);
        let mut expected = before;
        expected.push("prod".to_owned());
        assert_eq!(tag_names(&sandbox), expected, "{kind:?} {nth}: nothing is lost");
    }
}

#[tokio::test]
async fn what_is_attached_while_tags_are_taken_off_saves_what_it_is_attached_to() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "team/app", 3);
    let digest = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    let signature = format!("{}.sig", digest.to_string().replace(':', "-"));
    let change = Change::Sign("team/app".to_owned(), digest);
    sandbox
        .faults()
        .push(Fault::new(Effect::Meanwhile(change)).on(RequestKind::ApiTagDelete));
    let place = configured(&sandbox, PRERELEASES);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"skipped": 1}), "{report:#}");
    let detail = entries(&report, "skipped")[0]["detail"].as_str().unwrap();
    assert!(detail.contains("was attached to"), "{detail}");
    assert_eq!(sandbox.resolve("team/app", "1.0.0-rc.1"), Some(digest));
    assert!(sandbox.resolve("team/app", &signature).is_some());
    assert_eq!(sandbox.log().counts().of(RequestKind::ApiArtifactDelete), 0);
}

#[tokio::test]
async fn a_tag_that_moves_is_not_taken_off_what_it_is_on_now() {
    let sandbox = harbor(HarborVersion::default()).await;
    sandbox.put_image(
        "team/app",
        &["1.0.0-rc.1", "1.0.0-rc.2"],
        Moment::date(2026, 1, 1),
    );
    candidates(&sandbox, "team/other", 2);
    sandbox.put_image("team/app", &["1.0.0-rc.3"], Moment::date(2026, 1, 3));
    sandbox.put_image("team/app", &["1.0.0-rc.4"], Moment::date(2026, 1, 4));
    let kept = sandbox.resolve("team/app", "1.0.0-rc.4").unwrap();
    let doomed = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    // The second of two tags moves when the first is off.
    let change = Change::Tag("team/app".to_owned(), "1.0.0-rc.2".to_owned(), kept);
    let fault = Fault::new(Effect::Meanwhile(change))
        .on(RequestKind::ApiTagDelete)
        .reference("1.0.0-rc.2");
    sandbox.faults().push(fault);
    let place = configured(&sandbox, PRERELEASES);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"skipped": 1}), "{report:#}");
    assert_eq!(sandbox.resolve("team/app", "1.0.0-rc.2"), Some(kept));
    assert_eq!(
        sandbox.resolve("team/app", "1.0.0-rc.1"),
        Some(doomed),
        "put back"
    );
}

#[tokio::test]
async fn what_is_attached_meanwhile_saves_its_subject() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "team/app", 3);
    let doomed = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    let place = configured(&sandbox, PRERELEASES);
    place.run("plan --save plan.json").await.exits(0);
    sandbox.put_signature("team/app", doomed);
    // Where accessories cannot be looked up, a listing shows none.
    sandbox
        .faults()
        .push(Fault::new(Effect::LookupFails(Lookup::Accessories)));
    let report = super::run(&place, "plan.json").await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"skipped": 1}), "{report:#}");
    assert!(sandbox.manifest("team/app", &doomed).is_some());
}

#[tokio::test]
async fn tags_that_harbor_fails_to_look_up_are_not_taken_for_none() {
    let sandbox = harbor(HarborVersion::default()).await;
    let alone = sandbox.put("team/app", &Image::new(Moment::date(2026, 1, 1)));
    candidates(&sandbox, "team/app", 3);
    let rule = "{select: {untagged: true}, keep: none, allow_empty_repository: true}";
    let place = configured(&sandbox, rule);
    place.run("plan --save plan.json").await.exits(0);
    sandbox.tag("team/app", "needed", alone);
    sandbox
        .faults()
        .push(Fault::new(Effect::LookupFails(Lookup::Tags)).on(RequestKind::ApiArtifactList));
    let report = super::run(&place, "plan.json").await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"skipped": 1}), "{report:#}");
    assert!(sandbox.manifest("team/app", &alone).is_some());
}

#[tokio::test]
async fn an_immutable_rule_that_comes_in_between_keeps_the_artifact_with_all_its_tags() {
    let sandbox = harbor(HarborVersion::default()).await;
    let tags = ["1.0.0-rc.1", "1.0.0-rc.2"];
    sandbox.put_image("team/app", &tags, Moment::date(2026, 1, 1));
    sandbox.put_image("team/app", &["1.0.0-rc.3"], Moment::date(2026, 1, 3));
    sandbox.put_image("team/app", &["1.0.0-rc.4"], Moment::date(2026, 1, 4));
    // Harbor knows the rule; whoever asks for the rules is told that there are none.
    sandbox
        .harbor()
        .immutable("team", ImmutableRule::new("**", "1.0.0-rc.2"));
    sandbox
        .faults()
        .push(Fault::new(Effect::LookupFails(Lookup::Immutability)));
    let none = Effect::Answer {
        status: 200,
        retry_after: None,
        body: Some("[]".to_owned()),
    };
    sandbox.faults().push(Fault::new(none).on(RequestKind::ApiRule));
    sandbox
        .faults()
        .push(Fault::new(Effect::Header("x-total-count", "0".to_owned())).on(RequestKind::ApiRule));
    let place = configured(&sandbox, PRERELEASES);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"skipped": 1}), "{report:#}");
    let detail = entries(&report, "skipped")[0]["detail"].as_str().unwrap();
    assert!(detail.contains("412") && detail.contains("immutable"), "{detail}");
    for tag in tags {
        assert!(sandbox.resolve("team/app", tag).is_some(), "{tag}");
    }
    assert_eq!(sandbox.log().counts().of(RequestKind::ApiArtifactDelete), 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_for_and_nothing_is_sent_again() {
    for kind in [RequestKind::ApiTagDelete, RequestKind::ApiArtifactDelete] {
        let sandbox = harbor(HarborVersion::default()).await;
        candidates(&sandbox, "team/app", 5);
        let before = photograph(&sandbox).await;
        sandbox
            .faults()
            .push(Fault::new(Effect::ReplyLost).on(kind).nth(2));
        let place = configured(&sandbox, PRERELEASES);
        sandbox.log().clear();
        let report = apply(&place, 0).await;
        assert_eq!(outcomes(&report), json!({"deleted": 3}), "{kind:?} {report:#}");
        assert_eq!(sandbox.log().counts().of(kind), 3, "{kind:?}");
        sandbox.faults().clear();
        undo(&place, "last", 0).await;
        assert_eq!(photograph(&sandbox).await, before, "{kind:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_may_still_happen_is_in_doubt_with_everything_that_would_go_along() {
    let sandbox = harbor(HarborVersion::default()).await;
    let image = Image::new(Moment::date(2026, 1, 1));
    let one = sandbox.put("team/app", &image);
    let two = sandbox.put("team/app", &image.clone().architecture("arm64"));
    let index = sandbox.put_index("team/app", &["1.0.0-rc.1"], &[one, two]);
    sandbox.put_signature("team/app", index);
    candidates(&sandbox, "team/web", 3);
    for name in ["team/app", "team/web"] {
        sandbox.put_image(name, &["2.0.0"], Moment::date(2026, 2, 1));
    }
    let before = photograph(&sandbox).await;
    let rule = "{select: {channel: prerelease}, keep: none, allow_empty_repository: true}";
    let place = configured(&sandbox, rule);
    let fault = sandbox.faults().push(
        Fault::new(Effect::Cut)
            .on(RequestKind::ApiArtifactDelete)
            .repository("team/app"),
    );
    let report = apply(&place, 4).await;
    assert_eq!(
        outcomes(&report),
        json!({"deleted": 3, "in_doubt": 4}),
        "{report:#}"
    );
    assert_eq!(sandbox.faults().fired(fault), 1, "sent once");
    sandbox.faults().clear();
    // It happens after all, with all that hangs on it.
    assert!(sandbox.delete_manifest("team/app", index));
    for digest in [one, two] {
        sandbox.delete_manifest("team/app", digest);
    }
    let signature = format!("{}.sig", index.to_string().replace(':', "-"));
    let signature = sandbox.resolve("team/app", &signature).unwrap();
    sandbox.delete_manifest("team/app", signature);
    let again = apply(&place, 0).await;
    assert_eq!(again["recovery"]["settled"], json!({"deleted": 4}), "{again:#}");
    assert_eq!(outcomes(&undo(&place, "last", 0).await), json!({"restored": 7}));
    assert_eq!(photograph(&sandbox).await, before);
}

#[tokio::test]
async fn a_run_that_is_killed_at_any_request_is_found_out_and_touched_nothing_else() {
    // Held there until the program is killed.
    for (kind, nth) in [
        (RequestKind::ApiTagDelete, 1),
        (RequestKind::ApiTagDelete, 2),
        (RequestKind::ApiArtifactDelete, 1),
        (RequestKind::ApiArtifactDelete, 2),
    ] {
        let sandbox = harbor(HarborVersion::default()).await;
        candidates(&sandbox, "team/app", 5);
        let subject = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
        sandbox.put_signature("team/app", subject);
        let before = photograph(&sandbox).await;
        let hang = sandbox.faults().push(Fault::new(Effect::Hang).on(kind).nth(nth));
        let place = configured(&sandbox, PRERELEASES);
        let mut child = place.command("apply --yes").spawn().unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(60), async {
            while sandbox.faults().fired(hang) == 0 {
                // Only looks: how long that takes decides nothing.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
        child.kill().await.unwrap();
        sandbox.faults().clear();
        // What is there may still go: it is left out until then, and what is gone can come back now.
        let report = place.run("undo --since 1h --format json").await.json();
        let open = report["recovery"]["in_doubt"].as_array().unwrap().len();
        assert!(open >= 1, "{kind:?} {nth}: {report:#}");
        for line in before.differences(&photograph(&sandbox).await) {
            // Taken off, and the program died before the artifact went: on record, and put back when it is settled.
            let is_doomed = (1..=3).any(|number| line.contains(&format!("1.0.0-rc.{number}")));
            assert!(is_doomed, "{kind:?} {nth}: {line}");
        }
        place.run("journal verify").await.exits(0);
    }
}

#[tokio::test]
async fn a_child_whose_tag_is_taken_off_meanwhile_saves_its_index() {
    let sandbox = harbor(HarborVersion::default()).await;
    let image = Image::new(Moment::date(2026, 1, 1));
    let child = sandbox.put("team/app", &image.clone().tag("debug-arm64"));
    let own = sandbox.put("team/app", &image.architecture("s390x"));
    let index = sandbox.put_index("team/app", &["1.0.0-rc.1"], &[child, own]);
    let rule = "{select: {channel: prerelease}, keep: none, allow_empty_repository: true}";
    let place = configured(&sandbox, rule);
    // When everything was read, and nothing is sent yet.
    let change = Change::Untag("team/app".to_owned(), "debug-arm64".to_owned());
    sandbox.faults().push(
        Fault::new(Effect::Meanwhile(change))
            .on(RequestKind::ManifestHead)
            .nth(1),
    );
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"skipped": 2}), "{report:#}");
    for digest in [child, own, index] {
        assert!(sandbox.manifest("team/app", &digest).is_some());
    }
    assert!(sandbox.resolve("team/app", "1.0.0-rc.1").is_some());
    assert_eq!(sandbox.log().counts().of(RequestKind::ApiTagDelete), 0);
}
