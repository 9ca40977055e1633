//! Turns a schema derived from a Rust type into the structural form that the API server takes.
//!
//! Nothing about a certain field is in here: that stands beside the field.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value, json};

/// Formats that the API server knows; it warns about others.
const FORMATS: [&str; 3] = ["int32", "int64", "date-time"];
/// Bounds of what only the controller writes (records and statuses), where a field names none. They are far above what the controller
/// keeps, because a status that the API server refuses would stop a run; they are here because a schema without bounds is refused
/// wherever a rule can see it.
const RECORD_LENGTH: u32 = 32_768;
const RECORD_ITEMS: u32 = 1_024;
const RECORD_PROPERTIES: u32 = 256;

/// The structural schema of a type, everything inline.
pub fn structural_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.with_transform(structural as fn(&mut Schema)).into_generator().into_root_schema_for::<T>().to_value()
}

fn structural(schema: &mut Schema) {
    if let Some(map) = schema.as_object_mut() {
        map.remove("title");
        drop_null(map);
        fold_words(map);
        drop_unknown_format(map);
        bound(map);
    }
    transform_subschemas(&mut (structural as fn(&mut Schema)), schema);
}

/// An optional field may be absent; null is no value of it. (A nullable field would be one more state that every reader must know.)
fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [name] = types.as_slice() {
            let name = name.clone();
            map.insert("type".into(), name);
        }
    }
    if let Some(Value::Array(words)) = map.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let Some(Value::Array(mut choices)) = map.remove("anyOf") else { return };
    choices.retain(|choice| choice.get("type") != Some(&json!("null")));
    for choice in choices {
        if let Value::Object(choice) = choice {
            merge(map, choice);
        }
    }
    drop_null(map);
}

/// What stands beside the field wins over what stands at its type; rules of both hold.
fn merge(field: &mut Map<String, Value>, of_type: Map<String, Value>) {
    for (key, value) in of_type {
        match (field.get_mut(&key), value) {
            (Some(Value::Array(rules)), Value::Array(more)) if key == "x-kubernetes-validations" => rules.extend(more),
            (Some(_), _) => {}
            (None, value) => {
                field.insert(key, value);
            }
        }
    }
}

/// A choice of documented words becomes one enum; what each word means joins the description.
fn fold_words(map: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = map.remove("oneOf") else { return };
    let (mut words, mut lines) = (Vec::new(), String::new());
    for choice in &choices {
        let meaning = choice.get("description").and_then(Value::as_str);
        let plain = choice.get("enum").and_then(Value::as_array).into_iter().flatten();
        for word in choice.get("const").into_iter().chain(plain).filter_map(Value::as_str) {
            words.push(word);
            if let Some(meaning) = meaning {
                lines.push_str(&format!("\n- {word}: {meaning}"));
            }
        }
    }
    let description = map.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}{lines}").trim().to_owned();
    map.insert("type".into(), json!("string"));
    map.insert("enum".into(), json!(words));
    map.insert("description".into(), json!(description));
}

fn drop_unknown_format(map: &mut Map<String, Value>) {
    if map.get("format").and_then(Value::as_str).is_some_and(|format| !FORMATS.contains(&format)) {
        map.remove("format");
    }
}

fn bound(map: &mut Map<String, Value>) {
    let bound = match map.get("type").and_then(Value::as_str) {
        Some("string") if !map.contains_key("enum") => ("maxLength", RECORD_LENGTH),
        Some("array") => ("maxItems", RECORD_ITEMS),
        Some("object") if map.contains_key("additionalProperties") => ("maxProperties", RECORD_PROPERTIES),
        _ => return,
    };
    map.entry(bound.0).or_insert(json!(bound.1));
}
