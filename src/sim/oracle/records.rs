//! Laws on records: S6 one justified step, S12 one run at a time, S13 an intent counts once, S14 evidence, S15 time.

use serde_json::Value;

use super::{Change, Verdicts, broken, freezes, mirror::Mirror};
use crate::{
    api::{RolloutRunSpec, RolloutRunStatus, RunPhase},
    engine::Broken,
    sim::clock::Millis,
    workload::object::{name, namespace, text},
};

/// A record is written a while after the look whose time it credits.
const CREDIT_SLACK: Millis = 11_000;

pub fn run(mirror: &Mirror, change: &Change) -> Verdicts {
    let Some(after) = change.after else { return Verdicts::new() };
    let Some(before) = change.before else {
        return vec![one_at_a_time(mirror, after), freezes::starts(mirror, change)];
    };
    let read = |document: &Value| serde_json::from_value::<RolloutRunStatus>(document["status"].clone()).ok();
    let Some(now) = read(after) else { return Verdicts::new() };
    let Some(then) = read(before) else { return vec![first(&now, name(after))] };
    let spec = serde_json::from_value::<RolloutRunSpec>(after["spec"].clone()).ok();
    vec![
        one_step(&then, &now, name(after)),
        absorbed(&then, &now, name(after)),
        evidence(spec.as_ref(), &then, &now, name(after)),
        time(mirror, change, &then, &now),
        epochs(&then, &now, name(after)),
        freezes::goes_on(mirror, change, spec.as_ref(), (&then, &now)),
    ]
}

/// S12: at most one unfinished run of a Rollout.
fn one_at_a_time(mirror: &Mirror, made: &Value) -> Option<Broken> {
    let mut open = mirror.open_runs(namespace(made), text(made, "/spec/rollout")?);
    open.next().and_then(|other| broken("S12", format!("{} begins while {} is open", name(made), name(other))))
}

fn first(now: &RolloutRunStatus, run: &str) -> Option<Broken> {
    if now.step > 0 { broken("S6", format!("{run} begins at step {}", now.step + 1)) } else { None }
}

/// S6: one step at a time, and only from one whose weight was seen accepted; transitions are counted.
fn one_step(then: &RolloutRunStatus, now: &RolloutRunStatus, run: &str) -> Option<Broken> {
    if now.step > then.step + 1 || now.step < then.step {
        return broken("S6", format!("{run} goes from step {} to {}", then.step + 1, now.step + 1));
    }
    if now.seq < then.seq {
        return broken("S6", format!("{run} goes from seq {} to {}", then.seq, now.seq));
    }
    let left = now.step > then.step || then.phase == RunPhase::Stepping && now.phase == RunPhase::Soaking;
    if left && then.settled_at.is_none() && !then.skip_all {
        return broken("S6", format!("{run} leaves step {} before its weight was accepted", then.step + 1));
    }
    None
}

/// S2: a run that goes back, or is over, stays so.
fn absorbed(then: &RolloutRunStatus, now: &RolloutRunStatus, run: &str) -> Option<Broken> {
    let back = |phase| matches!(phase, RunPhase::Aborting | RunPhase::Ended);
    if back(then.phase) && !back(now.phase) || then.phase == RunPhase::Ended && now.phase != RunPhase::Ended {
        return broken("S2", format!("{run} goes from {:?} to {:?}", then.phase, now.phase));
    }
    if then.outcome.is_some() && then.outcome != now.outcome {
        return broken("S2", format!("{run} was {:?} and is {:?}", then.outcome, now.outcome));
    }
    None
}

/// S14: a step that is judged is left on evidence of its own weight.
fn evidence(
    spec: Option<&RolloutRunSpec>,
    then: &RolloutRunStatus,
    now: &RolloutRunStatus,
    run: &str,
) -> Option<Broken> {
    let spec = spec?;
    let judged = (!spec.analysis.metrics.is_empty() || spec.error_budget.is_some()) && !spec.plan.known;
    let forward = now.step > then.step || then.phase == RunPhase::Stepping && now.phase == RunPhase::Soaking;
    if !judged || !forward || now.skip_all || then.skip_all || then.weight == crate::api::Percent::ZERO {
        return None;
    }
    let settled: Option<jiff::Timestamp> = then.settled_at.as_ref().and_then(|at| at.parse().ok());
    let watermark = now.evidence.as_ref().map(|evidence| evidence.watermark);
    let seen = settled.zip(watermark).is_some_and(|(settled, watermark)| watermark > settled.as_second());
    if now.evidence.as_ref().is_some_and(|evidence| evidence.verdict == "Fail") {
        return broken("S14", format!("{run} leaves step {} on a Fail", then.step + 1));
    }
    if seen {
        return None;
    }
    broken("S14", format!("{run} leaves step {} without evidence of it", then.step + 1))
}

/// S15: no more time is credited than has passed since the last record.
fn time(mirror: &Mirror, change: &Change, then: &RolloutRunStatus, now: &RolloutRunStatus) -> Option<Broken> {
    let run = change.after?;
    let passed = change.at.saturating_sub(mirror.written_at(change.kind, run)) + CREDIT_SLACK;
    let gained = |now: u64, then: u64| now.saturating_sub(then) > passed;
    let (after, before) = (now.credits, then.credits);
    if gained(after.bake_millis, before.bake_millis) || gained(after.deadline_millis, before.deadline_millis) {
        return broken("S15", format!("{} is credited with more than the {passed} ms that passed", name(run)));
    }
    None
}

/// S9: an older leader's record never follows a newer one's.
fn epochs(then: &RolloutRunStatus, now: &RolloutRunStatus, run: &str) -> Option<Broken> {
    if now.epoch < then.epoch {
        return broken("S9", format!("{run} goes from epoch {} to {}", then.epoch, now.epoch));
    }
    None
}

/// S13: an action has one outcome.
pub fn action(change: &Change) -> Verdicts {
    let (Some(before), Some(after)) = (change.before, change.after) else { return Verdicts::new() };
    let outcome = |document| text(document, "/status/outcome");
    if outcome(before).is_some() && outcome(before) != outcome(after) {
        return vec![broken("S13", format!("RolloutAction {} has a second outcome", name(after)))];
    }
    Verdicts::new()
}
