//! The restart mixture: one e-process of the alternatives' evidence, with starts spread over time, a cap for each window, and
//! a floor that late regressions start from.
//!
//! It does not know what the evidence is about.

use serde_json::Value;

use super::{
    alternatives::Each,
    bits::{pack, unpack_array},
    fold::BrokenState,
    grid::ALTERNATIVES,
};

/// No evidence is worth more than this: above it a number only costs range.
const MOST: f64 = 1e200;
/// The most that one window may say: its exponential is still a number, and 0 times it is 0. Without this bound an alternative
/// long ruled out would come back as `0 x infinity`.
const MOST_LOG_GROWTH: f64 = 700.0;

/// The reserve is spread over as many windows at least: it would else be spent before it can become less slowly.
const LEAST_HORIZON: f64 = 4.0;
/// Part by which the cap is lower than it may be: products of it must not reach the threshold a window early by rounding, where
/// no reserve is kept.
const CAP_HAIR: f64 = 1e-12;

/// How the evidence for a Fail is spread and held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restarts {
    /// Windows over which three quarters of the reserve are handed out, evenly at first.
    pub horizon_windows: f64,
    /// Windows that a Fail needs at least; below 2 there is no cap. With scrapes out of step one window shows a shared
    /// outage in the canary first, and with fewer than 3 such a window weighs half of a Fail.
    pub confirm_windows: u32,
    /// Part of the prior kept for later starts; between 0 and 1.
    pub reserve: f64,
}

impl Restarts {
    /// Logarithm of the most that one window may multiply the evidence by, such that `confirm_windows` are needed to reach
    /// 1 / `level`. A single window has no cap.
    pub fn log_cap(&self, level: f64) -> f64 {
        match self.confirm_windows {
            0 | 1 => f64::INFINITY,
            windows => -libm::log(level) / f64::from(windows - 1) * (1.0 - CAP_HAIR),
        }
    }
}

impl Default for Restarts {
    fn default() -> Self {
        Self { horizon_windows: 720.0, confirm_windows: 3, reserve: 0.5 }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    prior: Each,
    masses: Each,
    /// What has not started yet.
    reserve: f64,
    /// What it was at first.
    whole_reserve: f64,
    /// Reserve that starts with each window, until half of it has.
    instalment: f64,
    log_cap: f64,
}

impl Mixture {
    /// Starts once and is not capped.
    pub fn plain(prior: Each) -> Self {
        let (masses, log_cap) = ([1.0; ALTERNATIVES], MOST_LOG_GROWTH);
        Self { prior, masses, reserve: 0.0, whole_reserve: 0.0, instalment: 0.0, log_cap }
    }

    /// Margin e-process, section 1.1, "restart mixture" and "evidence cap". The starts are those of an e-detector (Shin,
    /// Ramdas & Rinaldo) with weights that sum up to 1, so that the whole stays an e-process: its error probability holds
    /// over the whole run, not on average. The cap `level^(-1/(m - 1))` keeps it below `1 / level` for m - 1 windows.
    pub fn restarting(prior: Each, level: f64, restarts: Restarts) -> Self {
        let Restarts { horizon_windows, confirm_windows: _, reserve } = restarts;
        let log_cap = restarts.log_cap(level).min(MOST_LOG_GROWTH);
        let instalment = reserve / horizon_windows.max(LEAST_HORIZON);
        Self { prior, masses: [1.0 - reserve; ALTERNATIVES], reserve, whole_reserve: reserve, instalment, log_cap }
    }

    /// The reserve that starts with the next window: an equal part over the first half of the horizon, and from then on ever
    /// less, as the square of what is left, which is as 1 / k^2 in the k-th window. It never ends: a run may wait for people for
    /// longer than its horizon, and without a start of its own a late regression would first have to make up for all the time
    /// in which the canary was good.
    fn next_start(&self) -> f64 {
        if self.whole_reserve > 0.0 {
            let left = 2.0 * self.reserve / self.whole_reserve;
            self.instalment * (left * left).min(1.0)
        } else {
            0.0
        }
    }

    /// Take one window's log-likelihood ratios in; the evidence after it. What is no number says nothing.
    pub fn absorb(&mut self, log_growth: Each) -> f64 {
        let start = self.next_start();
        self.reserve -= start;
        for (mass, log_growth) in self.masses.iter_mut().zip(log_growth) {
            let log_growth = if log_growth.is_nan() { 0.0 } else { log_growth };
            let grown = (libm::exp(log_growth.min(self.log_cap)) * (*mass + start)).min(MOST);
            // Below the normal numbers rounding would hold a mass up that goes on falling, and arithmetic is slow.
            *mass = if grown < f64::MIN_POSITIVE { 0.0 } else { grown };
        }
        self.evidence()
    }

