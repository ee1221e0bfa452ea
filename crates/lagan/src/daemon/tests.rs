//! The loop as it is run, against a registry over HTTP, with a clock that shows what it is told.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use lagan_model::{Clock, Time};
use lagan_policy::Mode;
use lagan_sandbox::{Effect, Fault, Moment, RequestKind, Sandbox, SandboxOptions};
use lagan_state::DiskJournal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Answer, Asked, Board, Daemon, Event, Happening, Options, Order, Record, Wanted, new_id};
use crate::cli::UndoArgs;
use crate::exit::{Exit, Failure};
use crate::metrics::Metrics;
use crate::notifying::Notifying;
use crate::state::{create_full, open_slowly};

mod beside;
mod died;
mod lasting;
mod privacy;
mod secrets;

/// Longer than any story takes, so that one that hangs fails.
const LONGEST: Duration = Duration::from_secs(100);

/// How long a journal takes to open that nobody lets open: whoever waits for it on the thread of the daemon waits so long.
const SLOW: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(crate) struct Hands(Arc<watch::Sender<Time>>);

impl Hands {
    /// A clock that shows this time.
    pub(crate) fn at(time: &str) -> Self {
        Self(Arc::new(watch::Sender::new(time.parse().unwrap())))
    }

    pub(crate) fn pass(&self, minutes: i64) {
        self.0.send_modify(|now| *now += TimeDelta::minutes(minutes));
    }
}

impl Clock for Hands {
    fn now(&self) -> Time {
        *self.0.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now() + TimeDelta::from_std(duration).unwrap();
        let mut shown = self.0.subscribe();
        shown.wait_for(|now| *now >= until).await.unwrap();
    }
}

/// A registry with six prereleases of one image, a day apart.
pub(crate) async fn with_candidates() -> Sandbox {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    put_candidates(&sandbox, 1..=6);
    sandbox
}

fn put_candidates(sandbox: &Sandbox, numbers: RangeInclusive<i64>) {
    for number in numbers {
        let tag = format!("1.0.0-rc.{number}");
        sandbox.put_image("team/app", &[&tag], Moment::date(2026, 1, number));
    }
}

struct Scene {
    sandbox: Sandbox,
    place: TempDir,
    clock: Hands,
    metrics: Arc<Metrics>,
}

/// A daemon that runs, as those who watch it see it.
struct Running<'s> {
    scene: &'s Scene,
    events: mpsc::Sender<Event>,
    orders: mpsc::Sender<Order>,
    told: mpsc::UnboundedReceiver<Happening>,
    board: Arc<Board>,
}

impl Scene {
    /// A registry with six candidates of which a policy keeps two, every hour; the clock shows half past eleven.
    async fn new() -> Self {
        lagan_registry::install_crypto_provider();
        let sandbox = with_candidates().await;
        let clock = Hands::at("2026-11-21T11:30:00Z");
        let place = TempDir::new().unwrap();
        let shown = clock.clone();
        Self {
            sandbox,
            place,
            metrics: Arc::new(Metrics::new(move || shown.now())),
            clock,
        }
    }

    fn options(&self) -> Options {
        Options {
            config: self.place.path().join("lagan.yaml"),
            state: Some(self.state()),
            listen: None,
            keep: 5,
            stop_within: Duration::from_secs(60),
            metrics: self.metrics.clone(),
        }
    }

    fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    /// Writes a configuration with policies in these modes, all of them due every hour.
    fn configure(&self, policies: &[(&str, &str)]) {
        let mut text = format!(
            "registries: {{r: {{url: '{}'}}}}\npolicies:\n",
            self.sandbox.url()
        );
        for (policy, mode) in policies {
            text.push_str(&format!(
                "  {policy}:\n    repositories: '**'\n    mode: {mode}\n    schedule: {{cron: '@hourly'}}\n    \
                 rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n"
            ));
        }
        self.write(&text);
    }

    fn write(&self, text: &str) {
        fs::write(self.place.path().join("lagan.yaml"), text).unwrap();
    }

    async fn open(&self) -> Result<Daemon<Hands, impl FnMut(&Happening)>, Failure> {
        Daemon::open(self.options(), self.clock.clone(), |_: &Happening| {}).await
    }

    /// Runs a daemon, and a story beside it, which ends with the daemon's end.
    async fn told<S: AsyncFnOnce(&mut Running<'_>)>(&self, story: S) -> Exit {
        let (mut running, daemon) = self.begin().await;
        let story = async {
            story(&mut running).await;
            _ = running.events.send(Event::Stop).await;
        };
        let both = async { tokio::join!(daemon, story).0 };
        tokio::time::timeout(LONGEST, both).await.unwrap()
    }

    /// The same, but the daemon is gone when the story has ended: it does nothing any more.
    async fn killed<S: AsyncFnOnce(&mut Running<'_>)>(&self, story: S) {
        let (mut running, daemon) = self.begin().await;
        let both = async {
            tokio::select! {
                exit = daemon => panic!("{exit:?}"),
                () = story(&mut running) => {}
            }
        };
        tokio::time::timeout(LONGEST, both).await.unwrap();
    }

