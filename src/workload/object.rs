//! Reading what every Kubernetes object has: name, namespace, labels, annotations, conditions.
//!
//! It does not know kinds, and a field that is absent is None, never a default.

use serde_json::Value;

/// What stands at this JSON pointer: as `Value::pointer`, which allocates for each part of it.
fn at<'d>(document: &'d Value, pointer: &str) -> Option<&'d Value> {
    if pointer.is_empty() || pointer.contains('~') {
        return document.pointer(pointer);
    }
    pointer.strip_prefix('/')?.split('/').try_fold(document, |found, part| match found {
        Value::Object(members) => members.get(part),
        Value::Array(_) => found.pointer(&format!("/{part}")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// The text at this JSON pointer.
pub fn text<'d>(document: &'d Value, pointer: &str) -> Option<&'d str> {
    at(document, pointer).and_then(Value::as_str)
}

/// The whole number at this JSON pointer.
pub fn number(document: &Value, pointer: &str) -> Option<i64> {
    at(document, pointer).and_then(Value::as_i64)
}

/// The count at this JSON pointer; absent and negative are 0.
pub fn count(document: &Value, pointer: &str) -> u32 {
    number(document, pointer).and_then(|found| u32::try_from(found).ok()).unwrap_or(0)
}

/// The elements at this JSON pointer; absent is none.
pub fn items<'d>(document: &'d Value, pointer: &str) -> &'d [Value] {
    at(document, pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn name(document: &Value) -> &str {
    text(document, "/metadata/name").unwrap_or_default()
}

pub fn namespace(document: &Value) -> &str {
    text(document, "/metadata/namespace").unwrap_or_default()
}

pub fn label<'d>(document: &'d Value, key: &str) -> Option<&'d str> {
    at(document, "/metadata/labels")?.get(key)?.as_str()
}

pub fn annotation<'d>(document: &'d Value, key: &str) -> Option<&'d str> {
    at(document, "/metadata/annotations")?.get(key)?.as_str()
}

pub fn is_terminating(document: &Value) -> bool {
    at(document, "/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// The condition of this type in `status.conditions`.
pub fn condition<'d>(document: &'d Value, kind: &str) -> Option<&'d Value> {
    items(document, "/status/conditions").iter().find(|condition| text(condition, "/type") == Some(kind))
}

pub fn condition_is_true(document: &Value, kind: &str) -> bool {
    condition(document, kind).is_some_and(|condition| text(condition, "/status") == Some("True"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_leads_where_serde_json_says() {
        let document = json!({"a": {"b": [{"c": 1}, {"c": "x"}], "d/e": true, "": 0}, "n": null});
        for pointer in [
            "/a/b/0/c",
            "/a/b/1/c",
            "/a/b/01/c",
            "/a/b/2/c",
            "/a/b/c",
            "/a/d~1e",
            "/a/",
            "/a/b/0/c/x",
            "/n",
            "/n/x",
            "a",
            "/",
            "",
        ] {
            assert_eq!(at(&document, pointer), document.pointer(pointer), "{pointer}");
        }
    }
}
