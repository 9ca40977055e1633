//! What lies ahead of a run at the traffic that was measured: what the present step can find, whether a Pass is in reach, and
//! what a bad revision could cost in the next step.
//!
//! Arithmetic on what is known now; whether the run advances is the judge's and the engine's.

use super::{
    advance::{NextStep, WorstCost, rises},
    allowance::BudgetTerms,
    power::{Alone, Flow},
    slo::{SLO_BURN, slo_limit},
    terms::Terms,
};
use crate::api::{Percent, Span};

/// From a verdict to the route's weight 0, in seconds.
pub const REACTION_SECONDS: f64 = 1.0;

/// The traffic as measured, and how long evidence takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    pub terms: Terms,
    /// The metric's part of alpha, and that of the test of the objective.
    pub share: f64,
    pub objective_share: f64,
    /// Of the service: stable, the canary and a baseline together.
    pub requests_per_second: f64,
    /// A baseline is the control.
    pub has_baseline: bool,
    pub stable_ratio: f64,
    pub phi: f64,
    /// Not judged after a change of weight.
    pub unjudged_seconds: f64,
    /// From the end of a window until it is judged.
    pub delay_seconds: f64,
}

impl Outlook {
    fn flow(&self, weight: Percent) -> Flow {
        Flow::of(self.requests_per_second, weight, self.has_baseline, (self.stable_ratio, self.phi))
    }

    fn lag_seconds(&self) -> f64 {
        self.terms.window_seconds + self.delay_seconds + REACTION_SECONDS
    }

    /// The smallest rise of the bad ratio that a step at this weight finds within its bake; None: not even a total outage.
    pub fn detectable(&self, weight: Percent, bake: Span) -> Option<f64> {
        let judged = bake.as_seconds() - self.unjudged_seconds - self.lag_seconds();
        let found = self.flow(weight).smallest_failing(&self.terms, self.share, judged)?;
        Some(found - self.stable_ratio)
    }

    /// Whether a canary as good as stable gets its Pass in this time at this weight, most likely.
    pub fn can_pass(&self, weight: Percent, seconds: f64) -> bool {
        self.flow(weight).seconds_to_pass(&self.terms).is_some_and(|needed| needed <= seconds)
    }

    /// What a revision that is worse by up to `upper` costs in the next step at most: until a test takes it back, or the step is
    /// over and the next one is asked about.
    pub fn worst_cost(&self, upper: f64, next: Percent, bake: Span, budget: &BudgetTerms) -> WorstCost {
        let step = NextStep {
            requests_per_second: self.requests_per_second,
            canary_share: next.ratio(),
            bake_seconds: bake.as_seconds() + self.unjudged_seconds + self.lag_seconds(),
        };
        step.worst_cost(&rises(upper.min(1.0 - self.stable_ratio)), |rise| {
            self.unjudged_seconds + self.seconds_to_find(rise, next, budget) + self.lag_seconds()
        })
    }

    fn seconds_to_find(&self, rise: f64, weight: Percent, budget: &BudgetTerms) -> f64 {
        let bad_ratio = self.stable_ratio + rise;
        let found = if weight < Percent::FULL {
            self.flow(weight).seconds_to_fail(&self.terms, self.share, bad_ratio)
        } else {
            let tolerated_ratio = slo_limit(budget.objective, SLO_BURN);
            let alone =
                Alone { requests_per_second: self.requests_per_second, tolerated_ratio, overdispersion: self.phi };
            alone.seconds_to_fail(&self.terms, self.objective_share, bad_ratio)
        };
        found.unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{ErrorBudget, Plan},
        stats::Allowance,
    };

    fn outlook(requests_per_second: f64) -> Outlook {
        Outlook {
            terms: Terms::new(Some("99.9".parse().unwrap()), &Plan::default(), 5.0),
            share: 0.5,
            objective_share: 0.1,
            requests_per_second,
            has_baseline: false,
            stable_ratio: 0.001,
            phi: 2.0,
            unjudged_seconds: 10.0,
            delay_seconds: 7.0,
        }
    }

    #[test]
    fn more_evidence_makes_the_next_step_affordable() {
        let budget = ErrorBudget { objective: "99.9".parse().unwrap(), ..ErrorBudget::default() };
        let budget = BudgetTerms::new(&budget, 129_600_000, false);
        let allowance = Allowance { hundredths: 2_500, least: false };
        let affordable = |upper: f64| {
            let worst = outlook(50.0).worst_cost(upper, Percent::whole(25), Span::minutes(5), &budget);
            worst.is_affordable(allowance, 0.0)
        };
        assert_eq!([0.5, 0.05, 0.001].map(affordable), [false, false, true]);
    }

    #[test]
    fn what_a_step_finds_and_whether_a_pass_is_in_reach_depend_on_the_traffic() {
        let weight = Percent::whole(25);
        let detectable = |rate: f64| outlook(rate).detectable(weight, Span::minutes(10));
        assert!(detectable(500.0).unwrap() < detectable(50.0).unwrap());
        assert_eq!(outlook(50.0).detectable(weight, Span::seconds(20)), None, "nothing of it is judged");
        let passes = |rate: f64| outlook(rate).can_pass(weight, 1_200.0);
        assert_eq!([1.0, 5_000.0].map(passes), [false, true]);
    }
}
