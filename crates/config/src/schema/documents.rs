//! The mappings of configurations and files of policies.

use serde_json::json;

use super::parts::{
    age, ages, channels, flag, labels, list, named, number, one_or_more, or_off, order, percent, reference,
    text, texts, truth, word,
};
use super::{Part, Property, mapping, other};
use crate::document::{
    admin, channels as words, config, email as mail, grace, health as targets, keep, limits, notifications,
    policy, policy_file, protect, registry, rollout, rule, select, timing, webhook,
};

pub(super) const CONFIGURATION: &str = "configuration";
pub(super) const POLICY_FILE: &str = "policyFile";

/// What a configuration, and a file of policies, are made of.
pub(super) fn of_policies() -> Vec<Part> {
    let mut parts = vec![
        mapping(
            CONFIGURATION,
            &config::SCHEMA,
            &[],
            [
                Property("state_dir", "The folder that holds the journal.", text()),
                Property(
                    "registries",
                    "The registries by name.",
                    named(&reference("registry")),
                ),
                Property("policies", "The policies by name.", named(&reference("policy"))),
                Property(
                    "channels",
                    "Words by which tags are read, besides the default ones.",
                    reference("channels"),
                ),
                Property(
                    "freeze",
                    "Times in which nothing is deleted.",
                    list(&reference("freeze")),
                ),
                Property(
                    "health",
                    "By what the daemon tells how registries and policies do.",
                    reference("health"),
                ),
                Property(
                    "notifications",
                    "Who is told what the daemon has to say, by name.",
                    named(&reference("receiver")),
                ),
                Property("admin", "How the daemon is reached.", reference("admin")),
            ],
        ),
        other(
            POLICY_FILE,
            json!({ "anyOf": [reference("policies"), reference("onePolicy")] }),
        ),
        mapping(
            "policies",
            &policy_file::SCHEMA,
            &["policies"],
            [
                Property("policies", "The policies by name.", named(&reference("policy"))),
                Property(
                    "channels",
                    "Words by which tags are read, besides the default ones.",
                    reference("channels"),
                ),
            ],
        ),
        mapping(
            "policy",
            &policy::SCHEMA,
            &["repositories", "rules"],
            policy_keys(),
        ),
        mapping(
            "onePolicy",
            &policy::FILE_SCHEMA,
            &["repositories", "rules"],
            policy_keys().into_iter().chain([Property(
                "channels",
                "Words by which tags are read, besides the default ones.",
                reference("channels"),
            )]),
        ),
    ];
    parts.extend([schedule(), freeze(), health()]);
    parts.extend(of_receivers());
    parts.extend(of_admin());
    parts.extend(of_registries());
    parts.extend(of_rules());
    parts
}

fn policy_keys() -> Vec<Property> {
    vec![
        Property(
            "registry",
            "The registry that the policy is for; may be left out where there is one.",
            text(),
        ),
        Property(
            "repositories",
            "Globs over repositories: `*` stays within a path segment, `**` does not.",
            texts(),
        ),
        Property("exclude_repositories", "Exceptions to these, as globs.", texts()),
        Property(
            "mode",
            "Whether the policy may delete; `dry-run` unless said.",
            word(["dry-run", "enforce"]),
        ),
        Property(
            "schedule",
            "When the daemon runs the policy; without it, it runs when somebody asks for it.",
            reference("schedule"),
        ),
        Property(
            "freeze",
            "Times in which the policy deletes nothing.",
            list(&reference("freeze")),
        ),
        Property(
            "rules",
            "What is selected, and what is kept of it.",
            list(&reference("rule")),
        ),
        Property(
            "protect",
            "What stays whatever the rules say.",
            list(&reference("protection")),
        ),
        Property("limits", "How much may be deleted.", reference("limits")),
        Property(
            "grace",
            "Where what is deleted is held before, and for how long.",
            reference("grace"),
        ),
        Property(
            "notice",
            "For how long a deletion is announced before it may happen; at most 90 days.",
            age(),
        ),
        Property(
            "rollout",
            "In which shares of its repositories the policy may delete, one after the other.",
            reference("rollout"),
        ),
        Property(
            "untag",
            "Whether a tag may be taken from an artifact that stays; `true` unless said.",
            truth(),
        ),
        Property(
            "allow_proxy_cache",
            "Only `false`: projects that cache another registry are left alone.",
            json!({ "const": false }),
        ),
    ]
}

