//! The state of one attempt: `RolloutRun`'s status. Its decisions and evidence are in `record`.
//!
//! It is the only durable state of a run; what is not in it is measured anew after a restart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DecisionLog, EvidenceRecord, Percent, Reason, RunRoute};

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
    /// Up to this `seq` the decisions were sent to the receivers of notifications; behind by what no write has told yet.
    #[serde(default)]
    pub notified_seq: i64,
    /// Where it stands.
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
    /// Why, in one sentence with the numbers.
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
    /// Who lets it go on in freeze windows, why, and until when (Override).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<FreezeOverride>,
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

/// A person's word that a run cannot wait for the end of a freeze.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreezeOverride {
    /// Who gave it.
    pub author: String,
    /// The API server has compared the author with the user that it knew. False: the author is what the creator wrote.
    #[serde(default)]
    pub verified: bool,
    /// Why.
    pub reason: String,
    /// RFC 3339 time at which the windows end that were open then: one that lasts longer holds again. Absent: no end was in sight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// One approval of a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The gate's name.
    pub gate: String,
    /// Who gave it.
    pub author: String,
    /// The RolloutAction's name.
    pub action: String,
    /// The API server has compared the author with the user that it knew. False: the author is what the creator wrote.
    #[serde(default)]
    pub verified: bool,
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
