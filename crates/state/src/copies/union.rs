//! What both copies of a journal hold together: a record that is sound in either is kept.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::Sequence;

use crate::copies::index::{Index, unpacked};
use crate::copies::mirror::{Catalog, CatalogError};
use crate::error::{Problem, StateError};
use crate::files;
use crate::format::hash::Checksum;
use crate::format::line::{EntryLine, VERSION};

/// An entry with its line.
pub(crate) type Found = (Vec<u8>, EntryLine, Checksum);

/// The two copies, as far as they can be read.
pub(crate) struct Union<'a> {
    root: &'a Path,
    mirror: Option<Catalog>,
    index: Option<&'a Index>,
    /// The last number that has to be there.
    known: u64,
}

/// What is done with what is found.
pub(crate) trait Visitor {
    /// The journal's name and the checksum of its header.
    fn header(&mut self, id: &str, checksum: Checksum) -> Result<(), StateError>;

    /// A content that the next group needs, packed and as it was. It may have been told before.
    fn content(&mut self, digest: &Digest, packed: &[u8], bytes: &Bytes) -> Result<(), StateError>;

    /// A group, which is whole.
    fn group(&mut self, group: &[Found]) -> Result<(), StateError>;

    /// Something that is wrong. Where this is no error the walk goes on.
    fn problem(&mut self, problem: Problem) -> Result<(), StateError>;
}

impl<'a> Union<'a> {
    /// Reads the mirror at `mirror`, if it is there; `known` is the last number that is known to have been there.
    pub(crate) fn of(
        root: &'a Path,
        mirror: &Path,
        index: Option<&'a Index>,
        known: u64,
    ) -> Result<Self, StateError> {
        let catalog = match Catalog::of(mirror) {
            Ok(catalog) => Some(catalog),
            Err(CatalogError::Io(error))
                if error.kind() == io::ErrorKind::NotFound || files::is_unreadable(&error) =>
            {
                None
            }
            Err(CatalogError::Io(error)) => return Err(StateError::io("read", mirror)(error)),
            Err(CatalogError::Newer(found)) => {
                return Err(StateError::Newer {
                    path: root.into(),
                    what: "a journal record".to_owned(),
                    found,
                    known: VERSION,
                });
            }
            Err(CatalogError::Forked(sequence)) => {
                return Err(StateError::Lost {
                    path: root.into(),
                    problem: Problem::Forked {
                        sequence: Sequence(sequence),
                    },
                });
            }
        };
        Ok(Self {
            root,
            mirror: catalog,
            index,
            known,
        })
    }

    /// Tells everything in order; the last number.
    pub(crate) fn walk(&self, visitor: &mut impl Visitor) -> Result<u64, StateError> {
        let in_mirror = self.mirror.as_ref().and_then(|mirror| mirror.header().cloned());
        let in_store = self.index.and_then(|index| index.header().ok().flatten());
        for (copy, header) in [("mirror", &in_mirror), ("store", &in_store)] {
            if header.is_none() {
                visitor.problem(one_copy(copy, "its first line is not there"))?;
            }
        }
        if let Some(mirror) = &self.mirror {
            for offset in &mirror.damaged {
                visitor.problem(one_copy("mirror", &format!("the line at byte {offset} is none")))?;
            }
        }
        let (id, checksum) = match (in_mirror, in_store) {
            (Some(mirror), Some(store)) if mirror != store => {
                visitor.problem(Problem::Forked {
                    sequence: Sequence(0),
                })?;
                mirror
            }
            (Some(header), _) | (None, Some(header)) => header,
            (None, None) => {
                visitor.problem(Problem::Missing {
                    sequence: Sequence(0),
                })?;
                (String::new(), Checksum::of(b""))
            }
        };
        visitor.header(&id, checksum)?;

        let last = self.largest();
        let mut previous = checksum;
        let mut told = 0;
        let mut group: Vec<Found> = Vec::new();
        let mut contents = BTreeSet::new();
        for sequence in 1..=last {
            let Some(found) = self.entry(sequence, visitor)? else {
                if self.is_unacknowledged(sequence)? {
                    break;
                }
                visitor.problem(Problem::Missing {
                    sequence: Sequence(sequence),
                })?;
                group.clear();
                continue;
            };
            if found.1.previous != previous {
                visitor.problem(Problem::Unchained {
                    sequence: Sequence(sequence),
                })?;
            }
            previous = found.2;
            let whole = found.1.more == 0;
            group.push(found);
            if whole {
                let mut found = Vec::new();
                for digest in group.iter().flat_map(|(_, entry, _)| &entry.needs) {
                    if contents.insert(digest.clone()) {
                        found.push((digest, self.content(digest, visitor)?));
                    }
                }
                let first = group.first().map_or(sequence, |(_, entry, _)| entry.sequence);
                if found.iter().any(|(_, content)| content.is_none()) && self.is_unacknowledged(first)? {
                    break;
                }
                for (digest, content) in found {
                    match content {
                        Some((packed, bytes)) => visitor.content(digest, &packed, &bytes)?,
                        None => visitor.problem(Problem::Content {
                            sequence: Sequence(sequence),
                            digest: digest.clone(),
                        })?,
                    }
                }
                visitor.group(&group)?;
                group.clear();
                told = sequence;
            }
        }
        if told < self.known {
            visitor.problem(Problem::Short {
                last: Sequence(told),
                known: Sequence(self.known),
            })?;
        }
        Ok(told)
    }

