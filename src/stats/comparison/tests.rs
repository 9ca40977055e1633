//! The comparison as a whole: written and restored, recorded and replayed, and what it proves.

use super::*;
use crate::api::Plan;

fn trial() -> Trial {
    let terms = Terms::new(Some("99.9".parse().unwrap()), &Plan::default(), 5.0);
    let objective = Some(("99.9".parse().unwrap(), 0.1));
    Trial { terms, share: 0.5, objective, routed: Some(Percent::whole(10)), recorded_bytes: ROOM }
}

fn window(number: i64, (xc, nc, xs, ns): (f64, f64, f64, f64)) -> Window {
    let (canary, control) = (Counts { bad: xc, total: nc }, Counts { bad: xs, total: ns });
    Window { start: number * 5, end: number * 5 + 5, canary, control }
}

fn folded(windows: &[(f64, f64, f64, f64)]) -> Comparison {
    let mut comparison = Comparison::new(trial());
    comparison.learn_phi(1.0);
    for (number, counts) in (0..).zip(windows) {
        comparison.absorb(&window(number, *counts));
    }
    comparison
}

/// For the text of the recorded windows, in bytes.
const ROOM: usize = 100;

const WORSE: [(f64, f64, f64, f64); 6] = [(5.0, 100.0, 1.0, 900.0); 6];
const SAME: (f64, f64, f64, f64) = (0.0, 2_000.0, 1.0, 18_000.0);

#[test]
fn a_worse_canary_fails_after_three_windows_and_stays_failed() {
    let failed = |count: usize| folded(&WORSE[..count]).compared().failed;
    assert_eq!([1, 2, 3].map(failed), [false, false, true]);
    let mut long = WORSE.to_vec();
    long.extend([SAME; 40]);
    let compared = folded(&long).compared();
    assert!(compared.failed && !compared.fail.holds(), "{compared:?}");
}

#[test]
fn a_canary_like_stable_passes_and_its_difference_is_bounded() {
    let compared = folded(&[SAME; 8]).compared();
    assert!(compared.pass.holds() && !compared.failed && compared.mismatch.is_none(), "{compared:?}");
    let Apart::Bounds { lower, upper } = compared.apart else { panic!("{compared:?}") };
    assert!(lower <= 0.0 && upper > 0.0 && upper < 0.01, "{compared:?}");
}

#[test]
fn too_few_requests_of_the_canary_are_a_mismatch() {
    let compared = folded(&[(0.0, 50.0, 0.0, 950.0); 10]).compared();
    assert_eq!(compared.mismatch, Some((500.0, 10_000.0)));
}

#[test]
fn written_and_restored_at_any_window_it_goes_on_bit_by_bit() {
    let mut windows = WORSE.to_vec();
    windows.extend([SAME; 14]);
    let whole = folded(&windows);
    for cut in 0..windows.len() {
        let text = folded(&windows[..cut]).state().to_string();
        let mut again = Comparison::new(trial());
        again.restore(&serde_json::from_str(&text).unwrap()).unwrap();
        for (number, counts) in (0..).zip(&windows).skip(cut) {
            again.absorb(&window(number, *counts));
        }
        assert_eq!(again, whole, "cut at {cut}");
    }
}

#[test]
fn the_recording_replays_to_the_present_state() {
    for count in [0, 3, 8, 9, 20] {
        let windows: Vec<_> = WORSE.iter().copied().cycle().take(count).collect();
        let comparison = folded(&windows);
        let replayed = comparison.replayed();
        assert_eq!(replayed.difference, None, "{count}");
        let written = comparison.state()["recording"]["windows"].as_str().unwrap().len();
        assert!(written <= ROOM && (replayed.windows == count || written > ROOM - 20), "{count}: {written} bytes");
    }
    let mut roomy = Comparison::new(Trial { recorded_bytes: 100_000, ..trial() });
    (0..100).for_each(|number| roomy.absorb(&window(number, SAME)));
    assert_eq!((roomy.replayed().windows, roomy.replayed().difference), (64, None));
}

