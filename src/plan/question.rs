//! What a forecast is made for: a validated Rollout, and the traffic that is expected.
//!
//! Where the traffic's figures come from is the caller's to know and to say.

use serde::Serialize;

use crate::{
    api::{Judging, OnInsufficientEvidence, Plan, Span},
    engine::ValidRollout,
    stats::{BudgetTerms, Terms, Timing},
};

/// Steady traffic of the service.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// All requests of the service, whichever revision answers.
    pub requests_per_second: f64,
    /// Stable's bad requests of all its requests, from 0 to 1.
    pub error_ratio: f64,
    /// How many bad requests come together, 1 or more.
    pub overdispersion: f64,
}

/// A Rollout's plan and what it meets.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub plan: Plan,
    /// Traffic is split by routes; else by the endpoints of the Service.
    pub is_routed: bool,
    /// A baseline is the control, which gets as much as the canary, or what is left.
    pub has_baseline: bool,
    pub warm: Span,
    pub drain: Span,
    /// A metric compares the arms.
    pub is_compared: bool,
    pub budget: Option<BudgetTerms>,
    pub on_insufficient_evidence: OnInsufficientEvidence,
    /// How certain a verdict has to be.
    pub judging: Judging,
    pub load: Load,
    pub scrape_interval: Span,
}

impl Question {
    /// `expected`: requests in the budget's window and whether they were scaled from less than a day; None: the spec's, else
    /// the load's rate all the time.
    pub fn new(rollout: &ValidRollout, load: Load, scrape_interval: Span, expected: Option<(u64, bool)>) -> Self {
        let budget = rollout.error_budget.as_ref().map(|budget| {
            let window_seconds = budget.window.unwrap_or(BudgetTerms::DEFAULT_WINDOW).as_seconds();
            let written = budget.expected_requests.and_then(|requests| u64::try_from(requests).ok());
            let scaled = ((load.requests_per_second * window_seconds).round() as u64, true);
            let (requests, extrapolated) = written.map(|requests| (requests, false)).or(expected).unwrap_or(scaled);
            BudgetTerms::new(budget, requests, extrapolated)
        });
        Self {
            plan: Plan { steps: rollout.steps.clone(), soak: rollout.soak, known: false },
            has_baseline: rollout.baseline,
            is_routed: !rollout.routes.is_empty(),
            warm: rollout.warm,
            drain: rollout.drain,
            is_compared: true,
            budget,
            on_insufficient_evidence: OnInsufficientEvidence::default(),
            judging: Judging::default(),
            load,
            scrape_interval,
        }
    }

    pub fn timing(&self) -> Timing {
        Timing::of(self.scrape_interval).with(&self.judging)
    }

    /// The terms that the run would be judged by.
    pub fn terms(&self) -> Terms {
        let objective = self.budget.as_ref().map(|budget| budget.objective);
        Terms::new(objective, &self.plan, self.timing().window as f64).with(&self.judging)
    }
}
