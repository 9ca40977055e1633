//! The only seam to the cluster: documents in, documents out.
//!
//! The live implementation asks the API server; the simulator implements the same trait. No policy is in here.

use async_trait::async_trait;
use serde_json::Value;

use super::WriteSite;

/// A kind of object that Tidegate reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
    /// Not every cluster serves it: one that does not has no objects of it.
    pub optional: bool,
}

impl Kind {
    const fn namespaced(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self { group, version, kind, plural, namespaced: true, optional: false }
    }

    const fn optional(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self { group, version, kind, plural, namespaced: true, optional: true }
    }

    const fn cluster(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self { group, version, kind, plural, namespaced: false, optional: false }
    }

    /// Of the cluster, and not served where the CRDs are older than the controller.
    const fn newer(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self { group, version, kind, plural, namespaced: false, optional: true }
    }

    /// As documents have it: `apps/v1`, or `v1` of the core group.
    pub fn api_version(self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }

    /// How messages name an object; without a name, all of them.
    pub fn named(self, namespace: &str, name: &str) -> String {
        match (self.namespaced && !namespace.is_empty(), name.is_empty()) {
            (true, false) => format!("{} {namespace}/{name}", self.kind),
            (true, true) => format!("{} of namespace {namespace}", self.plural),
            (false, false) => format!("{} {name}", self.kind),
            (false, true) => self.plural.into(),
        }
    }
}

pub const ROLLOUT: Kind = Kind::namespaced("tidegate.io", "v1alpha1", "Rollout", "rollouts");
pub const RUN: Kind = Kind::namespaced("tidegate.io", "v1alpha1", "RolloutRun", "rolloutruns");
pub const ACTION: Kind = Kind::namespaced("tidegate.io", "v1alpha1", "RolloutAction", "rolloutactions");
pub const ANALYSIS_TEMPLATE: Kind =
    Kind::namespaced("tidegate.io", "v1alpha1", "AnalysisTemplate", "analysistemplates");
pub const CLUSTER_ANALYSIS_TEMPLATE: Kind =
    Kind::cluster("tidegate.io", "v1alpha1", "ClusterAnalysisTemplate", "clusteranalysistemplates");
pub const METRICS_PROVIDER: Kind = Kind::cluster("tidegate.io", "v1alpha1", "MetricsProvider", "metricsproviders");
pub const ROLLOUT_POLICY: Kind = Kind::newer("tidegate.io", "v1alpha1", "RolloutPolicy", "rolloutpolicies");
pub const DEPLOYMENT: Kind = Kind::namespaced("apps", "v1", "Deployment", "deployments");
pub const CONTROLLER_REVISION: Kind = Kind::namespaced("apps", "v1", "ControllerRevision", "controllerrevisions");
pub const SERVICE: Kind = Kind::namespaced("", "v1", "Service", "services");
pub const POD: Kind = Kind::namespaced("", "v1", "Pod", "pods");
/// Got by name only, and only in the controller's own namespace: see `providers`.
pub const SECRET: Kind = Kind::namespaced("", "v1", "Secret", "secrets");
pub const NAMESPACE: Kind = Kind::cluster("", "v1", "Namespace", "namespaces");
pub const EVENT: Kind = Kind::namespaced("events.k8s.io", "v1", "Event", "events");
pub const ENDPOINT_SLICE: Kind = Kind::namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");
pub const LEASE: Kind = Kind::namespaced("coordination.k8s.io", "v1", "Lease", "leases");
pub const HPA: Kind = Kind::namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers");
pub const HTTP_ROUTE: Kind = Kind::namespaced("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
pub const GRPC_ROUTE: Kind = Kind::namespaced("gateway.networking.k8s.io", "v1", "GRPCRoute", "grpcroutes");

pub const ADMISSION_POLICY: Kind =
    Kind::cluster("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies");
pub const ADMISSION_BINDING: Kind = Kind::cluster(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
);

pub const BACKEND_TLS_POLICY: Kind =
    Kind::optional("gateway.networking.k8s.io", "v1", "BackendTLSPolicy", "backendtlspolicies");
/// The version before Gateway API 1.4.
pub const BACKEND_TLS_POLICY_V1ALPHA3: Kind =
    Kind::optional("gateway.networking.k8s.io", "v1alpha3", "BackendTLSPolicy", "backendtlspolicies");
pub const BACKEND_TRAFFIC_POLICY: Kind =
    Kind::optional("gateway.networking.x-k8s.io", "v1alpha1", "XBackendTrafficPolicy", "xbackendtrafficpolicies");
pub const DESTINATION_RULE: Kind = Kind::optional("networking.istio.io", "v1", "DestinationRule", "destinationrules");
pub const SERVICE_PROFILE: Kind = Kind::optional("linkerd.io", "v1alpha2", "ServiceProfile", "serviceprofiles");

/// Policies that are copied for a revision's Services; only one version of a kind holds the objects of a pass.
pub const COPIED_POLICIES: [Kind; 2] = [BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_V1ALPHA3];
/// Policies that may name a Service.
pub const POLICIES: [Kind; 5] =
    [BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_V1ALPHA3, BACKEND_TRAFFIC_POLICY, DESTINATION_RULE, SERVICE_PROFILE];

/// What to change of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902 operations; a write to somebody else's object begins with `replace /metadata/resourceVersion`.
    Json(Vec<Value>),
    /// RFC 7386; carries metadata.resourceVersion.
    Merge(Value),
    /// Server-side apply by the one field manager, without force unless the object is our own.
    Apply { document: Value, force: bool },
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ClusterError {
    #[error("failed to write {object}: somebody else has changed it in between")]
    Conflict { object: String },
    #[error("failed to create {object}: it exists already")]
    Exists { object: String },
    #[error("failed to find {object}")]
    NotFound { object: String },
    #[error("failed to write {object}: the API server refused it: {message}")]
    Refused { object: String, message: String },
    #[error("failed to reach the API server for {object}: {message}")]
    Unavailable { object: String, message: String },
}

/// The cluster. Reads are consistent: they never answer with less than what was written before. Every write names its site.
#[async_trait]
pub trait Cluster: Send + Sync {
    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError>;
    /// `selector` is a label selector; empty lists all. An optional kind that is not served has no objects. Of Rollouts only what
    /// names them and their traffic may be there.
    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Value>, ClusterError>;
    /// With `dry_run` nothing is stored; field validation is strict.
    async fn create(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Value, ClusterError>;
    /// `subresource` is "" or "status" or "scale".
    async fn patch(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Value, ClusterError>;
    /// Deletes in the background, only if the uid is still this one; gone already is success.
    async fn delete(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError>;
}
