//! Templates and arguments made into the metrics that a run freezes.
//!
//! Arguments are filled in here, once; what is per arm stays as written until the metric is read. All problems are found at
//! once. It does not choose a provider.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    order::{Arm, ArmNames, Order},
    placeholder::Placeholder,
    promql::{QueryError, Value, check_selector, fill},
    tenancy::Tenancy,
};
use crate::{
    api::{
        AnalysisSpec, AnalysisTemplateSpec, Arg, ErrorBudget, Judging, Metric, Plan, Reason, ResolvedAnalysis, Span,
        TemplateKind, TemplateRef, TenancyRule, ThresholdMetric,
    },
    engine::Refusal,
    stats::{Terms, ThresholdPlan},
};

/// Metrics of one analysis: the run's record must have room for all of them.
const MOST_METRICS: usize = 12;
/// Of these, latency metrics without a threshold: each has a test for each of its boundaries in the record.
const MOST_BY_BOUNDARIES: usize = 3;
const LONGEST_NAME: usize = 63;

/// The metrics of an analysis, or everything that is wrong with it. `templates` are those that exist, of both kinds; `routed`:
/// routes make the split, and each arm has a Service of its own.
pub fn resolve(
    analysis: &AnalysisSpec,
    templates: &[(TemplateKind, String, AnalysisTemplateSpec)],
    budget: Option<&ErrorBudget>,
    routed: bool,
) -> Result<ResolvedAnalysis, Vec<Refusal>> {
    resolved(Work { routed, ..Work::default() }, analysis, templates, budget)
}

/// The same where templates may exist that are not in `templates`: they are left out, and what they could hold is not missed.
pub fn resolve_known(
    analysis: &AnalysisSpec,
    templates: &[(TemplateKind, String, AnalysisTemplateSpec)],
    budget: Option<&ErrorBudget>,
    routed: bool,
) -> Result<ResolvedAnalysis, Vec<Refusal>> {
    let lacking = !missing(analysis, templates).is_empty();
    resolved(Work { routed, lacking, ..Work::default() }, analysis, templates, budget)
}

/// Templates that the analysis names and that are not there.
pub fn missing(
    analysis: &AnalysisSpec,
    templates: &[(TemplateKind, String, AnalysisTemplateSpec)],
) -> Vec<(TemplateKind, String)> {
    let is_there =
        |kind: TemplateKind, name: &str| templates.iter().any(|(its, named, _)| *its == kind && named == name);
    let named = analysis.templates.iter().map(|reference| (reference.kind, reference.name.clone()));
    named.filter(|(kind, name)| !is_there(*kind, name)).collect()
}

/// What is wrong with the queries of a template, whoever uses it. What else can be wrong with its metrics is not looked for.
pub fn refused_queries(template: &AnalysisTemplateSpec) -> Vec<Refusal> {
    // An argument's value is put in as the value of a label: which one it is changes nothing.
    let value = |arg: &Arg| (arg.name.clone(), arg.value.clone().unwrap_or_else(|| "x".into()));
    let values = template.args.iter().map(value).collect();
    let mut work = Work { routed: true, ..Work::default() };
    for (index, metric) in template.metrics.iter().enumerate() {
        let (at, mut metric) = (format!("spec.metrics[{index}]"), metric.clone());
        work.fill_queries(&at, &mut metric, &values);
        work.check_queries(&at, &mut metric);
    }
    work.refusals
}

