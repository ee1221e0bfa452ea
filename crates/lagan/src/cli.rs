//! The command line. Others script against it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use lagan_model::RepositoryName;
use lagan_policy::{Age, LimitOverride};

/// Registry retention that shows why, and can be undone.
///
/// Lagan reads a container registry and a policy, and reports which tags the policy would delete, which it keeps,
/// and why. `apply` deletes what was approved, with every deletion on record before it happens; `undo` brings it back.
/// Everything else only reads, unless `--probe` asks the registry what it can delete.
#[derive(Debug, Parser)]
#[command(name = "lagan", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The configuration; else ./lagan.yaml, /etc/lagan/lagan.yaml
    #[arg(long, global = true, value_name = "FILE", env = "LAGAN_CONFIG")]
    pub config: Option<PathBuf>,

    /// The state directory, which holds the journal of deletions; else `state_dir` of the configuration,
    /// $XDG_STATE_HOME/lagan, ~/.local/state/lagan
    #[arg(long, global = true, value_name = "DIRECTORY", env = "LAGAN_STATE_DIR")]
    pub state_dir: Option<PathBuf>,

    /// Whether output is coloured; NO_COLOR and pipes are honoured by `auto`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Report what a policy would delete, what it keeps, and why. Deletes nothing
    Plan(PlanArgs),
    /// Delete what a policy says, every deletion on record before it happens; `undo` brings it back
    Apply(ApplyArgs),
    /// Put back what was deleted, byte for byte
    Undo(UndoArgs),
    /// Run policies when their `schedule` says so, each in its mode. SIGTERM finishes the artifact in hand, SIGHUP
    /// reads the configuration again
    Daemon(DaemonArgs),
    /// Let nothing be deleted by `apply` and the daemon, until a time or until `resume`. Plans are made, undo works
    Pause(PauseArgs),
    /// End a pause
    Resume,
    /// How far policies with a `rollout` have come; having one begin anew
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Tell why one tag is kept or deleted: every rule, rank, clock and relation
    Explain(ExplainArgs),
    /// Check a configuration and its policies, without a network
    Check(CheckArgs),
    /// Look whether a registry is ready: name, TLS, account, permissions, collections, rules that overlap
    Doctor(DoctorArgs),
    /// The journal of deletions: what was deleted, when, why; moving it, checking it
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Work on policies, without a network but where one is to be converted from a Harbor
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The whole story on a registry of our own: no set-up, no network
    Demo(DemoArgs),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write a page for each command
    Man {
        /// A folder to write the pages of all commands to, instead of printing the first
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// Which registry, and how it is reached.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConnectArgs {
    /// A registry of the configuration by name, or any by URL (http://localhost:5000)
    #[arg(long, value_name = "NAME|URL", env = "LAGAN_REGISTRY")]
    pub registry: Option<String>,

    /// Who asks the registry; goes before the credentials of the configuration
    #[arg(long, value_name = "NAME", env = "LAGAN_USERNAME", requires = "password_file")]
    pub username: Option<String>,

    /// The file that holds the password
    #[arg(long, value_name = "FILE", env = "LAGAN_PASSWORD_FILE", requires = "username")]
    pub password_file: Option<PathBuf>,

    /// A PEM file of certificates to trust besides the system's; goes before that of the configuration
    #[arg(long, value_name = "FILE", env = "LAGAN_CA_FILE")]
    pub ca_file: Option<PathBuf>,

    /// A token service, as `https://auth.example.com`, that may have the password although it is neither at the
    /// registry's own host nor at the domain that it is in, nor Docker Hub's. Repeatable; adds to those of the
    /// configuration
    #[arg(long, value_name = "ORIGIN")]
    pub token_realm: Vec<String>,

    /// How long the run may take, such as 30min or 6h; what is not read by then is reported as incomplete. Goes
    /// before that of the configuration [default: 24h]
    #[arg(long, value_name = "TIME", env = "LAGAN_DEADLINE")]
    pub deadline: Option<Age>,
}

/// Which registry, and which policies.
#[derive(Debug, Default, Args)]
pub(crate) struct SourceArgs {
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// Policies of the configuration that make candidates; the others only keep. Repeatable
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<String>,

