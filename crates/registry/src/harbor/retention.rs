//! What Harbor's own retention policy would do in a repository, and why. For comparing, not for deciding.
//!
//! In the repositories that an enabled rule names, whole artifacts that no rule retains go
//! (<https://goharbor.io/docs/main/working-with-projects/working-with-images/create-tag-retention-rules/>; what the
//! templates mean: <https://github.com/goharbor/harbor/tree/main/src/pkg/retention/policy/rule>). By an artifact's own
//! times, not those of its tags; what was never pulled was pulled at the beginning of time. What versions of Harbor do
//! differently, and places that equal times leave to chance, are not claimed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use lagan_model::{CompleteSnapshot, Digest, Fact, Tag, Time, json};
use serde::Deserialize;

use super::examine::{self, selectors};
use super::rules::{both, either, select};
use super::wire::{Selector, nullable};

/// The retention policy of a project; without rules, it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Retention {
    rules: Vec<(usize, Rule)>,
    cron: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    #[serde(default, deserialize_with = "nullable")]
    algorithm: String,
    #[serde(default, deserialize_with = "nullable")]
    rules: Vec<Rule>,
    #[serde(default, deserialize_with = "nullable")]
    trigger: Trigger,
}

#[derive(Debug, Default, Deserialize)]
struct Trigger {
    #[serde(default, deserialize_with = "nullable")]
    settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
struct Settings {
    cron: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Rule {
    #[serde(default, deserialize_with = "nullable")]
    disabled: bool,
    #[serde(default, deserialize_with = "nullable")]
    template: String,
    #[serde(default, deserialize_with = "nullable")]
    params: BTreeMap<String, serde_json::Value>,
    #[serde(default, deserialize_with = "nullable")]
    tag_selectors: Vec<WithExtras>,
    #[serde(default, deserialize_with = "nullable")]
    scope_selectors: BTreeMap<String, Vec<Selector>>,
}

#[derive(Debug, Clone, Deserialize)]
struct WithExtras {
    #[serde(flatten)]
    selector: Selector,
    /// A document in a text.
    extras: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Extras {
    untagged: Option<bool>,
}

/// What becomes of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays, and why.
    Stays(String),
    /// It goes, and why.
    Goes(String),
    /// It cannot be told, and why not.
    Unknown(String),
}

/// An artifact that the registry lists, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// The artifact.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// What becomes of it.
    pub fate: Fate,
}

struct Candidate<'a> {
    digest: &'a Digest,
    tags: Vec<&'a Tag>,
    pushed: Option<Time>,
    pulled: Option<Time>,
    is_immutable: bool,
}

/// What a rule says of a candidate.
struct Said {
    retains: Option<bool>,
    why: String,
}

impl Retention {
    /// Reads a policy, as `GET /retentions/{id}` answers it.
    ///
    /// # Errors
    ///
    /// Where it is not in a form that is known.
    pub fn read(text: &str) -> Result<Self, String> {
        let policy: Policy = json::read(text.as_bytes())
            .map_err(|error| format!("the retention policy cannot be read: {error}"))?;
        if !matches!(policy.algorithm.as_str(), "" | "or") {
            return Err(format!("the algorithm {:?} is not known", policy.algorithm));
        }
        let rules = policy.rules.into_iter().enumerate();
        Ok(Self {
            rules: rules
                .filter(|(_, rule)| !rule.disabled)
                .map(|(at, rule)| (at + 1, rule))
                .collect(),
            cron: policy.trigger.settings.cron.filter(|cron| !cron.is_empty()),
        })
    }

    /// When it runs, as Harbor writes it; `None` where only somebody starts it.
    #[must_use]
    pub fn schedule(&self) -> Option<&str> {
        self.cron.as_deref()
    }

    /// Of each rule that is in force, the repositories that it names; Harbor goes by the first selector.
    pub fn repositories(&self) -> impl Iterator<Item = Vec<examine::Selector>> {
        self.rules.iter().map(|(_, rule)| {
            let rows = rule.scope_selectors.get("repository").cloned();
            selectors(rows.unwrap_or_default(), ("repoMatches", "repoExcludes"))
        })
    }

