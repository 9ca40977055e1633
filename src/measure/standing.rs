//! The verdict of a record held against its folds: what they do not give was not written by an evaluation.
//!
//! What an evaluation knew besides the folds is believed: that samples were missing, and what the next step could have cost.

use super::{counting::begin, measuring::stood, order::Order, selectors::Counters};
use crate::{
    api::{EvidenceRecord, Metric, MetricRecord, Percent, Reason, Span, SpendRecord},
    stats::{
        BudgetFold, BudgetTerms, Comparison, Counted, Evidence, Fold, Folds, Judgement, LatencyFold, Supply, judge,
    },
};

/// Reasons that rest on more than the folds.
const OUTSIDE: [Reason; 4] =
    [Reason::MetricsUnavailable, Reason::Warmup, Reason::BudgetAtRisk, Reason::BudgetHalfSpent];

/// What the record says of its verdict, its time or its spending and the folds do not; None: nothing.
pub fn misstated(order: &Order, evidence: &EvidenceRecord) -> Option<String> {
    let weight = evidence.stretches.last().map_or(Percent::ZERO, |stretch| stretch.weight);
    let order = Order { weight, previous: Some(evidence.clone()), ..order.clone() };
    let (mut again, mut first) = (nothing(&order), None::<i64>);
    let mut spend = None;
    for metric in &order.metrics {
        let record = evidence.metrics.get(&metric.name);
        let unreadable = || Some(format!("the folds of metric {} cannot be read", metric.name));
        if Counters::of(metric).is_some() {
            let Some(mut folds) = record.and_then(|record| restored(&order, metric, record)) else {
                return unreadable();
            };
            first = Some(first.map_or(folds.watermark, |first| first.min(folds.watermark)));
            if let Some(fold) = folds.budget.take() {
                spend = budget(&order, fold, evidence, &mut again);
            }
            again.counted.push(counted(metric, &folds));
        } else if let Some(threshold) = &metric.threshold {
            let Some(measured) = record.and_then(|record| stood(metric, threshold, record)) else {
                return unreadable();
            };
            again.measured.push(measured);
        }
    }
    let judged = evidence.metrics.values().any(|metric| metric.windows_used > 0);
    let late = first.filter(|first| judged && *first != evidence.watermark);
    late.map(|first| format!("its watermark is {}, the folds have {first}", evidence.watermark))
        .or_else(|| misspent(spend.as_ref(), evidence.spend.as_ref()))
        .or_else(|| misjudged(&again, evidence))
}

fn nothing(order: &Order) -> Evidence {
    Evidence {
        weight: order.weight,
        has_baseline: order.baseline.is_some(),
        counted: Vec::new(),
        measured: Vec::new(),
        budget: None,
        budget_pending: None,
        degradation: None,
        next_step: None,
    }
}

/// The folds as they were written; None: they cannot be read.
fn restored(order: &Order, metric: &Metric, record: &MetricRecord) -> Option<Folds> {
    let state = record.fold.as_ref()?;
    let seconds = Comparison::window_seconds(&state["comparison"]);
    let interval = seconds.map_or(order.scrape_interval, |seconds| Span::seconds(seconds as u64));
    let settled_at = state["counts"]["since"].as_i64()?;
    let order = Order { scrape_interval: interval, settled_at, ..order.clone() };
    let folds = begin(&order, metric, &order.timing());
    (state["watermark"].as_i64() == Some(folds.watermark)).then_some(folds)
}

fn counted(metric: &Metric, folds: &Folds) -> Counted {
    let mut run = folds.counts.run;
    if let Some((canary, control)) = folds.latency.as_ref().and_then(LatencyFold::counts) {
        (run.canary, run.control) = (canary, control);
    }
    let compared = folds.comparison.as_ref().map(Comparison::compared);
    let compared = compared.or(folds.latency.as_ref().map(LatencyFold::compared));
    Counted { name: metric.name.clone(), supply: Supply::Flowing, run, step: folds.counts.step, compared }
}

/// The budget's part (without one: whether both arms are in an incident), and the spending as the fold alone has it. What earlier runs of the revision have cost is not in it: that
/// is what the record has more.
fn budget(order: &Order, fold: BudgetFold, evidence: &EvidenceRecord, again: &mut Evidence) -> Option<SpendRecord> {
    let Some(budget) = &order.budget else {
        again.degradation = fold.shared_degradation(None);
        return None;
    };
    let (requests, extrapolated) = fold.expected?;
    let terms = BudgetTerms::new(budget, requests, extrapolated);
    let own = fold.spending().record(&terms);
    let recorded = evidence.spend.as_ref().map_or(0, |spend| spend.excess_hundredths);
    let mut whole = BudgetFold::after(recorded.saturating_sub(own.excess_hundredths).max(0));
    whole.restore(&fold.state()).ok()?;
    again.degradation = whole.shared_degradation(Some(terms.objective));
    again.budget = Some((terms, whole.spending()));
    Some(own)
}

fn misspent(own: Option<&SpendRecord>, recorded: Option<&SpendRecord>) -> Option<String> {
    let (own, recorded) = match (own, recorded) {
        (None, None) => return None,
        (Some(own), Some(recorded)) => (own, recorded),
        (None, Some(_)) => return Some("it has a spending, the folds have none".into()),
        (Some(_), None) => return Some("it has no spending, the folds have one".into()),
    };
    let at_least = SpendRecord { excess_hundredths: own.excess_hundredths, ..recorded.clone() };
    let words = |spend: &SpendRecord| {
        let SpendRecord { gross, excess_hundredths, allowance, expected_requests, extrapolated: _ } = spend;
        format!("{gross} bad, {excess_hundredths} hundredths in excess of {allowance}, {expected_requests} expected")
    };
    let differs = at_least != *own || recorded.excess_hundredths < own.excess_hundredths;
    differs.then(|| format!("its spending is {}, the folds have {}", words(recorded), words(own)))
}

fn misjudged(again: &Evidence, evidence: &EvidenceRecord) -> Option<String> {
    let verdict = judge(again);
    let stands = (evidence.verdict.as_str(), evidence.reason);
    let believed = verdict.judgement != Judgement::Fail
        && evidence.reason.is_some_and(|reason| OUTSIDE.contains(&reason))
        && evidence.verdict == "Undecided";
    (!believed && stands != (verdict.word(), Some(verdict.reason))).then(|| {
        let reason = evidence.reason.map_or_else(|| "no reason".into(), |reason| format!("{reason:?}"));
        format!(
            "its verdict is {:.16} for {reason}, the folds make it {} for {:?}",
            evidence.verdict,
            verdict.word(),
            verdict.reason
        )
    })
}
