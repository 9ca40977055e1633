//! Whole evaluations against a fake metrics server that holds counters.

mod baseline;
mod burn;
mod contradiction;
mod fake;
mod figures;
mod gauge;
mod latency;
mod native;
mod pods;
mod record;
mod replay;

use std::collections::BTreeMap;

use futures::FutureExt;

use fake::Fake;

use super::*;
use crate::{
    api::{ErrorBudget, Judging, LatencyMetric, Metric, Percent, RatioMetric, Reason, Span, ThresholdMetric},
    engine::EvidenceView,
    stats::Judgement,
};

const START: i64 = 1_700_000_000 / 15 * 15;
const HOLD: Judgement = Judgement::Undecided { hold: true };
const OPEN: Judgement = Judgement::Undecided { hold: false };

/// A counter on the proxy, scraped every 5 s at second 2, that grows by `rate` a second between two times.
fn counter(rate: f64, from: i64, to: i64, born_at: i64) -> Vec<Series> {
    let labels = [("job", "envoy"), ("instance", "10.0.0.1:8002")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let value = |at: i64| (rate * (at.clamp(from, to) - from) as f64).round();
    let scrapes = (START - 300 + 2..START + 1_200).step_by(5).filter(|at| *at >= born_at);
    vec![Series {
        labels: labels.into(),
        samples: scrapes.map(|at| (at * 1_000, value(at))).collect(),
        ..Series::default()
    }]
}

fn errors_metric(name: &str) -> Metric {
    let ratio = RatioMetric {
        bad: Some(format!(r#"{name}_bad{{c="{{{{ route.cluster }}}}"}}"#)),
        good: None,
        total: format!(r#"{name}_all{{c="{{{{ route.cluster }}}}"}}"#),
    };
    Metric { name: name.into(), ratio: Some(ratio), ..Metric::default() }
}

const CANARY: &str = "shop_checkout-abc_80";
const CONTROL: &str = "shop_checkout_80";

/// Counters of both arms: (rate of all, rate of bad) for canary and control, from the run's start on.
fn traffic(name: &str, canary: (f64, f64), control: (f64, f64)) -> Fake {
    let (from, to) = (START, START + 1_200);
    let mut series = BTreeMap::new();
    for (cluster, (all, bad), since) in [(CANARY, canary, from), (CONTROL, control, START - 300)] {
        series.insert(format!(r#"{name}_all{{c="{cluster}"}}"#), counter(all, since, to, since));
        if bad > 0.0 {
            // A counter of errors is born at the first error.
            series.insert(format!(r#"{name}_bad{{c="{cluster}"}}"#), counter(bad, since, to, since + 1));
        }
    }
    Fake { series, ..Fake::default() }
}

fn order() -> Order {
    let names = |service: &str, revision: &str| ArmNames { service: service.into(), revision: revision.into() };
    Order {
        seq: 7,
        namespace: "shop".into(),
        rollout: "checkout".into(),
        metrics: vec![errors_metric("errors")],
        canary: names("checkout-abc", "abc"),
        stable: names("checkout", "def"),
        port: 80,
        weight: Percent::whole(10),
        settled_at: START,
        run_started_at: START - 20,
        scrape_interval: Span::seconds(5),
        ..Order::default()
    }
}

fn demo_budget() -> ErrorBudget {
    ErrorBudget {
        objective: "99.9".parse().unwrap(),
        max_spend: Some("0.02".parse().unwrap()),
        expected_requests: Some(518_400_000),
        ..ErrorBudget::default()
    }
}

/// With the demo's budget, and tests that take their time.
fn patient(order: Order) -> Order {
    let judging = Judging { confirm_windows: Some(10), ..Judging::default() };
    Order { budget: Some(demo_budget()), judging, ..order }
}

/// A fake answers at once: a future that waits would be a defect.
fn at(order: &Order, provider: &Fake, now: i64) -> EvidenceView {
    evaluate(order, provider, START + now).now_or_never().unwrap()
}

/// Evaluate every 5 s, the record passed on as JSON as the shell does.
fn until(order: &mut Order, provider: &Fake, to: i64, done: impl Fn(&EvidenceView) -> bool) -> (i64, EvidenceView) {
    let mut now = 0;
    loop {
        let view = at(order, provider, now);
        if done(&view) || now >= to {
            return (now, view);
        }
        let text = serde_json::to_string(&view.record).unwrap();
        order.previous = Some(serde_json::from_str(&text).unwrap());
        now += 5;
    }
}

fn check(view: &EvidenceView, judgement: Judgement, reason: Reason) {
    assert_eq!((view.verdict.judgement, view.verdict.reason), (judgement, reason), "{}", view.verdict.message);
}

fn never(_: &EvidenceView) -> bool {
    false
}

#[test]
fn a_canary_that_spends_the_allowance_fails_within_30_s_of_windows() {
    let mut order = patient(order());
    let provider = traffic("errors", (20.0, 4.0), (180.0, 0.18));
    let (now, view) = until(&mut order, &provider, 120, |view| view.verdict.judgement == Judgement::Fail);
    check(&view, Judgement::Fail, Reason::BudgetSpent);
    assert!(view.verdict.message.contains("spent an allowance of 104 (0.02 % of 518400 = 0.1 % of 518400000 requests"));
    let record = &view.record.metrics["errors"];
    assert!(record.windows_used * 5 <= 30, "{} windows", record.windows_used);
    assert!(now <= 10 + 30 + 7 + 5, "settle, windows, ingest delay and one pass: {now} s");
    let spend = view.record.spend.as_ref().unwrap();
    assert_eq!((spend.allowance, spend.expected_requests, spend.extrapolated), (104, 518_400_000, false));
    assert!(spend.excess_hundredths >= 10_368 && spend.gross >= 104);
}

#[test]
fn a_good_canary_is_undecided_with_its_counts_and_does_not_hold() {
    let mut order = Order { budget: Some(demo_budget()), ..order() };
    let provider = traffic("errors", (20.0, 0.02), (180.0, 0.18));
    let (_, view) = until(&mut order, &provider, 120, never);
    check(&view, OPEN, Reason::InsufficientEvidence);
    assert_eq!(view.seq, 7);
    let record = &view.record.metrics["errors"];
    assert_eq!((record.canary_total, record.control_total), (2_000, 18_000));
    assert_eq!((record.windows_used, record.windows_dropped["settling"]), (20, 6));
    assert!(view.verdict.message.contains("of 2000 requests of the canary were bad"), "{}", view.verdict.message);
}

#[test]
fn a_restart_at_any_moment_changes_nothing() {
    let provider = traffic("errors", (20.0, 2.0), (180.0, 0.9));
    let begin = || Order { budget: Some(demo_budget()), ..order() };
    let (_, whole) = until(&mut begin(), &provider, 60, never);
    // One evaluation at the end, with nothing but the record of one at 20 s.
    let mut late = begin();
    let early = at(&late, &provider, 20);
    late.previous = Some(early.record);
    let view = at(&late, &provider, 60);
    assert_eq!(view.record.metrics, whole.record.metrics);
    assert_eq!(view.record.spend, whole.record.spend);
    // An evaluation twice at the same time consumes nothing twice.
    late.previous = Some(view.record.clone());
    assert_eq!(at(&late, &provider, 60).record.metrics, view.record.metrics);
}

#[test]
fn after_a_long_absence_no_answer_has_too_many_samples_and_the_next_looks_go_on() {
    // 16 windows, and 7 in which an increment may have begun.
    let provider = Fake { longest: Some(23 * 5), ..traffic("errors", (20.0, 0.02), (180.0, 0.18)) };
    let whole = until(&mut order(), &provider, 800, never).1;
    let mut late = order();
    late.previous = Some(at(&late, &provider, 20).record);
    let view = at(&late, &provider, 800);
    // 8 requests, each for 16 windows.
    assert_eq!(view.record.watermark - START, 10 + 8 * 16 * 5);
    check(&view, HOLD, Reason::MetricsUnavailable);
    assert!(view.verdict.message.contains("are still being read"), "{}", view.verdict.message);
    late.previous = Some(view.record);
    let view = at(&late, &provider, 800);
    assert_eq!(view.record.metrics, whole.record.metrics);
    assert_eq!(view.verdict, whole.verdict);
}

#[test]
fn the_first_error_counts_although_its_counter_is_born_with_it() {
    let mut provider = traffic("errors", (20.0, 0.0), (180.0, 0.0));
    let mut born = counter(0.0, 0, 0, START + 40);
    born[0].samples.iter_mut().for_each(|(_, value)| *value = 5.0);
    provider.series.insert(format!(r#"errors_bad{{c="{CANARY}"}}"#), born);
    let (_, view) = until(&mut order(), &provider, 90, never);
    assert_eq!(view.record.metrics["errors"].canary_bad, 5);
}

#[test]
fn without_a_metrics_server_it_warms_up_and_then_holds_for_the_whole_bake() {
    for (why, words) in [
        (WhyNot::Unreachable, "failed to reach the metrics server"),
        (WhyNot::NotJson, "not JSON"),
        (WhyNot::Warnings, "may not be complete"),
    ] {
        let provider = Fake { faults: vec![("", why)], ..traffic("errors", (20.0, 0.0), (180.0, 0.0)) };
        let mut order = order();
        let (_, view) = until(&mut order, &provider, 45, never);
        check(&view, HOLD, Reason::Warmup);
        let (_, view) = until(&mut order, &provider, 600, never);
        check(&view, HOLD, Reason::MetricsUnavailable);
        assert!(view.verdict.message.contains(words), "{}", view.verdict.message);
    }
}

#[test]
fn metrics_that_go_away_hold_after_the_grace_and_come_back() {
    let (mut order, good) = (order(), traffic("errors", (20.0, 0.0), (180.0, 0.0)));
    let (_, view) = until(&mut order, &good, 60, never);
    order.previous = Some(view.record);
    let away = Fake { faults: vec![("", WhyNot::TimedOut)], ..Fake::default() };
    check(&at(&order, &away, 80), OPEN, Reason::InsufficientEvidence);
    check(&at(&order, &away, 95), HOLD, Reason::MetricsUnavailable);
    let view = at(&order, &good, 95);
    check(&view, OPEN, Reason::InsufficientEvidence);
    assert_eq!(view.record.metrics["errors"].canary_total, 1_500, "nothing was lost");
}

#[test]
fn one_metric_without_an_answer_does_not_lose_the_others() {
    let mut order = patient(order());
    order.metrics.push(errors_metric("other"));
    let faults = vec![("other_", WhyNot::TimedOut)];
    let provider = Fake { faults, ..traffic("errors", (20.0, 4.0), (180.0, 0.18)) };
    let (_, view) = until(&mut order, &provider, 120, |view| view.verdict.judgement == Judgement::Fail);
    check(&view, Judgement::Fail, Reason::BudgetSpent);
    assert_eq!(view.record.metrics["other"].windows_used, 0);
}

#[test]
fn a_nan_is_covered_by_the_next_increment() {
    let mut provider = traffic("errors", (20.0, 0.0), (180.0, 0.0));
    let all = provider.series.get_mut(&format!(r#"errors_all{{c="{CANARY}"}}"#)).unwrap();
    for (at_ms, value) in &mut all[0].samples {
        if (START + 30..START + 40).contains(&(*at_ms / 1_000)) {
            *value = f64::NAN;
        }
    }
    let (_, view) = until(&mut order(), &provider, 90, never);
    let record = &view.record.metrics["errors"];
    assert_eq!((record.canary_total, record.control_total, record.windows_used), (1_400, 12_600, 12));
}

#[test]
fn late_samples_are_never_counted_twice() {
    let whole = traffic("errors", (20.0, 0.0), (180.0, 0.0));
    let mut partial = traffic("errors", (20.0, 0.0), (180.0, 0.0));
    for series in partial.series.values_mut() {
        series[0].samples.retain(|(at_ms, _)| *at_ms < (START + 40) * 1_000);
    }
    let mut order = order();
    let (_, view) = until(&mut order, &partial, 60, never);
    assert_eq!(view.record.metrics["errors"].canary_total, 600);
    order.previous = Some(view.record);
    let view = at(&order, &whole, 60);
    assert_eq!(view.record.metrics["errors"].canary_total, 800);
    order.previous = Some(view.record);
    assert_eq!(at(&order, &whole, 65).record.metrics["errors"].canary_total, 900);
}

#[test]
fn a_change_of_weight_drops_windows_and_keeps_what_was_counted() {
    let (mut order, provider) = (order(), traffic("errors", (20.0, 0.0), (180.0, 0.0)));
    let (_, view) = until(&mut order, &provider, 57, never);
    order.previous = Some(view.record);
    (order.settled_at, order.weight, order.seq) = (START + 60, Percent::whole(50), 8);
    let view = at(&order, &provider, 72);
    check(&view, HOLD, Reason::Warmup);
    assert_eq!(view.record.metrics["errors"].canary_total, 800);
    order.previous = Some(view.record);
    let view = at(&order, &provider, 102);
    let record = &view.record.metrics["errors"];
    // Windows to 50 s, and from 70 s (settled) to 95 s.
    assert_eq!((record.canary_total, record.windows_dropped["settling"]), (1_300, 6 + 4));
    assert_eq!(view.seq, 8);
}

#[test]
fn no_traffic_holds_only_where_some_was_expected() {
    let quiet = traffic("errors", (0.0, 0.0), (0.0, 0.0));
    check(&until(&mut order(), &quiet, 120, never).1, OPEN, Reason::InsufficientEvidence);
    let lost = traffic("errors", (0.0, 0.0), (180.0, 0.0));
    check(&until(&mut order(), &lost, 120, never).1, HOLD, Reason::NoCanaryTraffic);
    let mut unseen = traffic("errors", (0.0, 0.0), (180.0, 0.0));
    unseen.series.retain(|selector, _| selector.contains(CONTROL));
    check(&until(&mut order(), &unseen, 120, never).1, HOLD, Reason::NoCanaryTraffic);
    check(&until(&mut order(), &Fake::default(), 120, never).1, HOLD, Reason::MetricsUnavailable);
}

#[test]
fn in_the_soak_the_budget_measures_against_the_ratio_before() {
    let mut provider = traffic("errors", (200.0, 2.0), (0.0, 0.0));
    provider.series.retain(|selector, _| selector.contains(CANARY));
    let hour = |metric: &str| format!("sum(increase({metric}{{c=\"{CONTROL}\"}}\n[3600s]))");
    provider.values.insert(hour("errors_all"), vec![1_000.0]);
    provider.values.insert(hour("errors_bad"), vec![10.0]);
    let mut order = Order { budget: Some(demo_budget()), weight: Percent::FULL, ..order() };
    let (_, view) = until(&mut order, &provider, 90, never);
    check(&view, OPEN, Reason::InsufficientEvidence);
    let spend = view.record.spend.unwrap();
    assert!(spend.gross > 100 && spend.excess_hundredths.abs() < 500, "{spend:?}");
    provider.values.clear();
    order.previous = None;
    check(&until(&mut order, &provider, 90, never).1, Judgement::Fail, Reason::BudgetSpent);
}

#[test]
fn expected_requests_are_measured_once() {
    let budget = ErrorBudget { expected_requests: None, ..demo_budget() };
    let begin = || Order { budget: Some(budget.clone()), ..order() };
    let mut provider = traffic("errors", (20.0, 0.0), (180.0, 0.0));
    provider.values.insert("[300s]".into(), vec![60_000.0]);
    let (_, view) = until(&mut begin(), &provider, 60, never);
    let spend = view.record.spend.unwrap();
    assert_eq!((spend.expected_requests, spend.extrapolated), (518_400_000, true));
    let asked = provider.asked.lock().unwrap().iter().filter(|query| query.contains("[300s]")).count();
    assert_eq!(asked, 1);
    // A day of data is enough to scale.
    provider.values.insert("[3600s] offset 82800s".into(), vec![1.0]);
    provider.values.insert("[86400s]".into(), vec![17_280_000.0]);
    let spend = until(&mut begin(), &provider, 60, never).1.record.spend.unwrap();
    assert_eq!((spend.expected_requests, spend.extrapolated), (518_400_000, false));
    provider.faults.push(("increase", WhyNot::TimedOut));
    let view = until(&mut begin(), &provider, 60, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    assert!(view.verdict.message.contains("failed to measure expectedRequests"), "{}", view.verdict.message);
}

fn threshold(count: u32) -> Metric {
    let threshold = ThresholdMetric {
        query: r#"success_rate{revision="{{ revision }}"}"#.into(),
        success: Some(">= 0.99".into()),
        interval: Some(Span::seconds(10)),
        count: Some(count),
        ..ThresholdMetric::default()
    };
    Metric { name: "rate".into(), threshold: Some(threshold), ..Metric::default() }
}

#[test]
fn thresholds_pass_fail_or_have_no_evidence() {
    let answer = |values: &[f64]| {
        let values = BTreeMap::from([(r#"success_rate{revision="abc"}"#.to_owned(), values.to_vec())]);
        Fake { values, ..Fake::default() }
    };
    let begin = || Order { metrics: vec![threshold(2)], ..order() };
    for (values, to, judgement, reason) in [
        (&[0.995][..], 5, HOLD, Reason::Warmup),
        (&[0.995], 15, OPEN, Reason::InsufficientEvidence),
        (&[0.995], 20, Judgement::Pass, Reason::ThresholdsPassed),
        (&[0.5], 20, Judgement::Fail, Reason::ThresholdFailed),
        (&[f64::NAN], 20, HOLD, Reason::Warmup),
        (&[f64::NAN], 60, HOLD, Reason::MetricsUnavailable),
        (&[], 60, HOLD, Reason::MetricsUnavailable),
        (&[0.995, 0.999], 60, HOLD, Reason::MetricsUnavailable),
    ] {
        let view = until(&mut begin(), &answer(values), to, never).1;
        check(&view, judgement, reason);
    }
    let html = Fake { faults: vec![("", WhyNot::NotJson)], ..Fake::default() };
    check(&until(&mut begin(), &html, 60, never).1, HOLD, Reason::MetricsUnavailable);
    let mut order = begin();
    order.previous = Some(until(&mut begin(), &answer(&[0.995]), 30, never).1.record);
    order.settled_at = START + 40;
    check(&at(&order, &answer(&[0.995]), 45), HOLD, Reason::Warmup);
}

#[test]
fn arms_that_cannot_be_told_apart_give_no_evidence() {
    let mut order = order();
    order.metrics[0].ratio.as_mut().unwrap().total = r#"errors_all{job="envoy"}"#.into();
    let view = until(&mut order, &traffic("errors", (20.0, 0.0), (180.0, 0.0)), 120, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    assert!(view.verdict.message.contains("both arms select the same series"));
}