fn schedule() -> Part {
    mapping(
        "schedule",
        &timing::SCHEMA,
        &["cron"],
        [
            Property(
                "cron",
                "Five fields (minute, hour, day of month, month, day of week), six with the second first, or @hourly, @daily, @weekly, @monthly, @yearly.",
                json!({ "type": "string", "examples": ["0 3 * * *", "@daily"] }),
            ),
            Property(
                "timezone",
                "A time zone of the IANA database; UTC unless said.",
                text(),
            ),
            Property(
                "jitter",
                "How much later it may begin, so that not everything begins at once; at most a day.",
                age(),
            ),
        ],
    )
}

fn freeze() -> Part {
    let moment =
        || json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2})?$" });
    mapping(
        "freeze",
        &timing::FREEZE,
        &[],
        [
            Property("from", "The first day, or the time at which it begins.", moment()),
            Property("until", "The last day, or the time at which it ends.", moment()),
            Property(
                "cron",
                "When it begins, again and again; in the place of `from` and `until`.",
                text(),
            ),
            Property("for", "How long it lasts each time.", age()),
            Property(
                "timezone",
                "A time zone of the IANA database; UTC unless said.",
                text(),
            ),
            Property("why", "Why, for whoever is refused.", text()),
        ],
    )
}

fn health() -> Part {
    mapping(
        "health",
        &targets::SCHEMA,
        &[],
        [
            Property(
                "window",
                "How far back is looked, from an hour to 31 days; 24h unless said.",
                age(),
            ),
            Property(
                "success_rate",
                "How many requests, and runs, succeed; 99% unless said.",
                percent(),
            ),
            Property(
                "latency",
                "Within which time 95 of 100 requests are answered; 2s unless said.",
                json!({ "type": "string", "pattern": "^([0-9]+ms|([0-9]+(s|min|h|d|w))+)$", "examples": ["500ms", "2s"] }),
            ),
            Property(
                "error_growth",
                "How many more requests fail in the later half of the window; 5% unless said.",
                percent(),
            ),
            Property(
                "saturation",
                "How many requests are refused for lack of capacity; 5% unless said.",
                percent(),
            ),
            Property(
                "alert_below",
                "The least score that is good, from 0 to 100; 80 unless said.",
                json!({ "type": "integer", "minimum": 0, "maximum": 100 }),
            ),
        ],
    )
}

fn of_admin() -> [Part; 2] {
    let rights = admin::Right::ALL.map(admin::Right::as_str);
    [
        mapping(
            "admin",
            &admin::SCHEMA,
            &[],
            [
                Property(
                    "listen",
                    "An address and a port to listen on besides the socket, as 127.0.0.1:8480.",
                    json!({ "type": "string" }),
                ),
                Property(
                    "hosts",
                    "Names under which it is reached there; addresses and localhost need none.",
                    texts(),
                ),
                Property("tokens", "Who may ask what, by name.", named(&reference("token"))),
            ],
        ),
        mapping(
            "token",
            &admin::TOKEN,
            &["file", "rights"],
            [
                Property("file", "The file that holds the token.", text()),
                Property(
                    "rights",
                    "What whoever shows it may do.",
                    one_or_more(&word(rights)),
                ),
            ],
        ),
    ]
}

