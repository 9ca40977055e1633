//! Records made by the evaluation itself, folded again and read again.

use super::*;
use crate::{
    api::{DecisionEntry, DecisionLog, EvidenceRecord, MetricRecord, Reason},
    stats::marks,
};

/// Two weights, with errors: what the record holds in the end, and the order.
fn run(name: &str, provider: &Fake) -> (Order, EvidenceRecord) {
    run_of(Order { metrics: vec![errors_metric(name)], budget: Some(demo_budget()), ..order() }, provider)
}

fn run_of(mut order: Order, provider: &Fake) -> (Order, EvidenceRecord) {
    let mut now = 0;
    let mut evaluated = |order: &mut Order, to: i64, settled: Option<i64>| {
        while now < to {
            order.settled_at = START + settled.unwrap_or(now);
            let text = serde_json::to_string(&at(order, provider, now).record).unwrap();
            order.previous = Some(serde_json::from_str(&text).unwrap());
            now += 5;
        }
    };
    evaluated(&mut order, 5, None);
    evaluated(&mut order, 300, Some(4));
    order.weight = Percent::whole(20);
    order.pods_started_at = Some(START + 300);
    evaluated(&mut order, 320, None);
    evaluated(&mut order, 600, Some(318));
    let record = order.previous.take().unwrap();
    (Order { weight: Percent::ZERO, settled_at: 0, pods_started_at: None, ..order }, record)
}

fn bad_traffic() -> Fake {
    traffic("errors", (20.0, 0.04), (180.0, 0.18))
}

fn reread_at_once(order: &Order, record: &EvidenceRecord, provider: &Fake) -> Replay {
    let mut replays = reread(order, record, provider).now_or_never().unwrap();
    assert_eq!(replays.len(), 1);
    replays.remove(0)
}

#[test]
fn a_record_replays_bit_for_bit() {
    let (order, record) = run("errors", &bad_traffic());
    assert_eq!(record.stretches.len(), 2, "{:?}", record.stretches);
    let replays = replay(&order, &record);
    assert!(replays[0].is_identical(), "{replays:?}");
    assert_eq!((replays[0].windows, replays[0].judged_windows), (64, record.metrics["errors"].windows_used));
    let Twice { recorded, again } = replays[0].fail_evidence.unwrap();
    assert!(recorded != 1.0 && recorded.to_bits() == again.to_bits());
    // With another interval since, the windows of the record are still as long as they were.
    assert_eq!(replay(&Order { scrape_interval: Span::seconds(30), ..order }, &record), replays);
}

#[test]
fn a_changed_digit_of_the_record_is_found() {
    let (order, record) = run("errors", &bad_traffic());
    for (place, from, to, found) in [
        ("/comparison/recording/windows", "0,100,", "9,100,", "of the evidence for a Fail is"),
        ("/comparison/fail", ".P", ".O", "of the evidence for a Fail is"),
        (
            "/comparison/recording/windows",
            "0,100,",
            "x,100,",
            "failed to read the written state of the recorded windows",
        ),
        ("/comparison/window", "4", "z", "the record does not say how long its windows are"),
    ] {
        let mut changed = record.clone();
        let fold = changed.metrics.get_mut("errors").unwrap().fold.as_mut().unwrap();
        let text = fold.pointer_mut(place).unwrap();
        let before = text.as_str().unwrap().to_owned();
        *text = before.replacen(from, to, 1).into();
        assert_ne!(*text, before, "{place}");
        let difference = replay(&order, &changed)[0].difference.clone().unwrap();
        assert!(difference.contains(found), "{place}: {difference}");
    }
    let mut shown = record.clone();
    shown.metrics.get_mut("errors").unwrap().tests.as_mut().unwrap().pass_evidence = "21".into();
    let difference = replay(&order, &shown)[0].difference.clone().unwrap();
    assert!(difference.starts_with("tests.passEvidence is 21 in the record"), "{difference}");
}

#[test]
fn what_people_read_in_a_record_is_what_its_state_says() {
    let (order, record) = run("errors", &bad_traffic());
    type Forge = fn(&mut MetricRecord);
    let forged: [(&str, Forge); 4] = [
        ("canaryBad is 0 in the record", |metric| metric.canary_bad = 0),
        ("windowsUsed is 7 in the record", |metric| metric.windows_used = 7),
        ("windowsDropped.gap is 3 in the record", |metric| _ = metric.windows_dropped.insert("gap".into(), 3)),
        ("tests.differenceUpper is 0 in the record", |metric| {
            metric.tests.as_mut().unwrap().difference_upper = Some("0".into());
        }),
    ];
    for (found, forge) in forged {
        let mut shown = record.clone();
        forge(shown.metrics.get_mut("errors").unwrap());
        let difference = replay(&order, &shown)[0].difference.clone().unwrap();
        assert!(difference.starts_with(found), "{difference}");
    }
    let mut without = record;
    without.metrics.clear();
    let difference = replay(&order, &without)[0].difference.clone();
    assert_eq!(difference.as_deref(), Some("the run has this metric, its record has not"));
}

