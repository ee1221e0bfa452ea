//! Reading a listing to its end, or not at all.
//!
//! Registries page by `Link`; some send none and expect `last`, and docker-registry 2 ignores `n` and `last` for
//! tags and returns everything at once. What no reading of the specification explains, a link that was followed
//! before, that leads elsewhere, or to a page that was there already, ends in an error: part of a
//! listing looks exactly like a listing.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderValue, StatusCode};
use lagan_model::{Failure, RegistryError, RequestKind, json};
use oci_distribution::errors::OciErrorCode;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::action::Action;
use crate::client::RegistryClient;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};
use crate::{link, origin};

/// The longest page of a listing, in bytes.
pub const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The most pages that one listing is read for.
pub const MAX_PAGES: usize = 20_000;

/// The most names that one listing is read for.
pub const MAX_ENTRIES: usize = 2_000_000;

/// The longest listing, all its pages together, in bytes: two million names of thirty characters.
pub const MAX_LISTING_BYTES: usize = 64 * 1024 * 1024;

/// How many names a page is asked for: the largest number that most registries accept.
pub(crate) const PAGE: usize = 1000;

/// How often a smaller page is asked for where the number is refused.
const SMALLER: usize = 3;

/// The pages of one listing, so far.
pub(crate) struct Trail {
    visited: HashSet<u64>,
    hasher: RandomState,
    /// How many bytes they had.
    bytes: usize,
}

impl Trail {
    pub(crate) fn from(first: &Url) -> Self {
        let hasher = RandomState::new();
        let visited = HashSet::from([hasher.hash_one(first.as_str())]);
        Self {
            visited,
            hasher,
            bytes: 0,
        }
    }

    /// Counts a page that was read.
    pub(crate) fn read(&mut self, request: &Request, answer: &Answer) -> Result<(), RegistryError> {
        self.bytes = self.bytes.saturating_add(answer.body.len());
        if self.bytes > MAX_LISTING_BYTES {
            let detail =
                format!("the pages of the listing are larger than {MAX_LISTING_BYTES} bytes together");
            return Err(too_large(request, detail));
        }
        Ok(())
    }

    /// The next page, where the answer links to one.
    pub(crate) fn follow(
        &mut self,
        request: &Request,
        answer: &Answer,
    ) -> Result<Option<Url>, RegistryError> {
        let target = link::next(&answer.headers)
            .map_err(|_| problem::malformed(request, "the Link to the next page cannot be read"))?;
        let Some(target) = target else { return Ok(None) };
        let next = request.url.join(target);
        let next = next.map_err(|_| problem::malformed(request, "the Link to the next page is not a URL"))?;
        if !origin::same(&request.url, &next) {
            let place = problem::clean(&origin::shown(&next));
            let detail = format!("the Link to the next page leads to {place}, which is not followed");
            return Err(problem::malformed(request, detail));
        }
        if next.path() != request.url.path() || !next.username().is_empty() || next.password().is_some() {
            let path = problem::clean(next.path());
            let detail = format!("the Link to the next page leads to another listing: {path}");
            return Err(problem::malformed(request, detail));
        }
        self.step(request, &next)?;
        Ok(Some(next))
    }

    /// Whether no page but the first was asked for.
    fn is_at_its_start(&self) -> bool {
        self.visited.len() == 1
    }

    /// Records that `next` will be read.
    fn step(&mut self, request: &Request, next: &Url) -> Result<(), RegistryError> {
        if !self.visited.insert(self.hasher.hash_one(next.as_str())) {
            return Err(problem::malformed(
                request,
                "the pages loop: the Link leads to one that was read before",
            ));
        }
        if self.visited.len() > MAX_PAGES {
            return Err(too_large(
                request,
                format!("the listing has more than {MAX_PAGES} pages"),
            ));
        }
        Ok(())
    }
}

/// A page that has entries, all of which were there before, and links to a further one.
pub(crate) fn repeated(request: &Request) -> RegistryError {
    problem::malformed(
        request,
        "the page repeats what was read before, and claims that there is more",
    )
}

