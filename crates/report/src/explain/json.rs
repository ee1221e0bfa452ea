//! `lagan.explain/v1`.

use std::io::{self, Write};

use lagan_policy::version::{Tail, Version};
use lagan_policy::{Channel, TagReading};
use serde::Serialize;

use super::Explanation;
use crate::json::member;

const SCHEMA: &str = "lagan.explain/v1";

#[derive(Serialize)]
struct Reading<'a> {
    channel: Channel,
    version: Option<VersionReading<'a>>,
    variant: Option<&'a str>,
}

#[derive(Serialize)]
struct VersionReading<'a> {
    numbers: [u64; 3],
    /// What orders releases of one channel, as text, whatever it is made of.
    tail: String,
    build: &'a str,
}

impl<'a> From<&'a TagReading> for Reading<'a> {
    fn from(reading: &'a TagReading) -> Self {
        let version = reading.version.as_ref().map(|version| VersionReading {
            numbers: version.numbers,
            tail: tail(version),
            build: &version.build,
        });
        Self {
            channel: reading.channel,
            version,
            variant: reading.variant.as_deref(),
        }
    }
}

/// The tail of a version as its tag writes it, numbers separated by dots.
pub(super) fn tail(version: &Version) -> String {
    match &version.tail {
        Tail::Text(text) => text.to_string(),
        Tail::Numbers(numbers) => {
            let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
            numbers.join(".")
        }
    }
}

pub(super) fn write(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    member(out, '{', "schema", SCHEMA)?;
    member(out, ',', "registry", &explanation.registry)?;
    member(out, ',', "repository", &explanation.repository)?;
    member(out, ',', "tag", &explanation.tag)?;
    member(out, ',', "digest", &explanation.digest)?;
    member(out, ',', "now", &explanation.now)?;
    member(out, ',', "verdict", &explanation.verdict)?;
    member(out, ',', "reasons", &explanation.reasons)?;
    member(out, ',', "reading", &Reading::from(&explanation.reading))?;
    member(out, ',', "selections", &explanation.selections)?;
    member(out, ',', "relations", &explanation.relations)?;
    member(out, ',', "incomplete", &explanation.incomplete)?;
    out.write_all(b"}\n")
}
