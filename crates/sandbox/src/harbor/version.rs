//! Which Harbor it is, and what that changes.

/// A release of Harbor. What differs between them is what a client can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HarborVersion {
    /// 2.8: no listing of a whole project's artifacts, which do not name their repository; no `artifact_type`, accessories do not name their subject's
    /// digest and repository, no `/permissions`, collections have no `workers`.
    V2_8,
    /// 2.11: lists the artifacts of a whole project.
    V2_11,
    /// 2.15: `artifact_type` of artifacts, robots that make robots, and who made one.
    #[default]
    V2_15,
}

impl HarborVersion {
    /// Every version.
    pub const ALL: [Self; 3] = [Self::V2_8, Self::V2_11, Self::V2_15];

    /// As `/systeminfo` has it: the release and the commit that it was built from.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::V2_8 => "v2.8.4-4ca9b4a1",
            Self::V2_11 => "v2.11.2-c7a03d2c",
            Self::V2_15 => "v2.15.0-5d1f2b77",
        }
    }

    pub(super) fn names_repositories(self) -> bool {
        self >= Self::V2_11
    }

    pub(super) fn lists_projects_artifacts(self) -> bool {
        self >= Self::V2_11
    }

    pub(super) fn names_subjects(self) -> bool {
        self >= Self::V2_11
    }

    pub(super) fn tells_artifact_types(self) -> bool {
        self >= Self::V2_15
    }

    pub(super) fn tells_permissions(self) -> bool {
        self >= Self::V2_11
    }

    pub(super) fn collects_in_parallel(self) -> bool {
        self >= Self::V2_11
    }

    pub(super) fn robots_make_robots(self) -> bool {
        self >= Self::V2_15
    }

    pub(super) fn tells_creators(self) -> bool {
        self >= Self::V2_15
    }
}
