//! Rules that never select, never delete, or change nothing.

use lagan_model::RegistryKind;
use lagan_policy::version::ChannelSet;
use lagan_policy::{Channel, Clock, Keep, KeepLine, Order, Per, Rule, Select};

use super::language::{Found, Language, shortest};
use super::place::Path;
use super::selection::{Contradiction, Cover, Proofs, Selection, by_name_alone};
use super::{Group, Lint, Placed, Report};
use crate::source::quoted;

pub(super) fn lint(group: &Group<'_>, proofs: &Proofs, report: &mut Report<'_>) {
    for placed in &group.policies {
        for (position, rule) in placed.policy.rules.iter().enumerate() {
            let selection = &placed.selections[position];
            let path = placed.rule_path(position);
            clocks(group.kind, rule, &path, report);
            not_served(group.kind, rule, &path, report);
            let contradiction = selection.contradiction(proofs);
            let regex = path.then("select").then("regex");
            let meant =
                rule.select.regex.as_ref().and_then(|regex| {
                    meant_to_be_found(regex.as_str(), selection.regex.as_ref(), group, proofs)
                });
            if let Some(contradiction) = contradiction {
                never_selects(contradiction, &path, rule, meant.is_some(), report);
                continue;
            }
            if let (Some(version), Some(pattern)) = (meant, &rule.select.regex) {
                unanchored(pattern.as_str(), &version, &regex, report);
            }
            if is_about_tags(&rule.select) {
                never_deletes(selection, rule, &path, proofs, report);
            }
            if !overruled(group, placed, position, proofs, report) {
                without_effect(placed, position, report);
            }
        }
    }
}

fn never_selects(why: Contradiction, path: &Path, rule: &Rule, unanchored: bool, report: &mut Report<'_>) {
    let select = path.then("select");
    let (at, what) = match why {
        Contradiction::Version => (select.then("version"), "no version is in this range"),
        Contradiction::ChannelAndVersion => (
            select.then("version"),
            "the channels of this rule have no full versions, so that no tag in them is in the range",
        ),
        Contradiction::Regex => (select.then("regex"), "no tag can match this expression"),
        Contradiction::Tags => (select.then("tags"), "no tag can match these globs"),
        Contradiction::Exclude => (
            select.then("exclude"),
            "`exclude` takes away all that is selected",
        ),
        Contradiction::TagsAndRegex => (select.then("regex"), "no tag matches both `tags` and `regex`"),
        Contradiction::Channels => {
            let (key, what) = if rule.select.channel.is_some() {
                ("channel", "no tag in these channels meets its other conditions")
            } else {
                ("version", "no full version meets its other conditions")
            };
            (select.then(key), what)
        }
    };
    let hint = if unanchored {
        rule.select
            .regex
            .as_ref()
            .map(|regex| found_anywhere(regex.as_str()))
    } else if why == Contradiction::Channels {
        Some("all conditions of a rule must hold at once; alternatives are rules of their own".to_owned())
    } else {
        None
    };
    let message = format!("rule {} never selects a tag: {what}", quoted(&rule.name));
    report.say(Lint::NeverSelects, &at, message, hint);
}

fn found_anywhere(regex: &str) -> String {
    format!("an expression must match the whole tag: `.*(?:{regex}).*` is found anywhere in it")
}

/// A full version in which an expression would be found, if it looks as if that was meant: it has no anchor of its
/// own, matches no full version, and what it matches reads as a channel or a variant behind one.
pub(super) fn meant_to_be_found(
    text: &str,
    language: Option<&Language>,
    group: &Group<'_>,
    proofs: &Proofs,
) -> Option<String> {
    let hir = regex_automata::util::syntax::parse(text).ok()?;
    if !hir.properties().look_set().is_empty() {
        return None;
    }
    let language = language?;
    if !proofs.tags.none(&[language, &proofs.versions], &[]) {
        return None;
    }
    let Found::Name(word) = shortest(language, &proofs.tags) else {
        return None;
    };
    let word = word.trim_start_matches(['-', '.']);
    let version = format!("1.0.0-{word}");
    let reading = group.versions.read(&version.parse().ok()?);
    let known = reading.channel.is_prerelease() || reading.variant.is_some();
    known.then_some(version)
}

fn unanchored(regex: &str, version: &str, path: &Path, report: &mut Report<'_>) {
    let message = format!(
        "{} must match the whole tag, and so matches no version such as {}",
        quoted(regex),
        quoted(version)
    );
    let hint = format!(
        "{}; where the tag itself is meant, `tags` says so",
        found_anywhere(regex)
    );
    report.say(Lint::Unanchored, path, message, Some(hint));
}

pub(super) fn unanchored_protection(regex: &str, version: &str, path: &Path, report: &mut Report<'_>) {
    unanchored(regex, version, path, report);
}

