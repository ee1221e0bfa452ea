//! An apply that a daemon carries out, because it has the state directory: with its configuration, and within its limits.

use lagan_report::sanitize::harmless;
use serde_json::{Value, json};

use crate::admin::Client;
use crate::cli::{ApplyArgs, Format};
use crate::commands::by_daemon::{follow, form, show};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::running::{ask, tell};

/// What tells of it when the daemon is gone.
const APPLIED: &str = "`lagan journal show last` tells what was deleted";

/// Asks for it, tells how it goes, and shows the report. The daemon stops it when this process ends.
pub(super) async fn ask_daemon(daemon: &Client, arguments: &ApplyArgs) -> Result<Exit, Failure> {
    refuse_other_rules(arguments)?;
    let source = &arguments.source;
    let connect = &source.connect;
    if connect.username.is_some() || connect.ca_file.is_some() || !connect.token_realm.is_empty() {
        tell(
            "notice: a daemon works with the state directory, and uses the credentials of its configuration",
        );
    }
    let mut out = Output::open(arguments.out.as_deref())?;
    let mut order = json!({
        "registry": connect.registry,
        "policies": source.policy,
        "repositories": arguments.repositories,
        "format": form(arguments.format),
    });
    if !arguments.yes {
        order = match planned(daemon, order, arguments.format).await? {
            Planned::Order(order) => order,
            Planned::Nothing(exit) => return Ok(exit),
        };
    }
    let answer = daemon.post("/api/v1/apply", &order).await?;
    let run = follow(answer, APPLIED).await?;
    let exit = show(daemon, &run, arguments.format, &mut out).await?;
    out.finish()?;
    Ok(exit)
}

/// What a daemon does not take from others.
fn refuse_other_rules(arguments: &ApplyArgs) -> Result<(), Failure> {
    let source = &arguments.source;
    let file = arguments.repositories.iter().any(|text| text.ends_with(".json"));
    let given = [
        ("a saved plan", file),
        ("--policy-file", source.policy_file.is_some()),
        ("--select", !source.select.is_empty()),
        ("--repositories-from", source.repositories_from.is_some()),
        ("--probe", source.probe),
        ("--override-limit", !arguments.override_limit.is_empty()),
        ("--collect-garbage", arguments.collect_garbage.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((what, _)) => Err(Failure::usage(format!(
            "a daemon works with the state directory, and carries out its own configuration alone: not {what}; nothing \
             deleted"
        ))
        .with_hint("try again when its run is over, or leave that out")),
    }
}

/// What comes of a plan that somebody is asked about.
enum Planned {
    /// It is to be carried out.
    Order(Value),
    /// There is nothing in it.
    Nothing(Exit),
}

/// Has a plan made of what is enforced, shows it, and asks.
async fn planned(daemon: &Client, mut order: Value, format: Format) -> Result<Planned, Failure> {
    let wanted: Vec<&str> = order["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if wanted.is_empty() {
        let enforced = enforced(daemon, order["registry"].as_str()).await?;
        if enforced.is_empty() {
            return Err(Failure::usage(
                "no policy of the daemon is enforced there: nothing deleted",
            ));
        }
        order["policies"] = enforced.into();
    }
    order["save"] = true.into();
    order["format"] = form(Format::Text).into();
    let answer = daemon.post("/api/v1/plan", &order).await?;
    let run = follow(answer, "nothing was deleted").await?;
    let exit = show(daemon, &run, Format::Text, &mut std::io::stderr()).await?;
    let plan = run["id"].as_str().unwrap_or_default();
    let goes = |what: &str| run["counts"]["plan"][what].as_u64().unwrap_or(0);
    if goes("delete_artifacts") + goes("untag") == 0 {
        return Ok(Planned::Nothing(exit));
    }
    if !ask(&format!(
        "\nThe daemon carries out the plan {}. Go on?",
        harmless(plan)
    ))? {
        return Err(Failure::usage("declined: nothing deleted"));
    }
    Ok(Planned::Order(json!({ "plan": plan, "format": form(format) })))
}

/// The policies of a registry that are enforced; of all of them where none is named.
async fn enforced(daemon: &Client, registry: Option<&str>) -> Result<Vec<Value>, Failure> {
    let listed = daemon.get("/api/v1/policies").await?.json().await?;
    let policies = listed["policies"].as_array().cloned().unwrap_or_default();
    let is_meant = |policy: &Value| {
        policy["mode"] == "enforce" && registry.is_none_or(|registry| policy["registry"] == registry)
    };
    Ok(policies
        .into_iter()
        .filter(is_meant)
        .map(|policy| policy["name"].clone())
        .collect())
}
