//! Dry runs on a Harbor, by its own API.

use std::time::Duration;

use lagan_sandbox::harbor::{Account, ImmutableRule, Population, Project};
use lagan_sandbox::{
    Effect, Fault, HarborOptions, HarborVersion, Image, Lookup, Moment, RequestKind, Sandbox, SandboxOptions,
};

use crate::start;
use crate::support::{Place, Run, doomed, repository};

const SECRET: &str = "s3cret-of-the-robot";
const ROBOT: &str = "robot$lagan";

/// What reading takes, and nothing else.
const READER: [(&str, &str); 7] = [
    ("project", "read"),
    ("repository", "list"),
    ("artifact", "list"),
    ("artifact", "read"),
    ("tag", "list"),
    ("accessory", "list"),
    ("immutable-tag", "list"),
];

/// `--now` of every run: the sandbox's clock.
const NOW: &str = "2026-07-01T00:00:00Z";

fn day(month: i64, day: i64) -> Moment {
    Moment::date(2026, month, day)
}

async fn harbor_of(options: HarborOptions) -> Sandbox {
    let robot = Account::robot(ROBOT, SECRET).may("*", &READER);
    start(SandboxOptions::default().harbor(options.account(robot))).await
}

async fn harbor() -> Sandbox {
    harbor_of(HarborOptions::default()).await
}

/// A place with a configuration: this kind of registry, these keys of it, and one policy with these rules and keys.
fn configured(sandbox: &Sandbox, registry: &str, policy: &str) -> Place {
    let place = Place::new();
    place.file("secret", SECRET);
    let url = sandbox.url();
    place.file(
        "lagan.yaml",
        format!(
            "registries:\n  harbor:\n    url: {url}\n    credentials: {{username: '{ROBOT}', password_file: secret}}\n    \
             {registry}\npolicies:\n  cleanup:\n{policy}"
        ),
    );
    place
}

fn rules(repositories: &str, rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("      - {rule}\n")).collect();
    format!("    repositories: ['{repositories}']\n    rules:\n{rules}")
}

async fn plan(place: &Place, more: &str) -> Run {
    place
        .run(&format!("plan --all --format json --now {NOW} {more}"))
        .await
}

fn reason<'p>(plan: &'p serde_json::Value, name: &str, tag: &str) -> &'p serde_json::Value {
    let kept = repository(plan, name)["kept"].as_array().unwrap();
    let kept = kept.iter().find(|kept| kept["tag"] == tag);
    &kept.unwrap_or_else(|| panic!("{tag} is not kept: {plan:#}"))["reasons"][0]
}

const PRERELEASES: &str = "{select: {channel: prerelease}, keep: {last: 2, by: version}}";

