//! The ledger: a file for each repository, in two copies.
//!
//! It is evidence. A copy that is damaged is made anew from the other; where both are, the repository has no ledger until
//! somebody has moved them away, for whatever is made up in their place could let something look older than it is.
//!
//! The first copy is synced before it takes its name, the second is not: a power cut leaves the first as it was or as it
//! is, and the second only helps where the disk itself loses something. What is lost with the last write is when
//! something was first seen, which is then later: more is kept.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lagan_model::memory::{DigestSighting, LedgerError, ObservationLedger, Sightings, TagSighting};
use lagan_model::{Digest, Fact, RepositoryName, Tag, Time, Unknown};
use serde::{Deserialize, Serialize};

use super::Room;
use crate::directory::LEDGER;
use crate::files;
use crate::format::hash::Checksum;
use crate::format::line;

/// The format that is written, and the newest that is read.
const VERSION: u32 = 1;

/// The ledger of one registry.
#[derive(Debug)]
pub struct DiskLedger {
    room: Arc<Room>,
    directory: PathBuf,
    registry: String,
}

/// A repository's file. What was first seen at the same time stands together.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    v: u32,
    registry: String,
    repository: RepositoryName,
    /// Counts the writes: of two copies that differ, the later one counts.
    round: u64,
    seen: Vec<Seen>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    /// `null`: when the tags were first looked up.
    since: Option<Time>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<Tag, Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    digests: Vec<Digest>,
    /// Indexes that had a tag, and may be there still.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    indexes: Vec<Digest>,
}

/// What a copy is.
enum Copy {
    Missing,
    Sound(Page),
    Damaged(String),
}

impl DiskLedger {
    pub(super) fn of(room: Arc<Room>, registry: &str) -> Self {
        let directory = room.root.join(LEDGER).join(name_of(registry));
        Self {
            room,
            directory,
            registry: registry.to_owned(),
        }
    }

    /// The two copies of a repository. Names from outside are never paths.
    fn copies(&self, repository: &RepositoryName) -> [PathBuf; 2] {
        let name = name_of(repository.as_str());
        ["json", "copy.json"].map(|extension| self.directory.join(format!("{name}.{extension}")))
    }

    fn read(&self, path: &Path, repository: &RepositoryName) -> io::Result<Copy> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copy::Missing),
            Err(error) if files::is_unreadable(&error) => return Ok(Copy::Damaged(error.to_string())),
            text => text?,
        };
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        if line::check(text).is_none() {
            return Ok(Copy::Damaged("its checksum is wrong".to_owned()));
        }
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let version: Version = serde_json::from_slice(text).map_err(|error| invalid(error.to_string()))?;
        if version.v > VERSION {
            let why = format!(
                "it is of format {}, and this version reads up to {VERSION}",
                version.v
            );
            return Err(invalid(why));
        }
        let page: Page = serde_json::from_slice(text).map_err(|error| invalid(error.to_string()))?;
        if page.registry != self.registry || page.repository != *repository {
            return Ok(Copy::Damaged(format!("it is of {}", page.repository)));
        }
        Ok(Copy::Sound(page))
    }

    /// The copy that counts.
    fn page(&self, repository: &RepositoryName) -> Result<Option<Page>, LedgerError> {
        let [first, second] = self.copies(repository);
        let failed = |path: &Path, error: io::Error| LedgerError {
            doing: format!("read the ledger of {repository} in {}", path.display()),
            source: error.into(),
        };
        let one = self
            .read(&first, repository)
            .map_err(|error| failed(&first, error))?;
        let two = self
            .read(&second, repository)
            .map_err(|error| failed(&second, error))?;
        let repaired = |damaged: &Path, why: &str| {
            self.room.tell(format!(
                "a copy of the ledger of {repository} is damaged ({}: {why}); the other one is sound, and is used",
                damaged.display()
            ));
        };
        match (one, two) {
            (Copy::Missing, Copy::Missing) => Ok(None),
            (Copy::Sound(one), Copy::Sound(two)) => Ok(Some(if two.round > one.round { two } else { one })),
            (Copy::Sound(page), Copy::Missing) | (Copy::Missing, Copy::Sound(page)) => Ok(Some(page)),
            (Copy::Sound(page), Copy::Damaged(why)) => {
                repaired(&second, &why);
                Ok(Some(page))
            }
            (Copy::Damaged(why), Copy::Sound(page)) => {
                repaired(&first, &why);
                Ok(Some(page))
            }
            (Copy::Damaged(why), _) | (_, Copy::Damaged(why)) => {
                let why = format!(
                    "both copies are damaged ({why}); what was seen there counts as not recorded until {} and {} are \
                     moved away",
                    first.display(),
                    second.display()
                );
                Err(failed(&first, io::Error::new(io::ErrorKind::InvalidData, why)))
            }
        }
    }

    fn write(&self, repository: &RepositoryName, page: &Page) -> io::Result<()> {
        let (mut text, _) = line::seal(page)?;
        text.push(b'\n');
        if !self.room.has_room(2 * text.len() as u64) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        files::create_durably(&*self.room.files, &self.directory)?;
        let [first, second] = self.copies(repository);
        files::replace(&*self.room.files, &first, &text)?;
        files::replace_unsynced(&*self.room.files, &second, &text)
    }
}

