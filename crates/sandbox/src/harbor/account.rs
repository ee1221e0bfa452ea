//! Who has an account, and what each may do: system administrators, members of projects, robots.
//!
//! Harbor asks for an action on a resource, of one project or of the system. What users' roles
//! allow is told of the resources that the sandbox serves, what robots can be allowed of all.

use std::fmt;

use super::tables::ProjectRow;
use super::version::HarborVersion;
use crate::moment::Moment;

/// What a project's member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Pull, and list what is there.
    Guest,
    /// And push.
    Developer,
    /// And delete.
    Maintainer,
    /// Everything in the project, its robots and itself among it.
    ProjectAdmin,
}

/// Someone who can sign in: a user or a robot.
#[derive(Clone)]
pub struct Account {
    pub(super) name: String,
    pub(super) secret: String,
    pub(super) is_robot: bool,
    pub(super) system_admin: bool,
    pub(super) roles: Vec<(String, Role)>,
    pub(super) grants: Vec<RobotGrant>,
    pub(super) expires: Option<Moment>,
    pub(super) disabled: bool,
}

/// What a robot may do in the system, in one project, or in all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RobotGrant {
    /// `None` is the system; `*` is every project.
    pub(super) project: Option<String>,
    pub(super) access: Vec<(String, String)>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// May do everything.
    #[must_use]
    pub fn admin(name: &str, password: &str) -> Self {
        Self {
            system_admin: true,
            ..Self::user(name, password)
        }
    }

    /// May do what its roles allow.
    #[must_use]
    pub fn user(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret: password.to_owned(),
            is_robot: false,
            system_admin: false,
            roles: Vec::new(),
            grants: Vec::new(),
            expires: None,
            disabled: false,
        }
    }

    /// A robot by its whole name: `robot$lagan` for one of the system, `robot$team+lagan` for one of the project `team`.
    #[must_use]
    pub fn robot(name: &str, secret: &str) -> Self {
        Self {
            is_robot: true,
            ..Self::user(name, secret)
        }
    }

    /// A user's role in a project.
    #[must_use]
    pub fn role(mut self, project: &str, role: Role) -> Self {
        self.roles.push((project.to_owned(), role));
        self
    }

    /// What a robot may do in a project, as resources and actions (`("tag", "delete")`); `*` is every project.
    #[must_use]
    pub fn may(mut self, project: &str, access: &[(&str, &str)]) -> Self {
        self.grants.push(RobotGrant {
            project: Some(project.to_owned()),
            access: owned(access),
        });
        self
    }

    /// What a robot may do in the system (`("garbage-collection", "read")`).
    #[must_use]
    pub fn may_in_system(mut self, access: &[(&str, &str)]) -> Self {
        self.grants.push(RobotGrant {
            project: None,
            access: owned(access),
        });
        self
    }

    /// A robot that is not known any more from this moment on.
    #[must_use]
    pub fn expires(mut self, moment: Moment) -> Self {
        self.expires = Some(moment);
        self
    }

    /// A robot that was switched off.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    pub(super) fn covers_every_project(&self) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.project.as_deref() == Some("*"))
    }

    pub(super) fn is_known_in(&self, project: &str) -> bool {
        self.roles.iter().any(|(named, _)| named == project)
            || self
                .grants
                .iter()
                .any(|grant| grant.project.as_deref() == Some(project))
    }

    fn role_in(&self, project: &str) -> Option<Role> {
        let roles = self.roles.iter().filter(|(named, _)| named == project);
        roles.map(|(_, role)| *role).max()
    }
}

fn owned(access: &[(&str, &str)]) -> Vec<(String, String)> {
    access
        .iter()
        .map(|(resource, action)| ((*resource).to_owned(), (*action).to_owned()))
        .collect()
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who<'a> {
    Anonymous,
    Known(&'a Account),
}

impl Who<'_> {
    pub(super) fn is_known(self) -> bool {
        matches!(self, Self::Known(_))
    }

    pub(super) fn is_system_admin(self) -> bool {
        matches!(self, Self::Known(account) if account.system_admin)
    }

    /// Whether this action is allowed in a project.
    pub(super) fn may(self, project: &ProjectRow, resource: &str, action: &str) -> bool {
        let listed = |table: &[(&str, &[&str])]| {
            table
                .iter()
                .any(|(named, actions)| *named == resource && actions.contains(&action))
        };
        if project.public && listed(PUBLIC) {
            return true;
        }
        let Self::Known(account) = self else {
            return false;
        };
        if account.system_admin {
            return true;
        }
        let granted = account
            .grants
            .iter()
            .filter(|grant| {
                grant
                    .project
                    .as_deref()
                    .is_some_and(|named| named == "*" || named == project.name)
            })
            .any(|grant| allows(&grant.access, resource, action));
        granted
            || match account.role_in(&project.name) {
                None => false,
                Some(Role::ProjectAdmin) => true,
                Some(role) => {
                    listed(GUEST)
                        || (role >= Role::Developer && listed(DEVELOPER))
                        || (role >= Role::Maintainer && listed(MAINTAINER))
                }
            }
    }

    /// Whether this action is allowed in the system.
    pub(super) fn may_in_system(self, resource: &str, action: &str) -> bool {
        let Self::Known(account) = self else {
            return false;
        };
        account.system_admin
            || account
                .grants
                .iter()
                .filter(|grant| grant.project.is_none())
                .any(|grant| allows(&grant.access, resource, action))
    }
}

