//! Two versions of a fallback index of referrers as one: what the newer lists, and after it what only the older does.

use bytes::Bytes;
use serde_json::Value;

/// `newer` with the descriptors of `older` that it does not list; `None` where it lists them all.
pub(crate) fn merged(newer: &[u8], older: &[u8]) -> Result<Option<Bytes>, String> {
    let mut newer: Value = serde_json::from_slice(newer).map_err(|error| error.to_string())?;
    let older: Value = serde_json::from_slice(older).map_err(|error| error.to_string())?;
    let listed = |index: &Value| index.get("manifests").and_then(Value::as_array).cloned();
    let (Some(mut manifests), Some(before)) = (listed(&newer), listed(&older)) else {
        return Err("it is no index".to_owned());
    };
    let had = manifests.len();
    for descriptor in before {
        let digest = descriptor.get("digest");
        if !manifests.iter().any(|other| other.get("digest") == digest) {
            manifests.push(descriptor);
        }
    }
    if manifests.len() == had {
        return Ok(None);
    }
    newer["manifests"] = Value::Array(manifests);
    serde_json::to_vec(&newer)
        .map(|bytes| Some(bytes.into()))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_either_lists_is_lost_and_nothing_is_listed_twice() {
        let newer = br#"{"mediaType":"x","manifests":[{"digest":"a"},{"digest":"b"}]}"#;
        let older = br#"{"manifests":[{"digest":"b"},{"digest":"c","size":1}]}"#;
        let bytes = merged(newer, older).unwrap().unwrap();
        let index: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(index["mediaType"], "x");
        assert_eq!(
            index["manifests"],
            serde_json::json!([{"digest":"a"},{"digest":"b"},{"digest":"c","size":1}])
        );
        assert_eq!(merged(newer, br#"{"manifests":[{"digest":"a"}]}"#), Ok(None));
        assert!(merged(b"{}", older).is_err() && merged(b"no", older).is_err());
    }
}
