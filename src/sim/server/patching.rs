//! Patches on documents: RFC 6902 and RFC 7386, as the API server's libraries carry them out.

use serde_json::{Value, json};

/// The document after the operations; the error is why one of them does not fit.
pub fn json_patched(document: &Value, operations: &[Value]) -> Result<Value, String> {
    let mut result = document.clone();
    for operation in operations {
        let part = |name: &str| operation.get(name).and_then(Value::as_str);
        let (Some(verb), Some(path)) = (part("op"), part("path")) else {
            return Err(format!("{operation} is no operation"));
        };
        let value = || operation.get("value").cloned().unwrap_or_default();
        match verb {
            "add" => insert(&mut result, path, value()),
            "replace" => replace(&mut result, path, value()),
            "remove" => take(&mut result, path).map(drop),
            "test" => match result.pointer(path).unwrap_or(&Value::Null) {
                found if *found == value() => Ok(()),
                _ => Err(format!("testing value {path} failed")),
            },
            "copy" | "move" => {
                let from = part("from").unwrap_or_default();
                let moved = if verb == "move" {
                    take(&mut result, from)
                } else {
                    existing(&mut result, from).map(|found| found.clone())
                };
                moved.and_then(|moved| insert(&mut result, path, moved))
            }
            _ => Err(format!("unexpected kind: {verb}")),
        }
        .map_err(|message| format!("{verb} operation does not apply: {message}"))?;
    }
    Ok(result)
}

/// The document with a merge patch over it.
pub fn merge_patched(target: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, member) in members {
        if member.is_null() {
            object.remove(key);
        } else {
            merge_patched(object.entry(key.as_str()).or_insert(Value::Null), member);
        }
    }
}

fn existing<'d>(document: &'d mut Value, path: &str) -> Result<&'d mut Value, String> {
    document.pointer_mut(path).ok_or_else(|| format!("doc is missing path: {path}"))
}

/// The parent of a path and the last element of it.
fn parent<'d>(document: &'d mut Value, path: &str) -> Result<(&'d mut Value, String), String> {
    let (parent, key) = path.rsplit_once('/').ok_or_else(|| format!("doc is missing path: {path}"))?;
    let key = key.replace("~1", "/").replace("~0", "~");
    Ok((existing(document, parent)?, key))
}

fn insert(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    match parent(document, path)? {
        (Value::Object(members), key) => drop(members.insert(key, value)),
        (Value::Array(items), key) if key == "-" => items.push(value),
        (Value::Array(items), key) => match key.parse::<usize>() {
            Ok(at) if at <= items.len() => items.insert(at, value),
            Ok(_) | Err(_) => return Err(format!("unable to access invalid index: {key}")),
        },
        _ => return Err(format!("doc is missing path: {path}")),
    }
    Ok(())
}

/// The server's library takes a member that is not there for one to replace.
fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if let Some(found) = document.pointer_mut(path) {
        *found = value;
        return Ok(());
    }
    match parent(document, path)? {
        (Value::Object(members), key) => drop(members.insert(key, value)),
        _ => return Err(format!("doc is missing path: {path}")),
    }
    Ok(())
}

fn take(document: &mut Value, path: &str) -> Result<Value, String> {
    let missing = || format!("unable to remove nonexistent key: {path}");
    match parent(document, path)? {
        (Value::Object(members), key) => members.remove(&key).ok_or_else(missing),
        (Value::Array(items), key) => {
            let at = key.parse::<usize>().ok().filter(|at| *at < items.len());
            at.map(|at| items.remove(at)).ok_or_else(missing)
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_follow_rfc_6902() {
        let document = json!({"a": {"x/y": 1}, "l": [1, 2]});
        for (operation, expected) in [
            (json!({"op": "add", "path": "/a/z", "value": 2}), Some(json!({"a": {"x/y": 1, "z": 2}, "l": [1, 2]}))),
            (json!({"op": "add", "path": "/l/1", "value": 9}), Some(json!({"a": {"x/y": 1}, "l": [1, 9, 2]}))),
            (json!({"op": "add", "path": "/l/-", "value": 9}), Some(json!({"a": {"x/y": 1}, "l": [1, 2, 9]}))),
            (json!({"op": "add", "path": "/b/c", "value": 9}), None),
            (json!({"op": "replace", "path": "/a/x~1y", "value": 3}), Some(json!({"a": {"x/y": 3}, "l": [1, 2]}))),
            (json!({"op": "replace", "path": "/a/z", "value": 3}), Some(json!({"a": {"x/y": 1, "z": 3}, "l": [1, 2]}))),
            (json!({"op": "replace", "path": "/l/2", "value": 3}), None),
            (json!({"op": "replace", "path": "/b/c", "value": 3}), None),
            (json!({"op": "remove", "path": "/l/0"}), Some(json!({"a": {"x/y": 1}, "l": [2]}))),
            (json!({"op": "remove", "path": "/a/none"}), None),
            (json!({"op": "remove", "path": "/l/2"}), None),
            (json!({"op": "test", "path": "/l/0", "value": 1}), Some(document.clone())),
            (json!({"op": "test", "path": "/l/0", "value": 2}), None),
            (json!({"op": "move", "from": "/l", "path": "/m"}), Some(json!({"a": {"x/y": 1}, "m": [1, 2]}))),
            (json!({"op": "what", "path": "/l"}), None),
        ] {
            assert_eq!(json_patched(&document, std::slice::from_ref(&operation)).ok(), expected, "{operation}");
        }
    }

    #[test]
    fn a_merge_patch_follows_rfc_7386() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.clone();
            merge_patched(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} {patch}");
        }
    }
}
