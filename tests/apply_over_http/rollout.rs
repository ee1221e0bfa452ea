//! A policy that deletes in a share of its repositories first: in which ones, how it goes on, and how it falls back.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use lagan_model::Digest;
use lagan_sandbox::{Effect, Fault, Moment, RequestKind, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use crate::support::{Place, repository};
use crate::{apply, candidates, outcomes, start, undo};

/// How many repositories there are, with three candidates each, of which one goes.
const ALL: u64 = 12;

async fn twelve() -> Sandbox {
    let sandbox = start(SandboxOptions::default()).await;
    for number in 0..ALL {
        candidates(&sandbox, &name(number), 3);
    }
    sandbox
}

fn name(number: u64) -> String {
    format!("team/app-{number}")
}

/// A policy that keeps the two newest, and is rolled out like this.
fn policy(place: &Place, rollout: &str) -> String {
    let text = format!(
        "repositories: [\"**\"]\nmode: enforce\nrules:\n  - select: {{tags: [\"*\"]}}\n    keep: {{last: 2, by: version}}\n\
         rollout: {rollout}\n"
    );
    format!("--policy-file {}", place.file("policy.yaml", text).display())
}

/// The names in the order of their turn, and whether the hash of each is in a share of so many percent: reckoned from
/// what the documentation says.
fn turns(percent: u128) -> Vec<(String, bool)> {
    let place = |name: &str| {
        let hash = Digest::of(format!("lagan rollout\npolicy\n{name}").as_bytes()).encoded();
        u128::from(u64::from_str_radix(&hash[..16], 16).unwrap())
    };
    let mut all: Vec<_> = (0..ALL).map(name).map(|name| (place(&name), name)).collect();
    all.sort();
    all.into_iter()
        .map(|(place, name)| (name, place * 100 < percent << 64))
        .collect()
}

/// Those of them that a stage takes of all twelve.
fn share(percent: u128) -> BTreeSet<String> {
    let turns = turns(percent);
    let first = turns[0].0.clone();
    let within = turns
        .into_iter()
        .filter(|(_, within)| *within)
        .map(|(name, _)| name);
    within.chain([first]).collect()
}

/// Those in which something was deleted.
fn trimmed(sandbox: &Sandbox, left: usize) -> BTreeSet<String> {
    (0..ALL)
        .map(name)
        .filter(|name| sandbox.tags(name).len() == left)
        .collect()
}

fn push(sandbox: &Sandbox, tag: &str) {
    for number in 0..ALL {
        sandbox.put_image(&name(number), &[tag], Moment::date(2026, 2, 1));
    }
}

async fn plan(place: &Place, sandbox: &Sandbox, policy: &str) -> Value {
    let line = format!("plan --registry {} {policy} --format json", sandbox.url());
    place.run(&line).await.exits(0).json()
}

fn record(place: &Place) -> PathBuf {
    let folder = place.path().join(".local/state/lagan/rollout");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .find(|path| path.extension().is_some_and(|extension| extension == "json"))
        .unwrap()
}

/// What is on record of the policy.
fn recorded(place: &Place) -> Value {
    let text = fs::read_to_string(record(place)).unwrap();
    let body: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    body["policies"]["policy"].clone()
}

/// Writes the record as if the first deletion of the stage had been tried a day earlier.
fn a_day_passes(place: &Place) {
    let path = record(place);
    let text = fs::read_to_string(&path).unwrap();
    let mut body: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let since = &mut body["policies"]["policy"]["since"];
    let then: chrono::DateTime<chrono::Utc> = since.as_str().unwrap().parse().unwrap();
    *since = json!(then - chrono::TimeDelta::days(1));
    let body = body.to_string();
    let sum = Digest::of(body.as_bytes()).encoded();
    fs::write(path, format!("{body}\n{{\"sha256\":\"{sum}\"}}\n")).unwrap();
}

fn audited(place: &Place, event: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path().join(".local/state/lagan/audit/000001.jsonl")).unwrap();
    let entries = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["event"] == event).collect()
}

