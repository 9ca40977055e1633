//! Bounds for the difference of the two bad ratios, canary minus control, that hold at every moment.
//!
//! Within one allocation they speak of the averages so far, weighed by traffic; they do not assume that the ratios stay the same.

use serde_json::Value;

use super::{
    alternatives::{Alternatives, Each},
    bits::{pack, unpack_array},
    crossing::crossing,
    fold::BrokenState,
    grid::{ALTERNATIVES, FAIL, Grid, PASS},
    window::Counts,
};

/// The ratio tolerated is 1: a difference is asked for.
const RATIO: f64 = 1.0;

/// Sums over windows for each alternative.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    alternatives: Alternatives,
    log_prior: Each,
    /// S of the method.
    pub gain: Each,
    /// V of the method.
    pub cost: Each,
}

impl Sums {
    fn new(grid: &Grid) -> Self {
        let zero = [0.0; ALTERNATIVES];
        let log_prior = grid.prior.map(libm::log);
        Self { alternatives: Alternatives::of(grid), log_prior, gain: zero, cost: zero }
    }

    fn absorb(&mut self, canary: Counts, control: Counts, phi: f64) {
        let likelihood = self.alternatives.likelihood(RATIO, canary, control);
        for index in 0..ALTERNATIVES {
            self.gain[index] += likelihood.gain[index] / phi;
            self.cost[index] += likelihood.cost[index] / phi;
        }
    }

    /// Whether the evidence against this difference reaches `e^threshold`.
    ///
    /// Each part is compared with the threshold before the exponential: a sum of e-values in the linear domain would
    /// overflow after a day of traffic.
    fn reject(&self, difference: f64, threshold: f64) -> bool {
        let over = |index: usize| self.log_prior[index] + self.gain[index] - difference * self.cost[index] - threshold;
        let parts: [f64; ALTERNATIVES] = std::array::from_fn(over);
        let most = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Eight parts of e^-3 each are not 1, and those below e^-40 change nothing.
        let sum = || parts.iter().filter(|part| **part > -40.0).map(|part| libm::exp(*part)).sum::<f64>();
        most >= 0.0 || (most > -3.0 && sum() >= 1.0)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct DifferenceBounds {
    above: Sums,
    below: Sums,
}

impl Default for DifferenceBounds {
    fn default() -> Self {
        Self { above: Sums::new(&FAIL), below: Sums::new(&PASS) }
    }
}

impl DifferenceBounds {
    /// Take one window in, divided by the overdispersion `phi` (at least 1).
    pub fn absorb(&mut self, canary: Counts, control: Counts, phi: f64) {
        self.above.absorb(canary, control, phi.max(1.0));
        self.below.absorb(canary, control, phi.max(1.0));
    }

    /// The canary's bad ratio is at least this far above the control's, wrong with probability `alpha` at most over all looks.
    /// -1 while nothing is known.
    ///
    /// Margin e-process, section 1.1, "reporting bounds": the largest D with `sum prior exp(S - D V) >= 1 / alpha`.
    pub fn lower(&self, alpha: f64) -> f64 {
        let threshold = -libm::log(alpha);
        crossing(-1.0, 1.0, |difference| self.above.reject(difference, threshold))
    }

    /// The canary's bad ratio is at most this far above the control's; 1 while nothing is known.
    pub fn upper(&self, alpha: f64) -> f64 {
        let threshold = -libm::log(alpha);
        crossing(1.0, -1.0, |difference| self.below.reject(difference, threshold))
    }

    /// The sums for ratios above 1, and below.
    pub fn sums(&self) -> (&Sums, &Sums) {
        (&self.above, &self.below)
    }

    pub fn state(&self) -> Value {
        pack(&[self.above.gain, self.above.cost, self.below.gain, self.below.cost].concat())
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        let all: [f64; 4 * ALTERNATIVES] = unpack_array(state).ok_or(BrokenState("the bounds of the difference"))?;
        let sums = [&mut self.above.gain, &mut self.above.cost, &mut self.below.gain, &mut self.below.cost];
        for (sum, written) in sums.into_iter().zip(all.chunks_exact(ALTERNATIVES)) {
            sum.copy_from_slice(written);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_bounds_nothing() {
        let mut bounds = DifferenceBounds::default();
        assert_eq!((bounds.lower(0.01), bounds.upper(0.01)), (-1.0, 1.0));
        bounds.absorb(Counts { bad: 5.0, total: 5.0 }, Counts::default(), 1.0);
        assert_eq!((bounds.lower(0.01), bounds.upper(0.01)), (-1.0, 1.0));
    }

    #[test]
    fn bounds_lie_around_the_difference_and_survive_a_restart() {
        let mut bounds = DifferenceBounds::default();
        let (canary, control) = (Counts { bad: 300.0, total: 10_000.0 }, Counts { bad: 900.0, total: 90_000.0 });
        for _ in 0..1_000 {
            bounds.absorb(canary, control, 1.0);
        }
        let (lower, upper) = (bounds.lower(0.01), bounds.upper(0.01));
        assert!(lower < 0.02 && lower > 0.015 && upper > 0.02 && upper < 0.022, "{lower} {upper}");
        let mut again = DifferenceBounds::default();
        again.restore(&bounds.state()).unwrap();
        assert_eq!(again, bounds);
        assert!(again.restore(&pack(&[1.0])).is_err());
        assert_eq!(again, bounds);
    }
}