    async fn begin(&self) -> (Running<'_>, impl Future<Output = Exit>) {
        let (events, received) = mpsc::channel(16);
        let (tell, told) = mpsc::unbounded_channel();
        let metrics = self.metrics.clone();
        let notifying = Notifying::new(self.clock.clone(), metrics.clone());
        let daemon = Daemon::open(
            self.options(),
            self.clock.clone(),
            move |happening: &Happening| {
                let changes = metrics.happened(happening);
                notifying.happened(happening, &changes);
                _ = tell.send(happening.clone());
            },
        );
        let daemon = daemon
            .await
            .unwrap_or_else(|failure| panic!("{}", failure.text()));
        let (orders, placed) = mpsc::channel(16);
        let running = Running {
            scene: self,
            events,
            orders,
            told,
            board: daemon.board(),
        };
        (running, daemon.taking(placed).run(received))
    }

    fn tags(&self) -> usize {
        self.sandbox.tags("team/app").len()
    }

    fn runs(&self) -> Vec<Value> {
        let folder = self.state().join("daemon/runs");
        let mut runs: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|run| run.unwrap().path())
            .collect();
        runs.sort();
        let read = |run: &PathBuf| fs::read(run.join("run.json")).unwrap();
        runs.iter()
            .map(|run| serde_json::from_slice(&read(run)).unwrap())
            .collect()
    }

    fn report(&self, record: &Record) -> Value {
        let path = self
            .state()
            .join("daemon/runs")
            .join(&record.id)
            .join("report.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

impl Running<'_> {
    async fn say(&self, event: Event) {
        self.events.send(event).await.unwrap();
    }

    /// Lets so much time pass.
    async fn pass(&self, minutes: i64) {
        self.scene.clock.pass(minutes);
        self.say(Event::Beat).await;
    }

    /// Asks for something, as the admin API does.
    async fn order(&self, what: Asked) -> mpsc::Receiver<Answer> {
        self.order_on("r", what).await
    }

    async fn order_on(&self, registry: &str, what: Asked) -> mpsc::Receiver<Answer> {
        let now = self.scene.clock.now();
        let (tell, told) = mpsc::channel(16);
        let order = Order {
            id: new_id(now),
            by: "uid 1".to_owned(),
            at: now,
            what,
            registry: registry.to_owned(),
            policies: Vec::new(),
            form: None,
            tell,
            detached: false,
            configuration: None,
            place: None,
        };
        self.orders.send(order).await.unwrap();
        told
    }

    /// What is told next of what is looked for; the rest is passed over.
    async fn next<V>(&mut self, find: impl Fn(&Happening) -> Option<V>) -> V {
        loop {
            let happening = self.told.recv().await.expect("the daemon runs");
            if let Some(found) = find(&happening) {
                return found;
            }
        }
    }

    async fn ended(&mut self) -> Record {
        self.next(|happening| match happening {
            Happening::Ended(record) => Some((**record).clone()),
            _ => None,
        })
        .await
    }

    /// Everything that was told until a beat was answered, by name.
    async fn quiet(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(happening) = self.told.try_recv() {
            told.push(happening);
        }
        self.say(Event::Beat).await;
        loop {
            match self.told.recv().await.expect("the daemon runs") {
                Happening::Beat => break,
                happening => told.push(happening),
            }
        }
        told.retain(|happening| {
            !matches!(
                happening,
                Happening::Beat | Happening::Ready { .. } | Happening::Receivers(_)
            )
        });
        told.iter().map(|happening| format!("{happening:?}")).collect()
    }
}

#[tokio::test]
async fn a_policy_is_planned_when_it_is_due_and_deletes_only_where_it_is_enforced() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    let exit = scene
        .told(async |daemon| {
            daemon.pass(29).await;
            assert_eq!(daemon.quiet().await, [""; 0]);
            daemon.pass(1).await;
            let planned = daemon.ended().await;
            assert_eq!((planned.exit, planned.mode), (Exit::Done, Mode::DryRun));
            let plan = scene.report(&planned);
            assert_eq!(plan["schema"], "lagan.plan/v1");
            assert_eq!(plan["totals"]["delete_artifacts"], 4);
            assert_eq!(plan["now"], "2026-11-21T12:00:00Z");
            assert_eq!(scene.tags(), 6);

            scene.configure(&[("prereleases", "enforce")]);
            daemon.say(Event::Changed).await;
            daemon.pass(1).await;
            daemon
                .next(|happening| matches!(happening, Happening::Reloaded { .. }).then_some(()))
                .await;
            assert_eq!(scene.tags(), 6);
            daemon.pass(59).await;
            let applied = daemon.ended().await;
            assert_eq!((applied.exit, applied.error.as_deref()), (Exit::Done, None));
            let run = scene.report(&applied);
            assert_eq!(run["schema"], "lagan.run/v1");
            assert_eq!(run["totals"]["outcomes"]["deleted"], 4);
            assert_eq!(scene.tags(), 2);
        })
        .await;
    assert_eq!(exit, Exit::Done);
    let runs = scene.runs();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["mode"], "dry-run");
    assert_eq!(runs[1]["mode"], "enforce");
    assert_eq!(runs[1]["report"], "report.json");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_and_the_one_before_stays() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    scene
        .told(async |daemon| {
            for (event, text) in [
                (Event::Changed, "registries: {r: {url: 'ftp://r'}}\npolicies: {}\n"),
                (Event::Reload, "registries: ["),
                // What would fail at the first run is refused as well.
                (
                    Event::Reload,
                    "registries: {r: {url: 'http://r', credentials: {username: u, password_file: /nowhere}}}\n",
                ),
            ] {
                scene.write(text);
                daemon.say(event).await;
                daemon.pass(1).await;
                let why = daemon
                    .next(|happening| match happening {
                        Happening::Refused { why } => Some(why.clone()),
                        Happening::Reloaded { .. } => panic!("{text} was taken"),
                        _ => None,
                    })
                    .await;
                assert!(why.contains("error"), "{why}");
                // Whatever else happens in its folder.
                daemon.say(Event::Changed).await;
                assert_eq!(daemon.quiet().await, [""; 0]);
            }
            daemon.pass(27).await;
            assert_eq!(daemon.ended().await.policy, "prereleases");
            // What is not there any more is refused, too, until what was there is back.
            fs::remove_file(scene.place.path().join("lagan.yaml")).unwrap();
            daemon.say(Event::Changed).await;
            daemon.pass(1).await;
            daemon
                .next(|happening| matches!(happening, Happening::Refused { .. }).then_some(()))
                .await;
            scene.configure(&[("prereleases", "dry-run")]);
            daemon.say(Event::Changed).await;
            daemon.pass(1).await;
            daemon
                .next(|happening| matches!(happening, Happening::PutBack).then_some(()))
                .await;
            daemon.say(Event::Changed).await;
            daemon.pass(1).await;
            for _ in 0..2 {
                assert_eq!(daemon.quiet().await, [""; 0]);
            }
        })
        .await;
}