#[tokio::test]
async fn a_share_goes_first_the_same_in_every_run_and_more_when_it_has_held() {
    let sandbox = twelve().await;
    let place = Place::new();
    let policy = policy(&place, "{stages: [25%, 60%, 100%], hold: 24h}");
    let (quarter, more) = (share(25), share(60));
    assert!(quarter.is_subset(&more) && (1..more.len()).contains(&quarter.len()) && more.len() < 12);

    let planned = plan(&place, &sandbox, &policy).await;
    for number in 0..ALL {
        let rollout = &repository(&planned, &name(number))["rollout"];
        assert_eq!(rollout["taken"], quarter.contains(&name(number)), "{rollout}");
        assert_eq!(
            (&rollout["stage"], &rollout["of"], &rollout["share"]),
            (&json!(1), &json!(3), &json!("25%"))
        );
    }
    // Who asks of one tag does not see which of all is the first.
    for (name, within) in turns(25) {
        let line = format!(
            "explain {name}:1.0.0-rc.1 --registry {} {policy} --format json",
            sandbox.url()
        );
        let explained = place.run(&line).await.exits(0).json();
        assert_eq!(
            (&explained["rollout"]["taken"], &explained["rollout"]["of"]),
            (&json!(within), &json!(3)),
            "{name}"
        );
    }
    let waiting = ALL - quarter.len() as u64;
    assert_eq!(planned["totals"]["not_rolled_out"], waiting);
    let line = format!("plan --registry {} {policy}", sandbox.url());
    let text = place.run(&line).await.exits(0).stdout;
    for said in [
        "nothing is deleted here yet: stage 1 of 3 of policy takes 25% of its repositories",
        "it has its turn: stage 1 of 3 of policy",
        "are not carried out yet",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }

    let report = apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(
        outcomes(&report),
        json!({"deleted": quarter.len(), "skipped": waiting})
    );
    assert_eq!(trimmed(&sandbox, 2), quarter);
    // The share stays what it is, and what is new in it goes.
    push(&sandbox, "1.0.0-rc.4");
    apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(trimmed(&sandbox, 2), quarter);
    assert_eq!(
        recorded(&place)["tally"],
        json!({"succeeded": 2 * quarter.len(), "failed": 0})
    );

    a_day_passes(&place);
    let line = format!("apply --registry {} --yes {policy}", sandbox.url());
    let said = place.run(&line).await.exits(0).stderr;
    assert!(
        said.contains("advanced to stage 2 of 3, 60% of its repositories"),
        "{said}"
    );
    assert_eq!(trimmed(&sandbox, 2), more);
    let rollouts = audited(&place, "rollout");
    assert_eq!(rollouts.len(), 1);
    assert_eq!(
        (&rollouts[0]["change"], &rollouts[0]["stage"]),
        (&json!("advanced"), &json!(2))
    );
    // It is on record, and begins only once.
    apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(trimmed(&sandbox, 2), more);

    a_day_passes(&place);
    apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(trimmed(&sandbox, 2).len(), 12);
    a_day_passes(&place);
    apply(&place, &sandbox, &policy, 0).await;
    let changes: Vec<_> = audited(&place, "rollout")
        .iter()
        .map(|entry| entry["change"].clone())
        .collect();
    assert_eq!(changes, ["advanced", "advanced", "completed"]);
    assert!(plan(&place, &sandbox, &policy).await["totals"]["not_rolled_out"].is_null());
}

#[tokio::test]
async fn a_run_that_deletes_nothing_leads_nowhere() {
    let sandbox = twelve().await;
    let place = Place::new();
    let policy = policy(&place, "{stages: [25%, 100%], hold: 24h}");
    let outside = turns(25).into_iter().rev().find(|(_, within)| !within).unwrap().0;
    // Narrowed to one that is in no share, so that there is nothing to do.
    let report = apply(&place, &sandbox, &format!("{policy} {outside}"), 0).await;
    assert_eq!(outcomes(&report), json!({"skipped": 1}));
    assert!(!place.path().join(".local/state/lagan/rollout").exists());
    apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(trimmed(&sandbox, 2), share(25));
}

