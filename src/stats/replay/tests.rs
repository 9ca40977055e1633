//! What one metric's evidence amounts to, window by window.

use super::*;

const TERMS: ReplayTerms = ReplayTerms {
    alpha: 0.01,
    share: 1.0,
    beta: 0.05,
    fail: Margin { ratio: 1.1, absolute: 0.0001 },
    pass: Margin { ratio: 1.5, absolute: 0.0005 },
    restarts: Restarts { horizon_windows: 720.0, confirm_windows: 3, reserve: 0.5 },
    phi: 1.0,
};

type Recorded = Result<Arms, Flaw>;

fn arms(xc: f64, nc: f64, xs: f64, ns: f64) -> Recorded {
    Arms::of([Some(xc), Some(nc)], [Some(xs), Some(ns)])
}

fn canary_only(xc: f64, nc: f64) -> Recorded {
    Arms::of([Some(xc), Some(nc)], [None, None])
}

fn control_only(xs: f64, ns: f64) -> Recorded {
    Arms::of([None, None], [Some(xs), Some(ns)])
}

/// Why each window was not used, and the replay after them.
fn replayed(windows: &[Recorded]) -> (Vec<Option<&'static str>>, Replay) {
    let mut replay = Replay::new(TERMS);
    let unused = windows.iter().map(|window| replay.absorb(*window).map(Unused::word)).collect();
    (unused, replay)
}

fn standings(windows: &[Recorded]) -> Vec<Standing> {
    let mut replay = Replay::new(TERMS);
    let standing = |window: &Recorded| {
        replay.absorb(*window);
        replay.standing()
    };
    windows.iter().map(standing).collect()
}

#[test]
fn an_outage_fails_in_the_third_window_and_stays_failed() {
    use Standing::{InsufficientEvidence, Suspicious, WorseThanControl};
    let mut windows = vec![arms(25.0, 50.0, 0.0, 950.0), arms(26.0, 50.0, 1.0, 950.0), arms(24.0, 50.0, 0.0, 950.0)];
    windows.extend(vec![arms(0.0, 500.0, 500.0, 1_000.0); 50]);
    let standings = standings(&windows);
    assert_eq!(standings[..3], [InsufficientEvidence, Suspicious, WorseThanControl]);
    assert!(standings[3..].iter().all(|standing| *standing == WorseThanControl), "a Fail stays");
    let (_, replay) = replayed(&windows);
    let proof = replay.proof().unwrap();
    assert_eq!((proof.window, proof.canary.bad, proof.control.bad), (3, 75.0, 1.0));
    assert!(proof.evidence >= 100.0 && proof.lower > 0.2 && proof.ratio.0 > 10.0, "{proof:?}");
    assert!(replay.fail().evidence() < 1.0, "the evidence goes on");
}

#[test]
fn a_good_canary_passes_and_a_quiet_one_does_not() {
    let good = vec![arms(2.0, 2_500.0, 3.0, 2_500.0); 5];
    assert_eq!(standings(&good)[3..], [Standing::InsufficientEvidence, Standing::NonInferior]);
    // The control is so bad that 99 requests of the canary would be evidence enough.
    let few = vec![arms(0.0, 33.0, 500.0, 1_000.0); 3];
    let (_, replay) = replayed(&few);
    assert!(replay.pass().is_proven());
    assert_eq!(replay.standing(), Standing::InsufficientEvidence);
    let enough = vec![arms(0.0, 34.0, 500.0, 1_000.0); 3];
    assert_eq!(replayed(&enough).1.standing(), Standing::NonInferior);
}

