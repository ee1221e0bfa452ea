//! How long a browser takes to open the HTML report of a large plan, and to filter it.
//!
//!     cargo bench -p lagan --bench html               100,000 decisions
//!     cargo bench -p lagan --bench html -- 20000      another number
//!
//! A copy of the report is served on loopback with a script in it that uses the page as a reader would, and sends
//! back what that took. Headless Chromium must be installed; there is no network. It fails where a bar of
//! `BARS` is missed.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark prints, and fails loudly"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lagan_model::{Digest, MediaType, RegistryIdentity, RegistryKind, RequestCounts, RequestKind};
use lagan_policy::reason::RuleName;
use lagan_policy::{Action, Clock, Kept, Mode, Order, Reason, RepositoryPlan, Totals, Undo};
use lagan_report::{PlanFoot, PlanFormat, PlanHead, PlanOptions, PolicyNote};

/// In the page before anything else: what blocks from the start.
const OBSERVE: &str = include_str!("observe.js");
/// In the page behind everything else.
const DRIVE: &str = include_str!("drive.js");

/// What must hold, in milliseconds, with 100,000 decisions on two cores: something is read at once, and nothing makes
/// a reader think that the page froze. Wide enough for a machine that does something else as well.
const BARS: &[(&str, f64)] = &[
    ("load: first paint", 3_000.0),
    ("load: whole", 20_000.0),
    ("filter: longest block", 1_000.0),
    ("filter: slowest answer", 8_000.0),
];

/// Longer than any run should take.
const LONGEST: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    // `cargo test --benches` and `cargo bench` pass flags of the usual harness.
    let decisions = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(100_000);
    if Command::new("chromium").arg("--version").output().is_err() {
        eprintln!("skipped: chromium is not installed");
        return ExitCode::SUCCESS;
    }
    let started = Instant::now();
    let report = report(decisions);
    println!(
        "{decisions} decisions: {:.1} MB of HTML, written in {:.0} ms",
        report.len() as f64 / 1e6,
        started.elapsed().as_secs_f64() * 1e3
    );
    let page = with_scripts(&report);
    let figures = measure(&page);
    println!("\n| | ms | bar |\n|---|---|---|");
    let mut missed = false;
    for (name, figure) in &figures {
        let bar = BARS.iter().find(|(bar, _)| bar == name);
        missed |= bar.is_some_and(|(_, bar)| decisions == 100_000 && figure > bar);
        let bar = bar.map_or(String::new(), |(_, bar)| bar.to_string());
        println!("| {name} | {figure:.0} | {bar} |");
    }
    for (bar, _) in BARS {
        assert!(figures.contains_key(*bar), "{bar} was not measured");
    }
    if missed {
        eprintln!("a bar was missed");
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// One large repository, a fifth of all; the rest in repositories of two hundred tags.
fn report(decisions: usize) -> String {
    let mut writer = PlanFormat::Html.writer(PlanOptions {
        all: true,
        ..PlanOptions::default()
    });
    let mut totals = Totals::new(false);
    let mut body = Vec::new();
    let mut left = decisions;
    let mut number = 0;
    while left > 0 {
        let tags = if number == 0 { decisions / 5 } else { 200.min(left) };
        let plan = repository(number, tags.max(1));
        totals.add(&plan);
        writer.repository(&mut body, &plan).unwrap();
        left -= tags.max(1).min(left);
        number += 1;
    }
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let head = PlanHead {
        id: "01KAJ3E5Z0000000000000000A".to_owned(),
        created: now,
        now,
        registry: RegistryIdentity {
            name: "harbor".parse().unwrap(),
            url: "https://harbor.example.com".to_owned(),
            kind: RegistryKind::Oci,
        },
        policies: vec![PolicyNote {
            name: "tidy".into(),
            sha256: "5a".repeat(32),
            mode: Mode::DryRun,
        }],
        clocks: Vec::new(),
        guards: Vec::new(),
        capabilities: lagan_model::Capabilities::default(),
        probed: false,
        pass: None,
    };
    let foot = PlanFoot {
        totals,
        requests: RequestCounts::from_iter([(RequestKind::Manifest, decisions as u64)]),
    };
    let mut out = Vec::new();
    writer.head(&mut out, &head, &foot).unwrap();
    out.extend(body);
    writer.foot(&mut out, &head, &foot).unwrap();
    String::from_utf8(out).unwrap()
}

/// Half its tags go, for two reasons each, and half stay.
fn repository(number: usize, tags: usize) -> RepositoryPlan {
    let name = format!("team-{}/service-{number}", number % 17);
    let mut plan = RepositoryPlan::untagged(name.parse().unwrap(), vec!["tidy".into()]);
    plan.tags_total = tags as u64;
    for tag in 0..tags {
        let rule = RuleName {
            policy: "tidy".into(),
            rule: if tag % 3 == 0 { "prereleases" } else { "commits" }.into(),
        };
        let digest = Digest::of(format!("{number}/{tag}").as_bytes());
        let (rank, of) = (u32::try_from(tag + 1).unwrap(), u32::try_from(tags).unwrap());
        if tag * 2 < tags {
            plan.kept.push(Kept {
                tag: format!("1.{tag}.0").parse().unwrap(),
                digest: Some(digest),
                reasons: vec![Reason::Rank {
                    rule,
                    rank,
                    of,
                    last: of,
                    by: Order::Version,
                    group: None,
                }],
            });
            continue;
        }
        let beyond = Reason::BeyondLast {
            rule: rule.clone(),
            rank,
            of,
            last: of / 2,
            by: Order::Version,
            group: None,
        };
        let older = Reason::OlderThan {
            rule,
            clock: Clock::Created,
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            age: "30d".parse().unwrap(),
        };
        plan.actions.push(Action::Delete {
            digest,
            tags: vec![format!("1.{tag}.0-rc.{}", tag % 10).parse().unwrap()],
            media_type: Some(MediaType::OCI_MANIFEST),
            size: Some(1234),
            children: Vec::new(),
            attachments: Vec::new(),
            undo: Undo::until_collection(),
            reasons: vec![beyond, older],
        });
    }
    plan
}

/// The report as it is, but for the policy that would not let another script run.
fn with_scripts(report: &str) -> String {
    let start = report
        .find("<meta http-equiv=\"Content-Security-Policy\"")
        .unwrap();
    let end = start + report[start..].find('>').unwrap() + 1;
    let (head, rest) = (&report[..start], &report[end..]);
    let rest = rest.replacen("</body>", &format!("<script>{DRIVE}</script></body>"), 1);
    format!("{head}<script>{OBSERVE}</script>{rest}")
}

/// Ends the browser, whatever happens.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn measure(page: &str) -> BTreeMap<String, f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let child = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
        .args(["--no-first-run", "--disable-background-networking"])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--remote-debugging-port=0")
        .arg(format!("http://{}/", listener.local_addr().unwrap()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _browser = Browser(child);
    let started = Instant::now();
    while started.elapsed() < LONGEST {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                if let Some(figures) = answer(stream, page) {
                    return serde_json::from_str(&figures).expect("figures are numbers");
                }
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    panic!("the page did not report within {LONGEST:?}");
}

/// Answers one request; gives what the page reported.
fn answer(stream: TcpStream, page: &str) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let reported = if request.starts_with("POST /figures ") {
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(String::from_utf8(body).ok()?)
    } else {
        None
    };
    let (status, body) = if request.starts_with("GET / ") {
        ("200 OK", page)
    } else {
        ("204 No Content", "")
    };
    let mut stream = reader.into_inner();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()))
        .ok()?;
    reported
}
