//! Content by the thousand, for benchmarks: plain, even, and made in memory in about a second.

use crate::content::{Content, ImageSpec, Kind};
use crate::harbor::Harbor;
use crate::harbor::sync::Pushed;

/// How much there is to be, spread evenly over repositories, and those over projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// `bench-0`, `bench-1`, ...
    pub projects: usize,
    /// `bench-<n>/app-000`, `bench-<n>/app-001`, ...
    pub repositories: usize,
    /// Images of one platform, pushed an hour after each other, the last one an hour ago.
    pub artifacts: usize,
    /// `1.<n>.0` for every artifact, then `build-<n>`, in turns.
    pub tags: usize,
}

impl Default for Population {
    /// 10,000 artifacts with 20,000 tags in 100 repositories of four projects.
    fn default() -> Self {
        Self {
            projects: 4,
            repositories: 100,
            artifacts: 10_000,
            tags: 20_000,
        }
    }
}

impl Population {
    /// The names of its repositories.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        (0..self.repositories)
            .map(|number| format!("bench-{}/app-{number:03}", number % self.projects.max(1)))
            .collect()
    }

    /// How many of `all` fall to one repository.
    fn share(&self, all: usize, number: usize) -> usize {
        let repositories = self.repositories.max(1);
        all / repositories + usize::from(number < all % repositories)
    }
}

impl Harbor<'_> {
    /// Puts all of it. The same population is the same content.
    pub fn populate(self, population: &Population) {
        for (number, name) in population.names().iter().enumerate() {
            let artifacts = population.share(population.artifacts, number);
            let mut content = Content::new(name);
            let mut made = Vec::with_capacity(artifacts);
            for revision in 0..artifacts {
                let hours = i64::try_from(artifacts - revision).unwrap_or(i64::MAX / 3_600);
                made.push(content.add_image(&ImageSpec {
                    kind: Kind::Release,
                    docker: false,
                    created: Some(self.now() - hours * 3_600),
                    version: &format!("1.{revision}.0"),
                    revision: (number * population.artifacts + revision) as u64,
                    architecture: "amd64",
                    labels: &[],
                    // What differs is the configuration: making layers would be most of the time.
                    layers: &[],
                }));
            }
            for tag in 0..population.share(population.tags, number) {
                let Some(digest) = made.get(tag % artifacts.max(1)) else {
                    break;
                };
                let name = match tag < artifacts {
                    true => format!("1.{tag}.0"),
                    false => format!("build-{tag}"),
                };
                content.add_tag(&name, *digest);
            }
            let store = &self.shared.store;
            store.write(name, |_, overlay| overlay.absorb(&content));
            self.shared.harbor.changed(store, name, Pushed::WhenBuilt);
        }
    }
}
