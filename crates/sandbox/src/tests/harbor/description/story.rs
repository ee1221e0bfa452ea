//! A Harbor with something of everything, and every operation asked for, refusals among them.

use serde_json::json;

use super::super::*;
use super::Checked;
use crate::harbor::{
    Account, CollectionSchedule, CollectionStatus, ImmutableRule, Project, Replication, ReplicationTrigger,
    RetentionRule,
};
use crate::{HarborVersion, Image, Moment};

/// What the sandbox serves, by the description's own names.
pub(super) const OPERATIONS: &[&str] = &[
    "CreateImmuRule",
    "CreateLabel",
    "CreateRobot",
    "DeleteImmuRule",
    "DeleteRobot",
    "GetLabelByID",
    "GetRobotByID",
    "ListImmuRules",
    "ListLabels",
    "ListRobot",
    "addLabel",
    "createGCSchedule",
    "createProject",
    "createTag",
    "deleteArtifact",
    "deleteProject",
    "deleteRepository",
    "deleteTag",
    "getArtifact",
    "getConfigurations",
    "getCurrentUserInfo",
    "getCurrentUserPermissions",
    "getGC",
    "getGCHistory",
    "getGCSchedule",
    "getHealth",
    "getPermissions",
    "getPing",
    "getProject",
    "getReplicationPolicy",
    "getRepository",
    "getRetention",
    "getSystemInfo",
    "headProject",
    "listAccessories",
    "listAllRepositories",
    "listArtifacts",
    "listArtifactsOfProject",
    "listProjects",
    "listReplicationPolicies",
    "listRepositories",
    "listTags",
    "removeLabel",
    "stopGC",
    "updateConfigurations",
    "updateGCSchedule",
];

pub(super) fn options(version: HarborVersion) -> HarborOptions {
    let robot = Account::robot("robot$team+ci", "Secret1").may("team", &[("artifact", "list")]);
    HarborOptions::default()
        .version(version)
        .account(robot)
        .account(Account::robot("robot$wide", "Secret1").may("*", &[("artifact", "list")]))
}

fn content(sandbox: &Sandbox) -> Digest {
    let steer = sandbox.harbor();
    steer.project(&Project::new("open").public());
    steer.project(&Project::new("cache").proxy_cache(1));
    sandbox.put_image("open/app", &["1.0"], DAY);
    let one = sandbox.put("team/tools/app", &Image::new(DAY).label("a", "b"));
    let two = sandbox.put("team/tools/app", &Image::new(DAY).docker().architecture("arm64"));
    sandbox.put_index("team/tools/app", &["1.0", "latest"], &[one, two]);
    let image = sandbox.put_image("team/tools/app", &["2.0", "old"], DAY);
    sandbox.put("team/tools/app", &Image::new(DAY));
    sandbox.put_signature("team/tools/app", image);
    sandbox.put_attestation("team/tools/app", image);
    sandbox.put_referrer("team/tools/app", image, "application/vnd.cncf.notary.signature");
    sandbox.put_chart("team/chart", "1.0.0", DAY);
    let label = steer.label(None, "global");
    steer.label(Some("team"), "own");
    steer.put_label("team/tools/app", "2.0", label);
    steer.set_pulled("team/tools/app", "2.0", DAY + 60);
    steer.immutable("team", ImmutableRule::new("**", "2.*"));
    steer.retention(
        "team",
        vec![
            RetentionRule::new("latestPushedK", Some(10)),
            RetentionRule::new("always", None).tags("release-*"),
        ],
    );
    let everywhere = ReplicationTrigger::EventBased;
    steer.replication(Replication::new("mirror", "team/**", everywhere).deletions());
    steer.replication(Replication::new("nightly", "**", ReplicationTrigger::Scheduled));
    let next = Moment::date(2026, 7, 2);
    steer.schedule_collections(Some(CollectionSchedule::new("Daily", "0 0 0 * * *", next)));
    let id = steer.start_collection(true);
    steer.finish_collection(id, CollectionStatus::Error);
    image
}

pub(super) async fn tell(sandbox: &Sandbox, http: &mut Checked<'_>, version: HarborVersion) {
    let image = content(sandbox);
    for path in [
        "/ping",
        "/health",
        "/systeminfo",
        "/projects",
        "/projects?page_size=101",
    ] {
        http.get(path).await;
    }
    read(http, version).await;
    write(http, image).await;
    refused(sandbox, http).await;
}

const APP: &str = "/projects/team/repositories/tools%252Fapp";
const FULL: &str = "with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true";

