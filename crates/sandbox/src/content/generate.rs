//! Fills one repository as its archetype says, to the exact number of tags.

use super::archetype::Archetype;
use super::corpus::{CorpusOptions, ReferrersStyle};
use super::versions::{Releases, Version};
use super::{AttachmentSpec, Content, ImageSpec, Kind};
use crate::digest::Digest;
use crate::media;
use crate::moment::Moment;
use crate::random::Random;

const DAY: i64 = 86_400;
const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

/// The content of one repository: a function of its arguments, and of nothing else.
pub(crate) fn repository(
    options: &CorpusOptions,
    archetype: &Archetype,
    index: usize,
    name: &str,
) -> Content {
    let mut filler = Filler {
        content: Content::new(name),
        random: Random::new(options.seed, index as u64 + 1),
        archetype,
        options,
        // Four base layers for the whole registry: blobs are shared between repositories.
        base: Random::new(options.seed, 0xba5e + index as u64 % 4).next(),
        releases: Vec::new(),
        nightlies: Vec::new(),
        versions: Vec::new(),
    };
    filler.fill();
    filler.content
}

struct Filler<'a> {
    content: Content,
    random: Random,
    archetype: &'a Archetype,
    options: &'a CorpusOptions,
    base: u64,
    /// Released versions in the order they came out.
    releases: Vec<Released>,
    nightlies: Vec<Digest>,
    versions: Vec<Version>,
}

#[derive(Clone, Copy)]
struct Released {
    version: Version,
    digest: Digest,
    created: Moment,
    last_child: Option<Digest>,
}

