//! Runs that remember earlier ones.

use std::collections::HashMap;
use std::sync::Mutex;

use lagan_model::memory::{ConfigFacts, FactCache, LedgerError, ObservationLedger, Sightings};
use lagan_model::{
    Digest, Fact, Failure, Manifest, MediaType, Observer, RegistryRead, RepositoryName, RepositorySnapshot,
    RequestKind, Tag, Time, Times, Unknown,
};
use lagan_policy::{Clock, KeepLine, Order, PolicySet};

use super::fake::Fake;
use super::{deleted, last, policies, run_with};
use crate::{Memory, Scope};

#[derive(Default)]
struct Cache {
    manifests: Mutex<HashMap<Digest, Manifest>>,
    configs: Mutex<HashMap<Digest, ConfigFacts>>,
}

impl FactCache for Cache {
    fn manifest(&self, digest: &Digest) -> Option<Manifest> {
        self.manifests.lock().unwrap().get(digest).cloned()
    }

    fn keep_manifest(&self, manifest: &Manifest) {
        let digest = manifest.digest().clone();
        self.manifests.lock().unwrap().insert(digest, manifest.clone());
    }

    fn config(&self, config: &Digest) -> Option<ConfigFacts> {
        self.configs.lock().unwrap().get(config).cloned()
    }

    fn keep_config(&self, config: &Digest, facts: &ConfigFacts) {
        self.configs.lock().unwrap().insert(config.clone(), facts.clone());
    }
}

#[derive(Default)]
struct Ledger {
    seen: Mutex<HashMap<RepositoryName, Sightings>>,
    broken: bool,
}

impl ObservationLedger for Ledger {
    fn recall(&self, repository: &RepositoryName) -> Result<Option<Sightings>, LedgerError> {
        if self.broken {
            return Err(LedgerError {
                doing: "read the ledger".to_owned(),
                source: "it is damaged".into(),
            });
        }
        Ok(self.seen.lock().unwrap().get(repository).cloned())
    }

