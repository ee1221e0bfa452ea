//! What holds whatever is done: Harbor's rows and the registry's content never part.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Image;

const NAME: &str = "team/app";

/// Something done, by hand or over the API; numbers choose among what is there.
#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Index(Vec<u8>, u8),
    Sign(u8),
    Refer(u8),
    Move(u8, u8),
    Tag(u8, u8),
    Untag(u8),
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<u8>().prop_map(Step::Push),
        2 => (proptest::collection::vec(any::<u8>(), 1..3), any::<u8>()).prop_map(|(of, tag)| Step::Index(of, tag)),
        1 => any::<u8>().prop_map(Step::Sign),
        1 => any::<u8>().prop_map(Step::Refer),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(tag, to)| Step::Move(tag, to)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(tag, to)| Step::Tag(tag, to)),
        2 => any::<u8>().prop_map(Step::Untag),
        3 => any::<u8>().prop_map(Step::Delete),
    ];
    proptest::collection::vec(step, 1..25)
}

struct World {
    sandbox: Sandbox,
    http: Http,
    known: Vec<Digest>,
}

/// One of four tags, or none.
fn tag(number: u8) -> Option<String> {
    (!number.is_multiple_of(5)).then(|| format!("t{}", number % 5))
}

impl World {
    fn there(&self) -> Vec<Digest> {
        let there = |digest: &Digest| self.sandbox.manifest(NAME, digest).is_some();
        self.known.iter().copied().filter(there).collect()
    }

    fn one_of_them(&self, number: u8) -> Option<Digest> {
        let there = self.there();
        there.get(usize::from(number) % there.len().max(1)).copied()
    }

    /// What each manifest belongs to.
    fn subjects(&self) -> HashMap<Digest, Option<Digest>> {
        let there = self.there();
        let found = there
            .iter()
            .filter_map(|digest| self.sandbox.manifest(NAME, digest));
        found
            .map(|manifest| (manifest.digest, manifest.attached_to))
            .collect()
    }

    async fn take(&mut self, step: &Step) {
        let sandbox = &self.sandbox;
        let mut made = None;
        match step {
            Step::Push(number) => {
                let image = Image::new(DAY);
                let image = tag(*number).iter().fold(image, |image, tag| image.tag(tag));
                made = Some(sandbox.put(NAME, &image));
            }
            Step::Index(children, number) => {
                let children: BTreeSet<Digest> = children
                    .iter()
                    .filter_map(|child| self.one_of_them(*child))
                    .collect();
                let children: Vec<Digest> = children.into_iter().collect();
                let tag = tag(*number);
                let tags: Vec<&str> = tag.as_deref().into_iter().collect();
                if !children.is_empty() {
                    made = Some(sandbox.put_index(NAME, &tags, &children));
                }
            }
            Step::Sign(number) => {
                if let Some(subject) = self.one_of_them(*number) {
                    made = Some(sandbox.put_signature(NAME, subject));
                }
            }
            Step::Refer(number) => {
                if let Some(subject) = self.one_of_them(*number) {
                    made = Some(sandbox.put_referrer(NAME, subject, "application/example"));
                }
            }
            Step::Move(number, to) => {
                if let (Some(tag), Some(digest)) = (tag(*number), self.one_of_them(*to)) {
                    sandbox.tag(NAME, &tag, digest);
                }
            }
            Step::Tag(number, to) => {
                if let (Some(tag), Some(digest)) = (tag(*number), self.one_of_them(*to)) {
                    let expected = if sandbox.resolve(NAME, &tag).is_some() {
                        409
                    } else {
                        201
                    };
                    let path = artifact_path(NAME, &format!("/{digest}/tags"));
                    let answer = post(&mut self.http, &path, json!({ "name": tag })).await;
                    assert_eq!(answer.status(), expected);
                }
            }
            Step::Untag(number) => {
                let tags = sandbox.tags(NAME);
                if let Some((tag, digest)) = tags.get(usize::from(*number) % tags.len().max(1)) {
                    let path = artifact_path(NAME, &format!("/{digest}/tags/{tag}"));
                    assert_eq!(delete(&mut self.http, &path).await.status(), 200);
                }
            }
            Step::Delete(number) => {
                if let Some(digest) = self.one_of_them(*number) {
                    let before = (self.there(), sandbox.tags(NAME));
                    let subjects = self.subjects();
                    let path = artifact_path(NAME, &format!("/{digest}"));
                    let status = delete(&mut self.http, &path).await.status().as_u16();
                    if status == 200 {
                        assert!(self.sandbox.manifest(NAME, &digest).is_none());
                        for (tag, on) in before.1 {
                            let subject = subjects.get(&on).copied().flatten();
                            let orphan = subject
                                .is_some_and(|subject| self.sandbox.manifest(NAME, &subject).is_none());
                            let stays = self.sandbox.resolve(NAME, &tag) == Some(on);
                            assert!(stays || on == digest || orphan, "{tag} went along");
                        }
                    } else {
                        assert_eq!(status, 412);
                        assert_eq!((self.there(), self.sandbox.tags(NAME)), before, "all or nothing");
                    }
                }
            }
        }
        // The same index twice is one.
        if let Some(made) = made.filter(|made| !self.known.contains(made)) {
            self.known.push(made);
        }
    }

    fn check(&self) {
        let steer = self.sandbox.harbor();
        let mut tags = Vec::new();
        for digest in &self.known {
            let row = steer.artifact(NAME, &digest.to_string());
            let manifest = self.sandbox.manifest(NAME, digest);
            assert_eq!(row.is_some(), manifest.is_some(), "{digest}");
            let (Some(row), Some(manifest)) = (row, manifest) else {
                continue;
            };
            tags.extend(row.tags.into_iter().map(|(tag, ..)| (tag, *digest)));
            for child in &manifest.children {
                let there = self.sandbox.manifest(NAME, child).is_some();
                assert!(there, "{child} is listed by {digest}, which stays");
            }
        }
        tags.sort_unstable();
        assert_eq!(tags, self.sandbox.tags(NAME));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_content_never_part(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (sandbox, http) = harbor(HarborOptions::default()).await;
            let mut world = World { sandbox, http, known: Vec::new() };
            for step in &steps {
                world.take(step).await;
                world.check();
            }
        });
    }
}
