//! `RolloutRun`: one attempt to move a Rollout from a stable revision to a new one.
//!
//! Its spec is the frozen plan; its status, in `run_status`, the only durable state of the attempt. People never edit either.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::{immutable, objects_as_written};
use super::{
    Asked, ErrorBudget, Gate, Judging, Metric, OnInsufficientEvidence, OnMetricsUnavailable, Percent, Replicas,
    RolloutRunStatus, Span,
};

/// What one attempt has frozen at its start. Immutable; made by the controller.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "RolloutRun", namespaced)]
#[kube(status = "RolloutRunStatus", shortname = "tgrun", category = "tidegate")]
#[kube(
    doc = "A RolloutRun is one attempt to move a Rollout from a stable revision to a new one: frozen plan, state, evidence and decisions."
)]
#[kube(printcolumn(name = "Rollout", type_ = "string", json_path = ".spec.rollout"))]
#[kube(printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"))]
#[kube(printcolumn(name = "Step", type_ = "integer", json_path = ".status.step"))]
#[kube(printcolumn(name = "Weight", type_ = "string", json_path = ".status.weight"))]
#[kube(printcolumn(name = "Baseline", type_ = "string", json_path = ".spec.baseline", priority = 1))]
#[kube(printcolumn(name = "Outcome", type_ = "string", json_path = ".status.outcome"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [immutable("the plan of a run is frozen: it cannot be changed")]))]
pub struct RolloutRunSpec {
    /// The Rollout's name.
    pub rollout: String,
    /// The Rollout's uid.
    #[serde(rename = "rolloutUID")]
    pub rollout_uid: String,
    /// `spec.release` at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The revision that serves (its hash).
    pub stable: String,
    /// The revision under test (its hash).
    pub canary: String,
    /// The baseline: the revision label of the pods of stable that are the control. Absent: stable itself is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The RolloutAction that asked for it: a Retry, or an Override that let it start whatever the error budget looked like. Its author may not approve a gate of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Asked>,
    /// The steps and the soak.
    pub plan: Plan,
    /// The resolved analysis.
    #[serde(default)]
    pub analysis: ResolvedAnalysis,
    /// The error budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_budget: Option<ErrorBudget>,
    /// Credited time a step may wait for pods or the route.
    pub progress_deadline: Span,
    /// The application's Services.
    pub services: Vec<String>,
    /// The routes and the backends they had at the start. None: the Services' endpoints are the split.
    #[serde(default)]
    pub routes: Vec<RunRoute>,
    /// Time at weight 0 before a backend's first weight.
    pub warm: Span,
    /// Time at weight 0 before what served it goes.
    pub drain: Span,
}

impl RolloutRunSpec {
    /// The baseline's share while the canary has this one: 0 without a baseline.
    pub fn baseline_at(&self, share: Percent) -> Percent {
        if self.baseline.is_some() { share.of_control(true) } else { Percent::ZERO }
    }
}

/// The steps of one attempt. The last step is at 100.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The steps, in order; the last is at 100.
    pub steps: Vec<PlanStep>,
    /// Time after 100 % in which the old revision is kept ready.
    #[serde(default)]
    pub soak: Span,
    /// A revision that was promoted before: bakes, gates and freeze windows do not hold it.
    #[serde(default)]
    pub known: bool,
}

/// One step of the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    /// The canary's share of the traffic in percent.
    pub weight: Percent,
    /// Time that the step stays at its weight.
    #[serde(default)]
    pub bake: Span,
    /// A floor for the canary's pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// People's consent, asked for while the step bakes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
}

/// The metrics with their arguments filled in, and what to do without an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedAnalysis {
    /// The MetricsProvider's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The metrics, with arguments filled in and placeholders of the arms left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// After the last bake with too little traffic for a Pass.
    #[serde(default)]
    pub on_insufficient_evidence: OnInsufficientEvidence,
    /// While metrics are missing.
    #[serde(default)]
    pub on_metrics_unavailable: OnMetricsUnavailable,
    #[serde(flatten)]
    pub judging: Judging,
}

/// A managed route as it was when the run began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRoute {
    /// HTTPRoute or GRPCRoute.
    pub kind: String,
    /// The route's name.
    pub name: String,
    /// The managed rules.
    pub rules: Vec<RunRule>,
    /// Names of the rules that the Rollout selects. Empty: every rule that names one of the Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selected: Vec<String>,
    /// Parents that had accepted the route: only these are waited for. Each as JSON of its parentRef.
    #[serde(default)]
    pub parents: Vec<String>,
}

/// A managed rule: where it stood and its backends as their owner wrote them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRule {
    /// Index of the rule in the route.
    pub index: u32,
    /// Digest of the rule without its backends: a rule that moved is found by it.
    pub identity: String,
    /// The application Services that the rule names and that are managed here.
    pub services: Vec<String>,
    /// The original backendRefs.
    #[schemars(schema_with = "objects_as_written")]
    pub backend_refs: Vec<Value>,
}
