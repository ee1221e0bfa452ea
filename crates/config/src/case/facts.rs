//! Tags and artifacts of a case, with what is known of them.

use std::collections::{BTreeMap, HashMap};

use lagan_model::{
    Artifact, Blob, Capabilities, Capability, Child, Digest, Fact, Labels, MediaType, Recorded, Tag, Time,
    Times, Unknown,
};

use super::times::{Clock, pulled, time};
use super::world::World;
use crate::decode::{Fields, Schema, all, check_label, label, mapping, one_or_more, parsed, text, truth};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::{Key, Node, Value};

/// The size of every manifest, in bytes: no decision depends on it.
const SIZE: u64 = 500;

/// The facts of a tag: those of its artifact, and which one that is.
pub(crate) const TAG: Schema = Schema {
    what: "the facts of a tag",
    keys: &[
        "digest",
        "created",
        "pushed",
        "pulled",
        "observed",
        "labels",
        "children",
        "subject",
        "media_type",
        "artifact_type",
    ],
    later: &[],
};

/// The facts of an artifact.
pub(crate) const ARTIFACT: Schema = Schema {
    what: "the facts of an artifact",
    keys: &[
        "created",
        "pushed",
        "pulled",
        "observed",
        "labels",
        "children",
        "subject",
        "media_type",
        "artifact_type",
    ],
    later: &[],
};

/// What the registry of a case offers.
pub(crate) const CAPABILITIES: Schema = Schema {
    what: "`capabilities`",
    keys: &["delete_tag", "referrers"],
    later: &[],
};

/// What was said of one artifact, perhaps in several places.
#[derive(Debug, Default)]
struct Facts {
    created: Option<Fact<Time>>,
    pushed: Option<Fact<Time>>,
    pulled: Option<Fact<Time>>,
    observed: Option<Fact<Time>>,
    labels: Option<Labels>,
    children: Option<Vec<(String, Span)>>,
    subject: Option<(String, Span)>,
    media_type: Option<(MediaType, Span)>,
    artifact_type: Option<String>,
}

/// Reads what a registry offers. Where a case says nothing, attachments can be asked for, and no single tag deleted.
pub(crate) fn capabilities(entry: Option<&(Key, Node)>, problems: &mut Problems<'_>) -> Read<Capabilities> {
    let offered = |offered: Option<bool>, default| match offered.unwrap_or(default) {
        true => Capability::Offered,
        false => Capability::NotOffered,
    };
    let (delete_tag, referrers) = match entry {
        None => (None, None),
        Some((key, node)) => {
            let fields = Fields::open(node, key.span, &CAPABILITIES, problems)?;
            let delete_tag = fields.optional("delete_tag", |node| truth(node, problems));
            let referrers = fields.optional("referrers", |node| truth(node, problems));
            (delete_tag?, referrers?)
        }
    };
    Ok(Capabilities {
        delete_tag: offered(delete_tag, false),
        referrers: offered(referrers, true),
        ..Capabilities::default()
    })
}

/// Everything that a case says is there.
pub(crate) struct Inventory {
    /// Each with the name of its artifact.
    tags: BTreeMap<Tag, String>,
    facts: HashMap<String, Facts>,
    /// The names of artifacts, in the order of the document.
    order: Vec<String>,
}

impl Inventory {
    /// Reads `tags:` and `artifacts:`; where a case has no `tags`, it has those of which something is expected.
    pub(crate) fn read(
        tags: Option<&Node>,
        artifacts: Option<&Node>,
        expected: &[Tag],
        clock: Clock,
        problems: &mut Problems<'_>,
    ) -> Read<Self> {
        let mut inventory = Self {
            tags: BTreeMap::new(),
            facts: HashMap::new(),
            order: Vec::new(),
        };
        let artifacts = artifacts.map_or(Ok(()), |node| inventory.artifacts(node, clock, problems));
        let tags = match tags {
            None => {
                for tag in expected {
                    inventory.add_tag(tag.clone(), tag.to_string());
                }
                Ok(())
            }
            Some(node) => inventory.tags(node, clock, problems),
        };
        artifacts.and(tags).map(|()| inventory)
    }

