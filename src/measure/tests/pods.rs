//! Metrics of the pods themselves: each arm has targets of its own, and pods come and go.

use super::*;

const START_POD: i64 = START - 100;

/// A pod's counter, scraped every 5 s, that has grown by 10 a second since `since`, over some time.
fn pod(name: &str, since: i64, scraped: std::ops::Range<i64>) -> Series {
    let labels = [("job", "app"), ("instance", name), ("pod", name)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let samples = scraped.step_by(5).map(|at| (at * 1_000, 10.0 * (at - since) as f64)).collect();
    Series { labels: labels.into(), samples, ..Series::default() }
}

fn pods_order() -> Order {
    let selector = |name: &str| format!(r#"{name}{{pod=~"{{{{ pods }}}}"}}"#);
    let ratio = RatioMetric { bad: Some(selector("bad")), good: None, total: selector("all") };
    Order { metrics: vec![Metric { name: "errors".into(), ratio: Some(ratio), ..Metric::default() }], ..order() }
}

fn pods(canary: Vec<Series>) -> Fake {
    let control = pod("checkout-def-s1", START_POD, START_POD..START + 600);
    let series = [(r#"all{pod=~"checkout-abc-.*"}"#, canary), (r#"all{pod=~"checkout-def-.*"}"#, vec![control])];
    let series = series.into_iter().map(|(selector, series)| (selector.to_owned(), series)).collect();
    Fake { series, ..Fake::default() }
}

#[test]
fn an_arm_is_idle_only_if_its_own_pods_were_scraped() {
    let mut provider = pods(vec![]);
    check(&until(&mut pods_order(), &provider, 120, never).1, HOLD, Reason::MetricsUnavailable);
    let mut up = pod("checkout-abc-c1", START, START..START + 600);
    up.samples.iter_mut().for_each(|(_, value)| *value = 1.0);
    provider.series.insert(r#"up{pod=~"checkout-abc-.*"}"#.into(), vec![up]);
    let view = until(&mut pods_order(), &provider, 25, never).1;
    check(&view, OPEN, Reason::InsufficientEvidence);
    check(&until(&mut pods_order(), &provider, 120, never).1, HOLD, Reason::NoCanaryTraffic);
}

#[test]
fn other_pods_that_are_scraped_do_not_stand_in_for_an_arm_that_is_not() {
    let selector = |name: &str| format!(r#"{name}{{namespace="shop",revision="{{{{ revision }}}}"}}"#);
    let ratio = RatioMetric { bad: Some(selector("bad")), good: None, total: selector("all") };
    let begin = || Order {
        metrics: vec![Metric { name: "errors".into(), ratio: Some(ratio.clone()), ..Metric::default() }],
        ..order()
    };
    let up = |name: &str| {
        let mut up = pod(name, START, START..START + 600);
        up.samples.iter_mut().for_each(|(_, value)| *value = 1.0);
        up
    };
    let stable = pod("checkout-def-s1", START_POD, START_POD..START + 600);
    let scraped = |stable: Vec<Series>, targets: &[&str]| Fake {
        series: [
            (r#"all{namespace="shop",revision="def"}"#.to_owned(), stable),
            (r#"up{namespace="shop"}"#.to_owned(), targets.iter().map(|name| up(name)).collect()),
        ]
        .into(),
        ..Fake::default()
    };
    let others = ["checkout-def-s1", "cart-abc-1"];
    let provider = scraped(vec![stable.clone()], &others);
    check(&until(&mut begin(), &provider, 120, never).1, HOLD, Reason::MetricsUnavailable);
    let provider = scraped(vec![], &["cart-abc-1"]);
    check(&until(&mut begin(), &provider, 120, never).1, HOLD, Reason::MetricsUnavailable);
    let provider = scraped(vec![stable], &["checkout-def-s1", "checkout-abc-c1"]);
    check(&until(&mut begin(), &provider, 25, never).1, OPEN, Reason::InsufficientEvidence);
}

#[test]
fn a_pod_that_this_run_makes_later_counts_from_0() {
    let first = pod("checkout-abc-c1", START, START + 2..START + 600);
    let second = pod("checkout-abc-c2", START + 60, START + 62..START + 600);
    let view = until(&mut pods_order(), &pods(vec![first, second]), 105, never).1;
    let record = &view.record.metrics["errors"];
    // Windows from 10 s to 95 s: 17 of 50, and the second pod from 60 s to its scrape at 92 s.
    assert_eq!((record.canary_total, record.control_total), (850 + 320, 850));
}

#[test]
fn a_pod_that_comes_back_after_a_long_gap_is_not_counted_again() {
    let whole = pod("checkout-abc-c1", START, START + 2..START + 600);
    let mut away = pod("checkout-abc-c2", START, START + 2..START + 600);
    away.samples.retain(|(at_ms, _)| !(START + 20..START + 90).contains(&(at_ms / 1_000)));
    let mut provider = pods(vec![whole, away]);
    provider.seen_pods = vec!["checkout-abc-c1", "checkout-abc-c2"];
    let view = until(&mut pods_order(), &provider, 115, never).1;
    let record = &view.record.metrics["errors"];
    // The first pod to its scrape at 102 s; the second to 17 s, and from 92 s on.
    assert_eq!(record.canary_total, 950 + 100 + 100);
}
