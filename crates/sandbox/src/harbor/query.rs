//! The language of lists: `q`, `sort`, `page` and `page_size`.
//!
//! `q=k=v` is exact, `k=~v` contains, `k=[min~max]` is a range, `k={a b}` any of, `k=(a b)` all of, split by commas.
//! A key that no column has is passed over in silence, and so is a column to sort by.

use std::cmp::Ordering;

use super::failure::Failure;
use crate::moment::Moment;
use crate::server::target::{decoded, field};

/// The largest `page_size`.
const LARGEST_PAGE: i64 = 100;

/// What a list was asked for.
pub(super) struct Query {
    keys: Vec<(String, Pattern)>,
    sort: Vec<(String, bool)>,
    page: i64,
    size: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    Contains(String),
    Range(Option<String>, Option<String>),
    AnyOf(Vec<String>),
    AllOf(Vec<String>),
}

/// A column's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Number(i64),
    Text(String),
    Time(Option<Moment>),
    Flag(bool),
}

impl Column {
    /// Text of the same type as this column; a database refuses other text.
    fn like(&self, text: &str) -> Result<Self, Failure> {
        let read = match self {
            Self::Number(_) => text.parse().ok().map(Self::Number),
            Self::Text(_) => Some(Self::Text(text.to_owned())),
            Self::Time(_) => {
                let text = text.replacen(' ', "T", 1);
                let zoned = if text.ends_with('Z') { text } else { text + "Z" };
                zoned.parse().ok().map(|moment| Self::Time(Some(moment)))
            }
            Self::Flag(_) => text.parse().ok().map(Self::Flag),
        };
        read.ok_or_else(Failure::internal)
    }

    fn fits(&self, pattern: &Pattern) -> Result<bool, Failure> {
        Ok(match pattern {
            Pattern::Exact(text) => *self == self.like(text)?,
            Pattern::Contains(text) => match self {
                Self::Text(own) => own.to_lowercase().contains(&text.to_lowercase()),
                _ => return Err(Failure::internal()),
            },
            Pattern::Range(least, most) => {
                let above = match least {
                    Some(least) => *self >= self.like(least)?,
                    None => true,
                };
                let below = match most {
                    Some(most) => *self <= self.like(most)?,
                    None => true,
                };
                above && below
            }
            Pattern::AnyOf(texts) => {
                let mut found = false;
                for text in texts {
                    found |= *self == self.like(text)?;
                }
                found
            }
            Pattern::AllOf(_) => return Err(Failure::internal()),
        })
    }
}

impl Query {
    pub(super) fn read(query: &str) -> Result<Self, Failure> {
        let number = |name: &str, default: i64| match field(query, name) {
            None => Ok(default),
            Some(text) => text.parse::<i64>().map_err(|_| {
                Failure::unprocessable(&format!("{name} in query must be of type int64: \"{text}\""))
            }),
        };
        let (page, size) = (number("page", 1)?, number("page_size", 10)?);
        if size > LARGEST_PAGE {
            return Err(Failure::unprocessable(&format!(
                "page_size in query should be less than or equal to {LARGEST_PAGE}"
            )));
        }
        let sort = field(query, "sort").unwrap_or_default();
        Ok(Self {
            keys: keys(&field(query, "q").unwrap_or_default())?,
            sort: sort
                .split(',')
                .filter(|part| !part.is_empty())
                .map(|part| match part.strip_prefix('-') {
                    Some(key) => (key.to_owned(), true),
                    None => (part.to_owned(), false),
                })
                .collect(),
            page,
            size,
        })
    }

    /// Takes out a key that is no column.
    pub(super) fn take(&mut self, key: &str) -> Option<Pattern> {
        let at = self.keys.iter().position(|(named, _)| named == key)?;
        Some(self.keys.remove(at).1)
    }

