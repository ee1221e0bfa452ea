//! What lists hold, and how they are paged.

use http::Method;

use super::*;
use crate::harbor::Project;
use crate::{Change, Effect, Fault, Image, Lookup, Moment, RequestKind};

const FULL: &str = "?with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true";

#[tokio::test]
async fn one_listing_has_all_there_is_to_know_of_an_artifact() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let digest = sandbox.put_image("team/app", &["1.0", "latest"], DAY);
    let signature = sandbox.put_signature("team/app", digest);
    let steer = sandbox.harbor();
    let (global, own) = (steer.label(None, "keep"), steer.label(Some("team"), "mine"));
    assert!(steer.put_label("team/app", "1.0", global) && steer.put_label("team/app", "latest", own));
    assert!(steer.put_label("team/app", "1.0", global), "twice is once");
    assert!(!steer.put_label("team/app", "1.0", 99) && !steer.put_label("team/app", "none", own));
    steer.immutable("team", crate::harbor::ImmutableRule::new("app", "1.*"));
    steer.set_pulled("team/app", "latest", DAY + 60);

    let rows = get(&mut http, &artifact_path("team/app", FULL)).await;
    assert_eq!(digests(&rows), [digest]);
    let row = &rows[0];
    assert_eq!(row["type"], "IMAGE");
    assert_eq!(row["repository_name"], "team/app");
    assert_eq!(row["manifest_media_type"], crate::media::OCI_MANIFEST);
    assert_eq!(row["push_time"], "2026-05-01T00:00:00.000Z");
    assert_eq!(row["pull_time"], "2026-05-01T00:01:00.000Z");
    assert_eq!(row["extra_attrs"]["architecture"], "amd64");
    assert_eq!(tags_of(row), ["1.0", "latest"]);
    assert_eq!(row["tags"][0]["immutable"], true);
    assert_eq!(row["tags"][1]["immutable"], false);
    assert_eq!(row["tags"][0]["pull_time"], "0001-01-01T00:00:00.000Z");
    assert_eq!(row["tags"][1]["pull_time"], "2026-05-01T00:01:00.000Z");
    assert_eq!(names(&row["labels"]), ["keep", "mine"]);
    assert_eq!(digests(&row["accessories"]), [signature]);
    assert_eq!(row["accessories"][0]["type"], "signature.cosign");
    assert_eq!(row["references"], serde_json::Value::Null);

    let bare = get(&mut http, &artifact_path("team/app", "?with_tag=false")).await;
    for field in ["tags", "labels", "accessories"] {
        assert!(bare[0][field].is_null(), "{field}");
    }
    let plain = get(&mut http, &artifact_path("team/app", "")).await;
    assert_eq!(
        plain[0]["tags"][0]["immutable"], false,
        "only where it is asked for"
    );
}

#[tokio::test]
async fn an_index_names_its_children_and_hides_those_without_a_tag() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let one = sandbox.put("team/app", &Image::new(DAY));
    let two = sandbox.put("team/app", &Image::new(DAY).architecture("arm64").tag("arm"));
    let alone = sandbox.put("team/app", &Image::new(DAY));
    let index = sandbox.put_index("team/app", &["1.0"], &[one, two]);

    let rows = get(&mut http, &artifact_path("team/app", "?sort=id")).await;
    assert_eq!(digests(&rows), [two, alone, index]);
    let references = &rows[2]["references"];
    let children = each(references, |row| {
        row["child_digest"].as_str().expect("text").to_owned()
    });
    assert_eq!(children, [one.to_string(), two.to_string()]);
    assert_eq!(references[1]["platform"]["architecture"], "arm64");
    assert_eq!(references[0]["parent_id"], rows[2]["id"]);
    // It is hidden, and not gone.
    let child = get(&mut http, &artifact_path("team/app", &format!("/{one}"))).await;
    assert_eq!(child["id"], references[0]["child_id"]);

    let all = get(&mut http, &artifact_path("team/app", "?q=base%3D*&sort=id")).await;
    assert_eq!(digests(&all), [one, two, alone, index]);
    let wrong = artifact_path("team/app", "?q=base%3Dx");
    assert_eq!(http.status(Method::GET, &wrong).await, 400);

    let untagged = get(&mut http, &artifact_path("team/app", "?q=tags%3Dnil")).await;
    assert_eq!(digests(&untagged), [alone]);
    let tagged = get(&mut http, &artifact_path("team/app", "?q=tags%3D*&sort=id")).await;
    assert_eq!(digests(&tagged), [two, index]);
}

