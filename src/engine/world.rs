//! What a decision may look at: one observed World, every input Known, Absent or Unknown.
//!
//! It holds plain values only; documents have been read by the adapters before.

use std::collections::BTreeMap;

use super::{Guardrails, RevisionView};
use crate::{
    api::{ActionType, EvidenceRecord, Percent, PlanStep, Reason, RolloutRunSpec, RolloutRunStatus, RunRoute, Span},
    stats::Verdict,
};

/// A revision's hash: its name.
pub type Revision = String;

/// In counts by revision: the pods of the referenced Deployment, which are no revision's.
pub const SOURCE_PODS: &str = "";

/// An input from outside: a failed read is Unknown, never Absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    Known(T),
    Absent,
    /// Why it could not be read.
    Unknown(String),
}

impl<T> Seen<T> {
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Known(value) => Seen::Known(change(value)),
            Self::Absent => Seen::Absent,
            Self::Unknown(why) => Seen::Unknown(why),
        }
    }

    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// Everything that one decision rests on.
#[derive(Clone, Debug)]
pub struct World {
    /// RFC 3339 wall-clock time, for records: of decisions only the memory of resets compares it.
    pub now: String,
    /// Monotonic milliseconds since the last pass over this Rollout, within [0, 10 s].
    pub elapsed_millis: u64,
    /// How long each fact of the last decision has held without a break, in milliseconds; 0 for a new one.
    pub held: BTreeMap<Fact, u64>,
    /// The leader's epoch: no record and no mark of a newer one may stand.
    pub epoch: i64,
    pub rollout: RolloutView,
    /// The template that the spec asks for.
    pub source: Seen<SourceView>,
    /// All revisions that have a ControllerRevision or a Deployment, by hash.
    pub revisions: BTreeMap<Revision, RevisionView>,
    /// The application's Services in the order of the spec.
    pub services: Vec<ServiceView>,
    pub preview: Option<PreviewView>,
    /// The managed routes in the order of the spec (of the run, if one is unfinished).
    pub routes: Vec<RouteView>,
    /// All runs, oldest first. At most one is unfinished.
    pub runs: Vec<RunView>,
    /// Unconsumed RolloutActions, oldest first.
    pub actions: Vec<ActionView>,
    /// Names of answered RolloutActions that have been kept for long enough.
    pub spent_actions: Vec<String>,
    /// What stands against starting a run (refusals), found by the adapters: all of them.
    pub refusals: Vec<Refusal>,
    /// What the RolloutPolicies that select this Rollout ask for.
    pub guardrails: Guardrails,
    /// Policies that name an application Service and do not follow to a revision's, sorted.
    pub not_carried: Vec<PolicyView>,
    /// What the dry-run of the source's template said; None: not asked yet.
    pub dry_run: Option<Result<(), String>>,
    /// The analysis with templates and arguments resolved, or what is missing.
    pub analysis: Result<crate::api::ResolvedAnalysis, Vec<Refusal>>,
    /// What the evidence of the unfinished run amounts to; None: none for this step and weight yet.
    pub evidence: Option<EvidenceView>,
}

/// The Rollout's own object after validation.
#[derive(Clone, Debug)]
pub struct RolloutView {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub generation: i64,
    pub deleting: bool,
    pub has_finalizer: bool,
    /// `tidegate.io/orphan: "true"`.
    pub orphan: bool,
    /// The namespace is going away: there is nothing to restore.
    pub namespace_terminating: bool,
    /// The validated spec, or every problem of it.
    pub spec: Result<ValidRollout, Vec<Refusal>>,
    /// The status as it stands, to keep transition times and to write only what differs.
    pub status: crate::api::RolloutStatus,
}

/// A spec in which what must exist exists, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidRollout {
    pub release: Option<String>,
    /// None: not written yet; the controller writes it once.
    pub replicas: Option<u32>,
    pub min_ready_seconds: u32,
    /// Name of the referenced Deployment; None: the template is in the spec.
    pub deployment_ref: Option<String>,
    pub services: Vec<String>,
    pub preview: Option<String>,
    pub routes: Vec<(String, String)>,
    pub warm: Span,
    pub drain: Span,
    /// The strategy compiled to steps; the last is at 100.
    pub steps: Vec<PlanStep>,
    pub soak: Span,
    /// Fresh pods of stable are the control.
    pub baseline: bool,
    /// A known revision goes through the steps too.
    pub known_in_steps: bool,
    pub error_budget: Option<crate::api::ErrorBudget>,
    pub progress_deadline: Span,
    pub paused: bool,
    pub run_history_limit: usize,
}

/// The template that the spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// The revision that equals it, or the hash that a new one would get.
    pub revision: Revision,
    /// With deploymentRef.
    pub deployment: Option<SourceDeployment>,
}

/// The referenced Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDeployment {
    pub generation: i64,
    pub desired: u32,
    /// Pods that it has, ready or not.
    pub pods: u32,
    pub ready: u32,
    /// Its own rollout is finished.
    pub settled: bool,
    /// Another manager owns spec.replicas: it will be scaled up again.
    pub replicas_owner: Option<String>,
}

/// A policy that names an application Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyView {
    pub kind: String,
    pub name: String,
    pub service: String,
}

