//! The end of a run, forward or back: one revision keeps the traffic, the other's backends, pods and pins go.
//!
//! Order: (flip, give back,) weight 0, drain, drop, shrink, unpin. Nothing here waits for evidence, gates or a pause.
//! A protocol: what is served is never what is removed, because every removal waits until the share of what it serves has
//! been 0, accepted, for the drain time.

use super::{
    Action, CanaryRefs, Fact, RouteEdit, Seen,
    active::{Active, need},
    course,
    draft::{ACTIVE_POLL_MILLIS, Draft, SHORT_POLL_MILLIS},
    intent,
    prepare::{self, SETTLE_MILLIS},
    project::{Completed, Situation, last_proven, outcome_reason},
    records,
    stepping::of_run,
};
use crate::{
    api::{Percent, Phase, Reason, RunOutcome, RunPhase},
    stats::Judgement,
};

/// Below this share of ready stable pods an abort gives the traffic back in parts.
const ENOUGH_STABLE: Percent = Percent::whole(70);
/// After this time a Fail gives all traffic back as soon as one stable pod is ready: some answers beat bad ones.
const PATIENCE_MILLIS: u64 = 60_000;
/// A parent that reports nothing for this long holds the end of the run, which is then said. Shorter, and every busy
/// controller is news; longer, and a run that hangs looks like one that works.
const SILENT_MILLIS: u64 = 30_000;

/// One pass of a run that goes back to stable.
pub(super) fn go_back(active: &mut Active, draft: &mut Draft) -> Situation {
    draft.wake(SHORT_POLL_MILLIS);
    if !active.moved {
        intent::too_late(active, draft);
    }
    let (target, of_baseline) = stable_can_take(active, draft);
    let all = target == Percent::ZERO && of_baseline == Percent::ZERO;
    if active.routed() {
        course::lower(active, draft, target, of_baseline);
    }
    pin_winner(active, draft, all);
    course::keep_stable(active, draft);
    course::preview(active, draft);
    let (winner, loser) = (active.spec.stable.clone(), active.spec.canary.clone());
    let gone = all && retire(active, draft, &winner, &loser);
    if gone && !active.moved && records::are_kept(active) {
        let ending = active.status.ending.unwrap_or(RunOutcome::Aborted);
        end(active, draft, ending);
        return super::rest::after_run(active, ending);
    }
    let why = active.status.message.clone();
    let (ready, full) = (active.stable_ready().unwrap_or(0), active.full);
    let mut situation = of_run(active, Phase::Progressing, Reason::Aborting, format!("going back: {why}"));
    if !all {
        let and_baseline = active.spec.baseline.as_ref().map(|_| format!(" and the baseline {of_baseline}"));
        let message = format!(
            "{ready} of {full} stable pods ready: the canary keeps weight {target}{} until more are",
            and_baseline.unwrap_or_default()
        );
        situation.extra.push(("AbortIncomplete", Reason::AbortIncomplete, message));
    }
    say_unaccepted(active, draft, &mut situation);
    situation.completed = Some(Completed::Open);
    situation.weight = Some(active.largest_share());
    situation
}

/// Nothing is removed before its weight 0 is accepted: what is waited for is said once it takes long.
fn say_unaccepted(active: &Active, draft: &mut Draft, situation: &mut Situation) {
    let unaccepted = prepare::unaccepted(active);
    if draft.has_held(Fact::ParentSilent, unaccepted.is_some(), SILENT_MILLIS)
        && let Some(waiting) = unaccepted
    {
        situation.extra.push(("RouteNotAccepted", Reason::RouteNotAccepted, waiting.message));
    }
}

/// The shares that the canary and its baseline keep while too few stable pods are ready: none as soon as 70 % of them are. The
/// canary's goes first: the baseline's pods run what stable's do. An unknown count counts as enough: going back depends on
/// nothing but the route.
fn stable_can_take(active: &Active, draft: &mut Draft) -> (Percent, Percent) {
    let nothing = (Percent::ZERO, Percent::ZERO);
    let (now, full) = ((active.largest_share(), active.largest_baseline_share()), active.full);
    let Some(ready) = active.stable_ready() else { return nothing };
    if now == nothing || ready >= ENOUGH_STABLE.of_ceil(full) {
        return nothing;
    }
    let failed = active.world.evidence.as_ref().is_some_and(|seen| seen.verdict.judgement == Judgement::Fail);
    if draft.has_held(Fact::AbortHeld, true, PATIENCE_MILLIS) && failed && ready >= 1 {
        return nothing;
    }
    if !active.routed() {
        return if ready == 0 { now } else { nothing };
    }
    let unit = 100_000 / active.total();
    let left = Percent::from_thousandths(100_000 * ready / full.max(1) / unit * unit).rest();
    let of_baseline = now.1.min(left);
    (now.0.min(Percent::from_thousandths(left.thousandths() - of_baseline.thousandths())), of_baseline)
}

