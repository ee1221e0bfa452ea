//! Generated repositories, made when first asked for and forgotten when not used.
//!
//! A million tags is some gigabytes of JSON; as a function it is nothing at all, and the cache
//! holds only what is being read.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lru::LruCache;

use crate::content::{Content, Corpus};

/// Filled outside the cache's lock, by whoever comes first; others wait for that one table only.
type Slot = Arc<OnceLock<Arc<Content>>>;

pub(super) struct Tables {
    corpus: Corpus,
    numbers: HashMap<Arc<str>, usize>,
    cache: Mutex<LruCache<usize, Slot>>,
    built: AtomicU64,
}

impl Tables {
    pub(super) fn new(corpus: Corpus, capacity: usize) -> Self {
        let numbers = corpus
            .names()
            .enumerate()
            .map(|(number, name)| (Arc::from(name), number))
            .collect();
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self {
            corpus,
            numbers,
            cache: Mutex::new(LruCache::new(capacity)),
            built: AtomicU64::new(0),
        }
    }

    pub(super) fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.numbers.keys()
    }

    pub(super) fn built(&self) -> u64 {
        self.built.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Content>> {
        let number = *self.numbers.get(name)?;
        let slot = {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cache.get_or_insert(number, Slot::default))
        };
        let table = slot.get_or_init(|| {
            self.built.fetch_add(1, Ordering::Relaxed);
            Arc::new(self.corpus.repository(number))
        });
        Some(Arc::clone(table))
    }
}
