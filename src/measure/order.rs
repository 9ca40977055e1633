//! Everything that one evaluation of one run rests on.
//!
//! Plain values: the shell fills it from the run's spec, its record and the cluster. It reads nothing.

use super::{
    placeholder::{Placeholder, uses},
    promql::{QueryError, Value, escape_regex, fill},
};
use crate::{
    api::{
        Decimal, ErrorBudget, EvidenceRecord, Judging, Metric, Percent, Plan, PlanStep, RatioMetric, RolloutRunSpec,
        SampleRatioCheck, Span, revision_name, revision_service_name,
    },
    stats::{Expected, Terms, Timing},
};

/// Parts of alpha, relative to each other: errors hurt most and are found soonest.
const ERRORS_WEIGHT: f64 = 5.0;
const LATENCY_WEIGHT: f64 = 3.0;
const OBJECTIVE_WEIGHT: f64 = 1.0;
/// A ReplicaSet cuts its name to this when it names a pod after it. Rollout and hash are short enough for it, a baseline's name may
/// not be.
const LONGEST_POD_PREFIX: usize = 58;

/// The `ratio` metric whose requests a budget counts, and what it counts; None: there is none.
pub fn budget_metric<'m>(metrics: &'m [Metric], budget: &ErrorBudget) -> Option<(&'m Metric, &'m RatioMetric)> {
    let mut ratios = metrics.iter().filter_map(|metric| Some((metric, metric.ratio.as_ref()?)));
    match &budget.metric {
        Some(name) => ratios.find(|(metric, _)| metric.name == *name),
        None => ratios.next(),
    }
}

/// How an arm is named in metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArmNames {
    /// Its Service: the application's for stable, the revision's for the canary and a baseline.
    pub service: String,
    /// Its revision's hash.
    pub revision: String,
}

/// Whose requests are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    Canary,
    /// What the canary is compared with: stable, or a baseline.
    Control,
    /// Who had the traffic before the run.
    Stable,
}

/// What to evaluate.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The run's seq: the answer carries it.
    pub seq: i64,
    pub namespace: String,
    pub rollout: String,
    /// Resolved: arguments are filled in.
    pub metrics: Vec<Metric>,
    pub budget: Option<ErrorBudget>,
    /// How certain a verdict has to be.
    pub judging: Judging,
    pub plan: Plan,
    /// The present step, counted from 0.
    pub step: u32,
    /// The share is made by routes, not by the endpoints of a Service.
    pub routed: bool,
    pub canary: ArmNames,
    pub stable: ArmNames,
    /// Fresh pods of stable are the control; None: stable is.
    pub baseline: Option<ArmNames>,
    /// The Services' port that the routes name.
    pub port: u16,
    /// The canary's share.
    pub weight: Percent,
    /// When this share was accepted on every route; while it is being changed: now. Seconds since the epoch, as below.
    pub settled_at: i64,
    pub run_started_at: i64,
    /// When the youngest pod of the canary started, if its warm-up is not to be judged.
    pub pods_started_at: Option<i64>,
    pub scrape_interval: Span,
    /// Excess of this revision's earlier runs, in hundredths of a request: a retry does not refill the allowance.
    pub spent_earlier_hundredths: i64,
    /// What the run's record holds.
    pub previous: Option<EvidenceRecord>,
}

impl Order {
    /// What a run's frozen plan says; where and when it stands is the caller's to add. None: it has no Service.
    pub fn of(namespace: &str, spec: &RolloutRunSpec) -> Option<Self> {
        let app = spec.services.first()?;
        // Without a route both revisions are behind the application's Service.
        let routed = !spec.routes.is_empty();
        let of = |revision: &String| {
            let service = if routed { revision_service_name(app, revision) } else { app.clone() };
            ArmNames { service, revision: revision.clone() }
        };
        Some(Self {
            namespace: namespace.to_owned(),
            rollout: spec.rollout.clone(),
            metrics: spec.analysis.metrics.clone(),
            budget: spec.error_budget.clone(),
            judging: spec.analysis.judging.clone(),
            plan: spec.plan.clone(),
            routed,
            canary: of(&spec.canary),
            stable: ArmNames { service: app.clone(), revision: spec.stable.clone() },
            baseline: spec.baseline.as_ref().map(of),
            port: Self::DEFAULT_PORT,
            ..Self::default()
        })
    }

