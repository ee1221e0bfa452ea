//! A policy from arguments of the command line.
//!
//! An argument of `--select` is one condition, `key=value`, its value taken whole, since a version range holds
//! commas: `--select 'version=>=1.0.0, <2.0.0'`. Given twice, `tags`, `exclude`, `channel`, `media_type` and
//! `artifact_type` are alternatives, as in a list. `label=tier=scratch` names one label; other keys must hold as
//! well, other values of the same key are alternatives.
//!
//! An argument of `--keep` is `all`, `none`, or `key=value` pairs with commas between them, with the keys of `keep`
//! in a document: `last=10,by=version,per=variant`. A length of time names its clock, `within=created:30d`. Given
//! twice, what any of them keeps is kept.
//!
//! An argument of `--protect` is a glob over tags, or one of `tags=`, `regex=`, `channel=`, `label=` and
//! `signed=true`. No tag holds `=`.

use lagan_policy::{Keep, Limits, Mode, Policy, PolicyName, Protection, Rule, Select, VersionTable};

use crate::decode::{all, parsed};
use crate::document::{keep, protect, rule, select};
use crate::error::{ConfigErrors, Problems, Read};
use crate::source::{Source, Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::{Key, Node, Value};

/// The arguments that make a policy, each as it was given.
#[derive(Debug, Clone, Copy)]
pub struct OneLiner<'a> {
    /// Globs over repositories; at least one.
    pub repositories: &'a [String],
    /// The arguments of `--select`; at least one.
    pub select: &'a [String],
    /// The arguments of `--keep`; at least one.
    pub keep: &'a [String],
    /// The arguments of `--protect`.
    pub protect: &'a [String],
    /// Whether `--allow-empty-repository` was given.
    pub allow_empty_repository: bool,
    /// The table of channels and variants to read versions by.
    pub versions: &'a VersionTable,
}

const REPOSITORY: &str = "";
const SELECT: &str = "--select";
const KEEP: &str = "--keep";
const PROTECT: &str = "--protect";

/// Keys of a selection that hold a list.
const LISTS: &[&str] = &["tags", "exclude", "channel", "media_type", "artifact_type"];

/// How an argument names one label, `label=tier=scratch`; in a document these are a mapping, `labels`.
const LABEL: &str = "label";

/// Makes a policy of one rule. It is named `command line`, and is a dry run.
///
/// # Errors
///
/// All that is wrong with the arguments, each shown with a caret: see [`ConfigErrors`].
pub fn one_liner(arguments: &OneLiner<'_>) -> Result<Policy, ConfigErrors> {
    let given: Vec<(&'static str, &str)> = [
        (REPOSITORY, arguments.repositories),
        (SELECT, arguments.select),
        (KEEP, arguments.keep),
        (PROTECT, arguments.protect),
    ]
    .into_iter()
    .flat_map(|(option, values)| values.iter().map(move |value| (option, value.as_str())))
    .collect();
    let (source, spans) = Source::arguments(&given);
    let placed: Vec<Argument<'_>> = given
        .into_iter()
        .zip(spans)
        .map(|((option, text), span)| Argument { option, text, span })
        .collect();
    let of = |option: &str| {
        placed
            .iter()
            .filter(|argument| argument.option == option)
            .copied()
            .collect::<Vec<_>>()
    };
    let mut problems = Problems::new(&source);
    let end = Span::new(source.text().len(), source.text().len());

    let repositories =
        present(&of(REPOSITORY), "a glob over repositories", end, &mut problems).and_then(|globs| {
            all(globs, |argument| {
                parsed(&argument.node(), "a glob", &mut problems)
            })
        });
    let select = selection(&of(SELECT), arguments.versions, end, &mut problems);
    let keep = kept(
        &of(KEEP),
        select.as_ref().ok(),
        arguments.allow_empty_repository,
        end,
        &mut problems,
    );
    let protect =
        all(&of(PROTECT), |argument| protection(argument, &mut problems)).map(|entries| entries.concat());
    let policy = || -> Read<Policy> {
        let rule = Rule {
            name: "rule 1".into(),
            select: select?,
            keep: keep?,
            allow_empty_repository: arguments.allow_empty_repository,
        };
        Ok(Policy {
            name: PolicyName::from("command line"),
            repositories: repositories?,
            exclude_repositories: Vec::new(),
            mode: Mode::DryRun,
            rules: vec![rule],
            protect: protect?,
            limits: Limits::default(),
            untag: true,
            grace: None,
            notice: None,
            rollout: None,
        })
    };
    problems.settle(policy())
}