/// The Services select the winner while another revision has pods.
fn pin_winner(active: &Active, draft: &mut Draft, all: bool) {
    if (active.routed() || all) && others_have_pods(active) {
        course::pin(active, draft);
    }
}

/// The losing revision, or a baseline, has pods. A run that was made again from its marks may name one revision only, if no
/// other is left: then nobody loses.
fn others_have_pods(active: &Active) -> bool {
    let loser = if active.status.phase == RunPhase::Finishing { &active.spec.stable } else { &active.spec.canary };
    let of_loser = active.has_pods(loser) && active.spec.stable != active.spec.canary;
    of_loser || active.spec.baseline.as_ref().is_some_and(|baseline| active.has_pods(baseline))
}

/// One pass of a promoted run: the Services flip to the winner, then the routes get their owners' form.
pub(super) fn finish(active: &mut Active, draft: &mut Draft) -> Situation {
    draft.wake(SHORT_POLL_MILLIS);
    if !active.moved {
        intent::too_late(active, draft);
    }
    let (winner, loser) = (active.spec.canary.clone(), active.spec.stable.clone());
    service_has_drained(active, draft);
    if active.moved || active.world.services.iter().any(|service| service.state.is_absent()) {
        return finishing(active, draft);
    }
    course::keep(active, draft, &winner, active.full);
    course::preview(active, draft);
    if !mark_proven(active, draft, &winner) {
        return finishing(active, draft);
    }
    flip(active, draft, &winner);
    let flipped = draft.has_held(Fact::Flipped, is_flipped(active, &winner), SETTLE_MILLIS);
    let warm = SETTLE_MILLIS + active.spec.warm.as_millis();
    let given_back = flipped && draft.has_held(Fact::Flipped, true, warm);
    if given_back {
        course::lower(active, draft, Percent::ZERO, Percent::ZERO);
    }
    if flipped && retire(active, draft, &winner, &loser) {
        end(active, draft, RunOutcome::Promoted);
        return super::rest::after_run(active, RunOutcome::Promoted);
    }
    finishing(active, draft)
}

fn finishing(active: &Active, draft: &mut Draft) -> Situation {
    let message = format!("revision {} is promoted; routes and Services get their owners' form", active.spec.canary);
    let mut situation = of_run(active, Phase::Finishing, Reason::Finishing, message);
    // A newer template is another release, whose outcome is open.
    let newer = active.world.source.known().is_some_and(|source| source.revision != active.spec.canary);
    situation.completed = Some(if newer { Completed::Open } else { Completed::As(RunOutcome::Promoted) });
    situation.serving = !newer;
    situation.weight = Some(Percent::FULL);
    say_unaccepted(active, draft, &mut situation);
    situation
}

/// The revision's record says that it was promoted before any Service selects it.
fn mark_proven(active: &Active, draft: &mut Draft, winner: &str) -> bool {
    let latest = last_proven(active.world);
    if latest.is_some_and(|(revision, _)| revision == winner) {
        return true;
    }
    if !active.canary().is_some_and(|canary| canary.recorded) {
        // Without a record nothing can be written on it; a deletion does not wait for one.
        return active.world.rollout.deleting;
    }
    let ordinal = latest.and_then(|(_, view)| view.proven).unwrap_or(0) + 1;
    draft.act(Action::MarkProven { revision: winner.to_owned(), ordinal });
    false
}

/// The Services have had weight 0 for the drain time. The soak counts, so it is asked in every pass from 100 on.
pub(super) fn service_has_drained(active: &Active, draft: &mut Draft) -> bool {
    let at_zero = active.stands_at(Percent::FULL);
    draft.has_held(Fact::ServiceAtZero, at_zero, active.spec.drain.as_millis())
}

/// A Service changes what it selects only while it has had weight 0 for the drain time, or after its route was reset, when
/// both revisions have capacity for everything.
fn flip(active: &Active, draft: &mut Draft, winner: &str) {
    let drained = service_has_drained(active, draft);
    let mut states = active.world.routes.iter().filter_map(|route| route.state.known());
    let reset = states.any(|state| state.canary != CanaryRefs::At(Percent::FULL));
    let full = need(active.full, Percent::FULL);
    // Endpoints and the Deployment say it: one of the two may be late.
    let pods = active.canary().and_then(|canary| canary.deployment.as_ref()).map_or(0, |pods| pods.ready);
    let enough = active.canary_ready().min(pods) >= full;
    let selected = active.services().all(|(_, state)| state.pin.as_deref() == Some(winner));
    // The loser's pods may have been deleted before it: then its pin would select nothing for good.
    let elsewhere = active.services().any(|(_, state)| state.pin.as_deref().is_some_and(|pin| pin != winner));
    let needed = elsewhere || others_have_pods(active);
    if enough && needed && (drained || reset || selected || !active.routed()) {
        course::pin(active, draft);
    }
}

