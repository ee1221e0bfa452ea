//! An explanation for people: the verdict first, then what led to it.

use std::io::{self, Write};

use lagan_model::Tag;
use lagan_policy::{Channel, TagReading};

use super::json::tail;
use super::{Explanation, Related, Verdict};
use crate::layout::{labelled, listed};
use crate::number::grouped;
use crate::paint::{DELETE, FAINT, HEADING, KEEP, Paint, UNTAG, WARNING};
use crate::sanitize::{clipped, harmless};
use crate::wording::{moment, phrase};

const COLUMN: usize = 12;

/// More relations than this are cut in text; JSON has all of them.
const SHOWN: usize = 20;

pub(super) fn write(out: &mut dyn Write, paint: Paint, explanation: &Explanation) -> io::Result<()> {
    let Explanation {
        registry,
        repository,
        tag,
        ..
    } = explanation;
    let title = format!("{repository}:{tag}");
    let url = clipped(&registry.url, 200);
    writeln!(
        out,
        "{}  on {} ({url})",
        paint.text(HEADING, &title),
        harmless(registry.name.as_str())
    )?;
    let (style, verdict) = match explanation.verdict {
        Verdict::Kept => (KEEP, "is kept"),
        Verdict::Deleted => (DELETE, "would be deleted, with its artifact"),
        Verdict::Untagged => (UNTAG, "would be untagged: its artifact stays"),
    };
    writeln!(out, "{}", paint.text(style, verdict))?;
    if let Some(incomplete) = &explanation.incomplete {
        let why = format!(
            "nothing is decided in this repository: {}",
            clipped(&incomplete.why, 600)
        );
        labelled(out, paint, (WARNING, "INCOMPLETE"), COLUMN, &why)?;
    }
    for reason in &explanation.reasons {
        let label = match (reason.keeps(), explanation.verdict) {
            (true, _) => (KEEP, "keeps"),
            (false, Verdict::Kept) => (FAINT, "would delete"),
            (false, Verdict::Deleted | Verdict::Untagged) => (DELETE, "deletes"),
        };
        labelled(out, paint, label, COLUMN, &phrase(reason))?;
    }

    section(out, paint, "What it is")?;
    let digest = explanation.digest.as_ref();
    let digest = digest.map_or_else(
        || "not asked for: nothing depends on it".to_owned(),
        ToString::to_string,
    );
    labelled(out, paint, (FAINT, "digest"), COLUMN, &digest)?;
    labelled(
        out,
        paint,
        (FAINT, "reads as"),
        COLUMN,
        &reading(&explanation.reading),
    )?;
    labelled(out, paint, (FAINT, "as of"), COLUMN, &moment(explanation.now))?;

    section(out, paint, "Rules")?;
    if explanation.selections.is_empty() {
        labelled(
            out,
            paint,
            (FAINT, "none"),
            COLUMN,
            "no policy names this repository",
        )?;
    }
    for selection in &explanation.selections {
        let label = if selection.selected {
            (HEADING, "selected")
        } else {
            (FAINT, "not selected")
        };
        let (policy, rule) = (harmless(&selection.policy.0), harmless(&selection.rule));
        let text = format!("{policy}/{rule}: {}", clipped(&selection.why, 600));
        labelled(out, paint, label, COLUMN, &text)?;
    }

    section(out, paint, "Relations")?;
    let relations = &explanation.relations;
    let kinds = [
        ("lists", &relations.children),
        ("listed by", &relations.parents),
        ("carries", &relations.attachments),
        ("attached to", &relations.subjects),
    ];
    if !relations.same_digest.is_empty() {
        let tags = listed(relations.same_digest.iter().map(Tag::as_str));
        labelled(out, paint, (FAINT, "same digest"), COLUMN, &tags)?;
    }
    if relations.same_digest.is_empty() && kinds.iter().all(|(_, related)| related.is_empty()) {
        labelled(
            out,
            paint,
            (FAINT, "none"),
            COLUMN,
            "that was seen, or that had to be asked for",
        )?;
    }
    kinds
        .into_iter()
        .try_for_each(|(label, all)| related(out, paint, label, all))
}

fn section(out: &mut dyn Write, paint: Paint, title: &str) -> io::Result<()> {
    writeln!(out, "\n{}", paint.text(HEADING, title))
}

fn related(out: &mut dyn Write, paint: Paint, label: &str, all: &[Related]) -> io::Result<()> {
    for (position, Related { digest, tags }) in all.iter().take(SHOWN).enumerate() {
        let label = if position == 0 { label } else { "" };
        let tags = if tags.is_empty() {
            "untagged".to_owned()
        } else {
            listed(tags.iter().map(Tag::as_str))
        };
        labelled(out, paint, (FAINT, label), COLUMN, &format!("{digest} {tags}"))?;
    }
    if all.len() > SHOWN {
        let more = grouped((all.len() - SHOWN) as u64);
        labelled(
            out,
            paint,
            (FAINT, ""),
            COLUMN,
            &format!("and {more} more (all are in --format json)"),
        )?;
    }
    Ok(())
}

/// `rc, version 1.2.3, then 10, variant alpine`.
fn reading(reading: &TagReading) -> String {
    let mut text = reading.channel.to_string();
    if let Some(version) = &reading.version {
        let [major, minor, patch] = version.numbers;
        text.push_str(&format!(", version {major}.{minor}.{patch}"));
        let tail = tail(version);
        if !tail.is_empty() {
            let follows = if reading.channel == Channel::Unknown {
                "with an unknown suffix"
            } else {
                "number"
            };
            text.push_str(&format!(", {follows} {}", harmless(&tail)));
        }
        if !version.build.is_empty() {
            text.push_str(&format!(", build {}", harmless(&version.build)));
        }
    } else {
        text.push_str(", no full version");
    }
    if let Some(variant) = &reading.variant {
        text.push_str(&format!(", variant {}", harmless(variant)));
    }
    text
}