    fn keep(&self, repository: &RepositoryName, sightings: &Sightings) -> Result<(), LedgerError> {
        assert!(!self.broken, "what cannot be read is not written over");
        let mut seen = self.seen.lock().unwrap();
        seen.insert(repository.clone(), sightings.clone());
        Ok(())
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn ledger_failed(&self, _repository: &RepositoryName, error: &LedgerError) {
        self.0.lock().unwrap().push(error.source.to_string());
    }
}

#[derive(Default)]
struct Place {
    cache: Cache,
    ledger: Ledger,
    told: Told,
}

fn on(day: u32) -> Time {
    format!("2026-11-{day:02}T00:00:00Z").parse().unwrap()
}

impl Place {
    /// What a run on a day of November deletes of a single repository, and how many requests of each kind it takes.
    async fn run(&self, fake: &Fake, policies: &PolicySet, day: u32, records: bool) -> (Vec<String>, Counts) {
        fake.requests.lock().unwrap().clear();
        fake.listings.lock().unwrap().clear();
        let memory = Memory {
            cache: Some(&self.cache),
            ledger: Some(&self.ledger),
            records,
            ..Memory::default()
        };
        let (plans, _) = run_with(fake, policies, &Scope::default(), &self.told, (memory, on(day)))
            .await
            .unwrap();
        let counts = fake.requests();
        let of = |kind| counts.of(kind);
        (
            deleted(&plans[0]),
            Counts {
                tags: of(RequestKind::Tags),
                heads: of(RequestKind::Head),
                manifests: of(RequestKind::Manifest),
                configs: of(RequestKind::ConfigBlob),
            },
        )
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Counts {
    tags: u64,
    heads: u64,
    manifests: u64,
    configs: u64,
}

fn five_images() -> Fake {
    let mut fake = Fake::default();
    for day in 1..6 {
        fake.repository("team/app").image(&[&format!("v{day}")], day);
    }
    fake
}

fn by_created() -> PolicySet {
    policies(&["team/*"], last(2, Order::Clock(Clock::Created)))
}

fn within_ten_days() -> PolicySet {
    let line = KeepLine::Within {
        clock: Clock::Observed,
        age: "10d".parse().unwrap(),
    };
    policies(&["team/*"], line)
}

#[tokio::test]
async fn a_second_run_over_what_has_not_changed_costs_listings_and_a_head_a_tag() {
    let (fake, place) = (five_images(), Place::default());
    let (first, cost) = place.run(&fake, &by_created(), 20, true).await;
    let all = Counts {
        tags: 1,
        heads: 0,
        manifests: 5,
        configs: 5,
    };
    assert_eq!(cost, all);
    let (second, cost) = place.run(&fake, &by_created(), 21, true).await;
    let little = Counts {
        tags: 1,
        heads: 5,
        manifests: 0,
        configs: 0,
    };
    assert_eq!(cost, little);
    assert_eq!(second, first);
    assert_eq!(first, ["v1", "v2", "v3"]);
}

#[tokio::test]
async fn what_is_new_or_moved_or_served_as_something_else_is_read() {
    let (mut fake, place) = (five_images(), Place::default());
    place.run(&fake, &by_created(), 20, true).await;
    let app = fake.repository("team/app");
    app.image(&["v6"], 6);
    let moved = app.image(&["v1"], 7);
    // What the cache knows as an index is believed to be one no longer than the registry says so.
    let other = app.tags[&"v2".parse().unwrap()].clone();
    if let Some((media_type, _)) = app.manifests.get_mut(&other) {
        *media_type = MediaType::DOCKER_MANIFEST;
    }
    let (deleted, cost) = place.run(&fake, &by_created(), 21, true).await;
    assert_eq!(cost.heads, 5, "v6 was never seen");
    assert_eq!(cost.manifests, 3);
    assert_eq!(deleted, ["v2", "v3", "v4", "v5"]);
    let again = place.run(&fake, &by_created(), 22, true).await.1;
    assert_eq!((again.heads, again.manifests), (6, 0));
    assert!(place.cache.manifest(&moved).is_some());
}

#[tokio::test]
async fn what_was_there_at_first_is_of_unknown_age_and_what_came_later_grows_old() {
    let (mut fake, place) = (five_images(), Place::default());
    for day in [1, 2, 3] {
        let (deleted, _) = place.run(&fake, &within_ten_days(), day, true).await;
        assert!(deleted.is_empty(), "{deleted:?}");
        let new = format!("new-{day}");
        fake.repository("team/app").image(&[&new], 20 + day);
    }
    // Each was seen the day after it came, and new-3 is seen now.
    assert!(place.run(&fake, &within_ten_days(), 11, false).await.0.is_empty());
    assert_eq!(place.run(&fake, &within_ten_days(), 13, false).await.0, ["new-1"]);
    let old = place.run(&fake, &within_ten_days(), 29, true).await.0;
    assert_eq!(old, ["new-1", "new-2"]);
}

#[tokio::test]
async fn a_replay_adds_nothing_to_the_ledger() {
    let (mut fake, place) = (five_images(), Place::default());
    place.run(&fake, &within_ten_days(), 1, false).await;
    assert!(place.ledger.seen.lock().unwrap().is_empty());
    place.run(&fake, &within_ten_days(), 1, true).await;
    fake.repository("team/app").image(&["new"], 9);
    assert!(place.run(&fake, &within_ten_days(), 28, false).await.0.is_empty());
    let name = "team/app".parse().unwrap();
    let recalled = place.ledger.recall(&name).unwrap().unwrap();
    assert_eq!(recalled.tags.len(), 5);
}

#[tokio::test]
async fn without_a_ledger_that_can_be_read_all_is_kept_and_that_is_told() {
    let (fake, mut place) = (five_images(), Place::default());
    place.ledger.broken = true;
    let (deleted, cost) = place.run(&fake, &within_ten_days(), 20, true).await;
    assert!(deleted.is_empty());
    assert_eq!(cost.heads, 0);
    assert_eq!(*place.told.0.lock().unwrap(), ["it is damaged"]);
    // What needs no ledger is decided as ever.
    let (deleted, _) = place.run(&fake, &by_created(), 20, true).await;
    assert_eq!(deleted, ["v1", "v2", "v3"]);
}

#[tokio::test]
async fn what_could_not_be_read_whole_is_not_recorded() {
    let (mut fake, place) = (five_images(), Place::default());
    fake.fail.insert("team/app:v3".to_owned(), Failure::Server);
    place.run(&fake, &within_ten_days(), 1, true).await;
    assert!(place.ledger.seen.lock().unwrap().is_empty());
}

#[test]
fn what_a_listing_tells_beside_tags_gets_its_time_too() {
    let now = on(5);
    let ledger = Ledger::default();
    let memory = Memory {
        ledger: Some(&ledger),
        ..Memory::default()
    };
    let artifact = lagan_model::Artifact {
        digest: Digest::of(b"1"),
        media_type: MediaType::OCI_MANIFEST,
        artifact_type: None,
        size: Some(1),
        children: Vec::new(),
        subject: None,
        image_config: None,
        blobs: Vec::new(),
        config_type: None,
        annotations: None,
        created_annotation: None,
    };
    let pushed = Times {
        pushed: Fact::Known(on(1)),
        ..Times::default()
    };
    let listed = || {
        let tags = ["a", "b"].map(|tag| tag.parse::<Tag>().unwrap());
        let mut snapshot = RepositorySnapshot::listed("team/app".parse().unwrap(), tags.clone());
        snapshot.resolve(0, artifact.clone());
        snapshot.insert_tag_times(tags[0].clone(), pushed);
        snapshot.insert_artifact_times(artifact.digest.clone(), pushed);
        snapshot
    };
    let times = |snapshot: &RepositorySnapshot| {
        let complete = snapshot.complete().unwrap();
        let of = |tag: &str| complete.tag_times(&tag.parse().unwrap());
        (of("a"), of("b"), complete.artifact_times(&artifact.digest))
    };
    let observed = |observed| {
        let times = Times { observed, ..pushed };
        (Some(times), None, Some(times))
    };

    let mut first = listed();
    let recalled = memory.recall(&mut first).unwrap();
    memory.observe(&mut first, &recalled, now);
    let unknown = Fact::Unknown(Unknown::FirstListing);
    assert_eq!(
        times(&first),
        observed(unknown),
        "what was known stays, what was not looked up has no time"
    );

    ledger.keep(first.repository(), &Sightings::default()).unwrap();
    let mut second = listed();
    let recalled = memory.recall(&mut second).unwrap();
    memory.observe(&mut second, &recalled, now);
    assert_eq!(times(&second), observed(Fact::Known(now)));

    // Without a ledger nothing is added: a saved plan would carry it along.
    let mut without = listed();
    let recalled = Memory::default().recall(&mut without).unwrap();
    Memory::default().observe(&mut without, &recalled, now);
    assert_eq!(without, listed());
}

#[tokio::test]
async fn an_index_that_lost_its_tag_keeps_its_children_until_it_is_gone() {
    let (mut fake, place) = (Fake::default(), Place::default());
    let app = fake.repository("team/app");
    let child = app.image(&["v1"], 1);
    for day in 2..5 {
        app.image(&[&format!("v{day}")], day);
    }
    let size = app.manifests[&child].1.len();
    let index = format!(
        r#"{{"manifests":[{{"mediaType":"{}","digest":"{child}","size":{size}}}]}}"#,
        MediaType::OCI_MANIFEST
    );
    let index = app.manifest(&["latest"], MediaType::OCI_INDEX, &index);
    let by_created = policies(&["team/*"], last(1, Order::Clock(Clock::Created)));
    place.run(&fake, &by_created, 1, true).await;
    fake.repository("team/app")
        .tags
        .remove(&"latest".parse().unwrap());
    let (deleted, _) = place.run(&fake, &by_created, 2, true).await;
    assert_eq!(deleted, ["v2", "v3"], "v1 is a child of what may be there still");
    fake.repository("team/app").manifests.remove(&index);
    for day in [3, 4] {
        let (deleted, _) = place.run(&fake, &by_created, day, true).await;
        assert_eq!(deleted, ["v1", "v2", "v3"]);
    }
}
