//! Plans in files: written by `plan --save`, opened by what reads them.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::Path;

use lagan_config::embedded;
use lagan_model::{RepositoryName, Seen};
use lagan_policy::{Depth, PolicySet, RepositoryPlan};
use lagan_report::saved::{
    PlanFileError, PlanReader, PolicyEntry, SavedHead, SavedPlanWriter, SavedPolicies, SavedRepository,
    Sealed,
};
use lagan_report::{PlanFoot, PlanHead};

use crate::exit::{Exit, Failure};
use crate::output::{Output, Spool};
use crate::sources::Source;

/// What a saved plan looked at, at the least.
pub(crate) const DEPTH: Depth = Depth::Exact;

/// A plan on its way to its file, which appears when it is whole.
pub(crate) struct Saving {
    out: Output,
    body: Spool,
    writer: SavedPlanWriter,
    policies: SavedPolicies,
}

impl Saving {
    /// Prepares the file, before anything is read. A policy that would not read back as it is is refused now.
    pub(crate) fn open(path: &Path, source: &Source) -> Result<Self, Failure> {
        let policies = embedded(&source.policies, &|policy| source.asks(policy));
        let head: Vec<_> = source.policies.policies.iter().zip(&policies.entries).collect();
        let bodies = head
            .iter()
            .map(|(policy, entry)| (&*policy.name.0, &entry.policy));
        let read = embedded::read("the policies", bodies, policies.channels.as_ref())?;
        if read.policies != source.policies.policies
            || read.versions.added() != source.policies.versions.added()
        {
            let message = "the policies do not read back from their native form as they are";
            return Err(Failure::new(Exit::Unexpected, anyhow::Error::msg(message)));
        }
        Ok(Self {
            out: Output::whole_file(path)?,
            body: Spool::new(),
            writer: SavedPlanWriter::default(),
            policies,
        })
    }

    pub(crate) fn repository(&mut self, plan: &RepositoryPlan, seen: Option<&Seen>) -> io::Result<()> {
        self.writer.repository(&mut self.body, plan, seen)
    }

    /// Writes the whole file, and lets it appear.
    pub(crate) fn finish(self, head: &PlanHead, foot: &PlanFoot) -> io::Result<()> {
        let mut out = Sealed::new(self.out);
        self.writer.head(&mut out, head, &self.policies)?;
        self.body.copy_to(&mut out)?;
        self.writer.foot(&mut out, foot)?;
        out.flush()?;
        out.seal()?.finish()
    }
}

fn embedded(policies: &PolicySet, asked: &dyn Fn(&lagan_policy::Policy) -> bool) -> SavedPolicies {
    let entries = policies.policies.iter().map(|policy| PolicyEntry {
        asked: asked(policy),
        policy: embedded::body(policy),
    });
    SavedPolicies {
        entries: entries.collect(),
        channels: embedded::channels(&policies.versions),
    }
}

/// A plan that is read from a file.
pub(crate) type Reader = PlanReader<BufReader<File>>;

/// Opens a plan that `--save` wrote, and verifies it first.
pub(crate) fn open(path: &Path) -> Result<Reader, Failure> {
    let file = opened(path)?;
    PlanReader::saved(file).map_err(|error| refused(path, error))
}

/// Opens a plan to compare with: a saved one, or one that was written with `--all --format json`.
pub(crate) fn open_any(path: &Path) -> Result<Reader, Failure> {
    let file = opened(path)?;
    PlanReader::any(file).map_err(|error| refused(path, error))
}

fn opened(path: &Path) -> Result<BufReader<File>, Failure> {
    let context = || format!("failed to read the plan {}", path.display());
    let usage = |error: io::Error| Failure::new(Exit::Usage, anyhow::Error::new(error).context(context()));
    let file = File::open(path).map_err(usage)?;
    let metadata = file.metadata().map_err(usage)?;
    if metadata.is_file() {
        Ok(BufReader::with_capacity(64 * 1024, file))
    } else {
        // It is read twice: once to verify it, and then to believe it.
        Err(Failure::usage(format!("{}: it is no regular file", context())))
    }
}

/// What was seen of a repository, and planned for it.
pub(crate) fn repository(
    path: &Path,
    plan: &mut Reader,
    name: &RepositoryName,
) -> Result<SavedRepository, Failure> {
    loop {
        match plan.next_repository() {
            Ok(Some(found)) if found.plan.name == *name => return Ok(found),
            Ok(Some(_)) => {}
            Ok(None) => {
                let failure = Failure::usage(format!("the plan {} has no repository {name}", path.display()));
                return Err(
                    failure.with_hint("it holds the repositories that its policies named when it was made")
                );
            }
            Err(error) => return Err(refused(path, error)),
        }
    }
}

/// A plan that cannot be read: nothing was contacted for it.
pub(crate) fn refused(path: &Path, error: PlanFileError) -> Failure {
    let hint = error.hint();
    let context = format!("failed to read the plan {}: {error}", path.display());
    let failure = match std::error::Error::source(&error) {
        None => Failure::usage(context),
        Some(cause) => {
            let cause = anyhow::Error::msg(cause.to_string());
            Failure::new(Exit::Usage, cause.context(context))
        }
    };
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// The policies that a saved plan was made by, and which of them made candidates.
pub(crate) fn policies(path: &Path, head: &SavedHead) -> Result<PolicySet, Failure> {
    let shown = path.display().to_string();
    let wrong = |what: String| {
        Failure::usage(format!("failed to read the policies of the plan {shown}: {what}"))
            .with_hint("plan again with `lagan plan --save`, by this version")
    };
    let mut bodies = Vec::new();
    for entry in &head.policies {
        let body = entry.policy.as_ref();
        let body = body.ok_or_else(|| wrong(format!("it does not hold {}", entry.name)))?;
        bodies.push((&*entry.name.0, body));
    }
    let set = embedded::read(&shown, bodies, head.channels.as_ref())?;
    // The words of a policy mean what they meant, or nothing is said of what it decided.
    for (policy, entry) in set.policies.iter().zip(&head.policies) {
        if policy.sha256(&set.versions) != entry.sha256 {
            return Err(wrong(format!(
                "this version reads {} as another policy",
                entry.name
            )));
        }
    }
    Ok(set)
}
