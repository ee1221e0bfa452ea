//! What an account is for, and what that takes of Harbor's permissions.

use lagan_registry::Allowed;
use serde_json::{Value, json};

use crate::cli::Purpose;

/// A resource and an action, in Harbor's words.
pub(super) type Need = (&'static str, &'static str);

const PLAN: &[Need] = &[
    ("project", "read"),
    ("repository", "list"),
    ("artifact", "list"),
    ("artifact", "read"),
    ("tag", "list"),
    ("accessory", "list"),
    ("immutable-tag", "list"),
];
/// The manifest is read before its tag goes.
const SOFT_DELETE: &[Need] = &[("tag", "delete"), ("repository", "pull")];
/// Tags that were taken off an artifact which got another one meanwhile are put back.
const DELETE: &[Need] = &[
    ("tag", "delete"),
    ("artifact", "delete"),
    ("repository", "pull"),
    ("tag", "create"),
];
const UNDO: &[Need] = &[
    ("tag", "create"),
    ("repository", "pull"),
    ("repository", "push"),
    ("label", "list"),
    ("artifact-label", "create"),
];
/// What no plan needs, and `doctor` and `--compare-with harbor` read.
const ASIDE: &[Need] = &[("tag-retention", "read")];
/// When garbage is collected, which says until when a deletion can be undone.
const WATCH: &[Need] = &[("garbage-collection", "list"), ("garbage-collection", "read")];
const COLLECT: &[Need] = &[("garbage-collection", "create")];
/// Whether deletions are copied elsewhere.
const COPIES: &[Need] = &[("replication-policy", "list")];

/// The purposes of which Harbor grants each by project.
pub(super) const OF_PROJECTS: [Purpose; 4] =
    [Purpose::Plan, Purpose::SoftDelete, Purpose::Delete, Purpose::Undo];

impl Purpose {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::SoftDelete => "soft-delete",
            Self::Delete => "delete",
            Self::Undo => "undo",
            Self::Collect => "collect",
        }
    }

    /// What it takes in each project.
    pub(super) fn of_project(self) -> &'static [Need] {
        match self {
            Self::Plan => PLAN,
            Self::SoftDelete => SOFT_DELETE,
            Self::Delete => DELETE,
            Self::Undo => UNDO,
            Self::Collect => &[],
        }
    }
}

/// Everything that an account is for.
#[derive(Debug, Clone)]
pub(super) struct Purposes(Vec<Purpose>);

impl Purposes {
    /// What was asked for, or else what the policies' modes take: planning, and where one is enforced deleting and
    /// undoing, and collecting garbage where a run does that. Nothing is done without a plan.
    pub(super) fn new(asked: &[Purpose], is_enforced: bool, collects: bool) -> Self {
        let mut all = vec![Purpose::Plan];
        match (asked, is_enforced) {
            ([], true) => {
                all.extend([Purpose::Delete, Purpose::Undo]);
                all.extend(collects.then_some(Purpose::Collect));
            }
            ([], false) => {}
            (asked, _) => all.extend(asked),
        }
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    pub(super) fn has(&self, purpose: Purpose) -> bool {
        self.0.contains(&purpose)
    }

    /// Whether something is deleted.
    pub(super) fn deletes(&self) -> bool {
        self.has(Purpose::SoftDelete) || self.has(Purpose::Delete)
    }

    /// Whether something is written.
    pub(super) fn writes(&self) -> bool {
        self.deletes() || self.has(Purpose::Undo) || self.has(Purpose::Collect)
    }

    pub(super) fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|purpose| purpose.word()).collect()
    }

    fn of_project(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = Vec::new();
        let all = self
            .0
            .iter()
            .flat_map(|purpose| purpose.of_project())
            .chain(ASIDE);
        for need in all {
            if !needs.contains(need) {
                needs.push(*need);
            }
        }
        needs
    }

    fn of_system(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.writes() {
            needs.extend(WATCH);
        }
        if self.has(Purpose::Collect) {
            needs.extend(COLLECT);
        }
        if self.deletes() {
            needs.extend(COPIES);
        }
        needs
    }

    /// What `POST /api/v2.0/robots` takes for a robot that may do just this. It is one of the project where there is only
    /// one and nothing is asked of the system: a project's administrator can make it then.
    pub(super) fn robot(&self, projects: &[String]) -> Value {
        let access = |needs: &[Need]| -> Vec<Value> {
            let one = |(resource, action): &Need| json!({"resource": resource, "action": action});
            needs.iter().map(one).collect()
        };
        let of_project = self.of_project();
        let mut permissions: Vec<Value> = projects
            .iter()
            .map(|project| json!({"kind": "project", "namespace": project, "access": access(&of_project)}))
            .collect();
        let of_system = self.of_system();
        if !of_system.is_empty() {
            permissions.push(json!({"kind": "system", "namespace": "/", "access": access(&of_system)}));
        }
        let level = match permissions.len() {
            1 => "project",
            _ => "system",
        };
        json!({
            "name": "lagan",
            "description": format!("retention ({})", self.words().join(", ")),
            "level": level,
            "disable": false,
            "duration": 365,
            "permissions": permissions,
        })
    }
}

/// What of these is not allowed.
pub(super) fn missing(needs: &[Need], allowed: &Allowed) -> Vec<Need> {
    let lacks =
        |(resource, action): &&Need| !allowed.contains(&((*resource).to_owned(), (*action).to_owned()));
    needs.iter().filter(lacks).copied().collect()
}

/// `` `tag:delete`, `tag:create` ``
pub(super) fn listed(needs: &[Need]) -> String {
    let all: Vec<_> = needs
        .iter()
        .map(|(resource, action)| format!("`{resource}:{action}`"))
        .collect();
    all.join(", ")
}
