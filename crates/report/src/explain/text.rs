//! An explanation for people: the verdict first, then what led to it.

use std::io::{self, Write};

use anstyle::Style;
use lagan_model::Tag;
use lagan_policy::{Channel, Reason, RolloutNote, TagReading};

use super::json::tail;
use super::trail::{self, Vote};
use super::{Explanation, PolicyTrail, Related, Replayed, Verdict};
use crate::layout::{labelled, listed};
use crate::number::{count, grouped};
use crate::paint::{DELETE, FAINT, HEADING, KEEP, Paint, UNTAG, WARNING};
use crate::sanitize::{clipped, harmless};
use crate::wording::{Understood, keep, mode, moment, phrase, phrase_of_rollout, phrase_within, rule_of};

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
    let (style, word, verdict) = match explanation.verdict {
        Verdict::Kept => (KEEP, "kept", "is kept"),
        Verdict::Deleted => (DELETE, "deleted", "would be deleted, with its artifact"),
        Verdict::Untagged => (UNTAG, "untagged", "would be untagged: its artifact stays"),
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
        labelled(out, paint, effect(reason, explanation), COLUMN, &phrase(reason))?;
    }
    if let Some(note) = &explanation.rollout {
        let style = if note.taken { FAINT } else { WARNING };
        labelled(
            out,
            paint,
            (style, "rollout"),
            COLUMN,
            &rollout(note, explanation),
        )?;
    }

    if let Some(replayed) = &explanation.replayed {
        replay(out, paint, replayed)?;
    }

    section(out, paint, "1. The tag")?;
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

    section(out, paint, "2. Policies")?;
    if explanation.policies.is_empty() {
        let text = "no policy names this repository";
        labelled(out, paint, (FAINT, "none"), COLUMN, text)?;
    }
    for trail in &explanation.policies {
        policy(out, paint, explanation, trail)?;
    }

    section(out, paint, "3. Relations")?;
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
    for (label, all) in kinds {
        related(out, paint, label, all)?;
    }
    for reason in trail::related(explanation) {
        labelled(out, paint, effect(reason, explanation), COLUMN, &phrase(reason))?;
    }

    section(out, paint, "4. Verdict")?;
    labelled(out, paint, (style, word), COLUMN, &conclusion(explanation))
}

/// One policy with its rules, a step further in for what each says.
fn policy(
    out: &mut dyn Write,
    paint: Paint,
    explanation: &Explanation,
    policy: &PolicyTrail,
) -> io::Result<()> {
    let name = format!("policy {}", harmless(&policy.name.0));
    let only = if policy.asked {
        ""
    } else {
        ", not asked for: it only keeps"
    };
    let whole = if policy.untag {
        ""
    } else {
        ", leaves single tags alone"
    };
    writeln!(
        out,
        "  {} ({}{only}{whole})",
        paint.text(HEADING, &name),
        mode(policy.mode)
    )?;
    for rule in &policy.rules {
        let name = format!("rule {}", harmless(&rule.name));
        writeln!(
            out,
            "    {}: keeps {}",
            paint.text(HEADING, &name),
            keep(&rule.keep)
        )?;
        let label = match rule.selected {
            Some(true) => "selects it",
            Some(false) => "passes over",
            None => "not known",
        };
        step(out, paint, (FAINT, label), &clipped(&rule.why, 600))?;
        for reason in trail::of_rule(explanation, policy, rule) {
            step(
                out,
                paint,
                effect(reason, explanation),
                &phrase_of_rule(reason, policy),
            )?;
        }
        let vote = trail::vote(explanation, policy, rule);
        if let Some((style, label, text)) = vote.and_then(|vote| said(vote, explanation.verdict)) {
            step(out, paint, (style, label), text)?;
        }
    }
    for reason in trail::protecting(explanation, policy) {
        labelled(out, paint, (KEEP, "  protects"), COLUMN + 4, &phrase(reason))?;
    }
    Ok(())
}

