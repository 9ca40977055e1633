//! Turns a Rollout's spec into one in which what must exist exists: every problem at once, or the plan with its defaults filled in.
//!
//! The API server's schema says the same of one object, but its CRDs may be older than this code, so nothing rests on it. What needs
//! another object to be known (Services, routes, templates) is not asked here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::problems::Problems;
use super::valid_metrics::check_metrics;
use super::valid_steps::{check_gates, check_replicas, check_rising};
use super::{Refusal, ValidRollout};
use crate::api::{
    AnalysisSpec, ErrorBudget, Percent, PlanStep, ROLLOUT_NAME_MAX, Replicas, RolloutSpec, Route, Span, Strategy,
    Traffic,
};

const WARM: Span = Span::seconds(5);
const DRAIN: Span = Span::seconds(15);
const PROGRESS_DEADLINE: Span = Span::minutes(10);
const BUDGET_WINDOW: Span = Span::minutes(720 * 60);
const BUDGET_SPEND: Percent = Percent::whole(1);
const RUN_HISTORY: usize = 10;
const STEPS_MAX: usize = 50;
const SERVICES_MAX: usize = 8;
const ROUTES_MAX: usize = 16;
const METRICS_MAX: usize = 12;

/// The spec with its plan and defaults, or every problem of it as a sentence that names the field and the fix.
/// `name` is the Rollout's `metadata.name`.
pub fn validate(name: &str, spec: &RolloutSpec) -> Result<ValidRollout, Vec<Refusal>> {
    let mut problems = Problems::default();
    check_name(&mut problems, name);
    check_workload(&mut problems, spec);
    check_traffic(&mut problems, &spec.traffic);
    let (steps, soak, known_in_steps) = compile(&mut problems, &spec.strategy);
    let baseline = spec.strategy.canary.as_ref().is_some_and(|canary| canary.baseline == Some(true));
    if baseline && spec.traffic.routes.is_empty() {
        problems.add(
            "spec.strategy.canary.baseline is true and spec.traffic.routes is empty: name the route that splits the traffic, or leave baseline out, then stable is the control",
        );
    }
    if let Some(analysis) = &spec.analysis {
        check_analysis(&mut problems, analysis);
    }
    if let Some(budget) = &spec.error_budget {
        check_budget(&mut problems, budget);
    }
    problems.not_zero("spec.progressDeadline", spec.progress_deadline);
    let valid = ValidRollout {
        release: spec.release.clone(),
        replicas: problems.whole("spec.replicas", spec.replicas, 0),
        min_ready_seconds: problems.whole("spec.minReadySeconds", spec.min_ready_seconds, 0).unwrap_or(0),
        deployment_ref: spec.workload.deployment_ref.as_ref().map(|source| source.name.clone()),
        services: spec.traffic.services.iter().map(|service| service.name.clone()).collect(),
        preview: spec.traffic.preview.as_ref().map(|preview| preview.service.clone()),
        routes: spec.traffic.routes.iter().filter_map(route_key).collect(),
        warm: spec.traffic.warm.unwrap_or(WARM),
        drain: spec.traffic.drain.unwrap_or(DRAIN),
        steps,
        soak,
        baseline,
        known_in_steps,
        error_budget: spec.error_budget.clone().map(|budget| ErrorBudget {
            window: budget.window.or(Some(BUDGET_WINDOW)),
            max_spend: budget.max_spend.or(Some(BUDGET_SPEND)),
            ..budget
        }),
        progress_deadline: spec.progress_deadline.unwrap_or(PROGRESS_DEADLINE),
        paused: spec.paused,
        run_history_limit: problems
            .whole("spec.runHistoryLimit", spec.run_history_limit, 1)
            .map_or(RUN_HISTORY, |limit| limit as usize),
    };
    problems.or(valid)
}

/// Reads a Rollout's document. Text that only an older CRD lets through (a weight of 101, say) is a refusal, too.
pub fn read_spec(document: &Value) -> Result<RolloutSpec, Vec<Refusal>> {
    serde_json::from_value(document.get("spec").cloned().unwrap_or_default()).map_err(|error| {
        let mut problems = Problems::default();
        problems.add(format!("spec cannot be read: {error}; correct the field and apply the CRDs of this version"));
        problems.into_refusals()
    })
}

fn check_name(problems: &mut Problems, name: &str) {
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    let ends = name.ends_with(|last: char| last.is_ascii_lowercase() || last.is_ascii_digit());
    let between = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if name.len() > ROLLOUT_NAME_MAX {
        let length = name.len();
        problems
            .add(format!("metadata.name has {length} characters, {ROLLOUT_NAME_MAX} at most: choose a shorter name"));
    }
    if !(starts && ends && between) {
        problems.add(format!(
            "metadata.name {name:?} is not a DNS label that begins with a letter: use a-z, 0-9 and - (the names of revisions' Services begin with it)"
        ));
    }
}

fn check_workload(problems: &mut Problems, spec: &RolloutSpec) {
    problems.exactly_one(
        "spec.workload",
        &[("template", spec.workload.template.is_some()), ("deploymentRef", spec.workload.deployment_ref.is_some())],
    );
    if let Some(source) = &spec.workload.deployment_ref {
        problems.present("spec.workload.deploymentRef.name", &source.name);
    }
}