fn of_receivers() -> Vec<Part> {
    let events = || word(notifications::EVENTS);
    vec![
        mapping(
            "receiver",
            &notifications::SCHEMA,
            &[],
            [
                Property(
                    "webhook",
                    "A program that takes CloudEvents.",
                    reference("webhook"),
                ),
                Property(
                    "slack",
                    "A chat with incoming webhooks like those of Slack.",
                    reference("slack"),
                ),
                Property("email", "People who read mail.", reference("email")),
                Property(
                    "events",
                    "Of what it is told; of what somebody should look at, unless said.",
                    json!({ "anyOf": [
                        { "const": "all" },
                        events(),
                        { "type": "array", "items": events(), "minItems": 1 },
                    ] }),
                ),
                Property(
                    "per_hour",
                    "How many messages it gets in an hour; 30 unless said.",
                    json!({ "type": "integer", "minimum": 1, "maximum": notifications::MOST }),
                ),
                Property(
                    "repeat_after",
                    "How long it is not told the same again; 24h unless said.",
                    age(),
                ),
            ],
        ),
        mapping(
            "webhook",
            &notifications::WEBHOOK,
            &[],
            [
                Property(
                    "url",
                    "Where it is posted to.",
                    json!({ "type": "string", "pattern": "^https?://" }),
                ),
                Property("url_file", "The file that holds the address.", text()),
                Property("url_env", "The variable that holds the address.", text()),
                Property("secret_file", "The file that holds what signs.", text()),
                Property("secret_env", "The variable that holds what signs.", text()),
            ],
        ),
        mapping(
            "slack",
            &notifications::SLACK,
            &[],
            [
                Property("url_file", "The file that holds the address.", text()),
                Property("url_env", "The variable that holds the address.", text()),
            ],
        ),
        email(),
    ]
}

fn email() -> Part {
    let mailbox = || json!({ "type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$" });
    mapping(
        "email",
        &mail::SCHEMA,
        &["server", "from", "to"],
        [
            Property("server", "The mail server.", text()),
            Property(
                "port",
                "Its port; 465, 587 or 25 by `tls`, unless said.",
                json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
            ),
            Property(
                "tls",
                "TLS from the first byte, after STARTTLS, or not at all; from the first byte unless said.",
                word(mail::TLS.map(|(word, _)| word)),
            ),
            Property(
                "ca_file",
                "A PEM file of certificates to trust besides the system's.",
                text(),
            ),
            Property("username", "Who asks.", text()),
            Property("password_file", "The file that holds the password.", text()),
            Property("password_env", "The variable that holds the password.", text()),
            Property("from", "Who writes.", mailbox()),
            Property(
                "to",
                "To whom.",
                json!({ "anyOf": [mailbox(), { "type": "array", "items": mailbox(), "minItems": 1 }] }),
            ),
        ],
    )
}

