//! No run is unfinished: the stable revision is kept as the spec asks, and a new template is noticed.
//!
//! At rest the route and the Services are their owners'; nothing here writes to them but the end of an adoption.

use super::{
    Action, Draft, Fact, RevisionView, Seen, SourceView, World,
    active::Active,
    adopt, course, intent,
    project::{Completed, Situation, last_proven},
    records, start,
};
use crate::api::{ActionType, Phase, Reason, RunOutcome};

/// A rest with fewer pods than asked for is said only after this time: a node drain is not news.
const SHORT_MILLIS: u64 = 30_000;
/// Promoted revisions whose records are kept, so that they may come back in one step.
const KEPT_RECORDS: usize = 6;

pub(super) fn pass(draft: &mut Draft) -> Situation {
    let world = draft.world;
    let spec = match &world.rollout.spec {
        Ok(spec) => spec,
        Err(problems) => return start::stalled(problems),
    };
    if !world.rollout.has_finalizer {
        draft.act(Action::AddFinalizer);
    }
    let source = match &world.source {
        Seen::Known(source) => source,
        Seen::Absent => {
            let name = spec.deployment_ref.as_deref().unwrap_or("");
            return Situation::new(
                Phase::Degraded,
                Reason::WorkloadMissing,
                format!("Deployment {name} does not exist"),
            );
        }
        Seen::Unknown(why) => return Situation::new(Phase::Progressing, Reason::ApiUnavailable, why),
    };
    let Some(replicas) = spec.replicas else {
        let replicas = present_replicas(world, source);
        draft.act(Action::WriteReplicas { replicas });
        draft.wake(0);
        return Situation::new(Phase::Progressing, Reason::Adopting, format!("spec.replicas is set to {replicas}"));
    };
    let Some((stable, view)) = last_proven(world) else {
        return match records::left_serving(world) {
            Some(revision) => records::restore(draft, revision),
            None => adopt::pass(draft, source, replicas),
        };
    };
    upkeep(draft, stable, view, replicas);
    let taken_over = adopt::keep_taken_over(draft, source, stable, view, replicas);
    if source.revision != *stable {
        return candidate(draft, stable, source);
    }
    close_last_run(draft, source);
    restart(draft, stable);
    intent::at_rest(draft, &[ActionType::Restart]);
    tidy(draft, stable, source, spec.run_history_limit);
    let mut situation = taken_over.unwrap_or_else(|| standing(draft, view, replicas));
    situation.stable = Some(stable.clone());
    situation.run = world.runs.last().map(|run| run.name.clone());
    situation.completed = Some(Completed::As(last_outcome(world, stable)));
    let violation = start::violation(world, spec, stable);
    situation.extra.extend(violation.map(|message| ("PolicyViolation", Reason::PolicyViolation, message)));
    situation
}

/// What `spec.replicas` was before somebody took it out of the manifest: the pods that serve now, else 1.
fn present_replicas(world: &World, source: &SourceView) -> u32 {
    let stable = last_proven(world).and_then(|(_, view)| view.deployment.as_ref()).map(|pods| pods.desired);
    stable.or(source.deployment.as_ref().map(|deployment| deployment.desired.max(1))).unwrap_or(1)
}

/// The stable revision has N pods, made again if need be, and the preview shows it.
fn upkeep(draft: &mut Draft, stable: &str, view: &RevisionView, replicas: u32) {
    let revision = stable.to_owned();
    match &view.deployment {
        None => draft.act(Action::CreateDeployment { revision, replicas }),
        Some(pods) if pods.desired != replicas => draft.act(Action::Scale { revision, replicas }),
        Some(_) => {}
    }
    course::show(draft, stable);
}

fn standing(draft: &mut Draft, view: &RevisionView, replicas: u32) -> Situation {
    let ready = view.deployment.as_ref().map_or(0, |pods| pods.ready);
    if draft.has_held(Fact::Short, ready < replicas, SHORT_MILLIS) {
        let message = format!("{ready} of {replicas} pods ready{}", view.in_trouble());
        return Situation::new(Phase::Progressing, Reason::PodsNotReady, message);
    }
    if replicas == 0 {
        return Situation::new(Phase::Healthy, Reason::ScaledToZero, "scaled to 0");
    }
    Situation::new(Phase::Healthy, Reason::Stable, "the stable revision serves all traffic")
}

fn last_outcome(world: &World, stable: &str) -> RunOutcome {
    let promoted = world.runs.iter().any(|run| {
        run.spec.canary == stable && run.status.as_ref().and_then(|status| status.outcome) == Some(RunOutcome::Promoted)
    });
    if promoted { RunOutcome::Promoted } else { RunOutcome::Adopted }
}

