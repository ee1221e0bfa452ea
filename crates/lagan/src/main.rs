//! Lagan: registry retention that shows why, and can be undone. This binary wires the crates together; it decides
//! nothing.

mod admin;
mod against;
mod announced;
mod auditing;
mod bans;
mod body;
mod cli;
mod collecting;
mod commands;
mod comparing;
mod daemon;
mod exit;
mod metrics;
mod notifying;
mod outcome;
mod output;
mod pass;
mod plans;
mod progress;
mod receiving;
mod rollout;
mod running;
mod saved;
mod settings;
mod sources;
mod stamp;
mod state;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::exit::Exit;

fn main() -> ExitCode {
    lagan_registry::install_crypto_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no error; a closed pipe is nobody's.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            drop(error.print());
            return exit.into();
        }
    };
    telemetry::install();
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}