fn of_registries() -> Vec<Part> {
    vec![
        mapping(
            "registry",
            &registry::SCHEMA,
            &["url"],
            [
                Property(
                    "url",
                    "Its base URL, without /v2 and without credentials.",
                    json!({ "type": "string", "pattern": "^https?://" }),
                ),
                Property(
                    "kind",
                    "What it speaks; `auto` finds out.",
                    word(["auto", "oci", "harbor"]),
                ),
                Property(
                    "credentials",
                    "Where to find who we are there.",
                    reference("credentials"),
                ),
                Property(
                    "tls",
                    "Whom we trust there, and what proves who we are.",
                    reference("tls"),
                ),
                Property(
                    "max_concurrency",
                    "The largest number of requests at a time.",
                    json!({ "type": "integer", "minimum": 1, "maximum": registry::MAX_CONCURRENCY }),
                ),
                Property(
                    "probe",
                    "Whether it is asked what it deletes, where a decision depends on that; `false` unless said.",
                    truth(),
                ),
                Property(
                    "repositories_file",
                    "A file that lists its repositories, instead of its catalog.",
                    text(),
                ),
                Property("deadline", "How long a run may take; 24h unless said.", age()),
                Property(
                    "token_realms",
                    "Where else credentials may go for tokens: https URLs.",
                    list(&text()),
                ),
                Property(
                    "collect_garbage",
                    "Whether a Harbor collects its garbage after runs; what was deleted cannot be brought back then.",
                    reference("collect_garbage"),
                ),
                Property(
                    "webhook",
                    "What it tells the daemon when something changes in it; without it, every run reads everything.",
                    reference("registryWebhook"),
                ),
            ],
        ),
        mapping(
            "registryWebhook",
            &webhook::SCHEMA,
            &[],
            [
                Property("secret_file", "The file that holds what it has to show.", text()),
                Property(
                    "secret_env",
                    "The variable that holds what it has to show.",
                    text(),
                ),
                Property(
                    "full_pass",
                    "How often everything is read, whatever it tells; 24h unless said, 31d at most.",
                    age(),
                ),
            ],
        ),
        mapping(
            "collect_garbage",
            &registry::COLLECT_GARBAGE,
            &["after"],
            [
                Property(
                    "after",
                    "After which runs: those that did all they were to do and deleted something, or all.",
                    word(registry::CollectAfter::ALL.map(registry::CollectAfter::as_str)),
                ),
                Property(
                    "delete_untagged",
                    "Whether every artifact without a tag goes as well, those that policies keep among them.",
                    truth(),
                ),
            ],
        ),
        mapping(
            "credentials",
            &registry::CREDENTIALS,
            &[],
            [
                Property("username", "The user name.", text()),
                Property("password_file", "The file that holds the password.", text()),
                Property("password_env", "The variable that holds the password.", text()),
                Property(
                    "docker_config",
                    "A docker config.json, or the folder that holds it.",
                    text(),
                ),
            ],
        ),
        mapping(
            "tls",
            &registry::TLS,
            &[],
            [
                Property(
                    "ca_file",
                    "A PEM file of certificates to trust besides the system's.",
                    text(),
                ),
                Property(
                    "client_cert_file",
                    "A PEM file with the client's certificate.",
                    text(),
                ),
                Property("client_key_file", "A PEM file with its private key.", text()),
            ],
        ),
        mapping(
            "channels",
            &words::SCHEMA,
            &[],
            words::MEANINGS
                .iter()
                .map(|(name, _)| Property(name, "Words, letters and digits only.", texts())),
        ),
    ]
}