/// What is so for the kind of registry that is configured; where none is, for every kind.
fn of_kind<T>(kind: Option<RegistryKind>, of: impl Fn(RegistryKind) -> T) -> impl Iterator<Item = T> {
    let kinds = RegistryKind::ALL.into_iter();
    kinds
        .filter(move |one| kind.is_none_or(|kind| kind == *one))
        .map(of)
}

/// The clocks that a rule reads and no registry of its kind records.
fn clocks(kind: Option<RegistryKind>, rule: &Rule, path: &Path, report: &mut Report<'_>) {
    let keep = path.then("keep");
    let ledger = report.ledger;
    let mut say = |clock: Clock, at: Path| {
        let unrecorded: Option<Vec<_>> = of_kind(kind, |kind| clock.unrecorded(kind)).collect();
        let why = unrecorded.and_then(|why| why.first().copied());
        if let Some(why) = why.filter(|_| !(ledger && clock == Clock::Observed)) {
            let message = format!(
                "rule {} reads the clock `{clock}`: {why}. All that it selects is kept",
                quoted(&rule.name)
            );
            let hint = Some("`created` is in most images; `version` and `name` need no clock".to_owned());
            report.say(Lint::ClockNotRecorded, &at, message, hint);
        }
    };
    if let Some((clock, _)) = &rule.keep.unless_older_than {
        say(*clock, keep.then("unless_older_than").then(clock.as_str()));
    }
    for line in &rule.keep.lines {
        match line {
            KeepLine::Last {
                by: Order::Clock(clock),
                ..
            }
            | KeepLine::Period { clock, .. } => say(*clock, keep.then("by")),
            KeepLine::Within { clock, .. } => say(*clock, keep.then("within").then(clock.as_str())),
            _ => {}
        }
    }
}

/// The conditions that no registry of its kind answers.
fn not_served(kind: Option<RegistryKind>, rule: &Rule, path: &Path, report: &mut Report<'_>) {
    let unserved = of_kind(kind, |kind| {
        rule.select.unserved(kind, report.ledger).collect::<Vec<_>>()
    });
    let everywhere = unserved.reduce(|all, others| {
        all.into_iter()
            .filter(|(what, _)| others.iter().any(|(other, _)| what == other))
            .collect()
    });
    for (what, why) in everywhere.unwrap_or_default() {
        let message = format!("rule {} asks for `{what}`: {why}", quoted(&rule.name));
        report.say(Lint::NotServed, &path.then("select").then(what), message, None);
    }
}

/// Whether a rule selects tags, and not what has none or is attached.
pub(super) fn is_about_tags(select: &Select) -> bool {
    select.untagged.is_none() && !select.orphaned
}

/// Whether only lines count, each of which keeps on its own.
fn only_lines(keep: &Keep) -> bool {
    keep.unless_older_than.is_none()
}

fn never_deletes(
    selection: &Selection<'_>,
    rule: &Rule,
    path: &Path,
    proofs: &Proofs,
    report: &mut Report<'_>,
) {
    if !only_lines(&rule.keep) {
        return;
    }
    let reason = rule.keep.lines.iter().find_map(|line| match line {
        KeepLine::Last { by, per, .. } => {
            let ordered = matches!(by, Order::Version | Order::Semver);
            let grouped = matches!(per, Per::Major | Per::Minor);
            if (ordered || grouped) && has_no_versions(selection, proofs) {
                Some(if ordered {
                    (path.then("keep").then("by"), format!("order by {by}"))
                } else {
                    (path.then("keep").then("per"), format!("group by {per}"))
                })
            } else {
                None
            }
        }
        _ => None,
    });
    if let Some((at, what)) = reason {
        let message = format!(
            "rule {} never deletes: no tag that it can select has a full version to {what}, and such tags are kept",
            quoted(&rule.name)
        );
        let hint = "`by: name` orders in natural order, `by: created` by time".to_owned();
        report.say(Lint::NeverDeletes, &at, message, Some(hint));
    }
}

/// Whether there is proof that nothing it selects has a full version.
fn has_no_versions(selection: &Selection<'_>, proofs: &Proofs) -> bool {
    let mut inside = selection.inside();
    inside.push(&proofs.versions);
    proofs.nothing(&selection.channels, &inside, &selection.outside())
}

/// What keeps tags whatever rules say, and what it is called.
struct Protector {
    name: String,
    cover: Cover,
}

