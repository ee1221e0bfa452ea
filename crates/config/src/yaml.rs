//! YAML, and so JSON, to a tree: a strict subset, with limits.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StructureStyle};

use crate::error::{ConfigErrors, Problems, Read, Reported};
use crate::source::{MAX_DOCUMENT, Source, Span, quoted};
use crate::tree::{Key, Node, Style, Value};

/// How deep a document may nest. The deepest that means anything has less than ten levels.
const MAX_DEPTH: usize = 32;

const QUOTE_IT: &str =
    "put quotes around a pattern that begins with `*`, `&`, `!`, `[` or `{`, as in '*-rc.*'";

/// Makes a source of bytes: what is too large or no UTF-8 is reported, and nothing of it is read.
pub(crate) fn source(name: &str, bytes: &[u8]) -> (Source, Option<(Span, &'static str)>) {
    if bytes.len() > MAX_DOCUMENT {
        let nowhere = Source::file(name, String::new());
        return (
            nowhere,
            Some((Span::new(0, 0), "the document is larger than 1 MiB")),
        );
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => (Source::file(name, text.to_owned()), None),
        Err(error) => {
            let at = error.valid_up_to();
            let text = String::from_utf8_lossy(bytes).into_owned();
            (
                Source::file(name, text),
                Some((Span::new(at, at + 1), "the document is not UTF-8 here")),
            )
        }
    }
}

/// Reads one document and decodes it; where both went well, looks at the value beside its text.
pub(crate) fn read_then<V, T>(
    name: &str,
    bytes: &[u8],
    decode: impl FnOnce(&Node, &mut Problems<'_>) -> Read<V>,
    look: impl FnOnce(&V, &Node, &Problems<'_>) -> T,
) -> Result<(V, T), ConfigErrors> {
    let (source, unreadable) = source(name, bytes);
    let mut problems = Problems::new(&source);
    let root = match unreadable {
        Some((span, message)) => Err(problems.report(span, message, None)),
        None => read(&mut problems, source.text()),
    };
    let looked = root.and_then(|root| {
        let value = decode(&root, &mut problems)?;
        let seen = look(&value, &root, &problems);
        Ok((value, seen))
    });
    problems.settle(looked)
}

/// Reads one document; a second one is an error.
pub(crate) fn read(problems: &mut Problems<'_>, text: &str) -> Read<Node> {
    let mut documents = read_all(problems, text)?;
    match documents.get(1) {
        None => Ok(documents.swap_remove(0)),
        Some(second) => Err(one_document(second, problems)),
    }
}

/// Reports a document that should not be there.
pub(crate) fn one_document(second: &Node, problems: &mut Problems<'_>) -> Reported {
    problems.report(second.span, "a file holds one document", None)
}

/// Reads every document; at least one. Empty ones are left out, where there are others.
///
/// A syntax error ends the reading and is then the only error: what stands behind it is unknown, and what
/// stands before it would be reported for what it seems to lack.
pub(crate) fn read_all(problems: &mut Problems<'_>, text: &str) -> Read<Vec<Node>> {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        problems,
        open: Vec::new(),
        roots: Vec::new(),
    };
    for event in parser {
        match event {
            Ok((event, span)) => {
                let at = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or(text.len());
                // What has a tag is refused: its place begins with the tag.
                let start = span.tag_start().unwrap_or(span.start);
                builder.event(event, Span::new(at(&start), at(&span.end)))?;
            }
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                let (message, hint) = explained(error.kind());
                // What was reported before it is kept only where it is certain: refusals, not absences.
                return Err(builder.problems.report(Span::new(at, at), message, hint));
            }
        }
    }
    let mut roots = builder.roots;
    if roots.len() > 1 {
        roots.retain(|root| !root.is_nothing());
    }
    if roots.is_empty() {
        return Err(problems.report(Span::new(0, 0), "the document is empty", None));
    }
    Ok(roots)
}

fn explained(kind: &ErrorKind) -> (String, Option<String>) {
    let hint = match kind {
        ErrorKind::MissingAnchorOrAliasName
        | ErrorKind::UnexpectedCharacter { .. }
        | ErrorKind::UndeclaredTagHandle
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => Some(QUOTE_IT),
        ErrorKind::UnknownQuotedScalarEscape => {
            Some("use single quotes around expressions: in double quotes a backslash begins an escape")
        }
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            Some("indent with spaces")
        }
        ErrorKind::MappingValueNotAllowed => {
            Some("put quotes around text that holds `: `, and check the indentation")
        }
        _ => None,
    };
    let message = match kind {
        ErrorKind::MissingAnchorOrAliasName => {
            "`*` and `&` without quotes begin an alias or an anchor".to_owned()
        }
        ErrorKind::RecursionLimitExceeded => format!("the document nests deeper than {MAX_DEPTH} levels"),
        ErrorKind::DirectiveDisallowed => "directives are not supported".to_owned(),
        ErrorKind::UnexpectedCharacter { character } => {
            format!("{} begins nothing in YAML", quoted(&character.to_string()))
        }
        _ => format!("not YAML: {kind}"),
    };
    (message, hint.map(str::to_owned))
}