    /// A policy in a file of its own; the configuration's policies only keep then
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "select"], env = "LAGAN_POLICY_FILE")]
    pub policy_file: Option<PathBuf>,

    /// One condition of a policy in one line: channel=prerelease, tags=*-rc.*, exclude=GLOB, regex=RE,
    /// version=>=1.0.0, label=KEY=VALUE, artifact_type=GLOB, superseded=true, untagged=true ... (docs/policy.md).
    /// Repeatable, all must hold
    #[arg(long, value_name = "KEY=VALUE", requires = "keep", conflicts_with = "policy")]
    pub select: Vec<String>,

    /// What that policy keeps: last=10,by=version[,per=variant], within=created:30d,
    /// daily=7,by=created[,timezone=Europe/Berlin], unless_older_than=created:180d, all, none. Repeatable, any keeps
    #[arg(long, value_name = "WHAT", requires = "select")]
    pub keep: Vec<String>,

    /// What that policy protects: a glob over tags, or regex=RE, channel=NAME, label=KEY=VALUE,
    /// signed=true. Repeatable
    #[arg(long, value_name = "PATTERN", requires = "select")]
    pub protect: Vec<String>,

    /// Let that policy's rule keep nothing
    #[arg(long, requires = "select")]
    pub allow_empty_repository: bool,

    /// A file that names the registry's repositories, one a line, in the place of its catalog; goes before
    /// `repositories_file` of the configuration
    #[arg(long, value_name = "FILE", env = "LAGAN_REPOSITORIES_FROM")]
    pub repositories_from: Option<PathBuf>,

    /// Ask the registry what it can delete, by one DELETE of a digest and one of a tag that do not exist, where a
    /// decision depends on it. Otherwise only GET and HEAD are sent
    #[arg(long)]
    pub probe: bool,

    /// So many requests at a time, whatever the registry does. For measurements
    #[arg(long, value_name = "REQUESTS", hide = true)]
    pub fixed_concurrency: Option<NonZeroUsize>,

    /// Decide as of another time (RFC 3339), such as 2026-11-20T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub now: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Only repositories that one of these globs matches: `*` stays within a path segment, `**` does not
    #[arg(value_name = "REPOSITORY_GLOB")]
    pub repositories: Vec<String>,

    #[command(flatten)]
    pub source: SourceArgs,

    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Write the report there instead of to stdout, at once and whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Other forms of the report, and where to.
    #[arg(skip)]
    pub also: Vec<(Format, PathBuf)>,

    /// Keep the whole plan in a file, besides the report: the tags that stay, the policies, and the facts that it was
    /// decided from, with a checksum. Reads what --exact does. `explain --from` replays it, --compare compares with it
    #[arg(long, value_name = "PLAN.json")]
    pub save: Option<PathBuf>,

    /// Report what changed since another plan: newly deleted, no longer deleted, other reasons, gone. It is one of
    /// --save, or of --all --format json. As text, markdown or json
    #[arg(long, value_name = "OLD.json")]
    pub compare: Option<PathBuf>,

    /// Report where the registry's own retention and this plan decide differently, artifact by artifact, with the reasons
    /// of both; nothing of it is run. As text, markdown or json
    #[arg(long, value_name = "WHAT", conflicts_with = "compare")]
    pub compare_with: Option<CompareWith>,

    /// What the report is ordered by: rules and channels stand before repositories. As text, markdown, csv or html
    #[arg(long, value_name = "WHAT", default_value = "repository")]
    pub group_by: Grouping,

    /// Report the tags that stay as well, with their reasons
    #[arg(long)]
    pub all: bool,

    /// Read the manifests of untagged children and attachments that would go along, as deleting them takes: one
    /// request each. That can only keep more
    #[arg(long)]
    pub exact: bool,

    /// Count what collecting the garbage would free; reads the manifests of all children, as --exact does
    #[arg(long)]
    pub bytes: bool,

    /// Exit with 5 where there is something to delete
    #[arg(long)]
    pub detailed_exitcode: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// A plan that `lagan plan --save` wrote, carried out as it stands; or globs over repositories for a plan that is made
    /// now. What ends in `.json` is a file
    #[arg(value_name = "PLAN.json|REPOSITORY_GLOB")]
    pub repositories: Vec<String>,

    #[command(flatten)]
    pub source: SourceArgs,

    /// Do not ask. Needed where nobody can be asked
    #[arg(long)]
    pub yes: bool,

    /// Lift one limit for this run: max_deletions=2000, keep_at_least=0, max_percent_per_repository=off ... Repeatable
    #[arg(long, value_name = "LIMIT=VALUE")]
    pub override_limit: Vec<LimitOverride>,

    /// Have a Harbor collect its garbage after a run that deleted something and left nothing undone, or after every run.
    /// What was deleted cannot be brought back then
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "whole-run"
    )]
    pub collect_garbage: Option<Collect>,

    /// Let that collection take every artifact without a tag as well, those that policies keep among them
    #[arg(long, requires = "collect_garbage")]
    pub collect_untagged: bool,

    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Write the report there instead of to stdout, at once and whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Other forms of the report, and where to.
    #[arg(skip)]
    pub also: Vec<(Format, PathBuf)>,
}

