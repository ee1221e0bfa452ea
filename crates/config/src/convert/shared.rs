//! What every converter says, and the parts of which rules are made.

use std::collections::HashSet;

use lagan_model::RepositoryName;
use lagan_policy::document::DEFAULT_MIN_AGE;
use lagan_policy::{Age, Clock, Keep, KeepLine, Order, Per, Select, TagPattern};

use super::Format;
use super::draft::{DraftRule, keep};
use crate::error::{Problems, Read};
use crate::notice::Remark;
use crate::source::{Span, quoted};

/// Where a document is attached, which it does not say itself.
pub(crate) struct Attached<'a> {
    name: Option<&'a RepositoryName>,
    /// Stands for the name where nobody gave it. No repository's name has upper case: it names none.
    unknown: &'static str,
}

impl<'a> Attached<'a> {
    pub(crate) fn new(format: Format, name: Option<&'a RepositoryName>) -> Self {
        let unknown = if format == Format::Harbor {
            "PROJECT"
        } else {
            "REPOSITORY"
        };
        Self { name, unknown }
    }

    pub(crate) fn root(&self) -> &str {
        self.name.map_or(self.unknown, RepositoryName::as_str)
    }

    /// What to say where the name is not known.
    pub(crate) fn remark(&self, place: Span) -> Option<Remark> {
        if self.name.is_some() {
            return None;
        }
        let unknown = self.unknown;
        Some(Remark::note(
            place,
            format!(
                "the document does not say where it is attached: write the name instead of {unknown}, which matches nothing, or give --attached-to"
            ),
        ))
    }
}

/// How a format counts what it deletes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Whole images, with all their tags.
    Image,
    /// Tags.
    Tag,
}

/// What is to be said of every document, whatever stands in it.
pub(crate) fn head(place: Span, unit: Unit) -> Vec<Remark> {
    let mut remarks = vec![
        Remark::note(
            place,
            "every policy is a dry run; `mode: enforce` lets it delete when it is applied",
        ),
        Remark::note(
            place,
            "the clocks `pushed` and `pulled` are Harbor's; where a registry does not record them, all that a rule selects is kept",
        ),
        Remark::keeps_more(
            place,
            "signatures and other attachments follow what they are attached to, children follow their index, and neither takes a place in `last`",
        ),
        Remark::keeps_more(
            place,
            "`limits` hold: a repository keeps at least one tagged image, and a plan of more than 500 deletions is refused as a whole",
        ),
    ];
    remarks.push(match unit {
        Unit::Image => Remark::keeps_more(
            place,
            "rules decide on tags: an image goes only when all its tags may go, and one whose tags are not all selected stays",
        ),
        Unit::Tag => Remark::keeps_more(place, "`last` counts images: several tags on one image take one place"),
    });
    remarks
}

/// A rule that keeps everything, for documents of which nothing deletes.
pub(crate) fn everything_stays() -> DraftRule {
    DraftRule::new("everything stays", any_tag(), Keep::all())
}

/// Every tag.
pub(crate) fn any_tag() -> Select {
    tags(["*"])
}

/// Tags that one of these globs matches. They are the converters' own, or were read before.
pub(crate) fn tags<'g>(globs: impl IntoIterator<Item = &'g str>) -> Select {
    Select {
        tags: patterns(globs),
        ..Select::default()
    }
}

/// Globs that are known to be right.
pub(crate) fn patterns<'g>(globs: impl IntoIterator<Item = &'g str>) -> Vec<TagPattern> {
    globs.into_iter().filter_map(|glob| glob.parse().ok()).collect()
}

/// What has no tag, once it is old enough not to be waiting for its index.
pub(crate) fn untagged(min_age: Option<Age>) -> Select {
    Select {
        untagged: min_age.or_else(|| DEFAULT_MIN_AGE.parse().ok()),
        ..Select::default()
    }
}

/// What was attached to something that is gone.
pub(crate) fn orphaned() -> Select {
    Select {
        orphaned: true,
        ..Select::default()
    }
}

/// What to say where untagged images are selected.
pub(crate) fn untagged_remark(place: Span) -> Remark {
    Remark::keeps_more(
        place,
        "untagged images stay for 24 hours after their push: children arrive before their index",
    )
}

