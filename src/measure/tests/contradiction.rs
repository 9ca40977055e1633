//! Selectors that do not belong together: more bad (or good) requests than requests, or series that are in both arms.
//! Neither proves anything.

use super::*;

/// Both arms, their requests a second, and of these the ones that `bad` or `good` selects.
fn selecting(good: bool, canary: (f64, f64), control: (f64, f64)) -> (Order, Fake) {
    let mut order = order();
    if good {
        let ratio = order.metrics[0].ratio.as_mut().unwrap();
        ratio.good = ratio.bad.take();
    }
    (order, traffic("errors", canary, control))
}

#[test]
fn more_bad_or_good_requests_than_requests_are_neither_and_hold_with_a_sentence() {
    for (good, canary, control, arm, word) in [
        // total and good are swapped: counted, it would be a Pass for every canary.
        (true, (2.0, 20.0), (18.0, 180.0), "the canary", "good"),
        // As bad as can be, were it counted.
        (false, (2.0, 20.0), (180.0, 0.9), "the canary", "bad"),
        (false, (20.0, 0.2), (18.0, 180.0), "stable", "bad"),
    ] {
        let (mut order, provider) = selecting(good, canary, control);
        let view = until(&mut order, &provider, 120, never).1;
        check(&view, HOLD, Reason::MetricsUnavailable);
        let said =
            format!("{arm} had more {word} requests than requests in all: what {word} selects must be a part of total");
        assert!(view.verdict.message.contains(&said), "{}", view.verdict.message);
        let record = &view.record.metrics["errors"];
        assert_eq!((record.windows_used, record.canary_total, record.control_total), (0, 0, 0));
        assert!(record.windows_dropped["badAboveTotal"] > 10, "{:?}", record.windows_dropped);
    }
}

#[test]
fn a_few_such_windows_are_left_out_and_the_others_count() {
    let (mut order, mut provider) = selecting(false, (20.0, 0.2), (180.0, 1.8));
    let canary = provider.series.get_mut(&format!(r#"errors_bad{{c="{CANARY}"}}"#)).unwrap();
    // 200 bad requests of 100, once.
    let jump = |(at_ms, value): &mut (i64, f64)| {
        if *at_ms > (START + 60) * 1_000 {
            *value += 200.0;
        }
    };
    canary[0].samples.iter_mut().for_each(jump);
    let record = until(&mut order, &provider, 120, never).1.record.metrics["errors"].clone();
    assert_eq!((record.windows_used, record.windows_dropped["badAboveTotal"]), (19, 1));
    assert_eq!((record.canary_total, record.canary_bad), (1_900, 19));
}

#[test]
fn selectors_that_differ_and_select_the_same_series_give_no_evidence() {
    let mut provider = traffic("errors", (20.0, 0.2), (180.0, 1.8));
    // Stable's expression finds the canary's series too, as a name without its end does.
    let canary = provider.series[&format!(r#"errors_all{{c="{CANARY}"}}"#)].clone();
    provider.series.get_mut(&format!(r#"errors_all{{c="{CONTROL}"}}"#)).unwrap().extend(canary);
    for series in provider.series.values_mut() {
        for (number, one) in series.iter_mut().enumerate() {
            let whose = if number > 0 { CANARY } else { CONTROL };
            one.labels.insert("selector".into(), whose.into());
        }
    }
    provider.series.get_mut(&format!(r#"errors_all{{c="{CANARY}"}}"#)).unwrap()[0]
        .labels
        .insert("selector".into(), CANARY.into());
    provider.series.retain(|selector, _| selector.starts_with("errors_all"));
    let view = until(&mut order(), &provider, 120, never).1;
    check(&view, HOLD, Reason::MetricsUnavailable);
    assert!(view.verdict.message.contains("both arms select the same series, "), "{}", view.verdict.message);
}
