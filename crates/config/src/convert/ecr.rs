//! Lifecycle policies of Amazon ECR.
//!
//! <https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html>: a rule matches whole images, by
//! their tags. The first rule by priority that matches an image is the only one that can expire it. Here rules vote on tags, and
//! keep beats delete. So a rule leaves out the tags that an earlier rule's pattern takes: what the earlier one would
//! expire is not kept by the later one. A rule that has no native form keeps what it matches, so that no later one
//! deletes what it shields in ECR; at the end of the order there is nothing to shield.

use std::collections::HashMap;

use lagan_policy::{Age, Clock, Keep, Mode, RepositoryPattern, Select};

use super::draft::{Draft, DraftPolicy, DraftRule};
use super::glob::{contains, overlap};
use super::shared::{
    Attached, Names, Unit, days, everything_stays, head, last, patterns, tags, untagged, untagged_remark,
    within,
};
use crate::decode::{Fields, Schema, all, choice, label, number, sequence, text};
use crate::error::{Problems, Read};
use crate::notice::Remark;
use crate::source::{Span, quoted};
use crate::tree::Node;

const FILE: Schema = Schema {
    what: "a lifecycle policy",
    keys: &["rules"],
    later: &[],
};

const RULE: Schema = Schema {
    what: "a rule of a lifecycle policy",
    keys: &["rulePriority", "description", "selection", "action"],
    later: &[],
};

const SELECTION: Schema = Schema {
    what: "`selection`",
    keys: &[
        "tagStatus",
        "tagPatternList",
        "tagPrefixList",
        "storageClass",
        "countType",
        "countUnit",
        "countNumber",
    ],
    later: &[],
};

const ACTION: Schema = Schema {
    what: "`action`",
    keys: &["type", "targetStorageClass"],
    later: &[],
};

struct Rule {
    span: Span,
    priority: u64,
    name: String,
    images: Images,
    /// `None` where there is no native form, for the reasons in `lost`.
    keep: Option<Limit>,
    lost: Vec<String>,
}

enum Images {
    /// Images that for each of these patterns have a tag that it matches.
    Tagged(Vec<String>),
    Untagged,
    Any,
}

#[derive(Clone)]
enum Limit {
    Count(u32),
    Pushed(Age),
    Pulled(Age),
}

impl Limit {
    fn keep(&self) -> Keep {
        match self {
            Self::Count(count) => last(*count, Clock::Pushed),
            Self::Pushed(age) => within(Clock::Pushed, age.clone()),
            Self::Pulled(age) => within(Clock::Pulled, age.clone()),
        }
    }
}

/// Reads a lifecycle policy.
pub(crate) fn decode(root: &Node, attached: &Attached<'_>, problems: &mut Problems<'_>) -> Read<Draft> {
    if root.get("lifecyclePolicyText").is_some() {
        let hint =
            "add `--query lifecyclePolicyText --output text` to `aws ecr get-lifecycle-policy`".to_owned();
        return Err(problems.report(
            root.start(),
            "this is the answer around a lifecycle policy",
            Some(hint),
        ));
    }
    let fields = Fields::open(root, root.span, &FILE, problems)?;
    let (_, rules) = fields.required("rules", None, problems)?;
    let mut seen = HashMap::new();
    let rules = all(sequence(rules, "a list of rules", problems)?, |item| {
        rule(item, &mut seen, problems)
    });
    fields.incomplete()?;
    let mut rules = rules?;
    rules.sort_by_key(|rule| rule.priority);
    let repository: RepositoryPattern =
        attached
            .root()
            .parse()
            .map_err(|error: lagan_policy::pattern::PatternError| {
                problems.report(root.start(), error.to_string(), None)
            })?;
    let mut remarks = head(root.start(), Unit::Image);
    remarks.extend(attached.remark(root.start()));
    Ok(Draft {
        remarks,
        policies: vec![policy(&rules, repository)],
    })
}

