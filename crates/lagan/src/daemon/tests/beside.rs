//! Several registries, each with runs of its own.

use std::collections::BTreeSet;

use lagan_sandbox::FaultId;
use lagan_state::{Options as StateOptions, StateError};

use super::super::hands::MOST;
use super::super::{RunKind, SAVED};
use super::*;
use crate::commands::undo;

/// Some registries with six candidates each of which a policy keeps two, called by one letter, its policies by it and a
/// number.
struct Registries {
    scene: Scene,
    others: Vec<Sandbox>,
}

const LETTERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Registries {
    async fn new(many: usize) -> Self {
        let scene = Scene::new().await;
        let mut others = Vec::new();
        for _ in 1..many {
            others.push(with_candidates().await);
        }
        Self { scene, others }
    }

    fn at(&self, letter: &str) -> &Sandbox {
        match LETTERS.iter().position(|known| *known == letter).unwrap() {
            0 => &self.scene.sandbox,
            other => &self.others[other - 1],
        }
    }

    /// Every registry with these policies, each with the minute at which it is due every hour.
    fn configure(&self, policies: &[(&str, &str, u32)]) {
        let mut text = "registries:\n".to_owned();
        for letter in &LETTERS[..=self.others.len()] {
            text.push_str(&format!("  {letter}: {{url: '{}'}}\n", self.at(letter).url()));
        }
        text.push_str("policies:\n");
        for (policy, mode, minute) in policies {
            text.push_str(&policy_of(policy, &policy[..1], mode, *minute));
        }
        self.scene.write(&text);
    }

    fn hang(&self, letter: &str, kind: RequestKind) -> FaultId {
        let hangs = Fault::new(Effect::Hang).on(kind);
        self.at(letter).faults().push(hangs)
    }

    /// Waits until something hangs there.
    async fn hangs(&self, letter: &str, fault: FaultId) {
        while self.at(letter).faults().fired(fault) == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn tags(&self, letter: &str) -> usize {
        self.at(letter).tags("team/app").len()
    }

    /// What the journal says of each registry: how many runs, and how many records of them are open.
    fn journal(&self, letter: &str) -> (usize, u64) {
        let runs = crate::state::open(&self.scene.state()).unwrap().list().unwrap();
        let url = self.at(letter).url();
        let here = runs.iter().filter(|run| {
            let begin = run.begin.as_ref().unwrap();
            url.trim_end_matches('/') == begin.registry.url
        });
        let open: Vec<u64> = here.map(|run| run.open).collect();
        (open.len(), open.iter().sum())
    }

    /// Has the next write to the store of the journal that is open fail.
    fn break_store(&self) {
        let folders = fs::read_dir(self.scene.state()).unwrap();
        let folders = folders.map(|folder| folder.unwrap().path().join("store/blobs"));
        let found: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        fs::remove_dir_all(&found[0]).unwrap();
    }

    fn assert_journal_is_sound(&self) {
        let verify = || lagan_state::verify(&self.scene.state(), &StateOptions::default());
        // What was opened beside a daemon that ended meanwhile is closed in a moment.
        let mut tries = (0..10_000).map(|_| verify());
        let checked = tries.find(|checked| !matches!(checked, Err(StateError::InUse { .. })));
        let checked = checked.unwrap().unwrap();
        assert_eq!((checked.wrong, checked.notices.len()), (0, 0), "{checked:?}");
    }
}

fn policy_of(policy: &str, registry: &str, mode: &str, minute: u32) -> String {
    format!(
        "  {policy}:\n    registry: {registry}\n    repositories: '**'\n    mode: {mode}\n    \
         schedule: {{cron: '{minute} * * * *'}}\n    \
         rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n"
    )
}

impl Running<'_> {
    async fn began(&mut self) -> String {
        self.next(|happening| match happening {
            Happening::Began { policy, .. } => Some(policy.clone()),
            Happening::Ended(record) => panic!("{record:?}"),
            _ => None,
        })
        .await
    }

    /// Has the hour begin, and `a1` hang in it.
    async fn has_a1_in_hand(&mut self, all: &Registries, hangs: FaultId) {
        self.pass(30).await;
        assert_eq!(self.began().await, "a1");
        all.hangs("a", hangs).await;
    }

    /// Those that begin next, in whatever order.
    async fn began_all(&mut self, many: usize) -> BTreeSet<String> {
        let mut began = BTreeSet::new();
        for _ in 0..many {
            began.insert(self.began().await);
        }
        began
    }

    /// Has the daemon stop, and waits for nothing that is in hand.
    async fn give_up(&mut self) {
        self.say(Event::Stop).await;
        self.next(|happening| matches!(happening, Happening::Stopping).then_some(()))
            .await;
        tokio::task::yield_now().await;
        self.scene.clock.pass(2);
    }

    async fn undo(&self, target: &str) -> mpsc::Receiver<Answer> {
        let arguments = UndoArgs {
            target: Some(target.to_owned()),
            ..UndoArgs::default()
        };
        // As the admin API does.
        let config = self.board.read().config;
        let arguments = undo::settled(&config, &self.scene.state(), arguments);
        let arguments = arguments.unwrap_or_else(|failure| panic!("{}", failure.text()));
        self.order_on("", Asked::Undo(Box::new(arguments))).await
    }
}

