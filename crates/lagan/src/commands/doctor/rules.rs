//! What else deletes, keeps or copies where a policy decides: Harbor's retention, immutable tags, replication, caches.

use lagan_config::{Doublestar, Meeting, Overlaps};
use lagan_policy::Policy;
use lagan_registry::{Examination, ImmutableRule, ProjectFacts, ReplicationPolicy, Retention, Selector};
use lagan_report::doctor::{Finding, Level};

use super::{Patient, of_error};
use crate::cli::Purpose;

pub(super) fn look(
    patient: &Patient,
    examined: &Examination,
    projects: &[ProjectFacts],
    findings: &mut Vec<Finding>,
) {
    let Some(overlaps) = Overlaps::new() else {
        let text = "whether Harbor's own rules overlap with the policies could not be told";
        findings.push(Finding::new("retention", Level::Unknown, text));
        return;
    };
    let before = findings.len();
    for project in projects {
        findings.extend(cache(project));
        findings.extend(retention(patient, &overlaps, project));
        findings.extend(immutable(patient, &overlaps, project));
    }
    let none = |check, text: &str| Finding::new(check, Level::Ok, text);
    let has = |check| findings[before..].iter().any(|finding| finding.check == check);
    let (retention, immutable) = (has("retention"), has("immutable"));
    if !projects.is_empty() && !retention {
        findings.push(none(
            "retention",
            "no retention of Harbor's own deletes where a policy does, in the projects looked at",
        ));
    }
    if !projects.is_empty() && !immutable {
        findings.push(none(
            "immutable",
            "no rule for immutable tags covers what a policy selects, in the projects looked at",
        ));
    }
    replication(patient, &overlaps, examined, findings);
}

fn cache(project: &ProjectFacts) -> Option<Finding> {
    let finding = Finding::new(
        "proxy-cache",
        Level::Note,
        "the project caches another registry: it is left alone",
    );
    project.is_proxy_cache.then(|| finding.of_project(&project.name))
}

/// A repository that a policy decides about and these selectors mean. Only the first is looked at: some versions of Harbor
/// go by it alone, and what it does not mean no version means.
fn meeting<'p>(
    patient: &'p Patient,
    overlaps: &Overlaps,
    root: &str,
    selectors: &[Selector],
) -> Option<(&'p Policy, String)> {
    meetings(patient, overlaps, root, selectors).next()
}

fn meetings<'p>(
    patient: &'p Patient,
    overlaps: &Overlaps,
    root: &str,
    selectors: &[Selector],
) -> impl Iterator<Item = (&'p Policy, String)> {
    let everything = Doublestar {
        pattern: "**",
        excludes: false,
    };
    let (pattern, is_known) = match selectors.first() {
        None => (everything, true),
        Some(selector) => match (selector.excludes, &selector.pattern) {
            (Some(excludes), Some(pattern)) => (Doublestar { pattern, excludes }, true),
            _ => (everything, false),
        },
    };
    patient.policies.policies.iter().filter_map(move |policy| {
        match overlaps.repositories(policy, root, pattern) {
            Meeting::At(name) if is_known => Some((policy, format!("as in {name}"))),
            Meeting::At(_) | Meeting::Unknown => Some((policy, "as far as can be told".to_owned())),
            Meeting::Nowhere => None,
        }
    })
}

fn retention(patient: &Patient, overlaps: &Overlaps, project: &ProjectFacts) -> Vec<Finding> {
    let text = match &project.retention {
        Ok(None) => return Vec::new(),
        Ok(Some(text)) => text,
        Err(error) => {
            let mut finding = of_error("retention", Level::Unknown, error).needed(patient.purposes.deletes());
            finding.text = format!("what Harbor's own retention does is not told: {}", finding.text);
            return vec![finding.of_project(&project.name)];
        }
    };
    let harbors = match Retention::read(text) {
        Ok(retention) => retention,
        Err(why) => {
            let text = format!("what Harbor's own retention does is not told: {why}");
            let finding = Finding::new("retention", Level::Unknown, text).needed(patient.purposes.deletes());
            return vec![finding.of_project(&project.name)];
        }
    };
    let (level, when) = match harbors.schedule() {
        Some(cron) => (Level::Warning, format!("runs by the schedule {cron}")),
        None => (Level::Note, "runs only when somebody starts it".to_owned()),
    };
    if harbors.repositories().next().is_none() {
        return Vec::new();
    }
    if patient.policies.policies.is_empty() {
        let text = format!("the project has retention of Harbor's own, which {when}");
        return vec![Finding::new("retention", Level::Note, text).of_project(&project.name)];
    }
    let found = harbors
        .repositories()
        .find_map(|selectors| meeting(patient, overlaps, &project.name, &selectors));
    let Some((ours, place)) = found else {
        return Vec::new();
    };
    let text = format!(
        "Harbor's own retention {when}, and deletes where policy {} decides, {place}: what either of them deletes is gone",
        ours.name
    );
    let finding = Finding::new("retention", level, text).of_project(&project.name);
    vec![finding.with_hint(
        format!(
            "leave it to one of them: `lagan plan --compare-with harbor` shows where they differ, and `lagan policy \
             convert --attached-to {}` writes Harbor's rules as a policy",
            project.name
        ),
    )]
}