/// The tags and images that earlier rules decide on.
#[derive(Default)]
struct Taken {
    patterns: Vec<String>,
    untagged: bool,
    everything: bool,
}

impl Taken {
    /// Tags that a pattern matches and no earlier rule's does; `None` where there are none.
    fn select(&self, pattern: &str) -> Option<Select> {
        if self.everything || self.patterns.iter().any(|taken| contains(taken, pattern)) {
            return None;
        }
        let before = self.patterns.iter().filter(|taken| overlap(taken, pattern));
        Some(Select {
            exclude: patterns(before.map(String::as_str)),
            ..tags([pattern])
        })
    }
}

fn policy(rules: &[Rule], repository: RepositoryPattern) -> DraftPolicy {
    let mut draft = DraftPolicy {
        remarks: Vec::new(),
        repositories: vec![repository],
        exclude_repositories: Vec::new(),
        mode: Mode::DryRun,
        untag: false,
        rules: Vec::new(),
    };
    let (mut taken, mut names) = (Taken::default(), Names::default());
    for (position, rule) in rules.iter().enumerate() {
        let is_last = position + 1 == rules.len();
        let before = draft.rules.len();
        let mut remarks: Vec<Remark> = rule
            .lost
            .iter()
            .map(|lost| Remark::not_expressed(rule.span, lost.as_str()))
            .collect();
        let mut keep = rule.keep.as_ref().map(Limit::keep);
        let pattern = match &rule.images {
            Images::Tagged(patterns) => {
                let least = least(patterns);
                if least.len() > 1 {
                    let together = least
                        .iter()
                        .map(|pattern| quoted(pattern))
                        .collect::<Vec<_>>()
                        .join(" and ");
                    remarks.push(Remark::not_expressed(
                        rule.span,
                        format!("rule {} matches images that have tags for {together} together; rules decide on single tags here, so what it matches stays", rule.priority),
                    ));
                    keep = None;
                }
                // Any one of them selects every image that all of them match.
                least.iter().max_by_key(|pattern| pattern.len()).cloned()
            }
            Images::Any => Some("*".to_owned()),
            Images::Untagged => None,
        };
        if matches!(rule.keep, Some(Limit::Pulled(_))) {
            remarks.push(Remark::keeps_more(
                rule.span,
                "a push after the last pull counts as a pull; ECR counts a push only where nothing was ever pulled",
            ));
        }
        let is_any = matches!(rule.images, Images::Any);
        let counts = matches!(rule.keep, Some(Limit::Count(_))) && keep.is_some();
        if is_last && keep.is_none() {
            draft.remarks.append(&mut remarks);
            continue;
        }
        if let Some(select) = pattern.as_deref().and_then(|pattern| taken.select(pattern)) {
            let mut native = DraftRule::new(
                names.take(&rule.name),
                select,
                keep.clone().unwrap_or_else(Keep::all),
            );
            if counts && !native.select.exclude.is_empty() {
                remarks.push(Remark::keeps_more(
                    rule.span,
                    "images that an earlier rule matches take no place in this rule's count, as they do in ECR",
                ));
            }
            native.remarks.append(&mut remarks);
            draft.rules.push(native);
        }
        if (is_any || matches!(rule.images, Images::Untagged)) && !taken.untagged {
            if counts && draft.rules.len() > before {
                remarks.push(Remark::keeps_more(
                    rule.span,
                    "untagged images are counted apart from tagged ones; ECR counts them together",
                ));
            }
            if keep.is_some() {
                remarks.push(untagged_remark(rule.span));
            }
            let name = if is_any {
                format!("{}, untagged", rule.name)
            } else {
                rule.name.clone()
            };
            let mut native = DraftRule::new(
                names.take(&name),
                untagged(None),
                keep.clone().unwrap_or_else(Keep::all),
            );
            native.remarks.append(&mut remarks);
            draft.rules.push(native);
        }
        if draft.rules.len() == before {
            remarks.push(Remark::note(
                rule.span,
                format!(
                    "rule {} is left out: earlier rules match all that it matches",
                    rule.priority
                ),
            ));
            draft.remarks.append(&mut remarks);
        }
        // What keeps all needs no leaving out: keep beats delete.
        if keep.is_some() {
            taken.patterns.extend(pattern.filter(|_| !is_any));
            taken.everything |= is_any;
            taken.untagged |= is_any || matches!(rule.images, Images::Untagged);
        }
    }
    if draft.rules.is_empty() {
        draft.rules.push(everything_stays());
    }
    draft
}