/// What is told next but that it has begun.
async fn told(answers: &mut mpsc::Receiver<Answer>) -> Answer {
    loop {
        match answers.recv().await.unwrap() {
            Answer::Began => {}
            answer => return answer,
        }
    }
}

async fn over(answers: &mut mpsc::Receiver<Answer>) -> Record {
    loop {
        if let Answer::Ended(record) = told(answers).await {
            return *record;
        }
    }
}

fn named<const MANY: usize>(names: [&str; MANY]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test]
async fn a_registry_that_hangs_keeps_the_policies_of_no_other_from_their_turn() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "enforce", 0)]);
    let hangs = all.hang("a", RequestKind::TagList);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.began_all(2).await, named(["a1", "b1"]));
            let ended = daemon.ended().await;
            assert_eq!((&*ended.policy, ended.exit), ("b1", Exit::Done));
            assert_eq!(all.tags("b"), 2);
            for _ in 0..3 {
                daemon.pass(60).await;
                assert_eq!(daemon.ended().await.policy, "b1");
            }
            all.hangs("a", hangs).await;
            let shown = daemon.scene.metrics.render();
            assert!(shown.contains("lagan_runs_in_hand 1\n"), "{shown}");
        })
        .await;
    assert_eq!(all.tags("a"), 6);
    all.assert_journal_is_sound();
}

#[tokio::test]
async fn of_one_registry_no_two_are_run_at_a_time_whatever_it_is_called() {
    let all = Registries::new(1).await;
    let url = all.at("a").url().trim_end_matches('/').to_owned();
    let mut text = format!(
        "registries: {{a: {{url: '{url}'}}, other: {{url: '{}/'}}}}\npolicies:\n",
        url.replace("http", "HTTP")
    );
    text.push_str(&policy_of("a1", "a", "dry-run", 0));
    text.push_str(&policy_of("a2", "a", "dry-run", 0));
    text.push_str(&policy_of("other", "other", "enforce", 0));
    all.scene.write(&text);
    let hangs = all.hang("a", RequestKind::TagList);
    all.scene
        .told(async |daemon| {
            daemon.has_a1_in_hand(&all, hangs).await;
            daemon.pass(60).await;
            assert_eq!(daemon.quiet().await, [""; 0]);
            // What is asked for waits as well, by either name.
            let mut plan = daemon.order_on("other", Asked::Plan(Wanted::default())).await;
            assert!(matches!(told(&mut plan).await, Answer::Waits(what) if what == "a1"));
            assert_eq!(daemon.quiet().await, [""; 0]);
            assert_eq!(all.tags("a"), 6);
        })
        .await;
}

