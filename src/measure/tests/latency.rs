//! Latency, with a threshold and without one: buckets that are born, begin anew, break and differ between the arms.

use super::*;
use crate::api::LatencyUnit;

/// A bound and how many requests a second are at or below it.
type Rate = (&'static str, f64);

const STABLE: [Rate; 5] = [("0.1", 90.0), ("0.25", 162.0), ("0.5", 178.2), ("1", 180.0), ("+Inf", 180.0)];
const SAME: [Rate; 5] = [("0.1", 10.0), ("0.25", 18.0), ("0.5", 19.8), ("1", 20.0), ("+Inf", 20.0)];
/// One request in five takes longer than 0.5 s.
const HANGING: [Rate; 5] = [("0.1", 10.0), ("0.25", 16.0), ("0.5", 16.0), ("1", 20.0), ("+Inf", 20.0)];

/// The name of the classic histogram's series.
const NAME: &str = "seconds_bucket";

fn latency(threshold: Option<Span>) -> Metric {
    latency_of(NAME, threshold)
}

pub fn latency_of(name: &str, threshold: Option<Span>) -> Metric {
    let histogram = format!(r#"{name}{{c="{{{{ route.cluster }}}}"}}"#);
    Metric {
        name: "p99".into(),
        latency: Some(LatencyMetric { histogram, threshold, unit: LatencyUnit::Seconds }),
        ..Metric::default()
    }
}

pub fn selector(name: &str, cluster: &str) -> String {
    format!(r#"{name}{{c="{cluster}"}}"#)
}

fn buckets(rates: &[Rate], since: i64) -> Vec<Series> {
    let bucket = |(le, rate): &Rate| {
        let mut series = counter(*rate, since, START + 1_200, since).remove(0);
        series.labels.insert("le".into(), (*le).into());
        series
    };
    rates.iter().map(bucket).collect()
}

/// Stable is there before the run, the canary from its start on.
fn seconds(canary: &[Rate], control: &[Rate]) -> Fake {
    let series = [(CANARY, buckets(canary, START)), (CONTROL, buckets(control, START - 300))];
    Fake { series: series.map(|(cluster, buckets)| (selector(NAME, cluster), buckets)).into(), ..Fake::default() }
}

fn every_boundary() -> Order {
    Order { metrics: vec![latency(None)], ..order() }
}

fn boundaries(view: &EvidenceView) -> usize {
    let fold = view.record.metrics["p99"].fold.as_ref().unwrap();
    // A dot, then 8 bytes each in base64.
    (fold["latency"]["fail"]["boundaries"].as_str().unwrap().len() - 1) * 3 / 4 / 8
}

/// Every 5 s, in one go, and with a restart at each moment: the same.
pub fn check_restarts(order: &Order, provider: &Fake, to: i64) -> EvidenceView {
    let whole = until(&mut order.clone(), provider, to, never).1;
    for cut in (0..to).step_by(5) {
        let mut order = order.clone();
        order.previous = Some(at(&order, provider, cut).record);
        assert_eq!(at(&order, provider, to).record.metrics, whole.record.metrics, "cut at {cut}");
    }
    whole
}

#[test]
fn a_canary_that_hangs_fails_at_the_boundary_where_it_hangs() {
    let done = |view: &EvidenceView| view.verdict.judgement == Judgement::Fail;
    let (now, view) = until(&mut every_boundary(), &seconds(&HANGING, &STABLE), 300, done);
    check(&view, Judgement::Fail, Reason::WorseThanControl);
    let said = "requests of the canary were above the boundary 0.5, ";
    assert!(view.verdict.message.contains(said) && now <= 60, "{now} s: {}", view.verdict.message);
    let record = &view.record.metrics["p99"];
    assert_eq!(record.canary_bad * 5, record.canary_total);
    assert_eq!(record.control_bad * 100, record.control_total);
    let tests = record.tests.as_ref().unwrap();
    // At 1 s stable has no tail, and at none of the others more than nine in ten.
    assert_eq!((tests.boundary.as_deref(), tests.difference_upper.as_deref()), (Some("0.5, of 3"), None));
}

#[test]
fn a_canary_as_fast_as_stable_passes() {
    let done = |view: &EvidenceView| view.verdict.judgement == Judgement::Pass;
    let (_, view) = until(&mut every_boundary(), &seconds(&SAME, &STABLE), 1_000, done);
    check(&view, Judgement::Pass, Reason::NonInferior);
}

#[test]
fn births_restarts_and_broken_buckets_give_the_same_at_any_cadence() {
    let mut provider = seconds(&SAME, &STABLE);
    // Born while the run is under way; its target, the proxy, was scraped before.
    provider.series.insert(selector(NAME, CANARY), buckets(&SAME, START + 43));
    let control = provider.series.get_mut(&selector(NAME, CONTROL)).unwrap();
    for bucket in control.iter_mut() {
        let begun = bucket.samples.iter().find(|(at_ms, _)| *at_ms > (START + 60) * 1_000).map_or(0.0, |one| one.1);
        let again = |(at_ms, value): &mut (i64, f64)| {
            if *at_ms > (START + 60) * 1_000 {
                *value += 1.0 - begun;
            }
        };
        bucket.samples.iter_mut().for_each(again);
    }
    control[1]
        .samples
        .iter_mut()
        .filter(|(at, _)| (80..87).contains(&(*at / 1_000 - START)))
        .for_each(|one| one.1 = -1.0);
    let view = check_restarts(&every_boundary(), &provider, 120);
    let record = &view.record.metrics["p99"];
    // From 43 s, when the canary's counters are born, to 107 s, the last scrape of the windows to 110 s.
    assert_eq!((record.canary_total, boundaries(&view)), (20 * 64, 3));
    // 20 windows from 10 s on; the one without a usable scrape is merged with the next.
    assert_eq!(record.windows_used, 19);
    // From 45 s on, but for the 5 s in which the restart was, which show 1 request in each bucket; of the rest 1 in 100 is slow.
    assert_eq!((record.control_bad, record.control_total), (12 * 9, 12 * 900 + 1));
    assert!(view.verdict.judgement == OPEN, "{}", view.verdict.message);
}

#[test]
fn boundaries_come_from_the_hour_before_or_else_from_what_is_there_when_the_canary_begins() {
    // No hour before: stable's counters begin with the run.
    let mut provider = seconds(&SAME, &STABLE);
    provider.series.insert(selector(NAME, CONTROL), buckets(&STABLE, START - 30));
    assert_eq!(boundaries(&check_restarts(&every_boundary(), &provider, 60)), 3);
    // Too few requests to know a tail: all of them.
    let slow = STABLE.map(|(le, rate)| (le, rate / 180.0));
    assert_eq!(
        boundaries(&check_restarts(&every_boundary(), &seconds(&SAME, &slow), 60)),
        3,
        "300 of the minutes before will do"
    );
    provider.series.insert(selector(NAME, CONTROL), buckets(&slow, START));
    assert_eq!(boundaries(&check_restarts(&every_boundary(), &provider, 60)), 4);
    // A service that is faster than every bucket.
    let fast = STABLE.map(|(le, _)| (le, 180.0));
    assert_eq!(boundaries(&check_restarts(&every_boundary(), &seconds(&SAME, &fast), 60)), 4);
}

#[test]
fn nothing_is_compared_before_the_canary_has_requests() {
    let mut provider = seconds(&[], &STABLE);
    let view = until(&mut every_boundary(), &provider, 60, never).1;
    check(&view, HOLD, Reason::NoCanaryTraffic);
    assert_eq!(boundaries(&view), 0);
    let mut order = every_boundary();
    order.previous = Some(view.record);
    provider.series.insert(selector(NAME, CANARY), buckets(&[("0.5", 19.8), ("2", 20.0), ("+Inf", 20.0)], START + 58));
    let view = at(&order, &provider, 90);
    let tests = view.record.metrics["p99"].tests.clone().unwrap();
    assert_eq!(tests.boundary.as_deref(), Some("0.5, of 1"), "the only one that both have");
    check(&view, OPEN, Reason::InsufficientEvidence);
}

#[test]
fn a_boundary_that_goes_away_holds_and_is_named() {
    let mut provider = seconds(&SAME, &STABLE);
    let mut order = every_boundary();
    order.previous = Some(until(&mut order, &provider, 60, never).1.record);
    provider.series.get_mut(&selector(NAME, CONTROL)).unwrap().remove(1);
    let view = until(&mut order, &provider, 120, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    assert!(view.verdict.message.contains("the boundary 0.25, which"), "{}", view.verdict.message);
    let mut order = every_boundary();
    let apart = seconds(&[("0.2", 19.0), ("+Inf", 20.0)], &STABLE);
    let view = until(&mut order, &apart, 120, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    assert!(view.verdict.message.contains("no bucket boundary in common"), "{}", view.verdict.message);
}

#[test]
fn a_threshold_above_every_boundary_holds_with_a_sentence() {
    let mut order = Order { metrics: vec![latency(Some(Span::seconds(5)))], ..order() };
    let view = until(&mut order, &seconds(&SAME, &STABLE), 120, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    let said =
        "the threshold 5s is above every bucket boundary that the canary and stable share, of which 1 s is the largest";
    assert!(view.verdict.message.contains(said), "{}", view.verdict.message);
}

/// A metric without a threshold and its histograms, with more boundaries than are compared.
pub fn of_many_boundaries(name: &str, [canary, control]: [f64; 2], provider: &mut Fake) -> Metric {
    const BOUNDS: [&str; 15] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    for (cluster, all, since) in [(CANARY, canary, START), (CONTROL, control, START - 300)] {
        let mut rates: Vec<Rate> =
            BOUNDS.iter().zip(0..).map(|(le, at)| (*le, all * (0.3 + 0.04 * f64::from(at)))).collect();
        rates.push(("+Inf", all));
        provider.series.insert(format!(r#"{name}_bucket{{c="{cluster}"}}"#), buckets(&rates, since));
    }
    let histogram = format!(r#"{name}_bucket{{c="{{{{ route.cluster }}}}"}}"#);
    let latency = LatencyMetric { histogram, threshold: None, ..LatencyMetric::default() };
    Metric { name: name.into(), latency: Some(latency), ..Metric::default() }
}

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
        let snapped = if unit == LatencyUnit::Seconds { "0.25 s" } else { "250 ms" };
        assert_eq!(record.threshold, Some(format!("200ms, snapped up to {snapped}")));
        // Between two windows nothing is read, and nothing forgotten.
        assert_eq!(at(&order, &provider, 66).record.metrics["p99"].threshold, record.threshold);
    }
}