#[tokio::test]
async fn accessories_leave_holes_in_pages() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let subject = sandbox.put_image("team/app", &["1.0"], DAY);
    for _ in 0..5 {
        sandbox.put_referrer("team/app", subject, "application/example");
    }
    let attestation = sandbox.put_attestation("team/app", subject);
    let answer = http
        .get(&artifact_path("team/app", "?sort=id&page_size=3&page=2"))
        .await;
    assert_eq!(
        json(&answer),
        serde_json::json!([]),
        "an empty page in the middle"
    );
    assert_eq!(total(&answer), 2);
    let last = get(
        &mut http,
        &artifact_path("team/app", "?sort=id&page_size=3&page=3"),
    )
    .await;
    assert_eq!(
        digests(&last),
        [attestation],
        "an attestation by its tag is an artifact of its own"
    );
    let path = artifact_path("team/app", &format!("/{subject}/accessories?page_size=2"));
    let answer = http.get(&path).await;
    assert_eq!(
        (json(&answer).as_array().map(Vec::len), total(&answer)),
        (Some(2), 5)
    );
    assert_eq!(json(&answer)[0]["type"], "subject.accessory");
    assert_eq!(json(&answer)[0]["subject_artifact_digest"], subject.to_string());
}

#[tokio::test]
async fn pages_hold_ten_and_at_most_a_hundred_and_zero_is_everything() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    for number in 0..120 {
        sandbox.put_image("team/app", &[&format!("t{number:03}")], DAY + number);
    }
    let list = |query: &str| artifact_path("team/app", query);
    let count = async |http: &mut Http, query: &str| {
        let rows = get(http, &list(query)).await;
        rows.as_array().map(Vec::len)
    };
    assert_eq!(count(&mut http, "").await, Some(10));
    assert_eq!(count(&mut http, "?page_size=100").await, Some(100));
    assert_eq!(count(&mut http, "?page_size=100&page=2").await, Some(20));
    assert_eq!(count(&mut http, "?page_size=0").await, Some(120));
    let refused = http.get(&list("?page_size=101")).await;
    assert_eq!(refused.status(), 422);
    assert_eq!(json(&refused)["errors"][0]["code"], "UNPROCESSABLE_ENTITY");

    let first = http.get(&list("?page_size=50&q=id%3D%5B2~%5D&sort=id")).await;
    assert_eq!(total(&first), 119);
    assert_eq!(
        header(&first, "link"),
        Some(
            "</api/v2.0/projects/team/repositories/app/artifacts?page=2&page_size=50&q=id=[2~]&sort=id>; rel=\"next\""
        )
    );
    // By key: what goes meanwhile shifts nothing.
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let query = format!("?page_size=50&sort=id&q=id%3D%5B{}~%5D", after + 1);
        let rows = get(&mut http, &list(&query)).await;
        let Some(last) = ids(&rows).last().copied() else {
            break;
        };
        seen.extend(ids(&rows));
        after = last;
        sandbox.delete_tag("team/app", "t000");
        sandbox.delete_manifest("team/app", digests(&rows)[0]);
    }
    assert_eq!(seen.len(), 120);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn a_typing_error_in_a_query_returns_everything() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let old = sandbox.put_image("team/app", &["1.0"], DAY);
    let new = sandbox.put_image("team/app", &["2.0"], DAY.plus_days(1));
    for (query, expected) in [
        ("?q=digset%3Dx", vec![new, old]),
        ("?sort=puhs_time", vec![new, old]),
        ("?sort=push_time", vec![old, new]),
        ("?q=tags%3D1.0", vec![old]),
        ("?q=tags%3D~2.", vec![new]),
        ("?q=push_time%3D%5B2026-05-01T12:00:00~%5D", vec![new]),
        ("?q=type%3DCHART", vec![]),
    ] {
        let rows = get(&mut http, &artifact_path("team/app", query)).await;
        assert_eq!(digests(&rows), expected, "{query}");
    }
    for (query, status) in [("?q=digest", 400), ("?q=id%3D%5B1", 400), ("?q=id%3Dx", 500)] {
        let path = artifact_path("team/app", query);
        assert_eq!(http.status(Method::GET, &path).await, status, "{query}");
    }
    // Nor is a repository missed that is not there.
    let nothing = get(&mut http, &artifact_path("team/none", "")).await;
    assert_eq!(nothing, serde_json::json!([]));
}

