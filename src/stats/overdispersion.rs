//! How much more the bad events of equal pods differ than chance would have it: what evidence has to be divided by.
//!
//! It does not split the pods; it is given blocks of the two halves.

use serde_json::Value;

use super::{
    bits::{pack, unpack_array},
    fold::BrokenState,
    window::Counts,
};

/// The most that evidence is divided by: beyond it nothing would ever be found.
const MOST: f64 = 30.0;
/// Blocks with bad events that an estimate needs.
const ENOUGH_BLOCKS: f64 = 20.0;
/// With fewer: a guess on the careful side, of pairs of bad events.
pub const FALLBACK_PHI: f64 = 2.0;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overdispersion {
    squares: f64,
    variance: f64,
    /// Blocks that contained bad events of both or either half.
    blocks: f64,
}

impl Overdispersion {
    /// Take one block in, 60 s long: the two halves of the stable pods.
    ///
    /// Overdispersion, section 1.1: with m bad events of both and q the first half's part of all events, the sum of
    /// `(x_a - m q)^2` over the sum of `m q (1 - q)`, Pearson's dispersion of the arm-to-arm split.
    pub fn absorb(&mut self, a: Counts, b: Counts) {
        let (bad, all) = (a.bad + b.bad, a.total + b.total);
        if bad <= 0.0 || all <= 0.0 {
            return;
        }
        let share = a.total / all;
        let surplus = a.bad - bad * share;
        self.squares += surplus * surplus;
        self.variance += bad * share * (1.0 - share);
        self.blocks += 1.0;
    }

    /// The estimate as it stands, at least 1.
    pub fn estimate(&self) -> f64 {
        if self.variance > 0.0 { (self.squares / self.variance).max(1.0) } else { 1.0 }
    }

    /// What to divide by: the estimate between 1 and 30; 2 if too little is known.
    pub fn phi(&self) -> f64 {
        if self.blocks < ENOUGH_BLOCKS { FALLBACK_PHI } else { self.estimate().min(MOST) }
    }

    pub fn state(&self) -> Value {
        pack(&[self.squares, self.variance, self.blocks])
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        [self.squares, self.variance, self.blocks] = unpack_array(state).ok_or(BrokenState("the overdispersion"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(blocks: usize, bad_a: f64, bad_b: f64) -> Overdispersion {
        let mut dispersion = Overdispersion::default();
        for _ in 0..blocks {
            dispersion.absorb(Counts { bad: bad_a, total: 600.0 }, Counts { bad: bad_b, total: 600.0 });
        }
        dispersion
    }

    #[test]
    fn phi_lies_between_1_and_30_and_is_2_when_little_is_known() {
        for (blocks, bad_a, bad_b, phi) in [
            (0, 0.0, 0.0, 2.0),
            (60, 0.0, 0.0, 2.0),
            (19, 50.0, 0.0, 2.0),
            (20, 5.0, 5.0, 1.0),
            (20, 9.0, 0.0, 9.0),
            (20, 100.0, 0.0, 30.0),
        ] {
            assert_eq!(after(blocks, bad_a, bad_b).phi(), phi, "{blocks} {bad_a} {bad_b}");
        }
    }

    #[test]
    fn written_and_restored_is_the_same() {
        let whole = after(25, 7.0, 2.0);
        let mut again = Overdispersion::default();
        again.restore(&whole.state()).unwrap();
        assert_eq!(again, whole);
    }

    #[test]
    fn a_half_without_traffic_says_nothing() {
        let mut dispersion = Overdispersion::default();
        dispersion.absorb(Counts { bad: 5.0, total: 100.0 }, Counts::default());
        assert_eq!(dispersion.estimate(), 1.0);
    }
}
