//! Sums, what it cost, and all that a reader must not miss.

use std::io::{self, Write};

use lagan_policy::GuardReport;

use crate::layout::labelled;
use crate::paint::{FAINT, HEADING, Paint, REFUSAL, WARNING};
use crate::plan::seen::Seen;
use crate::plan::summary::{self, Weight};
use crate::plan::{PlanFoot, PlanHead};

/// The width of the labels of this section.
const COLUMN: usize = 12;

pub(super) fn write(
    out: &mut dyn Write,
    paint: Paint,
    head: &PlanHead,
    foot: &PlanFoot,
    seen: &Seen,
) -> io::Result<()> {
    writeln!(out, "{}", paint.text(HEADING, "In all"))?;
    for (label, value) in summary::totals(head, &foot.totals, seen) {
        labelled(out, paint, (FAINT, label), COLUMN, &value)?;
    }
    labelled(out, paint, (FAINT, "requests"), COLUMN, &summary::requests(foot))?;
    for (weight, label, value) in summary::undo(seen) {
        let style = match weight {
            Weight::Plain => FAINT,
            Weight::Warning => WARNING,
        };
        labelled(out, paint, (style, label), COLUMN, &value)?;
    }
    for line in summary::warnings(head, seen) {
        labelled(out, paint, (WARNING, "warning"), COLUMN, &line)?;
    }
    refusals(out, paint, &head.guards)
}

/// Every refusal with its numbers, and once for each limit what can be done.
fn refusals(out: &mut dyn Write, paint: Paint, guards: &[GuardReport]) -> io::Result<()> {
    let Some(refusals) = summary::refusals(guards) else {
        return Ok(());
    };
    writeln!(out, "\n{}", paint.text(REFUSAL, refusals.title))?;
    let column = refusals
        .advice
        .iter()
        .map(|(limit, _)| limit.as_str().len())
        .max()
        .unwrap_or(0);
    for report in refusals.reports {
        let text = summary::refusal(report);
        labelled(out, paint, (REFUSAL, report.limit.as_str()), column, &text)?;
    }
    refusals
        .advice
        .into_iter()
        .try_for_each(|(limit, advice)| labelled(out, paint, (FAINT, limit.as_str()), column, advice))
}
