//! Cleanup policies of Google Artifact Registry: the file that `gcloud` sets them from, or a repository as its API
//! answers it.
//!
//! <https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy>: what matches a delete policy goes,
//! unless it matches a keep policy. Delete policies become rules; where two of them match the same, the one that waits
//! longer leaves it to the other, since the age of either would keep it. A keep policy without an age becomes a rule that keeps
//! all. One with an age, and one for the most recent versions, become lines of every rule that deletes what they may
//! keep: a rule of their own would make candidates of all else.

use std::collections::BTreeSet;

use lagan_policy::{Age, Clock, Keep, KeepLine, Mode, RepositoryPattern, Select};

use super::draft::{Draft, DraftPolicy, DraftRule, keep};
use super::shared::{
    Attached, Names, Unit, any_tag, duration, everything_stays, head, last_line, patterns, repository,
    seconds, tags, untagged, untagged_remark,
};
use crate::decode::{Fields, Schema, all, label, mapping, number, one_or_more, sequence, text, truth};
use crate::error::{Problems, Read};
use crate::notice::Remark;
use crate::source::{Span, quoted};
use crate::tree::{Node, Value};

const POLICY: Schema = Schema {
    what: "a cleanup policy",
    keys: &["name", "id", "action", "condition", "mostRecentVersions"],
    later: &[],
};

const ACTION: Schema = Schema {
    what: "`action`",
    keys: &["type"],
    later: &[],
};

const CONDITION: Schema = Schema {
    what: "`condition`",
    keys: &[
        "tagState",
        "tagPrefixes",
        "versionNamePrefixes",
        "packageNamePrefixes",
        "olderThan",
        "newerThan",
    ],
    later: &[],
};

const MOST_RECENT: Schema = Schema {
    what: "`mostRecentVersions`",
    keys: &["packageNamePrefixes", "keepCount"],
    later: &[],
};

/// Rules are split where keep policies hold for some of their tags, at most into so many.
const MOST_PARTS: usize = 16;

struct Policy {
    span: Span,
    name: String,
    deletes: bool,
    body: Body,
}

enum Body {
    Condition(Condition),
    MostRecent { packages: Packages, count: u32 },
}

/// Prefixes of the names of packages, one of which holds; none says all.
type Packages = BTreeSet<String>;

struct Condition {
    packages: Packages,
    /// Prefixes of tags, one of which holds; an empty prefix says all. `None` where only untagged versions match.
    tagged: Option<Vec<String>>,
    untagged: bool,
    versions: bool,
    older_than: Option<Age>,
    newer_than: Option<Age>,
}

/// Reads cleanup policies.
pub(crate) fn decode(root: &Node, attached: &Attached<'_>, problems: &mut Problems<'_>) -> Read<Draft> {
    let mut remarks = head(root.start(), Unit::Image);
    remarks.extend(attached.remark(root.start()));
    let policies = if let Some(policies) = root.get("cleanupPolicies") {
        if let Some(dry_run) = root.get("cleanupPolicyDryRun") {
            truth(dry_run, problems)?;
        }
        all(
            mapping(policies, "`cleanupPolicies`", problems)?,
            |(key, item)| policy(item, Some(&key.text), problems),
        )
    } else {
        all(sequence(root, "a list of cleanup policies", problems)?, |item| {
            policy(item, None, problems)
        })
    }?;
    let mut draft = Draft {
        remarks,
        policies: Vec::new(),
    };
    convert(&policies, &mut draft, attached, problems)?;
    if draft
        .policies
        .iter()
        .all(|policy| policy.rules.iter().all(|rule| rule.keep == Keep::all()))
    {
        draft.remarks.push(Remark::note(
            root.start(),
            "there is no delete policy that has a native form: nothing is deleted",
        ));
        let named = repositories(&Packages::new(), attached.root(), root.start(), problems)?;
        draft.policies = vec![scoped(named)];
        draft.policies[0].rules.push(everything_stays());
    }
    Ok(draft)
}

fn scoped(repositories: Vec<RepositoryPattern>) -> DraftPolicy {
    DraftPolicy {
        remarks: Vec::new(),
        repositories,
        exclude_repositories: Vec::new(),
        mode: Mode::DryRun,
        untag: false,
        rules: Vec::new(),
    }
}

