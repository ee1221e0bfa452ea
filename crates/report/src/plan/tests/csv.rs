use ::csv::ReaderBuilder;

use super::*;

#[test]
fn every_tag_that_goes_has_a_row_and_so_has_a_repository_that_could_not_be_read() {
    let text = document(PlanFormat::Csv, ALL, &head(), &all_three());
    let lines = text.split_terminator("\r\n").collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(lines, @r##"
    repository,tag,action,digest,media_type,policy,rule,reason,text,children,attachments,undo
    team/app,1.2.0-rc.2,untag,sha256:b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1,,prereleases,keep two,beyond_last,beyond the last 2: rank 3 of 5 by version (prereleases/keep two),,,
    team/app,1.2.0-rc.1,delete,sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1,application/vnd.oci.image.index.v1+json,prereleases,keep two,beyond_last,"beyond the last 2: rank 4 of 5 by version (prereleases/keep two); the rule keeps nothing that it selects (prereleases/keep two); with 1 child and 1 attachment, which have 1 tag",1,1,yes
    team/app,1.2.0-rc1,delete,sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1,application/vnd.oci.image.index.v1+json,prereleases,keep two,beyond_last,"beyond the last 2: rank 4 of 5 by version (prereleases/keep two); the rule keeps nothing that it selects (prereleases/keep two); with 1 child and 1 attachment, which have 1 tag",1,1,yes
    team/app,sha256-a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1.sig,delete,sha256:f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1,,,,deleted_with_subject,"attached to sha256:a1a1a1a1a1a1 or to one of its children, which are deleted",,,yes
    team/app,1.2.0-beta.10,delete,sha256:a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2,application/vnd.docker.distribution.manifest.v2+json,prereleases,keep two,beyond_last,beyond the last 2: rank 5 of 5 by version (prereleases/keep two); CANNOT BE UNDONE: its manifest is not kept,0,0,no
    team/app,1.2.0,keep,sha256:b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1,,,,not_selected,no rule selects it,,,
    team/app,1.2.0-rc.3,keep,sha256:b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2,,prereleases,keep two,rank,"rank 1 of 5 by version, keeps 2 (prereleases/keep two)",,,
    team/app,1.2.0-again,keep,sha256:b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3,,,,shares_digest,shares its digest with kept tag 1.2.0; else deleted: the rule keeps nothing that it selects (prereleases/keep two),,,
    team/broken,,incomplete,,,,,,"nothing is decided, every tag stays: GET https://harbor.example.com/v2/team/broken/tags/list: truncated\n\u{1b}[2J",,,
    team/quiet,0.1.0-rc.1,keep,,,prereleases,keep two,fits,"1 tag, no more than the 2 that are kept (prereleases/keep two)",,,
    "##);
}

#[test]
fn kept_tags_have_rows_only_where_they_were_asked_for() {
    let text = document(PlanFormat::Csv, BRIEF, &head(), &all_three());
    assert!(!text.contains(",keep,"), "{text}");
    assert!(text.contains(",incomplete,"), "{text}");
}

#[test]
fn formulas_quotes_and_line_breaks_in_names_stay_text_in_one_cell() {
    let hostile = "=HYPERLINK(\"https://evil.example\",\"a\")\r\nnext,row";
    let mut plan = busy();
    let rule = RuleName {
        policy: hostile.into(),
        rule: hostile.into(),
    };
    plan.actions = vec![Action::Untag {
        tag: tag("1.0.0"),
        digest: digest(1),
        reasons: vec![Reason::KeepNone { rule }],
    }];
    let text = document(PlanFormat::Csv, BRIEF, &head(), &[plan]);
    let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1, "{text}");
    let inert = "'=HYPERLINK(\"https://evil.example\",\"a\")\\r\\nnext,row";
    assert_eq!(&rows[0][5], inert);
    assert_eq!(&rows[0][6], inert);
}