#[tokio::test]
async fn a_harbor_is_found_out_and_planned_without_reading_a_single_manifest() {
    for version in HarborVersion::ALL {
        let sandbox = harbor_of(HarborOptions::default().version(version)).await;
        for name in ["team/app", "team/nested/deeply/web"] {
            for number in 1..=5 {
                sandbox.put_image(name, &[&format!("1.0.0-rc.{number}")], day(1, number));
            }
        }
        for registry in ["kind: auto", "kind: harbor"] {
            sandbox.log().clear();
            let place = configured(&sandbox, registry, &rules("**", &[PRERELEASES]));
            let run = plan(&place, "").await.exits(0);
            let plan = run.json();
            assert_eq!(plan["registry"]["kind"], "harbor", "{version:?}");
            for name in ["team/app", "team/nested/deeply/web"] {
                let expected = ["1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-rc.3"];
                assert_eq!(doomed(repository(&plan, name)), expected, "{version:?} {name}");
            }
            let log = sandbox.log();
            let counts = log.counts();
            for kind in [
                RequestKind::ManifestGet,
                RequestKind::ManifestHead,
                RequestKind::BlobGet,
                RequestKind::TagList,
                RequestKind::Catalog,
            ] {
                assert_eq!(counts.of(kind), 0, "{kind:?}");
            }
            assert_eq!(
                plan["requests"]["total"].as_u64(),
                Some(counts.total()),
                "{version:?} {registry}"
            );
        }
        for name in ["team/app", "team/nested/deeply/web"] {
            for number in 1..=5 {
                let artifact = sandbox.harbor().artifact(name, &format!("1.0.0-rc.{number}"));
                assert_eq!(artifact.unwrap().pulled, None, "reading is no pull");
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_artifacts_a_request_whatever_the_version() {
    for (version, repositories, most) in [
        (HarborVersion::V2_8, 100, 100),
        (HarborVersion::V2_15, 100, 100),
        // Many small repositories take one listing of their project.
        (HarborVersion::V2_15, 1000, 101),
    ] {
        let robot = Account::robot(ROBOT, SECRET).may("*", &READER);
        let harbor = HarborOptions::default().version(version).account(robot);
        let options = SandboxOptions {
            // Without it each answer would be given before the next question comes.
            latency: Duration::from_millis(10),
            ..SandboxOptions::default().harbor(harbor)
        };
        let sandbox = start(options).await;
        let population = Population {
            repositories,
            ..Population::default()
        };
        sandbox.harbor().populate(&population);
        let rule = "{select: {tags: 'build-*'}, keep: {last: 20, by: pushed, within: {pulled: 30d}}}";
        let place = configured(&sandbox, "kind: harbor", &rules("**", &[rule]));
        sandbox.log().clear();
        let plan = plan(&place, "").await.exits(0).json();
        assert_eq!(plan["totals"]["tags"], 20_000);
        assert_eq!(plan["totals"]["incomplete_repositories"], 0);
        let counts = sandbox.log().counts();
        assert!(
            counts.of(RequestKind::ApiArtifactList) <= most,
            "{version:?} {repositories}: {}",
            counts.of(RequestKind::ApiArtifactList)
        );
        // A page of repositories for each hundred of them, at least one a project; and the rules of each project, the
        // page of projects, who Harbor is, and two about its garbage collections.
        let pages = (repositories / 4).div_ceil(100) as u64 * 4;
        assert!(
            counts.total() <= most + pages + 4 + 2 + 2,
            "{version:?} {repositories}: {counts:?}"
        );
        let at_once = sandbox.log().most_in_flight();
        // One listing of a whole project is walked page by page.
        let least = if repositories == 1000 { 1 } else { 2 };
        assert!(
            (least..=4).contains(&at_once),
            "{version:?} {repositories}: {at_once} at once"
        );
    }
}

#[tokio::test]
async fn pushes_pulls_and_labels_decide_and_what_was_never_pulled_counts_from_its_push() {
    let sandbox = harbor().await;
    let steer = sandbox.harbor();
    for (tag, pushed, pulled) in [
        ("a-old", day(1, 1), None),
        ("b-old-but-used", day(1, 2), Some(day(6, 29))),
        ("c-fresh", day(6, 30), None),
        ("d-labelled", day(1, 3), None),
    ] {
        sandbox.put("team/app", &Image::new(pushed).tag(tag).label("tag", tag));
        if let Some(pulled) = pulled {
            assert!(steer.set_pulled("team/app", tag, pulled));
        }
    }
    let keep = steer.label(Some("team"), "keep");
    assert!(steer.put_label("team/app", "d-labelled", keep));
    let rule = "{select: {tags: '*'}, keep: {within: {pulled: 30d}}, allow_empty_repository: true}";
    let policy = rules("team/*", &[rule]) + "    protect: [{labels: {keep: '*'}}]\n";
    let plan = plan(&configured(&sandbox, "kind: harbor", &policy), "")
        .await
        .exits(0)
        .json();
    assert_eq!(doomed(repository(&plan, "team/app")), ["a-old"]);
    assert_eq!(reason(&plan, "team/app", "d-labelled")["kind"], "protected");
    assert!(
        plan["clocks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|clock| clock["known"] == true),
        "{}",
        plan["clocks"]
    );
}

#[tokio::test]
async fn the_time_that_an_image_was_created_and_its_labels_are_in_the_listing() {
    let sandbox = harbor().await;
    for number in 1..=4 {
        let image = Image::new(day(1, number)).tag(&format!("pr-{number}"));
        let image = if number == 1 {
            image.label("hold", "yes")
        } else {
            image
        };
        sandbox.put("team/app", &image);
    }
    let rule = "{select: {tags: 'pr-*'}, keep: {last: 1, by: created}}";
    let policy = rules("team/*", &[rule]) + "    protect: [{labels: {hold: 'yes'}}]\n";
    let plan = plan(&configured(&sandbox, "kind: harbor", &policy), "")
        .await
        .exits(0)
        .json();
    assert_eq!(doomed(repository(&plan, "team/app")), ["pr-2", "pr-3"]);
    assert_eq!(sandbox.log().counts().of(RequestKind::BlobGet), 0);
}

#[tokio::test]
async fn an_immutable_tag_is_kept_by_the_mark_by_our_own_reading_of_the_rule_and_where_neither_can_tell() {
    for (fault, pattern, by) in [
        (false, "1.0.0-rc.*", "marked"),
        (true, "1.0.0-rc.*", "rule"),
        (true, "1.0.0-[!x]*", "unknown"),
    ] {
        let sandbox = harbor().await;
        for number in 1..=4 {
            sandbox.put_image("team/app", &[&format!("1.0.0-rc.{number}")], day(1, number));
            sandbox.put_image("team/web", &[&format!("1.0.0-rc.{number}")], day(1, number));
        }
        sandbox
            .harbor()
            .immutable("team", ImmutableRule::new("app", pattern));
        if fault {
            sandbox
                .faults()
                .push(Fault::new(Effect::LookupFails(Lookup::Immutability)));
        }
        let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[PRERELEASES]));
        let plan = plan(&place, "").await.exits(0).json();
        assert!(doomed(repository(&plan, "team/app")).is_empty(), "{by}");
        let said = reason(&plan, "team/app", "1.0.0-rc.1");
        assert_eq!((&said["kind"], &said["by"]), (&"immutable".into(), &by.into()));
        assert_eq!(
            doomed(repository(&plan, "team/web")),
            ["1.0.0-rc.1", "1.0.0-rc.2"]
        );
    }
}

const UNTAGGED: &str = "{select: {untagged: true}, keep: none, allow_empty_repository: true}";

#[tokio::test]
async fn what_has_no_tag_goes_unless_it_is_a_child_an_accessory_or_only_looks_so() {
    let sandbox = harbor().await;
    let alone = sandbox.put("team/app", &Image::new(day(1, 1)));
    let one = sandbox.put("team/app", &Image::new(day(1, 2)).label("one", ""));
    let two = sandbox.put("team/app", &Image::new(day(1, 2)).architecture("arm64"));
    sandbox.put_index("team/app", &["1.0.0"], &[one, two]);
    let image = sandbox.put_image("team/app", &["2.0.0"], day(1, 3));
    sandbox.put_signature("team/app", image);
    sandbox.put_referrer("team/app", image, "application/spdx+json");
    let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[UNTAGGED]));
    let of = |plan: &serde_json::Value| -> Vec<String> {
        let actions = repository(plan, "team/app")["actions"].as_array().unwrap();
        actions
            .iter()
            .map(|action| action["digest"].as_str().unwrap().to_owned())
            .collect()
    };
    let quiet = plan(&place, "").await.exits(0).json();
    assert_eq!(of(&quiet), [alone.to_string()]);
    // Harbor fails to look up tags, and answers as if there were none.
    let fault = sandbox
        .faults()
        .push(Fault::new(Effect::LookupFails(Lookup::Tags)).on(RequestKind::ApiArtifactList));
    let failing = plan(&place, "").await.exits(0).json();
    assert_eq!(
        of(&failing),
        [alone.to_string()],
        "the second question told the others apart"
    );
    assert!(sandbox.faults().fired(fault) > 1);
}

#[tokio::test]
async fn accessories_and_pinned_tags_follow_their_subject() {
    let sandbox = harbor().await;
    let keep = sandbox.put_image("team/app", &["1.0.0"], day(1, 1));
    let gone = sandbox.put_image("team/app", &["1.0.0-rc.1"], day(1, 2));
    for subject in [keep, gone] {
        sandbox.put_signature("team/app", subject);
        sandbox.put_attestation("team/app", subject);
        sandbox.put_sbom("team/app", subject);
    }
    let rule = "{select: {channel: prerelease}, keep: none, allow_empty_repository: true}";
    let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[rule]));
    let plan = plan(&place, "").await.exits(0).json();
    let app = repository(&plan, "team/app");
    let pinned = |subject: lagan_sandbox::Digest, form: &str| {
        format!("{}.{form}", subject.to_string().replace(':', "-"))
    };
    assert_eq!(
        doomed(app),
        ["1.0.0-rc.1".to_owned(), pinned(gone, "att"), pinned(gone, "sbom")]
    );
    assert_eq!(
        app["actions"][0]["attachments"].as_array().unwrap().len(),
        3,
        "{app:#}"
    );
    assert_eq!(
        reason(&plan, "team/app", &pinned(keep, "att"))["kind"],
        "attached_to"
    );
}

