//! Whether a plan that was saved may still be carried out: the world that it was made for has to be this one.

use chrono::TimeDelta;
use lagan_model::journal::PolicyIdentity;
use lagan_model::{RegistryIdentity, Time};
use thiserror::Error;

/// How old a plan may be when it is carried out.
pub const MAX_PLAN_AGE: TimeDelta = TimeDelta::hours(24);

/// How far the time of decisions may be from the time at which a plan was made: two readings of one clock.
const SAME_TIME: TimeDelta = TimeDelta::minutes(1);

/// What a saved plan says of itself.
#[derive(Debug, Clone, Copy)]
pub struct SavedPlan<'a> {
    /// The registry that it is for.
    pub registry: &'a RegistryIdentity,
    /// The policies that decided.
    pub policies: &'a [PolicyIdentity],
    /// The clock of its decisions.
    pub now: Time,
    /// When it was made.
    pub created: Time,
}

/// How things are where it is to be carried out.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// The registry.
    pub registry: &'a RegistryIdentity,
    /// The policies, as they would decide now.
    pub policies: &'a [PolicyIdentity],
    /// The time.
    pub now: Time,
}

/// Why a saved plan is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Stale {
    /// Its registry is another one.
    #[error("the plan is for {planned}, and this is {here}")]
    OtherRegistry {
        /// The URL that it was made for.
        planned: String,
        /// The URL here.
        here: String,
    },
    /// A policy is not what it was.
    #[error("the policy `{0}` has changed since the plan was made")]
    PolicyChanged(String),
    /// A policy is no longer there.
    #[error("the policy `{0}` decided when the plan was made, and is gone")]
    PolicyGone(String),
    /// There is a policy that did not decide: it might keep what the plan deletes.
    #[error("the policy `{0}` is new since the plan was made")]
    PolicyNew(String),
    /// It is too old.
    #[error("the plan was made {} hours ago, and holds for {}", .age.num_hours(), MAX_PLAN_AGE.num_hours())]
    TooOld {
        /// How old it is.
        age: TimeDelta,
    },
    /// It says that it was made later than now.
    #[error("the plan was made at {0}, which has not come yet")]
    Future(Time),
    /// Its decisions are of another time than its making.
    #[error("the plan's decisions are for {0}: it was made to look, not to be carried out")]
    OtherTime(Time),
}

impl SavedPlan<'_> {
    /// Everything that speaks against carrying it out; empty where nothing does.
    #[must_use]
    pub fn stale(&self, present: &Present<'_>) -> Vec<Stale> {
        let mut stale = Vec::new();
        if self.registry.url != present.registry.url || self.registry.kind != present.registry.kind {
            stale.push(Stale::OtherRegistry {
                planned: self.registry.url.clone(),
                here: present.registry.url.clone(),
            });
        }
        let named = |policies: &[PolicyIdentity], name: &str| -> Option<String> {
            let found = policies.iter().find(|policy| policy.name == name);
            found.map(|policy| policy.sha256.clone())
        };
        for policy in self.policies {
            match named(present.policies, &policy.name) {
                None => stale.push(Stale::PolicyGone(policy.name.clone())),
                Some(hash) if hash != policy.sha256 => {
                    stale.push(Stale::PolicyChanged(policy.name.clone()));
                }
                Some(_) => {}
            }
        }
        let new = present
            .policies
            .iter()
            .filter(|policy| named(self.policies, &policy.name).is_none());
        stale.extend(new.map(|policy| Stale::PolicyNew(policy.name.clone())));
        let age = present.now - self.created;
        if age > MAX_PLAN_AGE {
            stale.push(Stale::TooOld { age });
        } else if age < -SAME_TIME {
            stale.push(Stale::Future(self.created));
        }
        if (self.now - self.created).abs() > SAME_TIME {
            stale.push(Stale::OtherTime(self.now));
        }
        stale
    }
}

#[cfg(test)]
mod tests {
    use lagan_model::RegistryKind;

    use super::*;

    fn registry(url: &str) -> RegistryIdentity {
        RegistryIdentity {
            name: "main".parse().unwrap(),
            url: url.to_owned(),
            kind: RegistryKind::Oci,
        }
    }

    fn policy(name: &str, sha256: &str) -> PolicyIdentity {
        PolicyIdentity {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
        }
    }

    fn at(hours: i64) -> Time {
        chrono::DateTime::from_timestamp(hours * 3600, 0).unwrap()
    }

    #[test]
    fn a_plan_of_the_same_world_is_carried_out_for_a_day() {
        let here = registry("https://a");
        let policies = [policy("a", "1"), policy("b", "2")];
        let plan = SavedPlan {
            registry: &here,
            policies: &policies,
            now: at(10),
            created: at(10),
        };
        for hours in [10, 12, 34] {
            let present = Present {
                registry: &here,
                policies: &[policy("b", "2"), policy("a", "1")],
                now: at(hours),
            };
            assert_eq!(plan.stale(&present), []);
        }
    }

    #[test]
    fn everything_that_speaks_against_a_plan_is_said_at_once() {
        let plan = SavedPlan {
            registry: &registry("https://a"),
            policies: &[policy("changed", "1"), policy("gone", "1")],
            now: at(5),
            created: at(10),
        };
        let present = Present {
            registry: &registry("https://b"),
            policies: &[policy("changed", "2"), policy("new", "1")],
            now: at(35),
        };
        let said: Vec<String> = plan.stale(&present).iter().map(Stale::to_string).collect();
        assert_eq!(
            said,
            [
                "the plan is for https://a, and this is https://b",
                "the policy `changed` has changed since the plan was made",
                "the policy `gone` decided when the plan was made, and is gone",
                "the policy `new` is new since the plan was made",
                "the plan was made 25 hours ago, and holds for 24",
                "the plan's decisions are for 1970-01-01 05:00:00 UTC: it was made to look, not to be carried out",
            ]
        );
    }

    #[test]
    fn a_plan_from_the_future_is_not_carried_out() {
        let here = registry("https://a");
        let plan = SavedPlan {
            registry: &here,
            policies: &[],
            now: at(10),
            created: at(10),
        };
        let present = Present {
            registry: &here,
            policies: &[],
            now: at(9),
        };
        assert_eq!(plan.stale(&present), [Stale::Future(at(10))]);
    }
}
