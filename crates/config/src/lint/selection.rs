//! What a rule can select, as sets: what is said about a rule is proven over these.
//!
//! The sets are never smaller than what is selected. Channels are read by a table and not by an expression, so each
//! is stood in for by the tags that could be in it.

use lagan_policy::version::ChannelSet;
use lagan_policy::{Channel, ProtectionPattern, RepositoryPattern, Select};

use super::language::{Language, Names};

/// Full versions, of whatever channel, are among these.
const VERSIONS: &str = r"\Av?[0-9]+\.[0-9]+\.[0-9]+(?:-[^_]+)?(?:_.+)?\z";
/// Full versions of a channel that a word names.
const PRERELEASES: &str = r"\Av?[0-9]+\.[0-9]+\.[0-9]+-[^_]+(?:_.+)?\z";
/// Aliases and versions without all numbers, whatever their suffix.
const FLOATING: &str = r"\A(?:v?[0-9]{1,5}(?:\.[0-9]{1,5})?|[a-zA-Z][a-zA-Z0-9]*)(?:-.+)?\z";
const COMMITS: &str = r"\A(?:sha-[0-9a-f]{7,64}|[0-9a-f]{7,40})\z";

/// Every channel that a tag which a rule selects can be in.
const CHANNELS: [Channel; 8] = [
    Channel::Unknown,
    Channel::Nightly,
    Channel::Alpha,
    Channel::Beta,
    Channel::Rc,
    Channel::Stable,
    Channel::Floating,
    Channel::Commit,
];

/// The channels of full versions, but for unknown ones.
fn is_release(channel: Channel) -> bool {
    channel.is_prerelease() || channel == Channel::Stable
}

/// What lints are proven with.
#[derive(Debug)]
pub(crate) struct Proofs {
    pub(crate) tags: Names,
    pub(crate) repositories: Names,
    pub(crate) versions: Language,
    prereleases: Language,
    floating: Language,
    commits: Language,
}

impl Proofs {
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            tags: Names::tags()?,
            repositories: Names::repositories()?,
            versions: Language::of(&[VERSIONS])?,
            prereleases: Language::of(&[PRERELEASES])?,
            floating: Language::of(&[FLOATING])?,
            commits: Language::of(&[COMMITS])?,
        })
    }

    /// The tags that could be in a channel; `None` where that could be any.
    fn of_channel(&self, channel: Channel) -> Option<&Language> {
        match channel {
            Channel::Stable => Some(&self.versions),
            Channel::Rc | Channel::Beta | Channel::Alpha | Channel::Nightly => Some(&self.prereleases),
            Channel::Floating => Some(&self.floating),
            Channel::Commit => Some(&self.commits),
            Channel::Unknown | Channel::Attachment => None,
        }
    }

    /// Whether there is proof that no tag of these channels is in all of `inside` and in none of `outside`.
    pub(crate) fn nothing(&self, channels: &[Channel], inside: &[&Language], outside: &[&Language]) -> bool {
        channels.iter().all(|channel| {
            let mut inside = inside.to_vec();
            inside.extend(self.of_channel(*channel));
            self.tags.none(&inside, outside)
        })
    }
}

/// What a rule can select, condition by condition.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    select: &'a Select,
    pub(crate) tags: Option<Language>,
    pub(crate) regex: Option<Language>,
    pub(crate) exclude: Option<Language>,
    /// The channels that a selected tag can be in.
    pub(crate) channels: Vec<Channel>,
}

impl<'a> Selection<'a> {
    pub(crate) fn of(select: &'a Select) -> Self {
        let globs = |globs: &[lagan_policy::TagPattern]| -> Option<Language> {
            let expressions: Vec<&str> = globs.iter().map(lagan_policy::TagPattern::expression).collect();
            (!expressions.is_empty())
                .then(|| Language::of(&expressions))
                .flatten()
        };
        let channels = CHANNELS.into_iter().filter(|channel| {
            select.channel.is_none_or(|set| set.contains(*channel))
                && (select.version.is_none() || is_release(*channel))
                && (*channel != Channel::Unknown || select.reaches_unknown_tags())
        });
        Self {
            select,
            tags: globs(&select.tags),
            regex: select
                .regex
                .as_ref()
                .and_then(|regex| Language::of(&[regex.expression()])),
            exclude: globs(&select.exclude),
            channels: channels.collect(),
        }
    }

    pub(crate) fn inside(&self) -> Vec<&Language> {
        self.tags.iter().chain(&self.regex).collect()
    }

    pub(crate) fn outside(&self) -> Vec<&Language> {
        self.exclude.iter().collect()
    }

    /// Whether there is proof that it selects no tag that is outside all of `others` and in none of `but`.
    pub(crate) fn nothing_beside(&self, proofs: &Proofs, others: &[&Language], but: ChannelSet) -> bool {
        let channels: Vec<Channel> = self
            .channels
            .iter()
            .copied()
            .filter(|channel| !but.contains(*channel))
            .collect();
        let mut outside = self.outside();
        outside.extend(others);
        proofs.nothing(&channels, &self.inside(), &outside)
    }

