//! What a plan costs, by the registry's own log.

use lagan_sandbox::{Profile, RequestKind, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::{repository, run};
use crate::{TWO, candidates, start};

/// Requests of the kinds that a plan may send, in the order of [`KINDS`]; fails where there are others.
fn counted(sandbox: &Sandbox) -> [u64; 6] {
    const KINDS: [RequestKind; 6] = [
        RequestKind::Base,
        RequestKind::Catalog,
        RequestKind::TagList,
        RequestKind::ManifestGet,
        RequestKind::BlobGet,
        RequestKind::Referrers,
    ];
    let counts = sandbox.log().counts();
    let kinds = KINDS.map(|kind| counts.of(kind));
    assert_eq!(kinds.iter().sum::<u64>(), counts.total(), "{counts:?}");
    for entry in sandbox.log().entries() {
        assert!(entry.method == "GET" || entry.method == "HEAD", "{entry:?}");
    }
    kinds
}

async fn plan(sandbox: &Sandbox, arguments: &str) -> Value {
    run(&format!(
        "plan --registry {} {arguments} --format json",
        sandbox.url()
    ))
    .await
    .exits(0)
    .json()
}

#[tokio::test]
async fn where_no_rule_can_delete_anything_the_tags_are_listed_and_nothing_else_is_asked() {
    let sandbox = start(SandboxOptions::default()).await;
    for name in ["quiet/a", "quiet/b", "quiet/c"] {
        candidates(&sandbox, name, 2);
        for tag in ["1.0.0", "latest", "9f8e7d6"] {
            sandbox.tag(name, tag, sandbox.resolve(name, "1.0.0-rc.1").unwrap());
        }
    }
    let quiet = plan(&sandbox, TWO).await;
    assert_eq!(counted(&sandbox), [1, 1, 3, 0, 0, 0]);
    assert_eq!(quiet["requests"]["total"], 5);
    assert_eq!(quiet["totals"]["kept_tags"], 15);

    // No clock is read either, where all of few are kept.
    sandbox.log().clear();
    plan(&sandbox, "--select channel=prerelease --keep last=2,by=created").await;
    assert_eq!(counted(&sandbox), [1, 1, 3, 0, 0, 0]);

    // A repository that is named needs no catalog.
    sandbox.log().clear();
    plan(&sandbox, &format!("quiet/b {TWO}")).await;
    assert_eq!(counted(&sandbox), [1, 0, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_policy_by_version_costs_a_request_for_each_tag_of_a_repository_with_too_many() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/busy", 6);
    sandbox.tag(
        "team/busy",
        "latest",
        sandbox.resolve("team/busy", "1.0.0-rc.6").unwrap(),
    );
    candidates(&sandbox, "team/quiet", 2);
    let busy = plan(&sandbox, TWO).await;
    // The first referrers request finds out that there is no such API.
    assert_eq!(counted(&sandbox), [1, 1, 2, 7, 0, 1]);
    assert!(
        sandbox
            .log()
            .of(RequestKind::ManifestGet)
            .iter()
            .all(|entry| entry.repository == "team/busy")
    );
    assert_eq!(busy["totals"]["delete_tags"], 4);
    let by_kind = serde_json::json!({"ping": 1, "catalog": 1, "tags": 2, "manifest": 7, "referrers": 1});
    assert_eq!(
        busy["requests"],
        serde_json::json!({"total": 12, "by_kind": by_kind})
    );
}

#[tokio::test]
async fn with_a_referrers_api_what_goes_is_asked_about_and_nothing_else() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/busy", 6);
    plan(&sandbox, TWO).await;
    assert_eq!(counted(&sandbox), [1, 1, 1, 6, 0, 4]);
}

#[tokio::test]
async fn creation_costs_a_configuration_for_each_digest_of_the_population_and_none_for_attachments() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 5);
    let first = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    // A second tag on one digest, a release outside of the population, and two signatures.
    sandbox.tag("team/app", "1.0.0-rc.1-alias", first);
    sandbox.tag("team/app", "1.0.1-rc.1", first);
    sandbox.put_image("team/app", &["1.0.0"], lagan_sandbox::Moment::date(2026, 2, 1));
    sandbox.put_signature("team/app", first);
    sandbox.put_signature("team/app", sandbox.resolve("team/app", "1.0.0").unwrap());
    let decided = plan(&sandbox, "--select channel=prerelease --keep last=2,by=created").await;
    let [_, _, _, manifests, blobs, _] = counted(&sandbox);
    assert_eq!((manifests, blobs), (10, 5));
    assert_eq!(repository(&decided, "team/app")["tags_total"], 10);
}

#[tokio::test]
async fn our_count_is_the_registrys_count() {
    let sandbox = start(
        SandboxOptions::default()
            .profile(Profile::Distribution3)
            .corpus(10, 50),
    )
    .await;
    for arguments in [TWO, "--select tags=* --keep last=5,by=created --bytes"] {
        sandbox.log().clear();
        let decided = run(&format!(
            "plan --registry {} {arguments} --format json",
            sandbox.url()
        ))
        .await;
        let kinds = counted(&sandbox);
        assert_eq!(
            decided.json()["requests"]["total"],
            kinds.iter().sum::<u64>(),
            "{arguments}"
        );
        let by_kind = &decided.json()["requests"]["by_kind"];
        for (name, count) in ["ping", "catalog", "tags", "manifest", "config_blob", "referrers"]
            .iter()
            .zip(kinds)
        {
            assert_eq!(by_kind[name].as_u64().unwrap_or(0), count, "{arguments}: {name}");
        }
    }
}

#[tokio::test]
async fn what_goes_with_an_index_is_read_one_by_one_only_where_the_plan_has_to_be_exact() {
    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const ONE: &str = "--select channel=prerelease --keep last=1,by=version";
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    let made = |number: i64| lagan_sandbox::Moment::date(2026, 1, number);
    let image = |number| sandbox.put_image("team/app", &[], made(number));
    let (shared, kept, own) = (image(1), image(2), image(3));
    // Provenance of a platform that another index lists, too: only its own manifest says so.
    let config = sandbox.put_blob("team/app", "{}");
    let provenance = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.to_string(), "size": 2},
        "layers": [],
        "subject": {"mediaType": IMAGE, "digest": kept.to_string(), "size": 500},
    });
    let provenance = sandbox.put_raw_manifest("team/app", &[], IMAGE, provenance.to_string());
    sandbox.put_index("team/app", &["1.0.0-rc.1"], &[shared, own, provenance]);
    sandbox.put_index("team/app", &["1.0.0-rc.2"], &[shared, kept]);

    let report = plan(&sandbox, ONE).await;
    let [_, _, _, manifests, _, _] = counted(&sandbox);
    let tags = report["totals"]["tags"].as_u64().unwrap();
    assert_eq!(manifests, tags, "one request a tag");
    assert_eq!(report["totals"]["delete_artifacts"], 3);
    assert_eq!(report["totals"]["delete_unread"], 2);

    sandbox.log().clear();
    let exact = plan(&sandbox, &format!("{ONE} --exact")).await;
    let [_, _, _, manifests, _, _] = counted(&sandbox);
    assert_eq!(manifests, tags + 2);
    assert_eq!(exact["totals"]["delete_artifacts"], 2);
    assert!(exact["totals"].get("delete_unread").is_none());
    let listed = |plan: &Value| plan.to_string().matches(&provenance.to_string()).count();
    assert_eq!((listed(&report), listed(&exact)), (1, 0));
}
