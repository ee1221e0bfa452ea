//! Retention of zot: its configuration, or the part of it that is about retention.
//!
//! <https://zotregistry.dev/latest/articles/retention/>: the first policy that names a repository holds for it, and in it the first
//! entry of `keepTags` that matches a tag. A tag that no entry keeps goes. Here all policies and rules hold: so each
//! policy leaves out the repositories of those before it, and each rule the tags of those before it.

use lagan_policy::{Age, Clock, Keep, KeepLine, Mode, RepositoryPattern, Select, TagRegex};

use super::draft::{Draft, DraftPolicy, DraftRule, keep};
use super::glob::doublestar;
use super::regex;
use super::shared::{
    Names, Unit, any_tag, duration, everything_stays, head, last_line, orphaned, patterns, repository,
    seconds, tags, untagged,
};
use crate::decode::{Fields, Schema, all, number, one_or_more, parsed, sequence, text, truth};
use crate::error::{Problems, Read};
use crate::notice::Remark;
use crate::source::{Span, quoted};
use crate::tree::{Node, Value};

const RETENTION: Schema = Schema {
    what: "`retention`",
    keys: &["dryRun", "delay", "policies"],
    later: &[],
};

const POLICY: Schema = Schema {
    what: "a retention policy",
    keys: &[
        "repositories",
        "repoNames",
        "deleteReferrers",
        "deleteUntagged",
        "keepTags",
    ],
    later: &[],
};

const KEEP_TAGS: Schema = Schema {
    what: "an entry of `keepTags`",
    keys: &[
        "patterns",
        "pulledWithin",
        "pushedWithin",
        "mostRecentlyPulledCount",
        "mostRecentlyPushedCount",
    ],
    later: &[],
};

struct Policy {
    span: Span,
    repositories: Vec<RepositoryPattern>,
    /// Names that some versions of the matcher find in a pattern, and others do not.
    unclear: Vec<RepositoryPattern>,
    delete_referrers: bool,
    delete_untagged: bool,
    keep_tags: Vec<Entry>,
}

struct Entry {
    span: Span,
    /// Expressions, one of which is found in the tag; none says every tag.
    patterns: Vec<String>,
    lines: Vec<KeepLine>,
    /// The newest by the time of pull, which has no native form.
    pulled: Option<u32>,
}

impl Entry {
    /// Whether it keeps all that it matches.
    fn keeps_all(&self) -> bool {
        self.lines.is_empty() && self.pulled.is_none()
    }

    /// Globs that match what it matches, and nothing else; `None` where globs cannot say it.
    fn globs(&self) -> Option<Vec<String>> {
        if self.patterns.is_empty() {
            return Some(vec!["*".to_owned()]);
        }
        self.patterns.iter().map(|pattern| regex::glob(pattern)).collect()
    }

    /// The expressions as one, to be found anywhere.
    fn found(&self) -> String {
        match self.patterns.as_slice() {
            [only] => format!(".*(?:{only}).*"),
            several => {
                let each: Vec<String> = several.iter().map(|pattern| format!("(?:{pattern})")).collect();
                format!(".*(?:{}).*", each.join("|"))
            }
        }
    }
}

/// Reads the configuration of zot, the part `storage` or `retention` of it, or what stands in `retention`.
pub(crate) fn decode(root: &Node, problems: &mut Problems<'_>) -> Read<Draft> {
    let storage = root.get("storage").unwrap_or(root);
    let retention = storage.get("retention");
    let mut draft = Draft {
        remarks: head(root.start(), Unit::Tag),
        policies: Vec::new(),
    };
    let mut elsewhere = Vec::new();
    if let Some(Value::Mapping { entries, .. }) = storage.get("subPaths").map(|node| &node.value) {
        for (path, node) in entries {
            if node.get("retention").is_none() {
                continue;
            }
            let below = format!("{}/**", path.text.trim_matches('/'));
            elsewhere.push(repository(Some(below), &path.text, path.span, problems)?);
            draft.remarks.push(Remark::not_expressed(
                path.span,
                format!(
                    "the retention of the sub-path {} is not converted: nothing is deleted below it",
                    quoted(&path.text)
                ),
            ));
        }
    }
    let retention = retention.unwrap_or(root);
    let fields = Fields::open(retention, retention.span, &RETENTION, problems)?;
    let dry_run = fields.optional("dryRun", |node| truth(node, problems));
    let delay = fields.optional("delay", |node| length(node, problems));
    let policies = match fields.get("policies") {
        Some(node) => all(sequence(node, "a list of policies", problems)?, |item| {
            policy(item, problems)
        }),
        None => Ok(Vec::new()),
    };
    fields.incomplete()?;
    dry_run?;
    let (delay, policies) = (delay?.unwrap_or(86_400), policies?);
    convert(&policies, delay, elsewhere, &mut draft);
    if draft.policies.is_empty() {
        draft.remarks.push(Remark::note(
            root.start(),
            "there is no retention policy: every tag stays",
        ));
        draft.policies.push(DraftPolicy {
            remarks: Vec::new(),
            repositories: vec![repository(Some("**".to_owned()), "**", root.start(), problems)?],
            exclude_repositories: Vec::new(),
            mode: Mode::DryRun,
            untag: true,
            rules: vec![everything_stays()],
        });
    }
    Ok(draft)
}

