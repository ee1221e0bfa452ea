//! A Harbor: who asks, what they may do, and whether anything may be done at all.

use std::collections::BTreeMap;

use lagan_registry::{Account, Allowed, Asked, Examination, HarborRegistry, HarborRelease, ProjectFacts};
use lagan_report::doctor::{Finding, Level};
use serde_json::Value;

use super::purpose::{self, Need, OF_PROJECTS};
use super::{Patient, collections, of_error, rules};
use crate::cli::Purpose;

/// The oldest release that is supported.
const OLDEST: HarborRelease = HarborRelease { major: 2, minor: 8 };

/// How many projects are looked at.
const MOST_PROJECTS: usize = 100;

const ROBOT: &str = "`lagan doctor --print-robot` prints a robot account that may do just what is needed";

/// Looks, and answers the robot that would do.
pub(super) async fn look(
    patient: &Patient,
    harbor: &HarborRegistry,
    username: Option<String>,
    findings: &mut Vec<Finding>,
) -> Value {
    let examined = harbor.examine().await;
    findings.push(version(&examined.version));
    findings.push(account(&examined.account, username));
    findings.push(read_only(patient, examined.read_only));

    let mut names = patient.named();
    match &examined.projects {
        Ok(visible) => names.extend(visible.iter().filter(|name| patient.wants(name)).cloned()),
        Err(error) => findings.push(of_error("projects", Level::Unknown, error)),
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        let text = "no project is named, and none is visible: what the account may do is not known";
        findings.push(Finding::new("projects", Level::Unknown, text));
    }
    if names.len() > MOST_PROJECTS {
        let text = format!(
            "{} projects: only the first {MOST_PROJECTS} are looked at",
            names.len()
        );
        let finding = Finding::new("projects", Level::Unknown, text);
        findings.push(finding.with_hint("name fewer: `lagan doctor 'team/**'`"));
    }
    let robot = patient.purposes.robot(&names);
    names.truncate(MOST_PROJECTS);
    let mut projects = Vec::new();
    for name in &names {
        match harbor.examine_project(name).await {
            Ok(facts) => {
                if let Err(error) = &facts.repositories {
                    let mut finding = of_error("permissions", Level::Unknown, error);
                    finding.text = format!("its repositories are not listed: {}", finding.text);
                    findings.push(finding.of_project(name));
                }
                projects.push(facts);
            }
            Err(error) => {
                let finding = of_error("permissions", Level::Warning, &error).of_project(name);
                findings.push(finding.with_hint(format!(
                    "does the project exist, and may the account see it? {ROBOT}"
                )));
            }
        }
    }
    permissions(patient, &examined, &projects, findings);
    collections::look(patient, &examined, findings);
    rules::look(patient, &examined, &projects, findings);
    robot
}

fn version(version: &Asked<Option<String>>) -> Finding {
    match version {
        Err(error) => of_error("version", Level::Unknown, error).needed(false),
        Ok(None) => {
            let text = "Harbor tells its version to those who are signed in";
            Finding::new("version", Level::Unknown, text).needed(false)
        }
        Ok(Some(version)) => {
            let finding = |level| Finding::new("version", level, format!("Harbor {version}"));
            match HarborRelease::of(version) {
                Some(release) if release < OLDEST => {
                    finding(Level::Warning).with_hint("2.8 is the oldest release that is supported")
                }
                Some(_) => finding(Level::Ok),
                None => finding(Level::Unknown).needed(false),
            }
        }
    }
}

fn account(account: &Asked<Account>, username: Option<String>) -> Finding {
    match account {
        Err(error) => of_error("account", Level::Unknown, error),
        Ok(Account::Nobody) => Finding::new("account", Level::Note, "nobody: only what is public is seen"),
        Ok(Account::Robot) => {
            let name = username.unwrap_or_else(|| "a robot".to_owned());
            let text = format!("{name}, a robot; until when its secret is valid, a robot is not told");
            Finding::new("account", Level::Ok, text)
        }
        Ok(Account::User { name, is_admin: true }) => {
            let text = format!("{name}, an administrator of the system, who may do everything");
            Finding::new("account", Level::Note, text).with_hint(ROBOT)
        }
        Ok(Account::User {
            name,
            is_admin: false,
        }) => Finding::new("account", Level::Ok, format!("{name}, a user")),
    }
}

