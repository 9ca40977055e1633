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
        RunPhase::Stepping if record.paused || scene.rollout.spec.paused => Some("waits for a person to resume".into()),
        RunPhase::Stepping => in_step(scene, run, record, since_written),
        RunPhase::Soaking => {
            let left = left(run.spec.plan.soak.as_millis(), record, since_written);
            Some(if left == 0 {
                "promoted now".into()
            } else {
                format!("soak ends in {}, then promoted", length(left))
            })
        }
        RunPhase::Finishing => Some("routes and Services get their owners' form again".into()),
        RunPhase::Aborting => Some("all traffic goes back to the stable revision".into()),
        RunPhase::Ended => None,
    }
}

fn in_step(scene: &Scene, run: &RolloutRun, record: &RolloutRunStatus, since_written: u64) -> Option<String> {
    let step = scene.step()?;
    if record.settled_at.is_none() {
        return Some(getting_ready(run, record, since_written));
    }
    let then = then(run, record);
    let missing = steps::missing_approvals(step, record);
    let left = left(step.bake.as_millis(), record, since_written);
    let left = if record.skip_bake || record.skip_all { 0 } else { left };
    Some(match (left, missing.is_empty()) {
        (0, true) => match record.reason.filter(|reason| is_hold(*reason)) {
            Some(reason) => format!("{then} as soon as nothing holds it ({})", reason.word()),
            None => format!("{then} now"),
        },
        (0, false) => format!("{then} once there is {}", missing.join(" and ")),
        (left, true) => format!("bake ends in {}, then {then}", length(left)),
        (left, false) => format!("bake ends in {}; {then} once there is {}", length(left), missing.join(" and ")),
    })
}

/// Before the step's weight is accepted everywhere, the progress deadline runs while pods or routes are waited for.
fn getting_ready(run: &RolloutRun, record: &RolloutRunStatus, since_written: u64) -> String {
    let weight = run.spec.plan.steps.get(record.step as usize).map(|step: &PlanStep| step.weight).unwrap_or_default();
    let waits = matches!(record.reason, Some(Reason::WaitingForPods | Reason::WaitingForRoute));
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

/// Time left of a bake or soak: the credit in the record, and what has passed since it was written.
fn left(whole_millis: u64, record: &RolloutRunStatus, since_written: u64) -> u64 {
    let passed = if record.settled_at.is_some() { since_written } else { 0 };
    whole_millis.saturating_sub(record.credits.bake_millis + passed)
}

/// Reasons that keep a step from ending although its bake is over.
const fn is_hold(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::MetricsUnavailable
            | Reason::NoCanaryTraffic
            | Reason::SharedDegradation
            | Reason::BudgetHalfSpent
            | Reason::InsufficientEvidence
            | Reason::Inconclusive
            | Reason::RouteContended
            | Reason::ServiceContended
            | Reason::Warmup
    )
}
