//! What the API server or the controller would refuse in one document, in the words of whoever refuses it.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    api::{AnalysisTemplateSpec, MetricsProviderSpec, RolloutPolicySpec},
    cli::{
        manifest::{Templates, checked, sentences},
        near,
    },
    engine::{Guardrails, metric_refusals},
    measure::{NoSecrets, Prometheus, refused_queries},
    sim::server::schema,
};

pub const VERSION: &str = "tidegate.io/v1alpha1";

/// Everything that is wrong with a document of ours.
pub fn problems(document: &Value, templates: &Templates) -> Vec<String> {
    let kind = document["kind"].as_str().unwrap_or_default();
    let Some(known) = schema::named(kind) else {
        let hint = near::hint(kind, &schema::kinds(), "").unwrap_or_default();
        return vec![format!("tidegate.io has no kind {kind:?}: {hint}")];
    };
    let mut found = Vec::new();
    if document["apiVersion"] != VERSION {
        found.push(format!("apiVersion is {}: write {VERSION}", document["apiVersion"]));
    }
    found.extend(schema::unknown(known, document).into_iter().map(|(path, fields)| {
        let name = path.rsplit('.').next().unwrap_or_default();
        let hint = near::hint(name, &fields, "Nothing may stand there").unwrap_or_default();
        format!("{path} is not a field. {hint}")
    }));
    found.extend(in_words(kind, document, templates));
    // The schema's own sentences name no fix: they are for what the code has not said better.
    let left: Vec<String> =
        by_schema(known, document).into_iter().filter(|violation| !is_said(violation, &found)).collect();
    found.extend(left);
    let mut seen = BTreeSet::new();
    found.retain(|sentence| seen.insert(sentence.clone()));
    found
}

/// Whether the path at which the schema is violated is in one of these sentences.
fn is_said(violation: &str, said: &[String]) -> bool {
    let path = violation.split(": ").next().unwrap_or_default();
    let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_alphanumeric() || ".[".contains(next));
    said.iter().any(|sentence| {
        let mut places = sentence.match_indices(path);
        places.any(|(at, _)| !goes_on(&sentence[at + path.len()..]))
    })
}

fn by_schema(known: &Value, document: &Value) -> Vec<String> {
    let mut document = document.clone();
    schema::prune(known, &mut document);
    schema::default(known, &mut document);
    let found = schema::violations(known, None, &document, "");
    found.into_iter().map(|violation| violation.trim_start_matches('.').to_owned()).collect()
}

fn in_words(kind: &str, document: &Value, templates: &Templates) -> Vec<String> {
    match kind {
        "Rollout" => checked(document, templates).err().unwrap_or_default(),
        "AnalysisTemplate" | "ClusterAnalysisTemplate" => spec(document, |spec: &AnalysisTemplateSpec| {
            let refusals = metric_refusals("spec.metrics", &spec.metrics);
            sentences(refusals.into_iter().chain(refused_queries(spec)).collect())
        }),
        "MetricsProvider" => spec(document, |spec: &MetricsProviderSpec| {
            Prometheus::new("", spec, Arc::new(NoSecrets)).err().map(|error| error.to_string()).into_iter().collect()
        }),
        "RolloutPolicy" => spec(document, |spec: &RolloutPolicySpec| {
            let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            sentences(Guardrails::at(&Timestamp::now().to_string(), vec![(name, spec.clone())]).problems)
        }),
        _ => Vec::new(),
    }
}

/// The problems of a spec that can be read; what cannot is the schema's to say.
fn spec<S: DeserializeOwned>(document: &Value, problems: impl Fn(&S) -> Vec<String>) -> Vec<String> {
    serde_json::from_value(document["spec"].clone()).map(|spec| problems(&spec)).unwrap_or_default()
}
