//! The size of a run's record at the maximum of everything, and what it is good for then.

use super::{latency::of_many_boundaries, *};
use crate::{
    api::{EvidenceRecord, GaugeMetric, StretchRecord},
    engine::MAX_EVIDENCE_BYTES,
};

/// Requests of both arms a second: windows of 5 s have counts of up to eight digits.
const MANY: [f64; 2] = [2e6, 1.8e7];
const FEW: [f64; 2] = [20.0, 180.0];

/// Metrics with the longest names: compared ones, latencies without a threshold, gauges and thresholds.
fn of_kinds([compared, by_boundaries, gauges, thresholds]: [usize; 4], rates: [f64; 2]) -> (Order, Fake) {
    let name = |kind: &str, number: usize| format!("{kind}_{number:0>0$}", 62 - kind.len());
    let budget = ErrorBudget { metric: Some(name("errors", 0)), ..demo_budget() };
    let mut order = Order { metrics: Vec::new(), budget: Some(budget), routed: true, ..order() };
    let mut provider = gauge::twice();
    for number in 0..compared {
        let name = name("errors", number);
        let [canary, control] = rates.map(|rate| (rate, rate / 10.0));
        provider.series.extend(traffic(&name, canary, control).series);
        order.metrics.push(errors_metric(&name));
    }
    for number in 0..by_boundaries {
        order.metrics.push(of_many_boundaries(&name("latency", number), rates, &mut provider));
    }
    for number in 0..gauges {
        let gauge = Some(GaugeMetric { query: gauge::MEMORY.into() });
        order.metrics.push(Metric { name: name("gauge", number), gauge, ..Metric::default() });
    }
    provider.values.insert("success_rate".into(), vec![0.995_123_456_789_012]);
    let thresholds = (0..thresholds).map(|number| Metric { name: name("threshold", number), ..threshold(1_000) });
    order.metrics.extend(thresholds);
    (order, provider)
}

/// A record after more windows than one keeps, with all the rest as long as it can be.
fn written(mut order: Order, provider: &Fake) -> EvidenceRecord {
    let stretch = |at: i64| StretchRecord {
        from: START + at,
        until: Some(START + at),
        weight: "99.999".parse().unwrap(),
        settled_at: START + at,
        pods_started_at: Some(START + at),
    };
    let mut record = until(&mut order, provider, 400, never).1.record;
    record.stretches = (0..64).map(stretch).collect();
    record.message = "m".repeat(484);
    record.power_insufficient = Some("p".repeat(400));
    record
}

/// Windows that the metrics keep, the fewest and the most.
fn kept(order: &Order, record: &EvidenceRecord) -> (u64, u64) {
    let replays: Vec<_> = replay(order, record).into_iter().filter(|replay| replay.fail_evidence.is_some()).collect();
    assert!(replays.iter().all(Replay::is_identical), "{replays:?}");
    let windows = || replays.iter().map(|replay| replay.windows);
    (windows().min().unwrap(), windows().max().unwrap())
}

#[test]
fn the_evidence_of_any_twelve_metrics_fits_its_room_and_what_is_kept_replays() {
    for (kinds, rates, fewest) in [
        ([9, 3, 0, 0], MANY, 2),
        ([9, 3, 0, 0], FEW, 5),
        ([12, 0, 0, 0], MANY, 9),
        ([12, 0, 0, 0], FEW, 20),
        ([1, 3, 4, 4], MANY, 64),
        ([6, 0, 3, 3], MANY, 64),
        ([1, 0, 0, 0], MANY, 64),
    ] {
        let (order, provider) = of_kinds(kinds, rates);
        let record = written(order.clone(), &provider);
        let size = serde_json::to_string(&record).unwrap().len();
        assert!(size <= MAX_EVIDENCE_BYTES, "{kinds:?}: {size} bytes");
        let (least, most) = kept(&order, &record);
        assert!(least >= fewest && most <= 64, "{kinds:?}: {least} to {most} windows");
        assert_eq!(misstated(&order, &record), None, "{kinds:?}");
        assert_eq!(record.metrics.len(), kinds.iter().sum::<usize>());
    }
}
