//! The table of due times.

use std::collections::BTreeMap;
use std::fmt::Display;

use chrono::{SubsecRound as _, TimeDelta};

use crate::Time;
use crate::schedule::Schedule;

/// How far ahead of now a last run may lie. A clock that is set right again goes back by less, and nothing is run
/// twice for it; one that was wrong by more says nothing, and nothing waits for it to come round again.
const SET_RIGHT: TimeDelta = TimeDelta::hours(1);

/// What is to be run, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<G> {
    /// What it shares: of one group, one is run at a time.
    pub group: G,
    /// When.
    pub schedule: Schedule,
}

/// What has to outlive the process for missed runs to be made up for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The schedule, as it is written: under another one, nothing was missed.
    pub schedule: String,
    /// Every time of the schedule up to here has had its run, or was left out.
    pub at: Time,
}

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Every time of the schedule up to here has had its run, or was left out.
    pub last: Time,
    /// When it will be due, or has been due since. `None` where no calendar reaches so far.
    pub due: Option<Time>,
    /// Whether it is being run.
    pub running: bool,
}

/// Says what is due. `K` names an entry, `G` a group; the time is an argument.
///
/// An entry is due at the times of its schedule, each with its own jitter. However many of them pass while it is not
/// run, or wait for its group, one run makes up for all; those that pass while it is run are left out. A time passes when
/// its jitter has: one whose jitter is not over when a run begins or ends is due still. Times have their turn in order:
/// where one waits longer than the next, both have one run. A new entry, and one whose schedule has changed, is due at
/// the next time of its schedule and not before.
#[derive(Debug)]
pub struct Table<K, G> {
    slots: BTreeMap<K, Slot<G>>,
    /// What is being run. It may not be in the table any more.
    running: BTreeMap<K, Running<G>>,
    /// The latest time that was told.
    now: Option<Time>,
}

#[derive(Debug)]
struct Slot<G> {
    entry: Entry<G>,
    last: Time,
    due: Option<Time>,
}

#[derive(Debug)]
struct Running<G> {
    group: G,
    /// What is to be made up for, should the run not come about.
    before: Time,
}

impl<G> Slot<G> {
    fn new(key: &impl Display, entry: Entry<G>, last: Time) -> Self {
        let mut slot = Self {
            entry,
            last,
            due: None,
        };
        slot.set(key, last);
        slot
    }

    fn set(&mut self, key: &impl Display, last: Time) {
        self.last = last.trunc_subsecs(0);
        let next = self.entry.schedule.after(self.last);
        self.due = next.and_then(|time| jittered(&self.entry.schedule, &key.to_string(), time));
    }

    /// Passes over every time that is due by now, up to the first whose jitter is not over.
    fn pass(&mut self, key: &impl Display, now: Time) {
        let (schedule, key) = (&self.entry.schedule, key.to_string());
        let now = now.trunc_subsecs(0);
        if now <= self.last {
            return;
        }
        // What is longer ago than the jitter is due, however much of it is waited: years need not be walked through.
        let jitter = schedule.jitter.max(TimeDelta::zero());
        let from = now.checked_sub_signed(jitter).unwrap_or(self.last);
        let mut next = schedule.after(from.max(self.last));
        let mut due = None;
        while let Some(time) = next {
            due = jittered(schedule, &key, time);
            if due.is_none_or(|due| due > now) {
                break;
            }
            next = schedule.after(time);
        }
        self.last = match next {
            Some(time) if time <= now => time - TimeDelta::seconds(1),
            _ => now,
        };
        self.due = next.and(due);
    }
}

impl<K, G> Default for Table<K, G> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            running: BTreeMap::new(),
            now: None,
        }
    }
}

