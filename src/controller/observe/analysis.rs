//! The analysis that a run would freeze: templates and arguments filled in, a provider chosen.

use serde::Deserialize;
use serde_json::Value;

use super::{Gathered, seen};
use crate::{
    api::{
        AnalysisSpec, AnalysisTemplateSpec, ErrorBudget, MetricsProviderSpec, Reason, ResolvedAnalysis, TemplateKind,
    },
    controller::{ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE},
    engine::{Refusal, Seen},
    measure,
    workload::object,
};

/// The resolved analysis, or everything that is wrong with it.
pub(super) fn resolve(gathered: &Gathered) -> Result<ResolvedAnalysis, Vec<Refusal>> {
    let spec = &gathered.rollout["spec"];
    // What cannot be read here is refused with the spec.
    let analysis = <Option<AnalysisSpec>>::deserialize(&spec["analysis"]).unwrap_or_default();
    let budget = <Option<ErrorBudget>>::deserialize(&spec["errorBudget"]).unwrap_or_default();
    if analysis.is_none() && budget.is_none() {
        return Ok(ResolvedAnalysis::default());
    }
    let analysis = analysis.unwrap_or_default();
    let templates = templates(gathered, &analysis)?;
    // Templates have metrics, also those that are missing yet.
    let measures = !analysis.metrics.is_empty() || !analysis.templates.is_empty();
    let provider = measures.then(|| provider(gathered, analysis.provider.as_deref()));
    let routed = spec["traffic"]["routes"].as_array().is_some_and(|routes| !routes.is_empty());
    match (measure::resolve(&analysis, &templates, budget.as_ref(), routed), provider) {
        (Ok(resolved), None) => Ok(resolved),
        (Ok(resolved), Some(Ok((name, provider)))) => {
            let refusals = measure::foreign(&resolved.metrics, &provider.tenancy, object::namespace(&gathered.rollout));
            if refusals.is_empty() { Ok(ResolvedAnalysis { provider: Some(name), ..resolved }) } else { Err(refusals) }
        }
        (Ok(_), Some(Err(refusal))) => Err(vec![refusal]),
        (Err(refusals), None | Some(Ok(_))) => Err(refusals),
        (Err(refusals), Some(Err(refusal))) => Err(refusals.into_iter().chain([refusal]).collect()),
    }
}

type Templates = Vec<(TemplateKind, String, AnalysisTemplateSpec)>;

/// The templates that exist of those the analysis names.
fn templates(gathered: &Gathered, analysis: &AnalysisSpec) -> Result<Templates, Vec<Refusal>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for reference in &analysis.templates {
        let kind = match reference.kind {
            TemplateKind::AnalysisTemplate => ANALYSIS_TEMPLATE,
            TemplateKind::ClusterAnalysisTemplate => CLUSTER_ANALYSIS_TEMPLATE,
        };
        match seen(gathered.objects.get(&(kind, reference.name.clone()))) {
            Seen::Known(document) => match Deserialize::deserialize(&document["spec"]) {
                Ok(template) => found.push((reference.kind, reference.name.clone(), template)),
                Err(error) => problems.push(Refusal {
                    reason: Reason::InvalidSpec,
                    message: format!("{} {}: spec cannot be read: {error}", kind.kind, reference.name),
                }),
            },
            // Said by `resolve` with the place that names it.
            Seen::Absent => {}
            Seen::Unknown(message) => problems.push(Refusal { reason: Reason::ApiUnavailable, message }),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// The MetricsProvider of this name, or the default one, if this namespace may use it.
pub(super) fn provider(gathered: &Gathered, name: Option<&str>) -> Result<(String, MetricsProviderSpec), Refusal> {
    let missing = |message: String| Refusal { reason: Reason::ProviderMissing, message };
    let documents = gathered
        .providers
        .as_ref()
        .map_err(|error| Refusal { reason: Reason::ApiUnavailable, message: error.to_string() })?;
    let namespace = object::namespace(&gathered.rollout);
    let mut readable = documents.iter().filter_map(|document| Some((object::name(document), read(document)?)));
    let Some(name) = name else {
        let default = readable.find(|(_, spec)| spec.default && spec.allows(namespace));
        return default.map(|(name, spec)| (name.to_owned(), spec)).ok_or_else(|| {
            missing(format!("no MetricsProvider is the default for namespace {namespace}: set spec.default of one, or name one in spec.analysis.provider"))
        });
    };
    match readable.find(|(found, _)| *found == name) {
        Some((_, spec)) if spec.allows(namespace) => Ok((name.to_owned(), spec)),
        Some(_) => Err(missing(format!(
            "MetricsProvider {name} does not allow namespace {namespace}: add it to spec.namespaces"
        ))),
        None => {
            Err(missing(format!("MetricsProvider {name} does not exist: create it, or correct spec.analysis.provider")))
        }
    }
}

fn read(document: &Value) -> Option<MetricsProviderSpec> {
    Deserialize::deserialize(&document["spec"]).ok()
}
