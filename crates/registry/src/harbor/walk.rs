//! Walking a listing to its end, or not at all.
//!
//! Artifacts are walked by their keys: `sort=id`, and each page begins behind the last key of the one before, so that
//! what is pushed or deleted meanwhile moves nothing. Harbor passes over keys that it does not know without a word, and
//! cuts accessories out of a page after it was made: a page may be short, or empty, and more follow. So every page is
//! held against what was asked for, and the end is where the count says that it is.
//!
//! Projects, repositories, rules, and the tags and accessories of one artifact have no key that every version knows. They
//! are walked by page numbers, and the walk counts only if every page agrees on how many there are, as many were seen, and
//! none twice. That is whole where it is one page. Of several, one that moved to an earlier page can be missed if somebody
//! removes an entry and adds another between two pages: reading twice would not tell for certain either.

use std::collections::HashSet;

/// The largest page that Harbor gives.
pub(super) const PAGE: usize = 100;

/// How many pages without an entry are read where the count says that there are more: accessories alone fill them.
const MOST_EMPTY: usize = 1000;

/// What is wrong with a page.
pub(super) type Wrong = String;

/// Whether there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    More,
    End,
}

/// A walk by keys.
#[derive(Debug)]
pub(super) struct ByKey {
    /// The least key that the next page may have; `None` at the beginning.
    least: Option<i64>,
    /// The number of the page among those that begin at this key.
    page: usize,
    size: usize,
}

impl ByKey {
    pub(super) fn new() -> Self {
        Self {
            least: None,
            page: 1,
            size: PAGE,
        }
    }

    /// Asks for smaller pages from now on; `false` where they cannot be smaller.
    pub(super) fn shrink(&mut self) -> bool {
        let smaller = self.size / 4;
        // Pages that were counted in another size would overlap.
        if smaller == 0 || self.page > 1 {
            return false;
        }
        self.size = smaller;
        true
    }

    /// The query of the next page; `filter` is a further condition of `q`.
    pub(super) fn query(&self, filter: Option<&str>) -> Vec<(&'static str, String)> {
        let mut query = vec![("sort", "id".to_owned()), ("page_size", self.size.to_string())];
        let key = self.least.map(|least| format!("id=[{least}~]"));
        let q: Vec<&str> = filter.into_iter().chain(key.as_deref()).collect();
        if !q.is_empty() {
            query.push(("q", q.join(",")));
        }
        if self.page > 1 {
            query.push(("page", self.page.to_string()));
        }
        query
    }

    /// Takes a page by its keys; `total` is how many entries there are from the least key on.
    pub(super) fn read(&mut self, total: usize, keys: &[i64]) -> Result<Next, Wrong> {
        if keys.len() > self.size {
            return Err(format!(
                "the page has {} entries, and {} were asked for",
                keys.len(),
                self.size
            ));
        }
        let mut before = self.least.map_or(i64::MIN, |least| least - 1);
        for key in keys {
            if *key <= before {
                return Err(
                    "the page is not in the order that was asked for, or begins too early".to_owned(),
                );
            }
            before = *key;
        }
        if total <= keys.len() {
            return Ok(Next::End);
        }
        match keys.last().map(|last| last.checked_add(1)) {
            Some(Some(least)) => {
                self.least = Some(least);
                self.page = 1;
            }
            Some(None) => return Err("the last key of the page is the greatest there is".to_owned()),
            None if self.page == MOST_EMPTY => {
                return Err(format!("the listing counts {total} entries more than it shows"));
            }
            None => self.page += 1,
        }
        Ok(Next::More)
    }
}

/// A walk by page numbers.
#[derive(Debug, Default)]
pub(super) struct ByNumber {
    total: Option<usize>,
    seen: HashSet<i64>,
    pages: usize,
}

/// What came of a page of a walk by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbered {
    Next(Next),
    /// Something was added or removed meanwhile, so that entries may have moved from one page to another.
    Changed,
}

impl ByNumber {
    /// The query of the next page.
    pub(super) fn query(&self, sort: Option<&str>) -> Vec<(&'static str, String)> {
        let mut query = vec![
            ("page", (self.pages + 1).to_string()),
            ("page_size", PAGE.to_string()),
        ];
        query.extend(sort.map(|sort| ("sort", sort.to_owned())));
        query
    }

