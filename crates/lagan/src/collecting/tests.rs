use lagan_model::{RegistryIdentity, RegistryKind};

use super::*;

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn now() -> Time {
    at("2026-11-21T12:00:00Z")
}

fn scheduled(kind: &str, cron: &str, next: Option<Time>) -> CollectionSchedule {
    CollectionSchedule {
        kind: kind.to_owned(),
        cron: cron.to_owned(),
        next,
        delete_untagged: Some(false),
        dry_run: Some(false),
    }
}

fn collection(id: i64, status: &str) -> CollectionRun {
    CollectionRun {
        id,
        status: status.to_owned(),
        started: Some(at("2026-11-21T11:00:00Z")),
        delete_untagged: Some(false),
        dry_run: Some(false),
    }
}

fn counting(id: i64, status: &str) -> CollectionRun {
    CollectionRun {
        dry_run: Some(true),
        ..collection(id, status)
    }
}

fn told(schedule: Option<CollectionSchedule>, runs: Vec<CollectionRun>) -> Told {
    Told {
        schedule: Ok(schedule),
        runs: Ok(runs),
    }
}

fn refused(failure: Failure) -> RegistryError {
    RegistryError::new(failure, "GET https://h/api/v2.0/system/gc", "no")
}

#[test]
fn a_time_that_harbor_leaves_out_or_that_is_past_is_reckoned_from_its_expression_in_utc() {
    let past = Some(at("2026-11-21T03:00:00Z"));
    for (kind, cron, next, until) in [
        ("Hourly", "0 0 * * * *", None, Some("2026-11-21T13:00:00Z")),
        ("Daily", "0 0 0 * * *", None, Some("2026-11-22T00:00:00Z")),
        // A Saturday: Sunday is the next day.
        ("Weekly", "0 0 0 * * 0", None, Some("2026-11-22T00:00:00Z")),
        ("Custom", "30 15 4 * * 1-5", None, Some("2026-11-23T04:15:30Z")),
        ("Custom", "0 30 2 1,15 * *", None, Some("2026-12-01T02:30:00Z")),
        ("Daily", "0 0 3 * * *", past, Some("2026-11-22T03:00:00Z")),
        (
            "Daily",
            "0 0 3 * * *",
            Some(at("2026-11-22T05:00:00Z")),
            Some("2026-11-22T05:00:00Z"),
        ),
        // Five fields are none of Harbor's: what the first of six would mean is not guessed.
        ("Custom", "0 3 * * *", None, None),
        ("Custom", "whenever", None, None),
        ("Custom", "0 0 0 31 2 *", None, None),
    ] {
        let undo = told(Some(scheduled(kind, cron, next)), Vec::new()).undo(now(), None);
        assert_eq!(
            (undo.possible, undo.until),
            (true, until.map(at)),
            "{kind} {cron}"
        );
        assert!(undo.why.unwrap().contains(cron), "{cron}");
    }
}

#[test]
fn what_is_not_known_is_null_and_says_why() {
    let why = |schedule, runs| {
        let undo = Told { schedule, runs }.undo(now(), None);
        assert_eq!((undo.possible, undo.until), (true, None));
        undo.why.unwrap()
    };
    assert!(why(Ok(None), Ok(Vec::new())).contains("none is scheduled"));
    let counts = CollectionSchedule {
        dry_run: Some(true),
        ..scheduled("Daily", "0 0 0 * * *", None)
    };
    assert!(why(Ok(Some(counts)), Ok(Vec::new())).contains("none is scheduled"));
    let denied = why(Err(refused(Failure::Denied)), Ok(Vec::new()));
    assert!(
        denied.contains("`garbage-collection:read` of the system"),
        "{denied}"
    );
    let failed = why(Err(refused(Failure::Timeout)), Err(refused(Failure::Timeout)));
    assert!(failed.contains("could not be asked (GET"), "{failed}");
    assert!(
        failed.contains("whether it is being collected now is not told"),
        "{failed}"
    );
}

#[test]
fn nothing_counts_as_undoable_while_something_is_collected_or_is_to_be() {
    let runs = |run: CollectionRun| told(None, vec![run, collection(1, "Success")]);
    for status in ["Running", "Pending", "Scheduled", "a new word"] {
        let undo = runs(collection(2, status)).undo(now(), None);
        assert!(!undo.possible, "{status}");
        assert!(undo.why.unwrap().contains("collection 2"));
        assert!(runs(counting(2, status)).undo(now(), None).possible, "{status}");
    }
    for status in ["Success", "Error", "Stopped"] {
        assert!(runs(collection(2, status)).undo(now(), None).possible, "{status}");
    }
    let wish = CollectGarbage {
        after: CollectAfter::WholeRun,
        delete_untagged: false,
    };
    let undo = runs(collection(2, "Success")).undo(now(), Some(wish));
    assert_eq!((undo.possible, undo.until), (false, None));
}

