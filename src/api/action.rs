//! `RolloutAction`: an intent of a person or a pipeline. Create-only, immutable, consumed once.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An intent of a person or a pipeline. It is consumed once; the outcome stands in its status.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "RolloutAction", namespaced)]
#[kube(status = "RolloutActionStatus", shortname = "tga", category = "tidegate")]
#[serde(rename_all = "camelCase")]
pub struct RolloutActionSpec {
    /// What is wanted.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// The Rollout's name, in this namespace.
    pub rollout: String,
    /// The Rollout's uid; if given and another one, the action is refused.
    #[serde(default, rename = "rolloutUID", skip_serializing_if = "Option::is_none")]
    pub rollout_uid: Option<String>,
    /// The RolloutRun that is meant; if given and another one is current, the action is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The step that is meant, counted from 0; if given and another one is current, the action is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// The gate that is approved (Approve).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// For whom a pipeline asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Why; shown in the run's decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ActionType {
    /// End the present step now: its bake and gates count as done. Evidence still holds.
    Promote,
    /// Skip bakes, gates and evidence up to 100 %; never capacity.
    PromoteFull,
    /// Give one approval to a gate of the present step.
    Approve,
    /// Stay at the present weight.
    Pause,
    /// Go on after Pause.
    Resume,
    /// All traffic back to stable.
    Abort,
    /// Try the reverted or aborted revision again.
    Retry,
    /// Replace the pods of the stable revision, as `kubectl rollout restart` does.
    Restart,
}

/// What became of the intent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutActionStatus {
    /// Accepted or Refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ActionOutcome>,
    /// A sentence that says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The run it was applied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it was consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed_at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActionOutcome {
    Accepted,
    Refused,
}
