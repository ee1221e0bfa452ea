//! What is deleted, and comes back.

use lagan_sandbox::harbor::{ImmutableRule, Project};
use lagan_sandbox::{HarborOptions, HarborVersion, Image, Moment, RequestKind};
use serde_json::json;

use super::photograph::photograph;
use super::{PRERELEASES, apply, candidates, configured, configured_with, entries, harbor, harbor_of, run};
use crate::{outcomes, undo};

fn day(month: i64, day: i64) -> Moment {
    Moment::date(2026, month, day)
}

/// Deletes most of everything: indexes with their children, what is signed and what is attached.
const MOST: &str = "{select: {tags: '*'}, keep: {last: 4, by: created}}";

#[tokio::test]
async fn apply_then_undo_leaves_everything_as_it_was_on_every_version() {
    for version in HarborVersion::ALL {
        let sandbox = super::harbor_of(HarborOptions::default().version(version)).await;
        let steer = sandbox.harbor();
        for name in ["team/app", "team/nested/web", "other/app"] {
            for number in 1..=9 {
                let tag = format!("1.0.{number}");
                let image = Image::new(day(1, number)).label("build", &tag);
                if number % 3 == 0 {
                    let one = sandbox.put(name, &image);
                    let two = sandbox.put(name, &image.clone().architecture("arm64"));
                    let index = sandbox.put_index(name, &[&tag, &format!("build-{number}")], &[one, two]);
                    sandbox.put_signature(name, index);
                    sandbox.put_referrer(name, one, "application/spdx+json");
                } else {
                    let digest = sandbox.put(name, &image.tag(&tag));
                    if number % 3 == 1 {
                        sandbox.put_signature(name, digest);
                        sandbox.put_attestation(name, digest);
                        sandbox.put_sbom(name, digest);
                        let referrer = sandbox.put_referrer(name, digest, "application/spdx+json");
                        sandbox.put_referrer(name, referrer, "application/vnd.example.note");
                    }
                }
            }
        }
        // Of the same name, and not the same.
        let (own, global) = (steer.label(Some("team"), "seen"), steer.label(None, "seen"));
        let other = steer.label(None, "checked");
        for (reference, label) in [
            ("1.0.1", own),
            ("1.0.2", global),
            ("1.0.3", own),
            ("1.0.3", other),
        ] {
            assert!(steer.put_label("team/app", reference, label));
        }
        let before = photograph(&sandbox).await;
        let place = configured(&sandbox, MOST);
        let planned = place.run("plan --exact --format json").await.exits(0).json();
        let report = apply(&place, 0).await;
        assert_eq!(report["registry"]["kind"], "harbor");
        let deleted = outcomes(&report)["deleted"].as_u64().unwrap();
        assert_eq!(
            planned["totals"]["delete_artifacts"], deleted,
            "{version:?} {report:#}"
        );
        assert!(deleted > 40, "{version:?}: {deleted}");
        for role in ["artifact", "child", "attachment"] {
            let of_role = entries(&report, "deleted");
            assert!(of_role.iter().any(|entry| entry["role"] == role), "{role}");
        }
        let after = photograph(&sandbox).await;
        let gone = before.differences(&after);
        assert_eq!(gone.len() as u64, deleted, "{gone:#?}");
        assert!(gone.iter().all(|line| line.ends_with("is gone")), "{gone:#?}");
        let again = place.run("plan --format json").await.exits(0).json();
        assert_eq!(again["totals"]["delete_artifacts"], 0);

        let report = undo(&place, "last", 0).await;
        assert_eq!(outcomes(&report), json!({ "restored": deleted }), "{version:?}");
        let restored = photograph(&sandbox).await;
        assert_eq!(before.differences(&restored), Vec::<String>::new(), "{version:?}");
        assert_eq!(
            outcomes(&undo(&place, "last", 0).await),
            json!({ "already_there": deleted })
        );
        place.run("journal verify").await.exits(0);
    }
}

#[tokio::test]
async fn nothing_that_lagan_does_counts_as_a_pull() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "team/app", 6);
    let place = configured(&sandbox, PRERELEASES);
    apply(&place, 0).await;
    undo(&place, "last", 0).await;
    for number in 1..=6 {
        let artifact = sandbox
            .harbor()
            .artifact("team/app", &format!("1.0.0-rc.{number}"));
        assert_eq!(artifact.unwrap().pulled, None, "{number}");
    }
    assert_eq!(sandbox.log().counts().of(RequestKind::Token), 0);
}

