//! The margin e-process: evidence that the canary's bad ratio lies above (Fail) or below (Pass) a margin over the control's.
//!
//! It compares counts of the same window only, and is an e-process: it may be looked at after each window. It decides nothing.

use serde_json::Value;

use super::{
    alternatives::{Alternatives, Each},
    fold::BrokenState,
    grid::{FAIL, Grid, Margin, PASS},
    mixture::{Mixture, Restarts},
    window::Counts,
};

#[derive(Clone, Debug, PartialEq)]
pub struct MarginTest {
    alternatives: Alternatives,
    margin: Margin,
    mixture: Mixture,
    level: f64,
}

impl MarginTest {
    /// Evidence against "the canary is at most `margin` worse" (section 1.1). `level` is the metric's part of the
    /// probability of a false revert, alpha times weight.
    pub fn fail(margin: Margin, level: f64, restarts: Restarts) -> Self {
        let alternatives = Alternatives::of(&FAIL);
        let mixture = Mixture::restarting(alternatives.prior, level, restarts);
        Self { alternatives, margin, mixture, level }
    }

    /// Evidence against "the canary is `margin` worse or more": non-inferiority (section 1.6). No restart and no cap: an
    /// early Pass has to be outweighed by what comes later.
    pub fn pass(margin: Margin, level: f64) -> Self {
        let alternatives = Alternatives::of(&PASS);
        let mixture = Mixture::plain(alternatives.prior);
        Self { alternatives, margin, mixture, level }
    }

    /// Take one window in, divided by the overdispersion `phi` (at least 1); the evidence after it. `phi` may differ from
    /// window to window if it was estimated from earlier ones.
    pub fn absorb(&mut self, canary: Counts, control: Counts, phi: f64) -> f64 {
        let log_growth = log_growth(&self.alternatives, self.margin, canary, control, phi);
        self.mixture.absorb(log_growth)
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

    /// Each alternative's evidence, and the prior that has not started yet.
    pub fn parts(&self) -> (Each, f64) {
        self.mixture.parts()
    }

    pub fn state(&self) -> Value {
        self.mixture.state()
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        self.mixture.restore(state)
    }
}

/// Margin e-process, section 1.1: `[gain - tolerance cost] / phi` for each alternative. To divide by phi is always valid
/// (Jensen), and exact for bad events in clusters of one arm up to the size phi.
fn log_growth(alternatives: &Alternatives, margin: Margin, canary: Counts, control: Counts, phi: f64) -> Each {
    let likelihood = alternatives.likelihood(margin.ratio, canary, control);
    let mut growth = likelihood.gain;
    for (gain, cost) in growth.iter_mut().zip(likelihood.cost) {
        *gain = (*gain - margin.absolute * cost) / phi.max(1.0);
    }
    growth
}

/// What one window says for one alternative ratio: ln of its e-value, without cap.
pub fn margin_log_evidence(canary: Counts, control: Counts, ratio: f64, margin: Margin, phi: f64) -> f64 {
    let one = Grid { ratios: [ratio; 8], prior: FAIL.prior };
    log_growth(&Alternatives::of(&one), margin, canary, control, phi)[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Margin = Margin { ratio: 1.1, absolute: 0.0001 };

    fn counts(bad: u32, total: u32) -> Counts {
        Counts { bad: bad.into(), total: total.into() }
    }

    #[test]
    fn written_and_restored_it_goes_on_bit_by_bit() {
        let windows: Vec<_> = (0..40).map(|k| (counts(k % 5, 50 + k), counts(k % 3, 950 - k))).collect();
        for new in [|| MarginTest::fail(MARGIN, 0.005, Restarts::default()), || MarginTest::pass(MARGIN, 0.05)] {
            let mut whole = new();
            windows.iter().for_each(|(canary, control)| _ = whole.absorb(*canary, *control, 1.3));
            for cut in 0..windows.len() {
                let mut before = new();
                windows[..cut].iter().for_each(|(canary, control)| _ = before.absorb(*canary, *control, 1.3));
                let mut after = new();
                after.restore(&serde_json::from_str(&before.state().to_string()).unwrap()).unwrap();
                windows[cut..].iter().for_each(|(canary, control)| _ = after.absorb(*canary, *control, 1.3));
                assert_eq!(after.evidence().to_bits(), whole.evidence().to_bits(), "cut at {cut}");
                assert_eq!(after, whole);
            }
        }
    }

    #[test]
    fn the_same_bits_come_out_on_every_platform() {
        let mut test = MarginTest::fail(MARGIN, 0.01, Restarts::default());
        for k in 0..200 {
            test.absorb(counts(k % 4, 50 + k), counts(k % 7, 950), 1.0);
        }
        assert_eq!(format!("{:016x}", test.evidence().to_bits()), "4876e5d6249cb568");
    }

    /// An e-value is 1 on average at most: all outcomes of a window of 3 and 4 requests, weighed by their probability.
    #[test]
    fn on_average_no_window_says_anything_at_the_margin() {
        let choose = |n: u32, k: u32| (0..k).fold(1.0, |all, i| all * f64::from(n - i) / f64::from(i + 1));
        let weight = |n, k, p: f64| choose(n, k) * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32);
        let margin = Margin { ratio: 1.2, absolute: 0.05 };
        for (ratio, control) in [(2.0, 0.1), (25.0, 0.3), (0.5, 0.1), (0.01, 0.3)] {
            let canary = margin.ratio * control + margin.absolute;
            let outcomes = (0..=3).flat_map(|xc| (0..=4).map(move |xs| (xc, xs)));
            let mean: f64 = outcomes
                .map(|(xc, xs)| {
                    let log = margin_log_evidence(counts(xc, 3), counts(xs, 4), ratio, margin, 1.0);
                    weight(3, xc, canary) * weight(4, xs, control) * log.exp()
                })
                .sum();
            assert!(mean <= 1.0 && mean > 0.5, "{ratio} {control}: {mean}");
        }
    }
}
