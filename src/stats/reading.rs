//! One arm's increments laid on the grid.
//!
//! It tells 0 from missing: no increment is 0 only if the arm's targets were scraped without the series.

use super::{
    increments::Increment,
    window::{Counts, GRACE_WINDOWS, Side, Slot},
};

/// What was read of one arm for one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub bad: Vec<Increment>,
    pub total: Vec<Increment>,
    /// Times of all samples of `total`, with or without a known increment.
    pub sampled_ms: Vec<i64>,
    /// Times at which the arm's targets were scraped.
    pub scraped_ms: Vec<i64>,
    /// Times of samples that are no number a counter can have: the increments at these times are not all there.
    pub broken_ms: Vec<i64>,
}

/// The cells to fill: `(from, to]` in steps of `window`, in seconds, both ends on the grid.
#[derive(Clone, Copy, Debug)]
pub struct Cells {
    pub window: i64,
    pub from: i64,
    pub to: i64,
    /// When the weight last settled: increments that began before belong to another weight and are left out, like those
    /// longer than the grace.
    pub changed_at: i64,
}

impl Cells {
    fn count(&self) -> usize {
        usize::try_from((self.to - self.from) / self.window).unwrap_or(0)
    }

    fn index(&self, at_ms: i64) -> Option<usize> {
        let before = at_ms - 1 - self.from * 1_000;
        usize::try_from(before.div_euclid(self.window * 1_000)).ok().filter(|index| *index < self.count())
    }

    fn sums(&self, increments: &[Increment]) -> Vec<Option<f64>> {
        let mut sums = vec![None; self.count()];
        let longest_ms = GRACE_WINDOWS * self.window * 1_000;
        for increment in increments {
            let fits =
                increment.since_ms >= self.changed_at * 1_000 && increment.at_ms - increment.since_ms <= longest_ms;
            if let (true, Some(index)) = (fits, self.index(increment.at_ms)) {
                sums[index] = Some(sums[index].unwrap_or(0.0) + increment.value);
            }
        }
        sums
    }

    fn marks(&self, times_ms: &[i64]) -> Vec<bool> {
        let mut marks = vec![false; self.count()];
        for index in times_ms.iter().filter_map(|at_ms| self.index(*at_ms)) {
            marks[index] = true;
        }
        marks
    }

    fn sides(&self, reading: &Reading) -> Vec<Side> {
        let (bad, total) = (self.sums(&reading.bad), self.sums(&reading.total));
        let sampled = self.marks(&reading.sampled_ms);
        let (scraped, broken) = (self.marks(&reading.scraped_ms), self.marks(&reading.broken_ms));
        let side = |index: usize| {
            let events = total[index].unwrap_or(0.0);
            let idle = scraped[index] && !sampled[index];
            let counts = Counts { bad: bad[index].unwrap_or(0.0), total: events };
            Side { counts, present: (total[index].is_some() || idle) && !broken[index] }
        };
        (0..self.count()).map(side).collect()
    }
}

/// Both arms on the grid.
pub fn slots(canary: &Reading, control: &Reading, cells: &Cells) -> Vec<Slot> {
    let ends = (1..).map(|number| cells.from + number * cells.window);
    let arms = cells.sides(canary).into_iter().zip(cells.sides(control));
    ends.zip(arms).map(|(end, (canary, control))| Slot { end, canary, control }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(since: i64, at: i64, value: f64) -> Increment {
        Increment { since_ms: since * 1_000, at_ms: at * 1_000, value }
    }

    /// The cell (10, 20] of three.
    fn second_cell(reading: &Reading, changed_at: i64) -> Side {
        Cells { window: 10, from: 0, to: 30, changed_at }.sides(reading)[1]
    }

    fn check(name: &str, reading: &Reading, bad: f64, total: f64, present: bool) {
        let side = second_cell(reading, 0);
        assert_eq!(side, Side { counts: Counts { bad, total }, present }, "{name}");
    }

    #[test]
    fn absent_is_not_empty() {
        let total = Reading { total: vec![grown(5, 15, 30.0)], sampled_ms: vec![15_000], ..Reading::default() };
        check("bad absent while total is there is 0", &total, 0.0, 30.0, true);
        check("nothing at all is missing", &Reading::default(), 0.0, 0.0, false);
        let idle = Reading { scraped_ms: vec![15_000], ..Reading::default() };
        check("no series on scraped targets is 0", &idle, 0.0, 0.0, true);
        let first = Reading { sampled_ms: vec![15_000], ..idle };
        check("a first sample of unknown age is missing", &first, 0.0, 0.0, false);
        let broken = Reading { broken_ms: vec![15_000], ..total };
        check("NaN makes the cell incomplete and keeps its counts", &broken, 0.0, 30.0, false);
    }

    #[test]
    fn an_increment_belongs_to_the_cell_of_its_end() {
        let reading = Reading {
            total: vec![grown(0, 10, 1.0), grown(10, 20, 2.0), grown(20, 30, 4.0)],
            bad: vec![grown(10, 20, 3.0)],
            ..Reading::default()
        };
        check("the start is outside, the end inside", &reading, 3.0, 2.0, true);
    }

    #[test]
    fn an_increment_across_a_weight_change_is_left_out() {
        let reading = Reading { total: vec![grown(5, 15, 30.0)], sampled_ms: vec![15_000], ..Reading::default() };
        assert!(!second_cell(&reading, 6).present);
        assert!(second_cell(&reading, 5).present);
        let long = Reading { total: vec![grown(-50, 15, 30.0)], sampled_ms: vec![15_000], ..Reading::default() };
        assert!(!second_cell(&long, -100).present);
    }
}