fn is_flipped(active: &Active, winner: &str) -> bool {
    active.world.services.iter().all(|service| match &service.state {
        Seen::Known(state) => {
            let only = state.endpoints.keys().all(|revision| revision == winner);
            let pinned = state.pin.is_none() || state.pin.as_deref() == Some(winner);
            pinned && only && state.ready.get(winner).copied().unwrap_or(0) >= need(active.full, Percent::FULL)
        }
        Seen::Absent | Seen::Unknown(_) => false,
    })
}

/// Drop, shrink, unpin. True once nothing is left of the run in the cluster.
fn retire(active: &Active, draft: &mut Draft, winner: &str, loser: &str) -> bool {
    let drain = active.spec.drain.as_millis();
    let at_zero = routes_at_zero(active);
    let drained = draft.has_held(Fact::CanaryAtZero, at_zero, drain);
    if drained {
        drop_refs(active, draft);
    }
    let dropped = draft.has_held(Fact::Dropped, is_dropped(active), drain);
    let has_services = |revision: &str| active.revision(revision).is_some_and(|view| !view.is_without_services());
    let services_left: Vec<&str> =
        active.tested().map(|(_, revision)| revision).filter(|revision| has_services(revision)).collect();
    if dropped {
        for revision in &services_left {
            draft.act(Action::DeleteServices { revision: (*revision).to_owned() });
        }
    }
    let readable = !active.world.services.iter().any(|service| service.state.is_unknown());
    for revision in [Some(loser), active.spec.baseline.as_deref()].into_iter().flatten() {
        let served_by_refs = revision != active.spec.stable;
        let out = readable && active.services().all(|(_, state)| !state.endpoints.contains_key(revision));
        let out = draft.has_held(Fact::OutOfService(revision.to_owned()), out, drain);
        if out && revision != winner && (drained || !served_by_refs || !active.routed()) {
            shrink(active, draft, revision);
        }
    }
    let others_gone = active.world.revisions.iter().all(|(revision, view)| {
        revision == winner || view.deployment.as_ref().is_none_or(|pods| pods.pods_with_terminating == 0)
    });
    let pinned: Vec<_> = active.services().filter(|(_, state)| state.pin.is_some() || state.run.is_some()).collect();
    if others_gone && !others_have_pods(active) {
        for (service, _) in &pinned {
            draft.act(Action::Unpin { service: service.name.clone() });
        }
    }
    let unpinned = readable && pinned.is_empty();
    is_dropped(active) && services_left.is_empty() && !others_have_pods(active) && others_gone && unpinned
}

/// No route gives the canary or a baseline anything, accepted. A route that is gone gives nothing.
fn routes_at_zero(active: &Active) -> bool {
    active.world.routes.iter().all(|route| match &route.state {
        Seen::Known(state) => state.gives_nothing() && (state.accepted || state.run.is_none()),
        Seen::Absent => true,
        Seen::Unknown(_) => false,
    })
}

fn drop_refs(active: &Active, draft: &mut Draft) {
    for route in &active.world.routes {
        let Seen::Known(state) = &route.state else { continue };
        if !state.is_without_refs() || state.run.is_some() {
            draft.act(course::edit(active, route, RouteEdit::Drop { run: active.name.to_owned() }));
        }
    }
}

fn is_dropped(active: &Active) -> bool {
    active.world.routes.iter().all(|route| match &route.state {
        Seen::Known(state) => state.is_without_refs() && state.run.is_none(),
        Seen::Absent => true,
        Seen::Unknown(_) => false,
    })
}

/// First to 0, and away once the last pod is gone.
pub(super) fn shrink(active: &Active, draft: &mut Draft, loser: &str) {
    let Some(pods) = active.revision(loser).and_then(|revision| revision.deployment.as_ref()) else { return };
    let revision = loser.to_owned();
    if pods.desired > 0 {
        draft.act(Action::Scale { revision, replicas: 0 });
    } else if pods.pods_with_terminating == 0 {
        draft.act(Action::DeleteDeployment { revision });
    }
}

fn end(active: &mut Active, draft: &mut Draft, ending: RunOutcome) {
    draft.wake(ACTIVE_POLL_MILLIS);
    active.status.phase = RunPhase::Ended;
    active.status.outcome = Some(ending);
    let why = format!("ended; {}", active.status.message);
    active.tell(outcome_reason(ending), why, ending != RunOutcome::Promoted);
    super::record::close(&mut active.status, &active.world.now);
    active.ended = true;
}
