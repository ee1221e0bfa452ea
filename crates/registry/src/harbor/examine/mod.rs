//! What a Harbor says of itself: who asks and what they may do, and what else deletes there.
//!
//! Nothing here is needed for a plan. Each fact is asked for on its own, and what cannot be had is an error in its place:
//! whoever reads this is told what is not known, and why.

mod wire;

use std::collections::BTreeSet;

use http::StatusCode;
use lagan_model::{RegistryError, RequestKind};
use serde::de::DeserializeOwned;

use self::wire::{CurrentUser, Replication};
use super::HarborRegistry;
use super::api::{Permission, read};
use super::collecting::{CollectionRun, CollectionSchedule};
use super::wire as listed;
use crate::problem;
use crate::token::Scope;

/// A fact, or why it could not be had.
pub type Asked<T> = Result<T, RegistryError>;

/// A resource and an action, in Harbor's words (`artifact`, `delete`).
pub type Allowed = BTreeSet<(String, String)>;

/// What is true of the whole Harbor.
#[derive(Debug)]
pub struct Examination {
    /// The version, as Harbor writes it; `None` to who is not signed in.
    pub version: Asked<Option<String>>,
    /// Whether nothing may be written; `None` where Harbor does not say.
    pub read_only: Option<bool>,
    /// Who asks.
    pub account: Asked<Account>,
    /// What the account may do in the whole system, as far as Harbor tells. What is missing here may be allowed all the
    /// same: versions differ in what they list.
    pub system: Asked<Allowed>,
    /// When garbage is collected; `None` where that is not scheduled.
    pub schedule: Asked<Option<CollectionSchedule>>,
    /// The latest collections, newest first.
    pub collections: Asked<Vec<CollectionRun>>,
    /// What is copied elsewhere.
    pub replications: Asked<Vec<ReplicationPolicy>>,
    /// The projects that the account sees, by name.
    pub projects: Asked<Vec<String>>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// Anybody.
    Nobody,
    /// A person.
    User {
        /// The name.
        name: String,
        /// Whether it is an administrator of the system, who may do everything.
        is_admin: bool,
    },
    /// A robot, whose name Harbor does not tell.
    Robot,
}

/// What is copied to another registry, or from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationPolicy {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub is_enabled: bool,
    /// Whether it runs with every push and every deletion.
    pub is_event_based: bool,
    /// Whether what is deleted here is deleted there.
    pub deletes: bool,
    /// Whether it copies from here to elsewhere.
    pub is_outward: bool,
    /// The repositories that it copies, with their projects, a doublestar pattern; empty is everything.
    pub repositories: String,
    /// Where it copies to.
    pub destination: String,
}

/// What is true of one project.
#[derive(Debug)]
pub struct ProjectFacts {
    /// Its name.
    pub name: String,
    /// Whether it caches another registry.
    pub is_proxy_cache: bool,
    /// What the account may do in it. What is missing is not allowed.
    pub allowed: Asked<Allowed>,
    /// Whether its repositories can be listed.
    pub repositories: Asked<()>,
    /// Its rules for immutable tags that are in force.
    pub immutable: Asked<Vec<ImmutableRule>>,
    /// Its retention policy, as the API answers it; `None` where it has none.
    pub retention: Asked<Option<String>>,
}

/// A rule for immutable tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImmutableRule {
    /// Its number.
    pub id: i64,
    /// Which repositories; Harbor goes by the first selector.
    pub repositories: Vec<Selector>,
    /// Which tags; Harbor goes by the first selector.
    pub tags: Vec<Selector>,
}

/// A pattern of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Whether what matches is not selected; `None` where the decoration is not known.
    pub excludes: Option<bool>,
    /// The doublestar pattern; `None` where it is of another kind.
    pub pattern: Option<String>,
}

/// A permission that is one of the whole system.
pub(super) fn of_system(resource: &'static str, action: &'static str) -> Permission<'static> {
    Permission {
        resource,
        action,
        project: None,
    }
}

impl HarborRegistry {
    /// Asks for what is true of the whole Harbor: seven requests, and one for each further page.
    pub async fn examine(&self) -> Examination {
        let information: Asked<wire::Information> =
            self.one("systeminfo", &[], of_system("system", "read")).await;
        let (version, read_only) = match information {
            Ok(information) => (Ok(information.harbor_version), information.read_only),
            Err(error) => (Err(error), None),
        };
        Examination {
            version,
            read_only,
            account: self.account().await,
            system: self.allowed("/system").await,
            schedule: self.collection_schedule().await,
            collections: self.latest_collections().await,
            replications: self.replications().await,
            projects: self.project_names().await,
        }
    }

    /// Asks for what is true of one project: at most five requests, and one for each further page.
    ///
    /// # Errors
    ///
    /// Where the project cannot be read.
    pub async fn examine_project(&self, name: &str) -> Result<ProjectFacts, RegistryError> {
        let project = self.project_named(name).await?;
        let path = format!("projects/{name}/repositories");
        let one = [("page", "1".to_owned()), ("page_size", "1".to_owned())];
        let request = self.api().request(RequestKind::Repositories, &path, &one);
        let permission = Permission::new("repository", "list", name);
        let repositories: Asked<Option<Vec<listed::Repository>>> = self.api().one(&request, permission).await;
        Ok(ProjectFacts {
            name: name.to_owned(),
            is_proxy_cache: project.registry_id != 0,
            allowed: self.allowed(&format!("/project/{}", project.project_id)).await,
            repositories: repositories.map(drop),
            immutable: self.immutable(name).await,
            retention: match project.metadata.retention_id.as_deref() {
                None | Some("") => Ok(None),
                Some(id) => self.retention(name, id).await.map(Some),
            },
        })
    }

