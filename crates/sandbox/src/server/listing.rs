//! The catalog and the lists of tags, page by page.

use axum::response::Response;
use http::StatusCode;
use http::header::LINK;
use serde_json::json;

use super::Call;
use super::reply::{Failure, json, set};
use super::target::{encoded, field};
use crate::options::{CatalogAnswer, Links, Oversized, TagListing};

/// What a page's query asks for.
struct Page {
    last: Option<String>,
    /// How many entries; `None` for all.
    size: Option<usize>,
}

fn page(
    query: &str,
    default: Option<usize>,
    limit: Option<usize>,
    oversized: Oversized,
) -> Result<Page, Failure> {
    let size = match field(query, "n").filter(|n| !n.is_empty()) {
        None => default.map(|size| limit.map_or(size, |limit| size.min(limit))),
        Some(n) => {
            let size = n.parse::<usize>().map_err(|_| Failure::PAGE_INVALID)?;
            match (limit.filter(|limit| size > *limit), oversized) {
                (None, _) => Some(size),
                (Some(limit), Oversized::Capped) => Some(limit),
                (Some(_), Oversized::Refused) => return Err(Failure::PAGE_INVALID),
                (Some(_), Oversized::RefusedInWords) => return Err(Failure::PAGE_UNSUPPORTED),
            }
        }
    };
    Ok(Page {
        last: field(query, "last").filter(|last| !last.is_empty()),
        size,
    })
}

fn linked(
    call: &Call<'_>,
    mut response: Response,
    path: &str,
    page: &Page,
    last: Option<&str>,
    more: bool,
) -> Response {
    let host = match call.shared.behaviour.links {
        Links::Missing => return response,
        Links::Relative => "",
        Links::Absolute => call.shared.origin.as_str(),
    };
    if let (true, Some(last), Some(size)) = (more && page.size != Some(0), last, page.size) {
        let link = format!("<{host}{path}?last={}&n={size}>; rel=\"next\"", encoded(last));
        set(&mut response, LINK, &link);
    }
    response
}

pub(super) fn catalog(call: &Call<'_>) -> Result<Response, Failure> {
    let behaviour = &call.shared.behaviour;
    match behaviour.catalog {
        CatalogAnswer::Listed => {}
        CatalogAnswer::Empty => {
            let none = json!({ "repositories": [] });
            return Ok(json(StatusCode::OK, none.to_string()));
        }
        CatalogAnswer::Unauthorized => return Err(Failure::UNAUTHORIZED),
        CatalogAnswer::Unsupported => return Err(Failure::UNSUPPORTED),
        CatalogAnswer::NoRoute => return Err(Failure::NOT_FOUND),
    }
    let page = page(
        call.query,
        Some(behaviour.catalog_page),
        Some(behaviour.catalog_limit),
        behaviour.oversized,
    )?;
    let limit = page.size.unwrap_or(usize::MAX);
    let (names, more) = call
        .shared
        .store
        .names_after(page.last.as_deref(), call.repeats_an_entry(), limit);
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let body = json(StatusCode::OK, json!({ "repositories": names }).to_string());
    Ok(linked(
        call,
        body,
        "/v2/_catalog",
        &page,
        names.last().copied(),
        more,
    ))
}

pub(super) fn tags(call: &Call<'_>) -> Result<Response, Failure> {
    let behaviour = &call.shared.behaviour;
    let repository = call.target.repository;
    let whole = behaviour.tag_listing == TagListing::WholeUnsorted;
    let page = if whole {
        Page {
            last: None,
            size: None,
        }
    } else {
        page(
            call.query,
            behaviour.tag_page,
            behaviour.tag_limit,
            behaviour.oversized,
        )?
    };
    let listed = call.shared.store.read(repository, |view| {
        let limit = page.size.unwrap_or(usize::MAX);
        let (tags, more) = view.tags_after(page.last.as_deref(), call.repeats_an_entry(), limit);
        let mut tags: Vec<&str> = tags.into_iter().map(|(tag, _)| tag).collect();
        if whole {
            tags.sort_by_cached_key(|tag| scattered(tag));
        }
        let body = if tags.is_empty() && behaviour.empty_tags_are_null {
            json!({ "name": repository, "tags": null })
        } else {
            json!({ "name": repository, "tags": tags })
        };
        let mut body = body;
        if behaviour.foreign_fields {
            body["child"] = json!([]);
            body["manifest"] = json!({});
        }
        let body = json(StatusCode::OK, body.to_string());
        linked(
            call,
            body,
            &format!("/v2/{repository}/tags/list"),
            &page,
            tags.last().copied(),
            more,
        )
    });
    listed.ok_or(Failure::NAME_UNKNOWN)
}

/// FNV-1a: an order that is none, and is the same every time.
fn scattered(tag: &str) -> u64 {
    tag.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
