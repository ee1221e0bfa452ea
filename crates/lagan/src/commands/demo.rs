//! `lagan demo`: the whole story, on a registry that this process runs itself.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use lagan_sandbox::{Profile, Sandbox, SandboxOptions};

use crate::cli::{Colour, DemoArgs, ExplainFormat, Format, Grouping, PlanArgs, SourceArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::sources::Source;

const REPOSITORIES: usize = 8;
const TAGS: usize = 60;
/// A commit on the digest of a release. The content is a function of the numbers above.
const EXPLAINED: &str = "identity/internal/catalogue-3:5f6e7af";

pub(crate) fn run(colour: Colour, arguments: &DemoArgs) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new().prefix("lagan-demo-").tempdir()?;
    let config = folder.path().join("lagan.yaml");
    super::block_on(async {
        let options = SandboxOptions::default()
            .profile(Profile::Distribution28)
            .corpus(REPOSITORIES, TAGS);
        let sandbox = Sandbox::start(options)
            .await
            .map_err(|error| Failure::new(Exit::Unexpected, error))?;
        fs::write(&config, configuration(&sandbox.url()))?;
        let mut out = Output::stdout();
        writeln!(
            out,
            "A registry is up at {} (in this process, on loopback), with {REPOSITORIES} repositories of {TAGS} \
             tags.\nThis is the configuration that was written for it:\n",
            sandbox.url(),
        )?;
        for line in configuration(&sandbox.url()).lines() {
            writeln!(out, "    {line}")?;
        }
        writeln!(
            out,
            "\nAnd this is what `lagan plan` reports, over HTTP, as it would for any registry:\n"
        )?;
        out.finish()?;

        // Not parsed: what the environment says of another registry is no part of the story.
        let plan = PlanArgs {
            repositories: Vec::new(),
            source: SourceArgs::default(),
            format: Format::Text,
            out: None,
            save: None,
            compare: None,
            group_by: Grouping::Repository,
            all: false,
            exact: false,
            bytes: false,
            detailed_exitcode: false,
        };
        let source = Source::read(Some(&config), &plan.source, &[])?;
        let exit = super::plan::run_source(source, None, Vec::new(), colour, &plan).await?;

        let mut out = Output::stdout();
        writeln!(
            out,
            "\nWhy does a commit stay that its rule would delete? `lagan explain {EXPLAINED}`:\n"
        )?;
        out.finish()?;
        let source = Source::read(Some(&config), &plan.source, &[])?;
        let (repository, tag) = super::explain::parse(EXPLAINED)?;
        super::explain::run_source(source, None, repository, tag, colour, ExplainFormat::Text).await?;

        let mut out = Output::stdout();
        next_steps(&mut out, arguments.keep_running, &config)?;
        out.finish()?;
        if arguments.keep_running {
            tokio::signal::ctrl_c().await?;
        }
        sandbox.shutdown().await?;
        Ok(exit)
    })
}

fn configuration(url: &str) -> String {
    format!(
        "registries:
  demo:
    url: {url}
policies:
  cleanup:
    repositories: [\"**\"]
    rules:
      - name: three prereleases
        select: {{channel: [prerelease]}}
        keep: {{last: 3, by: version}}
      - name: five commits
        select: {{channel: [commit]}}
        keep: {{last: 5, by: created}}
    protect: [\"prod\", \"staging\"]
"
    )
}

fn next_steps(out: &mut Output, running: bool, config: &Path) -> Result<(), Failure> {
    let config = config.display();
    if running {
        writeln!(
            out,
            "\nThe registry stays up until Ctrl-C. In another terminal, try:\n
    lagan --config {config} plan --all --format json
    lagan --config {config} plan 'payments/*' --bytes
    lagan --config {config} plan --select 'tags=*' --keep last=5,by=created
    lagan --config {config} check"
        )?;
    } else {
        writeln!(
            out,
            "\nNothing was deleted. To try other commands on this registry, leave it up:\n
    lagan demo --keep-running\n
On a registry of your own, this needs no configuration:\n
    lagan plan --registry http://localhost:5000 --select channel=prerelease --keep last=10,by=version"
        )?;
    }
    Ok(())
}