fn convert(
    policies: &[Policy],
    draft: &mut Draft,
    attached: &Attached<'_>,
    problems: &mut Problems<'_>,
) -> Read<()> {
    let mut scopes: Vec<(Scope, Vec<DraftRule>)> = Vec::new();
    let mut add = |rules: Vec<(Scope, DraftRule)>| {
        for (scope, rule) in rules {
            match scopes.iter_mut().find(|(known, _)| *known == scope) {
                Some((_, known)) => known.push(rule),
                None => scopes.push((scope, vec![rule])),
            }
        }
    };
    let mut names = Names::default();
    for policy in policies {
        match (&policy.body, policy.deletes) {
            (Body::Condition(condition), true) => match lost_delete(condition) {
                Some(lost) => draft.remarks.push(Remark::not_expressed(policy.span, lost)),
                None => add(deleting(policy, condition, policies, &mut names)),
            },
            (Body::Condition(condition), false)
                if condition.older_than.is_some() || condition.newer_than.is_none() =>
            {
                let scope = Scope::of(&condition.packages);
                let rules = keeping(policy, condition, &mut names);
                add(rules.into_iter().map(|rule| (scope.clone(), rule)).collect());
            }
            // These are lines of the rules that delete.
            (Body::Condition(_) | Body::MostRecent { .. }, _) => {}
        }
    }
    for (scope, rules) in scopes {
        let place = policies.first().map_or(Span::new(0, 0), |policy| policy.span);
        let mut policy = scoped(repositories(&scope.packages, attached.root(), place, problems)?);
        if !scope.except.is_empty() {
            policy.exclude_repositories = repositories(&scope.except, attached.root(), place, problems)?;
        }
        policy.rules = rules;
        draft.policies.push(policy);
    }
    Ok(())
}

/// Why a delete policy has no native form.
fn lost_delete(condition: &Condition) -> Option<&'static str> {
    if condition.newer_than.is_some() {
        Some("no rule deletes what is newer than an age: what this policy matches stays")
    } else if condition.versions {
        Some(
            "no rule selects by digest, which is what versionNamePrefixes does: what this policy matches stays",
        )
    } else {
        None
    }
}

/// A keep policy that keeps all that it selects.
fn keeping(policy: &Policy, condition: &Condition, names: &mut Names) -> Vec<DraftRule> {
    let mut remarks = Vec::new();
    if condition.older_than.is_some() {
        remarks.push(Remark::not_expressed(
            policy.span,
            "no rule keeps what is older than an age and lets go what is newer: all that this policy selects stays, of any age",
        ));
    }
    if condition.versions {
        remarks.push(versions_remark(policy.span));
    }
    let mut rules = Vec::new();
    if let Some(prefixes) = &condition.tagged {
        rules.push(DraftRule::new(
            names.take(&policy.name),
            select(prefixes, &[]),
            Keep::all(),
        ));
    }
    if condition.untagged {
        let name = names.take(&format!("{}, untagged", policy.name));
        rules.push(DraftRule::new(name, untagged(None), Keep::all()));
    }
    if let Some(first) = rules.first_mut() {
        first.remarks = remarks;
    }
    rules
}

fn versions_remark(span: Span) -> Remark {
    Remark::not_expressed(
        span,
        "no rule selects by digest, which is what versionNamePrefixes does: versions of any name are kept",
    )
}

/// The packages that a rule is about.
#[derive(Clone, PartialEq)]
struct Scope {
    packages: Packages,
    /// Prefixes of those that it is not about; none says that there are none.
    except: Packages,
}

impl Scope {
    fn of(packages: &Packages) -> Self {
        Self {
            packages: packages.clone(),
            except: Packages::new(),
        }
    }
}

/// Some of what a delete policy matches, and what is kept of it.
#[derive(Clone)]
struct Part {
    scope: Scope,
    /// Prefixes of tags; `None` for what has no tag.
    prefixes: Option<Vec<String>>,
    exclude: Vec<String>,
    lines: Vec<KeepLine>,
}

