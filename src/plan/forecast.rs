//! The forecast of one run: its stages, its length, and whether its evidence can be enough.
//!
//! It deliberately does not simulate. Traffic is steady and errors are independent but for the overdispersion given; every
//! stage is judged as if the regression began with it. Latency and threshold metrics, several metrics at once, the coarse
//! shares of a few pods without a route, waits for pods and routers, gates and holds are left out, and nothing is decided.

use serde::Serialize;

use super::{
    lengths::Lengths,
    question::{Load, Question},
    stage::{Place, Stage, smallest_failing},
};
use crate::{
    api::{OnInsufficientEvidence, Percent, Span},
    stats::{BudgetTerms, Terms},
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    pub load: Load,
    pub stages: Vec<Stage>,
    pub lengths: Lengths,
    pub budget: Option<Budget>,
    /// None: no step compares the arms.
    pub pass: Option<PassProgress>,
    /// A warning, no error: a quiet service must be able to ship.
    pub power_insufficient: Option<PowerInsufficient>,
}

/// What the release may spend.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    pub allowance_requests: u64,
    pub expected_requests: u64,
    /// Scaled from less than a day.
    pub extrapolated: bool,
    /// The arithmetic in words.
    pub sentence: String,
}

impl From<&BudgetTerms> for Budget {
    fn from(terms: &BudgetTerms) -> Self {
        Self {
            allowance_requests: terms.allowance().requests(),
            expected_requests: terms.expected_requests,
            extrapolated: terms.extrapolated,
            sentence: terms.sentence(),
        }
    }
}

/// How far the comparing steps get towards a Pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PassProgress {
    /// What a Pass proves: the canary's bad ratio is below this many times stable's ...
    pub margin_ratio: f64,
    /// ... plus this.
    pub margin_absolute: f64,
    /// Part of the evidence that the bakes gather, with a probability of 80 %; 1 and more is enough.
    pub gathered: f64,
    /// The step in which it is enough, counted from 1; None: none.
    pub step: Option<usize>,
    pub on_insufficient_evidence: OnInsufficientEvidence,
}

/// Even at the horizon the comparison cannot tell what the pass margin does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PowerInsufficient {
    /// Of the last comparing step.
    pub weight: Percent,
    /// Twice the bakes and the soak, in seconds.
    pub horizon_seconds: f64,
    /// The smallest bad ratio of the canary that is found within it; None: not even 1.
    pub smallest_ratio: Option<f64>,
    /// The largest that the pass margin allows.
    pub allowed_ratio: f64,
}

/// What a run of this plan would find and cost with this traffic.
pub fn forecast(question: &Question) -> Forecast {
    let terms = question.terms();
    let stages: Vec<Stage> = places(question).into_iter().map(|place| Stage::new(question, &terms, place)).collect();
    Forecast {
        load: question.load,
        lengths: Lengths::of(question),
        budget: question.budget.as_ref().map(Budget::from),
        pass: pass(question, &terms, &stages),
        power_insufficient: power_insufficient(question, &terms, &stages),
        stages,
    }
}

/// The steps, and the soak if there is one.
fn places(question: &Question) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut begins = Span::ZERO;
    let mut place = |step: Option<usize>, weight: Percent, bake: Span, gates: &[_]| {
        let is_settled = step.is_none() && places.last().is_some_and(|last: &Place| last.bake > Span::ZERO);
        places.push(Place { step, weight, bake, begins, gates: gates.to_vec(), is_settled });
        begins = Span::millis(begins.as_millis() + bake.as_millis());
    };
    for (index, step) in question.plan.steps.iter().enumerate() {
        place(Some(index + 1), step.weight, step.bake, &step.gates);
    }
    if question.plan.soak > Span::ZERO {
        place(None, Percent::FULL, question.plan.soak, &[]);
    }
    places
}

/// Evidence adds up over the steps, each at its own pace.
fn pass(question: &Question, terms: &Terms, stages: &[Stage]) -> Option<PassProgress> {
    if !question.is_compared || !stages.iter().any(Stage::is_compared) {
        return None;
    }
    let (mut gathered, mut enough) = (0.0, None);
    for stage in stages {
        gathered += stage.seconds_to_pass.map_or(0.0, |seconds| stage.judged_seconds / seconds);
        if gathered >= 1.0 && enough.is_none() {
            enough = stage.step;
        }
    }
    Some(PassProgress {
        margin_ratio: terms.pass.ratio,
        margin_absolute: terms.pass.absolute,
        gathered,
        step: enough,
        on_insufficient_evidence: question.on_insufficient_evidence,
    })
}

fn power_insufficient(question: &Question, terms: &Terms, stages: &[Stage]) -> Option<PowerInsufficient> {
    let last = stages.iter().rfind(|stage| question.is_compared && stage.is_compared())?;
    let allowed_ratio = terms.pass.ratio * question.load.error_ratio + terms.pass.absolute;
    let smallest_ratio = smallest_failing(question, terms, last.weight, terms.horizon_seconds);
    let is_enough = smallest_ratio.is_some_and(|ratio| ratio <= allowed_ratio);
    (!is_enough).then_some(PowerInsufficient {
        weight: last.weight,
        horizon_seconds: terms.horizon_seconds,
        smallest_ratio,
        allowed_ratio,
    })
}

#[cfg(test)]
mod tests;