#[derive(Clone, Copy)]
struct Argument<'a> {
    option: &'static str,
    text: &'a str,
    span: Span,
}

impl<'a> Argument<'a> {
    fn node(self) -> Node {
        Node::argument(self.text, self.span)
    }

    /// Both sides of the first `by`, each with its place.
    fn split(self, by: char) -> Option<(Self, Self)> {
        let (left, right) = self.text.split_once(by)?;
        let middle = self.span.start + left.len();
        Some((
            Self {
                text: left,
                span: Span::new(self.span.start, middle),
                ..self
            },
            Self {
                text: right,
                span: Span::new(middle + by.len_utf8(), self.span.end),
                ..self
            },
        ))
    }

    fn key(self) -> Key {
        Key {
            span: self.span,
            text: self.text.to_owned(),
        }
    }
}

fn present<'g, 'a>(
    given: &'g [Argument<'a>],
    wanted: &str,
    end: Span,
    problems: &mut Problems<'_>,
) -> Read<&'g [Argument<'a>]> {
    if given.is_empty() {
        return Err(problems.report(end, format!("a policy needs {wanted}"), None));
    }
    Ok(given)
}

fn selection(
    given: &[Argument<'_>],
    versions: &VersionTable,
    end: Span,
    problems: &mut Problems<'_>,
) -> Read<Select> {
    let given = present(
        given,
        "`--select`, as in `--select channel=prerelease`",
        end,
        problems,
    )?;
    let mut entries: Vec<(Key, Node)> = Vec::new();
    let conditions = all(given, |argument| condition(*argument, &mut entries, problems));
    let span = given[0].span;
    let root = Node {
        span,
        value: Value::Mapping {
            entries,
            refused: conditions.err(),
        },
    };
    select::decode(&root, span, versions, problems)
}

fn condition(
    argument: Argument<'_>,
    entries: &mut Vec<(Key, Node)>,
    problems: &mut Problems<'_>,
) -> Read<()> {
    let Some((key, value)) = argument.split('=') else {
        let channel = argument.text.parse::<lagan_policy::version::ChannelSet>().is_ok();
        let hint = if channel {
            format!("did you mean `channel={}`?", argument.text)
        } else {
            format!(
                "a condition reads KEY=VALUE, with one of {}",
                select::SCHEMA.keys.join(", ")
            )
        };
        return Err(problems.report(
            argument.span,
            format!("{} is no condition", quoted(argument.text)),
            Some(hint),
        ));
    };
    if key.text == LABEL {
        return label(key, value, entries, problems);
    }
    match entries.iter_mut().find(|(known, _)| known.text == key.text) {
        None if LISTS.contains(&key.text) => {
            entries.push((
                key.key(),
                Node {
                    span: value.span,
                    value: Value::Sequence(vec![value.node()]),
                },
            ));
        }
        None => entries.push((key.key(), value.node())),
        Some((
            _,
            Node {
                value: Value::Sequence(items),
                ..
            },
        )) => items.push(value.node()),
        Some(_) => {
            let message = format!("{} is given twice", quoted(key.text));
            return Err(problems.report(key.span, message, None));
        }
    }
    Ok(())
}

/// Adds `tier=scratch` to the mapping of labels.
fn label(
    key: Argument<'_>,
    value: Argument<'_>,
    entries: &mut Vec<(Key, Node)>,
    problems: &mut Problems<'_>,
) -> Read<()> {
    let (name, glob) = pair_of_label(value, problems)?;
    let position = match entries.iter().position(|(known, _)| known.text == "labels") {
        Some(position) => position,
        None => {
            let labels = Key {
                span: key.span,
                text: "labels".to_owned(),
            };
            entries.push((labels, Node::mapping(Vec::new(), value.span)));
            entries.len() - 1
        }
    };
    let Value::Mapping { entries, .. } = &mut entries[position].1.value else {
        return Err(problems.report(key.span, "labels are given twice", None));
    };
    let known = entries.iter_mut().find(|(known, _)| known.text == name.text);
    if let Some((
        _,
        Node {
            value: Value::Sequence(values),
            ..
        },
    )) = known
    {
        values.push(glob.node());
    } else {
        let values = Node {
            span: glob.span,
            value: Value::Sequence(vec![glob.node()]),
        };
        entries.push((name.key(), values));
    }
    Ok(())
}

fn pair_of_label<'a>(value: Argument<'a>, problems: &mut Problems<'_>) -> Read<(Argument<'a>, Argument<'a>)> {
    value.split('=').ok_or_else(|| {
        let hint = format!("`label={}=*` takes any value", value.text);
        problems.report(
            value.span,
            format!("{} with which value?", quoted(value.text)),
            Some(hint),
        )
    })
}

