//! The laws that can be told before a write, checked on every decision, in tests and in production.
//!
//! They are written against the World and the actions alone, without the engine's own helpers where that is possible, so
//! that one mistake is not made twice. A broken law withholds the actions.

use super::{
    Action, CanaryRefs, Decision, FreezeView, RouteEdit, RouteState, RouteView, RunView, RunWrite, World, active::need,
    burning, project::last_proven, restore::is_ours,
};
use crate::{
    api::{ActionType, Percent, RolloutRunStatus, RunPhase},
    stats::Judgement,
};

/// The numbers of all of them.
pub const LAWS: [&str; 13] = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S9", "S11", "S13", "S14", "S15", "S17"];

/// A law that a decision would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its number: "S1".
    pub law: &'static str,
    /// What would have happened.
    pub message: String,
}

/// What every law looks at.
struct Case<'w> {
    world: &'w World,
    run: Option<&'w RunView>,
    /// The run's state after the decision.
    after: Option<&'w RolloutRunStatus>,
    full: u32,
}

/// Every law that the decision would break; none if it is sound.
pub fn laws(world: &World, decision: &Decision) -> Vec<Broken> {
    let run = world.runs.iter().find(|run| run.status.as_ref().is_none_or(|status| status.phase != RunPhase::Ended));
    let after = match &decision.run {
        Some(RunWrite::Status { status, .. } | RunWrite::Remember { status, .. }) => Some(&**status),
        Some(RunWrite::Create { .. }) | None => run.and_then(|run| run.status.as_ref()),
    };
    let full = world.rollout.spec.as_ref().ok().and_then(|spec| spec.replicas).unwrap_or(0);
    let case = Case { world, run, after, full };
    let of_actions: [fn(&Case, &Action) -> Option<Broken>; 8] =
        [capacity, sums, absorbed, shrink_last, target_before_share, last_proven_only, deletion, pin_first];
    let found = decision.actions.iter().flat_map(|action| of_actions.iter().filter_map(|law| law(&case, action)));
    let of_state: [fn(&Case) -> Option<Broken>; 4] = [one_step, evidence, time, frozen];
    let mut broken: Vec<Broken> = found.collect();
    broken.extend(of_state.iter().filter_map(|law| law(&case)));
    broken.extend(intents_once(decision));
    broken.extend(sealed_first(&case, decision));
    broken.extend(start_in_hold(world, decision));
    broken
}

fn broken(law: &'static str, message: impl Into<String>) -> Option<Broken> {
    Some(Broken { law, message: message.into() })
}

/// What one revision under test gets of a route before an edit, and after it.
struct Shift<'w> {
    word: &'static str,
    revision: &'w str,
    before: Percent,
    after: Percent,
    /// What the run's record grants it.
    granted: Percent,
}

/// The canary's and the baseline's.
fn shifts<'w>(case: &Case<'w>, action: &Action) -> Vec<Shift<'w>> {
    let Action::Route { original, edit: RouteEdit::Weight { share, baseline: of_baseline }, .. } = action else {
        return Vec::new();
    };
    let mut routes = case.world.routes.iter();
    let same = |route: &&RouteView| route.kind == original.kind && route.name == original.name;
    let state = routes.find(same).and_then(|route| route.state.known());
    let (Some(state), Some(run)) = (state, case.run) else { return Vec::new() };
    let weight = case.after.map_or(Percent::ZERO, |status| status.weight);
    let of_canary = Shift {
        word: "canary",
        revision: &run.spec.canary,
        before: state.canary.largest(),
        after: *share,
        granted: weight,
    };
    let of_baseline = run.spec.baseline.as_ref().map(|revision| Shift {
        word: "baseline",
        revision,
        before: state.baseline.as_ref().map_or(Percent::ZERO, |baseline| baseline.refs.largest()),
        after: *of_baseline,
        granted: weight.min(weight.rest()),
    });
    std::iter::once(of_canary).chain(of_baseline).collect()
}

/// Pods whose Deployment is gone are on their way out.
fn ready(case: &Case, revision: &str) -> u32 {
    let view = case.world.revisions.get(revision).filter(|view| view.deployment.is_some());
    let Some(view) = view else { return 0 };
    case.world.services.iter().map(|service| view.services.get(&service.name).copied().unwrap_or(0)).min().unwrap_or(0)
}

