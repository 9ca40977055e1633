//! `MetricsProvider`: an address that administrators own. Who asks it, and how, is in `measure`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use super::schema::{DNS_SUBDOMAIN, not_zero, rule};

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
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "[has(self.bearerTokenFile), has(self.auth) && has(self.auth.bearer), has(self.auth) && has(self.auth.basic)].filter(x, x).size() <= 1",
        "at most one of bearerTokenFile, auth.bearer and auth.basic may be given: a request has one Authorization header",
    ),
    rule(
        "[has(self.caBundle), has(self.caBundleFile), has(self.caBundleSecret)].filter(x, x).size() <= 1",
        "at most one of caBundle, caBundleFile and caBundleSecret may be given: put all certificates into one",
    ),
    rule(
        "!has(self.auth) || !has(self.auth.clientCertificate) || self.address.startsWith('https:')",
        "auth.clientCertificate needs an address with https: without TLS no certificate is asked for",
    ),
]))]
pub struct MetricsProviderSpec {
    /// The server's address, for example https://prometheus.monitoring.svc:9090; a path in it is kept. It holds no user name.
    #[schemars(length(max = 512), regex(pattern = r"^https?://[^\s/?#@\\]+(/[^\s?#\\]*)?$"))]
    pub address: String,
    /// Used by every namespace that may use it and names no other. Default false.
    #[serde(default)]
    pub default: bool,
    /// Namespaces that may use it, at most 256; "*" is all. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63), regex(pattern = r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// Addresses that are refused unless they are named here, once the server's name is resolved: `Loopback` (127.0.0.0/8, ::1) and `LinkLocal` (169.254.0.0/16, fe80::/10). Metadata services of clouds, multicast and unspecified addresses are refused always. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub allow_addresses: Vec<AddressKind>,
    /// How the controller authenticates, by Secrets of its own namespace. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ProviderAuth>,
    /// Absolute path of a file in the controller's pod that holds a bearer token; read again when it changes. Default: no authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^/.+$"))]
    pub bearer_token_file: Option<String>,
    /// PEM certificates that sign the server's certificate. Default: the public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub ca_bundle: Option<String>,
    /// Absolute path of a file in the controller's pod that holds such certificates; read again every 60 s. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^/.+$"))]
    pub ca_bundle_file: Option<String>,
    /// A Secret of the controller's namespace that holds such certificates, by default under ca.crt; read again every 60 s. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_secret: Option<SecretKey>,
    /// What makes a series one of a namespace, at most 8 rules: every selector of a Rollout's queries must satisfy one of them for the Rollout's namespace. Default: none, for a provider whose server shows its namespaces nothing that they may not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub tenancy: Vec<TenancyRule>,
    /// How often the server scrapes the series that are used. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub scrape_interval: Option<Span>,
    /// Time limit of one query. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub timeout: Option<Span>,
}

/// Addresses that no metrics server has unless an administrator says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AddressKind {
    /// The controller's own host: 127.0.0.0/8 and ::1.
    Loopback,
    /// The controller's own link: 169.254.0.0/16 and fe80::/10.
    LinkLocal,
}

/// How the controller authenticates. Secrets are of the controller's own namespace, read by name, and again every 60 s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderAuth {
    /// A bearer token, by default under the key token. One of `bearer`, `basic` and `bearerTokenFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretKey>,
    /// A user's name and password, under the keys username and password as in Secrets of type kubernetes.io/basic-auth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<SecretRef>,
    /// A client certificate and its key, under the keys tls.crt and tls.key as in Secrets of type kubernetes.io/tls. Needs https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<SecretRef>,
}

/// A Secret of the controller's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub secret_name: String,
}

/// A value of a Secret of the controller's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub secret_name: String,
    /// The key of the value in the Secret. Default: as the field that names it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: Option<String>,
}

/// A selector is of a namespace if its matchers pin `label` to the namespace, or to values that begin with `prefix`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenancyRule {
    /// The label that tells, for example namespace.
    #[schemars(length(max = 128), regex(pattern = r"^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub label: String,
    /// How the label's values begin, for example "{{ namespace }}_". After the namespace comes a character that no namespace has, or shop would see shop-eu. Default: the label's value is the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = r"^[^{}]*\{\{ namespace \}\}[^-a-z0-9{}][^{}]*$"))]
    pub prefix: Option<String>,
}

impl MetricsProviderSpec {
    /// Several namespaces may use it.
    pub fn is_shared(&self) -> bool {
        self.namespaces.len() != 1 || self.namespaces[0] == "*"
    }

    /// Whether Rollouts of this namespace may use it.
    pub fn allows(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|allowed| allowed == "*" || allowed == namespace)
    }
}
