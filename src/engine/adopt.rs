//! The first revision, and an existing Deployment whose pods Tidegate takes over without an outage.
//!
//! No steps and no analysis: the first revision is proven when it serves with all its pods.

use super::{
    Action, Draft, Fact, RevisionView, ServiceState, SourceDeployment, SourceView, World,
    prepare::SETTLE_MILLIS,
    project::{Completed, Situation},
    restore::is_ours,
    start,
};
use crate::api::{Phase, Reason, RunOutcome};

/// A Deployment that its manager keeps scaling up is scaled back at most this often (six times an hour).
const SCALE_BACK_MILLIS: u64 = 600_000;

/// The first revision comes up.
pub(super) fn pass(draft: &mut Draft, source: &SourceView, replicas: u32) -> Situation {
    let world = draft.world;
    draft.wake(super::draft::ACTIVE_POLL_MILLIS);
    super::intent::at_rest(draft, &[]);
    if !world.refusals.is_empty() {
        // An analysis that cannot be resolved does not hold the first revision, but is said with what does.
        let analysis = world.analysis.as_ref().err().into_iter().flatten();
        return start::stalled(&world.refusals.iter().chain(analysis).cloned().collect::<Vec<_>>());
    }
    let unsettled = source.deployment.as_ref().filter(|deployment| !deployment.settled);
    let revision = &source.revision;
    let view = world.revisions.get(revision).cloned().unwrap_or_default();
    if view.deployment.is_none()
        && let Some(deployment) = unsettled
    {
        let message = format!(
            "the Deployment has {} of {} pods ready and is still rolling out",
            deployment.ready, deployment.desired
        );
        return Situation::new(Phase::Degraded, Reason::WorkloadNotSettled, message);
    }
    if view.deployment.is_none()
        && let Some(refused) = start::refused_template(world, draft, revision)
    {
        return refused;
    }
    bring_up(draft, revision, &view, replicas);
    let ready = ready_endpoints(world, revision);
    let message = format!(
        "the first revision {revision} is coming up: {ready} of {replicas} endpoints ready{}",
        view.in_trouble()
    );
    let mut situation = Situation::new(Phase::Progressing, Reason::Adopting, message);
    let alone = source.deployment.as_ref().is_none_or(|from| take_over(draft, from, revision, replicas, true));
    if view.recorded && view.deployment.is_some() && ready >= replicas && alone {
        draft.act(Action::MarkProven { revision: revision.clone(), ordinal: 1 });
        draft.note(Reason::Adopted, format!("revision {revision} was adopted"), false);
        draft.wake(0);
    }
    situation.stable = Some(revision.clone());
    situation.completed = Some(Completed::Open);
    situation
}

fn bring_up(draft: &mut Draft, revision: &str, view: &RevisionView, replicas: u32) {
    let revision = revision.to_owned();
    match &view.deployment {
        _ if !view.recorded => {
            draft.act(Action::RecordRevision { revision });
            draft.wake(0);
        }
        None => draft.act(Action::CreateDeployment { revision, replicas }),
        Some(pods) if pods.desired != replicas => draft.act(Action::Scale { revision, replicas }),
        Some(_) => super::course::show(draft, &revision),
    }
}

fn ready_endpoints(world: &World, revision: &str) -> u32 {
    let counts = world
        .services
        .iter()
        .map(|service| service.state.known().and_then(|state| state.ready.get(revision).copied()).unwrap_or(0));
    counts.min().unwrap_or(0)
}

