//! Numbers for people: digits in groups of three, counts with their noun, bytes as MiB.

/// A number with its digits in groups of three: `1,234`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with its noun: `1 tag`, `1,234 tags`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Bytes as MiB with one decimal, rounded; never `0.0` for something.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    // Whole and part apart, since bytes times ten may not fit.
    let (whole, part) = (bytes / MIB, bytes % MIB);
    let tenths = (part * 10 + MIB / 2) / MIB;
    let (whole, tenths) = (whole + tenths / 10, tenths % 10);
    if bytes > 0 && whole == 0 && tenths == 0 {
        "less than 0.1 MiB".to_owned()
    } else {
        format!("{}.{tenths} MiB", grouped(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn one_is_singular_and_nothing_else_is() {
        assert_eq!(count(0, "child", "children"), "0 children");
        assert_eq!(count(1, "child", "children"), "1 child");
        assert_eq!(count(2000, "child", "children"), "2,000 children");
    }

    #[test]
    fn bytes_are_rounded_to_a_tenth_of_a_mebibyte() {
        for (bytes, text) in [
            (0, "0.0 MiB"),
            (1, "less than 0.1 MiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) * 3 / 2, "1.5 MiB"),
            (5 << 40, "5,242,880.0 MiB"),
            (u64::MAX, "17,592,186,044,416.0 MiB"),
        ] {
            assert_eq!(mebibytes(bytes), text);
        }
    }
}