/// The template is not the stable one: it was tried and failed, or its run starts.
fn candidate(draft: &mut Draft, stable: &str, source: &SourceView) -> Situation {
    let world = draft.world;
    let retry = intent::retry(world);
    let tried = world.runs.last().and_then(|run| {
        let status = run.status.as_ref()?;
        let failed = matches!(status.outcome, Some(RunOutcome::Reverted | RunOutcome::Aborted));
        (failed && !status.closed && run.spec.canary == source.revision).then_some((run, status))
    });
    if let (Some((run, status)), None) = (tried, retry) {
        intent::at_rest(draft, &[ActionType::Restart]);
        restart_refused(draft);
        let outcome = status.outcome.unwrap_or(RunOutcome::Reverted);
        let reason = status.reason.unwrap_or(Reason::Reverted);
        let mut situation = taken_back(outcome, reason, &status.message);
        situation.run = Some(run.name.clone());
        situation.stable = Some(stable.to_owned());
        situation.canary = Some(source.revision.clone());
        return situation;
    }
    close_last_run(draft, source);
    intent::at_rest(draft, &[ActionType::Retry, ActionType::Override]);
    intent::nothing_to_lift(draft);
    let retrying = tried.is_some();
    if let (Some(action), false) = (retry, retrying) {
        let why = format!("revision {} was not taken back; its run starts anyway", source.revision);
        intent::resolve(draft, action, Err(why), None);
    }
    start::begin(draft, stable, &source.revision)
}

fn restart_refused(draft: &mut Draft) {
    if let Some(action) = intent::restart(draft.world) {
        let why = "the template in the spec is not the stable one: change it back or retry first".to_owned();
        intent::resolve(draft, action, Err(why), None);
    }
}

/// Degraded: the revision in the spec was taken back.
fn taken_back(outcome: RunOutcome, reason: Reason, message: &str) -> Situation {
    let reason = if outcome == RunOutcome::Aborted { Reason::Aborted } else { reason };
    let mut situation = Situation::new(Phase::Degraded, reason, message);
    situation.completed = Some(Completed::As(outcome));
    situation
}

/// The situation in the pass that ends a run.
pub(super) fn after_run(active: &Active, outcome: RunOutcome) -> Situation {
    let reason = active.status.reason.unwrap_or(Reason::Stable);
    let source = active.world.source.known().map(|source| source.revision.as_str());
    let mut situation = match outcome {
        RunOutcome::Reverted | RunOutcome::Aborted => taken_back(outcome, reason, &active.status.message),
        RunOutcome::Promoted | RunOutcome::Adopted => {
            let message = format!("revision {} serves all traffic", active.spec.canary);
            Situation::new(Phase::Healthy, Reason::Stable, message)
        }
        RunOutcome::Superseded => Situation::new(Phase::Progressing, Reason::Superseded, active.status.message.clone()),
    };
    let stable = if outcome == RunOutcome::Promoted { &active.spec.canary } else { &active.spec.stable };
    let open = source.is_some_and(|source| source != active.spec.canary && source != stable);
    if open {
        situation = Situation::new(Phase::Progressing, Reason::Preparing, "a newer template is next");
    }
    situation.run = Some(active.name.to_owned());
    situation.stable = Some(stable.clone());
    let outcome = if source == Some(stable) { last_outcome(active.world, stable) } else { outcome };
    situation.completed = Some(if open { Completed::Open } else { Completed::As(outcome) });
    situation
}

/// The template has changed since a revision was taken back: it may be tried again when it comes back.
fn close_last_run(draft: &mut Draft, source: &SourceView) {
    let Some(run) = draft.world.runs.last() else { return };
    let Some(status) = &run.status else { return };
    let failed = matches!(status.outcome, Some(RunOutcome::Reverted | RunOutcome::Aborted));
    if failed && !status.closed && run.spec.canary != source.revision {
        let status = crate::api::RolloutRunStatus { closed: true, ..status.clone() };
        draft.act(Action::CloseRun { name: run.name.clone(), status: Box::new(status) });
    }
}

fn restart(draft: &mut Draft, stable: &str) {
    if let Some(action) = intent::restart(draft.world) {
        draft.act(Action::RestartPods { revision: stable.to_owned(), at: action.uid.clone() });
        let message = format!("the pods of revision {stable} are being replaced");
        intent::resolve(draft, action, Ok(message), None);
    }
}

/// Records and objects that nothing needs any more.
fn tidy(draft: &mut Draft, stable: &str, source: &SourceView, run_history_limit: usize) {
    let world = draft.world;
    let excess = world.runs.len().saturating_sub(run_history_limit);
    for run in &world.runs[..excess] {
        draft.act(Action::DeleteRun { name: run.name.clone() });
    }
    adopt::unpin_from_strays(draft, stable, source);
    let mut proven: Vec<_> = world.revisions.iter().filter_map(|(name, view)| Some((view.proven?, name))).collect();
    proven.sort_unstable_by(|left, right| right.cmp(left));
    proven.truncate(KEPT_RECORDS);
    for (revision, view) in &world.revisions {
        if revision == stable {
            continue;
        }
        adopt::clear_stray(draft, stable, revision, view);
        let needed = *revision == source.revision || proven.iter().any(|(_, kept)| *kept == revision);
        let in_history = world.runs[excess..].iter().any(|run| run.spec.canary == *revision);
        if view.recorded && view.deployment.is_none() && !needed && !in_history {
            draft.act(Action::DeleteRecord { revision: revision.clone() });
        }
    }
}
