//! From signals to a score, with its parts.

use std::fmt;

use crate::signals::Signals;
use crate::targets::Targets;

/// What a part of a score is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// Requests and runs that succeed.
    Success,
    /// How long requests take.
    Latency,
    /// Whether more requests fail than before.
    Growth,
    /// Requests that are refused for lack of capacity.
    Saturation,
}

impl PartKind {
    /// All of them, the weightiest first.
    pub const ALL: [Self; 4] = [Self::Success, Self::Latency, Self::Growth, Self::Saturation];

    /// How many of the 100 points it brings at most. They add up to 100.
    #[must_use]
    pub const fn weight(self) -> u8 {
        match self {
            Self::Success => 40,
            Self::Latency => 30,
            Self::Growth => 20,
            Self::Saturation => 10,
        }
    }

    /// The name that metrics and reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Latency => "latency",
            Self::Growth => "error_growth",
            Self::Saturation => "saturation",
        }
    }
}

/// A part of a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// What it is about.
    pub kind: PartKind,
    /// How well it does: 0 to 1.
    pub value: f64,
}

/// How well something does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// In the order of [`PartKind::ALL`].
    pub parts: [Part; 4],
}

impl Score {
    /// What these signals come to.
    #[must_use]
    pub fn of(signals: &Signals, targets: &Targets) -> Self {
        let latency =
            |latency: std::time::Duration| part(targets.latency.as_secs_f64(), latency.as_secs_f64());
        let value = |kind| match kind {
            PartKind::Success => part(targets.success_rate.rest().ratio(), signals.failing),
            // Requests were sent, and none was answered.
            PartKind::Latency => signals.latency.map_or(0.0, latency),
            PartKind::Growth => part(targets.error_growth.ratio(), signals.growth),
            PartKind::Saturation => part(targets.saturation.ratio(), signals.saturation),
        };
        Self {
            parts: PartKind::ALL.map(|kind| Part {
                kind,
                value: value(kind),
            }),
        }
    }

    /// From 0 to 100.
    #[must_use]
    pub fn value(&self) -> f64 {
        let points = self
            .parts
            .iter()
            .map(|part| f64::from(part.kind.weight()) * part.value);
        points.sum::<f64>().clamp(0.0, 100.0)
    }

    /// Whether somebody should look.
    #[must_use]
    pub fn is_low(&self, targets: &Targets) -> bool {
        self.value() < f64::from(targets.alert_below)
    }
}

/// The score with its parts, rounded down: one that is just too low does not read as good.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.value().floor())?;
        for (at, part) in self.parts.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{} {:.2}", part.kind.as_str(), part.value)?;
        }
        f.write_str(")")
    }
}

/// 1 within the target, and less the further beyond it.
fn part(target: f64, measured: f64) -> f64 {
    if measured <= target {
        1.0
    } else {
        (target / measured).clamp(0.0, 1.0)
    }
}
