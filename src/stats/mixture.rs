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

/// How the evidence for a Fail is spread and held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restarts {
    /// Windows over which the reserve is handed out.
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
            windows => -libm::log(level) / f64::from(windows - 1),
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
    /// Reserve that starts with each window.
    instalment: f64,
    log_cap: f64,
}

impl Mixture {
    /// Starts once and is not capped.
    pub fn plain(prior: Each) -> Self {
        let (masses, log_cap) = ([1.0; ALTERNATIVES], MOST_LOG_GROWTH);
        Self { prior, masses, reserve: 0.0, instalment: 0.0, log_cap }
    }

    /// Margin e-process, section 1.1, "restart mixture" and "evidence cap". The starts are those of an e-detector (Shin,
    /// Ramdas & Rinaldo) with weights that sum up to 1, so that the whole stays an e-process: its error probability holds
    /// over the whole run, not on average. The cap `level^(-1/(m - 1))` keeps it below `1 / level` for m - 1 windows.
    pub fn restarting(prior: Each, level: f64, restarts: Restarts) -> Self {
        let Restarts { horizon_windows, confirm_windows: _, reserve } = restarts;
        let log_cap = restarts.log_cap(level).min(MOST_LOG_GROWTH);
        Self { prior, masses: [1.0 - reserve; ALTERNATIVES], reserve, instalment: reserve / horizon_windows, log_cap }
    }

    /// Take one window's log-likelihood ratios in; the evidence after it. What is no number says nothing.
    pub fn absorb(&mut self, log_growth: Each) -> f64 {
        let start = self.instalment.min(self.reserve);
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
        for confirm_windows in 2..6 {
            let restarts = Restarts { confirm_windows, ..Restarts::default() };
            let mut mixture = Mixture::restarting(FAIL.prior, 0.01, restarts);
            for window in 1..=confirm_windows {
                let proven = mixture.absorb([700.0; ALTERNATIVES]) >= 100.0;
                assert_eq!(proven, window == confirm_windows, "{confirm_windows}");
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
