//! Connecting: is there a Harbor, which one, and does it know who asks.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use lagan_model::{Failure, RegistryError, RegistryKind, RequestCounts, RequestKind, json};
use url::Url;

use super::HarborRegistry;
use super::api::Api;
use super::lanes::Lanes;
use super::projects::Projects;
use super::release::HarborRelease;
use super::rights::Rights;
use super::survey::Surveys;
use super::wire::SystemInfo;
use crate::client::RegistryClient;
use crate::oci::{ConnectError, Known, OciRegistry};
use crate::settings::{Settings, SettingsError};
use crate::token::Scope;
use crate::transport::{Answer, Request};
use crate::{origin, problem};

/// How Harbor's own registry calls itself in its challenges.
pub(crate) const SERVICE: &str = "harbor-registry";

/// The only user agent by which a manifest is read without counting as a pull: a pull makes an image look used, and
/// tells whoever listens.
const QUIET: &str = "harbor-registry-client";

/// The first version with a listing of a project's artifacts.
const LISTS_PROJECTS: HarborRelease = HarborRelease { major: 2, minor: 11 };

impl HarborRegistry {
    /// Connects: one request, which says whether the credentials are accepted.
    ///
    /// At most [`Settings::harbor_concurrency`] requests are under way at once.
    ///
    /// # Errors
    ///
    /// [`Failure::NotARegistry`] where there is no Harbor, [`Failure::Unauthorized`] where it takes the credentials for
    /// nobody's, and whatever else a request can come to.
    pub async fn connect(settings: Settings) -> Result<Self, ConnectError> {
        Self::connect_after(settings, RequestCounts::default()).await
    }

    /// The same, after requests of another client that found a Harbor.
    pub(crate) async fn connect_after(
        mut settings: Settings,
        before: RequestCounts,
    ) -> Result<Self, ConnectError> {
        settings.max_concurrency = settings.harbor_concurrency;
        settings.manifest_agent = Some(QUIET);
        settings.names_projects = true;
        let base = settings.url.as_str().to_owned();
        let root = Url::parse(&format!("{base}/api/v2.0/")).map_err(SettingsError::UrlSyntax)?;
        let client = RegistryClient::new(&settings)?;
        let api = Api {
            client: &client,
            root: &root,
        };
        let request = api.request(RequestKind::SystemInfo, "systeminfo", &[]);
        client.read_credentials(&request).await?;
        let offered = client.auth().offer_password(&request).await?;
        if client.auth().has_credentials() && !offered {
            let detail = "these credentials are a token, and Harbor's API takes a user name and a password";
            return Err(RegistryError::new(Failure::Unauthorized, request.line(), detail)
                .with_hint("give a robot account, or a user name with its CLI secret")
                .into());
        }
        let answer = client.get(&request, &Scope::Nothing).await?;
        let information = information(&request, &answer)?;
        let version = information.harbor_version.as_deref();
        if offered && version.is_none() {
            let detail = "Harbor answers, but takes the credentials for nobody's";
            return Err(RegistryError::new(Failure::Unauthorized, request.line(), detail)
                .with_hint(
                    "check the user name (a robot's begins with `robot$` unless that was changed), the secret, and \
                     whether the account has expired or is disabled",
                )
                .into());
        }
        if settings.credentials.is_some() && origin::is_in_the_clear(settings.url.url()) {
            tracing::warn!(registry = base, "credentials are sent over plain HTTP");
        }
        let release = version.and_then(HarborRelease::of);
        tracing::debug!(registry = base, version, "connected to Harbor");
        let oci = OciRegistry::over(client, &settings, RegistryKind::Harbor)?;
        Ok(Self {
            oci,
            root,
            before,
            lists_projects: release.is_some_and(|release| release >= LISTS_PROJECTS),
            catalog: Known::default(),
            projects: Projects::default(),
            surveys: Surveys::default(),
            lanes: Lanes::default(),
            rights: Rights::default(),
        })
    }
}

fn information(request: &Request, answer: &Answer) -> Result<SystemInfo, RegistryError> {
    let is_json = answer
        .header(&CONTENT_TYPE)
        .is_some_and(|kind| kind.starts_with("application/json"));
    let read = || json::read::<SystemInfo>(&answer.body).ok();
    let information = read().filter(|information| information.auth_mode.is_some());
    match (answer.status, information) {
        (StatusCode::OK, Some(information)) if is_json => Ok(information),
        (StatusCode::UNAUTHORIZED, _) => {
            let said = problem::describe(answer);
            Err(RegistryError::new(Failure::Unauthorized, request.line(), said)
                .with_hint("check the user name and the password"))
        }
        _ => match problem::refusal(request, answer) {
            error
                if matches!(
                    error.failure(),
                    Failure::Overloaded | Failure::Server | Failure::Timeout
                ) =>
            {
                Err(error)
            }
            _ => {
                let said = match answer.status {
                    StatusCode::OK => "what answers is not a Harbor".to_owned(),
                    _ => format!("what answers is not a Harbor: {}", problem::describe(answer)),
                };
                Err(RegistryError::new(Failure::NotARegistry, request.line(), said)
                    .with_hint("check the URL, or write `kind: oci` for a registry that is none"))
            }
        },
    }
}
