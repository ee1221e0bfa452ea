//! The lifecycle-rule dialect: the document that platform teams write for sidecars of Harbor today. It loads as it
//! stands; converting it prints what it was loaded as.
//!
//! A rule selects, in the repositories that its selectors name, the tags that are full versions of a prerelease
//! channel and in which its pattern is found. The newest `deletion_count` of them by version stay, the rest goes.
//! What the dialect leaves open is refused, not guessed.

use std::collections::HashMap;

use lagan_policy::version::ChannelSet;
use lagan_policy::{KeepLine, Mode, Order, RepositoryPattern, Select, TagRegex};

use super::draft::{Draft, DraftPolicy, DraftRule, keep};
use super::glob::covers;
use crate::decode::{
    Fields, Schema, all, check_label, choice, label, number, one_or_more, parsed, sequence, text, truth,
};
use crate::error::{Problems, Read};
use crate::notice::Remark;
use crate::source::{Span, quoted};
use crate::tree::{Key, Node, Value};

const FILE: Schema = Schema {
    what: "a file of lifecycle rules",
    keys: &["rules"],
    later: &[],
};

const RULE: Schema = Schema {
    what: "a lifecycle rule",
    keys: &[
        "name",
        "disabled",
        "action",
        "tag_selectors",
        "repo_selectors",
        "scope_selectors",
        "deletion_count",
        "dry_run",
    ],
    later: &[],
};

const TAG_SELECTOR: Schema = Schema {
    what: "a tag selector",
    keys: &["kind", "pattern"],
    later: &[],
};

const SCOPE: Schema = Schema {
    what: "`scope_selectors`",
    keys: &["repository"],
    later: &[],
};

/// Keys that only this dialect has, and one that it shares with Harbor's rules.
const MARKS: &[&str] = &[
    "tag_selectors",
    "repo_selectors",
    "scope_selectors",
    "deletion_count",
];

/// Keys that Harbor's rules have as well, and this dialect has not.
const HARBOR: &[&str] = &["template", "params"];

/// The key by which a document shows that it is written in the dialect.
pub(crate) fn mark(document: &Node) -> Option<&Key> {
    let rules = document.get("rules")?.items();
    if rules
        .iter()
        .any(|rule| HARBOR.iter().any(|key| rule.get(key).is_some()))
    {
        return None;
    }
    rules.iter().find_map(|rule| match &rule.value {
        Value::Mapping { entries, .. } => entries
            .iter()
            .map(|(key, _)| key)
            .find(|key| MARKS.contains(&key.text.as_str())),
        _ => None,
    })
}

/// A rule that is not disabled.
struct Active {
    repositories: Vec<RepositoryPattern>,
    mode: Mode,
    rule: DraftRule,
}

/// Reads documents of one file. Their rules are counted together, and those with the same repositories and mode
/// become one policy. `name` is what the policies will be called.
pub(crate) fn decode(documents: &[Node], name: &str, problems: &mut Problems<'_>) -> Read<Draft> {
    let start = documents.first().map_or(Span::new(0, 0), |first| first.span);
    let named = check_label(
        name,
        Span::new(start.start, start.start),
        "the name of the policy",
        problems,
    );
    let mut number = 0;
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut disabled = Vec::new();
    let read = all(documents, |document| {
        let fields = Fields::open(document, document.span, &FILE, problems)?;
        let (_, rules) = fields.required("rules", None, problems)?;
        all(sequence(rules, "a list of rules", problems)?, |item| {
            number += 1;
            rule(item, number, &mut names, &mut disabled, problems)
        })
    });
    named?;
    let rules = read?.into_iter().flatten().flatten();
    let mut draft = Draft {
        remarks: disabled,
        policies: Vec::new(),
    };
    for active in rules {
        let same = |policy: &&mut DraftPolicy| {
            policy.repositories == active.repositories && policy.mode == active.mode
        };
        match draft.policies.iter_mut().find(same) {
            Some(policy) => policy.rules.push(active.rule),
            None => draft.policies.push(DraftPolicy {
                remarks: Vec::new(),
                repositories: active.repositories,
                exclude_repositories: Vec::new(),
                mode: active.mode,
                untag: true,
                rules: vec![active.rule],
            }),
        }
    }
    if draft.policies.is_empty() {
        let hint = Some("a file of policies has at least one rule that is not".to_owned());
        return Err(problems.report(start, "every rule is disabled", hint));
    }
    Ok(draft)
}

