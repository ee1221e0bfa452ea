//! Repositories of images, and what this program decides of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_config::{Conversion, ConvertOptions, Notice, NoticeKind, PolicyFile, convert};
use lagan_model::{
    Artifact, Capabilities, Capability, Digest, Fact, MediaType, Recorded, RepositorySnapshot, Time, Times,
    Unknown,
};
use lagan_policy::{Action, Clock, Context, Depth, Policy, PolicySet, RepositoryPlan, Step, decide};
use proptest::prelude::*;

pub(crate) const MINUTES_A_DAY: i64 = 24 * 60;

/// An image; times are minutes ago, no two pushes at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) tags: Vec<String>,
    pub(crate) pushed: i64,
    pub(crate) pulled: Option<i64>,
}

impl Image {
    pub(crate) fn new(tags: &[&str], pushed_days: i64) -> Self {
        Self {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            pushed: pushed_days * MINUTES_A_DAY,
            pulled: None,
        }
    }

    /// Its tags, or where it has none, its number.
    pub(crate) fn names(&self, number: usize) -> Vec<String> {
        if self.tags.is_empty() {
            return vec![format!("untagged {number}")];
        }
        self.tags.clone()
    }

    /// When it was last pushed or pulled, in minutes ago.
    pub(crate) fn active(&self) -> i64 {
        self.pulled.map_or(self.pushed, |pulled| pulled.min(self.pushed))
    }
}

