use std::fs;

use super::*;

const URL: &str = "http://localhost:5000";

fn records() -> Records {
    let mut record = lagan_policy::rollout::Record::new("of a policy".to_owned());
    record.begin();
    record.tally = Tally {
        succeeded: 7,
        failed: 1,
    };
    Records::from([("tidy".into(), record)])
}

#[test]
fn what_was_written_is_read_and_nothing_of_what_was_damaged() {
    let state = tempfile::tempdir().unwrap();
    let path = path(state.path(), URL);
    assert_eq!(file::read(&path, URL), Ok(Records::new()));
    file::write(&path, URL, &records()).unwrap();
    assert_eq!(file::read(&path, URL), Ok(records()));
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() - 1 {
        fs::write(&path, &whole[..end]).unwrap();
        assert!(file::read(&path, URL).is_err(), "cut off after {end}");
    }
    for at in 0..whole.len() - 1 {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&path, damaged).unwrap();
        assert!(file::read(&path, URL).is_err(), "damaged at {at}");
    }
}

#[test]
fn the_record_of_another_registry_is_none() {
    let state = tempfile::tempdir().unwrap();
    let path = path(state.path(), URL);
    file::write(&path, "http://localhost:5001", &records()).unwrap();
    assert!(file::read(&path, URL).unwrap_err().contains("localhost:5001"));
}

#[test]
fn who_begins_anew_leaves_the_others_where_they_are() {
    let state = tempfile::tempdir().unwrap();
    let path = path(state.path(), URL);
    let mut both = records();
    both.insert("other".into(), both[&"tidy".into()].clone());
    file::write(&path, URL, &both).unwrap();
    let here = BTreeSet::from([URL.to_owned()]);
    let tidy = "tidy".into();
    let restarted = restart(state.path(), &here, &tidy).unwrap();
    assert_eq!(restarted.registries, [URL]);
    assert!(restarted.unreadable.is_empty());
    assert_eq!(
        file::read(&path, URL).unwrap().into_keys().collect::<Vec<_>>(),
        ["other".into()]
    );
    assert!(restart(state.path(), &here, &tidy).unwrap().registries.is_empty());
    fs::write(&path, "damaged").unwrap();
    assert_eq!(restart(state.path(), &here, &tidy).unwrap().unreadable, [URL]);
    assert_eq!(file::read(&path, URL), Ok(Records::new()));
    assert_eq!(
        fs::read_to_string(path.with_extension("unreadable")).unwrap(),
        "damaged"
    );
}