#[tokio::test]
async fn a_plan_that_was_saved_is_carried_out_as_it_stands() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = configured(&sandbox, PRERELEASES);
    place.run("plan --save plan.json").await.exits(0);
    candidates(&sandbox, "team/web", 5);
    let report = run(&place, "plan.json").await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"deleted": 3}));
    assert_eq!(sandbox.tags("team/web").len(), 5);
    assert_eq!(outcomes(&undo(&place, "last", 0).await), json!({"restored": 3}));
}

#[tokio::test]
async fn a_label_that_protects_counts_although_it_was_put_on_after_the_plan() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = configured_with(&sandbox, PRERELEASES, "    protect: [{labels: {keep: '*'}}]\n");
    place.run("plan --save plan.json").await.exits(0);
    let steer = sandbox.harbor();
    assert!(steer.put_label("team/app", "1.0.0-rc.1", steer.label(Some("team"), "keep")));
    let report = run(&place, "plan.json").await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"deleted": 2, "skipped": 1}));
    let tags: Vec<_> = sandbox.tags("team/app").into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(tags, ["1.0.0-rc.1", "1.0.0-rc.4", "1.0.0-rc.5"]);
}

#[tokio::test]
async fn one_of_several_tags_is_taken_off_and_put_back_while_the_artifact_stays() {
    let sandbox = harbor(HarborVersion::default()).await;
    sandbox.put_image("team/app", &["pr-1", "1.0.0"], day(1, 1));
    sandbox.put_image("team/app", &["pr-2"], day(1, 2));
    let before = photograph(&sandbox).await;
    let rule = "{select: {tags: 'pr-*'}, keep: {last: 1, by: created}}";
    let place = configured(&sandbox, rule);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"untagged": 1}), "{report:#}");
    assert!(sandbox.resolve("team/app", "pr-1").is_none());
    assert!(sandbox.resolve("team/app", "1.0.0").is_some());
    let counts = sandbox.log().counts();
    assert_eq!(counts.of(RequestKind::ApiTagDelete), 1);
    assert_eq!(counts.of(RequestKind::ApiArtifactDelete), 0);
    assert_eq!(outcomes(&undo(&place, "last", 0).await), json!({"restored": 1}));
    assert_eq!(
        sandbox.log().counts().of(RequestKind::ManifestPut),
        0,
        "the tag alone was made again"
    );
    assert_eq!(photograph(&sandbox).await, before);
}

#[tokio::test]
async fn what_has_no_tag_goes_and_comes_back_without_one() {
    let sandbox = harbor(HarborVersion::default()).await;
    let alone = sandbox.put("team/app", &Image::new(day(1, 1)));
    let one = sandbox.put("team/app", &Image::new(day(1, 2)).label("one", ""));
    sandbox.put_index("team/app", &["1.0.0"], &[one]);
    let before = photograph(&sandbox).await;
    let rule = "{select: {untagged: true}, keep: none, allow_empty_repository: true}";
    let place = configured(&sandbox, rule);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 1}));
    assert_eq!(entries(&report, "deleted")[0]["digest"], json!(alone.to_string()));
    undo(&place, "last", 0).await;
    assert_eq!(photograph(&sandbox).await, before);
}

#[tokio::test]
async fn a_child_that_has_a_tag_or_another_index_stays_when_its_index_goes() {
    let sandbox = harbor(HarborVersion::default()).await;
    let image = Image::new(day(1, 1));
    let shared = sandbox.put("team/app", &image);
    let tagged = sandbox.put(
        "team/app",
        &image.clone().architecture("arm64").tag("debug-arm64"),
    );
    let own = sandbox.put("team/app", &image.clone().architecture("s390x"));
    sandbox.put_index("team/app", &["1.0.0-rc.1"], &[shared, tagged, own]);
    sandbox.put_index("team/app", &["1.0.0"], &[shared]);
    let before = photograph(&sandbox).await;
    let rule = "{select: {channel: prerelease}, keep: none, allow_empty_repository: true}";
    let place = configured(&sandbox, rule);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 2}), "{report:#}");
    for digest in [shared, tagged] {
        assert!(sandbox.manifest("team/app", &digest).is_some());
    }
    assert!(sandbox.manifest("team/app", &own).is_none());
    assert_eq!(
        sandbox.log().counts().of(RequestKind::ApiArtifactDelete),
        1,
        "the child went along, and no second deletion was sent"
    );
    undo(&place, "last", 0).await;
    assert_eq!(photograph(&sandbox).await, before);
}

