//! How a service's error budget is measured while a start may have to wait for it.

use std::collections::BTreeMap;

use super::{Gathered, analysis::provider, routes::Ports};
use crate::{
    api::ResolvedAnalysis,
    controller::BudgetQuestion,
    engine::{Guardrails, Refusal, Revision, RevisionView, RolloutView, RunView},
    measure::{BurnQuestion, Order, Whole},
};

/// None: no policy guards the budget, or there is none, or nothing starts for other reasons.
pub(super) fn question(
    gathered: &Gathered,
    rollout: &RolloutView,
    analysis: &Result<ResolvedAnalysis, Vec<Refusal>>,
    guardrails: &Guardrails,
    revisions: &BTreeMap<Revision, RevisionView>,
    runs: &[RunView],
    ports: &Ports,
) -> Option<BudgetQuestion> {
    guardrails.guards().next()?;
    let (spec, analysis) = (rollout.spec.as_ref().ok()?, analysis.as_ref().ok()?);
    let app = spec.services.first()?;
    // One that has had no traffic yet would only make the question another one when its record is written.
    let has_served = |(revision, view): &(&Revision, &RevisionView)| {
        view.proven.is_some() || runs.iter().any(|run| run.spec.canary == **revision)
    };
    let service = Whole {
        namespace: rollout.namespace.clone(),
        rollout: rollout.name.clone(),
        service: app.clone(),
        port: ports.of(app).first().and_then(|port| u16::try_from(*port).ok()).unwrap_or(Order::DEFAULT_PORT),
        revisions: revisions.iter().filter(has_served).map(|(revision, _)| revision.clone()).collect(),
    };
    let burn = BurnQuestion {
        service,
        metrics: analysis.metrics.clone(),
        budget: spec.error_budget.clone()?,
        asks_spent: guardrails.asks_spent(),
    };
    let provider = provider(gathered, analysis.provider.as_deref()).map_err(|refusal| refusal.message);
    Some(BudgetQuestion { burn, provider })
}