    pub(crate) fn has_tag(&self, tag: &Tag) -> bool {
        self.tags.contains_key(tag)
    }

    pub(crate) fn tags_in_order(&self) -> impl Iterator<Item = &Tag> {
        self.tags.keys()
    }

    fn add_tag(&mut self, tag: Tag, artifact: String) {
        self.known(&artifact);
        self.tags.insert(tag, artifact);
    }

    fn known(&mut self, artifact: &str) -> &mut Facts {
        if !self.facts.contains_key(artifact) {
            self.order.push(artifact.to_owned());
        }
        self.facts.entry(artifact.to_owned()).or_default()
    }

    fn artifacts(&mut self, node: &Node, clock: Clock, problems: &mut Problems<'_>) -> Read<()> {
        all(mapping(node, "`artifacts`", problems)?, |(key, node)| {
            check_label(&key.text, key.span, "the name of an artifact", problems)?;
            let fields = Fields::open(node, key.span, &ARTIFACT, problems)?;
            self.add_facts(&key.text, &fields, clock, problems)
        })
        .map(drop)
    }

    fn tags(&mut self, node: &Node, clock: Clock, problems: &mut Problems<'_>) -> Read<()> {
        if let Value::Mapping { entries, .. } = &node.value {
            return all(entries, |(key, node)| self.tag(key, Some(node), clock, problems)).map(drop);
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        one_or_more(
            node,
            "a list of tags, or a mapping of tags to facts",
            problems,
            |item, problems| {
                let name = text(item, "a tag", problems)?;
                let line = problems.line(item.span);
                if let Some(first) = seen.insert(name.to_owned(), line) {
                    let message = format!("{} is given twice, first on line {first}", quoted(name));
                    return Err(problems.report(item.span, message, None));
                }
                let key = Key {
                    span: item.span,
                    text: name.to_owned(),
                };
                self.tag(&key, None, clock, problems)
            },
        )
        .map(drop)
    }

    fn tag(&mut self, key: &Key, node: Option<&Node>, clock: Clock, problems: &mut Problems<'_>) -> Read<()> {
        let tag = tag(&key.text, key.span, problems);
        let Some(node) = node.filter(|node| !node.is_nothing()) else {
            let tag = tag?;
            let artifact = tag.to_string();
            self.add_tag(tag, artifact);
            return Ok(());
        };
        let fields = Fields::open(node, key.span, &TAG, problems)?;
        let artifact = fields.optional("digest", |node| {
            label(node, "a digest, or any name for one", problems).map(str::to_owned)
        })?;
        let tag = tag?;
        let artifact = artifact.unwrap_or_else(|| tag.to_string());
        self.add_tag(tag, artifact.clone());
        self.add_facts(&artifact, &fields, clock, problems)
    }

    fn add_facts(
        &mut self,
        artifact: &str,
        fields: &Fields<'_>,
        clock: Clock,
        problems: &mut Problems<'_>,
    ) -> Read<()> {
        let named = |node: &Node, problems: &mut Problems<'_>| {
            Ok((
                label(node, "the name of an artifact", problems)?.to_owned(),
                node.span,
            ))
        };
        let created = fields.optional("created", |node| time(node, clock, problems));
        let pushed = fields.optional("pushed", |node| time(node, clock, problems));
        let pulled = fields.optional("pulled", |node| pulled(node, clock, problems));
        let observed = fields.optional("observed", |node| time(node, clock, problems));
        let labels = fields.optional("labels", |node| labels(node, problems));
        let children = fields.optional("children", |node| {
            one_or_more(node, "a list of artifacts", problems, named)
        });
        let subject = fields.optional("subject", |node| named(node, problems));
        let media_type = fields.optional("media_type", |node| {
            Ok((parsed::<MediaType>(node, "a media type", problems)?, node.span))
        });
        let artifact_type = fields.optional("artifact_type", |node| {
            label(node, "a type of artifact", problems).map(str::to_owned)
        });
        let given = Facts {
            created: created?,
            pushed: pushed?,
            pulled: pulled?,
            observed: observed?,
            labels: labels?,
            children: children?,
            subject: subject?,
            media_type: media_type?,
            artifact_type: artifact_type?,
        };
        let twice = self.known(artifact).add(given);
        all(twice, |key| -> Read<()> {
            let message = format!(
                "{} of {} is given elsewhere already",
                quoted(key),
                quoted(artifact)
            );
            let hint =
                "facts of a digest are given once, with one of its tags or under `artifacts`".to_owned();
            let span = fields.entry(key).map_or(Span::new(0, 0), |(key, _)| key.span);
            Err(problems.report(span, message, Some(hint)))
        })
        .map(drop)
    }

