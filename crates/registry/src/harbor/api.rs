//! Requests to Harbor's API, and what their refusals mean.

use std::fmt;

use http::header::HeaderName;
use http::{HeaderValue, StatusCode};
use lagan_model::{Failure, RegistryError, RequestKind, json};
use oci_distribution::errors::OciErrorCode;
use serde::de::DeserializeOwned;
use url::Url;

use super::walk::{ByKey, ByNumber, Next, Numbered};
use crate::action::Action;
use crate::client::RegistryClient;
use crate::page::{MAX_PAGE_BYTES, too_large};
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};

/// The most entries that one listing is read for.
const MAX_ENTRIES: usize = 1_000_000;

/// The longest listing, all its pages together, in bytes: a hundred thousand artifacts, each with its configuration,
/// of which little is kept.
const MAX_LISTING_BYTES: usize = 512 * 1024 * 1024;

/// The most pages that one listing is read for: a million entries, ten to a page, as where pages have to be small.
const MAX_PAGES: usize = 100_000;

/// How often a listing that changes under the walk is begun again.
const WALKS: usize = 4;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// What a request takes of the account that makes it, in Harbor's words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permission<'a> {
    pub(super) resource: &'static str,
    pub(super) action: &'static str,
    /// The project that it is taken in; `None` for the whole Harbor.
    pub(super) project: Option<&'a str>,
}

impl<'a> Permission<'a> {
    pub(super) fn new(resource: &'static str, action: &'static str, project: &'a str) -> Self {
        Self {
            resource,
            action,
            project: Some(project),
        }
    }
}

