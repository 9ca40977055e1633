//! Latency without a threshold: what its fold keeps, and that it goes on where it stood.

use super::*;
use crate::{
    api::Plan,
    stats::{MOST_BOUNDARIES, Terms},
};

fn trial() -> Trial {
    let terms = Terms::new(None, &Plan::default(), 5.0);
    Trial { terms, share: 0.3, objective: None, routed: Some(Percent::whole(10)), recorded_bytes: 0 }
}

fn chosen(count: usize) -> LatencyFold {
    let mut fold = LatencyFold::new(trial());
    let boundaries: Vec<_> = (1..=count).map(|at| Boundary { at: at as f64 / 10.0, phi: 1.5 }).collect();
    fold.choose(&boundaries);
    fold
}

/// A window in which this part of the canary's requests is slower than the last boundary.
fn absorb(fold: &mut LatencyFold, number: i64, hanging: f64) {
    let counts = |total: f64| Counts { bad: 0.0, total };
    let window = Window {
        start: 5 * number,
        end: 5 * number + 5,
        canary: counts(100.0),
        control: counts(900.0 + number as f64),
    };
    let count = fold.boundaries().len();
    let tail = |index: usize| 1.0 / (index + 2) as f64;
    let slower = |index| Slower { canary: 100.0 * f64::max(tail(index), hanging), control: 900.0 * tail(index) };
    let slower: Vec<_> = (0..count).map(slower).collect();
    fold.absorb(&window);
    fold.absorb_slower(&window, &slower);
}

#[test]
fn a_canary_that_hangs_fails_at_the_boundary_where_it_hangs_and_stays_failed() {
    let mut fold = chosen(5);
    (0..60).for_each(|number| absorb(&mut fold, number, 0.0));
    assert!(!fold.compared().failed && fold.compared().pass.holds(), "{:?}", fold.compared());
    (60..80).for_each(|number| absorb(&mut fold, number, 0.5));
    let compared = fold.compared();
    assert!(compared.failed && compared.fail.holds(), "{compared:?}");
    assert_eq!(compared.apart, Apart::Tails { boundary: Some(0.5), of: 5 });
    let (canary, control) = fold.counts().unwrap();
    assert_eq!((canary.total, control.total), (8_000.0, 900.0 * 80.0 + 79.0 * 40.0));
    assert!((canary.bad - (60.0 * 100.0 / 6.0 + 20.0 * 50.0)).abs() < 1e-6, "{canary:?}");
    (80..2_000).for_each(|number| absorb(&mut fold, number, 0.0));
    assert!(fold.compared().failed, "a Fail stays one");
}

#[test]
fn written_at_any_window_it_goes_on_bit_by_bit() {
    let mut whole = chosen(3);
    (0..30).for_each(|number| absorb(&mut whole, number, number as f64 / 60.0));
    for cut in 0..30 {
        let mut before = chosen(3);
        (0..cut).for_each(|number| absorb(&mut before, number, number as f64 / 60.0));
        let mut after = LatencyFold::new(trial());
        after.restore(&serde_json::from_str(&before.state().to_string()).unwrap()).unwrap();
        assert_eq!(after, before, "cut at {cut}");
        (cut..30).for_each(|number| absorb(&mut after, number, number as f64 / 60.0));
        assert_eq!(after.state(), whole.state(), "cut at {cut}");
    }
}

#[test]
fn boundaries_are_chosen_once_and_without_them_nothing_is_said() {
    let mut fold = LatencyFold::new(trial());
    absorb(&mut fold, 0, 0.0);
    let compared = fold.compared();
    assert_eq!((compared.fail.evidence, compared.pass.evidence, fold.counts()), (1.0, 1.0, None));
    let mut again = LatencyFold::new(trial());
    again.restore(&fold.state()).unwrap();
    assert_eq!(again, fold);
    fold.choose(&[Boundary { at: 0.5, phi: 1.0 }]);
    fold.choose(&[Boundary { at: 1.0, phi: 1.0 }]);
    assert_eq!(fold.boundaries(), [0.5]);
    for broken in [json!({}), json!({ "fail": fold.state()["fail"], "pass": again.state()["pass"] })] {
        assert!(again.restore(&broken).is_err());
    }
}

#[test]
fn the_state_of_a_direction_stays_within_2_kib() {
    let mut fold = chosen(MOST_BOUNDARIES);
    (0..30).for_each(|number| absorb(&mut fold, number, 0.0));
    let state = fold.state();
    for part in ["fail", "pass"] {
        let size = state[part].to_string().len();
        assert!(size <= 2_048, "{part}: {size} bytes");
    }
    let size = state.to_string().len();
    assert!(size <= 5 * 1_024, "{size} bytes");
}
