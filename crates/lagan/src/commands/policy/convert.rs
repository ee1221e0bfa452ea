//! `lagan policy convert`: retention that was written for something else, as a policy file.

use std::io::Write as _;
use std::path::Path;

use lagan_config::{ConvertOptions, Format, convert};
use lagan_model::RepositoryName;
use lagan_registry::Connected;

use crate::cli::{ConvertArgs, ConvertFormat};
use crate::commands::block_on;
use crate::exit::{Exit, Failure};
use crate::output::{Output, print_notices};
use crate::{settings, sources};

pub(crate) fn run(config: Option<&Path>, arguments: &ConvertArgs) -> Result<Exit, Failure> {
    let attached_to = arguments
        .attached_to
        .as_deref()
        .map(|name| {
            name.parse::<RepositoryName>()
                .map_err(|error| Failure::usage(format!("--attached-to {name:?}: {error}")))
        })
        .transpose()?;
    let document = document(config, arguments, attached_to.as_ref())?;
    let options = ConvertOptions {
        from: document.from.or(arguments.from.map(format)),
        name: &document.policy,
        attached_to: attached_to.as_ref(),
    };
    let converted = convert(&document.name, document.text, &options)?;
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

/// What is to be converted.
struct Document {
    /// What messages call it.
    name: String,
    text: Vec<u8>,
    /// What its policies are called.
    policy: String,
    from: Option<Format>,
}

fn document(
    config: Option<&Path>,
    arguments: &ConvertArgs,
    project: Option<&RepositoryName>,
) -> Result<Document, Failure> {
    let mut connect = arguments.connect.clone();
    if let Some(file) = &arguments.file {
        let Some(url) = file.to_str().filter(|text| text.contains("://")) else {
            return Ok(Document {
                name: file.display().to_string(),
                text: settings::read(file, "the document")?,
                policy: settings::policy_name(file).to_owned(),
                from: None,
            });
        };
        connect.registry = Some(url.to_owned());
    }
    if !matches!(arguments.from, None | Some(ConvertFormat::Harbor)) {
        return Err(Failure::usage(
            "of registries only a Harbor is asked for its retention",
        ));
    }
    let project = project.ok_or_else(|| {
        Failure::usage("which project's retention is not said").with_hint("give --attached-to PROJECT")
    })?;
    let config = settings::find_config(config)?;
    let config = config.as_ref().map(|(_, config)| config);
    let (settings, configured) = sources::registry(config, &connect)?;
    let kind = configured.and_then(|registry| registry.kind);
    let url = settings.url.as_str().to_owned();
    let retention = block_on(async {
        match Connected::connect(settings, kind).await? {
            Connected::Harbor(harbor) => Ok(harbor.retention_of(project.as_str()).await?),
            Connected::Oci(_) => Err(Failure::usage(
                "the registry is no Harbor, and tells no retention",
            )),
        }
    })?;
    let text = retention.ok_or_else(|| {
        Failure::usage(format!(
            "the project {project} has no retention policy: there is nothing to convert"
        ))
    })?;
    Ok(Document {
        name: format!("{url} ({project})"),
        text: text.into_bytes(),
        policy: project.to_string(),
        from: Some(Format::Harbor),
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
