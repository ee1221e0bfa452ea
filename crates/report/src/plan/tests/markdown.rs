use super::*;

#[test]
fn the_comment_says_first_what_must_not_be_missed_and_then_what_would_be_deleted_and_why() {
    let mut head = head();
    head.guards = vec![GuardReport {
        limit: Guard::MaxPercentPerRepository,
        allowed: 30,
        wanted: 61,
        repository: Some("team/app".parse().unwrap()),
        refuses: true,
    }];
    let text = document(PlanFormat::Markdown, ALL, &head, &all_three());
    insta::assert_snapshot!(text, @r##"
    ## Retention plan 01KAJ3E5Z0000000000000000A

    What would be deleted, and why; nothing is deleted by this plan.

    - **Warning**: 1 tag stays only for sharing a digest with a kept tag: whether this registry deletes single tags is not known; --probe asks it
    - **Warning**: 1 repository could not be read, nothing is decided there: team/broken
    - **Held back by a limit: nothing would be deleted in these repositories**
      - `max_percent_per_repository`: team/app would lose 61% of its tagged artifacts, 30% is allowed
      - `max_percent_per_repository`: if so much is meant to go, raise it under the policy's `limits`; if not, keep more, or exclude these repositories

    | | |
    |---|---|
    | registry | harbor `https://harbor.example.com` (oci) |
    | policies | prereleases (dry-run) |
    | now | 2026-11-20T12:00:00Z |
    | repositories | 3, nothing to do in 1 |
    | tags | 1,012 |
    | delete | 4 tags with 4 manifests |
    | untag | 1 tag |
    | keep | 1,007 tags |
    | undo | 3 manifests can be brought back: until the registry's next garbage collection, whose time it does not tell |
    | **no undo** | 1 manifest CANNOT be brought back: its manifest is not kept |
    | requests | 1,204: 1 ping, 3 tags, 1,200 manifest |

    ### team/app

    8 tags: 4 deleted with 4 manifests, 1 untagged, 3 kept (policy prereleases: keep two)

    | | tags | digest | kind | reasons |
    |---|---|---|---|---|
    | **untag** | `1.2.0-rc.2` | `b1b1b1b1b1b1` |  | beyond the last 2: rank 3 of 5 by version |
    | **delete** | `1.2.0-rc.1`, `1.2.0-rc1` | `a1a1a1a1a1a1` | index | beyond the last 2: rank 4 of 5 by version<br>the rule keeps nothing that it selects<br>with 1 child and 1 attachment, which have 1 tag |
    | **delete** | `1.2.0-beta.10` | `a2a2a2a2a2a2` | image | beyond the last 2: rank 5 of 5 by version<br>CANNOT BE UNDONE: its manifest is not kept |
    | keep | `1.2.0` | `b1b1b1b1b1b1` | | no rule selects it |
    | keep | `1.2.0-rc.3` | `b2b2b2b2b2b2` | | rank 1 of 5 by version, keeps 2 |
    | keep | `1.2.0-again` | `b3b3b3b3b3b3` | | shares its digest with kept tag 1.2.0<br>else deleted: the rule keeps nothing that it selects |

    ### team/broken

    1,003 tags seen (policy prereleases)

    **INCOMPLETE**: `nothing is decided, every tag stays: GET https://harbor.example.com/v2/team/broken/tags/list: truncated\n\u{1b}[2J`

    ### team/quiet

    1 tag: all kept (policy prereleases)

    | | tags | digest | kind | reasons |
    |---|---|---|---|---|
    | keep | `0.1.0-rc.1` | (not asked) | | 1 tag, no more than the 2 that are kept (keep two) |
    "##);
}

#[test]
fn hostile_names_and_texts_make_no_cell_no_line_no_markup_and_no_mention() {
    let hostile = "a|b\n| delete | <script>alert(1)</script> @everyone ![x](https://evil.example) `c`";
    let mut plan = busy();
    let rule = RuleName {
        policy: hostile.into(),
        rule: hostile.into(),
    };
    plan.policies = vec![hostile.into(), hostile.into()];
    plan.actions = vec![Action::Untag {
        tag: tag("1.0.0"),
        digest: digest(1),
        reasons: vec![Reason::KeepNone { rule }],
    }];
    let mut head = head();
    head.policies[0].name = hostile.into();
    head.registry.url = hostile.to_owned();
    let text = document(PlanFormat::Markdown, BRIEF, &head, &[plan]);
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| **")).collect();
    assert_eq!(rows.len(), 1, "{text}");
    let row = rows[0].replace("\\|", "");
    assert_eq!(row.matches('|').count(), 6, "{row}");
    // Everything of it stands in code, whose fence is longer than what it holds.
    let outside: String = rows[0].split("``").step_by(2).collect();
    assert!(!outside.contains('@') && !outside.contains('<'), "{outside}");
}
