//! `tidegate plan`: what each step of a Rollout can find and cost, before it is applied.
//!
//! What a plan says is computed in `plan` and shown by `view`; here the figures are found, and every assumption is named.

use serde::Serialize;

use super::{
    Failure, Terminal,
    arguments::{ConnectionArguments, Plan, PlanOutput},
    connection::Connection,
    get::{json, yaml},
    manifest::{Manifest, Written, is_empty},
    measured::{Measured, Source, choose},
    policies::{self, Said},
};
use crate::{
    api::{ErrorBudget, Span},
    measure::{Order, missing, resolve},
    plan::{Forecast, Load, Question, forecast},
    stats::BudgetTerms,
    view,
};

/// One Rollout's plan with where its figures come from.
#[derive(Serialize)]
struct Planned {
    rollout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    assumed: Vec<String>,
    /// What RolloutPolicies of the file have against it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<String>,
    #[serde(flatten)]
    forecast: Forecast,
}

pub async fn run(connection: &ConnectionArguments, arguments: &Plan) -> Result<(), Failure> {
    let manifest = Manifest::read(&arguments.file)?;
    let rollouts = manifest.rollouts()?;
    let source = source(connection, arguments).await?;
    let (mut planned, mut failures) = (Vec::new(), Vec::new());
    for written in &rollouts {
        let measured = match &source {
            Some(source) => source.measure(&manifest, written).await.map(Some),
            None => Ok(None),
        };
        let said = policies::ask(&manifest, written, connection.namespace.as_deref());
        match measured.and_then(|measured| plan(arguments, &manifest, written, measured, said)) {
            Ok(plan) => planned.push(plan),
            Err(failure) => failures.push(failure),
        }
    }
    // What one Rollout lacks is no reason to keep the others' plans back.
    if !planned.is_empty() {
        print(arguments, &planned)?;
    }
    let against = planned.iter().filter(|plan| !plan.violations.is_empty());
    let refused: Vec<String> = against.map(|plan| plan.rollout.clone()).collect();
    match failures.len() {
        0 if refused.is_empty() => Ok(()),
        0 => Err(Failure::Violations { rollouts: refused }),
        1 if planned.is_empty() => Err(failures.remove(0)),
        _ => Err(Failure::Unplanned { failures, of: rollouts.len() }),
    }
}

fn print(arguments: &Plan, planned: &[Planned]) -> Result<(), Failure> {
    let mut terminal = Terminal::stdout();
    match arguments.output {
        None => terminal.lines(&page(planned)),
        Some(PlanOutput::Json) => terminal.print(&json(&planned)?),
        // Through JSON: YAML would write variants as tags, which few readers know.
        Some(PlanOutput::Yaml) => terminal.print(&yaml(&documents(planned)?)?),
    }
}

fn documents(planned: &[Planned]) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(planned).map_err(|error| Failure::Write(error.into()))
}

/// Whom to ask for figures; None: nobody is to be asked.
async fn source(connection: &ConnectionArguments, arguments: &Plan) -> Result<Option<Source>, Failure> {
    if !arguments.from_prometheus && arguments.prometheus.is_none() {
        return Ok(None);
    }
    let connection = if arguments.from_prometheus { Some(Connection::new(connection).await?) } else { None };
    Ok(Some(Source { connection, address: arguments.prometheus.clone() }))
}

fn page(planned: &[Planned]) -> Vec<view::Line> {
    let mut lines = Vec::new();
    for Planned { rollout, namespace, assumed, violations, forecast } in planned {
        if !lines.is_empty() {
            lines.push(view::Line::default());
        }
        let name = namespace.as_ref().map_or_else(|| rollout.clone(), |namespace| format!("{namespace}/{rollout}"));
        lines.extend(view::plan(&name, forecast, assumed, violations));
    }
    lines
}

fn plan(
    arguments: &Plan,
    manifest: &Manifest,
    written: &Written,
    measured: Option<Measured>,
    said: Said,
) -> Result<Planned, Failure> {
    let mut assumed = said.assumed;
    let load = load(arguments, written, measured.as_ref(), &mut assumed)?;
    let scrape_interval = scrape_interval(arguments, manifest, written, measured.as_ref(), &mut assumed);
    let is_compared =
        measured.as_ref().map_or_else(|| is_compared(manifest, written, &mut assumed), |measured| measured.is_compared);
    if written.valid.routes.is_empty() {
        assumed.push("shares as written (without a route they are those of the pods)".into());
    }
    if written.valid.baseline {
        assumed.push("a baseline as the control, which gets as much as the canary or what is left".into());
    }
    if let Some(Measured { provider, from, .. }) = &measured
        && provider.is_shared()
        && provider.tenancy.is_empty()
        && arguments.prometheus.is_none()
    {
        assumed.push(format!("queries that {from} limits to no namespace (it has no tenancy)"));
    }
    let expected = measured.map(|measured| measured.figures.expected);
    let question = Question {
        is_compared,
        on_insufficient_evidence: written.analysis.on_insufficient_evidence,
        judging: written.analysis.judging.clone(),
        ..Question::new(&written.valid, load, scrape_interval, expected)
    };
    Ok(Planned {
        rollout: written.name.clone(),
        namespace: written.namespace.clone(),
        assumed,
        violations: said.violations,
        forecast: forecast(&question),
    })
}

