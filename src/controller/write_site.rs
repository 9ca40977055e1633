//! Every place at which the controller writes to a cluster. A write names its site, so that there is none outside the list:
//! faults are injected, and crashes placed, by it.

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
    /// The mark on a route or a Service gets the epoch of a new leader.
    Seal,
    LeaseCreate,
    /// The Lease acquired, renewed or given back.
    LeaseWrite,
    Event,
}

impl WriteSite {
    pub const ALL: [Self; 34] = [
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
        Self::Seal,
        Self::LeaseCreate,
        Self::LeaseWrite,
        Self::Event,
    ];
}