/// Pin, wait until the revision alone serves, scale the Deployment to 0, unpin. True once it has no pods and no pin is left.
fn take_over(draft: &mut Draft, from: &SourceDeployment, revision: &str, replicas: u32, at_once: bool) -> bool {
    let world = draft.world;
    let up = from.desired > 0 || from.pods > 0;
    let states: Vec<_> = world.services.iter().filter_map(|service| Some((service, service.state.known()?))).collect();
    if !up {
        return unpin(draft, from);
    }
    if ready_endpoints(world, revision) < replicas || states.len() < world.services.len() {
        return false;
    }
    let mut pinned = true;
    for (service, state) in &states {
        if state.pin.as_deref() != Some(revision) {
            draft.act(Action::Pin { service: service.name.clone(), revision: revision.to_owned(), run: None });
            pinned = false;
        }
    }
    let alone = pinned
        && states.iter().all(|(_, state)| state.foreign == 0 && state.endpoints.keys().all(|key| key == revision));
    let drain = world.rollout.spec.as_ref().map_or(0, |spec| spec.drain.as_millis());
    let drained = draft.has_held(Fact::AdoptedAlone, alone, SETTLE_MILLIS + drain);
    let due = at_once || draft.has_held(Fact::SourceUp, from.desired > 0, SCALE_BACK_MILLIS);
    if drained && due && from.desired > 0 {
        draft.act(Action::ScaleSource { replicas: 0 });
    }
    draft.wake(super::draft::ACTIVE_POLL_MILLIS);
    false
}

/// The pin stays while another manager may scale the Deployment up again.
fn unpin(draft: &mut Draft, from: &SourceDeployment) -> bool {
    if from.replicas_owner.is_some() {
        return true;
    }
    let world = draft.world;
    let mut free = true;
    for service in &world.services {
        if service.state.known().is_some_and(|state| state.pin.is_some() && state.run.is_none()) {
            draft.act(Action::Unpin { service: service.name.clone() });
            free = false;
        }
    }
    free
}

/// At rest the referenced Deployment has no pods. If its manager scales it up, it is scaled back, not too often.
pub(super) fn keep_taken_over(
    draft: &mut Draft,
    source: &SourceView,
    stable: &str,
    view: &RevisionView,
    replicas: u32,
) -> Option<Situation> {
    let from = source.deployment.as_ref()?;
    if view.deployment.is_none() || take_over(draft, from, stable, replicas, from.replicas_owner.is_none()) {
        return None;
    }
    let owner = from.replicas_owner.as_ref().filter(|_| from.desired > 0)?;
    let message = format!(
        "the referenced Deployment was scaled to {} by {owner}; delete spec.replicas from its manifest",
        from.desired
    );
    let mut situation = Situation::new(Phase::Healthy, Reason::ReplicasContended, message.clone());
    situation.extra.push(("ReplicasContended", Reason::ReplicasContended, message));
    situation.completed = Some(Completed::As(RunOutcome::Adopted));
    Some(situation)
}

/// The pin that keeps requests from pods of strays goes with the last of them. With a referenced Deployment it has its own time.
pub(super) fn unpin_from_strays(draft: &mut Draft, stable: &str, source: &SourceView) {
    let world = draft.world;
    let strays = world.revisions.iter().any(|(revision, view)| revision != stable && view.deployment.is_some());
    if strays || source.deployment.is_some() {
        return;
    }
    for service in &world.services {
        let pinned =
            |state: &ServiceState| state.pin.as_deref() == Some(stable) && state.run.is_none() && is_ours(world, state);
        if service.state.known().is_some_and(pinned) {
            draft.act(Action::Unpin { service: service.name.clone() });
        }
    }
}

/// Pods of a revision that no run knows: they go once the Services are pinned to stable.
pub(super) fn clear_stray(draft: &mut Draft, stable: &str, revision: &str, view: &RevisionView) {
    let world = draft.world;
    if let Some(pods) = &view.deployment {
        let states: Vec<_> =
            world.services.iter().filter_map(|service| Some((service, service.state.known()?))).collect();
        let serves = states.iter().any(|(_, state)| state.endpoints.contains_key(revision));
        if pods.desired > 0 && serves {
            for (service, state) in states.iter().filter(|(_, state)| state.pin.is_none()) {
                debug_assert!(state.pin.is_none());
                draft.act(Action::Pin { service: service.name.clone(), revision: stable.to_owned(), run: None });
            }
        } else if pods.desired > 0 {
            draft.act(Action::Scale { revision: revision.to_owned(), replicas: 0 });
        } else if pods.pods_with_terminating == 0 {
            draft.act(Action::DeleteDeployment { revision: revision.to_owned() });
        }
    } else if !view.is_without_services() {
        draft.act(Action::DeleteServices { revision: revision.to_owned() });
    }
}
