use super::*;
use crate::artifact::Artifact;
use crate::media_type::MediaType;
use crate::snapshot::RepositorySnapshot;

const FIRST: Fact<Time> = Fact::Unknown(Unknown::FirstListing);

fn at(day: u32) -> Time {
    format!("2026-11-{day:02}T00:00:00Z").parse().unwrap()
}

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn artifact(name: &str) -> Artifact {
    let index = name.starts_with("index");
    Artifact {
        digest: digest(name),
        media_type: if index {
            MediaType::OCI_INDEX
        } else {
            MediaType::OCI_MANIFEST
        },
        artifact_type: None,
        size: Some(1),
        children: Vec::new(),
        subject: None,
        image_config: None,
        blobs: Vec::new(),
        config_type: None,
        annotations: None,
        created_annotation: None,
    }
}

fn snapshot(tags: &[(&str, &str)]) -> RepositorySnapshot {
    let names = tags.iter().map(|(tag, _)| tag.parse().unwrap());
    let mut snapshot = RepositorySnapshot::listed("team/app".parse().unwrap(), names);
    for (tag, name) in tags {
        let position = snapshot.position(&tag.parse().unwrap()).unwrap();
        snapshot.resolve(position, artifact(name));
    }
    snapshot
}

fn after(before: Option<&Sightings>, snapshot: &RepositorySnapshot, day: u32) -> Sightings {
    Sightings::after(before, snapshot.complete().unwrap(), at(day)).unwrap()
}

fn since(sightings: &Sightings, tag: &str) -> Fact<Time> {
    sightings.tags[&tag.parse::<Tag>().unwrap()].since
}

#[test]
fn what_was_there_at_first_may_be_of_any_age_and_what_comes_later_is_as_new_as_it_was_seen() {
    let one = after(None, &snapshot(&[("a", "1")]), 1);
    assert_eq!(since(&one, "a"), FIRST);
    let two = after(Some(&one), &snapshot(&[("a", "1"), ("b", "1"), ("c", "2")]), 2);
    assert_eq!(since(&two, "a"), FIRST);
    assert_eq!(since(&two, "b"), Fact::Known(at(2)));
    let three = after(Some(&two), &snapshot(&[("a", "1"), ("b", "1"), ("c", "2")]), 3);
    assert_eq!(three, two);
    assert_eq!(three.digests[&digest("1")].since, FIRST);
    assert_eq!(three.digests[&digest("2")].since, Fact::Known(at(2)));
}

#[test]
fn a_tag_that_moved_or_came_back_is_as_new_as_that() {
    let one = after(None, &snapshot(&[("a", "1"), ("b", "2")]), 1);
    let moved = after(Some(&one), &snapshot(&[("a", "2")]), 2);
    assert_eq!(since(&moved, "a"), Fact::Known(at(2)));
    assert_eq!(moved.tags.len(), 1);
    let back = after(Some(&moved), &snapshot(&[("a", "1"), ("b", "2")]), 3);
    assert_eq!(since(&back, "a"), Fact::Known(at(3)));
    assert_eq!(since(&back, "b"), Fact::Known(at(3)));
    assert_eq!(back.digests[&digest("2")].since, FIRST);
}

#[test]
fn an_index_that_had_a_tag_is_remembered_until_it_is_gone() {
    let remembered = |sightings: &Sightings| sightings.digests[&digest("index")].tagged_index;
    let one = after(None, &snapshot(&[("a", "index"), ("b", "1")]), 1);
    assert!(remembered(&one) && !one.digests[&digest("1")].tagged_index);
    let untagged = after(Some(&one), &snapshot(&[("b", "1")]), 2);
    assert!(remembered(&untagged));
    let mut gone = snapshot(&[("b", "1")]);
    gone.insert_absent(digest("index"));
    let gone = after(Some(&untagged), &gone, 3);
    assert!(!remembered(&gone));
    let still_gone = after(Some(&gone), &snapshot(&[("b", "1")]), 4);
    assert!(!remembered(&still_gone));
    assert_eq!(still_gone.digests.len(), 2, "that it was here once stays");
    let pushed_again = after(Some(&still_gone), &snapshot(&[("b", "index")]), 5);
    assert!(remembered(&pushed_again));
}

#[test]
fn names_alone_say_nothing() {
    let listed = RepositorySnapshot::listed("team/app".parse().unwrap(), ["a".parse().unwrap()]);
    assert_eq!(Sightings::after(None, listed.complete().unwrap(), at(1)), None);
    let empty = RepositorySnapshot::listed("team/app".parse().unwrap(), []);
    let empty = Sightings::after(None, empty.complete().unwrap(), at(1)).unwrap();
    assert_eq!(empty, Sightings::default());
    assert_eq!(
        since(&after(Some(&empty), &snapshot(&[("a", "1")]), 2), "a"),
        Fact::Known(at(2))
    );
}
