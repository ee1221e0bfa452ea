//! Whether a request to the API may go on: before anything is done, and before any fault.

use http::Method;
use http::header::COOKIE;

use super::account::Who;
use super::failure::Failure;
use super::route::{Operation, Route};
use super::state::who;
use super::tables::{ProjectRow, Tables};
use super::wire::level_of;
use crate::server::Call;
use crate::server::target::field;

pub(crate) fn check(call: &Call<'_>, route: &Route) -> Result<(), Failure> {
    let harbor = &call.shared.harbor;
    let reads = matches!(*call.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if matches!(route.operation, Operation::Nothing | Operation::WrongMethod) {
        return Ok(());
    }
    // A client that keeps the session's cookie is taken for a browser.
    let session = call.headers.get_all(COOKIE).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.split("; ").any(|pair| pair.starts_with("sid=")))
    });
    if !reads && session && !call.headers.contains_key("x-harbor-csrf-token") {
        return Err(Failure::no_csrf_token());
    }
    if !reads && harbor.is_read_only() && route.operation != Operation::ConfigurationSet {
        return Err(Failure::read_only());
    }
    let tables = harbor.tables();
    let who = who(&tables, call.authorization(), harbor.now());
    let request = Request {
        tables: &tables,
        who,
        missing_is_told: harbor.options.version >= super::HarborVersion::V2_15,
    };
    request.check(call, route)
}

struct Request<'a> {
    tables: &'a Tables,
    who: Who<'a>,
    /// Whether a project that is not there is 404 rather than refused.
    missing_is_told: bool,
}

