//! Reading a plan, one repository at a time.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use lagan_model::{
    Capabilities, RegistryIdentity, RepositoryName, RepositorySnapshot, RequestCounts, Seen, Time,
};
use lagan_policy::{GuardReport, Mode, PolicyName, RepositoryPlan, Totals};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::error::PlanFileError;
use super::scan::Scanner;
use super::{SCHEMA, SEAL, SEAL_END, SEAL_LENGTH};
use crate::plan::ClockNote;

/// How many bytes of one repository are read: over a million tags with their facts.
const MAX_REPOSITORY: usize = 1 << 30;

/// How many bytes of any other part are read.
const MAX_PART: usize = 64 << 20;

/// What stands in front of the repositories of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedHead {
    /// The plan's identifier.
    pub id: String,
    /// When it was made.
    pub created: Time,
    /// The time that decisions used.
    pub now: Time,
    /// The registry.
    pub registry: RegistryIdentity,
    /// The policies that were evaluated.
    pub policies: Vec<SavedPolicy>,
    /// The words that were added to the channel table, as documents write them.
    pub channels: Option<Value>,
    /// The clocks that rules read.
    pub clocks: Vec<ClockNote>,
    /// What the limits said.
    pub guards: Vec<GuardReport>,
}

/// A policy that a plan was made by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SavedPolicy {
    /// Its name.
    pub name: PolicyName,
    /// The SHA-256 of its native form.
    pub sha256: String,
    /// Whether it could delete.
    pub mode: Mode,
    /// Whether it made candidates; `None` in a plan that was not saved.
    #[serde(default)]
    pub asked: Option<bool>,
    /// Its body in native form; `None` in a plan that was not saved.
    #[serde(default)]
    pub policy: Option<Value>,
}

/// One repository of a plan, and what it was decided from.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedRepository {
    /// What was planned.
    pub plan: RepositoryPlan,
    /// What was seen; `None` where nothing was decided, and in a plan that was not saved.
    pub seen: Option<Seen>,
}

/// What stands behind the repositories.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedFoot {
    /// The sums.
    pub totals: Totals,
    /// The requests that the plan took.
    pub requests: RequestCounts,
}

/// Reads a plan: first its [head](Self::head), then [one repository after another](Self::next_repository), then
/// its [foot](Self::finish). Holds one repository.
#[derive(Debug)]
pub struct PlanReader<R> {
    scanner: Scanner<Hashing<R>>,
    head: SavedHead,
    /// The checksum that was verified before anything was read.
    verified: Option<String>,
    last: Option<RepositoryName>,
    totals: Totals,
    any: bool,
    done: bool,
}

/// What a repository has besides its [`RepositoryPlan`].
#[derive(Deserialize)]
struct Beside {
    kept: Option<IgnoredAny>,
    #[serde(default)]
    tagged_artifacts: u64,
    #[serde(default)]
    tagged_artifacts_deleted: u64,
    #[serde(default)]
    bytes_reclaimable: Option<u64>,
    #[serde(default)]
    capabilities: Option<Capabilities>,
    #[serde(default)]
    snapshot: Option<RepositorySnapshot>,
}

/// Whether a file is a saved plan, and as it was written. Reads it once, in bounded memory, and gives its checksum.
///
/// # Errors
///
/// When it is no plan, of a later version, without a checksum, or with another one.
pub fn verify(input: impl Read) -> Result<String, PlanFileError> {
    let mut input = io::BufReader::with_capacity(64 * 1024, input);
    let mut sha256 = Sha256::new();
    // What was read and may belong to the end, which is not covered.
    let mut held: Vec<u8> = Vec::with_capacity(128 * 1024);
    let mut first = true;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let count = buffer.len();
        held.extend_from_slice(buffer);
        input.consume(count);
        if first && held.len() >= 64 {
            schema(&held)?;
            first = false;
        }
        let covered = held.len().saturating_sub(SEAL_LENGTH);
        if !first && covered > 0 {
            sha256.update(&held[..covered]);
            held.drain(..covered);
        }
    }
    if first {
        schema(&held)?;
    }
    let said = std::str::from_utf8(&held)
        .ok()
        .and_then(|end| end.strip_prefix(SEAL)?.strip_suffix(SEAL_END))
        .filter(|said| said.len() == 64 && said.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or(PlanFileError::Truncated)?;
    let found = format!("{:x}", sha256.finalize());
    if found == said {
        Ok(found)
    } else {
        let said = said.to_owned();
        Err(PlanFileError::Edited { found, said })
    }
}

/// Looks at how a file begins: a saved plan is written without any space there.
fn schema(start: &[u8]) -> Result<(), PlanFileError> {
    let rest = start
        .strip_prefix(b"{\"schema\":\"")
        .ok_or(PlanFileError::NotAPlan)?;
    let length = rest
        .iter()
        .take(50)
        .position(|byte| *byte == b'"')
        .ok_or(PlanFileError::NotAPlan)?;
    known(&String::from_utf8_lossy(&rest[..length]))
}

