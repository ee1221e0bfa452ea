//! `lagan pause` and `lagan resume`: no deletions for a while, whatever policies and schedules say.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::SubsecRound as _;
use lagan_model::Clock as _;
use lagan_report::sanitize::harmless;
use lagan_state::{StateError, Who};

use crate::auditing::Auditing;
use crate::bans::Pause;
use crate::cli::PauseArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::running::SystemClock;
use crate::{settings, state};

pub(crate) fn pause(
    config: Option<&Path>,
    state_dir: Option<&Path>,
    arguments: &PauseArgs,
) -> Result<Exit, Failure> {
    let directory = directory(config, state_dir)?;
    let now = SystemClock.now().trunc_subsecs(0);
    if arguments.until.is_some_and(|until| until <= now) {
        return Err(Failure::usage(
            "the pause would be over already: nothing was paused",
        ));
    }
    if !state::is_there(&directory) {
        drop(state::create(&directory)?);
        tracing::warn!(
            "nothing has run in {}: a program with another configuration or --state-dir goes on",
            harmless(&directory.display().to_string())
        );
    }
    let pause = Pause {
        since: Some(now),
        until: arguments.until.map(|until| until.trunc_subsecs(0)),
        why: arguments.why.clone(),
    };
    pause
        .write(&directory)
        .map_err(|error| failed(&directory, error))?;
    Auditing::of(&directory, Who::user()).paused(&pause)?;
    say(&format!("{} (in {})", pause.said(), directory.display()))
}

pub(crate) fn resume(config: Option<&Path>, state_dir: Option<&Path>) -> Result<Exit, Failure> {
    let directory = directory(config, state_dir)?;
    if state::is_there(&directory) {
        Auditing::of(&directory, Who::user()).resumed()?;
    }
    let was = Pause::remove(&directory).map_err(|error| failed(&directory, error))?;
    say(if was {
        "deletions are not paused any more"
    } else {
        "deletions were not paused"
    })
}

fn directory(config: Option<&Path>, state_dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let config = settings::find_config(config)?.map(|(_, config)| config);
    let configured = config.as_ref().and_then(|config| config.state_dir.as_deref());
    state::directory(state_dir, configured)
}

fn failed(directory: &Path, error: std::io::Error) -> Failure {
    let failed = StateError::Io {
        doing: "write to the state directory",
        path: directory.to_owned(),
        source: error,
    };
    failed.into()
}

fn say(text: &str) -> Result<Exit, Failure> {
    let mut out = Output::stdout();
    writeln!(out, "{}", harmless(text))?;
    out.finish()?;
    Ok(Exit::Done)
}
