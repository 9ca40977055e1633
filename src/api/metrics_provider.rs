//! `MetricsProvider`: an address that administrators own. Who asks it, and how, is in `measure`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use super::schema::not_zero;

/// A Prometheus-compatible server that namespaces may use. Owned by administrators: tenants never write an address.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "MetricsProvider", category = "tidegate")]
#[kube(
    doc = "A MetricsProvider is a Prometheus-compatible server, owned by administrators, and the namespaces that may use it."
)]
#[kube(printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"))]
#[kube(printcolumn(name = "Default", type_ = "boolean", json_path = ".spec.default"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[serde(rename_all = "camelCase")]
pub struct MetricsProviderSpec {
    /// The server's address, for example https://prometheus.monitoring.svc:9090; a path in it is kept.
    #[schemars(length(max = 512), regex(pattern = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"))]
    pub address: String,
    /// Used by every namespace that may use it and names no other. Default false.
    #[serde(default)]
    pub default: bool,
    /// Namespaces that may use it, at most 256; "*" is all. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63), regex(pattern = r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// Absolute path of a file in the controller's pod that holds a bearer token; read again when it changes. Default: no authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^/.+$"))]
    pub bearer_token_file: Option<String>,
    /// PEM certificates that sign the server's certificate. Default: the public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub ca_bundle: Option<String>,
    /// How often the server scrapes the series that are used. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub scrape_interval: Option<Span>,
    /// Time limit of one query. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub timeout: Option<Span>,
}

impl MetricsProviderSpec {
    /// Whether Rollouts of this namespace may use it.
    pub fn allows(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|allowed| allowed == "*" || allowed == namespace)
    }
}
