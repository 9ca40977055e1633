//! Bounds for the ratio of the two bad ratios, canary over control, that hold at every moment.
//!
//! For sentences: a Fail and a Pass rest on margins, not on these.

use serde_json::Value;

use super::{
    bits::{pack, unpack_array},
    fold::BrokenState,
    log_sum::log_sum,
    window::Counts,
};

/// Grid points for each doubling of the ratio, and doublings to either side of 1.
const PER_DOUBLING: i32 = 8;
const DOUBLINGS: i32 = 6;
/// From 1/64 to 64.
const POINTS: usize = (2 * PER_DOUBLING * DOUBLINGS + 1) as usize;
/// Spread of the prior over the logarithm of the ratio.
const SPREAD: f64 = 1.5;

/// ln of the largest product that is surely still a float, and of the inverse of the smallest.
const REACH: f64 = 600.0;

#[derive(Clone, Debug, PartialEq)]
pub struct RatioBounds {
    ratios: [f64; POINTS],
    logs: [f64; POINTS],
    log_prior: [f64; POINTS],
    /// ln of the likelihood of each ratio, up to a constant.
    likelihood: [f64; POINTS],
}

impl Default for RatioBounds {
    fn default() -> Self {
        let doublings = |point: usize| (point as f64 - (POINTS / 2) as f64) / f64::from(PER_DOUBLING);
        let ratios = std::array::from_fn(|point| libm::exp2(doublings(point)));
        let logs: [f64; POINTS] = std::array::from_fn(|point| doublings(point) * std::f64::consts::LN_2);
        let weights = logs.map(|log| -0.5 * (log / SPREAD) * (log / SPREAD));
        let whole = log_sum(&weights);
        Self { ratios, logs, log_prior: weights.map(|weight| weight - whole), likelihood: [0.0; POINTS] }
    }
}

impl RatioBounds {
    /// Take one window in, divided by the overdispersion `phi` (at least 1).
    ///
    /// Margin e-process, section 1.1, "reporting bounds": `x_c ln R - (x_c + x_s) ln(1 + s (R - 1))` with s the canary's share of
    /// the requests; the conditional likelihood of Lindon & Malek (arXiv 2011.03567) on a grid of R.
    pub fn absorb(&mut self, canary: Counts, control: Counts, phi: f64) {
        let Some((share, rest)) = shares(canary, control) else { return };
        let (all_bad, canary_bad) = ((canary.bad + control.bad) / phi.max(1.0), canary.bad / phi.max(1.0));
        for ((sum, ratio), log) in self.likelihood.iter_mut().zip(&self.ratios).zip(&self.logs) {
            *sum += canary_bad * log - all_bad * libm::log(rest + share * ratio);
        }
    }

    /// Take many windows in: the same as one after the other, but for the last bits. Products stand in for sums of logarithms as
    /// far as a float reaches, which is many times faster.
    pub fn absorb_all(&mut self, windows: &[(Counts, Counts)], phi: f64) {
        let (mut product, mut reach, mut canary_bad) = ([1.0; POINTS], 0.0, 0.0);
        for (canary, control) in windows {
            let Some((share, rest)) = shares(*canary, *control) else { continue };
            let bad = canary.bad + control.bad;
            let [least, most] = [0, POINTS - 1].map(|point| libm::log(rest + share * self.ratios[point]).abs());
            let step = bad * least.max(most);
            if bad.fract() != 0.0 || step > REACH {
                self.absorb(*canary, *control, phi);
                continue;
            }
            if reach + step > REACH {
                self.settle(&product, canary_bad, phi);
                (product, reach, canary_bad) = ([1.0; POINTS], 0.0, 0.0);
            }
            multiply(&mut product, self.ratios.map(|ratio| rest + share * ratio), bad as u64);
            reach += step;
            canary_bad += canary.bad;
        }
        self.settle(&product, canary_bad, phi);
    }

    fn settle(&mut self, product: &[f64; POINTS], canary_bad: f64, phi: f64) {
        for ((sum, product), log) in self.likelihood.iter_mut().zip(product).zip(&self.logs) {
            *sum += (canary_bad * log - libm::log(*product)) / phi.max(1.0);
        }
    }

    /// ln of the mixture's evidence against the ratio at a grid point.
    fn evidence_at(&self, point: usize) -> f64 {
        let parts: [f64; POINTS] = std::array::from_fn(|point| self.log_prior[point] + self.likelihood[point]);
        log_sum(&parts) - self.likelihood[point]
    }

