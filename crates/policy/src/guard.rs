//! Limits, held against a whole plan: they stand between a plan and its approval.

use lagan_model::RepositoryName;
use serde::{Deserialize, Serialize};

use crate::document::{LimitOverride, Limits};
use crate::notice::Waiting;
use crate::plan::{Action, RepositoryPlan};

/// The limits that guards hold, by the names that documents and `--override-limit` use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Manifests and untags in one run.
    MaxDeletions,
    /// The share of a repository's tagged artifacts that may go, in percent.
    MaxPercentPerRepository,
    /// How many tagged artifacts stay in a repository.
    KeepAtLeast,
    /// Manifests and untags in one run, against those of the last runs.
    MaxChangeFromLastRun,
}

impl Guard {
    /// Every limit.
    pub const ALL: [Self; 4] = [
        Self::MaxDeletions,
        Self::MaxPercentPerRepository,
        Self::KeepAtLeast,
        Self::MaxChangeFromLastRun,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxDeletions => "max_deletions",
            Self::MaxPercentPerRepository => "max_percent_per_repository",
            Self::KeepAtLeast => "keep_at_least",
            Self::MaxChangeFromLastRun => "max_change_from_last_run",
        }
    }
}

/// A limit held against a plan. The serialized form is an element of `guards` in `lagan.plan/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardReport {
    /// Which limit.
    pub limit: Guard,
    /// What it allows.
    pub allowed: u64,
    /// What the plan would do: for `keep_at_least`, what would stay.
    pub wanted: u64,
    /// The repository that it holds back; `None` where it is about the whole run.
    pub repository: Option<RepositoryName>,
    /// Whether it refuses the whole run, or holds back its repository.
    pub refuses: bool,
}

/// What the last completed runs did, the newest first: manifests deleted and tags taken off, of each run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunHistory(pub Vec<u64>);

impl RunHistory {
    /// How many runs count.
    pub const RUNS: usize = 5;

    /// What no run is refused for: a small registry's runs differ by large factors.
    pub const FLOOR: u64 = 100;

    /// The most that a run may do at `factor` times the median; `None` where no run is known.
    ///
    /// The median of an even number of runs is the smaller of the two in the middle.
    #[must_use]
    pub fn allows(&self, factor: u32) -> Option<u64> {
        let mut runs: Vec<u64> = self.0.iter().copied().take(Self::RUNS).collect();
        runs.sort_unstable();
        let median = *runs.get(runs.len().checked_sub(1)? / 2)?;
        Some(median.saturating_mul(u64::from(factor)).max(Self::FLOOR))
    }
}

/// Folds over the repositories of a plan, and says at the end what the limits refuse.
#[derive(Debug, Clone)]
pub struct Guards {
    run: Limits,
    history: RunHistory,
    overrides: Vec<LimitOverride>,
    besides: u64,
    deletions: u64,
    reports: Vec<GuardReport>,
}

impl Guards {
    /// Guards that hold the run's limits; those of repositories come with each repository.
    #[must_use]
    pub fn new(run: &Limits) -> Self {
        Self {
            run: run.clone(),
            history: RunHistory::default(),
            overrides: Vec::new(),
            besides: 0,
            deletions: 0,
            reports: Vec::new(),
        }
    }

    /// Guards that know the last runs; without, nothing is held against these.
    #[must_use]
    pub fn after(mut self, history: RunHistory) -> Self {
        self.history = history;
        self
    }

    /// Guards of a plan that goes on with a run which did so much: the limits of a run are about both together.
    #[must_use]
    pub fn besides(mut self, done: u64) -> Self {
        self.besides = done;
        self
    }

    /// Guards of which some hold something else, in this run, than the policies say.
    #[must_use]
    pub fn overridden(mut self, by: &[LimitOverride]) -> Self {
        self.overrides = by.to_vec();
        self.run = self.in_force(&self.run);
        self
    }

    /// Limits as this run holds them: with what was overridden.
    #[must_use]
    pub fn in_force(&self, limits: &Limits) -> Limits {
        let overrides = self.overrides.iter().copied();
        overrides.fold(limits.clone(), Limits::overridden)
    }

