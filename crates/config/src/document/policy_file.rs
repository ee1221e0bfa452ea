//! Policies in a file of their own.

use lagan_model::RegistryName;
use lagan_policy::{PolicySet, VersionTable};

use super::channels;
use super::policy::{self, Decoded, PolicyEntry};
use crate::convert::{self, dialect};
use crate::decode::{Fields, Schema, all, check_label, mapping};
use crate::error::{ConfigErrors, Problems, Read};
use crate::notice::{Notice, Remark};
use crate::source::Span;
use crate::tree::Node;
use crate::yaml;

/// The policies of a file.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// The policies, in the order of the document; at least one. Their names differ.
    pub policies: Vec<PolicyEntry>,
    /// The table of channels and variants that they read tags by.
    pub versions: VersionTable,
    /// What the author of a document in the lifecycle-rule dialect should know of how it was read.
    pub notices: Vec<Notice>,
}

pub(crate) const SCHEMA: Schema = Schema {
    what: "a file of policies",
    keys: &["policies", "channels"],
    later: &[],
};

impl PolicyFile {
    /// Reads a file: a mapping with `policies` and perhaps `channels`, or the body of one policy (and perhaps
    /// `channels`), which is then named `name`. Or documents in the lifecycle-rule dialect, whose policies are named
    /// `name` too, numbered where there are several. `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: see [`ConfigErrors`].
    pub fn read(file: &str, text: impl AsRef<[u8]>, name: &str) -> Result<Self, ConfigErrors> {
        Self::read_then(file, text.as_ref(), name, |_, _, _| ()).map(|(file, ())| file)
    }

    /// Reads a file, and looks at it beside its text: the tree of a native document, or one without entries, since
    /// the places of lifecycle rules are not those of the policies that they become.
    pub(crate) fn read_then<T>(
        file: &str,
        text: &[u8],
        name: &str,
        look: impl FnOnce(&Self, &Node, &Problems<'_>) -> T,
    ) -> Result<(Self, T), ConfigErrors> {
        let (source, unreadable) = yaml::source(file, text);
        let mut problems = Problems::new(&source);
        let documents = match unreadable {
            Some((span, message)) => Err(problems.report(span, message, None)),
            None => yaml::read_all(&mut problems, source.text()),
        };
        let looked = documents.and_then(|documents| {
            let (mut file, remarks) = decode(&documents, name, &mut problems)?;
            file.notices = remarks.iter().map(|remark| remark.notice(&source)).collect();
            let nowhere = Node::mapping(Vec::new(), documents[0].start());
            let native = dialect::mark(&documents[0]).is_none();
            let root = if native { &documents[0] } else { &nowhere };
            let seen = look(&file, root, &problems);
            Ok((file, seen))
        });
        problems.settle(looked)
    }

    /// The policies for a registry: those that name it, and those that name none.
    #[must_use]
    pub fn for_registry(&self, name: &RegistryName) -> PolicySet {
        let ours = self
            .policies
            .iter()
            .filter(|entry| entry.registry.as_ref().is_none_or(|named| named == name));
        PolicySet {
            policies: ours.map(|entry| entry.policy.clone()).collect(),
            versions: self.versions.clone(),
        }
    }
}

fn decode(documents: &[Node], name: &str, problems: &mut Problems<'_>) -> Read<(PolicyFile, Vec<Remark>)> {
    if documents.iter().all(|document| dialect::mark(document).is_some()) {
        let draft = dialect::decode(documents, name, problems)?;
        let file = PolicyFile {
            policies: draft.entries(name),
            versions: VersionTable::default(),
            notices: Vec::new(),
        };
        return Ok((file, draft.all_remarks().cloned().collect()));
    }
    let [root] = documents else {
        return Err(yaml::one_document(&documents[1], problems));
    };
    if let Some(format) = convert::detect(root) {
        let hint = "`lagan policy convert FILE` prints it as a policy file".to_owned();
        let message = format!("this is {}", format.described());
        return Err(problems.report(root.start(), message, Some(hint)));
    }
    let file = decode_native(root, name, problems)?;
    Ok((file, Vec::new()))
}

fn decode_native(root: &Node, name: &str, problems: &mut Problems<'_>) -> Read<PolicyFile> {
    let entries = mapping(root, "a policy file", problems)?;
    let channels = entries.iter().find(|(key, _)| key.text == "channels");
    let (versions, words) = channels::decode(channels, problems);
    let policies = match entries.iter().find(|(key, _)| key.text == "policies") {
        Some(entry) => {
            let keys = Fields::open(root, root.span, &SCHEMA, problems).map(drop);
            let policies = policy::decode_all(entry, &versions, problems);
            keys.and(policies)
                .and_then(|policies| all(policies, |policy: Decoded| policy.entry(problems)))
        }
        None => {
            let start = Span::new(root.span.start, root.span.start);
            check_label(name, start, "the name of the policy", problems)?;
            let policy = policy::decode(name, start, root, &policy::FILE_SCHEMA, &versions, problems);
            policy.entry(problems).map(|one| vec![one])
        }
    }?;
    words?;
    Ok(PolicyFile {
        policies,
        versions,
        notices: Vec::new(),
    })
}