#[tokio::test]
async fn two_that_delete_at_once_share_the_journal_and_what_each_deleted_can_be_put_back() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "enforce", 0)]);
    // In the middle of one, the other begins, deletes and ends.
    let hangs = all.hang("a", RequestKind::ManifestDelete);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            let deleted = daemon.ended().await;
            assert_eq!(deleted.policy, "b1");
            all.hangs("a", hangs).await;
            assert_eq!((all.tags("a"), all.tags("b")), (6, 2));
            // An undo waits for its own registry, and for no other.
            let run = all.scene.report(&deleted)["run"].as_str().unwrap().to_owned();
            let undone = over(&mut daemon.undo(&run).await).await;
            assert_eq!(
                (undone.exit, undone.kind),
                (Exit::Done, RunKind::Undo),
                "{undone:?}"
            );
            assert_eq!(all.tags("b"), 6);
            let metrics = all.scene.metrics.render();
            let counted = r#"lagan_restorations_total{registry="b",outcome="restored"} 4"#;
            assert!(metrics.contains(counted), "{metrics}");
            let puts = r#"lagan_requests_total{registry="b",kind="put",status="2xx"}"#;
            assert!(metrics.contains(puts), "{metrics}");
            // The other one is still at it.
            let (_, open) = all.journal("a");
            assert!(open > 0);
            daemon.give_up().await;
        })
        .await;
    assert_eq!(all.journal("b"), (2, 0));
    all.assert_journal_is_sound();
    // What was interrupted is resolved by itself.
    all.at("a").faults().clear();
    all.scene.told(async |_| {}).await;
    assert_eq!(all.journal("a").0, 1);
    all.assert_journal_is_sound();
}

#[tokio::test]
async fn two_that_delete_at_once_both_come_to_their_end() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "enforce", 0)]);
    for letter in ["a", "b"] {
        let slow = Fault::new(Effect::Delay(Duration::from_millis(1)));
        all.at(letter).faults().push(slow);
    }
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.began_all(2).await, named(["a1", "b1"]));
            let mut runs = Vec::new();
            for _ in 0..2 {
                let ended = daemon.ended().await;
                assert_eq!((ended.exit, ended.tally.deleted), (Exit::Done, 4), "{ended:?}");
                runs.push(all.scene.report(&ended)["run"].as_str().unwrap().to_owned());
            }
            assert_eq!((all.tags("a"), all.tags("b")), (2, 2));
            // They hold what they deleted, and nothing of the other.
            for run in runs {
                let undone = over(&mut daemon.undo(&run).await).await;
                assert_eq!(undone.exit, Exit::Done, "{undone:?}");
            }
        })
        .await;
    assert_eq!((all.tags("a"), all.tags("b")), (6, 6));
    assert_eq!((all.journal("a"), all.journal("b")), ((2, 0), (2, 0)));
    all.assert_journal_is_sound();
}

#[tokio::test]
async fn a_dry_run_and_one_that_deletes_are_made_beside_each_other() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "dry-run", 0), ("b1", "enforce", 0)]);
    let hangs = all.hang("b", RequestKind::ManifestDelete);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            let planned = daemon.ended().await;
            assert_eq!((&*planned.policy, planned.exit), ("a1", Exit::Done));
            assert_eq!(all.scene.report(&planned)["totals"]["delete_artifacts"], 4);
            all.hangs("b", hangs).await;
            // And once more, while the other is still at it.
            daemon.pass(60).await;
            assert_eq!(daemon.ended().await.policy, "a1");
            daemon.give_up().await;
        })
        .await;
}