fn summary(run: u128, purpose: Purpose, minute: u32, over: Option<i64>, end: Option<&str>) -> RunSummary {
    let at = at(&format!("2026-11-21T10:{minute:02}:00Z"));
    let run = RunId::from_bits(run);
    RunSummary {
        run,
        begin: Some(Begin {
            run,
            purpose,
            registry: RegistryIdentity {
                name: "harbor".parse().unwrap(),
                url: "https://harbor.example.com".to_owned(),
                kind: RegistryKind::Harbor,
            },
            policies: Vec::new(),
            at,
            program: "test".to_owned(),
            collections: Some(Collections {
                next: Some(self::at("2026-11-21T11:30:00Z")),
                why: String::new(),
                over,
            }),
            pass: None,
        }),
        end: end.map(|word| End {
            at,
            results: [(word.to_owned(), 1)].into(),
            stopped: false,
        }),
        records: 2,
        open: 0,
    }
}

fn apply() -> Purpose {
    Purpose::Apply { plan: String::new() }
}

fn asked(journal: &[RunSummary], told: Option<&Told>, hour: u32) -> (Option<bool>, bool, String) {
    let now = at(&format!("2026-11-21T{hour}:00:00Z"));
    let note = since(journal, &[RunId::from_bits(1)].into(), told, now);
    (note.since, note.warns, note.why.unwrap_or_default())
}

#[test]
fn a_collection_since_a_run_is_found_in_the_journal_or_at_the_registry_and_none_is_made_up() {
    let first = || summary(1, apply(), 3, Some(7), Some("deleted"));
    let nothing = told(None, vec![collection(7, "Success")]);
    assert_eq!(
        asked(&[first()], Some(&nothing), 11),
        (Some(false), false, String::new())
    );
    // What was due and did not come is nothing.
    assert_eq!(asked(&[first()], Some(&nothing), 12).0, Some(false));
    // Nobody was asked.
    assert_eq!(asked(&[first()], None, 11).0, None);
    let (is, warns, why) = asked(&[first()], None, 12);
    assert_eq!((is, warns), (None, true), "{why}");
    assert!(why.contains("due at 2026-11-21T11:30:00Z"), "{why}");

    for (runs, is) in [
        (vec![collection(8, "Running"), collection(7, "Success")], true),
        (vec![collection(8, "Error")], true),
        (vec![counting(8, "Success"), collection(7, "Success")], false),
    ] {
        assert_eq!(asked(&[first()], Some(&told(None, runs)), 11).0, Some(is));
    }
    for (later, is) in [
        (summary(2, Purpose::Collect, 5, Some(7), Some("started")), true),
        (summary(2, Purpose::Collect, 5, Some(7), Some("in_doubt")), true),
        (summary(2, Purpose::Collect, 5, Some(7), None), true),
        (
            summary(2, Purpose::Collect, 5, Some(7), Some("not_started")),
            false,
        ),
        (summary(2, apply(), 5, Some(8), Some("deleted")), true),
        (summary(2, apply(), 5, Some(7), Some("deleted")), false),
        (summary(2, apply(), 5, None, Some("deleted")), false),
    ] {
        let expected = if is { Some(true) } else { None };
        assert_eq!(
            asked(&[first(), later.clone()], None, 11).0,
            expected,
            "{later:?}"
        );
        assert_eq!(
            asked(&[later, first()], None, 11).0,
            expected,
            "in whatever order they are listed"
        );
    }
    // What came before is no matter.
    for before in [
        summary(2, Purpose::Collect, 1, Some(6), Some("started")),
        summary(2, apply(), 1, Some(7), Some("deleted")),
    ] {
        assert_eq!(asked(&[before, first()], None, 11).0, None);
    }
    let mut elsewhere = summary(2, Purpose::Collect, 5, None, Some("started"));
    elsewhere.begin.as_mut().unwrap().registry.url = "https://other.example.com".to_owned();
    assert_eq!(asked(&[first(), elsewhere], None, 11).0, None);
}

#[test]
fn a_run_that_knows_no_numbers_is_held_against_the_times_with_room_for_clocks_that_differ() {
    let mut first = summary(1, apply(), 30, None, Some("deleted"));
    first.begin.as_mut().unwrap().collections = None;
    let at = |minute: &str| {
        let run = CollectionRun {
            started: Some(at(&format!("2026-11-21T10:{minute}Z"))),
            ..collection(9, "Success")
        };
        told(None, vec![run])
    };
    for (minute, is) in [("29:30", true), ("31:00", true), ("28:30", false)] {
        let found = asked(std::slice::from_ref(&first), Some(&at(minute)), 12).0;
        assert_eq!(found, Some(is), "{minute}");
    }
}

#[test]
fn up_to_which_number_all_are_over_leaves_out_what_takes_nothing() {
    for (runs, expected) in [
        (vec![], 0),
        (vec![collection(9, "Success"), collection(4, "Error")], 9),
        (
            vec![
                collection(9, "Pending"),
                collection(8, "Running"),
                collection(4, "Success"),
            ],
            7,
        ),
        (vec![counting(9, "Running"), collection(4, "Success")], 4),
    ] {
        assert_eq!(over(&runs), expected, "{runs:?}");
    }
}
