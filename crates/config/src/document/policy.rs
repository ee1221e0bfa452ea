//! One policy, and all of a document.

use lagan_model::RegistryName;
use lagan_policy::{Limits, Mode, Policy, PolicyName, RepositoryPattern, VersionTable};
use lagan_scheduler::{Freeze, Schedule};

use super::{grace, limits, notice, protect, rollout, rule, timing};
use crate::convert::dialect;
use crate::decode::{Fields, Schema, check_label, choice, mapping, one_or_more, parsed, truth};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::{Key, Node};

/// A policy, and the registry that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEntry {
    /// The registry by name; `None` where the policy names none.
    pub registry: Option<RegistryName>,
    /// The policy.
    pub policy: Policy,
}

/// What could be read of a policy. The parts are apart, so that a wrong one does not hide the others' errors.
pub(crate) struct Decoded {
    pub(crate) registry: Read<Option<RegistryName>>,
    /// Where the registry is named, or could be.
    pub(crate) registry_place: Span,
    pub(crate) policy: Read<Policy>,
    /// When the daemon runs it.
    pub(crate) schedule: Read<Option<Schedule>>,
    /// Where that is said.
    schedule_place: Option<Span>,
    /// When it may delete nothing.
    pub(crate) freeze: Read<Vec<Freeze>>,
    freeze_place: Option<Span>,
}

impl Decoded {
    /// A policy that may name any registry, or none.
    pub(crate) fn entry(self, problems: &mut Problems<'_>) -> Read<PolicyEntry> {
        if let Some(place) = self.schedule_place {
            let message = "`schedule` is for the policies of a configuration, which the daemon runs";
            return Err(problems.report(place, message, None));
        }
        if let Some(place) = self.freeze_place {
            let message = "`freeze` is for a configuration, whose own hold for policies from elsewhere, too";
            return Err(problems.report(place, message, None));
        }
        Ok(PolicyEntry {
            registry: self.registry?,
            policy: self.policy?,
        })
    }
}

/// The keys of a policy.
pub(crate) const SCHEMA: Schema = Schema {
    what: "a policy",
    keys: &[
        "registry",
        "repositories",
        "exclude_repositories",
        "mode",
        "schedule",
        "freeze",
        "rules",
        "protect",
        "limits",
        "grace",
        "notice",
        "rollout",
        "untag",
        "allow_proxy_cache",
    ],
    later: &[],
};

/// The keys of a policy that is a whole file: `channels` may stand beside its own.
pub(crate) const FILE_SCHEMA: Schema = Schema {
    what: "a policy file",
    keys: &[
        "registry",
        "repositories",
        "exclude_repositories",
        "mode",
        "schedule",
        "freeze",
        "rules",
        "protect",
        "limits",
        "grace",
        "notice",
        "rollout",
        "untag",
        "allow_proxy_cache",
        "channels",
    ],
    later: SCHEMA.later,
};

/// Reads `policies:`.
pub(crate) fn decode_all(
    entry: &(Key, Node),
    versions: &VersionTable,
    problems: &mut Problems<'_>,
) -> Read<Vec<Decoded>> {
    let (key, node) = entry;
    let entries = mapping(node, "`policies`", problems)?;
    if entries.is_empty() {
        return Err(problems.report(key.span, "`policies` is empty", None));
    }
    let decoded = entries.iter().map(|(name, node)| {
        let named = check_label(&name.text, name.span, "the name of a policy", problems);
        let decoded = decode(&name.text, name.span, node, &SCHEMA, versions, problems);
        Decoded {
            policy: named.and(decoded.policy),
            ..decoded
        }
    });
    Ok(decoded.collect())
}

