//! The registries that people have, by the profiles of the sandbox: what a plan makes of each.

use futures_util::future::join_all;
use lagan_sandbox::{Moment, Profile, RequestKind, Sandbox, SandboxOptions, User};
use serde_json::Value;

use crate::support::{Place, Run, doomed, kept, repository};
use crate::{TWO, candidates, start};

const APP: &str = "team/app";

/// What the profile's users get to see: whether there is a catalog, and what is learnt by asking for a deletion.
struct Expected {
    catalog: bool,
    delete_manifest: &'static str,
    delete_tag: &'static str,
}

fn expected(profile: Profile) -> Expected {
    let (catalog, delete_manifest, delete_tag) = match profile {
        Profile::Strict | Profile::Distribution3 | Profile::Zot | Profile::Acr => {
            (true, "offered", "offered")
        }
        // Its catalog is empty.
        Profile::ArtifactRegistry => (false, "offered", "offered"),
        Profile::Distribution28 | Profile::Harbor => (true, "offered", "not_offered"),
        // A 404 of a router is no answer of a registry.
        Profile::Ecr => (true, "unknown", "unknown"),
        Profile::Ghcr => (false, "not_offered", "not_offered"),
        Profile::GitLab => (false, "offered", "offered"),
        // Deleting takes the right to push there, which is not asked for.
        Profile::Quay => (true, "unknown", "unknown"),
        Profile::DockerHub => (false, "offered", "not_offered"),
    };
    Expected {
        catalog,
        delete_manifest,
        delete_tag,
    }
}

struct World {
    sandbox: Sandbox,
    place: Place,
}

impl World {
    /// Six candidates in one repository, the oldest on a digest with a tag that stays; 120 stable tags beside them.
    async fn of(profile: Profile) -> Self {
        let auth = profile.auth(vec![User::new("AWS", "s3cret")]);
        let sandbox = start(SandboxOptions::default().profile(profile).auth(auth)).await;
        candidates(&sandbox, APP, 6);
        let oldest = sandbox.resolve(APP, "1.0.0-rc.1").unwrap();
        sandbox.tag(APP, "prod", oldest);
        let stable: Vec<String> = (0..120).map(|number| format!("2.{number}.0")).collect();
        let stable: Vec<&str> = stable.iter().map(String::as_str).collect();
        sandbox.put_image(APP, &stable, Moment::date(2025, 1, 1));
        let place = Place::new();
        place.file("password", "s3cret");
        place.file("names", "# what there is\nteam/app\n");
        Self { sandbox, place }
    }

    async fn plan(&self, arguments: &str) -> Run {
        let line = format!(
            "plan --registry {} {TWO} --username AWS --password-file password --format json --all {arguments}",
            self.sandbox.url()
        );
        self.place.run(&line).await
    }

    fn only_read(&self) -> bool {
        let entries = self.sandbox.log().entries();
        !entries.is_empty()
            && entries
                .iter()
                .all(|entry| entry.method == "GET" || entry.method == "HEAD")
    }
}

fn app(plan: &Value) -> &Value {
    repository(plan, APP)
}

#[tokio::test]
async fn each_is_planned_with_its_catalog_or_says_what_to_give_instead() {
    join_all(Profile::ALL.map(|profile| async move {
        let world = World::of(profile).await;
        if expected(profile).catalog {
            let plan = world.plan("").await.exits(0).json();
            assert_eq!(
                doomed(app(&plan)),
                ["1.0.0-rc.2", "1.0.0-rc.3", "1.0.0-rc.4"],
                "{profile:?}"
            );
            assert_eq!(kept(app(&plan)).len(), 124, "{profile:?}");
            assert_eq!(plan["capabilities"]["catalog"], "offered", "{profile:?}");
        } else {
            let code = if profile == Profile::ArtifactRegistry {
                2
            } else {
                1
            };
            let refused = world.plan("").await.exits(code);
            assert!(refused.stdout.is_empty(), "{profile:?}");
            assert!(
                refused.stderr.contains("hint: ") && refused.stderr.contains("--repositories-from"),
                "{profile:?}: {}",
                refused.stderr
            );
        }
        // The same from a list, which stands for the catalog.
        world.sandbox.log().clear();
        let plan = world.plan("--repositories-from names").await.exits(0).json();
        assert_eq!(
            doomed(app(&plan)),
            ["1.0.0-rc.2", "1.0.0-rc.3", "1.0.0-rc.4"],
            "{profile:?}"
        );
        assert_eq!(plan["totals"]["tags"], 127, "{profile:?}");
        assert_eq!(plan["totals"]["kept_for_shared_digest"], 1, "{profile:?}");
        assert_eq!(
            world.sandbox.log().counts().of(RequestKind::Catalog),
            0,
            "{profile:?}"
        );
        assert!(world.only_read(), "{profile:?}");
    }))
    .await;
}

#[tokio::test]
async fn each_is_asked_what_it_deletes_and_loses_nothing_by_it() {
    join_all(Profile::ALL.map(|profile| async move {
        let world = World::of(profile).await;
        let before = world.sandbox.tags(APP);
        let plan = world
            .plan("--repositories-from names --probe")
            .await
            .exits(0)
            .json();
        let expected = expected(profile);
        let seen = &plan["capabilities"];
        assert_eq!(seen["delete_manifest"], expected.delete_manifest, "{profile:?}");
        assert_eq!(seen["delete_tag"], expected.delete_tag, "{profile:?}");
        assert_eq!(seen["probed"], true, "{profile:?}");
        let single = expected.delete_tag == "offered";
        assert_eq!(plan["totals"]["untag"], u64::from(single), "{profile:?}");
        assert_eq!(
            plan["totals"]["kept_for_shared_digest"],
            u64::from(!single),
            "{profile:?}"
        );
        assert_eq!(
            doomed(app(&plan)).contains(&"1.0.0-rc.1".to_owned()),
            single,
            "{profile:?}"
        );
        assert_eq!(
            kept(app(&plan)).contains(&"1.0.0-rc.1".to_owned()),
            !single,
            "{profile:?}"
        );
        let asked = world.sandbox.log().counts().of(RequestKind::ManifestDelete);
        assert!((1..=3).contains(&asked), "{profile:?}: {asked}");
        assert_eq!(world.sandbox.tags(APP), before, "{profile:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_repository_that_is_public_is_planned_without_credentials() {
    for profile in [Profile::Ghcr, Profile::GitLab, Profile::Quay, Profile::DockerHub] {
        let auth = profile.auth(vec![User::new("AWS", "s3cret")]);
        let sandbox = start(SandboxOptions::default().profile(profile).auth(auth)).await;
        candidates(&sandbox, "public/app", 4);
        candidates(&sandbox, "private/app", 4);
        let place = Place::new();
        let url = sandbox.url();
        let plan = place
            .run(&format!("plan public/app --registry {url} {TWO} --format json"))
            .await;
        assert_eq!(plan.exits(0).json()["totals"]["delete_tags"], 2, "{profile:?}");
        let plan = place
            .run(&format!("plan private/app --registry {url} {TWO} --format json"))
            .await;
        let plan = plan.exits(4).json();
        assert_eq!(plan["repositories"][0]["complete"], false, "{profile:?}");
    }
}