/// S1: a share is raised only to what the ready pods carry.
fn capacity(case: &Case, action: &Action) -> Option<Broken> {
    shifts(case, action).into_iter().find_map(|Shift { word, revision, before, after, granted: _ }| {
        let (ready, needed) = (ready(case, revision), need(case.full, after));
        let message = || format!("weight {after} with {ready} ready {word} pods, {needed} needed");
        if after > before && ready < needed { broken("S1", message()) } else { None }
    })
}

/// S5: the shares of one application Service are no more than all of it.
fn sums(case: &Case, action: &Action) -> Option<Broken> {
    let after: Vec<Percent> = shifts(case, action).iter().map(|shift| shift.after).collect();
    let sum: u32 = after.iter().map(|share| share.thousandths()).sum();
    (sum > Percent::FULL.thousandths()).then(|| broken("S5", format!("weights {after:?} are more than 100")))?
}

/// S2: after the decision to go back nothing raises what is under test or its pods; and never above what was granted.
fn absorbed(case: &Case, action: &Action) -> Option<Broken> {
    let status = case.after?;
    let is_raised = |shift: &Shift| shift.after > shift.before;
    let is_too_much = |shift: &Shift| status.phase == RunPhase::Aborting || shift.after > shift.granted;
    if let Some(Shift { word, before, after, granted, .. }) =
        shifts(case, action).into_iter().find(|shift| is_raised(shift) && is_too_much(shift))
    {
        return broken("S2", format!("weight of the {word} raised from {before} to {after}, granted is {granted}"));
    }
    let spec = &case.run?.spec;
    let is_tested = |revision: &String| *revision == spec.canary || Some(revision) == spec.baseline.as_ref();
    match action {
        Action::Scale { revision, replicas } if is_tested(revision) && status.phase == RunPhase::Aborting => {
            let desired = case.world.revisions.get(revision)?.deployment.as_ref()?.desired;
            (*replicas > desired)
                .then(|| broken("S2", format!("{revision} scaled up to {replicas} while going back")))?
        }
        _ => None,
    }
}

/// The largest share that a revision may be getting.
fn share_of(case: &Case, revision: &str) -> Percent {
    let states = || case.world.routes.iter().filter_map(|route| route.state.known());
    let of_baseline = |state: &RouteState| match &state.baseline {
        Some(baseline) if baseline.revision == revision => baseline.refs.largest(),
        Some(_) | None => Percent::ZERO,
    };
    let canary = case.run.is_some_and(|run| run.spec.canary == revision);
    let of_refs = |state: &RouteState| if canary { state.canary.largest() } else { of_baseline(state) };
    let by_refs = states().map(of_refs).max();
    let selected =
        case.world.services.iter().filter_map(|service| service.state.known()).any(|state| {
            state.pin.as_deref().is_none_or(|pin| pin == revision) && state.endpoints.contains_key(revision)
        });
    let by_service = match (selected, states().map(|state| state.canary.largest()).min()) {
        (false, _) => Percent::ZERO,
        (true, Some(least)) => least.rest(),
        (true, None) => Percent::FULL,
    };
    by_refs.unwrap_or_default().max(by_service)
}

/// S3: no revision gets fewer pods than its share needs.
fn shrink_last(case: &Case, action: &Action) -> Option<Broken> {
    let (revision, replicas) = match action {
        Action::Scale { revision, replicas } => (revision, *replicas),
        Action::DeleteDeployment { revision } => (revision, 0),
        _ => return None,
    };
    let deployment = case.world.revisions.get(revision)?.deployment.as_ref()?;
    if replicas >= deployment.desired && !matches!(action, Action::DeleteDeployment { .. }) {
        return None;
    }
    let share = if case.run.is_some() || replicas == 0 { share_of(case, revision) } else { Percent::ZERO };
    let routed = !case.world.routes.is_empty();
    let scaled_to_zero = case.full == 0;
    let needed = if routed || replicas == 0 { need(case.full, share) } else { 1 };
    if replicas < needed && !scaled_to_zero && !case.world.rollout.deleting {
        return broken("S3", format!("{revision} scaled to {replicas} pods with a share of {share}, {needed} needed"));
    }
    None
}