/// Reads the body of one policy.
pub(crate) fn decode(
    name: &str,
    place: Span,
    node: &Node,
    schema: &Schema,
    versions: &VersionTable,
    problems: &mut Problems<'_>,
) -> Decoded {
    let opened = not_the_dialect(node, problems).and_then(|()| Fields::open(node, place, schema, problems));
    match opened {
        Ok(fields) => Decoded {
            registry: fields.optional("registry", |node| {
                parsed(node, "the name of a registry", problems)
            }),
            registry_place: fields.get("registry").map_or(place, |node| node.span),
            policy: body(name, &fields, versions, problems),
            schedule: fields
                .entry("schedule")
                .map(|(key, node)| timing::schedule(node, key.span, problems))
                .transpose(),
            schedule_place: fields.entry("schedule").map(|(key, _)| key.span),
            freeze: fields
                .optional("freeze", |node| timing::freezes(node, problems))
                .map(Option::unwrap_or_default),
            freeze_place: fields.entry("freeze").map(|(key, _)| key.span),
        },
        Err(reported) => Decoded {
            registry: Err(reported),
            registry_place: place,
            policy: Err(reported),
            schedule: Err(reported),
            schedule_place: None,
            freeze: Err(reported),
            freeze_place: None,
        },
    }
}

fn not_the_dialect(node: &Node, problems: &mut Problems<'_>) -> Read<()> {
    match dialect::mark(node) {
        Some(key) => {
            let message = "lifecycle rules stand in a file of their own, for `--policy-file`";
            let hint = "`lagan policy convert FILE` prints them as policies".to_owned();
            Err(problems.report(key.span, message, Some(hint)))
        }
        None => Ok(()),
    }
}

fn body(
    name: &str,
    fields: &Fields<'_>,
    versions: &VersionTable,
    problems: &mut Problems<'_>,
) -> Read<Policy> {
    let repositories = fields
        .required(
            "repositories",
            Some("`repositories: [\"team/*\"]` names what is directly under team"),
            problems,
        )
        .and_then(|(_, node)| patterns(node, problems));
    let exclude = fields.optional("exclude_repositories", |node| patterns(node, problems));
    let modes = [("dry-run", Mode::DryRun), ("enforce", Mode::Enforce)];
    let mode = fields.optional("mode", |node| choice(node, "a mode", &modes, problems));
    let rules = fields
        .required("rules", None, problems)
        .and_then(|(_, node)| rule::decode(node, versions, problems));
    let protect = fields.optional("protect", |node| protect::decode(node, problems));
    let grace = match fields.entry("grace") {
        Some((key, node)) => grace::decode(node, key.span, problems).map(Some),
        None => Ok(None),
    };
    let notice = fields.optional("notice", |node| notice::decode(node, problems));
    let rollout = match fields.entry("rollout") {
        Some((key, node)) => rollout::decode(node, key.span, problems).map(Some),
        None => Ok(None),
    };
    let untag = fields.optional("untag", |node| truth(node, problems));
    let proxy = fields.optional("allow_proxy_cache", |node| match truth(node, problems)? {
        true => {
            let message = "nothing is deleted in projects that cache another registry: looking at what is there \
                           would fetch it anew, and no deletion could be undone";
            let hint = "leave it out: such projects are left alone".to_owned();
            Err(problems.report(node.span, message, Some(hint)))
        }
        false => Ok(()),
    });
    let limits = match fields.entry("limits") {
        Some((key, node)) => limits::decode(node, key.span, problems),
        None => Ok(Limits::default()),
    };
    proxy?;
    Ok(Policy {
        name: PolicyName::from(name),
        repositories: repositories?,
        exclude_repositories: exclude?.unwrap_or_default(),
        mode: mode?.unwrap_or_default(),
        rules: rules?,
        protect: protect?.unwrap_or_default(),
        limits: limits?,
        grace: grace?,
        notice: notice?,
        rollout: rollout?,
        untag: untag?.unwrap_or(true),
    })
}

/// Globs over repositories, or one.
pub(crate) fn patterns(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<RepositoryPattern>> {
    one_or_more(node, "a list of globs", problems, |item, problems| {
        parsed(item, "a glob", problems)
    })
}
