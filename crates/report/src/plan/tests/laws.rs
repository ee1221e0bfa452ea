//! Whatever a plan holds, what is written of it is harmless, whole, and the same for one repository whatever
//! stands around it.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Text as an enemy writes it.
fn nasty() -> impl Strategy<Value = String> {
    let picked = prop::sample::select(vec![
        '\u{1b}',
        '\n',
        '\r',
        '\t',
        '\u{7f}',
        '\u{9b}',
        '\u{202e}',
        '\u{2066}',
        '\u{200b}',
        '\u{2028}',
        '\u{feff}',
        '\u{e0041}',
        '"',
        '|',
        '`',
        '<',
        '&',
        '@',
        '=',
        '\\',
        '[',
        ']',
        '{',
        '}',
        ',',
        ' ',
        'a',
        '1',
        '.',
        'ö',
        '🚢',
    ]);
    prop::collection::vec(prop_oneof![4 => picked, 1 => any::<char>()], 0..24).prop_map(String::from_iter)
}

fn any_tag() -> impl Strategy<Value = Tag> {
    prop_oneof![3 => "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", 1 => "[a-zA-Z0-9_][a-zA-Z0-9._-]{100,127}"]
        .prop_map(|text| text.parse().unwrap())
}

fn any_digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_sha256)
}

fn any_rule() -> impl Strategy<Value = RuleName> {
    (nasty(), nasty()).prop_map(|(policy, rule)| RuleName {
        policy: policy.as_str().into(),
        rule: rule.into(),
    })
}

fn any_reason() -> impl Strategy<Value = Reason> {
    let order = prop::sample::select(Order::ALL.to_vec());
    prop_oneof![
        Just(Reason::NotSelected),
        any_rule().prop_map(|rule| Reason::KeepNone { rule }),
        (any_rule(), nasty()).prop_map(|(rule, per)| Reason::GroupUnknown { rule, per }),
        (any_rule(), prop::sample::select(Clock::ALL.to_vec())).prop_map(|(rule, clock)| {
            Reason::ClockUnknown {
                rule,
                clock,
                why: Unknown::Zero,
            }
        }),
        (any_rule(), any::<[u32; 3]>(), order, prop::option::of(nasty())).prop_map(
            |(rule, [rank, of, last], by, group)| {
                Reason::BeyondLast {
                    rule,
                    rank,
                    of,
                    last,
                    by,
                    group: group.map(Into::into),
                }
            }
        ),
        (nasty(), nasty(), prop::option::of(nasty())).prop_map(|(policy, pattern, why)| Reason::Protected {
            policy: policy.as_str().into(),
            pattern,
            until: None,
            why: why.map(Into::into),
        }),
        any_tag().prop_map(|with| Reason::SharesDigest { with }),
        (any_digest(), prop::option::of(any_tag())).prop_map(|(index, tag)| Reason::ChildOf { index, tag }),
    ]
}

fn any_dependents() -> impl Strategy<Value = Vec<Dependent>> {
    let dependent =
        (any_digest(), prop::collection::vec(any_tag(), 0..3)).prop_map(|(digest, tags)| Dependent {
            digest,
            tags,
            media_type: None,
            size: None,
        });
    prop::collection::vec(dependent, 0..3)
}

fn any_action() -> impl Strategy<Value = Action> {
    let reasons = || prop::collection::vec(any_reason(), 1..4);
    let undo = (any::<bool>(), prop::option::of(nasty())).prop_map(|(possible, why)| Undo {
        possible,
        until: None,
        why,
        holding: None,
    });
    let delete = (
        any_digest(),
        prop::collection::vec(any_tag(), 0..20),
        any_dependents(),
        any_dependents(),
        undo,
        reasons(),
    )
        .prop_map(
            |(digest, tags, children, attachments, undo, reasons)| Action::Delete {
                digest,
                tags,
                media_type: Some(MediaType::OCI_INDEX),
                size: None,
                children,
                attachments,
                undo,
                reasons,
            },
        );
    let untag = (any_tag(), any_digest(), reasons()).prop_map(|(tag, digest, reasons)| Action::Untag {
        tag,
        digest,
        reasons,
    });
    prop_oneof![3 => delete, 1 => untag]
}

