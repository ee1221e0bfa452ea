//! `lagan demo`: the whole story, on a registry or a Harbor that this process runs itself.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::{fmt, fs};

use lagan_model::manifest::Content;
use lagan_model::{Digest, Reference, RegistryRead as _};
use lagan_registry::Connected;
use lagan_sandbox::{HarborOptions, Profile, Sandbox, SandboxOptions};
use lagan_state::Who;
use tokio::signal::unix::{SignalKind, signal};

use super::plan::Announcing;
use crate::cli::{
    ApplyArgs, Colour, ConnectArgs, DemoArgs, ExplainFormat, Format, Grouping, PlanArgs, SourceArgs, UndoArgs,
};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::running::Stopping;
use crate::settings;
use crate::sources::Source;

const REPOSITORIES: usize = 8;
const TAGS: usize = 60;
/// Where `config/quickstart.yaml` has the registry.
const QUICKSTART_PORT: u16 = 5005;
/// A commit on the digest of a release. The content is a function of the numbers above.
const EXPLAINED: &str = "identity/internal/catalogue-3:5f6e7af";

/// A prerelease that its rule would delete, and that has a label in Harbor.
const LABELLED: &str = "identity/internal/catalogue-3:v1.4.0-alpha.2";

pub(crate) fn run(colour: Colour, arguments: &DemoArgs) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new().prefix("lagan-demo-").tempdir()?;
    let config = folder.path().join("lagan.yaml");
    let state = folder.path().join("state");
    super::block_on(async {
        let mut options = SandboxOptions::default().corpus(REPOSITORIES, TAGS);
        let usual = if arguments.keep_running {
            QUICKSTART_PORT
        } else {
            0
        };
        options.port = arguments.port.unwrap_or(usual);
        let port = options.port;
        let options = match arguments.harbor {
            true => options.harbor(HarborOptions::default()),
            false => options.profile(Profile::Distribution28),
        };
        let sandbox = Sandbox::start(options).await.map_err(|error| {
            let context = format!("failed to start a registry on port {port} of this machine");
            Failure::new(Exit::Unexpected, anyhow::Error::new(error).context(context))
                .with_hint("`--port 0` takes any that is free")
        })?;
        let text = if arguments.harbor {
            label(&sandbox)?;
            let secret = folder.path().join("secret");
            fs::write(&secret, HarborOptions::PASSWORD)?;
            harbor_configuration(&sandbox.url(), &state, &secret)
        } else {
            configuration(&sandbox.url(), &state)
        };
        fs::write(&config, &text)?;
        let (what, explained) = match arguments.harbor {
            true => ("Harbor", LABELLED),
            false => ("registry", EXPLAINED),
        };
        say(&format!(
            "A {what} is up at {} (in this process, on loopback), with {REPOSITORIES} repositories of {TAGS} \
             tags.\nThis is the configuration that was written for it:\n",
            sandbox.url(),
        ))?;
        say(&text
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>())?;

        say("1. And this is what `lagan plan` reports, over HTTP, as it would for any registry:\n")?;
        // Not parsed: what the environment says of another registry is no part of the story.
        let source = || Source::read(Some(&config), &SourceArgs::default(), &[]);
        super::plan::run_source(
            source()?,
            None,
            &Announcing::default(),
            Vec::new(),
            colour,
            &plan(),
        )
        .await?;

        say(&format!(
            "\n2. Why does {} stay that its rule would delete? `lagan explain {explained}`:\n",
            if arguments.harbor {
                "a prerelease"
            } else {
                "a commit"
            }
        ))?;
        let (repository, tag) = super::explain::parse(explained)?;
        let mut out = Output::stdout();
        super::explain::run_source(
            source()?,
            None,
            None,
            (repository, tag),
            colour,
            ExplainFormat::Text,
            &mut out,
        )
        .await?;
        out.finish()?;

        let before = Fingerprint::of(&source()?).await?;
        say(&format!(
            "\nEverything that the registry serves now, every manifest byte for byte:\n\n    {before}\n\n\
             3. `lagan apply` deletes what the plan says, with every deletion on record before it happens:\n"
        ))?;
        super::apply::run_source(
            source()?,
            super::apply::Plan::Fresh(Vec::new()),
            &state,
            colour,
            &apply(),
            Stopping::BySignal,
        )
        .await?;

        let after = Fingerprint::of(&source()?).await?;
        say(&format!(
            "\n4. What is gone is gone: {} tags and {} manifests fewer are served.\n\n    {after}\n\n\
             5. `lagan undo last` brings it back:\n",
            before.tags - after.tags,
            before.manifests - after.manifests
        ))?;
        let parsed = settings::find_config(Some(&config))?.map(|(_, config)| config);
        let (stopping, who) = (Stopping::BySignal, Who::user());
        let exit =
            super::undo::run_target(parsed.as_ref(), &state, colour, &undo(), stopping, who, None).await?;

        let restored = Fingerprint::of(&source()?).await?;
        if restored != before {
            let message = format!("the registry is not as it was: {restored}");
            return Err(Failure::new(Exit::Unexpected, anyhow::Error::msg(message)));
        }
        say(&format!(
            "\n6. And the registry is as it was: every tag, digest, media type{} and manifest byte.\n\n    {restored}",
            if arguments.harbor {
                ", label, accessory"
            } else {
                ""
            }
        ))?;

        // The runs above listened, and nobody does now.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut out = Output::stdout();
        next_steps(&mut out, arguments.keep_running, &config)?;
        out.finish()?;
        if arguments.keep_running {
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted?,
                _ = terminate.recv() => {}
            }
        }
        sandbox.shutdown().await?;
        Ok(exit)
    })
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = Output::stdout();
    writeln!(out, "{text}")?;
    Ok(out.finish()?)
}

