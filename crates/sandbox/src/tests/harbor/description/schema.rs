//! Swagger 2.0 in YAML, as far as it is needed: operations by address, and definitions as JSON schemas.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use http::Method;
use serde_json::{Map, Value, json};

const DOCUMENT: &str = "http://harbor.example/description";

/// The description, and what was compiled of it.
pub(super) struct Description {
    document: Value,
    schemas: boon::Schemas,
    compiler: boon::Compiler,
    extra: HashMap<String, boon::SchemaIndex>,
}

/// One method of one path.
pub(super) struct Operation {
    pub(super) id: String,
    value: Value,
}

impl Description {
    pub(super) fn read(text: &str) -> Self {
        let document = yaml(text);
        let definitions = document["definitions"].as_object().expect("definitions");
        let converted: Map<String, Value> = definitions
            .iter()
            .map(|(name, schema)| (name.clone(), converted(schema)))
            .collect();
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler
            .add_resource(DOCUMENT, json!({ "definitions": converted }))
            .expect("a resource");
        Self {
            document,
            schemas: boon::Schemas::new(),
            compiler,
            extra: HashMap::new(),
        }
    }

    /// The operation of an address; the last part of a path may be a parameter.
    pub(super) fn operation(&self, method: &Method, address: &str) -> Option<Operation> {
        let path = address.split('?').next()?.strip_prefix("/api/v2.0")?;
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let templates: Vec<&str> = template.split('/').collect();
            templates.len() == parts.len()
                && templates
                    .iter()
                    .zip(&parts)
                    .all(|(template, part)| template.starts_with('{') || template == part)
        };
        let paths = self.document["paths"].as_object()?;
        // A path without parameters comes before one with them.
        let found = paths
            .iter()
            .filter(|(template, _)| fits(template))
            .min_by_key(|(template, _)| template.matches('{').count())?;
        let value = found.1.get(method.as_str().to_lowercase())?.clone();
        let id = value["operationId"].as_str()?.to_owned();
        Some(Operation { id, value })
    }

    pub(super) fn response(&self, operation: &Operation, status: u16) -> Option<Value> {
        let response = operation.value["responses"].get(status.to_string())?;
        Some(match response.get("$ref").and_then(Value::as_str) {
            Some(reference) => self
                .document
                .pointer(reference.trim_start_matches('#'))
                .expect("a response")
                .clone(),
            None => response.clone(),
        })
    }

    /// Why a value is no such thing; `None` where it is.
    pub(super) fn against(&mut self, definition: &str, value: &Value) -> Option<String> {
        self.against_schema(&json!({ "$ref": format!("#/definitions/{definition}") }), value)
    }

    pub(super) fn against_schema(&mut self, schema: &Value, value: &Value) -> Option<String> {
        let key = schema.to_string();
        let index = match self.extra.get(&key) {
            Some(index) => *index,
            None => {
                let place = format!("{DOCUMENT}/{}", self.extra.len());
                let absolute = key.replace("#/definitions/", &format!("{DOCUMENT}#/definitions/"));
                let schema = converted(&serde_json::from_str(&absolute).expect("a schema"));
                self.compiler.add_resource(&place, schema).expect("a resource");
                let index = self
                    .compiler
                    .compile(&place, &mut self.schemas)
                    .unwrap_or_else(|error| panic!("{key}: {error}"));
                self.extra.insert(key, index);
                index
            }
        };
        self.schemas
            .validate(value, index)
            .err()
            .map(|error| error.to_string())
    }
}

/// A schema of Swagger as JSON schema: closed objects, so that a wrong name is seen; lists that can be `null`, which is how
/// Harbor writes empty ones; and objects of anything where it says so of values that are not objects.
fn converted(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else {
        return json!(true);
    };
    if let Some(reference) = fields.get("$ref") {
        let reference = json!({ "$ref": reference });
        return match fields.get("x-nullable") {
            Some(Value::Bool(true)) => json!({ "anyOf": [reference, {"type": "null"}] }),
            _ => reference,
        };
    }
    let mut out = Map::new();
    let kind = fields.get("type").and_then(Value::as_str);
    let nullable = fields.get("x-nullable") == Some(&json!(true)) || kind == Some("array");
    match kind {
        Some(kind) if nullable => out.insert("type".to_owned(), json!([kind, "null"])),
        Some(kind) => out.insert("type".to_owned(), json!(kind)),
        None => None,
    };
    if let Some(format) = fields.get("format").filter(|format| **format == "date-time") {
        out.insert("format".to_owned(), format.clone());
    }
    for name in ["enum", "required"] {
        // Some properties say `required: true`, which is no JSON schema.
        if let Some(value) = fields.get(name).filter(|value| value.is_array()) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(items) = fields.get("items") {
        out.insert("items".to_owned(), converted(items));
    }
    if let Some(all) = fields.get("allOf").and_then(Value::as_array) {
        out.insert("allOf".to_owned(), all.iter().map(converted).collect());
    }
    if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
        let properties: Map<String, Value> = properties
            .iter()
            .map(|(name, schema)| (name.clone(), converted(schema)))
            .collect();
        out.insert("properties".to_owned(), Value::Object(properties));
        out.insert("additionalProperties".to_owned(), json!(false));
    }
    match fields.get("additionalProperties") {
        None => {}
        Some(free) if *free == json!({ "type": "object" }) => {
            out.insert("additionalProperties".to_owned(), json!(true));
        }
        Some(schema) => {
            out.insert("additionalProperties".to_owned(), converted(schema));
        }
    }
    Value::Object(out)
}

enum Open {
    List(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

/// One document without anchors.
fn yaml(text: &str) -> Value {
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.expect("YAML");
        let done = match event {
            Event::Scalar(text, style, _, _) => match (open.last_mut(), style) {
                (Some(Open::Mapping(_, key @ None)), _) => {
                    *key = Some(text.into_owned());
                    continue;
                }
                (_, ScalarStyle::Plain) => plain(&text),
                _ => Value::String(text.into_owned()),
            },
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Value::Array(items),
                Some(Open::Mapping(fields, _)) => Value::Object(fields),
                None => panic!("an end without a beginning"),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => root = done,
            Some(Open::List(items)) => items.push(done),
            Some(Open::Mapping(fields, key)) => {
                fields.insert(key.take().expect("a key"), done);
            }
        }
    }
    root
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}