    pub(super) fn read(&mut self, total: usize, keys: &[i64]) -> Numbered {
        self.pages += 1;
        let same = *self.total.get_or_insert(total) == total;
        let fresh = keys.iter().filter(|key| self.seen.insert(**key)).count() == keys.len();
        if !same || !fresh || self.seen.len() > total || keys.is_empty() && self.seen.len() < total {
            return Numbered::Changed;
        }
        Numbered::Next(if self.seen.len() == total {
            Next::End
        } else {
            Next::More
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listing of these keys, of which some are cut out of each page, read to its end.
    fn walk(
        keys: &[i64],
        hidden: &[i64],
        mut meanwhile: impl FnMut(usize, &mut Vec<i64>),
    ) -> (Vec<i64>, usize) {
        let mut there = keys.to_vec();
        let mut walk = ByKey::new();
        let mut found = Vec::new();
        for requests in 1..10_000 {
            meanwhile(requests, &mut there);
            let query = walk.query(None);
            let of = |name: &str| {
                query
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.clone())
            };
            let least: i64 = of("q").map_or(0, |q| {
                q.trim_start_matches("id=[")
                    .trim_end_matches("~]")
                    .parse()
                    .unwrap()
            });
            let page: usize = of("page").map_or(1, |page| page.parse().unwrap());
            let all: Vec<i64> = there.iter().copied().filter(|key| *key >= least).collect();
            let total = all.iter().filter(|key| !hidden.contains(key)).count();
            let shown = all.iter().skip((page - 1) * PAGE).take(PAGE);
            let shown: Vec<i64> = shown.copied().filter(|key| !hidden.contains(key)).collect();
            let next = walk.read(total, &shown).unwrap();
            found.extend(shown);
            if next == Next::End {
                return (found, requests);
            }
        }
        panic!("no end")
    }

    #[test]
    fn a_listing_is_read_in_one_request_a_hundred() {
        for (count, requests) in [(0, 1), (1, 1), (99, 1), (100, 1), (101, 2), (1000, 10)] {
            let keys: Vec<i64> = (1..=count).map(|key| key * 7).collect();
            assert_eq!(walk(&keys, &[], |_, _| {}), (keys, requests), "{count}");
        }
    }

    #[test]
    fn pages_out_of_which_everything_was_cut_are_not_the_end() {
        let keys: Vec<i64> = (1..=450).collect();
        let hidden: Vec<i64> = (51..=400).collect();
        let (found, _) = walk(&keys, &hidden, |_, _| {});
        assert_eq!(found, (1..=50).chain(401..=450).collect::<Vec<_>>());
        assert_eq!(walk(&hidden, &hidden, |_, _| {}), (Vec::new(), 1));
    }

    #[test]
    fn what_is_deleted_and_pushed_meanwhile_moves_nothing() {
        let keys: Vec<i64> = (1..=300).collect();
        let (found, _) = walk(&keys, &[], |request, there| {
            if request == 2 {
                there.retain(|key| *key > 50 && *key != 150);
                there.push(301);
            }
        });
        assert_eq!(found, (1..=301).filter(|key| *key != 150).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_to_another_question_is_noticed() {
        let mut walk = ByKey::new();
        assert!(walk.read(2, &[2, 1]).is_err(), "another order");
        assert!(walk.read(2, &[1, 1]).is_err(), "one twice");
        assert!(
            walk.read(500, &(0..200).collect::<Vec<_>>()).is_err(),
            "more than were asked for"
        );
        assert_eq!(walk.read(500, &(0..100).collect::<Vec<_>>()), Ok(Next::More));
        assert!(
            walk.read(400, &(0..100).collect::<Vec<_>>()).is_err(),
            "the same page again"
        );
        assert!(
            walk.read(400, &(99..199).collect::<Vec<_>>()).is_err(),
            "one that was there before"
        );
    }

    #[test]
    fn a_count_that_is_never_met_comes_to_an_end() {
        let mut walk = ByKey::new();
        let wrong = (0..=MOST_EMPTY).find_map(|_| walk.read(3, &[]).err()).unwrap();
        assert!(wrong.contains("counts 3 entries more"), "{wrong}");
    }

    #[test]
    fn the_question_says_where_the_next_page_begins() {
        let mut walk = ByKey::new();
        let text = |walk: &ByKey, filter| {
            let query = walk.query(filter);
            let parts: Vec<_> = query
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            parts.join("&")
        };
        assert_eq!(text(&walk, None), "sort=id&page_size=100");
        assert_eq!(text(&walk, Some("tags=nil")), "sort=id&page_size=100&q=tags=nil");
        assert!(walk.shrink());
        walk.read(9, &[4]).unwrap();
        assert_eq!(text(&walk, None), "sort=id&page_size=25&q=id=[5~]");
        walk.read(8, &[]).unwrap();
        assert_eq!(
            text(&walk, Some("base=*")),
            "sort=id&page_size=25&q=base=*,id=[5~]&page=2"
        );
        assert!(!walk.shrink());
    }

    #[test]
    fn a_walk_by_numbers_counts_only_if_nothing_moved() {
        let more = Numbered::Next(Next::More);
        let end = Numbered::Next(Next::End);
        let mut walk = ByNumber::default();
        assert_eq!(walk.read(0, &[]), end);
        let mut walk = ByNumber::default();
        assert_eq!((walk.read(3, &[1, 2]), walk.read(3, &[3])), (more, end));
        for second in [(3, &[2][..]), (4, &[3][..]), (2, &[][..]), (3, &[][..])] {
            let mut walk = ByNumber::default();
            assert_eq!(walk.read(3, &[1, 2]), more);
            assert_eq!(walk.read(second.0, second.1), Numbered::Changed, "{second:?}");
        }
        assert_eq!(ByNumber::default().read(1, &[1, 2]), Numbered::Changed);
    }
}
