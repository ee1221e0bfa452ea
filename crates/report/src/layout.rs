//! Lines of text: wrapping, lists, and rows whose columns are aligned.

use std::io::{self, Write};

use anstyle::Style;

use crate::number::grouped;
use crate::paint::{FAINT, Paint};

/// How wide a report is, in characters, as long as no single word is wider.
pub(crate) const WIDTH: usize = 110;

/// A list of names longer than this is cut in text; JSON has all of them.
const LISTED: usize = 12;

/// A column of tags is at most this wide; a row that needs more puts its tags on a line of their own.
const TAG_COLUMN: usize = 32;

/// Breaks text at its spaces into lines of at most `width` characters. A longer word has a line of its own, whole,
/// so that it can be copied.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += word_length;
    }
    if length > 0 {
        lines.push(line);
    }
    lines
}

/// The same with a label in front, padded to `column`, and further lines aligned behind it.
pub(crate) fn labelled(
    out: &mut dyn Write,
    paint: Paint,
    (style, label): (Style, &str),
    column: usize,
    text: &str,
) -> io::Result<()> {
    let indent = column + 4;
    let mut lines = wrap(text, WIDTH.saturating_sub(indent)).into_iter();
    match lines.next() {
        None => writeln!(out, "  {}", paint.text(style, label))?,
        Some(first) => writeln!(
            out,
            "  {}  {first}",
            paint.text(style, &format!("{label:<column$}"))
        )?,
    }
    lines.try_for_each(|line| writeln!(out, "{:indent$}{line}", ""))
}

/// Names with commas between them, cut where there are many.
pub(crate) fn listed<T: AsRef<str>>(names: impl ExactSizeIterator<Item = T>) -> String {
    let total = names.len();
    // Naming one more costs no more room than saying that there is one more.
    let shown = if total <= LISTED + 1 { total } else { LISTED };
    let mut out = String::new();
    for (position, name) in names.take(shown).enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        out.push_str(name.as_ref());
    }
    if shown < total {
        out.push_str(&format!(
            " and {} more (all are in --format json)",
            grouped((total - shown) as u64)
        ));
    }
    out
}

/// One thing that happens to tags.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) style: Style,
    pub(crate) action: &'static str,
    pub(crate) tags: String,
    pub(crate) digest: String,
    pub(crate) kind: &'static str,
    /// What is said about it, a line or more each.
    pub(crate) notes: Vec<String>,
}

/// Writes rows, their columns as wide as these rows need.
pub(crate) fn rows(out: &mut dyn Write, paint: Paint, rows: &[Row]) -> io::Result<()> {
    let widest = |cell: fn(&Row) -> &str, limit: usize| {
        rows.iter()
            .map(|row| cell(row).chars().count())
            .filter(|width| *width <= limit)
            .max()
            .unwrap_or(0)
    };
    let action = widest(|row| row.action, WIDTH);
    let tags = widest(|row| &row.tags, TAG_COLUMN);
    let digest = widest(|row| &row.digest, WIDTH);
    let kind = widest(|row| row.kind, WIDTH);
    let behind_action = 2 + action + 2;
    // A column in which nothing stands is left out, with the gap behind it.
    let notes_at = behind_action
        + [tags, digest, kind]
            .iter()
            .filter(|width| **width > 0)
            .map(|width| width + 2)
            .sum::<usize>();

    for row in rows {
        let mut lead = format!(
            "  {}  ",
            paint.text(row.style, &format!("{:<action$}", row.action))
        );
        let mut cell = row.tags.as_str();
        if cell.chars().count() > tags {
            for line in wrap(cell, WIDTH - behind_action) {
                writeln!(out, "{lead}{line}")?;
                lead = " ".repeat(behind_action);
            }
            cell = "";
        }
        let mut notes = row.notes.iter().flat_map(|note| {
            let lines = wrap(note, WIDTH - notes_at);
            // What continues a note stands further in than the next note.
            lines
                .into_iter()
                .enumerate()
                .map(|(line, text)| if line > 0 { format!("  {text}") } else { text })
        });
        let short = paint.text(FAINT, &format!("{:<digest$}", row.digest));
        let first = notes.next().unwrap_or_default();
        let cells = [
            format!("{cell:<tags$}"),
            short,
            format!("{:<kind$}", row.kind),
            first,
        ];
        let cells: Vec<_> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
        writeln!(
            out,
            "{}",
            format!("{lead}{}", cells.join("  ")).trim_end_matches(' ')
        )?;
        notes.try_for_each(|line| writeln!(out, "{:notes_at$}{line}", ""))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_at_spaces_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a unbreakable b", 5), ["a", "unbreakable", "b"]);
        assert!(wrap("  ", 5).is_empty());
    }

    #[test]
    fn a_list_is_cut_only_where_that_makes_it_shorter() {
        let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(names(2).iter()), "0, 1");
        assert!(listed(names(13).iter()).ends_with("11, 12"));
        assert_eq!(
            listed(names(14).iter()),
            "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more (all are in --format json)"
        );
    }

    #[test]
    fn a_tag_too_long_for_its_column_stands_whole_on_a_line_of_its_own() {
        let row = |tags: &str| Row {
            style: Style::new(),
            action: "delete",
            tags: tags.to_owned(),
            digest: "0123456789ab".to_owned(),
            kind: "image",
            notes: vec!["because".to_owned(), "with more".to_owned()],
        };
        let long = "x".repeat(128);
        let mut out = Vec::new();
        rows(&mut out, Paint { colour: false }, &[row("1.0.0"), row(&long)]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = format!(
            "  delete  1.0.0  0123456789ab  image  because\n\
             {0:38}with more\n  delete  {long}\n{0:17}0123456789ab  image  because\n{0:38}with more\n",
            ""
        );
        assert_eq!(text, expected);
    }
}
