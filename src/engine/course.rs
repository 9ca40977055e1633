//! Holding the course: the actions that make the cluster what the run's record says, level-triggered.
//!
//! It makes no transition. It raises a share only up to what the record grants and never before the pods are there.

use super::{
    Action, CanaryRefs, RevisionView, RouteEdit, RouteState, RouteView, Seen, active::Active, contention, draft::Draft,
    prepare,
};
use crate::api::{Percent, RunPhase, is_baseline, recorded_as};

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
            // What the baseline has too much of, while it is to have some, the raise puts right: pods for it are there.
            let nothing = active.status.weight == Percent::ZERO;
            lower(active, draft, active.status.weight, if nothing { Percent::ZERO } else { Percent::FULL });
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
    let recorded = active.revision(recorded_as(revision)).is_some_and(|view| view.recorded);
    let revision = revision.to_owned();
    match active.revision(&revision).and_then(|view| view.deployment.as_ref()) {
        None if recorded => draft.act(Action::CreateDeployment { revision, replicas }),
        Some(deployment) if deployment.desired != replicas => draft.act(Action::Scale { revision, replicas }),
        None | Some(_) => {}
    }
}

fn grow(active: &Active, draft: &mut Draft) {
    // A Service that was reset may give a revision what its route does not: none shrinks before the pin is back.
    let expected = active.pin_for(active.status.weight);
    let may_shrink = active.services().all(|(_, state)| state.pin.as_deref() == expected);
    let at_least = |revision: &str| match active.revision(revision).and_then(|view| view.deployment.as_ref()) {
        Some(deployment) if !may_shrink => deployment.desired,
        Some(_) | None => 0,
    };
    keep(active, draft, &active.spec.canary, active.wanted_pods().max(at_least(&active.spec.canary)));
    if let Some(baseline) = &active.spec.baseline {
        let replicas = active.wanted_baseline_pods(baseline).max(at_least(baseline));
        if replicas > 0 || active.has_pods(baseline) {
            keep(active, draft, baseline, replicas);
        }
    }
    let lacks = |view: &RevisionView| {
        view.services_stale || active.spec.services.iter().any(|service| !view.services.contains_key(service))
    };
    for (_, revision) in active.tested() {
        // A baseline has no record: without pods and Services nothing is seen of it.
        if active.routed() && active.revision(revision).map_or(is_baseline(revision), lacks) {
            draft.act(Action::ApplyServices { revision: revision.to_owned() });
        }
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

/// Pods come first: a backend is named once the pods for its first share are ready.
fn prepared_but_named(active: &Active) -> bool {
    let all_ready = prepare::short_of_pods(active, true).is_none();
    active.target() > Percent::ZERO && all_ready
}

/// Every managed rule names the canary's backends, and the baseline's, and the route bears the run's mark.
pub(super) fn is_named(state: &RouteState, active: &Active) -> bool {
    let everywhere = |refs: CanaryRefs| !matches!(refs, CanaryRefs::Absent | CanaryRefs::Mixed(Percent::ZERO));
    everywhere(state.canary)
        && (active.spec.baseline.is_none() || everywhere(state.baseline_refs()))
        && state.run.as_deref() == Some(active.name)
}

fn name(active: &Active, draft: &mut Draft) {
    for route in &active.world.routes {
        let Seen::Known(state) = &route.state else { continue };
        if !is_named(state, active) {
            draft.act(edit(active, route, RouteEdit::Name { run: active.name.to_owned() }));
        }
    }
}

/// No route gives the canary more than `share`, and its baseline more than `baseline`; neither gets more than it has anywhere. All
/// routes at once, each on its own.
pub(super) fn lower(active: &Active, draft: &mut Draft, share: Percent, baseline: Percent) {
    for route in &active.world.routes {
        let Seen::Known(state) = &route.state else { continue };
        let (of_canary, of_baseline) = (state.canary, state.baseline_refs());
        let is_mixed = [of_canary, of_baseline].iter().any(|refs| matches!(refs, CanaryRefs::Mixed(_)));
        if of_canary.largest() > share || of_baseline.largest() > baseline || is_mixed {
            let (share, baseline) = (share.min(of_canary.largest()), baseline.min(of_baseline.largest()));
            draft.act(edit(active, route, RouteEdit::Weight { share, baseline }));
        }
    }
}

/// One route after another: the next is raised once the one before has accepted.
fn raise(active: &Active, draft: &mut Draft) {
    let share = active.status.weight;
    if share == Percent::ZERO || !active.carries(share) {
        return;
    }
    for route in &active.world.routes {
        let Seen::Known(state) = &route.state else { return };
        match (state.canary, state.baseline_refs()) {
            _ if active.is_at(state, share) && state.accepted => {}
            (_, CanaryRefs::Mixed(_)) => return,
            (_, CanaryRefs::Absent) if active.spec.baseline.is_some() => return,
            (CanaryRefs::At(at), _) if at <= share && !active.is_at(state, share) => {
                let baseline = active.spec.baseline_at(share);
                draft.act(edit(active, route, RouteEdit::Weight { share, baseline }));
                return;
            }
            (CanaryRefs::At(_) | CanaryRefs::Mixed(_) | CanaryRefs::Absent, _) => return,
        }
    }
}

pub(super) fn edit(active: &Active, route: &RouteView, edit: RouteEdit) -> Action {
    Action::Route {
        original: Box::new(active.original(route)),
        canary: active.spec.canary.clone(),
        baseline: active.spec.baseline.clone(),
        total: active.total(),
        edit,
    }
}