impl ObservationLedger for DiskLedger {
    fn recall(&self, repository: &RepositoryName) -> Result<Option<Sightings>, LedgerError> {
        Ok(self.page(repository)?.map(|page| page.into_sightings()))
    }

    fn keep(&self, repository: &RepositoryName, sightings: &Sightings) -> Result<(), LedgerError> {
        // What cannot be read is not written over.
        let before = self.page(repository)?;
        let page = Page {
            v: VERSION,
            registry: self.registry.clone(),
            repository: repository.clone(),
            round: before.map_or(0, |before| before.round) + 1,
            seen: grouped(sightings),
        };
        self.write(repository, &page).map_err(|error| LedgerError {
            doing: format!("write the ledger of {repository} in {}", self.directory.display()),
            source: error.into(),
        })
    }
}

impl Page {
    fn into_sightings(self) -> Sightings {
        let mut sightings = Sightings::default();
        for seen in self.seen {
            let since = seen
                .since
                .map_or(Fact::Unknown(Unknown::FirstListing), Fact::Known);
            let digests = [(seen.digests, false), (seen.indexes, true)];
            for (digests, tagged_index) in digests {
                let sighting = DigestSighting { since, tagged_index };
                let known = digests.into_iter().map(|digest| (digest, sighting));
                sightings.digests.extend(known);
            }
            let tags = seen.tags.into_iter();
            sightings
                .tags
                .extend(tags.map(|(tag, digest)| (tag, TagSighting { digest, since })));
        }
        sightings
    }
}

fn grouped(sightings: &Sightings) -> Vec<Seen> {
    let mut groups: BTreeMap<Option<Time>, Seen> = BTreeMap::new();
    for (tag, sighting) in &sightings.tags {
        let digest = sighting.digest.clone();
        group_of(&mut groups, sighting.since)
            .tags
            .insert(tag.clone(), digest);
    }
    for (digest, sighting) in &sightings.digests {
        let group = group_of(&mut groups, sighting.since);
        let digests = if sighting.tagged_index {
            &mut group.indexes
        } else {
            &mut group.digests
        };
        digests.push(digest.clone());
    }
    groups.into_values().collect()
}

fn group_of(groups: &mut BTreeMap<Option<Time>, Seen>, since: Fact<Time>) -> &mut Seen {
    let since = since.known();
    groups.entry(since).or_insert_with(|| Seen {
        since,
        ..Seen::default()
    })
}

/// A name for a file: 128 bits of the hash, which nobody finds two names for by accident; the file says whose it is.
fn name_of(text: &str) -> String {
    Checksum::of(text.as_bytes()).to_string()[..32].to_owned()
}
