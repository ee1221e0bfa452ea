//! A simulated world in which the real apply, undo and recovery run: single-threaded, from a seed, with a clock of its
//! own. Others push, move tags and delete, garbage is collected, requests fail, lose their answers or take effect late, and
//! the program dies between any two steps. An oracle that shares no code with the engine looks at every effect.
//!
//! `LAGAN_SEEDS` says how many stories are told, `LAGAN_SEED` which is the first; `tests/simulate` sets both.

mod case;
mod chance;
mod content;
mod limits;
mod others;
mod outcomes;
mod ports;
mod scenes;
mod store;
mod story;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::case::Case;
use self::story::tell;
use crate::safeguard::{Safeguard, without};

/// As many as a test run has time for.
const SEEDS: u64 = 10_000;

/// How many stories without a safeguard it may take until it is missed.
const SEEDS_WITHOUT: u64 = 20_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn fails(case: Case) -> bool {
    !tell(case, false).violations.is_empty()
}

/// The smallest story that still goes wrong.
fn shrunk(mut case: Case) -> Case {
    while let Some(smaller) = case.smaller().into_iter().find(|smaller| fails(*smaller)) {
        case = smaller;
    }
    case
}

/// What happened in many stories.
#[derive(Debug, Default)]
struct Sum {
    stories: u64,
    deleted: u64,
    restored: u64,
    left: u64,
    crashes: u64,
}

/// Tells the stories of some seeds, on every core; the first seed that goes wrong, and what happened in the others.
fn tell_all(seeds: std::ops::Range<u64>) -> (Option<u64>, Sum) {
    let next = AtomicU64::new(seeds.start);
    let wrong = AtomicU64::new(u64::MAX);
    let sum = Mutex::new(Sum::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || seed > wrong.load(Ordering::Relaxed) {
                        return;
                    }
                    let end = tell(Case::of(seed), false);
                    if !end.violations.is_empty() {
                        wrong.fetch_min(seed, Ordering::Relaxed);
                    }
                    let mut sum = sum.lock().unwrap();
                    sum.stories += 1;
                    sum.deleted += end.deleted as u64;
                    sum.restored += end.restored as u64;
                    sum.left += end.left as u64;
                    sum.crashes += u64::from(end.crashes);
                }
            });
        }
    });
    let wrong = wrong.into_inner();
    (
        Some(wrong).filter(|wrong| *wrong != u64::MAX),
        sum.into_inner().unwrap(),
    )
}

#[test]
fn nothing_that_should_stay_is_lost_and_what_was_deleted_comes_back() {
    let (first, count) = (number("LAGAN_SEED", 0), number("LAGAN_SEEDS", SEEDS));
    let (wrong, sum) = tell_all(first..first + count);
    if let Some(seed) = wrong {
        let case = shrunk(Case::of(seed));
        let end = tell(case, true);
        panic!(
            "seed {seed}, shrunk to {case:?}:\n{}\n{}\nto see this again: tests/simulate 1 {seed}",
            end.trace.join("\n"),
            end.violations.join("\n")
        );
    }
    println!(
        "{} stories: {} deletions, {} restorations, {} crashes, {} left by them, 0 violations",
        sum.stories, sum.deleted, sum.restored, sum.crashes, sum.left
    );
    // A world in which nothing happens proves nothing.
    if count >= 1000 {
        assert!(sum.deleted > count && sum.restored > count / 2 && sum.crashes > count / 2);
        assert!(sum.left > count / 500);
    }
}

/// Without a safeguard something goes wrong, and is noticed.
fn is_needed(safeguard: Safeguard) {
    let caught = without(Some(safeguard), || {
        (0..SEEDS_WITHOUT).find(|seed| fails(Case::of(*seed)))
    });
    assert!(is_missed_by_a_story(safeguard));
    assert!(caught.is_some(), "nobody misses {safeguard:?}");
    println!("{safeguard:?}: missed at seed {}", caught.unwrap_or(0));
}

/// Nobody but Lagan deletes in these. In the first three a second reading within a unit took longer than a reading may be old. In the last a registry deleted a
/// manifest with all its tags when one was to go, and somebody pushed it again in the same moment.
#[test]
fn stories_that_once_went_wrong_do_not_any_more() {
    for seed in [3_008_712, 3_061_848, 3_529_671, 4_008_425] {
        let case = Case {
            deletions: false,
            ..Case::of(seed)
        };
        assert_eq!(tell(case, false).violations, [""; 0], "seed {seed}");
    }
}

