//! The description of the API, made from the code that answers.

use axum::Json;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{asking, hooks, journal, looking, runs};

/// What there is to ask.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lagan",
        description = "The admin API of `lagan daemon`. Errors are problem details (RFC 9457). Over the socket of the state directory, its owner and root need no token; on a loopback address, looking needs none."
    ),
    paths(
        looking::health,
        looking::readiness,
        looking::metrics,
        looking::policies,
        runs::list,
        runs::one,
        runs::report,
        runs::plans,
        runs::plan,
        journal::list,
        journal::show,
        asking::plan,
        asking::apply,
        asking::undo,
        hooks::take,
        serve,
    ),
    modifiers(&Tokens),
)]
pub(super) struct Description;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        bearer.description = Some("A token of `admin.tokens`, with the right that is named.".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let secret = "The secret of `webhook` of the registry, alone or behind `Bearer`.";
        let secret = ApiKeyValue::with_description("Authorization", secret);
        components.add_security_scheme("secret", SecurityScheme::ApiKey(ApiKey::Header(secret)));
    }
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "health", responses(
    (status = 200, body = Object, description = "OpenAPI 3.1."),
))]
pub(super) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
