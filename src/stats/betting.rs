//! Evidence that the mean of a value between 0 and 1 (utilisation, cache hits) lies above a limit.
//!
//! One arm against a number; nothing is known of how the values are distributed.

use serde_json::Value;

use super::{
    bits::{pack, unpack_array},
    fold::BrokenState,
};

/// Parts of what is held that each bettor stakes.
const STAKES: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.8];
/// No evidence is worth more than this.
const MOST: f64 = 1e200;

#[derive(Clone, Debug, PartialEq)]
pub struct BettingTest {
    limit: f64,
    held: [f64; STAKES.len()],
}

impl BettingTest {
    /// Evidence against "the mean is at most `limit`", which lies between 0 and 1.
    pub fn new(limit: f64) -> Self {
        Self { limit, held: [1.0; STAKES.len()] }
    }

    /// Take one value in; the evidence after it. Values outside 0 to 1 count as the nearer end.
    ///
    /// Gauges with natural bounds, section 1.4: the average over five stakes f of the products of `1 + (f / m)(X - m)`, a betting
    /// e-process (Waudby-Smith & Ramdas). No bettor can lose more than its stake.
    pub fn absorb(&mut self, value: f64) -> f64 {
        for (held, stake) in self.held.iter_mut().zip(STAKES) {
            *held = (*held * (1.0 + stake / self.limit * (value.clamp(0.0, 1.0) - self.limit))).min(MOST);
        }
        self.evidence()
    }

    pub fn evidence(&self) -> f64 {
        self.held.iter().sum::<f64>() / STAKES.len() as f64
    }

    pub fn state(&self) -> Value {
        pack(&self.held)
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        self.held = unpack_array(state).ok_or(BrokenState("the bets"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_above_the_limit_is_found_and_one_at_the_limit_is_not() {
        let (mut above, mut at) = (BettingTest::new(0.6), BettingTest::new(0.6));
        for index in 0..200 {
            let noise = if index % 2 == 0 { 0.1 } else { -0.1 };
            above.absorb(0.75 + noise);
            at.absorb(0.6 + noise);
        }
        assert!(above.evidence() > 1e6 && at.evidence() <= 1.0, "{} {}", above.evidence(), at.evidence());
        at.restore(&above.state()).unwrap();
        assert_eq!(at, above);
    }
}
