//! How long requests took, in few numbers.

use std::time::Duration;

/// Upper bounds of the classes, in microseconds, each once and a half of the one before; what is longer is in a class
/// of its own.
const BOUNDS: [u64; 31] = bounds();

const fn bounds() -> [u64; 31] {
    let mut bounds = [0; 31];
    let (mut at, mut bound) = (0, 1_000);
    while at < bounds.len() {
        bounds[at] = bound;
        bound += bound / 2;
        at += 1;
    }
    bounds
}

/// How many requests took how long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    classes: [u32; BOUNDS.len() + 1],
    /// The longest, in microseconds: nothing is said to have taken longer.
    longest: u64,
}

impl Latencies {
    pub(crate) fn add(&mut self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|bound| *bound < took);
        self.classes[class] = self.classes[class].saturating_add(1);
        self.longest = self.longest.max(took);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.classes.iter_mut().zip(other.classes) {
            *sum = sum.saturating_add(more);
        }
        self.longest = self.longest.max(other.longest);
    }

    /// Within which time so many percent of them were answered, at the most: the bound of the class that it is in.
    /// `None` where there was none.
    pub(crate) fn within(&self, percent: u64) -> Option<Duration> {
        let all: u64 = self.classes.iter().map(|count| u64::from(*count)).sum();
        let rank = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let class = self.classes.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        let bound = BOUNDS.get(class).copied().unwrap_or(self.longest);
        Some(Duration::from_micros(bound.min(self.longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        milliseconds
            .into_iter()
            .for_each(|ms| latencies.add(Duration::from_millis(ms)));
        latencies
    }

    #[test]
    fn a_quantile_is_within_half_of_what_it_is() {
        for ms in [1, 2, 5, 40, 333, 1_000, 59_999, 100_000, 9_000_000] {
            let found = of((0..100).map(|_| ms)).within(95).unwrap().as_millis();
            let exactly = u128::from(ms);
            assert!((exactly..=exactly * 3 / 2).contains(&found), "{ms}: {found}");
        }
        let mixed = of((1..=100).map(|percent| if percent > 95 { 10_000 } else { 10 }));
        assert!(mixed.within(95).unwrap() < Duration::from_millis(20));
        assert_eq!(mixed.within(96).unwrap(), Duration::from_secs(10));
    }

    #[test]
    fn without_requests_there_is_none() {
        assert_eq!(of([]).within(95), None);
    }
}