pub(crate) fn too_large(request: &Request, detail: String) -> RegistryError {
    RegistryError::new(Failure::TooLarge, request.line(), detail)
}

/// Fails where a listing has more names than are read.
fn within(request: &Request, names: usize) -> Result<(), RegistryError> {
    if names > MAX_ENTRIES {
        let detail = format!("the listing has more than {MAX_ENTRIES} names");
        return Err(too_large(request, detail));
    }
    Ok(())
}

/// A page of tags. A field that is missing is not an empty one; `null` is, as emptied repositories show it.
#[derive(Deserialize)]
struct Tags {
    #[serde(deserialize_with = "nullable")]
    tags: Vec<String>,
}

/// A page of the catalog.
#[derive(Deserialize)]
struct Catalog {
    #[serde(deserialize_with = "nullable")]
    repositories: Vec<String>,
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A listing of names.
pub(crate) struct Listing<'a> {
    pub(crate) kind: RequestKind,
    /// Its URL, without a query.
    pub(crate) url: Url,
    pub(crate) scope: &'a Scope,
    /// What one of its names is, for a message.
    pub(crate) noun: &'static str,
    /// How many names a page is asked for. What the registry refuses is not asked for again.
    pub(crate) page: &'a AtomicUsize,
}

impl Listing<'_> {
    /// Every name, once.
    ///
    /// Fails with what `refused` makes of the first answer that is not a page.
    pub(crate) async fn read<T>(
        &self,
        client: &RegistryClient,
        refused: impl Fn(&Request, &Answer) -> RegistryError + Send,
    ) -> Result<Vec<T>, RegistryError>
    where
        T: FromStr<Err: Display> + Eq + Hash + Send,
    {
        let mut size = self.page.load(Ordering::Relaxed);
        let mut refusals = 0;
        let mut request = self.request(size, None);
        let mut trail = Trail::from(&request.url);
        let mut names = HashSet::new();
        loop {
            let answer = client.get(&request, self.scope).await?;
            if answer.status != StatusCode::OK {
                if refusals < SMALLER
                    && trail.is_at_its_start()
                    && let Some(smaller) = smaller_page(&answer, size)
                {
                    refusals += 1;
                    size = smaller;
                    request = self.request(size, None);
                    trail = Trail::from(&request.url);
                    continue;
                }
                return Err(refused(&request, &answer));
            }
            trail.read(&request, &answer)?;
            let page = self.names(&request, &answer)?;
            if refusals > 0 {
                self.page.fetch_min(size, Ordering::Relaxed);
            }
            let (listed, known, last) = (page.len(), names.len(), page.last().cloned());
            for name in page {
                names.insert(self.parse::<T>(&request, &name)?);
            }
            within(&request, names.len())?;
            let repeats = names.len() == known;
            request.url = match (trail.follow(&request, &answer)?, last) {
                (Some(_), Some(_)) if repeats => return Err(repeated(&request)),
                (Some(next), _) => next,
                // Exactly as many as were asked for, and no Link: there may be more that is not linked to.
                (None, Some(last)) if listed == size && !repeats => {
                    let next = self.request(size, Some(&last)).url;
                    trail.step(&request, &next)?;
                    next
                }
                (None, _) => return Ok(names.into_iter().collect()),
            };
        }
    }

    fn request(&self, size: usize, last: Option<&str>) -> Request {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("n", &size.to_string());
            if let Some(last) = last {
                query.append_pair("last", last);
            }
        }
        Request {
            kind: self.kind,
            url,
            accept: HeaderValue::from_static("application/json"),
            limit: MAX_PAGE_BYTES,
            redirects: Redirects::SameOrigin,
            action: Action::Read,
        }
    }

    fn names(&self, request: &Request, answer: &Answer) -> Result<Vec<String>, RegistryError> {
        let names = match self.kind {
            RequestKind::Catalog => json::read(&answer.body).map(|page: Catalog| page.repositories),
            _ => json::read(&answer.body).map(|page: Tags| page.tags),
        };
        names.map_err(|error| {
            let reason = problem::clean(&error.to_string());
            problem::malformed(request, format!("the page cannot be read: {reason}"))
        })
    }

    fn parse<T: FromStr<Err: Display>>(&self, request: &Request, name: &str) -> Result<T, RegistryError> {
        name.parse().map_err(|error| {
            let detail = format!("{} is not a {}: {error}", problem::quoted(name), self.noun);
            let error = problem::malformed(request, detail);
            match self.kind {
                RequestKind::Catalog => error.with_hint("name the repositories to look at, one by one"),
                _ => error,
            }
        })
    }
}

