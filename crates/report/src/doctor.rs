//! What `doctor` found: one line for each thing looked at, what is fine among them.
//!
//! What cannot be known is a finding of its own, and never counts as fine.

use std::io::{self, Write};

use lagan_model::{RegistryKind, RequestCounts, Time};
use serde::Serialize;
use serde_json::Value;

use crate::json::write;
use crate::layout::{WIDTH, wrap};
use crate::number::count;
use crate::paint::{FAINT, HEADING, KEEP, Paint, REFUSAL, WARNING};
use crate::sanitize::{clipped, harmless};
use crate::wording::moment;

/// How long a text from outside may be, in characters.
const LONGEST: usize = 1000;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Fine.
    Ok,
    /// Fine, and worth knowing.
    Note,
    /// It could not be found out.
    Unknown,
    /// Somebody should do something about it.
    Warning,
    /// Nothing can be done before it is mended.
    Failed,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: a name that does not change.
    pub check: &'static str,
    /// How it is.
    pub level: Level,
    /// Whether what the account is for depends on it: only then what is unknown counts.
    pub needed: bool,
    /// The project that it is about, where it is about one.
    pub project: Option<String>,
    /// What was found, a fragment; text from outside may be in it.
    pub text: String,
    /// What would help.
    pub hint: Option<String>,
}

impl Finding {
    /// Something that was looked at, of the whole registry.
    pub fn new(check: &'static str, level: Level, text: impl Into<String>) -> Self {
        Self {
            check,
            level,
            needed: true,
            project: None,
            text: text.into(),
            hint: None,
        }
    }

    /// The same, of one project.
    #[must_use]
    pub fn of_project(mut self, project: &str) -> Self {
        self.project = Some(project.to_owned());
        self
    }

    /// The same, with what would help.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same; what is unknown counts only where this says so.
    #[must_use]
    pub fn needed(mut self, needed: bool) -> Self {
        self.needed = needed;
        self
    }

    /// Whether somebody has to look at it.
    #[must_use]
    pub fn counts(&self) -> bool {
        match self.level {
            Level::Ok | Level::Note => false,
            Level::Unknown => self.needed,
            Level::Warning | Level::Failed => true,
        }
    }
}

/// Everything that was looked at.
#[derive(Debug, Clone)]
pub struct Checkup {
    /// The registry's name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// What it speaks; `None` where nobody got that far.
    pub kind: Option<RegistryKind>,
    /// When.
    pub checked: Time,
    /// What the account is for, in words.
    pub purposes: Vec<&'static str>,
    /// What was found, in the order in which it was looked at.
    pub findings: Vec<Finding>,
    /// The robot account that may do just what is needed, as Harbor's API takes it.
    pub robot: Option<Value>,
    /// What it took.
    pub requests: RequestCounts,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    checked: Time,
    registry: Registry<'a>,
    #[serde(rename = "for")]
    purposes: &'a [&'static str],
    findings: &'a [Finding],
    robot: Option<&'a Value>,
    requests: &'a RequestCounts,
}

#[derive(Serialize)]
struct Registry<'a> {
    name: &'a str,
    url: &'a str,
    kind: Option<RegistryKind>,
}