fn of_rules() -> Vec<Part> {
    vec![
        mapping(
            "rule",
            &rule::SCHEMA,
            &["select", "keep"],
            [
                Property("name", "Its name in reports; unique in the policy.", text()),
                Property(
                    "select",
                    "Conditions, all of which must hold.",
                    reference("select"),
                ),
                Property(
                    "keep",
                    "What stays of what is selected; lines are alternatives.",
                    json!({ "anyOf": [word(["all", "none"]), reference("keep"), list(&reference("keep"))] }),
                ),
                Property(
                    "allow_empty_repository",
                    "Whether the rule may leave a repository empty.",
                    truth(),
                ),
            ],
        ),
        mapping(
            "select",
            &select::SCHEMA,
            &[],
            [
                Property(
                    "tags",
                    "Globs over the whole tag, one of which must match.",
                    texts(),
                ),
                Property(
                    "exclude",
                    "Globs over the whole tag, none of which may match.",
                    texts(),
                ),
                Property("regex", "An expression that must match the whole tag.", text()),
                Property(
                    "channel",
                    "Channels, one of which the tag must be in.",
                    channels(),
                ),
                Property("version", "A range of versions, as in `>=1.0.0, <2.0.0`.", text()),
                Property(
                    "untagged",
                    "Instead of tags: what has none, and nothing that lists it.",
                    flag(),
                ),
                Property(
                    "min_age",
                    "How long ago what is untagged was pushed, at the least; 24h unless said.",
                    age(),
                ),
                Property(
                    "labels",
                    "Labels that must be there, with globs for their values.",
                    labels(),
                ),
                Property(
                    "media_type",
                    "Globs over the media type, one of which must match.",
                    texts(),
                ),
                Property(
                    "artifact_type",
                    "Globs over the type of artifact, one of which must match.",
                    texts(),
                ),
                Property(
                    "superseded",
                    "Prereleases with a stable successor that is kept.",
                    flag(),
                ),
                Property(
                    "orphaned",
                    "Instead of tags: attachments whose subject is gone.",
                    flag(),
                ),
            ],
        ),
        mapping(
            "keep",
            &keep::SCHEMA,
            &[],
            [
                Property("last", "The newest artifacts of each group.", number(0)),
                Property(
                    "by",
                    "What newest means; a clock for `daily` and its like.",
                    order(),
                ),
                Property(
                    "per",
                    "What a group is.",
                    json!({
                        "type": "string",
                        "anyOf": [
                            { "enum": ["repository", "channel", "major", "minor", "variant"] },
                            { "pattern": "^capture:.+$" },
                        ],
                    }),
                ),
                Property("within", "What is newer than that, by a clock.", ages()),
                Property(
                    "daily",
                    "The newest of each of so many days that have one.",
                    number(1),
                ),
                Property(
                    "weekly",
                    "The newest of each of so many weeks that have one.",
                    number(1),
                ),
                Property(
                    "monthly",
                    "The newest of each of so many months that have one.",
                    number(1),
                ),
                Property(
                    "yearly",
                    "The newest of each of so many years that have one.",
                    number(1),
                ),
                Property(
                    "timezone",
                    "Where a day begins, as in `Europe/Berlin`; UTC unless said.",
                    text(),
                ),
                Property(
                    "unless_older_than",
                    "What is older takes no place, and is not kept by this rule.",
                    ages(),
                ),
            ],
        ),
        other(
            "protection",
            json!({ "anyOf": [text(), reference("protectionEntry")] }),
        ),
        mapping(
            "protectionEntry",
            &protect::SCHEMA,
            &[],
            [
                Property("tags", "Globs over the whole tag.", texts()),
                Property("regex", "An expression that must match the whole tag.", text()),
                Property("channel", "Channels.", channels()),
                Property(
                    "labels",
                    "Labels that must be there, with globs for their values.",
                    labels(),
                ),
                Property("signed", "What a signature is attached to.", flag()),
                Property(
                    "until",
                    "The last day on which the entry holds, in UTC.",
                    json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" }),
                ),
                Property("why", "Why, for reports.", text()),
            ],
        ),
        mapping(
            "grace",
            &grace::SCHEMA,
            &["repository", "for"],
            [
                Property(
                    "repository",
                    "The repository that holds it; `{repository}` stands for the one that is deleted from.",
                    text(),
                ),
                Property("for", "How long it is held.", age()),
            ],
        ),
        mapping(
            "rollout",
            &rollout::SCHEMA,
            &["stages", "hold"],
            [
                Property(
                    "stages",
                    "Shares of the repositories, each larger than the one before it.",
                    list(&percent()),
                ),
                Property(
                    "hold",
                    "How long a stage lasts at the least, from its first deletion on; at most 90 days.",
                    age(),
                ),
                Property(
                    "min_success",
                    "The share of a stage's deletions that has to succeed; 99.5% unless said.",
                    percent(),
                ),
            ],
        ),
        mapping(
            "limits",
            &limits::SCHEMA,
            &[],
            [
                Property(
                    "max_deletions",
                    "Manifests and untags in one run; more refuses it. 500 unless said.",
                    or_off(&number(0)),
                ),
                Property(
                    "max_percent_per_repository",
                    "Of a repository's tagged artifacts; more holds it back.",
                    json!({ "anyOf": [
                        { "type": "integer", "minimum": 1, "maximum": 100 },
                        { "type": "string", "pattern": "^(100|[1-9][0-9]?)%$" },
                        { "const": "off" },
                    ] }),
                ),
                Property(
                    "keep_at_least",
                    "Tagged artifacts that stay in a repository; 1 unless said.",
                    number(0),
                ),
                Property(
                    "max_change_from_last_run",
                    "Times the median of the last runs; more refuses the run. 5x unless said.",
                    json!({ "anyOf": [
                        { "type": "integer", "minimum": 1 },
                        { "type": "string", "pattern": "^[1-9][0-9]*x$" },
                        { "const": "off" },
                    ] }),
                ),
            ],
        ),
    ]
}