    /// Why no tag can meet all conditions, if that is proven.
    pub(crate) fn contradiction(&self, proofs: &Proofs) -> Option<Contradiction> {
        let all: Vec<Channel> = CHANNELS.to_vec();
        if self
            .select
            .version
            .as_ref()
            .is_some_and(|version| version.admits_nothing())
        {
            return Some(Contradiction::Version);
        }
        if self.select.channel.is_some() && self.select.version.is_some() && self.channels.is_empty() {
            return Some(Contradiction::ChannelAndVersion);
        }
        let (tags, regex) = (self.tags.as_ref(), self.regex.as_ref());
        let none = |channels: &[Channel], inside: [Option<&Language>; 2], outside: Option<&Language>| {
            let inside: Vec<&Language> = inside.into_iter().flatten().collect();
            let outside: Vec<&Language> = outside.into_iter().collect();
            proofs.nothing(channels, &inside, &outside)
        };
        if regex.is_some() && none(&all, [regex, None], None) {
            return Some(Contradiction::Regex);
        }
        if tags.is_some() && none(&all, [tags, None], None) {
            return Some(Contradiction::Tags);
        }
        if self.exclude.is_some() && none(&all, [tags, regex], self.exclude.as_ref()) {
            return Some(Contradiction::Exclude);
        }
        if tags.is_some() && regex.is_some() && none(&all, [tags, regex], None) {
            return Some(Contradiction::TagsAndRegex);
        }
        if none(&self.channels, [tags, regex], self.exclude.as_ref()) {
            return Some(Contradiction::Channels);
        }
        None
    }
}

/// Conditions that no tag meets together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    Version,
    ChannelAndVersion,
    Regex,
    Tags,
    Exclude,
    TagsAndRegex,
    /// The names that are asked for are in none of the channels that are.
    Channels,
}

/// The selection that has nothing but conditions on the tag's name, if this is one.
pub(crate) fn by_name_alone(select: &Select) -> bool {
    let mut rest = select.clone();
    rest.tags.clear();
    rest.exclude.clear();
    (rest.regex, rest.channel, rest.version) = (None, None, None);
    rest == Select::default()
}

/// A set of tags that is surely covered: by an expression, or by a channel.
#[derive(Debug)]
pub(crate) enum Cover {
    Language(Box<Language>),
    Channels(ChannelSet),
}

impl Cover {
    /// What an entry of `protect` covers, at the least.
    pub(crate) fn of_protection(pattern: &ProtectionPattern) -> Option<Self> {
        match pattern {
            ProtectionPattern::Tags(globs) => {
                let expressions: Vec<&str> = globs.iter().map(lagan_policy::TagPattern::expression).collect();
                Language::of(&expressions).map(Box::new).map(Self::Language)
            }
            ProtectionPattern::Regex(regex) => Language::of(&[regex.expression()])
                .map(Box::new)
                .map(Self::Language),
            ProtectionPattern::Channel(channels) => Some(Self::Channels(*channels)),
            // No name says which artifacts these are.
            ProtectionPattern::Labels(_) | ProtectionPattern::Signed => None,
        }
    }

    /// What a selection with a single condition covers, attachments apart.
    pub(crate) fn of_select(select: &Select) -> Option<Self> {
        if !by_name_alone(select) || !select.exclude.is_empty() {
            return None;
        }
        match (
            select.tags.as_slice(),
            &select.regex,
            select.channel,
            &select.version,
        ) {
            ([], None, Some(channels), None) => Some(Self::Channels(channels)),
            ([], Some(regex), None, None) => Language::of(&[regex.expression()])
                .map(Box::new)
                .map(Self::Language),
            ([_, ..], None, None, None) => {
                let expressions: Vec<&str> = select
                    .tags
                    .iter()
                    .map(lagan_policy::TagPattern::expression)
                    .collect();
                Language::of(&expressions).map(Box::new).map(Self::Language)
            }
            _ => None,
        }
    }
}

/// The repositories that a policy names.
#[derive(Debug)]
pub(crate) struct Repositories {
    named: Option<Language>,
    excluded: Option<Option<Language>>,
}

impl Repositories {
    pub(crate) fn of(named: &[RepositoryPattern], excluded: &[RepositoryPattern]) -> Self {
        let language = |globs: &[RepositoryPattern]| {
            let expressions: Vec<&str> = globs.iter().map(RepositoryPattern::expression).collect();
            Language::of(&expressions)
        };
        Self {
            named: language(named),
            excluded: (!excluded.is_empty()).then(|| language(excluded)),
        }
    }

    /// A repository that both name, or the proof that there is none.
    pub(crate) fn common(&self, other: &Self, proofs: &Proofs) -> super::language::Found {
        use super::language::Found;
        let (Some(ours), Some(theirs)) = (&self.named, &other.named) else {
            return Found::Unknown;
        };
        let mut outside = Vec::new();
        for excluded in [&self.excluded, &other.excluded].into_iter().flatten() {
            match excluded {
                Some(language) => outside.push(language),
                None => return Found::Unknown,
            }
        }
        proofs.repositories.find(&[ours, theirs], &outside)
    }

    /// Whether there is proof that `other` names everything that this names.
    pub(crate) fn within(&self, other: &Self, proofs: &Proofs) -> bool {
        let (Some(ours), Some(theirs)) = (&self.named, &other.named) else {
            return false;
        };
        let ours_excluded = match &self.excluded {
            None => None,
            Some(Some(language)) => Some(language),
            // Not knowing what is taken away only makes ours larger.
            Some(None) => None,
        };
        let all_named = {
            let mut outside = vec![theirs];
            outside.extend(ours_excluded);
            proofs.repositories.none(&[ours], &outside)
        };
        let none_excluded = match &other.excluded {
            None => true,
            Some(None) => false,
            Some(Some(theirs)) => {
                let outside: Vec<&Language> = ours_excluded.into_iter().collect();
                proofs.repositories.none(&[ours, theirs], &outside)
            }
        };
        all_named && none_excluded
    }
}