#[tokio::test]
async fn an_index_in_an_index_keeps_what_it_lists() {
    // Without a platform a child may be an index, and is looked at; with one only where everything is.
    for (platform, more) in [(false, ""), (true, "--exact")] {
        let sandbox = harbor().await;
        let leaf = sandbox.put("team/app", &Image::new(day(1, 1)).tag("1.0.0-rc.1"));
        let inner = sandbox.put_index("team/app", &[], &[leaf]);
        if platform {
            sandbox.put_index("team/app", &["1.0.0"], &[inner]);
        } else {
            let size = sandbox.manifest("team/app", &inner).unwrap().bytes.len();
            let index = lagan_sandbox::media::OCI_INDEX;
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[{{"mediaType":"{index}","digest":"{inner}","size":{size}}}]}}"#
            );
            sandbox.put_raw_manifest("team/app", &["1.0.0"], index, text);
        }
        sandbox.put_image("team/app", &["1.0.0-rc.2"], day(1, 2));
        let rule = "{select: {channel: prerelease}, keep: none, allow_empty_repository: true}";
        let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[rule]));
        let plan = plan(&place, more).await.exits(0).json();
        assert_eq!(doomed(repository(&plan, "team/app")), ["1.0.0-rc.2"], "{more}");
        assert_eq!(reason(&plan, "team/app", "1.0.0-rc.1")["kind"], "child_of");
    }
}

