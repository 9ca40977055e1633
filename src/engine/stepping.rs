//! A run that goes forward: its steps and its soak. The transitions as an ordered list, the first that fires is made.
//!
//! Going back comes first and needs no evidence, no gate and no bake; going on needs every input known.

use super::{
    PolicyView,
    active::Active,
    contention, course,
    draft::{ACTIVE_POLL_MILLIS, Draft, SHORT_POLL_MILLIS},
    guardrails, intent,
    prepare::{self, Waiting},
    project::{Completed, Situation},
    retire, start,
};
use crate::{
    api::{
        OnInsufficientEvidence, OnMetricsUnavailable, OnSharedDegradation, Percent, Phase, Reason, RunOutcome,
        RunPhase, Span,
    },
    stats::Judgement,
};

/// Policies that a condition names: a sentence is read, a list of them is not.
const NAMED_POLICIES: usize = 5;

/// One pass over a run in its steps or its soak: at most one transition, then the actions that follow from the record.
pub(super) fn pass(active: &mut Active, draft: &mut Draft) -> Situation {
    draft.wake(ACTIVE_POLL_MILLIS.min(active.world.guardrails.turns_in_millis.unwrap_or(ACTIVE_POLL_MILLIS)));
    let waiting = prepare::waiting(active, draft);
    credit(active, waiting.as_ref());
    let back: [fn(&mut Active, &mut Draft); 9] =
        [deleted, intent::abort, failed, metrics_lost, degraded, inconclusive, superseded, stable_lost, late];
    let on: [fn(&mut Active, &mut Draft); 3] = [contention::missing, contention::reset, intent::steer];
    for transition in back.into_iter().chain(on) {
        if !active.moved {
            transition(active, draft);
        }
    }
    if !active.moved {
        progress(active, draft, waiting.as_ref());
    }
    if active.status.phase == RunPhase::Aborting {
        return retire::go_back(active, draft);
    }
    if active.status.phase == RunPhase::Finishing {
        return retire::finish(active, draft);
    }
    retire::service_has_drained(active, draft);
    course::hold(active, draft);
    situation(active, draft, waiting)
}

/// Time is credited to the bake while the step stands at its weight with its pods, to the deadline while it waits for
/// pods or the route, and to nothing while it is held.
fn credit(active: &mut Active, waiting: Option<&Waiting>) {
    let held =
        contention::obstacle(active).is_some() || (active.status.settled_at.is_none() && held_back(active).is_some());
    if held {
        return;
    }
    let elapsed = active.world.elapsed_millis;
    let credits = &mut active.status.credits;
    match waiting {
        Some(waiting) if waiting.on_deadline => credits.deadline_millis += elapsed,
        Some(_) => {}
        None if active.status.settled_at.is_some() => credits.bake_millis += elapsed,
        None => credits.deadline_millis += elapsed,
    }
}

fn deleted(active: &mut Active, _: &mut Draft) {
    if active.world.rollout.deleting {
        active.go_back(
            RunOutcome::Aborted,
            Reason::Deleted,
            "the Rollout is being deleted: all traffic goes back to stable",
        );
    }
}

fn failed(active: &mut Active, _: &mut Draft) {
    let Some(evidence) = &active.world.evidence else { return };
    let skips = active.status.skip_all && active.status.phase == RunPhase::Stepping;
    if evidence.verdict.judgement == Judgement::Fail && !active.spec.plan.known && !skips {
        let (reason, message) = (evidence.verdict.reason, evidence.verdict.message.clone());
        active.go_back(RunOutcome::Reverted, reason, message);
    }
}

fn metrics_lost(active: &mut Active, _: &mut Draft) {
    let Some(evidence) = &active.world.evidence else { return };
    let reverts = active.spec.analysis.on_metrics_unavailable == OnMetricsUnavailable::Revert;
    if reverts && evidence.verdict.reason == Reason::MetricsUnavailable && !active.status.skip_all {
        let message = format!("{} (onMetricsUnavailable: Revert)", evidence.verdict.message);
        active.go_back(RunOutcome::Reverted, Reason::MetricsUnavailable, message);
    }
}

/// Both arms are bad: the revision is not blamed, but the policy may ask for one variable less.
fn degraded(active: &mut Active, _: &mut Draft) {
    let Some(evidence) = &active.world.evidence else { return };
    let reverts = active.spec.analysis.judging.on_shared_degradation == OnSharedDegradation::Revert;
    if reverts && evidence.verdict.reason == Reason::SharedDegradation && !active.status.skip_all {
        let message = format!("{} (onSharedDegradation: Revert)", evidence.verdict.message);
        active.go_back(RunOutcome::Reverted, Reason::SharedDegradation, message);
    }
}