fn resolved(
    mut work: Work,
    analysis: &AnalysisSpec,
    templates: &[(TemplateKind, String, AnalysisTemplateSpec)],
    budget: Option<&ErrorBudget>,
) -> Result<ResolvedAnalysis, Vec<Refusal>> {
    for (index, reference) in analysis.templates.iter().enumerate() {
        work.take_template(index, reference, templates);
    }
    for (index, metric) in analysis.metrics.iter().enumerate() {
        work.take_metric(&format!("spec.analysis.metrics[{index}]"), metric, &BTreeMap::new());
    }
    work.check_set(budget);
    work.check_judging(&analysis.judging, budget);
    if work.refusals.is_empty() {
        Ok(ResolvedAnalysis {
            provider: analysis.provider.clone(),
            metrics: work.metrics,
            on_insufficient_evidence: analysis.on_insufficient_evidence,
            on_metrics_unavailable: analysis.on_metrics_unavailable,
            judging: analysis.judging.clone(),
        })
    } else {
        Err(work.refusals)
    }
}

#[derive(Default)]
struct Work {
    routed: bool,
    /// Templates that are not known may exist, and have metrics.
    lacking: bool,
    metrics: Vec<Metric>,
    refusals: Vec<Refusal>,
}

impl Work {
    fn refuse(&mut self, reason: Reason, message: String) {
        self.refusals.push(Refusal { reason, message });
    }

    fn check_judging(&mut self, judging: &Judging, budget: Option<&ErrorBudget>) {
        // Neither the plan nor the window bears on what is checked.
        let terms = Terms::new(budget.map(|budget| budget.objective), &Plan::default(), 5.0).with(judging);
        let mut problems = terms.problems();
        if let Some(given) = judging.overdispersion.filter(|given| !(1.0..=30.0).contains(&given.value())) {
            problems.push(format!("overdispersion is {given}: give a number from 1 to 30"));
        }
        // The schema's bounds, for manifests that no API server has seen.
        for (field, given, bounds) in [
            ("confirmWindows", judging.confirm_windows, 2..=10),
            ("metricsGrace", judging.metrics_grace, 1..=100),
            ("minCanaryRequests", judging.min_canary_requests, 0..=1_000_000),
        ] {
            if let Some(given) = given.filter(|given| !bounds.contains(given)) {
                let (least, most) = bounds.into_inner();
                problems.push(format!("{field} is {given}: give a number from {least} to {most}"));
            }
        }
        if judging.horizon == Some(Span::ZERO) {
            problems.push("horizon is 0s: give a time above 0s, or leave it out for its default".into());
        }
        for problem in problems {
            self.refuse(Reason::InvalidSpec, format!("spec.analysis.{problem}"));
        }
    }

    fn take_template(
        &mut self,
        index: usize,
        reference: &TemplateRef,
        templates: &[(TemplateKind, String, AnalysisTemplateSpec)],
    ) {
        let TemplateRef { kind, name, args } = reference;
        let at = format!("spec.analysis.templates[{index}]");
        let found = templates.iter().find(|(its_kind, its_name, _)| its_kind == kind && its_name == name);
        let Some((_, _, template)) = found else {
            if self.lacking {
                return;
            }
            return self.refuse(Reason::TemplateMissing, format!("{at}: {kind:?} {name} does not exist"));
        };
        let mut values = BTreeMap::new();
        for arg in args {
            if template.args.iter().all(|declared| declared.name != arg.name) {
                let message = format!("{at}.args: {kind:?} {name} has no argument {}", arg.name);
                self.refuse(Reason::InvalidSpec, message);
            }
        }
        for declared in &template.args {
            let given = args.iter().find(|arg| arg.name == declared.name).and_then(|arg| arg.value.as_ref());
            match given.or(declared.value.as_ref()) {
                Some(value) => {
                    values.insert(declared.name.clone(), value.clone());
                }
                None => {
                    let message = format!("{at}.args: {kind:?} {name} needs a value for argument {}", declared.name);
                    self.refuse(Reason::TemplateMissing, message);
                }
            }
        }
        for metric in &template.metrics {
            self.take_metric(&format!("{kind:?} {name}, metric {}", metric.name), metric, &values);
        }
    }

