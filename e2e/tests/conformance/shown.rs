//! A document as it is compared: without what no two servers have alike, times, uids, versions, addresses.

use serde_json::{Map, Value, json};

/// How much of two values that differ is said.
const MOST_SAID: usize = 240;

pub fn shown(document: Option<&Value>) -> Value {
    let Some(document) = document else { return Value::Null };
    let mut shown = document.clone();
    if let Some(metadata) = shown["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "selfLink"] {
            metadata.remove(field);
        }
        for field in ["creationTimestamp", "deletionTimestamp"] {
            metadata.entry(field).and_modify(|time| *time = json!("some time"));
        }
        if let Some(entries) = metadata.remove("managedFields") {
            metadata.insert("managedFields".into(), owners(&entries));
        }
    }
    if let Some(spec) = shown["spec"].as_object_mut() {
        for field in ["clusterIP", "clusterIPs"] {
            spec.entry(field).and_modify(|address| *address = json!("some address"));
        }
    }
    shown
}

/// Entries by owner: their order is that of their times.
fn owners(entries: &Value) -> Value {
    let mut owners = Map::new();
    for entry in entries.as_array().into_iter().flatten() {
        let part = |field: &str| entry[field].as_str().unwrap_or_default();
        let owner = format!("{} {} {}", part("manager"), part("operation"), part("subresource"));
        let timed = if entry["time"].is_null() { "without time" } else { "timed" };
        owners.insert(owner, json!({"at": entry["apiVersion"], "time": timed, "fields": entry["fieldsV1"]}));
    }
    Value::Object(owners)
}

/// Each place at which the two differ.
pub fn differences(path: &str, model: &Value, real: &Value) -> Vec<String> {
    if model == real {
        return Vec::new();
    }
    if let (Some(ours), Some(theirs)) = (model.as_object(), real.as_object()) {
        let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
        keys.sort();
        keys.dedup();
        let of = |key: &String| differences(&format!("{path}.{key}"), &model[key.as_str()], &real[key.as_str()]);
        return keys.into_iter().flat_map(of).collect();
    }
    let said = |value: &Value| value.to_string().chars().take(MOST_SAID).collect::<String>();
    vec![format!("{path}: {} in the model, {} in the lab", said(model), said(real))]
}
