use super::*;

#[test]
fn the_report_shows_what_would_be_deleted_and_why_and_counts_the_rest() {
    let text = document(PlanFormat::Text, BRIEF, &head(), &all_three());
    insta::assert_snapshot!(text, @r"
    Plan 01KAJ3E5Z0000000000000000A  what would be deleted, and why; nothing is deleted by it
      registry  harbor https://harbor.example.com (oci)
      policies  prereleases (dry-run)
      now       2026-11-20T12:00:00Z

    team/app  8 tags: 4 deleted with 4 manifests, 1 untagged, 3 kept  (policy prereleases: keep two)
      untag   1.2.0-rc.2             b1b1b1b1b1b1         beyond the last 2: rank 3 of 5 by version
      delete  1.2.0-rc.1, 1.2.0-rc1  a1a1a1a1a1a1  index  beyond the last 2: rank 4 of 5 by version
                                                          the rule keeps nothing that it selects
                                                          with 1 child and 1 attachment, which have 1 tag
      delete  1.2.0-beta.10          a2a2a2a2a2a2  image  beyond the last 2: rank 5 of 5 by version
                                                          CANNOT BE UNDONE: its manifest is not kept

    team/broken  1,003 tags seen  (policy prereleases)
      INCOMPLETE  nothing is decided, every tag stays: GET https://harbor.example.com/v2/team/broken/tags/list:
                  truncated\n\u{1b}[2J

    In all
      repositories  3, nothing to do in 1
      tags          1,012
      delete        4 tags with 4 manifests
      untag         1 tag
      keep          1,007 tags
      requests      1,204: 1 ping, 3 tags, 1,200 manifest
      undo          3 manifests can be brought back: until the registry's next garbage collection, whose time it
                    does not tell
      no undo       1 manifest CANNOT be brought back: its manifest is not kept
      warning       1 tag stays only for sharing a digest with a kept tag: whether this registry deletes single
                    tags is not known; --probe asks it
      warning       1 repository could not be read, nothing is decided there: team/broken
    ");
}

#[test]
fn with_all_the_kept_tags_stand_behind_the_actions_with_their_reasons() {
    let text = document(PlanFormat::Text, ALL, &head(), &[busy(), quiet()]);
    let (body, _) = text.split_once("In all").unwrap();
    insta::assert_snapshot!(body, @r"
    Plan 01KAJ3E5Z0000000000000000A  what would be deleted, and why; nothing is deleted by it
      registry  harbor https://harbor.example.com (oci)
      policies  prereleases (dry-run)
      now       2026-11-20T12:00:00Z

    team/app  8 tags: 4 deleted with 4 manifests, 1 untagged, 3 kept  (policy prereleases: keep two)
      untag   1.2.0-rc.2             b1b1b1b1b1b1         beyond the last 2: rank 3 of 5 by version
      delete  1.2.0-rc.1, 1.2.0-rc1  a1a1a1a1a1a1  index  beyond the last 2: rank 4 of 5 by version
                                                          the rule keeps nothing that it selects
                                                          with 1 child and 1 attachment, which have 1 tag
      delete  1.2.0-beta.10          a2a2a2a2a2a2  image  beyond the last 2: rank 5 of 5 by version
                                                          CANNOT BE UNDONE: its manifest is not kept
      keep    1.2.0                  b1b1b1b1b1b1         no rule selects it
      keep    1.2.0-rc.3             b2b2b2b2b2b2         rank 1 of 5 by version, keeps 2
      keep    1.2.0-again            b3b3b3b3b3b3         shares its digest with kept tag 1.2.0
                                                          else deleted: the rule keeps nothing that it selects

    team/quiet  1 tag: all kept  (policy prereleases)
      keep  0.1.0-rc.1  (not asked)  1 tag, no more than the 2 that are kept (keep two)
    ");
}

#[test]
fn one_attachment_has_its_tags_and_several_have_them() {
    let mut plan = busy();
    if let Action::Delete { children, .. } = &mut plan.actions[1] {
        children.clear();
    }
    let text = document(PlanFormat::Text, BRIEF, &head(), &[plan]);
    assert!(text.contains(" with 1 attachment, which has 1 tag\n"), "{text}");
}

#[test]
fn where_several_rules_delete_each_row_names_its_own() {
    let mut plan = busy();
    let rule = RuleName {
        policy: "prereleases".into(),
        rule: "another".into(),
    };
    if let Action::Untag { reasons, .. } = &mut plan.actions[0] {
        *reasons = vec![Reason::KeepNone { rule }];
    }
    let text = document(PlanFormat::Text, BRIEF, &head(), &[plan]);
    assert!(text.contains("3 kept  (policy prereleases)\n"), "{text}");
    assert!(
        text.contains("the rule keeps nothing that it selects (another)\n"),
        "{text}"
    );
    assert!(text.contains("rank 5 of 5 by version (keep two)\n"), "{text}");
}

#[test]
fn refusals_unknown_clocks_and_another_now_are_said_with_numbers_and_what_to_do() {
    let mut head = head();
    head.now = time("2026-10-20T12:00:00Z");
    let why = Some("this registry does not record them".to_owned());
    head.clocks = vec![
        ClockNote {
            clock: Clock::Created,
            known: true,
            why: None,
        },
        ClockNote {
            clock: Clock::Pushed,
            known: false,
            why,
        },
    ];
    let guard = |limit, allowed, wanted, repository: Option<&str>, refuses| GuardReport {
        limit,
        allowed,
        wanted,
        repository: repository.map(|name| name.parse().unwrap()),
        refuses,
    };
    head.guards = vec![
        guard(Guard::KeepAtLeast, 1, 0, Some("team/app"), true),
        guard(Guard::KeepAtLeast, 2, 1, Some("team/web"), true),
        guard(Guard::MaxPercentPerRepository, 30, 61, Some("team/web"), true),
        guard(Guard::MaxDeletions, 500, 1237, None, true),
    ];
    insta::assert_snapshot!(document(PlanFormat::Text, BRIEF, &head, &[quiet()]), @r"
    Plan 01KAJ3E5Z0000000000000000A  what would be deleted, and why; nothing is deleted by it
      registry  harbor https://harbor.example.com (oci)
      policies  prereleases (dry-run)
      now       2026-10-20T12:00:00Z for every decision; made 2026-11-20T12:00:00Z

    In all
      repositories  1, nothing to do in 1
      tags          1
      delete        0 tags with 0 manifests
      untag         0 tags
      keep          1 tag
      requests      1,204: 1 ping, 3 tags, 1,200 manifest
      warning       pushed times are not known (this registry does not record them): rules that read them keep all
                    that they select

    Refused by a limit: nothing of this plan would be deleted
      keep_at_least               team/app would be left with 0 tagged artifacts, at least 1 must stay
      keep_at_least               team/web would be left with 1 tagged artifact, at least 2 must stay
      max_percent_per_repository  team/web would lose 61% of its tagged artifacts, 30% is allowed
      max_deletions               the plan would delete 1,237 manifests and single tags, 500 are allowed
      keep_at_least               if so little is meant to stay, lower it under the policy's `limits`; if not,
                                  keep more, or exclude these repositories
      max_percent_per_repository  if so much is meant to go, raise it under the policy's `limits`; if not, keep
                                  more, or exclude these repositories
      max_deletions               if so much is meant to go, raise it under the policy's `limits`; if not, narrow
                                  what its rules select, or plan fewer repositories at a time
    ");

    head.guards.truncate(1);
    let text = document(PlanFormat::Text, BRIEF, &head, &[quiet()]);
    assert!(
        text.contains("\nHeld back by a limit: nothing would be deleted in these repositories\n"),
        "{text}"
    );

    head.guards[0].refuses = false;
    let text = document(PlanFormat::Text, BRIEF, &head, &[quiet()]);
    assert!(!text.contains("limit"), "a limit that holds was reported: {text}");
}

#[test]
fn a_plan_that_names_no_repository_says_so() {
    let text = document(PlanFormat::Text, BRIEF, &head(), &[]);
    assert!(
        text.contains("\n  repositories  0: no policy names any\n"),
        "{text}"
    );
}

#[test]
fn reclaimable_bytes_are_shown_where_they_were_counted() {
    let mut foot = foot(&[]);
    let mut out = Vec::new();
    foot.totals.bytes_reclaimable = Some(1_300_000_000);
    PlanFormat::Text
        .writer(BRIEF)
        .foot(&mut out, &head(), &foot)
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("reclaimable   1,239.8 MiB once the registry collects its garbage\n"),
        "{text}"
    );
}

#[test]
fn long_lists_of_tags_are_cut_and_say_where_the_rest_is() {
    let mut plan = busy();
    let many: Vec<_> = (0..40)
        .map(|number| tag(&format!("1.0.0-nightly.{number:02}")))
        .collect();
    plan.actions.truncate(2);
    plan.tags_total = 50;
    if let Action::Delete { tags, .. } = &mut plan.actions[1] {
        *tags = many;
    }
    let text = document(PlanFormat::Text, BRIEF, &head(), &[plan]);
    assert!(
        text.contains("1.0.0-nightly.11 and 28 more (all are in --format json)\n"),
        "{text}"
    );
    assert!(!text.contains("nightly.12"), "{text}");
}

#[test]
fn many_unreadable_repositories_are_named_up_to_a_bound_and_counted() {
    let plans: Vec<_> = (0..25)
        .map(|number| RepositoryPlan {
            name: format!("r{number}").parse().unwrap(),
            ..unreadable()
        })
        .collect();
    let text = document(PlanFormat::Text, BRIEF, &head(), &plans);
    let (_, foot) = text.split_once("In all").unwrap();
    assert!(
        foot.contains("25 repositories could not be read, nothing is decided there: r0, r1,"),
        "{foot}"
    );
    assert!(
        foot.contains("and 15 more, all marked INCOMPLETE above"),
        "{foot}"
    );
    assert!(!foot.contains("r10"), "{foot}");
}

#[test]
fn a_page_of_html_from_a_proxy_is_cut() {
    let plan = RepositoryPlan::incomplete(
        "team/broken".parse().unwrap(),
        Vec::new(),
        0,
        Incomplete {
            why: "<p>sorry</p>".repeat(10_000),
        },
    );
    let text = document(PlanFormat::Text, BRIEF, &head(), &[plan]);
    assert!(text.len() < 4000, "{} bytes", text.len());
    assert!(text.contains("more characters]"), "{text}");
}

#[test]
fn ordinary_reports_are_no_wider_than_a_terminal() {
    let text = document(PlanFormat::Text, ALL, &head(), &all_three());
    for line in text.lines() {
        assert!(line.chars().count() <= 110, "{line}");
    }
}

#[test]
fn what_the_registry_does_not_delete_is_said_with_what_could_be_done() {
    let said = |delete_manifest, delete_tag, probed| {
        let mut head = head();
        head.capabilities.delete_manifest = delete_manifest;
        head.capabilities.delete_tag = delete_tag;
        head.probed = probed;
        let text = document(PlanFormat::Text, BRIEF, &head, &[busy()]);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let [unknown, not] = [Capability::Unknown, Capability::NotOffered];
    assert!(said(unknown, unknown, false).contains("is not known; --probe asks it"));
    assert!(
        said(unknown, unknown, true).contains("was asked whether it deletes single tags, and did not say")
    );
    assert!(said(unknown, not, true).contains("this registry does not delete single tags"));
    assert!(!said(unknown, not, true).contains("--probe"));
    assert!(!said(unknown, unknown, true).contains("does not delete manifests"));
    assert!(
        said(not, not, true)
            .contains("does not delete manifests: what is to be deleted here would be refused")
    );
}

#[test]
fn a_pass_that_left_repositories_out_says_so() {
    let mut head = head();
    head.pass = Some(PassNote {
        full_pass: "2026-11-21T03:00:00Z".parse().unwrap(),
        repositories: 340,
        changed: 1,
    });
    for format in [PlanFormat::Text, PlanFormat::Markdown, PlanFormat::Html] {
        let text = document(format, BRIEF, &head, &[busy()]);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("the others wait for the next full pass"), "{text}");
        assert!(!words.contains("none has changed"), "{text}");
    }
    let json = document(PlanFormat::Json, BRIEF, &head, &[busy()]);
    let pass = r#""pass":{"full_pass":"2026-11-21T03:00:00Z","repositories":340,"changed":1}"#;
    assert!(json.contains(pass), "{json}");
    let nothing = document(PlanFormat::Text, BRIEF, &head, &[]);
    assert!(nothing.contains("0: none has changed"), "{nothing}");
}

#[test]
fn what_was_not_read_itself_is_counted_and_said_once() {
    let mut plan = busy();
    let text = document(PlanFormat::Text, BRIEF, &head(), &[plan.clone()]);
    assert!(!text.contains("not read"), "{text}");
    plan.deleted_unread = 1;
    for (format, shown) in [
        (PlanFormat::Text, "not read      1 manifest was only seen"),
        (PlanFormat::Markdown, "| not read | 1 manifest was only seen"),
        (PlanFormat::Html, "1 of them not read (--exact)"),
        (PlanFormat::Json, "\"delete_unread\":1"),
    ] {
        let text = document(format, BRIEF, &head(), &[plan.clone()]);
        assert!(text.contains(shown), "{text}");
    }
}