#[tokio::test]
async fn a_pull_of_a_platform_keeps_its_index() {
    let sandbox = harbor().await;
    for (tag, pulled) in [("a", false), ("b", true)] {
        let image = Image::new(day(1, 1)).label("index", tag);
        let one = sandbox.put("team/app", &image);
        let two = sandbox.put("team/app", &image.architecture("arm64"));
        sandbox.put_index("team/app", &[tag], &[one, two]);
        if pulled {
            assert!(
                sandbox
                    .harbor()
                    .set_pulled("team/app", &two.to_string(), day(6, 30))
            );
        }
        assert!(sandbox.harbor().set_pulled("team/app", tag, day(1, 2)));
    }
    let rule = "{select: {tags: '*'}, keep: {within: {pulled: 30d}}, allow_empty_repository: true}";
    let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[rule]));
    let plan = plan(&place, "").await.exits(0).json();
    assert_eq!(doomed(repository(&plan, "team/app")), ["a"]);
}

#[tokio::test]
async fn a_proxy_cache_is_left_alone_and_no_policy_may_ask_for_it() {
    let sandbox = harbor().await;
    sandbox.harbor().project(&Project::new("hub").proxy_cache(3));
    for number in 1..=3 {
        sandbox.put_image("hub/app", &[&format!("1.0.0-rc.{number}")], day(1, number));
    }
    let policy = rules("hub/*", &[PRERELEASES]);
    let kept = plan(&configured(&sandbox, "kind: harbor", &policy), "")
        .await
        .exits(0)
        .json();
    assert!(doomed(repository(&kept, "hub/app")).is_empty());
    assert_eq!(reason(&kept, "hub/app", "1.0.0-rc.1")["kind"], "proxy_cache");
    let allowed = policy + "    allow_proxy_cache: true\n";
    let refused = plan(&configured(&sandbox, "kind: harbor", &allowed), "")
        .await
        .exits(2);
    assert!(
        refused
            .stderr
            .contains("nothing is deleted in projects that cache"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn counting_bytes_reads_manifests_and_makes_nothing_look_used() {
    // What only manifests hold takes one more permission.
    let robot = Account::robot(ROBOT, SECRET).may("*", &READER);
    let robot = robot.may("*", &[("repository", "pull")]);
    let options = HarborOptions::default().account(robot);
    let sandbox = start(SandboxOptions::default().harbor(options)).await;
    for number in 1..=4 {
        sandbox.put(
            "team/app",
            &Image::new(day(1, number)).tag(&format!("1.0.0-rc.{number}")),
        );
    }
    let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[PRERELEASES]));
    let plan = plan(&place, "--bytes").await.exits(0).json();
    assert!(
        plan["totals"]["bytes_reclaimable"].as_u64().unwrap() > 1000,
        "{}",
        plan["totals"]
    );
    assert!(sandbox.log().counts().of(RequestKind::ManifestGet) >= 4);
    for number in 1..=4 {
        let artifact = sandbox
            .harbor()
            .artifact("team/app", &format!("1.0.0-rc.{number}"));
        assert_eq!(artifact.unwrap().pulled, None);
    }
}

#[tokio::test]
async fn explaining_a_tag_tells_of_pushes_and_immutability() {
    let sandbox = harbor().await;
    for number in 1..=3 {
        sandbox.put_image("team/app", &[&format!("pr-{number}")], day(1, number));
    }
    sandbox
        .harbor()
        .immutable("team", ImmutableRule::new("**", "pr-1"));
    let rule = "{name: newest, select: {tags: 'pr-*'}, keep: {last: 1, by: pushed}}";
    let place = configured(&sandbox, "kind: auto", &rules("team/*", &[rule]));
    let said = place
        .run(&format!("explain team/app:pr-1 --now {NOW}"))
        .await
        .exits(0);
    assert!(said.stdout.contains("immutable"), "{}", said.stdout);
    let said = place
        .run(&format!("explain team/app:pr-2 --now {NOW}"))
        .await
        .exits(0);
    assert!(said.stdout.contains("pushed"), "{}", said.stdout);
}

#[tokio::test]
async fn an_account_that_harbor_does_not_know_is_refused_and_not_taken_for_anybody() {
    for account in [
        Account::robot(ROBOT, "another secret").may("*", &READER),
        Account::robot(ROBOT, SECRET)
            .may("*", &READER)
            .expires(day(6, 30)),
        Account::robot(ROBOT, SECRET).may("*", &READER).disabled(),
    ] {
        let options = HarborOptions::default().account(account);
        let sandbox = start(SandboxOptions::default().harbor(options)).await;
        // Anybody may list it.
        sandbox.harbor().project(&Project::new("open").public());
        sandbox.put_image("open/app", &["1.0.0-rc.1"], day(1, 1));
        for registry in ["kind: auto", "kind: harbor"] {
            let place = configured(&sandbox, registry, &rules("**", &[PRERELEASES]));
            let run = plan(&place, "").await.exits(1);
            assert!(
                run.stderr.contains("takes the credentials for nobody's"),
                "{}",
                run.stderr
            );
            assert!(run.stderr.contains("hint: check the user name"), "{}", run.stderr);
        }
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_with_the_project_and_nothing_is_decided_there() {
    for (missing, kinds) in [
        (("repository", "list"), RequestKind::ApiRepositoryList),
        (("artifact", "list"), RequestKind::ApiArtifactList),
        (("immutable-tag", "list"), RequestKind::ApiRule),
    ] {
        let access: Vec<_> = READER.into_iter().filter(|access| *access != missing).collect();
        let robot = Account::robot(ROBOT, SECRET)
            .may("team", &access)
            .may("other", &READER);
        let sandbox = start(SandboxOptions::default().harbor(HarborOptions::default().account(robot))).await;
        for number in 1..=3 {
            for name in ["team/app", "team/web", "other/app"] {
                sandbox.put_image(name, &[&format!("1.0.0-rc.{number}")], day(1, number));
            }
        }
        let place = configured(&sandbox, "kind: harbor", &rules("**", &[PRERELEASES]));
        let plan = plan(&place, "").await.exits(4).json();
        assert_eq!(
            doomed(repository(&plan, "other/app")),
            ["1.0.0-rc.1"],
            "{missing:?}"
        );
        let (resource, action) = missing;
        let incomplete: Vec<&str> = plan["repositories"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|repository| repository["incomplete"]["why"].as_str())
            .collect();
        assert!(!incomplete.is_empty());
        for why in incomplete {
            assert!(
                why.contains(&format!(
                    "the account lacks `{resource}:{action}` in project team"
                )),
                "{why}"
            );
            assert!(why.starts_with("GET http://") && why.contains("403"), "{why}");
        }
        let refused = sandbox.log().of(kinds);
        assert!(
            refused
                .iter()
                .any(|entry| entry.status.is_some_and(|status| status.as_u16() == 403)),
            "{missing:?}"
        );
    }
}

#[tokio::test]
async fn a_project_that_the_account_may_not_see_and_one_that_is_not_there_are_told() {
    for version in HarborVersion::ALL {
        let robot = Account::robot(ROBOT, SECRET).may("other", &READER);
        let options = HarborOptions::default().version(version).account(robot);
        let sandbox = start(SandboxOptions::default().harbor(options)).await;
        sandbox.put_image("team/app", &["1.0.0-rc.1"], day(1, 1));
        sandbox.put_image("other/app", &["1.0.0-rc.1"], day(1, 1));
        let policy = "    repositories: [team/app, nowhere/app, other/app, other/gone]\n".to_owned()
            + "    rules:\n      - "
            + PRERELEASES
            + "\n";
        let place = configured(&sandbox, "kind: harbor", &policy);
        let plan = plan(&place, "").await.exits(4).json();
        let why = |name: &str| {
            repository(&plan, name)["incomplete"]["why"]
                .as_str()
                .map(str::to_owned)
        };
        assert!(
            why("team/app").unwrap().contains("in project team"),
            "{:?}",
            why("team/app")
        );
        assert!(why("nowhere/app").is_some());
        assert!(why("other/gone").unwrap().contains("no repository of this name"));
        assert_eq!(why("other/app"), None);
    }
}

#[tokio::test]
async fn a_failure_that_harbor_does_not_explain_makes_its_repository_incomplete_and_no_other() {
    let sandbox = harbor_of(HarborOptions::default().version(HarborVersion::V2_8)).await;
    for name in ["team/app", "team/web"] {
        for number in 1..=3 {
            sandbox.put_image(name, &[&format!("1.0.0-rc.{number}")], day(1, number));
        }
    }
    sandbox.faults().push(
        Fault::status(500)
            .on(RequestKind::ApiArtifactList)
            .repository("team/app"),
    );
    let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[PRERELEASES]));
    let plan = plan(&place, "").await.exits(4).json();
    let why = repository(&plan, "team/app")["incomplete"]["why"]
        .as_str()
        .unwrap();
    assert!(
        why.contains("500") && why.contains("project team") && why.contains("/artifacts?"),
        "{why}"
    );
    assert_eq!(doomed(repository(&plan, "team/web")), ["1.0.0-rc.1"]);
}

#[tokio::test]
async fn where_a_project_cannot_be_listed_as_a_whole_its_repositories_are() {
    let sandbox = harbor().await;
    for name in ["team/app", "team/web"] {
        for number in 1..=3 {
            sandbox.put_image(name, &[&format!("1.0.0-rc.{number}")], day(1, number));
        }
    }
    let fault = sandbox
        .faults()
        .push(Fault::status(500).on(RequestKind::ApiArtifactList).first(5));
    let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[PRERELEASES]));
    let run = plan(&place, "").await.exits(0);
    for name in ["team/app", "team/web"] {
        assert_eq!(doomed(repository(&run.json(), name)), ["1.0.0-rc.1"]);
    }
    assert_eq!(sandbox.faults().fired(fault), 5);
    assert!(run.stderr.contains("repository by repository"), "{}", run.stderr);
}