fn plan() -> PlanArgs {
    PlanArgs {
        repositories: Vec::new(),
        source: SourceArgs::default(),
        format: Format::Text,
        out: None,
        also: Vec::new(),
        save: None,
        compare: None,
        compare_with: None,
        group_by: Grouping::Repository,
        all: false,
        exact: false,
        bytes: false,
        detailed_exitcode: false,
    }
}

fn apply() -> ApplyArgs {
    ApplyArgs {
        repositories: Vec::new(),
        source: SourceArgs::default(),
        yes: true,
        override_limit: Vec::new(),
        collect_garbage: None,
        collect_untagged: false,
        format: Format::Text,
        out: None,
        also: Vec::new(),
    }
}

fn undo() -> UndoArgs {
    UndoArgs {
        target: Some("last".to_owned()),
        since: None,
        repository: None,
        connect: ConnectArgs::default(),
        dry_run: false,
        overwrite_moved_tags: false,
        wait: false,
        yes: true,
        format: Format::Text,
        out: None,
        also: Vec::new(),
    }
}

/// Everything that a registry serves, in one digest. Bytes are in it by their digests, which the client verifies.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    tags: usize,
    manifests: usize,
    digest: Digest,
}

impl Fingerprint {
    async fn of(source: &Source) -> Result<Self, Failure> {
        let registry = Connected::connect(source.registry.clone(), source.kind).await?;
        let mut tags = 0;
        let mut tagged = BTreeSet::new();
        let mut manifests = BTreeSet::new();
        for repository in registry.list_repositories().await? {
            let mut work: Vec<Reference> = registry
                .list_tags(&repository)
                .await?
                .into_iter()
                .map(Reference::Tag)
                .collect();
            while let Some(reference) = work.pop() {
                let manifest = registry.manifest(&repository, &reference).await?;
                let (digest, media_type) = (manifest.digest(), manifest.media_type());
                if let Reference::Tag(tag) = &reference {
                    tags += 1;
                    tagged.insert(format!("{repository}:{tag} {digest}\n"));
                }
                if !manifests.insert(format!("{repository}@{digest} {media_type}\n")) {
                    continue;
                }
                let digests = BTreeSet::from([digest.clone()]);
                let records = registry.records(&repository, &digests).await?;
                for (_, record) in records.into_iter().flatten() {
                    let Some(record) = record else { continue };
                    for label in record.kept_labels {
                        tagged.insert(format!(
                            "{repository}@{digest} {:?} {}\n",
                            label.scope, label.name
                        ));
                    }
                    for accessory in record.accessories {
                        tagged.insert(format!(
                            "{repository}@{digest} {} {}\n",
                            accessory.kind, accessory.digest
                        ));
                        work.push(Reference::Digest(accessory.digest));
                    }
                }
                if let Content::Index { manifests: children } = manifest.content() {
                    work.extend(
                        children
                            .iter()
                            .map(|child| Reference::Digest(child.digest.clone())),
                    );
                }
            }
        }
        let text: String = tagged.iter().chain(&manifests).map(String::as_str).collect();
        Ok(Self {
            tags,
            manifests: manifests.len(),
            digest: Digest::of(text.as_bytes()),
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tags, {} manifests, {}",
            self.tags, self.manifests, self.digest
        )
    }
}

fn configuration(url: &str, state: &Path) -> String {
    let state = state.display();
    format!(
        "state_dir: {state}
registries:
  demo:
    url: {url}
policies:
  cleanup:
    repositories: [\"**\"]
    mode: enforce
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

/// Somebody marked a prerelease in Harbor as one to keep.
fn label(sandbox: &Sandbox) -> Result<(), Failure> {
    let harbor = sandbox.harbor();
    let (repository, tag) = super::explain::parse(LABELLED)?;
    let project = repository
        .as_str()
        .split('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let label = harbor.label(Some(&project), "keep");
    harbor.put_label(repository.as_str(), tag.as_str(), label);
    Ok(())
}

fn harbor_configuration(url: &str, state: &Path, secret: &Path) -> String {
    let (state, secret) = (state.display(), secret.display());
    let user = HarborOptions::ADMIN;
    format!(
        "state_dir: {state}
registries:
  demo:
    url: {url}
    kind: harbor
    credentials: {{username: {user}, password_file: {secret}}}
policies:
  cleanup:
    repositories: [\"**\"]
    mode: enforce
    rules:
      - name: three prereleases
        select: {{channel: [prerelease]}}
        keep: {{last: 3, by: version}}
      - name: five commits
        select: {{channel: [commit]}}
        keep: {{last: 5, by: pushed}}
    protect: [\"prod\", \"staging\", {{labels: {{keep: \"*\"}}}}]
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
    lagan --config {config} plan --format html --out report.html
    lagan --config {config} plan 'payments/*' --bytes
    lagan --config {config} plan --select 'tags=*' --keep last=5,by=created
    lagan --config {config} apply --yes 'payments/*' --select channel=stable --keep last=3,by=version
    lagan --config {config} undo last
    lagan --config {config} journal list
    lagan --config {config} check\n
Or have a daemon look after it, in a checkout of Lagan; its head says how to begin:\n
    lagan daemon --config config/quickstart.yaml"
        )?;
    } else {
        writeln!(
            out,
            "\nTo try other commands on this registry, leave it up:\n
    lagan demo --keep-running\n
On a registry of your own, this needs no configuration:\n
    lagan plan --registry http://localhost:5000 --select channel=prerelease --keep last=10,by=version\n
and writes a report for browsers with `--format html --out report.html`."
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickstart_looks_for_the_registry_where_it_is() {
        let text = include_str!("../../../../config/quickstart.yaml");
        let url = format!("url: http://127.0.0.1:{QUICKSTART_PORT}\n");
        assert!(text.contains(&url), "{text}");
    }
}