async fn read(http: &mut Checked<'_>, version: HarborVersion) {
    let project = http.get("/projects/team").await;
    let number = &project["project_id"];
    http.get(&format!("/projects/{number}")).await;
    http.get("/projects/none").await;
    http.send(Method::HEAD, &api("/projects?project_name=team"), None)
        .await;
    for path in [
        "/projects/team/repositories?page_size=1",
        "/repositories",
        "/projects/team/repositories/chart",
        "/projects/team/repositories/none",
        &format!("{APP}/artifacts?{FULL}"),
        &format!("{APP}/artifacts?q=tags%3Dnil"),
        &format!("{APP}/artifacts?page_size=101"),
        &format!("{APP}/artifacts?q=x"),
        &format!("{APP}/artifacts?q=id%3Dx"),
        "/projects/team/repositories/chart/artifacts",
        &format!("{APP}/artifacts/1.0?{FULL}"),
        &format!("{APP}/artifacts/none"),
        &format!("{APP}/artifacts/2.0/tags?with_immutable_status=true"),
        &format!("{APP}/artifacts/2.0/accessories"),
        "/projects/team/immutabletagrules",
        "/labels?scope=g",
        &format!("/labels?scope=p&project_id={number}"),
        "/labels",
        "/labels/1",
        "/labels/99",
        "/retentions/1",
        "/retentions/99",
        "/users/current",
        &format!("/users/current/permissions?scope=/project/{number}"),
        &format!("/users/current/permissions?relative=true&scope=/project/{number}"),
        "/robots",
        &format!("/robots?q=Level%3Dproject,ProjectID%3D{number}"),
        "/robots/1",
        "/robots/99",
        "/system/gc",
        "/system/gc/1",
        "/system/gc/99",
        "/system/gc/schedule",
        "/replication/policies",
        "/replication/policies/1",
        "/replication/policies/99",
        "/configurations",
    ] {
        http.get(path).await;
    }
    if version >= HarborVersion::V2_11 {
        http.get(&format!("/projects/team/artifacts?{FULL}")).await;
        http.get("/permissions").await;
    }
}

async fn write(http: &mut Checked<'_>, image: Digest) {
    http.post("/projects", json!({ "project_name": "fresh" })).await;
    http.post("/projects", json!({ "project_name": "fresh" })).await;
    http.delete("/projects/team").await;
    http.delete("/projects/fresh").await;
    let tags = format!("{APP}/artifacts/{image}/tags");
    for name in ["new", "new", "a b"] {
        http.post(&tags, json!({ "name": name })).await;
    }
    http.post(
        "/projects/cache/repositories/x/artifacts/1/tags",
        json!({ "name": "x" }),
    )
    .await;
    http.delete(&format!("{tags}/old")).await;
    http.delete(&format!("{tags}/old")).await;
    http.delete(&format!("{tags}/2.0")).await;
    http.delete(&format!("{APP}/artifacts/{image}")).await;
    http.delete(&format!("{APP}/artifacts/1.0")).await;
    http.delete(&format!("{APP}/artifacts/1.0")).await;
    let label = json!({ "name": "made", "scope": "g" });
    http.post("/labels", label.clone()).await;
    http.post("/labels", label).await;
    for _ in 0..2 {
        http.post(&format!("{APP}/artifacts/2.0/labels"), json!({ "id": 2 }))
            .await;
    }
    for _ in 0..2 {
        http.delete(&format!("{APP}/artifacts/2.0/labels/2")).await;
    }
    let rule = json!({
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "x"}],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}],
        },
    });
    http.post("/projects/team/immutabletagrules", rule).await;
    http.delete("/projects/team/immutabletagrules/2").await;
    let robot = json!({
        "name": "made",
        "level": "project",
        "duration": -1,
        "permissions": [
            {"kind": "project", "namespace": "team", "access": [{"resource": "tag", "action": "list"}]},
        ],
    });
    let made = http.post("/robots", robot).await;
    http.delete(&format!("/robots/{}", made["id"])).await;
    let manual = json!({ "schedule": {"type": "Manual"}, "parameters": {"delete_untagged": false} });
    http.post("/system/gc/schedule", manual).await;
    http.post("/system/gc/schedule", json!({ "schedule": {"type": "Never"} }))
        .await;
    http.send(Method::PUT, &api("/system/gc/2"), None).await;
    let weekly = json!({ "schedule": {"type": "Weekly", "cron": "0 0 0 * * 0"} });
    http.send(Method::PUT, &api("/system/gc/schedule"), Some(weekly))
        .await;
    http.post("/system/gc/schedule", json!({ "schedule": {"type": "None"} }))
        .await;
    http.get("/system/gc/schedule").await;
    http.delete("/projects/team/repositories/chart").await;
    http.send(
        Method::PUT,
        &api("/configurations"),
        Some(json!({ "read_only": false })),
    )
    .await;
}

async fn refused(sandbox: &Sandbox, http: &mut Checked<'_>) {
    sandbox.harbor().set_read_only(true);
    http.delete(&format!("{APP}/artifacts/2.0")).await;
    sandbox.harbor().set_read_only(false);
    for account in [Some("robot$team+ci"), Some("robot$wide"), None] {
        match account {
            Some(name) => sign_in(http.http, name, "Secret1"),
            None => sign_out(http.http),
        }
        http.get("/systeminfo").await;
        http.get("/projects").await;
        http.get("/users/current").await;
        http.get(&format!("{APP}/artifacts")).await;
        http.get("/projects/open/repositories/app/artifacts").await;
        http.delete(&format!("{APP}/artifacts/2.0")).await;
        http.delete(&format!("{APP}/artifacts/2.0/tags/2.0")).await;
        http.get("/projects/team").await;
        let head = api("/projects?project_name=team");
        http.send(Method::HEAD, &head, None).await;
        http.get("/system/gc").await;
        http.get("/system/gc/schedule").await;
        http.get("/replication/policies").await;
        http.get("/projects/team/immutabletagrules").await;
    }
}