fn convert(policies: &[Policy], delay: u64, mut elsewhere: Vec<RepositoryPattern>, draft: &mut Draft) {
    for policy in policies {
        for pattern in &policy.unclear {
            draft.remarks.push(Remark::keeps_more(
                policy.span,
                format!("versions of zot differ in whether `/**` at the end of a pattern also names what stands before it: nothing is deleted in {pattern}"),
            ));
            if !elsewhere.contains(pattern) {
                elsewhere.push(pattern.clone());
            }
        }
    }
    let mut before: Vec<RepositoryPattern> = Vec::new();
    for policy in policies {
        let mut exclude_repositories: Vec<RepositoryPattern> = Vec::new();
        for pattern in before.iter().chain(&elsewhere) {
            if !exclude_repositories.contains(pattern) {
                exclude_repositories.push(pattern.clone());
            }
        }
        before.extend(policy.repositories.iter().cloned());
        let mut remarks = Vec::new();
        let rules = rules(policy, delay, &mut remarks);
        draft.policies.push(DraftPolicy {
            remarks,
            repositories: policy.repositories.clone(),
            exclude_repositories,
            mode: Mode::DryRun,
            untag: true,
            rules,
        });
    }
}

fn rules(policy: &Policy, delay: u64, remarks: &mut Vec<Remark>) -> Vec<DraftRule> {
    let mut names = Names::default();
    let mut rules = Vec::new();
    for (position, entry) in policy.keep_tags.iter().enumerate() {
        match entry_rule(entry, position, &policy.keep_tags[..position], &mut names) {
            Ok(rule) => rules.push(rule),
            Err(remark) => remarks.push(remark),
        }
    }
    if policy.keep_tags.is_empty() {
        rules.push(
            DraftRule::new(names.take("tags stay"), any_tag(), Keep::all()).remark(Remark::note(
                policy.span,
                "without `keepTags`, zot keeps every tag",
            )),
        );
    } else {
        rules.push(
            DraftRule::new(names.take("everything else"), any_tag(), Keep::none()).remark(Remark::note(
                policy.span,
                "zot deletes the tags that no entry of `keepTags` keeps",
            )),
        );
    }
    if policy.delete_untagged {
        let remark = Remark::note(
            policy.span,
            "zot deletes untagged images, once they are older than `delay`",
        );
        rules.push(
            DraftRule::new(names.take("untagged"), untagged(seconds(delay)), Keep::none()).remark(remark),
        );
    }
    if policy.delete_referrers {
        let remark = Remark::keeps_more(
            policy.span,
            "attachments go whose subject is gone; here only where the subject was seen in this repository before",
        );
        rules.push(
            DraftRule::new(
                names.take("attachments without a subject"),
                orphaned(),
                Keep::none(),
            )
            .remark(remark),
        );
    }
    rules
}

/// The rule of an entry, without the tags of the entries before it.
fn entry_rule(
    entry: &Entry,
    position: usize,
    before: &[Entry],
    names: &mut Names,
) -> Result<DraftRule, Remark> {
    let name = names.take(&format!("keepTags {}", position + 1));
    let mut remarks = Vec::new();
    if let Some(count) = entry.pulled {
        remarks.push(Remark::not_expressed(
            entry.span,
            format!("zot ranks what was never pulled last; the clock `pulled` counts a push as a pull, and a new image would take the place of a pulled one. So all that this entry matches stays; if a push may count, write `keep: {{last: {count}, by: pulled}}`"),
        ));
    }
    let all_stays = entry.keeps_all() || entry.pulled.is_some();
    let mut kept = if all_stays {
        Keep::all()
    } else {
        keep(entry.lines.clone())
    };
    let mut select = match entry.globs() {
        Some(globs) => tags(globs.iter().map(String::as_str)),
        None => found(&entry.found()),
    };
    // What an entry before it matches is none of its business; where it is all kept, and takes no place, nothing differs.
    let counts = !all_stays
        && entry
            .lines
            .iter()
            .any(|line| matches!(line, KeepLine::Last { .. }));
    let mut unsaid = Vec::new();
    let mut left_out = Vec::new();
    for earlier in before {
        match earlier.globs() {
            Some(globs) => left_out.extend(globs),
            None => unsaid.push(earlier),
        }
    }
    if left_out.iter().any(|glob| glob == "*") {
        return Err(Remark::note(
            entry.span,
            "this entry is left out: one before it matches every tag",
        ));
    }
    select.exclude = patterns(left_out.iter().map(String::as_str));
    if !unsaid.is_empty() && counts {
        kept = Keep::all();
        remarks.push(Remark::not_expressed(
            entry.span,
            "expressions of entries before this one are no globs and cannot be left out; what they match would take places, so all that this entry matches stays",
        ));
    } else if unsaid.iter().any(|earlier| !earlier.keeps_all()) {
        remarks.push(Remark::keeps_more(
            entry.span,
            "expressions of entries before this one are no globs and cannot be left out: what they match is kept by this entry, too",
        ));
    }
    let mut rule = DraftRule::new(name, select, kept);
    rule.remarks = remarks;
    Ok(rule)
}

