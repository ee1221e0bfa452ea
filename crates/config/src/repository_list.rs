//! A list of repositories, for a registry that does not list its own: one name a line.

use std::collections::HashMap;

use lagan_model::RepositoryName;

use crate::error::{ConfigErrors, Problems, Read};
use crate::source::{Source, Span};

/// The largest list that is read, in bytes: some 300,000 names.
pub const MAX_LIST: usize = 16 << 20;

/// Reads a list: one name a line, in any order; blank lines, and what follows a `#`, say nothing. `file` is what errors
/// call it.
///
/// # Errors
///
/// All that is wrong with it: names that are none, names that stand there twice, or no name at all. A list without a
/// name is more likely a mistake than a registry without a repository.
pub fn repository_list(file: &str, text: impl AsRef<[u8]>) -> Result<Vec<RepositoryName>, ConfigErrors> {
    let bytes = text.as_ref();
    let too_large = bytes.len() > MAX_LIST;
    let lossy = if too_large {
        String::new()
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    let source = Source::file(file, lossy);
    let mut problems = Problems::new(&source);
    let read = if too_large {
        Err(problems.report(Span::new(0, 0), "the list is larger than 16 MiB", None))
    } else {
        names(source.text(), &mut problems)
    };
    problems.settle(read)
}

fn names(text: &str, problems: &mut Problems<'_>) -> Read<Vec<RepositoryName>> {
    let mut names = Vec::new();
    let mut lines: HashMap<RepositoryName, usize> = HashMap::new();
    let mut wrong = None;
    // Some editors begin a file with a mark of byte order.
    let mut start = text.len() - text.trim_start_matches('\u{feff}').len();
    for (number, whole) in text[start..].split('\n').enumerate() {
        let line = whole.split('#').next().unwrap_or_default();
        let name = line.trim();
        let at = start + (line.len() - line.trim_start().len());
        start += whole.len() + 1;
        if name.is_empty() {
            continue;
        }
        let span = Span::new(at, at + name.len());
        match name.parse::<RepositoryName>() {
            Ok(name) => match lines.get(&name) {
                Some(first) => {
                    let message = format!("{name} stands on line {first} already");
                    wrong = Some(problems.report(span, message, None));
                }
                None => {
                    lines.insert(name.clone(), number + 1);
                    names.push(name);
                }
            },
            Err(error) => {
                let hint =
                    "a line is one name without the registry, as `team/app`; globs belong into policies";
                wrong = Some(problems.report(span, error.to_string(), Some(hint.to_owned())));
            }
        }
    }
    match wrong {
        Some(reported) => Err(reported),
        None if names.is_empty() => {
            let hint = Some("write the names of repositories, one a line".to_owned());
            Err(problems.report(Span::new(0, 0), "the list names no repository", hint))
        }
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
        repository_list("names.txt", text)
            .map(|names| names.iter().map(ToString::to_string).collect())
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn names_stand_one_a_line_among_comments() {
        let expected = Ok(vec!["team/app".to_owned(), "b".to_owned(), "a__b/c-d".to_owned()]);
        for text in [
            "team/app\nb\na__b/c-d",
            "team/app\r\nb\r\na__b/c-d\r\n",
            "\u{feff}# ours\n\n  team/app  # the app\n\tb\n#\na__b/c-d\n\n",
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn everything_wrong_is_reported_with_its_line() {
        let said = read("team/app\nTeam/App\nteam/*\n\nteam/app # again\nhttps://r/x\n").unwrap_err();
        for place in ["names.txt:2:1", "names.txt:3:1", "names.txt:5:1", "names.txt:6:1"] {
            assert!(said.contains(place), "{place}: {said}");
        }
        assert!(said.contains("stands on line 1 already"), "{said}");
        assert!(!said.contains("names.txt:1:"), "{said}");
    }

    #[test]
    fn a_list_that_names_nothing_is_an_error_and_never_no_repositories() {
        for text in ["", "\n\n", "# nothing\n", "\u{feff}"] {
            assert!(
                read(text).unwrap_err().contains("names no repository"),
                "{text:?}"
            );
        }
        assert!(read(vec![b'\n'; MAX_LIST + 1]).unwrap_err().contains("16 MiB"));
        let said = read(b"team/\xff\n").unwrap_err();
        assert!(said.contains("names.txt:1:1"), "{said}");
        let said = read("team/\u{1b}[2Japp\n").unwrap_err();
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}
