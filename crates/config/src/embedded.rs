//! Policies in native form as values: what a plan embeds, so that it can be made again.
//!
//! Reading them goes through the same decoder as any document, so that a plan cannot hold a policy that no document
//! could hold.

use lagan_policy::version::Meaning;
use lagan_policy::{Policy, PolicySet, VersionTable};
use serde_json::{Map, Value, json};

use crate::document::channels::MEANINGS;
use crate::document::policy_file::PolicyFile;
use crate::error::ConfigErrors;

/// A policy as the value of its name in `policies`. `null` where it has no such form, which reading refuses.
#[must_use]
pub fn body(policy: &Policy) -> Value {
    serde_json::to_value(policy).unwrap_or_default()
}

/// The words that were added to the channel table, as `channels` has them; `None` where none were.
#[must_use]
pub fn channels(versions: &VersionTable) -> Option<Value> {
    let mut words: Map<String, Value> = Map::new();
    for (word, meaning) in versions.added() {
        let named = |(_, known): &&(&str, Meaning)| known == meaning;
        let (key, _) = MEANINGS.iter().find(named)?;
        match words.entry(*key).or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(json!(word)),
            _ => return None,
        }
    }
    (!words.is_empty()).then_some(Value::Object(words))
}

/// Reads policies back. `file` is what errors call the document that they stand in.
///
/// # Errors
///
/// As for any document; places are those in the part that holds the policies.
pub fn read<'a>(
    file: &str,
    policies: impl IntoIterator<Item = (&'a str, &'a Value)>,
    channels: Option<&Value>,
) -> Result<PolicySet, ConfigErrors> {
    // In the order given, as values of this crate's maps are: reasons stand in the order of policies and lines.
    let bodies: Map<String, Value> = policies
        .into_iter()
        .map(|(name, body)| (name.to_owned(), body.clone()))
        .collect();
    let mut document = Map::from_iter([("policies".to_owned(), Value::Object(bodies))]);
    if let Some(channels) = channels {
        document.insert("channels".to_owned(), channels.clone());
    }
    let text = Value::Object(document).to_string();
    let PolicyFile {
        policies, versions, ..
    } = PolicyFile::read(file, text, "policy")?;
    let policies = policies.into_iter().map(|entry| entry.policy).collect();
    Ok(PolicySet { policies, versions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn round_trip(policies: &PolicySet) -> PolicySet {
        let bodies: Vec<_> = policies
            .policies
            .iter()
            .map(|policy| (policy.name.to_string(), body(policy)))
            .collect();
        let channels = channels(&policies.versions);
        let entries = bodies.iter().map(|(name, body)| (name.as_str(), body));
        read("plan.json", entries, channels.as_ref()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn policies_read_back_as_they_were_and_in_their_order() {
        let text = r#"
channels: {stable: [prod, live], variant: [tiny], floating: [newest], nightly: [daily]}
registries: {a: {url: "http://localhost:5000"}}
policies:
  "zebra: \"1\"":
    repositories: ["team/**", "a"]
    exclude_repositories: ["team/no*"]
    mode: enforce
    rules:
      - {name: "10", select: {tags: ["*-rc.*", "1.10"], exclude: ["true"]}, keep: {last: 10, by: version}}
      - {name: b, select: {regex: '^(?<n>a|b)-\d+$'}, keep: {last: 1, by: created, per: "capture:n"}}
      - {name: c, select: {channel: [prerelease], version: ">=1.0.0, <2.0.0"}, keep: {last: 1, by: semver, within: {pushed: 12h, created: 30d}}}
      - {name: d, select: {tags: [x]}, keep: all}
      - {name: e, select: {tags: ["y"]}, keep: none, allow_empty_repository: true}
    protect: [{tags: ["prod"], until: 2027-01-31, why: "@ops said: no"}, {channel: stable}]
    limits: {max_deletions: off, max_percent_per_repository: 30%, keep_at_least: 2}
  alpha:
    repositories: ["b"]
    rules: [{select: {channel: [rc]}, keep: {last: 3, by: name}}]
"#;
        let config = Config::read("lagan.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
        let policies = &config.registries[0].policies;
        let read = round_trip(policies);
        assert_eq!(read.policies, policies.policies);
        assert_eq!(read.versions.added(), policies.versions.added());
        let hashes = |set: &PolicySet| {
            let hash = |policy: &Policy| policy.sha256(&set.versions);
            set.policies.iter().map(hash).collect::<Vec<_>>()
        };
        assert_eq!(hashes(&read), hashes(policies));
    }

    #[test]
    fn every_example_reads_back_as_it_was() {
        for text in [
            include_str!("../../../config/lagan.yaml"),
            include_str!("../../../config/two-registries.yaml"),
            include_str!("../../../config/sidecar.yaml"),
            include_str!("../../../config/quickstart.yaml"),
        ] {
            let config = Config::read("lagan.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
            for registry in config.registries {
                let read = round_trip(&registry.policies);
                assert_eq!(read.policies, registry.policies.policies);
            }
        }
    }

    #[test]
    fn a_body_that_no_document_could_hold_is_refused() {
        for body in [
            json!(null),
            json!({}),
            json!({"repositories": ["a"], "rules": []}),
        ] {
            assert!(read("plan.json", [("p", &body)], None).is_err());
        }
    }
}
