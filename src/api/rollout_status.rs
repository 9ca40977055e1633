//! The status contract of `Rollout`: flat scalars and conditions for kubectl, kstatus, Argo CD, Flux, Helm and Argo Workflows.
//!
//! It is a projection: no decision reads it back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Percent, Reason, RunOutcome};

/// Where the Rollout stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The generation of the spec that this status is about; -1 before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The release in the spec and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseStatus>,
    /// The current or last RolloutRun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The step of the run, counted from 1, of how many: "1/4". (RolloutAction.spec.step counts from 0.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The share of traffic that the revision under test is granted, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// The revision that serves when nothing is under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_revision: Option<String>,
    /// The revision under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_revision: Option<String>,
    /// All pods of the Rollout; the scale subresource shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Ready pods of the Rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// The label selector of all pods of the Rollout; the scale subresource shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The generation of the referenced Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadStatus>,
    /// Ready, Reconciling, Stalled, Completed, and others by situation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl RolloutStatus {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Why the Rollout is ready or not.
    pub fn reason(&self) -> Option<Reason> {
        let ready = self.condition("Ready")?;
        Reason::ALL.iter().copied().find(|reason| reason.word() == ready.reason)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// A new template waits for its run.
    Pending,
    /// Work is going on: steps, going back, adopting, or pods that are not ready.
    Progressing,
    /// A run waits for a person.
    Paused,
    /// At 100 %; the old revision is kept ready and a breach still reverts.
    Soaking,
    /// Promoted; routes and Services get their owners' form again.
    Finishing,
    /// One revision serves and everything is ready.
    Healthy,
    /// The release was taken back, or the spec cannot be used: see the message.
    Degraded,
    /// The Rollout is being deleted.
    Terminating,
}

/// The release in the spec and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// `spec.release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The revision of its template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,
}

/// The referenced Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// Its metadata.generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The generation whose template this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A condition as Kubernetes' API conventions have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The condition's name, for example Ready.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
    /// Why, as a word: one of the reasons in docs/reference/reasons.md.
    pub reason: String,
    /// Why, in one sentence.
    pub message: String,
    /// RFC 3339 time at which `status` last changed.
    pub last_transition_time: String,
    /// The generation of the spec that this condition is about.
    pub observed_generation: i64,
}
