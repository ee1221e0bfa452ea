use serde_json::Value;

use super::*;

/// The keys of every object on the way, in the order in which they stand.
fn keys(json: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = json;
    while let Some(end) = rest.find("\":") {
        let start = rest[..end].rfind('"').unwrap() + 1;
        out.push(rest[start..end].to_owned());
        rest = &rest[end + 2..];
    }
    out
}

#[test]
fn a_whole_plan_is_the_document_of_the_specification() {
    let a1 = "a1".repeat(32);
    let b1 = "b1".repeat(32);
    let mut head = head();
    head.clocks = vec![ClockNote {
        clock: Clock::Pushed,
        known: false,
        why: Some("not recorded".to_owned()),
    }];
    head.guards = vec![GuardReport {
        limit: Guard::KeepAtLeast,
        allowed: 1,
        wanted: 0,
        repository: Some("team/app".parse().unwrap()),
        refuses: true,
    }];
    head.capabilities.media_types = lagan_model::ManifestTypes::only(&lagan_model::MediaType::OCI_INDEX);
    head.capabilities.catalog = Capability::Offered;
    head.capabilities.delete_manifest = Capability::NotOffered;
    head.probed = true;
    let mut plan = busy();
    plan.actions.truncate(2);
    plan.kept.truncate(1);
    let beyond = |rank: u32| {
        format!(
            r#"{{"kind":"beyond_last","policy":"prereleases","rule":"keep two","rank":{rank},"of":5,"last":2,"by":"version"}}"#
        )
    };
    let (beyond_3, beyond_4) = (beyond(3), beyond(4));
    let expected = format!(
        concat!(
            r#"{{"schema":"lagan.plan/v1","id":"01KAJ3E5Z0000000000000000A","created":"2026-11-20T12:00:00Z","#,
            r#""now":"2026-11-20T12:00:00Z","#,
            r#""registry":{{"name":"harbor","url":"https://harbor.example.com","kind":"oci"}},"#,
            r#""policies":[{{"name":"prereleases","sha256":"{sha256}","mode":"dry-run"}}],"#,
            r#""clocks":[{{"clock":"pushed","known":false,"why":"not recorded"}}],"#,
            r#""guards":[{{"limit":"keep_at_least","allowed":1,"wanted":0,"repository":"team/app","refuses":true}}],"#,
            r#""capabilities":{{"media_types":["application/vnd.oci.image.index.v1+json"],"catalog":"offered","referrers":"unknown","delete_manifest":"not_offered","#,
            r#""delete_tag":"unknown","mount":"unknown","probed":true}},"#,
            r#""repositories":["#,
            "\n",
            r#"{{"name":"team/app","policies":["prereleases"],"complete":true,"tags_total":8,"actions":["#,
            r#"{{"action":"untag","tag":"1.2.0-rc.2","digest":"sha256:{b1}","reasons":[{beyond_3}]}},"#,
            r#"{{"action":"delete","digest":"sha256:{a1}","tags":["1.2.0-rc.1","1.2.0-rc1"],"#,
            r#""media_type":"application/vnd.oci.image.index.v1+json","size":1234,"#,
            r#""children":[{{"digest":"sha256:{c1}","tags":[],"#,
            r#""media_type":"application/vnd.oci.image.manifest.v1+json","size":528}}],"#,
            r#""attachments":[{{"digest":"sha256:{f1}","tags":["sha256-{a1}.sig"],"media_type":null,"size":null}}],"#,
            r#""undo":{{"possible":true,"until":null,"#,
            r#""why":"until the registry's next garbage collection, whose time it does not tell"}},"#,
            r#""reasons":[{beyond_4},{{"kind":"keep_none","policy":"prereleases","rule":"keep two"}}]}}],"#,
            r#""kept":[{{"tag":"1.2.0","digest":"sha256:{b1}","reasons":[{{"kind":"not_selected"}}]}}],"#,
            r#""incomplete":null}}"#,
            "\n",
            r#"],"totals":{{"repositories":1,"tags":8,"delete_artifacts":3,"delete_tags":3,"untag":1,"kept_tags":4,"#,
            r#""kept_for_shared_digest":0,"incomplete_repositories":0,"bytes_reclaimable":null}},"#,
            r#""requests":{{"total":1204,"by_kind":{{"ping":1,"tags":3,"manifest":1200}}}}}}"#,
            "\n",
        ),
        sha256 = "5a".repeat(32),
        a1 = a1,
        b1 = b1,
        c1 = "c1".repeat(32),
        f1 = "f1".repeat(32),
        beyond_3 = beyond_3,
        beyond_4 = beyond_4,
    );
    assert_eq!(document(PlanFormat::Json, ALL, &head, &[plan]), expected);
}

#[test]
fn a_plan_without_repositories_is_a_whole_document() {
    let text = document(PlanFormat::Json, BRIEF, &head(), &[]);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["repositories"], Value::Array(Vec::new()));
    assert_eq!(value["totals"]["repositories"], 0);
    assert_eq!(document(PlanFormat::Ndjson, BRIEF, &head(), &[]), "");
}

#[test]
fn kept_tags_are_written_only_when_asked_for_and_change_nothing_else() {
    let brief: Value =
        serde_json::from_str(&document(PlanFormat::Json, BRIEF, &head(), &all_three())).unwrap();
    let mut all: Value =
        serde_json::from_str(&document(PlanFormat::Json, ALL, &head(), &all_three())).unwrap();
    for repository in all["repositories"].as_array_mut().unwrap() {
        assert!(repository.as_object_mut().unwrap().remove("kept").is_some());
    }
    assert_eq!(brief, all);
}

#[test]
fn a_repository_is_written_as_its_type_is_and_can_be_read_back() {
    for plan in all_three() {
        let line = document(PlanFormat::Ndjson, ALL, &head(), std::slice::from_ref(&plan));
        assert_eq!(keys(&line), keys(&serde_json::to_string(&plan).unwrap()));
        let read: RepositoryPlan = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (read.actions, read.kept, read.incomplete),
            (plan.actions, plan.kept, plan.incomplete)
        );
    }
}

#[test]
fn ndjson_is_the_repositories_of_the_document_one_a_line_and_nothing_else() {
    let whole: Value = serde_json::from_str(&document(PlanFormat::Json, ALL, &head(), &all_three())).unwrap();
    let lines = document(PlanFormat::Ndjson, ALL, &head(), &all_three());
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(whole["repositories"], Value::Array(lines));
}

#[test]
fn an_unreadable_repository_says_why_and_does_no_harm() {
    let line = document(PlanFormat::Ndjson, BRIEF, &head(), &[unreadable()]);
    assert!(line.starts_with(r#"{"name":"team/broken","policies":["prereleases"],"complete":false,"#));
    assert!(line.ends_with("truncated\\n\\u001b[2J\"}}\n"), "{line}");
}
