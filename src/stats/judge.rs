//! All evidence of one evaluation into one verdict.
//!
//! An ordered list of checks: the first that fires gives the verdict, so the list reads as the precedence. It does not decide
//! what a rollout does about it.

use super::{
    advance::WorstCost,
    allowance::BudgetTerms,
    budget::{Degradation, Spending, percent},
    comparison::{Apart, Compared},
    counts::Tally,
    slo::SLO_BURN,
    threshold::Outcome,
    verdict::Verdict,
};
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
    /// What its tests amount to.
    pub compared: Option<Compared>,
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
    /// A baseline is the control, not stable itself.
    pub has_baseline: bool,
    pub counted: Vec<Counted>,
    pub measured: Vec<Measured>,
    pub budget: Option<(BudgetTerms, Spending)>,
    /// Why the budget's terms are not known yet.
    pub budget_pending: Option<Supply>,
    /// Stable itself is bad.
    pub degradation: Option<Degradation>,
    /// What the next step could cost at worst, and its weight; None: there is no next step, or nothing to tell it from.
    pub next_step: Option<(Percent, WorstCost)>,
}

type Check = fn(&Evidence) -> Option<Verdict>;

/// First match wins.
const CHECKS: [Check; 17] = [
    budget_spent,
    threshold_failed,
    worse_than_control,
    slo_breach,
    metrics_unavailable,
    warmup,
    no_canary_traffic,
    no_control_traffic,
    sample_ratio_mismatch,
    shared_degradation,
    suspicious,
    budget_half_spent,
    no_analysis,
    passed,
    budget_at_risk,
    thresholds_passed,
    insufficient,
];