/// One rule; `None` where it is disabled. A disabled rule has to be a rule all the same.
fn rule(
    item: &Node,
    number: usize,
    names: &mut HashMap<String, usize>,
    disabled: &mut Vec<Remark>,
    problems: &mut Problems<'_>,
) -> Read<Option<Active>> {
    let fields = Fields::open(item, item.span, &RULE, problems)?;
    let name = rule_name(&fields, item.span, number, names, problems);
    let off = fields.optional("disabled", |node| truth(node, problems));
    let action = fields
        .required("action", Some("`action: remove` is the only one"), problems)
        .and_then(|(_, node)| {
            let action = text(node, "an action", problems)?;
            if action == "remove" {
                return Ok(());
            }
            let hint = match action {
                "retain" => "Harbor's own rules retain: `lagan policy convert --from harbor` reads them",
                _ => "`remove` is the only action",
            };
            let message = format!("the action {} is not known", quoted(action));
            Err(problems.report(node.span, message, Some(hint.to_owned())))
        });
    let pattern = fields
        .required(
            "tag_selectors",
            Some("`tag_selectors: [{kind: semver, pattern: \".*\"}]` selects all prereleases"),
            problems,
        )
        .and_then(|(_, node)| tag_selector(node, problems));
    let repositories = repositories(&fields, problems);
    let count = fields
        .required(
            "deletion_count",
            Some("it is the number that is kept: `deletion_count: 10` keeps the ten newest"),
            problems,
        )
        .and_then(|(_, node)| Ok((node.span, count(node, problems)?)));
    let dry_run = fields.optional("dry_run", |node| truth(node, problems));
    fields.incomplete()?;
    let (name, off, (), pattern, repositories) = (name?, off?, action?, pattern?, repositories?);
    let ((place, count), dry_run) = (count?, dry_run?);
    if off == Some(true) {
        disabled.push(Remark::note(
            item.span,
            format!("{} is disabled, and left out", quoted(&name)),
        ));
        return Ok(None);
    }
    let select = Select {
        channel: Some(ChannelSet::PRERELEASE),
        regex: Some(pattern),
        ..Select::default()
    };
    let by = Order::Version;
    let kept = keep(vec![KeepLine::Last {
        count,
        by,
        per: by.default_per(),
    }]);
    let remark = Remark::note(
        place,
        format!(
            "`deletion_count: {count}` is the number kept: of what {} selects, the newest {count} by version stay, of each variant, and the rest goes",
            quoted(&name)
        ),
    );
    Ok(Some(Active {
        repositories,
        mode: if dry_run == Some(false) {
            Mode::Enforce
        } else {
            Mode::DryRun
        },
        rule: DraftRule::new(name, select, kept).remark(remark),
    }))
}

fn rule_name(
    fields: &Fields<'_>,
    place: Span,
    number: usize,
    names: &mut HashMap<String, usize>,
    problems: &mut Problems<'_>,
) -> Read<String> {
    let given = fields.optional("name", |node| {
        Ok((label(node, "the name of a rule", problems)?, node.span))
    })?;
    let (name, span) = match given {
        Some((name, span)) => (name.to_owned(), span),
        None => (format!("rule {number}"), place),
    };
    match names.insert(name.clone(), number) {
        Some(first) => {
            let message = format!("two rules are named {}, the first is rule {first}", quoted(&name));
            Err(problems.report(span, message, None))
        }
        None => Ok(name),
    }
}

