//! The artifacts of a repository, with all that Harbor tells along with them.
//!
//! A repository is listed for itself, a hundred artifacts a request. Where a project has many small repositories, one
//! listing of the whole project takes fewer requests; Harbor has one since 2.11. Such a listing is held in memory until
//! its repositories have been looked at, so it is read only of projects up to a size.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use lagan_model::{
    ArtifactRecord, Digest, Failure, NoUndo, Records, RegistryError, RepositoryName, RepositorySnapshot,
    RequestKind,
};
use tokio::sync::OnceCell;

use super::HarborRegistry;
use super::api::Permission;
use super::facts::{self, Listed, Moved};
use super::name::Name;
use super::walk::PAGE;
use super::wire;
use crate::problem;
use crate::transport::Request;

/// The most artifacts of a project that are listed together.
const MOST_TOGETHER: usize = 20_000;

/// How often a repository is listed again in which a tag was moved meanwhile.
const LISTINGS: usize = 3;

/// How many artifacts are asked for one by one before a listing of everything is cheaper.
const FEW: usize = 4;

/// All that is told of an artifact in one request.
const EVERYTHING: [(&str, &str); 4] = [
    ("with_tag", "true"),
    ("with_label", "true"),
    ("with_accessory", "true"),
    ("with_immutable_status", "true"),
];

/// What was listed of a whole project, until its repositories take it.
type Together = HashMap<RepositoryName, Vec<Listed>>;

/// Filled by whichever of its repositories is surveyed first.
type Cell = Arc<OnceCell<Option<Mutex<Together>>>>;

#[derive(Debug, Default)]
pub(super) struct Surveys {
    /// By project; `None` where it is not listed as a whole after all.
    together: Mutex<HashMap<String, Cell>>,
    /// How many artifacts a repository was seen to have, without hidden ones.
    seen: Mutex<HashMap<RepositoryName, usize>>,
}

impl HarborRegistry {
    /// Everything that is listed of a repository; with `anew` not from what was listed of its project before.
    pub(super) async fn read_repository(
        &self,
        repository: &RepositoryName,
        anew: bool,
    ) -> Result<RepositorySnapshot, RegistryError> {
        let name = Name::of(repository)?;
        let mut together = match anew {
            true => None,
            false => self.taken_from_project(repository, name).await?,
        };
        let mut moved = None;
        for _ in 0..LISTINGS {
            let listed = match together.take() {
                Some(listed) => listed,
                None => match self.list_by(repository, name, None).await {
                    Err(error) if error.failure() == Failure::NotFound => {
                        return Err(self.why_not_found(repository, name, error).await);
                    }
                    listed => listed?,
                },
            };
            if listed.is_empty() {
                self.check_existence(repository, name, anew).await?;
            }
            let seen = self.surveys.seen.lock();
            seen.unwrap_or_else(PoisonError::into_inner)
                .insert(repository.clone(), listed.len());
            let children = self.unsure_children(repository, &listed).await?;
            let made = self
                .with_project(name.project, |project| {
                    let mut rules = project.rules.of_repository(name.rest);
                    let made = facts::snapshot(repository, listed, &mut rules);
                    made.map(|snapshot| (snapshot, project.is_proxy_cache))
                })
                .await?;
            match made {
                Ok((mut snapshot, is_proxy_cache)) => {
                    if is_proxy_cache {
                        snapshot.set_no_undo(NoUndo::ProxyCache);
                    }
                    for (digest, record) in children {
                        match record {
                            Some(record) => snapshot.insert_record(record),
                            None => snapshot.insert_absent(digest),
                        }
                    }
                    return Ok(snapshot);
                }
                Err(Moved(tag)) => moved = Some(tag),
            }
        }
        let path = format!("{}/artifacts", name.path());
        let request = self.api().request(RequestKind::Artifacts, &path, &[]);
        let tag = moved.map_or_else(String::new, |tag| format!(": tag {tag} was on two artifacts"));
        let detail = format!(
            "the listing changed while it was read, {LISTINGS} times{tag} (project {})",
            name.project
        );
        Err(problem::malformed(&request, detail))
    }

    /// Artifacts of one repository for which a condition of `q` holds.
    pub(super) async fn list_by(
        &self,
        repository: &RepositoryName,
        name: Name<'_>,
        filter: Option<&str>,
    ) -> Result<Vec<Listed>, RegistryError> {
        let mut listed = Vec::new();
        let take = |artifact: wire::Artifact| {
            let elsewhere = artifact.repository_name.as_deref();
            if elsewhere.is_some_and(|other| other != repository.as_str()) {
                return Err("the listing has artifacts of another repository".to_owned());
            }
            listed.push(Listed::read(artifact)?);
            Ok(())
        };
        self.api()
            .by_key(
                RequestKind::Artifacts,
                &format!("{}/artifacts", name.path()),
                filter,
                &EVERYTHING,
                Permission::new("artifact", "list", name.project),
                take,
            )
            .await?;
        Ok(listed)
    }

