//! `plan --compare-with harbor`: what Harbor's own retention would do, beside the plan that is made.

use std::collections::HashMap;
use std::io::{self, Write};

use lagan_model::{RegistryRead as _, Seen, Time};
use lagan_policy::{RepositoryPattern, RepositoryPlan};
use lagan_registry::{Connected, Fate, Retention};
use lagan_report::PlanHead;
use lagan_report::against::{AgainstWriter, TheirVerdict, Theirs, compare};

use crate::cli::Format;
use crate::comparing;
use crate::exit::Failure;
use crate::output::Spool;
use crate::sources::{Source, first_segments};

/// The comparison on its way.
pub(crate) struct Against {
    /// By project; why not, where it is not known.
    retention: HashMap<String, Result<Option<Retention>, String>>,
    now: Time,
    writer: AgainstWriter,
    body: Spool,
}

impl Against {
    /// Prepares, before anything is read.
    pub(crate) fn open(format: Format, colour: bool, now: Time) -> Result<Self, Failure> {
        Ok(Self {
            retention: HashMap::new(),
            now,
            writer: AgainstWriter::new(comparing::format(format)?, colour),
            body: Spool::new(),
        })
    }

    /// Asks for the retention of every project that a policy may be about. What one cannot be asked for is said where its
    /// repositories are.
    pub(crate) async fn learn(
        &mut self,
        registry: &Connected,
        source: &Source,
        only: &[RepositoryPattern],
    ) -> Result<(), Failure> {
        let Connected::Harbor(harbor) = registry else {
            let failure =
                Failure::usage("the registry is no Harbor, and has no retention of its own to compare with");
            return Err(failure.with_hint(format!(
                "`kind: harbor` says why it is not taken for one: {}",
                registry.identity().url
            )));
        };
        let asked = source
            .policies
            .policies
            .iter()
            .filter(|policy| source.asks(policy));
        let patterns: Vec<_> = asked.flat_map(|policy| &policy.repositories).collect();
        let below = |name: &str| {
            patterns.iter().any(|pattern| pattern.may_match_below(name))
                && (only.is_empty() || only.iter().any(|pattern| pattern.may_match_below(name)))
        };
        let mut projects = harbor.project_names().await?;
        projects.extend(first_segments(patterns.iter().copied()));
        projects.retain(|name| below(name));
        projects.sort();
        projects.dedup();
        for project in projects {
            let known = match harbor.retention_of(&project).await {
                Ok(None) => Ok(None),
                Ok(Some(text)) => Retention::read(&text).map(Some),
                Err(error) => Err(error.to_string()),
            };
            self.retention.insert(project, known);
        }
        Ok(())
    }

    pub(crate) fn repository(&mut self, plan: &RepositoryPlan, seen: Option<&Seen>) -> io::Result<()> {
        let complete = seen.and_then(|seen| seen.snapshot.complete().ok());
        let name = plan.name.as_str();
        let (project, below) = name.split_once('/').unwrap_or((name, ""));
        let unknown = "which project's retention holds here is not known".to_owned();
        let retention = self.retention.get(project).cloned().unwrap_or(Err(unknown));
        let nothing = Retention::default();
        let theirs = complete.into_iter().flat_map(|snapshot| {
            let rules = match &retention {
                Ok(Some(retention)) => retention,
                Ok(None) | Err(_) => &nothing,
            };
            rules.decide(below, snapshot, self.now)
        });
        let theirs = theirs.map(|retained| {
            let (verdict, why) = match (&retention, retained.fate) {
                (Err(why), _) => (TheirVerdict::Unknown, why.clone()),
                (Ok(None), _) => {
                    let why = "the project has no retention of Harbor's own".to_owned();
                    (TheirVerdict::Kept, why)
                }
                (Ok(Some(_)), Fate::Stays(why)) => (TheirVerdict::Kept, why),
                (Ok(Some(_)), Fate::Goes(why)) => (TheirVerdict::Deleted, why),
                (Ok(Some(_)), Fate::Unknown(why)) => (TheirVerdict::Unknown, why),
            };
            (retained.digest, retained.tags, Theirs { verdict, why })
        });
        let compared = compare(plan, theirs.collect());
        self.writer.repository(&mut self.body, &compared)
    }

    pub(crate) fn finish(self, out: &mut dyn Write, head: &PlanHead) -> Result<(), Failure> {
        self.writer.head(out, head)?;
        self.body.copy_to(out)?;
        Ok(self.writer.foot(out)?)
    }
}
