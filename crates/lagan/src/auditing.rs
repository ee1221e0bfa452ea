//! What the audit log is told: by commands, and by the daemon.
//!
//! What leads to a deletion is durable there before the first request that deletes; a log that cannot be written lets
//! nothing be deleted. The journal has what became of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::SubsecRound as _;
use lagan_model::journal::{Begin, PolicyIdentity, Purpose, RunId};
use lagan_model::{Clock, RegistryIdentity, RepositoryName, Time};
use lagan_policy::{Action, LimitOverride, PolicyName, RepositoryPlan};
use lagan_report::sanitize::harmless;
use lagan_state::{AuditLog, AuditOptions, StateError, Who};
use serde::Serialize;
use serde_json::{Value, json};

use crate::bans::Pause;
use crate::exit::{Exit, Failure};
use crate::rollout::{Changed, Restarted};
use crate::running::SystemClock;
use crate::state;

/// How much of an error is kept, in characters.
const LONGEST: usize = 2_000;

/// What is on record. Fields may be added; each has `event` for its kind.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    /// A run that may change a registry begins.
    RunBegins {
        run: RunId,
        purpose: &'a Purpose,
        registry: &'a RegistryIdentity,
        policies: &'a [PolicyIdentity],
        program: &'a str,
        /// Limits that hold for this run in place of those of the policies, as they were written.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        overrides: Vec<String>,
    },
    /// The registry is told to collect its garbage: what has no reference any more cannot be brought back after that.
    CollectionBegins {
        run: RunId,
        registry: &'a RegistryIdentity,
        /// Whether with what has no tag.
        deletes_untagged: bool,
    },
    /// An action was decided and approved, and is carried out next.
    DeletionDecided {
        run: RunId,
        repository: &'a RepositoryName,
        decision: &'a Action,
    },
    /// An undo begins.
    UndoBegins {
        run: RunId,
        purpose: &'a Purpose,
        registry: &'a RegistryIdentity,
        program: &'a str,
        /// Whether tags are taken from what they are on by now.
        overwrites_moved_tags: bool,
    },
    /// A run or an undo ended.
    RunEnded {
        run: RunId,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Something was refused, and nothing was done.
    Refused { what: &'a str, why: String },
    /// The admin API refused calls: the first of their kind, or how many more there were.
    CallsRefused(&'a RefusedCalls<'a>),
    /// A configuration holds from now on, or was refused.
    Configuration {
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        sha256: Option<&'a str>,
        /// The settings of it that hold from the next start on.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        needs_restart: &'a [&'static str],
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The rollout of a policy advanced, is complete, or fell back to dry-run, or its stage began anew.
    Rollout {
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        #[serde(flatten)]
        changed: Value,
    },
    /// The rollout of a policy begins anew with its first stage; of every policy where the record could not be read.
    RolloutRestarted {
        policy: &'a str,
        registries: &'a [String],
        unreadable: &'a [String],
    },
    /// Deletions are paused.
    Paused {
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    },
    /// They are not any more.
    Resumed,
}

/// Calls of one kind that the admin API refused.
#[derive(Debug, Serialize)]
pub(crate) struct RefusedCalls<'a> {
    /// What was asked for: `look`, `plan`, `apply`, `undo`, `webhook`, or `other`.
    pub(crate) what: &'a str,
    /// The status of the answers.
    pub(crate) status: u16,
    /// By which way they came: `socket`, `loopback` or `network`.
    pub(crate) way: &'a str,
    /// The registry of the configuration that a webhook was called for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry: Option<&'a str>,
    /// How many there were since the last entry of this kind.
    pub(crate) times: u64,
}

/// Tells the audit log of a state directory what somebody has done.
pub(crate) struct Auditing {
    log: Mutex<AuditLog>,
    directory: PathBuf,
    who: Who,
    /// The runs that began.
    runs: Mutex<Vec<RunId>>,
}

impl Auditing {
    /// On behalf of somebody.
    pub(crate) fn of(directory: &Path, who: Who) -> Self {
        Self {
            log: Mutex::new(AuditLog::new(directory, AuditOptions::default())),
            directory: directory.to_owned(),
            who,
            runs: Mutex::default(),
        }
    }

    /// A run begins that may delete. It is on record when this returns.
    pub(crate) fn begins(&self, begin: &Begin, overrides: &[LimitOverride]) -> Result<(), StateError> {
        let event = Event::RunBegins {
            run: begin.run,
            purpose: &begin.purpose,
            registry: &begin.registry,
            policies: &begin.policies,
            program: &begin.program,
            overrides: overrides.iter().map(written).collect(),
        };
        self.write(&event)?;
        locked(&self.runs).push(begin.run);
        Ok(())
    }

    /// Garbage is going to be collected. It is on record when this returns.
    pub(crate) fn collects(&self, begin: &Begin, deletes_untagged: bool) -> Result<(), StateError> {
        self.write(&Event::CollectionBegins {
            run: begin.run,
            registry: &begin.registry,
            deletes_untagged,
        })?;
        locked(&self.runs).push(begin.run);
        Ok(())
    }

    /// Puts on record what goes in a repository, and hands it on.
    pub(crate) fn decided(
        &self,
        run: RunId,
        plan: io::Result<RepositoryPlan>,
        goes: impl Fn(&RepositoryPlan, usize) -> bool,
    ) -> io::Result<RepositoryPlan> {
        let plan = plan?;
        let mut log = locked(&self.log);
        let mut write = || -> Result<(), StateError> {
            let mut batch = log.begin()?;
            for (position, action) in plan.actions.iter().enumerate() {
                if goes(&plan, position) {
                    let event = Event::DeletionDecided {
                        run,
                        repository: &plan.name,
                        decision: action,
                    };
                    batch.add(now(), &self.who, &event)?;
                }
            }
            batch.commit()
        };
        write().map_err(io::Error::other)?;
        Ok(plan)
    }

    /// An undo begins.
    pub(crate) fn undoes(&self, begin: &Begin, overwrites_moved_tags: bool) -> Result<(), StateError> {
        self.write(&Event::UndoBegins {
            run: begin.run,
            purpose: &begin.purpose,
            registry: &begin.registry,
            program: &begin.program,
            overwrites_moved_tags,
        })?;
        locked(&self.runs).push(begin.run);
        Ok(())
    }

    /// What became of a command. A run that began has ended, and one that did not may have been refused.
    pub(crate) fn ended(&self, what: &str, done: Result<Exit, Failure>) -> Result<Exit, Failure> {
        match done {
            Ok(exit) => {
                self.close(what, exit, None)?;
                Ok(exit)
            }
            Err(failure) => Err(self.failed(what, failure)),
        }
    }

    /// The same of what failed.
    pub(crate) fn failed(&self, what: &str, failure: Failure) -> Failure {
        if let Err(error) = self.close(what, failure.exit, Some(shown(&failure.text()))) {
            tracing::error!("failed to {error}");
        }
        failure
    }

    fn close(&self, what: &str, exit: Exit, why: Option<String>) -> Result<(), StateError> {
        let runs = std::mem::take(&mut *locked(&self.runs));
        // Without a state directory nothing was ever deleted, and none is made for that.
        if runs.is_empty() && exit == Exit::Refused && state::is_there(&self.directory) {
            let why = why.unwrap_or_default();
            return self.write(&Event::Refused { what, why });
        }
        runs.into_iter().try_for_each(|run| {
            self.write(&Event::RunEnded {
                run,
                outcome: outcome(exit),
                why: why.clone(),
            })
        })
    }

    /// A configuration holds from now on, but for settings that do from the next start on.
    pub(crate) fn configured(&self, sha256: &str, needs_restart: &[&'static str]) -> Result<(), StateError> {
        self.write(&Event::Configuration {
            outcome: "taken",
            sha256: Some(sha256),
            needs_restart,
            why: None,
        })
    }

    /// A configuration was refused, and the one before stays.
    pub(crate) fn refused_configuration(&self, why: &str) -> Result<(), StateError> {
        self.write(&Event::Configuration {
            outcome: "refused",
            sha256: None,
            needs_restart: &[],
            why: Some(shown(why)),
        })
    }

    /// Rollouts changed, with a run where one began.
    pub(crate) fn rolled(&self, run: Option<RunId>, changes: &[Changed]) -> Result<(), StateError> {
        changes.iter().try_for_each(|changed| {
            self.write(&Event::Rollout {
                run,
                changed: changed.to_json(),
            })
        })
    }

    /// The present stages of policies begin anew, because something was put back that they had deleted.
    pub(crate) fn undone(
        &self,
        run: RunId,
        registry: &RegistryIdentity,
        policies: &[PolicyName],
    ) -> Result<(), StateError> {
        policies.iter().try_for_each(|policy| {
            self.write(&Event::Rollout {
                run: Some(run),
                changed: json!({
                    "registry": registry.name,
                    "policy": policy,
                    "change": "stage_began_anew",
                }),
            })
        })
    }

    /// Somebody has the rollout of a policy begin anew.
    pub(crate) fn restarts(&self, policy: &PolicyName, restarted: &Restarted) -> Result<(), StateError> {
        self.write(&Event::RolloutRestarted {
            policy: &policy.0,
            registries: &restarted.registries,
            unreadable: &restarted.unreadable,
        })
    }

    /// Somebody called the admin API in vain.
    pub(crate) fn refused_calls(&self, who: Who, calls: &RefusedCalls<'_>) -> Result<(), StateError> {
        locked(&self.log).write(now(), &who, &Event::CallsRefused(calls))
    }

    /// Somebody paused deletions.
    pub(crate) fn paused(&self, pause: &Pause) -> Result<(), StateError> {
        self.write(&Event::Paused {
            until: pause.until,
            why: pause.why.as_deref(),
        })
    }

    /// Somebody lets them go on.
    pub(crate) fn resumed(&self) -> Result<(), StateError> {
        self.write(&Event::Resumed)
    }

    fn write(&self, event: &Event<'_>) -> Result<(), StateError> {
        locked(&self.log).write(now(), &self.who, event)
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A limit as it is written on the command line.
fn written(limit: &LimitOverride) -> String {
    let or_off = |value: Option<u64>| value.map_or_else(|| "off".to_owned(), |value| value.to_string());
    match limit {
        LimitOverride::MaxDeletions(most) => format!("max_deletions={}", or_off(*most)),
        LimitOverride::MaxPercentPerRepository(most) => {
            format!("max_percent_per_repository={}", or_off(most.map(u64::from)))
        }
        LimitOverride::KeepAtLeast(least) => format!("keep_at_least={least}"),
        LimitOverride::MaxChangeFromLastRun(most) => {
            format!("max_change_from_last_run={}", or_off(most.map(u64::from)))
        }
    }
}

fn now() -> Time {
    SystemClock.now().trunc_subsecs(3)
}

fn outcome(exit: Exit) -> &'static str {
    match exit {
        Exit::Done | Exit::Changes => "done",
        Exit::Partial => "partial",
        Exit::Refused => "refused",
        Exit::Unexpected | Exit::Usage => "failed",
    }
}

/// An error on one line, cut where it is long.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().map(str::trim).collect();
    let line = lines.join("; ");
    let cut: String = line.chars().take(LONGEST).collect();
    harmless(&cut).into_owned()
}
