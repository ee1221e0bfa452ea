//! A registry that has no API of its own: what it lists, what it lets be read, and whether it deletes.

use lagan_model::{
    Capability, Failure as Why, Reference, Referrers, RegistryProbe as _, RegistryRead as _, RepositoryName,
};
use lagan_policy::RepositoryPattern;
use lagan_registry::Connected;
use lagan_report::doctor::{Finding, Level};
use lagan_report::number::count;

use super::{Patient, of_error};

pub(super) async fn look(patient: &Patient, registry: &Connected, findings: &mut Vec<Finding>) {
    findings.push(Finding::new(
        "registry",
        Level::Ok,
        "a registry by the OCI distribution specification",
    ));
    findings.push(
        match (patient.settings.credentials.is_some(), registry.username().await) {
            (true, Some(name)) => Finding::new("account", Level::Ok, format!("signed in as {name}")),
            (true, None) => Finding::new("account", Level::Ok, "signed in with a token"),
            (false, _) => Finding::new("account", Level::Note, "nobody: only what is public is seen"),
        },
    );
    let repository = repository(patient, registry, findings).await;
    match repository {
        Some(repository) => read(patient, registry, &repository, findings).await,
        None => {
            let text = "there is no repository to try reading from";
            findings.push(Finding::new("reading", Level::Unknown, text));
        }
    }
    deletion(patient, registry, findings);
    let text = "OCI registries do not tell when they collect garbage: until when a deletion can be undone is not known";
    findings.push(Finding::new("collections", Level::Unknown, text).needed(false));
}

/// A repository that a policy names: of the catalog, or else one that is named outright.
async fn repository(
    patient: &Patient,
    registry: &Connected,
    findings: &mut Vec<Finding>,
) -> Option<RepositoryName> {
    let policies = patient.policies.policies.iter();
    let patterns: Vec<&RepositoryPattern> = match patient.only.is_empty() {
        true => policies.flat_map(|policy| &policy.repositories).collect(),
        false => patient.only.iter().collect(),
    };
    let mut outright = patterns
        .iter()
        .filter_map(|pattern| pattern.as_str().parse::<RepositoryName>().ok());
    let first = outright.next();
    let all_outright = first.is_some()
        && patterns
            .iter()
            .all(|pattern| pattern.as_str().parse::<RepositoryName>().is_ok());
    match registry.catalog(&|segment| patient.wants(segment)).await {
        Ok(catalog) => {
            let wanted = |name: &&RepositoryName| {
                let named = |pattern: &&RepositoryPattern| pattern.matches(name);
                patterns.is_empty() || patterns.iter().any(named)
            };
            let found = catalog.repositories.iter().filter(wanted).count();
            let text = format!(
                "{} listed, {found} of them named by a policy or an argument",
                count(
                    catalog.repositories.len() as u64,
                    "repository is",
                    "repositories are"
                )
            );
            let level = match (found, patterns.is_empty()) {
                (0, false) => Level::Warning,
                _ => Level::Ok,
            };
            findings.push(Finding::new("catalog", level, text));
            catalog.repositories.iter().find(wanted).cloned().or(first)
        }
        Err(error) => {
            let is_absent = matches!(error.failure(), Why::Unsupported | Why::Denied);
            let level = match is_absent && (all_outright || patient.is_listed) {
                true => Level::Note,
                false => Level::Warning,
            };
            findings.push(of_error("catalog", level, &error));
            first
        }
    }
}

async fn read(
    patient: &Patient,
    registry: &Connected,
    repository: &RepositoryName,
    findings: &mut Vec<Finding>,
) {
    let tags = match registry.list_tags(repository).await {
        Ok(tags) => tags,
        Err(error) => {
            findings.push(of_error("reading", Level::Warning, &error));
            return;
        }
    };
    if patient.probe {
        registry.probe_deletion(repository, &tags).await;
    }
    let Some(tag) = tags.first() else {
        let text = format!("{repository} has no tag to try reading");
        findings.push(Finding::new("reading", Level::Unknown, text).needed(false));
        return;
    };
    let head = match registry.resolve(repository, &Reference::Tag(tag.clone())).await {
        Ok(Some(head)) => head,
        Ok(None) => {
            let text = format!("{repository}:{tag} is listed and not there");
            findings.push(Finding::new("reading", Level::Unknown, text).needed(false));
            return;
        }
        Err(error) => {
            findings.push(of_error("reading", Level::Warning, &error));
            return;
        }
    };
    let text = format!("tags and manifests of {repository} can be read");
    findings.push(Finding::new("reading", Level::Ok, text));
    findings.push(match registry.referrers(repository, &head.digest).await {
        Ok(Referrers::Listed(_)) => Finding::new(
            "referrers",
            Level::Ok,
            "signatures and the like are listed by the referrers API",
        ),
        Ok(Referrers::NoApi) => Finding::new(
            "referrers",
            Level::Ok,
            "signatures and the like are found by tags: the registry has no referrers API",
        ),
        Err(error) => of_error("referrers", Level::Warning, &error),
    });
}

fn deletion(patient: &Patient, registry: &Connected, findings: &mut Vec<Finding>) {
    const HINT: &str = "`--probe` asks, by one DELETE of a digest and one of a tag that do not exist";
    let capabilities = registry.capabilities();
    let deletes = patient.purposes.deletes();
    let unknown = |text: &str| {
        let finding = Finding::new("deletion", Level::Unknown, text);
        match patient.probe {
            true => finding,
            false => finding.with_hint(HINT),
        }
    };
    findings.push(match capabilities.delete_manifest {
        Capability::Offered => Finding::new("deletion", Level::Ok, "manifests can be deleted"),
        Capability::NotOffered => Finding::new(
            "deletion",
            if deletes { Level::Warning } else { Level::Note },
            "deletion is disabled: plans work, and nothing can be deleted",
        )
        .with_hint("docker-registry takes `storage: {delete: {enabled: true}}`"),
        Capability::Unknown => unknown("whether manifests can be deleted is not known").needed(deletes),
    });
    findings.push(match capabilities.delete_tag {
        Capability::Offered => Finding::new("deletion", Level::Ok, "single tags can be deleted"),
        Capability::NotOffered => Finding::new(
            "deletion",
            Level::Note,
            "single tags cannot be deleted: one that shares its digest with a kept tag stays",
        ),
        Capability::Unknown => unknown("whether single tags can be deleted is not known").needed(false),
    });
}
