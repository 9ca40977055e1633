//! What the author of a Rollout had better know, although nobody refuses it.

use serde_json::Value;

use super::Severity;
use crate::{
    api::{AnalysisSpec, Metric, RolloutSpec, TemplateKind},
    cli::manifest::{Templates, is_empty},
    engine::read_spec,
    measure::{Placeholder, missing, uses},
};

/// How Envoy Gateway begins the name of an Envoy cluster, of which it makes one for each rule.
const RULE_CLUSTER: &str = "httproute/";

/// Of a Rollout whose spec can be read.
pub fn of(document: &Value, templates: &Templates, everything: &[&Value]) -> Vec<(Severity, String)> {
    let Ok(spec) = read_spec(document) else { return Vec::new() };
    let analysis = spec.analysis.clone().unwrap_or_default();
    let mut said = Vec::new();
    said.extend(judges_nothing(&spec, &analysis).map(|text| (Severity::Warning, text)));
    said.extend(numbered_ports(document, everything).into_iter().map(|text| (Severity::Warning, text)));
    for (kind, name) in missing(&analysis, templates) {
        said.push((Severity::Note, format!("{kind:?} {name} is not in these files: its metrics were not looked at")));
    }
    for metric in metrics(&analysis, templates) {
        said.extend(by_rule(metric).map(|text| (Severity::Warning, text)));
        said.extend(at_the_pods(&spec, metric).map(|text| (Severity::Note, text)));
    }
    said
}

fn judges_nothing(spec: &RolloutSpec, analysis: &AnalysisSpec) -> Option<String> {
    let is_judged = !is_empty(analysis) || spec.error_budget.is_some();
    let text = "nothing judges a release: each step ends by its time alone. Name a template in spec.analysis.templates, \
        or give spec.errorBudget and a metric";
    (!is_judged).then(|| text.to_owned())
}

/// Ports follow the application's Service while both revisions serve.
fn numbered_ports(document: &Value, everything: &[&Value]) -> Vec<String> {
    let services = document["spec"]["traffic"]["services"].as_array().into_iter().flatten();
    let named: Vec<&Value> = services.map(|service| &service["name"]).collect();
    let ours = move |service: &&&Value| {
        let namespace = &document["metadata"]["namespace"];
        service["kind"] == "Service"
            && named.contains(&&service["metadata"]["name"])
            && service["metadata"]["namespace"] == *namespace
    };
    let found = everything.iter().filter(ours).flat_map(|service| {
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        ports.filter(|port| port["targetPort"].is_number()).map(|port| {
            format!(
                "Service {}, port {}: targetPort {} is a number. A release that changes it together with the pods cuts the \
                 stable ones off at once: name the port in the pod template, and write the name here",
                service["metadata"]["name"].as_str().unwrap_or_default(),
                port["port"],
                port["targetPort"]
            )
        })
    });
    found.collect()
}

/// Those of the Rollout, and of its templates that are there.
fn metrics<'m>(analysis: &'m AnalysisSpec, templates: &'m Templates) -> impl Iterator<Item = &'m Metric> {
    let named = |kind: TemplateKind, name: &str| {
        analysis.templates.iter().any(|reference| (reference.kind, reference.name.as_str()) == (kind, name))
    };
    let of_templates = templates.iter().filter(move |(kind, name, _)| named(*kind, name));
    analysis.metrics.iter().chain(of_templates.flat_map(|(_, _, template)| &template.metrics))
}

fn by_rule(metric: &Metric) -> Option<String> {
    let is_by_rule = queries(metric).any(|query| query.contains(RULE_CLUSTER));
    is_by_rule.then(|| {
        format!(
            "metric {} selects an Envoy cluster by {RULE_CLUSTER}...: Envoy Gateway makes one for each rule of a route, in which \
             both revisions are, and counts nothing for each backend. Take the preset envoy-gateway, which counts at the pods",
            metric.name
        )
    })
}

fn at_the_pods(spec: &RolloutSpec, metric: &Metric) -> Option<String> {
    let is_at_the_pods = queries(metric).any(|query| uses(query, &Placeholder::Pods));
    (is_at_the_pods && !spec.traffic.routes.is_empty()).then(|| {
        format!(
            "metric {} counts what the pods answer: a request that no pod has answered is not in it, and requests that come \
             past the route are. With Envoy Gateway, which has one cluster for each rule, and with ingress-nginx there is no \
             counter for each backend; with another gateway its own preset sees more",
            metric.name
        )
    })
}

fn queries(metric: &Metric) -> impl Iterator<Item = &str> {
    let ratio =
        metric.ratio.iter().flat_map(|ratio| [ratio.bad.as_deref(), ratio.good.as_deref(), Some(ratio.total.as_str())]);
    let latency = metric.latency.iter().map(|latency| Some(latency.histogram.as_str()));
    ratio.chain(latency).flatten()
}
