//! Every answer against Harbor's own description of its API, where that is at hand.
//!
//! The description is no part of the project. It is looked for beside the repository; where it is not, the test says so and
//! shows nothing.

mod schema;
mod story;

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use self::schema::Description;
use super::*;
use crate::HarborVersion;

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/reference/harbor-2.15-swagger.yaml"
);

fn text() -> Option<String> {
    let text = std::fs::read_to_string(PATH).ok();
    if text.is_none() {
        eprintln!("skipped: Harbor's description of its API is not beside the repository");
    }
    text
}

/// Statuses that Harbor answers and its description does not have for these operations.
const UNTOLD: &[(&str, u16)] = &[
    ("createGCSchedule", 422),
    ("deleteArtifact", 412),
    ("deleteTag", 412),
    ("getCurrentUserInfo", 412),
    ("getProject", 403),
    ("getProject", 404),
    ("getReplicationPolicy", 404),
    ("getRetention", 404),
    ("headProject", 401),
    ("headProject", 403),
    ("listArtifacts", 422),
    ("listProjects", 422),
];

/// A client that compares every answer with the description.
pub(super) struct Checked<'a> {
    http: &'a mut Http,
    description: &'a mut Description,
    done: BTreeSet<(String, u16)>,
    problems: Vec<String>,
}

impl Checked<'_> {
    async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Value {
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.http.send(method.clone(), path, &[], text).await;
        let status = answer.status().as_u16();
        let what = format!("{method} {path}: {status}");
        let Some(operation) = self.description.operation(&method, path) else {
            self.problems.push(format!("{what}: no such operation"));
            return Value::Null;
        };
        self.done.insert((operation.id.clone(), status));
        let untold = UNTOLD.contains(&(&*operation.id, status));
        let is_json =
            header(&answer, "content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let empty = answer.body().is_empty() || !is_json;
        let value = match empty {
            true => Value::Null,
            false => json(&answer),
        };
        let wrong = match self.description.response(&operation, status) {
            None if untold && empty => None,
            None if untold => self.description.against("Errors", &value),
            None => Some("a status that the description does not have".to_owned()),
            Some(_) if untold => Some("no longer untold".to_owned()),
            Some(response) => {
                let total = response.pointer("/headers/X-Total-Count").is_some();
                if total && header(&answer, "x-total-count").is_none() {
                    self.problems.push(format!("{what}: no X-Total-Count"));
                }
                match response.get("schema") {
                    _ if empty => None,
                    None => Some("a body where none is described".to_owned()),
                    Some(schema) => self.description.against_schema(schema, &value),
                }
            }
        };
        if let Some(wrong) = wrong {
            self.problems.push(format!("{what} ({}): {wrong}", operation.id));
        }
        value
    }

    async fn get(&mut self, path: &str) -> Value {
        self.send(Method::GET, &api(path), None).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        self.send(Method::POST, &api(path), Some(body)).await
    }

    async fn delete(&mut self, path: &str) -> Value {
        self.send(Method::DELETE, &api(path), None).await
    }
}

#[tokio::test]
async fn every_answer_is_as_harbor_describes_it() {
    let Some(text) = text() else { return };
    let mut description = Description::read(&text);
    let mut done = BTreeSet::new();
    for version in HarborVersion::ALL {
        let (sandbox, mut http) = harbor(story::options(version)).await;
        let mut checked = Checked {
            http: &mut http,
            description: &mut description,
            done: BTreeSet::new(),
            problems: Vec::new(),
        };
        story::tell(&sandbox, &mut checked, version).await;
        let problems = checked.problems;
        assert!(problems.is_empty(), "{version:?}:\n{}", problems.join("\n"));
        done.extend(checked.done);
    }
    let asked: BTreeSet<&str> = done.iter().map(|(id, _)| id.as_str()).collect();
    let expected: BTreeSet<&str> = story::OPERATIONS.iter().copied().collect();
    assert_eq!(asked, expected, "what is served, and what was asked for");
    for (id, status) in UNTOLD {
        assert!(
            done.contains(&((*id).to_owned(), *status)),
            "{id} never answers {status}"
        );
    }
}

#[test]
fn a_wrong_answer_is_seen() {
    let Some(text) = text() else { return };
    let mut description = Description::read(&text);
    for (definition, value, fits) in [
        (
            "Tag",
            serde_json::json!({"id": 1, "name": "x", "immutable": false}),
            true,
        ),
        ("Tag", serde_json::json!({"id": "1"}), false),
        ("Tag", serde_json::json!({"nmae": "x"}), false),
        ("Tag", serde_json::json!({"push_time": "yesterday"}), false),
        ("Artifact", serde_json::json!({"tags": null}), true),
        ("Artifact", serde_json::json!({"tags": [{"id": "1"}]}), false),
        ("ScheduleObj", serde_json::json!({"type": "Never"}), false),
    ] {
        let wrong = description.against(definition, &value);
        assert_eq!(wrong.is_none(), fits, "{definition} {value}: {wrong:?}");
    }
}
