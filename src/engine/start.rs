//! Starting a run: what stands in its way, and what it freezes.
//!
//! Everything that can be refused is refused here, before anything moves.

use super::{
    Action, Draft, Refusal, RunWrite, Seen, ValidRollout, World, burning,
    draft::{ACTIVE_POLL_MILLIS, REST_POLL_MILLIS},
    guardrails, intent,
    project::{Completed, Situation},
    record::MAX_SPEC_BYTES,
};
use crate::api::{Percent, Phase, Plan, PlanStep, Reason, RolloutRunSpec, Span, baseline_of, is_baseline};

/// Revisions that may come back in one step.
const KNOWN_REVISIONS: usize = 5;

/// What keeps a run for this revision from starting, as a situation; None: it may start. The last check asks the API
/// server for a dry-run of the template.
pub(super) fn obstacle(world: &World, draft: &mut Draft, revision: &str) -> Option<Situation> {
    let spec = match &world.rollout.spec {
        Ok(spec) => spec,
        Err(problems) => return Some(stalled(problems)),
    };
    let pending = |reason, message: &str| Some(Situation::new(Phase::Pending, reason, message));
    if spec.replicas == Some(0) {
        return pending(Reason::NoReplicas, "a new template waits: the Rollout is scaled to 0");
    }
    if spec.paused {
        return pending(Reason::Paused, "a new template waits: spec.paused is true");
    }
    let mut refusals = world.refusals.clone();
    let frozen = freeze(world, spec, revision, revision);
    match &world.analysis {
        Ok(_) => refusals.extend(guardrails::refusals(world, &frozen, spec.replicas.unwrap_or(1))),
        Err(problems) => refusals.extend(problems.iter().cloned()),
    }
    if !refusals.is_empty() {
        let busy = refusals.iter().all(|refusal| refusal.reason == Reason::RuleBusy);
        return Some(if busy { pending(Reason::RuleBusy, &refusals[0].message)? } else { stalled(&refusals) });
    }
    if let Some(unknown) = unknown_input(world) {
        return Some(Situation::new(Phase::Progressing, Reason::ApiUnavailable, unknown));
    }
    if let Some(refusal) = too_large(&frozen) {
        return Some(stalled(&[refusal]));
    }
    if let Some(refused) = refused_template(world, draft, revision) {
        return Some(refused);
    }
    draft.wake(world.guardrails.turns_in_millis.unwrap_or(REST_POLL_MILLIS));
    if intent::lifts_holds(world).is_some() {
        return None;
    }
    match guardrails::hold_of_start(world, &frozen.plan) {
        Some(freeze) => pending(Reason::Frozen, &freeze),
        None => burning::obstacle(world, draft, &frozen),
    }
}

