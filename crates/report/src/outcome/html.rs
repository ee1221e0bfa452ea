//! The report as one HTML file that needs nothing else, not even a script.
//!
//! Nothing from outside becomes markup: the templates escape it. The content security policy admits the one style.

use std::io::{self, Write};

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::words::{self, said};
use super::{OutcomeFoot, OutcomeHead, OutcomeSums, OutcomeWriter, RepositoryOutcome};
use crate::number::grouped;
use crate::sanitize::clipped;
use crate::wording::short;

const STYLE: &str = include_str!("../../templates/outcome/report.css");

#[derive(Default)]
pub(super) struct Html {
    sums: OutcomeSums,
}

#[derive(Template)]
#[template(path = "outcome/head.html")]
struct Head {
    style: &'static str,
    style_hash: String,
    title: String,
    facts: Vec<(&'static str, String)>,
    sums: Vec<(&'static str, String)>,
    warnings: Vec<String>,
    undo: Option<String>,
    requests: String,
}

#[derive(Template)]
#[template(path = "outcome/repository.html")]
struct Section<'a> {
    name: &'a str,
    problem: Option<String>,
    rows: Vec<Row>,
    mended: Vec<String>,
}

struct Row {
    class: &'static str,
    outcome: &'static str,
    tags: String,
    digest: String,
    role: &'static str,
    notes: Vec<String>,
}

#[derive(Template)]
#[template(path = "outcome/foot.html")]
struct Foot;

impl OutcomeWriter for Html {
    fn repository(&mut self, out: &mut dyn Write, repository: &RepositoryOutcome) -> io::Result<()> {
        self.sums.add(repository);
        let rows = words::folded(&repository.entries)
            .into_iter()
            .map(|(entry, more)| {
                let mut notes = words::notes(entry);
                notes.extend(words::along(more));
                Row {
                    class: entry.outcome,
                    outcome: said(entry.outcome),
                    tags: words::tags(entry, |tag| tag.as_str().to_owned()),
                    digest: short(&entry.digest),
                    role: words::role(entry.role),
                    notes,
                }
            });
        let mended = repository.mended.iter().map(|mended| {
            let (digest, tag) = (mended.digest.short(), &mended.needed_by);
            match &mended.failure {
                None => format!("{digest} was put back: {tag} needs it"),
                Some(failure) => format!(
                    "{digest} could not be put back, and {tag} needs it: {}",
                    clipped(failure, 600)
                ),
            }
        });
        let section = Section {
            name: repository.name.as_str(),
            problem: repository
                .problem
                .as_deref()
                .map(|text| clipped(text, 600).into_owned()),
            rows: rows.collect(),
            mended: mended.collect(),
        };
        section.write_into(out)
    }

    fn head(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()> {
        let page = Head {
            style: STYLE,
            style_hash: format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE))),
            title: words::title(head),
            facts: words::facts(head, foot),
            sums: words::sums(head, &self.sums)
                .into_iter()
                .map(|(label, count)| (label, grouped(count)))
                .collect(),
            warnings: words::warnings(head, foot, &self.sums),
            undo: words::next(head, foot, &self.sums),
            requests: words::requests(foot),
        };
        page.write_into(out)
    }

    fn foot(&self, out: &mut dyn Write, _: &OutcomeHead, _: &OutcomeFoot) -> io::Result<()> {
        Foot.write_into(out)
    }
}
