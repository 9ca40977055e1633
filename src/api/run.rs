//! `RolloutRun`: one attempt to move a Rollout from a stable revision to a new one.
//!
//! Its spec is the frozen plan, its status the only durable state of the attempt. People never edit it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ErrorBudget, Gate, Metric, OnInsufficientEvidence, OnMetricsUnavailable, Percent, Reason, Replicas, Span};

/// What one attempt has frozen at its start.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "RolloutRun", namespaced)]
#[kube(status = "RolloutRunStatus", shortname = "tgrun", category = "tidegate")]
#[serde(rename_all = "camelCase")]
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
    /// The RolloutAction of type Retry that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
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

/// The steps of one attempt. The last step is at 100.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub steps: Vec<PlanStep>,
    #[serde(default)]
    pub soak: Span,
    /// A revision that was promoted before: bakes, gates and freeze windows do not hold it.
    #[serde(default)]
    pub known: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    pub weight: Percent,
    #[serde(default)]
    pub bake: Span,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    #[serde(default)]
    pub on_insufficient_evidence: OnInsufficientEvidence,
    #[serde(default)]
    pub on_metrics_unavailable: OnMetricsUnavailable,
}

/// A managed route as it was when the run began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRoute {
    pub kind: String,
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
    pub backend_refs: Vec<Value>,
}

/// Where the attempt stands: its only durable state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRunStatus {
    /// Raised by each new leader before it acts.
    #[serde(default)]
    pub epoch: i64,
    /// Raised by each transition.
    #[serde(default)]
    pub seq: i64,
    #[serde(default)]
    pub phase: RunPhase,
    /// The present step, counted from 0.
    #[serde(default)]
    pub step: u32,
    /// The share that the canary is granted.
    #[serde(default)]
    pub weight: Percent,
    /// Why it stands where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// RFC 3339 time of the last transition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// RFC 3339 time at which the present weight was first seen accepted on every route; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<String>,
    /// `seq` at that moment: evidence for an older one does not let the run advance.
    #[serde(default)]
    pub settled_seq: i64,
    /// Time spent, which no clock jump can change.
    #[serde(default)]
    pub credits: Credits,
    /// Stopped by a RolloutAction of type Pause.
    #[serde(default)]
    pub paused: bool,
    /// The present step's bake and gates count as done (Promote).
    #[serde(default)]
    pub skip_bake: bool,
    /// All bakes, gates and evidence count as done (PromoteFull).
    #[serde(default)]
    pub skip_all: bool,
    /// Approvals of the present step's gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Resets by others within the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resets: Vec<Reset>,
    /// Original backends read anew after a foreign write, by route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RunRoute>,
    /// The evidence so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRecord>,
    /// The decisions, oldest first.
    #[serde(default)]
    pub decisions: DecisionLog,
    /// RolloutActions that took effect here, newest last: each counts once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumed: Vec<String>,
    /// While going back: what the outcome will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<RunOutcome>,
    /// What became of the attempt; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,
    /// After a revert or abort: the template in the spec has been another one since, so this revision may be tried again.
    #[serde(default)]
    pub closed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// In a step; prerequisites, weight and bake of `step`.
    #[default]
    Stepping,
    /// At 100 after the last bake; old revision kept ready.
    Soaking,
    /// Promoted is recorded; flip, give back, drop, shrink, unpin.
    Finishing,
    /// All weight to stable, then drop, shrink, unpin.
    Aborting,
    /// Nothing of the run is left in the cluster but this record.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum RunOutcome {
    /// The revision was promoted.
    Promoted,
    /// Evidence, a deadline or the budget took the traffic back.
    Reverted,
    /// A person took the traffic back.
    Aborted,
    /// A newer or the stable template took its place.
    Superseded,
    /// The first revision, adopted without steps.
    Adopted,
}

/// Elapsed time as credit in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credits {
    /// Time at the present weight (or in the soak).
    #[serde(default)]
    pub bake_millis: u64,
    /// Time the present step has waited for pods or the route.
    #[serde(default)]
    pub deadline_millis: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    pub gate: String,
    pub author: String,
    pub action: String,
}

/// A foreign write that took the traffic split away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reset {
    /// "route" or "service".
    pub what: String,
    /// Object that was reset.
    pub name: String,
    /// RFC 3339.
    pub at: String,
    /// The field manager that wrote last, if it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

/// The decisions of a run with the numbers they rest on; older ones fall into the digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionLog {
    /// How many older decisions were dropped.
    #[serde(default)]
    pub dropped: u32,
    /// Hash chain over the dropped decisions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<DecisionEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionEntry {
    pub seq: i64,
    /// RFC 3339.
    pub at: String,
    pub step: u32,
    pub weight: Percent,
    pub reason: Reason,
    /// One sentence with the numbers.
    pub message: String,
}

/// What the record keeps of the evidence: per metric the fold's state and what a reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceRecord {
    /// End of the last folded window in seconds since the epoch.
    #[serde(default)]
    pub watermark: i64,
    /// "Pass", "Fail" or "Undecided".
    #[serde(default)]
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Per metric, by name: counts, windows and the fold's own state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricRecord>,
    /// What the release has cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<SpendRecord>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricRecord {
    pub canary_bad: u64,
    pub canary_total: u64,
    pub control_bad: u64,
    pub control_total: u64,
    pub windows_used: u64,
    /// Windows not used, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows_dropped: BTreeMap<String, u64>,
    /// The fold's state; floats as hexadecimal bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Value>,
}

/// Spending of the error budget, in requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpendRecord {
    /// Bad requests of the canary.
    pub gross: u64,
    /// Bad requests above stable's ratio, as hundredths of a request.
    pub excess_hundredths: i64,
    /// What the release may spend, in requests.
    pub allowance: u64,
    /// Requests expected in the window.
    pub expected_requests: u64,
    /// Measured over less than a day and scaled.
    #[serde(default)]
    pub extrapolated: bool,
}
