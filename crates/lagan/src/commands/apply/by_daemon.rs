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
const NOTHING: &str = "nothing was deleted";

/// What was asked for, as this command's own configuration has it: the daemon's may be another one.
pub(super) struct Meant {
    /// The URL of the registry.
    pub(super) registry: String,
    /// The policies that make candidates.
    pub(super) policies: Vec<String>,
    /// The hash of the configuration.
    pub(super) configuration: Option<String>,
}

/// Asks for it, tells how it goes, and shows the report. The daemon stops it when this process ends.
pub(super) async fn ask_daemon(
    daemon: &Client,
    arguments: &ApplyArgs,
    meant: &Meant,
) -> Result<Exit, Failure> {
    refuse_other_rules(arguments)?;
    let source = &arguments.source;
    let connect = &source.connect;
    if connect.username.is_some()
        || connect.ca_file.is_some()
        || !connect.token_realm.is_empty()
        || connect.deadline.is_some()
    {
        tell(
            "notice: a daemon works with the state directory, and uses the credentials and deadlines of its \
             configuration",
        );
    }
    let mut out = Output::open(arguments.out.as_deref())?;
    let mut order = json!({
        "registry": meant.registry,
        "policies": meant.policies,
        "repositories": arguments.repositories,
        "configuration": meant.configuration,
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
    let exit = show(daemon, &run, arguments.format, &mut out, APPLIED).await?;
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
    order["save"] = true.into();
    order["format"] = form(Format::Text).into();
    let answer = daemon.post("/api/v1/plan", &order).await?;
    let run = follow(answer, NOTHING).await?;
    let exit = show(daemon, &run, Format::Text, &mut std::io::stderr(), NOTHING).await?;
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
    Ok(Planned::Order(json!({
        "plan": plan,
        "configuration": order["configuration"],
        "format": form(format),
    })))
}
