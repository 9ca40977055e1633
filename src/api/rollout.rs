//! `Rollout`: what should run and how it may get there. Its status is in `rollout_status`, its rules in `valid`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AnalysisSpec, ErrorBudget, Percent, RolloutStatus, Span};

/// What should run and how it may get there.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "Rollout", namespaced)]
#[kube(status = "RolloutStatus", shortname = "tgr", category = "tidegate")]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// The release this template belongs to, for example the Git commit. Shown in status and matched by `tidegate wait --release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Pods at full capacity (N). The scale subresource writes it. Absent: written once by the controller (1, or the adopted Deployment's count).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Seconds for which a new pod must be ready before it counts as available. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ready_seconds: Option<i32>,
    /// Where the pod template comes from: exactly one of `template` and `deploymentRef`.
    pub workload: Workload,
    /// The application's Services and routes.
    pub traffic: Traffic,
    /// How a new revision gets the traffic: exactly one of `canary` and `blueGreen`.
    pub strategy: Strategy,
    /// The evidence that judges a new revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisSpec>,
    /// How much of the service's error budget a release may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_budget: Option<ErrorBudget>,
    /// Time that a step may spend waiting for ready pods or for the route's acceptance before the run is reverted. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline: Option<Span>,
    /// Holds the rollout where it is: nothing advances or starts. Going back works as always. Default false.
    #[serde(default)]
    pub paused: bool,
    /// Finished runs kept. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_history_limit: Option<i32>,
}

/// Where the pod template comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
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
    /// Labels and annotations of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The pods' spec.
    pub spec: Value,
}

/// An object of the same namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct NameRef {
    /// The object's name.
    pub name: String,
}

/// The application's Services and routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// The application's Services; in-cluster clients keep using them. Immutable.
    pub services: Vec<NameRef>,
    /// A Service of Tidegate's with a fixed name that selects the revision under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// The routes whose weights are moved. None: the Services' endpoints are the split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Time between a backend's acceptance at weight 0 and its first weight. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Span>,
    /// Time between the acceptance of weight 0 and the removal of what served it. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Span>,
}

/// A Service that shows the revision under test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The Service's name; it is created and owned by Tidegate.
    pub service: String,
}

/// A route whose weights are moved: one key per kind of router.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// A route of the Gateway API.
    #[serde(default, rename = "gatewayAPI", skip_serializing_if = "Option::is_none")]
    pub gateway_api: Option<GatewayApiRoute>,
}

/// A route of the Gateway API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayApiRoute {
    /// HTTPRoute or GRPCRoute. Default HTTPRoute.
    #[serde(default)]
    pub kind: GatewayRouteKind,
    /// The route's name.
    pub name: String,
    /// Names of the rules to manage. Default: every rule that names one of the Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum GatewayRouteKind {
    #[default]
    #[serde(rename = "HTTPRoute")]
    Http,
    #[serde(rename = "GRPCRoute")]
    Grpc,
}

/// How a new revision gets the traffic: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// Traffic moves in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// All replicas beside the stable ones, then all traffic at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
}

/// Traffic moves in steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The steps, in rising order of weight. 100 is always the last step and may be written with its own bake.
    pub steps: Vec<Step>,
    /// Time after 100 % in which the old revision is kept ready and a breach still reverts. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Span>,
    /// A fresh baseline of the stable revision as control. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<bool>,
    /// How a template that was promoted before comes back: Fast (one step, no bake) or Steps. Default Fast.
    #[serde(default)]
    pub known_revision: KnownRevision,
    /// Capacity of stable during a run. Only Full.
    #[serde(default)]
    pub stable_replicas: StableReplicas,
}

/// One step of a canary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The canary's share of the traffic in percent.
    pub weight: Percent,
    /// Time that the step stays at its weight. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Span>,
    /// A floor for the canary's pods: a number, or a percentage of `replicas` such as "50%".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// People's consent, asked for while the step bakes; the step ends only when all are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
}

/// A number of pods, or a percentage of N.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Replicas {
    Count(u32),
    Share(String),
}

/// Consent that a person gives with a RolloutAction of type Approve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// The gate's name, unique in its step.
    pub name: String,
    /// Approvals needed, each by another author. Default 1.
    #[serde(default = "one")]
    pub approvals: u32,
}

fn one() -> u32 {
    1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KnownRevision {
    #[default]
    Fast,
    Steps,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StableReplicas {
    #[default]
    Full,
}

/// All replicas at weight 0 (reachable by the preview Service), then 100, then the soak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreen {
    /// Time that all replicas are up at weight 0 before the switch. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Span>,
    /// People's consent to the switch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Time after the switch in which the old revision is kept ready and a breach still reverts. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Span>,
    /// How a template that was promoted before comes back. Default Fast.
    #[serde(default)]
    pub known_revision: KnownRevision,
}

impl Replicas {
    /// The number of pods for a full capacity of `full`; text that is no percentage counts as 0 (the schema refuses it).
    pub fn of(&self, full: u32) -> u32 {
        match self {
            Self::Count(count) => *count,
            Self::Share(text) => text
                .strip_suffix('%')
                .and_then(|share| share.parse::<Percent>().ok())
                .map_or(0, |share| share.of_ceil(full)),
        }
    }
}

impl JsonSchema for Replicas {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Replicas".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": r"^(100|[0-9]{1,2})%$",
            "minimum": 0,
            "maximum": 100_000,
        })
    }
}
