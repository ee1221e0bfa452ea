//! What a request to the API is about, read from its method and path.

use http::Method;

use super::version::HarborVersion;
use crate::log::RequestKind;
use crate::server::target::{Target, decoded};

/// One operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Version,
    Ping,
    Health,
    SystemInfo,
    ProjectList,
    ProjectHead,
    ProjectCreate,
    ProjectGet,
    ProjectDelete,
    RepositoryListAll,
    RepositoryList,
    RepositoryGet,
    RepositoryDelete,
    ArtifactList,
    ArtifactListOfProject,
    ArtifactGet,
    ArtifactDelete,
    TagList,
    TagCreate,
    TagDelete,
    AccessoryList,
    ArtifactLabelAdd,
    ArtifactLabelRemove,
    LabelList,
    LabelCreate,
    LabelGet,
    ImmutableList,
    ImmutableCreate,
    ImmutableDelete,
    RetentionGet,
    UserCurrent,
    UserPermissions,
    Permissions,
    RobotList,
    RobotGet,
    RobotCreate,
    RobotDelete,
    CollectionList,
    CollectionGet,
    CollectionStop,
    ScheduleGet,
    ScheduleSet,
    ReplicationList,
    ReplicationGet,
    ConfigurationGet,
    ConfigurationSet,
    /// A path that is there, and not with this method.
    WrongMethod,
    /// No such path.
    Nothing,
}

/// A request to the API, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(super) operation: Operation,
    pub(crate) kind: RequestKind,
    /// The project by name or number; empty where the request names none.
    pub(super) project: String,
    /// The repository with its project, or the project alone; empty where the request names none.
    pub(crate) repository: String,
    /// The artifact by tag or digest; the tag that is deleted; the number of a label, rule, robot or run.
    pub(crate) reference: String,
    /// The artifact that a tag is deleted from.
    pub(super) artifact: String,
    /// The path as Harbor got it.
    pub(super) path: String,
}

