//! Holding the course: the actions that make the cluster what the run's record says, level-triggered.
//!
//! It makes no transition. It raises a share only up to what the record grants and never before the pods are there.

use super::{
    Action, CanaryRefs, RouteEdit, RouteState, RouteView, Seen,
    active::{Active, need},
    contention,
    draft::Draft,
};
use crate::api::{Percent, RunPhase};

/// Pins, pods, backends and shares of a run that goes forward (steps and soak).
pub(super) fn hold(active: &Active, draft: &mut Draft) {
    if objects_missing(active) {
        return;
    }
    pin(active, draft);
    keep_stable(active, draft);
    let pinned = active.services().all(|(_, state)| state.run.as_deref() == Some(active.name));
    if pinned && active.services().count() == active.world.services.len() {
        grow(active, draft);
    }
    preview(active, draft);
    if active.routed() {
        if active.status.weight == Percent::ZERO && prepared_but_named(active) {
            name(active, draft);
        }
        if contention::back_for_good(active, draft) {
            lower(active, draft, active.status.weight);
        }
        raise(active, draft);
    }
}

/// A Service or a route is gone: neither arm may shrink and nothing may move until it is back.
pub(super) fn objects_missing(active: &Active) -> bool {
    active.world.services.iter().any(|service| service.state.is_absent())
        || active.world.routes.iter().any(|route| route.state.is_absent())
}

/// The Services select what the granted share asks for.
pub(super) fn pin(active: &Active, draft: &mut Draft) {
    let expected = active.pin_for(active.status.weight);
    for (service, state) in active.services() {
        if state.pin.as_deref() == expected && state.run.as_deref() == Some(active.name) {
            continue;
        }
        let (service, run) = (service.name.clone(), active.name.to_owned());
        draft.act(match expected {
            Some(revision) => Action::Pin { service, revision: revision.to_owned(), run: Some(run) },
            None => Action::Share { service, run },
        });
    }
}

/// Until the shrink stable has N, whatever its weight.
pub(super) fn keep_stable(active: &Active, draft: &mut Draft) {
    keep(active, draft, &active.spec.stable, active.full);
}

/// A revision has this many pods; its Deployment is made again from its record if somebody deleted it.
pub(super) fn keep(active: &Active, draft: &mut Draft, revision: &str, replicas: u32) {
    let Some(view) = active.revision(revision) else { return };
    let revision = revision.to_owned();
    match &view.deployment {
        None if view.recorded => draft.act(Action::CreateDeployment { revision, replicas }),
        Some(deployment) if deployment.desired != replicas => draft.act(Action::Scale { revision, replicas }),
        None | Some(_) => {}
    }
}

fn grow(active: &Active, draft: &mut Draft) {
    keep(active, draft, &active.spec.canary, active.wanted_pods());
    let Some(canary) = active.canary() else { return };
    let complete = active.spec.services.iter().all(|service| canary.services.contains_key(service));
    if active.routed() && (!complete || canary.services_stale) {
        draft.act(Action::ApplyServices { revision: active.spec.canary.clone() });
    }
}

/// The preview Service selects the canary once it is ready, else stable.
pub(super) fn preview(active: &Active, draft: &mut Draft) {
    let ready = active.canary().and_then(|canary| canary.deployment.as_ref()).is_some_and(|pods| pods.ready > 0);
    let shown = match active.status.phase {
        RunPhase::Stepping | RunPhase::Soaking | RunPhase::Finishing if ready => &active.spec.canary,
        _ => &active.spec.stable,
    };
    show(draft, shown);
}

pub(super) fn show(draft: &mut Draft, revision: &str) {
    if let Some(preview) = &draft.world.preview
        && preview.selects.as_deref() != Some(revision)
    {
        draft.act(Action::Preview { service: preview.name.clone(), revision: revision.to_owned() });
    }
}

/// Pods come first: a backend is named once the canary's pods for its first share are ready.
fn prepared_but_named(active: &Active) -> bool {
    active.target() > Percent::ZERO && active.canary_ready() >= active.wanted_pods()
}

/// Every managed rule names the canary's backends, and the route bears the run's mark.
pub(super) fn is_named(state: &RouteState, active: &Active) -> bool {
    let everywhere = !matches!(state.canary, CanaryRefs::Absent | CanaryRefs::Mixed(Percent::ZERO));
    everywhere && state.run.as_deref() == Some(active.name)
}

fn name(active: &Active, draft: &mut Draft) {
    for route in &active.world.routes {
        let Seen::Known(state) = &route.state else { continue };
        if !is_named(state, active) {
            draft.act(edit(active, route, RouteEdit::Name { run: active.name.to_owned() }));
        }
    }
}

/// No route gives the canary more than this. All routes at once, each on its own.
pub(super) fn lower(active: &Active, draft: &mut Draft, share: Percent) {
    for route in &active.world.routes {
        let Seen::Known(state) = &route.state else { continue };
        if state.canary.largest() > share || matches!(state.canary, CanaryRefs::Mixed(_)) {
            draft.act(edit(active, route, RouteEdit::Weight { share }));
        }
    }
}

/// One route after another: the next is raised once the one before has accepted.
fn raise(active: &Active, draft: &mut Draft) {
    let share = active.status.weight;
    if share == Percent::ZERO || active.canary_ready() < need(active.full, share) {
        return;
    }
    for route in &active.world.routes {
        let Seen::Known(state) = &route.state else { return };
        match state.canary {
            CanaryRefs::At(at) if at == share && state.accepted => {}
            CanaryRefs::At(at) if at < share => {
                draft.act(edit(active, route, RouteEdit::Weight { share }));
                return;
            }
            CanaryRefs::At(_) | CanaryRefs::Mixed(_) | CanaryRefs::Absent => return,
        }
    }
}

pub(super) fn edit(active: &Active, route: &RouteView, edit: RouteEdit) -> Action {
    Action::Route {
        original: Box::new(active.original(route)),
        canary: active.spec.canary.clone(),
        total: active.total(),
        edit,
    }
}
