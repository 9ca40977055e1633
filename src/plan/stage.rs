//! One stage of a run, a step or the soak, with what it can find and what it can cost at worst.
//!
//! Each stage is looked at by itself: a regression that begins with it, and no evidence from before. What earlier stages have
//! shown makes a real run quicker, never slower.

use serde::Serialize;

use super::question::{Load, Question};
use crate::{
    api::{Gate, Percent, Span},
    stats::{Alone, BudgetTerms, Flow, NextStep, REACTION_SECONDS, SLO_BURN, Terms, WorstCost, rises, slo_limit},
};

/// Shares of alpha that the forecast counts on: of a comparison of errors, and of the objective where there is no control.
const ERRORS_SHARE: f64 = 0.5;
const OBJECTIVE_SHARE: f64 = 0.1;

/// A step or the soak.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Counted from 1; None: the soak.
    pub step: Option<usize>,
    pub weight: Percent,
    /// Its bake, or the soak's length.
    pub bake: Span,
    /// Bakes before it.
    pub begins: Span,
    pub gates: Vec<Gate>,
    /// Requests that the canary answers in it.
    pub canary_requests: f64,
    /// Time whose windows are judged and read before it ends.
    pub judged_seconds: f64,
    /// The shortest bake in which anything could be found.
    pub least_bake: Span,
    pub finding: Finding,
    /// Judged time at this weight after which a canary as good as stable has passed; None: it does not.
    pub seconds_to_pass: Option<f64>,
    pub worst: WorstCost,
    /// Of the whole budget; None: there is none.
    pub worst_budget_percent: Option<f64>,
}

/// What is found within the stage, with a probability of 80 %.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Finding {
    /// A bad ratio of the canary that is this much above stable's, or more.
    SmallestRise(f64),
    /// A bad ratio of the canary, which has no control, of this or more.
    SmallestRatio(f64),
    Nothing(WhyNothing),
}

/// Why a stage finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum WhyNothing {
    /// The canary has no traffic.
    NoTraffic,
    /// No metric compares the arms.
    NoMetric,
    /// Stable has no traffic to compare with, and there is no objective.
    NoControl,
    /// It has no bake.
    NoBake,
    /// It is over before three windows were judged.
    TooShort,
    /// failMargin tolerates every bad ratio that a canary can have.
    NothingWorse,
    /// Its requests are too few even for a canary that fails all of them.
    TooFewRequests,
}

/// Where a stage stands in its plan.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub step: Option<usize>,
    pub weight: Percent,
    pub bake: Span,
    pub begins: Span,
    pub gates: Vec<Gate>,
    /// The weight was there before: nothing has to settle.
    pub is_settled: bool,
}

/// How a regression in a stage is found.
enum Test {
    Compared(Flow),
    Alone(Alone),
    Nothing(WhyNothing),
}

impl Test {
    fn of(question: &Question, weight: Percent) -> Self {
        let load = &question.load;
        let (requests_per_second, overdispersion) = (load.requests_per_second, load.overdispersion);
        let tolerated = question.budget.as_ref().map(|budget| slo_limit(budget.objective, SLO_BURN));
        let tolerated = tolerated.filter(|ratio| *ratio < 1.0);
        if weight == Percent::ZERO {
            return Self::Nothing(WhyNothing::NoTraffic);
        }
        if !question.is_compared {
            return Self::Nothing(WhyNothing::NoMetric);
        }
        match tolerated {
            _ if weight < Percent::FULL => Self::Compared(flow(question, weight)),
            Some(tolerated_ratio) => Self::Alone(Alone { requests_per_second, tolerated_ratio, overdispersion }),
            None => Self::Nothing(WhyNothing::NoControl),
        }
    }

    /// Judged time until a canary with this rise has failed; infinite: it is not found.
    fn seconds(&self, terms: &Terms, stable_ratio: f64, rise: f64) -> f64 {
        let found = match self {
            Self::Compared(flow) => flow.seconds_to_fail(terms, ERRORS_SHARE, stable_ratio + rise),
            Self::Alone(alone) => alone.seconds_to_fail(terms, OBJECTIVE_SHARE, stable_ratio + rise),
            Self::Nothing(_) => None,
        };
        found.unwrap_or(f64::INFINITY)
    }

