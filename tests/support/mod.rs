//! Runs the binary as a user would, and nothing else of this machine's: no environment, a folder of its own as home
//! and working directory.

#![allow(dead_code, reason = "every target of tests uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// Longer than any test should take, so that one that hangs fails.
const LONGEST: Duration = Duration::from_secs(100);

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Fails the test, with all that was said, unless this is the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Everything that could be read by somebody.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A folder to run in.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file there.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary with these arguments, split at spaces except inside single quotes.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lagan"));
        command
            .args(words(arguments))
            .env_clear()
            .env("HOME", self.path())
            .current_dir(self.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &str) -> Run {
        finish(self.command(arguments)).await
    }

    pub(crate) async fn run_with(&self, environment: &[(&str, &str)], arguments: &str) -> Run {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        finish(command).await
    }
}

/// Runs without any file of a user's own.
pub(crate) async fn run(arguments: &str) -> Run {
    Place::new().run(arguments).await
}

pub(crate) async fn finish(mut command: Command) -> Run {
    let child = command.spawn().unwrap();
    let output = tokio::time::timeout(LONGEST, child.wait_with_output()).await;
    let output = output.expect("the binary does not end").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Run {
        // None is a signal, which a panic is not, and which no test hopes for.
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn words(arguments: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in arguments.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A repository of a plan.
#[track_caller]
pub(crate) fn repository<'p>(plan: &'p Value, name: &str) -> &'p Value {
    let all = plan["repositories"].as_array().expect("a list of repositories");
    all.iter()
        .find(|repository| repository["name"] == name)
        .unwrap_or_else(|| panic!("{name} in {plan}"))
}

/// The tags that a repository of a plan would lose, those of children and attachments among them, sorted.
pub(crate) fn doomed(repository: &Value) -> Vec<String> {
    let mut tags = Vec::new();
    for action in repository["actions"].as_array().unwrap() {
        tags.extend(action["tag"].as_str().map(str::to_owned));
        tags_of(action, &mut tags);
        for side in ["children", "attachments"] {
            for dependent in action[side].as_array().into_iter().flatten() {
                tags_of(dependent, &mut tags);
            }
        }
    }
    tags.sort();
    tags
}

fn tags_of(artifact: &Value, tags: &mut Vec<String>) {
    for tag in artifact["tags"].as_array().into_iter().flatten() {
        tags.push(tag.as_str().unwrap().to_owned());
    }
}

/// The digests that a repository of a plan would lose, sorted.
pub(crate) fn doomed_digests(repository: &Value) -> Vec<String> {
    let mut digests = Vec::new();
    for action in repository["actions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|action| action["action"] == "delete")
    {
        digests.push(action["digest"].as_str().unwrap().to_owned());
        for side in ["children", "attachments"] {
            let dependents = action[side].as_array().unwrap().iter();
            digests.extend(dependents.map(|dependent| dependent["digest"].as_str().unwrap().to_owned()));
        }
    }
    digests.sort();
    digests
}

/// The tags that stay, of a plan with `--all`, sorted.
pub(crate) fn kept(repository: &Value) -> Vec<String> {
    let all = repository["kept"].as_array().unwrap().iter();
    all.map(|kept| kept["tag"].as_str().unwrap().to_owned()).collect()
}

/// The kinds of the reasons for which a tag stays.
#[track_caller]
pub(crate) fn reasons(repository: &Value, tag: &str) -> Vec<String> {
    let all = repository["kept"].as_array().unwrap();
    let kept = all
        .iter()
        .find(|kept| kept["tag"] == tag)
        .unwrap_or_else(|| panic!("{tag} is not kept"));
    kinds(&kept["reasons"])
}

pub(crate) fn kinds(reasons: &Value) -> Vec<String> {
    reasons
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["kind"].as_str().unwrap().to_owned())
        .collect()
}
