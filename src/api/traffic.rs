//! The application's Services and the routes whose weights are moved. How they are moved is in `crate::traffic`, not here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{DNS_1035, DNS_SUBDOMAIN, immutable, rule};
use super::{NameRef, Span};

/// The application's Services and routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "!has(self.preview) || !self.services.exists(s, s.name == self.preview.service)",
    "preview.service must not be one of services: Tidegate creates and owns the preview Service",
)]))]
pub struct Traffic {
    /// The application's Services, from 1 to 8; in-cluster clients keep using them. Immutable.
    #[schemars(length(min = 1, max = 8))]
    #[schemars(extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"],
        "x-kubernetes-validations" = [immutable("services cannot be changed: create another Rollout for other Services")],
    ))]
    pub services: Vec<NameRef>,
    /// A Service of Tidegate's with a fixed name that selects the revision under test, and stable at rest. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// The routes whose weights are moved, at most 16. Default: none; then the Services' endpoints are the split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = [rule(
        "self.all(a, !has(a.gatewayAPI) || self.exists_one(b, has(b.gatewayAPI) && b.gatewayAPI.kind == a.gatewayAPI.kind && b.gatewayAPI.name == a.gatewayAPI.name))",
        "a route may be named once: put all of its rules into one entry",
    )]))]
    pub routes: Vec<Route>,
    /// Time between a backend's acceptance at weight 0 and its first weight. Cloud load balancers that build a backend per Service need 60s to 120s. 0s is none. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Span>,
    /// Time between the acceptance of weight 0 and the removal of what served it. 0s is none. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Span>,
}

/// A Service that shows the revision under test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The Service's name; it is created and owned by Tidegate.
    #[schemars(length(max = 63), regex(pattern = DNS_1035))]
    pub service: String,
}

/// A route whose weights are moved: one key per kind of router.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("has(self.gatewayAPI)", "exactly one router is needed: gatewayAPI")]))]
pub struct Route {
    /// A route of the Gateway API.
    #[serde(default, rename = "gatewayAPI", skip_serializing_if = "Option::is_none")]
    pub gateway_api: Option<GatewayApiRoute>,
}

/// A route of the Gateway API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayApiRoute {
    /// The kind of the route. Default HTTPRoute.
    #[serde(default)]
    pub kind: GatewayRouteKind,
    /// The route's name, in the Rollout's namespace.
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// Names of the rules to manage, at most 16. Default: every rule that names one of the Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253), regex(pattern = DNS_SUBDOMAIN)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub rules: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum GatewayRouteKind {
    /// HTTP requests.
    #[default]
    #[serde(rename = "HTTPRoute")]
    Http,
    /// gRPC calls.
    #[serde(rename = "GRPCRoute")]
    Grpc,
}

impl GatewayRouteKind {
    /// The kind as the Gateway API names it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
        }
    }
}
