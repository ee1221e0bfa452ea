//! The mappings of files of cases.

use serde_json::json;

use super::parts::{list, named, one_or_more, reference, text, texts, truth, word};
use super::{Part, Property, mapping};
use crate::case;

pub(super) const CASES: &str = "cases";

/// What a file of cases is made of.
pub(super) fn of_cases() -> Vec<Part> {
    let nothing_or = |name: &str| json!({ "anyOf": [reference(name), { "type": "null" }] });
    let capabilities = || {
        let says = "What the registry of the cases offers.";
        Property("capabilities", says, reference("capabilities"))
    };
    let now = || Property("now", "The time of the decision: a day, or RFC 3339.", text());
    let repository = || Property("repository", "The repository that is described.", text());
    let registry = || {
        Property(
            "registry",
            "The registry, where a configuration has several.",
            text(),
        )
    };
    let reason = json!({ "anyOf": [one_or_more(&word(case::kinds().iter().copied())), reference("reason"), { "type": "null" }] });
    let expected = || {
        json!({ "anyOf": [
            texts(),
            { "type": "object", "additionalProperties": reason, "minProperties": 1 },
        ] })
    };
    let facts = || {
        vec![
            Property(
                "created",
                "An age before now, a day, a time, or `unknown`.",
                text(),
            ),
            Property("pushed", "As `created`: when it was last pushed.", text()),
            Property(
                "pulled",
                "As `created`, or `never`: when it was last pulled.",
                text(),
            ),
            Property("observed", "As `created`: when it was first seen.", text()),
            Property("labels", "Its labels.", named(&text())),
            Property("children", "The artifacts that an index lists, by name.", texts()),
            Property("subject", "What it is attached to, by name.", text()),
            Property("media_type", "Its media type.", text()),
            Property("artifact_type", "Its type of artifact.", text()),
        ]
    };
    vec![
        mapping(
            CASES,
            &case::FILE,
            &["policy", "cases"],
            [
                Property(
                    "policy",
                    "The policy or the configuration; relative to this file.",
                    text(),
                ),
                registry(),
                repository(),
                now(),
                capabilities(),
                Property("cases", "The cases.", list(&reference("case"))),
            ],
        ),
        mapping(
            "case",
            &case::CASE,
            &["name", "expect"],
            [
                Property("name", "What the case shows.", text()),
                registry(),
                repository(),
                now(),
                Property(
                    "from",
                    "A plan that `plan --save` wrote, to decide about what it saw; relative to this file.",
                    text(),
                ),
                capabilities(),
                Property(
                    "tags",
                    "The tags, or a mapping of tags to facts; else those that are expected.",
                    json!({
                        "anyOf": [texts(), named(&nothing_or("tag"))],
                    }),
                ),
                Property(
                    "artifacts",
                    "What no tag is on, by name.",
                    named(&reference("artifact")),
                ),
                Property("expect", "What becomes of the tags.", reference("expect")),
            ],
        ),
        mapping(
            "tag",
            &case::TAG,
            &[],
            facts().into_iter().chain([Property(
                "digest",
                "Any word, or a whole digest: tags with the same one are on one artifact.",
                text(),
            )]),
        ),
        mapping("artifact", &case::ARTIFACT, &[], facts()),
        mapping(
            "capabilities",
            &case::CAPABILITIES,
            &[],
            [
                Property(
                    "delete_tag",
                    "Whether a single tag can be deleted; no, unless said.",
                    truth(),
                ),
                Property(
                    "referrers",
                    "Whether attachments are listed; yes, unless said.",
                    truth(),
                ),
            ],
        ),
        mapping(
            "expect",
            &case::EXPECT,
            &[],
            [
                Property(
                    "keep",
                    "Tags that stay, or a mapping of them to reasons.",
                    expected(),
                ),
                Property("delete", "Tags that go with their artifact.", expected()),
                Property("untag", "Tags that go while their artifact stays.", expected()),
                Property(
                    "unlisted",
                    "What becomes of all others; `keep` unless said.",
                    word(case::UNLISTED.iter().map(|(name, _)| *name)),
                ),
            ],
        ),
        mapping(
            "reason",
            &case::REASON,
            &[],
            [
                Property(
                    "because",
                    "Kinds of reasons, all of which must be there.",
                    one_or_more(&word(case::kinds().iter().copied())),
                ),
                Property("rule", "The rule that they come from.", text()),
            ],
        ),
    ]
}