#[tokio::test]
async fn one_repository_goes_at_the_least_and_only_where_all_are_seen() {
    let sandbox = twelve().await;
    let place = Place::new();
    let policy = policy(&place, "{stages: [0.01%, 100%], hold: 24h}");
    let first = turns(0)[0].0.clone();
    // Who sees only this one does not know that it is the first.
    let narrowed = format!("{policy} {first}");
    assert_eq!(
        outcomes(&apply(&place, &sandbox, &narrowed, 0).await),
        json!({"skipped": 1})
    );
    let url = sandbox.url();
    let save = |more: &str| format!("plan --registry {url} {policy} {more} --save plan.json");
    let carry_out = format!("apply plan.json {policy} --yes --format json");
    place.run(&save(&first)).await.exits(0);
    let report = place.run(&carry_out).await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"skipped": 1}));
    assert!(trimmed(&sandbox, 2).is_empty());
    // A saved plan of all knows.
    place.run(&save("")).await.exits(0);
    let report = place.run(&carry_out).await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"deleted": 1, "skipped": 11}));
    assert_eq!(trimmed(&sandbox, 2), BTreeSet::from([first]));
}

#[tokio::test]
async fn a_stage_in_which_too_much_fails_ends_in_a_dry_run_until_somebody_acts() {
    let sandbox = twelve().await;
    let place = Place::new();
    let arguments = policy(&place, "{stages: [60%, 100%], hold: 24h, min_success: 90%}");
    let more = share(60);
    let failing = more.iter().next().unwrap();
    let fault = Fault::status(403)
        .on(RequestKind::ManifestDelete)
        .repository(failing);
    sandbox.faults().push(fault);
    // Saved while the policy still deleted.
    let url = sandbox.url();
    let line = format!("plan --registry {url} {arguments} --save plan.json");
    place.run(&line).await.exits(0);
    let line = format!("apply --registry {url} --yes {arguments}");
    let said = place.run(&line).await.exits(4).stderr;
    let expected = format!(
        "fell back to dry-run: in stage 1 of 2 1 of {} deletions failed, where 90% have to succeed",
        more.len()
    );
    assert!(said.contains(&expected), "{said}");
    let entry = &audited(&place, "rollout")[0];
    assert_eq!(
        (&entry["change"], &entry["failed"]),
        (&json!("fell_back"), &json!(1))
    );

    // The registry is well again; nobody has looked yet.
    sandbox.faults().clear();
    push(&sandbox, "1.0.0-rc.4");
    sandbox.log().clear();
    let before: Vec<_> = (0..ALL).map(|number| sandbox.tags(&name(number))).collect();
    a_day_passes(&place);
    let report = apply(&place, &sandbox, &arguments, 0).await;
    // Of what was deleted from one is left to go, of the others two.
    let left = 2 * ALL - (more.len() as u64 - 1);
    assert_eq!(outcomes(&report), json!({"skipped": left}));
    place
        .run(&format!("apply plan.json {arguments} --yes"))
        .await
        .exits(0);
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 0);
    let after: Vec<_> = (0..ALL).map(|number| sandbox.tags(&name(number))).collect();
    assert_eq!(before, after);
    let planned = plan(&place, &sandbox, &arguments).await;
    assert!(repository(&planned, failing)["rollout"]["fell_back"].is_string());
    assert_eq!(planned["totals"]["not_rolled_out"], left);

    let line = format!("rollout restart policy --registry {url}");
    let said = place.run(&line).await.exits(0).stdout;
    assert!(said.contains("begins anew with its first stage"), "{said}");
    assert_eq!(audited(&place, "rollout_restarted").len(), 1);
    place.run(&line).await.exits(2);
    apply(&place, &sandbox, &arguments, 0).await;
    assert_eq!(trimmed(&sandbox, 2), more);
}

#[tokio::test]
async fn a_run_that_was_undone_speaks_for_no_larger_stage() {
    let sandbox = twelve().await;
    let place = Place::new();
    let policy = policy(&place, "{stages: [25%, 100%], hold: 24h}");
    apply(&place, &sandbox, &policy, 0).await;
    a_day_passes(&place);
    undo(&place, "last --dry-run", 0).await;
    assert!(
        recorded(&place)["since"].is_string(),
        "whoever looks changes nothing"
    );
    let said = place.run("undo last --yes").await.exits(0).stderr;
    assert!(
        said.contains("the present stage of the rollout of policy begins anew"),
        "{said}"
    );
    assert!(trimmed(&sandbox, 2).is_empty());
    let rollouts = audited(&place, "rollout");
    assert_eq!(
        (rollouts.len(), &rollouts[0]["change"]),
        (1, &json!("stage_began_anew"))
    );
    // It deletes in its share as before, and counts from there.
    push(&sandbox, "1.0.0-rc.4");
    push(&sandbox, "1.0.0-rc.5");
    let report = apply(&place, &sandbox, &policy, 0).await;
    let took = &outcomes(&report)["deleted"];
    let record = recorded(&place);
    assert_eq!(
        (&record["over"], &record["tally"]["succeeded"]),
        (&json!(0), took)
    );
    let without = (0..ALL).map(name).filter(|name| sandbox.tags(name).len() < 5);
    assert_eq!(without.collect::<BTreeSet<_>>(), share(25));
}

