//! Every place at which the controller writes to a cluster. A write names its site, so that there is none outside the list:
//! faults are injected, crashes placed, and rights granted by it.

use super::{
    ACTION, CONTROLLER_REVISION, COPIED_POLICIES, DEPLOYMENT, EVENT, Kind, ROLLOUT, RUN, SERVICE,
    permissions::{Verb, routes},
};

/// A place that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriteSite {
    /// The Rollout's finalizer, added or removed.
    Finalizer,
    /// `spec.replicas` of a Rollout that had none.
    Replicas,
    /// The Rollout's status.
    RolloutStatus,
    /// A RolloutRun: the lock.
    RunCreate,
    /// A RolloutRun's status: decisions and evidence.
    RunStatus,
    RunDelete,
    /// Whether the API server would take a template; nothing is stored.
    DryRun,
    /// A revision's ControllerRevision.
    RecordCreate,
    /// The ordinal of a promotion, on the ControllerRevision.
    RecordProven,
    RecordDelete,
    /// A revision's Deployment.
    DeploymentCreate,
    DeploymentScale,
    DeploymentRestart,
    DeploymentDelete,
    /// A revision's Service, or the preview.
    ServiceApply,
    ServiceDelete,
    /// A copy of a policy for a revision's Services.
    PolicyApply,
    PolicyDelete,
    /// The selector of an application's Service.
    Pin,
    Share,
    Unpin,
    /// The canary's refs in a route, at weight 0.
    RouteName,
    RouteWeight,
    RouteDrop,
    /// Ownership of fields of somebody else's object, given back.
    Release,
    /// The referenced Deployment's scale.
    SourceScale,
    /// The referenced Deployment's template.
    SourceTemplate,
    /// The outcome of a RolloutAction.
    ActionOutcome,
    /// The run that a RolloutAction belongs to.
    ActionOwner,
    ActionDelete,
    Event,
}

impl WriteSite {
    pub const ALL: [Self; 31] = [
        Self::Finalizer,
        Self::Replicas,
        Self::RolloutStatus,
        Self::RunCreate,
        Self::RunStatus,
        Self::RunDelete,
        Self::DryRun,
        Self::RecordCreate,
        Self::RecordProven,
        Self::RecordDelete,
        Self::DeploymentCreate,
        Self::DeploymentScale,
        Self::DeploymentRestart,
        Self::DeploymentDelete,
        Self::ServiceApply,
        Self::ServiceDelete,
        Self::PolicyApply,
        Self::PolicyDelete,
        Self::Pin,
        Self::Share,
        Self::Unpin,
        Self::RouteName,
        Self::RouteWeight,
        Self::RouteDrop,
        Self::Release,
        Self::SourceScale,
        Self::SourceTemplate,
        Self::ActionOutcome,
        Self::ActionOwner,
        Self::ActionDelete,
        Self::Event,
    ];

    /// What a write of this site does: to which kinds, by which subresource, with which verbs.
    pub fn does(self) -> (Vec<Kind>, &'static str, &'static [Verb]) {
        match self {
            Self::Finalizer | Self::Replicas => (vec![ROLLOUT], "", &[Verb::Patch]),
            Self::RolloutStatus => (vec![ROLLOUT], "status", &[Verb::Patch]),
            Self::RunCreate => (vec![RUN], "", &[Verb::Create]),
            Self::RunStatus => (vec![RUN], "status", &[Verb::Patch]),
            Self::RunDelete => (vec![RUN], "", &[Verb::Delete]),
            Self::RecordCreate => (vec![CONTROLLER_REVISION], "", &[Verb::Create]),
            Self::RecordProven => (vec![CONTROLLER_REVISION], "", &[Verb::Patch]),
            Self::RecordDelete => (vec![CONTROLLER_REVISION], "", &[Verb::Delete]),
            Self::DryRun | Self::DeploymentCreate => (vec![DEPLOYMENT], "", &[Verb::Create]),
            Self::DeploymentScale | Self::DeploymentRestart => (vec![DEPLOYMENT], "", &[Verb::Patch]),
            Self::DeploymentDelete => (vec![DEPLOYMENT], "", &[Verb::Delete]),
            // An apply that creates is both.
            Self::ServiceApply => (vec![SERVICE], "", &[Verb::Create, Verb::Patch]),
            Self::ServiceDelete => (vec![SERVICE], "", &[Verb::Delete]),
            Self::PolicyApply => (COPIED_POLICIES.to_vec(), "", &[Verb::Create, Verb::Patch]),
            Self::PolicyDelete => (COPIED_POLICIES.to_vec(), "", &[Verb::Delete]),
            Self::Pin | Self::Share | Self::Unpin => (vec![SERVICE], "", &[Verb::Patch]),
            Self::RouteName | Self::RouteWeight | Self::RouteDrop => (routes(), "", &[Verb::Patch]),
            Self::Release => ([routes(), vec![SERVICE, DEPLOYMENT]].concat(), "", &[Verb::Patch]),
            Self::SourceScale => (vec![DEPLOYMENT], "scale", &[Verb::Patch]),
            Self::SourceTemplate => (vec![DEPLOYMENT], "", &[Verb::Patch]),
            Self::ActionOutcome => (vec![ACTION], "status", &[Verb::Patch]),
            Self::ActionOwner => (vec![ACTION], "", &[Verb::Patch]),
            Self::ActionDelete => (vec![ACTION], "", &[Verb::Delete]),
            Self::Event => (vec![EVENT], "", &[Verb::Create]),
        }
    }
}
