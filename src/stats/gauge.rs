//! Evidence that the canary's gauge (memory, CPU for each request) lies above the control's by more than a margin.
//!
//! A sign that people look at: gauges are autocorrelated and revert nothing by default.

use serde_json::Value;
use statrs::function::erf::erfc;

use super::{
    bits::{pack, unpack_array},
    fold::BrokenState,
};

/// Below this the normal distribution's tail underflows.
const FAR: f64 = -30.0;

/// ln of the e-value against "the differences are symmetric about 0 or less", from their sum and their sum of squares.
///
/// Gauges, section 1.4: half-normal mixture of the self-normalised process `exp(lambda S - lambda^2 V / 2)` (de la Peña; Howard
/// et al., "Time-uniform Chernoff bounds"): no variance is estimated, and heavy tails do no harm. `scale` is 0.5 / the standard
/// deviation of the differences before the rollout.
pub fn gauge_log_evidence(sum: f64, squares: f64, scale: f64) -> f64 {
    let spread = 1.0 + scale * scale * squares;
    let z = scale * sum / libm::sqrt(spread);
    std::f64::consts::LN_2 - 0.5 * libm::log(spread) + half_square_and_log_normal(z)
}

/// z^2 / 2 + ln Phi(z). Far below 0 the two cancel: what is left there is Mills' ratio.
fn half_square_and_log_normal(z: f64) -> f64 {
    if z < FAR {
        let w = 1.0 / (z * z);
        let series = -w * (1.0 - w * (3.0 - 15.0 * w));
        return libm::log1p(series) - libm::log(-z * libm::sqrt(2.0 * std::f64::consts::PI));
    }
    0.5 * z * z + libm::log(0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2))
}

/// Blocks of 60 s over a run.
#[derive(Clone, Debug, PartialEq)]
pub struct GaugeTest {
    scale: f64,
    /// Correlation of a block with the one before it, from before the rollout.
    lag: f64,
    sum: f64,
    squares: f64,
    /// The last block; 0 where none came just before.
    last: f64,
}

impl GaugeTest {
    pub fn new(scale: f64, lag: f64) -> Self {
        Self { scale, lag, sum: 0.0, squares: 0.0, last: 0.0 }
    }

    /// Take the means of one block in; ln of the e-value after it. `tolerance` is relative: 0.1 is 10 % more.
    pub fn absorb(&mut self, canary: f64, control: f64, tolerance: f64) -> f64 {
        // A ratio, so that load which drifts in both arms cancels.
        if canary > 0.0 && control > 0.0 {
            self.absorb_difference(libm::log(canary / control) - libm::log1p(tolerance));
        }
        self.log_evidence()
    }

    /// Prewhitened: what the block before it already said is taken off.
    pub fn absorb_difference(&mut self, difference: f64) -> f64 {
        let news = difference - self.lag * self.last;
        self.last = difference;
        self.sum += news;
        self.squares += news * news;
        self.log_evidence()
    }

    /// The next block does not follow the last one.
    pub fn interrupt(&mut self) {
        self.last = 0.0;
    }

    pub fn log_evidence(&self) -> f64 {
        gauge_log_evidence(self.sum, self.squares, self.scale)
    }

    pub fn state(&self) -> Value {
        pack(&[self.sum, self.squares, self.last])
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        [self.sum, self.squares, self.last] = unpack_array(state).ok_or(BrokenState("the gauge"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_far_tail_joins_the_near_one() {
        let (near, far) = (half_square_and_log_normal(FAR + 1e-9), half_square_and_log_normal(FAR - 1e-9));
        assert!((near - far).abs() < 1e-8, "{near} {far}");
        assert!(half_square_and_log_normal(-1e6).is_finite());
        assert!(gauge_log_evidence(-1e9, 1.0, 5.0) < 0.0);
    }

    #[test]
    fn twice_the_memory_is_noticed_and_the_same_is_not() {
        let (mut twice, mut same) = (GaugeTest::new(10.0, 0.3), GaugeTest::new(10.0, 0.3));
        for block in 0..30 {
            let noise = if block % 2 == 0 { 1.02 } else { 0.98 };
            twice.absorb(200.0 * noise, 100.0, 0.1);
            same.absorb(100.0 * noise, 100.0, 0.1);
        }
        same.absorb(0.0, 100.0, 0.1);
        assert!(twice.log_evidence() > 5.0 && same.log_evidence() < 0.0);
        same.restore(&twice.state()).unwrap();
        assert_eq!(same, twice);
    }
}
