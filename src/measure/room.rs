//! Room in a run's record: how much of it each metric may use for the windows that a replay starts from.
//!
//! A record is small, and what a run needs to go on comes first. So it is the windows that become fewer with many metrics; how
//! many of them fit depends on how many digits their counts have. It measures nothing: the sizes follow from the metrics.

use super::{order::Order, selectors::Counters};
use crate::{api::Metric, engine::MAX_EVIDENCE_BYTES};

/// Bytes for what a record holds but for its metrics: 64 stretches, three sentences, the spending.
const BESIDES: usize = 8_050;
/// For each metric with a test at one boundary, without its windows.
const COMPARED: usize = 2_905;
/// What the budget's metric needs besides: tests of the objective, the last five minutes.
const OF_BUDGET: usize = 2_130;
/// For a latency without a threshold, with tests at 12 boundaries.
const BY_BOUNDARIES: usize = 4_000;
/// For a gauge or a threshold.
const UNCOMPARED: usize = 900;

/// Bytes for the windows of each metric whose windows are recorded.
pub(super) fn room(order: &Order) -> usize {
    let needed: usize = order.metrics.iter().map(|metric| needed(order, metric)).sum();
    let compared = order.metrics.iter().filter(|metric| is_recorded(metric)).count();
    MAX_EVIDENCE_BYTES.saturating_sub(BESIDES + needed) / compared.max(1)
}

fn needed(order: &Order, metric: &Metric) -> usize {
    if is_by_boundaries(metric) {
        BY_BOUNDARIES
    } else if !is_recorded(metric) {
        UNCOMPARED
    } else if order.tells_incidents(metric) {
        COMPARED + OF_BUDGET
    } else {
        COMPARED
    }
}

fn is_recorded(metric: &Metric) -> bool {
    Counters::of(metric).is_some() && !is_by_boundaries(metric)
}

/// A latency without a threshold.
pub(super) fn is_by_boundaries(metric: &Metric) -> bool {
    metric.latency.as_ref().is_some_and(|latency| latency.threshold.is_none())
}