#[tokio::test]
async fn only_what_is_planned_on_the_same_registry_makes_way_for_an_undo() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "dry-run", 10)]);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.ended().await.exit, Exit::Done);
            assert_eq!(all.tags("a"), 2);
            let hangs = [
                all.hang("a", RequestKind::TagList),
                all.hang("b", RequestKind::TagList),
            ];
            daemon.pass(60).await;
            assert_eq!(daemon.began_all(2).await, named(["a1", "b1"]));
            all.hangs("a", hangs[0]).await;
            all.hangs("b", hangs[1]).await;
            let mut undo = daemon.undo("last").await;
            let postponed = daemon.next(|happening| match happening {
                Happening::Postponed { policy, .. } => Some(policy.clone()),
                Happening::Ended(record) => panic!("{record:?}"),
                _ => None,
            });
            assert_eq!(postponed.await, "a1");
            assert_eq!(over(&mut undo).await.exit, Exit::Done);
            assert_eq!(all.tags("a"), 6);
            // It is due still, and is made again.
            all.at("a").faults().clear();
            daemon.ended().await;
            daemon.pass(0).await;
            assert_eq!(daemon.began().await, "a1");
            assert_eq!(daemon.ended().await.policy, "a1");
            assert_eq!(daemon.quiet().await, [""; 0]);
        })
        .await;
}

#[tokio::test]
async fn an_undo_waits_for_deletions_of_its_registry_and_goes_before_what_waits_there() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "dry-run", 0)]);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            daemon.ended().await;
            daemon.ended().await;
            put_candidates(all.at("a"), 7..=8);
            let slow = Fault::new(Effect::Hang).on(RequestKind::ManifestDelete).first(1);
            let slow = all.at("a").faults().push(slow);
            daemon.pass(60).await;
            all.hangs("a", slow).await;
            let mut plan = daemon.order_on("a", Asked::Plan(Wanted::default())).await;
            assert!(matches!(told(&mut plan).await, Answer::Waits(what) if what == "a1"));
            let run = crate::state::open(&all.scene.state()).unwrap().list().unwrap()[0].run;
            let mut undo = daemon.undo(&run.to_string()).await;
            assert!(matches!(told(&mut undo).await, Answer::Waits(what) if what == "a1"));
            let shown = daemon.board.read();
            let of =
                |notes: &[super::super::RunNote]| -> Vec<_> { notes.iter().map(|note| note.kind).collect() };
            assert_eq!(of(&shown.waiting), [RunKind::Undo, RunKind::Plan]);
            assert_eq!(of(&shown.running), [RunKind::Apply]);
            // On the other registry everything goes on.
            let mut other = daemon.order_on("b", Asked::Plan(Wanted::default())).await;
            assert_eq!(over(&mut other).await.exit, Exit::Done);
            assert!(undo.try_recv().is_err() && plan.try_recv().is_err());
            daemon.give_up().await;
        })
        .await;
}

#[tokio::test]
async fn all_that_delete_finish_their_artifacts_before_the_daemon_stops() {
    let all = Registries::new(3).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "enforce", 0), ("c1", "dry-run", 0)]);
    let seen = ["a", "b"].map(|letter| {
        let slow = Effect::Delay(Duration::from_millis(1));
        let slow = Fault::new(slow).on(RequestKind::ManifestDelete);
        (letter, all.at(letter).faults().push(slow))
    });
    let plans = all.hang("c", RequestKind::TagList);
    let exit = all
        .scene
        .told(async |daemon| {
            daemon.pass(30).await;
            for (letter, fault) in seen {
                all.hangs(letter, fault).await;
            }
            all.hangs("c", plans).await;
        })
        .await;
    assert_eq!(exit, Exit::Done);
    assert!(all.tags("a") < 6 && all.tags("b") < 6);
    assert_eq!((all.journal("a"), all.journal("b")), ((1, 0), (1, 0)));
    let runs = all.scene.runs();
    let policies: BTreeSet<_> = runs.iter().map(|run| run["policy"].as_str().unwrap()).collect();
    assert_eq!(policies, BTreeSet::from(["a1", "b1"]));
    all.assert_journal_is_sound();
}

