//! Retention policies of Harbor, as its API answers them.
//!
//! <https://goharbor.io/docs/main/working-with-projects/working-with-images/create-tag-retention-rules/>: in the
//! repositories that a rule names, artifacts that any rule retains stay, and all others go. Here any rule that keeps
//! wins as well, so that each rule becomes one that keeps the same, and one more makes everything a candidate.

use lagan_policy::{Clock, Keep, KeepLine, Mode, RepositoryPattern, Select};

use super::draft::{Draft, DraftPolicy, DraftRule, keep};
use super::glob::{doublestar, doublestar_tag};
use super::shared::{
    Attached, Names, Unit, any_tag, days, everything_stays, head, last_line, repository, tags, untagged,
    untagged_remark,
};
use crate::decode::{Fields, Schema, all, choice, mapping, number, sequence, text, truth};
use crate::error::{Problems, Read};
use crate::notice::Remark;
use crate::source::{Span, quoted};
use crate::tree::Node;

const POLICY: Schema = Schema {
    what: "a retention policy",
    keys: &["id", "algorithm", "rules", "trigger", "scope"],
    later: &[],
};

const RULE: Schema = Schema {
    what: "a retention rule",
    keys: &[
        "id",
        "priority",
        "disabled",
        "action",
        "template",
        "params",
        "tag_selectors",
        "scope_selectors",
    ],
    later: &[],
};

const SELECTOR: Schema = Schema {
    what: "a selector",
    keys: &["kind", "decoration", "pattern", "extras"],
    later: &[],
};

const SCOPE: Schema = Schema {
    what: "`scope`",
    keys: &["level", "ref"],
    later: &[],
};

const TRIGGER: Schema = Schema {
    what: "`trigger`",
    keys: &["kind", "references", "settings"],
    later: &[],
};

const SCOPE_SELECTORS: Schema = Schema {
    what: "`scope_selectors`",
    keys: &["repository"],
    later: &[],
};

/// A rule that is not disabled.
struct Rule {
    span: Span,
    repositories: Repositories,
    selected: Selected,
    retains: Retains,
    name: String,
}

#[derive(Clone, PartialEq)]
struct Repositories {
    named: Vec<RepositoryPattern>,
    excluded: Vec<RepositoryPattern>,
    /// Names that some versions of the matcher find in a pattern, and others do not.
    unclear: Vec<RepositoryPattern>,
    /// What was to hold besides, and cannot be said.
    lost: bool,
}

struct Selected {
    tags: Option<Select>,
    untagged: bool,
    /// Whether more is selected than the rule selects.
    lost: bool,
}

enum Retains {
    /// Lines that keep the same.
    Lines(Vec<KeepLine>, Vec<Remark>),
    /// More than a number of the newest, which has no native form.
    LatestPulled(u32),
    /// Nothing.
    Nothing,
}

/// Reads a retention policy.
pub(crate) fn decode(root: &Node, attached: &Attached<'_>, problems: &mut Problems<'_>) -> Read<Draft> {
    let fields = Fields::open(root, root.span, &POLICY, problems)?;
    let algorithm = fields.optional("algorithm", |node| {
        choice(node, "an algorithm", &[("or", ())], problems)
    });
    let trigger = fields.get("trigger").filter(|node| !node.is_nothing());
    let trigger = trigger.map(|node| schedule(node, problems)).transpose();
    let scope = fields.optional("scope", |node| scope(node, problems));
    let mut remarks = head(root.start(), Unit::Image);
    remarks.extend(attached.remark(root.start()));
    let rules = fields.required("rules", None, problems).and_then(|(_, node)| {
        if matches!(&node.value, crate::tree::Value::Sequence(items) if items.is_empty()) {
            return Ok(Vec::new());
        }
        let items = sequence(node, "a list of rules", problems)?;
        all(items.iter().enumerate(), |(position, item)| {
            rule(item, position + 1, attached.root(), &mut remarks, problems)
        })
    });
    fields.incomplete()?;
    algorithm?;
    scope?;
    remarks.extend(trigger?.flatten());
    let rules: Vec<Rule> = rules?.into_iter().flatten().collect();
    Ok(draft(rules, remarks, root.start(), attached))
}

