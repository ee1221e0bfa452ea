//! Help, manual pages and completions tell of the same commands and options.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Place, run};

/// The words behind a heading of a help text, each line's first.
fn listed(help: &str, heading: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// The long options of a help text.
fn options(help: &str) -> BTreeSet<String> {
    let word = |line: &str| {
        let trimmed = line.trim_start();
        let at = trimmed
            .strip_prefix("-h, ")
            .or_else(|| trimmed.strip_prefix("-V, "))
            .unwrap_or(trimmed);
        let name: String = at
            .strip_prefix("--")?
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        Some(format!("--{name}"))
    };
    help.lines().filter_map(word).collect()
}

/// Every command, as arguments, with its help.
async fn commands() -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let help = run(&[&command[..], &["--help".to_owned()]].concat().join(" "))
            .await
            .exits(0)
            .stdout;
        for below in listed(&help, "Commands:") {
            open.push([&command[..], &[below]].concat());
        }
        found.push((command, help));
    }
    found
}

#[tokio::test]
async fn help_manual_pages_and_completions_do_not_drift_apart() {
    let place = Place::new();
    place.run("man --dir .").await.exits(0);
    let bash = run("completions bash").await.exits(0).stdout;
    let mut pages: BTreeSet<String> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let commands = commands().await;
    assert!(commands.len() >= 9, "{commands:?}");
    for (command, help) in commands {
        let name = [&["lagan".to_owned()], &command[..]].concat().join("-");
        let page = format!("{name}.1");
        assert!(pages.remove(&page), "no page for {name}");
        // A dash that is no hyphen is escaped in a page.
        let text = fs::read_to_string(place.path().join(&page))
            .unwrap()
            .replace("\\-", "-");
        assert!(text.contains(&format!("\n.TH {name} ")), "{text}");
        let case = format!(
            "{})",
            [&["lagan".to_owned()], &command[..]].concat().join("__subcmd__")
        );
        let mut offered = bash.lines().skip_while(|line| line.trim() != case);
        let offered = offered
            .find(|line| line.trim().starts_with("opts="))
            .unwrap_or_default();
        let offered: BTreeSet<&str> = offered.split(['"', ' ']).collect();
        let known = options(&help);
        assert!(known.contains("--help"), "{help}");
        for option in known {
            assert!(
                text.contains(&format!("{option}\\fR")),
                "{name} {option} in its page"
            );
            assert!(
                offered.contains(&*option),
                "{name} {option} in completions: {offered:?}"
            );
        }
        for below in listed(&help, "Commands:") {
            assert!(offered.contains(&*below), "{name} {below} in completions");
            assert!(
                text.contains(&format!("{name}-{below}(1)")),
                "{below} in the page of {name}"
            );
        }
    }
    assert!(pages.is_empty(), "pages of no command: {pages:?}");
}

#[tokio::test]
async fn man_prints_the_page_of_the_program_or_says_why_it_cannot_write_pages() {
    let page = run("man").await.exits(0).stdout;
    assert!(page.contains(".TH lagan 1") && page.contains("policy"), "{page}");
    let refused = run("man --dir missing/folder").await.exits(2).stderr;
    assert!(refused.contains("missing/folder"), "{refused}");
}