    async fn one<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&'static str, String)],
        permission: Permission<'_>,
    ) -> Asked<T> {
        let request = self.api().request(RequestKind::SystemInfo, path, query);
        self.api().one(&request, permission).await
    }

    /// Who asks. For a robot there is no current user, which Harbor says with a 412.
    async fn account(&self) -> Asked<Account> {
        if !self.oci.client().auth().has_credentials() {
            return Ok(Account::Nobody);
        }
        let request = self.api().request(RequestKind::SystemInfo, "users/current", &[]);
        let answer = self.oci.client().get(&request, &Scope::Nothing).await?;
        match answer.status {
            StatusCode::OK => {
                let user: CurrentUser = read(&request, &answer)?;
                Ok(Account::User {
                    name: user.username,
                    is_admin: user.sysadmin_flag,
                })
            }
            StatusCode::PRECONDITION_FAILED => Ok(Account::Robot),
            _ => Err(self.api().refused(&request, &answer, of_system("user", "read"))),
        }
    }

    /// What the account may do in `/system` or `/project/{number}`.
    pub(super) async fn allowed(&self, scope: &str) -> Asked<Allowed> {
        let query = [("scope", scope.to_owned()), ("relative", "true".to_owned())];
        let path = "users/current/permissions";
        let rows: Option<Vec<wire::Permission>> = self.one(path, &query, of_system("user", "read")).await?;
        let rows = rows.unwrap_or_default().into_iter();
        Ok(rows
            .map(|row| {
                // The project itself, as seen from itself.
                let resource = match row.resource.as_str() {
                    "." | "" => "project".to_owned(),
                    _ => row.resource,
                };
                (resource, row.action)
            })
            .collect())
    }

    async fn replications(&self) -> Asked<Vec<ReplicationPolicy>> {
        let permission = of_system("replication-policy", "list");
        let rows: Vec<Replication> = self
            .api()
            .by_number(
                RequestKind::SystemInfo,
                "replication/policies",
                &[],
                None,
                permission,
            )
            .await?;
        Ok(rows.into_iter().map(Replication::policy).collect())
    }

    /// The projects that the account sees, by name.
    ///
    /// # Errors
    ///
    /// Where they cannot be listed.
    pub async fn project_names(&self) -> Asked<Vec<String>> {
        let permission = of_system("project", "list");
        let rows: Vec<listed::Project> = self
            .api()
            .by_number(RequestKind::Projects, "projects", &[], Some("name"), permission)
            .await?;
        Ok(rows.into_iter().map(|row| row.name).collect())
    }

    async fn immutable(&self, project: &str) -> Asked<Vec<ImmutableRule>> {
        let rows: Vec<listed::ImmutableRule> = self
            .api()
            .by_number(
                RequestKind::ImmutableRules,
                &format!("projects/{project}/immutabletagrules"),
                &[],
                None,
                Permission::new("immutable-tag", "list", project),
            )
            .await?;
        let rule = |mut row: listed::ImmutableRule| ImmutableRule {
            id: row.id,
            repositories: selectors(
                row.scope_selectors.remove("repository").unwrap_or_default(),
                ("repoMatches", "repoExcludes"),
            ),
            tags: selectors(row.tag_selectors, ("matches", "excludes")),
        };
        Ok(rows.into_iter().filter(|row| !row.disabled).map(rule).collect())
    }

    /// The retention policy of a project, in Harbor's own form.
    async fn retention(&self, project: &str, id: &str) -> Asked<String> {
        let request = self
            .api()
            .request(RequestKind::ImmutableRules, &format!("retentions/{id}"), &[]);
        let permission = Permission::new("tag-retention", "read", project);
        if id.parse::<i64>().is_err() {
            let quoted = problem::quoted(id);
            return Err(problem::malformed(
                &request,
                format!("the project names its retention policy {quoted}"),
            ));
        }
        let answer = self.oci.client().get(&request, &Scope::Nothing).await?;
        if answer.status != StatusCode::OK {
            return Err(self.api().refused(&request, &answer, permission));
        }
        String::from_utf8(answer.body.to_vec())
            .map_err(|_| problem::malformed(&request, "the retention policy is not UTF-8"))
    }

    /// The retention policy of a project, as the API answers it; `None` where it has none.
    ///
    /// # Errors
    ///
    /// Where the project, or its policy, cannot be read.
    pub async fn retention_of(&self, project: &str) -> Result<Option<String>, RegistryError> {
        let read = self.project_named(project).await?;
        match read.metadata.retention_id.as_deref() {
            None | Some("") => Ok(None),
            Some(id) => self.retention(project, id).await.map(Some),
        }
    }
}

pub(super) fn selectors(rows: Vec<listed::Selector>, (matches, excludes): (&str, &str)) -> Vec<Selector> {
    let selector = |row: listed::Selector| Selector {
        excludes: match row.decoration {
            decoration if decoration == matches => Some(false),
            decoration if decoration == excludes => Some(true),
            _ => None,
        },
        pattern: (row.kind == "doublestar").then_some(row.pattern),
    };
    rows.into_iter().map(selector).collect()
}
