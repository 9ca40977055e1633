//! One decision: which of the few situations a Rollout is in, and the pass that belongs to it.

use super::{
    Action, Decision, Draft, RunView, RunWrite, World, active::Active, draft::ACTIVE_POLL_MILLIS, intent,
    project::Situation, project::last_proven, record, records, rest, restore, retire, seal, start, stepping,
};
use crate::api::{Phase, Reason, RolloutRunStatus, RunOutcome, RunPhase, is_run_of, recorded_as, revision_of_run};

/// Evidence and credits are written at most this often without a transition: they are for readers, not for safety.
const UNWRITTEN_MILLIS: u64 = 30_000;

/// What to do next. Total and deterministic: every World has exactly one Decision.
pub fn decide(world: &World) -> Decision {
    let mut draft = Draft::new(world);
    let mut situation = look(world, &mut draft);
    if world.rollout.deleting {
        restore::overdue(&mut draft, &mut situation);
    }
    for action in &world.spent_actions {
        draft.act(Action::DeleteAction { action: action.clone() });
    }
    let mut decision = draft.finish(&situation);
    if world.rollout.deleting {
        decision.status.phase = Some(Phase::Terminating);
    }
    decision
}

fn look(world: &World, draft: &mut Draft) -> Situation {
    let letting_go = world.rollout.deleting && (world.rollout.orphan || world.rollout.namespace_terminating);
    if letting_go {
        return restore::pass(draft);
    }
    let unfinished = world.runs.iter().find(|run| !run.status.as_ref().is_some_and(is_over));
    if let Some(run) = unfinished {
        return active(world, draft, run, true);
    }
    if let Some(run) = lost_run(world) {
        // A record without a route would take away what that route still names.
        if let Some(unread) = start::unread_route(world) {
            draft.wake(ACTIVE_POLL_MILLIS);
            return Situation::new(Phase::Progressing, Reason::ApiUnavailable, unread);
        }
        if world.rollout.deleting {
            return active(world, draft, &run, false);
        }
        draft.note(
            Reason::StateLost,
            format!("the record of RolloutRun {} was lost and is made again", run.name),
            true,
        );
        draft.run = Some(RunWrite::Create { name: run.name, spec: Box::new(run.spec) });
        draft.wake(0);
        return Situation::new(Phase::Progressing, Reason::StateLost, "a run's record was lost; going back");
    }
    if let Some(situation) = restore::leftovers(draft) {
        return situation;
    }
    if world.rollout.deleting { restore::pass(draft) } else { rest::pass(draft) }
}

fn is_over(status: &RolloutRunStatus) -> bool {
    status.phase == RunPhase::Ended
}

/// A pass over an unfinished run, and what of its record is to be written.
fn active(world: &World, draft: &mut Draft, run: &RunView, recorded: bool) -> Situation {
    let mut state = Active::new(world, run, run.status.clone().unwrap_or_default());
    let is_newly_led = seal::seal(&mut state, draft);
    if world.rollout.spec.as_ref().is_ok_and(|spec| spec.replicas.is_none()) && !world.rollout.deleting {
        draft.act(Action::WriteReplicas { replicas: state.full });
    }
    if run.status.is_none() {
        begin(&mut state);
    }
    if let Some(evidence) = &world.evidence {
        state.status.evidence = Some(evidence.record.clone());
        record::fit(&mut state.status);
    }
    records::keep(&state, draft);
    let situation = match state.status.phase {
        RunPhase::Stepping | RunPhase::Soaking => stepping::pass(&mut state, draft),
        RunPhase::Finishing => retire::finish(&mut state, draft),
        RunPhase::Aborting | RunPhase::Ended => retire::go_back(&mut state, draft),
    };
    draft.notes.append(&mut state.notes);
    let before = run.status.as_ref();
    if recorded && before != Some(&state.status) {
        let transition = state.moved || state.ended || is_newly_led;
        let written = transition || before.is_none() || run.unwritten_millis >= UNWRITTEN_MILLIS;
        let (name, status) = (run.name.clone(), Box::new(state.status));
        draft.run = Some(if written {
            RunWrite::Status { name, status, transition }
        } else {
            RunWrite::Remember { name, status }
        });
    }
    situation
}

/// A run without a status has not started, unless the cluster shows that it had: then its state was lost.
fn begin(state: &mut Active) {
    let world = state.world;
    let marks = world.services.iter().filter_map(|service| service.state.known()?.run.as_deref());
    let marks = marks.chain(world.routes.iter().filter_map(|route| route.state.known()?.run.as_deref()));
    let mut marks = marks.collect::<Vec<_>>().into_iter();
    let started = state.tested().any(|(_, revision)| state.has_pods(revision));
    if !started && !marks.any(|mark| mark == state.name) {
        let word = intent::started_by_override(state).map_or_else(String::new, |word| format!("; {word}"));
        let message = format!("from revision {} to {}{word}", state.spec.stable, state.spec.canary);
        state.asked = state.spec.requested_by.clone();
        return state.transition(Reason::Preparing, message);
    }
    if last_proven(world).is_some_and(|(revision, _)| *revision == state.spec.canary) {
        state.status.phase = RunPhase::Finishing;
        (state.status.ending, state.status.outcome) = (Some(RunOutcome::Promoted), Some(RunOutcome::Promoted));
        return state.transition(Reason::StateLost, "the record was lost after the promotion; finishing");
    }
    let message = format!("the run's record was lost; all traffic goes back to revision {}", state.spec.stable);
    state.go_back(RunOutcome::Aborted, Reason::StateLost, message);
}

/// Marks of a run in the cluster that has no record any more: what it was is read from its name.
fn lost_run(world: &World) -> Option<RunView> {
    let services = world.services.iter().filter_map(|service| service.state.known()?.run.as_ref());
    let routes = world.routes.iter().filter_map(|route| route.state.known()?.run.as_ref());
    let known = |name: &str| world.runs.iter().any(|run| run.name == name);
    let is_lost = |name: &&String| !known(name) && is_run_of(name, &world.rollout.name);
    let name = services.chain(routes).find(is_lost)?;
    let canary = revision_of_run(name)?;
    let (proven, _) = last_proven(world)?;
    let other = world.revisions.iter().find(|(revision, view)| *revision != canary && view.deployment.is_some());
    let stable = if proven == canary { other.map_or(canary, |(revision, _)| recorded_as(revision)) } else { proven };
    let spec = start::reconstruct(world, stable, canary);
    let mut status = RolloutRunStatus { epoch: world.epoch, phase: RunPhase::Aborting, ..RolloutRunStatus::default() };
    status.ending = Some(RunOutcome::Aborted);
    if proven == canary {
        status.phase = RunPhase::Finishing;
        status.ending = Some(RunOutcome::Promoted);
    }
    status.reason = Some(Reason::StateLost);
    status.message = "the run's record was lost".to_owned();
    let status = world.rollout.deleting.then_some(status);
    Some(RunView { name: name.clone(), spec, status, unwritten_millis: 0 })
}
