//! The examples in `config/convert`: each becomes the document in `native`, notices included. After a change of what is
//! printed, `lagan policy convert config/convert/FILE --out config/convert/native/NAME.yaml` writes it anew.

use lagan_config::{ConvertOptions, Format, NoticeKind, PolicyFile, convert};

macro_rules! example {
    ($file:literal, $name:literal) => {
        (
            $file,
            $name,
            include_str!(concat!("../../../../config/convert/", $file)),
            include_str!(concat!("../../../../config/convert/native/", $name, ".yaml")),
        )
    };
}

#[test]
fn every_format_has_an_example_that_becomes_what_stands_beside_it() {
    let examples = [
        (
            Format::LifecycleRules,
            example!("lifecycle-rules.yaml", "lifecycle-rules"),
        ),
        (Format::Harbor, example!("harbor.json", "harbor")),
        (Format::Ecr, example!("ecr.json", "ecr")),
        (
            Format::ArtifactRegistry,
            example!("artifact-registry.json", "artifact-registry"),
        ),
        (Format::Zot, example!("zot.json", "zot")),
    ];
    assert_eq!(examples.map(|(format, _)| format), Format::ALL);
    for (format, (file, name, text, expected)) in examples {
        let options = ConvertOptions {
            from: None,
            name,
            attached_to: None,
        };
        let conversion = convert(file, text, &options).unwrap();
        assert_eq!(conversion.format, format, "the format is told by the document");
        assert_eq!(conversion.text, expected, "{file}");
        let named = ConvertOptions {
            from: Some(format),
            ..options
        };
        assert_eq!(convert(file, text, &named).unwrap().text, conversion.text);
        let read = PolicyFile::read("native.yaml", expected, "other").unwrap();
        assert_eq!(read.policies, conversion.policies);
        let lost = conversion
            .notices
            .iter()
            .any(|notice| notice.kind == NoticeKind::NotExpressed);
        assert_eq!(conversion.is_whole(), !lost);
        // Every notice stands in the document, too, word for word but for line breaks.
        let flat = expected.replace("# ", " ");
        let flat = flat.split_whitespace().collect::<Vec<_>>().join(" ");
        for notice in &conversion.notices {
            let words = notice.text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(&words), "{notice}");
        }
    }
}
