//! What is known of projects: whether they cache another registry, their rules, and how many artifacts are in what.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lagan_model::{Capability, Catalog, Failure, RegistryError, RepositoryName, RequestKind};
use tokio::sync::OnceCell;

use super::HarborRegistry;
use super::api::Permission;
use super::name::Name;
use super::rules::Rules;
use super::wire;
use crate::problem;

/// A project, as far as decisions about its artifacts depend on it.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) is_proxy_cache: bool,
    pub(super) rules: Rules,
}

/// What was refused once is refused again: each repository of a project says so, and one request found out.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    failure: Failure,
    request: String,
    detail: String,
    hint: Option<String>,
}

impl Refusal {
    pub(super) fn of(error: &RegistryError) -> Self {
        let request = error.request().to_owned();
        let text = error.to_string();
        let detail = text.strip_prefix(&request).unwrap_or(&text);
        Self {
            failure: error.failure(),
            detail: detail.trim_start_matches(": ").to_owned(),
            hint: error.hint().map(str::to_owned),
            request,
        }
    }

    /// The same, of what was not sent at all.
    pub(super) fn not_sent(self) -> Self {
        Self {
            failure: Failure::Denied,
            ..self
        }
    }

    pub(super) fn error(self) -> RegistryError {
        let error = RegistryError::new(self.failure, self.request, self.detail);
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Filled by whoever needs the project first.
type Cell = Arc<OnceCell<Result<Project, Refusal>>>;

#[derive(Debug, Default)]
pub(super) struct Projects {
    known: Mutex<HashMap<String, Cell>>,
    told: Mutex<Told>,
}

/// What tells a project from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) id: i64,
    pub(super) is_proxy_cache: bool,
}

impl Seen {
    fn of(project: &wire::Project) -> Self {
        Self {
            id: project.project_id,
            is_proxy_cache: project.registry_id != 0,
        }
    }
}

/// What listings told along the way.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Projects that were listed or read.
    pub(super) projects: HashMap<String, Seen>,
    /// How many artifacts a repository has, without children and accessories.
    pub(super) artifacts: HashMap<RepositoryName, usize>,
    /// Projects of which every repository was listed.
    pub(super) whole: HashSet<String>,
    /// The repositories that will be looked at, by project.
    pub(super) wanted: HashMap<String, Vec<RepositoryName>>,
}

impl Projects {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, project: &str) -> Cell {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(project.to_owned()).or_default())
    }
}

impl HarborRegistry {
    /// What is known of a project; asked for once.
    pub(super) async fn with_project<T>(
        &self,
        project: &str,
        then: impl FnOnce(&Project) -> T,
    ) -> Result<T, RegistryError> {
        let cell = self.projects.cell(project);
        let known = cell
            .get_or_try_init(|| async {
                match self.read_project(project).await {
                    Ok(project) => Ok(Ok(project)),
                    Err(error) if matches!(error.failure(), Failure::Denied | Failure::NotFound) => {
                        Ok(Err(Refusal::of(&error)))
                    }
                    Err(error) => Err(error),
                }
            })
            .await?;
        match known {
            Ok(project) => Ok(then(project)),
            Err(refusal) => Err(refusal.clone().error()),
        }
    }

    async fn read_project(&self, project: &str) -> Result<Project, RegistryError> {
        Ok(Project {
            is_proxy_cache: self.is_proxy_cache(project).await?,
            rules: Rules::new(self.read_rules(project).await?),
        })
    }

    async fn is_proxy_cache(&self, project: &str) -> Result<bool, RegistryError> {
        Ok(self.seen_project(project).await?.is_proxy_cache)
    }

    /// What tells a project from others; asked for once.
    pub(super) async fn seen_project(&self, project: &str) -> Result<Seen, RegistryError> {
        let seen = self.projects.told().projects.get(project).copied();
        if let Some(seen) = seen {
            return Ok(seen);
        }
        let seen = Seen::of(&self.project_named(project).await?);
        self.projects.told().projects.insert(project.to_owned(), seen);
        Ok(seen)
    }

    /// The project of this name, and not the one whose number that is.
    pub(super) async fn project_named(&self, project: &str) -> Result<wire::Project, RegistryError> {
        let path = format!("projects/{project}");
        let request = self.api().request(RequestKind::Projects, &path, &[]);
        let permission = Permission::new("project", "read", project);
        let read: wire::Project = self.api().one(&request, permission).await?;
        if read.name == project {
            return Ok(read);
        }
        let other = problem::quoted(&read.name);
        Err(problem::malformed(
            &request,
            format!("this is another project: {other}"),
        ))
    }

