//! Where a Rollout's pod template comes from. What is wrong in a template is not found here: a server-side dry-run says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::{DNS_SUBDOMAIN, object_as_written, rule};

/// Where the pod template comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.template) != has(self.deploymentRef)", "exactly one of template and deploymentRef is needed"),
    rule(
        "has(self.template) == has(oldSelf.template)",
        "a Rollout cannot change between template and deploymentRef: delete it (its pods stay with --cascade=orphan) and create it anew",
    ),
]))]
pub struct Workload {
    /// A pod template, as in a Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
    /// An existing Deployment of this namespace that is the template's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_ref: Option<NameRef>,
}

/// A pod template. It is kept as written; a server-side dry-run says what is wrong in it before a run starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels and annotations of the pods: as in a Deployment's pod template. The labels must match the selectors of `traffic.services`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_as_written")]
    pub metadata: Option<Value>,
    /// The pods' spec: as in a Deployment's pod template.
    #[schemars(schema_with = "object_as_written")]
    pub spec: Value,
}

/// An object of the same namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct NameRef {
    /// The object's name.
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
}