    /// What becomes of everything that is listed in a repository, in the order of digests. `repository` is its name below
    /// its project.
    #[must_use]
    pub fn decide(&self, repository: &str, snapshot: CompleteSnapshot<'_>, now: Time) -> Vec<Retained> {
        let candidates = candidates(snapshot);
        let named: Vec<(Option<bool>, &(usize, Rule))> = self
            .rules
            .iter()
            .map(|numbered| (numbered.1.names(repository), numbered))
            .filter(|(names, _)| *names != Some(false))
            .collect();
        let is_sure = named.iter().any(|(names, _)| *names == Some(true));
        let said: Vec<Vec<Said>> = named
            .iter()
            .map(|(names, (number, rule))| rule.say(*number, *names, &candidates, now))
            .collect();
        let fate = |at: usize, candidate: &Candidate<'_>| {
            if named.is_empty() {
                return Fate::Stays("no rule of Harbor's retention names this repository".to_owned());
            }
            let said: Vec<&Said> = said.iter().map(|of_rule| &of_rule[at]).collect();
            if let Some(said) = said.iter().find(|said| said.retains == Some(true)) {
                return Fate::Stays(said.why.clone());
            }
            if let Some(said) = said.iter().find(|said| said.retains.is_none()) {
                return Fate::Unknown(said.why.clone());
            }
            if !is_sure {
                let why = "whether a rule names this repository differs from version to version";
                return Fate::Unknown(why.to_owned());
            }
            if candidate.is_immutable {
                return Fate::Stays("no rule retains it, and it has an immutable tag".to_owned());
            }
            let why: Vec<&str> = said.iter().map(|said| said.why.as_str()).collect();
            Fate::Goes(format!("no rule retains it: {}", why.join("; ")))
        };
        let retained = candidates.iter().enumerate().map(|(at, candidate)| Retained {
            digest: candidate.digest.clone(),
            tags: candidate.tags.iter().map(|tag| (*tag).clone()).collect(),
            fate: fate(at, candidate),
        });
        retained.collect()
    }
}