fn check_traffic(problems: &mut Problems, traffic: &Traffic) {
    if traffic.services.is_empty() {
        problems.add("spec.traffic.services is empty: name the application's Service");
    }
    problems.at_most("spec.traffic.services", traffic.services.len(), SERVICES_MAX);
    problems.unique("spec.traffic.services", traffic.services.iter().map(|service| service.name.as_str()));
    if let Some(preview) = &traffic.preview {
        problems.present("spec.traffic.preview.service", &preview.service);
        if traffic.services.iter().any(|service| service.name == preview.service) {
            let name = &preview.service;
            problems.add(format!(
                "spec.traffic.preview.service {name} is one of spec.traffic.services: choose another name, Tidegate creates that Service"
            ));
        }
    }
    problems.at_most("spec.traffic.routes", traffic.routes.len(), ROUTES_MAX);
    let mut seen = BTreeSet::new();
    for (index, route) in traffic.routes.iter().enumerate() {
        match route_key(route) {
            None => {
                problems.add(format!("spec.traffic.routes[{index}] has no router: exactly one of gatewayAPI is needed"))
            }
            Some((kind, name)) if !seen.insert((kind.clone(), name.clone())) => problems.add(format!(
                "spec.traffic.routes[{index}] names {kind} {name} again: put all of its rules into one entry"
            )),
            Some((_, name)) => problems.present(&format!("spec.traffic.routes[{index}].gatewayAPI.name"), &name),
        }
    }
}

fn route_key(route: &Route) -> Option<(String, String)> {
    route.gateway_api.as_ref().map(|route| (route.kind.word().to_owned(), route.name.clone()))
}

/// Both strategies as one plan: its steps, its soak, and whether a known revision goes through the steps.
fn compile(problems: &mut Problems, strategy: &Strategy) -> (Vec<PlanStep>, Span, bool) {
    use crate::api::KnownRevision::Steps;
    problems.exactly_one(
        "spec.strategy",
        &[("canary", strategy.canary.is_some()), ("blueGreen", strategy.blue_green.is_some())],
    );
    if let Some(canary) = &strategy.canary {
        let path = "spec.strategy.canary";
        if canary.steps.is_empty() {
            problems.add(format!("{path}.steps is empty: write at least one step, such as {{weight: 10, bake: 5m}}"));
        }
        problems.at_most(&format!("{path}.steps"), canary.steps.len(), STEPS_MAX);
        check_rising(problems, &canary.steps);
        for (index, step) in canary.steps.iter().enumerate() {
            let path = format!("{path}.steps[{index}]");
            problems.not_zero(&format!("{path}.bake"), step.bake);
            check_replicas(problems, &path, step.replicas.as_ref());
            check_gates(problems, &path, &step.gates);
        }
        problems.not_zero(&format!("{path}.soak"), canary.soak);
        let mut steps: Vec<PlanStep> = canary
            .steps
            .iter()
            .map(|step| PlanStep {
                weight: step.weight,
                bake: step.bake.unwrap_or_default(),
                replicas: step.replicas.clone(),
                gates: step.gates.clone(),
            })
            .collect();
        if steps.last().is_none_or(|last| last.weight < Percent::FULL) {
            steps.push(PlanStep { weight: Percent::FULL, ..PlanStep::default() });
        }
        return (steps, canary.soak.unwrap_or_default(), canary.known_revision == Steps);
    }
    let blue_green = strategy.blue_green.clone().unwrap_or_default();
    let path = "spec.strategy.blueGreen";
    problems.not_zero(&format!("{path}.bake"), blue_green.bake);
    problems.not_zero(&format!("{path}.soak"), blue_green.soak);
    check_gates(problems, path, &blue_green.gates);
    let dark = PlanStep {
        weight: Percent::ZERO,
        bake: blue_green.bake.unwrap_or_default(),
        replicas: Some(Replicas::Share("100%".into())),
        gates: blue_green.gates,
    };
    let full = PlanStep { weight: Percent::FULL, ..PlanStep::default() };
    (vec![dark, full], blue_green.soak.unwrap_or_default(), blue_green.known_revision == Steps)
}

fn check_analysis(problems: &mut Problems, analysis: &AnalysisSpec) {
    problems.at_most("spec.analysis.metrics", analysis.metrics.len(), METRICS_MAX);
    check_metrics(problems, "spec.analysis.metrics", &analysis.metrics);
    for (index, template) in analysis.templates.iter().enumerate() {
        let path = format!("spec.analysis.templates[{index}]");
        problems.present(&format!("{path}.name"), &template.name);
        problems.unique(&format!("{path}.args"), template.args.iter().map(|arg| arg.name.as_str()));
        for (index, arg) in template.args.iter().enumerate().filter(|(_, arg)| arg.value.is_none()) {
            problems.add(format!("{path}.args[{index}].value is missing: write the value of argument {}", arg.name));
        }
    }
}

fn check_budget(problems: &mut Problems, budget: &ErrorBudget) {
    if budget.objective == Percent::ZERO || budget.objective == Percent::FULL {
        let objective = budget.objective;
        problems.add(format!(
            "spec.errorBudget.objective is {objective}: it must be above 0 and below 100 (at 100 there is no budget to spend), for example \"99.9\""
        ));
    }
    problems.not_zero("spec.errorBudget.window", budget.window);
    if let Some(requests) = budget.expected_requests.filter(|requests| *requests < 1) {
        problems.add(format!(
            "spec.errorBudget.expectedRequests is {requests}, at least 1 is needed: leave it out to have it measured"
        ));
    }
}