/// When garbage is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Collect {
    /// After a run that deleted something and left nothing undone
    WholeRun,
    /// After every run that was not broken off
    EveryRun,
    /// Whatever the configuration says
    Never,
}

/// The configuration is read again when it changes, and where it is wrong, the one before stays.
#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    /// How many runs are kept in the state directory, with their reports
    #[arg(long, value_name = "RUNS", default_value = "100", env = "LAGAN_KEEP_RUNS")]
    pub keep_runs: NonZeroUsize,

    /// How long the artifact in hand may take when the daemon is told to stop
    #[arg(long, value_name = "TIME", default_value = "60s", env = "LAGAN_STOP_WITHIN")]
    pub stop_within: Age,

    /// Serve the admin API there as well, such as 127.0.0.1:8480; goes before `admin.listen` of the configuration. It is
    /// always on the socket lagan.sock in the state directory
    #[arg(long, value_name = "ADDRESS", env = "LAGAN_LISTEN")]
    pub listen: Option<SocketAddr>,
}

/// A run that is under way finishes the artifacts in hand.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Until when: a time (RFC 3339), or how long, such as 3d; else until `resume`
    #[arg(long, value_name = "WHEN", value_parser = until)]
    pub until: Option<DateTime<Utc>>,

    /// Why, for whoever finds that nothing is deleted
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Show the stage of every policy of the configuration that is rolled out in stages
    Show,
    /// Have a policy begin with its first stage again, after it fell back to dry-run or its record was damaged
    Restart(RolloutRestartArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RolloutRestartArgs {
    /// The policy
    #[arg(value_name = "POLICY")]
    pub policy: String,

    /// On which registry, by name or URL; else on all of the configuration
    #[arg(long, value_name = "NAME|URL")]
    pub registry: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UndoArgs {
    /// What to put back: a run, `last`, a repository, one artifact as REPOSITORY:TAG or REPOSITORY@DIGEST
    #[arg(
        value_name = "RUN|last|REPOSITORY[:TAG|@DIGEST]",
        required_unless_present_any = ["since", "repository"],
        conflicts_with_all = ["since", "repository"]
    )]
    pub target: Option<String>,

    /// Everything that was deleted since then: a time (RFC 3339), a day (in UTC), or an age such as 2h
    #[arg(long, value_name = "WHEN", value_parser = since, conflicts_with = "repository")]
    pub since: Option<DateTime<Utc>>,

    /// Everything that was deleted in a repository, whatever its name
    #[arg(long, value_name = "REPOSITORY")]
    pub repository: Option<RepositoryName>,

    #[command(flatten)]
    pub connect: ConnectArgs,

    /// Only look, and report what would be put back
    #[arg(long)]
    pub dry_run: bool,

    /// Take tags back that were put on something else since
    #[arg(long)]
    pub overwrite_moved_tags: bool,

    /// Wait for deletions that may still happen, instead of leaving them out
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Write the report there instead of to stdout, at once and whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Other forms of the report, and where to.
    #[arg(skip)]
    pub also: Vec<(Format, PathBuf)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareWith {
    Harbor,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Ndjson,
    Markdown,
    Csv,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grouping {
    Repository,
    Rule,
    Channel,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The tag, as in team/app:1.4.0-rc.2
    #[arg(value_name = "REPOSITORY:TAG")]
    pub tag: String,

    #[command(flatten)]
    pub source: SourceArgs,

    /// Replay a saved plan instead of asking a registry: its own policies, facts and time; nothing is contacted, and no
    /// configuration read
    // What a variable may give is left out: it is there for every command.
    #[arg(long, value_name = "PLAN.json", conflicts_with_all = [
        "policy", "select", "probe", "token_realm", "now",
    ])]
    pub from: Option<PathBuf>,

    /// The form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: ExplainFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration; else as for every command
    #[arg(value_name = "CONFIG")]
    pub file: Option<PathBuf>,

    /// Exit with 4 where there is a warning; notes do not count
    #[arg(long)]
    pub strict: bool,

    /// A plan (of `lagan plan --save`, or --all --format json) that tells which repositories and tags there are
    #[arg(long, value_name = "PLAN.json")]
    pub against: Option<PathBuf>,

    /// Leave out the findings of this name, as brackets behind each have it. Repeatable
    #[arg(long, value_name = "LINT", value_parser = PossibleValuesParser::new(lints()))]
    pub allow: Vec<String>,
}

