//! A robot that lacks a permission, a Harbor that takes no changes, and an answer that explains nothing.

use lagan_sandbox::{Fault, HarborOptions, Moment, RequestKind, Sandbox};
use serde_json::{Value, json};

use super::photograph::photograph;
use super::{PRERELEASES, apply, candidates, configured, entries, harbor_of, harbor_without, run};
use crate::{outcomes, undo};

#[tokio::test]
async fn a_missing_permission_is_named_for_its_project_and_nothing_is_sent() {
    for missing in [
        &[("tag", "delete")][..],
        &[("artifact", "delete")],
        &[("tag", "create")],
        &[("artifact", "delete"), ("tag", "create")],
    ] {
        let sandbox = harbor_without(missing).await;
        candidates(&sandbox, "team/app", 6);
        candidates(&sandbox, "team/web", 4);
        let before = photograph(&sandbox).await;
        let place = configured(&sandbox, PRERELEASES);
        sandbox.log().clear();
        let report = apply(&place, 4).await;
        assert_eq!(outcomes(&report), json!({"failed": 6}), "{missing:?}");
        let named: Vec<_> = missing
            .iter()
            .map(|(resource, action)| format!("`{resource}:{action}`"))
            .collect();
        let named = format!("not sent: the account lacks {} in project team", named.join(", "));
        for failed in entries(&report, "failed") {
            let detail = failed["detail"].as_str().unwrap();
            assert!(
                detail.contains(&named) && detail.contains("DELETE http"),
                "{detail}"
            );
        }
        let counts = sandbox.log().counts();
        for kind in [RequestKind::ApiTagDelete, RequestKind::ApiArtifactDelete] {
            assert_eq!(counts.of(kind), 0, "{missing:?}");
        }
        assert_eq!(
            counts.of(RequestKind::ApiAccount),
            1,
            "{missing:?}: asked once, not for each artifact"
        );
        assert_eq!(photograph(&sandbox).await, before, "{missing:?}");
    }
}

#[tokio::test]
async fn an_account_that_may_take_tags_off_and_nothing_else_does_that() {
    let sandbox = harbor_without(&[("artifact", "delete"), ("tag", "create")]).await;
    sandbox.put_image("team/app", &["1.0.0-rc.1", "stable"], Moment::date(2026, 1, 1));
    for number in 2..=5 {
        let tag = format!("1.0.0-rc.{number}");
        sandbox.put_image("team/app", &[&tag], Moment::date(2026, 1, number));
    }
    let place = configured(&sandbox, PRERELEASES);
    let report = apply(&place, 4).await;
    assert_eq!(
        outcomes(&report),
        json!({"failed": 2, "untagged": 1}),
        "{report:#}"
    );
    let mut left: Vec<_> = sandbox.tags("team/app").into_iter().map(|(tag, _)| tag).collect();
    left.sort();
    assert_eq!(
        left,
        ["1.0.0-rc.2", "1.0.0-rc.3", "1.0.0-rc.4", "1.0.0-rc.5", "stable"]
    );
    assert_eq!(sandbox.log().counts().of(RequestKind::ApiArtifactDelete), 0);
}

#[tokio::test]
async fn permissions_that_harbor_does_not_tell_let_nothing_be_deleted() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let before = photograph(&sandbox).await;
    let place = configured(&sandbox, PRERELEASES);
    sandbox
        .faults()
        .push(Fault::status(400).on(RequestKind::ApiAccount));
    let report = apply(&place, 4).await;
    assert_eq!(outcomes(&report), json!({"failed": 2}), "{report:#}");
    let detail = entries(&report, "failed")[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("what the account may do in project team cannot be told"),
        "{detail}"
    );
    sandbox.faults().clear();
    assert_eq!(photograph(&sandbox).await, before);
}