impl fmt::Display for Permission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}:{}`", self.resource, self.action)?;
        match self.project {
            Some(project) => write!(f, " in project {project}"),
            None => f.write_str(" of the system"),
        }
    }
}

/// An entry of a listing that is walked.
pub(super) trait Keyed {
    fn key(&self) -> i64;
}

macro_rules! keyed {
    ($($entry:ident by $key:ident),*) => {
        $(impl Keyed for super::wire::$entry {
            fn key(&self) -> i64 {
                self.$key
            }
        })*
    };
}

keyed!(
    Artifact by id,
    Project by project_id,
    Repository by id,
    ImmutableRule by id,
    TagRow by id,
    AccessoryRow by id,
    Label by id
);

/// How much of a listing was read.
#[derive(Default)]
struct Extent {
    pages: usize,
    entries: usize,
    bytes: usize,
}

impl Extent {
    /// Counts a page; fails where the listing is too long, or says that it will be.
    fn add(
        &mut self,
        request: &Request,
        total: usize,
        entries: usize,
        bytes: usize,
    ) -> Result<(), RegistryError> {
        self.pages = self.pages.saturating_add(1);
        self.entries = self.entries.saturating_add(entries);
        self.bytes = self.bytes.saturating_add(bytes);
        let (most, of) = if self.entries.max(total) > MAX_ENTRIES {
            (MAX_ENTRIES, "entries")
        } else if self.bytes > MAX_LISTING_BYTES {
            (MAX_LISTING_BYTES, "bytes")
        } else if self.pages > MAX_PAGES {
            (MAX_PAGES, "pages")
        } else {
            return Ok(());
        };
        Err(too_large(
            request,
            format!("the listing has more than {most} {of}"),
        ))
    }
}

/// The API of one Harbor.
#[derive(Clone, Copy)]
pub(super) struct Api<'a> {
    pub(super) client: &'a RegistryClient,
    /// Everything up to `/api/v2.0/`.
    pub(super) root: &'a Url,
}

impl Api<'_> {
    pub(super) fn request(&self, kind: RequestKind, path: &str, query: &[(&'static str, String)]) -> Request {
        let mut url = self.root.clone();
        url.set_path(&format!("{}{path}", self.root.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request {
            kind,
            url,
            accept: HeaderValue::from_static("application/json"),
            limit: MAX_PAGE_BYTES,
            redirects: Redirects::SameOrigin,
            action: Action::Read,
        }
    }

    /// One entry.
    pub(super) async fn one<T: DeserializeOwned>(
        &self,
        request: &Request,
        permission: Permission<'_>,
    ) -> Result<T, RegistryError> {
        let answer = self.client.get(request, &Scope::Nothing).await?;
        if answer.status == StatusCode::OK {
            read(request, &answer)
        } else {
            Err(self.refused(request, &answer, permission))
        }
    }

    /// Every entry of a listing that is walked by its keys, each handed to `take`; `filter` is a condition of `q`, and
    /// `query` is what else is asked for.
    pub(super) async fn by_key<T: DeserializeOwned + Keyed + Send>(
        &self,
        kind: RequestKind,
        path: &str,
        filter: Option<&str>,
        query: &[(&'static str, &str)],
        permission: Permission<'_>,
        mut take: impl FnMut(T) -> Result<(), String> + Send,
    ) -> Result<(), RegistryError> {
        let mut walk = ByKey::new();
        let mut extent = Extent::default();
        loop {
            let mut all: Vec<_> = query
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect();
            all.extend(walk.query(filter));
            let request = self.request(kind, path, &all);
            let answer = match self.client.get(&request, &Scope::Nothing).await {
                // Images with long configurations fill a page sooner than others.
                Err(error) if error.failure() == Failure::TooLarge && walk.shrink() => continue,
                answer => answer?,
            };
            let (total, page) = self.page::<T>(&request, &answer, permission)?;
            let keys: Vec<i64> = page.iter().map(Keyed::key).collect();
            let wrong = |wrong: String| problem::malformed(&request, wrong);
            let next = walk.read(total, &keys).map_err(wrong)?;
            extent.add(&request, total, page.len(), answer.body.len())?;
            for entry in page {
                take(entry).map_err(|wrong| problem::malformed(&request, wrong))?;
            }
            if next == Next::End {
                return Ok(());
            }
        }
    }

    /// Every entry of a listing that is walked by page numbers.
    pub(super) async fn by_number<T: DeserializeOwned + Keyed + Send>(
        &self,
        kind: RequestKind,
        path: &str,
        query: &[(&'static str, &str)],
        sort: Option<&str>,
        permission: Permission<'_>,
    ) -> Result<Vec<T>, RegistryError> {
        let mut walks = 1;
        let mut walk = ByNumber::default();
        let mut entries = Vec::new();
        // Walks that begin again count as well: they are no way to be read for ever.
        let mut extent = Extent::default();
        loop {
            let mut all: Vec<_> = query
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect();
            all.extend(walk.query(sort));
            let request = self.request(kind, path, &all);
            let answer = self.client.get(&request, &Scope::Nothing).await?;
            let (total, page) = self.page::<T>(&request, &answer, permission)?;
            extent.add(&request, total, page.len(), answer.body.len())?;
            let keys: Vec<i64> = page.iter().map(Keyed::key).collect();
            match walk.read(total, &keys) {
                Numbered::Next(next) => {
                    entries.extend(page);
                    if next == Next::End {
                        return Ok(entries);
                    }
                }
                Numbered::Changed if walks < WALKS => {
                    walks += 1;
                    walk = ByNumber::default();
                    entries.clear();
                }
                Numbered::Changed => {
                    let detail = format!("the listing changed while it was read, {WALKS} times");
                    return Err(problem::malformed(&request, detail));
                }
            }
        }
    }

    fn page<T: DeserializeOwned>(
        &self,
        request: &Request,
        answer: &Answer,
        permission: Permission<'_>,
    ) -> Result<(usize, Vec<T>), RegistryError> {
        if answer.status != StatusCode::OK {
            return Err(self.refused(request, answer, permission));
        }
        let total = answer.header(&TOTAL).and_then(|total| total.trim().parse().ok());
        let total = total.ok_or_else(|| {
            problem::malformed(
                request,
                "the page does not say how many entries there are (X-Total-Count)",
            )
        })?;
        Ok((total, read(request, answer)?))
    }

    /// What a refusal means: one line with the project, the request, and the permission that may be missing.
    pub(super) fn refused(
        &self,
        request: &Request,
        answer: &Answer,
        permission: Permission<'_>,
    ) -> RegistryError {
        let error = problem::refusal(request, answer);
        let said = problem::describe(answer);
        match answer.status {
            StatusCode::UNAUTHORIZED => {
                let who = if self.client.auth().has_credentials() {
                    "Harbor no longer takes the credentials: the account has expired, is disabled, or its secret changed"
                } else {
                    "nobody who is not signed in may do this"
                };
                let detail = format!("{said}; {who} (this takes {permission})");
                RegistryError::new(Failure::Denied, request.line(), detail)
            }
            // Not a matter of permissions: Harbor is in read-only mode, or a quota is used up.
            StatusCode::FORBIDDEN if problem::has_code(answer, &OciErrorCode::Denied) => {
                let error = RegistryError::new(Failure::Denied, request.line(), said.clone());
                match said.to_ascii_lowercase().contains("read only") {
                    true => error.with_hint("nothing can be changed until Harbor leaves read-only mode"),
                    false => error,
                }
            }
            StatusCode::FORBIDDEN => {
                let detail = format!("{said}; the account lacks {permission}");
                RegistryError::new(Failure::Denied, request.line(), detail).with_hint(
                    match permission.project {
                        Some(_) => {
                            "give the account this permission, or leave the project out of the policies"
                        }
                        None => "give the account this permission",
                    },
                )
            }
            _ => match permission.project {
                Some(project) if error.failure() != Failure::NotFound => {
                    let failure = error.failure();
                    let hint = error.hint().map(str::to_owned);
                    let detail = format!("{said} (project {project})");
                    let error = RegistryError::new(failure, request.line(), detail);
                    match hint {
                        Some(hint) => error.with_hint(hint),
                        None => error,
                    }
                }
                _ => error,
            },
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(request: &Request, answer: &Answer) -> Result<T, RegistryError> {
    json::read(&answer.body).map_err(|error| {
        let reason = problem::clean(&error.to_string());
        problem::malformed(request, format!("the answer cannot be read: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_ends_at_its_limits_or_where_it_says_that_it_goes_beyond_them() {
        let request = Request {
            kind: RequestKind::Artifacts,
            url: "https://harbor.example/api/v2.0/projects".parse().unwrap(),
            accept: HeaderValue::from_static("application/json"),
            limit: MAX_PAGE_BYTES,
            redirects: Redirects::SameOrigin,
            action: Action::Read,
        };
        let pages = |pages: usize, total, entries, bytes| {
            let mut extent = Extent::default();
            (0..pages).try_for_each(|_| extent.add(&request, total, entries, bytes))
        };
        assert!(pages(10_000, MAX_ENTRIES, 100, 1000).is_ok());
        assert!(pages(64, 100, 1, MAX_PAGE_BYTES).is_ok());
        assert!(pages(MAX_PAGES, 100, 1, 1).is_ok());
        for (count, total, entries, bytes) in [
            (10_001, 0, 100, 1000),
            (1, MAX_ENTRIES + 1, 1, 1),
            (1, usize::MAX, 1, 1),
            (65, 100, 1, MAX_PAGE_BYTES),
            // Pages of next to nothing, for ever.
            (MAX_PAGES + 1, 100, 1, 1),
            (MAX_PAGES + 1, 100, 0, 2),
        ] {
            let error = pages(count, total, entries, bytes).unwrap_err();
            assert_eq!(error.failure(), Failure::TooLarge, "{error}");
        }
    }
}
