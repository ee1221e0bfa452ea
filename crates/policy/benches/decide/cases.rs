//! Policies as people write them.

use lagan_policy::{
    Clock, Keep, KeepLine, Limits, Mode, Order, Per, Policy, PolicySet, Protection, ProtectionPattern,
    RepositoryPolicies, Rule, Select, VersionTable,
};

pub(crate) struct Case {
    pub(crate) title: &'static str,
    set: PolicySet,
}

impl Case {
    fn new(title: &'static str, rules: Vec<(Select, Vec<KeepLine>)>, protect: Vec<Protection>) -> Self {
        let rule = |(number, (select, lines))| Rule {
            name: format!("rule {number}").into(),
            select,
            keep: Keep {
                lines,
                unless_older_than: None,
            },
            allow_empty_repository: true,
        };
        let policy = Policy {
            name: "tidy".into(),
            repositories: vec!["**".parse().unwrap()],
            exclude_repositories: Vec::new(),
            mode: Mode::DryRun,
            rules: rules.into_iter().enumerate().map(rule).collect(),
            protect,
            limits: Limits::default(),
            untag: true,
            grace: None,
            notice: None,
            rollout: None,
        };
        Self {
            title,
            set: PolicySet {
                policies: vec![policy],
                versions: VersionTable::default(),
            },
        }
    }

    /// Those of the one repository that there is.
    pub(crate) fn policies(&self) -> RepositoryPolicies<'_> {
        self.set
            .of_repository(&"team/app".parse().unwrap(), &|_| true)
            .unwrap()
    }
}

fn tags(globs: &[&str]) -> Select {
    Select {
        tags: globs.iter().map(|glob| glob.parse().unwrap()).collect(),
        ..Select::default()
    }
}

fn channel(name: &str) -> Select {
    Select {
        channel: Some(name.parse().unwrap()),
        ..Select::default()
    }
}

fn last(count: u32, by: Order, per: Per) -> KeepLine {
    KeepLine::Last { count, by, per }
}

fn within(age: &str) -> KeepLine {
    KeepLine::Within {
        clock: Clock::Created,
        age: age.parse().unwrap(),
    }
}

pub(crate) fn all() -> [Case; 4] {
    let created = Order::Clock(Clock::Created);
    [
        Case::new(
            "all tags by version",
            vec![(tags(&["*"]), vec![last(10, Order::Version, Per::Variant)])],
            Vec::new(),
        ),
        Case::new(
            "prereleases by version",
            vec![(
                channel("prerelease"),
                vec![last(10, Order::Version, Per::Variant)],
            )],
            Vec::new(),
        ),
        Case::new(
            "all tags by created",
            vec![(tags(&["*"]), vec![last(10, created, Per::Repository)])],
            Vec::new(),
        ),
        Case::new(
            "four rules and protections",
            vec![
                (
                    channel("prerelease"),
                    vec![last(10, Order::Version, Per::Minor), within("30d")],
                ),
                (channel("stable"), vec![last(20, Order::Version, Per::Variant)]),
                (
                    Select {
                        regex: Some(r"pr-(?<n>\d+)-.*".parse().unwrap()),
                        ..Select::default()
                    },
                    vec![last(1, created, Per::Capture("n".into()))],
                ),
                (
                    channel("commit"),
                    vec![within("14d"), last(50, created, Per::Repository)],
                ),
            ],
            vec![
                Protection {
                    pattern: ProtectionPattern::Tags(vec![
                        "latest".parse().unwrap(),
                        "*-lts".parse().unwrap(),
                    ]),
                    until: None,
                    why: Some("deployed".into()),
                },
                Protection {
                    pattern: ProtectionPattern::Channel("floating".parse().unwrap()),
                    until: None,
                    why: None,
                },
            ],
        ),
    ]
}