fn draft(rules: Vec<Rule>, remarks: Vec<Remark>, place: Span, attached: &Attached<'_>) -> Draft {
    let mut draft = Draft {
        remarks,
        policies: Vec::new(),
    };
    let mut unclear: Vec<(Span, RepositoryPattern)> = Vec::new();
    let mut scopes: Vec<(Repositories, Vec<Rule>)> = Vec::new();
    for rule in rules {
        unclear.extend(
            rule.repositories
                .unclear
                .iter()
                .map(|pattern| (rule.span, pattern.clone())),
        );
        match scopes.iter_mut().find(|(known, _)| *known == rule.repositories) {
            Some((_, same)) => same.push(rule),
            None => scopes.push((rule.repositories.clone(), vec![rule])),
        }
    }
    for (span, pattern) in &unclear {
        draft.remarks.push(Remark::keeps_more(
            *span,
            format!("versions of Harbor differ in whether `/**` at the end of a pattern also names what stands before it: nothing is deleted in {pattern}"),
        ));
    }
    let mut excluded: Vec<RepositoryPattern> = Vec::new();
    for (_, pattern) in unclear {
        if !excluded.contains(&pattern) {
            excluded.push(pattern);
        }
    }
    if scopes.is_empty() {
        draft.remarks.push(Remark::note(
            place,
            "no rule is enabled: Harbor deletes nothing then",
        ));
        let named = format!("{}/**", attached.root())
            .parse()
            .ok()
            .into_iter()
            .collect();
        draft.policies.push(DraftPolicy {
            remarks: Vec::new(),
            repositories: named,
            exclude_repositories: Vec::new(),
            mode: Mode::DryRun,
            untag: false,
            rules: vec![everything_stays()],
        });
    }
    for (repositories, rules) in scopes {
        let mut exclude_repositories = repositories.excluded.clone();
        exclude_repositories.extend(excluded.iter().cloned());
        draft.policies.push(DraftPolicy {
            remarks: Vec::new(),
            repositories: repositories.named.clone(),
            exclude_repositories,
            mode: Mode::DryRun,
            untag: false,
            rules: native(&rules, repositories.lost),
        });
    }
    draft
}

/// The rules of one scope, and the one that makes candidates of what none of them keeps.
fn native(rules: &[Rule], lost_scope: bool) -> Vec<DraftRule> {
    let mut names = Names::default();
    let mut native = Vec::new();
    let mut first_of_all = None;
    for rule in rules {
        first_of_all.get_or_insert(rule.span);
        let mut remarks = Vec::new();
        let (kept, counts) = match &rule.retains {
            _ if lost_scope => {
                remarks.push(Remark::not_expressed(
                    rule.span,
                    "several patterns over repositories have to match together here, which has no native form: nothing is deleted in what the first one names",
                ));
                (Keep::all(), false)
            }
            Retains::Nothing => {
                remarks.push(Remark::note(
                    rule.span,
                    "a number of 0 retains nothing, so this rule keeps nothing",
                ));
                native.push(DraftRule {
                    remarks,
                    ..DraftRule::new(names.take(&rule.name), any_tag(), Keep::none())
                });
                continue;
            }
            Retains::LatestPulled(count) => {
                remarks.push(Remark::not_expressed(
                    rule.span,
                    format!("Harbor ranks what was never pulled last; the clock `pulled` counts a push as a pull, and a new image would take the place of a pulled one. So all that this rule selects stays; if a push may count, write `keep: {{last: {count}, by: pulled}}`"),
                ));
                (Keep::all(), false)
            }
            Retains::Lines(lines, said) => {
                remarks.extend(said.iter().cloned());
                let counts = lines.iter().any(|line| matches!(line, KeepLine::Last { .. }));
                if rule.selected.lost && counts {
                    remarks.push(Remark::not_expressed(
                        rule.span,
                        "several tag selectors have to match together here, which has no native form: all that the first one selects stays",
                    ));
                    (Keep::all(), false)
                } else {
                    if rule.selected.lost {
                        remarks.push(Remark::not_expressed(
                            rule.span,
                            "several tag selectors have to match together here, which has no native form: what the first one selects is kept as this rule keeps",
                        ));
                    }
                    (keep(lines.clone()), counts)
                }
            }
        };
        let select = if lost_scope {
            Some(any_tag())
        } else {
            rule.selected.tags.clone()
        };
        let has_untagged = lost_scope || rule.selected.untagged;
        if counts && select.is_some() && has_untagged {
            remarks.push(Remark::keeps_more(
                rule.span,
                "untagged artifacts are counted apart from tagged ones; Harbor counts them together",
            ));
        }
        if let Some(select) = select {
            let mut tagged = DraftRule::new(names.take(&rule.name), select, kept.clone());
            tagged.remarks.append(&mut remarks);
            native.push(tagged);
        }
        if has_untagged {
            let mut bare = DraftRule::new(
                names.take(&format!("{}, untagged", rule.name)),
                untagged(None),
                kept,
            );
            bare.remarks.append(&mut remarks);
            native.push(bare);
        }
    }
    let place = first_of_all.unwrap_or(Span::new(0, 0));
    let all_else = DraftRule::new(names.take("everything else"), any_tag(), Keep::none())
        .remark(Remark::note(place, "Harbor deletes what no rule retains"));
    native.push(all_else);
    let untagged_else = DraftRule::new(
        names.take("everything else, untagged"),
        untagged(None),
        Keep::none(),
    )
    .remark(untagged_remark(place));
    native.push(untagged_else);
    native
}

