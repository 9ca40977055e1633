//! The evaluation of one run: every metric, the budget, one verdict, and the record that the next evaluation goes on from.
//!
//! It never fails: what cannot be read is Undecided and holds. One metric's failure does not lose the others' evidence.

use futures::{StreamExt, stream};

use super::{
    counting::{Counting, count},
    gauging::gauge,
    measuring::measure,
    order::Order,
    provider::Provider,
    selectors::Counters,
    stretches::stretches,
};
use crate::{
    api::{EvidenceRecord, Metric, MetricRecord, Percent},
    engine::EvidenceView,
    stats::{Apart, BudgetTerms, Evidence, Judgement, Measured, Supply, WorstCost, judge},
};

/// Metrics that are read at the same time: a metrics server is shared.
const AT_ONCE: usize = 4;

/// Windows of a step after which its traffic counts as known.
const MEASURED_WINDOWS: u64 = 3;

/// What became of one metric.
enum Finding {
    Counted(Box<Counting>),
    Measured(Box<(Measured, MetricRecord)>),
    /// It does not judge.
    Silent,
}

/// Read what is new at `now`, in seconds since the epoch, and judge all evidence of the run.
pub async fn evaluate(order: &Order, provider: &dyn Provider, now: i64) -> EvidenceView {
    let finds: Vec<_> = order.metrics.iter().map(|metric| find(order, metric, provider, now)).collect();
    let found: Vec<Finding> = stream::iter(finds).buffered(AT_ONCE).collect().await;
    let mut evidence = Evidence {
        weight: order.weight,
        has_baseline: order.baseline.is_some(),
        counted: Vec::new(),
        measured: Vec::new(),
        budget: None,
        budget_pending: None,
        degradation: None,
        next_step: None,
    };
    let stretches = stretches(order, now);
    let mut record = EvidenceRecord { watermark: now, stretches, ..EvidenceRecord::default() };
    for (metric, finding) in order.metrics.iter().zip(found) {
        match finding {
            Finding::Counted(counting) => {
                settle_budget(order, &counting, &mut evidence, &mut record);
                record.watermark = record.watermark.min(counting.watermark);
                record.power_insufficient = record.power_insufficient.or(power_insufficient(order, &counting));
                record.metrics.insert(metric.name.clone(), counting.record);
                evidence.counted.push(counting.counted);
            }
            Finding::Measured(found) => {
                let (measured, written) = *found;
                record.metrics.insert(metric.name.clone(), written);
                evidence.measured.push(measured);
            }
            Finding::Silent => {}
        }
    }
    let verdict = judge(&evidence);
    report_gauges(order, provider, now, verdict.judgement != Judgement::Fail, &mut record).await;
    record.verdict = verdict.word().to_owned();
    record.reason = Some(verdict.reason);
    record.message.clone_from(&verdict.message);
    EvidenceView { seq: order.seq, verdict, record }
}

/// Gauges come when the verdict stands: they have no part in it, and a Fail does not wait for them.
async fn report_gauges(order: &Order, provider: &dyn Provider, now: i64, may_read: bool, record: &mut EvidenceRecord) {
    let gauges = order.metrics.iter().filter_map(|metric| Some((metric, metric.gauge.as_ref()?)));
    let finds: Vec<_> = gauges
        .map(|(metric, query)| async move {
            (metric.name.clone(), gauge(order, metric, query, provider, now, may_read).await)
        })
        .collect();
    record.metrics.extend(stream::iter(finds).buffered(AT_ONCE).collect::<Vec<_>>().await);
}

async fn find(order: &Order, metric: &Metric, provider: &dyn Provider, now: i64) -> Finding {
    if let Some(counters) = Counters::of(metric) {
        Finding::Counted(Box::new(count(order, metric, &counters, provider, now).await))
    } else if let Some(threshold) = &metric.threshold {
        Finding::Measured(Box::new(measure(order, metric, threshold, provider, now).await))
    } else {
        Finding::Silent
    }
}

/// The budget's arithmetic, if this is its metric; without its terms it waits as the metric does. Without a budget an incident of
/// both arms is told all the same.
fn settle_budget(order: &Order, counting: &Counting, evidence: &mut Evidence, record: &mut EvidenceRecord) {
    let Some(fold) = &counting.budget else { return };
    let Some(budget) = &order.budget else {
        evidence.degradation = fold.shared_degradation(None);
        return;
    };
    match fold.expected {
        Some((requests, extrapolated)) => {
            let terms = BudgetTerms::new(budget, requests, extrapolated);
            record.spend = Some(fold.spending().record(&terms));
            evidence.degradation = fold.shared_degradation(Some(terms.objective));
            evidence.next_step = next_step(order, counting, &terms);
            evidence.budget = Some((terms, fold.spending()));
        }
        None => {
            let why = counting.terms_missing.clone().unwrap_or_else(|| "expectedRequests is not known".into());
            evidence.budget_pending = Some(match counting.counted.supply {
                Supply::Warming(_) => Supply::Warming(why),
                Supply::Flowing | Supply::Missing(_) => Supply::Missing(why),
            });
        }
    }
}

/// What the next step could cost at worst.
fn next_step(order: &Order, counting: &Counting, terms: &BudgetTerms) -> Option<(Percent, WorstCost)> {
    let (step, compared) = (order.next_step()?, counting.counted.compared?);
    let Apart::Bounds { upper, .. } = compared.apart else { return None };
    Some((step.weight, counting.outlook.as_ref()?.worst_cost(upper, step.weight, step.bake, terms)))
}

/// At the last weight at which the arms are compared, a canary like stable would not get its Pass within the horizon.
fn power_insufficient(order: &Order, counting: &Counting) -> Option<String> {
    let outlook = counting.outlook.as_ref()?;
    let measured = outlook.requests_per_second > 0.0 && counting.counted.step.windows >= MEASURED_WINDOWS;
    let last = order.plan.steps.iter().rev().find(|step| step.weight < Percent::FULL)?;
    let horizon = outlook.terms.horizon_seconds;
    (measured && !outlook.can_pass(last.weight, horizon)).then(|| {
        format!(
            "metric {}: at {:.1} requests a second a canary like stable gets no Pass at weight {} within {:.0} s",
            counting.counted.name, outlook.requests_per_second, last.weight, horizon
        )
    })
}