#[tokio::test]
async fn what_was_missed_while_no_daemon_ran_is_made_up_for_once() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    scene.told(async |_| {}).await;
    scene.clock.pass(60 * 24 * 3);
    scene
        .told(async |daemon| {
            daemon.pass(0).await;
            daemon.ended().await;
            daemon.pass(0).await;
            assert_eq!(daemon.quiet().await, [""; 0]);
        })
        .await;
    assert_eq!(scene.runs().len(), 1);
}

#[tokio::test]
async fn policies_that_are_due_at_the_same_time_are_run_one_after_the_other() {
    let scene = Scene::new().await;
    scene.configure(&[("a", "dry-run"), ("b", "enforce"), ("c", "dry-run")]);
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            for policy in ["a", "b", "c"] {
                let began = daemon.next(|happening| match happening {
                    Happening::Began { policy, .. } => Some(policy.clone()),
                    Happening::Ended(_) => panic!("nothing had begun"),
                    _ => None,
                });
                assert_eq!(began.await, policy);
                assert_eq!(daemon.ended().await.policy, policy);
                daemon.pass(0).await;
            }
        })
        .await;
    assert_eq!(scene.tags(), 2);
}

#[tokio::test]
async fn a_run_waits_for_whoever_works_with_the_state_directory() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    scene
        .told(async |daemon| {
            // As another process does.
            let journal = DiskJournal::open(&scene.state(), &lagan_state::Options::default()).unwrap();
            daemon.pass(30).await;
            let waits = daemon.next(|happening| match happening {
                Happening::Postponed { policy, .. } => Some(policy.clone()),
                _ => None,
            });
            assert_eq!(waits.await, "prereleases");
            // Not at each beat: whoever has it may need an hour.
            daemon.pass(0).await;
            assert_eq!(daemon.quiet().await, [""; 0]);
            // It is tried again, and told of once.
            daemon.pass(1).await;
            daemon
                .next(|happening| matches!(happening, Happening::Began { .. }).then_some(()))
                .await;
            // The journal is opened beside the loop: the next beat must find that it could not be.
            while !daemon.board.read().running.is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(daemon.quiet().await, [""; 0]);
            drop(journal);
            daemon.pass(1).await;
            assert_eq!(daemon.ended().await.exit, Exit::Done);
        })
        .await;
    assert_eq!(scene.tags(), 2);
    assert_eq!(scene.runs().len(), 1);
}

/// A journal that takes its time to open, until it is told to.
pub(crate) struct Opening {
    done: std::sync::mpsc::Sender<()>,
    opening: thread::JoinHandle<bool>,
}

impl Opening {
    /// Begins to open the journal of this state directory.
    pub(crate) async fn begin(state: PathBuf) -> Self {
        let (done, until) = std::sync::mpsc::channel();
        let (begins, begun) = oneshot::channel();
        let opening = thread::spawn(move || {
            let mut in_time = false;
            let journal = open_slowly(&state, || {
                begins.send(()).unwrap();
                in_time = until.recv_timeout(SLOW).is_ok();
            });
            drop(journal.unwrap_or_else(|failure| panic!("{}", failure.text())));
            in_time
        });
        begun.await.unwrap();
        Self { done, opening }
    }

