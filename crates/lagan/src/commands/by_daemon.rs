//! What a daemon carries out for a command, because it has the state directory.

use std::io::Write;

use clap::ValueEnum as _;
use lagan_report::sanitize::harmless;
use serde_json::Value;

use crate::admin::{Answer, Client};
use crate::cli::Format;
use crate::exit::{Exit, Failure};
use crate::running::tell;

/// The name of a form, as the daemon knows it.
pub(super) fn form(form: Format) -> String {
    let value = form.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Tells how an order goes, to its end, and hands back the run that it was. `hint` is for whoever loses the daemon.
pub(super) async fn follow(mut answer: Answer, hint: &'static str) -> Result<Value, Failure> {
    let mut waited = None;
    loop {
        let Some(line) = answer.line().await? else {
            return Err(lost(hint));
        };
        match line["event"].as_str() {
            Some("ended") => return Ok(line["run"].clone()),
            Some("lost") => return Err(lost(hint)),
            Some("waits") => {
                let what = line["for"].as_str().unwrap_or_default().to_owned();
                if waited.as_ref() != Some(&what) {
                    tell(&format!("waiting for the daemon: {}", harmless(&what)));
                    waited = Some(what);
                }
            }
            Some("began") => {
                tell("the daemon has begun; Ctrl-C stops it when the artifacts in hand are done")
            }
            _ => {}
        }
    }
}

/// Writes the report of a run that is over, if it has one, and ends as that did.
pub(super) async fn show(
    daemon: &Client,
    run: &Value,
    format: Format,
    out: &mut impl Write,
    hint: &'static str,
) -> Result<Exit, Failure> {
    let exit = exit(&run["exit"]);
    let report = report(daemon, run, format, out).await;
    if let Some(error) = run["error"].as_str() {
        let error = error.trim_end();
        let (error, hint) = match error.split_once("\nhint: ") {
            Some((error, hint)) => (error, Some(hint)),
            None => (error, None),
        };
        let error = error.strip_prefix("error: ").unwrap_or(error).to_owned();
        let failure = Failure::new(exit, anyhow::Error::msg(error));
        return Err(match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        });
    }
    match report {
        Ok(()) => Ok(exit),
        // What it came to is known.
        Err(failure) => {
            tell(&format!(
                "notice: the report cannot be had: {}; {hint}",
                failure.told().0
            ));
            Ok(exit)
        }
    }
}

async fn report(daemon: &Client, run: &Value, format: Format, out: &mut impl Write) -> Result<(), Failure> {
    let id = run["id"].as_str().unwrap_or_default();
    let path = format!("/api/v1/runs/{id}/report?format={}", form(format));
    let mut report = daemon.get(&path).await?;
    while let Some(piece) = report.piece().await? {
        out.write_all(&piece)?;
    }
    Ok(())
}

fn lost(hint: &'static str) -> Failure {
    let what = "the daemon that has the state directory ended";
    Failure::new(Exit::Unexpected, anyhow::Error::msg(what)).with_hint(hint)
}

fn exit(code: &Value) -> Exit {
    match code.as_i64() {
        Some(0) => Exit::Done,
        Some(2) => Exit::Usage,
        Some(3) => Exit::Refused,
        Some(4) => Exit::Partial,
        _ => Exit::Unexpected,
    }
}