#[test]
fn a_run_read_again_from_the_server_is_the_record_bit_for_bit() {
    let provider = bad_traffic();
    let (order, record) = run("errors", &provider);
    let again = reread_at_once(&order, &record, &provider);
    assert!(again.is_identical(), "{again:?}");
    assert_eq!(again.windows, again.judged_windows);
    assert!(again.windows > 90, "{again:?}");
}

#[test]
fn samples_that_are_gone_or_others_are_said() {
    let provider = bad_traffic();
    let (order, record) = run("errors", &provider);
    let mut gone = bad_traffic();
    for series in gone.series.values_mut().flatten() {
        series.samples.retain(|(at_ms, _)| *at_ms > (START + 200) * 1_000);
    }
    let again = reread_at_once(&order, &record, &gone);
    assert!(again.difference.is_none() && again.windows < again.judged_windows, "{again:?}");
    assert!(again.incomplete.unwrap().contains("windows, the run has judged"));
    // Without an interval it follows from the record; with another one the windows are not those.
    assert!(reread_at_once(&Order { scrape_interval: Span::ZERO, ..order.clone() }, &record, &provider).is_identical());
    let longer = Order { scrape_interval: Span::seconds(15), ..order.clone() };
    let why = reread_at_once(&longer, &record, &provider).incomplete.unwrap();
    assert_eq!(why, "a scrape every 15s makes windows of 15 s, the record's are 5 s long");
    let away = Fake { faults: vec![("errors_all", WhyNot::Unreachable)], ..bad_traffic() };
    let why = reread_at_once(&order, &record, &away).incomplete.unwrap();
    assert!(why.ends_with("failed to reach the metrics server"), "{why}");
    let other = reread_at_once(&order, &record, &traffic("errors", (20.0, 0.4), (180.0, 0.18)));
    assert!(other.difference.unwrap().contains("of the evidence for a Fail"));
}

#[test]
fn a_latency_without_a_threshold_is_read_again_at_its_boundaries() {
    let mut provider = Fake::default();
    let metric = super::latency::of_many_boundaries("seconds", [20.0, 180.0], &mut provider);
    let (order, record) = run_of(Order { metrics: vec![metric], ..order() }, &provider);
    let of_record = replay(&order, &record).remove(0);
    assert!(of_record.difference.is_none() && of_record.incomplete.unwrap().contains("--from-prometheus"));
    let again = reread_at_once(&order, &record, &provider);
    assert!(again.is_identical() && again.windows == again.judged_windows && again.windows > 90, "{again:?}");
    let mut changed = record.clone();
    let fold = changed.metrics.get_mut("seconds").unwrap().fold.as_mut().unwrap();
    fold["latency"]["sums"] = fold["latency"]["sums"].as_str().unwrap().replacen(".Q", ".P", 1).into();
    assert!(reread_at_once(&order, &changed, &provider).difference.unwrap().contains("not those of the record"));
    for series in provider.series.values_mut().flatten() {
        series.samples.retain(|(at_ms, _)| *at_ms > (START + 200) * 1_000);
    }
    let gone = reread_at_once(&order, &record, &provider);
    assert!(gone.difference.is_none() && gone.incomplete.unwrap().contains("windows, the run has judged"));
}

/// What the record holds after each evaluation at the first weight, decided upon each time.
fn decided_each_time(order: &mut Order, provider: &Fake, to: i64) -> DecisionLog {
    let mut log = DecisionLog::default();
    for now in (0..to).step_by(50) {
        for now in (now..now + 50).step_by(5) {
            order.settled_at = START + now.min(4);
            order.previous = Some(at(order, provider, now).record);
        }
        let entry = serde_json::json!({
            "seq": log.entries.len() + 1, "at": "2026-01-01T00:00:00Z", "step": 0, "weight": 5, "reason": "Baking",
            "message": "x", "folds": order.previous.as_ref().and_then(marks),
        });
        log.entries.push(serde_json::from_value(entry).unwrap());
    }
    log
}

