//! Budget guards of RolloutPolicies: no run starts while the service burns its error budget, or has too little left of it.
//!
//! What cannot be measured is neither burning nor fine: the start waits, and says why. A run under way is judged by its own
//! evidence, and the way back to a revision that was promoted before is free.

use super::{Draft, Guardrails, World, project::Situation};
use crate::{
    api::{BudgetGuard, ErrorBudget, OnBurn, Phase, Reason, RolloutRunSpec},
    stats::Burn,
};

/// A measurement is made anew at this age.
pub const ASK_AGAIN_MILLIS: u64 = 30_000;
/// From this age on it lets no run start. Longer, and a run starts into an outage that has begun in the meantime; shorter, and a slow
/// metrics server holds every start.
const BELIEVED_MILLIS: u64 = 90_000;
/// Bytes of a metrics server's trouble that a status shows.
const LONGEST_WHY: usize = 400;

/// What the metrics server says of the service's requests.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnView {
    /// Since it was asked.
    pub age_millis: u64,
    /// Err: why it cannot be told.
    pub burn: Result<Burn, String>,
}

impl Guardrails {
    /// The policies that guard the error budget.
    pub fn guards(&self) -> impl Iterator<Item = (&str, &BudgetGuard)> {
        self.policies.iter().filter_map(|(policy, spec)| Some((policy.as_str(), spec.error_budget.as_ref()?)))
    }

    /// What is left of the budget is asked, too.
    pub fn asks_spent(&self) -> bool {
        self.guards().any(|(_, guard)| guard.min_remaining.is_some())
    }

    fn young(&self) -> Option<&BurnView> {
        let is_whole =
            |view: &&BurnView| view.burn.as_ref().map_or(true, |burn| burn.spent.is_some() || !self.asks_spent());
        self.burn.as_ref().filter(|view| view.age_millis < BELIEVED_MILLIS).filter(is_whole)
    }
}

/// What keeps every new revision of a Rollout from starting, for the budget's sake; None: nothing.
pub(super) fn hold(world: &World) -> Option<(Reason, String)> {
    let rails = &world.guardrails;
    let budget = world.rollout.spec.as_ref().ok()?.error_budget.as_ref()?;
    let (policy, _) = rails.guards().next()?;
    let Some(view) = rails.young() else {
        let message = format!(
            "the metrics server is asked how fast the service burns its error budget, as RolloutPolicy {policy} wants to know"
        );
        return Some((Reason::Preparing, message));
    };
    let held = match &view.burn {
        Ok(burn) => rails.guards().find_map(|(policy, guard)| {
            let what = exceeded(guard, budget, burn)?;
            Some((Reason::BudgetBurning, format!("the service {what} (RolloutPolicy {policy})")))
        })?,
        Err(why) => {
            let why = super::record::cut(why, LONGEST_WHY);
            let message =
                format!("the service's error budget, which RolloutPolicy {policy} guards, cannot be read: {why}");
            (Reason::MetricsUnavailable, message)
        }
    };
    let (name, namespace) = (&world.rollout.name, &world.rollout.namespace);
    let hint = format!("if this release is the repair: tidegate override {name} -n {namespace} --reason WHY");
    Some((held.0, format!("{}; {hint}", held.1)))
}

fn exceeded(guard: &BudgetGuard, budget: &ErrorBudget, burn: &Burn) -> Option<String> {
    let page = || burn.page(budget.objective).filter(|_| guard.on_burn == OnBurn::Hold);
    page().or_else(|| burn.shortage(budget.objective, guard.min_remaining?))
}

/// What of the budget keeps a run of this plan from starting. It asks for a measurement where one is needed.
pub(super) fn obstacle(world: &World, draft: &mut Draft, frozen: &RolloutRunSpec) -> Option<Situation> {
    let (rails, has_budget) = (&world.guardrails, frozen.error_budget.is_some());
    if frozen.plan.known || !has_budget || rails.guards().next().is_none() {
        return None;
    }
    draft.wants_burn = rails.young().is_none_or(|view| view.age_millis >= ASK_AGAIN_MILLIS);
    let (reason, message) = hold(world)?;
    let phase = if reason == Reason::Preparing { Phase::Progressing } else { Phase::Pending };
    let message = if phase == Phase::Pending { format!("a new template waits: {message}") } else { message };
    Some(Situation::new(phase, reason, message))
}