/// The newest of what a rule selects, by a clock.
pub(crate) fn last(count: u32, clock: Clock) -> Keep {
    keep(vec![last_line(count, clock)])
}

pub(crate) fn last_line(count: u32, clock: Clock) -> KeepLine {
    KeepLine::Last {
        count,
        by: Order::Clock(clock),
        per: Per::Repository,
    }
}

/// What is not older, by a clock.
pub(crate) fn within(clock: Clock, age: Age) -> Keep {
    keep(vec![KeepLine::Within { clock, age }])
}

/// A number of days; `None` for none, and for more than a thousand years, which [`too_long`] tells apart.
pub(crate) fn days(count: u64) -> Option<Age> {
    seconds(count.checked_mul(86_400)?)
}

/// A number of seconds, in the largest unit that says it.
pub(crate) fn seconds(count: u64) -> Option<Age> {
    let text = match count {
        _ if count.is_multiple_of(86_400) => format!("{}d", count / 86_400),
        _ if count.is_multiple_of(3600) => format!("{}h", count / 3600),
        _ if count.is_multiple_of(60) => format!("{}min", count / 60),
        _ => format!("{count}s"),
    };
    text.parse().ok()
}

/// A length of time in Go's notation and Google's: `168h`, `1h30m`, `2592000s`, `30d`. In seconds, rounded up.
pub(crate) fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let unit_end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let nanos_each: u128 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() || part.len() > 18 {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos = nanos.checked_add(u128::from(whole).checked_mul(nanos_each)?)?;
        if !part.is_empty() {
            let digits: u128 = part.parse().ok()?;
            let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
            nanos = nanos.checked_add((digits * nanos_each).div_ceil(scale))?;
        }
        rest = behind;
    }
    if text.is_empty() {
        return None;
    }
    u64::try_from(nanos.div_ceil(1_000_000_000)).ok()
}

/// Names for rules, each once.
#[derive(Default)]
pub(crate) struct Names(HashSet<String>);

impl Names {
    /// The name that is wanted, or one like it that nobody has.
    pub(crate) fn take(&mut self, wanted: &str) -> String {
        const LONGEST: usize = 120;
        let mut name: String = wanted
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST)
            .collect();
        name.truncate(name.trim_end().len());
        let name = name.trim_start();
        let base = if name.is_empty() { "rule" } else { name };
        let mut unique = base.to_owned();
        let mut number = 1;
        while !self.0.insert(unique.clone()) {
            number += 1;
            unique = format!("{base} ({number})");
        }
        unique
    }
}

/// A glob over repositories that was put together from parts of a document.
pub(crate) fn repository(
    glob: Option<String>,
    written: &str,
    place: Span,
    problems: &mut Problems<'_>,
) -> Read<lagan_policy::RepositoryPattern> {
    let Some(glob) = glob else {
        let hint = Some("write its alternatives as patterns of their own".to_owned());
        let message = format!("{} has alternatives over several path segments", quoted(written));
        return Err(problems.report(place, message, hint));
    };
    glob.parse()
        .map_err(|error: lagan_policy::pattern::PatternError| problems.report(place, error.to_string(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_their_authors_mean_them() {
        for (text, wanted) in [
            ("168h", Some(604_800)),
            ("1h30m", Some(5_400)),
            ("2592000s", Some(2_592_000)),
            ("2592000.5s", Some(2_592_001)),
            ("30d", Some(2_592_000)),
            ("1.5h", Some(5_400)),
            ("1ms", Some(1)),
            ("0s", Some(0)),
            ("", None),
            ("30", None),
            ("h", None),
            ("1y", None),
            ("-1h", None),
            ("1..5h", None),
        ] {
            assert_eq!(duration(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_length_of_time_is_written_in_the_largest_unit_that_says_it() {
        for (count, text) in [(604_800, "7d"), (5_400, "90min"), (3_600, "1h"), (61, "61s")] {
            assert_eq!(seconds(count).unwrap().to_string(), text);
        }
        assert_eq!(seconds(0), None);
    }

    #[test]
    fn names_of_rules_are_unique_and_on_one_line() {
        let mut names = Names::default();
        assert_eq!(names.take("a\nb"), "a b");
        assert_eq!(names.take("a b"), "a b (2)");
        assert_eq!(names.take(" \t"), "rule");
    }
}
