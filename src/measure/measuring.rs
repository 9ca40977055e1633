//! One threshold metric: ask if a measurement is due, count it, say where it stands.
//!
//! It asks about the canary only.

use super::{
    order::{Arm, Order},
    provider::{Provider, Sample},
};
use crate::{
    api::{Metric, MetricRecord, ThresholdMetric},
    stats::{Measured, Measurements, Outcome, Supply, ThresholdPlan},
};

/// The metric's evidence and what is to be recorded of it.
pub async fn measure(
    order: &Order,
    metric: &Metric,
    threshold: &ThresholdMetric,
    provider: &dyn Provider,
    now: i64,
) -> (Measured, MetricRecord) {
    let mut series = Measurements::default();
    let previous = order.previous.as_ref().and_then(|record| record.metrics.get(&metric.name));
    // What cannot be read begins anew: a step that has to measure again is the safe direction.
    if series.restore(previous.and_then(|record| record.fold.as_ref())).is_err() {
        series = Measurements::default();
    }
    series.begin_step(order.settled_at);
    let (outcome, sentence, supply) = match ThresholdPlan::new(threshold) {
        Ok(plan) => {
            let asked = ask(order, threshold, &plan, &mut series, provider, now).await;
            let outcome = series.outcome(&plan);
            (outcome, series.sentence(&plan), supply(&series, outcome, asked.err()))
        }
        Err(error) => (Outcome::Unavailable, String::new(), Supply::Missing(error.to_string())),
    };
    let threshold = Some(sentence.clone()).filter(|sentence| !sentence.is_empty());
    let record = MetricRecord { threshold, fold: Some(series.state()), ..MetricRecord::default() };
    (Measured { name: metric.name.clone(), supply, outcome, sentence }, record)
}

/// Where a record's measurements stand, without asking; None: they cannot be read.
pub(super) fn stood(metric: &Metric, threshold: &ThresholdMetric, record: &MetricRecord) -> Option<Measured> {
    let mut series = Measurements::default();
    series.restore(record.fold.as_ref()).ok()?;
    let plan = ThresholdPlan::new(threshold).ok()?;
    let (outcome, sentence) = (series.outcome(&plan), series.sentence(&plan));
    Some(Measured { name: metric.name.clone(), supply: Supply::Flowing, outcome, sentence })
}

/// Err: why the measurement that was due has no answer.
async fn ask(
    order: &Order,
    threshold: &ThresholdMetric,
    plan: &ThresholdPlan,
    series: &mut Measurements,
    provider: &dyn Provider,
    now: i64,
) -> Result<(), String> {
    if now < order.settled_at + order.timing().settle || !series.is_due(plan, now) {
        return Ok(());
    }
    let query = order.query(&threshold.query, Arm::Canary).map_err(|error| error.to_string());
    let answer = match query {
        Ok(query) => provider.instant(&query, now).await.map_err(|why| why.to_string()).and_then(one_number),
        Err(error) => Err(error),
    };
    series.add(plan, answer.as_ref().ok().copied(), now);
    answer.map(|_| ())
}

/// Exactly one number. Several are no evidence: nobody said which of them to believe.
fn one_number(samples: Vec<Sample>) -> Result<f64, String> {
    match samples.as_slice() {
        [sample] if sample.value.is_finite() => Ok(sample.value),
        [sample] => Err(format!("the query answered {}, which is no number", sample.value)),
        [] => Err("the query answered nothing".into()),
        several => Err(format!("the query answered {} series, one is needed: sum or average them", several.len())),
    }
}

fn supply(series: &Measurements, outcome: Outcome, why: Option<String>) -> Supply {
    let why = why.unwrap_or_else(|| "measurements have no answer".into());
    match outcome {
        Outcome::Unavailable => Supply::Missing(why),
        Outcome::Passed | Outcome::Failed => Supply::Flowing,
        Outcome::Undecided if series.has_answer() => Supply::Flowing,
        Outcome::Undecided => Supply::Warming("waiting for the first measurement since the weight settled".into()),
    }
}