impl Filler<'_> {
    fn fill(&mut self) {
        let share = |percent: usize| self.options.tags * percent / 100;
        let archetype = self.archetype;
        let attached = share(archetype.signatures)
            + share(archetype.attestations)
            + share(archetype.sboms)
            + share(archetype.referrers);
        let built = share(archetype.prereleases)
            + share(archetype.nightlies)
            + share(archetype.commits)
            + share(archetype.branches)
            + share(archetype.odd);
        let (prereleases, nightlies) = (share(archetype.prereleases), share(archetype.nightlies));
        let (commits, branches) = (share(archetype.commits), share(archetype.branches));
        let odd = share(archetype.odd);
        // Aliases move with releases: two for the newest lines beside the archetype's words.
        let aliases =
            (archetype.floating.len() + 2 + archetype.promoted.len() * 2).min(self.options.tags / 4);

        self.add_releases(self.options.tags.saturating_sub(attached + built + aliases));
        self.add_prereleases(prereleases);
        self.add_nightlies(nightlies);
        self.add_commits(commits);
        self.add_branches(branches);
        self.add_odd(odd);
        self.add_attachments(Kind::Signature, ".sig", share(archetype.signatures));
        self.add_attachments(Kind::Attestation, ".att", share(archetype.attestations));
        self.add_attachments(Kind::Sbom, ".sbom", share(archetype.sboms));
        self.add_referrers(share(archetype.referrers));
        self.add_aliases();
        for _ in 0..self.options.tags / 20 {
            let created = self.some_day(400);
            self.image(Kind::Untagged, "untagged", created, "amd64");
        }
        if archetype.chart {
            self.add_releases(self.room());
        } else {
            while self.room() > 0 {
                self.add_commits(1);
            }
        }
    }

    /// How many tags are still to be made.
    fn room(&self) -> usize {
        self.options.tags.saturating_sub(self.content.tag_count())
    }

    /// Tags a digest if the tag is free and there is room.
    fn tag(&mut self, tag: &str, digest: Digest) -> bool {
        self.room() > 0 && self.content.add_tag(tag, digest)
    }

    fn some_day(&mut self, days: u64) -> Moment {
        self.options.anchor - 3_600 - i64::try_from(self.random.below(days * 86_400)).unwrap_or(0)
    }

    fn image(&mut self, kind: Kind, version: &str, created: Moment, architecture: &str) -> Digest {
        let created = if self.archetype.reproducible {
            Moment::EPOCH
        } else {
            created
        };
        let (revision, own) = (self.random.next(), self.random.next());
        self.content.add_image(&ImageSpec {
            kind,
            docker: self.archetype.docker,
            created: Some(created),
            version,
            revision,
            architecture,
            labels: &[],
            layers: &[self.base, own],
        })
    }

    /// An image, or an index where it is the turn of one; and the index's last child.
    fn build(&mut self, kind: Kind, version: &str, created: Moment, turn: usize) -> (Digest, Option<Digest>) {
        let every = self.archetype.index_every;
        if every == 0 || !turn.is_multiple_of(every) {
            return (self.image(kind, version, created, PLATFORMS[0]), None);
        }
        let first = self.image(Kind::Child, version, created, PLATFORMS[0]);
        let unchanged = self
            .releases
            .iter()
            .rev()
            .find_map(|released| released.last_child)
            .filter(|_| self.archetype.shared_child && turn.is_multiple_of(every * 2));
        let second = match unchanged {
            Some(child) => child,
            None => self.image(Kind::Child, version, created, PLATFORMS[1]),
        };
        let children = [(first, PLATFORMS[0]), (second, PLATFORMS[1])];
        (
            self.content.add_index(kind, self.archetype.docker, &children),
            Some(second),
        )
    }

    fn add_releases(&mut self, budget: usize) {
        let before = self.content.tag_count();
        let each = 1 + self.archetype.variants.len() + if self.archetype.tagged_children { 2 } else { 0 };
        let expected = i64::try_from(budget / each).unwrap_or(1).max(1);
        let span = (expected * 11).min(900) * DAY;
        let mut releases = Releases::new(&mut self.random);
        let mut turn = 0_i64;
        while self.content.tag_count() - before < budget && self.room() > 0 {
            let version = releases.next(&mut self.random);
            if self.versions.contains(&version) {
                continue;
            }
            let gap = span / expected;
            let jitter = i64::try_from(self.random.below(u64::try_from(gap).unwrap_or(1))).unwrap_or(0);
            let created = self.options.anchor - 7_200 - (span - gap * turn.min(expected - 1) - jitter).max(0);
            self.release(version, created, usize::try_from(turn).unwrap_or(0));
            turn += 1;
        }
    }

    fn release(&mut self, version: Version, created: Moment, turn: usize) {
        let text = version.to_string();
        let (digest, last_child) = if self.archetype.chart {
            let nonce = self.random.next();
            let chart = self
                .content
                .repository()
                .rsplit('/')
                .next()
                .unwrap_or("chart")
                .to_owned();
            (self.content.add_chart(&chart, &text, created, nonce), None)
        } else {
            self.build(Kind::Release, &text, created, turn)
        };
        let tag = format!("{}{text}", self.archetype.prefix);
        self.tag(&tag, digest);
        if self.archetype.tagged_children {
            let children = self
                .content
                .manifest(&digest)
                .map(|index| index.children.clone())
                .unwrap_or_default();
            for (child, platform) in children.into_iter().zip(PLATFORMS) {
                self.tag(&format!("{tag}-{platform}"), child);
            }
        }
        for variant in self.archetype.variants {
            if self.room() > 0 {
                let text = format!("{tag}-{variant}");
                let (digest, _) = self.build(Kind::Variant, &text, created + 600, turn);
                self.tag(&text, digest);
            }
        }
        self.versions.push(version);
        self.releases.push(Released {
            version,
            digest,
            created,
            last_child,
        });
    }

    fn add_prereleases(&mut self, count: usize) {
        let mut left = count.min(self.room());
        while left > 0 {
            let Some(next) = self.random.pick(&self.releases).copied() else {
                return;
            };
            let number = 1 + self.random.below(9);
            let (suffix, days) = match self.random.below(5) {
                0 => (format!("alpha.{number}"), 24),
                1 => (format!("beta.{number}"), 14),
                2 => (format!("beta{number}"), 10),
                3 => (format!("rc{number}"), 3),
                _ => (format!("rc.{number}"), 5),
            };
            let tag = format!("{}{}-{suffix}", self.archetype.prefix, next.version);
            if self.content.resolve(&tag).is_some() {
                // Small repositories run out of names; commits fill what is missing.
                left -= 1;
                continue;
            }
            let digest = self.image(Kind::Prerelease, &tag, next.created.plus_days(-days), "amd64");
            self.tag(&tag, digest);
            left -= 1;
        }
    }

    fn add_nightlies(&mut self, count: usize) {
        let style = self.random.below(3);
        let next = self.versions.iter().max().map_or_else(
            || "0.1.0".to_owned(),
            |newest| format!("{}.{}.0", newest.major, newest.minor + 1),
        );
        for age in (1..=i64::try_from(count.min(self.room())).unwrap_or(0)).rev() {
            let created = self.options.anchor.plus_days(-age) + 7_800;
            let date = created.compact_date();
            let tag = match style {
                0 => format!("{next}-nightly.{date}"),
                1 => format!("nightly-{date}"),
                _ => format!("nightly-{}-{}-{}", &date[..4], &date[4..6], &date[6..]),
            };
            let digest = self.image(Kind::Nightly, &tag, created, "amd64");
            if self.tag(&tag, digest) {
                self.nightlies.push(digest);
            }
        }
    }

    fn add_commits(&mut self, count: usize) {
        for _ in 0..count {
            let commit = format!("{:016x}", self.random.next());
            let tag = match self.random.below(4) {
                0 => format!("sha-{}", &commit[..7]),
                1 => format!("main-{}", &commit[..12]),
                _ => commit[..7].to_owned(),
            };
            let known = self.releases.len() + self.nightlies.len();
            let digest = if known > 0 && self.random.chance(33) {
                let which = self.random.index(known);
                match self.releases.get(which) {
                    Some(release) => release.digest,
                    None => self.nightlies[which - self.releases.len()],
                }
            } else {
                let created = self.some_day(400);
                self.image(Kind::Commit, &tag, created, "amd64")
            };
            self.tag(&tag, digest);
        }
    }

    fn add_branches(&mut self, count: usize) {
        const WORK: [&str; 4] = ["feature-login", "fix-timeouts", "chore-deps", "spike-grpc"];
        for number in 0..count {
            let tag = match number {
                0 => "main".to_owned(),
                1 => "release-1.x".to_owned(),
                _ if self.random.chance(60) => format!("pr-{}", 100 + self.random.below(900)),
                _ => format!("{}-{number}", self.random.pick(&WORK).copied().unwrap_or("work")),
            };
            let created = self.some_day(120);
            let digest = self.image(Kind::Branch, &tag, created, "amd64");
            self.tag(&tag, digest);
        }
    }

    fn add_odd(&mut self, count: usize) {
        for _ in 0..count {
            let version = self
                .random
                .pick(&self.versions)
                .map_or_else(|| "1.0.0".to_owned(), ToString::to_string);
            let created = self.some_day(500);
            let date = created.compact_date();
            let tag = match self.random.below(9) {
                0 => format!("{version}-a100"),
                1 => format!("{version}-{date}"),
                2 => date,
                3 => format!("cu121-{version}"),
                4 => format!("{version}-rocm6.1"),
                5 => format!("{}.{}", &date[..4], &date[4..6]),
                6 => format!("{version}.{}", 1 + self.random.below(9)),
                7 => format!("{:07}", 1_000_000 + self.random.below(8_999_999)),
                _ => format!("{version}_build.{}", self.random.below(400)),
            };
            let digest = self.image(Kind::Odd, &tag, created, "amd64");
            self.tag(&tag, digest);
        }
    }

    /// Different releases to attach something to, `count` at the most.
    fn subjects(&mut self, count: usize) -> Vec<Released> {
        let start = self.random.index(self.releases.len());
        let turned = self.releases.iter().cycle().skip(start);
        turned.take(count.min(self.releases.len())).copied().collect()
    }

    fn add_attachments(&mut self, kind: Kind, suffix: &str, count: usize) {
        for subject in self.subjects(count.min(self.room())) {
            let nonce = self.random.next();
            let digest = self.content.add_cosign(
                kind,
                &AttachmentSpec {
                    subject: subject.digest,
                    created: subject.created + 120,
                    nonce,
                    artifact_type: media::OCI_CONFIG,
                },
            );
            let tag = format!("{}{suffix}", subject.digest.fallback_tag());
            self.tag(&tag, digest);
        }
    }

    fn add_referrers(&mut self, count: usize) {
        const TYPES: [&str; 2] = [media::SPDX, "application/vnd.example.scan.report.v1+json"];
        for (number, subject) in self.subjects(count.min(self.room())).into_iter().enumerate() {
            let mut made = Vec::new();
            for artifact_type in TYPES.iter().take(1 + number % 2) {
                let nonce = self.random.next();
                made.push(self.content.add_referrer(&AttachmentSpec {
                    subject: subject.digest,
                    created: subject.created + 180,
                    nonce,
                    artifact_type,
                }));
            }
            if self.options.referrers == ReferrersStyle::FallbackTag {
                let index = self.content.add_fallback_index(subject.digest, &made);
                self.tag(&subject.digest.fallback_tag(), index);
            }
        }
    }

    fn add_aliases(&mut self) {
        let Some(newest) = self
            .releases
            .iter()
            .max_by_key(|release| release.version)
            .copied()
        else {
            return;
        };
        if self.archetype.chart {
            return;
        }
        let last = self.releases.len() - 1;
        for (position, word) in self.archetype.floating.iter().enumerate() {
            let digest = match *word {
                "latest" => newest.digest,
                "nightly" | "dev" | "canary" => self.releases[last].digest,
                // Environments and slow channels trail behind.
                _ => self.releases[last.saturating_sub(position * 2)].digest,
            };
            self.tag(word, digest);
        }
        let prefix = self.archetype.prefix;
        self.tag(&format!("{prefix}{}", newest.version.major), newest.digest);
        self.tag(
            &format!("{prefix}{}.{}", newest.version.major, newest.version.minor),
            newest.digest,
        );
        if let Some(nightly) = self.nightlies.last().copied() {
            self.tag("latest-nightly", nightly);
        }
        for (position, word) in self.archetype.promoted.iter().enumerate() {
            for behind in 0..2 {
                let release = self.releases[last.saturating_sub(position * 2 + behind)];
                self.tag(&format!("{prefix}{}-{word}", release.version), release.digest);
            }
        }
    }
}