/// What RolloutPolicies have against the spec, although no run is to start: it is said before the next release meets it.
pub(super) fn violation(world: &World, spec: &ValidRollout, stable: &str) -> Option<String> {
    world.analysis.as_ref().ok()?;
    // Of a revision that was promoted before nothing is asked; the next one is another.
    let mut frozen = freeze(world, spec, stable, stable);
    frozen.plan = Plan { steps: spec.steps.clone(), soak: spec.soak, known: false };
    let found = guardrails::refusals(world, &frozen, spec.replicas.unwrap_or(1));
    let sentences: Vec<String> = found.into_iter().map(|refusal| refusal.message).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

/// What a run would freeze is more than its record has room for: queries, steps and routes are each bounded, and not all of
/// them can be at their bound together.
fn too_large(frozen: &RolloutRunSpec) -> Option<Refusal> {
    let bytes = |part: Option<String>| part.map_or(0, |text| text.len());
    let all = bytes(serde_json::to_string(frozen).ok());
    (all > MAX_SPEC_BYTES).then(|| {
        let message = format!(
            "a run of this Rollout would freeze {all} bytes, at most {MAX_SPEC_BYTES} are possible: spec.analysis has {} of them, \
             spec.strategy {}, the managed rules of the routes {}; shorten what is longest",
            bytes(serde_json::to_string(&frozen.analysis).ok()),
            bytes(serde_json::to_string(&frozen.plan).ok()),
            bytes(serde_json::to_string(&frozen.routes).ok()),
        );
        Refusal { reason: Reason::InvalidSpec, message }
    })
}

/// The API server has the last word on a template: what it says, or that it is being asked; None: it would take it.
pub(super) fn refused_template(world: &World, draft: &mut Draft, revision: &str) -> Option<Situation> {
    match &world.dry_run {
        Some(Ok(())) => None,
        Some(Err(message)) => Some(Situation::new(Phase::Degraded, Reason::InvalidTemplate, message)),
        None => {
            draft.act(Action::DryRun { revision: revision.to_owned() });
            draft.wake(0);
            let message = format!("the API server is asked whether it takes the template of revision {revision}");
            Some(Situation::new(Phase::Progressing, Reason::Preparing, message))
        }
    }
}

/// All problems at once, the reason of the first.
pub(super) fn stalled(problems: &[Refusal]) -> Situation {
    let sentence = |problem: &Refusal| match problem.reason.hint() {
        Some(hint) => format!("{} ({hint})", problem.message),
        None => problem.message.clone(),
    };
    let reason = problems.first().map_or(Reason::InvalidSpec, |problem| problem.reason);
    let sentences: Vec<String> = problems.iter().map(sentence).collect();
    Situation::new(Phase::Degraded, reason, sentences.join("; "))
}

fn unknown_input(world: &World) -> Option<String> {
    let service = world.services.iter().find_map(|service| why(&service.state));
    service.or_else(|| unread_route(world)).or_else(|| why(&world.source))
}

/// Why a managed route cannot be read; None: all can.
pub(super) fn unread_route(world: &World) -> Option<String> {
    world.routes.iter().find_map(|route| why(&route.state))
}

fn why<T>(seen: &Seen<T>) -> Option<String> {
    match seen {
        Seen::Unknown(why) => Some(why.clone()),
        Seen::Known(_) | Seen::Absent => None,
    }
}

/// Record the revision, then create the run, which is the lock.
pub(super) fn begin(draft: &mut Draft, stable: &str, revision: &str) -> Situation {
    let world = draft.world;
    let mut situation = match obstacle(world, draft, revision) {
        Some(situation) => {
            draft.wake(ACTIVE_POLL_MILLIS);
            situation
        }
        None => {
            draft.wake(0);
            let message = format!("a run from revision {stable} to {revision} starts");
            let situation = Situation::new(Phase::Progressing, Reason::Preparing, message);
            if !world.revisions.get(revision).is_some_and(|view| view.recorded) {
                draft.act(Action::RecordRevision { revision: revision.to_owned() });
            } else if let Ok(spec) = &world.rollout.spec {
                let name = name(world, revision);
                draft.run = Some(RunWrite::Create { name, spec: Box::new(freeze(world, spec, stable, revision)) });
            }
            situation
        }
    };
    situation.completed = Some(Completed::Open);
    situation.stable = Some(stable.to_owned());
    situation.canary = Some(revision.to_owned());
    situation
}

/// `<rollout>-<hash>-<n>`: the next n for this revision.
fn name(world: &World, revision: &str) -> String {
    let stem = format!("{}-{revision}-", world.rollout.name);
    let taken = world.runs.iter().filter_map(|run| run.name.strip_prefix(&stem)?.parse::<u32>().ok()).max();
    format!("{stem}{}", taken.unwrap_or(0) + 1)
}

fn freeze(world: &World, spec: &ValidRollout, stable: &str, revision: &str) -> RolloutRunSpec {
    let known = !spec.known_in_steps && is_known(world, revision);
    let plan = if known {
        let step = PlanStep { weight: Percent::FULL, ..PlanStep::default() };
        Plan { steps: vec![step], soak: Span::ZERO, known }
    } else {
        Plan { steps: spec.steps.clone(), soak: spec.soak, known }
    };
    let routes = world.routes.iter().filter_map(|route| route.state.known().map(|state| state.original.clone()));
    RolloutRunSpec {
        rollout: world.rollout.name.clone(),
        rollout_uid: world.rollout.uid.clone(),
        release: spec.release.clone(),
        stable: stable.to_owned(),
        canary: revision.to_owned(),
        baseline: (spec.baseline && compares(&plan)).then(|| baseline_of(stable)),
        requested_by: intent::retry(world).or_else(|| intent::lifts_budget(world)).map(intent::asked),
        plan,
        analysis: world.analysis.clone().unwrap_or_default(),
        error_budget: spec.error_budget.clone(),
        progress_deadline: spec.progress_deadline,
        services: spec.services.clone(),
        routes: routes.collect(),
        warm: spec.warm,
        drain: spec.drain,
    }
}

/// A step at which both arms have traffic.
fn compares(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.weight.of_control(true) > Percent::ZERO)
}

/// One of the last promoted revisions: it was proven before.
fn is_known(world: &World, revision: &str) -> bool {
    let mut ordinals: Vec<u64> = world.revisions.values().filter_map(|view| view.proven).collect();
    ordinals.sort_unstable_by(|left, right| right.cmp(left));
    let oldest = ordinals.get(KNOWN_REVISIONS - 1).or(ordinals.last()).copied().unwrap_or(u64::MAX);
    world.revisions.get(revision).and_then(|view| view.proven).is_some_and(|ordinal| ordinal >= oldest)
}

/// What a lost record is made again from: enough to give everything back.
pub(super) fn reconstruct(world: &World, stable: &str, canary: &str) -> RolloutRunSpec {
    let spec = world.rollout.spec.as_ref().ok();
    let states = || world.routes.iter().filter_map(|route| route.state.known());
    let routes = states().map(|state| state.original.clone());
    let named = states().find_map(|state| Some(state.baseline.as_ref()?.revision.clone()));
    let baseline = named.or_else(|| world.revisions.keys().find(|revision| is_baseline(revision)).cloned());
    RolloutRunSpec {
        rollout: world.rollout.name.clone(),
        rollout_uid: world.rollout.uid.clone(),
        release: None,
        stable: stable.to_owned(),
        canary: canary.to_owned(),
        baseline,
        requested_by: None,
        plan: Plan {
            steps: spec.map_or_else(
                || vec![PlanStep { weight: Percent::FULL, ..PlanStep::default() }],
                |spec| spec.steps.clone(),
            ),
            ..Plan::default()
        },
        analysis: crate::api::ResolvedAnalysis::default(),
        error_budget: None,
        progress_deadline: spec.map_or(Span::minutes(10), |spec| spec.progress_deadline),
        services: world.services.iter().map(|service| service.name.clone()).collect(),
        routes: routes.collect(),
        warm: spec.map_or(Span::seconds(5), |spec| spec.warm),
        drain: spec.map_or(Span::seconds(15), |spec| spec.drain),
    }
}
