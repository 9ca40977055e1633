//! What is seen of one revision: its record, its pods, its Services.
//!
//! Plain values. Which revision does what is not in here.

use std::collections::BTreeMap;

/// One revision's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevisionView {
    /// Its ControllerRevision exists.
    pub recorded: bool,
    /// The ordinal of its promotion.
    pub proven: Option<u64>,
    pub deployment: Option<DeploymentView>,
    /// What keeps pods of it from getting ready, as a sentence about one of them; None: they just need time.
    pub trouble: Option<String>,
    /// For each application Service that has one: the revision's Service and its ready endpoints (smallest over the ports).
    pub services: BTreeMap<String, u32>,
    /// The revision's Services, or copies of policies for them, differ from the application's.
    pub services_stale: bool,
    /// Copies of policies that were made for its Services.
    pub policies: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentView {
    pub desired: u32,
    /// Pods that exist, terminating ones not counted.
    pub pods: u32,
    pub ready: u32,
    /// Pods that exist, terminating ones counted.
    pub pods_with_terminating: u32,
}

impl RevisionView {
    /// Nothing of its Services is left to delete.
    pub fn is_without_services(&self) -> bool {
        self.services.is_empty() && self.policies == 0
    }

    /// What keeps its pods from getting ready, as the end of a sentence about them; empty: nothing that is known.
    pub fn in_trouble(&self) -> String {
        self.trouble.as_ref().map_or_else(String::new, |trouble| format!("; {trouble}"))
    }
}