/// What is given goes before what is measured, and that before what the spec lets expect.
fn load(
    arguments: &Plan,
    written: &Written,
    measured: Option<&Measured>,
    assumed: &mut Vec<String>,
) -> Result<Load, Failure> {
    let expected = written.valid.error_budget.as_ref().and_then(expected_rate);
    let known_rate = arguments.rps.or(measured.map(|measured| measured.figures.requests_per_second)).or(expected);
    let known_errors = arguments.error_ratio.or(measured.map(|measured| measured.figures.error_ratio));
    let (Some(requests_per_second), Some(error_ratio)) = (known_rate, known_errors) else {
        return Err(Failure::NoFigures {
            rollout: written.name.clone(),
            rate: known_rate.is_some(),
            errors: known_errors.is_some(),
        });
    };
    match (arguments.rps, measured) {
        (Some(_), _) => assumed.push("the rate of --rps".into()),
        (None, Some(Measured { figures, from, .. })) => {
            assumed.push(format!("the rate of the last {} by {from}", figures.over));
        }
        (None, None) => assumed.push("the rate that errorBudget.expectedRequests means".into()),
    }
    match (arguments.error_ratio, measured) {
        (Some(_), _) => assumed.push("the errors of --error-ratio".into()),
        (None, Some(Measured { figures, from, .. })) => {
            assumed.push(format!("the errors of the last {} by {from}", figures.over));
        }
        (None, None) => {}
    }
    assumed.push(match arguments.overdispersion {
        1.0 => "errors that come one by one".into(),
        more => format!("errors that come {more} at a time (--overdispersion)"),
    });
    Ok(Load { requests_per_second, error_ratio, overdispersion: arguments.overdispersion })
}

/// The rate that the budget's expected requests mean.
pub fn expected_rate(budget: &ErrorBudget) -> Option<f64> {
    let window = budget.window.unwrap_or(BudgetTerms::DEFAULT_WINDOW);
    budget.expected_requests.map(|requests| requests as f64 / window.as_seconds())
}

fn scrape_interval(
    arguments: &Plan,
    manifest: &Manifest,
    written: &Written,
    measured: Option<&Measured>,
    assumed: &mut Vec<String>,
) -> Span {
    let providers = manifest.providers();
    let namespace = written.namespace.as_deref().unwrap_or_default();
    let of_file = choose(&providers, written.analysis.provider.as_deref(), namespace);
    let of_file = of_file.and_then(|(name, spec)| Some((spec.scrape_interval?, format!("MetricsProvider {name}"))));
    let of_source = measured.and_then(|measured| Some((measured.provider.scrape_interval?, measured.from.clone())));
    let given = arguments.scrape_interval.map(|span| (span, "--scrape-interval".to_owned()));
    let found = given.or(of_source).or(of_file);
    let (span, whose) = found.unwrap_or_else(|| (Order::DEFAULT_SCRAPE_INTERVAL, "the default".into()));
    assumed.push(format!("a scrape every {span} ({whose})"));
    span
}

/// Whether a metric compares the arms; one in a template that nobody can read is hoped for, and that is said.
fn is_compared(manifest: &Manifest, written: &Written, assumed: &mut Vec<String>) -> bool {
    let (analysis, templates) = (&written.analysis, manifest.templates());
    if is_empty(analysis) {
        return false;
    }
    let missing = missing(analysis, &templates);
    if let Some((kind, name)) = missing.first() {
        assumed.push(format!("a ratio metric in {kind:?} {name}, which is not in the file"));
        return true;
    }
    let (budget, routed) = (written.valid.error_budget.as_ref(), !written.valid.routes.is_empty());
    let resolved = resolve(analysis, &templates, budget, routed);
    let metrics = resolved.map(|resolved| resolved.metrics).unwrap_or_default();
    metrics.iter().any(|metric| metric.ratio.is_some() || metric.latency.is_some())
}
