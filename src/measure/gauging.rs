//! One gauge: the means of both arms over the blocks since the last look, compared as a ratio.
//!
//! It says nothing to the judge. A server that does not answer is asked again after a block's time, not with each look, so that
//! a gauge takes next to nothing of what the metrics that judge need.

use futures::future::try_join;

use super::{
    counting::judged,
    dispersion::hour_before,
    order::{Arm, Order},
    provider::{Provider, Series},
};
use crate::{
    api::{GaugeMetric, GaugeRecord, Metric, MetricRecord, Percent},
    stats::{GAUGE_BLOCK, GAUGE_TOLERANCE, GaugeFold, GaugeTerms, Gauged, Missed, figure},
};

/// Seconds between two values of the query.
const STEP: i64 = 15;
/// Blocks that are asked for at once, and the most that wait for a server.
const MOST_BLOCKS: i64 = 30;

/// What is to be recorded of the gauge. It reads nothing unless `may_read`: then the record stays as it is.
pub async fn gauge(
    order: &Order,
    metric: &Metric,
    gauge: &GaugeMetric,
    provider: &dyn Provider,
    now: i64,
    may_read: bool,
) -> MetricRecord {
    let mut fold = begin(order, metric);
    if may_read && now - fold.failed_at >= GAUGE_BLOCK {
        let answered = advance(order, gauge, &mut fold, provider, now).await;
        fold.failed_at = if answered.is_some() { 0 } else { now };
    }
    MetricRecord {
        windows_used: fold.blocks,
        windows_dropped: fold.missed(),
        gauge: Some(record(&fold)),
        fold: Some(fold.state()),
        ..MetricRecord::default()
    }
}

fn begin(order: &Order, metric: &Metric) -> GaugeFold {
    // Blocks of both lengths begin here.
    let longest = 2 * GAUGE_BLOCK;
    let mut fold = GaugeFold::new((order.run_started_at + longest - 1).div_euclid(longest) * longest);
    let previous = order.previous.as_ref().and_then(|record| record.metrics.get(&metric.name));
    // A state that cannot be read begins anew: a sign that comes later misleads nobody.
    let _ = fold.restore(previous.and_then(|record| record.fold.as_ref()));
    fold
}

fn record(fold: &GaugeFold) -> GaugeRecord {
    let gauged = fold.gauged();
    let shown = |of: fn(&Gauged) -> f64| gauged.as_ref().map(|gauged| figure(of(gauged))).unwrap_or_default();
    let block = fold.terms().map_or(GAUGE_BLOCK, |terms| terms.block);
    GaugeRecord {
        canary: shown(|gauged| gauged.canary),
        control: shown(|gauged| gauged.control),
        ratio: shown(|gauged| gauged.ratio),
        evidence: shown(|gauged| gauged.evidence),
        tolerated: figure(1.0 + GAUGE_TOLERANCE),
        block_seconds: u32::try_from(block).unwrap_or_default(),
    }
}

/// Deal with every block that is over. None: the server gave no answer, and what is not too old waits for the next time.
async fn advance(
    order: &Order,
    gauge: &GaugeMetric,
    fold: &mut GaugeFold,
    provider: &dyn Provider,
    now: i64,
) -> Option<()> {
    let over = now - order.timing().ingest_delay;
    // Nothing is asked before there is a block to compare.
    if over - fold.watermark < GAUGE_BLOCK {
        return Some(());
    }
    let known = terms(order, gauge, fold, provider).await;
    // Until its length is known a block is one of the longest, so that the grid stays.
    let block = known.map_or(2 * GAUGE_BLOCK, |terms| terms.block);
    let to = over.div_euclid(block) * block;
    while to - fold.watermark > MOST_BLOCKS * block {
        fold.absorb(fold.watermark + block, Err(Missed::Unavailable));
    }
    known?;
    while fold.watermark < to
        && let Some(why) = not_compared(order, fold.watermark)
    {
        fold.absorb(fold.watermark + block, Err(why));
    }
    if fold.watermark >= to {
        return Some(());
    }
    let read = |arm: Arm| read(order, gauge, arm, provider, fold.watermark, to);
    let (canary, control) = try_join(read(Arm::Canary), read(Arm::Control)).await.ok()?;
    while fold.watermark < to {
        let end = fold.watermark + block;
        let of_canary = mean(&canary, fold.watermark, end, Missed::CanaryAbsent);
        let of_control = mean(&control, fold.watermark, end, Missed::ControlAbsent);
        fold.absorb(end, of_canary.and_then(|canary| Ok((canary, of_control?))));
    }
    Some(())
}

/// What the differences are measured with: learnt once, from the hour before the run.
async fn terms(
    order: &Order,
    gauge: &GaugeMetric,
    fold: &mut GaugeFold,
    provider: &dyn Provider,
) -> Option<GaugeTerms> {
    if fold.terms().is_none() {
        let (from, to) = hour_before(order);
        let stable = read(order, gauge, Arm::Stable, provider, from, to).await.ok()?;
        let starts = (from..to).step_by(GAUGE_BLOCK as usize);
        let mean = |start: i64| mean(&stable, start, start + GAUGE_BLOCK, Missed::ControlAbsent).ok();
        let blocks: Vec<_> = starts.map(mean).collect();
        fold.learn(GaugeTerms::before(&blocks));
    }
    fold.terms()
}

/// Err: there is no answer, or no query to ask.
async fn read(
    order: &Order,
    gauge: &GaugeMetric,
    arm: Arm,
    provider: &dyn Provider,
    from: i64,
    to: i64,
) -> Result<Vec<Series>, ()> {
    let query = order.query(&gauge.query, arm).map_err(drop)?;
    provider.over(&query, from, to, STEP).await.map_err(drop)
}

/// Why a block that begins at this time is not compared; None: it is.
fn not_compared(order: &Order, start: i64) -> Option<Missed> {
    let judged = judged(order, &order.timing());
    if start < judged.settled {
        Some(Missed::Settling)
    } else if start < judged.warm {
        Some(Missed::Warmup)
    } else {
        let one_arm = order.weight <= Percent::ZERO || order.weight >= Percent::FULL;
        one_arm.then_some(Missed::OneArm)
    }
}

/// The mean of one arm in `(start, end]`: one value at each step, each a number above 0.
fn mean(found: &[Series], start: i64, end: i64, absent: Missed) -> Result<f64, Missed> {
    let inside = |at_ms: i64| start * 1_000 < at_ms && at_ms <= end * 1_000;
    let values = |series: &Series| -> Vec<f64> {
        series.samples.iter().filter(|(at_ms, _)| inside(*at_ms)).map(|(_, value)| *value).collect()
    };
    let mut given = found.iter().map(values).filter(|values| !values.is_empty());
    let values = given.next().ok_or(absent)?;
    if given.next().is_some() {
        return Err(Missed::SeveralValues);
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Missed::NotANumber);
    }
    let steps = (end - start) / STEP;
    if i64::try_from(values.len()) != Ok(steps) {
        return Err(absent);
    }
    let mean = values.iter().sum::<f64>() / steps as f64;
    if mean > 0.0 && mean.is_finite() { Ok(mean) } else { Err(Missed::NotPositive) }
}
