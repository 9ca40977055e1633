//! All evidence of one evaluation into one verdict.
//!
//! An ordered list of checks: the first that fires gives the verdict, so the list reads as the precedence. It does not decide
//! what a rollout does about it.

use super::{allowance::BudgetTerms, budget::Spending, counts::Tally, threshold::Outcome, verdict::Verdict};
use crate::api::{Percent, Reason};

/// Requests of an arm that must have been expected before their absence is called missing traffic.
const EXPECTED_REQUESTS: f64 = 10.0;
/// Longest sentence, in bytes: a verdict's message goes into the run's decisions.
const LONGEST_MESSAGE: usize = 480;

/// Whether a metric has what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supply {
    /// Nothing yet, and it is too early to miss it. The sentence says what is waited for.
    Warming(String),
    Flowing,
    /// Missing beyond the grace; why.
    Missing(String),
}

/// A ratio or latency metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    pub name: String,
    pub supply: Supply,
    pub run: Tally,
    pub step: Tally,
}

/// A threshold metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub name: String,
    pub supply: Supply,
    pub outcome: Outcome,
    /// Its counts in words.
    pub sentence: String,
}

/// Everything that a verdict rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The canary's share.
    pub weight: Percent,
    pub counted: Vec<Counted>,
    pub measured: Vec<Measured>,
    pub budget: Option<(BudgetTerms, Spending)>,
    /// Why the budget's terms are not known yet.
    pub budget_pending: Option<Supply>,
}

type Check = fn(&Evidence) -> Option<Verdict>;

/// First match wins. The sequential tests add `worse_than_control` and `slo_breach` after `budget_spent` (they latch),
/// `sample_ratio_mismatch`, `shared_degradation` and `suspicious` after `no_canary_traffic`, and `non_inferior` beside
/// `thresholds_passed`.
const CHECKS: [Check; 8] = [
    budget_spent,
    threshold_failed,
    metrics_unavailable,
    warmup,
    no_canary_traffic,
    budget_half_spent,
    no_analysis,
    thresholds_passed,
];

pub fn judge(evidence: &Evidence) -> Verdict {
    let found = CHECKS.iter().find_map(|check| check(evidence));
    let mut verdict = found.unwrap_or_else(|| insufficient(evidence));
    shorten(&mut verdict.message);
    verdict
}

fn budget_spent(evidence: &Evidence) -> Option<Verdict> {
    let (terms, spending) = evidence.budget.as_ref()?;
    spending.spent(terms)
}

fn threshold_failed(evidence: &Evidence) -> Option<Verdict> {
    let failed = evidence.measured.iter().find(|metric| metric.outcome == Outcome::Failed)?;
    Some(Verdict::fail(Reason::ThresholdFailed, format!("metric {}: {}", failed.name, failed.sentence)))
}

/// Every metric's supply, and the budget's.
fn supplies(evidence: &Evidence) -> impl Iterator<Item = (&str, &Supply)> {
    let counted = evidence.counted.iter().map(|metric| (metric.name.as_str(), &metric.supply));
    let measured = evidence.measured.iter().map(|metric| (metric.name.as_str(), &metric.supply));
    counted.chain(measured).chain(evidence.budget_pending.iter().map(|supply| ("of the error budget", supply)))
}

fn metrics_unavailable(evidence: &Evidence) -> Option<Verdict> {
    supplies(evidence).find_map(|(name, supply)| match supply {
        Supply::Missing(why) => Some(Verdict::hold(Reason::MetricsUnavailable, format!("metric {name}: {why}"))),
        Supply::Warming(_) | Supply::Flowing => None,
    })
}

fn warmup(evidence: &Evidence) -> Option<Verdict> {
    supplies(evidence).find_map(|(name, supply)| match supply {
        Supply::Warming(why) => Some(Verdict::hold(Reason::Warmup, format!("metric {name}: {why}"))),
        Supply::Missing(_) | Supply::Flowing => None,
    })
}

/// Only when traffic was expected: a quiet service must still be able to ship.
fn no_canary_traffic(evidence: &Evidence) -> Option<Verdict> {
    let rest = evidence.weight.rest().ratio();
    if rest <= 0.0 {
        return None;
    }
    evidence.counted.iter().find_map(|Counted { name, step, .. }| {
        let expected = step.control.total * evidence.weight.ratio() / rest;
        let missing = step.canary.total == 0.0 && expected >= EXPECTED_REQUESTS;
        missing.then(|| {
            let message = format!(
                "metric {name}: no request of the canary, {expected:.0} expected at weight {} beside {:.0} of stable",
                evidence.weight, step.control.total
            );
            Verdict::hold(Reason::NoCanaryTraffic, message)
        })
    })
}

fn budget_half_spent(evidence: &Evidence) -> Option<Verdict> {
    let (terms, spending) = evidence.budget.as_ref()?;
    spending.half_spent(terms)
}

fn no_analysis(evidence: &Evidence) -> Option<Verdict> {
    let nothing = evidence.counted.is_empty()
        && evidence.measured.is_empty()
        && evidence.budget.is_none()
        && evidence.budget_pending.is_none();
    nothing.then(|| Verdict::undecided(Reason::NoAnalysis, "no metric and no error budget judge this revision"))
}

/// Thresholds alone can pass; a ratio or latency metric passes by its own test only.
fn thresholds_passed(evidence: &Evidence) -> Option<Verdict> {
    let alone = evidence.counted.is_empty() && !evidence.measured.is_empty();
    let passed = alone && evidence.measured.iter().all(|metric| metric.outcome == Outcome::Passed);
    passed.then(|| Verdict::pass(Reason::ThresholdsPassed, in_words(evidence)))
}

fn insufficient(evidence: &Evidence) -> Verdict {
    Verdict::undecided(Reason::InsufficientEvidence, in_words(evidence))
}

/// The counts of every metric.
fn in_words(evidence: &Evidence) -> String {
    let counted = evidence.counted.iter().map(|Counted { name, run, .. }| {
        format!(
            "metric {name}: {:.0} of {:.0} requests of the canary were bad, {:.0} of {:.0} of stable, in {} windows",
            run.canary.bad, run.canary.total, run.control.bad, run.control.total, run.windows
        )
    });
    let measured = evidence.measured.iter().map(|metric| format!("metric {}: {}", metric.name, metric.sentence));
    counted.chain(measured).collect::<Vec<_>>().join("; ")
}

fn shorten(message: &mut String) {
    if message.len() > LONGEST_MESSAGE {
        let mut end = LONGEST_MESSAGE;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str(" ...");
    }
}

#[cfg(test)]
mod tests;
