//! Counting requests: each attempt and each hop of a redirect is one.

use std::sync::atomic::{AtomicU64, Ordering};

use lagan_model::{RequestCounts, RequestKind};

#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; RequestKind::ALL.len()]);

impl Counters {
    pub(crate) fn add(&self, kind: RequestKind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> RequestCounts {
        RequestKind::ALL
            .into_iter()
            .map(|kind| (kind, self.0[kind as usize].load(Ordering::Relaxed)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_under_its_own_name() {
        let counters = Counters::default();
        for (times, kind) in RequestKind::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counters.add(kind));
        }
        let counts = counters.read();
        for (times, kind) in RequestKind::ALL.into_iter().enumerate() {
            assert_eq!(counts.of(kind), times as u64, "{kind:?}");
        }
    }
}
