//! `lagan policy convert`: retention that was written for something else, as a policy file.

use std::io::Write as _;

use lagan_config::{ConvertOptions, Format, convert};
use lagan_model::RepositoryName;

use crate::cli::{ConvertArgs, ConvertFormat};
use crate::exit::{Exit, Failure};
use crate::output::{Output, print_notices};
use crate::settings;

pub(crate) fn run(arguments: &ConvertArgs) -> Result<Exit, Failure> {
    let attached_to = arguments
        .attached_to
        .as_deref()
        .map(|name| {
            name.parse::<RepositoryName>()
                .map_err(|error| Failure::usage(format!("--attached-to {name:?}: {error}")))
        })
        .transpose()?;
    let text = settings::read(&arguments.file, "the document")?;
    let options = ConvertOptions {
        from: arguments.from.map(format),
        name: settings::policy_name(&arguments.file),
        attached_to: attached_to.as_ref(),
    };
    let converted = convert(&arguments.file.display().to_string(), text, &options)?;
    let mut out = Output::open(arguments.out.as_deref())?;
    out.write_all(converted.text.as_bytes())?;
    out.finish()?;
    print_notices(&converted.notices);
    Ok(if converted.is_whole() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

fn format(format: ConvertFormat) -> Format {
    match format {
        ConvertFormat::LifecycleRules => Format::LifecycleRules,
        ConvertFormat::Harbor => Format::Harbor,
        ConvertFormat::Ecr => Format::Ecr,
        ConvertFormat::ArtifactRegistry => Format::ArtifactRegistry,
        ConvertFormat::Zot => Format::Zot,
    }
}
