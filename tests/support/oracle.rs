//! A second opinion: what a policy of one rule deletes, counted from what is known to be in a repository, in the
//! plainest way there is and with none of the code under test.

#![allow(dead_code, reason = "every target of tests uses its own part")]

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A manifest, as the one who made it knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    pub(crate) digest: String,
    pub(crate) tags: Vec<String>,
    pub(crate) children: Vec<String>,
    /// What it is attached to, by its field or by its tag.
    pub(crate) attached_to: Option<String>,
    /// Seconds since 1970; `None` where that is not known.
    pub(crate) created: Option<i64>,
}

/// What a tag is worth in its group: the higher, the newer.
type Key = (Vec<u64>, u64, Vec<u64>, String);

/// The groups that a rule's tags compete in, each tag with its key.
pub(crate) type Groups = BTreeMap<String, Vec<(Key, String)>>;

/// The tags that are full versions of a prerelease channel.
pub(crate) fn prereleases(repository: &[Made]) -> Groups {
    let mut group = Vec::new();
    for tag in tags(repository) {
        let Some((numbers, suffix)) = version(tag) else {
            continue;
        };
        let Some(word) = suffix else { continue };
        let digits = word
            .trim_start_matches(|c: char| c.is_ascii_lowercase())
            .trim_start_matches('.');
        let channel = ["nightly", "alpha", "beta", "rc"]
            .iter()
            .position(|channel| word.starts_with(channel));
        if let (Some(channel), Ok(number)) = (channel, digits.parse()) {
            group.push((
                (numbers, channel as u64, vec![number], tag.to_owned()),
                tag.to_owned(),
            ));
        }
    }
    BTreeMap::from([(String::new(), group)])
}

/// The tags that are releases, by their variants.
pub(crate) fn releases(repository: &[Made]) -> Groups {
    const VARIANTS: [&str; 5] = ["alpine", "slim", "bookworm", "amd64", "arm64"];
    let mut groups = Groups::new();
    for tag in tags(repository) {
        // Odd tags with a build or a graphics library are releases too, and only stand in one kind of repository.
        let (plain, build) = tag.split_once("_build.").unwrap_or((tag, "0"));
        let Some((numbers, suffix)) = version(plain) else {
            continue;
        };
        let variant = suffix.unwrap_or("");
        if variant.is_empty() || VARIANTS.contains(&variant) || variant == "rocm6.1" {
            let key = (numbers, 0, vec![build.parse().unwrap()], tag.to_owned());
            groups
                .entry(variant.to_owned())
                .or_default()
                .push((key, tag.to_owned()));
        }
    }
    groups
}

/// The same tags in one group, by when they were created. Those of unknown age take no place.
pub(crate) fn by_created(groups: Groups, repository: &[Made]) -> Groups {
    let mut group = Vec::new();
    for (_, tag) in groups.into_values().flatten() {
        let made = repository.iter().find(|made| made.tags.contains(&tag)).unwrap();
        if let Some(created) = made.created {
            group.push((
                (vec![u64::try_from(created).unwrap()], 0, Vec::new(), tag.clone()),
                tag,
            ));
        }
    }
    BTreeMap::from([(String::new(), group)])
}

/// Every tag that goes where `last` of each group are kept and nothing else is asked for.
pub(crate) fn deleted(repository: &[Made], groups: Groups, last: usize) -> BTreeSet<String> {
    let owner = |tag: &String| repository.iter().find(|made| made.tags.contains(tag)).unwrap();
    // A tagged child has the place of its index.
    let place = |tag: &String| {
        let own = &owner(tag).digest;
        repository
            .iter()
            .find(|made| made.children.contains(own))
            .map_or(own, |index| &index.digest)
            .clone()
    };
    let mut doomed: HashSet<String> = HashSet::new();
    for mut group in groups.into_values() {
        group.sort();
        group.reverse();
        let mut places: Vec<String> = Vec::new();
        for (_, tag) in &group {
            let place = place(tag);
            if !places.contains(&place) {
                places.push(place.clone());
            }
            if places.iter().position(|known| *known == place).unwrap() >= last {
                doomed.insert(tag.clone());
            }
        }
    }
    let named_after = |tag: &str| tag.starts_with("sha256-");
    let mut kept: HashSet<&String> = HashSet::new();
    for made in repository {
        if made
            .tags
            .iter()
            .any(|tag| !named_after(tag) && !doomed.contains(tag))
        {
            kept.insert(&made.digest);
        }
    }
    loop {
        let before = kept.len();
        for made in repository {
            if kept.contains(&made.digest) {
                kept.extend(&made.children);
                kept.extend(&made.attached_to);
            }
            if made
                .attached_to
                .as_ref()
                .is_some_and(|subject| kept.contains(subject))
            {
                kept.insert(&made.digest);
            }
        }
        if kept.len() == before {
            break;
        }
    }
    let gone = repository.iter().filter(|made| !kept.contains(&made.digest));
    gone.flat_map(|made| made.tags.iter().cloned()).collect()
}

fn tags(repository: &[Made]) -> impl Iterator<Item = &str> {
    repository
        .iter()
        .flat_map(|made| made.tags.iter().map(String::as_str))
}

/// `v1.2.3-suffix`, without its `v`.
fn version(tag: &str) -> Option<(Vec<u64>, Option<&str>)> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let (numbers, suffix) = tag
        .split_once('-')
        .map_or((tag, None), |(numbers, suffix)| (numbers, Some(suffix)));
    let numbers: Vec<u64> = numbers
        .split('.')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    (numbers.len() == 3).then_some((numbers, suffix))
}
