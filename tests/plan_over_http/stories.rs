//! Accidents that have happened to others, told to the end.

use lagan_sandbox::{Digest, Image, Moment, Profile, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::{Place, doomed, doomed_digests, reasons, repository, run};
use crate::{TWO, candidates, start};

const APP: &str = "team/app";

const OLD: Moment = Moment::date(2024, 1, 1);

/// Once with a referrers API and once without.
async fn both() -> [Sandbox; 2] {
    let sandboxes = [
        start(SandboxOptions::default().profile(Profile::Strict)).await,
        start(SandboxOptions::default().profile(Profile::Distribution28)).await,
    ];
    for sandbox in &sandboxes {
        candidates(sandbox, APP, 2);
    }
    sandboxes
}

async fn plan(sandbox: &Sandbox, line: &str) -> Value {
    let plan = run(&format!(
        "plan --registry {} {line} --format json --all",
        sandbox.url()
    ))
    .await
    .exits(0)
    .json();
    repository(&plan, APP).clone()
}

fn sorted<const N: usize>(digests: [Digest; N]) -> Vec<String> {
    let mut digests: Vec<_> = digests.iter().map(ToString::to_string).collect();
    digests.sort();
    digests
}

#[tokio::test]
async fn one_doomed_tag_does_not_take_the_others_on_its_digest() {
    for sandbox in both().await {
        let shared = sandbox.put_image(APP, &["0.1.0-rc.1", "0.1.0-rc.2", "prod"], OLD);
        let alone = sandbox.put_image(APP, &["0.1.0-rc.3", "0.1.0-beta.1"], OLD);
        let plan = plan(&sandbox, TWO).await;
        assert_eq!(doomed(&plan), ["0.1.0-beta.1", "0.1.0-rc.3"]);
        assert_eq!(doomed_digests(&plan), sorted([alone]));
        assert_eq!(reasons(&plan, "0.1.0-rc.1"), ["shares_digest", "beyond_last"]);
        assert!(!doomed_digests(&plan).contains(&shared.to_string()));
    }
}

#[tokio::test]
async fn children_of_an_index_that_stays_are_untouchable() {
    for sandbox in both().await {
        let untagged = sandbox.put_image(APP, &[], OLD);
        let tagged = sandbox.put_image(APP, &["0.1.0-rc.1"], OLD);
        sandbox.put_index(APP, &["0.1.0"], &[untagged, tagged]);
        let plan = plan(&sandbox, TWO).await;
        assert_eq!(doomed(&plan), [] as [&str; 0]);
        assert_eq!(reasons(&plan, "0.1.0-rc.1"), ["child_of", "beyond_last"]);
    }
}

#[tokio::test]
async fn a_child_of_two_indexes_goes_with_the_last_of_them() {
    for sandbox in both().await {
        let [own, shared, other] = [0; 3].map(|_| sandbox.put_image(APP, &[], OLD));
        let gone = sandbox.put_index(APP, &["0.1.0-rc.1"], &[own, shared]);
        let stays = sandbox.put_index(APP, &["0.1.0"], &[shared, other]);
        let first = plan(&sandbox, TWO).await;
        assert_eq!(doomed_digests(&first), sorted([own, gone]));
        sandbox.delete_tag(APP, "0.1.0");
        sandbox.tag(APP, "0.1.0-rc.2", stays);
        let second = plan(&sandbox, TWO).await;
        assert_eq!(doomed_digests(&second), sorted([own, gone, shared, other, stays]));
    }
}

#[tokio::test]
async fn signatures_of_platforms_that_stay_stay_and_the_others_go_along() {
    for sandbox in both().await {
        let [kept, lost] = [0; 2].map(|_| sandbox.put_image(APP, &[], OLD));
        sandbox.put_index(APP, &["0.1.0"], &[kept]);
        let index = sandbox.put_index(APP, &["0.1.0-rc.1"], &[kept, lost]);
        let kept_signature = sandbox.put_signature(APP, kept);
        let lost_signature = sandbox.put_signature(APP, lost);
        let index_signature = sandbox.put_signature(APP, index);
        let attestation = sandbox.put_attestation(APP, index_signature);
        let plan = plan(&sandbox, TWO).await;
        let gone = doomed_digests(&plan);
        assert_eq!(
            gone,
            sorted([lost, index, lost_signature, index_signature, attestation])
        );
        assert!(!gone.contains(&kept_signature.to_string()));
    }
}

#[tokio::test]
async fn referrers_follow_their_subject_with_and_without_an_api() {
    for sandbox in both().await {
        let gone = sandbox.put_image(APP, &["0.1.0-rc.1"], OLD);
        let stays = sandbox.put_image(APP, &["0.1.0"], OLD);
        let of_gone = sandbox.put_referrer(APP, gone, "application/spdx+json");
        let of_referrer = sandbox.put_referrer(APP, of_gone, "application/vnd.example.signature");
        let of_kept = sandbox.put_referrer(APP, stays, "application/spdx+json");
        let found = doomed_digests(&plan(&sandbox, TWO).await);
        for digest in [gone, of_gone, of_referrer] {
            assert!(found.contains(&digest.to_string()), "{digest}: {found:?}");
        }
        for digest in [stays, of_kept] {
            assert!(!found.contains(&digest.to_string()), "{digest}: {found:?}");
        }
    }
}

#[tokio::test]
async fn newer_signatures_take_no_place_of_images() {
    for sandbox in both().await {
        for number in 1..=4 {
            let image = sandbox.put_image(
                APP,
                &[&format!("2.0.0-rc.{number}")],
                Moment::date(2026, 3, number),
            );
            sandbox.put_signature(APP, image);
            sandbox.put_sbom(APP, image);
        }
        for line in [
            TWO,
            "--select tags=*-rc* --keep last=2,by=created",
            "--select tags=* --keep last=2,by=created",
        ] {
            let plan = plan(&sandbox, line).await;
            let gone = doomed(&plan);
            let images: Vec<_> = gone.iter().filter(|tag| !tag.starts_with("sha256-")).collect();
            assert_eq!(
                images,
                ["1.0.0-rc.1", "1.0.0-rc.2", "2.0.0-rc.1", "2.0.0-rc.2"],
                "{line}"
            );
            assert_eq!(gone.len(), 8, "{line}: {gone:?}");
        }
    }
}

#[tokio::test]
async fn no_date_is_not_an_old_date() {
    for sandbox in both().await {
        sandbox.put(APP, &Image::new(OLD).undated().tag("0.1.0-rc.1"));
        for (tag, created) in [
            ("0.1.0-rc.2", Moment::EPOCH),
            ("0.1.0-rc.3", Moment::YEAR_ONE),
            ("0.1.0-rc.4", Moment::date(2099, 1, 1)),
        ] {
            sandbox.put_image(APP, &[tag], created);
        }
        sandbox.put_image(APP, &["0.1.0-rc.5"], OLD);
        let line = "--select channel=prerelease --keep last=2,by=created --now 2026-06-01T00:00:00Z";
        let plan = plan(&sandbox, line).await;
        assert_eq!(doomed(&plan), ["0.1.0-rc.5"]);
        for tag in ["0.1.0-rc.1", "0.1.0-rc.2", "0.1.0-rc.3", "0.1.0-rc.4"] {
            assert_eq!(reasons(&plan, tag), ["clock_unknown"], "{tag}");
        }
    }
}

#[tokio::test]
async fn fewer_than_are_kept_are_all_kept_whatever_shares_their_digests() {
    for sandbox in both().await {
        let image = sandbox.put_image(
            APP,
            &["3.0.0-rc.1", "3.0.0-rc.2", "3.0.0-rc.3", "3.0.0-rc.4"],
            OLD,
        );
        let line = "--select version=3.0.0-rc --keep last=3,by=version";
        let line = line.replace("version=3.0.0-rc", "tags=3.*");
        let plan = plan(&sandbox, &line).await;
        assert_eq!(doomed(&plan), [] as [&str; 0]);
        assert!(!doomed_digests(&plan).contains(&image.to_string()));
    }
}

#[tokio::test]
async fn versions_order_as_people_read_them() {
    for sandbox in both().await {
        for tag in [
            "4.0.0-rc.2",
            "4.0.0-rc.10",
            "4.0.0-rc.9",
            "4.0.0-alpha.11",
            "v4.0.0-beta2",
            "4.0.0-nightly.20260101",
        ] {
            sandbox.put_image(APP, &[tag], OLD);
        }
        let plan = plan(&sandbox, "--select channel=prerelease --keep last=3,by=version").await;
        assert_eq!(
            doomed(&plan),
            [
                "1.0.0-rc.1",
                "1.0.0-rc.2",
                "4.0.0-alpha.11",
                "4.0.0-nightly.20260101",
                "v4.0.0-beta2",
            ]
        );
    }
}

#[tokio::test]
async fn an_alternation_is_anchored_as_a_whole() {
    for sandbox in both().await {
        for tag in ["dev", "test", "dev-prod", "my-test"] {
            sandbox.put_image(APP, &[tag], OLD);
        }
        let line = "--select 'regex=dev|test' --keep none --allow-empty-repository";
        assert_eq!(doomed(&plan(&sandbox, line).await), ["dev", "test"]);
    }
}

#[tokio::test]
async fn policies_that_are_not_asked_for_still_keep() {
    let [sandbox, _] = both().await;
    for number in 3..=6 {
        sandbox.put_image(APP, &[&format!("1.0.0-rc.{number}")], OLD);
    }
    sandbox.put_image(APP, &["1.0.0-prod"], OLD);
    let place = Place::new();
    place.file(
        "lagan.yaml",
        format!(
            "channels: {{stable: prod}}
registries: {{main: {{url: \"{}\"}}}}
policies:
  guard:
    repositories: team/*
    rules: [{{select: {{channel: stable}}, keep: all}}]
    protect: [\"1.0.0-rc.1\"]
  cleanup:
    repositories: '**'
    rules: [{{select: {{channel: rc}}, keep: {{last: 2, by: version}}}}]
",
            sandbox.url()
        ),
    );
    place.file(
        "harsh.yaml",
        "repositories: '**'\nrules: [{select: {tags: '1.0.0-*'}, keep: {last: 1, by: name}}]\nchannels: {variant: harsh}\n",
    );
    let rest = ["1.0.0-rc.2", "1.0.0-rc.3", "1.0.0-rc.4"];
    for arguments in [
        "--policy cleanup".to_owned(),
        format!("--registry {} {TWO}", sandbox.url()),
    ] {
        let plan = place
            .run(&format!("plan {arguments} --format json --all"))
            .await
            .exits(0)
            .json();
        assert_eq!(doomed(repository(&plan, APP)), rest, "{arguments}");
        assert!(reasons(repository(&plan, APP), "1.0.0-rc.1").contains(&"protected".to_owned()));
    }
    // `1.0.0-prod` is a release by the words of the configuration, which the file's own do not take away.
    let plan = place
        .run("plan --policy-file harsh.yaml --format json --all")
        .await
        .exits(0)
        .json();
    assert!(reasons(repository(&plan, APP), "1.0.0-prod").contains(&"keep_all".to_owned()));
    assert_eq!(doomed(repository(&plan, APP)), rest);
    let plan = place
        .run("plan --policy guard --format json")
        .await
        .exits(0)
        .json();
    assert_eq!(plan["totals"]["delete_tags"], 0);
}
