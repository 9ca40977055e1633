//! The status as a projection: one situation gives every flat field and every condition of the contract.
//!
//! Nothing here decides, and nothing that only ages is written: readers compute it from timestamps.

use super::{RevisionView, World};
use crate::api::{
    Condition, Percent, Phase, ROLLOUT_LABEL, Reason, ReleaseStatus, RolloutStatus, RunOutcome, WorkloadStatus,
};

/// Where a Rollout stands, as one row of the status contract.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub phase: Phase,
    pub reason: Reason,
    pub message: String,
    /// None: a release was not recorded yet.
    pub completed: Option<Completed>,
    pub serving: bool,
    pub run: Option<String>,
    /// "1/4"
    pub step: Option<String>,
    pub weight: Option<Percent>,
    pub stable: Option<String>,
    pub canary: Option<String>,
    /// Conditions that only this situation has: type, reason, message. All are True.
    pub extra: Vec<(&'static str, Reason, String)>,
}

/// Whether the release in the spec has an outcome.
#[derive(Clone, Debug)]
pub(super) enum Completed {
    Open,
    As(RunOutcome),
}

impl Situation {
    pub fn new(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            phase,
            reason,
            message: message.into(),
            completed: None,
            serving: false,
            run: None,
            step: None,
            weight: None,
            stable: None,
            canary: None,
            extra: Vec::new(),
        }
    }

    /// Ready, Reconciling and Stalled of this row.
    fn standing(&self) -> [(&'static str, &'static str); 3] {
        let (ready, reconciling, stalled) = match self.phase {
            Phase::Healthy => ("True", "False", "False"),
            Phase::Degraded => ("False", "False", "True"),
            Phase::Pending
            | Phase::Progressing
            | Phase::Paused
            | Phase::Soaking
            | Phase::Finishing
            | Phase::Terminating => ("Unknown", "True", "False"),
        };
        [("Reconciling", reconciling), ("Stalled", stalled), ("Ready", ready)]
    }

    pub fn project(&self, world: &World) -> RolloutStatus {
        let before = &world.rollout.status;
        let pods = |count: fn(&super::DeploymentView) -> u32| -> i32 {
            let sum: u32 =
                world.revisions.values().filter_map(|revision| revision.deployment.as_ref()).map(count).sum();
            i32::try_from(sum).unwrap_or(i32::MAX)
        };
        RolloutStatus {
            observed_generation: Some(world.rollout.generation),
            phase: Some(self.phase),
            message: Some(super::record::shorten(&self.message)),
            release: self.release(world),
            run: self.run.clone(),
            step: self.step.clone(),
            weight: self.weight,
            stable_revision: self.stable.clone(),
            canary_revision: self.canary.clone(),
            replicas: Some(pods(|deployment| deployment.pods)),
            ready_replicas: Some(pods(|deployment| deployment.ready)),
            selector: Some(format!("{ROLLOUT_LABEL}={}", world.rollout.name)),
            workload: self.workload(world),
            conditions: self.conditions(world, &before.conditions),
        }
    }

    fn release(&self, world: &World) -> Option<ReleaseStatus> {
        let source = match &world.source {
            super::Seen::Known(source) => Some(source.revision.clone()),
            super::Seen::Absent | super::Seen::Unknown(_) => None,
        };
        let id = world.rollout.spec.as_ref().ok().and_then(|spec| spec.release.clone());
        let outcome = match &self.completed {
            Some(Completed::As(outcome)) => Some(*outcome),
            Some(Completed::Open) | None => None,
        };
        (id.is_some() || source.is_some()).then_some(ReleaseStatus { id, revision: source, outcome })
    }

    fn workload(&self, world: &World) -> Option<WorkloadStatus> {
        let source = world.source.known()?.deployment.as_ref()?;
        let generation = Some(source.generation);
        Some(WorkloadStatus { generation, observed_generation: generation })
    }

    /// kstatus reads the list in order, so Reconciling and Stalled come first.
    fn conditions(&self, world: &World, before: &[Condition]) -> Vec<Condition> {
        let mut rows: Vec<(&str, &str, Reason, &str)> =
            self.standing().into_iter().map(|(kind, status)| (kind, status, self.reason, &*self.message)).collect();
        match &self.completed {
            Some(Completed::Open) => rows.push(("Completed", "False", self.reason, "the release has no outcome yet")),
            Some(Completed::As(outcome)) => rows.push(("Completed", "True", outcome_reason(*outcome), &self.message)),
            None => {}
        }
        if self.serving {
            rows.push(("Serving", "True", self.reason, "the revision gets all traffic"));
        }
        if self.phase == Phase::Paused {
            rows.push(("Paused", "True", self.reason, &self.message));
        }
        rows.extend(self.extra.iter().map(|(kind, reason, message)| (*kind, "True", *reason, message.as_str())));
        rows.into_iter().map(|row| condition(world, before, row)).collect()
    }
}

/// The time of the last transition stays while the status does.
fn condition(
    world: &World,
    before: &[Condition],
    (kind, status, reason, message): (&str, &str, Reason, &str),
) -> Condition {
    let same = before.iter().find(|old| old.kind == kind && old.status == status);
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.word().to_owned(),
        message: super::record::shorten(message),
        last_transition_time: same.map_or_else(|| world.now.clone(), |old| old.last_transition_time.clone()),
        observed_generation: world.rollout.generation,
    }
}

pub(super) const fn outcome_reason(outcome: RunOutcome) -> Reason {
    match outcome {
        RunOutcome::Promoted => Reason::Promoted,
        RunOutcome::Reverted => Reason::Reverted,
        RunOutcome::Aborted => Reason::Aborted,
        RunOutcome::Superseded => Reason::Superseded,
        RunOutcome::Adopted => Reason::Adopted,
    }
}

/// The revision promoted last, and the ordinal of its promotion.
pub(super) fn last_proven(world: &World) -> Option<(&String, &RevisionView)> {
    world.revisions.iter().filter(|(_, view)| view.proven.is_some()).max_by_key(|(_, view)| view.proven)
}