/// Everything that Harbor lists: what has a tag, and what has none; children and accessories are in no list.
fn candidates(snapshot: CompleteSnapshot<'_>) -> Vec<Candidate<'_>> {
    let mut by_digest: BTreeMap<&Digest, Vec<&Tag>> = BTreeMap::new();
    for listed in snapshot.tags() {
        if let Some(digest) = &listed.digest {
            by_digest.entry(digest).or_default().push(&listed.tag);
        }
    }
    for digest in snapshot.untagged().into_iter().flatten() {
        by_digest.entry(digest).or_default();
    }
    let known = |time: Fact<Time>| match time {
        // The year 1 is Harbor's never.
        Fact::Known(time) if time.timestamp() > 0 => Some(time),
        _ => None,
    };
    by_digest
        .into_iter()
        .map(|(digest, tags)| {
            let times = snapshot.artifact_times(digest).unwrap_or_default();
            Candidate {
                is_immutable: tags.iter().any(|tag| snapshot.immutable(tag).is_some()),
                digest,
                tags,
                pushed: known(times.pushed),
                pulled: known(times.pulled),
            }
        })
        .collect()
}

impl Rule {
    fn names(&self, repository: &str) -> Option<bool> {
        let selectors = self.scope_selectors.get("repository");
        let selectors = selectors.map_or(&[][..], Vec::as_slice);
        let one = |selector| select(selector, "repoMatches", "repoExcludes", repository);
        selectors.iter().map(one).fold(Some(true), both)
    }

    /// Whether it selects an artifact: by any of its tags, with every selector.
    fn selects(&self, candidate: &Candidate<'_>) -> Option<bool> {
        let one = |with: &WithExtras| {
            let excludes = with.selector.decoration == "excludes";
            if candidate.tags.is_empty() {
                let extras = with.extras.as_deref().filter(|extras| !extras.is_empty());
                let extras: Extras = match extras.map(|text| json::read(text.as_bytes())) {
                    None => Extras::default(),
                    Some(Ok(extras)) => extras,
                    Some(Err(_)) => return None,
                };
                return Some(match excludes {
                    true => !extras.untagged.unwrap_or(false),
                    false => extras.untagged.unwrap_or(true),
                });
            }
            let of = |tag: &&Tag| select(&with.selector, "matches", "excludes", tag.as_str());
            candidate.tags.iter().map(of).fold(Some(false), either)
        };
        self.tag_selectors.iter().map(one).fold(Some(true), both)
    }

    /// What it says of each candidate.
    fn say(&self, number: usize, names: Option<bool>, candidates: &[Candidate<'_>], now: Time) -> Vec<Said> {
        let count = self
            .params
            .get(&self.template)
            .and_then(serde_json::Value::as_i64);
        let title = match count {
            Some(count) => format!("rule {number} ({} {count})", self.template),
            None => format!("rule {number} ({})", self.template),
        };
        let selected: Vec<Option<bool>> = candidates
            .iter()
            .map(|candidate| self.selects(candidate))
            .collect();
        let verdicts = self.verdicts(&title, count, candidates, &selected, now);
        let one = |(selected, verdict): (&Option<bool>, Said)| {
            let retains = both(names, both(*selected, verdict.retains));
            let why = match (selected, names) {
                (Some(false), _) => format!("{title} does not select it"),
                (None, _) => format!("what {title} selects differs from version to version"),
                (_, None) if retains.is_none() => {
                    format!("whether {title} names this repository differs from version to version")
                }
                _ => verdict.why,
            };
            Said { retains, why }
        };
        selected.iter().zip(verdicts).map(one).collect()
    }

    /// What its template makes of those that it selects.
    fn verdicts(
        &self,
        title: &str,
        count: Option<i64>,
        candidates: &[Candidate<'_>],
        selected: &[Option<bool>],
        now: Time,
    ) -> Vec<Said> {
        let never = Time::MIN_UTC;
        let by_push = |candidate: &Candidate<'_>| candidate.pushed;
        let by_pull = |candidate: &Candidate<'_>| Some(candidate.pulled.unwrap_or(never));
        let by_either =
            |candidate: &Candidate<'_>| Some(candidate.pushed?.max(candidate.pulled.unwrap_or(never)));
        let newest = |what: &str, time: &dyn Fn(&Candidate<'_>) -> Option<Time>| {
            let Some(count) = count.and_then(|count| usize::try_from(count).ok()) else {
                return unknown(candidates, title);
            };
            ranked(title, what, count, candidates, selected, time)
        };
        let days = |what: &str, time: &dyn Fn(&Candidate<'_>) -> Option<Time>| {
            let ages = candidates.iter().map(|candidate| {
                let days = chrono::TimeDelta::try_days(count?)?;
                let since = now.checked_sub_signed(days)?;
                Some(time(candidate)? >= since)
            });
            ages.map(|retains| Said {
                retains,
                why: match retains {
                    Some(true) => format!("{title}: {what} within that time"),
                    Some(false) => format!("{title}: not {what} within that time"),
                    None => format!("{title}: when it was {what} is not known"),
                },
            })
            .collect()
        };
        match self.template.as_str() {
            "always" => {
                let why = format!("{title} retains what it selects");
                let all = candidates.iter().map(|_| Said {
                    retains: Some(true),
                    why: why.clone(),
                });
                all.collect()
            }
            "latestPushedK" => newest("pushed", &by_push),
            "latestPulledN" => newest("pulled", &by_pull),
            "latestActiveK" => newest("pushed or pulled", &by_either),
            // By the time of push, too, in spite of its name.
            "nDaysSinceLastPush" | "lastXDays" => days("pushed", &by_push),
            "nDaysSinceLastPull" => days("pulled", &by_pull),
            _ => unknown(candidates, title),
        }
    }
}

fn unknown(candidates: &[Candidate<'_>], title: &str) -> Vec<Said> {
    let why = format!("what {title} means is not known");
    let all = candidates.iter().map(|_| Said {
        retains: None,
        why: why.clone(),
    });
    all.collect()
}

/// The newest of those that are selected. Where it is not known which are, or equal times meet at the last place, chance
/// and versions decide.
fn ranked(
    title: &str,
    what: &str,
    count: usize,
    candidates: &[Candidate<'_>],
    selected: &[Option<bool>],
    time: &dyn Fn(&Candidate<'_>) -> Option<Time>,
) -> Vec<Said> {
    let of = |wanted: bool| -> BTreeSet<usize> {
        let all = selected.iter().enumerate();
        all.filter(|(_, selected)| **selected == Some(true) || wanted && selected.is_none())
            .map(|(at, _)| at)
            .collect()
    };
    let (sure, possible) = (of(false), of(true));
    let times: Vec<Option<Time>> = candidates.iter().map(time).collect();
    let all_known = possible.iter().all(|at| times[*at].is_some());
    // How many of these are newer for certain, and how many may be.
    let sorted = |among: &BTreeSet<usize>| -> Vec<Option<Time>> {
        let mut sorted: Vec<_> = among.iter().map(|at| times[*at]).collect();
        sorted.sort_unstable();
        sorted
    };
    let (sure_times, possible_times) = (sorted(&sure), sorted(&possible));
    let surely_newer = |at: usize| {
        let older = sure_times.partition_point(|other| *other <= times[at]);
        sure_times.len() - older
    };
    let maybe_newer = |at: usize| {
        let older = possible_times.partition_point(|other| *other < times[at]);
        possible_times.len() - older - usize::from(possible.contains(&at))
    };
    let mut order: Vec<usize> = sure.iter().copied().collect();
    order.sort_by_key(|at| Reverse(times[*at]));
    let mut places = vec![0; candidates.len()];
    for (place, at) in order.iter().enumerate() {
        places[*at] = place + 1;
    }
    (0..candidates.len())
        .map(|at| {
            if !all_known {
                return Said {
                    retains: None,
                    why: format!("{title}: when something was {what} is not known"),
                };
            }
            let retains = if maybe_newer(at) < count {
                Some(true)
            } else if surely_newer(at) >= count {
                Some(false)
            } else {
                None
            };
            let place = places[at];
            let why = match retains {
                Some(_) => format!(
                    "{title}: number {place} of {} by when they were {what}",
                    order.len()
                ),
                None => {
                    format!("{title}: equal times meet at its last place, where Harbor leaves it to chance")
                }
            };
            Said { retains, why }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use lagan_model::{Artifact, MediaType, RepositorySnapshot, Times};
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Time {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    /// Images: tags, days since the push, days since the pull.
    fn snapshot(images: &[(&[&str], i64, Option<i64>)]) -> RepositorySnapshot {
        let tags = images.iter().flat_map(|(tags, ..)| tags.iter());
        let mut snapshot =
            RepositorySnapshot::listed("team/app".parse().unwrap(), tags.map(|tag| tag.parse().unwrap()));
        let at = |days: i64| Fact::Known(now() - chrono::TimeDelta::hours(days * 24 - 1));
        let mut untagged = Vec::new();
        for (number, (tags, pushed, pulled)) in images.iter().enumerate() {
            let digest = Digest::of(&[u8::try_from(number).unwrap()]);
            let artifact = Artifact {
                digest: digest.clone(),
                media_type: MediaType::OCI_MANIFEST,
                artifact_type: None,
                size: None,
                children: Vec::new(),
                subject: None,
                image_config: None,
                config_type: None,
                blobs: Vec::new(),
                annotations: None,
                created_annotation: None,
            };
            for tag in *tags {
                let position = snapshot.position(&tag.parse().unwrap()).unwrap();
                snapshot.resolve(position, artifact.clone());
            }
            if tags.is_empty() {
                snapshot.insert_artifact(artifact);
                untagged.push(digest.clone());
            }
            let times = Times {
                pushed: at(*pushed),
                pulled: pulled.map_or(Fact::from_rfc3339("0001-01-01T00:00:00.000Z"), at),
                ..Times::default()
            };
            snapshot.insert_artifact_times(digest, times);
        }
        snapshot.list_untagged(untagged);
        snapshot
    }

    fn rule(template: &str, number: i64, decoration: &str, tags: &str) -> Value {
        json!({
            "disabled": false, "action": "retain", "template": template, "params": {template: number},
            "tag_selectors": [{"kind": "doublestar", "decoration": decoration, "pattern": tags,
                               "extras": "{\"untagged\":true}"}],
            "scope_selectors": {"repository": [
                {"kind": "doublestar", "decoration": "repoMatches", "pattern": "app*"},
            ]},
        })
    }

    /// What goes, what stays (+) and what is not known (?), by first tag.
    fn fates(rules: &[Value], repository: &str, images: &[(&[&str], i64, Option<i64>)]) -> Vec<String> {
        let retention = Retention::read(&json!({"algorithm": "or", "rules": rules}).to_string()).unwrap();
        let snapshot = snapshot(images);
        let mut fates: Vec<String> = retention
            .decide(repository, snapshot.complete().unwrap(), now())
            .into_iter()
            .map(|retained| {
                let name = retained.tags.first().map_or("-", |tag| tag.as_str()).to_owned();
                match retained.fate {
                    Fate::Goes(_) => name,
                    Fate::Stays(_) => format!("+{name}"),
                    Fate::Unknown(_) => format!("?{name}"),
                }
            })
            .collect();
        fates.sort();
        fates
    }

    #[test]
    fn templates_mean_what_harbor_says_of_them() {
        let images: &[(&[&str], i64, Option<i64>)] = &[
            (&["a"], 1, None),
            (&["b"], 10, Some(2)),
            (&["c"], 20, Some(15)),
            (&["d"], 30, None),
        ];
        for (template, number, expected) in [
            ("latestPushedK", 2, ["+a", "+b", "c", "d"]),
            ("latestPulledN", 2, ["+b", "+c", "a", "d"]),
            ("latestActiveK", 3, ["+a", "+b", "+c", "d"]),
            ("nDaysSinceLastPush", 10, ["+a", "+b", "c", "d"]),
            ("lastXDays", 20, ["+a", "+b", "+c", "d"]),
            ("nDaysSinceLastPull", 2, ["+b", "a", "c", "d"]),
            ("always", 0, ["+a", "+b", "+c", "+d"]),
            ("somedayK", 2, ["?a", "?b", "?c", "?d"]),
        ] {
            let rules = [rule(template, number, "matches", "**")];
            assert_eq!(fates(&rules, "app", images), expected, "{template}");
        }
        // Never pulled are a and d alike, and one place is left.
        let rules = [rule("latestPulledN", 3, "matches", "**")];
        assert_eq!(fates(&rules, "app", images), ["+b", "+c", "?a", "?d"]);
    }

    #[test]
    fn rules_are_alternatives_over_whole_artifacts_of_the_repositories_that_they_name() {
        let images: &[(&[&str], i64, Option<i64>)] = &[
            (&["release-1", "x"], 30, None),
            (&["y"], 20, None),
            (&["z"], 1, None),
            (&[], 40, None),
        ];
        let rules = [
            rule("always", 0, "matches", "release-*"),
            rule("latestPushedK", 1, "excludes", "release-*"),
        ];
        // What has no tag is selected by the first rule.
        assert_eq!(fates(&rules, "app", images), ["+-", "+release-1", "+z", "y"]);
        assert_eq!(fates(&rules, "web", images), ["+-", "+release-1", "+y", "+z"]);
        let disabled: Vec<Value> = rules
            .iter()
            .cloned()
            .map(|mut rule| {
                rule["disabled"] = true.into();
                rule
            })
            .collect();
        assert_eq!(fates(&disabled, "app", images), ["+-", "+release-1", "+y", "+z"]);
        assert!(Retention::read(r#"{"algorithm":"and","rules":[]}"#).is_err());
        assert!(Retention::read("7").is_err());
    }

    #[test]
    fn what_versions_read_differently_is_not_claimed() {
        let images: &[(&[&str], i64, Option<i64>)] = &[(&["b"], 30, None), (&["c"], 20, None)];
        let rules = [rule("always", 0, "matches", "[!a]")];
        assert_eq!(fates(&rules, "app", images), ["?b", "?c"]);
        let mut elsewhere = rule("latestPushedK", 1, "matches", "**");
        elsewhere["scope_selectors"]["repository"][0]["pattern"] = "app/**".into();
        assert_eq!(fates(&[elsewhere], "app", images), ["?b", "?c"]);
    }
}