    /// Lets nothing touch a project that caches another registry: over `/v2` that one answers. A read fetches what is
    /// not there, and deletes what that registry no longer has.
    pub(super) async fn not_a_cache(&self, repository: &RepositoryName) -> Result<(), RegistryError> {
        let name = Name::of(repository)?;
        match self.is_proxy_cache(name.project).await {
            Ok(false) => Ok(()),
            // Nothing is there to be fetched.
            Err(error) if error.failure() == Failure::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(true) => {
                let detail = format!(
                    "not sent: project {} caches another registry, which would be asked, and is left alone",
                    name.project
                );
                Err(RegistryError::new(
                    Failure::Unsupported,
                    repository.to_string(),
                    detail,
                ))
            }
        }
    }

    /// The rules for immutable tags as they are now.
    pub(super) async fn read_rules(&self, project: &str) -> Result<Vec<wire::ImmutableRule>, RegistryError> {
        self.api()
            .by_number(
                RequestKind::ImmutableRules,
                &format!("projects/{project}/immutabletagrules"),
                &[],
                None,
                Permission::new("immutable-tag", "list", project),
            )
            .await
    }

    /// The repositories of all projects that are wanted. One that cannot be listed does not hide the others.
    pub(super) async fn read_catalog(
        &self,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Catalog, RegistryError> {
        let permission = Permission {
            resource: "project",
            action: "list",
            project: None,
        };
        let projects: Vec<wire::Project> = self
            .api()
            .by_number(RequestKind::Projects, "projects", &[], Some("name"), permission)
            .await?;
        let told = projects
            .iter()
            .map(|project| (project.name.clone(), Seen::of(project)));
        self.projects.told().projects.extend(told);
        self.catalog.saw(Capability::Offered);
        let wanted = projects
            .into_iter()
            .map(|project| project.name)
            .filter(|name| is_wanted(name));
        let mut catalog = Catalog::default();
        for project in wanted {
            match self.read_repositories(&project).await {
                Ok(repositories) => catalog.repositories.extend(repositories),
                Err(error) => match project.parse() {
                    Ok(name) => catalog.unread.push((name, error)),
                    Err(_) => return Err(error),
                },
            }
        }
        Ok(catalog)
    }

    async fn read_repositories(&self, project: &str) -> Result<Vec<RepositoryName>, RegistryError> {
        let path = format!("projects/{project}/repositories");
        let listed: Vec<wire::Repository> = self
            .api()
            .by_number(
                RequestKind::Repositories,
                &path,
                &[],
                Some("name"),
                Permission::new("repository", "list", project),
            )
            .await?;
        let request = self.api().request(RequestKind::Repositories, &path, &[]);
        let mut names = Vec::with_capacity(listed.len());
        let mut artifacts = HashMap::new();
        for repository in listed {
            let below = |rest: &str| rest.starts_with('/');
            let name: RepositoryName = repository.name.parse().map_err(|error| {
                let quoted = problem::quoted(&repository.name);
                problem::malformed(&request, format!("{quoted} is not a repository name: {error}"))
                    .with_hint("name the repositories to look at, one by one")
            })?;
            if !repository.name.strip_prefix(project).is_some_and(below) {
                return Err(problem::malformed(
                    &request,
                    format!("{name} is not in this project"),
                ));
            }
            if let Some(count) = repository.artifact_count {
                artifacts.insert(name.clone(), usize::try_from(count).unwrap_or(usize::MAX));
            }
            names.push(name);
        }
        let mut told = self.projects.told();
        if artifacts.len() == names.len() {
            told.whole.insert(project.to_owned());
        }
        told.artifacts.extend(artifacts);
        Ok(names)
    }

    pub(super) fn note_wanted(&self, repositories: &[RepositoryName]) {
        let mut wanted: HashMap<String, Vec<RepositoryName>> = HashMap::new();
        for repository in repositories {
            if let Some((project, _)) = repository.as_str().split_once('/') {
                wanted
                    .entry(project.to_owned())
                    .or_default()
                    .push(repository.clone());
            }
        }
        self.projects.told().wanted = wanted;
    }
}
