//! The commands, one file each.

pub(crate) mod apply;
mod by_daemon;
mod check;
mod completions;
mod daemon;
mod demo;
mod doctor;
pub(crate) mod explain;
pub(crate) mod journal;
mod man;
mod pause;
pub(crate) mod plan;
mod policy;
mod rollout;
pub(crate) mod undo;

use std::future::Future;

use lagan_engine::Holds;
use lagan_state::DiskLedger;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    let (config, colour) = (cli.config.as_deref(), cli.color);
    let state = cli.state_dir.as_deref();
    match cli.command {
        Command::Plan(arguments) => plan::run(config, state, colour, &arguments),
        Command::Apply(arguments) => apply::run(config, state, colour, &arguments),
        Command::Undo(arguments) => undo::run(config, state, colour, &arguments),
        Command::Daemon(arguments) => daemon::run(config, state, &arguments),
        Command::Pause(arguments) => pause::pause(config, state, &arguments),
        Command::Resume => pause::resume(config, state),
        Command::Rollout(command) => rollout::run(config, state, &command),
        Command::Explain(arguments) => explain::run(config, state, colour, &arguments),
        Command::Check(arguments) => check::run(config, &arguments),
        Command::Doctor(arguments) => doctor::run(config, colour, &arguments),
        Command::Journal(command) => journal::run(config, state, colour, &command),
        Command::Policy(command) => policy::run(config, &command),
        Command::Demo(arguments) => demo::run(colour, &arguments),
        Command::Completions { shell } => completions::run(shell),
        Command::Man { dir } => man::run(dir.as_deref()),
    }
}

/// What the engine may use of what earlier runs found out.
fn remembered<'a>(
    memory: Option<&'a lagan_state::Memory>,
    ledger: Option<&'a DiskLedger>,
    holds: Option<&'a Holds>,
    records: bool,
) -> lagan_engine::Memory<'a> {
    lagan_engine::Memory {
        cache: memory.map(|memory| memory.cache() as _),
        ledger: ledger.map(|ledger| ledger as _),
        holds,
        records,
    }
}

/// Tells what was found damaged.
fn tell_of(memory: Option<&lagan_state::Memory>) {
    let notices = memory.map(lagan_state::Memory::take_notices).unwrap_or_default();
    notices.iter().for_each(|notice| crate::state::say(notice));
}

/// Runs what talks to a registry. On one thread: a registry answers more slowly than one core reads, and handing
/// answers between threads would cost half as much CPU again.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
