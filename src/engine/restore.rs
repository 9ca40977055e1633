//! Deletion: routes, Services and the referenced Deployment get their owners' form, then the finalizer goes.
//!
//! A run is aborted or finished before; this is what is left to do at rest.

use super::{
    Action, Draft, Fact, RouteEdit, SOURCE_PODS, Seen, ServiceState, World,
    project::{Situation, last_proven},
    record::weight_total,
};
use crate::api::{Percent, Phase, Reason, is_run_of, revision_of_run};

/// A deletion that takes longer is said in a condition.
const OVERDUE_MILLIS: u64 = 15 * 60 * 1_000;

pub(super) fn pass(draft: &mut Draft) -> Situation {
    let world = draft.world;
    draft.wake(super::draft::SHORT_POLL_MILLIS);
    if !world.rollout.has_finalizer {
        return Situation::new(Phase::Terminating, Reason::Deleted, "nothing is left to restore");
    }
    let let_go = world.rollout.orphan || world.rollout.namespace_terminating;
    let left = if let_go { None } else { unpin(draft).or_else(|| give_back(draft)) };
    if let Some(left) = left {
        return Situation::new(Phase::Terminating, Reason::Deleted, left);
    }
    draft.act(Action::RemoveFinalizer);
    Situation::new(Phase::Terminating, Reason::Deleted, "everything is restored")
}

/// What a lost run has left in routes and Services, with no revision that could still serve: it is taken out before anything
/// else. None: there is nothing.
pub(super) fn leftovers(draft: &mut Draft) -> Option<Situation> {
    let world = draft.world;
    let has_pods = world.revisions.values().any(|view| view.deployment.is_some());
    if last_proven(world).is_some() || has_pods {
        return None;
    }
    let total = world.rollout.spec.as_ref().map_or(100, |spec| weight_total(spec.steps.iter().map(|step| step.weight)));
    let mut left = None;
    for route in &world.routes {
        let Seen::Known(state) = &route.state else { continue };
        let Some((run, canary)) = state.run.as_ref().and_then(|run| Some((run, revision_of_run(run)?))) else {
            continue;
        };
        left = Some(format!("{} {} gets its owner's form again", route.kind, route.name));
        let edit = if state.gives_nothing() {
            RouteEdit::Drop { run: run.clone() }
        } else {
            RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO }
        };
        let (original, canary) = (Box::new(state.original.clone()), canary.to_owned());
        let baseline = state.baseline.as_ref().map(|baseline| baseline.revision.clone());
        draft.act(Action::Route { original, canary, baseline, total, edit });
    }
    let left = left.or_else(|| unpin(draft))?;
    draft.wake(0);
    let phase = if world.rollout.deleting { Phase::Terminating } else { Phase::Progressing };
    Some(Situation::new(phase, Reason::StateLost, left))
}

/// A deletion that does not come to its end is said: the finalizer stays until somebody decides.
pub(super) fn overdue(draft: &mut Draft, situation: &mut Situation) {
    if draft.has_held(Fact::Deleting, true, OVERDUE_MILLIS) {
        let rollout = &draft.world.rollout.name;
        let message = format!(
            "Rollout {rollout} has been waiting for 15 min to be deleted: {}; to let it go as it is: \
             kubectl annotate rollouts.tidegate.io/{rollout} tidegate.io/orphan=true",
            situation.message
        );
        situation.extra.push(("RestoreIncomplete", Reason::RestoreIncomplete, message));
    }
}

/// Pins that a lost run or an adoption left. Only one revision has pods by now. What is left to do; None: nothing.
fn unpin(draft: &mut Draft) -> Option<String> {
    let world = draft.world;
    let mut left = None;
    for service in &world.services {
        match &service.state {
            Seen::Known(state) if (state.pin.is_some() || state.run.is_some()) && is_ours(world, state) => {
                left = Some(format!("Service {} gets its owner's selector again", service.name));
                draft.act(Action::Unpin { service: service.name.clone() });
            }
            Seen::Unknown(why) => left = Some(why.clone()),
            Seen::Known(_) | Seen::Absent => {}
        }
    }
    left
}

/// The pin or the mark is of one of our runs or revisions: another Rollout may name the same Service, and have its run there.
pub(super) fn is_ours(world: &World, state: &ServiceState) -> bool {
    match (&state.run, &state.pin) {
        (Some(run), _) => is_run_of(run, &world.rollout.name),
        (None, Some(pin)) if world.revisions.contains_key(pin) => true,
        (None, _) => !world.refusals.iter().any(|refusal| refusal.reason == Reason::ServiceTaken),
    }
}

/// With a referenced Deployment: it serves again with N pods before the revisions' pods go.
fn give_back(draft: &mut Draft) -> Option<String> {
    let world = draft.world;
    let spec = world.rollout.spec.as_ref().ok()?;
    let name = spec.deployment_ref.as_deref()?;
    let source = match &world.source {
        Seen::Known(source) => source,
        Seen::Absent => return None,
        Seen::Unknown(why) => return Some(why.clone()),
    };
    let (deployment, (stable, view)) = (source.deployment.as_ref()?, last_proven(world)?);
    if view.deployment.is_none() {
        return clear(draft);
    }
    if source.revision != *stable {
        draft.act(Action::RestoreSource { revision: stable.clone() });
        let message =
            format!("Deployment {name} gets the template of revision {stable} again: its own was not promoted");
        draft.note(Reason::Deleted, message.clone(), true);
        return Some(message);
    }
    let replicas = spec.replicas.unwrap_or(1);
    if deployment.desired < replicas {
        draft.act(Action::ScaleSource { replicas });
    }
    let ready = deployment.ready.min(source_ready(world));
    let serves = deployment.settled && ready >= replicas;
    if draft.has_held(Fact::Back, serves, super::prepare::SETTLE_MILLIS + spec.drain.as_millis()) {
        return clear(draft);
    }
    Some(format!("Deployment {name} serves again before the revisions' pods go: {ready} of {replicas} pods ready"))
}

/// Ready endpoints of the referenced Deployment's own pods.
fn source_ready(world: &World) -> u32 {
    let states = world.services.iter().filter_map(|service| service.state.known());
    states.map(|state| state.ready.get(SOURCE_PODS).copied().unwrap_or(0)).min().unwrap_or(u32::MAX)
}

/// The revisions' objects have a second owner, so they are removed one by one.
fn clear(draft: &mut Draft) -> Option<String> {
    let world = draft.world;
    for (revision, view) in &world.revisions {
        let revision = revision.clone();
        match &view.deployment {
            Some(pods) if pods.desired > 0 => draft.act(Action::Scale { revision, replicas: 0 }),
            Some(pods) if pods.pods_with_terminating == 0 => draft.act(Action::DeleteDeployment { revision }),
            Some(_) => {}
            None if !view.is_without_services() => draft.act(Action::DeleteServices { revision }),
            None => draft.act(Action::DeleteRecord { revision }),
        }
    }
    let left = world.revisions.keys().next()?;
    Some(format!("the objects of revision {left} are being removed"))
}
