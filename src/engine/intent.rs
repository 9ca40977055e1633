//! RolloutActions: each is consumed once, is bound to what it was meant for, and gets a sentence that says what became of it.

use super::{
    Action, ActionView, World,
    active::Active,
    contention,
    draft::Draft,
    guardrails::{Lift, lifted_by},
    record::cut,
};
use crate::api::{
    ActionOutcome, ActionType, Approval, Asked, Gate, Percent, Reason, RolloutRunSpec, RolloutRunStatus, RunOutcome,
    RunPhase,
};

/// Consumed actions that a record remembers: a crash between the record and the action's own status must not count twice.
pub(super) const MAX_CONSUMED: usize = 32;
/// Approvals kept for one step, and the bytes of their names.
const MAX_APPROVALS: usize = 64;
const MAX_APPROVAL_BYTES: usize = 4_608;
/// Bytes of onBehalfOf that a record keeps.
const MAX_ON_BEHALF_OF_BYTES: usize = 128;

/// Abort comes before everything else that goes on.
pub(super) fn abort(active: &mut Active, draft: &mut Draft) {
    let action = draft.world.actions.iter().find(|action| {
        action.kind == ActionType::Abort && !is_consumed(active, action) && misdirected(active, action).is_none()
    });
    if let Some(action) = action {
        let message = format!("aborted by {}{}", who(action), because(action));
        consume(active, action);
        active.go_back(RunOutcome::Aborted, Reason::Aborted, message.clone());
        resolve(draft, action, Ok(message), Some(active.name));
    }
}

/// One of the other intents, the oldest first.
pub(super) fn steer(active: &mut Active, draft: &mut Draft) {
    let Some(action) = draft.world.actions.first() else { return };
    if is_consumed(active, action) {
        return resolve(draft, action, Ok(done_before(active, action)), Some(active.name));
    }
    let answer = match misdirected(active, action) {
        Some(why) => Err(why),
        None => effect(active, action),
    };
    if let Ok(message) = &answer {
        consume(active, action);
        let (reason, message) = match contention::obstacle(active) {
            Some(waiting) => (waiting.reason, format!("{message}; {}", waiting.message)),
            None if active.status.paused => (Reason::PausedAtStep, message.clone()),
            None => (Reason::Done, message.clone()),
        };
        active.transition(reason, message);
    }
    resolve(draft, action, answer, Some(active.name));
}

/// The run is going back or finishing: nothing that a person asks changes that.
pub(super) fn too_late(active: &Active, draft: &mut Draft) {
    let why = match active.status.phase {
        RunPhase::Finishing => "the revision is promoted already; apply another template to go back",
        RunPhase::Aborting | RunPhase::Ended => "the run is going back already",
        RunPhase::Stepping | RunPhase::Soaking => return,
    };
    for action in &draft.world.actions {
        let answer = if is_consumed(active, action) { Ok(done_before(active, action)) } else { Err(why.to_owned()) };
        resolve(draft, action, answer, Some(active.name));
    }
}

/// No run is in progress. Retry and Restart are for their own places; everything else has nothing to act on.
pub(super) fn at_rest(draft: &mut Draft, handled: &[ActionType]) {
    let world = draft.world;
    for action in &world.actions {
        if let Some(why) = wrong_rollout(world, action) {
            resolve(draft, action, Err(why), None);
        } else if let Some(run) = started_by(world, action) {
            resolve(draft, action, Ok(format!("RolloutRun {run} was started")), Some(&run));
        } else if !handled.contains(&action.kind) {
            let why = format!("Rollout {} has no run in progress", world.rollout.name);
            resolve(draft, action, Err(why), None);
        }
    }
}

/// The oldest Retry that is meant for this Rollout.
pub(super) fn retry(world: &World) -> Option<&ActionView> {
    find(world, ActionType::Retry)
}

/// The word of a person who lets the next run start although a freeze or the budget's guard holds it; the run answers it.
pub(super) fn lifts_holds(world: &World) -> Option<&ActionView> {
    let is_over = |status: &RolloutRunStatus| status.phase == RunPhase::Ended;
    let at_rest = world.runs.iter().all(|run| run.status.as_ref().is_some_and(is_over));
    find(world, ActionType::Override).filter(|action| at_rest && lifted_by(world, action).is_ok())
}

/// The same if it is only the budget's guard that holds: the run was asked for by that word, and nothing is left of it to carry out.
pub(super) fn lifts_budget(world: &World) -> Option<&ActionView> {
    lifts_holds(world).filter(|action| lifted_by(world, action) == Ok(Lift::Budget))
}

/// That word, of the run that it let start.
pub(super) fn started_by_override(active: &Active) -> Option<String> {
    let asked = active.spec.requested_by.as_ref().filter(|asked| asked.kind == ActionType::Override)?;
    let action = active.world.actions.iter().find(|action| is_of(asked, action));
    let why = action.map(because).unwrap_or_default();
    Some(format!("the guard of the error budget is overridden by {}{why}", asked.who()))
}

