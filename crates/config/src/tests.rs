//! The documents and arguments that are accepted, those that are refused and how, and laws for all others.

use crate::ConfigErrors;

mod accepted;
mod admin;
mod arguments;
mod cases;
mod documented;
mod findings;
mod health;
mod laws;
mod never;
mod notifications;
mod print;
mod refused;
mod schedules;
mod webhooks;

/// Every error in one line: place, message, hint.
fn lines(errors: &ConfigErrors) -> Vec<String> {
    let line = |error: &crate::ConfigError| {
        let hint = error
            .hint
            .as_ref()
            .map(|hint| format!(" [{hint}]"))
            .unwrap_or_default();
        format!("{}:{} {}{hint}", error.line, error.column, error.message)
    };
    errors.errors.iter().map(line).collect()
}