    /// What the mirror has; nothing where the disk cannot read it any more.
    fn readable<T>(&self, answer: io::Result<Option<T>>) -> Result<Option<T>, StateError> {
        match answer {
            Err(error) if files::is_unreadable(&error) => Ok(None),
            answer => answer.map_err(StateError::io("read the mirror in", self.root)),
        }
    }

    /// The largest number in either copy.
    fn largest(&self) -> u64 {
        let mirror = self.mirror.as_ref().map_or(0, Catalog::largest);
        let largest = self.index.and_then(|index| index.largest().ok()).unwrap_or(0);
        let end = self.index.and_then(|index| index.end().ok().flatten());
        mirror.max(largest).max(end.map_or(0, |end| end.sequence))
    }

    fn entry(&self, sequence: u64, visitor: &mut impl Visitor) -> Result<Option<Found>, StateError> {
        let mirror = match &self.mirror {
            Some(mirror) => self.readable(mirror.entry(sequence))?,
            None => None,
        };
        let store = match self.index.map(|index| index.entry(sequence)) {
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                visitor.problem(one_copy("store", &error.to_string()))?;
                None
            }
            None => None,
        };
        match (&mirror, &store) {
            (Some((_, _, mirror)), Some((_, _, store))) if mirror != store => {
                visitor.problem(Problem::Forked {
                    sequence: Sequence(sequence),
                })?;
            }
            (Some(_), None) => {
                visitor.problem(one_copy("store", &format!("record {sequence} is not there")))?
            }
            (None, Some(_)) => {
                visitor.problem(one_copy("mirror", &format!("record {sequence} is not there")))?
            }
            _ => {}
        }
        Ok(mirror.or(store))
    }

    fn content(
        &self,
        digest: &Digest,
        visitor: &mut impl Visitor,
    ) -> Result<Option<(Vec<u8>, Bytes)>, StateError> {
        let mirror = match &self.mirror {
            Some(mirror) => self
                .readable(mirror.content(digest))?
                .and_then(|packed| unpacked(digest, &packed).map(|bytes| (packed, bytes))),
            None => None,
        };
        let store = self.index.and_then(|index| index.content(digest).ok().flatten());
        for (copy, content) in [("mirror", &mirror), ("store", &store)] {
            if content.is_none() && (mirror.is_some() || store.is_some()) {
                visitor.problem(one_copy(
                    copy,
                    &format!("the content {digest} is not there, or damaged"),
                ))?;
            }
        }
        Ok(mirror.or(store))
    }

    /// Whether all that there is from `sequence` on is the last write, which the store never heard of: a power cut
    /// may keep any part of what was not synced, and nobody was told that it is there.
    fn is_unacknowledged(&self, sequence: u64) -> Result<bool, StateError> {
        let end = self.index.and_then(|index| index.end().ok().flatten());
        let (end, mirror) = match (end, self.index, &self.mirror) {
            (Some(end), _, Some(mirror)) => ((end.sequence, end.commit), mirror),
            // A store that was begun and never heard of a write; not one that is gone.
            (None, Some(index), Some(mirror))
                if matches!((index.header(), index.largest()), (Ok(Some(_)), Ok(0))) =>
            {
                ((0, 0), mirror)
            }
            _ => return Ok(false),
        };
        if sequence <= self.known || sequence <= end.0 {
            return Ok(false);
        }
        let commits = mirror
            .commits_from(sequence)
            .map_err(StateError::io("read the mirror in", self.root))?;
        Ok(commits.iter().all(|commit| *commit == end.1 + 1))
    }
}

fn one_copy(copy: &'static str, what: &str) -> Problem {
    Problem::OneCopy {
        copy,
        what: what.to_owned(),
    }
}
