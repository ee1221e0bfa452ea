use lagan_model::RegistryKind;
use lagan_policy::version::ChannelSet;
use lagan_policy::{Channel, Clock, Keep, KeepLine, Limits, Mode, Order, Per, Policy, ProtectionPattern};

use crate::{Config, Credentials, PolicyFile, SecretSource};

fn config(text: &str) -> Config {
    Config::read("lagan.yaml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn policy(text: &str) -> Policy {
    let file = PolicyFile::read("p.yaml", text, "p").unwrap_or_else(|errors| panic!("{errors}"));
    file.policies.into_iter().next().unwrap().policy
}

/// The policy of one rule with this `select` and `keep`.
fn rule(select: &str, keep: &str) -> lagan_policy::Rule {
    let text = format!(
        "repositories: a\nrules:\n  - select: {select}\n    keep: {keep}\n    allow_empty_repository: true\n"
    );
    policy(&text).rules.remove(0)
}

#[test]
fn the_documented_configuration_loads() {
    let config = config(
        r#"
state_dir: /var/lib/lagan
registries:
  harbor:
    url: https://harbor.example.com
    kind: auto                       # auto | oci | harbor   (auto probes)
    credentials: {username: "robot$lagan", password_file: /run/secrets/harbor}
    tls: {ca_file: ca.pem}
policies:
  prereleases:
    registry: harbor
    repositories: ["project/backend-*"]
    exclude_repositories: ["project/backend-legacy"]
    mode: dry-run                    # dry-run | enforce ; dry-run is the default
    rules:
      - name: keep ten prereleases
        select: {channel: [prerelease]}
        keep: {last: 10, by: version}
    limits: {max_deletions: 500, keep_at_least: 1}
"#,
    );
    assert_eq!(
        config.state_dir.as_deref(),
        Some(std::path::Path::new("/var/lib/lagan"))
    );
    let registry = config.registry(&"harbor".parse().unwrap()).unwrap();
    assert_eq!(registry.url, "https://harbor.example.com");
    assert_eq!(registry.kind, None);
    assert_eq!(
        registry.credentials,
        Some(Credentials::Password {
            username: "robot$lagan".to_owned(),
            password: SecretSource::File("/run/secrets/harbor".into()),
        })
    );
    assert_eq!(
        registry.tls.ca_file.as_deref(),
        Some(std::path::Path::new("ca.pem"))
    );
    let [policy] = registry.policies.policies.as_slice() else {
        panic!("{:?}", registry.policies)
    };
    assert_eq!(policy.name.to_string(), "prereleases");
    assert_eq!(policy.mode, Mode::DryRun);
    assert!(policy.names(&"project/backend-a".parse().unwrap()));
    assert!(!policy.names(&"project/backend-legacy".parse().unwrap()));
    assert_eq!(policy.rules[0].name.as_ref(), "keep ten prereleases");
    assert_eq!(policy.rules[0].select.channel, Some(ChannelSet::PRERELEASE));
    assert_eq!(
        policy.rules[0].keep.lines,
        [KeepLine::Last {
            count: 10,
            by: Order::Version,
            per: Per::Variant
        }]
    );
    assert_eq!(policy.limits, Limits::default());
}

#[test]
fn json_is_read_as_well() {
    let config = config(
        "{\"registries\": {\"r\": {\"url\": \"http://localhost:5000\", \"max_concurrency\": 4}},\n\
         \t\"policies\": {\"p\": {\"repositories\": [\"**\"], \"rules\": [\n\
         \t\t{\"select\": {\"tags\": [\"*-rc.*\"]}, \"keep\": {\"last\": 3, \"by\": \"created\"}}]}}}",
    );
    assert_eq!(config.registries[0].max_concurrency.map(u16::from), Some(4));
    let rule = &config.registries[0].policies.policies[0].rules[0];
    assert_eq!(rule.name.as_ref(), "rule 1");
    assert_eq!(
        rule.keep.lines,
        [KeepLine::Last {
            count: 3,
            by: Order::Clock(Clock::Created),
            per: Per::Repository
        }]
    );
}

#[test]
fn a_registry_may_have_a_deadline_and_token_services_elsewhere() {
    let text = "registries: {a: {url: https://a, deadline: 1h30min, token_realms: https://auth.example.com},\n\
                b: {url: https://b, token_realms: [https://one.example, 'https://two.example:444/']}, c: {url: https://c}}";
    let config = config(text);
    let of = |index: usize| {
        let registry = &config.registries[index];
        (
            registry.deadline.as_ref().map(|age| age.delta().num_minutes()),
            registry.token_realms.as_slice(),
        )
    };
    assert_eq!(of(0), (Some(90), &["https://auth.example.com".to_owned()][..]));
    assert_eq!(of(1).1.len(), 2);
    assert_eq!(of(2), (None, &[][..]));
}

#[test]
fn the_documentation_of_connecting_shows_a_configuration_that_loads() {
    let page = include_str!("../../../../docs/connecting.md");
    let yaml: String = page
        .lines()
        .skip_while(|line| *line != "    registries:")
        .map_while(|line| line.strip_prefix("    "))
        .map(|line| format!("{line}\n"))
        .collect();
    let config = config(&yaml);
    let registry = &config.registries[0];
    assert!(registry.credentials.is_some() && registry.tls.client.is_some() && registry.deadline.is_some());
    assert_eq!(registry.token_realms, ["https://auth.example.com"]);
}

#[test]
fn a_selection_reads_as_it_is_documented() {
    let select = rule(
        r#"{tags: ["*-rc.*", "build-*"], exclude: "*-keep", regex: '^pr-\d+$', version: ">=1.0.0, <2.0.0"}"#,
        "all",
    )
    .select;
    assert_eq!(
        select.tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["*-rc.*", "build-*"]
    );
    assert_eq!(
        select.exclude.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["*-keep"]
    );
    assert_eq!(select.regex.unwrap().as_str(), r"^pr-\d+$");
    assert_eq!(select.version.unwrap().as_str(), ">=1.0.0, <2.0.0");
    for name in [
        "prerelease",
        "stable",
        "rc",
        "beta",
        "alpha",
        "nightly",
        "floating",
        "commit",
    ] {
        let select = rule(&format!("{{channel: {name}}}"), "all").select;
        assert_eq!(select.channel, Some(name.parse().unwrap()));
    }
    let two = rule("{channel: [rc, commit]}", "all").select.channel.unwrap();
    assert_eq!(
        two,
        [Channel::Rc, Channel::Commit]
            .map(ChannelSet::from)
            .into_iter()
            .collect()
    );
}

#[test]
fn what_looks_like_a_number_a_date_or_a_truth_value_stays_the_text_it_is() {
    let select = rule(
        "{tags: [1.10, 0x1F, 1e3, 007, 2027-01-31, true, off, .5], version: 1.10}",
        "all",
    )
    .select;
    let tags: Vec<_> = select.tags.iter().map(ToString::to_string).collect();
    assert_eq!(
        tags,
        ["1.10", "0x1F", "1e3", "007", "2027-01-31", "true", "off", ".5"]
    );
    assert_eq!(select.version.unwrap().as_str(), "1.10");
    assert_eq!(rule("{tags: 1.10}", "all").select.tags[0].as_str(), "1.10");
    assert_eq!(rule("{tags: ['null', \"~\"]}", "all").select.tags.len(), 2);
}

#[test]
fn every_form_of_keep_that_is_documented_is_read() {
    let within = |clock, age: &str| KeepLine::Within {
        clock,
        age: age.parse().unwrap(),
    };
    let last = |count, by, per| KeepLine::Last { count, by, per };
    for (keep, lines) in [
        ("all", vec![KeepLine::All]),
        ("none", vec![]),
        ("{within: {pushed: 30d}}", vec![within(Clock::Pushed, "30d")]),
        (
            "{last: 5, by: pushed, within: {pulled: 30d}}",
            vec![
                last(5, Order::Clock(Clock::Pushed), Per::Repository),
                within(Clock::Pulled, "30d"),
            ],
        ),
        (
            "{within: {created: 90min, observed: 2w}}",
            vec![within(Clock::Created, "90min"), within(Clock::Observed, "2w")],
        ),
        (
            "{last: 0, by: name, within: {created: 1d12h}}",
            vec![
                last(0, Order::Name, Per::Repository),
                within(Clock::Created, "1d12h"),
            ],
        ),
        (
            "{last: 1, by: version}",
            vec![last(1, Order::Version, Per::Variant)],
        ),
        (
            "{last: 1, by: semver, per: minor}",
            vec![last(1, Order::Semver, Per::Minor)],
        ),
        (
            "{last: 1, by: created, per: capture:b}",
            vec![last(1, Order::Clock(Clock::Created), Per::Capture("b".into()))],
        ),
    ] {
        assert_eq!(
            rule("{regex: '(?<b>.*)-x'}", keep).keep,
            Keep::from(lines),
            "{keep}"
        );
    }
}

#[test]
fn protections_are_globs_or_mappings() {
    let policy = policy(
        "repositories: [a]\n\
         rules: [{select: {tags: x}, keep: all}]\n\
         protect:\n\
         \x20 - v1.*\n\
         \x20 - {tags: [a, b], until: 2027-01-31, why: \"the audit: see #7\"}\n\
         \x20 - regex: '.*-lts'\n\
         \x20 - {channel: [stable, rc]}\n",
    );
    let [glob, tags, regex, channel] = policy.protect.as_slice() else {
        panic!("{:?}", policy.protect)
    };
    assert_eq!(
        glob.pattern,
        ProtectionPattern::Tags(vec!["v1.*".parse().unwrap()])
    );
    assert_eq!(
        tags.until.map(|day| day.to_string()).as_deref(),
        Some("2027-01-31")
    );
    assert_eq!(tags.why.as_deref(), Some("the audit: see #7"));
    assert!(matches!(&regex.pattern, ProtectionPattern::Regex(regex) if regex.as_str() == ".*-lts"));
    assert!(matches!(&channel.pattern, ProtectionPattern::Channel(set) if set.contains(Channel::Rc)));
}

#[test]
fn limits_are_numbers_or_off() {
    let limits = |text: &str| {
        policy(&format!(
            "repositories: a\nrules: [{{select: {{tags: x}}, keep: all}}]\nlimits: {text}\n"
        ))
        .limits
    };
    assert_eq!(limits("{}"), Limits::default());
    assert_eq!(limits("{max_deletions: off}").max_deletions, None);
    assert_eq!(limits("{max_deletions: 7}").max_deletions, Some(7));
    assert_eq!(
        limits("{max_percent_per_repository: 50%}").max_percent_per_repository,
        Some(50)
    );
    assert_eq!(
        limits("{max_percent_per_repository: 100}").max_percent_per_repository,
        Some(100)
    );
    assert_eq!(
        limits("{max_percent_per_repository: off}").max_percent_per_repository,
        None
    );
    assert_eq!(limits("{keep_at_least: 3}").keep_at_least, 3);
}

#[test]
fn words_of_a_team_are_known_to_all_its_policies_wherever_they_stand() {
    let config = config(
        "policies:\n\
         \x20 p: {repositories: a, rules: [{select: {version: '>=1.0.0-candidate.2'}, keep: all}]}\n\
         registries: {r: {url: http://h, kind: oci}}\n\
         channels: {stable: [prod, staging], rc: candidate, variant: [hardened], floating: [Live]}\n",
    );
    let registry = &config.registries[0];
    assert_eq!(registry.kind, Some(RegistryKind::Oci));
    for versions in [&config.versions, &registry.policies.versions] {
        let channel = |tag: &str| versions.read(&tag.parse().unwrap()).channel;
        assert_eq!(channel("v1.2.0-prod"), Channel::Stable);
        assert_eq!(channel("1.2.0-candidate.3"), Channel::Rc);
        assert_eq!(channel("1.2.0-hardened"), Channel::Stable);
        assert_eq!(channel("live"), Channel::Floating);
    }
}

#[test]
fn a_policy_file_is_one_body_or_several_policies() {
    let one = PolicyFile::read(
        "cleanup.yaml",
        "channels: {stable: prod}\nrepositories: a\nrules: [{select: {tags: x}, keep: all}]\n",
        "cleanup",
    )
    .unwrap();
    assert_eq!(one.policies[0].policy.name.to_string(), "cleanup");
    assert_eq!(one.policies[0].registry, None);

    let body = "repositories: a, rules: [{select: {tags: x}, keep: all}]";
    let text = format!(
        "policies:\n  one: {{{body}}}\n  two: {{registry: r, {body}}}\n  other: {{registry: s, {body}}}\n"
    );
    let several = PolicyFile::read("p.yaml", text, "unused").unwrap();
    let set = several.for_registry(&"r".parse().unwrap());
    let names: Vec<_> = set
        .policies
        .iter()
        .map(|policy| policy.name.to_string())
        .collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn a_registry_may_be_asked_what_it_deletes_and_its_repositories_listed_in_a_file() {
    let config = config(
        "registries: {r: {url: http://h, probe: true, repositories_file: /etc/lagan/names}, s: {url: http://i, probe: false}}\n\
         policies: {p: {registry: r, repositories: a, rules: [{select: {tags: x}, keep: all}]}}\n",
    );
    let said = |registry: usize| {
        let registry = &config.registries[registry];
        (registry.probe, registry.repositories_file.clone())
    };
    assert_eq!(said(0), (true, Some("/etc/lagan/names".into())));
    assert_eq!(said(1), (false, None));
}

#[test]
fn garbage_is_collected_only_where_a_registry_says_so() {
    use crate::{CollectAfter, CollectGarbage};
    let config = config(
        "registries:\n  a: {url: http://a}\n  b: {url: http://b, collect_garbage: {after: whole-run}}\n\
         \x20 c: {url: http://c, kind: harbor, collect_garbage: {after: every-run, delete_untagged: true}}\n",
    );
    let read: Vec<_> = config
        .registries
        .iter()
        .map(|registry| registry.collect_garbage)
        .collect();
    let said = |after, delete_untagged| {
        Some(CollectGarbage {
            after,
            delete_untagged,
        })
    };
    let (whole, every) = (CollectAfter::WholeRun, CollectAfter::EveryRun);
    assert_eq!(read, [None, said(whole, false), said(every, true)]);
}

#[test]
fn policies_go_to_their_registries_in_the_order_of_the_document() {
    let body = "repositories: a, rules: [{select: {tags: x}, keep: all}]";
    let config = config(&format!(
        "registries: {{r: {{url: http://h}}, s: {{url: http://i, credentials: {{username: u, password_env: P_1}}}}}}\n\
         policies:\n  z: {{registry: s, {body}}}\n  b: {{registry: r, {body}}}\n  a: {{registry: s, {body}}}\n"
    ));
    let names = |registry: usize| {
        config.registries[registry]
            .policies
            .policies
            .iter()
            .map(|policy| policy.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (names(0), names(1)),
        (vec!["b".to_owned()], vec!["z".to_owned(), "a".to_owned()])
    );
    let credentials = config.registries[1].credentials.clone().unwrap();
    let variable = SecretSource::Environment("P_1".to_owned());
    assert!(matches!(credentials, Credentials::Password { password, .. } if password == variable));
}

#[test]
fn a_docker_configuration_stands_for_user_name_and_password() {
    let read = |credentials: &str| {
        let text = format!("registries:\n  r:\n    url: https://h\n    credentials: {credentials}\n");
        Config::read("lagan.yaml", text.into_bytes())
    };
    let config = read("{docker_config: /run/secrets/docker}").unwrap();
    assert_eq!(
        config.registries[0].credentials,
        Some(Credentials::DockerConfig("/run/secrets/docker".into()))
    );
    for refused in [
        "{docker_config: ''}",
        "{docker_config: a, username: b}",
        "{docker_config: a, password_file: b}",
        "{docker_config: a, password_env: B}",
        "{docker_config: a, password: hunter2}",
    ] {
        let error = read(refused).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_client_certificate_is_two_files() {
    let text =
        "registries:\n  r:\n    url: https://h\n    tls: {client_cert_file: c.pem, client_key_file: k.pem}\n";
    let config = Config::read("lagan.yaml", text.as_bytes()).unwrap();
    let client = config.registries[0].tls.client.clone().unwrap();
    assert_eq!((client.certificate, client.key), ("c.pem".into(), "k.pem".into()));
}

#[test]
fn every_example_configuration_loads() {
    let first = config(include_str!("../../../../config/lagan.yaml"));
    assert_eq!(first.registries.len(), 1);
    assert_eq!(first.registries[0].policies.policies.len(), 1);

    let two = config(include_str!("../../../../config/two-registries.yaml"));
    let policies: Vec<_> = two
        .registries
        .iter()
        .map(|registry| registry.policies.policies.len())
        .collect();
    assert_eq!(policies, [1, 2]);

    let cleanup = PolicyFile::read(
        "cleanup.yaml",
        include_str!("../../../../config/cleanup.yaml"),
        "cleanup",
    )
    .unwrap();
    assert_eq!(cleanup.policies[0].policy.rules.len(), 2);
    assert_eq!(cleanup.policies[0].policy.protect.len(), 2);
}