#[tokio::test]
async fn what_takes_too_long_is_told_of_each_within_the_one_deadline() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "enforce", 0)]);
    let hangs = ["a", "b"].map(|letter| (letter, all.hang(letter, RequestKind::ManifestDelete)));
    let exit = all
        .scene
        .told(async |daemon| {
            daemon.pass(30).await;
            for (letter, fault) in hangs {
                all.hangs(letter, fault).await;
            }
            daemon.give_up().await;
            for policy in ["a1", "b1"] {
                let unfinished = daemon.next(|happening| match happening {
                    Happening::Unfinished { policy } => Some(policy.clone()),
                    _ => None,
                });
                assert_eq!(unfinished.await, policy);
            }
        })
        .await;
    assert_eq!(exit, Exit::Unexpected);
    assert!(all.journal("a").1 > 0 && all.journal("b").1 > 0);
    all.assert_journal_is_sound();
}

#[tokio::test]
async fn so_many_are_run_at_a_time_an_undo_beside_them_and_what_was_asked_for_before_what_is_due() {
    let all = Registries::new(MOST + 2).await;
    let due = |letter: &str| match letter {
        "a" => 20,
        "f" => 0,
        _ => 10,
    };
    let policies: Vec<_> = LETTERS.iter().map(|letter| format!("{letter}1")).collect();
    let policies: Vec<_> = policies
        .iter()
        .map(|policy| {
            let mode = if policy == "f1" { "enforce" } else { "dry-run" };
            (&**policy, mode, due(&policy[..1]))
        })
        .collect();
    all.configure(&policies);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.ended().await.policy, "f1");
            assert_eq!(all.tags("f"), 2);
            let hangs: Vec<_> = LETTERS[..MOST]
                .iter()
                .map(|letter| (*letter, all.hang(letter, RequestKind::TagList)))
                .collect();
            let first = daemon.order_on("a", Asked::Plan(Wanted::default())).await;
            daemon.began().await;
            daemon.pass(10).await;
            assert_eq!(daemon.began_all(MOST - 1).await, named(["b1", "c1", "d1"]));
            for (letter, fault) in hangs {
                all.hangs(letter, fault).await;
            }
            assert_eq!(daemon.quiet().await, [""; 0]);
            let mut plan = daemon.order_on("f", Asked::Plan(Wanted::default())).await;
            assert!(
                matches!(told(&mut plan).await, Answer::Waits(what) if what.contains("other registries"))
            );
            let undone = over(&mut daemon.undo("last").await).await;
            assert_eq!(undone.exit, Exit::Done);
            assert_eq!(all.tags("f"), 6);
            assert!(plan.try_recv().is_err());
            assert_eq!(daemon.board.read().running.len(), MOST);

            // One makes room.
            daemon.quiet().await;
            drop(first);
            assert_eq!(daemon.ended().await.outcome(), "given up");
            assert_eq!(over(&mut plan).await.exit, Exit::Done);
            assert_eq!(daemon.ended().await.policy, "all policies of f");
            daemon.pass(0).await;
            assert_eq!(daemon.ended().await.policy, "e1");
        })
        .await;
}

#[tokio::test]
async fn an_undo_of_which_it_is_not_known_where_meets_no_other_run() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "dry-run", 10), ("a2", "dry-run", 20)]);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.ended().await.policy, "a1");
            let run = crate::state::open(&all.scene.state()).unwrap().list().unwrap()[0].run;
            let hangs = all.hang("b", RequestKind::TagList);
            let plan = daemon.order_on("b", Asked::Plan(Wanted::default())).await;
            daemon.began().await;
            all.hangs("b", hangs).await;
            // As it is placed while another process has the journal.
            let arguments = UndoArgs {
                target: Some(run.to_string()),
                ..UndoArgs::default()
            };
            let mut undo = daemon.order_on("", Asked::Undo(Box::new(arguments))).await;
            assert!(matches!(told(&mut undo).await, Answer::Waits(what) if what == "all policies of b"));
            // Nothing is begun before it, on whatever registry.
            daemon.pass(45).await;
            assert_eq!(daemon.quiet().await, [""; 0]);
            assert_eq!(all.tags("a"), 2);
            drop(plan);
            assert_eq!(over(&mut undo).await.exit, Exit::Done);
            assert_eq!(all.tags("a"), 6);
        })
        .await;
}