#[tokio::test]
async fn a_failed_lookup_looks_like_nothing() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    sandbox.put_signature("team/app", digest);
    sandbox
        .harbor()
        .immutable("team", crate::harbor::ImmutableRule::new("**", "**"));
    for lookup in [Lookup::Tags, Lookup::Accessories, Lookup::Immutability] {
        let fault = Fault::new(Effect::LookupFails(lookup)).on(RequestKind::ApiArtifactList);
        let fault = sandbox.faults().push(fault);
        let rows = get(&mut http, &artifact_path("team/app", FULL)).await;
        let row = &rows[0];
        assert_eq!(row["tags"].is_null(), lookup == Lookup::Tags);
        assert_eq!(row["accessories"].is_null(), lookup == Lookup::Accessories);
        if lookup != Lookup::Tags {
            assert_eq!(row["tags"][0]["immutable"], lookup != Lookup::Immutability);
        }
        // Asked otherwise it tells the truth.
        let untagged = get(
            &mut http,
            &artifact_path("team/app", "?q=tags%3Dnil&with_tag=false"),
        )
        .await;
        assert_eq!(untagged, serde_json::json!([]));
        let tags = get(&mut http, &artifact_path("team/app", &format!("/{digest}/tags"))).await;
        assert_eq!(names(&tags), ["1.0"]);
        sandbox.faults().remove(fault);
    }
}

#[tokio::test]
async fn a_project_lists_its_repositories_and_the_artifacts_of_all_of_them() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.harbor().project(&Project::new("team").public());
    sandbox.harbor().project(&Project::new("cache").proxy_cache(7));
    for repository in ["team/app", "team/tools/cli", "other/app"] {
        sandbox.put_image(repository, &["1.0"], DAY);
    }
    let projects = get(&mut http, &api("/projects?with_detail=false")).await;
    assert_eq!(names(&projects), ["cache", "other", "team"]);
    assert_eq!(projects[0]["registry_id"], 7);
    assert_eq!(projects[2]["metadata"]["public"], "true");
    let id = projects[2]["project_id"].as_i64().expect("a number");
    for address in ["team".to_owned(), id.to_string()] {
        let project = get(&mut http, &api(&format!("/projects/{address}"))).await;
        assert_eq!(project["repo_count"], 2);
        let rows = get(&mut http, &api(&format!("/projects/{address}/artifacts?sort=id"))).await;
        let repositories = each(&rows, |row| {
            row["repository_name"].as_str().expect("text").to_owned()
        });
        assert_eq!(repositories, ["team/app", "team/tools/cli"]);
    }
    let repositories = get(&mut http, &api("/projects/team/repositories?sort=name")).await;
    assert_eq!(names(&repositories), ["team/app", "team/tools/cli"]);
    assert_eq!(repositories[0]["artifact_count"], 1);
    let one = get(&mut http, &api("/projects/team/repositories/tools%252Fcli")).await;
    assert_eq!(one["name"], "team/tools/cli");
    let all = get(&mut http, &api("/repositories?sort=id&page_size=2")).await;
    assert_eq!(names(&all), ["team/app", "team/tools/cli"]);
    for (path, status) in [
        ("/projects?project_name=team", 200),
        ("/projects?project_name=none", 404),
    ] {
        assert_eq!(http.status(Method::HEAD, &api(path)).await, status);
    }
}

#[tokio::test]
async fn a_proxy_that_decodes_loses_names_that_are_encoded_too_little() {
    for (decodings, once, twice) in [(0, 200, 200), (1, 404, 200), (2, 404, 404)] {
        let options = HarborOptions {
            proxy_decodings: decodings,
            ..HarborOptions::default()
        };
        let (sandbox, mut http) = harbor(options).await;
        sandbox.put_image("team/tools/cli", &["1.0"], DAY);
        let path = |name: &str| api(&format!("/projects/team/repositories/{name}"));
        assert_eq!(http.status(Method::GET, &path("tools%2Fcli")).await, once);
        assert_eq!(http.status(Method::GET, &path("tools%252Fcli")).await, twice);
        let entry = sandbox.log().entries().pop().expect("an entry");
        assert_eq!(entry.path, path("tools%252Fcli"), "as it was sent");
    }
}