#[tokio::test]
async fn an_immutable_tag_is_asked_about_right_before_it_goes_and_is_kept() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = configured(&sandbox, PRERELEASES);
    place.run("plan --save plan.json").await.exits(0);
    // Since the plan.
    sandbox
        .harbor()
        .immutable("team", ImmutableRule::new("**", "1.0.0-rc.2"));
    let report = run(&place, "plan.json").await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"deleted": 2, "skipped": 1}));
    let kept = entries(&report, "skipped")[0];
    assert_eq!(kept["why"], "changed");
    assert!(
        kept["detail"]
            .as_str()
            .unwrap()
            .contains("1.0.0-rc.2 is immutable"),
        "{kept}"
    );
    assert!(sandbox.resolve("team/app", "1.0.0-rc.2").is_some());
    assert_eq!(
        sandbox.log().counts().of(RequestKind::ApiTagDelete),
        2,
        "nothing was tried on the immutable one"
    );
}

/// `hub` caches a registry that has more than it, and no longer all of it.
fn becomes_a_cache(sandbox: &lagan_sandbox::Sandbox) {
    sandbox.put_image("upstream/app", &["2.0"], Moment::date(2026, 1, 9));
    let cache = Project::new("hub").proxy_cache(3).in_front_of("upstream");
    sandbox.harbor().project(&cache);
}

#[tokio::test]
async fn what_caches_another_registry_is_left_alone_and_never_read_through() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "hub/app", 4);
    let place = configured(&sandbox, PRERELEASES);
    place.run("plan --save plan.json").await.exits(0);
    assert_eq!(outcomes(&apply(&place, 0).await), json!({"deleted": 2}));
    undo(&place, "last", 0).await;
    becomes_a_cache(&sandbox);
    let before = sandbox.tags("hub/app");
    let report = apply(&place, 0).await;
    assert!(report["run"].is_null(), "nothing to do: {report}");
    // A plan from before it was one is for another state of the registry, and nothing asks for that through the cache.
    let saved = place.run("apply plan.json --yes --format json").await.exits(4);
    assert!(
        saved.stdout.contains("caches another registry"),
        "{}",
        saved.stdout
    );
    let text = place.run("explain hub/app:1.0.0-rc.1").await.exits(0).stdout;
    assert!(text.contains("caches another registry"), "{text}");
    place.run("plan --exact --bytes").await.exits(0);
    assert_eq!(sandbox.tags("hub/app"), before, "nothing was fetched or deleted");
}

#[tokio::test]
async fn an_undo_in_what_caches_another_registry_says_so_and_reads_nothing_through() {
    let sandbox = harbor(HarborVersion::default()).await;
    candidates(&sandbox, "hub/app", 4);
    let place = configured(&sandbox, PRERELEASES);
    assert_eq!(outcomes(&apply(&place, 0).await), json!({"deleted": 2}));
    becomes_a_cache(&sandbox);
    let before = sandbox.tags("hub/app");
    let report = undo(&place, "last", 4).await;
    let failed = entries(&report, "failed");
    assert_eq!(failed.len(), 2, "{report:#}");
    let detail = failed[0]["detail"].as_str().unwrap();
    assert!(detail.contains("caches another registry"), "{detail}");
    assert_eq!(sandbox.tags("hub/app"), before, "nothing was fetched or deleted");
}

#[tokio::test]
async fn a_project_whose_name_is_a_number_is_not_another_one() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    let first = sandbox.harbor().project(&Project::new("team"));
    assert_eq!(first, 1);
    candidates(&sandbox, "team/app", 4);
    candidates(&sandbox, "1/app", 4);
    // Of the project with the number 1, which is not asked here.
    sandbox.harbor().immutable("team", ImmutableRule::new("**", "**"));
    let label = sandbox.harbor().label(Some("1"), "mine");
    assert!(sandbox.harbor().put_label("1/app", "1.0.0-rc.1", label));
    let before = photograph(&sandbox).await;
    let place = configured(&sandbox, PRERELEASES);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 2}), "{report:#}");
    assert_eq!(sandbox.tags("1/app").len(), 2);
    assert_eq!(sandbox.tags("team/app").len(), 4);
    undo(&place, "last", 0).await;
    assert_eq!(photograph(&sandbox).await, before);
}