#[tokio::test]
async fn a_plan_that_was_kept_is_refused_where_its_registry_has_another_name_by_now() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 50), ("b1", "enforce", 50)]);
    all.scene
        .told(async |daemon| {
            let wanted = Wanted {
                save: true,
                ..Wanted::default()
            };
            let planned = over(&mut daemon.order_on("a", Asked::Plan(wanted)).await).await;
            assert_eq!(planned.exit, Exit::Done, "{planned:?}");
            let plan = all
                .scene
                .state()
                .join("daemon/runs")
                .join(&planned.id)
                .join(SAVED);
            assert!(plan.is_file());
            // What was called `a` is called `c`, and something else is called `a`.
            let mut text = format!(
                "registries: {{c: {{url: '{}'}}, a: {{url: '{}'}}}}\npolicies:\n",
                all.at("a").url(),
                all.at("b").url()
            );
            text.push_str(&policy_of("a1", "c", "enforce", 50));
            all.scene.write(&text);
            daemon.say(Event::Reload).await;
            daemon
                .next(|happening| matches!(happening, Happening::Reloaded { .. }).then_some(()))
                .await;
            let refused = over(&mut daemon.order_on("a", Asked::Saved(plan)).await).await;
            assert_eq!(refused.exit, Exit::Refused, "{refused:?}");
            let why = refused.error.unwrap();
            assert!(why.contains("at another address by now"), "{why}");
        })
        .await;
    assert_eq!((all.tags("a"), all.tags("b")), (6, 6));
}

#[tokio::test]
async fn a_run_in_hand_stays_in_the_history_however_many_come_and_go_beside_it() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "dry-run", 0), ("b1", "dry-run", 0)]);
    let hangs = all.hang("a", RequestKind::TagList);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            for _ in 0..8 {
                assert_eq!(daemon.ended().await.policy, "b1");
                daemon.pass(60).await;
            }
            daemon.ended().await;
            all.hangs("a", hangs).await;
            let shown = daemon.board.read();
            let id = &shown.running[0].id;
            assert_eq!(shown.running[0].policy, "a1");
            assert!(all.scene.state().join("daemon/runs").join(id).is_dir());
        })
        .await;
}

#[tokio::test]
async fn a_reload_moves_a_registry_and_what_is_in_hand_keeps_the_old_address_to_itself() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "dry-run", 0)]);
    let hangs = all.hang("a", RequestKind::TagList);
    all.scene
        .told(async |daemon| {
            daemon.has_a1_in_hand(&all, hangs).await;
            // The same name is at another address, and the old address has another name.
            let mut text = format!(
                "registries: {{a: {{url: '{}'}}, b: {{url: '{}'}}}}\npolicies:\n",
                all.at("b").url(),
                all.at("a").url()
            );
            text.push_str(&policy_of("a2", "a", "dry-run", 0));
            text.push_str(&policy_of("b2", "b", "dry-run", 0));
            all.scene.write(&text);
            daemon.say(Event::Reload).await;
            daemon
                .next(|happening| matches!(happening, Happening::Reloaded { .. }).then_some(()))
                .await;
            daemon.pass(60).await;
            assert_eq!(daemon.ended().await.policy, "a2");
            assert_eq!(daemon.quiet().await, [""; 0]);
        })
        .await;
}