fn known(schema: &str) -> Result<(), PlanFileError> {
    if schema == SCHEMA {
        return Ok(());
    }
    let version = schema.strip_prefix("lagan.plan/v");
    let is_version = version.is_some_and(|version| {
        !version.is_empty() && version.len() < 10 && version.bytes().all(|byte| byte.is_ascii_digit())
    });
    Err(if is_version {
        PlanFileError::Newer(schema.to_owned())
    } else {
        PlanFileError::NotAPlan
    })
}

impl<R: BufRead + Seek> PlanReader<R> {
    /// Opens a plan that must be as `--save` wrote it: its checksum is verified before anything is believed, and
    /// again when it was read.
    ///
    /// # Errors
    ///
    /// See [`PlanFileError`].
    pub fn saved(mut input: R) -> Result<Self, PlanFileError> {
        let verified = verify(&mut input)?;
        input.seek(SeekFrom::Start(0))?;
        let mut reader = Self::open(input)?;
        reader.verified = Some(verified);
        Ok(reader)
    }

    /// Opens a plan for reading alone: one that was saved must be as it was written, one without a checksum is
    /// read as far as it is whole.
    ///
    /// # Errors
    ///
    /// See [`PlanFileError`].
    pub fn any(mut input: R) -> Result<Self, PlanFileError> {
        let verified = match verify(&mut input) {
            Ok(sha256) => Some(sha256),
            // Written with --format json, or reformatted since.
            Err(PlanFileError::Truncated | PlanFileError::NotAPlan) => None,
            Err(error) => return Err(error),
        };
        input.seek(SeekFrom::Start(0))?;
        let mut reader = Self::open(input)?;
        reader.verified = verified;
        Ok(reader)
    }
}

impl<R: BufRead> PlanReader<R> {
    fn open(input: R) -> Result<Self, PlanFileError> {
        let mut scanner = Scanner::new(Hashing::new(input));
        if !scanner.take(b'{')? {
            return Err(PlanFileError::NotAPlan);
        }
        let mut head = HeadParts::default();
        loop {
            let name = match member_name(&mut scanner) {
                // Some other kind of object.
                Err(PlanFileError::Malformed { .. }) if !head.named => return Err(PlanFileError::NotAPlan),
                name => name?,
            };
            if !head.named {
                if name != "schema" {
                    return Err(PlanFileError::NotAPlan);
                }
                known(&part::<String, _>(&mut scanner, "schema").map_err(|_| PlanFileError::NotAPlan)?)?;
                head.named = true;
            } else if name == "repositories" {
                scanner.expect(b'[', "repositories")?;
                break;
            } else {
                head.read(&name, &mut scanner)?;
            }
            scanner.expect(b',', "the head")?;
        }
        let head = head.whole().ok_or_else(|| scanner.malformed("the head", None))?;
        Ok(Self {
            scanner,
            head,
            verified: None,
            last: None,
            totals: Totals::default(),
            any: false,
            done: false,
        })
    }

    /// What stands in front of the repositories.
    pub fn head(&self) -> &SavedHead {
        &self.head
    }

    /// The next repository, in the order of names; `None` behind the last.
    ///
    /// # Errors
    ///
    /// See [`PlanFileError`].
    pub fn next_repository(&mut self) -> Result<Option<SavedRepository>, PlanFileError> {
        if self.done {
            return Ok(None);
        }
        if self.scanner.take(b']')? {
            self.done = true;
            return Ok(None);
        }
        if self.any {
            self.scanner.expect(b',', "repositories")?;
        }
        self.any = true;
        let what = "a repository";
        let bytes = self.scanner.value(MAX_REPOSITORY, what)?;
        // Twice over the same bytes: what is beside a plan is no part of its type.
        let beside = serde_json::from_slice::<Beside>(bytes).and_then(|beside| {
            if beside.kept.is_none() {
                return Ok(None);
            }
            Ok(Some((beside, serde_json::from_slice::<RepositoryPlan>(bytes)?)))
        });
        let (beside, mut plan) = match beside {
            Ok(Some(both)) => both,
            Ok(None) => return Err(PlanFileError::WithoutKept),
            Err(error) => return Err(self.scanner.malformed(what, Some(error))),
        };
        plan.tagged_artifacts = beside.tagged_artifacts;
        plan.tagged_artifacts_deleted = beside.tagged_artifacts_deleted;
        plan.bytes_reclaimable = beside.bytes_reclaimable;
        if self.last.as_ref().is_some_and(|last| *last >= plan.name) {
            return Err(PlanFileError::Order(plan.name));
        }
        self.last = Some(plan.name.clone());
        self.totals.add(&plan);
        let seen = beside
            .snapshot
            .map(|snapshot| {
                snapshot.check()?;
                if *snapshot.repository() != plan.name || snapshot.complete().is_err() {
                    return Err(self.scanner.malformed("a snapshot", None));
                }
                Ok(Seen {
                    capabilities: beside.capabilities.unwrap_or_default(),
                    snapshot,
                })
            })
            .transpose()?;
        Ok(Some(SavedRepository { plan, seen }))
    }

