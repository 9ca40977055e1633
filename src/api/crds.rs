//! The CustomResourceDefinitions, printed from the Rust types. `crds/` holds what this prints; `tests/crds.rs` compares.
//!
//! Nothing is applied to a cluster here.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation,
};
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::structural::structural_schema;
use super::{
    AnalysisTemplate, ClusterAnalysisTemplate, MetricsProvider, Rollout, RolloutAction, RolloutPolicy, RolloutRun,
};

/// Every kind, in the order of the reference.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        definition::<Rollout>(default_status),
        definition::<RolloutRun>(relax_record),
        definition::<RolloutAction>(as_derived),
        definition::<AnalysisTemplate>(as_derived),
        definition::<ClusterAnalysisTemplate>(as_derived),
        definition::<MetricsProvider>(as_derived),
        definition::<RolloutPolicy>(as_derived),
    ]
}

/// All kinds as one YAML stream.
pub fn crds_yaml() -> String {
    crds().iter().map(|crd| format!("---\n{}", yaml(crd))).collect()
}

/// Each kind as a YAML document by file name, as `crds/` holds them.
pub fn crd_files() -> BTreeMap<String, String> {
    crds().iter().map(|crd| (format!("{}.yaml", crd.metadata.name.as_deref().unwrap_or_default()), yaml(crd))).collect()
}

/// A definition whose schema is not representable would be printed without a schema: the test on `crds/` refuses it.
fn definition<T: CustomResourceExt + JsonSchema>(finish: fn(&mut Value)) -> CustomResourceDefinition {
    let mut schema = structural_schema::<T>();
    finish(&mut schema);
    let mut crd = T::crd();
    for version in &mut crd.spec.versions {
        let open_api_v3_schema = serde_json::from_value(schema.clone()).ok();
        version.schema = Some(CustomResourceValidation { open_api_v3_schema });
    }
    crd
}

fn as_derived(_: &mut Value) {}

/// Until the controller has seen a Rollout, its observedGeneration is -1: so a reader never takes "no status" for "up to date". The default
/// is on the parent, since a default below an absent parent is never applied.
fn default_status(schema: &mut Value) {
    if let Some(status) = schema.pointer_mut("/properties/status") {
        status["default"] = json!({"observedGeneration": -1});
    }
}

/// A run's spec was checked when it was a Rollout's. Checked again, by rules of another age or with arguments filled in, it might be refused
/// when the run is to begin: only its immutability is kept, and long texts fit.
fn relax_record(schema: &mut Value) {
    const TEXT: u64 = 4_096;
    fn relax(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                map.remove("x-kubernetes-validations");
                if map.get("type") == Some(&json!("string")) && map.contains_key("maxLength") {
                    map.insert("maxLength".into(), json!(TEXT));
                    map.remove("pattern");
                }
                map.values_mut().for_each(relax);
            }
            Value::Array(items) => items.iter_mut().for_each(relax),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    if let Some(fields) = schema.pointer_mut("/properties/spec/properties") {
        relax(fields);
    }
}

fn yaml(crd: &CustomResourceDefinition) -> String {
    let mut document = serde_json::to_value(crd).unwrap_or_default();
    whole_numbers(&mut document);
    serde_yaml_ng::to_string(&document).unwrap_or_default()
}

/// Bounds are floats in the Rust type; people write `minimum: 0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                *value = json!(float as i64);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
