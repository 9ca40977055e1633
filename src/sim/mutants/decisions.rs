//! Bugs of what a pass decides.

use std::time::Duration;

use super::worlds::{open, phase};
use crate::{
    api::{ActionType, Percent, RolloutRunStatus, RunOutcome, RunPhase},
    engine::{Action, Decision, RouteEdit, RunView, RunWrite, Seen, World},
};

const DAY: Duration = Duration::from_secs(86_400);

fn after<'d>(world: &'d World, decision: &'d Decision) -> Option<&'d RolloutRunStatus> {
    match &decision.run {
        Some(RunWrite::Status { status, .. } | RunWrite::Remember { status, .. }) => Some(status),
        Some(RunWrite::Create { .. }) | None => open(world)?.status.as_ref(),
    }
}

/// The record that a transition writes.
fn transition(decision: &mut Decision) -> Option<&mut RolloutRunStatus> {
    match &mut decision.run {
        Some(RunWrite::Status { status, transition: true, .. }) => Some(status),
        _ => None,
    }
}

fn full(world: &World) -> u32 {
    world.rollout.spec.as_ref().ok().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn desired(world: &World, revision: &str) -> u32 {
    let view = world.revisions.get(revision);
    view.and_then(|view| view.deployment.as_ref()).map_or(0, |pods| pods.desired)
}

fn scales(action: &Action, meant: &str) -> bool {
    matches!(action, Action::Scale { revision, .. } if revision == meant)
}

/// Scales a revision to this and to nothing else, before everything else.
fn scale(world: &World, decision: &mut Decision, revision: &str, replicas: u32) {
    decision.actions.retain(|action| !scales(action, revision));
    if world.revisions.get(revision).is_some_and(|view| view.deployment.is_some())
        && desired(world, revision) != replicas
    {
        decision.actions.insert(0, Action::Scale { revision: revision.to_owned(), replicas });
    }
}

fn weights(world: &World, run: &RunView, share: Percent) -> Vec<Action> {
    let states = world.routes.iter().filter_map(|route| match &route.state {
        Seen::Known(state) => Some(state),
        Seen::Absent | Seen::Unknown(_) => None,
    });
    let edit = |original: &crate::api::RunRoute| Action::Route {
        original: Box::new(original.clone()),
        canary: run.spec.canary.clone(),
        baseline: run.spec.baseline.clone(),
        total: 100,
        edit: RouteEdit::Weight { share, baseline: Percent::ZERO },
    };
    states.filter(|state| state.canary.largest() > share).map(|state| edit(&state.original)).collect()
}

/// The open run, if it will be in this phase.
fn run_in<'w>(world: &'w World, decision: &Decision, wanted: RunPhase) -> Option<(&'w RunView, RolloutRunStatus)> {
    let status = after(world, decision).filter(|status| status.phase == wanted)?.clone();
    Some((open(world)?, status))
}

pub(super) fn five_stay(world: &World, decision: &mut Decision) {
    if run_in(world, decision, RunPhase::Aborting).is_none() {
        return;
    }
    for action in &mut decision.actions {
        if let Action::Route { edit: RouteEdit::Weight { share, .. }, .. } = action {
            *share = Percent::whole(5).max(*share);
        }
    }
}

pub(super) fn canary_goes_first(world: &World, decision: &mut Decision) {
    if let Some((run, _)) = run_in(world, decision, RunPhase::Aborting) {
        scale(world, decision, &run.spec.canary, 0);
    }
}

pub(super) fn no_growth(world: &World, decision: &mut Decision) {
    if let Some((run, _)) = run_in(world, decision, RunPhase::Stepping) {
        decision.actions.retain(|action| !scales(action, &run.spec.canary));
    }
}

pub(super) fn jump_to_full(world: &World, decision: &mut Decision) {
    let before = open(world).and_then(|run| run.status.as_ref()).map_or(0, |status| status.step);
    let last = open(world).map_or(0, |run| run.spec.plan.steps.len() as u32 - 1);
    let Some(status) = transition(decision) else { return };
    if status.phase == RunPhase::Stepping && status.step == before + 1 {
        (status.step, status.weight) = (last, Percent::FULL);
    }
}

pub(super) fn pin_early(world: &World, decision: &mut Decision) {
    let Some((run, status)) = run_in(world, decision, RunPhase::Stepping) else { return };
    if status.weight == Percent::ZERO || status.weight == Percent::FULL {
        return;
    }
    decision.actions.retain(|action| !matches!(action, Action::Pin { .. }));
    for service in &run.spec.services {
        let (service, revision, run) = (service.clone(), run.spec.canary.clone(), Some(run.name.clone()));
        decision.actions.push(Action::Pin { service, revision, run });
    }
}