    /// A repository that is not there lists as an empty one: what lists as empty is looked for in another way.
    async fn check_existence(
        &self,
        repository: &RepositoryName,
        name: Name<'_>,
        anew: bool,
    ) -> Result<(), RegistryError> {
        if !anew && self.projects.told().artifacts.get(repository) == Some(&0) {
            return Ok(());
        }
        match self.artifacts_of(repository, name).await? {
            (_, Some(0)) => Ok(()),
            (request, Some(count)) => {
                let detail = format!("{repository} has {count} artifacts here, and lists none");
                Err(problem::malformed(&request, detail))
            }
            (request, None) => {
                let detail = format!("there is no repository {repository} here");
                Err(RegistryError::new(Failure::NotFound, request.line(), detail))
            }
        }
    }

    /// Why a repository is not found by its name: one whose name was changed on the way to Harbor is not there.
    async fn why_not_found(
        &self,
        repository: &RepositoryName,
        name: Name<'_>,
        error: RegistryError,
    ) -> RegistryError {
        match self.artifacts_of(repository, name).await {
            Ok((_, None)) => error,
            Ok((request, Some(_))) => {
                let detail = format!(
                    "{repository} is listed here, and not found by its name: {error}; what stands in front of Harbor has \
                     to pass encoded slashes (%252F) on"
                );
                problem::malformed(&request, detail)
            }
            Err(error) => error,
        }
    }

    /// How many artifacts a repository has, asked by a question that has no name in its path; `None` where there is no
    /// such repository.
    async fn artifacts_of(
        &self,
        repository: &RepositoryName,
        name: Name<'_>,
    ) -> Result<(Request, Option<u64>), RegistryError> {
        let path = format!("projects/{}/repositories", name.project);
        let query = [
            ("q", format!("name={repository}")),
            ("page_size", PAGE.to_string()),
        ];
        let request = self.api().request(RequestKind::Repositories, &path, &query);
        let permission = Permission::new("repository", "list", name.project);
        let listed: Vec<wire::Repository> = self.api().one(&request, permission).await?;
        let mut listed = listed.into_iter();
        let found = listed.find(|listed| listed.name == repository.as_str());
        Ok((request, found.map(|found| found.artifact_count.unwrap_or(0))))
    }

    /// Children that may be indexes, and that the listing hides.
    async fn unsure_children(
        &self,
        repository: &RepositoryName,
        listed: &[Listed],
    ) -> Result<Records, RegistryError> {
        let known: BTreeSet<&Digest> = listed.iter().map(Listed::digest).collect();
        let mut missing: BTreeSet<Digest> = listed
            .iter()
            .flat_map(|listed| &listed.unsure)
            .filter(|digest| !known.contains(digest))
            .cloned()
            .collect();
        let mut found = Records::new();
        // An index in an index has children of its own.
        while !missing.is_empty() {
            let (records, unsure) = self.read_records(repository, &missing).await?;
            found.extend(records);
            let known: BTreeSet<&Digest> = known
                .iter()
                .copied()
                .chain(found.iter().map(|(digest, _)| digest))
                .collect();
            missing = unsure
                .into_iter()
                .filter(|digest| !known.contains(digest))
                .collect();
        }
        Ok(found)
    }

    /// What Harbor records of these artifacts, and which of their children may be indexes.
    pub(super) async fn read_records(
        &self,
        repository: &RepositoryName,
        digests: &BTreeSet<Digest>,
    ) -> Result<(Records, Vec<Digest>), RegistryError> {
        let name = Name::of(repository)?;
        let mut found: HashMap<Digest, ArtifactRecord> = HashMap::new();
        let mut unsure = Vec::new();
        let seen = {
            let seen = self.surveys.seen.lock();
            let seen = seen.unwrap_or_else(PoisonError::into_inner);
            seen.get(repository).copied().unwrap_or(0)
        };
        if digests.len() > FEW.max((seen + digests.len()) / PAGE + 1) {
            // With the children that a listing otherwise hides.
            for listed in self.list_by(repository, name, Some("base=*")).await? {
                if digests.contains(listed.digest()) {
                    unsure.extend(listed.unsure);
                    found.insert(listed.record.artifact.digest.clone(), listed.record);
                }
            }
        }
        let mut records = Records::new();
        for digest in digests {
            let record = match found.remove(digest) {
                Some(record) => Some(record),
                None => match self.read_artifact(name, digest).await? {
                    Some(listed) => {
                        unsure.extend(listed.unsure);
                        Some(listed.record)
                    }
                    None => None,
                },
            };
            records.push((digest.clone(), record));
        }
        Ok((records, unsure))
    }

