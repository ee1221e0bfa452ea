//! What a pass says of itself that did not look at everything.

use lagan_model::Time;
use serde::Serialize;

use crate::number::{count, grouped};
use crate::wording::moment;

/// A pass over what is said to have changed since the one before. Nothing is decided in other repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassNote {
    /// When the last full pass began.
    pub full_pass: Time,
    /// How many repositories that one looked at.
    pub repositories: u64,
    /// How many this one looked at.
    pub changed: u64,
}

impl PassNote {
    /// What a reader has to know.
    pub(crate) fn warning(&self) -> String {
        format!(
            "only {} that changed, as the registry told, {} looked at; the others wait for the next full pass: the last, \
             {}, had {}",
            count(self.changed, "repository", "repositories"),
            if self.changed == 1 { "was" } else { "were" },
            moment(self.full_pass),
            grouped(self.repositories),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_says_how_much_it_left_out_and_as_of_when() {
        let note = |changed| PassNote {
            full_pass: "2026-11-21T03:00:00Z".parse().unwrap(),
            repositories: 12_345,
            changed,
        };
        assert_eq!(
            note(1).warning(),
            "only 1 repository that changed, as the registry told, was looked at; the others wait for the next full \
             pass: the last, 2026-11-21T03:00:00Z, had 12,345"
        );
        assert!(note(0).warning().contains("only 0 repositories that changed"));
    }
}