    /// Whether anything could be done while it was being opened, which ends now.
    pub(crate) fn end(self) -> bool {
        _ = self.done.send(());
        self.opening.join().unwrap()
    }
}

#[tokio::test]
async fn a_journal_that_takes_its_time_to_open_keeps_a_daemon_from_nothing_else() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    // There is one.
    drop(scene.open().await.map_err(|failure| failure.text()).unwrap());
    let opening = Opening::begin(scene.state()).await;
    let (opened, in_time) = tokio::join!(scene.open(), async { opening.end() });
    assert!(opened.is_ok() && in_time, "at its start");
    drop(opened);

    scene
        .told(async |daemon| {
            for mode in ["dry-run", "enforce"] {
                scene.configure(&[("prereleases", mode)]);
                daemon.say(Event::Reload).await;
                let opening = Opening::begin(scene.state()).await;
                daemon.pass(60).await;
                daemon
                    .next(|happening| matches!(happening, Happening::Began { .. }).then_some(()))
                    .await;
                assert_eq!(daemon.quiet().await, [""; 0], "{mode}");
                assert!(opening.end(), "{mode}");
                assert_eq!(daemon.ended().await.exit, Exit::Done, "{mode}");
            }
            assert_eq!(scene.tags(), 2);
            let opening = Opening::begin(scene.state()).await;
            let last = UndoArgs {
                target: Some("last".to_owned()),
                ..UndoArgs::default()
            };
            let mut told = daemon.order(Asked::Undo(Box::new(last))).await;
            assert!(matches!(told.recv().await, Some(Answer::Began)));
            daemon.quiet().await;
            assert!(opening.end(), "undo");
            while !matches!(told.recv().await.unwrap(), Answer::Ended(_)) {}
            assert_eq!(scene.tags(), 6);
        })
        .await;
}

#[tokio::test]
async fn what_was_given_up_while_it_waited_holds_up_nothing() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    scene
        .told(async |daemon| {
            let journal = DiskJournal::open(&scene.state(), &lagan_state::Options::default()).unwrap();
            let last = UndoArgs {
                target: Some("last".to_owned()),
                ..UndoArgs::default()
            };
            let mut told = daemon.order(Asked::Undo(Box::new(last))).await;
            while !matches!(told.recv().await.unwrap(), Answer::Waits(_)) {}
            drop((told, journal));
            daemon.pass(1).await;
            daemon.quiet().await;
            // They follow each other without a beat.
            let both = [
                daemon.order(Asked::Plan(Wanted::default())).await,
                daemon.order(Asked::Plan(Wanted::default())).await,
            ];
            for mut told in both {
                while !matches!(told.recv().await.unwrap(), Answer::Ended(_)) {}
            }
        })
        .await;
}

#[tokio::test]
async fn a_limit_refuses_a_run_and_the_next_one_is_due_as_ever() {
    let scene = Scene::new().await;
    scene.write(&format!(
        "registries: {{r: {{url: '{}'}}}}\npolicies:\n  p:\n    repositories: '**'\n    mode: enforce\n    \
         schedule: {{cron: '@hourly'}}\n    limits: {{max_deletions: 3}}\n    \
         rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n",
        scene.sandbox.url()
    ));
    scene
        .told(async |daemon| {
            for _ in 0..2 {
                daemon.pass(30).await;
                let refused = daemon.ended().await;
                assert_eq!(refused.exit, Exit::Refused);
                assert!(refused.error.unwrap().contains("max_deletions"));
                daemon.pass(30).await;
            }
        })
        .await;
    assert_eq!(scene.tags(), 6);
}

#[tokio::test]
async fn a_run_for_whose_journal_there_is_too_little_room_is_refused_before_it_begins() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    scene
        .told(async |daemon| {
            let journal = create_full(&scene.state()).unwrap_or_else(|failure| panic!("{}", failure.text()));
            assert!(journal.room().is_err());
            daemon.pass(30).await;
            let refused = daemon.ended().await;
            assert_eq!(refused.exit, Exit::Refused);
            let why = refused.error.unwrap();
            assert!(
                why.contains("bytes are free") && why.contains("free some space"),
                "{why}"
            );
            assert_eq!(journal.list().unwrap().len(), 0, "no run is on record");
            assert_eq!(scene.tags(), 6);
            drop(journal);
            daemon.pass(60).await;
            let deleted = daemon.ended().await;
            assert_eq!((deleted.exit, deleted.error.as_deref()), (Exit::Done, None));
        })
        .await;
    assert_eq!(scene.tags(), 2);
}

