//! sled panics on some damage: that is an answer like others, and nobody reads of it as of a fault of this program.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::kv::KvError;

thread_local! {
    /// Whether a panic on this thread becomes an error.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Does what may panic. A panic is an error with its message, and is not printed; those of everybody else are printed
/// as before.
pub(super) fn contained<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, KvError> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !CONTAINED.get() {
                print(panic);
            }
        }));
    });
    let before = CONTAINED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(before);
    match done {
        Ok(answer) => Ok(answer?),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(KvError::Panic(text.unwrap_or("no message").to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    const CHILD: &str = "LAGAN_STATE_TEST_PANICS";

    /// Runs as a process of its own: the hook is the whole process's.
    #[test]
    fn a_contained_panic_is_an_error_and_prints_nothing_and_others_are_printed() {
        if env::var_os(CHILD).is_some() {
            let answer: Result<(), _> = contained(|| panic!("of the {}", "store"));
            assert_eq!(
                answer.unwrap_err().to_string(),
                "the store panicked: of the store"
            );
            panic!("of the program");
        }
        let name = "copies::contained::tests::a_contained_panic_is_an_error_and_prints_nothing_and_others_are_printed";
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("of the program"), "{said}");
        assert!(!said.contains("of the store"), "{said}");
    }
}
