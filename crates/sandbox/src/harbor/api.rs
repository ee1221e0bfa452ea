//! From a request to its handler.

use axum::response::Response;
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};

use super::failure::Failure;
use super::route::{Operation, Route};
use super::{collection, deleting, reading, robots, system, writing};
use crate::server::Call;
use crate::server::reply::{API_VERSION, set};

/// What every answer of the API has: an identity of the request, and a cookie that a client need not keep.
pub(crate) fn finish(call: &Call<'_>, mut response: Response) -> Response {
    let asked = call
        .headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let id = asked.unwrap_or_else(|| format!("{:032x}", call.number));
    set(&mut response, HeaderName::from_static("x-request-id"), &id);
    if !call.headers.contains_key(COOKIE) {
        let cookie = format!("sid={:032x}; Path=/; HttpOnly", call.number);
        set(&mut response, SET_COOKIE, &cookie);
    }
    // Marks the answer as one that is not the registry's.
    response
        .headers_mut()
        .insert(API_VERSION, HeaderValue::from_static(""));
    response
}

/// Does what is asked; [`super::check`] has allowed it.
pub(crate) async fn answer(call: &Call<'_>, route: &Route, body: Bytes) -> Result<Response, Failure> {
    use Operation as O;
    match route.operation {
        O::Version => Ok(system::api_version()),
        O::Ping => Ok(system::ping()),
        O::Health => Ok(system::health()),
        O::SystemInfo => Ok(system::information(call)),
        O::ProjectList => reading::projects(call, route),
        O::ProjectHead => Ok(reading::head_project()),
        O::ProjectCreate => writing::create_project(call, route, &body),
        O::ProjectGet => reading::project(call, route),
        O::ProjectDelete => deleting::delete_project(call, route),
        O::RepositoryListAll | O::RepositoryList => reading::repositories(call, route),
        O::RepositoryGet => reading::repository(call, route),
        O::RepositoryDelete => deleting::delete_repository(call, route).await,
        O::ArtifactList => reading::artifacts(call, route, false),
        O::ArtifactListOfProject => reading::artifacts(call, route, true),
        O::ArtifactGet => reading::artifact(call, route),
        O::ArtifactDelete => {
            deleting::delete_artifact(call, &route.repository, &route.artifact, StatusCode::OK).await
        }
        O::TagList => reading::tags(call, route),
        O::TagCreate => writing::create_tag(call, route, &body),
        O::TagDelete => deleting::delete_tag(call, route),
        O::AccessoryList => reading::accessories(call, route),
        O::ArtifactLabelAdd => writing::add_label(call, route, &body),
        O::ArtifactLabelRemove => writing::remove_label(call, route),
        O::LabelList => reading::labels(call, route),
        O::LabelCreate => writing::create_label(call, route, &body),
        O::LabelGet => reading::label(call, route),
        O::ImmutableList => system::immutable_rules(call, route),
        O::ImmutableCreate => writing::create_immutable_rule(call, route, &body),
        O::ImmutableDelete => writing::delete_immutable_rule(call, route),
        O::RetentionGet => system::retention(call, route),
        O::UserCurrent => system::current_user(call),
        O::UserPermissions => Ok(system::current_permissions(call)),
        O::Permissions => Ok(system::permissions(call)),
        O::RobotList => system::robots(call, route),
        O::RobotGet => system::robot(call, route),
        O::RobotCreate => robots::create_robot(call, route, &body),
        O::RobotDelete => robots::delete_robot(call, route),
        O::CollectionList => system::collections(call, route),
        O::CollectionGet => system::collection(call, route),
        O::CollectionStop => collection::stop(call, route),
        O::ScheduleGet => Ok(system::schedule(call)),
        O::ScheduleSet => collection::schedule(call, &body),
        O::ReplicationList => system::replications(call, route),
        O::ReplicationGet => system::replication(call, route),
        O::ConfigurationGet => Ok(system::configuration(call)),
        O::ConfigurationSet => writing::configure(call, &body),
        O::WrongMethod => Err(Failure::method_not_allowed("method not allowed")),
        O::Nothing => Err(Failure::no_path(&route.path)),
    }
}
