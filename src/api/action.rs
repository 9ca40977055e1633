//! `RolloutAction`: an intent of a person or a pipeline. Create-only, immutable, consumed once.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{DNS_1035, DNS_SUBDOMAIN, WORD, immutable, rule};

/// An intent of a person or a pipeline. It is consumed once; the outcome stands in its status. Immutable.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "RolloutAction", namespaced)]
#[kube(status = "RolloutActionStatus", shortname = "tga", category = "tidegate")]
#[kube(
    doc = "A RolloutAction is what a person or a pipeline wants of a Rollout: it is created, consumed once, and never changed."
)]
#[kube(printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"))]
#[kube(printcolumn(name = "Rollout", type_ = "string", json_path = ".spec.rollout"))]
#[kube(printcolumn(name = "Outcome", type_ = "string", json_path = ".status.outcome"))]
#[kube(printcolumn(name = "Message", type_ = "string", json_path = ".status.message"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    immutable("an action cannot be changed: create another one"),
    rule("self.type != 'Approve' || has(self.gate)", "gate is needed for type Approve: name the gate that is approved"),
    rule("self.type != 'Override' || (has(self.reason) && self.reason.matches('[^ ]'))", "reason is needed for type Override: say why this cannot wait"),
]))]
pub struct RolloutActionSpec {
    /// What is wanted.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// The Rollout's name, in this namespace.
    #[schemars(length(max = 40), regex(pattern = DNS_1035))]
    pub rollout: String,
    /// The Rollout's uid; if given and another one, the action is refused. Default: any.
    #[serde(default, rename = "rolloutUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub rollout_uid: Option<String>,
    /// The RolloutRun that is meant; if given and another one is current, the action is refused. Default: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub run: Option<String>,
    /// The step that is meant, counted from 0; if given and another one is current, the action is refused. Default: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub step: Option<u32>,
    /// The gate that is approved (Approve).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = WORD))]
    pub gate: Option<String>,
    /// Who asks: the name by which the API server knows its creator. With the admission policy of docs/access.md anybody else's
    /// is refused, and servers from 1.36 on fill it in; without it the author is shown as unverified. Default: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub author: Option<String>,
    /// For whom a tool or a pipeline asks. Nobody verifies it, and it is shown as unverified. Default: nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub on_behalf_of: Option<String>,
    /// Why; shown in the run's decisions. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
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
    /// Let this run start, or go on, in the freeze windows that are open now, until they end, and let it start whatever the service's error budget looks like. Needs a reason.
    Override,
}

/// What became of the intent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutActionStatus {
    /// What became of it. Absent until it is consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ActionOutcome>,
    /// A sentence that says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The run it was applied to. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// RFC 3339 time at which it was consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed_at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActionOutcome {
    /// It took effect.
    Accepted,
    /// It had no effect; the message says why.
    Refused,
}
