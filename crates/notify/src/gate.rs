//! What is told at all: not the same again and again, and not more than a person reads.
//!
//! Pure: the time is an argument.

use std::collections::HashMap;

use chrono::TimeDelta;
use lagan_model::Time;

use crate::message::{Kind, Message};
use crate::receiver::Limits;

/// How many messages are remembered; of more, those that were told the longest ago are forgotten.
const REMEMBERED: usize = 4_096;

type Key = (Kind, String, String);

/// Why a message is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The same was told not long ago.
    Duplicate,
    /// Enough was told lately.
    TooMany,
}

#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    told: HashMap<Key, Time>,
    /// What may be told at once, in units of which a message has [`ONE`].
    left: i64,
    at: Option<Time>,
}

/// One message, in parts of it that pass in a millisecond where one is told an hour: no rest is ever lost.
const ONE: i64 = 3_600_000;

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            told: HashMap::new(),
            left: Self::most(limits),
            at: None,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a message is told now. If so, the same is not told for a while.
    pub(crate) fn pass(&mut self, message: &Message, now: Time) -> Result<(), Held> {
        let key = key(message);
        let repeat_after = self.limits.repeat_after;
        let recent = |told: &Time| (TimeDelta::zero()..repeat_after).contains(&(now - *told));
        if self.told.get(&key).is_some_and(recent) {
            return Err(Held::Duplicate);
        }
        self.refill(now);
        if self.left < ONE {
            return Err(Held::TooMany);
        }
        self.left -= ONE;
        if self.told.len() >= REMEMBERED {
            self.told.retain(|_, told| recent(told));
        }
        if self.told.len() >= REMEMBERED
            && let Some(oldest) = self
                .told
                .iter()
                .min_by_key(|(_, told)| **told)
                .map(|(key, _)| key.clone())
        {
            self.told.remove(&oldest);
        }
        self.told.insert(key, now);
        Ok(())
    }

    /// A message was not told after all: the next one like it may be.
    pub(crate) fn forget(&mut self, message: &Message) {
        self.told.remove(&key(message));
    }

    /// What passed since then makes room, evenly over an hour. A clock that is set back makes none.
    fn refill(&mut self, now: Time) {
        let since = self.at.map_or(TimeDelta::zero(), |at| now - at);
        self.at = Some(now);
        let milliseconds = since.num_milliseconds().clamp(0, ONE);
        let more = milliseconds * i64::from(self.limits.per_hour.get());
        self.left = (self.left + more).min(Self::most(self.limits));
    }

    fn most(limits: Limits) -> i64 {
        i64::from(limits.per_hour.get()) * ONE
    }
}

fn key(message: &Message) -> Key {
    (message.kind, message.subject.clone(), message.likeness.clone())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use serde_json::Value;

    use super::*;

    fn at(minutes: i64) -> Time {
        "2026-11-21T12:00:00Z".parse::<Time>().unwrap() + TimeDelta::minutes(minutes)
    }

    fn message(likeness: &str) -> Message {
        Message {
            id: String::new(),
            kind: Kind::RunFailed,
            at: at(0),
            subject: "registries/r".to_owned(),
            summary: String::new(),
            data: Value::Null,
            likeness: likeness.to_owned(),
        }
    }

    fn gate(per_hour: u16) -> Gate {
        Gate::new(Limits {
            per_hour: NonZeroU16::new(per_hour).unwrap(),
            repeat_after: TimeDelta::hours(2),
        })
    }

    #[test]
    fn the_same_is_told_again_only_after_a_while() {
        let mut gate = gate(100);
        assert_eq!(gate.pass(&message("a"), at(0)), Ok(()));
        assert_eq!(gate.pass(&message("a"), at(119)), Err(Held::Duplicate));
        assert_eq!(gate.pass(&message("b"), at(119)), Ok(()));
        assert_eq!(gate.pass(&message("a"), at(120)), Ok(()));
        gate.forget(&message("a"));
        assert_eq!(gate.pass(&message("a"), at(121)), Ok(()));
        // A clock that was wrong holds nothing back for ever.
        assert_eq!(gate.pass(&message("a"), at(0)), Ok(()));
    }

    #[test]
    fn so_many_are_told_in_an_hour_and_no_more() {
        let mut gate = gate(6);
        let mut told = 0;
        for minute in 0..60 {
            for number in 0..5 {
                told += usize::from(
                    gate.pass(&message(&format!("{minute}.{number}")), at(minute))
                        .is_ok(),
                );
            }
        }
        // Six at once, and then one every ten minutes.
        assert_eq!(told, 6 + 5);
        assert_eq!(gate.pass(&message("later"), at(300)), Ok(()));
    }

    #[test]
    fn what_is_asked_often_makes_room_as_what_is_asked_seldom() {
        let mut gate = gate(1);
        assert_eq!(gate.pass(&message("first"), at(0)), Ok(()));
        for second in 1..3_600 {
            let now = at(0) + TimeDelta::seconds(second);
            assert_eq!(gate.pass(&message("more"), now), Err(Held::TooMany), "{second} s");
        }
        assert_eq!(gate.pass(&message("more"), at(60)), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut gate = gate(u16::MAX);
        for number in 0..5_000 {
            gate.pass(&message(&number.to_string()), at(number / 1_000))
                .unwrap();
        }
        assert!(gate.told.len() <= REMEMBERED);
    }
}