fn immutable(patient: &Patient, overlaps: &Overlaps, project: &ProjectFacts) -> Vec<Finding> {
    let rules = match &project.immutable {
        Ok(rules) => rules,
        Err(error) => {
            let mut finding = of_error("immutable", Level::Unknown, error);
            finding.text = format!("which tags are immutable is not told: {}", finding.text);
            return vec![finding.of_project(&project.name)];
        }
    };
    let covered = |rule: &ImmutableRule| {
        let tags = rule.tags.first()?;
        let is_apart = |policy: &Policy| match (tags.excludes, &tags.pattern) {
            (Some(excludes), Some(pattern)) => {
                let pattern = Doublestar { pattern, excludes };
                policy.rules.iter().all(|rule| overlaps.tags_apart(rule, pattern))
            }
            _ => false,
        };
        let mut met = meetings(patient, overlaps, &project.name, &rule.repositories);
        met.find(|(policy, _)| !is_apart(policy)).map(|(policy, place)| {
            let shown = match (tags.excludes, &tags.pattern) {
                (Some(false), Some(pattern)) => format!("tags {pattern}"),
                (Some(true), Some(pattern)) => format!("tags but {pattern}"),
                _ => "tags".to_owned(),
            };
            let text = format!(
                "rule {} makes {shown} immutable, {place}: they stay, whatever policy {} says of them",
                rule.id, policy.name
            );
            Finding::new("immutable", Level::Note, text).of_project(&project.name)
        })
    };
    rules.iter().filter_map(covered).collect()
}

fn replication(patient: &Patient, overlaps: &Overlaps, examined: &Examination, findings: &mut Vec<Finding>) {
    let copies = match &examined.replications {
        Ok(copies) => copies,
        Err(error) => {
            let mut finding =
                of_error("replication", Level::Unknown, error).needed(patient.purposes.deletes());
            finding.text = format!(
                "whether deletions are copied to other registries is not told: {}",
                finding.text
            );
            findings.push(finding.with_hint("this takes `replication-policy:list` of the system"));
            return;
        }
    };
    let is_at_work = |copy: &&ReplicationPolicy| copy.is_enabled && copy.is_event_based && copy.is_outward;
    let mut copies_deletions = false;
    for copy in copies.iter().filter(is_at_work) {
        if !copy.deletes && !patient.purposes.has(Purpose::Undo) {
            continue;
        }
        let selector = Selector {
            excludes: Some(false),
            pattern: Some(copy.repositories.clone()),
        };
        let place = match meeting(patient, overlaps, "", &[selector]) {
            Some((_, place)) => place,
            None if patient.policies.policies.is_empty() => "wherever it reaches".to_owned(),
            None => continue,
        };
        if !copy.deletes {
            let text = format!(
                "replication {} copies pushes to {}: what an undo puts back, {place}, is copied there again",
                copy.name, copy.destination
            );
            findings.push(Finding::new("replication", Level::Note, text));
            continue;
        }
        copies_deletions = true;
        let text = format!(
            "replication {} copies deletions to {}: what is deleted here, {place}, is deleted there too, and undo does \
             not reach it",
            copy.name, copy.destination
        );
        let finding = Finding::new("replication", Level::Warning, text);
        findings.push(
            finding.with_hint("switch off that it replicates deletions, or leave these repositories out"),
        );
    }
    if !copies_deletions {
        let text = "no deletion is copied to another registry";
        findings.push(Finding::new("replication", Level::Ok, text));
    }
}
