//! Notices as comments of the document that is printed.

use crate::notice::Remark;
use crate::print::Comments;
use crate::source::Source;

use super::Format;
use super::draft::Draft;

/// How wide comments are.
const WIDTH: usize = 100;

/// What is said of a draft, where it belongs.
pub(crate) fn comments(format: Format, draft: &Draft, source: &Source) -> Comments {
    let lines = |remarks: &[Remark]| -> Vec<String> {
        let of_remark = |remark: &Remark| {
            let notice = remark.notice(source);
            wrapped(&format!(
                "{} (line {}): {}",
                notice.kind.as_str(),
                notice.line,
                notice.text
            ))
        };
        remarks.iter().flat_map(of_remark).collect()
    };
    let mut head = wrapped(&format!("Converted from {}.", format.described()));
    head.extend(lines(&draft.remarks));
    Comments {
        head,
        policies: draft
            .policies
            .iter()
            .map(|policy| lines(&policy.remarks))
            .collect(),
        rules: draft
            .policies
            .iter()
            .map(|policy| policy.rules.iter().map(|rule| lines(&rule.remarks)).collect())
            .collect(),
    }
}

/// Lines of a text, broken between words; all but the first are set in.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let wide = line.chars().count() + 1 + word.chars().count() > WIDTH;
        if wide && !line.trim().is_empty() {
            lines.push(std::mem::replace(&mut line, "  ".to_owned()));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
