//! `lagan man`: manual pages, made of what the program knows of its own command line.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(crate) fn run(folder: Option<&Path>) -> Result<Exit, Failure> {
    let mut lagan = Cli::command();
    // Subcommands get the options that hold for all, and their names their parents'.
    lagan.build();
    let Some(folder) = folder else {
        let mut out = Output::stdout();
        out.write_all(&page(lagan)?)?;
        out.finish()?;
        return Ok(Exit::Done);
    };
    write_all(&lagan, "lagan", folder).map_err(|error| {
        let context = format!("failed to write manual pages to {}", folder.display());
        Failure::new(Exit::Usage, anyhow::Error::new(error).context(context))
    })?;
    Ok(Exit::Done)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

/// A page for a command and for each below it: `lagan.1`, `lagan-plan.1`, `lagan-policy-test.1`.
fn write_all(command: &Command, name: &str, folder: &Path) -> io::Result<()> {
    let path = folder.join(format!("{name}.1"));
    fs::write(path, page(command.clone().display_name(name.to_owned()))?)?;
    for below in command.get_subcommands() {
        write_all(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}
