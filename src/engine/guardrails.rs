//! What RolloutPolicies hold: open freeze windows, policies that cannot be understood, accounts whose approval does not count.
//!
//! What a Rollout must have or may not exceed is in `violations`, the guard of the error budget in `burning`. Nothing here holds
//! the way back.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    ActionView, BurnView, Refusal, World, burning,
    freeze::{Standing, standing},
    violations,
};
use crate::api::{
    FreezeOverride, Percent, Plan, Reason, RolloutPolicySpec, RolloutRunSpec, RolloutRunStatus, RunPhase,
};

/// What the RolloutPolicies that select a Rollout amount to at some time, as facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guardrails {
    /// The policies by name, sorted.
    pub policies: Vec<(String, RolloutPolicySpec)>,
    /// What cannot be understood of them.
    pub problems: Vec<Refusal>,
    /// The freeze windows that are open.
    pub freezes: Vec<FreezeView>,
    /// Until the next window opens or ends.
    pub turns_in_millis: Option<u64>,
    /// The service's error budget, if a policy asks and it was measured.
    pub burn: Option<BurnView>,
    /// Hostnames of the managed routes, by kind and name; empty: any.
    pub hostnames: BTreeMap<(String, String), Vec<String>>,
    /// The templates that the spec's analysis uses, by kind and name.
    pub templates: Vec<(crate::api::TemplateKind, String)>,
}

/// A freeze window that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezeView {
    pub policy: String,
    pub window: String,
    /// RFC 3339 in UTC; None: no end is in sight.
    pub ends: Option<String>,
}

impl FreezeView {
    /// It lasts longer than the windows that a person has lifted.
    pub fn holds(&self, lifted: Option<&FreezeOverride>) -> bool {
        match (lifted.map(|lifted| &lifted.until), &self.ends) {
            (None, _) => true,
            (Some(None), _) => false,
            (Some(Some(_)), None) => true,
            (Some(Some(until)), Some(ends)) => ends > until,
        }
    }

    fn sentence(&self) -> String {
        let ends =
            self.ends.as_ref().map_or_else(|| "has no end in sight".to_owned(), |ends| format!("ends at {ends}"));
        format!("freeze window {} of RolloutPolicy {} {ends}", self.window, self.policy)
    }
}

impl Guardrails {
    /// The facts at this RFC 3339 time. Policies that cannot be read are for the caller to say.
    pub fn at(now: &str, policies: Vec<(String, RolloutPolicySpec)>) -> Self {
        let mut facts = Self::default();
        if let Ok(now) = now.parse::<Timestamp>() {
            for (policy, spec) in &policies {
                facts.look(policy, spec, now);
            }
        }
        Self { policies, ..facts }
    }

    fn look(&mut self, policy: &str, spec: &RolloutPolicySpec, now: Timestamp) {
        for window in &spec.freeze_windows {
            match standing(window, now) {
                Ok(Standing::Open { ends }) => {
                    self.turn(ends, now);
                    let (policy, window, ends) =
                        (policy.to_owned(), window.name.clone(), ends.map(|at| at.to_string()));
                    self.freezes.push(FreezeView { policy, window, ends });
                }
                Ok(Standing::Closed { opens }) => self.turn(Some(opens), now),
                Err(problem) => {
                    let message = format!("RolloutPolicy {policy}: spec.freezeWindows[{}]: {problem}", window.name);
                    self.problems.push(Refusal { reason: Reason::PolicyInvalid, message });
                }
            }
        }
    }

    fn turn(&mut self, at: Option<Timestamp>, now: Timestamp) {
        let millis = at.and_then(|at| u64::try_from(at.as_millisecond() - now.as_millisecond()).ok());
        self.turns_in_millis = self.turns_in_millis.into_iter().chain(millis).min();
    }

    /// The open window that holds longest.
    pub fn freeze(&self, lifted: Option<&FreezeOverride>) -> Option<&FreezeView> {
        let last = |freeze: &&FreezeView| (freeze.ends.is_none(), freeze.ends.clone());
        self.freezes.iter().filter(|freeze| freeze.holds(lifted)).max_by_key(last)
    }

    /// The policy by which this account's approvals do not count.
    pub fn excludes(&self, author: &str) -> Option<&str> {
        let excluded = |spec: &RolloutPolicySpec| {
            let accounts = spec.approvals.iter().flat_map(|rules| &rules.excluded_authors);
            accounts.into_iter().any(|account| violations::fits(account, author))
        };
        self.policies.iter().find(|(_, spec)| excluded(spec)).map(|(policy, _)| policy.as_str())
    }
}

/// What a person lifts who overrides what holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lift {
    /// The freeze windows that are open, and for a start the guard of the budget.
    Freeze(FreezeOverride),
    /// The guard of the error budget: it holds starts only.
    Budget,
}

/// What this action lifts, or why there is nothing to lift.
pub(super) fn lifted_by(world: &World, action: &ActionView) -> Result<Lift, String> {
    if action.reason.trim().is_empty() {
        return Err("it has no reason: say in spec.reason why this cannot wait".into());
    }
    let Some(freeze) = world.guardrails.freeze(None) else {
        let guarded = burning::hold(world).map(|_| Lift::Budget);
        return guarded.ok_or_else(|| "no freeze window is open, and no guard of the error budget holds".into());
    };
    let (author, reason, until) = (action.author.clone(), action.reason.clone(), freeze.ends.clone());
    Ok(Lift::Freeze(FreezeOverride { author, verified: action.verified, reason, until }))
}

/// What holds a run that goes forward; None: nothing. A revision that was promoted before is held by nothing.
pub(super) fn hold_of_run(
    world: &World,
    spec: &RolloutRunSpec,
    status: &RolloutRunStatus,
    full: u32,
) -> Option<(Reason, String)> {
    if spec.plan.known {
        return None;
    }
    let (rails, weight) = (&world.guardrails, status.weight);
    let stays = |what: &str| format!("{what}; the run stays at weight {weight}");
    if let Some(problem) = rails.problems.first() {
        return Some((problem.reason, stays(&problem.message)));
    }
    // At 100 there is nothing left to hold back from.
    if status.phase == RunPhase::Stepping && weight < Percent::FULL {
        let begun = weight > Percent::ZERO;
        if let Some(refusal) = violations::of_plan(rails, spec, full, begun) {
            return Some((refusal.reason, stays(&refusal.message)));
        }
    }
    let freeze = rails.freeze(status.freeze_override.as_ref())?;
    Some((Reason::Frozen, stays(&freeze.sentence())))
}

/// What stands against starting a run of this plan, whatever the time is. A revision that was promoted before is asked nothing.
pub(super) fn refusals(world: &World, frozen: &RolloutRunSpec, full: u32) -> Vec<Refusal> {
    if frozen.plan.known { Vec::new() } else { against(&world.guardrails, frozen, full) }
}

/// The same of a plan that is new.
pub(super) fn against(rails: &Guardrails, frozen: &RolloutRunSpec, full: u32) -> Vec<Refusal> {
    let templates = violations::of_templates(rails);
    let violations = violations::of_plan(rails, frozen, full, false).into_iter().chain(templates);
    rails.problems.iter().cloned().chain(violations).collect()
}

/// The freeze that a start waits for, as a sentence.
pub(super) fn hold_of_start(world: &World, plan: &Plan) -> Option<String> {
    let freeze = world.guardrails.freeze(None).filter(|_| !plan.known)?;
    Some(format!("a new template waits: {}", freeze.sentence()))
}
