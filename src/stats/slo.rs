//! Evidence that one arm breaks its objective, with no other arm to compare with.
//!
//! It blames nobody: with both arms in breach the revision is not the cause.

use serde_json::Value;

use super::{
    alternatives::{Alternatives, Each},
    fold::BrokenState,
    grid::{ALTERNATIVES, FAIL},
    log_sum::log_sum,
    mixture::{Mixture, Restarts},
    window::Counts,
};
use crate::api::Percent;

/// The bad ratio that is still no breach: the objective's, times the speed at which the error budget may burn.
pub fn slo_limit(objective: Percent, burn: f64) -> f64 {
    burn * objective.rest().ratio()
}

/// The speed that spends 2 % of 30 days' budget in an hour (SRE Workbook).
pub const SLO_BURN: f64 = 14.4;

#[derive(Clone, Debug, PartialEq)]
pub struct SloTest {
    alternatives: Alternatives,
    /// ln(1 + p0 (rho - 1)).
    costs: Each,
    mixture: Mixture,
    level: f64,
}

impl SloTest {
    /// Evidence against "the bad ratio is at most `limit`". `level` is the metric's part of the probability of a false revert.
    pub fn new(limit: f64, level: f64, restarts: Restarts) -> Self {
        let alternatives = Alternatives::of(&FAIL);
        let mixture = Mixture::restarting(alternatives.prior, level, restarts);
        Self { costs: costs(&alternatives, limit), alternatives, mixture, level }
    }

    /// Take one window of the arm in, divided by the overdispersion `phi` (at least 1); the evidence after it.
    pub fn absorb(&mut self, arm: Counts, phi: f64) -> f64 {
        self.mixture.absorb(growth(&self.alternatives, &self.costs, arm).map(|growth| growth / phi.max(1.0)))
    }

    /// The e-value so far.
    pub fn evidence(&self) -> f64 {
        self.mixture.evidence()
    }

    /// What the evidence has to reach.
    pub fn threshold(&self) -> f64 {
        1.0 / self.level
    }

    pub fn is_proven(&self) -> bool {
        self.evidence() >= self.threshold()
    }

    pub fn state(&self) -> Value {
        self.mixture.state()
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        self.mixture.restore(state)
    }
}

fn costs(alternatives: &Alternatives, limit: f64) -> Each {
    alternatives.excess.map(|excess| libm::log1p(limit * excess))
}

/// SLO e-process, section 1.2: `x ln rho - n ln(1 + p0 (rho - 1))`. For independent requests its exponential is 1 on average at
/// a ratio of exactly p0, and less below.
fn growth(alternatives: &Alternatives, costs: &Each, arm: Counts) -> Each {
    std::array::from_fn(|index| alternatives.logs[index] * arm.bad - arm.total * costs[index])
}

/// The same for counts taken in at once: ln of the e-value, without restarts and cap.
pub fn slo_log_evidence(arm: Counts, limit: f64) -> f64 {
    let alternatives = Alternatives::of(&FAIL);
    let growth = growth(&alternatives, &costs(&alternatives, limit), arm);
    let parts: [f64; ALTERNATIVES] = std::array::from_fn(|index| libm::log(FAIL.prior[index]) + growth[index]);
    log_sum(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_proven_in_the_third_window_and_a_good_hour_proves_nothing() {
        let limit = slo_limit("99.9".parse().unwrap(), SLO_BURN);
        assert!((limit - 0.0144).abs() < 1e-12);
        let mut test = SloTest::new(limit, 0.001, Restarts::default());
        let outage: Vec<_> = (0..3).map(|_| test.absorb(Counts { bad: 500.0, total: 500.0 }, 1.0)).collect();
        assert!(outage[1] < test.threshold() && test.is_proven(), "{outage:?}");
        let mut good = SloTest::new(limit, 0.001, Restarts::default());
        for _ in 0..720 {
            good.absorb(Counts { bad: 5.0, total: 500.0 }, 1.0);
        }
        assert!(good.evidence() < 1.0);
        good.restore(&test.state()).unwrap();
        assert_eq!(good, test);
    }
}