fn read_only(patient: &Patient, read_only: Option<bool>) -> Finding {
    match read_only {
        Some(true) => Finding::new(
            "read-only",
            Level::Warning,
            "Harbor is in read-only mode: plans work, and nothing can be deleted or put back",
        )
        .with_hint("an administrator ends it in Configuration, System Settings"),
        Some(false) => Finding::new("read-only", Level::Ok, "Harbor takes changes"),
        None => Finding::new(
            "read-only",
            Level::Unknown,
            "Harbor does not say whether it is in read-only mode",
        )
        .needed(patient.purposes.writes()),
    }
}

/// What the account may do in each project, against what it is for. Projects where that is the same share a line.
fn permissions(
    patient: &Patient,
    examined: &Examination,
    projects: &[ProjectFacts],
    findings: &mut Vec<Finding>,
) {
    let is_admin = matches!(examined.account, Ok(Account::User { is_admin: true, .. }));
    let is_nobody = matches!(examined.account, Ok(Account::Nobody));
    let mut fine: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for project in projects {
        // Nobody who is not signed in may write; what they may read was tried.
        let allowed = match &project.allowed {
            Err(_) if is_nobody => tried(project, Allowed::new(), is_nobody),
            Err(error) => {
                let finding = of_error("permissions", Level::Unknown, error);
                findings.push(finding.of_project(&project.name));
                continue;
            }
            Ok(allowed) => tried(project, allowed.clone(), false),
        };
        let lacks = |purpose: &Purpose| match is_admin {
            true => Vec::new(),
            false => purpose::missing(purpose.of_project(), &allowed),
        };
        let mut needed: Vec<Need> = Vec::new();
        for purpose in OF_PROJECTS
            .iter()
            .filter(|purpose| patient.purposes.has(**purpose))
        {
            needed.extend(
                lacks(purpose)
                    .into_iter()
                    .filter(|need| !needed.contains(need))
                    .collect::<Vec<_>>(),
            );
        }
        if !needed.is_empty() {
            let text = format!("the account lacks {}", purpose::listed(&needed));
            let finding = Finding::new("permissions", Level::Warning, text).of_project(&project.name);
            findings.push(finding.with_hint(format!("give it these; {ROBOT}")));
            continue;
        }
        let words = |may: bool| -> Vec<_> {
            let of = OF_PROJECTS
                .iter()
                .filter(|purpose| lacks(purpose).is_empty() == may);
            of.map(|purpose| purpose.word()).collect()
        };
        let mut text = format!("the account may {}", words(true).join(", "));
        if !words(false).is_empty() {
            text.push_str(&format!(", and not {}", words(false).join(", ")));
        }
        fine.entry(text).or_default().push(&project.name);
    }
    for (text, names) in fine {
        let shown: Vec<_> = names.iter().take(5).copied().collect();
        let more = match names.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!("{text} in {}{more}", shown.join(", "));
        findings.push(Finding::new("permissions", Level::Ok, text));
    }
    if patient.purposes.has(Purpose::Collect) && !is_admin {
        findings.push(collecting(&examined.system));
    }
}

/// What Harbor says is allowed, and what was seen to be. Nobody is told what they may do, but what they were answered
/// needs what is public.
fn tried(project: &ProjectFacts, mut allowed: Allowed, is_nobody: bool) -> Allowed {
    let mut add = |resource: &str, action: &str| allowed.insert((resource.to_owned(), action.to_owned()));
    add("project", "read");
    if project.repositories.is_ok() {
        add("repository", "list");
        if is_nobody {
            for (resource, action) in [
                ("artifact", "list"),
                ("artifact", "read"),
                ("tag", "list"),
                ("accessory", "list"),
                ("repository", "pull"),
            ] {
                add(resource, action);
            }
        }
    }
    if project.immutable.is_ok() {
        add("immutable-tag", "list");
    }
    if project.retention.is_ok() {
        add("tag-retention", "read");
    }
    allowed
}

fn collecting(system: &Asked<Allowed>) -> Finding {
    let create = ("garbage-collection".to_owned(), "create".to_owned());
    match system {
        Ok(allowed) if allowed.contains(&create) => {
            Finding::new("permissions", Level::Ok, "the account may start collections")
        }
        // What the list of the system leaves out may be allowed all the same.
        Ok(_) => Finding::new(
            "permissions",
            Level::Unknown,
            "whether the account may start collections (`garbage-collection:create` of the system) is not told",
        )
        .with_hint(ROBOT),
        Err(error) => of_error("permissions", Level::Unknown, error),
    }
}