/// S4: what a Service selects changes only while it has no weight, or while both targets carry it.
fn target_before_share(case: &Case, action: &Action) -> Option<Broken> {
    let Action::Pin { service, revision, .. } = action else { return None };
    let view = case.world.services.iter().find(|view| view.name == *service)?;
    let state = view.state.known()?;
    let changes = state.pin.as_ref().is_some_and(|pin| pin != revision);
    if !changes || case.world.routes.is_empty() {
        return None;
    }
    let idle = case.world.routes.iter().all(|route| {
        route.state.known().is_none_or(|state| state.canary == CanaryRefs::At(Percent::FULL) && state.accepted)
    });
    let needed = need(case.full, Percent::FULL);
    let pods = case.world.revisions.get(revision).and_then(|view| view.deployment.as_ref());
    let carries = pods.is_some_and(|pods| pods.ready >= needed);
    (!idle && !carries).then(|| broken("S4", format!("Service {service} flips to {revision} while it has weight")))?
}

/// S7: a Service selects the last proven revision or the one under test in a run.
fn last_proven_only(case: &Case, action: &Action) -> Option<Broken> {
    let Action::Pin { revision, .. } = action else { return None };
    let proven = last_proven(case.world).is_none_or(|(proven, _)| proven == revision);
    let of_run = case.run.is_some_and(|run| run.spec.stable == *revision || run.spec.canary == *revision);
    (!proven && !of_run).then(|| broken("S7", format!("a Service would select {revision}, which is not proven")))?
}

/// S11: the finalizer goes only when no pin and no backend of ours is left.
fn deletion(case: &Case, action: &Action) -> Option<Broken> {
    let rollout = &case.world.rollout;
    if *action != Action::RemoveFinalizer || rollout.orphan || rollout.namespace_terminating {
        return None;
    }
    let mut services = case.world.services.iter().filter_map(|service| service.state.known());
    let pinned = services.any(|state| state.pin.is_some() && is_ours(case.world, state));
    let named = case.world.routes.iter().filter_map(|route| route.state.known());
    let named = named.into_iter().any(|state| state.canary != CanaryRefs::Absent || state.baseline.is_some());
    (pinned || named).then(|| broken("S11", "the finalizer would go before everything is restored"))?
}

/// A second revision has pods only behind a pin, until it is promoted: then it may serve whoever selects it.
fn pin_first(case: &Case, action: &Action) -> Option<Broken> {
    let Action::CreateDeployment { revision, .. } = action else { return None };
    if case.after.is_some_and(|status| status.phase == RunPhase::Finishing) {
        return None;
    }
    let tested = |run: &RunView| run.spec.canary == *revision || run.spec.baseline.as_ref() == Some(revision);
    let open = case.world.services.iter().filter_map(|service| service.state.known()).any(|state| state.run.is_none());
    let second = case.world.revisions.iter().any(|(other, view)| other != revision && view.deployment.is_some());
    (case.run.is_some_and(tested) && open && second)
        .then(|| broken("S1", format!("pods of {revision} would come up before the Services are pinned")))?
}

/// S6: at most one step forward at a time, and only from a step that had settled.
fn one_step(case: &Case) -> Option<Broken> {
    let (before, after) = (case.run?.status.as_ref()?, case.after?);
    if after.step > before.step + 1 || (after.step < before.step) {
        return broken("S6", format!("from step {} to step {}", before.step, after.step));
    }
    let forward = after.step > before.step
        || (after.phase != before.phase && matches!(after.phase, RunPhase::Soaking | RunPhase::Finishing));
    (forward && before.settled_at.is_none()).then(|| broken("S6", "a step was left before its weight had settled"))?
}

/// S14: nothing goes forward on a verdict that fails or holds.
fn evidence(case: &Case) -> Option<Broken> {
    let (run, after) = (case.run?, case.after?);
    let before = run.status.as_ref()?;
    let forward = after.step > before.step || (before.phase == RunPhase::Stepping && after.phase == RunPhase::Soaking);
    let judged = !run.spec.analysis.metrics.is_empty() || run.spec.error_budget.is_some();
    if !forward || !judged || before.skip_all || run.spec.plan.known || before.weight == Percent::ZERO {
        return None;
    }
    let verdict = case.world.evidence.as_ref().map(|evidence| &evidence.verdict);
    let clear = verdict
        .is_some_and(|verdict| !matches!(verdict.judgement, Judgement::Fail | Judgement::Undecided { hold: true }));
    (!clear).then(|| broken("S14", "a step would be left without a verdict that lets it"))?
}