    fn finding(&self, terms: &Terms, stable_ratio: f64, bake: Span, judged_seconds: f64) -> Finding {
        let smallest = match self {
            Self::Nothing(why) => return Finding::Nothing(*why),
            Self::Compared(_) | Self::Alone(_) if bake == Span::ZERO => return Finding::Nothing(WhyNothing::NoBake),
            Self::Compared(_) | Self::Alone(_) if judged_seconds < terms.confirm_seconds() => {
                return Finding::Nothing(WhyNothing::TooShort);
            }
            Self::Compared(_) if terms.fail.ratio * stable_ratio + terms.fail.absolute >= 1.0 => {
                return Finding::Nothing(WhyNothing::NothingWorse);
            }
            Self::Compared(flow) => flow
                .smallest_failing(terms, ERRORS_SHARE, judged_seconds)
                .map(|ratio| Finding::SmallestRise(ratio - stable_ratio)),
            Self::Alone(alone) => {
                alone.smallest_failing(terms, OBJECTIVE_SHARE, judged_seconds).map(Finding::SmallestRatio)
            }
        };
        smallest.unwrap_or(Finding::Nothing(WhyNothing::TooFewRequests))
    }
}

/// The traffic of a step.
pub(super) fn flow(question: &Question, weight: Percent) -> Flow {
    let Load { requests_per_second, error_ratio, overdispersion } = question.load;
    Flow::of(requests_per_second, weight, question.has_baseline, (error_ratio, overdispersion))
}

/// The smallest bad ratio of the canary that is found in so many judged seconds at this weight.
pub(super) fn smallest_failing(question: &Question, terms: &Terms, weight: Percent, seconds: f64) -> Option<f64> {
    flow(question, weight).smallest_failing(terms, ERRORS_SHARE, seconds)
}

impl Stage {
    pub(super) fn new(question: &Question, terms: &Terms, place: Place) -> Self {
        let Place { step, weight, bake, begins, gates, is_settled } = place;
        let timing = question.timing();
        let load = &question.load;
        // New pods of the step warm up longer than its weight settles.
        let unjudged_seconds = if is_settled { 0.0 } else { timing.settle.max(timing.warmup) as f64 };
        let lag_seconds = (timing.window + timing.ingest_delay) as f64 + REACTION_SECONDS;
        let judged_seconds = (bake.as_seconds() - unjudged_seconds - lag_seconds).max(0.0);
        let test = Test::of(question, weight);
        let finding = test.finding(terms, load.error_ratio, bake, judged_seconds);
        let step_taken = NextStep {
            requests_per_second: load.requests_per_second,
            canary_share: weight.ratio(),
            bake_seconds: bake.as_seconds(),
        };
        let mut looked_at = rises(1.0 - load.error_ratio);
        // What only just escapes costs the whole bake, and the halves may pass it by.
        looked_at.extend(match &finding {
            Finding::SmallestRise(rise) => Some(*rise),
            Finding::SmallestRatio(ratio) => Some(ratio - load.error_ratio),
            Finding::Nothing(_) => None,
        });
        let worst = step_taken.worst_cost(&looked_at, |rise| {
            let found = unjudged_seconds + test.seconds(terms, load.error_ratio, rise) + lag_seconds;
            found.min(seconds_to_spend(question, weight, rise) + lag_seconds)
        });
        let budget = question.budget.as_ref().filter(|budget| budget.expected_requests > 0);
        let compares = matches!(test, Test::Compared(_));
        Self {
            step,
            weight,
            bake,
            begins,
            gates,
            canary_requests: load.requests_per_second * weight.ratio() * bake.as_seconds(),
            judged_seconds,
            least_bake: seconds_up(unjudged_seconds + lag_seconds + terms.confirm_seconds()),
            finding,
            seconds_to_pass: compares.then(|| flow(question, weight).seconds_to_pass(terms)).flatten(),
            worst,
            worst_budget_percent: budget.map(|budget| 100.0 * worst.requests / budget_requests(budget)),
        }
    }

    /// Stable has traffic to compare with.
    pub fn is_compared(&self) -> bool {
        self.weight > Percent::ZERO && self.weight < Percent::FULL
    }
}

/// Time in which a rise spends the whole allowance: then the traffic is taken back whatever the evidence says.
fn seconds_to_spend(question: &Question, weight: Percent, rise: f64) -> f64 {
    let Some(budget) = question.budget.as_ref().filter(|_| question.is_compared) else { return f64::INFINITY };
    budget.allowance().hundredths as f64 / 100.0 / (question.load.requests_per_second * weight.ratio() * rise)
}

/// Whole seconds that are not shorter.
fn seconds_up(seconds: f64) -> Span {
    Span::seconds(seconds.ceil() as u64)
}

/// Bad requests that the objective allows in the budget's window.
fn budget_requests(budget: &BudgetTerms) -> f64 {
    budget.expected_requests as f64 * budget.objective.rest().ratio()
}
