//! `lagan policy`: what can be done with a policy without a registry.

use crate::support::{Place, run};

const POLICY: &str = "repositories: 'team/*'
rules:
  - {name: candidates, select: {channel: rc}, keep: {last: 1, by: version}}
";

fn cases(cases: &str) -> String {
    format!("policy: p.yaml\nrepository: team/app\ncases:\n{cases}")
}

#[tokio::test]
async fn every_example_does_what_the_cases_beside_it_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");
    let mut tested = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".yaml") || name.ends_with(".test.yaml") {
            continue;
        }
        let beside = path.with_file_name(name.replace(".yaml", ".test.yaml"));
        assert!(beside.is_file(), "{name} has no cases");
        let told = run(&format!("policy test '{}'", beside.display())).await.exits(0);
        assert!(told.stdout.contains("all as expected"), "{}", told.stdout);
        tested += 1;
    }
    assert!(tested >= 3, "{tested}");
}

#[tokio::test]
async fn a_case_that_fails_is_shown_as_a_difference_and_exits_with_4() {
    let place = Place::new();
    place.file("p.yaml", POLICY);
    place.file(
        "p.test.yaml",
        cases(
            "  - {name: as it is, expect: {keep: 1.0.0-rc.2, delete: 1.0.0-rc.1}}
  - name: as it is not
    tags: {1.0.0-rc.1: {digest: image}, latest: {digest: image}, 1.0.0-rc.2: , 1.0.0-rc.3: }
    expect: {delete: {1.0.0-rc.1: {rule: candidates}}}
",
        ),
    );
    let told = place.run("policy test p.test.yaml").await.exits(4);
    assert_eq!(
        told.stdout,
        "ok    p.test.yaml:4: as it is  (team/app)
FAIL  p.test.yaml:5: as it is not  (team/app)
  1.0.0-rc.1
    - delete: any reason of rule \"candidates\"
    + keep
        shares_digest: shares its digest with kept tag latest
        beyond_last: beyond the last 1: rank 3 of 3 by version (p/candidates)
  1.0.0-rc.2
    - keep: `expect` does not list it
    + delete
        beyond_last: beyond the last 1: rank 2 of 3 by version (p/candidates)

2 cases, 1 not as expected
"
    );
    assert!(told.stderr.is_empty(), "{}", told.stderr);
}

#[tokio::test]
async fn a_file_of_cases_that_is_wrong_exits_with_2_and_nothing_is_decided() {
    let place = Place::new();
    place.file("p.yaml", POLICY);
    place.file("good.yaml", cases("  - {name: a, expect: {keep: a}}\n"));
    for (text, said) in [
        (
            cases("  - {name: a, tags: [a], expect: {keep: b}}\n"),
            "error: bad.yaml:4:41: the case has no tag `b`",
        ),
        (
            cases("  - {name: a, repository: x, expect: {keep: b}}\n"),
            "error: bad.yaml:4:27: no policy names `x`",
        ),
        (
            "policy: q.yaml\nrepository: a\ncases: [{name: a, expect: {keep: b}}]\n".to_owned(),
            "failed to read the policy q.yaml",
        ),
        (
            "policy: good.yaml\nrepository: a\ncases: [{name: a, expect: {keep: b}}]\n".to_owned(),
            "good.yaml:1:1",
        ),
    ] {
        place.file("bad.yaml", text);
        let told = place.run("policy test good.yaml bad.yaml").await.exits(2);
        assert!(told.stderr.contains(said), "{said}\n{}", told.stderr);
        assert!(told.stdout.is_empty(), "{}", told.stdout);
    }
    place.run("policy test").await.exits(2);
}

#[tokio::test]
async fn a_configuration_with_several_registries_is_told_which_one() {
    let place = Place::new();
    place.file(
        "p.yaml",
        "registries: {one: {url: 'http://localhost:1'}, two: {url: 'http://localhost:2'}}
policies:
  p: {registry: two, repositories: '**', rules: [{select: {channel: rc}, keep: {last: 1, by: version}}]}
",
    );
    let case = "  - {name: a, expect: {delete: 1.0.0-rc.1, keep: 1.0.0-rc.2}}\n";
    place.file("p.test.yaml", cases(case));
    let told = place.run("policy test p.test.yaml").await.exits(2).stderr;
    assert!(
        told.contains("several registries") && told.contains("one, two"),
        "{told}"
    );
    place.file("p.test.yaml", format!("registry: two\n{}", cases(case)));
    place.run("policy test p.test.yaml").await.exits(0);
}