/// S15: time is credited as it passed, never more.
fn time(case: &Case) -> Option<Broken> {
    let (before, after) = (case.run?.status.as_ref()?, case.after?);
    let elapsed = case.world.elapsed_millis;
    let gained = |now: u64, then: u64| now.saturating_sub(then) > elapsed;
    let too_much = gained(after.credits.bake_millis, before.credits.bake_millis)
        || gained(after.credits.deadline_millis, before.credits.deadline_millis);
    too_much.then(|| broken("S15", format!("more than {elapsed} ms credited")))?
}

/// S17: in a freeze nothing advances, unless a person has lifted it or the revision was promoted before.
fn frozen(case: &Case) -> Option<Broken> {
    let (run, after) = (case.run?, case.after?);
    let before = run.status.as_ref()?;
    let forward = after.step > before.step
        || after.weight > before.weight
        || (before.phase == RunPhase::Stepping && after.phase == RunPhase::Soaking)
        || (before.phase <= RunPhase::Soaking && after.phase == RunPhase::Finishing);
    let freeze = case.world.guardrails.freezes.iter().find(|freeze| freeze.holds(before.freeze_override.as_ref()))?;
    let (policy, window) = (&freeze.policy, &freeze.window);
    (forward && !run.spec.plan.known)
        .then(|| broken("S17", format!("the run would go on in freeze window {window} of RolloutPolicy {policy}")))?
}

/// S17: in a freeze nothing starts, either, and nothing while a guard of the error budget holds.
fn start_in_hold(world: &World, decision: &Decision) -> Option<Broken> {
    let Some(RunWrite::Create { name, spec }) = &decision.run else { return None };
    let freeze = world.guardrails.freezes.first().map(|FreezeView { policy, window, .. }| {
        format!("a run would start in freeze window {window} of RolloutPolicy {policy}")
    });
    let guard = || burning::hold(world).map(|(_, message)| format!("a run would start although {message}"));
    let hold = freeze.or_else(guard)?;
    let lifted = world.actions.iter().any(|action| action.kind == ActionType::Override && !action.reason.is_empty());
    // A record that was lost is made again to go back.
    let is_new = !world
        .services
        .iter()
        .any(|service| service.state.known().is_some_and(|state| state.run.as_deref() == Some(name.as_str())))
        && !world
            .routes
            .iter()
            .any(|route| route.state.known().is_some_and(|state| state.run.as_deref() == Some(name.as_str())));
    (is_new && !lifted && !spec.plan.known).then(|| broken("S17", hold))?
}

/// S13: an intent gets one answer.
fn intents_once(decision: &Decision) -> Option<Broken> {
    let names: Vec<&str> = decision
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Resolve { action, .. } => Some(action.as_str()),
            _ => None,
        })
        .collect();
    let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    twice.and_then(|(_, name)| broken("S13", format!("RolloutAction {name} would be answered twice")))
}

/// S9: nothing is done in an older epoch than the newest, and nothing to a run before its record and its marks are in this one.
fn sealed_first(case: &Case, decision: &Decision) -> Option<Broken> {
    let (world, run) = (case.world, case.run?);
    let is_seal = |action: &&Action| matches!(action, Action::Seal { .. });
    let acts = decision.actions.iter().any(|action| {
        matches!(action, Action::Route { .. } | Action::Pin { .. } | Action::Share { .. } | Action::Scale { .. })
    });
    if !acts {
        return None;
    }
    let newest = world.runs.iter().filter_map(|run| run.status.as_ref()).map(|status| status.epoch).max().unwrap_or(0);
    if newest > world.epoch {
        return broken("S9", format!("a leader of epoch {} acts on records of epoch {newest}", world.epoch));
    }
    if case.after.is_some_and(|status| status.epoch < world.epoch) {
        return broken("S9", format!("{} is acted on before its record has epoch {}", run.name, world.epoch));
    }
    let sealed = decision.actions.iter().take_while(is_seal).count();
    let marked_before = world.unsealed(&run.name).len();
    (sealed < marked_before)
        .then(|| broken("S9", format!("{sealed} of {marked_before} marks of {} are sealed first", run.name)))?
}