    /// The port of a Service that no route names.
    pub const DEFAULT_PORT: u16 = 80;
    pub const DEFAULT_SCRAPE_INTERVAL: Span = Span::seconds(15);

    pub fn timing(&self) -> Timing {
        let given = self.scrape_interval > Span::ZERO;
        Timing::of(if given { self.scrape_interval } else { Self::DEFAULT_SCRAPE_INTERVAL }).with(&self.judging)
    }

    pub(super) fn terms(&self) -> Terms {
        let objective = self.budget.as_ref().map(|budget| budget.objective);
        Terms::new(objective, &self.plan, self.timing().window as f64).with(&self.judging)
    }

    /// Which arms have traffic by the weight.
    pub(super) fn expected(&self) -> Expected {
        let of_control = self.weight.of_control(self.baseline.is_some());
        Expected { canary: self.weight > Percent::ZERO, control: of_control > Percent::ZERO }
    }

    /// The `ratio` metric whose requests the budget counts.
    pub(super) fn is_budget_metric(&self, metric: &Metric) -> bool {
        self.budget.is_some() && self.tells_incidents(metric)
    }

    /// The metric by which an incident of both arms is told: the budget's, or without a budget the first `ratio` metric.
    pub(super) fn tells_incidents(&self, metric: &Metric) -> bool {
        let none = ErrorBudget::default();
        let found = budget_metric(&self.metrics, self.budget.as_ref().unwrap_or(&none));
        found.is_some_and(|(found, _)| found.name == metric.name) && metric.ratio.is_some()
    }

    /// The metric counts what the route sends, so that its arms' shares should be the weight. Metrics of the pods count
    /// requests from inside the cluster too.
    pub(super) fn counts_routed_requests(&self, metric: &Metric) -> bool {
        let selector = metric.ratio.as_ref().map(|ratio| &ratio.total);
        let selector = selector.or(metric.latency.as_ref().map(|latency| &latency.histogram));
        let of_route = selector.is_some_and(|selector| uses(selector, &Placeholder::RouteCluster));
        self.routed && of_route && self.judging.sample_ratio == SampleRatioCheck::Check
    }

    /// The step after the present one.
    pub(super) fn next_step(&self) -> Option<&PlanStep> {
        self.plan.steps.get(self.step as usize + 1)
    }

    /// The metric's part of alpha, from 0 to 1. What is weighted by default shares the weight of its kind.
    pub(super) fn alpha_share(&self, metric: &Metric) -> f64 {
        self.weight_of(metric) / self.weights()
    }

    /// The part of the test of the objective, which the budget's metric has besides.
    pub(super) fn objective_share(&self) -> Option<f64> {
        self.budget.as_ref().map(|_| OBJECTIVE_WEIGHT / self.weights())
    }

    fn weights(&self) -> f64 {
        let of_objective = if self.budget.is_some() { OBJECTIVE_WEIGHT } else { 0.0 };
        of_objective + self.metrics.iter().map(|metric| self.weight_of(metric)).sum::<f64>()
    }

    fn weight_of(&self, metric: &Metric) -> f64 {
        let kind = |metric: &Metric| [metric.ratio.is_some(), metric.latency.is_some()];
        let of_kind = match kind(metric) {
            [true, _] => ERRORS_WEIGHT,
            [_, true] => LATENCY_WEIGHT,
            // Gauges and thresholds have no part: the former report, the latter are no test.
            _ => return 0.0,
        };
        let alike = self.metrics.iter().filter(|other| other.weight.is_none() && kind(other) == kind(metric)).count();
        metric.weight.map_or(of_kind / alike.max(1) as f64, Decimal::value)
    }

