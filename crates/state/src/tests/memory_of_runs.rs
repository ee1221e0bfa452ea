//! The cache, which may be lost, and the ledger, which may not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lagan_model::memory::{
    ConfigFacts, DigestSighting, FactCache, ObservationLedger, Sightings, TagSighting,
};
use lagan_model::{
    Digest, Fact, Manifest, MediaType, RegistryIdentity, RegistryKind, RepositoryName, Time, Unknown,
};
use proptest::prelude::*;

use super::{options, room};
use crate::copies::kv::{Batch, Kv};
use crate::{DiskJournal, Memory, Options, StateError};

fn registry(url: &str) -> RegistryIdentity {
    RegistryIdentity {
        name: "r".parse().unwrap(),
        url: url.to_owned(),
        kind: RegistryKind::Oci,
    }
}

fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn at(day: u32) -> Time {
    format!("2026-11-{day:02}T00:00:00Z").parse().unwrap()
}

/// An empty directory that a user made.
fn place() -> (tempfile::TempDir, PathBuf) {
    let (place, root) = room();
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    (place, root)
}

fn open(root: &Path) -> Memory {
    Memory::open(root, &options()).unwrap()
}

fn sightings(day: u32) -> Sightings {
    let since = Fact::Known(at(day));
    let digest = Digest::of(b"1");
    let known = DigestSighting {
        since,
        tagged_index: true,
    };
    Sightings {
        tags: BTreeMap::from([(
            "a".parse().unwrap(),
            TagSighting {
                digest: digest.clone(),
                since: Fact::Unknown(Unknown::FirstListing),
            },
        )]),
        digests: BTreeMap::from([(digest, known)]),
    }
}

pub(super) fn a_manifest(number: u32) -> Manifest {
    let config = Digest::of(b"config");
    let text = format!(
        r#"{{"config":{{"mediaType":"{}","digest":"{config}","size":7}},"layers":[],"annotations":{{"n":"{number}"}}}}"#,
        MediaType::OCI_CONFIG
    );
    let digest = Digest::of(text.as_bytes());
    Manifest::read(text.into_bytes().into(), digest, Some(&MediaType::OCI_MANIFEST)).unwrap()
}

/// What the cache has of a manifest: its type and its bytes.
fn cached(memory: &Memory, manifest: &Manifest) -> Option<(MediaType, Bytes)> {
    let found = memory.cache().manifest(manifest.digest())?;
    Some((found.media_type().clone(), found.bytes().clone()))
}

fn whole(manifest: &Manifest) -> Option<(MediaType, Bytes)> {
    Some((manifest.media_type().clone(), manifest.bytes().clone()))
}

