//! Registries by name: what each is known to do differently from the specification, and who says so.
//!
//! A profile holds what documentation, source or a report with its answers shows; each of these is linked. Where
//! nothing is known a profile does what the specification says, which is no claim about the registry.

use crate::auth::{Auth, Bearer, CatalogAccess, Grant, User};
use crate::options::{Behaviour, CatalogAnswer, Deletion, Oversized, TagListing};

/// A registry by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Everything the specification offers, to the letter.
    #[default]
    Strict,
    /// docker-registry 2.8. Measured on Debian's package.
    Distribution28,
    /// Distribution 3: tags can be deleted singly, and a number of results that is too large is refused
    /// (<https://github.com/distribution/distribution/blob/main/docs/content/spec/api.md>).
    Distribution3,
    /// zot 2 (<https://zotregistry.dev>). Before 2020 it deleted the whole manifest by any of its tags
    /// (<https://github.com/project-zot/zot/issues/67>).
    Zot,
    /// Harbor's `/v2`: tokens at `/service/token`, the catalog for system administrators only
    /// (<https://github.com/goharbor/harbor/issues/7898>) and for their password, not for a token
    /// (<https://github.com/goharbor/harbor/issues/22118>), and tags not deleted there
    /// (<https://github.com/goharbor/harbor/pull/11971>). Its API and all that it does to `/v2` comes with
    /// [`crate::SandboxOptions::harbor`].
    Harbor,
    /// Amazon Elastic Container Registry: basic authentication as `AWS`
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>), more than 1000 results refused
    /// as unsupported with the number in words (<https://github.com/andrey-pohilko/registry-cli/issues/79>), no digest
    /// in the headers of a GET (<https://github.com/ChangemakerStudios/Docker.Registry.DotNet/issues/34>), and DELETE
    /// answered by a router's own 404 (<https://github.com/aws/containers-roadmap/issues/1229>, closed as shipped;
    /// in 2026 still reported as missing in <https://github.com/tsuru/tsuru/pull/2914>).
    Ecr,
    /// Google Artifact Registry: tags all at once with foreign fields beside them
    /// (<https://github.com/google/go-containerregistry/issues/897>), single tags deleted, and manifests only when no
    /// tag is left on them (<https://github.com/genuinetools/reg/issues/136>,
    /// <https://github.com/enix/kube-image-keeper/issues/636>). Its catalog is empty
    /// (<https://github.com/HarborGuard/HarborGuard/issues/151>).
    ArtifactRegistry,
    /// Azure Container Registry: tokens at its own `/oauth2/token`, in `access_token` alone
    /// (<https://azure.github.io/acr/Token-BasicAuth.html>,
    /// <https://learn.microsoft.com/en-us/rest/api/containerregistry/access-tokens/get-from-login>). A token of a scope
    /// map that does not cover everything sees an empty catalog (<https://github.com/Azure/acr/issues/751>).
    Acr,
    /// GitHub's ghcr.io: anonymous tokens for what is public
    /// (<https://github.com/github/dependabot-action/pull/131>), no deletion (405,
    /// <https://github.com/podman-container-tools/skopeo/issues/1880>), no referrers API
    /// (<https://github.com/dataaxiom/ghcr-cleanup-action/pull/114>). Its token service gives no token for the catalog
    /// (403, <https://github.com/oras-project/oras/issues/1128>).
    Ghcr,
    /// GitLab's container registry: the token service is GitLab itself, another host; the catalog is refused
    /// (<https://github.com/portainer/portainer/issues/2956>); single tags are deleted since 2023
    /// (<https://gitlab.com/gitlab-org/container-registry/-/issues/1091>).
    GitLab,
    /// Quay: pages of at most 100 tags whatever is asked for, with a relative Link
    /// (<https://github.com/deitch/docker_registry2/issues/106>), tokens at `/v2/auth`, single tags deleted by who may
    /// push (<https://github.com/quay/quay/pull/3128>).
    Quay,
    /// Docker Hub: tokens from another host (<https://docs.docker.com/reference/api/registry/latest/>), manifests
    /// deleted by digest and only when nothing refers to them, else 403
    /// (<https://docs.docker.com/reference/api/registry/latest/operations/DeleteImageManifest/>), the catalog refused
    /// (401, <https://github.com/docker/hub-feedback/issues/2094>), no referrers API
    /// (<https://github.com/docker/roadmap/issues/724>). Its reference knows no deletion of tags; with which status it
    /// refuses that is not documented, and 405 is made up here.
    DockerHub,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 12] = [
        Self::Strict,
        Self::Distribution28,
        Self::Distribution3,
        Self::Zot,
        Self::Harbor,
        Self::Ecr,
        Self::ArtifactRegistry,
        Self::Acr,
        Self::Ghcr,
        Self::GitLab,
        Self::Quay,
        Self::DockerHub,
    ];

    /// How this registry behaves.
    #[must_use]
    pub fn behaviour(self) -> Behaviour {
        let strict = Behaviour::strict();
        match self {
            Self::Strict | Self::Acr => strict,
            Self::Distribution28 => Behaviour {
                tag_listing: TagListing::WholeUnsorted,
                empty_tags_are_null: true,
                deletion: Deletion::ByDigestOnly,
                accept_must_name_the_type: true,
                referrers_api: false,
                ..strict
            },
            Self::Distribution3 => Behaviour {
                accept_must_name_the_type: true,
                referrers_api: false,
                ..strict
            },
            Self::Zot => Behaviour {
                catalog_page: usize::MAX,
                catalog_limit: usize::MAX,
                ..strict
            },
            Self::Harbor => Behaviour {
                deletion: Deletion::TagsUnsupported,
                ..strict
            },
            Self::Ecr => Behaviour {
                tag_limit: Some(1_000),
                oversized: Oversized::RefusedInWords,
                deletion: Deletion::NoRoute,
                digest_header_on_get: false,
                ..strict
            },
            Self::ArtifactRegistry => Behaviour {
                tag_listing: TagListing::WholeUnsorted,
                foreign_fields: true,
                catalog: CatalogAnswer::Empty,
                deletion: Deletion::UntaggedOnly {
                    status: 400,
                    code: "GOOGLE_MANIFEST_DANGLING_TAG",
                },
                ..strict
            },
            Self::Ghcr => Behaviour {
                deletion: Deletion::Disabled,
                referrers_api: false,
                ..strict
            },
            Self::GitLab => Behaviour {
                catalog: CatalogAnswer::Unauthorized,
                ..strict
            },
            Self::Quay => Behaviour {
                tag_page: Some(100),
                tag_limit: Some(100),
                oversized: Oversized::Capped,
                delete_takes_push: true,
                ..strict
            },
            Self::DockerHub => Behaviour {
                catalog: CatalogAnswer::Unauthorized,
                referrers_api: false,
                deletion: Deletion::UntaggedOnly {
                    status: 403,
                    code: "DENIED",
                },
                tags_are_not_deleted: true,
                ..strict
            },
        }
    }

    /// How this registry authenticates, with these users; anybody may pull where its public repositories allow it.
    #[must_use]
    pub fn auth(self, users: Vec<User>) -> Auth {
        let bearer = |path: &str, service: &str| {
            let mut bearer = Bearer::new(users.clone());
            bearer.path = path.to_owned();
            bearer.service = service.to_owned();
            bearer
        };
        let public = |mut bearer: Bearer| {
            bearer.anonymous = vec![Grant::repository("public/*", &["pull"])];
            bearer
        };
        match self {
            Self::Strict | Self::Distribution28 | Self::Distribution3 | Self::Zot | Self::Ecr => {
                Auth::Basic(users)
            }
            Self::Harbor => {
                let mut bearer = bearer("/service/token", "harbor-registry");
                bearer.catalog = CatalogAccess::Password;
                Auth::Bearer(bearer)
            }
            Self::ArtifactRegistry => Auth::Bearer(bearer("/v2/token", "docker.pkg.dev")),
            Self::Acr => {
                let mut bearer = bearer("/oauth2/token", "contoso.azurecr.io");
                bearer.access_token_only = true;
                Auth::Bearer(bearer)
            }
            Self::Ghcr => {
                let mut bearer = public(bearer("/token", "ghcr.io"));
                bearer.catalog = CatalogAccess::Refused;
                Auth::Bearer(bearer)
            }
            Self::GitLab => {
                let mut bearer = public(bearer("/jwt/auth", "container_registry"));
                bearer.on_another_host = true;
                Auth::Bearer(bearer)
            }
            Self::Quay => Auth::Bearer(public(bearer("/v2/auth", "quay.io"))),
            Self::DockerHub => {
                let mut bearer = public(bearer("/token", "registry.docker.io"));
                bearer.on_another_host = true;
                Auth::Bearer(bearer)
            }
        }
    }
}
