//! What a bad revision can cost before it is taken back, and whether the next step can be afforded.
//!
//! Accounting: bad requests above stable's, counted in requests and held against the error budget. It finds no regression
//! itself (`power` says how long that takes) and decides nothing about steps.

use serde::Serialize;

use super::allowance::Allowance;

/// Halvings of the largest rise that is looked at: a tenth of a percent of it, where a whole bake costs next to nothing.
const HALVINGS: i32 = 10;

/// A regression while it lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident {
    /// Of the service: both arms together.
    pub requests_per_second: f64,
    /// The canary's share, from 0 to 1.
    pub canary_share: f64,
    /// From its begin until the route has taken the traffic back.
    pub seconds: f64,
    /// The canary's bad ratio above stable's, from 0 to 1.
    pub excess_ratio: f64,
}

impl Incident {
    /// Bad requests that it causes: rate x share x rise x time.
    pub fn requests(&self) -> f64 {
        self.requests_per_second * self.canary_share * self.excess_ratio * self.seconds
    }

    /// The part of the error budget that it spends, if the budget's window has the mean rate times its length in requests:
    /// share x rise x time x load / (allowed ratio x window). `load`: the present rate, as a multiple of the mean one.
    pub fn budget_fraction(&self, allowed_ratio: f64, window_seconds: f64, load: f64) -> f64 {
        self.canary_share * self.excess_ratio * self.seconds * load / (allowed_ratio * window_seconds)
    }

    /// The largest share, up to 1, at which it spends no more than `max_spend` (0 to 1) of that budget.
    pub fn largest_safe_share(&self, max_spend: f64, allowed_ratio: f64, window_seconds: f64, load: f64) -> f64 {
        let whole = Self { canary_share: 1.0, ..*self }.budget_fraction(allowed_ratio, window_seconds, load);
        if whole > max_spend { max_spend / whole } else { 1.0 }
    }
}

/// A step that has not been taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NextStep {
    /// Of the service: both arms together.
    pub requests_per_second: f64,
    /// The canary's share in the step, from 0 to 1.
    pub canary_share: f64,
    pub bake_seconds: f64,
}

/// The most that a regression costs within one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorstCost {
    /// The rise that costs this.
    pub excess_ratio: f64,
    /// Its time in the step: until it is taken back, or the whole bake.
    pub seconds: f64,
    /// Bad requests.
    pub requests: f64,
}

impl NextStep {
    /// The worst over these rises. A large one is found at once, a small one hurts little: the worst lies between.
    /// `delay_seconds`: from a rise's begin until it is taken back; infinite if it is not found.
    pub fn worst_cost(&self, rises: &[f64], delay_seconds: impl Fn(f64) -> f64) -> WorstCost {
        let mut worst = WorstCost::default();
        for &excess_ratio in rises {
            let seconds = delay_seconds(excess_ratio).min(self.bake_seconds);
            let Self { requests_per_second, canary_share, bake_seconds: _ } = *self;
            let requests = Incident { requests_per_second, canary_share, seconds, excess_ratio }.requests();
            if requests > worst.requests {
                worst = WorstCost { excess_ratio, seconds, requests };
            }
        }
        worst
    }
}

/// The rises to look at, up to the largest that the evidence so far leaves possible (the upper bound of the canary's bad
/// ratio above stable's): that one, and its halves.
pub fn rises(largest: f64) -> Vec<f64> {
    if largest.is_nan() || largest <= 0.0 {
        return Vec::new();
    }
    (0..=HALVINGS).map(|halvings| largest / f64::from(1 << halvings)).collect()
}

impl WorstCost {
    /// Whether a step may be taken: what it costs at worst is left of the allowance after `excess` requests.
    pub fn is_affordable(&self, allowance: Allowance, excess: f64) -> bool {
        self.requests <= allowance.hundredths as f64 / 100.0 - excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: NextStep = NextStep { requests_per_second: 50.0, canary_share: 0.1, bake_seconds: 300.0 };

    #[test]
    fn the_worst_rise_is_between_what_is_found_at_once_and_what_hurts_little() {
        // Found after 1/e seconds: every rise up to the one that takes the whole bake costs the same, less below it.
        let worst = STEP.worst_cost(&rises(1.0), |rise| 1.0 / rise / rise);
        assert_eq!((worst.excess_ratio, worst.seconds), (1.0 / 16.0, 256.0));
        assert!((worst.requests - 5.0 * 256.0 / 16.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_never_found_costs_the_whole_bake() {
        let worst = STEP.worst_cost(&rises(1.0), |_| f64::INFINITY);
        assert_eq!(worst, WorstCost { excess_ratio: 1.0, seconds: 300.0, requests: 1_500.0 });
    }

    #[test]
    fn where_no_rise_is_possible_nothing_can_be_lost() {
        for largest in [0.0, -0.1, f64::NAN] {
            assert_eq!(STEP.worst_cost(&rises(largest), |_| 25.0), WorstCost::default());
        }
    }

    #[test]
    fn a_step_is_affordable_while_the_allowance_covers_its_worst() {
        let worst = WorstCost { excess_ratio: 0.1, seconds: 25.0, requests: 12.5 };
        let allowance = Allowance { hundredths: 2_000, least: false };
        for (excess, affordable) in [(0.0, true), (7.5, true), (7.6, false), (30.0, false)] {
            assert_eq!(worst.is_affordable(allowance, excess), affordable, "{excess}");
        }
    }
}