/// Files of the ledger, both copies of each repository, sorted.
fn pages(root: &Path) -> Vec<PathBuf> {
    let registries = fs::read_dir(root.join("ledger")).unwrap();
    let mut pages: Vec<PathBuf> = registries
        .flat_map(|registry| fs::read_dir(registry.unwrap().path()).unwrap())
        .map(|page| page.unwrap().path())
        .collect();
    pages.sort();
    pages
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_was_seen_is_told_by_registry_and_repository_also_after_a_restart() {
    let (_place, root) = place();
    let memory = open(&root);
    let one = memory.ledger(&registry("http://one"));
    let name = repository("team/app");
    assert_eq!(one.recall(&name).unwrap(), None);
    one.keep(&name, &sightings(1)).unwrap();
    one.keep(&name, &sightings(2)).unwrap();
    drop((one, memory));
    let memory = open(&root);
    let one = memory.ledger(&registry("http://one"));
    assert_eq!(one.recall(&name).unwrap(), Some(sightings(2)));
    assert_eq!(one.recall(&repository("team/other")).unwrap(), None);
    let two = memory.ledger(&registry("http://two"));
    assert_eq!(two.recall(&name).unwrap(), None);
    assert!(memory.take_notices().is_empty());
    for page in pages(&root) {
        assert_eq!(fs::metadata(page).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

fn a_fact() -> impl Strategy<Value = Fact<Time>> {
    prop_oneof![
        Just(Fact::Unknown(Unknown::FirstListing)),
        (1_u32..28).prop_map(|day| Fact::Known(at(day))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sightings_come_back(
        tags in proptest::collection::btree_map("[a-z]{1,8}", (0_u8..9, a_fact()), 0..20),
        digests in proptest::collection::btree_map(0_u8..30, (a_fact(), any::<bool>()), 0..20),
    ) {
        let digest = |number: u8| Digest::of(&[number]);
        let tags = tags.into_iter().map(|(tag, (number, since))| {
            (tag.parse().unwrap(), TagSighting { digest: digest(number), since })
        });
        let digests = digests.into_iter().map(|(number, (since, tagged_index))| {
            (digest(number), DigestSighting { since, tagged_index })
        });
        let expected = Sightings { tags: tags.collect(), digests: digests.collect() };
        let (_place, root) = place();
        let memory = open(&root);
        let ledger = memory.ledger(&registry("http://one"));
        ledger.keep(&repository("a"), &expected).unwrap();
        prop_assert_eq!(ledger.recall(&repository("a")).unwrap(), Some(expected));
    }
}

#[test]
fn a_copy_that_is_damaged_or_gone_is_made_anew_from_the_other() {
    for copy in 0..2 {
        for gone in [false, true] {
            let (_place, root) = place();
            let memory = open(&root);
            let ledger = memory.ledger(&registry("http://one"));
            let name = repository("team/app");
            ledger.keep(&name, &sightings(1)).unwrap();
            let pages = pages(&root);
            assert_eq!(pages.len(), 2);
            if gone {
                fs::remove_file(&pages[copy]).unwrap();
            } else {
                flip(&pages[copy]);
            }
            assert_eq!(ledger.recall(&name).unwrap(), Some(sightings(1)));
            assert_eq!(memory.take_notices().is_empty(), gone);
            ledger.keep(&name, &sightings(2)).unwrap();
            memory.take_notices();
            fs::remove_file(&pages[1 - copy]).unwrap();
            assert_eq!(ledger.recall(&name).unwrap(), Some(sightings(2)));
            assert!(memory.take_notices().is_empty());
        }
    }
}

#[test]
fn a_ledger_that_is_damaged_in_both_copies_is_an_error_and_never_begun_anew() {
    let (_place, root) = place();
    let memory = open(&root);
    let ledger = memory.ledger(&registry("http://one"));
    let name = repository("team/app");
    ledger.keep(&name, &sightings(1)).unwrap();
    let pages = pages(&root);
    pages.iter().for_each(|page| flip(page));
    let damaged: Vec<_> = pages.iter().map(|page| fs::read(page).unwrap()).collect();
    let error = ledger.recall(&name).unwrap_err();
    let why = error.source.to_string();
    assert!(
        why.contains("both copies are damaged") && why.contains("moved away"),
        "{why}"
    );
    ledger.keep(&name, &sightings(2)).unwrap_err();
    let after: Vec<_> = pages.iter().map(|page| fs::read(page).unwrap()).collect();
    assert_eq!(after, damaged);
    // Another repository is none the worse for it, and moving them away is the way out.
    ledger.keep(&repository("team/b"), &sightings(1)).unwrap();
    pages.iter().for_each(|page| fs::remove_file(page).unwrap());
    assert_eq!(ledger.recall(&name).unwrap(), None);
}

#[test]
fn a_ledger_of_a_newer_version_is_an_error_and_left_as_it_is() {
    let (_place, root) = place();
    let memory = open(&root);
    let ledger = memory.ledger(&registry("http://one"));
    ledger.keep(&repository("a"), &sightings(1)).unwrap();
    let (newer, _) = crate::format::line::seal(&serde_json::json!({ "v": 2, "more": true })).unwrap();
    for page in pages(&root) {
        fs::write(page, &newer).unwrap();
    }
    let error = ledger.keep(&repository("a"), &sightings(2)).unwrap_err();
    assert!(error.source.to_string().contains("format 2"), "{}", error.source);
    assert!(pages(&root).iter().all(|page| fs::read(page).unwrap() == newer));
}

#[test]
fn a_page_of_another_repository_is_damage() {
    let (_place, root) = place();
    let memory = open(&root);
    let ledger = memory.ledger(&registry("http://one"));
    ledger.keep(&repository("a"), &sightings(1)).unwrap();
    let of_a = pages(&root);
    ledger.keep(&repository("b"), &sightings(2)).unwrap();
    for page in pages(&root).iter().filter(|page| !of_a.contains(page)) {
        fs::copy(&of_a[0], page).unwrap();
    }
    let why = ledger.recall(&repository("b")).unwrap_err().source.to_string();
    assert!(why.contains("it is of a"), "{why}");
}

#[test]
fn what_digests_name_is_found_again_as_it_was() {
    let (_place, root) = place();
    let memory = open(&root);
    let manifest = a_manifest(1);
    let config = Digest::of(b"config");
    let facts = ConfigFacts {
        created: Fact::Known(at(1)),
        labels: Fact::Known(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
    };
    assert_eq!(cached(&memory, &manifest), None);
    assert_eq!(memory.cache().config(&config), None);
    memory.cache().keep_manifest(&manifest);
    memory.cache().keep_config(&config, &facts);
    drop(memory);
    let memory = open(&root);
    assert_eq!(cached(&memory, &manifest), whole(&manifest));
    assert_eq!(memory.cache().config(&config), Some(facts));
}

#[test]
fn what_is_used_outlives_what_is_not_when_the_cache_is_full() {
    let (_place, root) = place();
    let small = Options {
        // Every opening begins a generation.
        cache_limit: 1,
        reserve: 0,
        ..options()
    };
    let large = Options {
        cache_limit: 1 << 30,
        ..small.clone()
    };
    let (used, unused) = (a_manifest(1), a_manifest(2));
    let memory = Memory::open(&root, &large).unwrap();
    memory.cache().keep_manifest(&used);
    memory.cache().keep_manifest(&unused);
    drop(memory);
    for _ in 0..3 {
        drop(Memory::open(&root, &small).unwrap());
        let memory = Memory::open(&root, &large).unwrap();
        assert_eq!(cached(&memory, &used), whole(&used));
        assert!(fs::read_dir(root.join("cache")).unwrap().count() <= 2);
    }
    let memory = Memory::open(&root, &large).unwrap();
    assert_eq!(cached(&memory, &unused), None);
}

#[test]
fn a_cache_that_is_damaged_costs_requests_and_nothing_else() {
    let (_place, root) = place();
    let manifests: Vec<_> = (0..40).map(a_manifest).collect();
    let memory = open(&root);
    manifests
        .iter()
        .for_each(|manifest| memory.cache().keep_manifest(manifest));
    drop(memory);
    let db = root.join("cache/v2.1/db");
    let sound = fs::read(&db).unwrap();
    for place in (0..sound.len()).step_by(sound.len() / 60) {
        let mut damaged = sound.clone();
        damaged[place] ^= 0x40;
        fs::write(&db, &damaged).unwrap();
        let memory = open(&root);
        for manifest in &manifests {
            let found = cached(&memory, manifest);
            assert!(found.is_none() || found == whole(manifest), "byte {place}");
        }
        memory.cache().keep_manifest(&manifests[0]);
        drop(memory);
    }
    fs::write(&db, b"no store at all").unwrap();
    let memory = open(&root);
    memory.cache().keep_manifest(&manifests[0]);
    drop(memory);
    drop(open(&root));
}

#[test]
fn a_cache_of_another_format_is_removed() {
    let (_place, root) = place();
    drop(open(&root));
    let other = root.join("cache/v1.1");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("db"), b"as it once was").unwrap();
    drop(open(&root));
    assert!(!other.exists());
    assert!(root.join("cache/v2.1/db").exists());
}

#[test]
fn a_manifest_of_which_a_part_is_missing_in_the_cache_is_not_believed() {
    let (_place, root) = place();
    let digests: Vec<_> = (0..400_u32)
        .map(|n| Digest::of(&n.to_be_bytes()).to_string())
        .collect();
    let text = format!(
        r#"{{"config":{{"mediaType":"{}","digest":"{}","size":7}},"layers":[],"annotations":{{"n":"{}"}}}}"#,
        MediaType::OCI_CONFIG,
        Digest::of(b"config"),
        digests.concat()
    );
    let digest = Digest::of(text.as_bytes());
    let manifest = Manifest::read(text.into(), digest, Some(&MediaType::OCI_MANIFEST)).unwrap();
    let memory = open(&root);
    memory.cache().keep_manifest(&manifest);
    assert_eq!(cached(&memory, &manifest), whole(&manifest));
    drop(memory);
    let store = root.join("cache/v2.1");
    let parts = {
        let kv = Kv::open(&store, 1 << 20).unwrap();
        kv.suffixes(b"m").unwrap()
    };
    assert!(parts.len() > 2, "it is kept in {} parts", parts.len());
    for missing in parts {
        let key = [b"m".as_slice(), &missing].concat();
        let kv = Kv::open(&store, 1 << 20).unwrap();
        let part = kv.get(&key).unwrap().unwrap();
        let mut batch = Batch::default();
        batch.remove(&key);
        kv.apply(batch).unwrap();
        drop(kv);
        let memory = open(&root);
        assert_eq!(cached(&memory, &manifest), None);
        drop(memory);
        let mut batch = Batch::default();
        batch.set(&key, &part);
        Kv::open(&store, 1 << 20).unwrap().apply(batch).unwrap();
    }
    assert_eq!(cached(&open(&root), &manifest), whole(&manifest));
}

#[test]
fn memory_needs_no_journal_and_stands_beside_one() {
    let (_place, root) = room();
    assert!(matches!(
        Memory::open(&root, &options()),
        Err(StateError::Absent { .. })
    ));
    assert!(!root.exists());
    let (_place, root) = place();
    let memory = open(&root);
    assert!(matches!(
        DiskJournal::open(&root, &options()),
        Err(StateError::InUse { .. })
    ));
    drop(memory);
    let journal = DiskJournal::open(&root, &options()).unwrap();
    let memory = Memory::beside(&journal, &options()).unwrap();
    memory.cache().keep_manifest(&a_manifest(1));
    drop(journal);
    // The directory belongs to whoever holds a part of it.
    assert!(matches!(
        DiskJournal::open(&root, &options()),
        Err(StateError::InUse { .. })
    ));
    drop(memory);
    DiskJournal::open(&root, &options()).unwrap();
}

#[test]
fn the_ledger_leaves_the_room_that_the_journal_needs() {
    let (_place, root) = place();
    let full = Options {
        reserve: u64::MAX,
        ..options()
    };
    let memory = Memory::open(&root, &full).unwrap();
    let ledger = memory.ledger(&registry("http://one"));
    ledger.keep(&repository("a"), &sightings(1)).unwrap_err();
    memory.cache().keep_manifest(&a_manifest(1));
    assert_eq!(cached(&memory, &a_manifest(1)), None);
    assert_eq!(ledger.recall(&repository("a")).unwrap(), None);
}
