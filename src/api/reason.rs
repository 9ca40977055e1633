//! Every reason word that Tidegate says, in one enum: each has a sentence's worth of meaning and, where a person can do something, a hint.
//!
//! Messages with names and numbers are made where a reason is decided, not here.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])* $name:ident $(=> $hint:literal)? ),* $(,)?) => {
        /// Why something is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason { $( $(#[doc = $doc])* $name ),* }

        impl Reason {
            /// Every reason, in the order of the table in the docs.
            pub const ALL: &'static [Self] = &[$( Self::$name ),*];

            pub const fn word(self) -> &'static str {
                match self { $( Self::$name => stringify!($name) ),* }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc),*).trim_ascii() ),* }
            }

            /// What a person can do about it.
            pub const fn hint(self) -> Option<&'static str> {
                match self { $( Self::$name => reasons!(@hint $($hint)?) ),* }
            }
        }
    };
    (@hint) => { None };
    (@hint $hint:literal) => { Some($hint) };
}

reasons! {
    /// The first revision is coming up; no steps, no analysis.
    Adopting,
    /// The first revision serves.
    Adopted,
    /// The revision was promoted.
    Promoted,
    /// The revision was taken back.
    Reverted,
    /// Nothing is under test and everything is ready.
    Stable,
    /// The Rollout is scaled to 0.
    ScaledToZero,
    /// Fewer pods are ready than asked for.
    PodsNotReady => "Look at the pods' events: kubectl describe pods -l tidegate.io/rollout=NAME",
    /// A step is getting ready: pods, the backend in the route, its warm time.
    Preparing,
    /// Pods of the revision under test are not ready yet.
    WaitingForPods,
    /// The route has not accepted the last write yet.
    WaitingForRoute,
    /// A step stays at its weight for its bake time.
    Baking,
    /// At 100 %; the old revision is kept ready and a breach still reverts.
    Soaking,
    /// Promoted; routes and Services get their owners' form again.
    Finishing,
    /// All traffic goes back to the stable revision.
    Aborting,
    /// Going back is held because the stable revision has too few ready pods.
    AbortIncomplete => "Make the stable revision's pods ready: they decide how fast the traffic can go back",
    /// The rollout is paused by spec.paused.
    Paused => "Set spec.paused to false to go on",
    /// A person paused the run.
    PausedAtStep => "Go on with: tidegate resume NAME",
    /// A gate of the present step has too few approvals.
    AwaitingApproval => "Approve with: tidegate approve NAME --gate GATE; that takes the ClusterRole tidegate-approver or tidegate-admin, and an account that no RolloutPolicy excludes",
    /// The evidence is not enough and the policy asks for a person.
    Inconclusive => "Decide with: tidegate promote NAME or tidegate abort NAME",
    /// Too little traffic for a Pass; nothing speaks against the revision.
    InsufficientEvidence,
    /// The first windows after a change of weight are not judged.
    Warmup,
    /// The metrics server gives no usable answer.
    MetricsUnavailable => "Check the MetricsProvider's address and the metric's selectors",
    /// The revision under test got no requests although it should have.
    NoCanaryTraffic => "Check that the route sends traffic and that the metric's selectors match",
    /// Stable got no requests although it should have: there is nothing to compare with.
    NoControlTraffic => "Check that the route sends traffic to stable too and that the metric's selectors match",
    /// The arms did not get the requests that the weight says.
    SampleRatioMismatch => "Look for a router that has not converged, canary pods that hang or leave, sticky sessions, retries, or other routes to the same Services (then set spec.analysis.sampleRatio to Off)",
    /// Both arms are bad: the revision under test is not blamed.
    SharedDegradation,
    /// Evidence against the revision is growing; it is not enough for a Fail, and the weight is held.
    Suspicious,
    /// A bad revision could cost more in the next step than is left of the allowance; the weight is held until the evidence rules that out.
    BudgetAtRisk,
    /// With this traffic the run will most likely end without a Pass.
    PowerInsufficient => "Make the bakes longer or the weights larger, widen spec.analysis.passMargin, or leave it to onInsufficientEvidence; tidegate plan shows what each step can find",
    /// Half of what the release may spend is spent; the weight is held.
    BudgetHalfSpent,
    /// The release has spent its share of the error budget.
    BudgetSpent => "Fix the revision, or raise errorBudget.maxSpend",
    /// The revision is worse than the control.
    WorseThanControl,
    /// The revision breaks the objective, with no control that does too.
    SloBreach,
    /// A threshold metric failed.
    ThresholdFailed,
    /// Evidence says the revision is not worse.
    NonInferior,
    /// Every threshold metric has succeeded.
    ThresholdsPassed,
    /// No metrics and no budget are configured: bakes and gates decide alone.
    NoAnalysis => "Add spec.analysis or spec.errorBudget so that a bad revision is noticed",
    /// The pods of the revision did not get ready in time.
    NotReady => "Look at the pods' events and logs, fix the template and apply it again",
    /// The route did not accept a write in time.
    RouteNotAccepted => "Look at the route's status.parents conditions",
    /// A person aborted the run.
    Aborted => "Try again with: tidegate retry NAME, or change the template",
    /// A newer template, or the stable one, took the run's place.
    Superseded,
    /// The run's record was lost; traffic went back to the last proven revision.
    StateLost,
    /// The Rollout is being deleted.
    Deleted,
    /// The Rollout was deleted a while ago, and its application has not got its owners' form yet.
    RestoreIncomplete => "Repair the object that the message names, or let the Rollout go as it is: kubectl annotate rollouts.tidegate.io/NAME tidegate.io/orphan=true",
    /// Somebody else keeps resetting the route.
    RouteContended => "Let that manager ignore the route's backend weights during a run",
    /// Somebody else keeps resetting the Service's selector.
    ServiceContended => "Let that manager ignore the Service's selector during a run",
    /// Somebody else keeps scaling the referenced Deployment up.
    ReplicasContended => "Delete spec.replicas from the Deployment's manifest",
    /// A freeze window of a RolloutPolicy is open: nothing starts and nothing advances until it ends.
    Frozen => "It goes on by itself when the window ends; if it cannot wait: tidegate override NAME --reason WHY",
    /// The service burns its error budget, or has too little left of it: a RolloutPolicy lets no run start.
    BudgetBurning => "It starts by itself when the service is well again",
    /// The Rollout, or the run's plan, is not what a RolloutPolicy asks for.
    PolicyViolation => "Change the Rollout as the message says, or ask the owner of the policy",
    /// A RolloutPolicy that selects the Rollout cannot be understood: nothing starts and nothing advances.
    PolicyInvalid => "Ask the owner of the policy to correct the field that the message names",
    /// Another run is using the same rule.
    RuleBusy,
    /// A new template waits for spec.replicas above 0.
    NoReplicas => "Scale the Rollout above 0",
    /// The spec cannot be used.
    InvalidSpec,
    /// The API server refuses the pod template.
    InvalidTemplate => "Correct the pod template; the message is the API server's",
    /// The referenced Deployment does not exist.
    WorkloadMissing => "Create the Deployment, or correct spec.workload.deploymentRef",
    /// The referenced Deployment is still rolling out.
    WorkloadNotSettled => "Wait until the Deployment has finished its own rollout",
    /// A Service does not exist.
    ServiceMissing => "Create the Service, or correct spec.traffic.services",
    /// A Service cannot be used.
    ServiceUnusable,
    /// Policies name the application's Service and are not in force for the revision under test.
    BackendPolicyNotCarried => "Let the route or the pods say what the revision under test needs of them; only BackendTLSPolicies are copied",
    /// Endpoints of the Service belong to somebody else.
    ForeignEndpoints => "Give the other workload labels of its own",
    /// Another Rollout names the same Service.
    ServiceTaken => "Name each Service in one Rollout only",
    /// A route does not exist.
    RouteMissing => "Create the route, or correct spec.traffic.routes",
    /// No rule of the route names the Service.
    RouteWithoutRule => "Name the Service in a rule's backendRefs",
    /// A route cannot be used.
    RouteUnusable,
    /// Weights would need more than 1,000,000.
    WeightNotRepresentable => "Use fewer decimals in the steps, or smaller weights in the rule",
    /// An AnalysisTemplate does not exist or an argument is missing.
    TemplateMissing => "Create the template, or correct spec.analysis.templates",
    /// No MetricsProvider can be used.
    ProviderMissing => "Create a MetricsProvider, mark one as default, or name one in spec.analysis.provider",
    /// Both arms of a metric select the same series.
    ArmsNotSeparable => "Use {{ service }}, {{ revision }}, {{ pods }} or {{ route.cluster }} in the metric's selectors",
    /// An HPA targets a Deployment that Tidegate scales.
    ScaleTargetConflict => "Let the HorizontalPodAutoscaler target the Rollout",
    /// The reachable share is far from the weight.
    ShareCoarse => "Add a route, or more replicas",
    /// A law was about to be broken; the actions were withheld.
    LawBroken => "This is a defect of Tidegate: please report it with the message",
    /// The API server answers with errors.
    ApiUnavailable,
    /// The action was carried out.
    Done,
    /// The action is for another run, step or gate, or was given before.
    Stale,
    /// The action does not fit the present state.
    NotApplicable,
}

/// Text, not an enum of the words: a record with a new word must not be refused by CRDs that are older than the controller.
impl JsonSchema for Reason {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reason".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 64})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_sentence() {
        for reason in Reason::ALL {
            assert!(reason.meaning().ends_with('.'), "{}", reason.word());
        }
    }
}
