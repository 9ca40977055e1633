//! What a decision asks for: at most one transition to persist, then actions in order, then a status.

use std::{collections::BTreeSet, time::Duration};

use super::world::{Fact, Revision};
use crate::api::{ActionOutcome, Percent, Reason, RolloutRunSpec, RolloutRunStatus, RolloutStatus, RunRoute};

/// The outcome of looking at one World.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The run's state to persist before any action; None: it stays.
    pub run: Option<RunWrite>,
    /// Writes to the cluster, in order.
    pub actions: Vec<Action>,
    /// What the Rollout's status is to say.
    pub status: RolloutStatus,
    /// Transitions for people: Events and log lines.
    pub notes: Vec<Note>,
    /// Facts that hold now; the shell measures for how long.
    pub facts: BTreeSet<Fact>,
    /// The service's error budget is to be measured: a RolloutPolicy asks before a run starts.
    pub wants_burn: bool,
    /// When to look again, if nothing happens before.
    pub wake: Duration,
}

/// A write of the run's record.
#[derive(Clone, Debug, PartialEq)]
pub enum RunWrite {
    /// Create the run: the lock. It has no status yet.
    Create { name: String, spec: Box<RolloutRunSpec> },
    /// Write the status: a transition or a new leader's epoch, which cannot wait, or credits and evidence worth keeping.
    Status { name: String, status: Box<RolloutRunStatus>, transition: bool },
    /// Nothing to write: keep the credits and the evidence in memory.
    Remember { name: String, status: Box<RolloutRunStatus> },
}

/// One write to the cluster. Every one is idempotent.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    AddFinalizer,
    RemoveFinalizer,
    /// `spec.replicas` was absent: write it once.
    WriteReplicas {
        replicas: u32,
    },
    /// Ask the API server, without effect, whether it would take the source's template.
    DryRun {
        revision: Revision,
    },
    /// Create the ControllerRevision from the source's template, if it is not there.
    RecordRevision {
        revision: Revision,
    },
    /// Create the Deployment from the ControllerRevision (a baseline's from stable's), if it is not there.
    CreateDeployment {
        revision: Revision,
        replicas: u32,
    },
    Scale {
        revision: Revision,
        replicas: u32,
    },
    DeleteDeployment {
        revision: Revision,
    },
    /// Create or update the revision's Services, one for each application Service.
    ApplyServices {
        revision: Revision,
    },
    DeleteServices {
        revision: Revision,
    },
    /// Write the ordinal of the promotion.
    MarkProven {
        revision: Revision,
        ordinal: u64,
    },
    DeleteRecord {
        revision: Revision,
    },
    /// Replace the pods of a revision, as `kubectl rollout restart` does; those that were replaced at this word are left alone.
    RestartPods {
        revision: Revision,
        at: String,
    },
    /// Set the added key of the Service's selector, and the run annotation if a run is given.
    Pin {
        service: String,
        revision: Revision,
        run: Option<String>,
    },
    /// Without a route: remove the added key and keep the annotation, so that both revisions' pods share the Service.
    Share {
        service: String,
        run: String,
    },
    /// Remove the added key and the annotation.
    Unpin {
        service: String,
    },
    /// Edit a route. `total` is the sum that the application's share of a rule is split in (100 to 100,000): exact for the whole plan.
    Route {
        original: Box<RunRoute>,
        canary: Revision,
        baseline: Option<Revision>,
        total: u32,
        edit: RouteEdit,
    },
    /// Write this leader's epoch into the run's mark on a Service or a route, and nothing else.
    Seal {
        kind: String,
        name: String,
        run: String,
    },
    /// Create the preview Service, or let it select another revision.
    Preview {
        service: String,
        revision: Revision,
    },
    /// Scale the referenced Deployment.
    ScaleSource {
        replicas: u32,
    },
    /// Give the referenced Deployment this revision's template (deletion only).
    RestoreSource {
        revision: Revision,
    },
    /// Write the outcome of a RolloutAction.
    Resolve {
        action: String,
        outcome: ActionOutcome,
        message: String,
        run: Option<String>,
    },
    DeleteAction {
        action: String,
    },
    DeleteRun {
        name: String,
    },
    /// Write a finished run's status (`closed`).
    CloseRun {
        name: String,
        status: Box<RolloutRunStatus>,
    },
}

/// An intent for a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteEdit {
    /// Append the refs of the canary, and of a baseline, at weight 0 to every managed rule, and the run annotation.
    Name { run: String },
    /// Give the canary and the baseline (0 without one) these shares, the application's Services the rest.
    Weight { share: Percent, baseline: Percent },
    /// Take these refs and the run's mark out, and write the original weights: the owners' form.
    Drop { run: String },
}

/// A transition worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub reason: Reason,
    pub message: String,
    pub warning: bool,
}
