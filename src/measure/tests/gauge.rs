//! Gauges: values of both arms every 15 s, and everything that can be wrong with them.

use super::*;
use crate::{api::GaugeMetric, stats::Missed};

pub const MEMORY: &str = r#"sum(memory{revision="{{ revision }}"})"#;

fn query(revision: &str) -> String {
    MEMORY.replace("{{ revision }}", revision)
}

fn memory() -> Metric {
    Metric { name: "memory".into(), gauge: Some(GaugeMetric { query: MEMORY.into() }), ..Metric::default() }
}

/// At one weight from 30 s before the first whole block.
fn with_gauge(metrics: Vec<Metric>) -> Order {
    Order { metrics, run_started_at: grid() - 60, settled_at: grid() - 30, ..order() }
}

/// Where blocks of both lengths begin.
fn grid() -> i64 {
    START / 120 * 120
}

/// Values from an hour before until long after, with noise of a few percent.
fn values(value: impl Fn(i64) -> f64) -> Vec<Series> {
    let noise = |at: i64| 1.0 + 0.05 * ((at / 60 * 7_919 % 13) as f64 / 6.0 - 1.0);
    let samples = (grid() - 3_600..grid() + 7_200).step_by(15).map(|at| (at * 1_000, value(at) * noise(at))).collect();
    vec![Series { samples, ..Series::default() }]
}

fn of_arms(canary: Vec<Series>, control: Vec<Series>) -> Fake {
    Fake { series: [(query("abc"), canary), (query("def"), control)].into(), ..Fake::default() }
}

pub fn twice() -> Fake {
    of_arms(values(|at| 2e8 + (at % 7) as f64 * 1e6), values(|_| 1e8))
}

fn record(view: &EvidenceView) -> crate::api::MetricRecord {
    view.record.metrics["memory"].clone()
}

/// The evaluation at a time after the grid's begin, with the record of the one before.
fn after(order: &mut Order, provider: &Fake, times: impl Iterator<Item = i64>) -> EvidenceView {
    let mut view = None;
    for time in times {
        let found = at(order, provider, grid() - START + time);
        order.previous = Some(serde_json::from_str(&serde_json::to_string(&found.record).unwrap()).unwrap());
        view = Some(found);
    }
    view.unwrap()
}

#[test]
pub fn twice_the_memory_is_reported_and_judges_nothing() {
    let mut order = with_gauge(vec![memory()]);
    let view = after(&mut order, &twice(), (0..1_300).step_by(5));
    check(&view, OPEN, Reason::NoAnalysis);
    let record = record(&view);
    let gauge = record.gauge.clone().unwrap();
    assert_eq!((record.windows_used, record.windows_dropped.len()), (21, 0), "{record:?}");
    assert!((1.9..2.1).contains(&gauge.ratio.parse::<f64>().unwrap()), "{gauge:?}");
    assert!(gauge.evidence.parse::<f64>().unwrap() > 100.0, "{gauge:?}");
    assert_eq!((gauge.tolerated.as_str(), gauge.block_seconds), ("1.1", 60));
}

#[test]
fn beside_metrics_that_judge_it_changes_no_verdict() {
    for (bad, judgement, reason) in
        [(20.0, Judgement::Fail, Reason::WorseThanControl), (0.02, Judgement::Pass, Reason::NonInferior)]
    {
        let mut alone = order();
        let mut both = Order { metrics: vec![errors_metric("errors"), memory()], ..order() };
        let mut provider = traffic("errors", (20.0, bad), (180.0, 0.18));
        let done = |view: &EvidenceView| view.verdict.judgement == Judgement::Fail;
        let (at_alone, expected) = until(&mut alone, &provider, 150, done);
        provider.series.extend(twice().series);
        let (at_both, view) = until(&mut both, &provider, 150, done);
        check(&view, judgement, reason);
        assert_eq!(
            (at_both, &view.verdict, view.record.watermark),
            (at_alone, &expected.verdict, expected.record.watermark)
        );
        // A server that does not answer for the gauge neither.
        provider.faults.push(("memory", WhyNot::TimedOut));
        both.previous = None;
        assert_eq!(until(&mut both, &provider, 150, done).1.verdict, expected.verdict);
    }
}

