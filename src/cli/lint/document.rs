//! What the API server or the controller would refuse in one document, in the words of whoever refuses it.

use std::sync::Arc;

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
    measure::{NoSecrets, Prometheus},
    sim::server::schema,
};

const VERSION: &str = "tidegate.io/v1alpha1";

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
    let said = in_words(kind, document, templates);
    let is_silent = said.is_empty();
    found.extend(said);
    // The schema's own sentences name no fix: they are for what the code has not said better.
    if is_silent {
        found.extend(by_schema(known, document));
    }
    found
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
        "AnalysisTemplate" | "ClusterAnalysisTemplate" => {
            spec(document, |spec: &AnalysisTemplateSpec| sentences(metric_refusals("spec.metrics", &spec.metrics)))
        }
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