/// After the last comparison the policy may ask for a revert instead of a person.
fn inconclusive(active: &mut Active, _: &mut Draft) {
    let reverts = active.spec.analysis.on_insufficient_evidence == OnInsufficientEvidence::Revert;
    let Some(waiting) = leave(active).filter(|waiting| waiting.reason == Reason::Inconclusive) else { return };
    if reverts && active.status.settled_at.is_some() {
        let message = format!("{} (onInsufficientEvidence: Revert)", waiting.message);
        active.go_back(RunOutcome::Reverted, Reason::InsufficientEvidence, message);
    }
}

/// A template other than the one under test. In the steps below 100 the run ends; at 100 and in the soak it is promoted
/// early, because nothing speaks against it and traffic does not go back only because something newer was merged.
fn superseded(active: &mut Active, draft: &mut Draft) {
    let Some(source) = active.world.source.known() else { return };
    if source.revision == active.spec.canary {
        return;
    }
    let at_full = active.status.weight == Percent::FULL && active.stands_at(Percent::FULL);
    if source.revision == active.spec.stable {
        active.go_back(RunOutcome::Superseded, Reason::Superseded, "the template is the stable one again");
    } else if !at_full {
        let message = format!("a newer template ({}) takes this one's place", source.revision);
        active.go_back(RunOutcome::Superseded, Reason::Superseded, message);
    } else if active.status.settled_at.is_some() && start::obstacle(active.world, draft, &source.revision).is_none() {
        let soak = if active.status.phase == RunPhase::Soaking { active.spec.plan.soak } else { active.step().bake };
        let passed = Span::millis(active.status.credits.bake_millis.min(soak.as_millis()) / 1_000 * 1_000);
        promote(active, format!("soak cut short after {passed} of {soak} by {}", source.revision));
    }
}

/// Stable's Deployment was deleted: there is little to compare with and nothing to fall back on once it is gone for good.
fn stable_lost(active: &mut Active, _: &mut Draft) {
    let stable = active.revision(&active.spec.stable);
    if stable.is_none_or(|stable| stable.deployment.is_none()) {
        let message =
            format!("the Deployment of the stable revision {} was deleted and is made again", active.spec.stable);
        active.go_back(RunOutcome::Reverted, Reason::NotReady, message);
    }
}

fn late(active: &mut Active, draft: &mut Draft) {
    let (spent, most) = (active.status.credits.deadline_millis, active.spec.progress_deadline);
    if spent < most.as_millis() {
        return;
    }
    let waiting = prepare::waiting(active, draft);
    let (reason, what) = match waiting {
        Some(waiting) if waiting.reason == Reason::WaitingForRoute => (Reason::RouteNotAccepted, waiting.message),
        Some(waiting) => (Reason::NotReady, waiting.message),
        None => {
            let waiting = prepare::unaccepted(active).map(|waiting| waiting.message);
            let what = waiting.unwrap_or_else(|| format!("weight {} was not accepted", active.status.weight));
            (Reason::RouteNotAccepted, what)
        }
    };
    active.go_back(RunOutcome::Reverted, reason, format!("{what}; the progress deadline of {most} is over"));
}

/// Raise, settle, or leave the step.
fn progress(active: &mut Active, draft: &mut Draft, waiting: Option<&Waiting>) {
    let unknown = active.world.source.is_unknown();
    if unknown || waiting.is_some() || course::objects_missing(active) || contention::contended(active) {
        return;
    }
    let target = active.target();
    if active.status.weight < target {
        if held_back(active).is_none() {
            let ready = active.canary_ready();
            active.status.weight = target;
            let message = format!("weight {target}: {ready} canary pods ready, {} needed", active.wanted_pods());
            active.transition(Reason::Preparing, message);
        }
    } else if active.status.settled_at.is_none() {
        if stands(active) {
            active.status.settled_at = Some(active.world.now.clone());
            active.status.settled_seq = active.status.seq + 1;
            let bake = bake(active);
            active.transition(Reason::Baking, format!("weight {target} is accepted everywhere; bake {bake} begins"));
        } else {
            draft.wake(SHORT_POLL_MILLIS);
        }
    } else if leave(active).is_none() {
        advance(active);
    }
}

