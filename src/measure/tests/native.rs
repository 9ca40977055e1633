//! Native histograms: standard and custom buckets, arms of different schemas, and everything that breaks off in between.

use super::{
    latency::{check_restarts, latency_of, selector},
    *,
};
use crate::measure::{NativeBucket, NativeSample};

/// How long requests take, in seconds, and how many of them there are a second.
type Mix = [(f64, f64); 4];

const SAME: Mix = [(0.09, 10.0), (0.2, 8.0), (0.4, 1.8), (0.8, 0.2)];
const STABLE: Mix = [(0.09, 90.0), (0.2, 72.0), (0.4, 16.2), (0.8, 1.8)];
/// One in five hangs.
const HANGING: Mix = [(0.09, 10.0), (0.2, 6.0), (0.4, 0.0), (0.8, 4.0)];

/// The standard bucket that holds a value.
fn standard(schema: i32) -> impl Fn(f64) -> (f64, f64) {
    let to_doubling = f64::from(schema).exp2();
    move |value| {
        let step = (value.log2() * to_doubling).ceil();
        (((step - 1.0) / to_doubling).exp2(), (step / to_doubling).exp2())
    }
}

/// The custom bucket that holds a value.
fn custom(bounds: &[f64]) -> impl Fn(f64) -> (f64, f64) {
    let bounds = [&[f64::NEG_INFINITY], bounds, &[f64::INFINITY]].concat();
    move |value| {
        let end = bounds.iter().position(|bound| value <= *bound).unwrap();
        (bounds[end - 1], bounds[end])
    }
}

/// A series that begins at 0 at a time, scraped as counters are.
fn histogram(mix: &Mix, since: i64, bucket_of: impl Fn(f64) -> (f64, f64)) -> Series {
    let sample = |at: i64| {
        let mut buckets: Vec<NativeBucket> = Vec::new();
        for (value, rate) in mix {
            let ((lower, upper), count) = (bucket_of(*value), (rate * (at - since) as f64).round());
            match buckets.last_mut().filter(|last| last.upper == upper) {
                Some(last) => last.count += count,
                None => buckets.push(NativeBucket { lower, upper, count }),
            }
        }
        buckets.retain(|bucket| bucket.count > 0.0);
        let count = buckets.iter().map(|bucket| bucket.count).sum();
        NativeSample { at_ms: at * 1_000, count, buckets }
    };
    let labels = counter(0.0, 0, 0, 0).remove(0).labels;
    let scrapes = (START - 300 + 2..START + 1_200).step_by(5).filter(|at| *at >= since);
    Series { labels, histograms: scrapes.map(sample).collect(), ..Series::default() }
}

const NAME: &str = "seconds";

fn of_arms(canary: Series, control: Series) -> Fake {
    let series = [(CANARY, canary), (CONTROL, control)].map(|(arm, series)| (selector(NAME, arm), vec![series]));
    Fake { series: series.into(), ..Fake::default() }
}

fn with(threshold: Option<u64>) -> Order {
    Order { metrics: vec![latency_of(NAME, threshold.map(Span::millis))], ..order() }
}

/// Bad requests of the canary and of the control, and the threshold in words, of ten windows.
fn counted(threshold: u64, canary: Series, control: Series) -> (u64, u64, String) {
    let view = until(&mut with(Some(threshold)), &of_arms(canary, control), 70, never).1;
    let record = &view.record.metrics["p99"];
    assert_eq!((record.canary_total, record.control_total), (1_000, 9_000), "{}", view.verdict.message);
    (record.canary_bad, record.control_bad, record.threshold.clone().unwrap())
}

fn canary(schema: i32) -> Series {
    histogram(&SAME, START, standard(schema))
}

fn stable(schema: i32) -> Series {
    histogram(&STABLE, START - 300, standard(schema))
}

#[test]
fn a_threshold_is_at_a_boundary_of_the_coarser_schema() {
    for (threshold, schemas, expected) in [
        (250, [3, 3], (100, 900, "250ms")),
        (300, [3, 3], (100, 900, "300ms, snapped up to 0.3242 s")),
        (300, [3, 1], (100, 900, "300ms, snapped up to 0.3536 s")),
        (300, [0, 8], (10, 90, "300ms, snapped up to 0.5 s")),
        (500, [-1, 2], (0, 0, "500ms, snapped up to 1 s")),
        // It is a boundary of every schema.
        (4_000, [-1, 3], (0, 0, "4s")),
    ] {
        let (canary_bad, control_bad, said) = expected;
        let found = counted(threshold, canary(schemas[0]), stable(schemas[1]));
        assert_eq!(found, (canary_bad, control_bad, said.to_owned()), "{threshold} {schemas:?}");
    }
}