#[tokio::test]
async fn while_deletions_are_paused_or_frozen_an_enforced_policy_is_planned_only() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    let pause = crate::bans::Pause {
        since: None,
        until: Some("2026-11-21T12:30:00Z".parse().unwrap()),
        why: Some("an audit".to_owned()),
    };
    scene
        .told(async |daemon| {
            pause.write(&scene.state()).unwrap();
            daemon.pass(30).await;
            let planned = daemon.ended().await;
            assert_eq!((planned.exit, planned.outcome()), (Exit::Done, "planned only"));
            assert!(
                planned.held.as_deref().unwrap().ends_with("an audit"),
                "{planned:?}"
            );
            assert_eq!(scene.report(&planned)["totals"]["delete_artifacts"], 4);

            let path = scene.place.path().join("lagan.yaml");
            let text = fs::read_to_string(&path).unwrap();
            let freeze = "freeze: [{from: 2026-11-21T12:45, until: 2026-11-21T13:15}]\n";
            scene.write(&format!("{freeze}{text}"));
            daemon.say(Event::Changed).await;
            daemon.pass(60).await;
            let planned = daemon.ended().await;
            assert!(planned.held.unwrap().contains("2026-11-21T13:15:00Z"));
            assert_eq!(scene.tags(), 6);
        })
        .await;
    // The pause is over, and so is the freeze.
    scene.configure(&[("prereleases", "enforce")]);
    crate::bans::Pause::remove(&scene.state()).unwrap();
    scene
        .told(async |daemon| {
            daemon.pass(60).await;
            assert_eq!(daemon.ended().await.outcome(), "done");
        })
        .await;
    assert_eq!(scene.tags(), 2);
}

#[tokio::test]
async fn what_is_announced_goes_when_its_notice_is_over_and_a_pause_does_not_end_it() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    let text = fs::read_to_string(scene.place.path().join("lagan.yaml")).unwrap();
    let noticed = text.replace("    mode:", "    notice: 90min\n    mode:");
    scene.write(&noticed);
    let waiting = |record: &Record| {
        let report = scene.report(record);
        let skipped = report["totals"]["outcomes"]["skipped"].as_u64();
        (skipped, report["totals"]["waiting"].as_u64())
    };
    let pause = crate::bans::Pause {
        since: None,
        until: Some("2026-11-21T13:30:00Z".parse().unwrap()),
        why: None,
    };
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            let announced = daemon.ended().await;
            assert_eq!(announced.outcome(), "done");
            assert_eq!(waiting(&announced), (Some(4), None));
            // At one o'clock it is paused, and still planned.
            pause.write(&scene.state()).unwrap();
            daemon.pass(60).await;
            let planned = daemon.ended().await;
            assert_eq!(planned.outcome(), "planned only");
            assert_eq!(waiting(&planned), (None, Some(4)));
            // Two hours after it was announced.
            crate::bans::Pause::remove(&scene.state()).unwrap();
            daemon.pass(60).await;
            assert_eq!(daemon.ended().await.outcome(), "done");
            assert_eq!(scene.tags(), 2);
        })
        .await;
}

#[tokio::test]
async fn what_a_plan_in_a_pause_does_not_have_is_announced_anew_and_a_dry_run_announces_nothing() {
    let scene = Scene::new().await;
    let configure = |mode: &str| {
        scene.configure(&[("prereleases", mode)]);
        let text = fs::read_to_string(scene.place.path().join("lagan.yaml")).unwrap();
        scene.write(&text.replace("    mode:", "    notice: 90min\n    mode:"));
    };
    configure("dry-run");
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.ended().await.outcome(), "done");
            assert!(!scene.state().join("announced").exists());
            configure("enforce");
            daemon.say(Event::Changed).await;
            // At one o'clock it is announced, at two the registry has nothing, at three all is new.
            daemon.pass(60).await;
            daemon.ended().await;
            let pause = crate::bans::Pause {
                since: None,
                until: Some("2026-11-21T14:30:00Z".parse().unwrap()),
                why: None,
            };
            pause.write(&scene.state()).unwrap();
            for number in 1..=4 {
                scene
                    .sandbox
                    .delete_tag("team/app", &format!("1.0.0-rc.{number}"));
            }
            daemon.pass(60).await;
            assert_eq!(daemon.ended().await.outcome(), "planned only");
            put_candidates(&scene.sandbox, 1..=4);
            crate::bans::Pause::remove(&scene.state()).unwrap();
            daemon.pass(60).await;
            assert_eq!(daemon.ended().await.outcome(), "done");
            assert_eq!(scene.tags(), 6);
        })
        .await;
}

#[tokio::test]
async fn a_registry_that_cannot_be_reached_fails_the_run_and_not_the_daemon() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    scene
        .told(async |daemon| {
            let fault = scene.sandbox.faults().push(Fault::status(401));
            daemon.pass(30).await;
            let failed = daemon.ended().await;
            assert!(
                matches!(failed.exit, Exit::Unexpected | Exit::Partial),
                "{failed:?}"
            );
            scene.sandbox.faults().remove(fault);
            daemon.pass(60).await;
            assert_eq!(daemon.ended().await.exit, Exit::Done);
        })
        .await;
    assert_eq!(scene.tags(), 2);
}

