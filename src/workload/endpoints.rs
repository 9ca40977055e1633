//! Whose endpoints a Service has: counted from its EndpointSlices, per revision and port.
//!
//! It counts pods, not addresses: in a dual-stack cluster a pod stands in a slice of each family. Slices must be read
//! before pods: an endpoint whose pod is not among `pods` counts as foreign.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    deployment::is_ready,
    object::{items, label, name, text},
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, Reason},
    engine::{Refusal, Revision},
};

/// The key under which pods of the referenced Deployment are counted: another revision, and nobody else's workload.
pub const SOURCE: &str = "";

/// What is asked of a Service's EndpointSlices.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Name of the Rollout.
    pub rollout: &'a str,
    /// Name of the referenced Deployment, while its pods may serve (adoption).
    pub source_deployment: Option<&'a str>,
    /// Names of the Service's ports that count (see [`super::service::port_names`]); None: every port of the slices.
    pub ports: Option<&'a [String]>,
    /// The Service publishes addresses that are not ready: the pods' own Ready condition counts.
    pub publish_not_ready: bool,
}

/// The endpoints of one Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointCount {
    /// Ready ones by revision: the smallest count over the ports.
    pub ready: BTreeMap<Revision, u32>,
    /// All by revision, whether ready, not ready or terminating.
    pub all: BTreeMap<Revision, u32>,
    /// Ready ones of pods that are not this Rollout's.
    pub foreign: u32,
    /// Whose those are ("Deployment checkout-old"), with their number.
    pub foreign_owners: BTreeMap<String, u32>,
}

/// Counts the endpoints in the EndpointSlices of one Service.
pub fn count(slices: &[&Value], pods: &[&Value], question: Question) -> EndpointCount {
    let by_name: BTreeMap<&str, &Value> = pods.iter().map(|pod| (name(pod), *pod)).collect();
    let ports: BTreeSet<String> = match question.ports {
        Some(ports) => ports.iter().cloned().collect(),
        None => slices.iter().flat_map(|slice| port_names(slice)).collect(),
    };
    let mut all: BTreeMap<Revision, BTreeSet<&str>> = BTreeMap::new();
    let mut ready: BTreeMap<Revision, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let mut foreign: BTreeMap<&str, Option<&Value>> = BTreeMap::new();
    for slice in slices {
        let has = port_names(slice);
        for endpoint in items(slice, "/endpoints") {
            let pod = text(endpoint, "/targetRef/name").and_then(|pod| by_name.get(pod).copied());
            let key = text(endpoint, "/targetRef/name").or_else(|| text(endpoint, "/addresses/0")).unwrap_or_default();
            let serves = serves(endpoint, pod, question.publish_not_ready);
            let Some(revision) = pod.and_then(|pod| revision_of(pod, question)) else {
                if serves {
                    foreign.insert(key, pod);
                }
                continue;
            };
            all.entry(revision.to_owned()).or_default().insert(key);
            for port in ports.iter().filter(|port| serves && has.contains(*port)) {
                ready.entry(revision.to_owned()).or_default().entry(port).or_default().insert(key);
            }
        }
    }
    let size = |set: &BTreeSet<&str>| u32::try_from(set.len()).unwrap_or(u32::MAX);
    // A port that no endpoint of the revision serves has no entry, and counts 0.
    let smallest = |found: &BTreeMap<&str, BTreeSet<&str>>| {
        ports.iter().map(|port| found.get(port.as_str()).map_or(0, size)).min().unwrap_or(0)
    };
    let mut foreign_owners = BTreeMap::new();
    for pod in foreign.values() {
        *foreign_owners.entry(owner_of(*pod)).or_default() += 1;
    }
    EndpointCount {
        ready: ready.iter().map(|(revision, found)| (revision.clone(), smallest(found))).collect(),
        all: all.iter().map(|(revision, found)| (revision.clone(), size(found))).collect(),
        foreign: u32::try_from(foreign.len()).unwrap_or(u32::MAX),
        foreign_owners,
    }
}

/// Why no run may start: a pin would cut off somebody else's endpoints.
pub fn foreign_refusal(service: &str, found: &EndpointCount) -> Option<Refusal> {
    let (owner, _) = found.foreign_owners.iter().max_by_key(|(_, count)| **count)?;
    let total = found.ready.values().sum::<u32>() + found.foreign;
    let others = match found.foreign_owners.len() {
        1 => String::new(),
        owners => format!(" and {} others", owners - 1),
    };
    let message = format!(
        "{} of {total} endpoints of Service {service} belong to {owner}{others}; a run would cut them off: give their pods \
         labels that Service {service} does not select",
        found.foreign
    );
    Some(Refusal { reason: Reason::ForeignEndpoints, message })
}

/// The endpoint takes new connections. Absent `ready` is to be read as true.
fn serves(endpoint: &Value, pod: Option<&Value>, publish_not_ready: bool) -> bool {
    let listed = endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    // With publishNotReadyAddresses every endpoint is listed as ready; one without a pod has nothing else to go by.
    if publish_not_ready { listed && pod.is_none_or(is_ready) } else { listed }
}

fn revision_of<'d>(pod: &'d Value, question: Question) -> Option<&'d str> {
    if label(pod, ROLLOUT_LABEL) == Some(question.rollout) {
        return label(pod, REVISION_LABEL);
    }
    let source = question.source_deployment?;
    (deployment_of(pod) == Some(source)).then_some(SOURCE)
}