    /// The rows that fit, in order. `column` answers `None` for what is no column.
    pub(super) fn apply<T>(
        &self,
        rows: impl Iterator<Item = T>,
        column: impl Fn(&T, &str) -> Option<Column>,
        default: &[(&str, bool)],
    ) -> Result<Vec<T>, Failure> {
        let mut found = Vec::new();
        'rows: for row in rows {
            for (key, pattern) in &self.keys {
                if let Some(value) = column(&row, key)
                    && !value.fits(pattern)?
                {
                    continue 'rows;
                }
            }
            found.push(row);
        }
        let known = |(key, _): &&(String, bool)| found.first().is_some_and(|row| column(row, key).is_some());
        let mut order: Vec<(&str, bool)> = self
            .sort
            .iter()
            .filter(known)
            .map(|(key, descending)| (key.as_str(), *descending))
            .collect();
        if order.is_empty() {
            order.extend(default);
        }
        let by = |row: &T| {
            order
                .iter()
                .map(|(key, descending)| (column(row, key), *descending))
                .collect::<Vec<_>>()
        };
        let mut keyed: Vec<_> = found.into_iter().map(|row| (by(&row), row)).collect();
        keyed.sort_by(|(one, _), (other, _)| {
            one.iter()
                .zip(other)
                .map(|((one, descending), (other, _))| match descending {
                    true => other.cmp(one),
                    false => one.cmp(other),
                })
                .find(|order| *order != Ordering::Equal)
                .unwrap_or(Ordering::Equal)
        });
        Ok(keyed.into_iter().map(|(_, row)| row).collect())
    }

    /// The rows of the page; all of them where its size is 0.
    pub(super) fn page_of<T>(&self, rows: Vec<T>) -> Vec<T> {
        let (Ok(size), Ok(before)) = (
            usize::try_from(self.size),
            usize::try_from((self.page.max(1) - 1).saturating_mul(self.size)),
        ) else {
            return rows;
        };
        if size == 0 {
            return rows;
        }
        rows.into_iter().skip(before).take(size).collect()
    }

    /// `Link` for a list of `total` entries: to the page before and the next one, with a query that is not encoded.
    pub(super) fn link(&self, path: &str, query: &str, total: usize) -> Option<String> {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        if self.size == 0 {
            return None;
        }
        let to = |page: i64, relation: &str| {
            let mut pairs: Vec<(String, String)> = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .filter(|(key, _)| !matches!(*key, "page" | "page_size"))
                .map(|(key, value)| (key.to_owned(), decoded(value, true)))
                .collect();
            pairs.push(("page".to_owned(), page.to_string()));
            pairs.push(("page_size".to_owned(), self.size.to_string()));
            pairs.sort();
            let pairs: Vec<String> = pairs
                .into_iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("<{path}?{}>; rel=\"{relation}\"", pairs.join("&"))
        };
        let mut links = Vec::new();
        if self.page > 1 && (self.page - 1).saturating_mul(self.size) < total {
            links.push(to(self.page - 1, "prev"));
        }
        if self.page.saturating_mul(self.size) < total {
            links.push(to(self.page + 1, "next"));
        }
        (!links.is_empty()).then(|| links.join(" , "))
    }
}

fn keys(text: &str) -> Result<Vec<(String, Pattern)>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = || {
        Failure::bad_request(
            "the query string must contain \"=\" and the key/value cannot be empty".to_owned(),
        )
    };
    // Harbor decodes it once more than the query it stood in.
    decoded(text, true)
        .split(',')
        .map(|part| {
            let (key, value) = part.split_once('=').ok_or_else(wrong)?;
            if key.is_empty() || value.is_empty() {
                return Err(wrong());
            }
            let pattern = pattern(value)
                .ok_or_else(|| Failure::bad_request(format!("invalid query string value: {value}")))?;
            Ok((key.to_owned(), pattern))
        })
        .collect()
}

