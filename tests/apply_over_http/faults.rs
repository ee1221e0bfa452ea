//! A registry that refuses, fails, forgets to answer, and answers late.

use lagan_sandbox::{Effect, Fault, RequestKind, SandboxOptions};
use serde_json::{Value, json};

use crate::photograph::photograph;
use crate::support::Place;
use crate::{TWO, apply, candidates, outcomes, start, undo};

fn entries<'r>(report: &'r Value, outcome: &str) -> Vec<&'r Value> {
    let repositories = report["repositories"].as_array().unwrap().iter();
    let entries = repositories.flat_map(|repository| repository["entries"].as_array().unwrap());
    entries.filter(|entry| entry["outcome"] == outcome).collect()
}

#[tokio::test]
async fn a_refused_deletion_is_told_and_the_others_go_on() {
    for (status, said) in [(403, "403"), (405, "405"), (409, "409")] {
        let sandbox = start(SandboxOptions::default()).await;
        candidates(&sandbox, "team/app", 6);
        sandbox
            .faults()
            .push(Fault::status(status).on(RequestKind::ManifestDelete).nth(2));
        let place = Place::new();
        let report = apply(&place, &sandbox, TWO, 4).await;
        assert_eq!(outcomes(&report), json!({"deleted": 3, "failed": 1}), "{status}");
        let failed = entries(&report, "failed");
        assert!(failed[0]["detail"].as_str().unwrap().contains(said), "{failed:?}");
        assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 4);
        // The next run takes what is left.
        sandbox.faults().clear();
        assert_eq!(
            outcomes(&apply(&place, &sandbox, TWO, 0).await),
            json!({"deleted": 1})
        );
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_looked_at_and_never_sent_again() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    sandbox.faults().push(
        Fault::new(Effect::ReplyLost)
            .on(RequestKind::ManifestDelete)
            .nth(1),
    );
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(
        outcomes(&report),
        json!({"deleted": 4}),
        "it was done, and was seen to be"
    );
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 4);
}

#[tokio::test]
async fn a_deletion_that_was_cut_off_is_in_doubt_and_left_out_until_it_can_no_longer_happen() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    sandbox
        .faults()
        .push(Fault::new(Effect::Cut).on(RequestKind::ManifestDelete).nth(1));
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 4).await;
    assert_eq!(outcomes(&report), json!({"deleted": 3, "in_doubt": 1}));
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 4);
    // Until the window is over, the next run neither deletes it nor takes it for done.
    let again = apply(&place, &sandbox, TWO, 4).await;
    assert_eq!(outcomes(&again), json!({"skipped": 1}));
    assert_eq!(entries(&again, "skipped")[0]["why"], "in_doubt");
    assert_eq!(again["recovery"]["in_doubt"].as_array().unwrap().len(), 1);
    // Nor is it anything to put back: an undo puts back the others, and tells of it.
    let undone = undo(&place, report["run"].as_str().unwrap(), 4).await;
    assert_eq!(outcomes(&undone), json!({"restored": 3}));
    assert_eq!(undone["recovery"]["in_doubt"].as_array().unwrap().len(), 1);
    assert_eq!(sandbox.tags("team/app").len(), 6);
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 4);
}

#[tokio::test]
async fn what_was_deleted_and_may_go_once_more_is_left_out_by_an_undo() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let digest = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    let manifest = sandbox.manifest("team/app", &digest).unwrap();
    let place = Place::new();
    let first = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&first), json!({"deleted": 4}));
    // Somebody pushes one of them again, and nobody knows what becomes of its second deletion.
    let url = format!("{}/v2/team/app/manifests/1.0.0-rc.1", sandbox.url());
    let pushed = reqwest::Client::new().put(url);
    let pushed = pushed
        .header("content-type", manifest.media_type.as_ref())
        .body(manifest.bytes);
    assert_eq!(pushed.send().await.unwrap().status(), 201);
    sandbox
        .faults()
        .push(Fault::new(Effect::Cut).on(RequestKind::ManifestDelete).nth(1));
    let second = apply(&place, &sandbox, TWO, 4).await;
    assert_eq!(outcomes(&second), json!({"in_doubt": 1}));
    sandbox.log().clear();
    let undone = undo(&place, first["run"].as_str().unwrap(), 4).await;
    assert_eq!(outcomes(&undone), json!({"restored": 3, "in_doubt": 1}));
    let left_out = entries(&undone, "in_doubt");
    assert_eq!(left_out[0]["digest"], digest.to_string());
    let detail = left_out[0]["detail"].as_str().unwrap();
    assert!(detail.contains("it would not last"), "{detail}");
    // By digest and by tag, and nothing of what is left out.
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestPut), 2 * 3);
}