#[test]
fn a_changed_digit_of_the_recording_is_found_where_it_shows_first() {
    let whole = folded(&WORSE);
    let mut state = whole.state();
    let windows = state["recording"]["windows"].as_str().unwrap().replacen("5,100,1,900", "6,100,1,900", 1);
    state["recording"]["windows"] = windows.into();
    let mut changed = Comparison::new(trial());
    changed.restore(&state).unwrap();
    let difference = changed.replayed().difference.unwrap();
    assert_eq!((difference.test, difference.part), ("Fail", 1));
    assert_ne!(difference.recorded, difference.again);
    assert_eq!(whole.parts_from(&changed), None, "the tests themselves are as written");
    assert_eq!(folded(&WORSE[..5]).parts_from(&whole).map(|difference| difference.test), Some("Fail"));
}

#[test]
fn with_windows_of_another_length_the_recording_begins_anew() {
    let terms = Terms { window_seconds: 15.0, ..trial().terms };
    let state = folded(&WORSE).state();
    assert_eq!(Comparison::window_seconds(&state), Some(5.0));
    let mut longer = Comparison::new(Trial { terms, ..trial() });
    longer.restore(&state).unwrap();
    assert_eq!(longer.replayed().windows, 0);
    longer.absorb(&window(6, WORSE[0]));
    assert_eq!((longer.replayed().windows, longer.replayed().difference), (1, None));
}

#[test]
fn a_metric_without_an_objective_has_bounds_of_its_ratio_too() {
    let mut comparison = Comparison::new(Trial { objective: None, ..trial() });
    comparison.learn_phi(1.0);
    (0..6).for_each(|number| comparison.absorb(&window(number, WORSE[0])));
    let (lower, upper) = comparison.compared().ratio.unwrap();
    assert!((2.0..45.0).contains(&lower) && upper >= 45.0, "45 times as bad: {lower} to {upper}");
    let mut again = Comparison::new(Trial { objective: None, ..trial() });
    again.restore(&comparison.state()).unwrap();
    assert_eq!(again, comparison);
}

/// Floats as 16 hexadecimal digits each, and no bounds of the ratio beside the budget's metric.
fn as_older_versions_wrote(state: &Value) -> Value {
    match state {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), as_older_versions_wrote(value))).collect()
        }
        Value::Array(values) => values.iter().map(as_older_versions_wrote).collect(),
        Value::String(text) if text.starts_with('.') => {
            let floats = crate::stats::bits::unpack(state).unwrap();
            floats.iter().map(|float| format!("{:016x}", float.to_bits())).collect::<String>().into()
        }
        other => other.clone(),
    }
}

#[test]
fn a_record_of_an_older_version_goes_on_bit_by_bit() {
    for objective in [trial().objective, None] {
        let trial = || Trial { objective, ..trial() };
        let mut whole = Comparison::new(trial());
        whole.learn_phi(1.0);
        (0..4).for_each(|number| whole.absorb(&window(number, WORSE[0])));
        let mut older = as_older_versions_wrote(&whole.state());
        if objective.is_none() {
            older["ratio"] = Value::Null;
        }
        let mut again = Comparison::new(trial());
        again.restore(&older).unwrap();
        for comparison in [&mut whole, &mut again] {
            comparison.absorb(&window(4, WORSE[0]));
        }
        assert_eq!(again.compared().ratio.is_none(), objective.is_none());
        assert_eq!(again.state()["recording"], whole.state()["recording"]);
        let without_ratio = |compared: Compared| Compared { ratio: None, ..compared };
        assert_eq!(without_ratio(again.compared()), without_ratio(whole.compared()));
        let mut restarted = Comparison::new(trial());
        restarted.restore(&again.state()).unwrap();
        assert_eq!(restarted, again, "what was not bounded stays so");
    }
}

#[test]
fn a_state_of_another_shape_is_refused_and_changes_nothing() {
    let mut comparison = folded(&WORSE);
    let before = comparison.clone();
    for state in [json!({}), json!({"fail": "00"})] {
        assert!(comparison.restore(&state).is_err());
        assert_eq!(comparison, before);
    }
}
