//! Evidence as a pure fold over windows, and what it amounts to.
//!
//! No I/O, and no decision about steps.

mod advance;
mod allowance;
mod bits;
mod budget;
mod condition;
mod counts;
mod fold;
mod grid;
mod increments;
mod judge;
mod power;
mod reading;
mod terms;
mod threshold;
mod verdict;
mod window;

pub use advance::{Incident, NextStep, WorstCost, rises};
pub use allowance::{Allowance, BudgetTerms};
pub use budget::{BudgetFold, Spending};
pub use condition::{Condition, ConditionError};
pub use counts::{CountsFold, Tally};
pub use fold::{BrokenState, Fold, Folds};
pub use grid::{ALTERNATIVES, FAIL, Grid, Margin, PASS};
pub use increments::{Birth, Increment, increments, usable};
pub use judge::{Counted, Evidence, Measured, Supply, judge};
pub use power::{Alone, Flow, POWER};
pub use reading::{Cells, Reading, slots};
pub use terms::Terms;
pub use threshold::{Measurements, Outcome, ThresholdPlan};
pub use verdict::{Judgement, Verdict};
pub use window::{
    Assembly, Counts, Dropped, Expected, GRACE_WINDOWS, Judged, Side, Slot, Timing, WARMUP_SECONDS, Window, assemble,
};