/// The Deployment behind a pod, by the name that its ReplicaSet has: the Deployment's, then the template's hash.
pub fn deployment_of(pod: &Value) -> Option<&str> {
    let hash = label(pod, "pod-template-hash")?;
    let (kind, owner) = controller_of(pod)?;
    if kind == "ReplicaSet" { owner.strip_suffix(hash)?.strip_suffix('-') } else { None }
}

fn controller_of(pod: &Value) -> Option<(&str, &str)> {
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool).unwrap_or(false);
    let owner = items(pod, "/metadata/ownerReferences").iter().find(controls)?;
    Some((text(owner, "/kind")?, text(owner, "/name")?))
}

fn owner_of(pod: Option<&Value>) -> String {
    let Some(pod) = pod else { return "no known pod".to_owned() };
    match (deployment_of(pod), controller_of(pod)) {
        (Some(deployment), _) => format!("Deployment {deployment}"),
        (None, Some((kind, owner))) => format!("{kind} {owner}"),
        (None, None) => format!("Pod {}", name(pod)),
    }
}

fn port_names(slice: &Value) -> BTreeSet<String> {
    items(slice, "/ports").iter().map(|port| text(port, "/name").unwrap_or_default().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, revision: Option<&str>, owner: &str, ready: &str) -> Value {
        let mut pod = json!({"metadata": {"name": name, "labels": {"pod-template-hash": "77"}, "ownerReferences":
            [{"kind": "ReplicaSet", "name": format!("{owner}-77"), "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        if let Some(revision) = revision {
            pod["metadata"]["labels"][ROLLOUT_LABEL] = json!("checkout");
            pod["metadata"]["labels"][REVISION_LABEL] = json!(revision);
        }
        pod
    }

    /// Endpoints as "pod" (ready), "pod!" (not ready), "pod?" (nothing said about it).
    fn slice(ports: &[&str], endpoints: &str) -> Value {
        let ports: Vec<_> = ports.iter().map(|name| json!({"name": name, "port": 8080})).collect();
        let endpoint = |word: &str| {
            let name = word.trim_end_matches(['!', '?']);
            let conditions = if word.ends_with('?') { json!({}) } else { json!({"ready": !word.ends_with('!')}) };
            json!({"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"kind": "Pod", "name": name}})
        };
        json!({"ports": ports, "endpoints": endpoints.split_whitespace().map(endpoint).collect::<Vec<_>>()})
    }

    fn pods() -> Vec<Value> {
        vec![
            pod("a1", Some("aaa"), "checkout-aaa", "True"),
            pod("a2", Some("aaa"), "checkout-aaa", "True"),
            pod("a3", Some("aaa"), "checkout-aaa", "False"),
            pod("b1", Some("bbb"), "checkout-bbb", "True"),
            pod("s1", None, "checkout", "True"),
            pod("x1", None, "checkout-old", "True"),
        ]
    }

    fn counts(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
        pairs.iter().map(|(revision, count)| ((*revision).to_owned(), *count)).collect()
    }

    const ALL_PORTS: Question =
        Question { rollout: "checkout", source_deployment: None, ports: None, publish_not_ready: false };

    fn counted(slices: &[Value], question: Question) -> EndpointCount {
        let (slices, pods): (Vec<&Value>, Vec<Value>) = (slices.iter().collect(), pods());
        count(&slices, &pods.iter().collect::<Vec<_>>(), question)
    }

    #[test]
    fn the_smallest_count_over_the_ports_and_both_families_counts() {
        let slices = [
            slice(&["http", "admin"], "a1 a2? a3!"),
            slice(&["http", "admin"], "a1 a2 a3!"), // the other address family
            slice(&["http"], "b1"),
        ];
        let found = counted(&slices, ALL_PORTS);
        assert_eq!(found.ready, counts(&[("aaa", 2), ("bbb", 0)]));
        assert_eq!(found.all, counts(&[("aaa", 3), ("bbb", 1)]));
        let http = ["http".to_owned()];
        let found = counted(&slices, Question { ports: Some(&http), ..ALL_PORTS });
        assert_eq!(found.ready, counts(&[("aaa", 2), ("bbb", 1)]));
    }

    #[test]
    fn foreign_endpoints_are_named_and_the_sources_are_not_foreign_in_adoption() {
        let slices = [slice(&[""], "a1 a2 s1 x1 unknown!")];
        let found = counted(&slices, ALL_PORTS);
        assert_eq!(found.foreign_owners, counts(&[("Deployment checkout", 1), ("Deployment checkout-old", 1)]));
        let adopting = Question { source_deployment: Some("checkout"), ..ALL_PORTS };
        let found = counted(&slices, adopting);
        assert_eq!((found.ready.clone(), found.foreign), (counts(&[(SOURCE, 1), ("aaa", 2)]), 1));
        assert_eq!(
            foreign_refusal("checkout", &found).unwrap().message,
            "1 of 4 endpoints of Service checkout belong to Deployment checkout-old; a run would cut them off: give their \
             pods labels that Service checkout does not select"
        );
        assert_eq!(foreign_refusal("checkout", &counted(&[slice(&[""], "a1")], ALL_PORTS)), None);
    }

    #[test]
    fn where_unready_addresses_are_published_the_pods_decide() {
        let slices = [slice(&["http"], "a1 a2 a3")];
        let found = counted(&slices, Question { publish_not_ready: true, ..ALL_PORTS });
        assert_eq!((found.ready, found.all), (counts(&[("aaa", 2)]), counts(&[("aaa", 3)])));
    }

    #[test]
    fn a_service_without_endpoints_has_none() {
        assert_eq!(counted(&[], ALL_PORTS), EndpointCount::default());
    }
}
