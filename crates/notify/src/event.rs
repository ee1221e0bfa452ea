//! Messages as CloudEvents 1.0, in the structured mode of HTTP: one JSON document that is the event.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::message::Message;

/// The media type of one event.
pub(crate) const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// A message as an event.
pub(crate) fn of(message: &Message) -> Value {
    let mut data = json!({ "summary": message.summary });
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), &message.data) {
        data.extend(more.clone());
    }
    json!({
        "specversion": "1.0",
        "id": message.id,
        "source": "/lagan/daemon",
        "type": format!("lagan.{}.v1", message.kind.as_str()),
        "subject": message.subject,
        "time": message.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "datacontenttype": "application/json",
        "data": data,
    })
}
