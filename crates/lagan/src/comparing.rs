//! `plan --compare`: an older plan followed while a newer one is made.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use lagan_policy::RepositoryPlan;
use lagan_report::compare::{CompareFormat, CompareWriter, Compared, Comparison};
use lagan_report::saved::{PlanFileError, SavedHead};
use lagan_report::{PlanFoot, PlanHead};

use crate::cli::Format;
use crate::exit::Failure;
use crate::output::Spool;
use crate::saved;

/// The comparison on its way, and the older plan.
pub(crate) struct Comparing {
    path: PathBuf,
    old: SavedHead,
    comparison: Comparison<BufReader<File>>,
    writer: CompareWriter,
    body: Spool,
    /// What ended it: the plan that it is made beside only knows that writing failed.
    failed: Option<PlanFileError>,
}

impl Comparing {
    /// Opens the older plan, before anything is read.
    pub(crate) fn open(path: &Path, format: Format, colour: bool) -> Result<Self, Failure> {
        let format = self::format(format)?;
        let reader = saved::open_any(path)?;
        let old = reader.head().clone();
        Ok(Self {
            path: path.to_owned(),
            old,
            comparison: Comparison::with(reader).map_err(|error| saved::refused(path, error))?,
            writer: CompareWriter::new(format, colour),
            body: Spool::new(),
            failed: None,
        })
    }

    pub(crate) fn repository(&mut self, plan: &RepositoryPlan) -> io::Result<()> {
        match self.comparison.add(plan) {
            Ok(changes) => changes
                .iter()
                .try_for_each(|change| self.writer.change(&mut self.body, change)),
            Err(error) => {
                self.failed = Some(error);
                Err(io::Error::other("the older plan cannot be read"))
            }
        }
    }

    /// Why the older plan could not be read, if that ended the newer one.
    pub(crate) fn failure(&mut self) -> Option<Failure> {
        let error = self.failed.take()?;
        Some(saved::refused(&self.path, error))
    }

    pub(crate) fn finish(self, out: &mut dyn Write, head: &PlanHead, foot: &PlanFoot) -> Result<(), Failure> {
        let Self {
            path,
            old,
            comparison,
            mut writer,
            mut body,
            ..
        } = self;
        let (rest, changes, old_foot) = comparison
            .finish()
            .map_err(|error| saved::refused(&path, error))?;
        for change in &rest {
            writer.change(&mut body, change)?;
        }
        let compared = Compared {
            old: &old,
            new: head,
            old_totals: &old_foot.totals,
            new_totals: &foot.totals,
            changes,
        };
        writer.head(out, &compared)?;
        body.copy_to(out)?;
        Ok(writer.foot(out, &compared)?)
    }
}

/// The form of a comparison.
pub(crate) fn format(format: Format) -> Result<CompareFormat, Failure> {
    match format {
        Format::Text => Ok(CompareFormat::Text),
        Format::Json => Ok(CompareFormat::Json),
        Format::Markdown => Ok(CompareFormat::Markdown),
        Format::Ndjson | Format::Csv | Format::Html => {
            let failure = Failure::usage("a comparison has the forms text, markdown and json");
            Err(failure.with_hint("leave --compare and --compare-with out for this form of a plan"))
        }
    }
}
