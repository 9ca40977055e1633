//! Latency without a threshold: the margin test at many boundaries of the histogram at once.
//!
//! No quantile is estimated and nothing interpolated: at each boundary requests are slower or they are not.

use serde_json::{Value, json};

use super::{
    bits::{pack, unpack},
    fold::BrokenState,
    grid::Margin,
    margin::MarginTest,
    mixture::Restarts,
    window::Counts,
};

/// Boundaries at most: each has a state of its own in the run's record.
pub const MOST_BOUNDARIES: usize = 12;
/// What is tolerated at each boundary for a Fail.
pub const DOMINANCE_MARGIN: Margin = Margin { ratio: 1.1, absolute: 0.001 };
/// The absolute part of what is tolerated at each boundary for a Pass: as much wider than a Fail's as it is for errors.
pub const DOMINANCE_PASS_ABSOLUTE: f64 = 0.005;
/// Part of stable's requests that a useful boundary has above it: with fewer nothing is found, with more it is no tail.
const TAIL: std::ops::RangeInclusive<f64> = 0.001..=0.9;

/// The boundaries to test, of all finite ones in ascending order, each with stable's ratio of slower requests. If more are
/// useful than there is room for, evenly spread ones with the first and the last. If none is, all are as good: a service that is
/// faster than every boundary may still become slower.
pub fn latency_boundaries(stable_tails: &[(f64, f64)]) -> Vec<f64> {
    let finite = stable_tails.iter().filter(|(edge, _)| edge.is_finite());
    let mut useful: Vec<f64> = finite.clone().filter(|(_, tail)| TAIL.contains(tail)).map(|(edge, _)| *edge).collect();
    if useful.is_empty() {
        useful = finite.map(|(edge, _)| *edge).collect();
    }
    let most = MOST_BOUNDARIES - 1;
    match useful.len() {
        0..=MOST_BOUNDARIES => useful,
        count => (0..=most).map(|index| useful[(index * (count - 1) + most / 2) / most]).collect(),
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dominance {
    /// In the histogram's unit, ascending.
    boundaries: Vec<f64>,
    tests: Vec<MarginTest>,
    /// A test at which nothing was seen: what a restored one begins as.
    fresh: MarginTest,
}

impl Dominance {
    /// Evidence against "at no boundary is the canary's tail heavier than `margin`".
    pub fn fail(boundaries: Vec<f64>, margin: Margin, level: f64, restarts: Restarts) -> Self {
        Self::of(boundaries, MarginTest::fail(margin, level, restarts))
    }

    /// Evidence, at each boundary, against "the canary's tail is heavier than `margin`".
    pub fn pass(boundaries: Vec<f64>, margin: Margin, level: f64) -> Self {
        Self::of(boundaries, MarginTest::pass(margin, level))
    }

    fn of(boundaries: Vec<f64>, fresh: MarginTest) -> Self {
        Self { tests: vec![fresh.clone(); boundaries.len()], boundaries, fresh }
    }

    pub fn boundaries(&self) -> &[f64] {
        &self.boundaries
    }

    /// Take one window in: for each boundary the requests slower than it (bad) and all, of both arms, and what the evidence
    /// there is divided by.
    pub fn absorb(&mut self, canary: &[Counts], control: &[Counts], phis: &[f64]) {
        for (test, ((canary, control), phi)) in self.tests.iter_mut().zip(canary.iter().zip(control).zip(phis)) {
            test.absorb(*canary, *control, *phi);
        }
    }

    /// The e-value of a Fail, section 1.3, dominance form: the average over the boundaries is an e-process again, so that there
    /// is nothing to correct for their number.
    pub fn average(&self) -> f64 {
        let sum: f64 = self.tests.iter().map(MarginTest::evidence).sum();
        if self.tests.is_empty() { 1.0 } else { sum / self.tests.len() as f64 }
    }

    /// The e-value of a Pass: that of the boundary with the least, because each of them has to pass (intersection-union).
    pub fn least(&self) -> f64 {
        self.tests.iter().map(MarginTest::evidence).reduce(f64::min).unwrap_or(1.0)
    }

    /// The boundary with the largest e-value, and that: where the canary is slower.
    pub fn worst(&self) -> Option<(f64, f64)> {
        let all = self.boundaries.iter().copied().zip(self.tests.iter().map(MarginTest::evidence));
        all.reduce(|most, one| if one.1 > most.1 { one } else { most })
    }

    /// What the average or the least has to reach.
    pub fn threshold(&self) -> f64 {
        self.fresh.threshold()
    }

    pub fn state(&self) -> Value {
        let tests: Vec<Value> = self.tests.iter().map(MarginTest::state).collect();
        json!({ "boundaries": pack(&self.boundaries), "tests": tests })
    }

    /// Go on from a written state, with its boundaries. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        let broken = BrokenState("the latency's boundaries");
        let boundaries = unpack(&state["boundaries"]).ok_or(broken.clone())?;
        let written = state["tests"].as_array().ok_or(broken.clone())?;
        if written.len() != boundaries.len() || boundaries.len() > MOST_BOUNDARIES {
            return Err(broken);
        }
        let mut again = Self::of(boundaries, self.fresh.clone());
        for (test, written) in again.tests.iter_mut().zip(written) {
            test.restore(written)?;
        }
        *self = again;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Margin = DOMINANCE_MARGIN;

    fn counts(bad: f64) -> Counts {
        Counts { bad, total: 1_000.0 }
    }

    #[test]
    fn boundaries_lie_where_stable_has_a_tail() {
        let tails = [(0.001, 1.0), (0.01, 0.9), (0.1, 0.4), (1.0, 0.001), (5.0, 0.0), (f64::INFINITY, 0.0)];
        assert_eq!(latency_boundaries(&tails), [0.01, 0.1, 1.0]);
        assert_eq!(latency_boundaries(&[(0.1, 0.0), (0.2, 0.0), (f64::INFINITY, 0.0)]), [0.1, 0.2]);
        let many: Vec<_> = (0..40).map(|edge| (f64::from(edge), 0.5)).collect();
        let chosen = latency_boundaries(&many);
        assert_eq!((chosen.len(), chosen[0], chosen[11]), (12, 0.0, 39.0));
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "{chosen:?}");
    }

    #[test]
    fn the_boundary_where_the_canary_is_slower_is_named() {
        let mut test = Dominance::fail(vec![0.1, 0.25, 1.0], MARGIN, 0.003, Restarts::default());
        let stable = [counts(400.0), counts(50.0), counts(10.0)];
        for _ in 0..5 {
            test.absorb(&[counts(400.0), counts(60.0), counts(100.0)], &stable, &[1.0; 3]);
        }
        let (worst, most) = test.worst().unwrap();
        assert_eq!(worst, 1.0);
        assert!(test.average() >= test.threshold() && test.average() < most && test.least() < 1.0);
        let mut again = Dominance::fail(vec![], MARGIN, 0.003, Restarts::default());
        assert_eq!((again.average(), again.worst()), (1.0, None));
        again.restore(&test.state()).unwrap();
        assert_eq!(again, test);
        assert!(again.restore(&json!({ "boundaries": pack(&[1.0]), "tests": [] })).is_err());
        assert_eq!(again, test);
    }

    #[test]
    fn a_pass_needs_every_boundary() {
        let mut test = Dominance::pass(vec![0.1, 1.0], Margin { ratio: 1.5, absolute: 0.005 }, 0.05);
        for _ in 0..20 {
            test.absorb(&[counts(40.0), counts(30.0)], &[counts(40.0), counts(10.0)], &[1.0; 2]);
        }
        assert!(test.average() > 20.0 && test.least() < 1.0, "{} {}", test.average(), test.least());
    }
}