/// The canary stands at its share; a share of 0 needs no backend in the route yet.
fn stands(active: &Active) -> bool {
    if active.status.weight == Percent::ZERO {
        active.largest_share() == Percent::ZERO && active.largest_baseline_share() == Percent::ZERO
    } else {
        active.stands_at(active.status.weight)
    }
}

pub(super) fn bake(active: &Active) -> Span {
    if active.status.phase == RunPhase::Soaking { active.spec.plan.soak } else { active.step().bake }
}

/// What keeps a step from ending, as an ordered list; None: it may end.
pub(super) fn leave(active: &Active) -> Option<Waiting> {
    let checks: [fn(&Active) -> Option<Waiting>; 4] = [held_back, baking, gates, evidence];
    checks.iter().find_map(|check| check(active))
}

fn hold(reason: Reason, message: impl Into<String>) -> Option<Waiting> {
    Some(Waiting { reason, message: message.into(), on_deadline: false })
}

/// Paused, by the spec or by a person, or held by a RolloutPolicy.
fn held_back(active: &Active) -> Option<Waiting> {
    let weight = active.status.weight;
    match &active.world.rollout.spec {
        Ok(spec) if spec.paused => hold(Reason::Paused, format!("spec.paused holds the run at weight {weight}")),
        Ok(_) if active.status.paused => hold(Reason::PausedAtStep, format!("paused by a person at weight {weight}")),
        Ok(_) => guardrails::hold_of_run(active.world, active.spec, &active.status, active.full)
            .and_then(|(reason, message)| hold(reason, message)),
        Err(_) => hold(Reason::InvalidSpec, format!("the spec is invalid; the run stays at weight {weight}")),
    }
}

fn baking(active: &Active) -> Option<Waiting> {
    let (spent, bake) = (active.status.credits.bake_millis, bake(active));
    if active.status.skip_bake || active.status.skip_all && active.status.phase == RunPhase::Stepping {
        return None;
    }
    let reason = if active.status.phase == RunPhase::Soaking { Reason::Soaking } else { Reason::Baking };
    (spent < bake.as_millis()).then(|| hold(reason, format!("weight {} stands for {bake}", active.status.weight)))?
}

fn gates(active: &Active) -> Option<Waiting> {
    if active.status.skip_bake || active.status.skip_all || active.status.phase == RunPhase::Soaking {
        return None;
    }
    active.step().gates.iter().find_map(|gate| {
        let given = active.status.approvals.iter().filter(|approval| intent::counts(active, approval, gate)).count();
        (given < gate.approvals as usize).then(|| {
            let message = format!(
                "gate {} of step {} has {given} of {} approvals",
                gate.name,
                active.status.step + 1,
                gate.approvals
            );
            hold(Reason::AwaitingApproval, message)
        })?
    })
}

/// No data is not a Pass: a verdict must be about the present weight, and must not hold.
fn evidence(active: &Active) -> Option<Waiting> {
    let judged = !active.spec.analysis.metrics.is_empty() || active.spec.error_budget.is_some();
    let skips = active.status.skip_all && active.status.phase == RunPhase::Stepping;
    if !judged || skips || active.spec.plan.known || active.status.weight == Percent::ZERO {
        return None;
    }
    let Some(evidence) = active.world.evidence.as_ref().filter(|seen| seen.seq == active.status.settled_seq) else {
        return hold(Reason::Warmup, format!("no evidence yet for weight {}", active.status.weight));
    };
    let verdict = &evidence.verdict;
    match verdict.judgement {
        Judgement::Pass => None,
        Judgement::Fail | Judgement::Undecided { hold: true } => hold(verdict.reason, verdict.message.clone()),
        Judgement::Undecided { hold: false } if active.status.skip_bake => None,
        Judgement::Undecided { hold: false } => match active.spec.analysis.on_insufficient_evidence {
            OnInsufficientEvidence::Promote => None,
            OnInsufficientEvidence::Pause | OnInsufficientEvidence::Revert if !before_full(active) => None,
            OnInsufficientEvidence::Pause | OnInsufficientEvidence::Revert => {
                hold(Reason::Inconclusive, verdict.message.clone())
            }
        },
    }
}

/// The next step is the one to 100: the last moment at which the arms can be compared.
fn before_full(active: &Active) -> bool {
    let next = active.spec.plan.steps.get(active.status.step as usize + 1);
    active.status.phase == RunPhase::Stepping && next.is_some_and(|step| step.weight == Percent::FULL)
}

