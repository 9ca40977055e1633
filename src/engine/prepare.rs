//! What must hold before a share is raised, as an ordered list: the first that does not hold is what the step waits for.
//!
//! Order: pinned, pods ready, backend named, warm, nothing else behind the Service. It raises nothing itself.

use super::{
    Fact, RevisionView, RouteView, Seen, active::Active, active::need, course, draft::Draft, draft::SHORT_POLL_MILLIS,
};
use crate::api::{Percent, Reason, is_baseline};

/// How long a count of ready pods or a set of endpoints must hold before it is believed. Shorter, and a pod that flaps
/// once gets traffic; longer, and every step is slower.
pub const SETTLE_MILLIS: u64 = 3_000;

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub reason: Reason,
    pub message: String,
    /// Time spent here counts towards the progress deadline.
    pub on_deadline: bool,
}

impl Waiting {
    fn new(reason: Reason, on_deadline: bool, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), on_deadline }
    }
}

/// One thing that must hold; the flag says that a share is to be raised.
type Check = fn(&Active, &mut Draft, bool) -> Option<Waiting>;

/// What stands between the granted share and the present step's; None: it may be raised (or holds already).
pub(super) fn waiting(active: &Active, draft: &mut Draft) -> Option<Waiting> {
    let raise = active.status.weight < active.target();
    let checks: [Check; 6] =
        [unreadable, not_pinned, pods_missing, not_named, others_behind_service, previous_not_accepted];
    let found = checks.iter().find_map(|check| check(active, draft, raise));
    if found.is_some() {
        draft.wake(SHORT_POLL_MILLIS);
    }
    found
}

fn unreadable(active: &Active, _: &mut Draft, _: bool) -> Option<Waiting> {
    let services = active.world.services.iter().map(|service| ("Service", &service.name, why(&service.state)));
    let routes = active.world.routes.iter().map(|route| (route.kind.as_str(), &route.name, why(&route.state)));
    services.chain(routes).find_map(|(kind, name, why)| {
        let message = format!("{kind} {name} cannot be read: {}", why?);
        Some(Waiting::new(Reason::ApiUnavailable, false, message))
    })
}

fn why<T>(seen: &Seen<T>) -> Option<&str> {
    match seen {
        Seen::Unknown(why) => Some(why),
        Seen::Known(_) | Seen::Absent => None,
    }
}

fn not_pinned(active: &Active, _: &mut Draft, _: bool) -> Option<Waiting> {
    let expected = active.pin_for(active.status.weight);
    let open = active
        .services()
        .find(|(_, state)| state.pin.as_deref() != expected || state.run.as_deref() != Some(active.name))?;
    Some(Waiting::new(Reason::Preparing, false, format!("Service {} is being pinned", open.0.name)))
}

fn pods_missing(active: &Active, draft: &mut Draft, raise: bool) -> Option<Waiting> {
    let short = short_of_pods(active, raise);
    let settle = if raise && active.status.weight == Percent::ZERO { SETTLE_MILLIS } else { 0 };
    if draft.has_held(Fact::Ready, short.is_none(), settle) {
        return None;
    }
    let (on_deadline, message) = match short {
        Some(message) => (true, message),
        None => {
            let ready = active.canary_ready();
            (false, format!("{ready} canary pods ready, waiting {} s that it stays so", SETTLE_MILLIS / 1_000))
        }
    };
    Some(Waiting::new(Reason::WaitingForPods, on_deadline, message))
}

/// The revision under test that has too few ready pods for what it gets, or with `raise` for what it is to get.
pub(super) fn short_of_pods(active: &Active, raise: bool) -> Option<String> {
    let goal = if raise { active.target() } else { active.status.weight };
    let is_new = raise || active.status.settled_at.is_none();
    active.tested().find_map(|(word, revision)| {
        let is_baseline = is_baseline(revision);
        let share = |of: Percent| if is_baseline { active.spec.baseline_at(of) } else { of };
        let wanted = match is_baseline {
            true if goal == Percent::FULL => 0,
            true => active.wanted_baseline_pods(revision),
            false => active.wanted_pods(),
        };
        // At its weight an arm needs the pods of that weight; more are on their way when N has risen.
        let enough = match is_new {
            true => wanted,
            false if active.routed() => need(active.full, share(active.status.weight)),
            false => 1,
        };
        let ready = active.ready(revision);
        (ready < enough).then(|| {
            let trouble = active.revision(revision).map_or_else(String::new, RevisionView::in_trouble);
            format!("{ready} of {wanted} {word} pods ready, {enough} needed for weight {}{trouble}", share(goal))
        })
    })
}

fn not_named(active: &Active, draft: &mut Draft, raise: bool) -> Option<Waiting> {
    if !active.routed() || !raise {
        return None;
    }
    let named = |route: &&RouteView| route.state.known().is_some_and(|state| course::is_named(state, active));
    let unnamed = active.world.routes.iter().find(|route| !named(route));
    if let Some(route) = unnamed {
        let message = format!("the canary's backend is being named in {} {} at weight 0", route.kind, route.name);
        return Some(Waiting::new(Reason::Preparing, false, message));
    }
    let refused = unaccepted(active);
    let warm = draft.has_held(Fact::Named, refused.is_none(), active.spec.warm.as_millis());
    if refused.is_some() {
        return refused;
    }
    let message = format!("the canary's backend is accepted at weight 0 and warms for {}", active.spec.warm);
    (!warm && active.status.weight == Percent::ZERO).then(|| Waiting::new(Reason::Preparing, false, message))
}

/// The first route that bears the run's mark and that its parents have not accepted as it is.
pub(super) fn unaccepted(active: &Active) -> Option<Waiting> {
    let message = active.world.routes.iter().find_map(|route| {
        let state = route.state.known().filter(|state| !state.accepted && state.run.is_some())?;
        let parent = state.waiting_for.as_deref().unwrap_or("its parent");
        let twin = active.world.routes.iter().find(|other| other.name == route.name && other.kind != route.kind);
        let message = format!("{} {} waits for {parent}", route.kind, route.name);
        Some(match twin.filter(|_| state.parent_silent) {
            // Contour 1.33 keeps what it has to report by name alone, so one of the two is never reported on.
            Some(twin) => format!(
                "{message}; {} {} has the same name, and some controllers then report on one of the two only: give one of \
                 them another name",
                twin.kind, twin.name
            ),
            None => message,
        })
    })?;
    Some(Waiting::new(Reason::WaitingForRoute, true, message))
}

fn others_behind_service(active: &Active, _: &mut Draft, raise: bool) -> Option<Waiting> {
    let expected = active.pin_for(active.status.weight)?;
    if !raise {
        return None;
    }
    let (service, other) = active.services().find_map(|(service, state)| {
        let other = state.endpoints.keys().find(|revision| revision.as_str() != expected)?;
        Some((&service.name, other))
    })?;
    let message = format!("the endpoints of Service {service} still hold pods of revision {other}");
    Some(Waiting::new(Reason::Preparing, false, message))
}

fn previous_not_accepted(active: &Active, _: &mut Draft, raise: bool) -> Option<Waiting> {
    if !active.routed() || !raise || active.stands_at(active.status.weight) {
        return None;
    }
    let message = format!("weight {} is not accepted on every route yet", active.status.weight);
    Some(Waiting::new(Reason::WaitingForRoute, true, message))
}