#[test]
fn each_decision_rests_on_the_tests_as_they_stood_then() {
    let provider = bad_traffic();
    let mut order = Order { metrics: vec![errors_metric("errors")], budget: Some(demo_budget()), ..order() };
    let log = decided_each_time(&mut order, &provider, 600);
    let record = order.previous.take().unwrap();
    let of_record = replay(&order, &record);
    let found = decided(&log, &record, &of_record);
    assert_eq!((found.resting, found.differing.len()), (12, 0), "{found:?}");
    assert!((5..10).contains(&found.compared), "those of the last 64 windows: {found:?}");
    let again = [reread_at_once(&order, &record, &provider)];
    let whole = Decided { resting: 12, compared: 12, differing: Vec::new() };
    assert_eq!(decided(&log, &record, &again), whole);
    let mut forged = log.clone();
    let with = |entry: &mut DecisionEntry, from: &str, to: &str| {
        let folds = entry.folds.as_mut().unwrap();
        *folds = folds.replacen(from, to, 1);
    };
    let windows = forged.entries[10].folds.clone().unwrap();
    let digest = windows.split_once(':').unwrap().1;
    with(&mut forged.entries[10], digest, "0123456789ab");
    with(&mut forged.entries[11], ":", "999:");
    with(&mut forged.entries[2], ":", "");
    let found = decided(&forged, &record, &of_record);
    assert_eq!((found.resting, found.differing.len()), (12, 3), "{found:?}");
    assert!(found.differing[0].starts_with("decision 3: its folds are not those of the metrics"), "{found:?}");
    assert!(found.differing[1].contains("the digest of its tests is 0123456789ab, folded again "), "{found:?}");
    assert!(found.differing[2].contains("999 windows of metric errors, the record has judged"), "{found:?}");
}

#[test]
fn the_decisions_of_a_latency_without_a_threshold_are_found_in_the_samples() {
    let mut provider = Fake::default();
    let metric = super::latency::of_many_boundaries("seconds", [20.0, 180.0], &mut provider);
    let mut order = Order { metrics: vec![metric], ..order() };
    let log = decided_each_time(&mut order, &provider, 300);
    let record = order.previous.take().unwrap();
    assert_eq!(decided(&log, &record, &replay(&order, &record)).compared, 0);
    let found = decided(&log, &record, &[reread_at_once(&order, &record, &provider)]);
    assert!(found.resting >= 5 && found.compared == found.resting && found.differing.is_empty(), "{found:?}");
}

#[test]
fn a_forged_verdict_watermark_or_spending_is_not_what_the_folds_give() {
    let (order, record) = run("errors", &bad_traffic());
    assert_eq!(misstated(&order, &record), None, "{record:?}");
    type Forge = fn(&mut EvidenceRecord);
    let forged: [(&str, Forge); 8] = [
        ("its verdict is Fail for WorseThanControl, the folds make it ", |record| {
            (record.verdict, record.reason) = ("Fail".into(), Some(Reason::WorseThanControl));
        }),
        ("its verdict is Undecided for NonInferior, the folds make it ", |record| {
            (record.verdict, record.reason) = ("Undecided".into(), Some(Reason::NonInferior));
        }),
        ("its verdict is Pass for Warmup, the folds make it ", |record| {
            (record.verdict, record.reason) = ("Pass".into(), Some(Reason::Warmup));
        }),
        ("its verdict is Undecided for no reason, the folds make it ", |record| {
            (record.verdict, record.reason) = ("Undecided".into(), None);
        }),
        ("its watermark is ", |record| record.watermark -= 5),
        ("its spending is 0 bad, ", |record| record.spend.as_mut().unwrap().gross = 0),
        ("its spending is ", |record| record.spend.as_mut().unwrap().allowance += 1),
        ("it has no spending, the folds have one", |record| record.spend = None),
    ];
    for (found, forge) in forged {
        let mut changed = record.clone();
        forge(&mut changed);
        let said = misstated(&order, &changed).unwrap();
        assert!(said.starts_with(found), "{said}");
    }
}

#[test]
fn a_fail_cannot_be_written_away() {
    let (order, record) = run("errors", &traffic("errors", (20.0, 2.0), (180.0, 0.18)));
    assert_eq!((record.verdict.as_str(), misstated(&order, &record)), ("Fail", None));
    for (verdict, reason) in [("Undecided", Reason::MetricsUnavailable), ("Pass", Reason::NonInferior)] {
        let changed = EvidenceRecord { verdict: verdict.into(), reason: Some(reason), ..record.clone() };
        assert!(misstated(&order, &changed).unwrap().contains("the folds make it Fail for "), "{changed:?}");
    }
}
