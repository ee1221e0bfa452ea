//! Other tools on the same question, "keep the last 10 tags of every repository", a dry run.
//!
//! What can be had from Debian is run beside the binary. The others are quoted from a survey of the same question, whose
//! registry was the same and whose machine was not: only their ratio to a bare client there can be compared.

use std::process::Command;

use anyhow::{Result, ensure};
use lagan_sandbox::{Corpus, CorpusOptions};

use crate::bars::Bars;
use crate::jobs::{self, by_version};
use crate::machine;
use crate::process;
use crate::registry::{Kind, Registry};
use crate::table::{Line, figures, paired};

pub(crate) const TITLE: &str = "peers";

const REPOSITORIES: usize = 20;
const TAGS: usize = 50;

/// What people write: list the tags, and look at each.
const SCRIPT: &str = r#"
set -eu
for repository in $(curl -fsS "http://$HOST/v2/_catalog?n=1000" | tr ',' '\n' | sed -n 's/.*"\([a-z0-9][a-z0-9._\/-]*\)".*/\1/p' | grep -vx repositories); do
  skopeo list-tags --tls-verify=false "docker://$HOST/$repository" | sed -n 's/^ *"\([^"]*\)",\{0,1\}$/\1/p' |
    while read -r tag; do
      skopeo inspect --raw --tls-verify=false "docker://$HOST/$repository:$tag" >/dev/null
      echo "$repository:$tag"
    done
done
"#;

/// Tool, seconds on 200 x 100 (or what they come to for all of it), what it would really have done. The bare client of
/// that survey took [`SURVEYED_BARE`] seconds for one request a tag.
const SURVEYED: [(&str, f64, &str); 4] = [
    ("docker-registry-pruner", 16.0, "OCI skipped; 52 kept tags lost"),
    ("purger", 46.0, "deletes nothing, says that it does"),
    ("regbot", 80.0, "every signature deleted, images kept"),
    ("deckschrubber", 90.0, "149 multi-arch tags broken; skips OCI"),
];
const SURVEYED_BARE: f64 = 8.4;

pub(crate) fn print(kind: Kind, to_bare: Option<f64>, bars: &mut Bars) -> Result<()> {
    println!("## {TITLE}: keep the last 10 tags of every repository\n");
    machine::print_load()?;
    rerun(kind, bars)?;
    println!("Not run here, but quoted from a survey on 200 x 100, as time over that of a");
    println!("bare client sending one request a tag to the same registry:\n");
    println!("| tool that reads digests | time / bare | what it would really have done |\n|---|---|---|");
    for (tool, seconds, did) in SURVEYED {
        println!("| {tool} | {:.1} | {did} |", seconds / SURVEYED_BARE);
    }
    match to_bare {
        Some(ratio) => {
            println!(
                "| lagan, in this run | {ratio:.2} | shared digests, children, attachments protected |\n"
            );
            let fastest = SURVEYED.iter().min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((tool, seconds, _)) = fastest {
                let what = format!("{TITLE}: time over the bare client's, against {tool}'s");
                bars.at_most(what, ratio, seconds / SURVEYED_BARE, "");
            }
        }
        None => println!(
            "\nlagan's own ratio is that of \"{}\", which this run left out\n",
            jobs::BY_VERSION
        ),
    }
    Ok(())
}

fn rerun(kind: Kind, bars: &mut Bars) -> Result<()> {
    let installed = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !installed("skopeo") || !installed("curl") {
        println!("skopeo or curl is not installed (apt-get install skopeo curl): not run beside it\n");
        return Ok(());
    }
    let corpus = Corpus::new(CorpusOptions {
        repositories: REPOSITORIES,
        tags: TAGS,
        ..CorpusOptions::default()
    });
    let (registry, _) = Registry::start(kind, &corpus)?;
    let (report, ours) = jobs::run(by_version()?, &registry)?;
    let host = registry.url().trim_start_matches("http://");
    let finished = process::measure(Command::new("sh").args(["-c", SCRIPT]).env("HOST", host))?;
    ensure!(finished.code == Some(0), "the script failed: {}", finished.stderr);
    let seen = finished
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    ensure!(
        seen as u64 == report.tags,
        "the script saw {seen} tags of {}",
        report.tags
    );
    let theirs = Line {
        connections: 1,
        wall: finished.wall.as_secs_f64(),
        cpu: finished.cpu,
        registry_cpu: 0.0,
        resident_mb: Some(finished.resident_mb),
    };
    println!(
        "{REPOSITORIES} repositories x {TAGS} tags, one run each, the registry of this run (MB of a shell are its own)\n"
    );
    println!("| client | wall s | CPU s | MB |\n|---|---|---|---|");
    let (ours, theirs) = ([ours], [theirs]);
    println!("| lagan | {} |", figures(&ours));
    println!("| shell and skopeo, manifests only | {} |\n", figures(&theirs));
    let what = format!("{TITLE}: time over that of a shell loop over skopeo");
    bars.at_most(what, paired(&ours, &theirs), 1.0, "");
    Ok(())
}
