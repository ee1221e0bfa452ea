//! Reading, as the specification and the profiles have it.

use http::Method;
use http::header::{ACCEPT, IF_NONE_MATCH, RANGE};

use super::{DAY, code, header, json, start, strings};
use crate::{Deletion, Image, Profile, SandboxOptions, media};

/// Follows Links to the end; answers the pages.
async fn pages(http: &mut super::Http, first: &str, field: &str) -> Vec<Vec<String>> {
    let (mut pages, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let response = http.get(&path).await;
        assert_eq!(response.status(), 200);
        pages.push(strings(&json(&response)[field]));
        next = header(&response, "link").map(|link| {
            let inside = link
                .strip_prefix('<')
                .and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
            inside.expect("a Link").to_owned()
        });
    }
    pages
}

#[tokio::test]
async fn the_base_says_what_it_is() {
    let (_sandbox, mut http) = start(SandboxOptions::default()).await;
    let base = http.get("/v2/").await;
    assert_eq!(base.status(), 200);
    assert_eq!(
        header(&base, "docker-distribution-api-version"),
        Some("registry/2.0")
    );
    assert_eq!(http.status(Method::GET, "/v2").await, 200);
    let elsewhere = http.get("/metrics").await;
    assert_eq!(
        (elsewhere.status().as_u16(), &elsewhere.body()[..]),
        (404, &b"404 page not found\n"[..])
    );
    assert_eq!(http.status(Method::POST, "/v2/a/manifests/x").await, 405);
}

#[tokio::test]
async fn the_catalog_is_paged_in_byte_order() {
    let (sandbox, mut http) = start(SandboxOptions::default().corpus(250, 0)).await;
    sandbox.put_image("zzz/last", &["1"], DAY);
    let found = pages(&mut http, "/v2/_catalog?n=100", "repositories").await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 51]);
    let mut expected: Vec<String> = sandbox.corpus().names().collect();
    expected.sort();
    expected.push("zzz/last".to_owned());
    assert_eq!(found.concat(), expected);
    assert_eq!(
        strings(&json(&http.get("/v2/_catalog").await)["repositories"]).len(),
        100
    );
    assert_eq!(
        pages(&mut http, "/v2/_catalog?n=251", "repositories").await.len(),
        1
    );
}

#[tokio::test]
async fn a_catalog_page_over_the_limit_is_refused() {
    let (_sandbox, mut http) = start(SandboxOptions::default()).await;
    for n in ["1001", "-1", "many"] {
        let refused = http.get(&format!("/v2/_catalog?n={n}")).await;
        assert_eq!(
            code(&refused),
            (400, "PAGINATION_NUMBER_INVALID".to_owned()),
            "{n}"
        );
    }
    assert_eq!(http.status(Method::GET, "/v2/_catalog?n=1000").await, 200);
    assert!(strings(&json(&http.get("/v2/_catalog?n=0").await)["repositories"]).is_empty());
}

#[tokio::test]
async fn tags_are_paged_and_pages_go_on_after_writes() {
    let (sandbox, mut http) = start(SandboxOptions::default().corpus(1, 40)).await;
    let name = sandbox.corpus().name(0);
    sandbox.put_image(&name, &["0-first", "zz-last"], DAY);
    let gone = sandbox
        .corpus()
        .repository(0)
        .tags()
        .nth(20)
        .expect("a tag")
        .0
        .to_owned();
    assert!(sandbox.delete_tag(&name, &gone));
    let found = pages(&mut http, &format!("/v2/{name}/tags/list?n=7"), "tags").await;
    let expected: Vec<String> = sandbox.tags(&name).into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(found.len(), 6);
    assert_eq!(found.concat(), expected);
    assert!(expected.is_sorted() && expected.len() == 41 && !expected.contains(&gone));
    let whole = http.get(&format!("/v2/{name}/tags/list")).await;
    assert_eq!(
        (strings(&json(&whole)["tags"]), header(&whole, "link")),
        (expected, None)
    );
}

#[tokio::test]
async fn docker_registry_2_8_lists_all_tags_unsorted_whatever_is_asked() {
    let (sandbox, mut http) = start(
        SandboxOptions::default()
            .profile(Profile::Distribution28)
            .corpus(1, 40),
    )
    .await;
    let name = sandbox.corpus().name(0);
    let list = http.get(&format!("/v2/{name}/tags/list?n=5&last=zzz")).await;
    let mut tags = strings(&json(&list)["tags"]);
    assert_eq!(
        (tags.len(), header(&list, "link"), tags.is_sorted()),
        (40, None, false)
    );
    tags.sort();
    assert!(tags.iter().eq(sandbox.tags(&name).iter().map(|(tag, _)| tag)));
}