/// An Override is kept for the run that it lets start, as long as there is something to lift.
pub(super) fn nothing_to_lift(draft: &mut Draft) {
    if let Some(action) = find(draft.world, ActionType::Override)
        && let Err(why) = lifted_by(draft.world, action)
    {
        resolve(draft, action, Err(why), None);
    }
}

/// The oldest Restart that is meant for this Rollout.
pub(super) fn restart(world: &World) -> Option<&ActionView> {
    find(world, ActionType::Restart)
}

fn find(world: &World, kind: ActionType) -> Option<&ActionView> {
    let fits = |action: &&ActionView| {
        action.kind == kind && wrong_rollout(world, action).is_none() && started_by(world, action).is_none()
    };
    world.actions.iter().find(fits)
}

fn started_by(world: &World, action: &ActionView) -> Option<String> {
    let run = world.runs.iter().find(|run| asked_for(&run.spec, action))?;
    Some(run.name.clone())
}

pub(super) fn resolve(draft: &mut Draft, action: &ActionView, answer: Result<String, String>, run: Option<&str>) {
    let (outcome, message) = match answer {
        Ok(message) => (ActionOutcome::Accepted, message),
        Err(message) => (ActionOutcome::Refused, message),
    };
    let run = run.map(str::to_owned);
    draft.act(Action::Resolve { action: action.name.clone(), outcome, message, run });
}

fn is_consumed(active: &Active, action: &ActionView) -> bool {
    active.status.consumed.contains(&action.uid) || asked_for(active.spec, action)
}

fn asked_for(run: &RolloutRunSpec, action: &ActionView) -> bool {
    run.requested_by.as_ref().is_some_and(|asked| is_of(asked, action))
}

/// A name may be given again once its object is gone.
fn is_of(asked: &Asked, action: &ActionView) -> bool {
    asked.uid.as_ref().map_or(asked.action == action.name, |uid| *uid == action.uid)
}

/// A Retry is answered when the run that it started has been created.
fn done_before(active: &Active, action: &ActionView) -> String {
    if asked_for(active.spec, action) {
        return format!("RolloutRun {} was started", active.name);
    }
    "done before".into()
}

fn consume(active: &mut Active, action: &ActionView) {
    active.status.consumed.push(action.uid.clone());
    let excess = active.status.consumed.len().saturating_sub(MAX_CONSUMED);
    active.status.consumed.drain(..excess);
    active.asked = Some(asked(action));
}

/// The action as records keep it.
pub(super) fn asked(action: &ActionView) -> Asked {
    Asked {
        kind: action.kind,
        action: action.name.clone(),
        uid: Some(action.uid.clone()),
        author: action.author.clone(),
        verified: action.verified,
        on_behalf_of: action.on_behalf_of.as_deref().map(|other| cut(other, MAX_ON_BEHALF_OF_BYTES)),
    }
}

/// The author, with what is not known about them.
fn who(action: &ActionView) -> String {
    asked(action).who()
}

fn because(action: &ActionView) -> String {
    if action.reason.is_empty() { String::new() } else { format!(": {}", action.reason) }
}

fn wrong_rollout(world: &World, action: &ActionView) -> Option<String> {
    let meant = action.rollout_uid.as_ref().filter(|uid| **uid != world.rollout.uid)?;
    Some(format!("it is for a Rollout with uid {meant}; {} has uid {}", world.rollout.name, world.rollout.uid))
}

/// Why the action is not for this run and step.
fn misdirected(active: &Active, action: &ActionView) -> Option<String> {
    if let Some(why) = wrong_rollout(active.world, action) {
        return Some(why);
    }
    if let Some(run) = action.run.as_ref().filter(|run| run.as_str() != active.name) {
        return Some(format!("it is for RolloutRun {run}; the current one is {}", active.name));
    }
    let step = action.step.filter(|step| *step != active.status.step)?;
    Some(format!("it is for step {step} (counted from 0); the run is in step {}", active.status.step))
}