/// The pattern of the one selector, as an expression over the whole tag.
fn tag_selector(node: &Node, problems: &mut Problems<'_>) -> Read<TagRegex> {
    let items = sequence(node, "a list of tag selectors", problems)?;
    let read = all(items, |item| {
        let fields = Fields::open(item, item.span, &TAG_SELECTOR, problems)?;
        let kind = fields
            .required("kind", Some("`kind: semver` is the only one"), problems)
            .and_then(|(_, node)| choice(node, "a kind", &[("semver", ())], problems));
        let pattern = fields
            .required(
                "pattern",
                Some("`pattern: \".*\"` finds every prerelease"),
                problems,
            )
            .and_then(|(_, node)| found_anywhere(node, problems));
        kind?;
        pattern
    })?;
    match <[TagRegex; 1]>::try_from(read) {
        Ok([pattern]) => Ok(pattern),
        Err(_) => {
            let hint = "for any of them write one pattern, `(A)|(B)`, or a rule for each".to_owned();
            let message = "several tag selectors: the dialect does not say whether any of them selects, or all of them together";
            Err(problems.report(items[1].span, message, Some(hint)))
        }
    }
}

/// An expression that is to be found anywhere in a tag, as one over the whole tag.
fn found_anywhere(node: &Node, problems: &mut Problems<'_>) -> Read<TagRegex> {
    // Alone first: what is wrong with it should not be told of the expression around it.
    let alone: TagRegex = parsed(node, "a regular expression", problems)?;
    let around = format!(".*(?:{}).*", alone.as_str());
    around
        .parse()
        .map_err(|error: lagan_policy::pattern::PatternError| {
            let hint = Some(
                "it has to stand in brackets: a comment or a flag must not reach behind its end".to_owned(),
            );
            problems.report(node.span, error.to_string(), hint)
        })
}

/// The repositories that both selectors name.
fn repositories(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Read<Vec<RepositoryPattern>> {
    let own = fields.optional("repo_selectors", |node| globs(node, problems));
    let scope = match fields.get("scope_selectors") {
        None => Ok(None),
        Some(node) => scope(node, problems),
    };
    let (own, scope) = (own?, scope?);
    let place = fields.get("scope_selectors").map(|node| node.span);
    let narrow = |own: &RepositoryPattern, scope: &[RepositoryPattern]| -> Option<Vec<RepositoryPattern>> {
        if scope.iter().any(|outer| covers(outer.as_str(), own.as_str())) {
            return Some(vec![own.clone()]);
        }
        None
    };
    match (own, scope, place) {
        (None, None, _) => {
            fields.incomplete()?;
            let hint = "add `repo_selectors: [\"team/*\"]`: `*` stays within one path segment, `**` does not"
                .to_owned();
            Err(problems.report(fields.place(), "this rule names no repositories", Some(hint)))
        }
        (Some(own), Some(scope), Some(place)) => {
            let both: Option<Vec<_>> = own.iter().map(|own| narrow(own, &scope)).collect();
            let all_of_scope = || {
                scope
                    .iter()
                    .all(|inner| own.iter().any(|outer| covers(outer.as_str(), inner.as_str())))
            };
            match both {
                Some(both) => Ok(both.concat()),
                None if all_of_scope() => Ok(scope),
                None => {
                    let message = "`scope_selectors` and `repo_selectors` both narrow, and there is no one glob for what both name";
                    let hint = "say it in `repo_selectors`, and leave `scope_selectors` at \"**\"".to_owned();
                    Err(problems.report(place, message, Some(hint)))
                }
            }
        }
        (Some(one), None, _) | (None, Some(one), _) | (Some(one), Some(_), None) => Ok(one),
    }
}

fn scope(node: &Node, problems: &mut Problems<'_>) -> Read<Option<Vec<RepositoryPattern>>> {
    let fields = Fields::open(node, node.span, &SCOPE, problems)?;
    fields.optional("repository", |node| globs(node, problems))
}

fn globs(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<RepositoryPattern>> {
    one_or_more(
        node,
        "a list of globs over repositories",
        problems,
        |item, problems| parsed(item, "a glob", problems),
    )
}

fn count(node: &Node, problems: &mut Problems<'_>) -> Read<u32> {
    let count = number(node, "a whole number", problems)?;
    match u32::try_from(count) {
        Ok(0) => {
            let hint =
                "a native rule with `keep: none` and `allow_empty_repository: true` says so".to_owned();
            Err(problems.report(
                node.span,
                "`deletion_count` is the number kept, and 0 would keep none",
                Some(hint),
            ))
        }
        Ok(count) => Ok(count),
        Err(_) => Err(problems.report(node.span, format!("{count} is too large"), None)),
    }
}
