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
        let bad = canary.bad + control.bad;
        // Without bad events, and with one arm, every ratio is as likely as before.
        if bad <= 0.0 || canary.total <= 0.0 || control.total <= 0.0 {
            return;
        }
        let all = canary.total + control.total;
        let (share, rest) = (canary.total / all, control.total / all);
        let (weight, canary_weight) = (bad / phi.max(1.0), canary.bad / phi.max(1.0));
        for ((sum, ratio), log) in self.likelihood.iter_mut().zip(&self.ratios).zip(&self.logs) {
            *sum += canary_weight * log - weight * libm::log(rest + share * ratio);
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
}