#[tokio::test]
async fn an_undo_that_was_interrupted_is_counted_by_the_one_that_finds_all_put_back() {
    let sandbox = twelve().await;
    let place = Place::new();
    let policy = policy(&place, "{stages: [25%, 100%], hold: 24h}");
    apply(&place, &sandbox, &policy, 0).await;
    let before = fs::read(record(&place)).unwrap();
    undo(&place, "last --yes", 0).await;
    // As if it had been killed before it wrote that.
    fs::write(record(&place), before).unwrap();
    let said = place.run("undo last --yes").await.exits(0).stderr;
    assert!(said.contains("begins anew"), "{said}");
    assert_eq!(recorded(&place)["since"], Value::Null);
}

#[tokio::test]
async fn what_another_policy_deletes_shows_nothing_of_one_that_deletes_nothing() {
    let sandbox = twelve().await;
    let place = Place::new();
    let url = sandbox.url();
    place.file(
        "lagan.yaml",
        format!(
            "registries: {{here: {{url: '{url}'}}}}\npolicies:\n  policy:\n    repositories: '**'\n    mode: enforce\n    \
             rules: [{{select: {{tags: 'none-*'}}, keep: {{last: 2, by: version}}}}]\n    \
             rollout: {{stages: [60%, 100%], hold: 24h}}\n  other:\n    repositories: '**'\n    mode: enforce\n    \
             rules: [{{select: {{tags: '*'}}, keep: {{last: 2, by: version}}}}]\n"
        ),
    );
    let failing = share(60).first().unwrap().clone();
    place.run("apply --yes").await.exits(0);
    assert_eq!(trimmed(&sandbox, 2), share(60));
    assert_eq!(
        (&recorded(&place)["since"], &recorded(&place)["tally"]),
        (&Value::Null, &json!({"succeeded": 0, "failed": 0}))
    );
    // What fails there may be why either of them has to stop.
    push(&sandbox, "1.0.0-rc.4");
    let fault = Fault::status(403)
        .on(RequestKind::ManifestDelete)
        .repository(&failing);
    sandbox.faults().push(fault);
    place.run("apply --yes").await.exits(4);
    assert_eq!(recorded(&place)["fell_back"]["tally"]["failed"], 1);
}