/// The patterns that say as much as all of them together.
fn least(patterns: &[String]) -> Vec<String> {
    let mut least: Vec<String> = Vec::new();
    for pattern in patterns {
        if least.iter().any(|other| contains(pattern, other)) {
            continue;
        }
        least.retain(|other| !contains(other, pattern));
        least.push(pattern.clone());
    }
    least
}

fn rule(item: &Node, seen: &mut HashMap<u64, usize>, problems: &mut Problems<'_>) -> Read<Rule> {
    let fields = Fields::open(item, item.span, &RULE, problems)?;
    let priority = fields
        .required("rulePriority", None, problems)
        .and_then(|(_, node)| {
            let priority = number(node, "a whole number", problems)?;
            let line = problems.line(node.span);
            match seen.insert(priority, line) {
                Some(first) => {
                    let message =
                        format!("two rules have the priority {priority}, the first is on line {first}");
                    Err(problems.report(node.span, message, None))
                }
                None => Ok(priority),
            }
        });
    let description = fields.optional("description", |node| {
        if matches!(&node.value, crate::tree::Value::Scalar { text, .. } if text.is_empty()) {
            return Ok("");
        }
        label(node, "the description", problems)
    });
    let selected = fields
        .required("selection", None, problems)
        .and_then(|(key, node)| selection(node, key.span, problems));
    let moves = fields
        .required("action", None, problems)
        .and_then(|(key, node)| action(node, key.span, problems));
    fields.incomplete()?;
    let (priority, description, moves) = (priority?, description?, moves?);
    let (images, mut keep, mut lost) = selected?;
    if moves {
        lost.insert(
            0,
            "images are not moved to another storage class here, so what this rule matches stays".to_owned(),
        );
        keep = None;
    }
    let name = match description {
        Some(text) if !text.trim().is_empty() => text.to_owned(),
        _ => format!("rule {priority}"),
    };
    Ok(Rule {
        span: item.span,
        priority,
        name,
        images,
        keep,
        lost,
    })
}