fn allows(access: &[(String, String)], resource: &str, action: &str) -> bool {
    access
        .iter()
        .any(|(named, allowed)| (named == resource || named == "*") && (allowed == action || allowed == "*"))
}

type Table = &'static [(&'static str, &'static [&'static str])];

/// What anybody may do in a public project.
const PUBLIC: Table = &[
    ("project", &["read"]),
    ("label", &["read", "list"]),
    ("repository", &["list", "pull"]),
    ("tag", &["list"]),
    ("accessory", &["list"]),
    ("artifact", &["read", "list"]),
];

const GUEST: Table = &[
    ("project", &["read"]),
    ("label", &["read", "list"]),
    ("repository", &["read", "list", "pull"]),
    ("tag", &["list"]),
    ("accessory", &["list"]),
    ("artifact", &["read", "list"]),
    ("robot", &["read", "list"]),
];

const DEVELOPER: Table = &[
    ("repository", &["update", "push"]),
    ("artifact", &["create"]),
    ("tag", &["create"]),
    ("artifact-label", &["create", "delete"]),
];

const MAINTAINER: Table = &[
    ("repository", &["delete"]),
    ("artifact", &["delete"]),
    ("tag", &["delete"]),
    ("label", &["create", "update", "delete"]),
    ("immutable-tag", &["create", "update", "delete", "list"]),
    (
        "tag-retention",
        &["create", "read", "update", "delete", "list", "operate"],
    ),
];

/// What robots can be allowed in a project.
const IN_PROJECTS: Table = &[
    ("accessory", &["list"]),
    ("artifact", &["create", "delete", "list", "read"]),
    ("artifact-addition", &["read"]),
    ("artifact-label", &["create", "delete"]),
    ("immutable-tag", &["create", "delete", "list", "update"]),
    ("label", &["create", "delete", "list", "read", "update"]),
    ("log", &["list"]),
    ("metadata", &["create", "delete", "list", "read", "update"]),
    (
        "notification-policy",
        &["create", "delete", "list", "read", "update"],
    ),
    ("preheat-policy", &["create", "delete", "list", "read", "update"]),
    ("project", &["delete", "read", "update"]),
    ("quota", &["read"]),
    (
        "repository",
        &["delete", "list", "pull", "push", "read", "update"],
    ),
    ("scan", &["create", "read", "stop"]),
    ("scanner", &["create", "read"]),
    ("tag", &["create", "delete", "list"]),
    ("tag-retention", &["create", "delete", "list", "read", "update"]),
];

/// What robots can be allowed in the system.
const IN_SYSTEM: Table = &[
    ("audit-log", &["list"]),
    ("catalog", &["read"]),
    (
        "garbage-collection",
        &["create", "list", "read", "stop", "update"],
    ),
    ("jobservice-monitor", &["list", "stop"]),
    ("label", &["create", "delete", "read", "update"]),
    (
        "preheat-instance",
        &["create", "delete", "list", "read", "update"],
    ),
    ("project", &["create", "list"]),
    ("purge-audit", &["create", "list", "read", "stop", "update"]),
    ("quota", &["list", "read"]),
    ("registry", &["create", "delete", "list", "read", "update"]),
    ("replication", &["create", "list", "read"]),
    ("replication-adapter", &["list"]),
    (
        "replication-policy",
        &["create", "delete", "list", "read", "update"],
    ),
    ("scan-all", &["create", "read", "stop", "update"]),
    ("scanner", &["create", "delete", "list", "read", "update"]),
    ("security-hub", &["list", "read"]),
    ("system-volumes", &["read"]),
];

/// Robots that make robots came later.
const OF_ROBOTS: Table = &[("robot", &["create", "delete", "list", "read"])];

/// Every resource and action that a robot of this release can be allowed, in the system or in a project.
pub(super) fn permissions(
    version: HarborVersion,
    in_system: bool,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let table = if in_system { IN_SYSTEM } else { IN_PROJECTS };
    let later = if version.robots_make_robots() {
        OF_ROBOTS
    } else {
        &[]
    };
    table
        .iter()
        .chain(later)
        .flat_map(|(resource, actions)| actions.iter().map(|action| (*resource, *action)))
}
