//! How certain a verdict has to be, and what counts as worse. Every field has a default; most people set none.
//!
//! What the numbers are used for is in `stats`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::not_zero;
use super::{Decimal, Span};

/// How certain a verdict has to be, and what counts as worse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Judging {
    /// Probability that a good revision is taken back: per rollout, all metrics together, however often it is looked at. Default "0.01".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_revert_probability: Option<Decimal>,
    /// Probability that a revision beyond passMargin gets a Pass, per metric. Default "0.05".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_promote_probability: Option<Decimal>,
    /// A Fail proves that the canary's bad ratio is above this. Default: 1.1 times stable's, plus a tenth of what the objective allows ("0.0005" without one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_margin: Option<MarginSpec>,
    /// A Pass proves that the canary's bad ratio is below this. Default: 1.5 times stable's, plus half of what the objective allows ("0.005" without one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_margin: Option<MarginSpec>,
    /// Windows that a Fail needs at least, from 2 to 10. Default 3: scrapes are not simultaneous, and one window of a shared incident may show in one arm only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 10))]
    pub confirm_windows: Option<u32>,
    /// Part of the evidence that is kept for regressions that begin late, below 1. Default "0.5".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_reserve: Option<Decimal>,
    /// Time over which three quarters of that part are spread; the rest comes after it, ever more thinly. Default: twice the bakes and the soak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub horizon: Option<Span>,
    /// How many bad requests come together, from 1 to 30. Default: measured on stable in the hour before the run; 2 where that is not possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdispersion: Option<Decimal>,
    /// Time after the start of the canary's pods that is not judged. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Span>,
    /// Time after a change of weight that is not judged. Default: two scrapes, at least 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Span>,
    /// Time until the samples of a window are stored. Default: one scrape and 2s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest_delay: Option<Span>,
    /// Windows without an answer after which metrics count as unavailable, from 1 to 100. Default 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub metrics_grace: Option<u32>,
    /// Requests of the canary that a Pass needs at least, from 0 to 1000000. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_canary_requests: Option<u32>,
    /// Evidence against the canary from which on the run does not advance. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<Decimal>,
    /// Whether the requests that each arm got are compared with the weight. Default Check.
    #[serde(default)]
    pub sample_ratio: SampleRatioCheck,
    /// While both arms are bad. Default Hold.
    #[serde(default)]
    pub on_shared_degradation: OnSharedDegradation,
}

/// A tolerated bad ratio of the canary: `ratio` times stable's, plus `absolute`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarginSpec {
    /// A factor of stable's bad ratio, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Decimal>,
    /// Added to it, as a part of all requests: "0.001" is a tenth of a percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SampleRatioCheck {
    /// Where the metric counts the requests of the route: a canary that gets too few or too many holds the run.
    #[default]
    Check,
    /// Not at all: other routes send requests to the same Services.
    Off,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnSharedDegradation {
    /// Stay at the present weight until it is over: the revision is not blamed.
    #[default]
    Hold,
    /// All traffic back to stable: one variable less.
    Revert,
}