/// One rule; `None` where it is disabled.
fn rule(
    item: &Node,
    number: usize,
    root: &str,
    remarks: &mut Vec<Remark>,
    problems: &mut Problems<'_>,
) -> Read<Option<Rule>> {
    let fields = Fields::open(item, item.span, &RULE, problems)?;
    let disabled = fields.optional("disabled", |node| truth(node, problems));
    let action = fields.optional("action", |node| {
        choice(node, "an action", &[("retain", ())], problems)
    });
    let template = fields
        .required("template", None, problems)
        .and_then(|(_, node)| template(node, fields.get("params"), problems));
    let selected = match fields.get("tag_selectors").filter(|node| !node.is_nothing()) {
        None => Ok(Selected {
            tags: Some(any_tag()),
            untagged: true,
            lost: false,
        }),
        Some(node) => tag_selectors(node, problems),
    };
    let repositories = match fields.get("scope_selectors").filter(|node| !node.is_nothing()) {
        None => scope_selectors(&[], root, item.span, problems),
        Some(node) => Fields::open(node, node.span, &SCOPE_SELECTORS, problems).and_then(|fields| {
            let items = match fields.get("repository") {
                Some(node) => sequence(node, "a list of selectors", problems)?,
                None => &[],
            };
            scope_selectors(items, root, node.span, problems)
        }),
    };
    fields.incomplete()?;
    let (disabled, ()) = (disabled?, action?.unwrap_or(()));
    let ((kind, retains), selected, repositories) = (template?, selected?, repositories?);
    if disabled == Some(true) {
        remarks.push(Remark::note(
            item.span,
            format!("rule {number} is disabled, and left out"),
        ));
        return Ok(None);
    }
    Ok(Some(Rule {
        span: item.span,
        repositories,
        selected,
        retains,
        name: format!("rule {number} ({kind})"),
    }))
}

#[derive(Clone, Copy)]
enum Template {
    LatestPushed,
    LatestPulled,
    LatestActive,
    DaysSincePush,
    DaysSincePull,
    Always,
}

const TEMPLATES: &[(&str, Template)] = &[
    ("latestPushedK", Template::LatestPushed),
    ("latestPulledN", Template::LatestPulled),
    ("latestActiveK", Template::LatestActive),
    ("nDaysSinceLastPush", Template::DaysSincePush),
    ("nDaysSinceLastPull", Template::DaysSincePull),
    // By the time of push, too, in spite of its name.
    ("lastXDays", Template::DaysSincePush),
    ("always", Template::Always),
];

