//! What is written: lines with checksums, and compressed contents.

pub(crate) mod hash;
pub(crate) mod line;
pub(crate) mod pack;
