//! The CRDs and the reference pages are printed from the Rust types: what is committed is what is printed, and it keeps to the
//! conventions of the schema. `UPDATE_GOLDEN=1` rewrites. What the API server says of it is tested with `e2e/data`.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use tidegate::api::{crds, crds::crd_files, reference};

const FORMATS: [&str; 3] = ["int32", "int64", "date-time"];

/// Compares a folder's or a page's file with what is printed now.
fn check(path: &str, printed: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, printed).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == printed, "{path} is not what the types print: UPDATE_GOLDEN=1 cargo test --test crds");
}

/// Visits every schema of every kind with its path.
fn each_schema(visit: &mut dyn FnMut(&str, &Value)) {
    fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
        visit(path, schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), field, visit);
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some(inner) = schema.get(key) {
                walk(&format!("{path}{mark}"), inner, visit);
            }
        }
    }
    for crd in crds() {
        let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        walk(&crd.spec.names.kind, &serde_json::to_value(schema.expect("a schema")).unwrap(), visit);
    }
}

#[test]
fn the_committed_crds_are_the_printed_ones() {
    let files = crd_files();
    // The chart has copies: a link is lost where a tool archives the sources without links, and the chart then installs no CRD.
    for folder in ["crds", "charts/tidegate/files/crds"] {
        for (name, printed) in &files {
            check(&format!("{folder}/{name}"), printed);
        }
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap().map(Result::unwrap);
        let regular = entries.filter(|entry| entry.file_type().unwrap().is_file());
        let found: BTreeSet<String> = regular.map(|file| file.file_name().into_string().unwrap()).collect();
        assert_eq!(found, files.keys().cloned().collect(), "{folder}");
    }
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/tidegate/files/crds");
    assert!(!chart.is_symlink(), "{}", chart.display());
}

#[test]
fn the_committed_reference_is_the_printed_one() {
    check("docs/reference/api.md", &reference::api_markdown());
    check("docs/reference/reasons.md", &reference::reasons_markdown());
}

#[test]
fn all_crds_together_are_below_300_kb() {
    let bytes: usize = crd_files().values().map(String::len).sum();
    assert!(bytes < 300_000, "{bytes} bytes");
}

#[test]
fn every_field_has_a_sentence() {
    each_schema(&mut |path, schema| {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let written = path.contains('.') || name == "spec" || name == "status";
            let said = field["description"].as_str().is_some_and(|text| text.len() > 3);
            assert!(!written || said, "{path}.{name} has no description");
        }
    });
}

#[test]
fn every_string_list_and_map_is_bounded() {
    each_schema(&mut |path, schema| {
        let needs = match schema["type"].as_str() {
            Some("string") if schema.get("enum").is_none() => "maxLength",
            Some("array") => "maxItems",
            Some("object") if schema.get("additionalProperties").is_some() => "maxProperties",
            None if schema["x-kubernetes-int-or-string"] == true => "maxLength",
            _ => return,
        };
        assert!(schema.get(needs).is_some(), "{path} has no {needs}");
    });
}

#[test]
fn what_people_write_has_bounds_of_its_own() {
    each_schema(&mut |path, schema| {
        let kind = path.split('.').next().unwrap_or_default();
        let written = kind != "RolloutRun" && path.starts_with(&format!("{kind}.spec"));
        let length = schema["maxLength"].as_u64().unwrap_or_default();
        let items = schema["maxItems"].as_u64().unwrap_or_default();
        let long = path == "MetricsProvider.spec.caBundle";
        assert!(!written || long || (length <= 1_024 && items <= 256), "{path}: {length} characters, {items} items");
    });
}

#[test]
fn no_schema_has_what_api_servers_refuse_or_warn_about() {
    each_schema(&mut |path, schema| {
        assert_ne!(schema["type"], "number", "{path} is a float");
        assert!(schema.get("nullable").is_none(), "{path} is nullable");
        let format = schema["format"].as_str();
        assert!(format.is_none_or(|format| FORMATS.contains(&format)), "{path} has the format {format:?}");
        for key in ["anyOf", "oneOf", "allOf", "not", "$ref", "uniqueItems"] {
            assert!(schema.get(key).is_none(), "{path} has {key}");
        }
        let known = ["string", "integer", "boolean", "array", "object"].map(Some).contains(&schema["type"].as_str());
        let free = ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"];
        assert!(known || free.iter().any(|key| schema[*key] == true), "{path} has no type");
    });
}

#[test]
fn unknown_fields_are_kept_only_where_documents_are_kept_as_written() {
    let mut kept = Vec::new();
    each_schema(&mut |path, schema| {
        if schema["x-kubernetes-preserve-unknown-fields"] == true {
            kept.push(path.to_owned());
        }
    });
    let expected = [
        "Rollout.spec.workload.template.metadata",
        "Rollout.spec.workload.template.spec",
        "RolloutRun.spec.routes[].rules[].backendRefs[]",
        "RolloutRun.status.evidence.metrics.*.fold",
        "RolloutRun.status.routes[].rules[].backendRefs[]",
    ];
    assert_eq!(kept, expected);
}

#[test]
fn every_rule_has_a_sentence() {
    each_schema(&mut |path, schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            assert!(rule["message"].as_str().is_some_and(|text| text.len() > 20), "{path}: {rule}");
        }
    });
}
