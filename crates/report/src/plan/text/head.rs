//! Of which registry, by which policies, as of when.

use std::io::{self, Write};

use crate::layout::labelled;
use crate::paint::{FAINT, HEADING, Paint};
use crate::plan::PlanHead;
use crate::sanitize::{clipped, harmless};
use crate::wording::{mode, moment, registry_kind};

const COLUMN: usize = 8;

pub(super) fn write(out: &mut dyn Write, paint: Paint, head: &PlanHead) -> io::Result<()> {
    let title = format!("Plan {}", harmless(&head.id));
    writeln!(
        out,
        "{}  what would be deleted, and why; nothing is deleted by it",
        paint.text(HEADING, &title)
    )?;
    let registry = format!(
        "{} {} ({})",
        harmless(head.registry.name.as_str()),
        clipped(&head.registry.url, 200),
        registry_kind(head.registry.kind)
    );
    labelled(out, paint, (FAINT, "registry"), COLUMN, &registry)?;
    let policies: Vec<_> = head
        .policies
        .iter()
        .map(|note| format!("{} ({})", harmless(&note.name.0), mode(note.mode)))
        .collect();
    labelled(out, paint, (FAINT, "policies"), COLUMN, &policies.join(", "))?;
    let (now, created) = (moment(head.now), moment(head.created));
    let now = if now == created {
        now
    } else {
        format!("{now} for every decision; made {created}")
    };
    labelled(out, paint, (FAINT, "now"), COLUMN, &now)?;
    writeln!(out)
}
