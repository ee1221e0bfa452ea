//! `lagan policy schema`: what editors complete and check by.

use std::io::Write as _;

use lagan_config::{Document, json_schema};

use crate::cli::DocumentKind;
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(crate) fn run(document: DocumentKind) -> Result<Exit, Failure> {
    let schema = json_schema(match document {
        DocumentKind::Configuration => Document::Configuration,
        DocumentKind::Policy => Document::Policy,
        DocumentKind::Cases => Document::Cases,
    });
    let mut out = Output::stdout();
    writeln!(out, "{schema:#}")?;
    out.finish()?;
    Ok(Exit::Done)
}
