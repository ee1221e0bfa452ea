//! What an apply and an undo cost, by the registry's own log.

use lagan_sandbox::{Profile, RequestKind, SandboxOptions};

use crate::support::Place;
use crate::{TWO, apply, candidates, start, undo};

#[tokio::test]
async fn an_apply_costs_its_plan_two_readings_and_three_requests_a_deletion() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 12);
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 0).await;
    let counts = sandbox.log().counts();
    let deleted = 10;
    // Of each deletion: a HEAD of its tag, the DELETE, a HEAD that shows it gone.
    assert_eq!(counts.of(RequestKind::ManifestDelete), deleted);
    assert_eq!(counts.of(RequestKind::ManifestHead), 2 * deleted);
    // The plan reads every tag, the pass before the deletions again, and what is left is read once more at the end.
    assert_eq!(counts.of(RequestKind::TagList), 3);
    assert_eq!(counts.of(RequestKind::ManifestGet), 12 + 12 + 2);
    assert_eq!(counts.of(RequestKind::BlobGet), 0);
    assert_eq!(report["requests"]["total"], counts.total());
    assert_eq!(report["requests"]["by_kind"]["delete"], deleted);
}

#[tokio::test]
async fn nothing_to_do_costs_no_more_than_a_plan_and_leaves_no_run() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 2);
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 0).await;
    assert!(report["run"].is_null());
    assert_eq!(sandbox.log().counts().total(), 3, "a ping, the catalog, the tags");
    let listed = place.run("journal list").await.exits(0).stdout;
    assert!(listed.contains("no runs"), "{listed}");
}

#[tokio::test]
async fn an_undo_asks_for_what_it_puts_back_and_for_nothing_else() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 12);
    let place = Place::new();
    apply(&place, &sandbox, TWO, 0).await;
    sandbox.log().clear();
    undo(&place, "last", 0).await;
    let counts = sandbox.log().counts();
    // By digest, then under its tag.
    assert_eq!(counts.of(RequestKind::ManifestPut), 20);
    assert_eq!(counts.of(RequestKind::ManifestDelete), 0);
    assert_eq!(counts.of(RequestKind::Catalog), 0);
}
