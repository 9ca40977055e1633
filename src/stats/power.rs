//! The planner's arithmetic: how long a regression takes to be found, the smallest one that is found in a given time, and how
//! long a Pass takes.
//!
//! Method: the logarithm of the evidence for one alternative is taken as a sum with constant drift and variance per second
//! (Wald's approximation of a sequential test), and the alternative that gets there first is counted. It errs on the careful
//! side, because alternatives beside it help. It knows no steps, no clock and no budget, and one metric at a time.

use super::{
    grid::{FAIL, Grid, Margin, PASS},
    terms::Terms,
};
use crate::api::Percent;

/// Probability with which the times and rises are reached.
pub const POWER: f64 = 0.8;
/// The standard normal quantile of `POWER`, from tables of the inverse of the normal distribution function.
const Z: f64 = 0.841_621_233_572_914_3;
/// Halvings of an interval no longer than 1: more than a float can tell apart.
const HALVINGS: u32 = 60;

/// Steady traffic over two arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Both arms together: without a baseline all of the service.
    pub requests_per_second: f64,
    /// The canary's share of the arms' requests, from 0 to 1.
    pub canary_share: f64,
    /// Stable's bad ratio, from 0 to 1.
    pub stable_ratio: f64,
    /// How many bad requests come together, 1 or more.
    pub overdispersion: f64,
}

/// What evidence grows by, per second.
struct Growth {
    drift: f64,
    variance: f64,
}

impl Flow {
    /// The arms at this weight of a service with so many requests a second. `ratio_and_phi`: stable's bad ratio, and how many bad
    /// requests come together. A baseline as control gets no more than the canary; stable gets all the rest.
    pub fn of(service_per_second: f64, weight: Percent, has_baseline: bool, ratio_and_phi: (f64, f64)) -> Self {
        let (stable_ratio, overdispersion) = ratio_and_phi;
        let canary_share = weight.of_arms(has_baseline).ratio();
        let requests_per_second = service_per_second * Self::part_of_all(weight, has_baseline);
        Self { requests_per_second, canary_share, stable_ratio, overdispersion }
    }

    /// The arms' part of the service's requests at this weight, from 0 to 1.
    pub fn part_of_all(weight: Percent, has_baseline: bool) -> f64 {
        Percent::from_thousandths(weight.thousandths() + weight.of_control(has_baseline).thousandths()).ratio()
    }

    /// Whether both arms have traffic: nothing can be compared else.
    pub fn compares(&self) -> bool {
        self.requests_per_second > 0.0 && self.canary_share > 0.0 && self.canary_share < 1.0
    }

    /// Seconds of judged windows after which a canary with this bad ratio has failed, with a probability of `POWER`.
    /// `alpha_share`: the metric's share of alpha. None: never.
    pub fn seconds_to_fail(&self, terms: &Terms, alpha_share: f64, canary_ratio: f64) -> Option<f64> {
        let needed = libm::log(terms.fail_threshold(alpha_share)) - libm::log(1.0 - terms.reserve);
        let seconds = self.soonest(&FAIL, terms.fail, canary_ratio, needed)?;
        Some(seconds.max(terms.confirm_seconds()))
    }

    /// The smallest bad ratio of a canary that has failed after so many seconds of judged windows, with a probability of
    /// `POWER`. None: not even one that fails every request.
    pub fn smallest_failing(&self, terms: &Terms, alpha_share: f64, seconds: f64) -> Option<f64> {
        let fails = |ratio: f64| self.seconds_to_fail(terms, alpha_share, ratio).is_some_and(|time| time <= seconds);
        smallest(self.stable_ratio, fails)
    }

    /// Seconds of judged windows after which a canary as good as stable has passed, with a probability of `POWER`.
    /// None: never.
    pub fn seconds_to_pass(&self, terms: &Terms) -> Option<f64> {
        let needed = libm::log(terms.pass_threshold());
        let seconds = self.soonest(&PASS, terms.pass, self.stable_ratio, needed)?;
        let least = terms.min_canary_requests as f64 / (self.requests_per_second * self.canary_share);
        Some(seconds.max(least).max(terms.window_seconds))
    }

    /// The soonest of all alternatives: each must make up for its share of the prior.
    fn soonest(&self, grid: &Grid, margin: Margin, canary_ratio: f64, needed: f64) -> Option<f64> {
        if !self.compares() {
            return None;
        }
        let of = |(ratio, prior): (&f64, &f64)| {
            seconds(&self.growth(*ratio, margin, canary_ratio), needed - libm::log(*prior))
        };
        grid.ratios.iter().zip(&grid.prior).filter_map(of).min_by(f64::total_cmp)
    }