#[tokio::test]
async fn an_emptied_repository_still_lists_and_an_unknown_one_does_not() {
    for (profile, empty) in [
        (Profile::Distribution28, serde_json::Value::Null),
        (Profile::Strict, serde_json::json!([])),
    ] {
        let (sandbox, mut http) = start(SandboxOptions::default().profile(profile)).await;
        let digest = sandbox.put_image("team/app", &["1"], DAY);
        sandbox.delete_manifest("team/app", digest);
        assert_eq!(json(&http.get("/v2/team/app/tags/list").await)["tags"], empty);
        assert_eq!(
            strings(&json(&http.get("/v2/_catalog").await)["repositories"]),
            ["team/app"]
        );
        let unknown = http.get("/v2/team/other/tags/list").await;
        assert_eq!(code(&unknown), (404, "NAME_UNKNOWN".to_owned()));
        assert_eq!(
            code(&http.get("/v2/Team/App/tags/list").await),
            (400, "NAME_INVALID".to_owned())
        );
    }
}

#[tokio::test]
async fn a_manifest_is_served_byte_for_byte_by_tag_and_by_digest() {
    let (sandbox, mut http) = start(SandboxOptions::default().corpus(10, 30)).await;
    for content in sandbox.corpus().repositories() {
        let name = content.repository();
        for (tag, digest) in content.tags() {
            let manifest = content.manifest(&digest).expect("a manifest");
            for reference in [
                tag.to_owned(),
                digest.to_string(),
                digest.to_string().replace(':', "%3A"),
            ] {
                let path = format!("/v2/{name}/manifests/{reference}");
                let got = http.get(&path).await;
                assert_eq!(got.body(), &manifest.bytes);
                assert_eq!(header(&got, "content-type"), Some(&*manifest.media_type));
                assert_eq!(
                    header(&got, "docker-content-digest"),
                    Some(digest.to_string().as_str())
                );
            }
            let head = http
                .send(Method::HEAD, &format!("/v2/{name}/manifests/{tag}"), &[], "")
                .await;
            assert_eq!(
                header(&head, "content-length"),
                Some(manifest.bytes.len().to_string().as_str())
            );
            assert_eq!(
                header(&head, "docker-content-digest"),
                Some(digest.to_string().as_str())
            );
        }
    }
}