    pub(super) async fn read_artifact(
        &self,
        name: Name<'_>,
        digest: &Digest,
    ) -> Result<Option<Listed>, RegistryError> {
        let path = format!("{}/artifacts/{digest}", name.path());
        let query: Vec<_> = EVERYTHING
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        let request = self.api().request(RequestKind::Artifacts, &path, &query);
        let permission = Permission::new("artifact", "read", name.project);
        let read = match self.api().one::<wire::Artifact>(&request, permission).await {
            Ok(artifact) => Listed::read(artifact).map_err(|wrong| problem::malformed(&request, wrong))?,
            Err(error) if error.failure() == Failure::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if read.digest() == digest {
            Ok(Some(read))
        } else {
            let detail = format!("this is another artifact: {}", read.digest());
            Err(problem::malformed(&request, detail))
        }
    }

    /// Which of these Harbor counts among those without a tag, when it is asked for them and not for their tags.
    pub(super) async fn read_untagged(
        &self,
        repository: &RepositoryName,
        suspected: BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, RegistryError> {
        let name = Name::of(repository)?;
        let mut untagged = BTreeSet::new();
        for listed in self.list_by(repository, name, Some("tags=nil")).await? {
            if listed.tags.is_empty() && suspected.contains(listed.digest()) {
                untagged.insert(listed.record.artifact.digest);
            }
        }
        Ok(untagged)
    }

    /// The artifacts of a repository out of a listing of its whole project, where there is one.
    async fn taken_from_project(
        &self,
        repository: &RepositoryName,
        name: Name<'_>,
    ) -> Result<Option<Vec<Listed>>, RegistryError> {
        if !self.lists_projects {
            return Ok(None);
        }
        let cell = {
            let together = self.surveys.together.lock();
            let mut together = together.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(together.entry(name.project.to_owned()).or_default())
        };
        // Weighed once a project: that takes a look at all of its repositories.
        let listing = || async {
            match self.is_cheaper_together(name.project) {
                true => self.list_together(name.project).await,
                false => None,
            }
        };
        let together = cell.get_or_init(listing).await;
        let Some(together) = together else { return Ok(None) };
        let mut together = together.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(together.remove(repository))
    }

    fn is_cheaper_together(&self, project: &str) -> bool {
        let told = self.projects.told();
        let Some(wanted) = told.wanted.get(project).filter(|_| told.whole.contains(project)) else {
            return false;
        };
        let pages = |count: usize| count.div_ceil(PAGE).max(1);
        let counts = wanted.iter().filter_map(|name| told.artifacts.get(name));
        let alone: usize = counts.map(|count| pages(*count)).sum();
        let below = |name: &RepositoryName| {
            name.as_str()
                .split_once('/')
                .is_some_and(|(first, _)| first == project)
        };
        let all: usize = told
            .artifacts
            .iter()
            .filter(|(name, _)| below(name))
            .map(|(_, count)| count)
            .sum();
        all <= MOST_TOGETHER && pages(all) < alone
    }

    /// `None` where the listing cannot be read: then each repository is, and says for itself what is wrong.
    async fn list_together(&self, project: &str) -> Option<Mutex<Together>> {
        let wanted: Vec<RepositoryName> = self
            .projects
            .told()
            .wanted
            .get(project)
            .cloned()
            .unwrap_or_default();
        let mut together: Together = wanted.into_iter().map(|name| (name, Vec::new())).collect();
        let take = |artifact: wire::Artifact| {
            let name: RepositoryName = match artifact.repository_name.as_deref().map(str::parse) {
                Some(Ok(name)) => name,
                _ => {
                    return Err(
                        "an artifact of the listing does not say which repository it is in".to_owned(),
                    );
                }
            };
            if let Some(listed) = together.get_mut(&name) {
                listed.push(Listed::read(artifact)?);
            }
            Ok(())
        };
        let listed = self
            .api()
            .by_key(
                RequestKind::Artifacts,
                &format!("projects/{project}/artifacts"),
                None,
                &EVERYTHING,
                Permission::new("artifact", "list", project),
                take,
            )
            .await;
        match listed {
            Ok(()) => Some(Mutex::new(together)),
            Err(error) => {
                tracing::warn!(%error, "the project is not listed as a whole, but repository by repository");
                None
            }
        }
    }
}