#[tokio::test]
async fn a_journal_that_failed_is_opened_anew_however_many_runs_would_keep_it_open() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "dry-run", 0), ("b1", "enforce", 1)]);
    let hangs = all.hang("a", RequestKind::TagList);
    all.scene
        .told(async |daemon| {
            daemon.has_a1_in_hand(&all, hangs).await;
            all.break_store();
            daemon.pass(1).await;
            assert_eq!(daemon.began().await, "b1");
            let failed = daemon.ended().await;
            assert_eq!((&*failed.policy, failed.exit), ("b1", Exit::Unexpected));
            assert_eq!(all.tags("b"), 6);
            // What only looks goes once more, and what deletes deletes again.
            let way = daemon.next(|happening| match happening {
                Happening::Postponed { policy, .. } => Some(policy.clone()),
                _ => None,
            });
            assert_eq!(way.await, "a1");
            daemon.pass(0).await;
            assert_eq!(daemon.began().await, "a1");
            daemon.pass(60).await;
            let deleted = daemon.ended().await;
            assert_eq!((&*deleted.policy, deleted.exit), ("b1", Exit::Done));
            assert_eq!(all.tags("b"), 2);
        })
        .await;
    all.assert_journal_is_sound();
}

#[tokio::test]
async fn what_interrupted_runs_left_on_a_registry_keeps_none_but_its_own_runs_waiting() {
    let all = Registries::new(2).await;
    all.configure(&[("a1", "enforce", 0), ("b1", "dry-run", 5)]);
    let hangs = all.hang("a", RequestKind::ManifestDelete);
    let killed = all.scene.told(async |daemon| {
        daemon.pass(30).await;
        all.hangs("a", hangs).await;
        daemon.give_up().await;
    });
    assert_eq!(killed.await, Exit::Unexpected);
    assert!(all.journal("a").1 > 0);

    let hangs = all.at("a").faults().push(Fault::new(Effect::Hang));
    let stopped = all.scene.told(async |daemon| {
        all.hangs("a", hangs).await;
        assert_eq!(daemon.board.read().recovering, ["a"]);
        let died = daemon.ended().await;
        assert_eq!((&*died.policy, died.outcome()), ("a1", "failed"));
        daemon.pass(60).await;
        assert_eq!(daemon.ended().await.policy, "b1");
        assert_eq!(daemon.quiet().await, [""; 0], "a1 is due, and waits");
        for what in [Asked::Plan(Wanted::default()), Asked::Apply(Vec::new())] {
            let mut told = daemon.order_on("a", what).await;
            let waits = told.recv().await.unwrap();
            assert!(matches!(waits, Answer::Waits(what) if what == "what interrupted runs left on a"));
        }
        let mut undo = daemon.undo("last").await;
        assert!(matches!(undo.recv().await.unwrap(), Answer::Waits(_)));
        let mut plan = daemon.order_on("b", Asked::Plan(Wanted::default())).await;
        assert_eq!(over(&mut plan).await.exit, Exit::Done);
        assert_eq!(daemon.board.read().recovering, ["a"]);
    });
    assert_eq!(stopped.await, Exit::Done, "it is left at once");

    all.at("a").faults().clear();
    all.scene
        .told(async |daemon| {
            daemon.pass(0).await;
            let known = daemon.next(|happening| match happening {
                Happening::Recovered { registry } => Some(registry.clone()),
                Happening::Began { policy, .. } if policy == "a1" => panic!("it has to wait"),
                _ => None,
            });
            assert_eq!(known.await, "a");
            daemon.pass(0).await;
            let ended = daemon.ended().await;
            assert_eq!((&*ended.policy, ended.error), ("a1", None));
            assert!(daemon.board.read().recovering.is_empty());
        })
        .await;
}

#[tokio::test]
async fn what_waited_and_was_given_up_is_shown_no_more() {
    let all = Registries::new(1).await;
    all.configure(&[("a1", "dry-run", 0)]);
    let hangs = all.hang("a", RequestKind::TagList);
    all.scene
        .told(async |daemon| {
            daemon.pass(30).await;
            all.hangs("a", hangs).await;
            let mut plan = daemon.order_on("a", Asked::Plan(Wanted::default())).await;
            assert!(matches!(told(&mut plan).await, Answer::Waits(_)));
            daemon.quiet().await;
            assert_eq!(daemon.board.read().waiting.len(), 1);
            drop(plan);
            // It is seen by the first, and shown by the second.
            daemon.quiet().await;
            daemon.quiet().await;
            assert!(daemon.board.read().waiting.is_empty());
        })
        .await;
}