impl Checkup {
    /// The worst that counts.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        let counting = self.findings.iter().filter(|finding| finding.counts());
        counting.map(|finding| finding.level).max()
    }

    /// Writes it as one document, `lagan.doctor/v1`.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let document = Document {
            schema: "lagan.doctor/v1",
            checked: self.checked,
            registry: Registry {
                name: &self.name,
                url: &self.url,
                kind: self.kind,
            },
            purposes: &self.purposes,
            findings: &self.findings,
            robot: self.robot.as_ref(),
            requests: &self.requests,
        };
        write(out, &document)?;
        out.write_all(b"\n")
    }

    /// Writes it for people.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn write_text(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        let paint = Paint { colour };
        let heading = format!("{} at {}", harmless(&self.name), harmless(&self.url));
        writeln!(out, "{}", paint.text(HEADING, &heading))?;
        let facts = format!("for {}, as of {}", self.purposes.join(", "), moment(self.checked));
        writeln!(out, "{}\n", paint.text(FAINT, &facts))?;
        let widest = self.findings.iter().map(|finding| finding.check.len()).max();
        let column = widest.unwrap_or(0);
        for finding in &self.findings {
            line(out, paint, finding, column)?;
        }
        let of = |level| {
            let counting = self.findings.iter().filter(|finding| finding.counts());
            counting.filter(|finding| finding.level == level).count() as u64
        };
        let mut sums = Vec::new();
        for (level, one, many) in [
            (Level::Failed, "failure", "failures"),
            (Level::Warning, "warning", "warnings"),
            (
                Level::Unknown,
                "thing that could not be found out",
                "things that could not be found out",
            ),
        ] {
            if of(level) > 0 {
                sums.push(count(of(level), one, many));
            }
        }
        if sums.is_empty() {
            sums.push("nothing stands in the way".to_owned());
        }
        writeln!(out, "\n{}", paint.text(HEADING, &sums.join(", ")))
    }
}

fn line(out: &mut dyn Write, paint: Paint, finding: &Finding, column: usize) -> io::Result<()> {
    let style = match finding.level {
        Level::Ok => KEEP,
        Level::Note => FAINT,
        Level::Unknown | Level::Warning => WARNING,
        Level::Failed => REFUSAL,
    };
    let indent = 2 + 7 + 2 + column + 2;
    let mut text = String::new();
    if let Some(project) = &finding.project {
        text.push_str(&format!("{}: ", clipped(project, LONGEST)));
    }
    text.push_str(&clipped(&finding.text, LONGEST));
    let mut lines = wrap(&text, WIDTH - indent).into_iter();
    writeln!(
        out,
        "  {}  {:<column$}  {}",
        paint.text(style, &format!("{:<7}", finding.level.word())),
        finding.check,
        lines.next().unwrap_or_default()
    )?;
    for line in lines {
        writeln!(out, "{:indent$}{line}", "")?;
    }
    if let Some(hint) = &finding.hint {
        for line in wrap(&format!("hint: {}", clipped(hint, LONGEST)), WIDTH - indent) {
            writeln!(out, "{:indent$}{}", "", paint.text(FAINT, &line))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkup(findings: Vec<Finding>) -> Checkup {
        Checkup {
            name: "harbor".to_owned(),
            url: "https://harbor.example.com".to_owned(),
            kind: Some(RegistryKind::Harbor),
            checked: "2026-11-20T12:00:00Z".parse().unwrap(),
            purposes: vec!["plan"],
            findings,
            robot: None,
            requests: RequestCounts::default(),
        }
    }

    #[test]
    fn what_is_unknown_is_said_and_counts_where_it_is_needed() {
        let unknown = |needed| Finding::new("collections", Level::Unknown, "not told").needed(needed);
        assert_eq!(checkup(vec![unknown(true)]).worst(), Some(Level::Unknown));
        let quiet = checkup(vec![unknown(false)]);
        assert_eq!(quiet.worst(), None);
        let mut text = Vec::new();
        quiet.write_text(&mut text, false).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("unknown  collections  not told"), "{text}");
    }

    #[test]
    fn the_worst_counts_and_notes_do_not() {
        let found = |level| Finding::new("x", level, "y");
        assert_eq!(checkup(vec![found(Level::Ok), found(Level::Note)]).worst(), None);
        let all = vec![found(Level::Warning), found(Level::Failed), found(Level::Unknown)];
        assert_eq!(checkup(all).worst(), Some(Level::Failed));
    }

    #[test]
    fn text_from_outside_steers_no_terminal_and_makes_no_lines() {
        let finding = Finding::new("account", Level::Warning, "who \u{1b}[31m\nare you")
            .of_project("te\u{202e}am")
            .with_hint("ask\u{7}");
        let mut text = Vec::new();
        checkup(vec![finding.clone()])
            .write_text(&mut text, false)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
        let mut json = Vec::new();
        checkup(vec![finding]).write_json(&mut json).unwrap();
        assert!(!json.iter().any(|byte| *byte == 0x1b || *byte == 7));
        let read: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(read["findings"][0]["level"], "warning");
    }
}