fn protectors(group: &Group<'_>, ours: &Placed<'_>, rule: usize, proofs: &Proofs) -> Vec<Protector> {
    let mut protectors = Vec::new();
    let within = |theirs: &Placed<'_>| {
        std::ptr::eq(theirs.policy, ours.policy) || ours.repositories.within(&theirs.repositories, proofs)
    };
    for theirs in group.policies.iter().filter(|theirs| within(theirs)) {
        let of = if std::ptr::eq(theirs.policy, ours.policy) {
            String::new()
        } else {
            format!(" of policy {}", quoted(&theirs.policy.name.0))
        };
        for entry in theirs.policy.protect.iter().filter(|entry| entry.until.is_none()) {
            protectors.extend(Cover::of_protection(&entry.pattern).map(|cover| Protector {
                name: format!("a protection{of}"),
                cover,
            }));
        }
        for (position, other) in theirs.policy.rules.iter().enumerate() {
            let itself = std::ptr::eq(theirs.policy, ours.policy) && position == rule;
            if itself || other.keep != Keep::all() || !is_about_tags(&other.select) {
                continue;
            }
            let name = format!("rule {}{of}", quoted(&other.name));
            if by_name_alone(&other.select) && other.select == ours.policy.rules[rule].select {
                // It selects just what this rule does.
                let cover = Cover::Channels(every_channel());
                protectors.push(Protector { name, cover });
            } else {
                protectors.extend(Cover::of_select(&other.select).map(|cover| Protector { name, cover }));
            }
        }
    }
    protectors
}

fn every_channel() -> ChannelSet {
    [Channel::Unknown]
        .into_iter()
        .chain(Channel::SELECTABLE)
        .map(ChannelSet::from)
        .collect()
}

fn covered(selection: &Selection<'_>, by: &[&Protector], proofs: &Proofs) -> bool {
    let languages: Vec<&Language> = by
        .iter()
        .filter_map(|protector| match &protector.cover {
            Cover::Language(language) => Some(&**language),
            Cover::Channels(_) => None,
        })
        .collect();
    let channels: ChannelSet = by
        .iter()
        .filter_map(|protector| match &protector.cover {
            Cover::Channels(channels) => Some(*channels),
            Cover::Language(_) => None,
        })
        .collect();
    selection.nothing_beside(proofs, &languages, channels)
}

fn overruled(
    group: &Group<'_>,
    placed: &Placed<'_>,
    position: usize,
    proofs: &Proofs,
    report: &mut Report<'_>,
) -> bool {
    let rule = &placed.policy.rules[position];
    // What keeps all is meant to delete nothing.
    if rule.keep == Keep::all() || !is_about_tags(&rule.select) {
        return false;
    }
    let protectors = protectors(group, placed, position, proofs);
    let selection = &placed.selections[position];
    let all: Vec<&Protector> = protectors.iter().collect();
    if all.is_empty() || !covered(selection, &all, proofs) {
        return false;
    }
    let one = protectors
        .iter()
        .find(|protector| covered(selection, &[protector], proofs));
    let who = one.map_or_else(
        || "protections and rules that keep all, together,".to_owned(),
        |one| one.name.clone(),
    );
    let message = format!(
        "rule {} never deletes: {who} {} all that it can select",
        quoted(&rule.name),
        if one.is_some() { "keeps" } else { "keep" }
    );
    report.say(
        Lint::Overruled,
        &placed.rule_path(position).then("select"),
        message,
        None,
    );
    true
}

/// Whether all that a line keeps, another one keeps too.
fn implied(line: &KeepLine, other: &KeepLine) -> bool {
    match (line, other) {
        (_, KeepLine::All) => true,
        (
            KeepLine::Last { count, by, per },
            KeepLine::Last {
                count: more,
                by: same_by,
                per: same_per,
            },
        ) => by == same_by && per == same_per && count <= more,
        (
            KeepLine::Within { clock, age },
            KeepLine::Within {
                clock: same,
                age: longer,
            },
        ) => clock == same && age.delta() <= longer.delta(),
        _ => line == other,
    }
}

/// Whether each line of a rule is implied by one of another.
fn keeps_no_more(rule: &Rule, other: &Rule) -> bool {
    only_lines(&rule.keep)
        && only_lines(&other.keep)
        && rule
            .keep
            .lines
            .iter()
            .all(|line| other.keep.lines.iter().any(|more| implied(line, more)))
}

fn without_effect(placed: &Placed<'_>, position: usize, report: &mut Report<'_>) {
    let rules = &placed.policy.rules;
    let rule = &rules[position];
    let other = rules.iter().enumerate().find(|(at, other)| {
        *at != position
            && other.select == rule.select
            && keeps_no_more(rule, other)
            // Of two that keep the same, the later one is too much.
            && (*at < position || !keeps_no_more(other, rule))
    });
    if let Some((_, other)) = other {
        let message = format!(
            "rule {} has no effect: rule {} selects the same and keeps no less",
            quoted(&rule.name),
            quoted(&other.name)
        );
        let hint = "what any rule keeps stays, whatever the others say".to_owned();
        report.say(
            Lint::WithoutEffect,
            &placed.rule_path(position).then("keep"),
            message,
            Some(hint),
        );
    }
}
