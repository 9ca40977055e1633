//! What happens next, and when: computed from the record and the time, because nothing that ages is stored.
//!
//! It foretells the plan, not the evidence: a breach may come first at any time.

use super::{Scene, age::length, steps};
use crate::api::{PlanStep, Reason, RolloutRun, RolloutRunStatus, RunPhase};

/// One sentence about what the run does next; None if nothing is under way or the time is not given.
pub fn next(scene: &Scene) -> Option<String> {
    let (run, record) = (scene.run?, scene.record()?);
    let since_written = scene.since_written()?;
    match record.phase {
        RunPhase::Stepping | RunPhase::Soaking if scene.rollout.spec.paused => {
            Some("waits until spec.paused is false".into())
        }
        RunPhase::Stepping | RunPhase::Soaking if record.paused => Some("waits for a person to resume".into()),
        RunPhase::Stepping => in_step(scene, run, record, since_written),
        RunPhase::Soaking => {
            let left = steps::left(scene, run.spec.plan.soak.as_millis(), record)?;
            Some(ending("soak", left, "promoted", &[], hold(scene)))
        }
        RunPhase::Finishing => Some("routes and Services get their owners' form again".into()),
        RunPhase::Aborting => Some("all traffic goes back to the stable revision".into()),
        RunPhase::Ended => None,
    }
}

fn in_step(scene: &Scene, run: &RolloutRun, record: &RolloutRunStatus, since_written: u64) -> Option<String> {
    let step = scene.step()?;
    if record.settled_at.is_none() {
        return Some(getting_ready(scene, run, record, since_written));
    }
    let left = if record.skip_bake || record.skip_all { 0 } else { steps::left(scene, step.bake.as_millis(), record)? };
    Some(ending("bake", left, &then(run, record), &steps::missing_approvals(step, record), hold(scene)))
}

fn ending(what: &str, left: u64, then: &str, missing: &[String], hold: Option<Reason>) -> String {
    match (left, missing, hold) {
        (0, [], None) => format!("{then} now"),
        (0, [], Some(reason)) => format!("{then} as soon as nothing holds it ({})", reason.word()),
        (0, missing, _) => format!("{then} once there is {}", missing.join(" and ")),
        (left, [], _) => format!("{what} ends in {}, then {then}", length(left)),
        (left, missing, _) => {
            format!("{what} ends in {}; {then} once there is {}", length(left), missing.join(" and "))
        }
    }
}

/// Before the step's weight is accepted everywhere, the progress deadline runs while pods or routes are waited for.
fn getting_ready(scene: &Scene, run: &RolloutRun, record: &RolloutRunStatus, since_written: u64) -> String {
    let weight = run.spec.plan.steps.get(record.step as usize).map(|step: &PlanStep| step.weight).unwrap_or_default();
    let waits = matches!(scene.reason(), Some(Reason::WaitingForPods | Reason::WaitingForRoute));
    let spent = record.credits.deadline_millis + if waits { since_written } else { 0 };
    match run.spec.progress_deadline.as_millis().saturating_sub(spent) {
        0 => "reverts: the progress deadline is over".into(),
        left if waits => format!("weight {weight}, or back to stable if it is not ready in {}", length(left)),
        _ => format!("weight {weight}"),
    }
}

fn then(run: &RolloutRun, record: &RolloutRunStatus) -> String {
    match run.spec.plan.steps.get(record.step as usize + 1) {
        Some(step) => format!("weight {}", step.weight),
        None if run.spec.plan.soak.as_millis() > 0 => format!("soak for {}", length(run.spec.plan.soak.as_millis())),
        None => "promoted".into(),
    }
}

/// The reason that keeps a step from ending although its time is over.
fn hold(scene: &Scene) -> Option<Reason> {
    scene.reason().filter(|reason| is_hold(*reason))
}

const fn is_hold(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::MetricsUnavailable
            | Reason::NoCanaryTraffic
            | Reason::SharedDegradation
            | Reason::BudgetHalfSpent
            | Reason::Inconclusive
            | Reason::RouteContended
            | Reason::ServiceContended
            | Reason::Warmup
            | Reason::WaitingForPods
            | Reason::WaitingForRoute
            | Reason::ApiUnavailable
            | Reason::InvalidSpec
    )
}