    fn take_metric(&mut self, at: &str, metric: &Metric, values: &BTreeMap<String, String>) {
        let mut metric = metric.clone();
        let kinds =
            [metric.ratio.is_some(), metric.latency.is_some(), metric.gauge.is_some(), metric.threshold.is_some()];
        if kinds.iter().filter(|given| **given).count() != 1 {
            self.refuse(Reason::InvalidSpec, format!("{at}: give exactly one of ratio, latency, gauge and threshold"));
        }
        if metric.name.is_empty() || metric.name.len() > LONGEST_NAME {
            self.refuse(Reason::InvalidSpec, format!("{at}.name: give a name of 1 to {LONGEST_NAME} characters"));
        }
        self.fill_queries(at, &mut metric, values);
        self.check_metric(at, &mut metric);
        self.metrics.push(metric);
    }

    fn fill_queries(&mut self, at: &str, metric: &mut Metric, values: &BTreeMap<String, String>) {
        for (field, query) in queries(metric) {
            match fill_arguments(query, values) {
                Ok(filled) => *query = filled,
                Err((reason, why)) => self.refuse(reason, format!("{at}.{field}: {why}")),
            }
        }
    }

    fn check_metric(&mut self, at: &str, metric: &mut Metric) {
        if metric.ratio.as_ref().is_some_and(|ratio| ratio.bad.is_some() == ratio.good.is_some()) {
            self.refuse(Reason::InvalidSpec, format!("{at}.ratio: give exactly one of bad and good"));
        }
        if let Some(threshold) = &metric.threshold {
            self.check_threshold(at, threshold);
        }
        self.check_queries(at, metric);
    }

    fn check_queries(&mut self, at: &str, metric: &mut Metric) {
        let is_selector = metric.ratio.is_some() || metric.latency.is_some();
        let compares = is_selector || metric.gauge.is_some();
        for (field, query) in queries(metric) {
            if is_selector && let Err(error) = check_selector(query) {
                self.refuse(Reason::InvalidSpec, format!("{at}.{field}: {error}"));
            } else if compares && !is_separable(query, self.routed) {
                let how = if self.routed {
                    "add a label of one revision, such as {{ route.cluster }}, {{ service }}, {{ revision }} or {{ pods }}"
                } else {
                    "without a route both revisions are behind one Service: add a label of one, such as {{ revision }} or {{ pods }}"
                };
                let message = format!("{at}.{field}: both arms select the same series with {query:.160}; {how}");
                self.refuse(Reason::ArmsNotSeparable, message);
            }
        }
    }

    fn check_threshold(&mut self, at: &str, threshold: &ThresholdMetric) {
        if threshold.success.is_some() == threshold.failure.is_some() {
            self.refuse(Reason::InvalidSpec, format!("{at}.threshold: give exactly one of success and failure"));
        } else if let Err(error) = ThresholdPlan::new(threshold) {
            self.refuse(Reason::InvalidSpec, format!("{at}.threshold: {error}"));
        }
    }

    fn check_set(&mut self, budget: Option<&ErrorBudget>) {
        if self.metrics.len() > MOST_METRICS {
            let message = format!("spec.analysis: {} metrics, at most {MOST_METRICS} are possible", self.metrics.len());
            self.refuse(Reason::InvalidSpec, message);
        }
        let by_boundaries =
            |metric: &&Metric| metric.latency.as_ref().is_some_and(|latency| latency.threshold.is_none());
        let found: Vec<_> = self.metrics.iter().filter(by_boundaries).map(|metric| metric.name.as_str()).collect();
        if found.len() > MOST_BY_BOUNDARIES {
            let message = format!(
                "spec.analysis: {} latency metrics without a threshold ({}), at most {MOST_BY_BOUNDARIES} are possible: give \
                 the others a threshold, such as 250ms",
                found.len(),
                found.join(", ")
            );
            self.refuse(Reason::InvalidSpec, message);
        }
        let mut names = BTreeSet::new();
        let twice: BTreeSet<_> =
            self.metrics.iter().map(|metric| metric.name.clone()).filter(|name| !names.insert(name.clone())).collect();
        for name in twice {
            self.refuse(Reason::InvalidSpec, format!("spec.analysis: metric {name} is there twice, rename one"));
        }
        let Some(budget) = budget else { return };
        let is_known = |name: &String| self.metrics.iter().any(|metric| metric.name == *name);
        if self.lacking && !budget.metric.as_ref().is_some_and(is_known) {
            return;
        }
        let mut ratios = self.metrics.iter().filter(|metric| metric.ratio.is_some());
        let message = match &budget.metric {
            Some(name) if ratios.all(|metric| metric.name != *name) => {
                format!("spec.errorBudget.metric: there is no ratio metric {name}")
            }
            None if ratios.next().is_none() => {
                "spec.errorBudget: add a ratio metric to spec.analysis, its requests are counted".into()
            }
            _ => return,
        };
        self.refuse(Reason::InvalidSpec, message);
    }
}

