//! The counts of both arms, over the run and over the present step.
//!
//! Counts only; what they mean is said by the judge.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    bits::{from_bits, to_bits},
    fold::{BrokenState, Fold},
    window::{Counts, Dropped, Window},
};

/// Sums over windows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub canary: Counts,
    pub control: Counts,
    pub windows: u64,
    /// End of the last window, in seconds since the epoch.
    pub last_end: i64,
}

impl Tally {
    fn absorb(&mut self, window: &Window) {
        self.canary += window.canary;
        self.control += window.control;
        self.windows += 1;
        self.last_end = window.end;
    }

    fn state(&self) -> Value {
        let floats = [self.canary.bad, self.canary.total, self.control.bad, self.control.total].map(to_bits);
        json!({ "sums": floats, "windows": self.windows, "end": self.last_end })
    }

    fn read(state: &Value) -> Option<Self> {
        let sum = |index: usize| from_bits(&state["sums"][index]);
        Some(Self {
            canary: Counts { bad: sum(0)?, total: sum(1)? },
            control: Counts { bad: sum(2)?, total: sum(3)? },
            windows: state["windows"].as_u64()?,
            last_end: state["end"].as_i64()?,
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CountsFold {
    pub run: Tally,
    /// Since the weight last settled.
    pub step: Tally,
    /// When that was.
    step_since: i64,
    dropped: BTreeMap<&'static str, u64>,
}

impl CountsFold {
    /// The step's counts begin anew if the weight has settled since.
    pub fn begin_step(&mut self, settled_at: i64) {
        if settled_at != self.step_since {
            self.step = Tally::default();
            self.step_since = settled_at;
        }
    }

    pub fn drop(&mut self, reason: Dropped, windows: u64) {
        if windows > 0 {
            *self.dropped.entry(reason.word()).or_default() += windows;
        }
    }

    /// Windows not used, by reason.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        self.dropped.iter().map(|(word, windows)| ((*word).to_owned(), *windows)).collect()
    }
}

impl Fold for CountsFold {
    fn absorb(&mut self, window: &Window) {
        self.run.absorb(window);
        self.step.absorb(window);
    }

    fn state(&self) -> Value {
        json!({ "run": self.run.state(), "step": self.step.state(), "since": self.step_since, "dropped": self.dropped })
    }

    fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        let read = || {
            let known = Dropped::ALL.map(Dropped::word);
            let dropped = known.into_iter().filter_map(|word| Some((word, state["dropped"][word].as_u64()?))).collect();
            let (run, step) = (Tally::read(&state["run"])?, Tally::read(&state["step"])?);
            Some(Self { run, step, step_since: state["since"].as_i64()?, dropped })
        };
        *self = read().ok_or(BrokenState("the counts"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_restored_is_the_same() {
        let counts = |bad, total| Counts { bad, total };
        let mut fold = CountsFold::default();
        fold.begin_step(100);
        for end in [110, 120] {
            fold.absorb(&Window { start: end - 10, end, canary: counts(0.1, 50.3), control: counts(0.2, 950.7) });
        }
        fold.drop(Dropped::Gap, 2);
        let mut again = CountsFold::default();
        again.restore(&fold.state()).unwrap();
        assert_eq!(again, fold);
        again.begin_step(100);
        assert_eq!(again, fold, "the same step goes on");
        again.begin_step(200);
        assert_eq!((again.step, again.run), (Tally::default(), fold.run));
        assert_eq!(again.restore(&json!({})), Err(BrokenState("the counts")));
    }
}
