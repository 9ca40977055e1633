//! Latency at a bucket boundary, whatever it is written in.

use super::*;
use crate::api::{LatencyMetric, LatencyUnit};

#[test]
fn slow_requests_are_those_above_the_boundary() {
    for (unit, boundaries) in
        [(LatencyUnit::Seconds, ["0.1", "0.25", "+Inf"]), (LatencyUnit::Milliseconds, ["100", "250.0", "+Inf"])]
    {
        let histogram = r#"bucket{c="{{ route.cluster }}"}"#.into();
        let latency = LatencyMetric { histogram, threshold: Some(Span::millis(200)), unit };
        let metric = Metric { name: "p99".into(), latency: Some(latency), ..Metric::default() };
        let mut provider = Fake::default();
        for (cluster, rates) in [(CANARY, [5.0, 15.0, 20.0]), (CONTROL, [90.0, 180.0, 180.0])] {
            let bucket = |(le, rate): (&str, f64)| {
                let mut series = counter(rate, START - 300, START + 1_200, START - 300).remove(0);
                series.labels.insert("le".into(), le.into());
                series
            };
            let buckets = boundaries.into_iter().zip(rates).map(bucket).collect();
            provider.series.insert(format!(r#"bucket{{c="{cluster}"}}"#), buckets);
        }
        let mut order = Order { metrics: vec![metric], ..order() };
        let record = until(&mut order, &provider, 70, never).1.record.metrics["p99"].clone();
        assert_eq!((record.canary_bad, record.canary_total), (250, 1_000), "{unit:?}");
        assert_eq!((record.control_bad, record.control_total), (0, 9_000));
    }
}
