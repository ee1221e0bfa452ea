use super::*;

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)> \" ' onmouseover=alert(1) & \u{202e}\u{1b}[2J\n";

fn hostile_document(all: bool) -> String {
    let rule = RuleName {
        policy: HOSTILE.into(),
        rule: HOSTILE.into(),
    };
    let mut plan = busy();
    plan.policies = vec![HOSTILE.into()];
    plan.kept[0].reasons = vec![Reason::Protected {
        policy: HOSTILE.into(),
        pattern: HOSTILE.to_owned(),
        until: None,
        why: Some(HOSTILE.into()),
    }];
    if let Action::Delete { undo, reasons, .. } = &mut plan.actions[1] {
        undo.possible = false;
        undo.why = Some(HOSTILE.to_owned());
        reasons.push(Reason::KeepNone { rule });
    }
    let broken = RepositoryPlan {
        incomplete: Some(Incomplete {
            why: HOSTILE.to_owned(),
        }),
        ..unreadable()
    };
    let mut head = head();
    head.id = HOSTILE.to_owned();
    head.registry.url = HOSTILE.to_owned();
    head.policies[0].name = HOSTILE.into();
    head.clocks = vec![ClockNote {
        clock: Clock::Pulled,
        known: false,
        why: Some(HOSTILE.to_owned()),
    }];
    document(
        PlanFormat::Html,
        PlanOptions { all, colour: false },
        &head,
        &[plan, broken],
    )
}

/// What lies between the first `<tag` and the next `</tag>`.
fn element<'a>(html: &'a str, tag: &str) -> &'a str {
    let (_, rest) = html.split_once(&format!("<{tag}>")).unwrap();
    rest.split_once(&format!("</{tag}>")).unwrap().0
}

#[test]
fn nothing_from_outside_becomes_markup_or_reorders_text() {
    for all in [false, true] {
        let html = hostile_document(all);
        assert_eq!(html.matches("<script").count(), 1, "one script, the report's own");
        assert_eq!(html.matches("</script").count(), 1);
        assert!(!html.contains("<img"));
        assert!(html.contains("&#60;img src=x"), "it is shown as what it is");
        for line in html.lines() {
            assert!(!line.contains(is_harmful), "{line:?}");
        }
        // A quote that is not escaped could leave an attribute.
        assert!(!html.contains("\" ' onmouseover"));
    }
}

#[test]
fn the_policy_admits_the_style_and_the_script_of_the_file_by_their_hashes_and_nothing_else() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let html = document(PlanFormat::Html, ALL, &head(), &all_three());
    let hash = |text: &str| {
        let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text));
        format!("'sha256-{hash}'")
    };
    let policy = format!(
        "content=\"default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'\"",
        hash(element(&html, "style")),
        hash(element(&html, "script"))
    );
    assert!(html.contains(&policy), "{policy}");
    // What the policy would stop must not be there in the first place.
    for forbidden in [
        " style=",
        " onclick=",
        " src=",
        "url(",
        "@import",
        "<link",
        "<base",
        "eval(",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn every_tag_has_a_row_and_reasons_unfold() {
    let html = document(PlanFormat::Html, ALL, &head(), &all_three());
    let (_, row) = html.split_once("<tr class=delete>").unwrap();
    let (row, _) = row.split_once("<tr").unwrap();
    insta::assert_snapshot!(row.trim(), @"<td>delete<th scope=row>1.2.0-rc.1, 1.2.0-rc1<td>a1a1a1a1a1a1<td>index<td><details><summary>beyond the last 2: rank 4 of 5 by version</summary><ul><li>the rule keeps nothing that it selects<li>with 1 child and 1 attachment, which have 1 tag</ul><p>Digest <code>sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1</code><p>Media type <code>application/vnd.oci.image.index.v1+json</code><p>Manifest <code>1,234 bytes</code><p>Child <code>sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1</code><p>Attachment <code>sha256:f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1 sha256-a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1.sig</code></details>");
    assert_eq!(html.matches("<tr class=keep>").count(), 4);
    assert_eq!(html.matches("<tr class=untag>").count(), 1);
    let brief = document(PlanFormat::Html, BRIEF, &head(), &all_three());
    assert_eq!(brief.matches("<tr class=keep>").count(), 0);
    assert!(!brief.contains("<h3>team/quiet</h3>"), "nothing happens there");
}

#[test]
fn what_must_not_be_missed_stands_above_the_sums() {
    let mut head = head();
    head.guards = vec![GuardReport {
        limit: Guard::KeepAtLeast,
        allowed: 1,
        wanted: 0,
        repository: Some("team/app".parse().unwrap()),
        refuses: true,
    }];
    let html = document(PlanFormat::Html, BRIEF, &head, &all_three());
    let position = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text}"));
    let sums = position("In all</h2>");
    assert!(position("Held back by a limit") < sums);
    assert!(position("<a href=\"#r:team/app\">team/app</a> would be left with 0 tagged artifacts") < sums);
    assert!(position("1 repository could not be read") < sums);
    assert!(position("<a href=\"#r:team/broken\">team/broken</a>") < sums);
    assert!(position("id=\"r:team/broken\"") > sums);
}

#[test]
fn a_long_repository_is_written_in_parts_that_a_browser_can_leave_out() {
    let mut plan = quiet();
    plan.kept = (0..600)
        .map(|number| Kept {
            tag: tag(&format!("1.0.{number}")),
            digest: None,
            reasons: vec![Reason::NotSelected],
        })
        .collect();
    plan.tags_total = 600;
    let html = document(PlanFormat::Html, ALL, &head(), &[plan]);
    let captions: Vec<_> = html
        .lines()
        .filter(|line| line.starts_with("<caption>team/quiet"))
        .collect();
    assert_eq!(
        captions,
        [
            "<caption>team/quiet, rows 1 to 250</caption>",
            "<caption>team/quiet, rows 251 to 500</caption>",
            "<caption>team/quiet, rows 501 to 600</caption>"
        ]
    );
}
