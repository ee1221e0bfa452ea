//! Natural order: runs of digits count as numbers.

use std::cmp::Ordering;

/// Compares two texts in natural order: `rc.2` is before `rc.10`. Total: texts that differ only in leading zeros
/// are ordered by their bytes.
#[must_use]
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        match (left.first(), right.first()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (x, behind_x) = digits(left);
                let (y, behind_y) = digits(right);
                // Without leading zeros the longer number is the greater one, however long they are.
                match x.len().cmp(&y.len()).then_with(|| x.cmp(y)) {
                    Ordering::Equal => (left, right) = (behind_x, behind_y),
                    unequal => return unequal,
                }
            }
            (Some(x), Some(y)) if x == y => (left, right) = (&left[1..], &right[1..]),
            (Some(x), Some(y)) => return x.cmp(y),
        }
    }
}

/// The leading run of digits without its leading zeros, and what stands behind it.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (run, behind) = text.split_at(end);
    let zeros = run.iter().position(|b| *b != b'0').unwrap_or(run.len());
    (&run[zeros..], behind)
}