struct Builder<'p, 's> {
    problems: &'p mut Problems<'s>,
    open: Vec<Open>,
    roots: Vec<Node>,
}

/// A collection whose end was not yet met.
struct Open {
    start: Span,
    block: bool,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping(Entries),
}

#[derive(Default)]
struct Entries {
    accepted: Vec<(Key, Node)>,
    refused: Option<Reported>,
    seen: HashMap<String, Span>,
    /// The key whose value comes next.
    awaited: Option<Read<Key>>,
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Read<()> {
        match event {
            Event::Scalar(text, style, _, tag) => {
                let style = if style == ScalarStyle::Plain {
                    Style::Plain
                } else {
                    Style::Quoted
                };
                let value = match tag {
                    Some(_) => self.refuse_tag(span),
                    None => Value::Scalar {
                        text: text.into_owned(),
                        style,
                    },
                };
                self.node(Node { span, value });
            }
            Event::SequenceStart(style, _, tag) => {
                self.begin(span, style, tag.is_some(), Content::Sequence(Vec::new()))?;
            }
            Event::MappingStart(style, _, tag) => {
                self.begin(span, style, tag.is_some(), Content::Mapping(Entries::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let message = "`*` without quotes begins an alias, and aliases are not supported";
                let refused = self.problems.report(span, message, Some(QUOTE_IT.to_owned()));
                self.node(Node {
                    span,
                    value: Value::Refused(refused),
                });
            }
            Event::Anchor(..) => {
                let message = "`&` without quotes begins an anchor, and anchors are not supported";
                self.problems.report(span, message, Some(QUOTE_IT.to_owned()));
            }
            _ => {}
        }
        Ok(())
    }

    fn refuse_tag(&mut self, span: Span) -> Value {
        let message = "`!` without quotes begins a YAML tag, and YAML tags are not supported";
        Value::Refused(self.problems.report(span, message, Some(QUOTE_IT.to_owned())))
    }

    fn begin(&mut self, start: Span, style: StructureStyle, tagged: bool, content: Content) -> Read<()> {
        if tagged {
            self.refuse_tag(start);
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("the document nests deeper than {MAX_DEPTH} levels");
            return Err(self.problems.report(start, message, None));
        }
        self.open.push(Open {
            start,
            block: style == StructureStyle::Block,
            content,
        });
        Ok(())
    }

    fn end(&mut self, end: Span) {
        let Some(open) = self.open.pop() else { return };
        // A block ends where the next thing begins: only its start is a place to point at.
        let span = if open.block {
            open.start
        } else {
            Span::new(open.start.start, end.end)
        };
        let value = match open.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping(Entries {
                accepted, refused, ..
            }) => Value::Mapping {
                entries: accepted,
                refused,
            },
        };
        self.node(Node { span, value });
    }

    fn node(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.roots.push(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping(entries)) => match entries.awaited.take() {
                Some(Ok(key)) => entries.accepted.push((key, node)),
                Some(Err(reported)) => entries.refused = Some(reported),
                None => entries.awaited = Some(accepted(self.problems, &mut entries.seen, node)),
            },
        }
    }
}

/// A node as a key that was not there yet.
fn accepted(problems: &mut Problems<'_>, seen: &mut HashMap<String, Span>, node: Node) -> Read<Key> {
    let span = node.span;
    let text = match node.value {
        Value::Scalar { text, style } => {
            if style == Style::Plain && text == "<<" {
                return Err(problems.report(span, "merge keys are not supported", None));
            }
            text
        }
        Value::Refused(reported) => return Err(reported),
        Value::Sequence(_) | Value::Mapping { .. } => {
            let message = "a key is a word, not a list or a mapping";
            return Err(problems.report(span, message, Some(QUOTE_IT.to_owned())));
        }
    };
    if let Some(first) = seen.get(&text) {
        let line = problems.line(*first);
        let message = format!("{} is given twice, first on line {line}", quoted(&text));
        return Err(problems.report(span, message, None));
    }
    seen.insert(text.clone(), span);
    Ok(Key { span, text })
}