impl<K: Ord + Clone + Display, G: Ord + Clone> Table<K, G> {
    /// Takes these entries for those that it had. What is being run goes on. `lasts` has what an earlier process knew.
    pub fn load(
        &mut self,
        entries: impl IntoIterator<Item = (K, Entry<G>)>,
        lasts: &BTreeMap<K, Last>,
        now: Time,
    ) {
        let mut known = std::mem::take(&mut self.slots);
        for (key, entry) in entries {
            let schedule = entry.schedule.to_string();
            let last = match (known.remove(&key), lasts.get(&key)) {
                (Some(slot), _) if slot.entry.schedule.to_string() == schedule => slot.last,
                (None, Some(last)) if last.schedule == schedule => last.at,
                _ => now,
            };
            let slot = Slot::new(&key, entry, sensible(last, now));
            self.slots.insert(key, slot);
        }
    }

    /// What has to outlive the process.
    #[must_use]
    pub fn lasts(&self) -> BTreeMap<K, Last> {
        let last = |(key, slot): (&K, &Slot<G>)| {
            let last = Last {
                schedule: slot.entry.schedule.to_string(),
                at: slot.last,
            };
            (key.clone(), last)
        };
        self.slots.iter().map(last).collect()
    }

    /// What is to be run now, what has been due the longest first. It counts as running until [`Table::finished`] or
    /// [`Table::postponed`] is told.
    pub fn start(&mut self, now: Time) -> Vec<K> {
        std::iter::from_fn(|| self.start_next(now, |_| true)).collect()
    }

    /// The one that has been due the longest, of those whose group nobody has: no other of them is run, and the group is
    /// `free` of whatever else shares it. It counts as running, as of [`Table::start`].
    pub fn start_next(&mut self, now: Time, free: impl Fn(&G) -> bool) -> Option<K> {
        self.look_at_the_clock(now);
        let idle = |group: &G| self.running.values().all(|running| running.group != *group);
        let due = self.slots.iter().filter(|(key, slot)| {
            let group = &slot.entry.group;
            slot.due.is_some_and(|due| due <= now)
                && !self.running.contains_key(key)
                && idle(group)
                && free(group)
        });
        let (_, key) = due.map(|(key, slot)| (slot.due, key)).min()?;
        let key = key.clone();
        let slot = self.slots.get_mut(&key)?;
        let (group, before) = (slot.entry.group.clone(), slot.last);
        slot.pass(&key, now);
        self.running.insert(key.clone(), Running { group, before });
        Some(key)
    }

    /// A run is over. Whether it was due meanwhile, which is left out.
    pub fn finished(&mut self, key: &K, now: Time) -> bool {
        self.running.remove(key);
        match self.slots.get_mut(key) {
            Some(slot) => {
                let left_out = slot.due.is_some_and(|due| due <= now);
                slot.pass(key, now);
                left_out
            }
            None => false,
        }
    }

    /// A run could not begin: it is due still.
    pub fn postponed(&mut self, key: &K) {
        let running = self.running.remove(key);
        if let (Some(running), Some(slot)) = (running, self.slots.get_mut(key)) {
            slot.set(key, running.before);
        }
    }

    /// Where each entry stands.
    pub fn status(&self) -> impl Iterator<Item = (&K, Status)> {
        self.slots.iter().map(|(key, slot)| {
            let status = Status {
                last: slot.last,
                due: slot.due,
                running: self.running.contains_key(key),
            };
            (key, status)
        })
    }

    /// When something will be due that is not, or has been and waits for nothing.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        let idle = self.slots.iter().filter(|(_, slot)| {
            let group = &slot.entry.group;
            self.running.values().all(|running| running.group != *group)
        });
        idle.filter_map(|(_, slot)| slot.due).min()
    }

    fn look_at_the_clock(&mut self, now: Time) {
        let before = self.now.replace(now);
        if before.is_some_and(|before| before > now) {
            for running in self.running.values_mut() {
                running.before = sensible(running.before, now);
            }
            for (key, slot) in &mut self.slots {
                let last = sensible(slot.last, now);
                if last != slot.last {
                    slot.set(key, last);
                }
            }
        }
    }
}

/// When a time of a schedule is due.
fn jittered(schedule: &Schedule, key: &str, time: Time) -> Option<Time> {
    time.checked_add_signed(schedule.delay(key, time))
}

fn sensible(last: Time, now: Time) -> Time {
    if last > now + SET_RIGHT { now } else { last }
}