/// Whether it moves images instead of expiring them.
fn action(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<bool> {
    let fields = Fields::open(node, place, &ACTION, problems)?;
    let kind = fields.required("type", None, problems).and_then(|(_, node)| {
        choice(
            node,
            "an action",
            &[("expire", false), ("transition", true)],
            problems,
        )
    });
    let target = fields.optional("targetStorageClass", |node| {
        choice(node, "a storage class", &[("archive", ())], problems)
    });
    fields.incomplete()?;
    target?;
    kind
}

type Selected = (Images, Option<Limit>, Vec<String>);

fn selection(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Selected> {
    #[derive(Clone, Copy, PartialEq)]
    enum Status {
        Tagged,
        Untagged,
        Any,
    }
    #[derive(Clone, Copy, PartialEq)]
    enum Count {
        Images,
        Pushed,
        Pulled,
        Transitioned,
    }
    let fields = Fields::open(node, place, &SELECTION, problems)?;
    let statuses = [
        ("tagged", Status::Tagged),
        ("untagged", Status::Untagged),
        ("any", Status::Any),
    ];
    let status = fields
        .required("tagStatus", None, problems)
        .and_then(|(_, node)| choice(node, "a tag status", &statuses, problems));
    let globs = fields.optional("tagPatternList", |node| pattern_list(node, "", problems));
    let prefixes = fields.optional("tagPrefixList", |node| pattern_list(node, "*", problems));
    let archived = fields.optional("storageClass", |node| {
        choice(
            node,
            "a storage class",
            &[("standard", false), ("archive", true)],
            problems,
        )
    });
    let counts = [
        ("imageCountMoreThan", Count::Images),
        ("sinceImagePushed", Count::Pushed),
        ("sinceImagePulled", Count::Pulled),
        ("sinceImageTransitioned", Count::Transitioned),
    ];
    let count = fields
        .required("countType", None, problems)
        .and_then(|(_, node)| choice(node, "a count type", &counts, problems));
    let unit = fields.optional("countUnit", |node| {
        choice(node, "a unit", &[("days", ())], problems)
    });
    let limit = fields
        .required("countNumber", None, problems)
        .and_then(|(_, node)| {
            let limit = number(node, "a whole number", problems)?;
            match u32::try_from(limit) {
                Ok(limit @ 1..) => Ok(limit),
                Ok(0) => Err(problems.report(node.span, "`countNumber` is 1 or more", None)),
                Err(_) => Err(problems.report(node.span, format!("{limit} is too large"), None)),
            }
        });
    fields.incomplete()?;
    let (status, globs, prefixes, archived) = (status?, globs?, prefixes?, archived?);
    let (count, unit, limit) = (count?, unit?, limit?);
    if unit.is_none() && count != Count::Images {
        let hint = Some("`\"countUnit\": \"days\"` is the only unit".to_owned());
        return Err(problems.report(place, "a count of days needs `countUnit`", hint));
    }
    if unit.is_some() && count == Count::Images {
        let place = fields.get("countUnit").map_or(place, |node| node.span);
        return Err(problems.report(place, "`countUnit` says nothing of a count of images", None));
    }
    let images = match (status, globs, prefixes) {
        (Status::Tagged, Some(patterns), None) | (Status::Tagged, None, Some(patterns)) => {
            Images::Tagged(patterns)
        }
        (Status::Tagged, _, _) => {
            let message = "`tagStatus` tagged needs one of `tagPatternList` and `tagPrefixList`";
            return Err(problems.report(place, message, None));
        }
        (Status::Untagged, None, None) => Images::Untagged,
        (Status::Any, None, None) => Images::Any,
        _ => {
            let message = "only `tagStatus` tagged has `tagPatternList` or `tagPrefixList`";
            return Err(problems.report(place, message, None));
        }
    };
    let mut lost = Vec::new();
    if archived == Some(true) {
        lost.push(
            "no registry here tells which images are archived, so what this rule matches stays".to_owned(),
        );
    }
    let age = || days(u64::from(limit));
    let keep = match count {
        Count::Images => Some(Limit::Count(limit)),
        Count::Pushed => age().map(Limit::Pushed),
        Count::Pulled => age().map(Limit::Pulled),
        Count::Transitioned => {
            lost.push("when an image was moved to another storage class is not known here, so what this rule matches stays".to_owned());
            None
        }
    };
    if keep.is_none() && lost.is_empty() {
        lost.push(format!(
            "{limit} days are more than a thousand years, so what this rule matches stays"
        ));
    }
    Ok((images, keep.filter(|_| lost.is_empty()), lost))
}

fn pattern_list(node: &Node, end: &str, problems: &mut Problems<'_>) -> Read<Vec<String>> {
    all(sequence(node, "a list of texts", problems)?, |item| {
        let pattern = text(item, "a text", problems)?;
        let of_a_tag =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') || c == '*' && end.is_empty();
        if pattern.is_empty() || !pattern.chars().all(of_a_tag) {
            let message = format!("{} matches no tag", quoted(pattern));
            return Err(problems.report(item.span, message, None));
        }
        let mut glob = super::glob::doublestar_tag(pattern);
        if !glob.ends_with('*') {
            glob.push_str(end);
        }
        Ok(glob)
    })
}