impl Part {
    /// Takes out the tags with one of these prefixes. Whether anything is left.
    fn without(&mut self, gone: &[String]) -> bool {
        let Some(prefixes) = &mut self.prefixes else {
            return true;
        };
        prefixes.retain(|one| !gone.iter().any(|gone| one.starts_with(gone.as_str())));
        let inside = meet(prefixes, gone);
        for prefix in inside {
            if !self.exclude.contains(&prefix) {
                self.exclude.push(prefix);
            }
        }
        !prefixes.is_empty()
    }
}

/// The parts of what a delete policy matches that no other delete policy deletes sooner.
fn parts(position: usize, condition: &Condition, policies: &[Policy]) -> Vec<Part> {
    let line = condition.older_than.clone().map(|age| KeepLine::Within {
        clock: Clock::Pushed,
        age,
    });
    let part = |prefixes: Option<Vec<String>>| Part {
        scope: Scope::of(&condition.packages),
        prefixes,
        exclude: Vec::new(),
        lines: line.clone().into_iter().collect(),
    };
    let mut parts: Vec<Part> = condition
        .tagged
        .iter()
        .map(|prefixes| part(Some(prefixes.clone())))
        .collect();
    parts.extend(condition.untagged.then(|| part(None)));
    let waits = |condition: &Condition| condition.older_than.as_ref().map(Age::delta);
    for (other_position, other) in policies.iter().enumerate() {
        let Body::Condition(sooner) = &other.body else {
            continue;
        };
        let is_sooner = (waits(sooner), other_position) < (waits(condition), position);
        if !other.deletes || lost_delete(sooner).is_some() || !is_sooner {
            continue;
        }
        let mut left = Vec::new();
        for part in parts {
            let touches = if part.prefixes.is_some() {
                sooner.tagged.is_some()
            } else {
                sooner.untagged
            };
            if !touches || !overlapping(&sooner.packages, &part.scope.packages) {
                left.push(part);
                continue;
            }
            let mut shared = part.clone();
            if !covers(&sooner.packages, &part.scope.packages) {
                shared.scope.packages = both(&part.scope.packages, &sooner.packages);
                let mut apart = part;
                apart.scope.except.extend(sooner.packages.iter().cloned());
                left.push(apart);
            }
            if shared.prefixes.is_some() && shared.without(sooner.tagged.as_deref().unwrap_or_default()) {
                left.push(shared);
            }
        }
        parts = left;
    }
    parts
}

/// Prefixes of packages that have a prefix of both lists, which overlap.
fn both(a: &Packages, b: &Packages) -> Packages {
    let every = |packages: &Packages| -> Vec<String> {
        if packages.is_empty() {
            vec![String::new()]
        } else {
            packages.iter().cloned().collect()
        }
    };
    meet(&every(a), &every(b)).into_iter().collect()
}

/// The rules of a delete policy, with the lines of the keep policies that hold for what it selects.
fn deleting(
    policy: &Policy,
    condition: &Condition,
    policies: &[Policy],
    names: &mut Names,
) -> Vec<(Scope, DraftRule)> {
    let mut remarks = Vec::new();
    let position = policies
        .iter()
        .position(|other| std::ptr::eq(other, policy))
        .unwrap_or(0);
    let mut parts = parts(position, condition, policies);
    let mut counted = false;
    for kept in policies.iter().filter(|kept| !kept.deletes) {
        let packages = match &kept.body {
            Body::Condition(other) => &other.packages,
            Body::MostRecent { packages, .. } => packages,
        };
        let mut used = false;
        match &kept.body {
            Body::MostRecent { count, .. } => {
                let line = last_line(*count, Clock::Pushed);
                for part in parts
                    .iter_mut()
                    .filter(|part| overlapping(packages, &part.scope.packages))
                {
                    add_line(&mut part.lines, &line);
                    used = true;
                    counted = true;
                }
            }
            Body::Condition(other) => {
                let (Some(age), None) = (&other.newer_than, &other.older_than) else {
                    continue;
                };
                let line = KeepLine::Within {
                    clock: Clock::Pushed,
                    age: age.clone(),
                };
                used = split(&mut parts, other, &line, kept, &mut remarks);
                if used && other.versions {
                    remarks.push(versions_remark(kept.span));
                }
            }
        }
        if used && !covers(packages, &condition.packages) {
            remarks.push(Remark::keeps_more(
                kept.span,
                format!(
                    "{} is about some of the packages of {} only, and holds for all of them here",
                    quoted(&kept.name),
                    quoted(&policy.name)
                ),
            ));
        }
    }
    if counted {
        remarks.push(Remark::keeps_more(
            policy.span,
            "the most recent versions are counted among what each rule selects; Artifact Registry counts all versions of a package",
        ));
    }
    if parts.iter().any(|part| part.prefixes.is_none()) {
        remarks.push(untagged_remark(policy.span));
    }
    let rule = |part: Part| {
        let rule = match &part.prefixes {
            Some(prefixes) => DraftRule::new(
                names.take(&policy.name),
                select(prefixes, &part.exclude),
                keep(part.lines),
            ),
            None => {
                let name = names.take(&format!("{}, untagged", policy.name));
                DraftRule::new(name, untagged(None), keep(part.lines))
            }
        };
        (part.scope, rule)
    };
    let mut rules: Vec<(Scope, DraftRule)> = parts.into_iter().map(rule).collect();
    if let Some((_, first)) = rules.first_mut() {
        first.remarks = remarks;
    }
    rules
}

