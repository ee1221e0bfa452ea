//! Text from outside, made harmless to whoever reads it.
//!
//! A registry chooses the words of its error messages, and whoever writes a policy chooses names. Such text must
//! not move a terminal's cursor, start a line of its own, reorder or hide what stands beside it. Nothing is
//! dropped: what could do that is shown as an escape (`\u{1b}`), so that the reader sees that it was there.

use std::borrow::Cow;

/// Whether a character controls how text is shown instead of being shown: controls (C0, DEL, C1), separators of
/// lines, bidirectional marks, embeddings and isolates, and characters without any width or ink.
#[must_use]
pub fn is_harmful(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The text with every harmful character as a visible escape; one line, whatever it was before.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_harmful) else {
        return Cow::Borrowed(text);
    };
    let (clean, rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(clean);
    for character in rest.chars() {
        if is_harmful(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// [`harmless`] text of at most `limit` characters before escaping; what is cut is said.
#[must_use]
pub fn clipped(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        None => harmless(text),
        Some((end, _)) => {
            let more = text[end..].chars().count();
            Cow::Owned(format!("{} [and {more} more characters]", harmless(&text[..end])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_a_cursor_or_start_a_line_is_shown_as_an_escape() {
        for (text, expected) in [
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "\\u{1b}[2J\\u{1b}]0;owned\\u{7}"),
            ("one\r\ntwo\ttabbed", "one\\r\\ntwo\\ttabbed"),
            ("\u{9b}31mC1\u{85}next", "\\u{9b}31mC1\\u{85}next"),
            ("del\u{7f}\u{8}\u{0}", "del\\u{7f}\\u{8}\\u{0}"),
            ("line\u{2028}para\u{2029}", "line\\u{2028}para\\u{2029}"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn what_could_reorder_or_hide_text_is_shown_as_an_escape() {
        for hidden in [
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{ad}',
            '\u{fe0f}',
            '\u{3164}',
            '\u{e0041}',
            '\u{e0100}',
        ] {
            let shown = harmless(&format!("1.0{hidden}.0")).into_owned();
            assert_eq!(shown, format!("1.0\\u{{{:x}}}.0", hidden as u32));
        }
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is_and_is_not_copied() {
        for text in ["", "team/app:1.0.0", "naïve – «größer» 東京 שלום 🚢", "a\\u{1b}"] {
            assert!(
                matches!(harmless(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_says_so() {
        assert_eq!(clipped("größer", 6), "größer");
        assert_eq!(clipped("größer\n", 6), "größer [and 1 more characters]");
        assert_eq!(clipped("a\u{1b}bcd", 2), "a\\u{1b} [and 3 more characters]");
    }
}
