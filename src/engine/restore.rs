//! Deletion: routes, Services and the referenced Deployment get their owners' form, then the finalizer goes.
//!
//! A run is aborted or finished before; this is what is left to do at rest.

use super::{
    Action, Draft, Fact, SOURCE_PODS, Seen, World,
    project::{Situation, last_proven},
};
use crate::api::{Phase, Reason};

pub(super) fn pass(draft: &mut Draft) -> Situation {
    let world = draft.world;
    draft.wake(super::draft::SHORT_POLL_MILLIS);
    if !world.rollout.has_finalizer {
        return Situation::new(Phase::Terminating, Reason::Deleted, "nothing is left to restore");
    }
    let let_go = world.rollout.orphan || world.rollout.namespace_terminating;
    if let_go || (unpin(draft) && give_back(draft)) {
        draft.act(Action::RemoveFinalizer);
        return Situation::new(Phase::Terminating, Reason::Deleted, "everything is restored");
    }
    Situation::new(Phase::Terminating, Reason::Deleted, "the application gets its owners' form again")
}

/// Pins that a lost run or an adoption left. Only one revision has pods by now.
fn unpin(draft: &mut Draft) -> bool {
    let world = draft.world;
    let mut free = true;
    for service in &world.services {
        match &service.state {
            Seen::Known(state) if state.pin.is_some() || state.run.is_some() => {
                free = false;
                draft.act(Action::Unpin { service: service.name.clone() });
            }
            Seen::Unknown(_) => free = false,
            Seen::Known(_) | Seen::Absent => {}
        }
    }
    free
}

/// With a referenced Deployment: it serves again with N pods before the revisions' pods go.
fn give_back(draft: &mut Draft) -> bool {
    let world = draft.world;
    let Ok(spec) = &world.rollout.spec else { return true };
    if spec.deployment_ref.is_none() {
        return true;
    }
    let source = match &world.source {
        Seen::Known(source) => source,
        Seen::Absent => return true,
        Seen::Unknown(_) => return false,
    };
    let (Some(deployment), Some((stable, view))) = (&source.deployment, last_proven(world)) else { return true };
    if view.deployment.is_none() {
        return clear(draft);
    }
    if source.revision != *stable {
        draft.act(Action::RestoreSource { revision: stable.clone() });
        let message = format!("Deployment gets the template of revision {stable} again: its own was not promoted");
        draft.note(Reason::Deleted, message, true);
        return false;
    }
    let replicas = spec.replicas.unwrap_or(1);
    if deployment.desired < replicas {
        draft.act(Action::ScaleSource { replicas });
    }
    let serves = deployment.settled && deployment.ready >= replicas && source_ready(world) >= replicas;
    let drained = draft.has_held(Fact::Back, serves, super::prepare::SETTLE_MILLIS + spec.drain.as_millis());
    drained && clear(draft)
}

/// Ready endpoints of the referenced Deployment's own pods.
fn source_ready(world: &World) -> u32 {
    let states = world.services.iter().filter_map(|service| service.state.known());
    states.map(|state| state.ready.get(SOURCE_PODS).copied().unwrap_or(0)).min().unwrap_or(u32::MAX)
}

/// The revisions' objects have a second owner, so they are removed one by one.
fn clear(draft: &mut Draft) -> bool {
    let world = draft.world;
    let mut clear = true;
    for (revision, view) in &world.revisions {
        let revision = revision.clone();
        clear = false;
        match &view.deployment {
            Some(pods) if pods.desired > 0 => draft.act(Action::Scale { revision, replicas: 0 }),
            Some(pods) if pods.pods_with_terminating == 0 => draft.act(Action::DeleteDeployment { revision }),
            Some(_) => {}
            None if !view.is_without_services() => draft.act(Action::DeleteServices { revision }),
            None => draft.act(Action::DeleteRecord { revision }),
        }
    }
    clear
}
