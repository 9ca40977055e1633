//! Policies that name an application Service: copies of a revision that are missing or too many, what forbids a run, and
//! what does not follow to the revision under test.
//!
//! Without a managed route there is no revision's Service for a policy to follow to: then none was read.

use super::{ClusterError, Gathered, Memory, services::Services};
use crate::{
    controller::{BACKEND_TRAFFIC_POLICY, COPIED_POLICIES, POLICIES},
    engine::{PolicyView, Refusal, RevisionView},
    workload::{
        backend_policy,
        object::{self, label},
    },
};

/// What stands against a run's start, and what could not be read of what decides about it.
pub(super) fn refusals(gathered: &Gathered, services: &Services) -> (Vec<Refusal>, Vec<String>) {
    let traffic = gathered.policies.get(&BACKEND_TRAFFIC_POLICY);
    let found = services.views.iter().flat_map(|view| {
        let policies = traffic.iter().flat_map(|read| read.iter().flatten());
        policies.filter_map(|policy| backend_policy::session_refusal(policy, &view.name))
    });
    let deciding = COPIED_POLICIES.iter().chain([&BACKEND_TRAFFIC_POLICY]);
    let unread = deciding.filter_map(|kind| gathered.policies.get(kind)?.as_ref().err()).map(ClusterError::to_string);
    (found.collect(), unread.collect())
}

/// Policies that do not follow. They are a warning and hold nothing up: what cannot be read is taken from the last pass.
pub(super) fn not_carried(gathered: &Gathered, services: &Services, memory: &mut Memory) -> Vec<PolicyView> {
    let named: Vec<&str> = services.views.iter().map(|view| view.name.as_str()).collect();
    let kinds = || POLICIES.iter().filter(|kind| !COPIED_POLICIES.contains(kind));
    let reads = || kinds().filter_map(|kind| gathered.policies.get(kind));
    if reads().all(Result::is_ok) {
        memory.not_carried = backend_policy::not_carried(reads().flatten().flatten(), &named);
        memory.not_carried.sort();
    }
    memory.not_carried.clone()
}

/// Counts the copies of a revision, and says if they are not what its Services need. If they cannot be read, the count of
/// the last pass stands: the Services are not taken for gone while a copy may be left.
pub(super) fn look(gathered: &Gathered, revision: &str, view: &mut RevisionView, before: Option<&RevisionView>) {
    let reads = || COPIED_POLICIES.iter().filter_map(|kind| gathered.policies.get(kind));
    if reads().any(Result::is_err) {
        view.policies = before.map_or(0, |before| before.policies);
        return;
    }
    let all = || reads().flatten().flatten();
    let is_own = |policy: &&serde_json::Value| {
        backend_policy::is_copy(policy, object::name(&gathered.rollout))
            && label(policy, crate::api::REVISION_LABEL) == Some(revision)
    };
    let found: Vec<_> = all().filter(is_own).collect();
    let services: Vec<&str> = view.services.keys().map(String::as_str).collect();
    let wanted = backend_policy::copies(all(), &services, &gathered.rollout, revision, None);
    let stands = |copy: &serde_json::Value| {
        found.iter().any(|found| object::name(found) == object::name(copy) && !backend_policy::stale(copy, found))
    };
    view.policies = u32::try_from(found.len()).unwrap_or(u32::MAX);
    view.services_stale |= found.len() != wanted.len() || !wanted.iter().all(stands);
}