    /// Adds a repository, with the limits of the policies that name it. Returns the limit that holds it back.
    ///
    /// A repository that is held back is left out of the run's sum: none of its deletions would happen.
    pub fn add(&mut self, plan: &RepositoryPlan, limits: &Limits) -> Option<&GuardReport> {
        self.add_but(plan, limits, &[])
    }

    /// The same, where some actions wait for a later run, or all of them for the rollout of a policy. They are no part of
    /// this one's sum; the limits of the repository are held against all that is meant to go.
    pub fn add_but(
        &mut self,
        plan: &RepositoryPlan,
        limits: &Limits,
        waiting: &[Waiting],
    ) -> Option<&GuardReport> {
        let limits = &self.in_force(limits);
        let deleted = plan.tagged_artifacts_deleted;
        let before = self.reports.len();
        let mut held = |limit, allowed, wanted| {
            self.reports.push(GuardReport {
                limit,
                allowed,
                wanted,
                repository: Some(plan.name.clone()),
                refuses: true,
            });
        };
        // A repository in which nothing is deleted is no worse than it was.
        if deleted > 0 {
            let stays = plan.tagged_artifacts - deleted;
            if stays < limits.keep_at_least {
                held(Guard::KeepAtLeast, limits.keep_at_least, stays);
            }
            if let Some(percent) = limits.max_percent_per_repository
                && deleted * 100 > u64::from(percent) * plan.tagged_artifacts
            {
                // Rounded up, so that the number shown is above the limit shown.
                let wanted = (deleted * 100).div_ceil(plan.tagged_artifacts);
                held(Guard::MaxPercentPerRepository, u64::from(percent), wanted);
            }
        }
        if self.reports.len() == before && !plan.is_held_by_rollout() {
            let waits = |position: usize| Waiting::at(waiting, position).is_some();
            self.deletions += plan
                .actions
                .iter()
                .enumerate()
                .filter(|(position, _)| !waits(*position))
                .map(|(_, action)| match action {
                    Action::Delete { .. } => action.manifests(),
                    Action::Untag { .. } => 1,
                })
                .sum::<u64>();
        }
        self.reports.get(before)
    }

    /// What the limits say: those that hold back a repository in the order of the plan, then the run's own.
    #[must_use]
    pub fn finish(self) -> Vec<GuardReport> {
        let of_run = [
            (Guard::MaxDeletions, self.run.max_deletions),
            (
                Guard::MaxChangeFromLastRun,
                self.run
                    .max_change_from_last_run
                    .and_then(|factor| self.history.allows(factor)),
            ),
        ];
        let mut reports = self.reports;
        let wanted = self.deletions.saturating_add(self.besides);
        for (limit, allowed) in of_run {
            reports.extend(allowed.map(|allowed| GuardReport {
                limit,
                allowed,
                wanted,
                repository: None,
                // A plan that deletes nothing makes nothing worse.
                refuses: self.deletions > 0 && wanted > allowed,
            }));
        }
        reports
    }
}

#[cfg(test)]
mod tests {
    use lagan_model::{Digest, Incomplete};

    use super::*;
    use crate::plan::{Dependent, Undo};

    /// A repository with so many tagged artifacts, of which so many go, each with one child.
    fn plan(name: &str, tagged: u64, deleted: u64, untagged: u64) -> RepositoryPlan {
        let why = Incomplete { why: String::new() };
        let mut plan = RepositoryPlan::incomplete(name.parse().unwrap(), Vec::new(), 0, why);
        let digest = Digest::of(b"");
        plan.tagged_artifacts = tagged;
        plan.tagged_artifacts_deleted = deleted;
        plan.actions = (0..deleted)
            .map(|_| Action::Delete {
                digest: digest.clone(),
                tags: Vec::new(),
                media_type: None,
                size: None,
                children: vec![Dependent {
                    digest: digest.clone(),
                    tags: Vec::new(),
                    media_type: None,
                    size: None,
                }],
                attachments: Vec::new(),
                undo: Undo::until_collection(),
                reasons: Vec::new(),
            })
            .collect();
        plan.actions.extend((0..untagged).map(|_| Action::Untag {
            tag: "a".parse().unwrap(),
            digest: digest.clone(),
            reasons: Vec::new(),
        }));
        plan
    }