pub(super) fn stable_shrinks(world: &World, decision: &mut Decision) {
    if let Some((run, status)) = run_in(world, decision, RunPhase::Stepping) {
        let kept = full(world).saturating_sub(status.weight.of_ceil(full(world)));
        scale(world, decision, &run.spec.stable, kept);
    }
}

pub(super) fn surge(world: &World, decision: &mut Decision) {
    let Some(run) = open(world) else { return };
    for action in &mut decision.actions {
        if let Action::Scale { revision, replicas } | Action::CreateDeployment { revision, replicas } = action
            && *revision == run.spec.canary
        {
            *replicas *= 20;
        }
    }
}

pub(super) fn zero_after_last(world: &World, decision: &mut Decision) {
    let soaks = transition(decision).is_some_and(|status| status.phase == RunPhase::Soaking);
    if let Some(run) = open(world).filter(|_| soaks && phase(world) == Some(RunPhase::Stepping)) {
        decision.actions.extend(weights(world, run, Percent::ZERO));
    }
}

pub(super) fn zero_while_scaling(world: &World, decision: &mut Decision) {
    let Some((run, _)) = run_in(world, decision, RunPhase::Stepping) else { return };
    if decision.actions.iter().any(|action| scales(action, &run.spec.canary)) {
        decision.actions.extend(weights(world, run, Percent::ZERO));
    }
}

pub(super) fn edge_triggered(_: &World, decision: &mut Decision) {
    if transition(decision).is_none() {
        let is_weight = |action: &Action| matches!(action, Action::Route { edit: RouteEdit::Weight { .. }, .. });
        decision.actions.retain(|action| !is_weight(action));
    }
}

pub(super) fn stable_goes_early(world: &World, decision: &mut Decision) {
    if let Some((run, _)) =
        run_in(world, decision, RunPhase::Stepping).filter(|(_, status)| status.weight == Percent::FULL)
    {
        scale(world, decision, &run.spec.stable, 0);
    }
}

pub(super) fn no_pods_while_paused(world: &World, decision: &mut Decision) {
    let by_spec = world.rollout.spec.as_ref().is_ok_and(|spec| spec.paused);
    if let Some((run, _)) = run_in(world, decision, RunPhase::Stepping).filter(|(_, status)| by_spec || status.paused) {
        scale(world, decision, &run.spec.canary, 0);
    }
}

pub(super) fn finalizer_first(world: &World, decision: &mut Decision) {
    if world.rollout.deleting && world.rollout.has_finalizer {
        decision.actions = vec![Action::RemoveFinalizer];
    }
}

pub(super) fn canary_returns(world: &World, decision: &mut Decision) {
    if let Some((run, _)) = run_in(world, decision, RunPhase::Aborting) {
        scale(world, decision, &run.spec.canary, full(world));
    }
}

pub(super) fn stable_to_zero(world: &World, decision: &mut Decision) {
    let Some(run) = open(world) else { return };
    if decision.actions.iter().any(|action| scales(action, &run.spec.stable)) {
        scale(world, decision, &run.spec.stable, 0);
    }
}

pub(super) fn feedback(world: &World, decision: &mut Decision) {
    if let Some((run, _)) = run_in(world, decision, RunPhase::Stepping) {
        let all = desired(world, &run.spec.stable) + desired(world, &run.spec.canary);
        scale(world, decision, &run.spec.stable, all);
    }
}

pub(super) fn restart_at_once(_: &World, decision: &mut Decision) {
    for action in &mut decision.actions {
        if let Action::RestartPods { revision, .. } = action {
            *action = Action::Scale { revision: revision.clone(), replicas: 0 };
        }
    }
}

pub(super) fn never_again(_: &World, decision: &mut Decision) {
    decision.wake = DAY;
}

pub(super) fn stuck_when_overtaken(world: &World, decision: &mut Decision) {
    let overtaken = |(_, status): &(&RunView, RolloutRunStatus)| status.ending == Some(RunOutcome::Superseded);
    if run_in(world, decision, RunPhase::Aborting).is_some_and(|found| overtaken(&found)) {
        decision.actions.clear();
    }
}

pub(super) fn promote_adds(world: &World, decision: &mut Decision) {
    let asked = world.actions.iter().any(|action| action.kind == ActionType::Promote);
    if let Some(status) = transition(decision).filter(|status| asked && status.phase == RunPhase::Stepping) {
        status.step += 1;
    }
}

pub(super) fn abort_unrecorded(_: &World, decision: &mut Decision) {
    if transition(decision).is_some_and(|status| status.phase == RunPhase::Aborting) {
        decision.run = None;
    }
}
