//! `Rollout`: what should run and how it may get there. Its parts are in `workload`, `traffic`, `strategy` and `analysis`, its status in `rollout_status`.
//!
//! Rules that one object alone can answer stand beside the fields, as the schema; the same rules in Rust are in `engine::validate`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::not_zero;
use super::{AnalysisSpec, ErrorBudget, RolloutStatus, Span, Strategy, Traffic, Workload};

/// The longest name of a Rollout: with a hash and an attempt it must still be a DNS label of 63.
pub const ROLLOUT_NAME_MAX: usize = 40;

/// What should run and how it may get there.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "Rollout", namespaced)]
#[kube(status = "RolloutStatus", shortname = "tgr", category = "tidegate")]
#[kube(
    doc = "A Rollout says what should run and how a new version of it may get the traffic: step by step, on evidence."
)]
#[kube(validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
    .message("metadata.name must be a DNS label of at most 40 characters that begins with a letter: the names of revisions and their Services begin with it"))]
#[kube(scale(
    spec_replicas_path = ".spec.replicas",
    status_replicas_path = ".status.replicas",
    label_selector_path = ".status.selector"
))]
#[kube(printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"))]
#[kube(printcolumn(name = "Step", type_ = "string", json_path = ".status.step"))]
#[kube(printcolumn(name = "Weight", type_ = "string", json_path = ".status.weight"))]
#[kube(printcolumn(name = "Stable", type_ = "string", json_path = ".status.stableRevision"))]
#[kube(printcolumn(name = "Canary", type_ = "string", json_path = ".status.canaryRevision"))]
#[kube(printcolumn(name = "Release", type_ = "string", json_path = ".status.release.id"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[kube(printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1))]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// The release this template belongs to, for example the Git commit. Shown in status and matched by `tidegate wait --release`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub release: Option<String>,
    /// Pods at full capacity (N). The scale subresource writes it: let a HorizontalPodAutoscaler target the Rollout. 0 scales everything to 0. Absent: written once by the controller (1, or the adopted Deployment's count).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Seconds for which a new pod must be ready before it counts as available. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_ready_seconds: Option<i32>,
    /// Where the pod template comes from: exactly one of `template` and `deploymentRef`.
    pub workload: Workload,
    /// The application's Services and routes.
    pub traffic: Traffic,
    /// How a new revision gets the traffic: exactly one of `canary` and `blueGreen`.
    pub strategy: Strategy,
    /// The evidence that judges a new revision. Default: none; then bakes, gates and the error budget decide alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisSpec>,
    /// How much of the service's error budget a release may spend. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_budget: Option<ErrorBudget>,
    /// Time that a step may spend waiting for ready pods or for the route's acceptance before the run is reverted; bakes, gates and holds do not count. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub progress_deadline: Option<Span>,
    /// Holds the rollout where it is: nothing advances or starts. Going back works as always. Default false.
    #[serde(default)]
    pub paused: bool,
    /// Finished runs that are kept, from 1 to 100. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub run_history_limit: Option<i32>,
}
