//! Telling people: Events, log lines and metrics about what a pass did. An idle pass says nothing.

use super::{Events, Gauges, Key, Memory, Metrics, Moment, Outcome};
use crate::{
    api::{Phase, Reason, RolloutStatus, RunPhase},
    engine::{Action, Decision, Note, World},
};

/// Conditions of a run, or of a Rollout, that cannot come to its end. Their reasons are their types.
const INCOMPLETE: [Reason; 3] = [Reason::AbortIncomplete, Reason::RouteNotAccepted, Reason::RestoreIncomplete];

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
        tell(key, world, note, serial, events, metrics, now);
    }
    // After a pass that stopped, what was not answered is answered by the next.
    for action in decision.actions.iter().filter(|_| matches!(outcome, Outcome::Done)) {
        if let Action::Resolve { outcome, .. } = action {
            metrics.action(*outcome);
        }
    }
}

/// That a Rollout stands still, or goes on, where no decision has said it.
pub fn standstill(key: &Key, world: &World, note: &Note, events: &Events, metrics: &Metrics, now: &Moment) {
    tell(key, world, note, 98, events, metrics, now);
}

fn tell(key: &Key, world: &World, note: &Note, serial: u64, events: &Events, metrics: &Metrics, now: &Moment) {
    let reason = note.reason.word();
    if note.warning {
        tracing::warn!(rollout = %key, reason, "{}", note.message);
    } else {
        tracing::info!(rollout = %key, reason, "{}", note.message);
    }
    metrics.transition(note.reason);
    events.tell(key, &world.rollout.uid, note, now, serial);
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
    let hold = memory.hold(hold_reason(status, has_open_run(world)), now.millis);
    Gauges {
        phase: status.phase,
        weight: status.weight.unwrap_or_default(),
        evidence_age: evidence_age_millis.filter(|_| has_open_run(world)).map(std::time::Duration::from_millis),
        hold: hold.map(|(reason, millis)| (reason, std::time::Duration::from_millis(millis))),
    }
}

/// What a Rollout waits for, if nothing says that it comes by itself. One that is Degraded without a run waits for nothing: its
/// release is over.
fn hold_reason(status: &RolloutStatus, has_open_run: bool) -> Option<Reason> {
    if let Some(incomplete) = INCOMPLETE.into_iter().find(|reason| status.condition(reason.word()).is_some()) {
        return Some(incomplete);
    }
    let reason = status.reason()?;
    let waits = match status.phase? {
        Phase::Paused | Phase::Pending => true,
        Phase::Degraded => has_open_run,
        Phase::Healthy | Phase::Progressing | Phase::Soaking | Phase::Finishing | Phase::Terminating => false,
    };
    (waits || matches!(reason, Reason::MetricsUnavailable | Reason::NoCanaryTraffic)).then_some(reason)
}

fn has_open_run(world: &World) -> bool {
    world.runs.iter().any(|run| run.status.as_ref().is_none_or(|status| status.phase != RunPhase::Ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Condition;

    fn status(phase: Phase, conditions: &[(&str, Reason)]) -> RolloutStatus {
        let condition = |(kind, reason): &(&str, Reason)| Condition {
            kind: (*kind).into(),
            status: "True".into(),
            reason: reason.word().into(),
            message: String::new(),
            last_transition_time: String::new(),
            observed_generation: 1,
        };
        let conditions = conditions.iter().map(condition).collect();
        RolloutStatus { phase: Some(phase), conditions, ..RolloutStatus::default() }
    }

    #[test]
    fn a_run_that_cannot_go_on_or_back_waits_and_a_release_that_is_over_does_not() {
        use Phase::{Degraded, Finishing, Healthy, Paused, Pending, Progressing, Soaking, Terminating};
        use Reason::*;
        type Case<'c> = (Phase, &'c [(&'c str, Reason)], bool, Option<Reason>);
        let cases: &[Case] = &[
            (Paused, &[("Ready", AwaitingApproval)], true, Some(AwaitingApproval)),
            (Pending, &[("Ready", Frozen)], false, Some(Frozen)),
            (Progressing, &[("Ready", Preparing)], true, None),
            (Progressing, &[("Ready", MetricsUnavailable)], true, Some(MetricsUnavailable)),
            (Soaking, &[("Ready", NoCanaryTraffic)], true, Some(NoCanaryTraffic)),
            (Progressing, &[("Ready", Aborting)], true, None),
            (Progressing, &[("Ready", Aborting), ("AbortIncomplete", AbortIncomplete)], true, Some(AbortIncomplete)),
            (Progressing, &[("Ready", Aborting), ("RouteNotAccepted", RouteNotAccepted)], true, Some(RouteNotAccepted)),
            (Finishing, &[("Ready", Promoted), ("RouteNotAccepted", RouteNotAccepted)], true, Some(RouteNotAccepted)),
            (
                Terminating,
                &[("Ready", Deleted), ("RestoreIncomplete", RestoreIncomplete)],
                false,
                Some(RestoreIncomplete),
            ),
            (Degraded, &[("Ready", RouteMissing)], true, Some(RouteMissing)),
            (Degraded, &[("Ready", BudgetSpent)], false, None),
            (Degraded, &[("Ready", InvalidSpec)], false, None),
            (Healthy, &[("Ready", Stable)], false, None),
            (Paused, &[], true, None),
        ];
        for (phase, conditions, has_open_run, expected) in cases {
            assert_eq!(hold_reason(&status(*phase, conditions), *has_open_run), *expected, "{phase:?} {conditions:?}");
        }
    }
}
