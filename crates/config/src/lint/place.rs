//! Where in a document a finding is: lints work on decoded values, and name places by the keys that lead there.

use crate::source::Span;
use crate::tree::{Node, Value};

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Item(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(item: usize) -> Self {
        Self::Item(item)
    }
}

/// The way from the root of a document to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

impl Path {
    pub(crate) fn then(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// Whether the document has a value there.
    pub(crate) fn is_written(&self, root: &Node) -> bool {
        let mut node = root;
        for step in &self.0 {
            match child(node, step) {
                Some((_, next)) => node = next,
                None => return false,
            }
        }
        true
    }

    /// The place to point at: the value where it fits on a line, else its key; of what is not written, the nearest
    /// that is around it.
    pub(crate) fn span(&self, root: &Node) -> Span {
        let (mut node, mut span) = (root, Span::new(root.span.start, root.span.start));
        for step in &self.0 {
            let Some((key, next)) = child(node, step) else {
                break;
            };
            node = next;
            span = match (&node.value, key) {
                (Value::Scalar { .. }, _) | (_, None) => node.span,
                (_, Some(key)) => key,
            };
        }
        span
    }
}

fn child<'n>(node: &'n Node, step: &Step) -> Option<(Option<Span>, &'n Node)> {
    match (&node.value, step) {
        (Value::Mapping { entries, .. }, Step::Key(wanted)) => entries
            .iter()
            .find(|(key, _)| key.text == *wanted)
            .map(|(key, node)| (Some(key.span), node)),
        (Value::Sequence(items), Step::Item(item)) => items.get(*item).map(|node| (None, node)),
        // One value may stand for a list of it.
        (Value::Scalar { .. }, Step::Item(0)) => Some((None, node)),
        _ => None,
    }
}
