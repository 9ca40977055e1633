//! What one window says for each alternative of a grid, before any tempering.
//!
//! It keeps nothing: sums and mixtures are made of it elsewhere.

use super::{
    grid::{ALTERNATIVES, Grid},
    window::Counts,
};

/// One number for each alternative.
pub type Each = [f64; ALTERNATIVES];

/// A grid with its logarithms, taken once: they are needed in each window.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternatives {
    /// rho - 1.
    pub excess: Each,
    /// ln rho, by way of log1p(rho - 1): with no control traffic it is then bit by bit what log1p(q (rho - 1)) gives, and
    /// such a window says exactly nothing.
    pub logs: Each,
    pub prior: Each,
}

/// The likelihood ratio of a window, in two parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// ln of the likelihood ratio at the ratio tolerated.
    pub gain: Each,
    /// What each point of absolute tolerance takes from it; negative for alternatives below 1.
    pub cost: Each,
}

impl Alternatives {
    pub fn of(grid: &Grid) -> Self {
        let excess = grid.ratios.map(|ratio| ratio - 1.0);
        Self { excess, logs: excess.map(libm::log1p), prior: grid.prior }
    }

    /// Margin e-process, section 1.1: with `q` the canary's share of the bad events at the tolerated ratio `r`,
    /// `gain = delta x_c - (x_c + x_s) A` and `cost = n_c (e^(delta - A) - 1)`, where `A = ln(1 + q (rho - 1))`. Given the
    /// totals of the window this is the conditional binomial likelihood ratio after Lindon & Malek (arXiv 2011.03567), with
    /// a null probability of its own in each window: neither a change of weight nor a drifting base can pass for an effect.
    ///
    /// `e^(delta - A) - 1` is written `(1 - q)(rho - 1) / (1 + q (rho - 1))`: no exponential, and exactly 0 without control.
    pub fn likelihood(&self, tolerated_ratio: f64, canary: Counts, control: Counts) -> Likelihood {
        let scaled = tolerated_ratio * canary.total;
        let all = scaled + control.total;
        let (share, rest) = if all > 0.0 { (scaled / all, control.total / all) } else { (0.0, 0.0) };
        let bad = canary.bad + control.bad;
        let mut likelihood = Likelihood { gain: [0.0; ALTERNATIVES], cost: [0.0; ALTERNATIVES] };
        for (index, (excess, log)) in self.excess.iter().zip(self.logs).enumerate() {
            let shift = share * excess;
            likelihood.gain[index] = log * canary.bad - bad * libm::log1p(shift);
            likelihood.cost[index] = canary.total * (rest * excess / (1.0 + shift));
        }
        likelihood
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{FAIL, PASS};

    #[test]
    fn a_window_with_one_arm_says_exactly_nothing() {
        let some = Counts { bad: 7.0, total: 1000.0 };
        for grid in [FAIL, PASS] {
            for (canary, control) in [(some, Counts::default()), (Counts::default(), some), Default::default()] {
                let likelihood = Alternatives::of(&grid).likelihood(1.1, canary, control);
                assert_eq!((likelihood.gain, likelihood.cost), ([0.0; 8], [0.0; 8]), "{canary:?} {control:?}");
            }
        }
    }
}