fn template(
    node: &Node,
    params: Option<&Node>,
    problems: &mut Problems<'_>,
) -> Read<(&'static str, Retains)> {
    let template = choice(node, "a template", TEMPLATES, problems)?;
    let written = text(node, "a template", problems)?;
    let name = TEMPLATES
        .iter()
        .map(|(name, _)| *name)
        .find(|name| *name == written)
        .unwrap_or("rule");
    let entries = match params.filter(|node| !node.is_nothing()) {
        Some(params) => mapping(params, "`params`", problems)?,
        None => &[],
    };
    if matches!(template, Template::Always) {
        return Ok((name, Retains::Lines(vec![KeepLine::All], Vec::new())));
    }
    let place = params.map_or(node.span, |params| params.span);
    let Some((_, given)) = entries.iter().find(|(key, _)| key.text == name) else {
        let message = format!("`params` of this template needs {}", quoted(name));
        return Err(problems.report(place, message, None));
    };
    if let Some((other, _)) = entries.iter().find(|(key, _)| key.text != name) {
        let message = format!("{} is no parameter of {}", quoted(&other.text), quoted(name));
        return Err(problems.report(other.span, message, None));
    }
    let count = number(given, "a whole number", problems)?;
    if count == 0 {
        return Ok((name, Retains::Nothing));
    }
    let small = u32::try_from(count)
        .map_err(|_| problems.report(given.span, format!("{count} is too large"), None))?;
    // Longer than any age that can be written is as good as for ever.
    let within = |clock| days(count).map_or(KeepLine::All, |age| KeepLine::Within { clock, age });
    let lines = |line| Retains::Lines(vec![line], Vec::new());
    let retains = match template {
        Template::LatestPushed => lines(last_line(small, Clock::Pushed)),
        // Active is what was pushed or pulled last, which is what the clock says.
        Template::LatestActive => lines(last_line(small, Clock::Pulled)),
        Template::LatestPulled => Retains::LatestPulled(small),
        Template::DaysSincePush => lines(within(Clock::Pushed)),
        Template::DaysSincePull => Retains::Lines(
            vec![within(Clock::Pulled)],
            vec![Remark::keeps_more(
                given.span,
                "a push counts as a pull: what was pushed lately stays, although nobody pulled it; Harbor deletes it",
            )],
        ),
        Template::Always => lines(KeepLine::All),
    };
    Ok((name, retains))
}

struct Selector {
    excludes: bool,
    pattern: String,
    span: Span,
    untagged: Option<bool>,
}

fn selector(
    item: &Node,
    matches: &'static str,
    excludes: &'static str,
    problems: &mut Problems<'_>,
) -> Read<Selector> {
    let fields = Fields::open(item, item.span, &SELECTOR, problems)?;
    let kind = fields
        .required("kind", None, problems)
        .and_then(|(_, node)| choice(node, "a kind of selector", &[("doublestar", ())], problems));
    let decoration = fields
        .required("decoration", None, problems)
        .and_then(|(_, node)| {
            choice(
                node,
                "a decoration",
                &[(matches, false), (excludes, true)],
                problems,
            )
        });
    let pattern = fields.required("pattern", None, problems).and_then(|(_, node)| {
        // No pattern matches everything.
        let pattern = if matches!(&node.value, crate::tree::Value::Scalar { text, .. } if text.is_empty()) {
            "**"
        } else {
            text(node, "a pattern", problems)?
        };
        Ok((pattern.to_owned(), node.span))
    });
    let untagged = fields.optional("extras", |node| extras(node, problems));
    fields.incomplete()?;
    kind?;
    let (excludes, (pattern, span)) = (decoration?, pattern?);
    Ok(Selector {
        excludes,
        pattern,
        span,
        untagged: untagged?.flatten(),
    })
}

/// Whether untagged artifacts are meant: a JSON document in a text.
fn extras(node: &Node, problems: &mut Problems<'_>) -> Read<Option<bool>> {
    if node.is_nothing() || matches!(&node.value, crate::tree::Value::Scalar { text, .. } if text.is_empty())
    {
        return Ok(None);
    }
    let json = text(node, "a JSON document in a text", problems)?;
    let read: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(json).ok();
    let known =
        |extras: &serde_json::Map<String, serde_json::Value>| extras.keys().all(|key| key == "untagged");
    match read.filter(known).map(|extras| extras.get("untagged").cloned()) {
        Some(None) => Ok(None),
        Some(Some(serde_json::Value::Bool(untagged))) => Ok(Some(untagged)),
        _ => {
            let hint = Some("it reads `\"{\\\"untagged\\\":true}\"`".to_owned());
            Err(problems.report(node.span, format!("{} is not known", quoted(json)), hint))
        }
    }
}