/// What a vote means, where its reasons do not say it.
fn said(vote: Vote, verdict: Verdict) -> Option<(Style, &'static str, &'static str)> {
    match (vote, verdict) {
        (Vote::Keeps, _) => None,
        (Vote::GivesUp, Verdict::Kept) => Some((FAINT, "candidate", "but something else keeps it")),
        (Vote::GivesUp, _) => Some((DELETE, "candidate", "and nothing keeps it")),
        (Vote::Abstains, _) => Some((
            FAINT,
            "abstains",
            "it does not keep it, and makes no candidates here",
        )),
    }
}

fn phrase_of_rule(reason: &Reason, policy: &PolicyTrail) -> String {
    let understood = Understood {
        policy: Some(&policy.name),
        rule: rule_of(reason),
    };
    phrase_within(reason, understood)
}

/// A line under a rule.
fn step(out: &mut dyn Write, paint: Paint, (style, label): (Style, &str), text: &str) -> io::Result<()> {
    labelled(out, paint, (style, &format!("    {label}")), COLUMN + 4, text)
}

/// How a reason works in this decision.
fn effect(reason: &Reason, explanation: &Explanation) -> (Style, &'static str) {
    match (reason.keeps(), explanation.verdict) {
        (true, _) => (KEEP, "keeps"),
        (false, Verdict::Kept) => (FAINT, "would delete"),
        (false, Verdict::Deleted | Verdict::Untagged) => (DELETE, "deletes"),
    }
}

/// How the verdict follows.
fn conclusion(explanation: &Explanation) -> String {
    if explanation.incomplete.is_some() {
        return "nothing is decided in a repository that could not be read".to_owned();
    }
    let keep = explanation.reasons.iter().filter(|reason| reason.keeps()).count() as u64;
    let delete = explanation.reasons.len() as u64 - keep;
    let reasons = |number| count(number, "reason", "reasons");
    match explanation.verdict {
        Verdict::Kept if delete == 0 => format!("{} to keep it, none to delete it", reasons(keep)),
        Verdict::Kept => format!(
            "{} to keep it, {} to delete it: keep beats delete",
            reasons(keep),
            grouped(delete)
        ),
        Verdict::Deleted => format!("{} to delete it, none to keep it", reasons(delete)),
        Verdict::Untagged => format!(
            "{} to delete it, none to keep it; another tag keeps its artifact",
            reasons(delete)
        ),
    }
}

/// Whether the repository has its turn, and what nobody knows who looks at it alone.
fn rollout(note: &RolloutNote, explanation: &Explanation) -> String {
    let said = phrase_of_rollout(note);
    match note.share {
        Some(_) if !note.taken && explanation.replayed.is_none() => format!(
            "{said}; whether it is the first of these, which is in every share, a plan of all of them tells"
        ),
        _ => said,
    }
}

/// Whether the plan said the same.
fn replay(out: &mut dyn Write, paint: Paint, replayed: &Replayed) -> io::Result<()> {
    let plan = format!(
        "plan {} of {}",
        harmless(&replayed.plan),
        moment(replayed.created)
    );
    let Some(recorded) = &replayed.recorded else {
        let same = format!("{plan}, which recorded the same");
        labelled(out, paint, (FAINT, "replayed"), COLUMN, &same)?;
        if replayed.others_differ {
            let text = "other tags of this repository are decided otherwise than the plan recorded";
            labelled(out, paint, (WARNING, "DIFFERS"), COLUMN, text)?;
        }
        return Ok(());
    };
    let was = match recorded.verdict {
        Verdict::Kept => "kept",
        Verdict::Deleted => "deleted",
        Verdict::Untagged => "untagged",
    };
    let reasons: Vec<_> = recorded.reasons.iter().map(phrase).collect();
    let text = format!("{plan} recorded it as {was}: {}", reasons.join("; "));
    labelled(out, paint, (WARNING, "DIFFERS"), COLUMN, &text)
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
