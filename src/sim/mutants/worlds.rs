//! Bugs of what a pass sees.

use crate::{
    api::{Reason, RolloutRunStatus, RunOutcome, RunPhase, is_baseline},
    engine::{CanaryRefs, RouteState, RunView, Seen, ServiceState, World},
    stats::Judgement,
};

/// More pods than anybody asks for.
const PLENTY: u32 = 99;

/// The open run.
pub(super) fn open(world: &World) -> Option<&RunView> {
    world.runs.iter().find(|run| run.status.as_ref().is_none_or(|status| status.phase != RunPhase::Ended))
}

pub(super) fn phase(world: &World) -> Option<RunPhase> {
    open(world)?.status.as_ref().map(|status| status.phase)
}

fn status(world: &mut World) -> Option<&mut RolloutRunStatus> {
    let status = world.runs.iter_mut().find_map(|run| run.status.as_mut().filter(|it| it.phase != RunPhase::Ended))?;
    Some(status)
}

fn services(world: &mut World) -> impl Iterator<Item = &mut ServiceState> {
    world.services.iter_mut().filter_map(|service| match &mut service.state {
        Seen::Known(state) => Some(state),
        Seen::Absent | Seen::Unknown(_) => None,
    })
}

fn routes(world: &mut World) -> impl Iterator<Item = &mut RouteState> {
    world.routes.iter_mut().filter_map(|route| match &mut route.state {
        Seen::Known(state) => Some(state),
        Seen::Absent | Seen::Unknown(_) => None,
    })
}

fn ready(world: &mut World, is_meant: impl Fn(&str) -> bool) {
    let names: Vec<String> = world.services.iter().map(|service| service.name.clone()).collect();
    for (_, view) in world.revisions.iter_mut().filter(|(revision, _)| is_meant(revision)) {
        view.services = names.iter().map(|name| (name.clone(), PLENTY)).collect();
        if let Some(pods) = &mut view.deployment {
            pods.ready = PLENTY;
        }
    }
}

pub(super) fn all_ready(world: &mut World) {
    ready(world, |_| true);
}

pub(super) fn served_ready(world: &mut World) {
    for view in world.revisions.values_mut() {
        view.services.values_mut().for_each(|ready| *ready = PLENTY);
    }
}

pub(super) fn baseline_ready(world: &mut World) {
    ready(world, is_baseline);
}

pub(super) fn canary_ready(world: &mut World) {
    if let Some(canary) = open(world).map(|run| run.spec.canary.clone()) {
        ready(world, |revision| revision == canary);
    }
}

pub(super) fn flipped(world: &mut World) {
    if phase(world) != Some(RunPhase::Finishing) {
        return;
    }
    let Some((canary, run)) = open(world).map(|run| (run.spec.canary.clone(), run.name.clone())) else { return };
    for state in services(world) {
        state.pin = Some(canary.clone());
        state.run = Some(run.clone());
        state.ready = [(canary.clone(), PLENTY)].into();
        state.endpoints = state.ready.clone();
    }
}

pub(super) fn no_references(world: &mut World) {
    if phase(world) == Some(RunPhase::Aborting) {
        forget_refs(world);
    }
}

fn forget_refs(world: &mut World) {
    for state in routes(world) {
        (state.canary, state.baseline, state.run) = (CanaryRefs::Absent, None, None);
        state.accepted = true;
    }
}

pub(super) fn backends_forgotten(world: &mut World) {
    let overtaken = status(world).is_some_and(|status| status.ending == Some(RunOutcome::Superseded));
    if overtaken && routes(world).all(|state| state.gives_nothing()) {
        forget_refs(world);
    }
}

pub(super) fn always_accepted(world: &mut World) {
    for state in routes(world) {
        (state.accepted, state.waiting_for, state.parent_silent) = (true, None, false);
    }
}

pub(super) fn promoted_goes_back(world: &mut World) {
    let Some(run) = open(world).filter(|_| phase(world) == Some(RunPhase::Finishing)) else { return };
    let pods = world.revisions.get(&run.spec.canary).and_then(|view| view.deployment.as_ref());
    if pods.is_some_and(|pods| pods.ready >= pods.desired) {
        return;
    }
    if let Some(status) = status(world) {
        (status.phase, status.ending, status.outcome) = (RunPhase::Aborting, Some(RunOutcome::Reverted), None);
    }
}

fn stable_in_services(world: &mut World, count: impl Fn(u32) -> u32) {
    let Some(stable) = open(world).map(|run| run.spec.stable.clone()) else { return };
    for state in services(world) {
        let seen = state.ready.get(&stable).copied().unwrap_or(0);
        state.ready.insert(stable.clone(), count(seen));
    }
}

pub(super) fn stable_ready(world: &mut World) {
    stable_in_services(world, |_| PLENTY);
}

pub(super) fn all_of_stable_or_none(world: &mut World) {
    let full = world.rollout.spec.as_ref().ok().and_then(|spec| spec.replicas).unwrap_or(1);
    stable_in_services(world, |seen| if seen < full { 0 } else { seen });
}

pub(super) fn no_fresh_run(world: &mut World) {
    world.runs.retain(|run| run.status.is_some());
}

/// Stands between a hash and what does not belong to it.
const REPLICAS: &str = "rep";

pub(super) fn replicas_in_hash(world: &mut World) {
    let replicas = world.rollout.spec.as_ref().ok().and_then(|spec| spec.replicas).unwrap_or(0);
    if let Seen::Known(source) = &mut world.source {
        let hash = source.revision.split(REPLICAS).next().unwrap_or_default();
        source.revision = format!("{hash}{REPLICAS}{replicas}");
    }
}

fn judge(world: &mut World, to: Judgement, is_meant: impl Fn(Judgement, Reason) -> bool) {
    if let Some(evidence) = &mut world.evidence
        && is_meant(evidence.verdict.judgement, evidence.verdict.reason)
    {
        evidence.verdict.judgement = to;
    }
}

pub(super) fn no_freezes(world: &mut World) {
    world.guardrails.freezes.clear();
}

const HOLD: Judgement = Judgement::Undecided { hold: true };

pub(super) fn unavailable_passes(world: &mut World) {
    judge(world, Judgement::Pass, |_, reason| reason == Reason::MetricsUnavailable);
}

pub(super) fn unavailable_fails(world: &mut World) {
    judge(world, Judgement::Fail, |_, reason| reason == Reason::MetricsUnavailable);
}

pub(super) fn hold_passes(world: &mut World) {
    judge(world, Judgement::Pass, |judgement, _| judgement == HOLD);
}

pub(super) fn warmup_passes(world: &mut World) {
    judge(world, Judgement::Pass, |_, reason| reason == Reason::Warmup);
}

pub(super) fn fail_passes(world: &mut World) {
    judge(world, Judgement::Pass, |judgement, _| judgement == Judgement::Fail);
}

pub(super) fn old_evidence(world: &mut World) {
    let seq = open(world).and_then(|run| run.status.as_ref()).map(|status| status.settled_seq);
    if let (Some(evidence), Some(seq)) = (&mut world.evidence, seq) {
        evidence.seq = seq;
    }
}

pub(super) fn deadline_runs(world: &mut World) {
    let paused = world.rollout.spec.as_ref().is_ok_and(|spec| spec.paused);
    let elapsed = world.elapsed_millis;
    if let Some(status) = status(world).filter(|status| paused || status.paused) {
        status.credits.deadline_millis += elapsed;
    }
}
