//! `rules:` of a policy.

use std::collections::HashMap;
use std::sync::Arc;

use lagan_policy::{Keep, Rule, VersionTable};

use super::{keep, select};
use crate::decode::{Fields, Schema, all, label, sequence, truth};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::tree::{Key, Node, Value};

const SCHEMA: Schema = Schema {
    what: "a rule",
    keys: &["name", "select", "keep", "allow_empty_repository"],
    later: &[],
};

/// Keys that only the lifecycle-rule dialect has.
const DIALECT: &[&str] = &[
    "tag_selectors",
    "repo_selectors",
    "scope_selectors",
    "deletion_count",
];

/// The key by which a list of rules shows that it is written in the lifecycle-rule dialect.
pub(crate) fn dialect(rules: &Node) -> Option<&Key> {
    let Value::Sequence(items) = &rules.value else {
        return None;
    };
    items.iter().find_map(|item| match &item.value {
        Value::Mapping { entries, .. } => entries
            .iter()
            .map(|(key, _)| key)
            .find(|key| DIALECT.contains(&key.text.as_str())),
        _ => None,
    })
}

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
) -> Read<(lagan_policy::Select, Keep, bool)> {
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
        check_leaves_one(keep, allow.unwrap_or(false), key.span, problems)?;
    }
    Ok((select?, keep?, allow?.unwrap_or(false)))
}

/// Reports a rule that can leave a repository empty and does not say that it may.
pub(crate) fn check_leaves_one(
    keep: &Keep,
    allowed: bool,
    place: Span,
    problems: &mut Problems<'_>,
) -> Read<()> {
    if allowed || keep.always_leaves_one() {
        return Ok(());
    }
    let hint = problems.say(
        "keep at least one, as with `last: 1` and `by`, or say `allow_empty_repository: true` in the rule",
        "keep at least one, as with `--keep last=1,by=version`, or say `--allow-empty-repository`",
    );
    Err(problems.report(place, "this rule can leave a repository empty", hint))
}