#[tokio::test]
async fn so_many_runs_are_kept_and_no_more() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    let mut ids = Vec::new();
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            for _ in 0..8 {
                ids.push(daemon.ended().await.id);
                daemon.pass(60).await;
            }
            ids.push(daemon.ended().await.id);
        })
        .await;
    let kept: Vec<_> = scene
        .runs()
        .iter()
        .map(|run| run["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kept, ids[4..]);
}

#[tokio::test]
async fn while_nothing_is_due_nothing_is_written_and_nobody_is_asked() {
    fn written(folder: PathBuf, found: &mut Vec<(PathBuf, SystemTime)>) {
        found.push((folder.clone(), fs::metadata(&folder).unwrap().modified().unwrap()));
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => written(path, found),
                false => found.push((path.clone(), fs::metadata(&path).unwrap().modified().unwrap())),
            }
        }
    }
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    scene
        .told(async |daemon| {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            written(scene.state(), &mut before);
            for _ in 0..1_000 {
                scene.clock.0.send_modify(|now| *now += TimeDelta::seconds(1));
                assert_eq!(daemon.quiet().await, [""; 0]);
            }
            written(scene.state(), &mut after);
            before.sort();
            after.sort();
            assert_eq!(before, after);
            assert_eq!(scene.sandbox.log().counts().total(), 0);
        })
        .await;
}

#[tokio::test]
async fn what_an_interrupted_run_left_is_looked_at_before_anything_else() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    let cut = Fault::new(Effect::Cut).on(RequestKind::ManifestDelete).nth(1);
    scene.sandbox.faults().push(cut);
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.ended().await.exit, Exit::Partial);
        })
        .await;
    scene.sandbox.log().clear();
    // Its address is spelled otherwise by now.
    let text = fs::read_to_string(scene.place.path().join("lagan.yaml")).unwrap();
    scene.write(&text.replace("http://", "HTTP://"));
    scene
        .told(async |daemon| {
            daemon
                .next(|happening| matches!(happening, Happening::Recovered { .. }).then_some(()))
                .await;
        })
        .await;
    let asked = scene.sandbox.log().entries();
    assert!(
        asked.iter().any(|entry| entry.path.contains("/manifests/")),
        "{asked:?}"
    );
    assert_eq!(scene.sandbox.log().counts().of(RequestKind::ManifestDelete), 0);
}

#[tokio::test]
async fn a_dry_run_is_left_at_once_when_the_daemon_is_to_stop_and_is_due_still() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    let hangs = scene.sandbox.faults().push(Fault::new(Effect::Hang));
    let exit = scene
        .told(async |daemon| {
            daemon.pass(30).await;
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    assert_eq!(exit, Exit::Done);
    scene.sandbox.faults().clear();
    scene
        .told(async |daemon| {
            daemon.pass(0).await;
            assert_eq!(daemon.ended().await.exit, Exit::Done);
        })
        .await;
}

#[tokio::test]
async fn a_deletion_in_hand_is_finished_before_the_daemon_stops() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    let seen = Fault::new(Effect::Delay(Duration::from_millis(1))).on(RequestKind::ManifestDelete);
    let seen = scene.sandbox.faults().push(seen);
    let exit = scene
        .told(async |daemon| {
            daemon.pass(30).await;
            while scene.sandbox.faults().fired(seen) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    assert_eq!(exit, Exit::Done);
    assert!(scene.tags() < 6);
    let runs = crate::state::open(&scene.state()).unwrap().list().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].open, 0, "what became of it is on record");
    assert_eq!(scene.runs().len(), 1);
}

#[tokio::test]
async fn a_deletion_that_takes_too_long_is_left_to_the_next_start() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    let hangs = Fault::new(Effect::Hang).on(RequestKind::ManifestDelete);
    let hangs = scene.sandbox.faults().push(hangs);
    let exit = scene
        .told(async |daemon| {
            daemon.pass(30).await;
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
            daemon.say(Event::Stop).await;
            daemon
                .next(|happening| matches!(happening, Happening::Stopping).then_some(()))
                .await;
            tokio::task::yield_now().await;
            scene.clock.pass(2);
            daemon
                .next(|happening| matches!(happening, Happening::Unfinished { .. }).then_some(()))
                .await;
        })
        .await;
    assert_eq!(exit, Exit::Unexpected);
    let runs = crate::state::open(&scene.state()).unwrap().list().unwrap();
    assert!(runs[0].open > 0, "what became of it is not known");
}

#[tokio::test]
async fn of_a_state_directory_there_is_one_daemon() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    let first = scene.open().await.map_err(|failure| failure.text()).unwrap();
    let second = scene.open().await.map(drop).unwrap_err();
    assert_eq!(second.exit, Exit::Usage);
    assert!(second.text().contains("another daemon"), "{}", second.text());
    // Also when it has ended, as long as something of it is there.
    let owner = first.owner();
    drop(first);
    assert!(scene.open().await.is_err());
    drop(owner);
    assert!(scene.open().await.is_ok());
}

