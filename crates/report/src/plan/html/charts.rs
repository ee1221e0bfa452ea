//! Where the deletions are: per repository and per rule. Bounded, however many repositories there are.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use lagan_model::RepositoryName;
use lagan_policy::reason::RuleName;
use lagan_policy::{Action, RepositoryPlan};

use crate::number::{count, grouped};
use crate::wording::{rule_name, rule_of};

/// How many bars a chart has; the rest is one sum.
const BARS: usize = 20;

/// Tags that go, counted.
#[derive(Default)]
pub(super) struct Charts {
    /// The repositories that lose most, the one that loses least of them on top; of equals the later name.
    top: BinaryHeap<(Reverse<u64>, RepositoryName)>,
    others: u64,
    others_tags: u64,
    /// As many as the policies have rules.
    rules: HashMap<RuleName, u64>,
}

pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) note: &'static str,
    pub(super) what: &'static str,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: String,
    /// Of the longest bar; `None` for all that have no bar of their own.
    pub(super) percent: Option<String>,
    /// Whether the name is a repository's that has a section.
    pub(super) linked: bool,
}

impl Charts {
    pub(super) fn add(&mut self, plan: &RepositoryPlan) {
        let mut tags = 0;
        for action in &plan.actions {
            tags += action.tags();
            self.add_rules(action);
        }
        if tags == 0 {
            return;
        }
        self.top.push((Reverse(tags), plan.name.clone()));
        if self.top.len() > BARS
            && let Some((Reverse(least), _)) = self.top.pop()
        {
            self.others += 1;
            self.others_tags += least;
        }
    }

    fn add_rules(&mut self, action: &Action) {
        let reasons = action.reasons().iter().filter(|reason| !reason.keeps());
        let rules: HashSet<_> = reasons.filter_map(rule_of).collect();
        for rule in rules {
            match self.rules.get_mut(rule) {
                Some(tags) => *tags += action.tags(),
                None => {
                    self.rules.insert(rule.clone(), action.tags());
                }
            }
        }
    }

    pub(super) fn draw(&self) -> Vec<Chart> {
        let mut repositories: Vec<_> = self.top.iter().collect();
        repositories.sort();
        let named = repositories
            .into_iter()
            .map(|(Reverse(tags), name)| (name.to_string(), *tags, true));
        let others = count(self.others, "other repository", "other repositories");
        let by_repository = bars(
            named.collect(),
            (self.others > 0).then_some((others, self.others_tags)),
        );

        let mut rules: Vec<_> = self
            .rules
            .iter()
            .map(|(rule, tags)| (rule_name(rule, None), *tags, false))
            .collect();
        rules.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let rest = rules.split_off(rules.len().min(BARS));
        let others = count(rest.len() as u64, "other rule", "other rules");
        let others_tags = rest.iter().map(|(_, tags, _)| tags).sum();
        let by_rule = bars(rules, (!rest.is_empty()).then_some((others, others_tags)));

        let charts = [
            Chart {
                title: "Tags that go, by repository",
                note: "Deleted or taken off; those of attachments are counted.",
                what: "Repository",
                bars: by_repository,
            },
            Chart {
                title: "Tags that go, by rule",
                note: "A tag that several rules give up counts for each.",
                what: "Rule",
                bars: by_rule,
            },
        ];
        charts
            .into_iter()
            .filter(|chart| !chart.bars.is_empty())
            .collect()
    }
}

/// The sum of the others has no bar: it would make all that have one look like nothing.
fn bars(named: Vec<(String, u64, bool)>, others: Option<(String, u64)>) -> Vec<Bar> {
    let longest = named.iter().map(|(_, tags, _)| *tags).max().unwrap_or(0);
    let mut bars: Vec<_> = named
        .into_iter()
        .map(|(name, tags, linked)| Bar {
            name,
            value: grouped(tags),
            percent: Some(percent(tags, longest)),
            linked,
        })
        .collect();
    bars.extend(others.map(|(name, tags)| Bar {
        name,
        value: grouped(tags),
        percent: None,
        linked: false,
    }));
    bars
}

/// A part of a whole in percent, with one decimal; 0 of nothing.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losing(name: &str, tags: usize) -> RepositoryPlan {
        let mut plan = RepositoryPlan::untagged(name.parse().unwrap(), Vec::new());
        plan.actions = (0..tags)
            .map(|number| Action::Untag {
                tag: number.to_string().parse().unwrap(),
                digest: lagan_model::Digest::from_sha256([0; 32]),
                reasons: Vec::new(),
            })
            .collect();
        plan
    }

    #[test]
    fn the_repositories_that_lose_most_have_bars_and_the_rest_is_one_sum() {
        let mut charts = Charts::default();
        // Out of order, so that order is the chart's doing.
        for number in 0..50 {
            let number = number * 7 % 50;
            charts.add(&losing(&format!("r{number:02}"), number));
        }
        let chart = charts.draw().remove(0);
        let bars: Vec<_> = chart
            .bars
            .iter()
            .map(|bar| (bar.name.as_str(), bar.value.as_str()))
            .collect();
        assert_eq!(bars[0], ("r49", "49"));
        assert_eq!(bars[19], ("r30", "30"));
        // 1 + 2 + ... + 29; the repository that loses nothing is not among them.
        assert_eq!(bars[20], ("29 other repositories", "435"));
        assert_eq!(bars.len(), 21);
        assert!(chart.bars[20].percent.is_none() && !chart.bars[20].linked);
    }

    #[test]
    fn of_equals_the_earlier_name_has_the_bar() {
        let mut charts = Charts::default();
        (0..30).for_each(|number| charts.add(&losing(&format!("r{:02}", 29 - number), 1)));
        let chart = charts.draw().remove(0);
        assert_eq!(
            (chart.bars[0].name.as_str(), chart.bars[19].name.as_str()),
            ("r00", "r19")
        );
    }

    #[test]
    fn parts_are_told_with_one_decimal_and_without_overflow() {
        for (part, whole, expected) in [
            (0, 0, "0.0"),
            (1, 3, "33.3"),
            (5, 5, "100.0"),
            (u64::MAX, u64::MAX, "100.0"),
        ] {
            assert_eq!(percent(part, whole), expected);
        }
    }
}
