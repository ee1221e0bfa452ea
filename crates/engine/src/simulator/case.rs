//! One story: a seed, and which kinds of events may happen in it.

/// What may happen in a story. A failing one is shrunk by taking things away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub seed: u64,
    pub repositories: usize,
    pub artifacts: usize,
    /// How many things others do, at most.
    pub others: u32,
    /// Whether others delete as well.
    pub deletions: bool,
    /// How many requests fail or lose their answers, at most.
    pub faults: u32,
    /// How many times the program is killed, at most.
    pub crashes: u32,
    /// Whether garbage is collected.
    pub collections: bool,
    /// Whether the plan is changed after its approval.
    pub tampering: bool,
    /// For how many minutes what is deleted is held before; none where no policy asks for that.
    pub grace: Option<i64>,
    /// For how many minutes deletions are announced; none where no policy asks for that.
    pub notice: Option<i64>,
    /// How many artifacts have to stay in each repository.
    pub keep: u64,
    /// Whether a repository is read again after every second deletion.
    pub rereads: bool,
    /// Whether several units of a repository are worked on at once.
    pub concurrency: bool,
}

impl Case {
    pub(crate) fn of(seed: u64) -> Self {
        Self {
            seed,
            repositories: 1 + (seed % 2) as usize,
            artifacts: 3 + (seed % 5) as usize,
            others: 12,
            deletions: seed % 5 < 3,
            faults: 6,
            crashes: 3,
            collections: seed.is_multiple_of(3),
            tampering: seed.is_multiple_of(16),
            grace: (seed / 3 % 2 == 1).then(|| [4, 30, 24 * 60][(seed / 6 % 3) as usize]),
            notice: (seed % 11 == 7).then(|| [1, 6, 15][(seed / 11 % 3) as usize]),
            keep: if seed % 7 < 2 { 1 + seed / 7 % 3 } else { 0 },
            rereads: seed % 13 == 9,
            concurrency: seed % 4 == 1,
        }
    }

    /// Smaller stories, each with one thing less.
    pub(crate) fn smaller(self) -> Vec<Self> {
        let mut smaller = vec![
            Self { others: 0, ..self },
            Self {
                deletions: false,
                ..self
            },
            Self {
                rereads: false,
                ..self
            },
            Self { faults: 0, ..self },
            Self { crashes: 0, ..self },
            Self {
                collections: false,
                ..self
            },
            Self {
                tampering: false,
                ..self
            },
            Self { grace: None, ..self },
            Self { notice: None, ..self },
            Self { keep: 0, ..self },
            Self {
                concurrency: false,
                ..self
            },
            Self {
                repositories: 1,
                ..self
            },
            Self {
                others: self.others.saturating_sub(1),
                ..self
            },
            Self {
                faults: self.faults.saturating_sub(1),
                ..self
            },
            Self {
                crashes: self.crashes.saturating_sub(1),
                ..self
            },
            Self {
                artifacts: self.artifacts.saturating_sub(1).max(1),
                ..self
            },
        ];
        smaller.retain(|case| *case != self);
        smaller
    }
}
