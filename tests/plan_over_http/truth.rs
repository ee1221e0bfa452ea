//! Whole corpora: the plan is what an independent count says, whatever the registry is like.

use std::collections::BTreeSet;

use lagan_sandbox::{Content, CorpusOptions, Moment, Profile, ReferrersStyle, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::oracle::{Groups, Made, by_created, deleted, prereleases, releases};
use crate::start;
use crate::support::{doomed, doomed_digests, kept, repository, run};

const REPOSITORIES: usize = 10;
const TAGS: usize = 80;

fn options(profile: Profile) -> SandboxOptions {
    let mut options = SandboxOptions::default()
        .profile(profile)
        .corpus(REPOSITORIES, TAGS);
    // The same content for all of them: a registry with the API lists what the fallback tags list.
    options.corpus.referrers = ReferrersStyle::FallbackTag;
    options
}

fn made(content: &Content) -> Vec<Made> {
    let tags = content.tags_by_digest();
    let manifests = content.manifests().iter();
    manifests
        .map(|manifest| Made {
            digest: manifest.digest.to_string(),
            tags: tags
                .get(&manifest.digest)
                .into_iter()
                .flatten()
                .map(|tag| (*tag).to_owned())
                .collect(),
            children: manifest.children.iter().map(ToString::to_string).collect(),
            attached_to: manifest.attached_to.map(|subject| subject.to_string()),
            created: manifest
                .created
                .filter(|created| *created > Moment::EPOCH)
                .map(Moment::unix),
        })
        .collect()
}

async fn plan(sandbox: &Sandbox, line: &str) -> Value {
    let arguments = format!(
        "plan --registry {} --select {line} --format json --all",
        sandbox.url()
    );
    let run = run(&arguments).await;
    let plan = run.json();
    let refused = plan["guards"]
        .as_array()
        .unwrap()
        .iter()
        .any(|guard| guard["refuses"] == true);
    run.exits(if refused { 3 } else { 0 });
    plan
}

/// Compares tag by tag; answers how many go.
#[track_caller]
fn agrees(sandbox: &Sandbox, plan: &Value, groups: impl Fn(&[Made]) -> Groups, last: usize) -> usize {
    let mut gone = 0;
    for content in sandbox.corpus().repositories() {
        let truth = made(&content);
        let expected = deleted(&truth, groups(&truth), last);
        let decided = repository(plan, content.repository());
        let found: BTreeSet<String> = doomed(decided).into_iter().collect();
        assert_eq!(found, expected, "{}", content.repository());
        let stay: BTreeSet<&str> = content
            .tags()
            .map(|(tag, _)| tag)
            .filter(|tag| !expected.contains(*tag))
            .collect();
        let kept = kept(decided);
        assert_eq!(
            kept.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            stay,
            "{}",
            content.repository()
        );
        gone += expected.len();
    }
    assert_eq!(plan["totals"]["delete_tags"], gone);
    gone
}

#[tokio::test]
async fn prereleases_by_version_are_those_of_an_independent_count() {
    let sandbox = start(options(Profile::Strict)).await;
    let plan = plan(&sandbox, "channel=prerelease --keep last=3,by=version").await;
    assert!(agrees(&sandbox, &plan, prereleases, 3) > 20);
}

#[tokio::test]
async fn prereleases_by_creation_are_those_of_an_independent_count() {
    let sandbox = start(options(Profile::Distribution28)).await;
    let plan = plan(&sandbox, "channel=prerelease --keep last=3,by=created").await;
    let groups = |truth: &[Made]| by_created(prereleases(truth), truth);
    assert!(agrees(&sandbox, &plan, groups, 3) > 20);
}

#[tokio::test]
async fn releases_with_children_signatures_and_aliases_are_those_of_an_independent_count() {
    let sandbox = start(options(Profile::Distribution3)).await;
    let plan = plan(&sandbox, "channel=stable --keep last=2,by=version").await;
    assert!(agrees(&sandbox, &plan, releases, 2) > 100);
    let actions: Vec<_> = plan["repositories"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|r| r["actions"].as_array().unwrap())
        .collect();
    for side in ["children", "attachments"] {
        let some = actions
            .iter()
            .filter(|action| !action[side].as_array().unwrap().is_empty())
            .count();
        assert!(some > 5, "{side}: {some}");
    }
}

#[tokio::test]
async fn every_kind_of_registry_gives_the_same_plan_for_the_same_content() {
    let mut plans = Vec::new();
    for profile in [
        Profile::Strict,
        Profile::Distribution28,
        Profile::Distribution3,
        Profile::Zot,
    ] {
        let sandbox = start(options(profile)).await;
        let plan = plan(&sandbox, "channel=stable --keep last=2,by=version").await;
        // With a referrers API an attachment may be known by other means; what goes is the same.
        let repositories = plan["repositories"].as_array().unwrap().iter();
        let gone: Vec<_> = repositories
            .map(|repository| {
                (
                    repository["name"].clone(),
                    doomed(repository),
                    doomed_digests(repository),
                    kept(repository),
                )
            })
            .collect();
        plans.push((profile, gone, plan["totals"].clone()));
    }
    let (_, gone, totals) = &plans[0];
    for (profile, other, sums) in &plans[1..] {
        assert_eq!((other, sums), (gone, totals), "{profile:?}");
    }
}

#[tokio::test]
async fn bytes_are_those_of_manifests_and_blobs_that_nothing_else_needs() {
    let mut options = options(Profile::Distribution28);
    options.corpus = CorpusOptions {
        seed: 7,
        ..options.corpus
    };
    let sandbox = start(options).await;
    let line = "channel=stable --keep last=2,by=version --bytes";
    let plan = plan(&sandbox, line).await;
    let mut expected = 0;
    for content in sandbox.corpus().repositories() {
        let gone: BTreeSet<String> = doomed_digests(repository(&plan, content.repository()))
            .into_iter()
            .collect();
        // Untagged images that no index lists cannot be seen by the API; they count as gone by nobody's doing.
        let tagged = content.tags_by_digest();
        let listed = |digest| {
            content
                .manifests()
                .iter()
                .any(|index| index.children.contains(&digest))
        };
        let mut freed = std::collections::BTreeMap::new();
        let mut needed = BTreeSet::new();
        for manifest in content.manifests() {
            let blobs = manifest
                .config
                .iter()
                .chain(&manifest.layers)
                .map(|blob| (blob.digest, blob.size));
            if gone.contains(&manifest.digest.to_string()) {
                freed.insert(manifest.digest, manifest.bytes.len() as u64);
                freed.extend(blobs);
            } else if tagged.contains_key(&manifest.digest) || listed(manifest.digest) {
                needed.extend(blobs.map(|(digest, _)| digest));
            }
        }
        expected += freed
            .into_iter()
            .filter(|(digest, _)| !needed.contains(digest))
            .map(|(_, size)| size)
            .sum::<u64>();
    }
    assert!(expected > 10_000);
    assert_eq!(plan["totals"]["bytes_reclaimable"], expected);
}
