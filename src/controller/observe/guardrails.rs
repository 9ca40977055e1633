//! The RolloutPolicies that select this Rollout, and what of the cluster they ask about.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Gathered;
use crate::{
    api::{Reason, RolloutPolicySpec, TemplateKind},
    controller::{CLUSTER_ANALYSIS_TEMPLATE, ClusterError, GRPC_ROUTE, HTTP_ROUTE, Kind},
    engine::{Guardrails, Refusal, RolloutView},
    workload::object::{self, items, text},
};

/// The facts at this time; what could not be read is added to `unread`, so that nothing starts or goes on without it.
pub(super) fn facts(gathered: &Gathered, rollout: &RolloutView, now: &str, unread: &mut Vec<String>) -> Guardrails {
    let documents = match &gathered.guardrails {
        Ok(documents) => documents,
        Err(error) => {
            unread.push(error.to_string());
            return Guardrails::default();
        }
    };
    let mut problems = Vec::new();
    let mut policies = Vec::new();
    for document in documents {
        match RolloutPolicySpec::deserialize(&document["spec"]) {
            Ok(spec) => policies.push((object::name(document).to_owned(), spec)),
            Err(error) => problems.push(unreadable(document, &error)),
        }
    }
    if let (true, Err(error)) = (policies.iter().any(|(_, spec)| spec.asks_for_namespace_labels()), &gathered.namespace)
    {
        unread.push(error.to_string());
    }
    let of_namespace = gathered.namespace.as_ref().ok().and_then(Option::as_ref).map(labels).unwrap_or_default();
    let of_rollout = labels(&gathered.rollout);
    policies.retain(|(_, spec)| spec.selects(&rollout.namespace, &of_namespace, &of_rollout));
    policies.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut facts = Guardrails::at(now, policies);
    facts.problems.extend(problems);
    Guardrails { hostnames: hostnames(gathered), templates: templates(&gathered.rollout), ..facts }
}

/// A policy that an older or newer CRD has let through: whom it selects cannot be told either, so it holds everybody.
fn unreadable(document: &Value, error: &serde_json::Error) -> Refusal {
    let name = object::name(document);
    let message = format!(
        "RolloutPolicy {name}: spec cannot be read: {error}; correct the field and apply the CRDs of this version"
    );
    Refusal { reason: Reason::PolicyInvalid, message }
}

fn labels(document: &Value) -> BTreeMap<String, String> {
    Deserialize::deserialize(&document["metadata"]["labels"]).unwrap_or_default()
}

fn hostnames(gathered: &Gathered) -> BTreeMap<(String, String), Vec<String>> {
    let routes = gathered.objects.iter().filter(|((kind, _), _)| [HTTP_ROUTE, GRPC_ROUTE].contains(kind));
    let of_route = |((kind, name), read): (&(Kind, String), &Result<Option<Value>, ClusterError>)| {
        let document = read.as_ref().ok()?.as_ref()?;
        let names = items(document, "/spec/hostnames").iter().filter_map(Value::as_str).map(str::to_owned);
        Some(((kind.kind.to_owned(), name.clone()), names.collect()))
    };
    routes.filter_map(of_route).collect()
}

fn templates(rollout: &Value) -> Vec<(TemplateKind, String)> {
    let templates = items(rollout, "/spec/analysis/templates").iter();
    let named = templates.filter_map(|template| {
        let of_cluster = text(template, "/kind") == Some(CLUSTER_ANALYSIS_TEMPLATE.kind);
        let kind = if of_cluster { TemplateKind::ClusterAnalysisTemplate } else { TemplateKind::AnalysisTemplate };
        Some((kind, text(template, "/name")?.to_owned()))
    });
    named.collect()
}
