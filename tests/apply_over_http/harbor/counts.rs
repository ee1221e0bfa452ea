//! What an apply costs, and that no two deletions are ever under way in one project.

use std::time::Duration;

use lagan_sandbox::{HarborOptions, RequestKind};
use serde_json::json;

use super::{PRERELEASES, apply, candidates, configured, harbor_of};
use crate::{outcomes, undo};

#[tokio::test]
async fn no_two_deletions_are_ever_under_way_in_one_project_and_none_is_sent_twice() {
    let options = HarborOptions {
        // Longer than all that is done in between, and so what would show.
        quota_refresh: Duration::from_millis(40),
        ..HarborOptions::default()
    };
    let sandbox = harbor_of(options).await;
    for name in ["team/a", "team/b", "team/c", "other/a", "other/b"] {
        candidates(&sandbox, name, 8);
    }
    let place = configured(&sandbox, PRERELEASES);
    let report = apply(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 30}));
    for project in ["team", "other"] {
        assert_eq!(sandbox.harbor().most_deletions_at_once(project), 1, "{project}");
    }
    let counts = sandbox.log().counts();
    assert_eq!(counts.of(RequestKind::ApiArtifactDelete), 30);
    assert_eq!(counts.of(RequestKind::ApiTagDelete), 30);
    assert!(
        sandbox.log().most_in_flight() <= 4,
        "{}",
        sandbox.log().most_in_flight()
    );
}

#[tokio::test]
async fn two_seconds_of_counting_storage_neither_time_out_nor_multiply() {
    let options = HarborOptions {
        quota_refresh: Duration::from_secs(2),
        ..HarborOptions::default()
    };
    let sandbox = harbor_of(options).await;
    candidates(&sandbox, "team/app", 5);
    let place = configured(&sandbox, PRERELEASES);
    let began = std::time::Instant::now();
    let report = apply(&place, 0).await;
    assert!(began.elapsed() >= Duration::from_secs(6));
    assert_eq!(outcomes(&report), json!({"deleted": 3}));
    assert_eq!(sandbox.log().counts().of(RequestKind::ApiArtifactDelete), 3);
    assert_eq!(sandbox.harbor().most_deletions_at_once("team"), 1);
}

#[tokio::test]
async fn an_apply_costs_its_plan_two_readings_and_eleven_requests_a_deletion() {
    let sandbox = harbor_of(HarborOptions::default()).await;
    candidates(&sandbox, "team/app", 12);
    let place = configured(&sandbox, PRERELEASES);
    sandbox.log().clear();
    let report = apply(&place, 0).await;
    let counts = sandbox.log().counts();
    let deleted = 10;
    assert_eq!(counts.of(RequestKind::ApiArtifactDelete), deleted);
    assert_eq!(counts.of(RequestKind::ApiTagDelete), deleted);
    // Before the first tag goes, and when the last is off.
    assert_eq!(counts.of(RequestKind::ApiTagList), 2 * deleted);
    // When it is read, before the first tag goes, and when the last is off.
    assert_eq!(counts.of(RequestKind::ApiAccessoryList), 3 * deleted);
    // Of the project once, and right before each deletion.
    assert_eq!(counts.of(RequestKind::ApiRule), 1 + deleted);
    // What the account may do there, once.
    assert_eq!(counts.of(RequestKind::ApiAccount), 1);
    // Its bytes; what its tag is on before, and that it is gone after.
    assert_eq!(counts.of(RequestKind::ManifestGet), deleted);
    assert_eq!(counts.of(RequestKind::ManifestHead), 2 * deleted);
    assert_eq!(counts.of(RequestKind::ManifestDelete), 0);
    assert_eq!(report["requests"]["total"], counts.total());
    assert!(counts.total() <= 11 * deleted + 16, "{counts:?}");

    sandbox.log().clear();
    undo(&place, "last", 0).await;
    let counts = sandbox.log().counts();
    // Each by its digest, and then its tag by the API.
    assert_eq!(counts.of(RequestKind::ManifestPut), deleted);
    assert_eq!(counts.of(RequestKind::ApiTagCreate), deleted);
}