fn tag_selectors(node: &Node, problems: &mut Problems<'_>) -> Read<Selected> {
    let selectors = all(sequence(node, "a list of selectors", problems)?, |item| {
        let selector = selector(item, "matches", "excludes", problems)?;
        let glob = doublestar_tag(&selector.pattern);
        // The glob is checked where it stands in the document.
        glob.parse::<lagan_policy::TagPattern>()
            .map_err(|error| problems.report(selector.span, error.to_string(), None))?;
        Ok((selector, glob))
    })?;
    // As Harbor has it: untagged artifacts are selected unless the selector says otherwise.
    let untagged = selectors
        .iter()
        .all(|(selector, _)| match (selector.excludes, selector.untagged) {
            (false, untagged) => untagged.unwrap_or(true),
            (true, untagged) => !untagged.unwrap_or(false),
        });
    let narrowing: Vec<_> = selectors
        .iter()
        .filter(|(selector, glob)| selector.excludes || glob != "*")
        .collect();
    let tags = match narrowing.first() {
        None => Some(any_tag()),
        Some((selector, glob)) if selector.excludes => (glob != "*").then(|| Select {
            exclude: super::shared::patterns([glob.as_str()]),
            ..any_tag()
        }),
        Some((_, glob)) => Some(tags([glob.as_str()])),
    };
    Ok(Selected {
        tags,
        untagged,
        lost: narrowing.len() > 1,
    })
}

fn scope_selectors(
    items: &[Node],
    root: &str,
    place: Span,
    problems: &mut Problems<'_>,
) -> Read<Repositories> {
    let mut scope = Repositories {
        named: Vec::new(),
        excluded: Vec::new(),
        unclear: Vec::new(),
        lost: false,
    };
    let read = all(items, |item| {
        let selector = selector(item, "repoMatches", "repoExcludes", problems)?;
        let pattern = repository(
            doublestar(root, &selector.pattern),
            &selector.pattern,
            selector.span,
            problems,
        )?;
        let before = selector
            .pattern
            .strip_suffix("/**")
            .filter(|before| *before != "**");
        let unclear = match before {
            Some(before) => Some(repository(
                doublestar(root, before),
                before,
                selector.span,
                problems,
            )?),
            None => None,
        };
        Ok((selector, pattern, unclear))
    })?;
    for (selector, pattern, unclear) in read {
        scope.unclear.extend(unclear);
        if selector.excludes {
            scope.excluded.push(pattern);
        } else if selector.pattern != "**" {
            scope.lost |= !scope.named.is_empty();
            if scope.named.is_empty() {
                scope.named.push(pattern);
            }
        }
    }
    if scope.named.is_empty() {
        scope
            .named
            .push(repository(doublestar(root, "**"), "**", place, problems)?);
    }
    Ok(scope)
}

fn scope(node: &Node, problems: &mut Problems<'_>) -> Read<()> {
    let fields = Fields::open(node, node.span, &SCOPE, problems)?;
    let level = fields.optional("level", |node| {
        choice(node, "a level", &[("project", ())], problems)
    });
    level.map(drop)
}

/// What to say of the schedule, which is not part of a policy file.
fn schedule(node: &Node, problems: &mut Problems<'_>) -> Read<Option<Remark>> {
    let fields = Fields::open(node, node.span, &TRIGGER, problems)?;
    let Some(settings) = fields.get("settings") else {
        return Ok(None);
    };
    let cron = settings.get("cron").filter(|cron| !cron.is_nothing());
    let Some(cron) = cron else { return Ok(None) };
    let text = match &cron.value {
        crate::tree::Value::Scalar { text, .. } if text.is_empty() => return Ok(None),
        _ => text(cron, "a schedule", problems)?,
    };
    Ok(Some(Remark::note(
        cron.span,
        format!(
            "the schedule {} is not part of a policy file: run `lagan plan` on it",
            quoted(text)
        ),
    )))
}
