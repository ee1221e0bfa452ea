//! The HTML report in a browser: its script filters, and the browser has nothing to complain about.
//!
//! Only where Chromium is installed.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "reports start no process and write no file; a browser and its page do"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lagan_model::{Digest, RegistryIdentity, RegistryKind, RequestCounts};
use lagan_policy::reason::RuleName;
use lagan_policy::{Action, Kept, Mode, Reason, RepositoryPlan, Totals, Undo};
use lagan_report::{PlanFoot, PlanFormat, PlanHead, PlanOptions, PolicyNote};

const HOSTILE: &str =
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

fn repository(name: &str, tags: u8) -> RepositoryPlan {
    let rule = RuleName {
        policy: "prereleases".into(),
        rule: HOSTILE.into(),
    };
    let mut plan = RepositoryPlan::untagged(name.parse().unwrap(), vec!["prereleases".into()]);
    plan.tags_total = 2 * u64::from(tags);
    plan.actions = (0..tags)
        .map(|number| Action::Delete {
            digest: Digest::from_sha256([number; 32]),
            tags: vec![format!("1.0.0-rc.{number}").parse().unwrap()],
            media_type: None,
            size: None,
            children: Vec::new(),
            attachments: Vec::new(),
            undo: Undo::until_collection(),
            reasons: vec![Reason::KeepNone { rule: rule.clone() }],
        })
        .collect();
    plan.kept = (0..tags)
        .map(|number| Kept {
            tag: format!("1.0.{number}").parse().unwrap(),
            digest: None,
            reasons: vec![Reason::NotSelected],
        })
        .collect();
    plan
}

fn report() -> PathBuf {
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let head = PlanHead {
        id: "01KAJ3E5Z0000000000000000A".to_owned(),
        created: now,
        now,
        registry: RegistryIdentity {
            name: "harbor".parse().unwrap(),
            url: HOSTILE.to_owned(),
            kind: RegistryKind::Oci,
        },
        policies: vec![PolicyNote {
            name: "prereleases".into(),
            sha256: "5a".repeat(32),
            mode: Mode::DryRun,
        }],
        clocks: Vec::new(),
        guards: Vec::new(),
        capabilities: lagan_model::Capabilities::default(),
        probed: false,
        pass: None,
    };
    let mut writer = PlanFormat::Html.writer(PlanOptions {
        all: true,
        colour: false,
    });
    let mut totals = Totals::new(false);
    let mut body = Vec::new();
    // One with more rows than a part of a table has.
    for plan in [repository("team/app", 200), repository("team/web", 12)] {
        totals.add(&plan);
        writer.repository(&mut body, &plan).unwrap();
    }
    let foot = PlanFoot {
        totals,
        requests: RequestCounts::from_iter([]),
    };
    let mut out = Vec::new();
    writer.head(&mut out, &head, &foot).unwrap();
    out.extend(body);
    writer.foot(&mut out, &head, &foot).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html");
    fs::write(&path, out).unwrap();
    path
}

/// The page as it is once its script has run.
fn open(report: &Path, filter: &str) -> Output {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chromium");
    Command::new("timeout")
        .args(["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu"])
        .args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args([
            "--disable-quic",
            "--disable-sync",
            "--enable-logging=stderr",
            "--virtual-time-budget=4000",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}{filter}", report.display()))
        .output()
        .unwrap()
}

#[test]
fn the_script_filters_by_text_repository_and_verdict_and_nothing_else_runs() {
    if Command::new("chromium").arg("--version").output().is_err() {
        eprintln!("skipped: chromium is not installed");
        return;
    }
    let report = report();
    for (filter, expected) in [
        ("#?", "424 rows in 2 repositories"),
        ("#?text=rc.11", "12 rows in 2 repositories"),
        ("#?text=rc.11&repository=web", "1 row in 1 repository"),
        (
            "#?text=team%2Fweb+no+rule&verdict=keep",
            "12 rows in 1 repository",
        ),
        ("#?text=nothing-like-it", "0 rows in 0 repositories"),
    ] {
        let Output { stdout, stderr, .. } = open(&report, filter);
        let (page, log) = (
            String::from_utf8(stdout).unwrap(),
            String::from_utf8_lossy(&stderr),
        );
        assert!(
            page.contains(&format!("<output role=\"status\">{expected}</output>")),
            "{filter}: {log}"
        );
        assert!(
            page.contains("<title>Retention plan of harbor"),
            "a script from outside ran"
        );
        assert!(!log.contains("CONSOLE"), "the browser complains: {log}");
    }
}
