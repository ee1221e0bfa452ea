//! The README's commands and its configuration, as a newcomer would try them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test tells what went wrong by failing"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lagan_sandbox::{Sandbox, SandboxOptions};

const README: &str = include_str!("../README.md");

/// The lines of code blocks, without their indentation; lines that end in a backslash are joined to the next.
fn code() -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in README.lines().filter_map(|line| line.strip_prefix("    ")) {
        match lines.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push_str(line.trim_start());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The block of YAML.
fn configuration() -> String {
    let lines = code();
    let start = lines
        .iter()
        .position(|line| line == "registries:")
        .expect("the README has a configuration");
    let yaml = lines[start..]
        .iter()
        .take_while(|line| line.starts_with(' ') || line.ends_with(':'));
    yaml.map(|line| format!("{line}\n")).collect()
}

fn shell(line: &str, folder: &Path) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_lagan")).parent().unwrap();
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env("HOME", folder)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_runs() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let created = "2026-01-01T00:00:00Z".parse().unwrap();
    for repository in ["team/app", "search/api-7"] {
        for tag in ["latest", "1.0.0", "1.1.0-rc.1"] {
            sandbox.put_image(repository, &[tag], created);
        }
    }
    for number in 1..=12 {
        sandbox.put_image("team/app", &[&format!("1.2.0-rc.{number}")], created);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lagan.yaml"), configuration()).unwrap();
    let commands: Vec<String> = code()
        .into_iter()
        .filter(|line| line.starts_with("lagan "))
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let here = command.replace("http://localhost:5000", &sandbox.url());
        let output = shell(&here, folder.path());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command}\n{errors}");
        assert!(!output.stdout.is_empty(), "{command} prints nothing");
    }
}

#[test]
fn the_two_commands_of_the_readme_are_there() {
    let lines = code();
    assert!(lines.iter().any(|line| line == "cargo run --release -- demo"));
    assert!(lines.iter().any(|line| line == "tests/run"));
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/run");
    assert!(runner.is_file());
}

#[test]
fn every_file_that_the_readme_links_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let links: Vec<&str> = README
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://"))
        .collect();
    assert!(links.len() > 3);
    for link in links {
        let (file, _) = link.split_once('#').unwrap_or((link, ""));
        assert!(root.join(file).exists(), "{link}");
    }
}