#[tokio::test]
async fn a_deletion_that_is_accepted_and_not_done_is_in_doubt_and_not_sent_again() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let accepted = Effect::Answer {
        status: 202,
        retry_after: None,
        body: None,
    };
    sandbox
        .faults()
        .push(Fault::new(accepted).on(RequestKind::ManifestDelete).nth(1));
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 4).await;
    assert_eq!(outcomes(&report), json!({"deleted": 1, "in_doubt": 1}));
    let doubt = entries(&report, "in_doubt");
    let detail = doubt[0]["detail"].as_str().unwrap();
    assert!(detail.contains("still serves the manifest"), "{detail}");
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 2);
    assert_eq!(sandbox.tags("team/app").len(), 3);
}

#[tokio::test]
async fn a_deletion_that_happens_late_is_found_out_and_can_be_undone() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let before = photograph(&sandbox.url(), None).await;
    let late = Fault::new(Effect::ApplyLate { requests: 12 });
    sandbox.faults().push(late.on(RequestKind::ManifestDelete).nth(2));
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 4).await;
    assert_eq!(outcomes(&report), json!({"deleted": 1, "in_doubt": 1}));
    sandbox.faults().clear();
    // It happens while others read.
    photograph(&sandbox.url(), None).await;
    // Whoever only looks changes nothing, not even what is on record.
    let records = || std::fs::read(place.path().join(".local/state/lagan/journal.1/mirror.jsonl")).unwrap();
    let before_the_look = records();
    let looked = undo(&place, "last --dry-run", 4).await;
    assert_eq!(looked["recovery"]["in_doubt"].as_array().unwrap().len(), 1);
    assert_eq!(records(), before_the_look);
    let again = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(again["recovery"]["settled"], json!({"deleted": 1}));
    assert_eq!(
        outcomes(&undo(&place, report["run"].as_str().unwrap(), 0).await),
        json!({"restored": 2})
    );
    assert_eq!(photograph(&sandbox.url(), Some(&before)).await, before);
}

#[tokio::test]
async fn a_tag_that_moves_before_its_deletion_is_left_alone() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    // Between the reading of the repository and the deletion, the HEAD of this tag shows another digest.
    sandbox.faults().push(
        Fault::new(Effect::WrongDigest)
            .on(RequestKind::ManifestHead)
            .reference("1.0.0-rc.1"),
    );
    let report = apply(&place, &sandbox, &format!("team/app {TWO}"), 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 1, "skipped": 1}));
    assert_eq!(entries(&report, "skipped")[0]["why"], "changed");
    assert!(sandbox.resolve("team/app", "1.0.0-rc.1").is_some());
}

#[tokio::test]
async fn blobs_that_were_collected_make_an_undo_that_says_so() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let digest = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    let manifest = sandbox.manifest("team/app", &digest).unwrap();
    let document: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let layer = document["layers"][0]["digest"].as_str().unwrap().to_owned();
    let place = Place::new();
    apply(&place, &sandbox, TWO, 0).await;
    sandbox.delete_blob("team/app", layer.parse().unwrap());
    let report = undo(&place, "last", 4).await;
    assert_eq!(outcomes(&report), json!({"restored": 1, "unrecoverable": 1}));
    let lost = entries(&report, "unrecoverable");
    assert!(lost[0]["detail"].as_str().unwrap().contains(&layer), "{lost:?}");
}

#[tokio::test]
async fn a_registry_that_says_created_and_keeps_nothing_is_not_believed() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    apply(&place, &sandbox, TWO, 0).await;
    let lie = Fault::new(Effect::Answer {
        status: 201,
        retry_after: None,
        body: None,
    });
    sandbox.faults().push(lie.on(RequestKind::ManifestPut));
    let report = undo(&place, "last", 4).await;
    assert_eq!(outcomes(&report), json!({"failed": 2}));
    sandbox.faults().clear();
    assert_eq!(outcomes(&undo(&place, "last", 0).await), json!({"restored": 2}));
}
