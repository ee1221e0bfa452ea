//! What is refused before anybody is contacted, and how it reads.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::support::{Place, Run, run};

/// A registry that nobody may talk to.
struct Untouched(TcpListener);

impl Untouched {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    #[track_caller]
    fn is_untouched(&self) {
        let called = self.0.accept();
        assert!(
            matches!(&called, Err(error) if error.kind() == ErrorKind::WouldBlock),
            "{called:?}"
        );
    }
}

/// One error, its causes, and at most one hint.
#[track_caller]
fn is_one_error(run: &Run) {
    let starting = |start: &str| run.stderr.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(starting("error: "), 1, "{}", run.stderr);
    assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    assert!(starting("hint: ") <= 1, "{}", run.stderr);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
}

#[tokio::test]
async fn wrong_usage_is_refused_before_anybody_is_contacted() {
    let registry = Untouched::new();
    let place = Place::new();
    place.file("empty", "");
    place.file("line", "\n");
    place.file("binary", [0xff, 0xfe, 0x00]);
    place.file(
        "policy.yaml",
        "repositories: '**'\nrules: [{select: {tags: '*'}, keep: all}]\n",
    );
    place.file(
        "elsewhere.yaml",
        "repositories: '**'\nregistry: other\nrules: [{select: {tags: '*'}, keep: all}]\n",
    );
    std::fs::create_dir(place.path().join("folder")).unwrap();
    let line = "--select channel=prerelease --keep last=1,by=version";
    for (arguments, part) in [
        (String::new(), "registry"),
        ("--select channel=rc".to_owned(), "--keep"),
        ("--keep all".to_owned(), "--select"),
        (line.replace("prerelease", "prerelase"), "prerelease"),
        (line.replace(",by=version", ""), "by"),
        (line.replace("last=1", "last=ten"), "ten"),
        ("--select regex=( --keep last=1,by=name".to_owned(), "regex"),
        ("--select tags=a{ --keep last=1,by=name".to_owned(), "tags=a{"),
        (
            "--select 'version=>=1.x.y' --keep last=1,by=name".to_owned(),
            "version",
        ),
        ("--select tags=* --keep none".to_owned(), "allow-empty-repository"),
        ("--select tags=* --keep within=created:1m".to_owned(), "1m"),
        ("--select tags=* --keep within=created:30".to_owned(), "30"),
        (format!("{line} --now yesterday"), "2026-11-20T12:00:00Z"),
        (format!("{line} --format yaml"), "ndjson"),
        (format!("{line} 'a['"), "a["),
        (format!("{line} --policy p"), "--policy"),
        (format!("{line} --policy-file policy.yaml"), "--policy-file"),
        (format!("{line} --username me"), "--password-file"),
        (format!("{line} --username me --password-file missing"), "missing"),
        (format!("{line} --username me --password-file empty"), "is empty"),
        (format!("{line} --username me --password-file line"), "is empty"),
        (format!("{line} --username me --password-file binary"), "UTF-8"),
        (
            format!("{line} --username a:b --password-file policy.yaml"),
            "colon",
        ),
        (format!("{line} --ca-file empty"), "no certificate"),
        (format!("{line} --ca-file missing"), "missing"),
        (format!("{line} --ca-file binary"), "no certificate"),
        (format!("{line} --deadline 30"), "90min"),
        (format!("{line} --deadline soon"), "90min"),
        (format!("{line} --deadline 5m"), "ambiguous"),
        (format!("{line} --token-realm http://auth.example"), "https"),
        (
            format!("{line} --token-realm https://auth.example/token"),
            "https",
        ),
        (format!("{line} --out nowhere/plan.json"), "nowhere/plan.json"),
        (format!("{line} --out folder"), "folder"),
        ("--policy-file missing.yaml".to_owned(), "missing.yaml"),
        ("--policy-file elsewhere.yaml".to_owned(), "elsewhere.yaml"),
    ] {
        let refused = place
            .run(&format!("plan --registry {} {arguments}", registry.url()))
            .await
            .exits(2);
        let parts = if arguments.is_empty() { "policy" } else { part };
        assert!(refused.stderr.contains(parts), "{arguments}: {}", refused.stderr);
        is_one_error(&refused);
    }
    registry.is_untouched();
}

#[tokio::test]
async fn a_registry_has_to_be_named_so_that_it_can_be_meant() {
    let place = Place::new();
    let line = "--select channel=prerelease --keep last=1,by=version";
    for (registry, part) in [
        ("", "no registry is given"),
        ("--registry somewhere", "named \"somewhere\""),
        ("--registry ftp://localhost", "http"),
        ("--registry http://", "hint: "),
        ("--registry http://localhost:1/v2/", "leave /v2 away"),
        ("--registry http://localhost:1?a=b", "query"),
    ] {
        let refused = place.run(&format!("plan {registry} {line}")).await.exits(2);
        assert!(refused.stderr.contains(part), "{registry}: {}", refused.stderr);
        is_one_error(&refused);
    }
    let secret = place
        .run(&format!("plan --registry http://me:hunter2@localhost:1 {line}"))
        .await
        .exits(2);
    assert!(!secret.said().contains("hunter2"), "{}", secret.said());

    place.file(
        "lagan.yaml",
        "registries: {one: {url: 'http://localhost:1'}, two: {url: 'http://localhost:2'}}\n",
    );
    let several = place.run("plan").await.exits(2);
    assert!(
        several.stderr.contains("several registries") && several.stderr.contains("one, two"),
        "{}",
        several.stderr
    );
    let unknown = place.run("plan --registry three").await.exits(2);
    assert!(
        unknown.stderr.contains("hint: there is one, two"),
        "{}",
        unknown.stderr
    );
    let idle = place.run("plan --registry one").await.exits(2);
    assert!(idle.stderr.contains("no policy for one"), "{}", idle.stderr);
}