impl Request<'_> {
    fn check(&self, call: &Call<'_>, route: &Route) -> Result<(), Failure> {
        use Operation as O;
        let named = || self.tables.project(&route.project);
        let either = || project_of(self.tables, call, &route.project);
        let asked = |resource, action| self.in_project(named(), &route.project, resource, action);
        let asked_of_either = |resource, action| self.in_project(either(), &route.project, resource, action);
        let number = || route.reference.parse::<i64>().ok();
        match route.operation {
            O::Version
            | O::Ping
            | O::Health
            | O::SystemInfo
            | O::ProjectList
            | O::RepositoryListAll
            | O::WrongMethod
            | O::Nothing => Ok(()),
            O::ProjectHead => {
                let name = field(call.query, "project_name").unwrap_or_default();
                self.in_project(self.tables.project(&name), &name, "project", "read")
            }
            O::ProjectCreate => self.may_create_projects(),
            O::ProjectGet => asked_of_either("project", "read"),
            O::ProjectDelete => asked_of_either("project", "delete"),
            O::RepositoryList | O::RepositoryGet => asked("repository", "list"),
            O::RepositoryDelete => asked("repository", "delete"),
            O::ArtifactList => asked("artifact", "list"),
            O::ArtifactListOfProject => {
                self.known()?;
                asked_of_either("artifact", "list")
            }
            O::ArtifactGet => asked("artifact", "read"),
            O::ArtifactDelete => asked("artifact", "delete"),
            O::TagList => asked("tag", "list"),
            O::TagCreate => asked("tag", "create"),
            O::TagDelete => asked("tag", "delete"),
            O::AccessoryList => asked("accessory", "list"),
            O::ArtifactLabelAdd => asked("artifact-label", "create"),
            O::ArtifactLabelRemove => asked("artifact-label", "delete"),
            O::LabelList => match field(call.query, "scope").as_deref() {
                Some("p") => {
                    let id = field(call.query, "project_id").and_then(|id| id.parse::<i64>().ok());
                    let project = id.and_then(|id| self.tables.projects.get(&id));
                    self.in_project(project, "", "label", "list")
                }
                _ => Ok(()),
            },
            O::LabelCreate => self.known(),
            O::LabelGet => match number().and_then(|id| self.tables.labels.get(&id)) {
                Some(label) => self.on_label(label.project, "read"),
                None => Ok(()),
            },
            O::ImmutableList => asked_of_either("immutable-tag", "list"),
            O::ImmutableCreate => asked_of_either("immutable-tag", "create"),
            O::ImmutableDelete => asked_of_either("immutable-tag", "delete"),
            O::RetentionGet => {
                self.known()?;
                match number().and_then(|id| self.tables.retentions.get(&id)) {
                    Some((project, _)) => {
                        self.in_project(self.tables.projects.get(project), "", "tag-retention", "read")
                    }
                    None => Ok(()),
                }
            }
            O::UserCurrent | O::UserPermissions => self.known(),
            O::Permissions => self.known().and_then(|()| match self.who.is_system_admin() {
                true => Ok(()),
                false => Err(Failure::forbidden()),
            }),
            O::RobotList | O::RobotGet | O::RobotCreate | O::RobotDelete => self.on_robots(call, route),
            O::CollectionList => self.in_system("garbage-collection", "list"),
            O::CollectionGet | O::ScheduleGet => self.in_system("garbage-collection", "read"),
            O::CollectionStop => self.in_system("garbage-collection", "stop"),
            O::ScheduleSet => self.in_system(
                "garbage-collection",
                match *call.method {
                    Method::PUT => "update",
                    _ => "create",
                },
            ),
            O::ReplicationList => self.in_system("replication-policy", "list"),
            O::ReplicationGet => self.in_system("replication-policy", "read"),
            O::ConfigurationGet => self.in_system("configuration", "read"),
            O::ConfigurationSet => self.in_system("configuration", "update"),
        }
    }

    fn known(&self) -> Result<(), Failure> {
        match self.who.is_known() {
            true => Ok(()),
            false => Err(Failure::unauthorized()),
        }
    }

    /// 401 for who is anonymous, 403 for who is not.
    fn refused(&self) -> Failure {
        match self.who.is_known() {
            true => Failure::forbidden(),
            false => Failure::unauthorized(),
        }
    }

    fn in_project(
        &self,
        project: Option<&ProjectRow>,
        name: &str,
        resource: &str,
        action: &str,
    ) -> Result<(), Failure> {
        match project {
            Some(project) if self.who.may(project, resource, action) => Ok(()),
            None if self.missing_is_told && !name.is_empty() => {
                Err(Failure::not_found(format!("project {name} not found")))
            }
            _ => Err(self.refused()),
        }
    }

    fn in_system(&self, resource: &str, action: &str) -> Result<(), Failure> {
        match self.who.may_in_system(resource, action) {
            true => Ok(()),
            false => Err(self.refused()),
        }
    }

    fn on_label(&self, project: Option<i64>, action: &str) -> Result<(), Failure> {
        match project {
            None => self.in_system("label", action),
            Some(id) => self.in_project(self.tables.projects.get(&id), "", "label", action),
        }
    }

    /// Users may; of robots those of the system that are allowed to.
    fn may_create_projects(&self) -> Result<(), Failure> {
        match self.who {
            Who::Anonymous => Err(Failure::unauthorized()),
            Who::Known(account) if account.is_robot => self.in_system("project", "create"),
            Who::Known(_) => Ok(()),
        }
    }

    fn on_robots(&self, call: &Call<'_>, route: &Route) -> Result<(), Failure> {
        self.known()?;
        let action = match route.operation {
            Operation::RobotList => "list",
            Operation::RobotGet => "read",
            Operation::RobotCreate => "create",
            _ => "delete",
        };
        let robot = route
            .reference
            .parse::<i64>()
            .ok()
            .and_then(|id| self.tables.robots.get(&id));
        let project = match robot {
            Some(robot) if level_of(&robot.account) == "project" => robot
                .account
                .grants
                .iter()
                .find_map(|grant| self.tables.project(grant.project.as_deref()?)),
            Some(_) => None,
            None => field(call.query, "q")
                .as_deref()
                .and_then(|q| q.split(',').find_map(|part| part.strip_prefix("ProjectID=")))
                .and_then(|id| self.tables.projects.get(&id.parse().ok()?)),
        };
        match project {
            Some(project) => self.in_project(Some(project), "", "robot", action),
            None => self.in_system("robot", action),
        }
    }
}

/// A project by its number, or by its name where that is no number or the request says that it is a name.
pub(super) fn project_of<'a>(tables: &'a Tables, call: &Call<'_>, text: &str) -> Option<&'a ProjectRow> {
    let is_name = call
        .headers
        .get("x-is-resource-name")
        .is_some_and(|value| value == "true");
    match text.parse::<i64>() {
        Ok(id) if !is_name => tables.projects.get(&id),
        _ => tables.project(text),
    }
}