    /// ln of the evidence against equal bad ratios.
    pub fn log_evidence_of_a_difference(&self) -> f64 {
        self.evidence_at(POINTS / 2)
    }

    /// The canary's bad ratio is this many times the control's, from and to; wrong with probability `alpha` at most over all
    /// looks. Rounded outwards to the grid: 0 and infinity stand for "beyond it".
    pub fn bounds(&self, alpha: f64) -> (f64, f64) {
        let mixture = self.evidence_at(POINTS / 2) + self.likelihood[POINTS / 2];
        let inside = |point: &usize| mixture - self.likelihood[*point] < -libm::log(alpha);
        let first = (0..POINTS).find(inside).unwrap_or(0);
        let last = (0..POINTS).rev().find(inside).unwrap_or(POINTS - 1);
        let lower = if first == 0 { 0.0 } else { self.ratios[first - 1] };
        let upper = if last == POINTS - 1 { f64::INFINITY } else { self.ratios[last + 1] };
        (lower, upper)
    }

    pub fn state(&self) -> Value {
        pack(&self.likelihood)
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        self.likelihood = unpack_array(state).ok_or(BrokenState("the bounds of the ratio"))?;
        Ok(())
    }
}

/// The canary's share of the requests and the control's; None where every ratio stays as likely as before: without bad events,
/// and with one arm.
fn shares(canary: Counts, control: Counts) -> Option<(f64, f64)> {
    let all = canary.total + control.total;
    let says_something = canary.bad + control.bad > 0.0 && canary.total > 0.0 && control.total > 0.0;
    says_something.then(|| (canary.total / all, control.total / all))
}

/// Each product times its factor to the power of `times`, by squaring.
fn multiply(product: &mut [f64; POINTS], mut factor: [f64; POINTS], times: u64) {
    let mut left = times;
    while left > 0 {
        if left % 2 == 1 {
            product.iter_mut().zip(factor).for_each(|(product, factor)| *product *= factor);
        }
        left /= 2;
        if left > 0 {
            factor.iter_mut().for_each(|factor| *factor *= *factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_bounds_nothing() {
        let mut bounds = RatioBounds::default();
        bounds.absorb(Counts { bad: 5.0, total: 5.0 }, Counts::default(), 1.0);
        bounds.absorb(Counts { bad: 0.0, total: 500.0 }, Counts { bad: 0.0, total: 500.0 }, 1.0);
        assert_eq!(bounds.bounds(0.01), (0.0, f64::INFINITY));
        assert!(bounds.log_evidence_of_a_difference().abs() < 1e-12);
    }

    #[test]
    fn bounds_lie_around_the_ratio_and_survive_a_restart() {
        let mut bounds = RatioBounds::default();
        for _ in 0..20 {
            bounds.absorb(Counts { bad: 30.0, total: 1_000.0 }, Counts { bad: 90.0, total: 9_000.0 }, 1.0);
        }
        let (lower, upper) = bounds.bounds(0.01);
        assert!(lower < 3.0 && lower > 2.0 && upper > 3.0 && upper < 4.0, "{lower} {upper}");
        let mut again = RatioBounds::default();
        again.restore(&bounds.state()).unwrap();
        assert_eq!(again, bounds);
    }
    #[test]
    fn many_windows_at_once_are_the_same_as_one_after_the_other() {
        let counts = |bad: u32, total: u32, part: f64| Counts { bad: f64::from(bad) + part, total: total.into() };
        let mut windows: Vec<_> = (0..300).map(|k| (counts(k % 7, 40 + k, 0.0), counts(k % 31, 900, 0.0))).collect();
        windows.extend([
            (counts(9_000, 10_000, 0.0), counts(8_000, 10_000, 0.0)),
            (counts(3, 10, 0.5), counts(2, 90, 0.25)),
            (counts(3, 10, 0.0), Counts::default()),
        ]);
        for phi in [1.0, 2.5] {
            let (mut one_by_one, mut at_once) = (RatioBounds::default(), RatioBounds::default());
            windows.iter().for_each(|(canary, control)| one_by_one.absorb(*canary, *control, phi));
            at_once.absorb_all(&windows, phi);
            for (one, other) in one_by_one.likelihood.iter().zip(&at_once.likelihood) {
                assert!((one - other).abs() <= 1e-10 * one.abs().max(1.0), "{one} {other}");
            }
        }
    }
}
