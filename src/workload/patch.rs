//! JSON patches (RFC 6902) for objects that somebody else owns.
//!
//! Every one begins with `replace /metadata/resourceVersion`: a stale view is then a 409. It never uses `test`: a failed
//! one is a 422, which cannot be told from a refused object.

use serde_json::{Value, json};

use super::object;

/// The operations behind the version they were made for; no operations stay none.
pub fn versioned(document: &Value, operations: Vec<Value>) -> Vec<Value> {
    if operations.is_empty() {
        return operations;
    }
    let version = document.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    std::iter::once(replace("/metadata/resourceVersion", version)).chain(operations).collect()
}

pub fn replace(path: &str, value: Value) -> Value {
    json!({"op": "replace", "path": path, "value": value})
}

/// Sets a member, whether it exists or not.
pub fn add(path: &str, value: Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

pub fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

/// The path of a member whose key may hold slashes.
pub fn member(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What gives an annotation this value; none if it has it.
pub fn set_annotation(document: &Value, key: &str, value: &str) -> Vec<Value> {
    set_member(document, "/metadata/annotations", key, value)
}

/// What takes an annotation away; the map goes with its last key, as the API server shows none.
pub fn remove_annotation(document: &Value, key: &str) -> Vec<Value> {
    if object::annotation(document, key).is_none() {
        return Vec::new();
    }
    let last = document.pointer("/metadata/annotations").and_then(Value::as_object).is_some_and(|map| map.len() == 1);
    let path = if last { "/metadata/annotations".to_owned() } else { member("/metadata/annotations", key) };
    vec![remove(&path)]
}

/// What gives a member of a map of texts this value, the map being made if it is absent.
pub fn set_member(document: &Value, map: &str, key: &str, value: &str) -> Vec<Value> {
    match document.pointer(map).and_then(Value::as_object) {
        Some(members) if members.get(key).and_then(Value::as_str) == Some(value) => Vec::new(),
        Some(_) => vec![add(&member(map, key), json!(value))],
        None => vec![add(map, json!({ key: value }))],
    }
}

/// The document after the operations, as an API server makes it (tests only): `add`, `replace` and `remove` of members
/// and elements that exist; the version is left as it was.
#[cfg(test)]
pub fn applied(document: &Value, operations: &[Value]) -> Value {
    let mut result = document.clone();
    for operation in operations {
        let path = object::text(operation, "/path").unwrap();
        if path == "/metadata/resourceVersion" {
            assert_eq!(operation["value"], document["metadata"]["resourceVersion"], "stale");
            continue;
        }
        let (parent, key) = path.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        let parent = result.pointer_mut(parent).unwrap_or_else(|| panic!("{path} has no parent"));
        match (object::text(operation, "/op").unwrap(), parent) {
            ("add", Value::Object(members)) => drop(members.insert(key, operation["value"].clone())),
            ("replace", Value::Object(members)) => *members.get_mut(&key).unwrap() = operation["value"].clone(),
            ("replace", Value::Array(items)) => items[key.parse::<usize>().unwrap()] = operation["value"].clone(),
            ("remove", Value::Object(members)) => drop(members.remove(&key).unwrap()),
            ("remove", Value::Array(items)) => drop(items.remove(key.parse::<usize>().unwrap())),
            (other, parent) => panic!("{other} in {parent}"),
        }
    }
    result
}