fn any_plan() -> impl Strategy<Value = RepositoryPlan> {
    let kept = (
        any_tag(),
        prop::option::of(any_digest()),
        prop::collection::vec(any_reason(), 1..4),
    )
        .prop_map(|(tag, digest, reasons)| Kept { tag, digest, reasons });
    let decided = (
        prop::collection::vec(any_action(), 0..5),
        prop::collection::vec(kept, 0..5),
        nasty(),
    )
        .prop_map(|(actions, kept, policy)| RepositoryPlan {
            tags_total: actions.iter().map(Action::tags).sum::<u64>() + kept.len() as u64,
            policies: vec![policy.as_str().into()],
            actions,
            kept,
            ..quiet()
        });
    let undecided = (nasty(), any::<u32>()).prop_map(|(why, tags)| {
        RepositoryPlan::incomplete(quiet().name, quiet().policies, tags.into(), Incomplete { why })
    });
    prop_oneof![4 => decided, 1 => undecided]
}

/// What one repository looks like, written by a writer that has seen others before it.
fn body(
    format: PlanFormat,
    options: PlanOptions,
    before: &[RepositoryPlan],
    plan: &RepositoryPlan,
) -> String {
    let mut writer = format.writer(options);
    before
        .iter()
        .for_each(|plan| writer.repository(&mut std::io::sink(), plan).unwrap());
    let mut out = Vec::new();
    writer.repository(&mut out, plan).unwrap();
    String::from_utf8(out).unwrap()
}