    /// Drift and variance per second of the margin e-process for one alternative `ratio` (rho), from its increment in a
    /// window, [ ln(rho) x_c - (x_c + x_s) A - absolute n_c (rho e^-A - 1) ] / overdispersion with
    /// A = ln(1 + q (rho - 1)), q = r n_c / (r n_c + n_s): expectation, and variance of Poisson counts.
    fn growth(&self, ratio: f64, margin: Margin, canary_ratio: f64) -> Growth {
        let (canary, stable) = (self.canary_share, 1.0 - self.canary_share);
        let q = margin.ratio * canary / (margin.ratio * canary + stable);
        let all = libm::log1p(q * (ratio - 1.0));
        let (of_canary, of_stable) = (libm::log(ratio) - all, -all);
        let (canary_bad, stable_bad) = (canary * canary_ratio, stable * self.stable_ratio);
        let tolerated = margin.absolute * canary * (libm::exp(of_canary) - 1.0);
        let drift = canary_bad * of_canary + stable_bad * of_stable - tolerated;
        let variance = canary_bad * of_canary * of_canary + stable_bad * of_stable * of_stable;
        let scale = self.requests_per_second / self.overdispersion;
        Growth { drift: scale * drift, variance: scale * variance }
    }
}

/// Traffic of one arm, held against a bad ratio that the objective still bears: at 100 % there is no control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alone {
    pub requests_per_second: f64,
    /// The bad ratio that a Fail is proved against.
    pub tolerated_ratio: f64,
    pub overdispersion: f64,
}

impl Alone {
    /// As `Flow::seconds_to_fail`. Evidence for one alternative rho in a window: x ln(rho) - n ln(1 + tolerated (rho - 1)),
    /// the likelihood ratio of Bernoulli requests.
    pub fn seconds_to_fail(&self, terms: &Terms, alpha_share: f64, bad_ratio: f64) -> Option<f64> {
        let needed = libm::log(terms.fail_threshold(alpha_share)) - libm::log(1.0 - terms.reserve);
        let scale = self.requests_per_second / self.overdispersion;
        let of = |(ratio, prior): (&f64, &f64)| {
            let bad = libm::log(*ratio);
            let drift = bad_ratio * bad - libm::log1p(self.tolerated_ratio * (ratio - 1.0));
            let growth = Growth { drift: scale * drift, variance: scale * bad_ratio * bad * bad };
            seconds(&growth, needed - libm::log(*prior))
        };
        let soonest = FAIL.ratios.iter().zip(&FAIL.prior).filter_map(of).min_by(f64::total_cmp)?;
        Some(soonest.max(terms.confirm_seconds()))
    }

    /// As `Flow::smallest_failing`.
    pub fn smallest_failing(&self, terms: &Terms, alpha_share: f64, seconds: f64) -> Option<f64> {
        let fails = |ratio: f64| self.seconds_to_fail(terms, alpha_share, ratio).is_some_and(|time| time <= seconds);
        smallest(self.tolerated_ratio, fails)
    }
}

/// The time t after which a sum with this drift g and variance v has passed `height` h with a probability of `POWER`:
/// g t - z sqrt(v t) = h, solved for sqrt(t). None: it does not rise.
fn seconds(growth: &Growth, height: f64) -> Option<f64> {
    let Growth { drift, variance } = growth;
    if drift.is_nan() || *drift <= 0.0 {
        return None;
    }
    let spread = Z * variance.sqrt();
    let root = (spread + (spread * spread + 4.0 * drift * height).sqrt()) / (2.0 * drift);
    Some(root * root)
}

