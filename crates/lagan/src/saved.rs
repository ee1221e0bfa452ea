//! Plans in files: written by `plan --save`, opened by what reads them.

use std::io::{self, Write as _};
use std::path::Path;

use lagan_config::embedded;
use lagan_model::Seen;
use lagan_policy::{PolicySet, RepositoryPlan};
use lagan_report::saved::{PolicyEntry, SavedPlanWriter, SavedPolicies, Sealed};
use lagan_report::{PlanFoot, PlanHead};

use crate::exit::{Exit, Failure};
use crate::output::{Output, Spool};
use crate::sources::Source;

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
