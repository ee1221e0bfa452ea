//! `lagan policy`: what can be done with a policy by itself.

mod convert;
mod schema;
mod test;

use std::path::Path;

use crate::cli::PolicyCommand;
use crate::exit::{Exit, Failure};

pub(crate) fn run(config: Option<&Path>, command: &PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Convert(arguments) => convert::run(config, arguments),
        PolicyCommand::Test(arguments) => test::run(arguments),
        PolicyCommand::Schema { document } => schema::run(*document),
    }
}
