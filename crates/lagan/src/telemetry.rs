//! Logs, on stderr.

use std::io;

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, in the syntax of `tracing_subscriber::EnvFilter`.
const VARIABLE: &str = "LAGAN_LOG";

/// Logs what matters to people who wait, or what `LAGAN_LOG` says.
pub(crate) fn install() {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn,lagan=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();
}
