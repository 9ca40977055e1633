//! RolloutPolicies of a file: which of them select a Rollout of it, and what they have against it.
//!
//! Freeze windows are left out: when the Rollout will be applied is not known here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::manifest::{Manifest, Written};
use crate::{
    api::{RolloutPolicySpec, TemplateKind},
    engine::{Guardrails, objections},
    measure::{missing, resolve},
    workload::object::{items, name},
};

/// What the policies say of one Rollout.
#[derive(Debug, Default)]
pub struct Said {
    /// What would keep a run from starting, a sentence each.
    pub violations: Vec<String>,
    /// What was taken for granted, a phrase each.
    pub assumed: Vec<String>,
}

/// `namespace`: where the Rollout is applied if it does not say so.
pub fn ask(manifest: &Manifest, written: &Written, namespace: Option<&str>) -> Said {
    let mut said = Said::default();
    let namespace = written.namespace.as_deref().or(namespace);
    let mut policies = Vec::new();
    for (policy, spec) in manifest.policies() {
        match RolloutPolicySpec::deserialize(spec) {
            Ok(spec) => policies.extend(selected(manifest, written, namespace, policy, spec, &mut said)),
            Err(error) => said.violations.push(format!("RolloutPolicy {policy}: spec cannot be read: {error}")),
        }
    }
    policies.sort_by(|(one, _), (other, _)| one.cmp(other));
    let templates = manifest.templates();
    let analysis = match missing(&written.analysis, &templates).as_slice() {
        [] => {
            let (budget, routed) = (written.valid.error_budget.as_ref(), !written.valid.routes.is_empty());
            resolve(&written.analysis, &templates, budget, routed).unwrap_or_default()
        }
        [(kind, name), ..] => {
            assume_metrics(&mut policies, *kind, name, &mut said);
            crate::api::ResolvedAnalysis::default()
        }
    };
    let named = written.analysis.templates.iter().map(|template| (template.kind, template.name.clone()));
    let rails = Guardrails {
        hostnames: hostnames(manifest),
        templates: named.collect(),
        ..Guardrails::at(&Timestamp::now().to_string(), policies)
    };
    said.violations.extend(objections(&rails, &written.valid, &analysis).into_iter().map(|refusal| refusal.message));
    said
}

/// The policy if it selects the Rollout; what the file does not say of the namespace is taken as selected.
fn selected(
    manifest: &Manifest,
    written: &Written,
    namespace: Option<&str>,
    policy: String,
    mut spec: RolloutPolicySpec,
    said: &mut Said,
) -> Option<(String, RolloutPolicySpec)> {
    let of_namespace = namespace.and_then(|wanted| manifest.namespace_labels(wanted));
    let written_selector = spec.namespaces.clone();
    if let Some(selector) = &mut spec.namespaces {
        if namespace.is_none() {
            selector.names.clear();
        }
        if of_namespace.is_none() {
            selector.match_labels.clear();
        }
    }
    if !spec.selects(namespace.unwrap_or_default(), &of_namespace.unwrap_or_default(), &written.labels) {
        return None;
    }
    if spec.namespaces != written_selector {
        said.assumed.push(format!("a namespace that RolloutPolicy {policy} selects"));
    }
    Some((policy, spec))
}

/// The metrics of a template that is not in the file may be the ones that are asked for.
fn assume_metrics(policies: &mut [(String, RolloutPolicySpec)], kind: TemplateKind, template: &str, said: &mut Said) {
    for (policy, spec) in policies {
        if let Some(required) = spec.analysis.as_mut().filter(|required| !required.metrics.is_empty()) {
            required.metrics.clear();
            let phrase = format!(
                "the metrics that RolloutPolicy {policy} asks for in {kind:?} {template}, which is not in the file"
            );
            said.assumed.push(phrase);
        }
    }
}

/// Hostnames of the file's routes, by kind and name.
fn hostnames(manifest: &Manifest) -> BTreeMap<(String, String), Vec<String>> {
    let is_route = |document: &&Value| ["HTTPRoute", "GRPCRoute"].iter().any(|kind| document["kind"] == **kind);
    let of_route = |document: &Value| {
        let kind = document["kind"].as_str().unwrap_or_default().to_owned();
        let names = items(document, "/spec/hostnames").iter().filter_map(Value::as_str).map(str::to_owned);
        ((kind, name(document).to_owned()), names.collect())
    };
    manifest.documents().iter().filter(is_route).map(of_route).collect()
}