#[tokio::test]
async fn a_policy_that_is_changed_begins_anew_and_one_whose_limits_are_does_not() {
    let sandbox = twelve().await;
    let place = Place::new();
    let staged = "{stages: [25%, 60%], hold: 24h}";
    apply(&place, &sandbox, &policy(&place, staged), 0).await;
    a_day_passes(&place);
    let lifted = policy(&place, &format!("{staged}\nlimits: {{max_deletions: off}}"));
    apply(&place, &sandbox, &lifted, 0).await;
    assert_eq!(trimmed(&sandbox, 2), share(60));
    push(&sandbox, "1.0.0-rc.4");
    let changed = policy(&place, &format!("{staged}\nuntag: false"));
    apply(&place, &sandbox, &changed, 0).await;
    assert_eq!(trimmed(&sandbox, 2), share(25));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_lets_nothing_be_deleted_until_it_is_set_aside() {
    let sandbox = twelve().await;
    let place = Place::new();
    let policy = policy(&place, "{stages: [25%, 100%], hold: 24h}");
    apply(&place, &sandbox, &policy, 0).await;
    push(&sandbox, "1.0.0-rc.4");
    let path = record(&place);
    let whole = fs::read_to_string(&path).unwrap();
    // As if the last stage were over, by whoever can write the file, and no checksum.
    let further = whole.replace("\"over\":0", "\"over\":2");
    assert_ne!(further, whole);
    for damaged in [further.as_str(), &whole[..whole.len() / 2], ""] {
        fs::write(&path, damaged).unwrap();
        let line = format!("apply --registry {} --yes --format json {policy}", sandbox.url());
        let ran = place.run(&line).await.exits(0);
        // Of what was in the share one is left to go, of the others two.
        let left = 2 * ALL - share(25).len() as u64;
        assert_eq!(outcomes(&ran.json()), json!({"skipped": left}));
        assert!(ran.stderr.contains("lagan rollout restart"), "{}", ran.stderr);
        assert!(trimmed(&sandbox, 2).is_empty());
        // It stays for whoever looks at it.
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        assert!(repository(&plan(&place, &sandbox, &policy).await, &name(0))["rollout"]["share"].is_null());
    }
    let line = format!("rollout restart policy --registry {}", sandbox.url());
    let said = place.run(&line).await.exits(0).stdout;
    assert!(said.contains("was set aside"), "{said}");
    apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(trimmed(&sandbox, 2), share(25));
}

#[tokio::test]
async fn a_run_that_is_killed_counts_as_one_that_did_not_succeed() {
    let sandbox = twelve().await;
    let place = Place::new();
    let policy = policy(&place, "{stages: [25%, 100%], hold: 24h}");
    apply(&place, &sandbox, &policy, 0).await;
    push(&sandbox, "1.0.0-rc.4");
    // Held there until the program is killed.
    let held = sandbox
        .faults()
        .push(Fault::new(Effect::Hang).on(RequestKind::ManifestDelete));
    let line = format!("apply --registry {} --yes {policy}", sandbox.url());
    let mut child = place.command(&line).spawn().unwrap();
    timeout(Duration::from_secs(60), async {
        while sandbox.faults().fired(held) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    child.kill().await.unwrap();
    sandbox.faults().clear();
    assert_eq!(recorded(&place)["open"], true);
    a_day_passes(&place);
    // Its stage begins anew, however long it has been.
    let planned = plan(&place, &sandbox, &policy).await;
    assert_eq!(repository(&planned, &name(0))["rollout"]["stage"], 1);
    let line = format!("apply --registry {} --yes --format json {policy}", sandbox.url());
    place.run(&line).await;
    assert!(trimmed(&sandbox, 2).is_subset(&share(25)));
    let record = recorded(&place);
    assert_eq!((&record["over"], &record["open"]), (&json!(0), &json!(false)));
}

#[tokio::test]
async fn where_the_policies_of_a_configuration_stand_is_shown_without_a_registry() {
    let sandbox = twelve().await;
    let place = Place::new();
    let url = sandbox.url();
    place.file(
        "lagan.yaml",
        format!(
            "registries: {{here: {{url: '{url}'}}}}\npolicies:\n  policy:\n    repositories: '**'\n    mode: enforce\n    \
             rules: [{{select: {{tags: '*'}}, keep: {{last: 2, by: version}}}}]\n    \
             rollout: {{stages: [25%, 100%], hold: 24h}}\n"
        ),
    );
    let show = async || place.run("rollout show").await.exits(0).stdout;
    assert_eq!(
        show().await,
        "policy on here: stage 1 of 2, 25% of its repositories\n"
    );
    place.run("apply --yes").await.exits(0);
    assert_eq!(trimmed(&sandbox, 2), share(25));
    let requests = sandbox.log().counts().total();
    let tried = share(25).len();
    assert_eq!(
        show().await,
        format!(
            "policy on here: stage 1 of 2, 25% of its repositories; {tried} of {tried} deletions of the stage succeeded\n"
        )
    );
    a_day_passes(&place);
    assert_eq!(
        show().await,
        "policy on here: stage 2 of 2, 100% of its repositories\n"
    );
    fs::write(record(&place), "damaged").unwrap();
    assert_eq!(show().await, "policy on here: not known: deletes nothing\n");
    assert!(
        place
            .run("rollout restart other")
            .await
            .exits(0)
            .stdout
            .contains("was set aside")
    );
    place
        .run("rollout restart policy --registry there")
        .await
        .exits(2);
    assert_eq!(sandbox.log().counts().total(), requests);
}
