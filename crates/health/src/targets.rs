//! What is expected.

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;

/// A part of a whole, from nothing to all of it, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(10_000);

    /// So many percent; `None` above 100.
    #[must_use]
    pub const fn percent(percent: u16) -> Option<Self> {
        if percent <= 100 {
            Some(Self(percent * 100))
        } else {
            None
        }
    }

    /// So many hundredths of a percent; `None` above 10,000.
    #[must_use]
    pub const fn hundredths(hundredths: u16) -> Option<Self> {
        if hundredths <= Self::ALL.0 {
            Some(Self(hundredths))
        } else {
            None
        }
    }

    /// From 0 to 1.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }
}

/// As it is written in a configuration.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match (part, part % 10) {
            (0, _) => write!(f, "{whole}%"),
            (_, 0) => write!(f, "{whole}.{}%", part / 10),
            _ => write!(f, "{whole}.{part:02}%"),
        }
    }
}

/// What is expected, and when somebody should look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// How far back is looked.
    pub window: TimeDelta,
    /// How many of all requests, and of all runs, succeed.
    pub success_rate: Share,
    /// Within which time 95 of 100 requests are answered.
    pub latency: Duration,
    /// By how much of all requests more fail in the later half of the window than in the earlier.
    pub error_growth: Share,
    /// How many of all requests are refused for lack of capacity.
    pub saturation: Share,
    /// The least score that is good.
    pub alert_below: u8,
}

impl Targets {
    /// The shortest window.
    pub const SHORTEST_WINDOW: TimeDelta = TimeDelta::hours(1);
    /// The longest window.
    pub const LONGEST_WINDOW: TimeDelta = TimeDelta::days(31);
}

impl Default for Targets {
    /// A day; 99 % succeed, 2 s, 5 % more failures, 5 % refused; below 80.
    fn default() -> Self {
        Self {
            window: TimeDelta::days(1),
            success_rate: Share(9_900),
            latency: Duration::from_secs(2),
            error_growth: Share(500),
            saturation: Share(500),
            alert_below: 80,
        }
    }
}
