use proptest::prelude::*;

use crate::{Config, ConfigErrors, MAX_DOCUMENT, OneLiner, PolicyFile, one_liner};

const VALID: &str = include_str!("../../../../config/two-registries.yaml");
const BODY: &str = include_str!("../../../../config/cleanup.yaml");

/// What must hold of any errors over any text.
fn check(errors: &ConfigErrors, text: &str) {
    assert!(!errors.errors.is_empty());
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').collect();
    let mut before = (0, 0);
    for error in &errors.errors {
        assert!(error.line >= 1 && error.column >= 1);
        let line = lines
            .get(error.line - 1)
            .unwrap_or_else(|| panic!("{error:?} is behind {text:?}"));
        assert!(error.column <= line.chars().count() + 1, "{error:?} in {text:?}");
        assert!(
            (error.line, error.column) >= before,
            "not in the order of the text"
        );
        before = (error.line, error.column);
        assert!(!error.message.is_empty());
    }
    let shown = errors.to_string();
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

fn read_all(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(errors) = Config::read("lagan.yaml", bytes) {
        check(&errors, &text);
    }
    if let Err(errors) = PolicyFile::read("p.yaml", bytes, "p") {
        check(&errors, &text);
    }
}

/// Pieces that mean something in YAML or here.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "\n",
            "\r",
            "\r\n",
            "\t",
            " ",
            "  ",
            "    ",
            "- ",
            ": ",
            ":",
            "?",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "#",
            "&",
            "*",
            "!",
            "!!str ",
            "|",
            ">",
            "|2-",
            "'",
            "\"",
            "%",
            "@",
            "`",
            "---",
            "...",
            "<<",
            "~",
            "null",
            "\\",
            "\\d",
            "\\u",
            "\0",
            "\u{feff}",
            "\u{1b}[2J",
            "\u{202e}",
            "é",
            "😀",
            "0",
            "-1",
            "99999999999999999999999",
            "registries",
            "policies",
            "rules",
            "select",
            "keep",
            "last",
            "within",
            "protect",
            "limits",
            "tags",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,4}",
        "\\PC{0,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn no_pieces_of_yaml_are_too_strange(pieces in proptest::collection::vec(piece(), 0..60)) {
        read_all(pieces.concat().as_bytes());
    }

    #[test]
    fn a_document_with_anything_put_anywhere_is_read_or_refused_with_places(
        body in any::<bool>(), at in any::<proptest::sample::Index>(), cut in 0_usize..40, put in piece(),
    ) {
        let text = if body { BODY } else { VALID };
        let chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let mut changed: String = chars[..at].iter().collect();
        changed.push_str(&put);
        changed.extend(&chars[(at + cut).min(chars.len())..]);
        read_all(changed.as_bytes());
    }

    #[test]
    fn no_arguments_are_too_strange(
        repositories in proptest::collection::vec(piece(), 0..3),
        select in proptest::collection::vec("(tags|regex|channel|version|exclude|x)?=?\\PC{0,6}", 0..4),
        keep in proptest::collection::vec("((last|by|per|within)?=?(1|version|created:3d|\\PC{0,4}),?){0,4}", 0..3),
        protect in proptest::collection::vec("\\PC{0,6}", 0..3),
        allow_empty_repository in any::<bool>(),
    ) {
        let arguments = OneLiner {
            repositories: &repositories,
            select: &select,
            keep: &keep,
            protect: &protect,
            allow_empty_repository,
            versions: &lagan_policy::VersionTable::default(),
        };
        if let Err(errors) = one_liner(&arguments) {
            prop_assert!(!errors.errors.is_empty());
            let shown = errors.to_string();
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{:?}", shown);
            let given = repositories.len() + select.len() + keep.len() + protect.len();
            prop_assert!(errors.errors.iter().all(|error| error.line <= given + 1));
        }
    }
}

#[test]
fn the_largest_document_of_any_one_piece_is_refused_without_delay() {
    for piece in [
        "[",
        "{",
        "- ",
        "? ",
        "a: ",
        "a:\n ",
        "a: &a *a\n",
        "*a, ",
        "'",
        "\"",
        "!a ",
        "- a\n",
        "\n",
        "\t",
        "#",
        "|\n",
        "[],",
        "{a: ",
        "%a",
        "---\n",
        "a\n",
        "é",
    ] {
        let text = piece.repeat(MAX_DOCUMENT / piece.len());
        let errors = Config::read("lagan.yaml", &text).unwrap_err();
        let shown = errors.to_string();
        assert!(
            shown.len() < 64 * 1024,
            "{piece:?}: {} bytes of errors",
            shown.len()
        );
    }
}

#[test]
fn what_is_too_large_or_not_text_is_refused_unread() {
    let errors = Config::read("big.yaml", vec![b'#'; MAX_DOCUMENT + 1]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "error: big.yaml:1:1: the document is larger than 1 MiB\n"
    );
    let errors = Config::read("latin.yaml", b"state_dir: /a\nregistries: {\xe4: 1}\n").unwrap_err();
    assert_eq!((errors.errors[0].line, errors.errors[0].column), (2, 14));
    assert_eq!(errors.errors[0].message, "the document is not UTF-8 here");
}