#[test]
fn flawed_windows_are_neither_good_nor_bad() {
    let good = [arms(1.0, 50.0, 2.0, 950.0), arms(0.0, 52.0, 0.0, 940.0), arms(2.0, 50.0, 1.0, 955.0)];
    let flawed = [
        good[0],
        arms(f64::NAN, 50.0, 2.0, 950.0),
        good[1],
        arms(5.0, 4.0, 0.0, 950.0),
        Err(Flaw::BrokenLine),
        arms(0.0, 50.0, -1.0, 950.0),
        good[2],
    ];
    let (unused, replay) = replayed(&flawed);
    let (nan, above, broken, negative) = ("NotFinite", "BadAboveTotal", "BrokenLine", "NegativeCount");
    assert_eq!(unused, [None, Some(nan), None, Some(above), Some(broken), Some(negative), None]);
    let (_, without) = replayed(&good);
    assert_eq!(replay.fail(), without.fail());
    assert_eq!((replay.counts(), replay.upper().to_bits()), (without.counts(), without.upper().to_bits()));
    let ledger = replay.ledger();
    assert_eq!((ledger.recorded, ledger.used, ledger.merged), (7, 3, 0));
    assert_eq!(ledger.dropped, BTreeMap::from([(nan, 1), (above, 1), (broken, 1), (negative, 1)]));
}

#[test]
fn windows_wait_for_the_other_arm_and_are_merged() {
    let (unused, replay) = replayed(&[
        canary_only(1.0, 50.0),
        control_only(2.0, 950.0),
        arms(1.0, 50.0, 3.0, 950.0),
        canary_only(0.0, 9.0),
    ]);
    assert_eq!(unused, [Some("ControlMissing"), Some("CanaryMissing"), None, Some("ControlMissing")]);
    let (_, whole) = replayed(&[arms(2.0, 100.0, 5.0, 1_900.0)]);
    assert_eq!((replay.fail(), replay.counts()), (whole.fail(), whole.counts()));
    assert_eq!((replay.ledger().used, replay.ledger().merged, replay.waiting()), (1, 2, 1));
}

#[test]
fn a_gap_over_the_grace_is_dropped_whole_and_metrics_count_as_unavailable() {
    let mut windows = vec![arms(0.0, 50.0, 0.0, 950.0)];
    windows.extend(vec![canary_only(9.0, 50.0); 5]);
    windows.push(Err(Flaw::NotFinite));
    let (_, replay) = replayed(&windows);
    assert_eq!((replay.standing(), replay.waiting()), (Standing::InsufficientEvidence, 5));
    windows.push(canary_only(9.0, 50.0));
    let (unused, replay) = replayed(&windows);
    assert_eq!(unused.last(), Some(&Some("Gap")));
    assert_eq!((replay.standing(), replay.waiting()), (Standing::MetricsUnavailable, 0));
    assert_eq!(replay.ledger().dropped, BTreeMap::from([("NotFinite", 1), ("Gap", 6)]));
    windows.push(arms(0.0, 50.0, 0.0, 950.0));
    let (unused, replay) = replayed(&windows);
    assert_eq!((unused.last(), replay.standing()), (Some(&None), Standing::InsufficientEvidence));
    assert_eq!(replay.counts().0, Counts { bad: 0.0, total: 100.0 });
}

#[test]
fn what_is_merged_and_dropped_here_is_what_a_run_merges_and_drops() {
    use crate::stats::{Dropped, Expected, Side, Slot, assemble};
    let side = |arm: Option<Counts>| Side { counts: arm.unwrap_or_default(), present: arm.is_some() };
    let mut seed: u64 = 7;
    let mut windows = Vec::new();
    for _ in 0..5_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (canary, control) = ((seed >> 40) % 100 < 45, (seed >> 50) % 100 < 45);
        let arm = |present: bool, total: f64| [Some(0.0), present.then_some(total)];
        windows.push(Arms::of(arm(canary, 50.0), arm(control, 950.0)));
    }
    let slots: Vec<_> = windows
        .iter()
        .zip(1..)
        .map(|(window, end)| Slot { end, canary: side(window.unwrap().canary), control: side(window.unwrap().control) })
        .collect();
    let assembly = assemble(&slots, 0, Expected { canary: true, control: true });
    let (_, replay) = replayed(&windows);
    let used = u64::try_from(assembly.windows.len()).unwrap();
    assert_eq!(replay.ledger().used, used);
    assert_eq!(replay.ledger().dropped.get("Gap"), assembly.dropped.get(&Dropped::Gap));
    assert!(used > 500 && assembly.dropped[&Dropped::Gap] > 100, "the random windows cover both");
    assert_eq!(replay.counts().0.total, assembly.windows.iter().map(|window| window.canary.total).sum::<f64>());
}
