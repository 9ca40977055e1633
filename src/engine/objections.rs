//! What RolloutPolicies have against a Rollout before it is applied: the sentences that its first run would be refused with.
//!
//! Nothing of a cluster is known here but what the caller has put into the facts.

use super::{Guardrails, Refusal, ValidRollout, guardrails};
use crate::api::{Plan, ResolvedAnalysis, RolloutRunSpec, RunRoute};

/// `analysis`: what the Rollout's templates and its own metrics come to.
pub fn objections(rails: &Guardrails, spec: &ValidRollout, analysis: &ResolvedAnalysis) -> Vec<Refusal> {
    let route =
        |(kind, name): &(String, String)| RunRoute { kind: kind.clone(), name: name.clone(), ..RunRoute::default() };
    let frozen = RolloutRunSpec {
        rollout: String::new(),
        rollout_uid: String::new(),
        release: spec.release.clone(),
        stable: String::new(),
        canary: String::new(),
        baseline: None,
        requested_by: None,
        plan: Plan { steps: spec.steps.clone(), soak: spec.soak, known: false },
        analysis: analysis.clone(),
        error_budget: spec.error_budget.clone(),
        progress_deadline: spec.progress_deadline,
        services: spec.services.clone(),
        routes: spec.routes.iter().map(route).collect(),
        warm: spec.warm,
        drain: spec.drain,
    };
    guardrails::against(rails, &frozen, spec.replicas.unwrap_or(1))
}