fn pattern(value: &str) -> Option<Pattern> {
    let list = |inner: &str| {
        inner
            .split(' ')
            .map(|part| part.trim_matches(['"', '\'']).to_owned())
            .filter(|part| !part.is_empty())
            .collect()
    };
    Some(match value.as_bytes().first()? {
        b'~' => Pattern::Contains(value.get(1..).filter(|text| !text.is_empty())?.to_owned()),
        b'[' => {
            let inner = value.strip_prefix('[')?.strip_suffix(']')?;
            let (least, most) = inner.split_once('~').filter(|(_, most)| !most.contains('~'))?;
            let bound = |text: &str| {
                let text = text.trim().trim_matches(['"', '\'']);
                (!text.is_empty()).then(|| text.to_owned())
            };
            let (least, most) = (bound(least), bound(most));
            if least.is_none() && most.is_none() {
                return None;
            }
            Pattern::Range(least, most)
        }
        b'{' => Pattern::AnyOf(list(value.strip_prefix('{')?.strip_suffix('}')?)),
        b'(' => Pattern::AllOf(list(value.strip_prefix('(')?.strip_suffix(')')?)),
        _ => Pattern::Exact(value.strip_prefix('\\').unwrap_or(value).to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::{Column, Pattern, Query, pattern};

    #[test]
    fn patterns_are_read_by_their_first_character() {
        let text = |text: &str| text.to_owned();
        for (value, expected) in [
            ("5", Some(Pattern::Exact(text("5")))),
            ("\\~x", Some(Pattern::Exact(text("~x")))),
            ("~x", Some(Pattern::Contains(text("x")))),
            ("~", None),
            ("[5~]", Some(Pattern::Range(Some(text("5")), None))),
            ("[~9]", Some(Pattern::Range(None, Some(text("9"))))),
            ("[~]", None),
            ("[5]", None),
            ("[1~2~3]", None),
            ("{a b}", Some(Pattern::AnyOf(vec![text("a"), text("b")]))),
            ("(1 2)", Some(Pattern::AllOf(vec![text("1"), text("2")]))),
            ("(1", None),
        ] {
            assert_eq!(pattern(value), expected, "{value}");
        }
    }

    #[test]
    fn unknown_keys_change_nothing_and_known_ones_do() {
        let rows = [3_i64, 1, 2];
        let ask = |query: &str| {
            let query = Query::read(query).unwrap_or_else(|_| panic!("a query"));
            let column = |row: &i64, key: &str| (key == "id").then_some(Column::Number(*row));
            let found = query.apply(rows.into_iter(), column, &[("id", true)]);
            found.map(|found| query.page_of(found)).map_err(|_| ())
        };
        assert_eq!(ask(""), Ok(vec![3, 2, 1]));
        assert_eq!(ask("sort=id"), Ok(vec![1, 2, 3]));
        assert_eq!(ask("sort=-id"), Ok(vec![3, 2, 1]));
        assert_eq!(ask("sort=idd&q=idd%3D7"), Ok(vec![3, 2, 1]));
        assert_eq!(ask("sort=id&q=id%3D%5B2~%5D"), Ok(vec![2, 3]));
        assert_eq!(ask("sort=id&q=id%3D%5B~2%5D"), Ok(vec![1, 2]));
        assert_eq!(ask("sort=id&q=id%3D%5B2~2%5D"), Ok(vec![2]));
        assert_eq!(ask("sort=id&q=id={1 3}"), Ok(vec![1, 3]));
        assert_eq!(ask("sort=id&page=2&page_size=2"), Ok(vec![3]));
        assert_eq!(ask("sort=id&page_size=0"), Ok(vec![1, 2, 3]));
        assert_eq!(ask("q=id%3Dx"), Err(()));
        assert!(Query::read("page_size=101").is_err() && Query::read("page_size=x").is_err());
    }

    #[test]
    fn links_lead_on_while_there_is_more() {
        let query = "page=2&page_size=2&q=id%3D%5B1~%5D";
        let read = Query::read(query).unwrap_or_else(|_| panic!("a query"));
        assert_eq!(
            read.link("/x", query, 5).as_deref(),
            Some(
                "</x?page=1&page_size=2&q=id=[1~]>; rel=\"prev\" , </x?page=3&page_size=2&q=id=[1~]>; rel=\"next\""
            )
        );
        assert_eq!(
            read.link("/x", query, 4).as_deref(),
            Some("</x?page=1&page_size=2&q=id=[1~]>; rel=\"prev\"")
        );
        let beyond = Query::read("page=3&page_size=2").unwrap_or_else(|_| panic!("a query"));
        assert_eq!(beyond.link("/x", "", 4), None);
    }
}