/// Adds a line to the parts that a keep policy is about, and to what of others it is about. Whether there were any.
fn split(
    parts: &mut Vec<Part>,
    other: &Condition,
    line: &KeepLine,
    kept: &Policy,
    remarks: &mut Vec<Remark>,
) -> bool {
    let mut used = false;
    let mut done = Vec::new();
    for mut part in std::mem::take(parts) {
        let about = if part.prefixes.is_some() {
            other.tagged.is_some()
        } else {
            other.untagged
        };
        if !about || !overlapping(&other.packages, &part.scope.packages) {
            done.push(part);
            continue;
        }
        let (Some(own), Some(prefixes)) = (part.prefixes.clone(), &other.tagged) else {
            add_line(&mut part.lines, line);
            used = true;
            done.push(part);
            continue;
        };
        // What is left out of this part already has no share in it.
        let mut inside = part.clone();
        let left_out = |one: &String| part.exclude.iter().any(|gone| one.starts_with(gone.as_str()));
        let shared: Vec<String> = meet(&own, prefixes)
            .into_iter()
            .filter(|one| !left_out(one))
            .collect();
        if shared.is_empty() {
            done.push(part);
            continue;
        }
        used = true;
        add_line(&mut inside.lines, line);
        let whole = own
            .iter()
            .all(|one| prefixes.iter().any(|prefix| one.starts_with(prefix.as_str())));
        if whole {
            done.push(inside);
        } else if done.len() + 2 > MOST_PARTS {
            remarks.push(Remark::keeps_more(
                kept.span,
                format!(
                    "{} would split the rule into too many parts: it holds for every tag of the rest",
                    quoted(&kept.name)
                ),
            ));
            done.push(inside);
        } else {
            inside.prefixes = Some(shared.clone());
            done.push(inside);
            if part.without(&shared) {
                done.push(part);
            }
        }
    }
    *parts = done;
    used
}

/// Adds a line; of two of a kind, the one that keeps more says it all.
fn add_line(lines: &mut Vec<KeepLine>, line: &KeepLine) {
    for known in lines.iter_mut() {
        match (&mut *known, line) {
            (KeepLine::Within { age, .. }, KeepLine::Within { age: other, .. }) => {
                if age.delta() < other.delta() {
                    *age = other.clone();
                }
                return;
            }
            (KeepLine::Last { count, .. }, KeepLine::Last { count: other, .. }) => {
                *count = (*count).max(*other);
                return;
            }
            _ => {}
        }
    }
    // A document has `last` first.
    match line {
        KeepLine::Last { .. } => lines.insert(0, line.clone()),
        _ => lines.push(line.clone()),
    }
}

/// Prefixes of what has a prefix of both lists.
fn meet(a: &[String], b: &[String]) -> Vec<String> {
    let mut both = BTreeSet::new();
    for a in a {
        for b in b {
            if a.starts_with(b.as_str()) {
                both.insert(a.clone());
            } else if b.starts_with(a.as_str()) {
                both.insert(b.clone());
            }
        }
    }
    both.into_iter().collect()
}