    /// How the names of a revision's pods begin.
    pub(super) fn pod_prefix(&self, arm: Arm) -> String {
        let mut prefix = format!("{}-", revision_name(&self.rollout, &self.names(arm).revision));
        prefix.truncate(LONGEST_POD_PREFIX);
        prefix
    }

    pub(super) fn names(&self, arm: Arm) -> &ArmNames {
        match arm {
            Arm::Canary => &self.canary,
            Arm::Control => self.baseline.as_ref().unwrap_or(&self.stable),
            Arm::Stable => &self.stable,
        }
    }

    /// A query for one arm.
    pub(super) fn query(&self, template: &str, arm: Arm) -> Result<String, QueryError> {
        let names = self.names(arm);
        fill(template, &|placeholder| match placeholder {
            Placeholder::Namespace => Value::Text(self.namespace.clone()),
            Placeholder::Service => Value::Text(names.service.clone()),
            Placeholder::Revision => Value::Text(names.revision.clone()),
            Placeholder::Pods => Value::Regex(format!("{}.*", escape_regex(&self.pod_prefix(arm)))),
            Placeholder::RouteCluster => Value::Text(format!("{}_{}_{}", self.namespace, names.service, self.port)),
            // Filled in when the run began; one that is left selects nothing.
            Placeholder::Argument(_) => Value::Keep,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arm_has_its_own_names() {
        let names = |service: &str, revision: &str| ArmNames { service: service.into(), revision: revision.into() };
        let order = Order {
            namespace: "shop".into(),
            rollout: "checkout".into(),
            canary: names("checkout-abc", "abc"),
            stable: names("checkout", "def"),
            port: 80,
            ..Order::default()
        };
        for (template, canary, control) in [
            (r#"a{c="{{ route.cluster }}"}"#, r#"a{c="shop_checkout-abc_80"}"#, r#"a{c="shop_checkout_80"}"#),
            (r#"a{pod=~"{{ pods }}"}"#, r#"a{pod=~"checkout-abc-.*"}"#, r#"a{pod=~"checkout-def-.*"}"#),
            (
                r#"a{n="{{ namespace }}",s="{{ service }}",r="{{ revision }}"}"#,
                r#"a{n="shop",s="checkout-abc",r="abc"}"#,
                r#"a{n="shop",s="checkout",r="def"}"#,
            ),
        ] {
            assert_eq!(order.query(template, Arm::Canary).as_deref(), Ok(canary));
            assert_eq!(order.query(template, Arm::Control).as_deref(), Ok(control));
        }
    }

    #[test]
    fn a_runs_baseline_is_the_control_and_has_traffic_between_0_and_100() {
        let spec = |baseline: Option<&str>| -> RolloutRunSpec {
            serde_json::from_value(serde_json::json!({
                "rollout": "checkout", "rolloutUID": "u", "stable": "def", "canary": "abc", "baseline": baseline,
                "plan": {"steps": [{"weight": 100}]}, "progressDeadline": "10m", "services": ["checkout"],
                "routes": [{"kind": "HTTPRoute", "name": "checkout", "rules": []}], "warm": "5s", "drain": "15s",
            }))
            .unwrap()
        };
        for (baseline, service, pods, expected) in [
            (None, "checkout", "checkout-def-", [true, true, false]),
            (Some("def-baseline"), "checkout-def-baseline", "checkout-def-baseline-", [false, true, false]),
        ] {
            let order = Order::of("shop", &spec(baseline)).unwrap();
            assert_eq!(
                (order.names(Arm::Control).service.as_str(), order.pod_prefix(Arm::Control).as_str()),
                (service, pods)
            );
            assert_eq!(order.names(Arm::Stable).service, "checkout");
            let at = |weight| Order { weight: Percent::whole(weight), ..order.clone() }.expected().control;
            assert_eq!([0, 60, 100].map(at), expected);
        }
    }
}