/// In the first others took the last tag off an index that was put back, and below it went what had been there all the
/// time. In the second others moved the tag that was to stay after the repository was read, and the one that was to go was
/// the last then.
#[test]
fn stories_that_once_went_wrong_where_others_delete_as_well_do_not_any_more() {
    for (seed, safeguard) in [
        (10_641_415, Safeguard::HoldBelow),
        (10_759_176, Safeguard::LastTag),
    ] {
        assert_eq!(tell(Case::of(seed), false).violations, [""; 0], "seed {seed}");
        let without = without(Some(safeguard), || fails(Case::of(seed)));
        assert!(without, "seed {seed}");
    }
    // What went along was pushed again with another tag; a tag could not be put on what an index lists; and an index without
    // a record was pushed again while what it lists went. In the last, what was told as lost could come back much later.
    for seed in [20_092_788, 20_121_005, 20_427_940, 20_559_256, 30_035_250] {
        assert_eq!(tell(Case::of(seed), false).violations, [""; 0], "seed {seed}");
    }
}

#[test]
fn a_story_is_told_the_same_way_every_time() {
    for seed in 0..200 {
        let (once, again) = (tell(Case::of(seed), true), tell(Case::of(seed), true));
        assert_eq!(once.trace, again.trace, "seed {seed}");
    }
}

#[test]
fn a_story_that_goes_wrong_is_shrunk_until_every_smaller_one_goes_well() {
    without(Some(Safeguard::ReadBack), || {
        let seed = (0..SEEDS_WITHOUT).find(|seed| fails(Case::of(*seed))).unwrap();
        let case = shrunk(Case::of(seed));
        assert!(fails(case));
        assert!(!case.smaller().into_iter().any(fails), "{case:?}");
    });
}

macro_rules! needed {
    ($($name:ident: $safeguard:ident,)*) => {
        $(#[test]
        fn $name() {
            is_needed(Safeguard::$safeguard);
        })*

        /// Whether a story or a scene misses it: a safeguard that nobody has thought of here does not compile.
        const fn is_missed_by_a_story(safeguard: Safeguard) -> bool {
            match safeguard {
                $(Safeguard::$safeguard => true,)*
                // Stories in which a copy is made while a purge of it is under way, an index is there without its tag above
                // what a run left, or something was attached between an apply and its undo, are too rare: there are
                // scenes. So are those in which others take the last tag off an index that was put back, or the tag that was
                // to stay off what another one is taken off: a few of a million.
                Safeguard::HoldNotInDoubt
                | Safeguard::NothingAbove
                | Safeguard::Merge
                | Safeguard::HoldBelow
                | Safeguard::LastTag => false,
                // Stories are about one policy whose rules everybody agrees with: there is a scene.
                Safeguard::Rollout => false,
            }
        }
    };
}

needed! {
    without_the_seal_on_a_plan_something_is_missed: PlanHash,
    without_waiting_for_a_notice_something_is_missed: Notice,
    without_complete_readings_something_is_missed: CompleteReading,
    without_reading_again_something_is_missed: ReadAgain,
    without_comparing_units_something_is_missed: UnitUnchanged,
    without_looking_at_tags_something_is_missed: TagsBeforeDelete,
    without_counting_what_stays_something_is_missed: KeepAtLeast,
    without_looking_for_references_something_is_missed: StillReferenced,
    without_order_something_is_missed: IndexFirst,
    without_durable_intents_something_is_missed: IntentFirst,
    without_a_last_look_at_what_goes_along_something_is_missed: AlongLookedAtLast,
    without_outcomes_last_something_is_missed: OutcomeLast,
    without_the_window_of_doubt_something_is_missed: InDoubtWindow,
    without_leaving_out_what_is_in_doubt_something_is_missed: LeftOut,
    without_mending_something_is_missed: Mend,
    without_checking_untags_something_is_missed: UntagCheck,
    without_whole_indexes_something_is_missed: WholeIndex,
    without_reading_blobs_something_is_missed: ReadBlobs,
    without_the_first_byte_of_blobs_something_is_missed: TasteBlobs,
    without_reading_back_something_is_missed: ReadBack,
    without_children_first_something_is_missed: ChildrenFirst,
    without_leaving_moved_tags_something_is_missed: TagsOnlyWhereAbsent,
    without_holds_something_is_missed: Hold,
    without_holding_first_something_is_missed: HoldFirst,
    without_tags_on_copies_something_is_missed: HoldByTag,
    without_reading_copies_back_something_is_missed: HoldReadBack,
    without_bringing_blobs_back_something_is_missed: BringBack,
    without_waiting_for_the_end_of_the_grace_something_is_missed: PurgeWhenDue,
}
