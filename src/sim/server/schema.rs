//! The structural schemas of Tidegate's own kinds, and what the API server does by them: pruning, defaults, validation.
//!
//! Of the CEL rules only `self == oldSelf` is carried out; patterns are not.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value};

use crate::{api::crds, controller::Kind};

static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let schema =
        |crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
            let version = crd.spec.versions.first()?;
            let schema = serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok()?;
            Some((crd.spec.names.kind.clone(), schema))
        };
    crds().iter().filter_map(schema).collect()
});

/// The schema of a kind, if it is one of ours.
pub fn of(kind: Kind) -> Option<&'static Value> {
    (kind.group == "tidegate.io").then(|| named(kind.kind)).flatten()
}

/// The schema of one of our kinds by its name.
pub fn named(kind: &str) -> Option<&'static Value> {
    SCHEMAS.get(kind)
}

/// The names of our kinds.
pub fn kinds() -> Vec<String> {
    SCHEMAS.keys().cloned().collect()
}

/// Drops what the schema does not know. Metadata is not looked at.
pub fn prune(schema: &Value, document: &mut Value) {
    let Some(members) = document.as_object_mut() else { return };
    members
        .retain(|key, _| ["apiVersion", "kind", "metadata"].contains(&key.as_str()) || property(schema, key).is_some());
    for (key, member) in members.iter_mut().filter(|(key, _)| *key != "metadata") {
        if let Some(below) = property(schema, key) {
            prune_value(below, member);
        }
    }
}

/// What pruning would drop: each path, and the fields that are known in its place. Metadata is not looked at.
pub fn unknown(schema: &Value, document: &Value) -> Vec<(String, Vec<String>)> {
    let members = document.as_object().into_iter().flatten();
    let ours = members.filter(|(key, _)| !["apiVersion", "kind", "metadata"].contains(&key.as_str()));
    ours.flat_map(|(key, member)| unknown_member(schema, key, member, key)).collect()
}

fn unknown_member(schema: &Value, key: &str, member: &Value, path: &str) -> Vec<(String, Vec<String>)> {
    match property(schema, key) {
        Some(below) => unknown_below(below, member, path),
        None if schema["x-kubernetes-preserve-unknown-fields"] == true => Vec::new(),
        None => {
            let known = schema["properties"].as_object().into_iter().flat_map(Map::keys);
            vec![(path.to_owned(), known.cloned().collect())]
        }
    }
}

fn unknown_below(schema: &Value, value: &Value, path: &str) -> Vec<(String, Vec<String>)> {
    match value {
        Value::Object(members) => {
            let each = members.iter();
            each.flat_map(|(key, member)| unknown_member(schema, key, member, &format!("{path}.{key}"))).collect()
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.flat_map(|(at, item)| unknown_below(&schema["items"], item, &format!("{path}[{at}]"))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn prune_value(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            let keeps_all = schema["x-kubernetes-preserve-unknown-fields"] == true;
            members.retain(|key, _| keeps_all || property(schema, key).is_some());
            for (key, member) in members.iter_mut() {
                if let Some(below) = property(schema, key) {
                    prune_value(below, member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prune_value(&schema["items"], item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of a member, named or any.
fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    schema
        .get("properties")
        .and_then(|all| all.get(key))
        .or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()))
}

/// Fills in defaults; a null where none may be counts as absent.
pub fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, below) in schema["properties"].as_object().into_iter().flatten() {
                let is_missing = match members.get(key) {
                    None => true,
                    Some(found) => found.is_null() && below["nullable"] != true,
                };
                if is_missing && let Some(value) = below.get("default") {
                    members.insert(key.clone(), value.clone());
                }
            }
            for (key, member) in members.iter_mut() {
                if let Some(below) = property(schema, key) {
                    default(below, member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| default(&schema["items"], item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Everything that does not fit the schema, each with its path.
pub fn violations(schema: &Value, old: Option<&Value>, new: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if new.is_null() {
        if schema["nullable"] != true && schema.get("type").is_some() {
            found.push(format!("{path}: Invalid value: \"null\": must be of type {}", schema["type"]));
        }
        return found;
    }
    if let Some(kind) = schema.get("type").and_then(Value::as_str).filter(|kind| !is_of(kind, new)) {
        found.push(format!("{path}: Invalid value: must be of type {kind}"));
        return found;
    }
    found.extend(bounds(schema, new, path));
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if rule["rule"] == "self == oldSelf" && old.is_some_and(|old| old != new) {
            found
                .push(format!("{path}: Invalid value: {}", rule["message"].as_str().unwrap_or("it cannot be changed")));
        }
    }
    match new {
        Value::Object(members) => found.extend(members_violations(schema, old, members, path)),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                found.extend(violations(&schema["items"], None, item, &format!("{path}[{at}]")));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found
}

fn members_violations(schema: &Value, old: Option<&Value>, members: &Map<String, Value>, path: &str) -> Vec<String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut found: Vec<String> =
        required.filter(|key| !members.contains_key(*key)).map(|key| format!("{path}.{key}: Required value")).collect();
    for (key, member) in members {
        if let Some(below) = property(schema, key) {
            found.extend(violations(below, old.and_then(|old| old.get(key)), member, &format!("{path}.{key}")));
        }
    }
    found
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => true,
    }
}

fn bounds(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    #[expect(clippy::cast_precision_loss, reason = "lengths are far below the limit of exact floats")]
    let size = match value {
        Value::String(text) => [(text.chars().count() as f64, "minLength", "maxLength")],
        Value::Array(items) => [(items.len() as f64, "minItems", "maxItems")],
        Value::Object(members) => [(members.len() as f64, "minProperties", "maxProperties")],
        Value::Number(number) => [(number.as_f64().unwrap_or_default(), "minimum", "maximum")],
        Value::Null | Value::Bool(_) => return Vec::new(),
    };
    let mut found = Vec::new();
    for (size, least, most) in size {
        if limit(least).is_some_and(|limit| size < limit) || limit(most).is_some_and(|limit| size > limit) {
            found.push(format!("{path}: Invalid value: {size} is outside of {least} and {most}"));
        }
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        found.push(format!("{path}: Unsupported value: {value}: supported values: {}", Value::from(words.clone())));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::{ACTION, ROLLOUT, SERVICE};

    #[test]
    fn our_kinds_have_schemas_and_others_have_none() {
        assert!(of(ROLLOUT).is_some() && of(ACTION).is_some());
        assert_eq!(of(SERVICE), None);
    }

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let mut document = json!({"metadata": {"x": 1}, "spec": {"unknown": 1, "workload": {}}, "other": 2});
        let schema = of(ROLLOUT).unwrap();
        prune(schema, &mut document);
        assert_eq!(document, json!({"metadata": {"x": 1}, "spec": {"workload": {}}}));
        default(schema, &mut document);
        assert_eq!(document["status"], json!({"observedGeneration": -1}));
    }

    #[test]
    fn a_changed_spec_of_an_action_is_a_violation() {
        let schema = of(ACTION).unwrap();
        let one = json!({"spec": {"type": "Abort", "rollout": "checkout"}});
        let other = json!({"spec": {"type": "Pause", "rollout": "checkout"}});
        let strange = json!({"spec": {"type": "Explode"}});
        assert_eq!(violations(schema, Some(&one), &one, ""), Vec::<String>::new());
        assert_eq!(violations(schema, Some(&one), &other, "").len(), 1);
        assert_eq!(violations(schema, None, &strange, "").len(), 2, "{:?}", violations(schema, None, &strange, ""));
    }
}