#[tokio::test]
async fn what_cannot_be_read_right_before_a_deletion_keeps_it() {
    for missing in [
        ("immutable-tag", "list"),
        ("accessory", "list"),
        ("tag", "list"),
        ("repository", "pull"),
    ] {
        let sandbox = harbor_without(&[missing]).await;
        candidates(&sandbox, "team/app", 4);
        let before = photograph(&sandbox).await;
        let place = configured(&sandbox, PRERELEASES);
        sandbox.log().clear();
        let report = apply(&place, 4).await;
        let counts = sandbox.log().counts();
        for kind in [RequestKind::ApiTagDelete, RequestKind::ApiArtifactDelete] {
            assert_eq!(counts.of(kind), 0, "{missing:?}");
        }
        let said = report.to_string();
        assert!(said.contains("team"), "{missing:?} {said}");
        if missing.0 != "repository" {
            let named = format!("`{}:{}` in project team", missing.0, missing.1);
            assert!(said.contains(&named), "{missing:?} {said}");
        }
        assert_eq!(photograph(&sandbox).await, before, "{missing:?}");
    }
}

/// From now on these are refused, whatever the account was told that it may do.
fn withdraw(sandbox: &Sandbox, kinds: &[RequestKind]) {
    for kind in kinds {
        sandbox.faults().push(Fault::status(403).on(*kind));
    }
}

#[tokio::test]
async fn a_tag_that_may_not_be_put_back_any_more_is_on_record_as_deleted() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 3);
    let place = configured(&sandbox, PRERELEASES);
    withdraw(
        &sandbox,
        &[RequestKind::ApiArtifactDelete, RequestKind::ApiTagCreate],
    );
    let report = apply(&place, 4).await;
    assert_eq!(outcomes(&report), json!({"in_doubt": 1}), "{report:#}");
    let detail = entries(&report, "in_doubt")[0]["detail"].as_str().unwrap();
    for said in [
        "1.0.0-rc.1 was taken off, and could not be put back",
        "`tag:create`",
        "`artifact:delete`",
    ] {
        assert!(detail.contains(said), "{said}: {detail}");
    }
}

#[tokio::test]
async fn an_artifact_that_may_not_be_deleted_any_more_is_the_last_one_that_is_tried() {
    // That may not have its tag back, too.
    let cases = [
        (&[RequestKind::ApiArtifactDelete][..], json!({"failed": 4})),
        (
            &[RequestKind::ApiArtifactDelete, RequestKind::ApiTagCreate],
            json!({"failed": 3, "in_doubt": 1}),
        ),
    ];
    for (withdrawn, expected) in cases {
        let sandbox = harbor_of(HarborOptions::default()).await;
        candidates(&sandbox, "team/app", 6);
        let before = photograph(&sandbox).await;
        let place = configured(&sandbox, PRERELEASES);
        withdraw(&sandbox, withdrawn);
        let report = apply(&place, 4).await;
        assert_eq!(outcomes(&report), expected, "{withdrawn:?} {report:#}");
        let counts = sandbox.log().counts();
        assert_eq!(counts.of(RequestKind::ApiTagDelete), 1, "{withdrawn:?}");
        assert_eq!(counts.of(RequestKind::ApiArtifactDelete), 1, "{withdrawn:?}");
        if withdrawn.len() == 1 {
            sandbox.faults().clear();
            assert_eq!(photograph(&sandbox).await, before);
        } else {
            assert_eq!(sandbox.tags("team/app").len(), 5);
        }
    }
}

#[tokio::test]
async fn a_harbor_whose_api_answers_oddly_is_planned_for_and_not_changed() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let before = photograph(&sandbox).await;
    let place = configured(&sandbox, PRERELEASES);
    sandbox.faults().push(Fault::status(403).on(RequestKind::ApiInfo));
    let refused = run(&place, "").await.exits(1);
    assert!(refused.stderr.contains("kind: oci"), "{}", refused.stderr);
    assert_eq!(photograph(&sandbox).await, before);
    // Over globs it would be the catalog that is asked for, which is the administrator's.
    place.run("plan team/app").await.exits(0);
}

#[tokio::test]
async fn in_read_only_mode_nothing_is_changed_and_that_is_what_is_said() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let before = photograph(&sandbox).await;
    let place = configured(&sandbox, PRERELEASES);
    sandbox.harbor().set_read_only(true);
    sandbox.log().clear();
    let report = apply(&place, 4).await;
    assert_eq!(outcomes(&report), json!({"failed": 4}));
    let detail = entries(&report, "failed")[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("read only mode") && !detail.contains("lacks"),
        "{detail}"
    );
    assert_eq!(sandbox.log().counts().of(RequestKind::ApiTagDelete), 1);
    assert_eq!(photograph(&sandbox).await, before);
    // The same for what is to be put back.
    sandbox.harbor().set_read_only(false);
    assert_eq!(outcomes(&apply(&place, 0).await), json!({"deleted": 4}));
    sandbox.harbor().set_read_only(true);
    let report = undo(&place, "last", 4).await;
    assert_eq!(outcomes(&report), json!({"failed": 4}));
    assert!(report.to_string().contains("read only mode"), "{report}");
    sandbox.harbor().set_read_only(false);
    undo(&place, "last", 0).await;
    assert_eq!(photograph(&sandbox).await, before);
}