fn effect(active: &mut Active, action: &ActionView) -> Result<String, String> {
    let who = format!("{}{}", who(action), because(action));
    match action.kind {
        ActionType::Promote if active.status.skip_bake => Err("the step is being promoted already".into()),
        ActionType::Promote => {
            active.status.skip_bake = true;
            active.status.paused = false;
            Ok(format!("step {} is promoted by {who}", active.status.step + 1))
        }
        ActionType::PromoteFull if active.status.skip_all => Err("the run is being promoted in full already".into()),
        ActionType::PromoteFull => {
            active.status.skip_all = true;
            active.status.paused = false;
            Ok(format!("full promotion by {who}"))
        }
        ActionType::Approve => approve(active, action),
        ActionType::Pause if active.status.paused => Err("the run is paused already".into()),
        ActionType::Pause => {
            active.status.paused = true;
            Ok(format!("paused by {who}"))
        }
        ActionType::Resume if !active.status.paused && !contention::contended(active) => {
            Err("the run is not paused by a person".into())
        }
        ActionType::Resume => {
            active.status.paused = false;
            if contention::contended(active) {
                contention::try_again(active);
            }
            Ok(format!("resumed by {who}"))
        }
        ActionType::Abort => Err("the run is going back already".into()),
        ActionType::Retry => Err(format!("RolloutRun {} is in progress; abort it first", active.name)),
        ActionType::Override => lift(active, lifted_by(active.world, action)?, &who),
        ActionType::Restart => Err(format!("RolloutRun {} is in progress; restart when it is over", active.name)),
    }
}

fn lift(active: &mut Active, lift: Lift, who: &str) -> Result<String, String> {
    match lift {
        Lift::Freeze(lifted) => {
            let until = lifted.until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
            active.status.freeze_override = Some(lifted);
            Ok(format!("freeze windows are overridden{until} by {who}"))
        }
        // It has let start what a Retry had asked for.
        Lift::Budget if active.status.weight == Percent::ZERO && was_retried(active) => {
            Ok(format!("the guard of the error budget is overridden by {who}"))
        }
        Lift::Budget => Err("the guard of the error budget holds starts only, and this run has started".into()),
    }
}

fn was_retried(active: &Active) -> bool {
    active.spec.requested_by.as_ref().is_some_and(|asked| asked.kind == ActionType::Retry)
}

fn approve(active: &mut Active, action: &ActionView) -> Result<String, String> {
    let gates = &active.step().gates;
    let gate = match &action.gate {
        Some(name) => gates.iter().find(|gate| gate.name == *name),
        None if gates.len() == 1 => gates.first(),
        None => None,
    };
    let Some(gate) = gate else {
        let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
        let known = if names.is_empty() { "it has none".into() } else { format!("it has {}", names.join(", ")) };
        let asked = action.gate.as_deref().unwrap_or("one that must be named");
        return Err(format!("step {} has no gate {asked}; {known}", active.status.step + 1));
    };
    if let Some(why) = barred(active, action) {
        return Err(why);
    }
    if let Some(policy) = active.world.guardrails.excludes(&action.author) {
        return Err(format!(
            "approvals of {} do not count: RolloutPolicy {policy} excludes that account; another one approves, of those who \
             have the ClusterRole tidegate-approver or tidegate-admin",
            action.author
        ));
    }
    let given = active.status.approvals.iter().filter(|approval| counts(active, approval, gate));
    if given.clone().any(|approval| approval.author == action.author) {
        return Err(format!("{} has approved gate {} already", action.author, gate.name));
    }
    if given.count() >= gate.approvals as usize {
        return Err(format!("gate {} has its {} approvals already", gate.name, gate.approvals));
    }
    let approval = Approval {
        gate: gate.name.clone(),
        author: action.author.clone(),
        action: action.name.clone(),
        verified: action.verified,
    };
    if !has_room(&active.status.approvals, &approval) {
        let count = active.status.approvals.len();
        return Err(format!(
            "the record has no room for more than the {count} approvals of this step: lower approvals"
        ));
    }
    active.status.approvals.push(approval);
    Ok(format!("gate {} is approved by {}{}", gate.name, who(action), because(action)))
}

/// Why this author's approval does not count in this run, or nobody's does: a consent is another person's than the wish.
fn barred(active: &Active, action: &ActionView) -> Option<String> {
    let asked = active.spec.requested_by.as_ref().filter(|asked| asked.author == action.author);
    if let Some(asked) = asked {
        let (author, kind) = (&asked.author, asked.kind);
        return Some(format!(
            "{author} has asked for RolloutRun {} ({kind:?}): somebody else must approve it",
            active.name
        ));
    }
    active.status.skip_all.then(|| "the run is being promoted in full: no gate is asked any more".into())
}

/// An approval of this gate, by an account that no RolloutPolicy excludes.
pub(super) fn counts(active: &Active, approval: &Approval, gate: &Gate) -> bool {
    approval.gate == gate.name && active.world.guardrails.excludes(&approval.author).is_none()
}

/// Whether the record of a step's approvals may grow by one.
pub(super) fn has_room(approvals: &[Approval], one: &Approval) -> bool {
    let bytes = |Approval { gate, author, action, verified: _ }: &Approval| gate.len() + author.len() + action.len();
    let sum: usize = approvals.iter().chain([one]).map(bytes).sum();
    approvals.len() < MAX_APPROVALS && sum <= MAX_APPROVAL_BYTES
}