#[tokio::test]
async fn every_error_of_a_configuration_is_reported_at_once_with_its_place() {
    let registry = Untouched::new();
    let place = Place::new();
    let text = format!(
        r#"registries:
  main: {{url: "{}", colour: red, max_concurrency: many}}
policies:
  one:
    repositories: ["team/["]
    rules:
      - {{name: a, select: {{}}, keep: all}}
      - {{name: b, select: {{tags: x}}, keep: {{}}}}
      - {{name: c, select: {{tags: x}}, keep: {{within: {{created: 1m}}}}}}
      - {{name: d, select: {{regex: "("}}, keep: all}}
      - {{name: e, select: {{tags: "a{{"}}, keep: all}}
      - {{name: f, select: {{chanel: rc}}, keep: all}}
      - {{name: g, select: {{channel: gold}}, keep: {{last: 1, by: colour}}}}
      - {{name: h, select: {{tags: x}}, keep: none}}
    mode: yolo
"#,
        registry.url()
    );
    place.file("lagan.yaml", text);
    for command in ["plan", "check", "explain team/app:1"] {
        let refused = place.run(command).await.exits(2);
        for place_of in [
            "lagan.yaml:2:",
            "lagan.yaml:5:",
            "lagan.yaml:7:",
            "lagan.yaml:8:",
            "lagan.yaml:9:",
            "lagan.yaml:10:",
            "lagan.yaml:11:",
            "lagan.yaml:12:",
            "lagan.yaml:13:",
            "lagan.yaml:14:",
            "lagan.yaml:15:",
        ] {
            let marked = refused
                .stderr
                .lines()
                .any(|line| line.starts_with(&format!("error: {place_of}")));
            assert!(marked, "{command}: {place_of}\n{}", refused.stderr);
        }
        let hint = "did you mean `channel`";
        assert!(
            refused.stderr.contains(hint) && refused.stderr.contains('^'),
            "{}",
            refused.stderr
        );
        assert!(refused.stdout.is_empty(), "{command}: {}", refused.stdout);
    }
    registry.is_untouched();
}

#[tokio::test]
async fn a_policy_file_is_checked_as_what_it_is() {
    let place = Place::new();
    place.file(
        "good.yaml",
        "repositories: '**'\nrules: [{select: {tags: '*'}, keep: all}]\n",
    );
    place.file(
        "bad.yaml",
        "repositories: '**'\nmode: dry-run\nrules: [{select: {tag: '*'}, keep: all}]\n",
    );
    let good = place.run("check good.yaml").await.exits(0);
    assert!(good.stdout.starts_with("good.yaml: 1 policy"), "{}", good.stdout);
    let bad = place.run("check bad.yaml").await.exits(2);
    assert!(bad.stderr.starts_with("error: bad.yaml:3:"), "{}", bad.stderr);
    assert!(bad.stdout.is_empty(), "{}", bad.stdout);
}

#[tokio::test]
async fn unknown_policies_are_named_with_those_that_there_are() {
    let registry = Untouched::new();
    let place = Place::new();
    let rule = "rules: [{select: {tags: x}, keep: all}]";
    place.file(
        "lagan.yaml",
        format!(
            "registries: {{main: {{url: \"{}\"}}}}\npolicies:\n  b: {{repositories: '**', {rule}}}\n  a: {{repositories: '**', {rule}}}\n",
            registry.url()
        ),
    );
    let refused = place.run("plan --policy c").await.exits(2);
    assert_eq!(
        refused.stderr,
        "error: no policy for this registry is named \"c\"\nhint: there is a, b\n"
    );
    registry.is_untouched();
}

#[tokio::test]
async fn what_is_explained_is_a_repository_and_a_tag() {
    let registry = Untouched::new();
    let line = "--select channel=prerelease --keep last=1,by=version";
    for name in [
        "team/app",
        "team/app:",
        ":1.0",
        "Team/App:1",
        "team/app:a b",
        "team/app:-x",
        "team/app@sha256:00",
    ] {
        let refused = run(&format!("explain '{name}' --registry {} {line}", registry.url()))
            .await
            .exits(2);
        assert!(
            refused.stderr.contains("is no REPOSITORY:TAG"),
            "{name}: {}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("hint: write it without the registry"),
            "{name}: {}",
            refused.stderr
        );
        is_one_error(&refused);
    }
    run("explain").await.exits(2);
    registry.is_untouched();
}

#[tokio::test]
async fn words_that_a_policy_file_adds_take_none_from_the_configuration() {
    let registry = Untouched::new();
    let place = Place::new();
    let rule = "repositories: '**', rules: [{select: {tags: x}, keep: all}]";
    place.file(
        "lagan.yaml",
        format!(
            "channels: {{stable: prod}}\nregistries: {{main: {{url: \"{}\"}}}}\npolicies: {{p: {{{rule}}}}}\n",
            registry.url()
        ),
    );
    place.file(
        "other.yaml",
        format!("channels: {{rc: prod}}\npolicies: {{q: {{{rule}}}}}\n"),
    );
    let refused = place.run("plan --policy-file other.yaml").await.exits(2);
    assert!(
        refused.stderr.contains("disagree on \"prod\""),
        "{}",
        refused.stderr
    );
    registry.is_untouched();
}