#[test]
fn a_fail_does_not_wait_for_a_gauge() {
    let mut order = Order { metrics: vec![errors_metric("errors"), memory()], ..order() };
    let mut provider = traffic("errors", (20.0, 20.0), (180.0, 0.18));
    provider.series.extend(twice().series);
    let (_, view) = until(&mut order, &provider, 150, |view| view.verdict.judgement == Judgement::Fail);
    order.previous = Some(view.record.clone());
    let asked = || provider.asked.lock().unwrap().iter().filter(|query| query.contains("memory")).count();
    let before = asked();
    let failed = at(&order, &provider, 400);
    check(&failed, Judgement::Fail, Reason::WorseThanControl);
    assert_eq!((asked(), record(&failed)), (before, record(&view)));
}

#[test]
fn a_restart_at_any_moment_gives_the_same_bits() {
    let provider = twice();
    let whole = after(&mut with_gauge(vec![memory()]), &provider, (0..900).step_by(5));
    for cut in (0..900).step_by(35) {
        let mut order = with_gauge(vec![memory()]);
        let view = after(&mut order, &provider, [cut, 895].into_iter());
        assert_eq!(record(&view), record(&whole), "cut at {cut}");
    }
}

#[test]
fn what_is_missing_or_no_number_is_left_out_with_its_reason() {
    let one = |series: Vec<Series>, at: i64, value: f64| -> Vec<Series> {
        let mut series = series;
        series[0].samples.iter_mut().filter(|(at_ms, _)| *at_ms == (grid() + at) * 1_000).for_each(|one| one.1 = value);
        series
    };
    let gap = |series: Vec<Series>| -> Vec<Series> {
        let mut series = series;
        series[0].samples.retain(|(at_ms, _)| *at_ms != (grid() + 75) * 1_000);
        series
    };
    let flat = || values(|_| 1e8);
    for (canary, control, word) in [
        (one(flat(), 90, f64::NAN), flat(), Missed::NotANumber),
        (flat(), one(flat(), 120, f64::INFINITY), Missed::NotANumber),
        (one(flat(), 105, -9e9), flat(), Missed::NotPositive),
        (gap(flat()), flat(), Missed::CanaryAbsent),
        (flat(), gap(flat()), Missed::ControlAbsent),
        (flat(), vec![], Missed::ControlAbsent),
        ([flat(), flat()].concat(), flat(), Missed::SeveralValues),
    ] {
        let all = control.is_empty() || canary.len() > 1;
        let view = after(&mut with_gauge(vec![memory()]), &of_arms(canary, control), (0..330).step_by(20));
        let record = record(&view);
        let expected = if all { (0, 5) } else { (4, 1) };
        assert_eq!((record.windows_used, record.windows_dropped[word.word()]), expected, "{word:?}: {record:?}");
        assert_eq!(record.windows_dropped.len(), 1);
    }
}

#[test]
fn blocks_around_a_change_of_weight_and_with_one_arm_are_left_out() {
    let mut order = with_gauge(vec![memory()]);
    after(&mut order, &twice(), (0..140).step_by(5));
    (order.settled_at, order.weight) = (grid() + 150, Percent::whole(50));
    let view = after(&mut order, &twice(), (140..260).step_by(5));
    assert_eq!((record(&view).windows_used, record(&view).windows_dropped["settling"]), (3, 1));
    order.weight = Percent::FULL;
    order.settled_at = grid() + 241;
    let view = after(&mut order, &twice(), (260..400).step_by(5));
    assert_eq!((record(&view).windows_used, record(&view).windows_dropped["oneArm"]), (3, 1));
}

#[test]
fn a_server_that_is_away_is_asked_once_a_minute_and_at_last_given_up() {
    let mut provider = twice();
    let mut order = with_gauge(vec![memory()]);
    provider.faults.push(("", WhyNot::TimedOut));
    let view = after(&mut order, &provider, (0..3_000).step_by(5));
    check(&view, OPEN, Reason::NoAnalysis);
    let asked = provider.asked.lock().unwrap().len();
    assert!(asked <= 50, "{asked}");
    assert_eq!(record(&view).gauge.unwrap().canary, "");
    provider.faults.clear();
    let view = after(&mut order, &provider, (3_000..3_100).step_by(5));
    let record = record(&view);
    // What the server has of the last half hour is compared after all.
    assert_eq!((record.windows_used, record.windows_dropped["unavailable"]), (31, 20));
}
