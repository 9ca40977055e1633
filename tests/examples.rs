//! The examples keep to the types: every document of a kind of ours is read, and no field of it gets lost.
//!
//! What only an API server can say of them (CEL rules, other kinds) is tested on one.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::Value;
use tidegate::api::{AnalysisTemplate, MetricsProvider, Rollout};

fn documents() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for document in serde_yaml_ng::Deserializer::from_str(&fs::read_to_string(&path).unwrap()) {
            found.push((name.clone(), Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}"))));
        }
    }
    found
}

fn read_again<K: serde::de::DeserializeOwned + serde::Serialize>(document: &Value) -> Value {
    let read: K = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error}: {document}"));
    serde_json::to_value(read).unwrap()
}

/// Everything written is still there; defaults may have come.
fn assert_holds(at: &str, whole: &Value, part: &Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                let found = whole.get(key).unwrap_or_else(|| panic!("{at}.{key} is no field"));
                assert_holds(&format!("{at}.{key}"), found, value);
            }
        }
        (Value::Array(whole), Value::Array(part)) if whole.len() == part.len() => {
            for (index, (whole, part)) in whole.iter().zip(part).enumerate() {
                assert_holds(&format!("{at}[{index}]"), whole, part);
            }
        }
        _ => assert_eq!(whole, part, "{at}"),
    }
}

#[test]
fn every_example_is_read_and_no_field_gets_lost() {
    let mut rollouts = 0;
    for (name, document) in documents() {
        let again = match document["kind"].as_str().unwrap_or_default() {
            "Rollout" => {
                rollouts += 1;
                read_again::<Rollout>(&document)
            }
            "AnalysisTemplate" => read_again::<AnalysisTemplate>(&document),
            "MetricsProvider" => read_again::<MetricsProvider>(&document),
            "Service" | "Deployment" | "HTTPRoute" => continue,
            kind => panic!("{name}: kind {kind} is not looked at"),
        };
        assert_holds(&name, &again, &document);
    }
    assert_eq!(rollouts, 5);
}

#[test]
fn the_names_in_an_example_are_those_of_its_objects() {
    let documents = documents();
    let exists = |file: &str, kind: &str, name: &Value| {
        documents.iter().any(|(other, it)| other == file && it["kind"] == *kind && it["metadata"]["name"] == *name)
    };
    for (file, rollout) in documents.iter().filter(|(_, document)| document["kind"] == "Rollout") {
        let traffic = &rollout["spec"]["traffic"];
        for service in traffic["services"].as_array().into_iter().flatten() {
            assert!(exists(file, "Service", &service["name"]), "{file}: {service}");
        }
        for route in traffic["routes"].as_array().into_iter().flatten() {
            assert!(exists(file, "HTTPRoute", &route["gatewayAPI"]["name"]), "{file}: {route}");
        }
        for template in rollout["spec"]["analysis"]["templates"].as_array().into_iter().flatten() {
            assert!(exists(file, "AnalysisTemplate", &template["name"]), "{file}: {template}");
        }
    }
}