    pub fn evidence(&self) -> f64 {
        let started: f64 = self.prior.iter().zip(self.masses).map(|(prior, mass)| prior * mass).sum();
        self.reserve + started
    }

    /// Each alternative's evidence, and the prior that has not started yet.
    pub fn parts(&self) -> (Each, f64) {
        (self.masses, self.reserve)
    }

    pub fn state(&self) -> Value {
        let mut all = [0.0; ALTERNATIVES + 1];
        all[..ALTERNATIVES].copy_from_slice(&self.masses);
        all[ALTERNATIVES] = self.reserve;
        pack(&all)
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        let all: [f64; ALTERNATIVES + 1] = unpack_array(state).ok_or(BrokenState("the evidence"))?;
        self.masses.copy_from_slice(&all[..ALTERNATIVES]);
        self.reserve = all[ALTERNATIVES];
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::FAIL;

    #[test]
    fn fewer_windows_than_asked_for_never_prove_anything() {
        let usual = Restarts::default();
        let held_back = [usual, Restarts { reserve: 0.0, ..usual }, Restarts { horizon_windows: 1.0, ..usual }];
        for (confirm_windows, restarts) in (2..=10).flat_map(|windows| held_back.map(|restarts| (windows, restarts))) {
            for level in [0.5, 0.05, 0.01, 0.005, 0.003, 0.001, 1e-5] {
                let mut mixture = Mixture::restarting(FAIL.prior, level, Restarts { confirm_windows, ..restarts });
                for window in 1..confirm_windows {
                    let evidence = mixture.absorb([700.0; ALTERNATIVES]);
                    assert!(
                        evidence < 1.0 / level,
                        "{level} {restarts:?}: {evidence} in window {window} of {confirm_windows}"
                    );
                }
            }
        }
    }

    #[test]
    fn as_many_windows_as_asked_for_are_enough() {
        for confirm_windows in 2..6 {
            let mut mixture =
                Mixture::restarting(FAIL.prior, 0.01, Restarts { confirm_windows, ..Restarts::default() });
            let last = (0..confirm_windows).map(|_| mixture.absorb([700.0; ALTERNATIVES])).last();
            assert!(last >= Some(100.0), "{confirm_windows}: {last:?}");
        }
    }

    /// A run that waits for an approval may last many horizons.
    #[test]
    fn long_after_the_horizon_a_regression_is_found_as_if_it_were_new() {
        let restarts = Restarts { horizon_windows: 100.0, ..Restarts::default() };
        let mut mixture = Mixture::restarting(FAIL.prior, 0.01, restarts);
        let mut starts = 0.5 - mixture.reserve;
        for window in 1..=100_000 {
            let before = mixture.reserve;
            mixture.absorb([-3.0; ALTERNATIVES]);
            starts += before - mixture.reserve;
            assert!(before > mixture.reserve && starts < 0.5, "window {window}");
            if [100, 200, 1_000, 100_000].contains(&window) {
                let mut late = mixture.clone();
                let found = (1..100).find(|_| late.absorb([700.0; ALTERNATIVES]) >= 100.0);
                assert!(found.is_some_and(|windows| windows <= 12), "{found:?} windows after {window}");
            }
        }
    }

    #[test]
    fn the_evidence_stays_a_number() {
        let mut mixture = Mixture::plain(FAIL.prior);
        for growth in [700.0, 700.0, -800.0, f64::MAX, -f64::MAX] {
            assert!(mixture.absorb([growth; ALTERNATIVES]).is_finite());
        }
        assert!(mixture.restore(&pack(&[1.0])).is_err());
    }

    #[test]
    fn what_was_ruled_out_does_not_come_back_by_rounding() {
        let mut mixture = Mixture::plain(FAIL.prior);
        mixture.absorb([-1e4; ALTERNATIVES]);
        assert_eq!(mixture.absorb([1e4; ALTERNATIVES]), 0.0);
        let mut mixture = Mixture::plain(FAIL.prior);
        (0..10_000).for_each(|_| _ = mixture.absorb([-0.1; ALTERNATIVES]));
        assert_eq!(mixture.evidence(), 0.0, "not the smallest float for ever");
        let mut mixture = Mixture::plain(FAIL.prior);
        assert!((mixture.absorb([f64::NAN; ALTERNATIVES]) - 1.0).abs() < 1e-12);
    }
}