/// Tags that an expression matches. It was checked before.
fn found(expression: &str) -> Select {
    Select {
        regex: expression.parse().ok(),
        ..Select::default()
    }
}

fn policy(item: &Node, problems: &mut Problems<'_>) -> Read<Policy> {
    let fields = Fields::open(item, item.span, &POLICY, problems)?;
    let named = match fields.get("repositories").or(fields.get("repoNames")) {
        Some(node) => names(node, problems),
        None => fields
            .required("repositories", None, problems)
            .map(|_| Vec::new()),
    };
    let delete_referrers = fields.optional("deleteReferrers", |node| truth(node, problems));
    let delete_untagged = fields.optional("deleteUntagged", |node| truth(node, problems));
    let keep_tags = fields.optional("keepTags", |node| {
        if matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
            return Ok(Vec::new());
        }
        all(sequence(node, "a list of entries", problems)?, |item| {
            entry(item, problems)
        })
    });
    fields.incomplete()?;
    let (repositories, unclear): (Vec<_>, Vec<_>) = named?.into_iter().unzip();
    Ok(Policy {
        span: item.span,
        repositories,
        unclear: unclear.into_iter().flatten().collect(),
        delete_referrers: delete_referrers?.unwrap_or(false),
        delete_untagged: delete_untagged?.unwrap_or(true),
        keep_tags: keep_tags?.unwrap_or_default(),
    })
}

type Named = (RepositoryPattern, Option<RepositoryPattern>);

fn names(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<Named>> {
    one_or_more(
        node,
        "a list of patterns over repositories",
        problems,
        |item, problems| {
            let written = text(item, "a pattern", problems)?;
            let pattern = repository(doublestar("", written), written, item.span, problems)?;
            let before = written.strip_suffix("/**").filter(|before| *before != "**");
            let unclear = match before {
                Some(before) => Some(repository(doublestar("", before), before, item.span, problems)?),
                None => None,
            };
            Ok((pattern, unclear))
        },
    )
}

fn entry(item: &Node, problems: &mut Problems<'_>) -> Read<Entry> {
    let fields = Fields::open(item, item.span, &KEEP_TAGS, problems)?;
    let patterns = fields.optional("patterns", |node| {
        if matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
            return Ok(Vec::new());
        }
        one_or_more(
            node,
            "a list of regular expressions",
            problems,
            |item, problems| {
                let alone: TagRegex = parsed(item, "a regular expression", problems)?;
                let around = format!(".*(?:(?:{})).*", alone.as_str());
                around
                    .parse::<TagRegex>()
                    .map_err(|error| problems.report(item.span, error.to_string(), None))?;
                Ok(alone.as_str().to_owned())
            },
        )
    });
    let pulled_within = fields.optional("pulledWithin", |node| within(node, problems));
    let pushed_within = fields.optional("pushedWithin", |node| within(node, problems));
    let pulled = fields.optional("mostRecentlyPulledCount", |node| count(node, problems));
    let pushed = fields.optional("mostRecentlyPushedCount", |node| count(node, problems));
    fields.incomplete()?;
    let (pulled_within, pushed_within) = (pulled_within?, pushed_within?);
    let (patterns, pulled, pushed) = (
        patterns?.unwrap_or_default(),
        pulled?.flatten(),
        pushed?.flatten(),
    );
    let mut lines = Vec::new();
    lines.extend(pushed.map(|count| last_line(count, Clock::Pushed)));
    // zot counts a push as a pull here, too.
    for (clock, age) in [(Clock::Pulled, pulled_within), (Clock::Pushed, pushed_within)] {
        lines.extend(age.map(|age| KeepLine::Within { clock, age }));
    }
    Ok(Entry {
        span: item.span,
        patterns,
        lines,
        pulled,
    })
}

/// A number of tags; zot takes 0 for no rule.
fn count(node: &Node, problems: &mut Problems<'_>) -> Read<Option<u32>> {
    let count = number(node, "a whole number", problems)?;
    let small = u32::try_from(count)
        .map_err(|_| problems.report(node.span, format!("{count} is too large"), None))?;
    Ok((small > 0).then_some(small))
}

fn length(node: &Node, problems: &mut Problems<'_>) -> Read<u64> {
    let written = text(node, "a length of time", problems)?;
    duration(written).ok_or_else(|| {
        let hint = Some("a length of time reads `168h` or `30m`".to_owned());
        problems.report(node.span, format!("{} cannot be read", quoted(written)), hint)
    })
}

fn within(node: &Node, problems: &mut Problems<'_>) -> Read<Age> {
    let count = length(node, problems)?;
    seconds(count).ok_or_else(|| {
        let message = format!("{count} seconds are no time, or more than a thousand years");
        problems.report(node.span, message, None)
    })
}
