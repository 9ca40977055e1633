//! What must hold of metrics, wherever they are written: in a Rollout or in a template. Queries are not parsed here; `measure` does.

use super::Refusal;
use super::problems::Problems;
use crate::{
    api::{Metric, RatioMetric, ThresholdMetric},
    stats::Condition,
};

/// Every problem of these metrics; `path` is where they are written, for example `spec.metrics`.
pub fn metric_refusals(path: &str, metrics: &[Metric]) -> Vec<Refusal> {
    let mut problems = Problems::default();
    check_metrics(&mut problems, path, metrics);
    problems.into_refusals()
}

pub fn check_metrics(problems: &mut Problems, path: &str, metrics: &[Metric]) {
    problems.unique(path, metrics.iter().map(|metric| metric.name.as_str()));
    for (index, metric) in metrics.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Metric { name: _, ratio, latency, gauge, threshold, weight: _ } = metric;
        problems.exactly_one(
            &path,
            &[
                ("ratio", ratio.is_some()),
                ("latency", latency.is_some()),
                ("gauge", gauge.is_some()),
                ("threshold", threshold.is_some()),
            ],
        );
        if let Some(ratio) = ratio {
            check_ratio(problems, &format!("{path}.ratio"), ratio);
        }
        if let Some(latency) = latency {
            problems.not_zero(&format!("{path}.latency.threshold"), latency.threshold);
        }
        if let Some(threshold) = threshold {
            check_threshold(problems, &format!("{path}.threshold"), threshold);
        }
    }
}

fn check_ratio(problems: &mut Problems, path: &str, ratio: &RatioMetric) {
    problems.exactly_one(path, &[("bad", ratio.bad.is_some()), ("good", ratio.good.is_some())]);
}

fn check_threshold(problems: &mut Problems, path: &str, threshold: &ThresholdMetric) {
    problems.exactly_one(path, &[("success", threshold.success.is_some()), ("failure", threshold.failure.is_some())]);
    for (key, condition) in [("success", &threshold.success), ("failure", &threshold.failure)] {
        if let Some(error) = condition.as_ref().and_then(|text| text.parse::<Condition>().err()) {
            problems.add(format!("{path}.{key}: {error}"));
        }
    }
    problems.not_zero(&format!("{path}.interval"), threshold.interval);
    if threshold.count == Some(0) {
        problems.add(format!("{path}.count is 0, at least 1 is needed"));
    }
}