    /// Reads to the end, and what stands behind the repositories.
    ///
    /// # Errors
    ///
    /// See [`PlanFileError`].
    pub fn finish(mut self) -> Result<SavedFoot, PlanFileError> {
        while self.next_repository()?.is_some() {}
        let (mut totals, mut requests) = (None, None);
        while self.scanner.take(b',')? {
            let name = member_name(&mut self.scanner)?;
            match name.as_str() {
                "totals" => totals = Some(part::<Totals, _>(&mut self.scanner, &name)?),
                "requests" => requests = Some(part::<RequestCounts, _>(&mut self.scanner, &name)?),
                _ => {
                    self.scanner.value(MAX_PART, &name)?;
                }
            }
        }
        self.scanner.expect(b'}', "the end")?;
        if self.scanner.peek()?.is_some() {
            return Err(self.scanner.malformed("what stands behind the plan", None));
        }
        let (Some(totals), Some(requests)) = (totals, requests) else {
            return Err(self.scanner.malformed("the end", None));
        };
        if counted(&totals) != counted(&self.totals) {
            return Err(PlanFileError::Totals);
        }
        let found = self.scanner.into_input().finish();
        match self.verified {
            Some(verified) if verified != found => Err(PlanFileError::Changed),
            _ => Ok(SavedFoot { totals, requests }),
        }
    }
}

/// Those sums that the repositories as written can be held against.
fn counted(totals: &Totals) -> [u64; 7] {
    [
        totals.repositories,
        totals.tags,
        totals.delete_artifacts,
        totals.delete_tags,
        totals.untag,
        totals.kept_tags,
        totals.incomplete_repositories,
    ]
}

/// The members in front of the repositories, in any order.
#[derive(Default)]
struct HeadParts {
    /// Whether the schema was named, which is the first of them.
    named: bool,
    id: Option<String>,
    created: Option<Time>,
    now: Option<Time>,
    registry: Option<RegistryIdentity>,
    policies: Option<Vec<SavedPolicy>>,
    channels: Option<Value>,
    clocks: Option<Vec<ClockNote>>,
    guards: Option<Vec<GuardReport>>,
}

impl HeadParts {
    fn read<R: BufRead>(&mut self, name: &str, scanner: &mut Scanner<R>) -> Result<(), PlanFileError> {
        match name {
            "id" => self.id = Some(part(scanner, name)?),
            "created" => self.created = Some(part(scanner, name)?),
            "now" => self.now = Some(part(scanner, name)?),
            "registry" => self.registry = Some(part(scanner, name)?),
            "policies" => self.policies = Some(part(scanner, name)?),
            "channels" => self.channels = Some(part(scanner, name)?),
            "clocks" => self.clocks = Some(part(scanner, name)?),
            "guards" => self.guards = Some(part(scanner, name)?),
            // Of a later version that changed nothing else.
            _ => {
                scanner.value(MAX_PART, name)?;
            }
        }
        Ok(())
    }

    fn whole(self) -> Option<SavedHead> {
        Some(SavedHead {
            id: self.id?,
            created: self.created?,
            now: self.now?,
            registry: self.registry?,
            policies: self.policies?,
            channels: self.channels,
            clocks: self.clocks?,
            guards: self.guards?,
        })
    }
}

/// The name of a member, and the colon behind it.
fn member_name<R: BufRead>(scanner: &mut Scanner<R>) -> Result<String, PlanFileError> {
    if !matches!(scanner.peek()?, Some(b'"') | None) {
        return Err(scanner.malformed("a name", None));
    }
    let name = part(scanner, "a name")?;
    scanner.expect(b':', "a member")?;
    Ok(name)
}

fn part<T: DeserializeOwned, R: BufRead>(scanner: &mut Scanner<R>, what: &str) -> Result<T, PlanFileError> {
    let value = serde_json::from_slice(scanner.value(MAX_PART, what)?);
    value.map_err(|error| scanner.malformed(what, Some(error)))
}

/// Passes on what it reads, and knows the SHA-256 of all of it but the last [`SEAL_LENGTH`] bytes.
#[derive(Debug)]
struct Hashing<R> {
    input: R,
    sha256: Sha256,
    held: Vec<u8>,
}

impl<R: BufRead> Hashing<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            sha256: Sha256::new(),
            held: Vec::new(),
        }
    }

    fn finish(mut self) -> String {
        let covered = self.held.len().saturating_sub(SEAL_LENGTH);
        self.sha256.update(&self.held[..covered]);
        format!("{:x}", self.sha256.finalize())
    }
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(bytes.len());
        bytes[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // What is consumed is still in the buffer.
        if let Ok(buffer) = self.input.fill_buf() {
            self.held.extend_from_slice(&buffer[..count.min(buffer.len())]);
        }
        self.input.consume(count);
        let covered = self.held.len().saturating_sub(SEAL_LENGTH);
        if covered >= 64 * 1024 {
            self.sha256.update(&self.held[..covered]);
            self.held.drain(..covered);
        }
    }
}