#[tokio::test]
async fn a_damaged_file_of_last_runs_is_told_of_and_nothing_is_made_up_for() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    scene.told(async |_| {}).await;
    for text in [
        "",
        "[]",
        "{\"schema\":\"lagan.schedule/v1\",\"policies\":{\"prereleases\":1}}",
    ] {
        fs::write(scene.state().join("daemon/schedule.json"), text).unwrap();
        scene.clock.pass(180);
        scene
            .told(async |daemon| {
                daemon
                    .next(|happening| matches!(happening, Happening::Unread { .. }).then_some(()))
                    .await;
                daemon.pass(0).await;
                assert_eq!(daemon.quiet().await, [""; 0]);
            })
            .await;
    }
}

#[tokio::test]
async fn a_wrong_configuration_at_the_start_ends_it_with_every_error() {
    let scene = Scene::new().await;
    scene.write("registries: {r: {url: 'http://r'}}\npolicies: {p: {repositories: a, rule: [], schedule: {cron: x}}}\n");
    let failure = scene.open().await.map(drop).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    let text = failure.text();
    assert!(
        text.contains("unknown key `rule`") && text.contains("5 fields"),
        "{text}"
    );
    assert!(!scene.state().exists(), "nothing was begun");
}

#[tokio::test]
async fn metrics_agree_with_the_reports_of_runs() {
    fn sum(text: &str, name: &str) -> f64 {
        let samples = text.lines().filter_map(|line| line.strip_prefix(name));
        let values = samples.filter(|rest| rest.starts_with(['{', ' ']));
        values
            .map(|rest| rest.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    scene
        .told(async |daemon| {
            let text = scene.metrics.render();
            assert_eq!(
                sum(&text, "lagan_next_run_timestamp_seconds"),
                1_795_262_400.0,
                "{text}"
            );
            assert_eq!(sum(&text, "lagan_requests_total"), 0.0);
            assert!(!text.contains("lagan_health_score{"));
            daemon.pass(30).await;
            let record = daemon.ended().await;
            let report = scene.report(&record);
            let text = scene.metrics.render();
            let is = |name: &str, expected: &Value| {
                let found = sum(&text, name);
                assert_eq!(Some(found), expected.as_f64(), "{name} in\n{text}");
                assert!(found > 0.0, "{name}");
            };
            is("lagan_requests_total", &report["requests"]["total"]);
            is(
                "lagan_request_duration_seconds_count",
                &report["requests"]["total"],
            );
            is("lagan_deletions_total", &report["totals"]["outcomes"]["deleted"]);
            is("lagan_runs_total", &Value::from(1));
            is(
                "lagan_last_success_timestamp_seconds",
                &Value::from(1_795_262_400),
            );
            is("lagan_next_run_timestamp_seconds", &Value::from(1_795_266_000));
            is("lagan_journal_runs", &Value::from(1));
            assert!(sum(&text, "lagan_deleted_bytes_total") > 0.0, "{text}");
            assert!(sum(&text, "lagan_journal_sync_seconds_count") >= 4.0, "{text}");
            assert!(sum(&text, "lagan_journal_bytes") > 0.0, "{text}");
            // The registry collects when it likes.
            assert!(
                !text.contains("lagan_undoable_until_timestamp_seconds{"),
                "{text}"
            );
            assert_eq!(
                sum(&text, "lagan_health_score"),
                200.0,
                "the registry and its policy"
            );
            let counts = &scene.runs()[0]["counts"];
            assert_eq!(counts["deleted"], report["totals"]["outcomes"]["deleted"]);
            assert_eq!(counts["plan"]["delete_artifacts"], 4);
        })
        .await;
}

#[tokio::test]
async fn a_registry_that_fails_and_a_configuration_that_is_refused_show_in_metrics() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    scene.sandbox.faults().push(Fault::status(403));
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            daemon.ended().await;
            let text = scene.metrics.render();
            assert!(text.contains("outcome=\"failed\"} 1"), "{text}");
            assert!(
                text.contains("lagan_health_score{registry=\"r\",policy=\"prereleases\"} 30.4"),
                "{text}"
            );
            scene.write("registries: [");
            daemon.say(Event::Reload).await;
            daemon
                .next(|happening| matches!(happening, Happening::Refused { .. }).then_some(()))
                .await;
            let text = scene.metrics.render();
            assert!(
                text.contains("lagan_reloads_total{outcome=\"refused\"} 1"),
                "{text}"
            );
        })
        .await;
}

/// A program that takes whatever is posted.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let (told, hears) = mpsc::unbounded_channel();
    let take = move |body: axum::body::Bytes| {
        _ = told.send(serde_json::from_slice(&body).unwrap());
        async {}
    };
    let app = axum::Router::new().fallback(take);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, hears)
}