impl Route {
    /// `None` where the path is none of the API's. `decodings`: how often the proxies in front decode it.
    pub(crate) fn read(method: &Method, path: &str, decodings: u8, version: HarborVersion) -> Option<Self> {
        if !path.starts_with("/api/") {
            return None;
        }
        let mut seen = path.to_owned();
        for _ in 0..decodings {
            seen = decoded(&seen, false);
        }
        let segments: Vec<String> = seen
            .split('/')
            .skip(2)
            .map(|segment| match decodings {
                // Harbor splits what it got, decodes each part, and decodes a repository's name once more.
                0 => decoded(&decoded(segment, false), false),
                _ => decoded(segment, false),
            })
            .collect();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let mut route = Self {
            operation: Operation::Nothing,
            kind: RequestKind::ApiOther,
            project: String::new(),
            repository: String::new(),
            reference: String::new(),
            artifact: String::new(),
            path: seen.clone(),
        };
        route.find(method, &parts);
        let there = match route.operation {
            Operation::ArtifactListOfProject => version.lists_projects_artifacts(),
            Operation::Permissions => version.tells_permissions(),
            _ => true,
        };
        if !there {
            (route.operation, route.kind) = (Operation::Nothing, RequestKind::ApiOther);
        }
        Some(route)
    }

    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            kind: self.kind,
            repository: &self.repository,
            reference: &self.reference,
        }
    }

    fn find(&mut self, method: &Method, parts: &[&str]) {
        use Operation as O;
        use RequestKind as K;
        let (kind, table): (K, &[(Method, O)]) = match parts {
            ["version"] => (K::ApiInfo, &[(Method::GET, O::Version)]),
            ["v2.0", rest @ ..] => match rest {
                ["ping"] => (K::ApiInfo, &[(Method::GET, O::Ping)]),
                ["health"] => (K::ApiInfo, &[(Method::GET, O::Health)]),
                ["systeminfo"] => (K::ApiInfo, &[(Method::GET, O::SystemInfo)]),
                ["projects"] => (
                    K::ApiProject,
                    &[
                        (Method::GET, O::ProjectList),
                        (Method::HEAD, O::ProjectHead),
                        (Method::POST, O::ProjectCreate),
                    ],
                ),
                ["projects", project, rest @ ..] => {
                    (*project).clone_into(&mut self.project);
                    (*project).clone_into(&mut self.repository);
                    self.in_project(rest)
                }
                ["repositories"] => (K::ApiRepositoryList, &[(Method::GET, O::RepositoryListAll)]),
                ["labels"] => (
                    K::ApiLabel,
                    &[(Method::GET, O::LabelList), (Method::POST, O::LabelCreate)],
                ),
                ["labels", id] => self.by_id(id, K::ApiLabel, &[(Method::GET, O::LabelGet)]),
                ["retentions", id] => self.by_id(id, K::ApiRule, &[(Method::GET, O::RetentionGet)]),
                ["users", "current"] => (K::ApiAccount, &[(Method::GET, O::UserCurrent)]),
                ["users", "current", "permissions"] => (K::ApiAccount, &[(Method::GET, O::UserPermissions)]),
                ["permissions"] => (K::ApiAccount, &[(Method::GET, O::Permissions)]),
                ["robots"] => (
                    K::ApiAccount,
                    &[(Method::GET, O::RobotList), (Method::POST, O::RobotCreate)],
                ),
                ["robots", id] => self.by_id(
                    id,
                    K::ApiAccount,
                    &[(Method::GET, O::RobotGet), (Method::DELETE, O::RobotDelete)],
                ),
                ["system", "gc"] => (K::ApiCollection, &[(Method::GET, O::CollectionList)]),
                ["system", "gc", "schedule"] => (
                    K::ApiCollection,
                    &[
                        (Method::GET, O::ScheduleGet),
                        (Method::POST, O::ScheduleSet),
                        (Method::PUT, O::ScheduleSet),
                    ],
                ),
                ["system", "gc", id] => self.by_id(
                    id,
                    K::ApiCollection,
                    &[(Method::GET, O::CollectionGet), (Method::PUT, O::CollectionStop)],
                ),
                ["replication", "policies"] => (K::ApiSystem, &[(Method::GET, O::ReplicationList)]),
                ["replication", "policies", id] => {
                    self.by_id(id, K::ApiSystem, &[(Method::GET, O::ReplicationGet)])
                }
                ["configurations"] => (
                    K::ApiSystem,
                    &[
                        (Method::GET, O::ConfigurationGet),
                        (Method::PUT, O::ConfigurationSet),
                    ],
                ),
                _ => return,
            },
            _ => return,
        };
        if table.is_empty() {
            return;
        }
        let found = table.iter().find(|(named, _)| named == method);
        self.operation = found.map_or(O::WrongMethod, |(_, operation)| *operation);
        self.kind = match self.operation {
            O::WrongMethod | O::Nothing => K::ApiOther,
            O::ArtifactDelete => K::ApiArtifactDelete,
            O::TagCreate => K::ApiTagCreate,
            _ => kind,
        };
    }

    fn by_id(
        &mut self,
        id: &str,
        kind: RequestKind,
        table: &'static [(Method, Operation)],
    ) -> (RequestKind, &'static [(Method, Operation)]) {
        id.clone_into(&mut self.reference);
        (kind, table)
    }

    fn in_project(&mut self, rest: &[&str]) -> (RequestKind, &'static [(Method, Operation)]) {
        use Operation as O;
        use RequestKind as K;
        match rest {
            [] => (
                K::ApiProject,
                &[(Method::GET, O::ProjectGet), (Method::DELETE, O::ProjectDelete)],
            ),
            ["artifacts"] => (K::ApiArtifactList, &[(Method::GET, O::ArtifactListOfProject)]),
            ["repositories"] => (K::ApiRepositoryList, &[(Method::GET, O::RepositoryList)]),
            ["immutabletagrules"] => (
                K::ApiRule,
                &[
                    (Method::GET, O::ImmutableList),
                    (Method::POST, O::ImmutableCreate),
                ],
            ),
            ["immutabletagrules", id] => self.by_id(id, K::ApiRule, &[(Method::DELETE, O::ImmutableDelete)]),
            ["repositories", repository, rest @ ..] => {
                self.repository = format!("{}/{repository}", self.project);
                self.in_repository(rest)
            }
            _ => (K::ApiOther, &[]),
        }
    }

    fn in_repository(&mut self, rest: &[&str]) -> (RequestKind, &'static [(Method, Operation)]) {
        use Operation as O;
        use RequestKind as K;
        let ["artifacts", artifact, rest @ ..] = rest else {
            return match rest {
                [] => (
                    K::ApiRepository,
                    &[
                        (Method::GET, O::RepositoryGet),
                        (Method::DELETE, O::RepositoryDelete),
                    ],
                ),
                ["artifacts"] => (K::ApiArtifactList, &[(Method::GET, O::ArtifactList)]),
                _ => (K::ApiOther, &[]),
            };
        };
        (*artifact).clone_into(&mut self.artifact);
        (*artifact).clone_into(&mut self.reference);
        match rest {
            [] => (
                K::ApiArtifact,
                &[(Method::GET, O::ArtifactGet), (Method::DELETE, O::ArtifactDelete)],
            ),
            ["tags"] => (
                K::ApiTagList,
                &[(Method::GET, O::TagList), (Method::POST, O::TagCreate)],
            ),
            ["tags", tag] => self.by_id(tag, K::ApiTagDelete, &[(Method::DELETE, O::TagDelete)]),
            ["accessories"] => (K::ApiAccessoryList, &[(Method::GET, O::AccessoryList)]),
            ["labels"] => (K::ApiArtifactLabel, &[(Method::POST, O::ArtifactLabelAdd)]),
            ["labels", id] => self.by_id(
                id,
                K::ApiArtifactLabel,
                &[(Method::DELETE, O::ArtifactLabelRemove)],
            ),
            _ => (K::ApiOther, &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{HarborVersion, Operation, Route};

    #[test]
    fn names_with_slashes_are_found_as_often_as_they_are_encoded() {
        let seen = |name: &str, decodings| {
            let path = format!("/api/v2.0/projects/p/repositories/{name}/artifacts");
            let route =
                Route::read(&Method::GET, &path, decodings, HarborVersion::V2_15).expect("a path of the API");
            (route.operation, route.repository)
        };
        let found = |name: &str| (Operation::ArtifactList, format!("p/{name}"));
        assert_eq!(seen("a%252Fb", 0), found("a/b"));
        assert_eq!(seen("a%2Fb", 0), found("a/b"));
        assert_eq!(seen("a%252Fb", 1), found("a/b"));
        assert_eq!(seen("a%2Fb", 1).0, Operation::Nothing);
        assert_eq!(seen("a%252Fb", 2).0, Operation::Nothing);
        // Once too often is a repository that nobody has.
        assert_eq!(seen("a%25252Fb", 1), found("a%2Fb"));
    }

    #[test]
    fn a_deleted_tag_is_known_by_its_artifact_too() {
        let path = "/api/v2.0/projects/p/repositories/r/artifacts/sha256:00/tags/1.0";
        let route = Route::read(&Method::DELETE, path, 1, HarborVersion::V2_15).expect("a path of the API");
        assert_eq!(route.operation, Operation::TagDelete);
        assert_eq!((&*route.artifact, &*route.reference), ("sha256:00", "1.0"));
        assert_eq!(Route::read(&Method::GET, "/v2/", 1, HarborVersion::V2_15), None);
    }
}
