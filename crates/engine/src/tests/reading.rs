//! What an apply reads of a repository that changes meanwhile.

use std::collections::BTreeSet;

use lagan_model::{ArtifactGraph, Failure, MediaType, Tag};

use super::fake::Fake;
use crate::apply::reading::Reader;

fn tags(tags: &[&str]) -> BTreeSet<Tag> {
    tags.iter().map(|tag| tag.parse().unwrap()).collect()
}

#[tokio::test]
async fn where_a_tag_vanishes_those_that_are_new_in_the_second_listing_are_read_as_well() {
    let mut fake = Fake {
        vanishing: tags(&["1.0.2"]),
        appearing: tags(&["new"]),
        ..Fake::default()
    };
    let repository = fake.repository("app");
    let child = repository.image(&["1.0.1"], 1);
    repository.image(&["1.0.2"], 2);
    let image = MediaType::OCI_MANIFEST;
    let text = format!(r#"{{"manifests":[{{"mediaType":"{image}","digest":"{child}","size":7}}]}}"#);
    let index = repository.manifest(&["new"], MediaType::OCI_INDEX, &text);
    fake.fail.insert("app:1.0.2".to_owned(), Failure::NotFound);
    let (name, at) = ("app".parse().unwrap(), "2026-01-03T00:00:00Z".parse().unwrap());
    let wanted = BTreeSet::from([child.clone()]);
    let reader = Reader::open(&fake, &name, &wanted, at).await.unwrap();
    let reading = reader.complete(&wanted).await.unwrap();
    assert_eq!(reading.related(&child, ArtifactGraph::parents), [index]);
    let known: BTreeSet<Tag> = reading.tags.keys().cloned().collect();
    assert_eq!(known, tags(&["1.0.1", "new"]));
}