pub fn judge(evidence: &Evidence) -> Verdict {
    let found = CHECKS.iter().find_map(|check| check(evidence));
    let mut verdict = found.unwrap_or_else(|| Verdict::undecided(Reason::InsufficientEvidence, in_words(evidence)));
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

/// Every metric's tests, with its name and counts.
fn comparisons(evidence: &Evidence) -> impl Iterator<Item = (&Counted, &Compared)> {
    evidence.counted.iter().filter_map(|metric| Some((metric, metric.compared.as_ref()?)))
}

fn worse_than_control(evidence: &Evidence) -> Option<Verdict> {
    let (metric, compared) = comparisons(evidence).find(|(_, compared)| compared.failed)?;
    let message = format!(
        "metric {}: {}; {}; evidence {} of {} needed",
        metric.name,
        counts(metric),
        compared.apart(),
        figure(compared.fail.evidence),
        figure(compared.fail.threshold),
    );
    Some(Verdict::fail(Reason::WorseThanControl, message))
}

/// Only where there is no control that could be as bad.
fn slo_breach(evidence: &Evidence) -> Option<Verdict> {
    let breach = |(metric, compared): (&'_ Counted, &Compared)| {
        let (proof, control_too) = compared.slo?;
        let alone = metric.step.control.total == 0.0 && metric.step.canary.total > 0.0;
        (proof.holds() && (alone || !control_too)).then(|| {
            format!(
                "metric {}: {}; the objective is broken at more than {SLO_BURN} times the tolerated speed; evidence {} of {} needed",
                metric.name,
                counts(metric),
                figure(proof.evidence),
                figure(proof.threshold)
            )
        })
    };
    comparisons(evidence).find_map(breach).map(|message| Verdict::fail(Reason::SloBreach, message))
}

/// Each arm in words, with its weight.
fn arms(evidence: &Evidence) -> [(&'static str, Percent); 2] {
    let control = if evidence.has_baseline { "the baseline" } else { "stable" };
    [("the canary", evidence.weight), (control, evidence.weight.of_control(evidence.has_baseline))]
}

/// Only when traffic was expected: a quiet service must still be able to ship.
fn no_canary_traffic(evidence: &Evidence) -> Option<Verdict> {
    let [canary, control] = arms(evidence);
    missing_traffic(evidence, [canary, control], Reason::NoCanaryTraffic, |tally| {
        (tally.canary.total, tally.control.total)
    })
}

fn no_control_traffic(evidence: &Evidence) -> Option<Verdict> {
    let [canary, control] = arms(evidence);
    missing_traffic(evidence, [control, canary], Reason::NoControlTraffic, |tally| {
        (tally.control.total, tally.canary.total)
    })
}

/// The first arm got nothing although what the other got predicts requests.
fn missing_traffic(
    evidence: &Evidence,
    [(arm, weight), (other_arm, other_weight)]: [(&str, Percent); 2],
    reason: Reason,
    counts: fn(&Tally) -> (f64, f64),
) -> Option<Verdict> {
    let rest = other_weight.ratio();
    if rest <= 0.0 {
        return None;
    }
    evidence.counted.iter().find_map(|Counted { name, step, .. }| {
        let (own, other) = counts(step);
        let expected = other * weight.ratio() / rest;
        (own == 0.0 && expected >= EXPECTED_REQUESTS).then(|| {
            let message = format!(
                "metric {name}: no request of {arm}, {expected:.0} expected at weight {weight} beside {other:.0} of {other_arm}"
            );
            Verdict::hold(reason, message)
        })
    })
}

fn sample_ratio_mismatch(evidence: &Evidence) -> Option<Verdict> {
    let (metric, (canary, all)) = comparisons(evidence).find_map(|(metric, it)| Some((metric, it.mismatch?)))?;
    let message = format!(
        "metric {}: the canary got {canary:.0} of {all:.0} requests ({} %), {}",
        metric.name,
        percent(canary / all),
        match evidence.has_baseline {
            true => format!("with a baseline {} % of both arms' are its part", evidence.weight.of_arms(true)),
            false => format!("the weight is {}", evidence.weight),
        }
    );
    Some(Verdict::hold(Reason::SampleRatioMismatch, message))
}

fn shared_degradation(evidence: &Evidence) -> Option<Verdict> {
    let Degradation { ratio, burn, usual, assumed } = evidence.degradation?;
    let objective =
        assumed.map_or_else(|| "the objective".to_owned(), |assumed| format!("an objective of {assumed} %"));
    let whose = if evidence.has_baseline { "the baseline's" } else { "stable's own" };
    let message = format!(
        "{} % of {whose} requests were bad in the last minute ({burn:.1} times what {objective} allows; {} % before the \
         run): the revision is not blamed",
        percent(ratio),
        percent(usual)
    );
    Some(Verdict::hold(Reason::SharedDegradation, message))
}

fn suspicious(evidence: &Evidence) -> Option<Verdict> {
    let (metric, compared) = comparisons(evidence).find(|(_, it)| it.fail.evidence >= it.suspicion)?;
    let message = format!(
        "metric {}: {}; evidence {} of {} needed for a Fail, it does not advance from {} on",
        metric.name,
        counts(metric),
        figure(compared.fail.evidence),
        figure(compared.fail.threshold),
        figure(compared.suspicion)
    );
    Some(Verdict::hold(Reason::Suspicious, message))
}

/// Every metric that judges has passed: the comparisons by their tests, the thresholds by their counts.
fn passed(evidence: &Evidence) -> Option<Verdict> {
    let compares = comparisons(evidence).next().is_some() && evidence.counted.iter().all(has_passed);
    let all = compares && evidence.measured.iter().all(|metric| metric.outcome == Outcome::Passed);
    all.then(|| {
        let proofs = comparisons(evidence).map(|(metric, compared)| towards_a_pass(metric, compared));
        Verdict::pass(Reason::NonInferior, proofs.collect::<Vec<_>>().join("; "))
    })
}

fn has_passed(metric: &Counted) -> bool {
    let enough = |compared: &Compared| compared.pass.holds() && metric.run.canary.total >= compared.min_canary_requests;
    metric.compared.as_ref().is_some_and(enough)
}

/// The next step could cost more than is left. It holds until the evidence rules that out: the bound of the rise falls with
/// every window.
fn budget_at_risk(evidence: &Evidence) -> Option<Verdict> {
    let (terms, spending) = evidence.budget.as_ref()?;
    let (weight, worst) = evidence.next_step?;
    let allowance = terms.allowance();
    (!worst.is_affordable(allowance, spending.excess)).then(|| {
        let message = format!(
            "a revision worse by {} points, which the evidence does not rule out yet, would cost {:.0} requests at weight {weight}; \
             {:.0} of the allowance of {} are left",
            percent(worst.excess_ratio),
            worst.requests,
            allowance.hundredths as f64 / 100.0 - spending.excess,
            allowance.requests()
        );
        Verdict::hold(Reason::BudgetAtRisk, message)
    })
}

/// A hold at half would have no end where spending has stopped: it ends when the next step is proven to be affordable.
fn budget_half_spent(evidence: &Evidence) -> Option<Verdict> {
    let (terms, spending) = evidence.budget.as_ref()?;
    let (_, worst) = evidence.next_step?;
    let affordable = worst.is_affordable(terms.allowance(), spending.excess);
    if affordable { None } else { spending.half_spent(terms) }
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

fn insufficient(evidence: &Evidence) -> Option<Verdict> {
    Some(Verdict::undecided(Reason::InsufficientEvidence, in_words(evidence)))
}

/// The counts of every metric, and what they leave possible.
fn in_words(evidence: &Evidence) -> String {
    let counted = evidence.counted.iter().map(|metric| match &metric.compared {
        Some(compared) => towards_a_pass(metric, compared),
        None => format!("metric {}: {}", metric.name, counts(metric)),
    });
    let measured = evidence.measured.iter().map(|metric| format!("metric {}: {}", metric.name, metric.sentence));
    counted.chain(measured).collect::<Vec<_>>().join("; ")
}

fn towards_a_pass(metric: &Counted, compared: &Compared) -> String {
    format!(
        "metric {}: {}; {}; evidence {} of {} needed for a Pass",
        metric.name,
        counts(metric),
        compared.at_most(),
        figure(compared.pass.evidence),
        figure(compared.pass.threshold)
    )
}

fn counts(Counted { run, compared, .. }: &Counted) -> String {
    let bad = match compared.as_ref().map(|compared| compared.apart) {
        Some(Apart::Tails { boundary: Some(boundary), .. }) => format!("above the boundary {boundary}"),
        Some(Apart::Tails { boundary: None, .. } | Apart::Bounds { .. }) | None => "bad".into(),
    };
    let windows = if run.windows == 1 { "window" } else { "windows" };
    format!(
        "{:.0} of {:.0} requests of the canary were {bad}, {:.0} of {:.0} of stable, in {} {windows}",
        run.canary.bad, run.canary.total, run.control.bad, run.control.total, run.windows
    )
}

impl Compared {
    /// How far the canary is above stable at least.
    fn apart(&self) -> String {
        let times = match self.ratio {
            Some((lower, upper)) if lower > 1.0 && upper.is_finite() => format!(", {lower:.1} to {upper:.1} times"),
            Some((lower, _)) if lower > 1.0 => format!(", {lower:.1} times or more"),
            Some(_) | None => String::new(),
        };
        match self.apart {
            Apart::Bounds { lower, .. } => format!("at least {} points above stable's{times}", percent(lower.max(0.0))),
            Apart::Tails { of, .. } => of_boundaries(of),
        }
    }

    /// How far it is above stable at most.
    fn at_most(&self) -> String {
        match self.apart {
            Apart::Bounds { upper, .. } => format!("at most {} points above stable's", percent(upper)),
            Apart::Tails { boundary: Some(_), of } => of_boundaries(of),
            Apart::Tails { boundary: None, .. } => "the boundaries are chosen with its first requests".into(),
        }
    }
}

fn of_boundaries(count: usize) -> String {
    format!("of {count} boundaries this one speaks most against it")
}

/// A number with few digits: evidence is not more exact than that.
pub fn figure(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{value:.1e}"),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 0.01 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        0.0 => "0".to_owned(),
        value => format!("{value:.1e}"),
    }
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