#[tokio::test]
async fn receivers_are_told_of_a_run_that_fails_of_what_does_not_do_well_and_of_a_configuration_that_is_refused()
 {
    let scene = Scene::new().await;
    let (address, mut hears) = receiver().await;
    scene.configure(&[("prereleases", "dry-run")]);
    let config = fs::read_to_string(scene.place.path().join("lagan.yaml")).unwrap();
    scene.write(&format!(
        "notifications: {{ops: {{webhook: {{url: '{address}'}}, events: all}}}}\n{config}"
    ));
    let fault = scene.sandbox.faults().push(Fault::status(403));
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            let failed = daemon.ended().await;
            let mut kinds = Vec::new();
            for _ in 0..3 {
                let event = hears.recv().await.unwrap();
                assert_eq!(event["specversion"], "1.0");
                if event["type"] == "lagan.run_failed.v1" {
                    assert_eq!(event["data"]["run"], failed.id);
                    assert_eq!(event["subject"], "registries/r/policies/prereleases");
                }
                kinds.push(event["type"].as_str().unwrap().to_owned());
            }
            kinds.sort();
            let expected = ["lagan.run_failed.v1", "lagan.unhealthy.v1", "lagan.unhealthy.v1"];
            assert_eq!(kinds, expected);
            scene.write("registries: [");
            daemon.say(Event::Reload).await;
            let event = hears.recv().await.unwrap();
            assert_eq!(event["type"], "lagan.reload_refused.v1");
            // What held before is still who is told.
            scene.sandbox.faults().remove(fault);
            daemon.pass(60).await;
            daemon.ended().await;
            let event = hears.recv().await.unwrap();
            assert_eq!(event["type"], "lagan.plan_ready.v1", "{event}");
            assert_eq!(event["data"]["counts"]["plan"]["delete_artifacts"], 4);
            let text = scene.metrics.render();
            assert!(
                text.contains(
                    "lagan_notifications_total{receiver=\"ops\",event=\"run_failed\",outcome=\"sent\"} 1"
                ),
                "{text}"
            );
        })
        .await;
}

#[tokio::test]
async fn a_rollout_goes_on_from_run_to_run_falls_back_and_whoever_listens_is_told() {
    let scene = Scene::new().await;
    for number in 1..=6 {
        let tag = format!("1.0.0-rc.{number}");
        scene
            .sandbox
            .put_image("team/other", &[&tag], Moment::date(2026, 1, number));
    }
    let (address, mut hears) = receiver().await;
    scene.configure(&[("tidy", "enforce")]);
    let config = fs::read_to_string(scene.place.path().join("lagan.yaml")).unwrap();
    scene.write(&format!(
        "notifications: {{ops: {{webhook: {{url: '{address}'}}, events: [rollout_advanced, rollout_fell_back]}}}}\n\
         {config}    rollout: {{stages: [0.01%, 100%], hold: 30min}}\n"
    ));
    let shown = || {
        let config = lagan_config::Config::read("lagan.yaml", fs::read(scene.options().config).unwrap());
        let known = crate::rollout::known(&scene.state(), &config.unwrap(), scene.clock.now());
        scene.metrics.rollouts(&known);
        scene.metrics.render()
    };
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            let first = daemon.ended().await;
            assert_eq!((first.tally.deleted, first.tally.skipped), (4, 4));
            let text = shown();
            assert!(
                text.contains("lagan_rollout_stage{registry=\"r\",policy=\"tidy\"} 1"),
                "{text}"
            );

            let refuses = Fault::status(403).on(RequestKind::ManifestDelete);
            let fault = scene.sandbox.faults().push(refuses);
            daemon.pass(60).await;
            let second = daemon.ended().await;
            assert_eq!((second.tally.deleted, second.tally.failed), (0, 4));
            for kind in ["advanced", "fell_back"] {
                let event = hears.recv().await.unwrap();
                assert_eq!(event["type"], format!("lagan.rollout_{kind}.v1"));
                assert_eq!(event["subject"], "registries/r/policies/tidy");
                assert_eq!(event["data"]["run"], second.id);
                let counted = format!(
                    "lagan_rollout_changes_total{{registry=\"r\",policy=\"tidy\",change=\"{kind}\"}} 1"
                );
                assert!(shown().contains(&counted));
            }
            assert!(shown().contains("lagan_rollout_stage{registry=\"r\",policy=\"tidy\"} 0"));
            let changes = &scene.runs()[1]["counts"]["rollouts"];
            assert_eq!(changes[1]["change"], "fell_back", "{changes}");

            scene.sandbox.faults().remove(fault);
            daemon.pass(60).await;
            let third = daemon.ended().await;
            assert_eq!(
                (third.exit, third.tally.deleted, third.tally.skipped),
                (Exit::Done, 0, 4)
            );
        })
        .await;
}

#[tokio::test]
async fn a_receiver_whose_secret_is_not_there_refuses_the_configuration() {
    let scene = Scene::new().await;
    scene.write("notifications: {chat: {slack: {url_file: /nowhere/slack}}}\n");
    let failure = scene.open().await.err().unwrap();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.text().contains("/nowhere/slack"), "{}", failure.text());
    let file = scene.place.path().join("slack");
    fs::write(&file, "https://hooks.example.com:https/services/secret\n").unwrap();
    scene.write(&format!(
        "notifications: {{chat: {{slack: {{url_file: '{}'}}}}}}\n",
        file.display()
    ));
    let text = scene.open().await.err().unwrap().text();
    assert!(text.contains("chat") && !text.contains("services"), "{text}");
}