    fn limits(deletions: Option<u64>, percent: Option<u8>, least: u64) -> Limits {
        Limits {
            max_deletions: deletions,
            max_percent_per_repository: percent,
            keep_at_least: least,
            ..Limits::default()
        }
    }

    #[test]
    fn manifests_and_untags_count_towards_the_run() {
        for (allowed, refuses) in [(Some(7), false), (Some(6), true), (None, false)] {
            let limits = limits(allowed, None, 0);
            let mut guards = Guards::new(&limits);
            assert!(guards.add(&plan("a", 9, 2, 1), &limits).is_none());
            assert!(guards.add(&plan("b", 9, 1, 0), &limits).is_none());
            let reports = guards.finish();
            assert_eq!(
                reports.iter().any(|report| report.refuses),
                refuses,
                "{allowed:?}"
            );
            assert_eq!(
                reports.iter().map(|report| report.wanted).collect::<Vec<_>>(),
                allowed.map_or(vec![], |_| vec![7])
            );
        }
    }

    #[test]
    fn what_a_run_goes_on_with_counts_for_it_and_refuses_nothing_that_deletes_nothing() {
        let limits = Limits {
            max_change_from_last_run: Some(2),
            ..limits(Some(150), None, 0)
        };
        for (done, deleted, refused) in [
            (0, 50, vec![]),
            (40, 50, vec![]),
            (41, 50, vec![Guard::MaxChangeFromLastRun]),
            (100, 50, vec![Guard::MaxDeletions, Guard::MaxChangeFromLastRun]),
            (
                u64::MAX,
                1,
                vec![Guard::MaxDeletions, Guard::MaxChangeFromLastRun],
            ),
            (u64::MAX, 0, vec![]),
        ] {
            let guards = Guards::new(&limits).after(RunHistory(vec![70]));
            let mut guards = guards.besides(done);
            // Each artifact has a child.
            guards.add(&plan("a", 200, deleted, 0), &limits);
            let reports = guards.finish();
            let refusing = reports.iter().filter(|report| report.refuses);
            assert_eq!(
                refusing.map(|report| report.limit).collect::<Vec<_>>(),
                refused,
                "{done}"
            );
            let wanted = done.saturating_add(2 * deleted);
            assert!(reports.iter().all(|report| report.wanted == wanted));
        }
    }

    #[test]
    fn a_repository_that_is_held_back_is_no_part_of_the_run() {
        let limits = limits(Some(2), None, 1);
        let mut guards = Guards::new(&limits);
        let held = guards.add(&plan("a", 5, 5, 3), &limits).cloned().unwrap();
        assert_eq!(
            (held.limit, held.allowed, held.wanted),
            (Guard::KeepAtLeast, 1, 0)
        );
        assert!(guards.add(&plan("b", 5, 1, 0), &limits).is_none());
        let reports = guards.finish();
        assert_eq!(reports.len(), 2);
        assert_eq!(
            (reports[1].limit, reports[1].wanted, reports[1].refuses),
            (Guard::MaxDeletions, 2, false)
        );
    }

    #[test]
    fn a_share_is_of_tagged_artifacts_and_shown_above_its_limit() {
        let limits = limits(None, Some(33), 0);
        let mut guards = Guards::new(&limits);
        assert!(guards.add(&plan("a", 100, 33, 0), &limits).is_none());
        let held = guards.add(&plan("b", 3, 1, 0), &limits).cloned().unwrap();
        assert_eq!(
            (held.limit, held.allowed, held.wanted),
            (Guard::MaxPercentPerRepository, 33, 34)
        );
    }

    #[test]
    fn every_limit_that_refuses_is_listed_and_what_deletes_nothing_is_never_held_back() {
        let limits = limits(Some(0), Some(1), 5);
        let mut guards = Guards::new(&limits);
        assert!(guards.add(&plan("a", 1, 0, 0), &limits).is_none());
        assert!(guards.add(&plan("b", 4, 2, 0), &limits).is_some());
        assert!(guards.add(&plan("c", 4, 0, 1), &limits).is_none());
        let reports = guards.finish();
        let refused: Vec<Guard> = reports
            .iter()
            .filter(|report| report.refuses)
            .map(|report| report.limit)
            .collect();
        assert_eq!(
            refused,
            [
                Guard::KeepAtLeast,
                Guard::MaxPercentPerRepository,
                Guard::MaxDeletions
            ]
        );
    }

