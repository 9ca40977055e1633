//! What the Rollout's status may say after the writes: the decision's status if all of them happened, and what failed if not.
//!
//! It never claims what has not happened, and decides nothing.

use super::ClusterError;
use crate::{
    api::{Condition, Phase, Reason, RolloutStatus},
    engine::{Broken, Decision, World},
};

/// Longest sentence in a status.
const MESSAGE_LIMIT: usize = 1_024;

/// How far a pass came.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All writes are done.
    Done,
    /// A law forbids the decision; nothing was written.
    Forbidden(Vec<Broken>),
    /// The run's record could not be written; nothing else was, except what lowers the canary's weight.
    NotPersisted(ClusterError),
    /// The record stands, a later write failed.
    Stopped(ClusterError),
}

impl Outcome {
    /// Somebody else has written in between: what was seen is no longer so, and the next pass follows at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::NotPersisted(ClusterError::Conflict { .. }) | Self::Stopped(ClusterError::Conflict { .. }))
    }
}

/// The status to write; None: leave the one that stands.
pub fn settle(world: &World, decision: &Decision, outcome: &Outcome) -> Option<RolloutStatus> {
    let present = &world.rollout.status;
    let status = match outcome {
        _ if outcome.is_conflict() => return None,
        Outcome::Done => decision.status.clone(),
        Outcome::Forbidden(broken) => {
            let sentence = |broken: &Broken| format!("{}: {}", broken.law, broken.message);
            let message = broken.iter().map(sentence).collect::<Vec<_>>().join("; ");
            troubled(world, present, Reason::LawBroken, format!("no change was made: {message}"))
        }
        // The run has not moved: what the decision says of it is not so.
        Outcome::NotPersisted(error) => troubled(world, present, Reason::ApiUnavailable, error.to_string()),
        Outcome::Stopped(error) => troubled(world, &decision.status, Reason::ApiUnavailable, error.to_string()),
    };
    (status != *present).then_some(status)
}

/// The status with the trouble in the place of the reason. Whether the release is complete does not change by it.
fn troubled(world: &World, base: &RolloutStatus, reason: Reason, message: String) -> RolloutStatus {
    let mut status = base.clone();
    let message: String = message.chars().take(MESSAGE_LIMIT).collect();
    // A Rollout that is going away, paused or degraded stays that: only what claims to be well or on its way does not.
    if !matches!(status.phase, Some(Phase::Terminating | Phase::Paused | Phase::Degraded)) {
        status.phase = Some(Phase::Progressing);
    }
    status.observed_generation = Some(world.rollout.generation);
    status.message = Some(message.clone());
    for (kind, value) in [("Ready", "Unknown"), ("Reconciling", "True"), ("Stalled", "False")] {
        let present = world.rollout.status.conditions.iter().find(|condition| condition.kind == kind);
        let since = present.filter(|condition| condition.status == value).map(|it| it.last_transition_time.clone());
        let condition = Condition {
            kind: kind.into(),
            status: value.into(),
            reason: reason.word().into(),
            message: message.clone(),
            last_transition_time: since.unwrap_or_else(|| world.now.clone()),
            observed_generation: world.rollout.generation,
        };
        match status.conditions.iter_mut().find(|condition| condition.kind == kind) {
            Some(place) => *place = condition,
            None => status.conditions.push(condition),
        }
    }
    status
}