#[tokio::test]
async fn generated_content_is_there_from_the_start() {
    let options = SandboxOptions::default()
        .harbor(HarborOptions::default())
        .corpus(4, 20);
    let (sandbox, mut http) = start(options).await;
    sign_in(&mut http, HarborOptions::ADMIN, HarborOptions::PASSWORD);
    let mut tags = 0;
    for name in sandbox.corpus().names() {
        let mut page = 1;
        let mut listed = Vec::new();
        loop {
            let query = format!("?page_size=100&page={page}");
            let rows = get(&mut http, &artifact_path(&name, &query)).await;
            if ids(&rows).is_empty() {
                break;
            }
            listed.extend(each(&rows, tags_of).concat());
            page += 1;
        }
        let signatures = sandbox
            .tags(&name)
            .into_iter()
            .filter(|(tag, _)| tag.ends_with(".sig"))
            .count();
        assert_eq!(listed.len() + signatures, sandbox.tags(&name).len(), "{name}");
        tags += listed.len();
    }
    assert!(tags > 40);
}

#[tokio::test]
async fn content_is_pushed_when_it_says_that_it_was_built_if_that_can_be() {
    let now = Moment::date(2026, 7, 1);
    let (sandbox, _) = harbor(HarborOptions::default().now(now)).await;
    let steer = sandbox.harbor();
    sandbox.put_image("team/app", &["built"], DAY);
    sandbox.put_image("team/app", &["epoch"], Moment::EPOCH);
    let pushed = |tag: &str| steer.artifact("team/app", tag).map(|found| found.pushed);
    assert_eq!(pushed("built"), Some(DAY));
    assert_eq!(pushed("epoch"), Some(now));
    assert!(steer.set_pushed("team/app", "epoch", DAY.plus_days(2)));
    let epoch = steer.artifact("team/app", "epoch").expect("an artifact");
    assert_eq!((epoch.pushed, epoch.tags[0].1), (now, DAY.plus_days(2)));
    assert!(!steer.set_pushed("team/app", "none", DAY));
}

#[tokio::test]
async fn a_repository_that_goes_under_the_walk_is_an_empty_one() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    for number in 0..20 {
        sandbox.put_image("team/app", &[&format!("t{number}")], DAY);
    }
    let gone = Change::DeleteRepository("team/app".to_owned());
    let fault = Fault::new(Effect::Meanwhile(gone)).on(RequestKind::ApiArtifactList);
    sandbox.faults().push(fault.nth(2));
    let first = http.get(&artifact_path("team/app", "?sort=id")).await;
    assert_eq!(total(&first), 20);
    let second = http
        .get(&artifact_path("team/app", "?sort=id&q=id%3D%5B11~%5D"))
        .await;
    assert_eq!((json(&second), total(&second)), (serde_json::json!([]), 0));
    let path = api("/projects/team/repositories/app");
    assert_eq!(http.status(Method::GET, &path).await, 404);
}

#[tokio::test]
async fn what_goes_wrong_inside_is_not_told() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let path = artifact_path("team/app", "");
    sandbox.put_image("team/app", &["1.0"], DAY);
    sandbox
        .faults()
        .push(Fault::status(500).on(RequestKind::ApiArtifactList).first(1));
    sandbox.faults().push(
        Fault::retry_after(429, "3")
            .on(RequestKind::ApiArtifactList)
            .first(2),
    );
    let answer = http.get(&path).await;
    let error = json(&answer)["errors"][0].clone();
    assert_eq!(answer.status(), 500);
    assert_eq!(
        error,
        serde_json::json!({ "code": "UNKNOWN", "message": "internal server error" })
    );
    assert!(header(&answer, "x-request-id").is_some());
    let answer = http.get(&path).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "retry-after")),
        (429, Some("3"))
    );
    let late = "Wed, 01 Jan 2020 00:00:00 GMT";
    sandbox
        .faults()
        .push(Fault::new(Effect::Header("date", late.to_owned())));
    assert_eq!(header(&http.get(&path).await, "date"), Some(late));
}

#[tokio::test]
async fn a_project_named_by_a_number_is_taken_for_another() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    sandbox.put_image("1/app", &["2.0"], DAY);
    let path = api("/projects/1");
    assert_eq!(get(&mut http, &path).await["name"], "team");
    let is_name = http::HeaderName::from_static("x-is-resource-name");
    let answer = http.send(Method::GET, &path, &[(is_name, "true")], "").await;
    assert_eq!(json(&answer)["name"], "1");
    // Where only names are taken there is no such question.
    let rows = get(&mut http, &artifact_path("1/app", "")).await;
    assert_eq!(tags_of(&rows[0]), ["2.0"]);
}