    #[test]
    fn a_run_is_held_against_the_median_of_the_last_five_and_a_floor() {
        for (runs, factor, allowed) in [
            (&[][..], 5, None),
            (&[0][..], 5, Some(100)),
            (&[30][..], 5, Some(150)),
            (&[10, 90][..], 5, Some(100)),
            (&[40, 90][..], 5, Some(200)),
            (&[1000, 40, 30, 50, 0][..], 5, Some(200)),
            // The sixth is too old to count.
            (&[1000, 40, 30, 50, 45, 9999][..], 3, Some(135)),
            (&[u64::MAX][..], 9, Some(u64::MAX)),
        ] {
            assert_eq!(RunHistory(runs.to_vec()).allows(factor), allowed, "{runs:?}");
        }
        let limits = Limits {
            max_deletions: None,
            keep_at_least: 0,
            ..Limits::default()
        };
        for (deleted, history, refuses) in [
            (51, vec![10], vec![true]),
            (50, vec![10], vec![false]),
            (500, vec![], vec![]),
        ] {
            let mut guards = Guards::new(&limits).after(RunHistory(history));
            // Each with a child.
            assert!(guards.add(&plan("a", 999, deleted, 0), &limits).is_none());
            let reports = guards.finish();
            assert!(
                reports
                    .iter()
                    .all(|report| report.limit == Guard::MaxChangeFromLastRun && report.repository.is_none())
            );
            assert_eq!(
                reports.iter().map(|report| report.refuses).collect::<Vec<_>>(),
                refuses
            );
        }
    }

    #[test]
    fn an_override_lifts_the_limit_that_it_names_and_no_other() {
        let limits = limits(Some(1), Some(10), 3);
        let refused = |overrides: &[&str]| {
            let overrides: Vec<LimitOverride> = overrides.iter().map(|one| one.parse().unwrap()).collect();
            let mut guards = Guards::new(&limits).overridden(&overrides);
            guards.add(&plan("a", 4, 2, 0), &limits);
            guards.add(&plan("b", 400, 2, 0), &limits);
            let refusing = guards.finish().into_iter().filter(|report| report.refuses);
            refusing.map(|report| report.limit).collect::<Vec<_>>()
        };
        let (least, percent, most) = (
            Guard::KeepAtLeast,
            Guard::MaxPercentPerRepository,
            Guard::MaxDeletions,
        );
        assert_eq!(refused(&[]), [least, percent, most]);
        assert_eq!(refused(&["max_deletions=2000"]), [least, percent]);
        assert_eq!(refused(&["keep_at_least=2"]), [percent, most]);
        assert_eq!(
            refused(&["keep_at_least=0", "max_percent_per_repository=off"]),
            [most]
        );
    }

    #[test]
    fn what_is_no_override_is_refused() {
        for (text, error) in [
            ("max_deletions", "\"max_deletions\" is no LIMIT=VALUE"),
            (
                "most=1",
                "\"most\" is none of max_deletions, max_percent_per_repository, keep_at_least, max_change_from_last_run",
            ),
            (
                "max_deletions=-1",
                "max_deletions is a whole number or `off`, not \"-1\"",
            ),
            (
                "keep_at_least=off",
                "keep_at_least is a whole number, not \"off\"",
            ),
            (
                "max_percent_per_repository=101%",
                "max_percent_per_repository is from 1 to 100 percent, or `off`, not \"101%\"",
            ),
            (
                "max_change_from_last_run=0x",
                "max_change_from_last_run is a factor such as `5x`, or `off`, not \"0x\"",
            ),
        ] {
            assert_eq!(text.parse::<LimitOverride>().unwrap_err().to_string(), error);
        }
        for limit in Guard::ALL {
            let lifted: LimitOverride = format!("{limit}=7").parse().unwrap();
            assert_eq!(lifted.limit(), limit);
        }
    }
}
