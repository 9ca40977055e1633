//! Telling people: Events, log lines and metrics about what a pass did. An idle pass says nothing.

use super::{Events, Gauges, Key, Memory, Metrics, Moment, Outcome};
use crate::{
    api::{Condition, Phase, Reason, RolloutStatus, RunPhase},
    engine::{Action, Decision, Note, World},
};

/// One Event, one log line and one count per transition that has happened.
pub fn transitions(
    key: &Key,
    world: &World,
    decision: &Decision,
    outcome: &Outcome,
    events: &Events,
    metrics: &Metrics,
    now: &Moment,
) {
    let notes = match outcome {
        Outcome::Done | Outcome::Stopped(_) => decision.notes.as_slice(),
        // The record has not moved: the same transition is decided again.
        Outcome::NotPersisted(_) | Outcome::Forbidden(_) => &[],
    };
    for (serial, note) in (0..).zip(notes) {
        let reason = note.reason.word();
        if note.warning {
            tracing::warn!(rollout = %key, reason, "{}", note.message);
        } else {
            tracing::info!(rollout = %key, reason, "{}", note.message);
        }
        metrics.transition(note.reason);
        events.tell(key, &world.rollout.uid, note, now, serial);
    }
    // After a pass that stopped, what was not answered is answered by the next.
    for action in decision.actions.iter().filter(|_| matches!(outcome, Outcome::Done)) {
        if let Action::Resolve { outcome, .. } = action {
            metrics.action(*outcome);
        }
    }
}

/// What stopped a pass; said only when the status says it for the first time.
pub fn trouble(key: &Key, world: &World, outcome: &Outcome, events: &Events, now: &Moment) {
    let (reason, message) = match outcome {
        Outcome::Done => return,
        Outcome::Forbidden(broken) => {
            let sentences: Vec<String> =
                broken.iter().map(|broken| format!("{}: {}", broken.law, broken.message)).collect();
            (Reason::LawBroken, sentences.join("; "))
        }
        Outcome::NotPersisted(error) | Outcome::Stopped(error) => (Reason::ApiUnavailable, error.to_string()),
    };
    tracing::warn!(rollout = %key, reason = reason.word(), "{message}");
    events.tell(key, &world.rollout.uid, &Note { reason, message, warning: true }, now, 99);
}

/// The gauges of one Rollout after a pass.
pub fn gauges(
    status: &RolloutStatus,
    world: &World,
    memory: &mut Memory,
    evidence_age_millis: Option<u64>,
    now: &Moment,
) -> Gauges {
    let waits =
        matches!(status.phase, Some(Phase::Paused | Phase::Pending)) || hold_reason(status).is_some_and(is_hold);
    let hold = memory.hold(hold_reason(status).filter(|_| waits), now.millis);
    Gauges {
        phase: status.phase,
        weight: status.weight.unwrap_or_default(),
        evidence_age: evidence_age_millis.filter(|_| has_open_run(world)).map(std::time::Duration::from_millis),
        hold: hold.map(|(reason, millis)| (reason, std::time::Duration::from_millis(millis))),
    }
}

fn hold_reason(status: &RolloutStatus) -> Option<Reason> {
    let ready: &Condition = status.conditions.iter().find(|condition| condition.kind == "Ready")?;
    Reason::ALL.iter().copied().find(|reason| reason.word() == ready.reason)
}

/// Waits without an end of their own that do not show as Paused or Pending.
fn is_hold(reason: Reason) -> bool {
    matches!(reason, Reason::MetricsUnavailable | Reason::NoCanaryTraffic | Reason::AbortIncomplete)
}

fn has_open_run(world: &World) -> bool {
    world.runs.iter().any(|run| run.status.as_ref().is_none_or(|status| status.phase != RunPhase::Ended))
}
