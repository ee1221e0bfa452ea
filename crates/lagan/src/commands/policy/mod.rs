//! `lagan policy`: what can be done with a policy without a registry.

mod convert;
mod schema;
mod test;

use crate::cli::PolicyCommand;
use crate::exit::{Exit, Failure};

pub(crate) fn run(command: &PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Convert(arguments) => convert::run(arguments),
        PolicyCommand::Test(arguments) => test::run(arguments),
        PolicyCommand::Schema { document } => schema::run(*document),
    }
}
