//! One metric in its four forms, and the error budget. Where it is read from is in `metrics_provider`, how it is judged in `stats`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{COMPARISON, WORD, not_zero, rule};
use super::{Decimal, Percent, Span};

/// One metric: exactly one of `ratio`, `latency`, `gauge` and `threshold`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "[has(self.ratio), has(self.latency), has(self.gauge), has(self.threshold)].filter(x, x).size() == 1",
    "exactly one of ratio, latency, gauge and threshold is needed",
)]))]
pub struct Metric {
    /// The metric's name, unique in an analysis.
    #[schemars(length(max = 63), regex(pattern = WORD))]
    pub name: String,
    /// Bad (or good) events of all events, as raw counters, compared between the arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioMetric>,
    /// Requests slower than a bucket boundary, compared between the arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyMetric>,
    /// A value compared as a ratio of the arms; reported, it does not judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gauge: Option<GaugeMetric>,
    /// One value against a condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ThresholdMetric>,
    /// Its part of falseRevertProbability, relative to the other metrics. Default: ratio 5, latency 3, others 1, shared by those of a kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Decimal>,
}

/// Instant-vector selectors of raw counters: `total`, and one of `bad` and `good`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [rule("has(self.bad) != has(self.good)", "exactly one of bad and good is needed")]))]
pub struct RatioMetric {
    /// Selector of the counter of bad events: a bare selector, without rate() or increase(). One of `bad` and `good`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub bad: Option<String>,
    /// Selector of the counter of good events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub good: Option<String>,
    /// Selector of the counter of all events.
    #[schemars(length(min = 1, max = 512))]
    pub total: String,
}

/// Requests above a bucket boundary are the bad ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyMetric {
    /// Selector of the histogram: the `_bucket` counters of a classic histogram, or a native histogram.
    #[schemars(length(min = 1, max = 512))]
    pub histogram: String,
    /// The boundary, for example 250ms; snapped up to a boundary that exists. Without it the canary must not be slower at any boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub threshold: Option<Span>,
    /// What the boundaries are written in. Default Seconds.
    #[serde(default)]
    pub unit: LatencyUnit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LatencyUnit {
    /// As Prometheus advises: 0.25 is 250ms.
    #[default]
    Seconds,
    /// As Envoy, Istio and Linkerd do: 250 is 250ms.
    Milliseconds,
}

impl LatencyUnit {
    /// A time as boundaries are written.
    pub fn of(self, time: Span) -> f64 {
        match self {
            Self::Seconds => time.as_seconds(),
            Self::Milliseconds => time.as_millis() as f64,
        }
    }

    /// Its sign behind a number.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
        }
    }
}

/// A value compared as a ratio of the arms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GaugeMetric {
    /// The PromQL query: one number per arm.
    #[schemars(length(min = 1, max = 1024))]
    pub query: String,
}

/// One value against a condition, as people know it from other tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("has(self.success) != has(self.failure)", "exactly one of success and failure is needed")]))]
pub struct ThresholdMetric {
    /// A PromQL query that answers exactly one number.
    #[schemars(length(min = 1, max = 1024))]
    pub query: String,
    /// The measurement succeeds if this holds: a comparison with a number, for example ">= 0.99". One of `success` and `failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = COMPARISON))]
    pub success: Option<String>,
    /// The measurement fails if this holds: a comparison with a number, for example "> 0.05".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = COMPARISON))]
    pub failure: Option<String>,
    /// Time between two measurements. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub interval: Option<Span>,
    /// Successful measurements after which the metric has passed, from 1 to 10000. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub count: Option<u32>,
    /// Failed measurements that are tolerated in a step, from 0 to 10000. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub failure_limit: Option<u32>,
    /// Measurements in a row without an answer that are tolerated before metrics count as unavailable, from 0 to 10000. Default 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub consecutive_error_limit: Option<u32>,
}

/// How much of the service's error budget a release may spend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBudget {
    /// The objective in percent of good requests, between 0 and 100, both excluded, with up to three decimals and then in quotes: "99.9".
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "!string(self).matches('^(100|0{1,2})([.]0{1,3})?$')",
        "must be above 0 and below 100: at 100 there is no budget to spend, at 0 nothing is bad",
    )]))]
    pub objective: Percent,
    /// The window of the budget. Default 720h (30 days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub window: Option<Span>,
    /// Percent of the budget that one release may spend, from 0 to 100. Default 1. The allowance is never less than 10 requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_spend: Option<Percent>,
    /// Requests expected in the window. Default: measured over the longest span the provider has, at least 24h, and scaled to the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub expected_requests: Option<i64>,
    /// The `ratio` metric whose requests are counted. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = WORD))]
    pub metric: Option<String>,
}
