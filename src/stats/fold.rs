//! A fold: evidence that takes windows in, one after the other, and whose whole state can be written down.
//!
//! A fold sees complete windows only, each once and in order; it knows no clock and no queries. Written and restored it goes
//! on bit by bit as if it had not stopped, so a restart of the controller never changes a verdict.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    budget::BudgetFold,
    comparison::Comparison,
    counts::CountsFold,
    latency::LatencyFold,
    mark::{digest_of, tests_of},
    window::{Assembly, Judged, Window},
};

/// A written state that does not belong to this fold.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to read the written state of {0}")]
pub struct BrokenState(pub &'static str);

pub trait Fold {
    /// Take one window in.
    fn absorb(&mut self, window: &Window);
    /// The whole state; floats as strings of their bits.
    fn state(&self) -> Value;
    /// Go on from a written state. On an error nothing has changed.
    fn restore(&mut self, state: &Value) -> Result<(), BrokenState>;
}

/// Everything that is folded over the windows of one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folds {
    /// End of the last consumed window, in seconds since the epoch; 0: none yet.
    pub watermark: i64,
    pub counts: CountsFold,
    pub comparison: Option<Comparison>,
    /// In its place on a latency metric without a threshold.
    pub latency: Option<LatencyFold>,
    /// On the metric whose requests the error budget counts.
    pub budget: Option<BudgetFold>,
    /// Digests of the tests by how many windows were judged. Only a replay keeps them: in a run they would grow with it.
    pub marks: Option<BTreeMap<u64, String>>,
}

impl Folds {
    /// Every fold with the key of its state in the record.
    fn each(&mut self) -> Vec<(&'static str, &mut dyn Fold)> {
        let mut all: Vec<(&'static str, &mut dyn Fold)> = vec![("counts", &mut self.counts)];
        if let Some(comparison) = &mut self.comparison {
            all.push(("comparison", comparison));
        }
        if let Some(latency) = &mut self.latency {
            all.push(("latency", latency));
        }
        if let Some(budget) = &mut self.budget {
            all.push(("budget", budget));
        }
        all
    }

    /// Every window counts towards the budget, because every bad request hurts somebody; the other folds see only those that
    /// are judged.
    pub fn absorb(&mut self, assembly: &Assembly, judged: Judged) {
        for (index, window) in assembly.windows.iter().enumerate() {
            match judged.verdict_on(window) {
                None => {
                    self.each().into_iter().for_each(|(_, fold)| fold.absorb(window));
                    if let (Some(latency), Some(slower)) = (&mut self.latency, assembly.slower.get(index)) {
                        latency.absorb_slower(window, slower);
                    }
                    self.keep_mark();
                }
                Some(reason) => {
                    self.counts.drop(reason, ((window.end - window.start) / judged.window).unsigned_abs());
                    if let Some(budget) = &mut self.budget {
                        budget.absorb(window);
                    }
                }
            }
        }
        for (reason, windows) in &assembly.dropped {
            self.counts.drop(*reason, *windows);
        }
        self.watermark = assembly.watermark;
    }

    fn keep_mark(&mut self) {
        let Some(mut marks) = self.marks.take() else { return };
        if let Some(digest) = tests_of(&self.state()).map(digest_of) {
            marks.insert(self.counts.run.windows, digest);
        }
        self.marks = Some(marks);
    }

    pub fn state(&mut self) -> Value {
        let mut state = json!({ "watermark": self.watermark });
        for (key, fold) in self.each() {
            state[key] = fold.state();
        }
        state
    }

    /// Go on from a written state; None starts anew.
    pub fn restore(&mut self, state: Option<&Value>) -> Result<(), BrokenState> {
        let Some(state) = state else { return Ok(()) };
        let watermark = state["watermark"].as_i64().ok_or(BrokenState("the windows"))?;
        for (key, fold) in self.each() {
            fold.restore(&state[key])?;
        }
        self.watermark = watermark;
        Ok(())
    }
}