/// One application Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    pub name: String,
    pub state: Seen<ServiceState>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// The revision in the added selector key.
    pub pin: Option<Revision>,
    /// The run that the annotation `tidegate.io/run` names.
    pub run: Option<String>,
    /// The epoch in that mark; 0 without one.
    pub epoch: i64,
    /// Ready endpoints by revision, smallest over the ports a managed rule names.
    pub ready: BTreeMap<Revision, u32>,
    /// All endpoints by revision, ready or not, terminating ones too.
    pub endpoints: BTreeMap<Revision, u32>,
    /// Ready endpoints whose pod bears no revision of this Rollout.
    pub foreign: u32,
    /// The field manager that wrote last.
    pub last_manager: Option<String>,
}

/// The preview Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewView {
    pub name: String,
    pub exists: bool,
    pub selects: Option<Revision>,
}

/// One managed route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteView {
    pub kind: String,
    pub name: String,
    pub state: Seen<RouteState>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RouteState {
    /// The run that the annotation `tidegate.io/run` names.
    pub run: Option<String>,
    /// The epoch in that mark; 0 without one.
    pub epoch: i64,
    /// How the canary's refs stand in the managed rules.
    pub canary: CanaryRefs,
    /// How the baseline's refs stand in them; None: no rule has one.
    pub baseline: Option<BaselineRefs>,
    /// Every counted parent has accepted the present generation and resolved its refs.
    pub accepted: bool,
    /// The first parent that has not accepted: its name, what it says of the route, and what to do about it.
    pub waiting_for: Option<String>,
    /// That parent says nothing of the present generation.
    pub parent_silent: bool,
    /// ResolvedRefs is False at the present generation.
    pub refs_unresolved: bool,
    /// As it would be frozen now: managed rules and their backends without ours.
    pub original: RunRoute,
    /// Backends of the managed rules differ from the run's frozen ones in what is not ours.
    pub foreign_change: bool,
    /// The field manager that wrote last.
    pub last_manager: Option<String>,
}

/// How the refs of the canary, or of its baseline, stand in all managed rules of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryRefs {
    /// In none.
    Absent,
    /// In all, with this share.
    At(Percent),
    /// In some, or with different shares: the largest.
    Mixed(Percent),
}

impl CanaryRefs {
    /// The largest share that they have anywhere.
    pub const fn largest(self) -> Percent {
        match self {
            Self::Absent => Percent::ZERO,
            Self::At(share) | Self::Mixed(share) => share,
        }
    }
}

/// A baseline that a route names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineRefs {
    /// Its revision label.
    pub revision: Revision,
    pub refs: CanaryRefs,
}

impl RouteState {
    /// How the baseline's refs stand.
    pub fn baseline_refs(&self) -> CanaryRefs {
        self.baseline.as_ref().map_or(CanaryRefs::Absent, |baseline| baseline.refs)
    }

    /// The canary has this share in every managed rule, and the baseline that one; None: no rule may name one.
    pub fn is_at(&self, share: Percent, baseline: Option<Percent>) -> bool {
        self.canary == CanaryRefs::At(share)
            && self.baseline_refs() == baseline.map_or(CanaryRefs::Absent, CanaryRefs::At)
    }

    /// Neither the canary nor a baseline gets anything.
    pub fn gives_nothing(&self) -> bool {
        self.canary.largest() == Percent::ZERO && self.baseline_refs().largest() == Percent::ZERO
    }

    /// No backend of a run is named.
    pub fn is_without_refs(&self) -> bool {
        self.canary == CanaryRefs::Absent && self.baseline_refs() == CanaryRefs::Absent
    }
}

#[derive(Clone, Debug)]
pub struct RunView {
    pub name: String,
    pub spec: RolloutRunSpec,
    /// None: not started.
    pub status: Option<RolloutRunStatus>,
    /// The API server may hold less: credits and evidence since the last write are in memory only.
    pub unwritten_millis: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionView {
    pub name: String,
    pub uid: String,
    pub kind: ActionType,
    pub rollout_uid: Option<String>,
    pub run: Option<String>,
    pub step: Option<u32>,
    pub gate: Option<String>,
    /// As the action says.
    pub author: String,
    /// The API server has compared the author with the user that it knew.
    pub verified: bool,
    pub on_behalf_of: Option<String>,
    pub reason: String,
}

/// One thing that stands in the way, as a sentence that names object, field and fix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    pub reason: Reason,
    pub message: String,
}

/// What the evidence amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceView {
    /// The run's seq for which the windows were taken: a verdict on an older weight does not count.
    pub seq: i64,
    pub verdict: Verdict,
    /// For the run's record.
    pub record: EvidenceRecord,
}

/// Something that must hold for a while before it is acted on; kept in memory: after a restart the wait begins anew, the safe way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// Every managed route has accepted the canary's refs at weight 0 (named).
    Named,
    /// The canary has the pods for its first weight.
    Ready,
    /// Every route and Service has given the canary's traffic back, accepted (its refs at 0 or gone).
    CanaryAtZero,
    /// Every route has accepted weight 0 for the application Services.
    ServiceAtZero,
    /// The application Services' slices hold only the winner's endpoints, enough of them.
    Flipped,
    /// The canary's refs are gone from every route, accepted.
    Dropped,
    /// No endpoint of this revision is in an application Service's slices.
    OutOfService(Revision),
    /// At rest, fewer pods than asked for are ready.
    Short,
    /// A counted parent has stopped reporting.
    ParentSilent,
    /// Going back is held for lack of ready stable pods.
    AbortHeld,
    /// The adopted revision alone serves.
    AdoptedAlone,
    /// A Service or route was missing and is back.
    Back,
    /// RouteContended or ServiceContended: time since the last try.
    Contended,
    /// The referenced Deployment was scaled up again by its manager: time since it was scaled back.
    SourceUp,
    /// The Rollout is being deleted and still here.
    Deleting,
}
