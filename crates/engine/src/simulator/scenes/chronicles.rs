//! How often the journal is read for a run, and that its readers give way.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::{Context, Waker};

use chrono::TimeDelta;
use lagan_model::RegistryRead as _;
use lagan_model::journal::{JournalStore as _, RunId, Sequence};

use super::{Scene, name, tag};
use crate::{Chronicle, LONGEST_HOLD, UndoTarget, due, recover};

impl Scene {
    fn bounds(&self, run: u128) -> [Sequence; 2] {
        let bounds = self.journal.store().bounds_of(RunId::from_bits(run));
        let (first, last) = self.drive(bounds).unwrap().unwrap();
        [first, last]
    }

    fn entries(&self, run: u128) -> BTreeSet<Sequence> {
        let entries = self.journal.store().entries_of(RunId::from_bits(run));
        self.drive(entries).unwrap().into_iter().collect()
    }

    /// Everything that a run asks of the journal before it begins; which records were read for that, and how often.
    fn reads_before_a_run(&self) -> BTreeMap<Sequence, u64> {
        self.journal.store().reads();
        let mut chronicle = self.chronicle();
        let recovery = self.drive(recover(self.world(), &mut chronicle)).unwrap();
        assert_eq!(recovery, crate::Recovery::default());
        let _ = chronicle.holds(self.world.state().now);
        let _ = self.drive(due(self.world(), &chronicle, None));
        let _ = chronicle.history();
        self.journal.store().reads()
    }
}

#[test]
fn before_a_run_each_record_is_read_once_and_of_most_runs_only_the_first_and_the_last() {
    let mut scene = Scene::new();
    for _ in 0..2 {
        for number in 0..5 {
            scene.image(&[&format!("d{number}")]);
        }
        scene.apply();
    }
    scene.grace = Some(30);
    scene.image(&["d1"]);
    scene.apply();
    scene.undo(|request| request.target = UndoTarget::Run(RunId::from_bits(1)));
    scene.world.state().now += TimeDelta::minutes(31);
    scene.purge();
    let (plain, copying, undone, purged) = ([1, 2], 3, 4, 5);
    assert_eq!(scene.runs, purged);

    let reads = scene.reads_before_a_run();
    let whole = [copying, undone, purged]
        .into_iter()
        .flat_map(|run| scene.entries(run));
    let wanted = plain.into_iter().flat_map(|run| scene.bounds(run)).chain(whole);
    assert_eq!(reads.keys().copied().collect::<BTreeSet<_>>(), wanted.collect());
    // A run that is read whole has its bounds looked at first.
    let twice = [copying, undone, purged]
        .into_iter()
        .flat_map(|run| scene.bounds(run));
    let twice: BTreeSet<Sequence> = twice.collect();
    for (sequence, times) in reads {
        assert_eq!(times, 1 + u64::from(twice.contains(&sequence)), "{sequence}");
    }

    // When its holds are over, so is the undo.
    scene.world.state().now += LONGEST_HOLD + TimeDelta::days(2);
    let reads = scene.reads_before_a_run();
    let of_undo: Vec<_> = reads
        .keys()
        .filter(|read| scene.entries(undone).contains(read))
        .collect();
    assert_eq!(of_undo, scene.bounds(undone).iter().collect::<Vec<_>>());
}

#[test]
fn what_an_interrupted_run_and_an_unsettled_one_say_is_read_whole() {
    let mut scene = Scene::new();
    let kept = scene.image(&["d1"]);
    scene.apply();
    let before = scene.chronicle().history();
    assert_eq!(before.0, [1]);
    // Recovery ends it, and what it reads then is what it wrote.
    let begin = scene.begin(lagan_model::journal::Purpose::Purge);
    scene.drive(scene.journal.begin(begin)).unwrap();
    let mut chronicle = scene.chronicle();
    let run = RunId::from_bits(scene.runs);
    assert!(chronicle.run(run).unwrap().end.is_none());
    scene.drive(recover(scene.world(), &mut chronicle)).unwrap();
    assert!(chronicle.run(run).unwrap().end.as_ref().unwrap().stopped);
    assert!(scene.chronicle().run(run).unwrap().end.is_some());
    assert!(
        !scene.world.state().repositories[&name()]
            .manifests
            .contains_key(&kept)
    );
}

#[test]
fn who_reads_a_long_journal_gives_way() {
    let mut scene = Scene::new();
    scene.grace = Some(30);
    for number in 0..200 {
        scene.image(&[&format!("d{number}")]);
    }
    scene.image(&["k1"]);
    scene.apply();
    assert_eq!(scene.tags(), [tag("k1").as_str()]);
    let records = scene.entries(1).len();
    let now = scene.world.state().now;
    let url = &scene.world.identity().url;
    let mut reading = pin!(Chronicle::read(&scene.journal, url, now));
    let mut context = Context::from_waker(Waker::noop());
    let mut turns = 0;
    while reading.as_mut().poll(&mut context).is_pending() {
        turns += 1;
    }
    assert!(records > 800, "{records}");
    assert!(turns >= records / 64, "{turns} turns in {records} records");
}