/// What of these metrics a namespace may not ask a provider with such rules.
pub fn foreign(metrics: &[Metric], rules: &[TenancyRule], namespace: &str) -> Vec<Refusal> {
    let tenancy = Tenancy::new(rules, namespace);
    // The names of revisions and Services are of the namespace, whatever they are.
    let order = Order { namespace: namespace.to_owned(), ..Order::default() };
    let mut refusals = Vec::new();
    for metric in metrics {
        for (field, query) in queries(&mut metric.clone()) {
            // What cannot be filled in is refused elsewhere.
            let Ok(filled) = order.query(query, Arm::Canary) else { continue };
            if let Err(error) = tenancy.limit(&filled) {
                let message = format!("metric {}, {field}: {error}", metric.name);
                refusals.push(Refusal { reason: Reason::InvalidSpec, message });
            }
        }
    }
    refusals
}

/// Every query of a metric with its field.
fn queries(metric: &mut Metric) -> Vec<(&'static str, &mut String)> {
    let mut found = Vec::new();
    if let Some(ratio) = &mut metric.ratio {
        found.extend(ratio.bad.as_mut().map(|query| ("ratio.bad", query)));
        found.extend(ratio.good.as_mut().map(|query| ("ratio.good", query)));
        found.push(("ratio.total", &mut ratio.total));
    }
    found.extend(metric.latency.as_mut().map(|latency| ("latency.histogram", &mut latency.histogram)));
    found.extend(metric.gauge.as_mut().map(|gauge| ("gauge.query", &mut gauge.query)));
    found.extend(metric.threshold.as_mut().map(|threshold| ("threshold.query", &mut threshold.query)));
    found
}

fn fill_arguments(query: &str, values: &BTreeMap<String, String>) -> Result<String, (Reason, String)> {
    let missing = std::cell::Cell::new(None);
    let filled = fill(query, &|placeholder| match placeholder {
        Placeholder::Argument(name) => values.get(name).cloned().map_or_else(
            || {
                missing.set(Some(name.clone()));
                Value::Text(String::new())
            },
            Value::Text,
        ),
        Placeholder::Namespace
        | Placeholder::Service
        | Placeholder::Revision
        | Placeholder::Pods
        | Placeholder::RouteCluster => Value::Keep,
    });
    match (missing.take(), filled) {
        (Some(name), _) => Err((Reason::TemplateMissing, format!("argument {name} has no value"))),
        (None, filled) => filled.map_err(|error: QueryError| (Reason::InvalidSpec, error.to_string())),
    }
}

/// Whether two arms with different names select different series. What does not parse is refused elsewhere.
fn is_separable(query: &str, routed: bool) -> bool {
    let names = |name: &str, service: &str| ArmNames { service: service.to_owned(), revision: name.to_owned() };
    let of_canary = if routed { "service-a" } else { "service" };
    let order = Order { canary: names("a", of_canary), stable: names("b", "service"), ..Order::default() };
    match (order.query(query, Arm::Canary), order.query(query, Arm::Control)) {
        (Ok(canary), Ok(control)) => canary != control,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
