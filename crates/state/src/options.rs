//! What can be chosen about a state directory.

/// Limits and sizes. The defaults are what the documentation promises; tests choose smaller ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes that have to be free on the disk before anything is recorded, or twice the journal where that is more.
    pub reserve: u64,
    /// Bytes of the file that is given back when the disk is full, so that the journal can be opened then.
    pub ballast: u64,
    /// Bytes that the store may cache. It uses more than that.
    pub cache: u64,
    /// Bytes that the cache of what digests name may take on the disk before its older half is removed. For a while it
    /// takes three times as much.
    pub cache_limit: u64,
    /// How many records there may be between two checkpoints. Opening compares what came after the last one.
    pub checkpoint_every: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reserve: 512 << 20,
            ballast: 64 << 20,
            cache: 48 << 20,
            cache_limit: 512 << 20,
            checkpoint_every: 4096,
        }
    }
}