fn lints() -> impl Iterator<Item = &'static str> {
    lagan_config::Lint::ALL.iter().map(|lint| lint.code())
}

/// Exits with 0 where nothing stands in the way, with 4 where something was found or could not be found out, with 1 where
/// the registry cannot be reached or does not take the credentials.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Only what these globs over repositories reach; else what the configuration's policies name
    #[arg(value_name = "REPOSITORY_GLOB")]
    pub repositories: Vec<String>,

    #[command(flatten)]
    pub connect: ConnectArgs,

    /// What the account is to be for; else planning, and where a policy is enforced deleting and undoing. Repeatable
    #[arg(long = "for", value_name = "PURPOSE")]
    pub purposes: Vec<Purpose>,

    /// Ask an OCI registry what it can delete, by one DELETE of a digest and one of a tag that do not exist. Otherwise
    /// only GET and HEAD are sent
    #[arg(long)]
    pub probe: bool,

    /// Print the robot account that may do just what is needed, as `POST /api/v2.0/robots` of Harbor takes it, and nothing
    /// else
    #[arg(long)]
    pub print_robot: bool,

    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: DoctorFormat,

    /// Write it there instead of to stdout, at once and whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Purpose {
    /// Reading
    Plan,
    /// Taking tags off artifacts that stay
    SoftDelete,
    /// Deleting artifacts
    Delete,
    /// Putting back what was deleted
    Undo,
    /// Starting a collection of garbage
    Collect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// List the runs, oldest first
    List {
        /// The form of the list
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: JournalFormat,
    },
    /// Show one run: what it deleted or put back, why, what became of it, until when it can be undone
    Show {
        /// The run, or `last`
        #[arg(value_name = "RUN")]
        run: String,

        /// The form of the answer
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: JournalFormat,
    },
    /// Write runs as JSON lines that hold all that undoing them needs, on any machine
    Export {
        /// The runs; all of them unless given. What they undo, and what settled them, comes along
        #[arg(value_name = "RUN")]
        runs: Vec<String>,

        /// Only runs that began since then: a time (RFC 3339), a day (in UTC), or an age such as 7d
        #[arg(long, value_name = "WHEN", conflicts_with = "runs", value_parser = since)]
        since: Option<DateTime<Utc>>,

        /// Write them there instead of to stdout, at once and whole
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Add what was exported elsewhere; what is there already is left alone
    Import {
        /// The export; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Check every checksum, that both copies of the journal hold the same, and the chain of the audit log
    Verify,
    /// Write the journal anew, checked whole before it takes the old one's place. Every record is kept
    Compact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JournalFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print retention that was written for something else as a policy file, and say where its meaning differs
    Convert(Box<ConvertArgs>),
    /// Decide the cases of files that say what a policy is to do, and compare
    Test(PolicyTestArgs),
    /// Print the JSON schema of a kind of document, for editors
    Schema {
        /// The kind of document
        #[arg(value_name = "DOCUMENT", default_value = "configuration")]
        document: DocumentKind,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentKind {
    Configuration,
    Policy,
    Cases,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyTestArgs {
    /// Files of cases, each of which names its policy
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// What has no native form is kept, said line by line on stderr, and makes the exit code 4.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Lifecycle rules (YAML), or retention of Harbor, Amazon ECR, Google Artifact Registry or zot (JSON or YAML); or the URL
    /// of a Harbor, of which the project that --attached-to names is asked for its retention
    #[arg(value_name = "FILE|URL", required_unless_present = "registry")]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub connect: ConnectArgs,

    /// The format; else it is told by the document
    #[arg(long, value_name = "FORMAT")]
    pub from: Option<ConvertFormat>,

    /// What the document is attached to: a repository of ECR, a project of Harbor, a project and repository of
    /// Artifact Registry
    #[arg(long, value_name = "NAME")]
    pub attached_to: Option<String>,

    /// Write the policy file there instead of to stdout, at once and whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConvertFormat {
    LifecycleRules,
    Harbor,
    Ecr,
    ArtifactRegistry,
    Zot,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// On a Harbor: by its own API, with push times, labels and accessories
    #[arg(long)]
    pub harbor: bool,
    /// Leave the registry up until Ctrl-C, to try other commands on it
    #[arg(long)]
    pub keep_running: bool,
    /// Where on loopback the registry is; 0 is any free port. With --keep-running it is 5005 unless said, for
    /// config/quickstart.yaml
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    rfc3339(text).ok_or_else(|| TIME.to_owned())
}

/// A time, the beginning of a day, or how long ago.
fn since(text: &str) -> Result<DateTime<Utc>, String> {
    let ago = |age: Age| Utc::now().checked_sub_signed(age.delta());
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let day = || text.parse().ok().map(midnight);
    time_or_age(text, ago, day)
        .map_err(|error| format!("{error}, a day 2026-11-20 (from 00:00 UTC on), an age 7d, 12h or 30min"))
}

/// A time, or how far ahead.
fn until(text: &str) -> Result<DateTime<Utc>, String> {
    let ahead = |age: Age| Utc::now().checked_add_signed(age.delta());
    time_or_age(text, ahead, || None).map_err(|error| format!("{error}, a length of time 7d, 12h or 30min"))
}

fn time_or_age(
    text: &str,
    from_now: impl FnOnce(Age) -> Option<DateTime<Utc>>,
    other: impl FnOnce() -> Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, String> {
    let age = text.parse::<Age>();
    let wrong = age.as_ref().err().map(ToString::to_string);
    if let Some(time) = age
        .ok()
        .and_then(from_now)
        .or_else(|| rfc3339(text))
        .or_else(other)
    {
        return Ok(time);
    }
    // Times have other characters in them.
    let is_age = text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Err(match wrong.filter(|_| is_age) {
        Some(wrong) => format!("{wrong}; {TIME}"),
        None => TIME.to_owned(),
    })
}

fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc))
}

const TIME: &str = "a time reads 2026-11-20T12:00:00Z";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{since, until};

    #[test]
    fn a_time_that_is_none_is_told_which_forms_are_taken() {
        for none in [
            "0s",
            "1m",
            "5y",
            "",
            "yesterday",
            "2026-11-22T12:00",
            "2026-13-01",
            "11m",
        ] {
            for told in [since(none).unwrap_err(), until(none).unwrap_err()] {
                for form in ["2026-11-20T12:00:00Z", "7d", "30min"] {
                    assert!(told.contains(form), "{none}: {told}");
                }
                assert!(!told.contains("premature"), "{none}: {told}");
            }
        }
        let told = since("1m").unwrap_err();
        assert!(told.contains("`min`"), "{told}");
        assert!(since("2026").unwrap_err().contains("a day 2026-11-20"));
    }

    #[test]
    fn since_a_day_is_since_its_beginning() {
        let midnight: chrono::DateTime<chrono::Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
        assert_eq!(since("2026-11-22"), Ok(midnight));
        assert_eq!(since("2026-11-22T01:00:00+01:00"), Ok(midnight));
        // Whether a pause has that day in it would be a guess.
        assert!(until("2026-11-22").is_err());
        assert!(since("90min").is_ok() && until("3d").is_ok());
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
