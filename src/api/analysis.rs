//! The evidence that judges a new revision, as people ask for it, and reusable templates of it. A single metric is in `metric`.
//!
//! How samples become a verdict is in `stats`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{ARGUMENT, DNS_SUBDOMAIN, rule};
use super::{Judging, Metric};

/// The evidence that judges a new revision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisSpec {
    /// Templates whose metrics are used, with arguments, at most 8. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub templates: Vec<TemplateRef>,
    /// Metrics written here, at most 12 together with those of the templates. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub metrics: Vec<Metric>,
    /// The MetricsProvider to ask. Default: the provider marked as default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub provider: Option<String>,
    /// After the last bake, without a Fail and a hold, but with too little traffic for a Pass. Default Promote.
    #[serde(default)]
    pub on_insufficient_evidence: OnInsufficientEvidence,
    /// While metrics are missing. Default Hold.
    #[serde(default)]
    pub on_metrics_unavailable: OnMetricsUnavailable,
    #[serde(flatten)]
    pub judging: Judging,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnInsufficientEvidence {
    /// Go on; the record says so, with the upper bound of the harm.
    #[default]
    Promote,
    /// Wait for a person.
    Pause,
    /// All traffic back to stable.
    Revert,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnMetricsUnavailable {
    /// Stay at the present weight until they are back.
    #[default]
    Hold,
    /// All traffic back to stable.
    Revert,
}

/// A template of metrics, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRef {
    /// The template's kind. Default AnalysisTemplate.
    #[serde(default)]
    pub kind: TemplateKind,
    /// The template's name.
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// Values for the template's arguments, at most 16. Default: the template's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[schemars(extend("x-kubernetes-validations" = [rule("self.all(a, has(a.value))", "each argument needs a value")]))]
    pub args: Vec<Arg>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TemplateKind {
    /// Of the Rollout's namespace.
    #[default]
    AnalysisTemplate,
    /// Of the cluster.
    ClusterAnalysisTemplate,
}

/// A named value; without a value in a template it is required.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arg {
    /// The argument's name, used as `{{ args.NAME }}`.
    #[schemars(length(max = 63), regex(pattern = ARGUMENT))]
    pub name: String,
    /// Its value; in a template, its default. Absent in a template: the Rollout must give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub value: Option<String>,
}

/// Reusable metrics with arguments, for one namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "AnalysisTemplate", namespaced, category = "tidegate")]
#[kube(doc = "An AnalysisTemplate holds metrics with arguments that the Rollouts of its namespace may use.")]
#[kube(printcolumn(name = "Metrics", type_ = "string", json_path = ".spec.metrics[*].name"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
pub struct AnalysisTemplateSpec {
    /// The arguments that the metrics use, at most 16. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub args: Vec<Arg>,
    /// The metrics, from 1 to 12.
    #[schemars(length(min = 1, max = 12))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub metrics: Vec<Metric>,
}

/// Reusable metrics with arguments, for all namespaces.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "ClusterAnalysisTemplate", category = "tidegate")]
#[kube(doc = "A ClusterAnalysisTemplate holds metrics with arguments that the Rollouts of all namespaces may use.")]
#[kube(printcolumn(name = "Metrics", type_ = "string", json_path = ".spec.metrics[*].name"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
pub struct ClusterAnalysisTemplateSpec {
    /// The arguments that the metrics use, at most 16. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub args: Vec<Arg>,
    /// The metrics, from 1 to 12.
    #[schemars(length(min = 1, max = 12))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub metrics: Vec<Metric>,
}
