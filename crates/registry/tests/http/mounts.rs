//! Taking blobs over from another repository: mounted, or copied where the registry does not mount.

use axum::response::Response;
use lagan_model::{
    Blob, Capability, Digest, Failure, Mount, RegistryRead as _, RegistryWrite as _, RequestKind,
};

use crate::journal::restoration;
use crate::support::{Seen, Server, refused, respond};

const SMALL: &str = "a small blob";

fn blob(content: &str) -> Blob {
    Blob {
        digest: Digest::of(content.as_bytes()),
        size: content.len() as u64,
    }
}

async fn take(
    blob: &Blob,
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Server, Result<Mount, lagan_model::RegistryError>, Capability) {
    let server = Server::registry(answer).await;
    let registry = server.connect().await;
    let from = "team/other".parse().unwrap();
    let done = registry.mount_blob(&restoration().await, blob, &from).await;
    let log = server.log();
    let kinds = registry.requests();
    assert_eq!(kinds.of(RequestKind::Mount), 1);
    assert_eq!(
        kinds.of(RequestKind::Mount) + kinds.of(RequestKind::Copy),
        log.len() as u64
    );
    (server, done, registry.capabilities().mount)
}

fn begun(seen: &Seen) -> bool {
    seen.method == "POST" && seen.path == "/v2/team/app/blobs/uploads/"
}

#[tokio::test]
async fn a_blob_is_mounted_by_name_alone() {
    let (server, done, capability) = take(&blob(SMALL), |_| respond(201, &[], "")).await;
    assert_eq!(done.unwrap(), Mount::Mounted);
    assert_eq!(capability, Capability::Offered);
    let log = server.log();
    assert!(begun(&log[0]));
    assert_eq!(log[0].query["mount"], blob(SMALL).digest.to_string());
    assert_eq!(log[0].query["from"], "team/other");
    assert_eq!(log[0].header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_mount_of_another_blob_than_was_named_is_none() {
    let other = Digest::of(b"other").to_string();
    let (_, done, capability) = take(&blob(SMALL), move |_| {
        respond(201, &[("docker-content-digest", &other)], "")
    })
    .await;
    assert_eq!(done.unwrap_err().failure(), Failure::DigestMismatch);
    assert_eq!(capability, Capability::Unknown);
}

#[tokio::test]
async fn what_is_not_mounted_is_copied_by_the_upload_that_was_begun_instead() {
    let (server, done, capability) = take(&blob(SMALL), |seen| match seen.method.as_str() {
        "POST" => respond(202, &[("location", "/v2/team/app/blobs/uploads/1?_state=x")], ""),
        "GET" => respond(200, &[], SMALL),
        _ => respond(201, &[], ""),
    })
    .await;
    assert_eq!(done.unwrap(), Mount::Copied);
    assert_eq!(capability, Capability::NotOffered);
    let log = server.log();
    assert_eq!(log.len(), 3);
    assert_eq!(
        log[1].path,
        format!("/v2/team/other/blobs/{}", blob(SMALL).digest)
    );
    assert_eq!((log[2].method.as_str(), log[2].body.as_str()), ("PUT", SMALL));
    assert_eq!(log[2].query["_state"], "x");
    assert_eq!(log[2].query["digest"], blob(SMALL).digest.to_string());
}

#[tokio::test]
async fn a_large_blob_is_copied_in_parts() {
    const WHOLE: usize = 8 * 1024 * 1024 + 5;
    let content = "x".repeat(WHOLE);
    let blob = blob(&content);
    let (server, done, _) = take(&blob, move |seen| match seen.method.as_str() {
        "POST" => respond(202, &[("location", "/v2/team/app/blobs/uploads/1")], ""),
        "GET" => {
            let range = seen.header("range").unwrap().strip_prefix("bytes=").unwrap();
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            respond(206, &[], content[first..=last].to_owned())
        }
        "PATCH" => {
            let next = format!("{}1", seen.path);
            respond(202, &[("location", &next)], "")
        }
        _ => respond(201, &[], ""),
    })
    .await;
    assert_eq!(done.unwrap(), Mount::Copied);
    let log = server.log();
    let sent: Vec<_> = log
        .iter()
        .filter(|seen| seen.method != "GET")
        .map(|seen| {
            let range = seen.header("content-range").map(str::to_owned);
            (seen.method.as_str(), seen.path.as_str(), range, seen.body.len())
        })
        .collect();
    let at = "/v2/team/app/blobs/uploads/1";
    assert_eq!(
        sent,
        [
            ("POST", "/v2/team/app/blobs/uploads/", None, 0),
            ("PATCH", at, Some("0-8388607".to_owned()), 8_388_608),
            (
                "PATCH",
                "/v2/team/app/blobs/uploads/11",
                Some("8388608-8388612".to_owned()),
                5
            ),
            ("PUT", "/v2/team/app/blobs/uploads/111", None, 0),
        ]
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_taken_over_and_the_upload_is_given_up() {
    let (server, done, capability) = take(&blob(SMALL), |seen| match seen.method.as_str() {
        "POST" => respond(202, &[("location", "/v2/team/app/blobs/uploads/1")], ""),
        "GET" => refused(404, "BLOB_UNKNOWN"),
        _ => respond(204, &[], ""),
    })
    .await;
    assert_eq!(done.unwrap_err().failure(), Failure::NotFound);
    assert_eq!(capability, Capability::Unknown);
    let last = server.log().pop().unwrap();
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("DELETE", "/v2/team/app/blobs/uploads/1")
    );
}

#[tokio::test]
async fn other_bytes_than_the_blobs_are_not_pushed() {
    for other in ["a small blot", "short"] {
        let (server, done, _) = take(&blob(SMALL), move |seen| match seen.method.as_str() {
            "POST" => respond(202, &[("location", "/v2/team/app/blobs/uploads/1")], ""),
            "GET" => respond(200, &[], other),
            _ => respond(201, &[], ""),
        })
        .await;
        assert_eq!(done.unwrap_err().failure(), Failure::DigestMismatch);
        assert!(server.log().iter().all(|seen| seen.method != "PUT"));
    }
}

#[tokio::test]
async fn an_upload_that_goes_on_elsewhere_gets_no_bytes() {
    let elsewhere = Server::registry(|_| respond(201, &[], "")).await;
    let place = format!("{}/upload", elsewhere.url);
    let (_, done, _) = take(&blob(SMALL), move |_| respond(202, &[("location", &place)], "")).await;
    assert_eq!(done.unwrap_err().failure(), Failure::Refused);
    assert!(elsewhere.whole_log().is_empty());
}

#[tokio::test]
async fn a_refused_mount_is_asked_for_once() {
    for (status, failure) in [
        (403, Failure::Denied),
        (405, Failure::Unsupported),
        (429, Failure::Overloaded),
    ] {
        let (server, done, _) = take(&blob(SMALL), move |_| refused(status, "DENIED")).await;
        assert_eq!(done.unwrap_err().failure(), failure);
        assert_eq!(server.log().len(), 1);
    }
}
