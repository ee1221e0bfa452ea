//! An undo that a daemon carries out, because it has the state directory.

use lagan_report::sanitize::harmless;
use serde_json::json;

use crate::admin::Client;
use crate::cli::UndoArgs;
use crate::commands::by_daemon::{follow, form, show};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::running::{ask, can_ask, tell};

/// What tells of it when the daemon is gone.
const UNDONE: &str = "`lagan journal show last` tells what was put back";

/// Asks for it, tells how it goes, and shows the report. The daemon stops it when this process ends. `registry` is the URL
/// of the one that was named: the daemon may know another one by that name.
pub(super) async fn ask_daemon(
    daemon: &Client,
    arguments: &UndoArgs,
    registry: Option<String>,
) -> Result<Exit, Failure> {
    if arguments.wait {
        return Err(Failure::usage(
            "a daemon works with the state directory, and does not wait for deletions that may still happen",
        )
        .with_hint("leave --wait out: what is in doubt is left out, and can be undone later"));
    }
    let connect = &arguments.connect;
    if connect.username.is_some() || connect.ca_file.is_some() || !connect.token_realm.is_empty() {
        tell(
            "notice: a daemon works with the state directory, and uses the credentials of its configuration",
        );
    }
    if !arguments.dry_run && !arguments.yes && can_ask() {
        let what = arguments.target.as_deref().unwrap_or("what was deleted");
        let question = format!("The daemon puts back {}. Go on?", harmless(what));
        if !ask(&question)? {
            return Err(Failure::usage("declined: nothing was put back"));
        }
    }
    let mut out = Output::open(arguments.out.as_deref())?;
    let order = json!({
        "target": arguments.target,
        "since": arguments.since.map(|since| since.to_rfc3339()),
        "repository": arguments.repository.as_ref().map(ToString::to_string),
        "registry": registry,
        "dry_run": arguments.dry_run,
        "overwrite_moved_tags": arguments.overwrite_moved_tags,
        "format": form(arguments.format),
    });
    let answer = daemon.post("/api/v1/undo", &order).await?;
    let run = follow(answer, UNDONE).await?;
    let exit = show(daemon, &run, arguments.format, &mut out, UNDONE).await?;
    out.finish()?;
    Ok(exit)
}