/// How many names to ask for instead, where an answer refuses `size`: the number that it states, or a tenth.
fn smaller_page(answer: &Answer, size: usize) -> Option<usize> {
    if !matches!(answer.status.as_u16(), 400 | 405 | 416 | 422) {
        return None;
    }
    let errors = problem::envelope(answer)?.errors;
    // Elastic Container Registry calls it unsupported, and says in the message what it takes.
    let about_size = |code: &OciErrorCode| match code {
        OciErrorCode::Unsupported => Some(false),
        OciErrorCode::Other(code) => {
            let known = ["PAGINATION_NUMBER_INVALID", "INVALID_QUERY_PARAMETER_VALUE"];
            known.contains(&code.as_str()).then_some(true)
        }
        _ => None,
    };
    errors.iter().find_map(|error| {
        let is_certain = about_size(&error.code)?;
        let text = format!("{} {}", error.message, error.detail);
        let stated = text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse::<usize>().ok())
            .filter(|number| (2..size).contains(number))
            .max();
        stated.or_else(|| (is_certain && size >= 10).then_some(size / 10))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn request() -> Request {
        Request {
            kind: RequestKind::Tags,
            url: Url::parse("http://host/v2/a/tags/list?n=1000").unwrap(),
            accept: HeaderValue::from_static("*/*"),
            limit: MAX_PAGE_BYTES,
            redirects: Redirects::SameOrigin,
            action: Action::Read,
        }
    }

    fn page(link: &str, bytes: usize) -> Answer {
        let mut headers = HeaderMap::new();
        let link = format!("<{link}>; rel=\"next\"");
        headers.insert(http::header::LINK, link.parse().unwrap());
        Answer {
            status: StatusCode::OK,
            headers,
            body: vec![b' '; bytes].into(),
            foreign: false,
            given_up: false,
            granted: None,
            secrets: Vec::new(),
        }
    }

    #[test]
    fn a_listing_of_ever_more_pages_comes_to_an_end() {
        let mut request = request();
        let mut trail = Trail::from(&request.url);
        let ended = (1..).find_map(|number| {
            match trail.follow(&request, &page(&format!("?n=1000&last={number}"), 0)) {
                Ok(next) => {
                    request.url = next.unwrap();
                    None
                }
                Err(error) => Some((number, error)),
            }
        });
        let (number, error) = ended.unwrap();
        assert_eq!((number, error.failure()), (MAX_PAGES, Failure::TooLarge));
        assert!(error.to_string().contains("more than 20000 pages"), "{error}");
    }

    #[test]
    fn a_listing_of_more_names_than_are_read_comes_to_an_end() {
        let request = request();
        within(&request, MAX_ENTRIES).unwrap();
        let error = within(&request, MAX_ENTRIES + 1).unwrap_err();
        assert_eq!(error.failure(), Failure::TooLarge);
        assert!(error.to_string().contains("more than 2000000 names"), "{error}");
    }

    #[test]
    fn pages_that_are_each_small_enough_are_not_too_large_together() {
        let request = request();
        let mut trail = Trail::from(&request.url);
        let page = page("?x", MAX_PAGE_BYTES);
        let ended = (1..).find_map(|number| trail.read(&request, &page).err().map(|error| (number, error)));
        let (number, error) = ended.unwrap();
        assert_eq!((number, error.failure()), (9, Failure::TooLarge));
    }
}
