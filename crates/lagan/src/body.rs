//! The part of a report that waits for its head: as it comes, or group by group.

use std::collections::BTreeMap;
use std::io::{self, Write};

use lagan_policy::{RepositoryPlan, VersionTable};
use lagan_report::{GroupBy, Part, PlanWriter};

use crate::cli::Grouping;
use crate::exit::Failure;
use crate::output::Spool;

/// Waits in one place, or in one for each group; there are as many of these as policies have rules, or channels.
pub(crate) enum Body<'a> {
    Whole(Spool),
    Grouped {
        by: GroupBy,
        all: bool,
        versions: &'a VersionTable,
        groups: BTreeMap<String, Spool>,
    },
}

impl<'a> Body<'a> {
    pub(crate) fn new(
        by: Grouping,
        all: bool,
        versions: &'a VersionTable,
        writer: &mut dyn PlanWriter,
    ) -> Result<Self, Failure> {
        let by = match by {
            Grouping::Repository => return Ok(Self::Whole(Spool::new())),
            Grouping::Rule => GroupBy::Rule,
            Grouping::Channel => GroupBy::Channel,
        };
        if !writer.grouped() {
            let failure = Failure::usage("this form of a report is ordered by repository");
            return Err(failure.with_hint("--group-by is for text, markdown, csv and html"));
        }
        Ok(Self::Grouped {
            by,
            all,
            versions,
            groups: BTreeMap::new(),
        })
    }

    pub(crate) fn repository(
        &mut self,
        writer: &mut dyn PlanWriter,
        plan: &RepositoryPlan,
    ) -> io::Result<()> {
        match self {
            Self::Whole(spool) => writer.repository(spool, plan),
            Self::Grouped {
                by,
                all,
                versions,
                groups,
            } => {
                writer.see(plan);
                let parts = by.split(plan, *all, versions);
                for (position, (group, plan)) in parts.iter().enumerate() {
                    let spool = groups.entry(group.clone()).or_insert_with(Spool::new);
                    let part = Part {
                        group,
                        first: position == 0,
                    };
                    writer.section(spool, plan, Some(part))?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn copy_to(self, writer: &dyn PlanWriter, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Whole(spool) => spool.copy_to(out),
            Self::Grouped { groups, .. } => {
                for (title, spool) in groups {
                    writer.group(out, &title)?;
                    spool.copy_to(out)?;
                    writer.group_end(out)?;
                }
                Ok(())
            }
        }
    }
}
