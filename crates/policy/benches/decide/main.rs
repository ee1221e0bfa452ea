//! What decisions cost when every fact is there: no registry, one core.
//!
//! `cargo bench -p lagan-policy -- --help` lists the options; `benches/README.md` has figures.
#![expect(clippy::print_stdout, reason = "a table is what a benchmark is for")]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads clocks, and says where it ran"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod cases;
mod place;
mod population;

use std::alloc::System;
use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cap::Cap;
use lagan_model::{Capabilities, Capability, RepositorySnapshot};
use lagan_policy::{Context, Decisions, Depth, RepositoryPlan, RepositoryPolicies, Step, decide};

use crate::cases::Case;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// What is held to: decisions a second at [`AT_TAGS`] tags a repository.
const BAR: f64 = 2e6;
const AT_TAGS: usize = 10_000;

/// At least so long is measured, in rounds of one repository.
const MEASURED: Duration = Duration::from_millis(600);

const HELP: &str = "\
cargo bench -p lagan-policy -- [--only TEXT] [--tags N,N,...] [--check]

  --only TEXT   only cases whose title contains it
  --tags N,...  the sizes of the repository; 1000,10000,100000,1000000 unless given
  --check       end with 1 where the bar is missed";

struct Arguments {
    only: String,
    tags: Vec<usize>,
    check: bool,
}

/// `None` where help is wanted.
fn arguments() -> Option<Arguments> {
    let mut read = Arguments {
        only: String::new(),
        tags: vec![1_000, AT_TAGS, 100_000, 1_000_000],
        check: false,
    };
    let mut given = env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--only" => read.only = given.next()?,
            "--tags" => {
                let sizes: Result<_, _> = given.next()?.split(',').map(str::parse).collect();
                read.tags = sizes.ok()?;
            }
            "--check" => read.check = true,
            // Given by cargo.
            "--bench" => {}
            _ => return None,
        }
    }
    Some(read)
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        println!("{HELP}");
        return ExitCode::from(2);
    };
    place::print();
    println!(
        "| case | tags | deleted | ns a decision | million a second | with the plan | bytes a tag: facts | decisions |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut at_bar = Vec::new();
    for case in cases::all() {
        for tags in arguments
            .tags
            .iter()
            .filter(|_| case.title.contains(&arguments.only))
        {
            let rate = measure(&case, *tags);
            if *tags == AT_TAGS {
                at_bar.push((case.title, rate));
            }
        }
    }
    let missed: Vec<String> = at_bar
        .iter()
        .filter(|(_, rate)| *rate < BAR)
        .map(|(title, rate)| format!("{title} ({:.2} million)", rate / 1e6))
        .collect();
    if !at_bar.is_empty() {
        let verdict = if missed.is_empty() { "held" } else { "missed: " };
        println!(
            "\nat least {:.0} million decisions a second at {AT_TAGS} tags: {verdict}{}",
            BAR / 1e6,
            missed.join(", ")
        );
    }
    ExitCode::from(u8::from(arguments.check && !missed.is_empty()))
}

/// One case at one size; says how many decisions a second there are.
fn measure(case: &Case, tags: usize) -> f64 {
    let before = MEMORY.allocated();
    let snapshot = population::repository(tags);
    let facts = MEMORY.allocated() - before;
    let policies = case.policies();

    let before = MEMORY.allocated();
    let decisions = decided(&policies, &snapshot);
    let held = MEMORY.allocated() - before;
    let kept = |decision: &&lagan_policy::Decision| decision.verdict == lagan_policy::Verdict::Keep;
    let deleted = tags - decisions.tags.iter().filter(kept).count();
    assert!(decisions.tags.len() == tags && decisions.graph().is_some() && deleted > 0);
    drop(decisions);

    let decide = rate(tags, || {
        black_box(decided(&policies, &snapshot));
    });
    let plan = rate(tags, || {
        let decisions = decided(&policies, &snapshot);
        let known = snapshot.complete().unwrap();
        black_box(RepositoryPlan::new(Vec::new(), known, &decisions, Depth::Enough));
    });
    println!(
        "| {} | {tags} | {deleted} | {:.0} | {:.2} | {:.2} | {} | {} |",
        case.title,
        1e9 / decide,
        decide / 1e6,
        plan / 1e6,
        facts / tags,
        held / tags,
    );
    decide
}

/// How many tags a second of processor time: the mean of all rounds, of three at least.
fn rate(tags: usize, mut round: impl FnMut()) -> f64 {
    let (start, before) = (Instant::now(), place::processor_time());
    let mut rounds = 0;
    while rounds < 3 || start.elapsed() < MEASURED {
        round();
        rounds += 1;
    }
    count(tags * rounds) / (place::processor_time() - before).as_secs_f64()
}

fn decided(policies: &RepositoryPolicies<'_>, snapshot: &RepositorySnapshot) -> Box<Decisions> {
    let context = Context {
        now: population::now(),
        capabilities: Capabilities {
            referrers: Capability::NotOffered,
            delete_tag: Capability::NotOffered,
            ..Capabilities::default()
        },
        depth: Depth::Enough,
    };
    match decide(policies, snapshot.complete().unwrap(), &context) {
        Step::Decided(decisions) => decisions,
        Step::Missing(needs) => panic!("the population lacks {needs:?}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of tags")]
fn count(tags: usize) -> f64 {
    tags as f64
}