#[test]
fn custom_buckets_count_as_classic_ones_do() {
    const BOUNDS: [f64; 4] = [0.1, 0.3, 0.5, 1.0];
    let arms = || [histogram(&SAME, START, custom(&BOUNDS)), histogram(&STABLE, START - 300, custom(&BOUNDS))];
    for (threshold, said, bad) in
        [(300, "300ms", 100), (200, "200ms, snapped up to 0.3 s", 100), (350, "350ms, snapped up to 0.5 s", 10)]
    {
        let [canary, control] = arms();
        assert_eq!(counted(threshold, canary, control), (bad, bad * 9, said.to_owned()));
    }
    // Stable's classic layout has no 0.3: the next that both have is 0.5.
    let [canary, _] = arms();
    let coarse = histogram(&STABLE, START - 300, custom(&[0.1, 0.5, 1.0]));
    assert_eq!(counted(300, canary, coarse).2, "300ms, snapped up to 0.5 s");
    // What is above every boundary cannot be told apart.
    let [canary, control] = [SAME, STABLE].map(|mix| histogram(&mix, START, custom(&[0.1, 0.3])));
    let view = until(&mut with(Some(500)), &of_arms(canary, control), 120, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    let said = "the threshold 500ms is above every bucket boundary that the canary and stable share, of which 0.3 s is";
    assert!(view.verdict.message.contains(said), "{}", view.verdict.message);
}

#[test]
fn without_a_threshold_a_canary_that_hangs_fails_at_a_power_of_two() {
    let hanging = histogram(&HANGING, START, standard(3));
    let provider = of_arms(hanging, stable(2));
    let done = |view: &EvidenceView| view.verdict.judgement == Judgement::Fail;
    let (now, view) = until(&mut with(None), &provider, 300, done);
    check(&view, Judgement::Fail, Reason::WorseThanControl);
    assert!(now <= 60 && view.verdict.message.contains("above the boundary 0.5, "), "{}", view.verdict.message);
    let view = until(&mut with(None), &of_arms(canary(3), stable(3)), 120, never).1;
    check(&view, OPEN, Reason::InsufficientEvidence);
}

/// Born in the run, begun anew, and made coarser by its client, each at another time.
fn eventful() -> Fake {
    let mut of_canary = histogram(&SAME, START + 23, standard(3));
    let coarse = histogram(&SAME, START + 23, standard(1));
    of_canary.histograms.retain(|one| one.at_ms < (START + 70) * 1_000);
    of_canary.histograms.extend(coarse.histograms.into_iter().filter(|one| one.at_ms >= (START + 70) * 1_000));
    let mut of_control = stable(2);
    of_control.histograms.retain(|one| one.at_ms < (START + 50) * 1_000);
    let anew = histogram(&STABLE, START + 50, standard(2));
    of_control.histograms.extend(anew.histograms);
    // One scrape has fewer observations than its buckets.
    of_control.histograms.iter_mut().filter(|one| one.at_ms == (START + 92) * 1_000).for_each(|one| one.count = 1.0);
    of_arms(of_canary, of_control)
}

#[test]
fn births_restarts_coarser_buckets_and_broken_scrapes_give_the_same_at_any_cadence() {
    let provider = eventful();
    for threshold in [Some(250), None] {
        let view = check_restarts(&with(threshold), &provider, 120);
        let record = &view.record.metrics["p99"];
        // From 23 s on, where the proxy that was there before first counts the canary, to 107 s.
        assert_eq!(record.canary_total, 20 * 84, "{threshold:?}");
        // From 7 s on, or else from the canary's first requests on; without the 5 s in which stable began anew, of which 2
        // are counted.
        assert_eq!(record.control_total, 180 * if threshold.is_some() { 97 } else { 82 });
        let ratio = |bad: u64, total: u64| bad as f64 / total as f64;
        let (of_canary, of_control) =
            (ratio(record.canary_bad, record.canary_total), ratio(record.control_bad, record.control_total));
        assert!(
            (of_canary - of_control).abs() < 0.005,
            "{threshold:?} {of_canary} {of_control}: nothing passes for slow"
        );
        assert!([OPEN, Judgement::Pass].contains(&view.verdict.judgement), "{}", view.verdict.message);
    }
}

#[test]
fn histograms_of_two_kinds_are_no_evidence_and_neither_good_nor_bad() {
    let mut provider = of_arms(canary(3), stable(3));
    let mut classic = counter(180.0, START - 300, START + 1_200, START - 300);
    classic[0].labels.insert("le".into(), "+Inf".into());
    for control in [classic.clone(), [vec![stable(3)], classic].concat()] {
        provider.series.insert(selector(NAME, CONTROL), control);
        for threshold in [Some(250), None] {
            let view = until(&mut with(threshold), &provider, 120, never).1;
            check(&view, HOLD, Reason::MetricsUnavailable);
            assert!(view.verdict.message.contains("some of the histograms are native"), "{}", view.verdict.message);
            assert_eq!(view.record.metrics["p99"].canary_total, 0);
        }
    }
}

#[test]
fn native_histograms_are_no_counters_of_a_ratio() {
    let mut provider = traffic("errors", (20.0, 0.0), (180.0, 0.0));
    provider.series.insert(format!(r#"errors_all{{c="{CANARY}"}}"#), vec![canary(3)]);
    let view = until(&mut order(), &provider, 120, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    assert!(view.verdict.message.contains("native histograms where counters were asked for"));
}

#[test]
fn an_arm_without_histograms_is_missing_and_not_fast() {
    let mut provider = of_arms(canary(3), stable(3));
    provider.series.remove(&selector(NAME, CANARY));
    for threshold in [Some(250), None] {
        let view = until(&mut with(threshold), &provider, 120, never).1;
        check(&view, HOLD, Reason::NoCanaryTraffic);
    }
    provider.series.clear();
    check(&until(&mut with(Some(250)), &provider, 120, never).1, HOLD, Reason::MetricsUnavailable);
}
