//! Bounds for one arm's bad ratio that hold at every moment, if the ratio stays the same.
//!
//! For display, and to be labelled "assumes a constant rate": no verdict rests on it.

use statrs::function::gamma::ln_gamma;

use super::{crossing::crossing, window::Counts};

/// Robbins' mixture, section 1.2: ln of the evidence of a Beta(1/2, 1/2) mixture against this bad ratio.
pub fn rate_log_evidence(arm: Counts, ratio: f64) -> f64 {
    let good = arm.total - arm.bad;
    // 0 ln 0 is 0.
    let times_log = |count: f64, log: f64| if count > 0.0 { count * log } else { 0.0 };
    ln_beta(0.5 + arm.bad, 0.5 + good)
        - ln_beta(0.5, 0.5)
        - times_log(arm.bad, libm::log(ratio))
        - times_log(good, libm::log1p(-ratio))
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The bad ratio, from and to; wrong with probability `alpha` at most over all looks.
pub fn rate_bounds(arm: Counts, alpha: f64) -> (f64, f64) {
    if arm.total <= 0.0 {
        return (0.0, 1.0);
    }
    let seen = arm.bad / arm.total;
    let rejected = |ratio: f64| rate_log_evidence(arm, ratio) >= -libm::log(alpha);
    (crossing(0.0, seen, rejected), crossing(1.0, seen, rejected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_within_0_and_1_and_hold_what_was_seen() {
        for (bad, total) in [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 1e9), (1e9, 1e9), (5e6, 1e9)] {
            let (lower, upper) = rate_bounds(Counts { bad, total }, 0.05);
            let seen = if total > 0.0 { bad / total } else { 0.5 };
            assert!(0.0 <= lower && lower <= seen && seen <= upper && upper <= 1.0, "{bad} {total}: {lower} {upper}");
        }
    }
}