    /// The digest of a name that something refers to: of something that is there, or one that is written out.
    fn digest_of(&self, name: &str, span: Span, problems: &mut Problems<'_>) -> Read<Digest> {
        if let Ok(digest) = name.parse::<Digest>() {
            return Ok(digest);
        }
        if self.facts.contains_key(name) {
            return Ok(digest(name));
        }
        let message = format!("nothing in this case is named {}", quoted(name));
        let hint = did_you_mean(name, self.order.iter().map(String::as_str)).unwrap_or_else(|| {
            "name a tag, an entry of `artifacts`, or a whole digest for what is not there".to_owned()
        });
        Err(problems.report(span, message, Some(hint)))
    }

    /// The repository that this describes.
    pub(crate) fn into_world(self, capabilities: Capabilities, problems: &mut Problems<'_>) -> Read<World> {
        let any = |fact: fn(&Facts) -> bool| self.facts.values().any(fact);
        let mut world = World {
            capabilities,
            recorded: Recorded {
                pushed: any(|facts| facts.pushed.is_some()),
                pulled: any(|facts| facts.pulled.is_some()),
                observed: any(|facts| facts.observed.is_some()),
            },
            ..World::default()
        };
        let artifacts = all(&self.order, |name| {
            let Some(facts) = self.facts.get(name) else {
                return Ok(());
            };
            let children = all(facts.children.iter().flatten(), |(child, span)| {
                self.digest_of(child, *span, problems)
                    .map(|digest| (child, digest))
            });
            let subject = facts
                .subject
                .as_ref()
                .map(|(subject, span)| self.digest_of(subject, *span, problems))
                .transpose();
            let media_type = media_type(facts, problems);
            let children = children?.into_iter().map(|(child, digest)| {
                let is_index = self.facts.get(child).is_some_and(Facts::is_index);
                Child {
                    digest,
                    media_type: Some(if is_index {
                        MediaType::OCI_INDEX
                    } else {
                        MediaType::OCI_MANIFEST
                    }),
                    size: Some(SIZE),
                }
            });
            let mut artifact = Artifact {
                digest: digest(name),
                media_type: media_type?,
                artifact_type: facts.artifact_type.clone(),
                size: Some(SIZE),
                children: children.collect(),
                subject: subject?,
                image_config: None,
                blobs: Vec::new(),
                config_type: None,
                annotations: Some(facts.labels.clone().unwrap_or_default()),
                created_annotation: None,
            };
            match facts.created {
                // What an index says of itself, and what else has no configuration, stands in an annotation.
                Some(created) if artifact.is_index() || artifact.artifact_type.is_some() => {
                    artifact.created_annotation = Some(created);
                }
                Some(created) => {
                    let config = Blob {
                        digest: Digest::of(format!("configuration of {name}").as_bytes()),
                        size: SIZE,
                    };
                    world.created.insert(config.digest.clone(), created);
                    artifact.image_config = Some(config);
                }
                None => {}
            }
            world
                .times
                .insert(artifact.digest.clone(), facts.times(world.recorded));
            world.names.insert(artifact.digest.clone(), name.clone());
            world.artifacts.insert(artifact.digest.clone(), artifact);
            Ok(())
        });
        artifacts?;
        world.tags = self
            .tags
            .iter()
            .map(|(tag, artifact)| (tag.clone(), digest(artifact)))
            .collect();
        Ok(world)
    }
}

