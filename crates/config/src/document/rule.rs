//! `rules:` of a policy.

use std::collections::HashMap;
use std::sync::Arc;

use lagan_policy::{Clock, Keep, KeepLine, Order, Per, Rule, Select, VersionTable};

use super::{keep, select};
use crate::decode::{Fields, Schema, all, label, sequence, truth};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::tree::Node;

pub(crate) const SCHEMA: Schema = Schema {
    what: "a rule",
    keys: &["name", "select", "keep", "allow_empty_repository"],
    later: &[],
};

/// Reads the rules of a policy; names are unique in it.
pub(crate) fn decode(node: &Node, versions: &VersionTable, problems: &mut Problems<'_>) -> Read<Vec<Rule>> {
    let items = sequence(node, "a list of rules", problems)?;
    let mut names: HashMap<Arc<str>, usize> = HashMap::new();
    all(items.iter().enumerate(), |(index, item)| {
        let fields = Fields::open(item, item.span, &SCHEMA, problems)?;
        let name = name(&fields, index, item.span, &mut names, problems);
        let rule = rule(&fields, versions, problems);
        let (name, (select, keep, allow_empty_repository)) = (name?, rule?);
        Ok(Rule {
            name,
            select,
            keep,
            allow_empty_repository,
        })
    })
}

fn name(
    fields: &Fields<'_>,
    index: usize,
    place: Span,
    names: &mut HashMap<Arc<str>, usize>,
    problems: &mut Problems<'_>,
) -> Read<Arc<str>> {
    let given = fields.optional("name", |node| {
        Ok((label(node, "the name of a rule", problems)?, node.span))
    })?;
    let (name, span): (Arc<str>, Span) = match given {
        Some((name, span)) => (name.into(), span),
        None => (format!("rule {}", index + 1).into(), place),
    };
    match names.insert(Arc::clone(&name), index) {
        Some(first) => {
            let message = format!(
                "two rules of this policy are named {}, the first is rule {}",
                quoted(&name),
                first + 1
            );
            Err(problems.report(span, message, None))
        }
        None => Ok(name),
    }
}

fn rule(
    fields: &Fields<'_>,
    versions: &VersionTable,
    problems: &mut Problems<'_>,
) -> Read<(Select, Keep, bool)> {
    let select = fields
        .required(
            "select",
            Some("`select: {channel: prerelease}` selects all prereleases"),
            problems,
        )
        .and_then(|(key, node)| select::decode(node, key.span, versions, problems));
    let keep_entry = fields.required(
        "keep",
        Some("`keep: {last: 10, by: version}` keeps the newest ten"),
        problems,
    );
    let keep =
        keep_entry.and_then(|(key, node)| keep::decode(node, key.span, select.as_ref().ok(), problems));
    let allow = fields.optional("allow_empty_repository", |node| truth(node, problems));
    if let (Ok((key, _)), Ok(keep), Ok(allow), Ok(())) = (keep_entry, &keep, allow, fields.incomplete()) {
        if let Ok(select) = &select {
            check_can_keep(select, keep, key.span, problems)?;
        }
        check_leaves_one(
            select.as_ref().ok(),
            keep,
            allow.unwrap_or(false),
            key.span,
            problems,
        )?;
    }
    Ok((select?, keep?, allow?.unwrap_or(false)))
}

/// Reports lines that say nothing of what the rule selects: what has no tag has no name to be ordered by, and
/// attachments take no place.
pub(crate) fn check_can_keep(
    select: &Select,
    keep: &Keep,
    place: Span,
    problems: &mut Problems<'_>,
) -> Read<()> {
    let wrong = |line: &KeepLine| match line {
        KeepLine::Last { by, per, .. } if select.untagged.is_some() => match (by, per) {
            (Order::Clock(_), Per::Repository) => None,
            (Order::Clock(_), _) => Some(format!("what has no tag cannot be grouped per {per}")),
            _ => Some(format!("what has no tag cannot be ordered by {by}")),
        },
        KeepLine::Period { per, .. } if select.untagged.is_some() && *per != Per::Repository => {
            Some(format!("what has no tag cannot be grouped per {per}"))
        }
        KeepLine::Last { .. } | KeepLine::Period { .. } if select.orphaned => {
            Some("what is attached takes no place, and is never counted".to_owned())
        }
        _ => None,
    };
    let created = select.orphaned && keep.clocks().any(|clock| clock == Clock::Created);
    let message = keep.lines.iter().find_map(wrong);
    match message.or_else(|| created.then(|| "what is attached has no `created` time".to_owned())) {
        None => Ok(()),
        Some(message) => {
            let hint = if select.untagged.is_some() {
                "the clocks are pushed, pulled, created and observed, per repository"
            } else {
                "`within` and `unless_older_than` by pushed, pulled or observed say how long it stays"
            };
            Err(problems.report(place, message, Some(hint.to_owned())))
        }
    }
}

/// Reports a rule that can leave a repository empty and does not say that it may.
pub(crate) fn check_leaves_one(
    select: Option<&Select>,
    keep: &Keep,
    allowed: bool,
    place: Span,
    problems: &mut Problems<'_>,
) -> Read<()> {
    if allowed || keep.always_leaves_one() || select.is_some_and(Select::spares_tags) {
        return Ok(());
    }
    let hint = problems.say(
        "keep at least one, as with `last: 1` and `by`, or say `allow_empty_repository: true` in the rule",
        "keep at least one, as with `--keep last=1,by=version`, or say `--allow-empty-repository`",
    );
    Err(problems.report(place, "this rule can leave a repository empty", hint))
}
