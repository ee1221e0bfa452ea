//! Colour, where it is wanted. Every text says in words what its colour says.

use anstyle::{AnsiColor, Style};

/// Whether styles are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) colour: bool,
}

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const DELETE: Style = AnsiColor::Red.on_default();
pub(crate) const UNTAG: Style = AnsiColor::Yellow.on_default();
pub(crate) const KEEP: Style = AnsiColor::Green.on_default();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const REFUSAL: Style = AnsiColor::Red.on_default().bold();

impl Paint {
    /// The text in a style. Pad it first: escapes have no width, and do not count as any.
    pub(crate) fn text(self, style: Style, text: &str) -> String {
        if self.colour && !style.is_plain() && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}
