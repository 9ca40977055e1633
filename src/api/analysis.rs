//! Metrics, templates of metrics, and the error budget: what judges a revision. How samples become a verdict is in `stats`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Percent, Span};

/// The evidence that judges a new revision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisSpec {
    /// Templates whose metrics are used, with arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateRef>,
    /// Metrics written here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// The MetricsProvider to ask. Default: the provider marked as default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// After the last bake, without a Fail and a hold, but with too little traffic for a Pass: Promote, Pause or Revert. Default Promote.
    #[serde(default)]
    pub on_insufficient_evidence: OnInsufficientEvidence,
    /// While metrics are missing: Hold or Revert. Default Hold.
    #[serde(default)]
    pub on_metrics_unavailable: OnMetricsUnavailable,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnInsufficientEvidence {
    #[default]
    Promote,
    Pause,
    Revert,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnMetricsUnavailable {
    #[default]
    Hold,
    Revert,
}

/// A template of metrics, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRef {
    /// AnalysisTemplate or ClusterAnalysisTemplate. Default AnalysisTemplate.
    #[serde(default)]
    pub kind: TemplateKind,
    /// The template's name.
    pub name: String,
    /// Values for the template's arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TemplateKind {
    #[default]
    AnalysisTemplate,
    ClusterAnalysisTemplate,
}

/// A named value; without a value in a template it is required.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arg {
    /// The argument's name, used as `{{ args.NAME }}`.
    pub name: String,
    /// Its value; in a template, its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// One metric: exactly one of `ratio`, `latency`, `gauge` and `threshold`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// The metric's name, unique in an analysis.
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
}

/// Instant-vector selectors of raw counters: `total`, and one of `bad` and `good`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RatioMetric {
    /// Selector of the counter of bad events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<String>,
    /// Selector of the counter of good events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<String>,
    /// Selector of the counter of all events.
    pub total: String,
}

/// Requests above a bucket boundary are the bad ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyMetric {
    /// Selector of the histogram: the `_bucket` counters of a classic histogram, or a native histogram.
    pub histogram: String,
    /// The boundary, for example 250ms; snapped up to a boundary that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Span>,
}

/// A value compared as a ratio of the arms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GaugeMetric {
    /// The query: one number per arm.
    pub query: String,
}

/// One value against a condition, as people know it from other tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdMetric {
    /// A PromQL query that answers exactly one number.
    pub query: String,
    /// The measurement succeeds if this holds, for example `>= 0.99`. One of `success` and `failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<String>,
    /// The measurement fails if this holds, for example `> 0.05`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Time between two measurements. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Successful measurements after which the metric has passed. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Failed measurements that are tolerated in a step. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<u32>,
    /// Measurements in a row without an answer that are tolerated before metrics count as unavailable. Default 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<u32>,
}

/// How much of the service's error budget a release may spend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBudget {
    /// The objective in percent of good requests, between 0 and 100, both excluded: "99.9".
    pub objective: Percent,
    /// The window of the budget. Default 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// Percent of the budget that one release may spend. Default 1. The allowance is never less than 10 requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_spend: Option<Percent>,
    /// Requests expected in the window. Default: measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_requests: Option<i64>,
    /// The `ratio` metric whose requests are counted. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
}

/// Reusable metrics with arguments, for one namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "AnalysisTemplate", namespaced, category = "tidegate")]
pub struct AnalysisTemplateSpec {
    /// The arguments that the metrics use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// Reusable metrics with arguments, for all namespaces.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "ClusterAnalysisTemplate", category = "tidegate")]
pub struct ClusterAnalysisTemplateSpec {
    /// The arguments that the metrics use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// A Prometheus-compatible server that namespaces may use. Owned by administrators: tenants never write an address.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "MetricsProvider", category = "tidegate")]
#[serde(rename_all = "camelCase")]
pub struct MetricsProviderSpec {
    /// The server's address, for example https://prometheus.monitoring.svc:9090.
    pub address: String,
    /// Used by every namespace that may use it and names no other. Default false.
    #[serde(default)]
    pub default: bool,
    /// Namespaces that may use it; "*" is all. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Path of a file in the controller's pod that holds a bearer token; read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// PEM certificates that sign the server's certificate. Default: the public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// How often the server scrapes the series that are used. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_interval: Option<Span>,
    /// Time limit of one query. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}