#[tokio::test]
async fn an_undo_without_its_permissions_says_which_and_can_be_done_again() {
    let sandbox = harbor_without(&[("artifact-label", "create")]).await;
    candidates(&sandbox, "team/app", 3);
    let label = sandbox.harbor().label(Some("team"), "seen");
    assert!(sandbox.harbor().put_label("team/app", "1.0.0-rc.1", label));
    let place = configured(&sandbox, PRERELEASES);
    apply(&place, 0).await;
    let report = undo(&place, "last", 4).await;
    let failed: Vec<&Value> = entries(&report, "failed");
    let detail = failed[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("`artifact-label:create` in project team"),
        "{detail}"
    );
    assert!(
        sandbox.resolve("team/app", "1.0.0-rc.1").is_some(),
        "all but the label is back"
    );
}

#[tokio::test]
async fn a_label_that_does_not_exist_any_more_is_told_and_not_made_up() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 3);
    let label = sandbox.harbor().label(Some("team"), "seen");
    assert!(sandbox.harbor().put_label("team/app", "1.0.0-rc.1", label));
    let before = photograph(&sandbox).await;
    let place = configured(&sandbox, PRERELEASES);
    apply(&place, 0).await;
    let none = lagan_sandbox::Effect::Answer {
        status: 200,
        retry_after: None,
        body: Some("[]".to_owned()),
    };
    sandbox.faults().push(Fault::new(none).on(RequestKind::ApiLabel));
    let zero = lagan_sandbox::Effect::Header("x-total-count", "0".to_owned());
    sandbox.faults().push(Fault::new(zero).on(RequestKind::ApiLabel));
    let report = undo(&place, "last", 4).await;
    let detail = entries(&report, "failed")[0]["detail"].as_str().unwrap();
    assert!(detail.contains("seen"), "{detail}");
    sandbox.faults().clear();
    undo(&place, "last", 0).await;
    assert_eq!(photograph(&sandbox).await, before);
}

#[tokio::test]
async fn an_error_that_explains_nothing_is_looked_into_and_never_tried_again() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let before = photograph(&sandbox).await;
    let place = configured(&sandbox, PRERELEASES);
    sandbox
        .faults()
        .push(Fault::status(500).on(RequestKind::ApiArtifactDelete).nth(1));
    let report = apply(&place, 4).await;
    assert_eq!(
        outcomes(&report),
        json!({"deleted": 2, "in_doubt": 1}),
        "{report:#}"
    );
    assert_eq!(sandbox.log().counts().of(RequestKind::ApiArtifactDelete), 3);
    let detail = entries(&report, "in_doubt")[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("500") && detail.contains("project team"),
        "{detail}"
    );
    // It stays, with its tag.
    let gone = before.differences(&photograph(&sandbox).await);
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.iter().all(|line| line.ends_with("is gone")), "{gone:?}");
}

#[tokio::test]
async fn a_repository_that_is_gone_by_now_is_left_out() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    candidates(&sandbox, "team/web", 4);
    let place = configured(&sandbox, PRERELEASES);
    place.run("plan --save plan.json").await.exits(0);
    let gone = lagan_sandbox::Change::DeleteRepository("team/app".to_owned());
    let fault = Fault::new(lagan_sandbox::Effect::Meanwhile(gone)).on(RequestKind::ApiInfo);
    sandbox.faults().push(fault);
    let report = run(&place, "plan.json").await.exits(0).json();
    assert_eq!(
        outcomes(&report),
        json!({"deleted": 2, "skipped": 2}),
        "{report:#}"
    );
    assert!(
        entries(&report, "skipped")
            .iter()
            .all(|entry| entry["why"] == "gone")
    );
}
