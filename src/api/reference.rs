//! The reference pages, generated: every field of every kind from the CRDs, and every reason. `docs/reference/` holds what this prints.
//!
//! No sentence is written here that a reader of the API would need: those stand beside the fields.

use serde_json::Value;

use super::{Reason, crds};

const GENERATED: &str = "<!-- Generated: UPDATE_GOLDEN=1 cargo test --test crds -->\n\n";

/// The API reference: a table for each kind.
pub fn api_markdown() -> String {
    let mut page = format!("{GENERATED}# API reference: `tidegate.io/v1alpha1`\n");
    for crd in crds() {
        let names = &crd.spec.names;
        let scope = crd.spec.scope.to_lowercase();
        let short = names.short_names.iter().flatten().map(|name| format!(", short name `{name}`")).collect::<String>();
        page.push_str(&format!("\n## {}\n\n", names.kind));
        let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref());
        let schema = serde_json::to_value(schema.and_then(|schema| schema.open_api_v3_schema.as_ref()));
        let Ok(schema) = schema else { continue };
        page.push_str(&format!("{}\n\n", text(&schema, "description")));
        page.push_str(&format!("Plural `{}.{}`{short}, {scope}.\n\n", names.plural, crd.spec.group));
        for rule in rules(&schema) {
            page.push_str(&format!("Rule: {rule}.\n\n"));
        }
        page.push_str("| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
        rows(&mut page, "", &schema);
    }
    page
}

/// The table of reasons: word, meaning, hint.
pub fn reasons_markdown() -> String {
    let mut page = format!(
        "{GENERATED}# Reasons\n\nEvery word that stands in a condition's `reason`, a run's `reason` or an Event.\n\n"
    );
    page.push_str("| reason | meaning | what to do |\n| --- | --- | --- |\n");
    for reason in Reason::ALL {
        page.push_str(&format!(
            "| `{}` | {} | {} |\n",
            reason.word(),
            reason.meaning(),
            reason.hint().unwrap_or_default()
        ));
    }
    page
}

fn rows(page: &mut String, path: &str, schema: &Value) {
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = default(field, required.contains(&name.as_str()));
        let mut meaning = text(field, "description").replace('\n', "<br>");
        for rule in rules(field) {
            meaning.push_str(&format!("<br>Rule: {rule}."));
        }
        let meaning = meaning.replace('|', "\\|");
        page.push_str(&format!("| `{path}` | {} | {default} | {meaning} |\n", type_of(field)));
        below(page, &path, field);
    }
}

/// The fields inside a field: of an object, of a list's items, of a map's values.
fn below(page: &mut String, path: &str, field: &Value) {
    rows(page, path, field);
    if let Some(items) = field.get("items") {
        rows(page, &format!("{path}[]"), items);
    }
    if let Some(values) = field.get("additionalProperties") {
        rows(page, &format!("{path}.*"), values);
    }
}

fn type_of(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "integer or string".into();
    }
    if let Some(words) = field["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("object") if field.get("additionalProperties").is_some() => {
            format!("map to {}", type_of(&field["additionalProperties"]))
        }
        Some("string") if text(field, "pattern") == super::span::SPAN_PATTERN => "duration".into(),
        Some(name) => name.into(),
        None => "any".into(),
    }
}

/// The schema's own default; else the one that the controller fills in, which the description names.
fn default(field: &Value, required: bool) -> String {
    match field.get("default") {
        Some(Value::String(word)) => format!("`{word}`"),
        Some(value) => format!("`{value}`"),
        None if required => "required".into(),
        None => {
            let description = text(field, "description");
            let stated = description.split_once("Default").map_or("", |(_, rest)| rest.trim_start_matches([':', ' ']));
            stated.split(['.', ';', ',', '(']).next().unwrap_or_default().trim().to_owned()
        }
    }
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn rules(schema: &Value) -> impl Iterator<Item = &str> {
    schema["x-kubernetes-validations"].as_array().into_iter().flatten().map(|rule| text(rule, "message"))
}
