//! `lagan explain`, on the tags that people ask about.

use lagan_sandbox::{Moment, Profile, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::{kinds, run};
use crate::{candidates, start};

const REPOSITORY: &str = "team/app";

struct Explained {
    json: Value,
    text: String,
}

impl Explained {
    async fn of(sandbox: &Sandbox, tag: &str, line: &str) -> Self {
        let explain = format!("explain {REPOSITORY}:{tag} --registry {} {line}", sandbox.url());
        let json = run(&format!("{explain} --format json")).await.exits(0).json();
        let text = run(&explain).await.exits(0).stdout;
        assert_eq!(json["schema"], "lagan.explain/v1");
        assert_eq!(
            (&json["repository"], &json["tag"]),
            (&REPOSITORY.into(), &tag.into())
        );
        assert!(text.starts_with(&format!("{REPOSITORY}:{tag}  on ")), "{text}");
        Self { json, text }
    }

    #[track_caller]
    fn is(&self, verdict: &str, reasons: &[&str]) {
        assert_eq!(self.json["verdict"], verdict, "{}", self.json);
        assert_eq!(kinds(&self.json["reasons"]), reasons, "{}", self.json);
    }

    #[track_caller]
    fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text.contains(part), "{part}: {}", self.text);
        }
    }
}

async fn sandbox() -> Sandbox {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, REPOSITORY, 5);
    sandbox
}

const PRERELEASES: &str = "--select channel=prerelease --keep last=2,by=version";

#[tokio::test]
async fn a_release_candidate_is_explained_by_its_rank() {
    let sandbox = sandbox().await;
    let old = Explained::of(&sandbox, "1.0.0-rc.1", PRERELEASES).await;
    old.is("deleted", &["beyond_last"]);
    let reason = &old.json["reasons"][0];
    assert_eq!(
        (&reason["rank"], &reason["of"], &reason["last"]),
        (&5.into(), &5.into(), &2.into())
    );
    assert_eq!(old.json["reading"]["channel"], "rc");
    assert_eq!(old.json["policies"][0]["rules"][0]["selected"], true);
    old.says(&["would be deleted", "rank 5 of 5"]);
    let new = Explained::of(&sandbox, "1.0.0-rc.5", PRERELEASES).await;
    new.is("kept", &["rank"]);
    new.says(&["is kept"]);
}

#[tokio::test]
async fn a_kept_child_is_explained_by_its_index() {
    let sandbox = sandbox().await;
    let child = sandbox.put_image(REPOSITORY, &["0.9.0-rc.1"], Moment::date(2025, 1, 1));
    let other = sandbox.put_image(REPOSITORY, &[], Moment::date(2025, 1, 1));
    let index = sandbox.put_index(REPOSITORY, &["0.9.0"], &[child, other]);
    let explained = Explained::of(&sandbox, "0.9.0-rc.1", PRERELEASES).await;
    explained.is("kept", &["child_of", "beyond_last"]);
    assert_eq!(explained.json["reasons"][0]["tag"], "0.9.0");
    assert_eq!(
        explained.json["relations"]["parents"][0]["digest"],
        index.to_string()
    );
    explained.says(&["is kept", "0.9.0", "would delete"]);
    let parent = Explained::of(&sandbox, "0.9.0", PRERELEASES).await;
    parent.is("kept", &["not_selected"]);
    assert_eq!(parent.json["relations"]["children"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_shared_digest_is_explained_by_the_tag_that_stays() {
    let sandbox = sandbox().await;
    sandbox.tag(
        REPOSITORY,
        "prod",
        sandbox.resolve(REPOSITORY, "1.0.0-rc.1").unwrap(),
    );
    let explained = Explained::of(&sandbox, "1.0.0-rc.1", PRERELEASES).await;
    explained.is("kept", &["shares_digest", "beyond_last"]);
    assert_eq!(explained.json["reasons"][0]["with"], "prod");
    explained.says(&["shares its digest with kept tag prod"]);
}

#[tokio::test]
async fn a_signature_goes_where_its_subject_goes() {
    let sandbox = sandbox().await;
    for (tag, verdict, reason) in [
        ("1.0.0-rc.1", "deleted", "deleted_with_subject"),
        ("1.0.0-rc.5", "kept", "attached_to"),
    ] {
        let subject = sandbox.resolve(REPOSITORY, tag).unwrap();
        sandbox.put_signature(REPOSITORY, subject);
        let signature = format!("{}.sig", subject.to_string().replace(':', "-"));
        let explained = Explained::of(&sandbox, &signature, PRERELEASES).await;
        explained.is(verdict, &[reason]);
        assert_eq!(explained.json["reading"]["channel"], "attachment");
        assert_eq!(explained.json["relations"]["subjects"][0]["tags"][0], tag);
    }
}

#[tokio::test]
async fn what_only_looks_like_a_prerelease_is_explained_as_what_it_is() {
    let sandbox = sandbox().await;
    sandbox.put_image(REPOSITORY, &["1.25.3-alpine"], Moment::date(2024, 1, 1));
    sandbox.put_image(REPOSITORY, &["2.3.1-a100"], Moment::date(2024, 1, 1));
    let variant = Explained::of(&sandbox, "1.25.3-alpine", PRERELEASES).await;
    variant.is("kept", &["not_selected"]);
    assert_eq!(
        (
            &variant.json["reading"]["channel"],
            &variant.json["reading"]["variant"]
        ),
        (&"stable".into(), &"alpine".into())
    );
    variant.says(&["stable", "alpine", "another channel"]);
    let odd = Explained::of(&sandbox, "2.3.1-a100", PRERELEASES).await;
    odd.is("kept", &["not_selected"]);
    assert_eq!(odd.json["reading"]["channel"], "unknown");
    let named = Explained::of(
        &sandbox,
        "2.3.1-a100",
        "--select tags=* --keep last=0,by=name,within=created:30d --allow-empty-repository",
    )
    .await;
    named.is("deleted", &["beyond_last", "older_than"]);
}

#[tokio::test]
async fn a_protection_is_explained_by_its_pattern() {
    let sandbox = sandbox().await;
    let explained = Explained::of(
        &sandbox,
        "1.0.0-rc.1",
        &format!("{PRERELEASES} --protect '*-rc.1'"),
    )
    .await;
    explained.is("kept", &["protected", "beyond_last"]);
    explained.says(&["*-rc.1"]);
}
