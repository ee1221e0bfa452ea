//! Names as Harbor has them: a repository is in a project, and stands in paths encoded twice.

use lagan_model::{Failure, RegistryError, RepositoryName};

/// A repository's name in its two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) project: &'a str,
    /// Without the project.
    pub(super) rest: &'a str,
}

impl<'a> Name<'a> {
    /// The project is the first segment. Harbor has no repository outside a project.
    pub(super) fn of(repository: &'a RepositoryName) -> Result<Self, RegistryError> {
        let name = repository.as_str();
        let outside = || {
            let detail = "in Harbor a repository is in a project, as in team/app";
            RegistryError::new(Failure::NotFound, format!("GET {name}"), detail)
        };
        let (project, rest) = name.split_once('/').ok_or_else(outside)?;
        Ok(Self { project, rest })
    }

    /// `projects/<project>/repositories/<repository>`, relative to the API.
    ///
    /// A slash is encoded twice: a proxy in front of Harbor decodes a path once, and Harbor decodes what it then finds
    /// in a segment. No other character of a name has to be encoded at all.
    pub(super) fn path(self) -> String {
        let rest = self.rest.replace('/', "%252F");
        format!("projects/{}/repositories/{rest}", self.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_behind_the_project_are_encoded_twice() {
        for (name, path) in [
            ("team/app", "projects/team/repositories/app"),
            ("team/a/b.c/d_e", "projects/team/repositories/a%252Fb.c%252Fd_e"),
        ] {
            let name = name.parse().unwrap();
            assert_eq!(Name::of(&name).unwrap().path(), path);
        }
        let alone = "app".parse().unwrap();
        assert_eq!(Name::of(&alone).unwrap_err().failure(), Failure::NotFound);
    }

    #[test]
    fn decoding_a_path_twice_gives_the_name_back() {
        let decoded = |text: &str| text.replace("%2F", "/").replace("%25", "%");
        let name: RepositoryName = "team/a/b/c".parse().unwrap();
        let path = Name::of(&name).unwrap().path();
        assert_eq!(decoded(&decoded(&path)), "projects/team/repositories/a/b/c");
    }
}