#[tokio::test]
async fn unknown_and_malformed_references_are_told_apart() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    sandbox.put_image("a", &["1"], DAY);
    let unknown = format!("sha256:{}", "0".repeat(64));
    for (path, expected) in [
        ("/v2/a/manifests/2".to_owned(), (404, "MANIFEST_UNKNOWN")),
        (format!("/v2/a/manifests/{unknown}"), (404, "MANIFEST_UNKNOWN")),
        ("/v2/b/manifests/1".to_owned(), (404, "MANIFEST_UNKNOWN")),
        ("/v2/a/manifests/sha256:xyz".to_owned(), (400, "DIGEST_INVALID")),
        ("/v2/a/manifests/-1".to_owned(), (400, "TAG_INVALID")),
        (format!("/v2/a/blobs/{unknown}"), (404, "BLOB_UNKNOWN")),
        ("/v2/a/blobs/1".to_owned(), (400, "DIGEST_INVALID")),
    ] {
        let (status, error) = expected;
        assert_eq!(code(&http.get(&path).await), (status, error.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_matching_etag_saves_the_body() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let digest = sandbox.put_image("a", &["1"], DAY);
    let quoted = format!("\"{digest}\"");
    let same = http
        .send(Method::GET, "/v2/a/manifests/1", &[(IF_NONE_MATCH, &quoted)], "")
        .await;
    assert_eq!((same.status().as_u16(), same.body().len()), (304, 0));
    let other = http
        .send(Method::GET, "/v2/a/manifests/1", &[(IF_NONE_MATCH, "\"x\"")], "")
        .await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn distribution_answers_404_unless_accept_names_the_type() {
    for (profile, strict) in [
        (Profile::Distribution28, true),
        (Profile::Distribution3, true),
        (Profile::Zot, false),
    ] {
        let (sandbox, mut http) = start(SandboxOptions::default().profile(profile)).await;
        sandbox.put_image("a", &["oci"], DAY);
        let child = sandbox.put("a", &Image::new(DAY).docker());
        let list = sandbox.put_index("a", &["list"], &[child]);
        let any = http
            .send(Method::GET, "/v2/a/manifests/oci", &[(ACCEPT, "*/*")], "")
            .await;
        assert_eq!(any.status().as_u16(), if strict { 404 } else { 200 });
        let named = format!("{}, {};q=0.5", media::DOCKER_MANIFEST, media::OCI_MANIFEST);
        let named = http
            .send(Method::GET, "/v2/a/manifests/oci", &[(ACCEPT, &named)], "")
            .await;
        assert_eq!(named.status(), 200);
        let old = http
            .send(
                Method::HEAD,
                "/v2/a/manifests/list",
                &[(ACCEPT, media::DOCKER_MANIFEST)],
                "",
            )
            .await;
        let served = if strict { child } else { list };
        assert_eq!(
            header(&old, "docker-content-digest"),
            Some(served.to_string().as_str())
        );
    }
}

#[tokio::test]
async fn blobs_are_read_whole_and_in_ranges() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let digest = sandbox.put_blob("a", "0123456789");
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(http.get(&path).await.body(), "0123456789");
    let part = http.send(Method::GET, &path, &[(RANGE, "bytes=2-4")], "").await;
    assert_eq!((part.status().as_u16(), &part.body()[..]), (206, &b"234"[..]));
    assert_eq!(header(&part, "content-range"), Some("bytes 2-4/10"));
    let none = http.send(Method::GET, &path, &[(RANGE, "bytes=10-")], "").await;
    assert_eq!(none.status(), 416);
    let head = http.send(Method::HEAD, &path, &[], "").await;
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-length")),
        (200, Some("10"))
    );
}

#[tokio::test]
async fn generated_blobs_are_served_as_the_truth_has_them() {
    let (sandbox, mut http) = start(SandboxOptions::default().corpus(1, 10)).await;
    let content = sandbox.corpus().repository(0);
    for (digest, bytes) in content.blobs() {
        assert_eq!(
            http.get(&format!("/v2/{}/blobs/{digest}", content.repository()))
                .await
                .body(),
            &bytes
        );
    }
}

#[tokio::test]
async fn the_referrers_api_lists_and_filters() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let image = sandbox.put_image("a", &["1"], DAY);
    let sbom = sandbox.put_referrer("a", image, media::SPDX);
    let scan = sandbox.put_referrer("a", image, "application/vnd.example.scan");
    let digests = |response: &http::Response<bytes::Bytes>| -> Vec<String> {
        let value = json(response);
        let found = value["manifests"].as_array().expect("an index");
        found
            .iter()
            .map(|one| one["digest"].as_str().expect("a digest").to_owned())
            .collect()
    };
    let all = http.get(&format!("/v2/a/referrers/{image}")).await;
    assert_eq!(digests(&all), [sbom.to_string(), scan.to_string()]);
    assert_eq!(header(&all, "content-type"), Some(media::OCI_INDEX));
    assert_eq!(header(&all, "oci-filters-applied"), None);
    let some = http
        .get(&format!(
            "/v2/a/referrers/{image}?artifactType=application%2Fspdx%2Bjson"
        ))
        .await;
    assert_eq!(digests(&some), [sbom.to_string()]);
    assert_eq!(header(&some, "oci-filters-applied"), Some("artifactType"));
    sandbox.delete_manifest("a", sbom);
    assert_eq!(
        digests(&http.get(&format!("/v2/a/referrers/{image}")).await),
        [scan.to_string()]
    );
    assert!(digests(&http.get(&format!("/v2/none/referrers/{image}")).await).is_empty());
    assert_eq!(sandbox.tags("a").len(), 1);
}

#[tokio::test]
async fn without_the_api_the_fallback_tag_lists_every_referrer() {
    let (sandbox, mut http) = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    let image = sandbox.put_image("a", &["1"], DAY);
    let listed = [
        sandbox.put_referrer("a", image, media::SPDX),
        sandbox.put_referrer("a", image, media::DSSE),
    ];
    assert_eq!(
        http.status(Method::GET, &format!("/v2/a/referrers/{image}"))
            .await,
        404
    );
    let index = sandbox
        .resolve("a", &image.fallback_tag())
        .expect("a fallback tag");
    assert_eq!(sandbox.manifest("a", &index).expect("an index").children, listed);
}

#[tokio::test]
async fn profiles_differ_in_what_can_be_deleted() {
    for (profile, by_tag) in [
        (Profile::Strict, 202),
        (Profile::Zot, 202),
        (Profile::Distribution3, 202),
        (Profile::Distribution28, 400),
    ] {
        let (sandbox, mut http) = start(SandboxOptions::default().profile(profile)).await;
        let digest = sandbox.put_image("a", &["1", "2"], DAY);
        assert_eq!(http.status(Method::DELETE, "/v2/a/manifests/1").await, by_tag);
        assert_eq!(sandbox.resolve("a", "2"), Some(digest));
        assert_eq!(sandbox.resolve("a", "1").is_some(), by_tag == 400);
    }
    let (sandbox, mut http) =
        start(SandboxOptions::default().behave(|behaviour| behaviour.deletion = Deletion::Disabled)).await;
    let digest = sandbox.put_image("a", &["1"], DAY);
    let refused = http
        .send(Method::DELETE, &format!("/v2/a/manifests/{digest}"), &[], "")
        .await;
    assert_eq!(code(&refused), (405, "UNSUPPORTED".to_owned()));
    assert_eq!(sandbox.tags("a").len(), 1);
}