pub(crate) fn now() -> Time {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

pub(crate) fn converted(document: &str, attached_to: &str) -> Conversion {
    let name = attached_to.parse().unwrap();
    let options = ConvertOptions {
        from: None,
        name: "converted",
        attached_to: Some(&name),
    };
    let conversion =
        convert("policy.json", document, &options).unwrap_or_else(|errors| panic!("{errors}\n{document}"));
    // What is printed is what was meant.
    let read = PolicyFile::read("printed.yaml", &conversion.text, "other")
        .unwrap_or_else(|errors| panic!("{errors}\n{}", conversion.text));
    assert_eq!(read.policies, conversion.policies, "{}", conversion.text);
    assert!(
        conversion
            .policies
            .iter()
            .all(|entry| entry.policy.mode == lagan_policy::Mode::DryRun)
    );
    conversion
}

/// Notices that say that this document means something else here, not those that hold for every document.
pub(crate) fn differences(conversion: &Conversion) -> Vec<&Notice> {
    let tells = |notice: &&Notice| {
        notice.kind != NoticeKind::Note
            && (notice.line, notice.column) != (1, 1)
            && !notice.text.starts_with("untagged images stay for 24 hours")
    };
    conversion.notices.iter().filter(tells).collect()
}

/// What goes: tags, and images without one as [`Image::names`] calls them.
fn decided(policies: &[Policy], repository: &str, images: &[Image], single: Capability) -> BTreeSet<String> {
    let set = PolicySet {
        policies: policies.to_vec(),
        ..PolicySet::default()
    };
    let name = repository.parse().unwrap();
    let Some(policies) = set.of_repository(&name, &|_| true) else {
        return BTreeSet::new();
    };
    let digest = |number: usize| Digest::of(format!("image {number}").as_bytes());
    let of_tag: BTreeMap<&str, usize> = images
        .iter()
        .enumerate()
        .flat_map(|(number, image)| image.tags.iter().map(move |tag| (tag.as_str(), number)))
        .collect();
    let tags = of_tag.keys().map(|tag| tag.parse().unwrap());
    let mut snapshot = RepositorySnapshot::listed(name, tags);
    snapshot.set_recorded(Recorded {
        pushed: true,
        pulled: true,
        observed: false,
    });
    let artifact = |number: usize| Artifact {
        digest: digest(number),
        media_type: MediaType::OCI_MANIFEST,
        artifact_type: None,
        size: Some(1),
        children: Vec::new(),
        subject: None,
        image_config: None,
        config_type: None,
        blobs: Vec::new(),
        annotations: None,
        created_annotation: None,
    };
    let listed: Vec<String> = snapshot
        .tags()
        .iter()
        .map(|listed| listed.tag.to_string())
        .collect();
    for (position, tag) in listed.iter().enumerate() {
        snapshot.resolve(position, artifact(of_tag[tag.as_str()]));
    }
    for (number, image) in images.iter().enumerate() {
        let at = |minutes: i64| Fact::Known(now() - TimeDelta::minutes(minutes));
        let times = Times {
            pushed: at(image.pushed),
            pulled: image.pulled.map_or(Fact::Unknown(Unknown::Zero), at),
            ..Times::default()
        };
        snapshot.insert_artifact_times(digest(number), times);
        if image.tags.is_empty() {
            snapshot.insert_artifact(artifact(number));
        }
    }
    let bare = (0..images.len()).filter(|number| images[*number].tags.is_empty());
    snapshot.list_untagged(bare.map(digest));
    let context = Context {
        now: now(),
        capabilities: Capabilities {
            referrers: Capability::NotOffered,
            delete_tag: single,
            ..Capabilities::default()
        },
        depth: Depth::Enough,
    };
    let snapshot = snapshot.complete().unwrap();
    let decisions = match decide(&policies, snapshot, &context) {
        Step::Decided(decisions) => decisions,
        Step::Missing(needs) => panic!("everything is known: {needs:?}"),
    };
    let plan = RepositoryPlan::new(Vec::new(), snapshot, &decisions, Depth::Enough);
    let mut gone = BTreeSet::new();
    for action in &plan.actions {
        match action {
            Action::Untag { tag, .. } => {
                gone.insert(tag.to_string());
            }
            Action::Delete { digest: deleted, .. } => {
                let number = (0..images.len())
                    .find(|number| digest(*number) == *deleted)
                    .unwrap();
                gone.extend(images[number].names(number));
            }
        }
    }
    gone
}

/// What goes of a repository by a converted document.
pub(crate) fn gone(
    conversion: &Conversion,
    repository: &str,
    images: &[Image],
    single: Capability,
) -> BTreeSet<String> {
    let policies: Vec<Policy> = conversion
        .policies
        .iter()
        .map(|entry| entry.policy.clone())
        .collect();
    decided(&policies, repository, images, single)
}

/// The same of policies that were not converted.
pub(crate) fn gone_by(policies: &[Policy], repository: &str, images: &[Image]) -> BTreeSet<String> {
    decided(policies, repository, images, Capability::NotOffered)
}

/// What images are called that a model of the vendor deletes.
pub(crate) fn names_of(images: &[Image], deleted: &BTreeSet<usize>) -> BTreeSet<String> {
    deleted
        .iter()
        .flat_map(|number| images[*number].names(*number))
        .collect()
}

/// Repositories of images with these tags. No tag is there twice, and `single` gives each image one.
pub(crate) fn images(tags: &'static [&'static str], single: bool) -> impl Strategy<Value = Vec<Image>> {
    let shuffled = Just(tags.to_vec()).prop_shuffle();
    let sizes = proptest::collection::vec(if single { 1..2_usize } else { 0..4_usize }, 1..12);
    let pushes = proptest::sample::subsequence((0..400_i64).collect::<Vec<_>>(), 12).prop_shuffle();
    let pulls = proptest::collection::vec(proptest::option::of(0..400_i64), 12);
    (shuffled, sizes, pushes, pulls).prop_map(move |(tags, sizes, pushes, pulls)| {
        let mut tags = tags.into_iter();
        let times = pushes.into_iter().zip(pulls);
        sizes
            .into_iter()
            .zip(times)
            .map(|(size, (pushed, pulled))| Image {
                tags: tags.by_ref().take(size).map(str::to_owned).collect(),
                // Off every boundary of days and hours, and no two at the same time.
                pushed: pushed * MINUTES_A_DAY / 4 + 7,
                pulled: pulled.map(|pulled| pulled * MINUTES_A_DAY / 4 + 11),
            })
            .filter(|image| !single || !image.tags.is_empty())
            .collect()
    })
}

/// Whether the clocks that the policies read are recorded. A registry of which no image was ever pulled does not
/// record pulls, as far as anybody can tell, and then all is kept that is selected by them.
pub(crate) fn is_recorded(conversion: &Conversion, images: &[Image]) -> bool {
    let rules = conversion.policies.iter().flat_map(|entry| &entry.policy.rules);
    let mut clocks = rules.flat_map(|rule| rule.keep.clocks());
    clocks.all(|clock| clock != Clock::Pulled) || images.iter().any(|image| image.pulled.is_some())
}