/// The smallest ratio above `from` that fails, by bisection: what is worse is found sooner.
fn smallest(from: f64, fails: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut good, mut bad) = (from, 1.0);
    if !fails(bad) {
        return None;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(good, bad);
        if fails(middle) {
            bad = middle;
        } else {
            good = middle;
        }
    }
    Some(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Plan;

    const FLOW: Flow = Flow { requests_per_second: 40.0, canary_share: 0.25, stable_ratio: 0.001, overdispersion: 1.0 };

    fn terms() -> Terms {
        Terms::new(Some("99.9".parse().unwrap()), &Plan::default(), 5.0)
    }

    #[test]
    fn what_is_worse_is_found_sooner_and_what_is_tolerated_never() {
        let terms = terms();
        assert_eq!(FLOW.seconds_to_fail(&terms, 1.0, 0.001), None);
        assert_eq!(FLOW.seconds_to_fail(&terms, 1.0, 0.0012), None);
        let times: Vec<f64> = [0.002, 0.005, 0.02, 0.1, 1.0]
            .iter()
            .map(|ratio| FLOW.seconds_to_fail(&terms, 1.0, *ratio).unwrap())
            .collect();
        assert!(times.windows(2).all(|pair| pair[1] <= pair[0]), "{times:?}");
        assert!((times[4] - terms.confirm_seconds()).abs() < 1e-9, "three windows at least: {times:?}");
    }

    #[test]
    fn the_smallest_that_fails_takes_just_the_time_given() {
        let terms = terms();
        for seconds in [60.0, 180.0, 3_600.0] {
            let ratio = FLOW.smallest_failing(&terms, 0.5, seconds).unwrap();
            let time = FLOW.seconds_to_fail(&terms, 0.5, ratio).unwrap();
            assert!(time <= seconds && time > seconds * 0.999, "{seconds}: {ratio} takes {time}");
        }
        assert_eq!(FLOW.smallest_failing(&terms, 0.5, 10.0), None, "less than three windows");
    }

    #[test]
    fn bursts_and_a_smaller_share_of_alpha_cost_time() {
        let terms = terms();
        let plain = FLOW.seconds_to_fail(&terms, 1.0, 0.02).unwrap();
        let bursts = Flow { overdispersion: 5.0, ..FLOW };
        assert!(bursts.seconds_to_fail(&terms, 1.0, 0.02).unwrap() > 4.0 * plain);
        assert!(FLOW.seconds_to_fail(&terms, 0.1, 0.02).unwrap() > plain);
    }

    #[test]
    fn without_a_second_arm_nothing_is_compared() {
        let terms = terms();
        for canary_share in [0.0, 1.0] {
            let flow = Flow { canary_share, ..FLOW };
            assert!(!flow.compares());
            assert_eq!(flow.seconds_to_fail(&terms, 1.0, 1.0), None);
            assert_eq!(flow.seconds_to_pass(&terms), None);
        }
        assert_eq!(Flow { requests_per_second: 0.0, ..FLOW }.smallest_failing(&terms, 1.0, 1e9), None);
    }

    /// Times in seconds of good canaries, as simulated against this approximation when the method was chosen.
    #[test]
    fn a_good_canary_passes_in_the_time_known_from_simulations() {
        for (requests_per_second, canary_share, stable_ratio, objective, seconds) in [
            (5.0, 0.5, 0.001, "99.9", 17_432.5),
            (50.0, 0.25, 0.001, "99.9", 2_427.9),
            (50.0, 0.5, 0.0002, "99.9", 1_250.8),
            (500.0, 0.5, 0.01, "99", 17.43),
            (5_000.0, 0.05, 0.001, "99.9", 98.40),
        ] {
            let terms = Terms::new(Some(objective.parse().unwrap()), &Plan::default(), 5.0);
            let flow = Flow { requests_per_second, canary_share, stable_ratio, overdispersion: 1.0 };
            let time = flow.seconds_to_pass(&terms).unwrap();
            assert!((time / seconds - 1.0).abs() < 1e-3, "{requests_per_second} {canary_share}: {time}");
        }
    }

    #[test]
    fn a_pass_needs_its_requests_however_good_the_canary_is() {
        let terms = Terms { min_canary_requests: 1_000_000, ..terms() };
        let time = FLOW.seconds_to_pass(&terms).unwrap();
        assert!((time - 100_000.0).abs() < 1e-6, "{time}");
    }

    #[test]
    fn an_arm_alone_is_held_against_what_it_may_do() {
        let terms = terms();
        let alone = Alone { requests_per_second: 40.0, tolerated_ratio: 0.0144, overdispersion: 1.0 };
        assert_eq!(alone.seconds_to_fail(&terms, 0.1, 0.0144), None);
        let ratio = alone.smallest_failing(&terms, 0.1, 900.0).unwrap();
        assert!(ratio > 0.0144 && ratio < 0.05, "{ratio}");
        assert!(alone.seconds_to_fail(&terms, 0.1, ratio).unwrap() <= 900.0);
    }
}
