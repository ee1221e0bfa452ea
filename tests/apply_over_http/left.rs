//! What a run leaves below an index that it deleted, and no listing shows any more.

use std::time::Duration;

use lagan_model::journal::{Doubt, Journal};
use lagan_sandbox::{Digest, Effect, Fault, Moment, RequestKind, Sandbox, SandboxOptions};
use lagan_state::{DiskJournal, Options};
use serde_json::json;

use crate::photograph::photograph;
use crate::support::Place;
use crate::{TWO, apply, candidates, outcomes, start, undo};

/// An index that goes, and of whose two children the first is refused.
async fn refusing() -> (Sandbox, Place, [Digest; 2]) {
    let sandbox = start(SandboxOptions::default()).await;
    let child = || sandbox.put_image("team/app", &[], Moment::date(2026, 1, 1));
    let children = [child(), child()];
    sandbox.put_index("team/app", &["1.0.0-rc.0"], &children);
    candidates(&sandbox, "team/app", 2);
    sandbox
        .faults()
        .push(Fault::status(403).on(RequestKind::ManifestDelete).nth(2));
    (sandbox, Place::new(), children)
}

#[tokio::test]
async fn what_was_left_below_an_index_goes_with_the_next_run_and_comes_back_with_the_index() {
    let (sandbox, place, children) = refusing().await;
    let before = photograph(&sandbox.url(), None).await;
    let report = apply(&place, &sandbox, TWO, 4).await;
    assert_eq!(
        outcomes(&report),
        json!({"deleted": 1, "failed": 1, "skipped": 1})
    );
    sandbox.faults().clear();
    let there = |digest| sandbox.manifest("team/app", digest).is_some();
    assert!(children.iter().all(there));

    let next = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&next), json!({"deleted": 2}));
    assert!(!children.iter().any(there));
    let nothing = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!((&nothing["run"], outcomes(&nothing)), (&json!(null), json!({})));

    let back = undo(&place, report["run"].as_str().unwrap(), 0).await;
    assert_eq!(outcomes(&back), json!({"restored": 3}));
    assert_eq!(photograph(&sandbox.url(), Some(&before)).await, before);
}

#[tokio::test]
async fn a_run_that_was_killed_between_an_index_and_its_children_is_gone_on_with() {
    let (sandbox, place, children) = refusing().await;
    sandbox.faults().clear();
    let before = photograph(&sandbox.url(), None).await;
    let hang = Fault::new(Effect::Hang).on(RequestKind::ManifestDelete).nth(2);
    let hang = sandbox.faults().push(hang);
    let line = format!("apply --registry {} {TWO} --yes", sandbox.url());
    let mut child = place.command(&line).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), async {
        while sandbox.faults().fired(hang) == 0 {
            // Only looks: how long that takes decides nothing.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    child.kill().await.unwrap();
    sandbox.faults().clear();
    let there = |digest| sandbox.manifest("team/app", digest).is_some();
    assert_eq!(sandbox.resolve("team/app", "1.0.0-rc.0"), None);

    // Somebody looked an hour ago, and it was there: what was sent then can no longer happen.
    let journal = DiskJournal::open(&place.path().join(".local/state/lagan"), &Options::default());
    let journal = Journal::new(journal.unwrap());
    for (intent, run, _) in journal.unsettled().await.unwrap() {
        let doubt = Doubt {
            intent,
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            detail: "it was there".to_owned(),
        };
        journal.doubt(run, doubt).await.unwrap();
    }
    drop(journal);
    assert!(children.iter().all(there));
    let next = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(next["recovery"]["settled"], json!({"skipped": 2}), "{next:#}");
    assert_eq!(outcomes(&next), json!({"deleted": 2}), "{next:#}");
    assert!(!children.iter().any(there));
    let back = undo(&place, "team/app:1.0.0-rc.0", 0).await;
    assert_eq!(outcomes(&back), json!({"restored": 3}));
    assert_eq!(photograph(&sandbox.url(), Some(&before)).await, before);
}

#[tokio::test]
async fn what_was_left_stays_as_soon_as_something_lists_it_or_a_tag_is_on_it() {
    let (sandbox, place, [tagged, listed]) = refusing().await;
    apply(&place, &sandbox, TWO, 4).await;
    sandbox.faults().clear();
    sandbox.tag("team/app", "mine", tagged);
    sandbox.put_index("team/app", &["2.0.0"], &[listed]);
    let next = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&next), json!({}));
    for digest in [tagged, listed] {
        assert!(sandbox.manifest("team/app", &digest).is_some());
    }
}
