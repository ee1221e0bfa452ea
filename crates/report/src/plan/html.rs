//! A plan as one HTML file that needs nothing else: no network, and no script to be read.
//!
//! Nothing from outside becomes markup: the templates escape it, after [`harmless`](crate::sanitize::harmless)
//! made visible what would reorder or hide text. A browser that finds markup nevertheless runs none of it: the
//! content security policy admits the one style and the one script that the report has, by their hashes.
//!
//! Rows stand in parts of a few hundred, since a browser can leave out what is not on the screen only
//! where it can be told how high that is.

use std::io::{self, Write};

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lagan_policy::RepositoryPlan;
use sha2::{Digest as _, Sha256};

use self::charts::Charts;
use super::seen::Seen;
use super::{Part, PlanFoot, PlanHead, PlanOptions, PlanWriter};

mod charts;
mod head;
mod repository;

const STYLE: &str = include_str!("../../templates/plan/report.css");
const SCRIPT: &str = include_str!("../../templates/plan/report.js");

pub(super) struct Html {
    options: PlanOptions,
    seen: Seen,
    charts: Charts,
    nothing: bool,
}

#[derive(Template)]
#[template(path = "plan/foot.html")]
struct Foot {
    script: &'static str,
}

#[derive(Template)]
#[template(path = "plan/group.html")]
struct Group<'a> {
    title: &'a str,
}

impl Html {
    pub(super) fn new(options: PlanOptions) -> Self {
        Self {
            options,
            seen: Seen::default(),
            charts: Charts::default(),
            nothing: true,
        }
    }
}

impl PlanWriter for Html {
    fn see(&mut self, plan: &RepositoryPlan) {
        self.seen.add(plan);
        self.charts.add(plan);
        self.nothing &= plan.actions.is_empty();
    }

    fn grouped(&mut self) -> bool {
        true
    }

    fn group(&self, out: &mut dyn Write, title: &str) -> io::Result<()> {
        Group { title }.write_into(out)
    }

    fn group_end(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"</section>\n")
    }

    fn section(
        &mut self,
        out: &mut dyn Write,
        plan: &RepositoryPlan,
        part: Option<Part<'_>>,
    ) -> io::Result<()> {
        let quiet = plan.actions.is_empty() && plan.complete;
        if quiet && !self.options.all {
            Ok(())
        } else {
            repository::write(out, plan, self.options.all, part.is_none_or(|part| part.first))
        }
    }

    fn head(&self, out: &mut dyn Write, head: &PlanHead, foot: &PlanFoot) -> io::Result<()> {
        head::Head::of(self, head, foot).write_into(out)
    }

    fn foot(&self, out: &mut dyn Write, _: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        Foot { script: SCRIPT }.write_into(out)
    }
}

/// A source of the content security policy: what has this hash, and nothing else.
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}