fn select(prefixes: &[String], exclude: &[String]) -> Select {
    let globs =
        |prefixes: &[String]| -> Vec<String> { prefixes.iter().map(|prefix| format!("{prefix}*")).collect() };
    let selected = globs(prefixes);
    let excluded = globs(exclude);
    if prefixes.iter().any(String::is_empty) {
        return Select {
            exclude: patterns(excluded.iter().map(String::as_str)),
            ..any_tag()
        };
    }
    Select {
        exclude: patterns(excluded.iter().map(String::as_str)),
        ..tags(selected.iter().map(String::as_str))
    }
}

fn overlapping(a: &Packages, b: &Packages) -> bool {
    a.is_empty()
        || b.is_empty()
        || a.iter().any(|a| {
            b.iter()
                .any(|b| a.starts_with(b.as_str()) || b.starts_with(a.as_str()))
        })
}

fn covers(outer: &Packages, inner: &Packages) -> bool {
    outer.is_empty()
        || !inner.is_empty()
            && inner
                .iter()
                .all(|inner| outer.iter().any(|outer| inner.starts_with(outer.as_str())))
}

fn repositories(
    packages: &Packages,
    root: &str,
    place: Span,
    problems: &mut Problems<'_>,
) -> Read<Vec<RepositoryPattern>> {
    let mut globs = Vec::new();
    if packages.is_empty() {
        globs.push(format!("{root}/**"));
    }
    for prefix in packages {
        globs.extend([format!("{root}/{prefix}*"), format!("{root}/{prefix}*/**")]);
    }
    all(globs, |glob| {
        repository(Some(glob.clone()), &glob, place, problems)
    })
}

fn policy(item: &Node, id: Option<&str>, problems: &mut Problems<'_>) -> Read<Policy> {
    let fields = Fields::open(item, item.span, &POLICY, problems)?;
    let name = match fields.get("name").or(fields.get("id")) {
        Some(node) => label(node, "the name of a cleanup policy", problems).map(str::to_owned),
        None => Ok(id.unwrap_or("cleanup").to_owned()),
    };
    let deletes = fields.required("action", None, problems).and_then(|(key, node)| {
        let node = match &node.value {
            Value::Scalar { .. } => node,
            _ => {
                let action = Fields::open(node, key.span, &ACTION, problems)?;
                let (_, kind) = action.required("type", None, problems)?;
                kind
            }
        };
        let written = text(node, "an action", problems)?;
        match written.to_ascii_lowercase().as_str() {
            "delete" => Ok(true),
            "keep" => Ok(false),
            _ => Err(problems.report(
                node.span,
                format!("{} is neither Delete nor Keep", quoted(written)),
                None,
            )),
        }
    });
    let condition = fields
        .entry("condition")
        .map(|(key, node)| condition(node, key.span, problems))
        .transpose();
    let recent = fields
        .entry("mostRecentVersions")
        .map(|(key, node)| most_recent(node, key.span, problems))
        .transpose();
    fields.incomplete()?;
    let (name, deletes, condition, recent) = (name?, deletes?, condition?, recent?);
    let body = match (condition, recent) {
        (Some(condition), None) => Body::Condition(condition),
        (None, Some((packages, count))) if !deletes => Body::MostRecent { packages, count },
        (None, Some(_)) => {
            let message = "only a Keep policy has `mostRecentVersions`";
            return Err(problems.report(item.span, message, None));
        }
        (Some(_), Some(_)) => {
            let message = "a cleanup policy has one of `condition` and `mostRecentVersions`";
            return Err(problems.report(item.span, message, None));
        }
        (None, None) => {
            let message = "a cleanup policy needs one of `condition` and `mostRecentVersions`";
            return Err(problems.report(item.span, message, None));
        }
    };
    Ok(Policy {
        span: item.span,
        name,
        deletes,
        body,
    })
}