impl Facts {
    /// Adds what was said elsewhere, and returns the keys of what was said here already.
    fn add(&mut self, other: Self) -> Vec<&'static str> {
        fn add<T>(key: &'static str, here: &mut Option<T>, there: Option<T>, twice: &mut Vec<&'static str>) {
            if here.is_some() && there.is_some() {
                twice.push(key);
            }
            *here = here.take().or(there);
        }
        let twice = &mut Vec::new();
        add("created", &mut self.created, other.created, twice);
        add("pushed", &mut self.pushed, other.pushed, twice);
        add("pulled", &mut self.pulled, other.pulled, twice);
        add("observed", &mut self.observed, other.observed, twice);
        add("labels", &mut self.labels, other.labels, twice);
        add("children", &mut self.children, other.children, twice);
        add("subject", &mut self.subject, other.subject, twice);
        add("media_type", &mut self.media_type, other.media_type, twice);
        add(
            "artifact_type",
            &mut self.artifact_type,
            other.artifact_type,
            twice,
        );
        std::mem::take(twice)
    }

    /// Its times, where a clock that the case speaks of does not know them.
    fn times(&self, recorded: Recorded) -> Times {
        let of = |given: Option<Fact<Time>>, recorded: bool| {
            let missing = if recorded {
                Unknown::Missing
            } else {
                Unknown::NotRecorded
            };
            given.unwrap_or(Fact::Unknown(missing))
        };
        Times {
            pushed: of(self.pushed, recorded.pushed),
            pulled: of(self.pulled, recorded.pulled),
            observed: of(self.observed, recorded.observed),
        }
    }

    fn is_index(&self) -> bool {
        match &self.media_type {
            Some((media_type, _)) => media_type.is_index(),
            None => self.children.is_some(),
        }
    }
}

fn media_type(facts: &Facts, problems: &mut Problems<'_>) -> Read<MediaType> {
    match (&facts.media_type, &facts.children) {
        (Some((media_type, span)), Some(_)) if !media_type.is_index() => {
            let message = format!(
                "a manifest of type {} has no children",
                quoted(media_type.as_str())
            );
            let hint = format!("an index is of type {}", quoted(MediaType::OCI_INDEX.as_str()));
            Err(problems.report(*span, message, Some(hint)))
        }
        (Some((media_type, _)), _) => Ok(media_type.clone()),
        (None, Some(_)) => Ok(MediaType::OCI_INDEX),
        (None, None) => Ok(MediaType::OCI_MANIFEST),
    }
}

/// The digest of what a case calls by this name, which may be a digest.
fn digest(name: &str) -> Digest {
    name.parse().unwrap_or_else(|_| Digest::of(name.as_bytes()))
}

/// A tag.
pub(crate) fn tag(name: &str, span: Span, problems: &mut Problems<'_>) -> Read<Tag> {
    name.parse()
        .map_err(|error: lagan_model::tag::TagError| problems.report(span, error.to_string(), None))
}

fn labels(node: &Node, problems: &mut Problems<'_>) -> Read<Labels> {
    let labels = all(mapping(node, "`labels`", problems)?, |(key, value)| {
        check_label(&key.text, key.span, "the key of a label", problems)?;
        Ok((
            key.text.clone(),
            text(value, "the value of a label", problems)?.to_owned(),
        ))
    })?;
    Ok(labels.into_iter().collect())
}
