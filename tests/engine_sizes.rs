//! What a run freezes has a bound, and what is above it is refused before anything moves.

mod model;

use model::{Model, step};
use tidegate::api::{Metric, ResolvedAnalysis, ThresholdMetric};

/// Twelve metrics with queries of this length in a Rollout whose revision serves.
fn with_queries(bytes: usize) -> Model {
    let mut model = Model::new(vec![step(10, 20), step(100, 0)], 0);
    model.until("adopted", 60, |model| model.reason("Ready") == "Stable");
    let metric = |number: usize| Metric {
        name: format!("metric-{number}"),
        threshold: Some(ThresholdMetric { query: "q".repeat(bytes), ..ThresholdMetric::default() }),
        ..Metric::default()
    };
    model.world.analysis =
        Ok(ResolvedAnalysis { metrics: (0..12).map(metric).collect(), ..ResolvedAnalysis::default() });
    model.template("v2");
    model
}

#[test]
fn a_spec_of_more_than_32_kib_is_refused_with_the_size_of_its_parts() {
    let mut model = with_queries(2_700);
    model.until("a refusal", 60, |model| model.status("Stalled") == "True");
    assert_eq!(model.reason("Ready"), "InvalidSpec");
    let message = model.world.rollout.status.message.clone().unwrap_or_default();
    assert!(message.contains("at most 32768 are possible: spec.analysis has 33"), "{message}");
    assert!(model.world.runs.is_empty());
    with_queries(2_500).until("a run", 60, |model| !model.world.runs.is_empty());
}