/// The sentence that a step's end rests on.
fn grounds(active: &Active) -> String {
    match &active.world.evidence {
        _ if active.status.skip_all => "a person asked for full promotion".to_owned(),
        Some(evidence) if evidence.verdict.judgement == Judgement::Pass => evidence.verdict.message.clone(),
        Some(evidence) => format!("without a Pass: {}", evidence.verdict.message),
        None => "no analysis is configured".to_owned(),
    }
}

fn advance(active: &mut Active) {
    let why = grounds(active);
    let weight = active.status.weight;
    if active.status.phase == RunPhase::Soaking {
        return promote(active, format!("the soak of {} is over; {why}", active.spec.plan.soak));
    }
    if !active.is_last_step() {
        let next = active.status.step + 1;
        active.enter(RunPhase::Stepping, next);
        let target = active.target();
        return active.transition(
            Reason::Preparing,
            format!("step {} to weight {target} after weight {weight}; {why}", next + 1),
        );
    }
    if active.spec.plan.soak == Span::ZERO {
        return promote(active, format!("the last step is over; {why}"));
    }
    let (settled_at, settled_seq) = (active.status.settled_at.clone(), active.status.settled_seq);
    active.enter(RunPhase::Soaking, active.status.step);
    (active.status.settled_at, active.status.settled_seq) = (settled_at, settled_seq);
    active.transition(Reason::Soaking, format!("soak of {} at weight 100; {why}", active.spec.plan.soak));
}

fn promote(active: &mut Active, message: String) {
    active.enter(RunPhase::Finishing, active.status.step);
    active.status.ending = Some(RunOutcome::Promoted);
    active.status.outcome = Some(RunOutcome::Promoted);
    active.transition(Reason::Promoted, message);
}

fn situation(active: &Active, draft: &mut Draft, waiting: Option<Waiting>) -> Situation {
    let settled = active.status.settled_at.is_some();
    let blocked = contention::obstacle(active);
    let unsettled = || held_back(active).or_else(|| prepare::unaccepted(active));
    let waiting = blocked.or(waiting).or_else(|| if settled { leave(active) } else { unsettled() });
    let left = bake(active).as_millis().saturating_sub(active.status.credits.bake_millis);
    if settled && left > 0 {
        draft.wake(left);
    }
    let (reason, message) = match &waiting {
        Some(waiting) => (waiting.reason, waiting.message.clone()),
        None => (active.status.reason.unwrap_or(Reason::Preparing), active.status.message.clone()),
    };
    let phase = match reason {
        Reason::RouteMissing | Reason::ServiceMissing | Reason::InvalidSpec => Phase::Degraded,
        Reason::Paused
        | Reason::PausedAtStep
        | Reason::Frozen
        | Reason::PolicyViolation
        | Reason::PolicyInvalid
        | Reason::AwaitingApproval
        | Reason::Inconclusive
        | Reason::RouteContended
        | Reason::ServiceContended => Phase::Paused,
        _ if active.status.phase == RunPhase::Soaking => Phase::Soaking,
        _ => Phase::Progressing,
    };
    let mut situation = of_run(active, phase, reason, message);
    situation.completed = Some(Completed::Open);
    situation.serving = active.status.weight == Percent::FULL && settled;
    let power = active.status.evidence.as_ref().and_then(|evidence| evidence.power_insufficient.clone());
    situation.extra.extend(power.map(|message| ("PowerInsufficient", Reason::PowerInsufficient, message)));
    situation
}

/// A situation with the run's flat fields.
pub(super) fn of_run(active: &Active, phase: Phase, reason: Reason, message: impl Into<String>) -> Situation {
    let mut situation = Situation::new(phase, reason, message);
    situation.run = Some(active.name.to_owned());
    situation.step = Some(format!("{}/{}", active.status.step + 1, active.spec.plan.steps.len()));
    situation.weight = Some(active.status.weight);
    situation.stable = Some(active.spec.stable.clone());
    situation.canary = Some(active.spec.canary.clone());
    if active.routed() && !active.world.not_carried.is_empty() {
        let message = not_carried(&active.world.not_carried, &active.spec.canary);
        situation.extra.push(("BackendPolicyNotCarried", Reason::BackendPolicyNotCarried, message));
    }
    situation
}

fn not_carried(policies: &[PolicyView], canary: &str) -> String {
    let name = |policy: &PolicyView| format!("{} {} (Service {})", policy.kind, policy.name, policy.service);
    let named = policies.iter().take(NAMED_POLICIES).map(name).collect::<Vec<_>>().join(", ");
    let more = policies.len().saturating_sub(NAMED_POLICIES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{named}{more}: named by Service, so not in force for the Services of revision {canary}")
}
