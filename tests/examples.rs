//! The examples and presets keep to the types: every document of a kind of ours is read, and no field of it gets lost. Each
//! preset tells the arms apart and says how.
//!
//! What only an API server can say of them (CEL rules, other kinds) is tested on one.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::Value;
use tidegate::{
    api::{
        AnalysisSpec, AnalysisTemplate, AnalysisTemplateSpec, ClusterAnalysisTemplate, ErrorBudget, MetricsProvider,
        Reason, ResolvedAnalysis, Rollout, RolloutPolicy, TemplateKind, TemplateRef,
    },
    engine::{Refusal, metric_refusals},
    measure::resolve,
};

/// The files of a folder below `deploy`, with their texts.
fn texts(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    yaml.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

fn documents(folder: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, text) in texts(folder) {
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
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
    for (name, document) in documents("examples").into_iter().chain(documents("presets")) {
        let again = match document["kind"].as_str().unwrap_or_default() {
            "Rollout" => {
                rollouts += 1;
                read_again::<Rollout>(&document)
            }
            "AnalysisTemplate" => read_again::<AnalysisTemplate>(&document),
            "ClusterAnalysisTemplate" => read_again::<ClusterAnalysisTemplate>(&document),
            "MetricsProvider" => read_again::<MetricsProvider>(&document),
            "RolloutPolicy" => read_again::<RolloutPolicy>(&document),
            "Service" | "Deployment" | "HTTPRoute" | "Secret" | "Role" | "RoleBinding" => continue,
            kind => panic!("{name}: kind {kind} is not looked at"),
        };
        assert_holds(&name, &again, &document);
    }
    assert_eq!(rollouts, 5);
}

#[test]
fn the_names_in_an_example_are_those_of_its_objects() {
    let documents = documents("examples");
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

/// The analysis of a Rollout that uses this preset with its defaults.
fn resolved(name: &str, preset: &Value, routed: bool) -> Result<ResolvedAnalysis, Vec<Refusal>> {
    let template: AnalysisTemplateSpec = serde_json::from_value(preset["spec"].clone()).unwrap();
    assert_eq!(metric_refusals("spec.metrics", &template.metrics), [], "{name}");
    let kind = TemplateKind::ClusterAnalysisTemplate;
    let reference = TemplateRef { kind, name: name.to_owned(), args: Vec::new() };
    let analysis = AnalysisSpec { templates: vec![reference], ..AnalysisSpec::default() };
    resolve(&analysis, &[(kind, name.to_owned(), template)], Some(&ErrorBudget::default()), routed)
}

#[test]
fn each_preset_has_errors_and_latency_and_tells_the_arms_apart() {
    let mut without_route = Vec::new();
    for (file, preset) in documents("presets") {
        let name = file.trim_end_matches(".yaml");
        assert_eq!((&preset["kind"], &preset["metadata"]["name"]), (&"ClusterAnalysisTemplate".into(), &name.into()));
        let analysis = resolved(name, &preset, true).unwrap_or_else(|refusals| panic!("{name}: {refusals:?}"));
        let [errors, latency] = analysis.metrics.as_slice() else { panic!("{name}") };
        assert_eq!((errors.name.as_str(), latency.name.as_str()), ("errors", "latency"));
        assert!(errors.ratio.is_some() && latency.latency.is_some(), "{name}");
        let text = serde_json::to_string(&analysis.metrics).unwrap();
        assert!(!text.contains("{{ args."), "{name}: every argument has a default");
        match resolved(name, &preset, false) {
            Ok(_) => without_route.push(name.to_owned()),
            Err(refusals) => {
                assert!(
                    refusals.iter().all(|refusal| refusal.reason == Reason::ArmsNotSeparable),
                    "{name}: {refusals:?}"
                );
            }
        }
    }
    without_route.sort();
    assert_eq!(without_route, ["cilium", "envoy-gateway", "ingress-nginx", "linkerd", "opentelemetry"]);
}

#[test]
fn each_preset_says_how_an_arm_is_told_what_is_assumed_and_who_documents_its_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/presets");
    let table = fs::read_to_string(folder.join("README.md")).unwrap();
    let texts = texts("presets");
    for (file, text) in &texts {
        for words in ["# How an arm is told: ", "# Assumed: ", "# Names: https://"] {
            assert!(text.contains(words), "{file}: {words}");
        }
        let row = table.lines().find(|line| line.starts_with(&format!("| [{file}]({file}) |")));
        let row = row.unwrap_or_else(|| panic!("{file} is not in the table"));
        let preset: Value = serde_yaml_ng::from_str(text).unwrap();
        for argument in preset["spec"]["args"].as_array().unwrap() {
            let (name, value) = (argument["name"].as_str().unwrap(), argument["value"].as_str().unwrap());
            assert!(row.contains(&format!("`{name}` ({value})")), "{file}: {name}");
        }
    }
    assert_eq!(table.matches(".yaml](").count(), texts.len());
}

#[test]
fn presets_of_the_pods_are_the_same_metrics() {
    let presets = documents("presets");
    let spec = |file: &str| presets.iter().find(|(name, _)| name == file).map(|(_, preset)| &preset["spec"]);
    for file in ["envoy-gateway.yaml", "ingress-nginx.yaml"] {
        assert_eq!(spec(file), spec("opentelemetry.yaml"), "{file}");
    }
}
