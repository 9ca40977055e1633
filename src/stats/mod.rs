//! Evidence as a pure fold over windows, and what it amounts to.
//!
//! No I/O, and no decision about steps.

mod advance;
mod allowance;
mod alternatives;
mod betting;
mod bits;
mod budget;
mod comparison;
mod condition;
mod counts;
mod crossing;
mod difference_bounds;
mod dominance;
mod fold;
mod gauge;
mod grid;
mod increments;
mod judge;
mod latency;
mod log_sum;
mod margin;
mod mean_bounds;
mod mixture;
mod outlook;
mod overdispersion;
mod power;
mod quantile_bounds;
mod rate_bounds;
mod ratio_bounds;
mod reading;
mod recorded;
mod recording;
mod replay;
mod sample_ratio;
mod slo;
mod terms;
mod threshold;
mod verdict;
mod window;

pub use advance::{Incident, NextStep, WorstCost, rises};
pub use allowance::{Allowance, BudgetTerms};
pub use betting::BettingTest;
pub use budget::{BudgetFold, Degradation, Spending};
pub use comparison::{Apart, Compared, Comparison, Difference, Proof, Replayed, Trial};
pub use condition::{Condition, ConditionError};
pub use counts::{CountsFold, Tally};
pub use difference_bounds::{DifferenceBounds, Sums};
pub use dominance::{DOMINANCE_MARGIN, DOMINANCE_PASS_ABSOLUTE, Dominance, MOST_BOUNDARIES, latency_boundaries};
pub use fold::{BrokenState, Fold, Folds};
pub use gauge::{GaugeTest, gauge_log_evidence};
pub use grid::{ALTERNATIVES, FAIL, Grid, Margin, PASS};
pub use increments::{Birth, Increment, increments, usable};
pub use judge::{Counted, Evidence, Measured, Supply, figure, judge};
pub use latency::{Boundary, LatencyFold, Slower};
pub use margin::{MarginTest, margin_log_evidence};
pub use mean_bounds::{Moments, mean_difference_bounds, mean_half_width, mean_tuning};
pub use mixture::Restarts;
pub use outlook::{Outlook, REACTION_SECONDS};
pub use overdispersion::{FALLBACK_PHI, Overdispersion};
pub use power::{Alone, Flow, POWER};
pub use quantile_bounds::quantile_bounds;
pub use rate_bounds::{rate_bounds, rate_log_evidence};
pub use ratio_bounds::RatioBounds;
pub use reading::{Cells, Reading, slots};
pub use recorded::{Arms, Flaw};
pub use replay::{Grounds, Ledger, Replay, ReplayTerms, Standing, Unused};
pub use sample_ratio::{
    BY_CONNECTION, BY_REQUEST, SAMPLE_RATIO_ALPHA, SAMPLE_RATIO_PRIOR, SampleRatio, sample_ratio_log_evidence,
};
pub use slo::{SLO_BURN, SloTest, slo_limit, slo_log_evidence};
pub use terms::{PASS_REQUESTS, SUSPICION, Terms};
pub use threshold::{Measurements, Outcome, ThresholdPlan};
pub use verdict::{Judgement, Verdict};
pub use window::{Assembly, Counts, Dropped, Expected, GRACE_WINDOWS, Judged, Side, Slot, Timing, Window, assemble};
