//! Others who write what a run writes: objects that vanish, routes and Services that are reset.
//!
//! A reset is the safe direction (all traffic on the application's Service), so it is followed, not fought: the step
//! starts anew, and after the second reset within an hour the run stays at weight 0.

use jiff::Timestamp;

use super::{
    CanaryRefs, Fact, Seen,
    active::{Active, need},
    course,
    draft::Draft,
    prepare::{SETTLE_MILLIS, Waiting},
};
use crate::api::{Percent, Reason, Reset, RunPhase};

/// Resets within this time count together.
const WINDOW_SECONDS: i64 = 3_600;
/// How often a contended run tries again.
const RETRY_MILLIS: u64 = 30 * 60 * 1_000;
/// Resets kept in a record.
pub(super) const MAX_RESETS: usize = 8;

/// A Service or a route is gone: nothing moves, and once it is back the step starts anew.
pub(super) fn missing(active: &mut Active, _: &mut Draft) {
    let Some(waiting) = gone(active) else { return };
    if active.status.reason == Some(waiting.reason) {
        return;
    }
    begin_anew(active);
    let at_full = active.status.weight == Percent::FULL && waiting.reason == Reason::ServiceMissing;
    if !at_full {
        active.status.weight = Percent::ZERO;
    }
    active.transition(waiting.reason, waiting.message);
}

fn gone(active: &Active) -> Option<Waiting> {
    let services = active.world.services.iter().filter(|service| service.state.is_absent());
    let services = services.map(|service| (Reason::ServiceMissing, format!("Service {} does not exist", service.name)));
    let routes = active.world.routes.iter().filter(|route| route.state.is_absent());
    let routes = routes.map(|route| (Reason::RouteMissing, format!("{} {} does not exist", route.kind, route.name)));
    let (reason, what) = services.chain(routes).next()?;
    let message = format!("{what}; nothing moves until it is back, then the step starts anew");
    Some(Waiting { reason, message, on_deadline: false })
}

/// What was gone is back; stable must be reachable again before the canary's share is given to it.
pub(super) fn back_for_good(active: &Active, draft: &mut Draft) -> bool {
    if active.status.reason != Some(Reason::ServiceMissing) {
        return true;
    }
    let ready = active.stable_ready().unwrap_or(0) >= need(active.full, Percent::FULL);
    draft.has_held(Fact::Back, ready, SETTLE_MILLIS + active.spec.warm.as_millis())
}

/// Somebody reset a route or a Service.
pub(super) fn reset(active: &mut Active, draft: &mut Draft) {
    if contended(active) {
        if draft.has_held(Fact::Contended, true, RETRY_MILLIS) {
            active.status.resets.clear();
            active.transition(Reason::Preparing, "contended for 30 min; trying again");
        }
        return;
    }
    if course::objects_missing(active) || active.status.reason == Some(Reason::ServiceMissing) {
        return;
    }
    let Some(reset) = route_reset(active).or_else(|| service_reset(active)) else { return };
    let of_route = reset.what == "route";
    let (once, again) = (format!("{}; the step starts anew", said(&reset)), held(&reset));
    active.status.resets.push(reset);
    forget_old(active);
    begin_anew(active);
    let twice = active.status.resets.len() >= 2;
    if of_route || twice {
        active.status.weight = Percent::ZERO;
    }
    if of_route {
        read_routes_anew(active);
    }
    let (reason, message) = match (twice, of_route) {
        (false, _) => (Reason::Preparing, once),
        (true, true) => (Reason::RouteContended, again),
        (true, false) => (Reason::ServiceContended, again),
    };
    active.alarm(reason, &message);
}

fn said(reset: &Reset) -> String {
    let by = reset.manager.as_ref().map_or_else(String::new, |manager| format!(" by {manager}"));
    format!("{} {} was reset{by}", reset.what, reset.name)
}

fn held(reset: &Reset) -> String {
    format!("{} again within an hour; held at weight 0", said(reset))
}

/// A person has talked to whoever resets it: it is tried again at once.
pub(super) fn try_again(active: &mut Active) {
    active.status.resets.clear();
    active.status.reason = Some(Reason::Preparing);
}

pub(super) fn contended(active: &Active) -> bool {
    matches!(active.status.reason, Some(Reason::RouteContended | Reason::ServiceContended))
}

/// Contention or a missing object as what the run waits for.
pub(super) fn obstacle(active: &Active) -> Option<Waiting> {
    if contended(active) {
        let reason = active.status.reason.unwrap_or(Reason::RouteContended);
        let message = active.status.resets.last().map_or_else(|| active.status.message.clone(), held);
        return Some(Waiting { reason, message, on_deadline: false });
    }
    gone(active)
}

fn route_reset(active: &Active) -> Option<Reset> {
    if !active.routed() || active.status.weight == Percent::ZERO {
        return None;
    }
    let settled = active.status.settled_at.is_some();
    active.world.routes.iter().find_map(|route| {
        let state = route.state.known()?;
        let moved = settled && !active.is_at(state, active.status.weight);
        let unnamed = state.canary == CanaryRefs::Absent
            || active.spec.baseline.is_some() && state.baseline_refs() == CanaryRefs::Absent;
        (unnamed || moved).then(|| Reset {
            what: "route".into(),
            name: route.name.clone(),
            at: active.world.now.clone(),
            manager: state.last_manager.clone(),
        })
    })
}

/// The pin is gone although two revisions have pods. Without a route it is told only once the share had settled, since
/// before that the run itself moves the pin.
fn service_reset(active: &Active) -> Option<Reset> {
    let others_have_pods = active.tested().any(|(_, revision)| active.has_pods(revision));
    if !others_have_pods || (!active.routed() && active.status.settled_at.is_none()) {
        return None;
    }
    let expected = active.pin_for(active.status.weight)?;
    active.services().find_map(|(service, state)| {
        (state.pin.as_deref() != Some(expected)).then(|| Reset {
            what: "service".into(),
            name: service.name.clone(),
            at: active.world.now.clone(),
            manager: state.last_manager.clone(),
        })
    })
}

fn begin_anew(active: &mut Active) {
    active.status.settled_at = None;
    active.status.credits = crate::api::Credits::default();
    debug_assert!(matches!(active.status.phase, RunPhase::Stepping | RunPhase::Soaking));
}

/// The owner's backends may be others now: what is given back at the end is what the owner last wrote.
fn read_routes_anew(active: &mut Active) {
    let changed = active.world.routes.iter().filter_map(|route| match &route.state {
        Seen::Known(state) if state.foreign_change => Some(state.original.clone()),
        Seen::Known(_) | Seen::Absent | Seen::Unknown(_) => None,
    });
    for route in changed.collect::<Vec<_>>() {
        active.status.routes.retain(|old| (&old.kind, &old.name) != (&route.kind, &route.name));
        active.status.routes.push(route);
    }
}

fn forget_old(active: &mut Active) {
    let seconds = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_second).ok();
    let now = seconds(&active.world.now);
    let recent = |reset: &Reset| match (now, seconds(&reset.at)) {
        (Some(now), Some(at)) => now - at <= WINDOW_SECONDS,
        (None, _) | (_, None) => false,
    };
    active.status.resets.retain(recent);
    let excess = active.status.resets.len().saturating_sub(MAX_RESETS);
    active.status.resets.drain(..excess);
}
