//! Records of revisions that somebody has deleted: while their pods are there, or their template is in the spec, they are made
//! again.
//!
//! Which revision serves must not depend on an object that anybody may delete: without its record the stable revision would not
//! be the proven one, and the revision that was just taken back would be adopted as if it were the first. It does not say what a
//! template was; a record that is made again from a Deployment is known by its name.

use super::{
    Action, Draft, World,
    active::Active,
    project::{Situation, last_proven},
};
use crate::api::{Phase, Reason, RunOutcome, RunPhase};

/// Both revisions of an open run have their records, and until another one is promoted stable's says that it is proven.
pub(super) fn keep(active: &Active, draft: &mut Draft) {
    if active.world.rollout.deleting {
        return;
    }
    for revision in [&active.spec.stable, &active.spec.canary] {
        if !is_recorded(active.world, revision) && can_be_recorded(active.world, revision) {
            draft.act(Action::RecordRevision { revision: revision.clone() });
        }
    }
    if active.status.phase != RunPhase::Finishing {
        prove(draft, &active.spec.stable);
    }
}

/// A run that goes back ends only when stable's record says what serves.
pub(super) fn are_kept(active: &Active) -> bool {
    let stable = &active.spec.stable;
    active.world.rollout.deleting
        || is_proven(active.world, stable)
        || !(is_recorded(active.world, stable) || can_be_recorded(active.world, stable))
}

/// At rest, and no revision is proven: the one that the last run has left serving.
pub(super) fn left_serving(world: &World) -> Option<&String> {
    let run = world.runs.last()?;
    let revision = match run.status.as_ref()?.outcome? {
        RunOutcome::Promoted | RunOutcome::Adopted => &run.spec.canary,
        RunOutcome::Reverted | RunOutcome::Aborted | RunOutcome::Superseded => &run.spec.stable,
    };
    let serves = world.revisions.get(revision).is_some_and(|view| view.deployment.is_some());
    serves.then_some(revision)
}

/// Its record is made again, and says that it is proven.
pub(super) fn restore(draft: &mut Draft, revision: &str) -> Situation {
    draft.wake(0);
    let message = format!("the record of revision {revision}, which serves, was lost and is made again");
    if is_recorded(draft.world, revision) {
        prove(draft, revision);
    } else {
        draft.act(Action::RecordRevision { revision: revision.to_owned() });
        draft.note(Reason::StateLost, message.clone(), true);
    }
    let mut situation = Situation::new(Phase::Progressing, Reason::StateLost, message);
    situation.stable = Some(revision.to_owned());
    situation
}

fn prove(draft: &mut Draft, revision: &str) {
    let world = draft.world;
    if is_recorded(world, revision) && !is_proven(world, revision) {
        let ordinal = last_proven(world).and_then(|(_, view)| view.proven).unwrap_or(0) + 1;
        draft.act(Action::MarkProven { revision: revision.to_owned(), ordinal });
    }
}

fn is_recorded(world: &World, revision: &str) -> bool {
    world.revisions.get(revision).is_some_and(|view| view.recorded)
}

fn is_proven(world: &World, revision: &str) -> bool {
    world.revisions.get(revision).is_some_and(|view| view.proven.is_some())
}

fn can_be_recorded(world: &World, revision: &str) -> bool {
    world.revisions.get(revision).is_some_and(|view| view.deployment.is_some())
        || world.source.known().is_some_and(|source| source.revision == revision)
}