#[tokio::test]
async fn a_proxy_that_loses_names_with_slashes_decides_nothing_of_them() {
    let options = HarborOptions {
        proxy_decodings: 2,
        ..HarborOptions::default().version(HarborVersion::V2_8)
    };
    let sandbox = harbor_of(options).await;
    for name in ["team/app", "team/nested/web"] {
        for number in 1..=3 {
            sandbox.put_image(name, &[&format!("1.0.0-rc.{number}")], day(1, number));
        }
    }
    let place = configured(&sandbox, "kind: harbor", &rules("team/**", &[PRERELEASES]));
    let plan = plan(&place, "").await.exits(4).json();
    assert_eq!(doomed(repository(&plan, "team/app")), ["1.0.0-rc.1"]);
    let why = repository(&plan, "team/nested/web")["incomplete"]["why"]
        .as_str()
        .unwrap();
    assert!(why.contains("encoded slashes"), "{why}");
}

#[tokio::test]
async fn a_single_tag_is_known_to_be_deletable_and_nobody_asks() {
    let sandbox = harbor().await;
    let image = sandbox.put_image("team/app", &["1.0.0-rc.1", "1.0.0"], day(1, 1));
    sandbox.put_signature("team/app", image);
    let rule = "{select: {channel: prerelease}, keep: none, allow_empty_repository: true}";
    let place = configured(&sandbox, "kind: harbor", &rules("team/*", &[rule]));
    let plan = plan(&place, "--probe").await.exits(0).json();
    assert_eq!(plan["totals"]["untag"], 1, "{plan:#}");
    assert!(sandbox.log().entries().iter().all(|entry| entry.method == "GET"));
}