fn condition(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Condition> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Tagged,
        Untagged,
        Any,
    }
    let fields = Fields::open(node, place, &CONDITION, problems)?;
    let state = fields.optional("tagState", |node| {
        let written = text(node, "a tag state", problems)?;
        match written.to_ascii_lowercase().as_str() {
            "tagged" => Ok(State::Tagged),
            "untagged" => Ok(State::Untagged),
            "any" | "tag_state_unspecified" => Ok(State::Any),
            _ => Err(problems.report(
                node.span,
                format!("{} is none of tagged, untagged, any", quoted(written)),
                None,
            )),
        }
    });
    let tags = fields.optional("tagPrefixes", |node| prefixes(node, of_a_tag, problems));
    let versions = fields.optional("versionNamePrefixes", |node| prefixes(node, |_| true, problems));
    let packages = fields.optional("packageNamePrefixes", |node| packages(node, problems));
    let older_than = fields.optional("olderThan", |node| age(node, problems));
    let newer_than = fields.optional("newerThan", |node| age(node, problems));
    fields.incomplete()?;
    let (state, tags, versions, packages) = (state?.unwrap_or(State::Any), tags?, versions?, packages?);
    let (older_than, newer_than) = (older_than?.flatten(), newer_than?);
    if state == State::Untagged && tags.is_some() {
        let message = "nothing that is untagged has a tag with a prefix";
        return Err(problems.report(place, message, None));
    }
    if matches!(newer_than, Some(None)) {
        let message = "nothing is newer than no time";
        return Err(problems.report(place, message, None));
    }
    let has_prefixes = tags.is_some();
    Ok(Condition {
        packages: packages.unwrap_or_default(),
        tagged: (state != State::Untagged).then(|| tags.unwrap_or_else(|| vec![String::new()])),
        // What has no tag has none with a prefix.
        untagged: state != State::Tagged && !has_prefixes,
        versions: versions.is_some(),
        older_than,
        newer_than: newer_than.flatten(),
    })
}

fn most_recent(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<(Packages, u32)> {
    let fields = Fields::open(node, place, &MOST_RECENT, problems)?;
    let packages = fields.optional("packageNamePrefixes", |node| packages(node, problems));
    let count = fields
        .required("keepCount", None, problems)
        .and_then(|(_, node)| {
            let count = number(node, "a whole number", problems)?;
            match u32::try_from(count) {
                Ok(count @ 1..) => Ok(count),
                Ok(0) => Err(problems.report(node.span, "`keepCount` is 1 or more", None)),
                Err(_) => Err(problems.report(node.span, format!("{count} is too large"), None)),
            }
        });
    fields.incomplete()?;
    Ok((packages?.unwrap_or_default(), count?))
}

fn of_a_tag(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn packages(node: &Node, problems: &mut Problems<'_>) -> Read<Packages> {
    let of_a_package =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/' | '%');
    // The API writes the slashes of a name as %2F.
    let read = one_or_more(node, "a list of prefixes", problems, |item, problems| {
        let written = text(item, "a prefix", problems)?;
        let prefix = written.replace("%2F", "/").replace("%2f", "/");
        if prefix.is_empty() || prefix.contains('%') || !prefix.chars().all(of_a_package) {
            let message = format!("no name of an image begins with {}", quoted(written));
            return Err(problems.report(item.span, message, None));
        }
        Ok(prefix)
    })?;
    Ok(read.into_iter().collect())
}

fn prefixes(node: &Node, is_right: impl Fn(char) -> bool, problems: &mut Problems<'_>) -> Read<Vec<String>> {
    one_or_more(node, "a list of prefixes", problems, |item, problems| {
        let prefix = text(item, "a prefix", problems)?;
        if prefix.is_empty() || !prefix.chars().all(&is_right) {
            let message = format!("no tag begins with {}", quoted(prefix));
            return Err(problems.report(item.span, message, None));
        }
        Ok(prefix.to_owned())
    })
}

/// An age; `None` for none.
fn age(node: &Node, problems: &mut Problems<'_>) -> Read<Option<Age>> {
    let written = text(node, "a length of time", problems)?;
    let Some(count) = duration(written) else {
        let hint = Some("a length of time reads `30d`, `12h` or `2592000s`".to_owned());
        return Err(problems.report(node.span, format!("{} cannot be read", quoted(written)), hint));
    };
    match seconds(count) {
        None if count > 0 => Err(problems.report(
            node.span,
            format!("{} is longer than a thousand years", quoted(written)),
            None,
        )),
        age => Ok(age),
    }
}