fn kept(
    given: &[Argument<'_>],
    select: Option<&Select>,
    allowed: bool,
    end: Span,
    problems: &mut Problems<'_>,
) -> Read<Keep> {
    let given = present(
        given,
        "`--keep`, as in `--keep last=10,by=version`",
        end,
        problems,
    )?;
    let is_word = |argument: &Argument<'_>| !argument.text.contains('=');
    let keep = match given {
        [only] if is_word(only) => keep::decode(&only.node(), only.span, select, problems)?,
        several => {
            let parts = all(several, |argument| {
                if matches!(argument.text, "all" | "none") {
                    let message = format!(
                        "{} stands alone: there are other lines to keep",
                        quoted(argument.text)
                    );
                    return Err(problems.report(argument.span, message, None));
                }
                if is_word(argument) {
                    // No word but these two is read: this reports what was meant.
                    keep::decode(&argument.node(), argument.span, select, problems)?;
                }
                let node = pairs(*argument, problems)?;
                keep::lines(&node, argument.span, select, problems)
            })?;
            keep::joined(parts, problems)?
        }
    };
    if let Some(select) = select {
        rule::check_can_keep(select, &keep, given[0].span, problems)?;
    }
    rule::check_leaves_one(select, &keep, allowed, given[0].span, problems)?;
    Ok(keep)
}

/// `last=10,by=version` as a mapping.
fn pairs(argument: Argument<'_>, problems: &mut Problems<'_>) -> Read<Node> {
    let mut entries: Vec<(Key, Node)> = Vec::new();
    let mut rest = Some(argument);
    let mut parts = Vec::new();
    while let Some(part) = rest {
        let (part, behind) = match part.split(',') {
            Some((part, behind)) => (part, Some(behind)),
            None => (part, None),
        };
        parts.push(part);
        rest = behind;
    }
    all(parts, |part| {
        if part.text.is_empty() {
            return Err(problems.report(part.span, "something is missing at this comma", None));
        }
        let Some((key, value)) = part.split('=') else {
            let hint = did_you_mean(part.text, ["all", "none"])
                .unwrap_or_else(|| format!("a line reads KEY=VALUE, with {}", keep::SCHEMA.keys.join(", ")));
            return Err(problems.report(
                part.span,
                format!("{} has no value", quoted(part.text)),
                Some(hint),
            ));
        };
        if entries.iter().any(|(known, _)| known.text == key.text) {
            let hint = Some("another `--keep` keeps besides".to_owned());
            return Err(problems.report(key.span, format!("{} is given twice", quoted(key.text)), hint));
        }
        let node = match value.split(':') {
            Some((clock, age)) if matches!(key.text, "within" | "unless_older_than") => {
                Node::mapping(vec![(clock.key(), age.node())], value.span)
            }
            _ => value.node(),
        };
        entries.push((key.key(), node));
        Ok(())
    })?;
    Ok(Node::mapping(entries, argument.span))
}

fn protection(argument: &Argument<'_>, problems: &mut Problems<'_>) -> Read<Vec<Protection>> {
    let item = match argument.split('=') {
        Some((key, value)) if key.text == LABEL => {
            let mut entries = Vec::new();
            label(key, value, &mut entries, problems)?;
            Node::mapping(entries, argument.span)
        }
        Some((key, value)) => Node::mapping(vec![(key.key(), value.node())], argument.span),
        None => argument.node(),
    };
    let list = Node {
        span: argument.span,
        value: Value::Sequence(vec![item]),
    };
    protect::decode(&list, problems)
}