fn without_styles(text: &str) -> String {
    let mut out = String::new();
    for (position, part) in text.split("\u{1b}[").enumerate() {
        out.push_str(if position == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        });
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_is_harmless_and_colour_adds_nothing_but_styles(
        plans in prop::collection::vec(any_plan(), 0..3), name in nasty(), why in nasty(), all: bool,
    ) {
        let mut head = head();
        head.registry.url = why.clone();
        head.policies[0].name = name.as_str().into();
        head.clocks = vec![ClockNote { clock: Clock::Pulled, known: false, why: Some(why) }];
        let plain = PlanOptions { all, colour: false };
        let text = document(PlanFormat::Text, plain, &head, &plans);
        for line in text.lines() {
            prop_assert!(!line.contains(is_harmful), "{line:?}");
            prop_assert!(!line.ends_with(' '), "{line:?}");
        }
        let coloured = document(PlanFormat::Text, PlanOptions { colour: true, ..plain }, &head, &plans);
        let has_styles = coloured.contains("\u{1b}[");
        prop_assert!(has_styles);
        prop_assert_eq!(without_styles(&coloured), text);
    }

    #[test]
    fn json_is_harmless_and_reads_back_as_what_it_was_written_from(
        plans in prop::collection::vec(any_plan(), 0..3), url in nasty(),
    ) {
        let mut head = head();
        head.registry.url = url;
        let text = document(PlanFormat::Json, ALL, &head, &plans);
        prop_assert!(text.lines().all(|line| !line.contains(is_harmful)), "{text:?}");
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&value["registry"]["url"], head.registry.url.as_str());
        prop_assert_eq!(&value["repositories"], &serde_json::to_value(&plans).unwrap());
        prop_assert_eq!(&value["totals"], &serde_json::to_value(foot(&plans).totals).unwrap());
    }

    #[test]
    fn markdown_is_harmless_and_a_row_has_five_cells(plans in prop::collection::vec(any_plan(), 0..3), all: bool) {
        let text = document(PlanFormat::Markdown, PlanOptions { all, colour: false }, &head(), &plans);
        for line in text.lines() {
            prop_assert!(!line.contains(is_harmful), "{line:?}");
            if line.starts_with("| **delete**") || line.starts_with("| keep | `") {
                let bars = line.match_indices('|').filter(|(at, _)| !line[..*at].ends_with('\\')).count();
                prop_assert_eq!(bars, 6, "{:?}", line);
            }
        }
    }

    #[test]
    fn html_is_harmless_and_its_elements_are_its_own(
        plans in prop::collection::vec(any_plan(), 0..3), name in nasty(), all: bool,
    ) {
        let mut head = head();
        head.registry.url = name.clone();
        head.policies[0].name = name.as_str().into();
        let html = document(PlanFormat::Html, PlanOptions { all, colour: false }, &head, &plans);
        prop_assert!(html.lines().all(|line| !line.contains(is_harmful)));
        let rows: usize = plans
            .iter()
            .map(|plan| plan.actions.len() + if all { plan.kept.len() } else { 0 })
            .sum();
        prop_assert_eq!(html.matches("<tr class=").count(), rows);
        let (body, _) = html.split_once("<script>").unwrap();
        // The templates have no such characters in text: every one of them begins something that is theirs.
        let (_, body) = body.split_once("<body>").unwrap();
        prop_assert_eq!(body.matches('<').count(), body.matches('>').count());
    }

    #[test]
    fn csv_reads_back_with_a_row_for_every_tag_that_is_counted(
        plans in prop::collection::vec(any_plan(), 0..3), all: bool,
    ) {
        let text = document(PlanFormat::Csv, PlanOptions { all, colour: false }, &head(), &plans);
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        let count = |action: &str| {
            rows.iter().filter(|row| &row[2] == action && !row[1].is_empty()).count() as u64
        };
        let totals = foot(&plans).totals;
        prop_assert_eq!(count("delete"), totals.delete_tags);
        prop_assert_eq!(count("untag"), totals.untag);
        prop_assert_eq!(count("incomplete"), 0);
        prop_assert_eq!(
            rows.iter().filter(|row| &row[2] == "incomplete").count() as u64,
            totals.incomplete_repositories
        );
        let kept: usize = plans.iter().map(|plan| plan.kept.len()).sum();
        prop_assert_eq!(count("keep"), if all { kept as u64 } else { 0 });
        for cell in rows.iter().flat_map(|row| row.iter()) {
            prop_assert!(!cell.contains(is_harmful), "{cell:?}");
            prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']), "{cell:?}");
        }
    }

    #[test]
    fn groups_hold_every_decision_once_and_are_harmless(
        plans in prop::collection::vec(any_plan(), 0..3), all: bool, by_rule: bool,
    ) {
        let by = if by_rule { GroupBy::Rule } else { GroupBy::Channel };
        let rows = |text: &str, group: usize| {
            let mut reader = ::csv::Reader::from_reader(text.as_bytes());
            let mut rows: Vec<Vec<String>> = reader
                .records()
                .map(|row| row.unwrap().iter().skip(group).map(str::to_owned).collect())
                .collect();
            rows.sort();
            rows
        };
        let plain = document(PlanFormat::Csv, PlanOptions { all, colour: false }, &head(), &plans);
        let csv = grouped(PlanFormat::Csv, by, all, &plans);
        prop_assert_eq!(rows(&csv, 1), rows(&plain, 0));
        for format in [PlanFormat::Text, PlanFormat::Markdown, PlanFormat::Html] {
            let text = grouped(format, by, all, &plans);
            prop_assert!(text.lines().all(|line| !line.contains(is_harmful)), "{text:?}");
            if format == PlanFormat::Html {
                let (page, _) = text.split_once("<script>").unwrap();
                prop_assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
            }
        }
    }

    #[test]
    fn a_repository_is_written_the_same_whatever_was_written_before_it(
        before in prop::collection::vec(any_plan(), 0..3), plan in any_plan(), all: bool,
    ) {
        let options = PlanOptions { all, colour: false };
        for format in PlanFormat::ALL {
            let alone = body(format, options, &[], &plan);
            let among = body(format, options, &before, &plan);
            // Elements of a list have a comma between them.
            prop_assert_eq!(alone.trim_start_matches('\n'), among.trim_start_matches(",").trim_start_matches('\n'));
        }
    }
}
