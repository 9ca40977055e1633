//! What the API server does with a document between the request and the store: what a way of writing cannot change,
//! generations, and what is refused.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{
    defaults::{is_custom, members},
    fields::Fields,
    schema,
};
use crate::{
    controller::{
        ANALYSIS_TEMPLATE, BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_V1ALPHA3, CLUSTER_ANALYSIS_TEMPLATE,
        CONTROLLER_REVISION, DEPLOYMENT, ENDPOINT_SLICE, EVENT, HPA, HTTP_ROUTE, Kind, LEASE, METRICS_PROVIDER,
        NAMESPACE, POD, ROLLOUT, ROLLOUT_POLICY, SERVICE,
    },
    workload::object::{items, text},
};

const WITHOUT_STATUS: [Kind; 8] = [
    ANALYSIS_TEMPLATE,
    CLUSTER_ANALYSIS_TEMPLATE,
    METRICS_PROVIDER,
    ROLLOUT_POLICY,
    CONTROLLER_REVISION,
    EVENT,
    ENDPOINT_SLICE,
    LEASE,
];
const WITHOUT_GENERATION: [Kind; 6] = [SERVICE, CONTROLLER_REVISION, HPA, NAMESPACE, EVENT, LEASE];
/// Metadata that a request cannot set on an object that exists.
const KEPT: [&str; 7] =
    ["creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "name", "namespace", "uid"];

static NOTHING: LazyLock<Fields> = LazyLock::new(Fields::default);
static STATUS: LazyLock<Fields> = LazyLock::new(|| Fields::of(&["status"]));
static SPEC: LazyLock<Fields> = LazyLock::new(|| Fields::of(&["spec"]));
static SPEC_AND_METADATA: LazyLock<Fields> = LazyLock::new(|| Fields::of(&["spec", "metadata"]));
static SPEC_AND_LABELS: LazyLock<Fields> = LazyLock::new(|| Fields::of(&["spec", "metadata.labels"]));
static ALL_BUT_STATUS_OF_PODS: LazyLock<Fields> =
    LazyLock::new(|| Fields::of(&["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"]));

pub fn has_status(kind: Kind) -> bool {
    !WITHOUT_STATUS.contains(&kind)
}

/// The kind has a scale subresource over spec.replicas.
pub fn has_scale(kind: Kind) -> bool {
    kind == DEPLOYMENT || kind == ROLLOUT || kind.kind == "ReplicaSet"
}

/// A PUT of it needs a resourceVersion. One of its Scale never does: without one it overwrites.
pub fn needs_version(kind: Kind, subresource: &str) -> bool {
    is_custom(kind) && subresource != "scale"
}

/// What a write by this subresource cannot change, and so cannot own.
pub fn ignored(kind: Kind, subresource: &str) -> &'static Fields {
    match (subresource, kind) {
        ("status", DEPLOYMENT) => &SPEC_AND_LABELS,
        ("status", POD) => &ALL_BUT_STATUS_OF_PODS,
        ("status", _) if is_custom(kind) => &SPEC_AND_METADATA,
        ("status", _) => &SPEC,
        _ if has_status(kind) => &STATUS,
        _ => &NOTHING,
    }
}

/// Makes the document one that can be stored: what the way of writing cannot change is as it was.
pub fn prepare(kind: Kind, subresource: &str, live: Option<&Value>, next: &mut Value) {
    let Some(live) = live else {
        if has_status(kind) {
            match kind {
                POD => next["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"}),
                SERVICE => next["status"] = json!({"loadBalancer": {}}),
                _ if is_custom(kind) => drop(next.as_object_mut().map(|members| members.remove("status"))),
                _ => next["status"] = json!({}),
            }
        }
        return;
    };
    let metadata = members(next, "metadata");
    for field in KEPT {
        keep(metadata, field, live["metadata"].get(field));
    }
    if subresource == "status" {
        if is_custom(kind) {
            let (status, owners) = (next.get("status").cloned(), next["metadata"].get("managedFields").cloned());
            *next = live.clone();
            keep(members(next, "metadata"), "managedFields", owners.as_ref());
            if let Some(all) = next.as_object_mut() {
                keep(all, "status", status.as_ref());
            }
        } else {
            next["spec"] = live["spec"].clone();
            if kind == DEPLOYMENT {
                keep(members(next, "metadata"), "labels", live["metadata"].get("labels"));
            }
        }
    } else if has_status(kind)
        && let Some(all) = next.as_object_mut()
    {
        keep(all, "status", live.get("status"));
    }
}

fn keep(members: &mut serde_json::Map<String, Value>, field: &str, value: Option<&Value>) {
    match value {
        Some(value) => drop(members.insert(field.to_owned(), value.clone())),
        None => drop(members.remove(field)),
    }
}

/// The generation of the next document; None: the kind has none.
pub fn generation(kind: Kind, subresource: &str, live: Option<&Value>, next: &Value) -> Option<i64> {
    if WITHOUT_GENERATION.contains(&kind) {
        return None;
    }
    let Some(live) = live else { return Some(1) };
    let found = live.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    if subresource == "status" {
        return Some(found);
    }
    let differs = |pointer: &str| live.pointer(pointer) != next.pointer(pointer);
    let has_changed = match kind {
        // Annotations too: they are copied to the ReplicaSets.
        DEPLOYMENT => differs("/spec") || differs("/metadata/annotations"),
        ENDPOINT_SLICE => differs("/endpoints") || differs("/ports") || differs("/metadata/labels"),
        _ if is_custom(kind) => content(kind, live).ne(content(kind, next)),
        _ => differs("/spec"),
    };
    Some(found + i64::from(has_changed))
}

/// What counts as the spec of a custom kind: all but metadata and the status.
fn content(kind: Kind, document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let counts = move |(key, _): &(&String, &Value)| *key != "metadata" && !(*key == "status" && has_status(kind));
    document.as_object().into_iter().flatten().filter(counts)
}

/// Everything for which the API server refuses the document.
pub fn violations(kind: Kind, live: Option<&Value>, next: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let name = text(next, "/metadata/name").unwrap_or_default();
    if live.is_none() && !is_name(kind, name) {
        found.push(format!("metadata.name: Invalid value: {name:?}: it is no name for a {}", kind.kind));
    }
    if let Some(live) = live
        && live["metadata"].get("deletionTimestamp").is_some()
    {
        let before = items(live, "/metadata/finalizers");
        if items(next, "/metadata/finalizers").iter().any(|finalizer| !before.contains(finalizer)) {
            found.push(
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted".into(),
            );
        }
    }
    let owners = items(next, "/metadata/ownerReferences");
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        found
            .push("metadata.ownerReferences: Invalid value: only one reference can have controller set to true".into());
    }
    match kind {
        DEPLOYMENT => found.extend(of_deployment(live, next)),
        SERVICE => found.extend(of_service(live, next)),
        CONTROLLER_REVISION if next["data"].is_null() => found.push("data: Required value: data is mandatory".into()),
        HTTP_ROUTE | BACKEND_TLS_POLICY | BACKEND_TLS_POLICY_V1ALPHA3 if next["spec"].is_null() => {
            found.push("spec: Required value".into());
        }
        CONTROLLER_REVISION if live.is_some_and(|live| live.get("data") != next.get("data")) => {
            found.push("data: Invalid value: field is immutable".into());
        }
        _ => {}
    }
    if let Some(schema) = schema::of(kind) {
        found.extend(schema::violations(schema, live, next, ""));
    }
    found
}

fn of_deployment(live: Option<&Value>, next: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let selector = &next["spec"]["selector"];
    if live.is_some_and(|live| live["spec"]["selector"] != *selector) {
        found.push("spec.selector: Invalid value: field is immutable".into());
    }
    let labels = &next["spec"]["template"]["metadata"]["labels"];
    let wanted = selector["matchLabels"].as_object();
    if wanted.is_none_or(serde_json::Map::is_empty) && items(selector, "/matchExpressions").is_empty() {
        found.push("spec.selector: Required value".into());
    }
    if wanted.into_iter().flatten().any(|(key, value)| labels.get(key) != Some(value)) {
        found.push("spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`".into());
    }
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        if next["spec"][field].as_i64().is_some_and(|number| number < 0) {
            found.push(format!("spec.{field}: Invalid value: must be greater than or equal to 0"));
        }
    }
    found.extend(of_containers(&next["spec"]["template"]["spec"]));
    found
}

fn of_containers(spec: &Value) -> Vec<String> {
    let containers = items(spec, "/containers");
    let mut found = Vec::new();
    if containers.is_empty() {
        found.push("spec.template.spec.containers: Required value".to_owned());
    }
    for (at, container) in containers.iter().enumerate() {
        for field in ["name", "image"] {
            if container[field].as_str().is_none_or(str::is_empty) {
                found.push(format!("spec.template.spec.containers[{at}].{field}: Required value"));
            }
        }
        if containers[..at].iter().any(|other| other["name"] == container["name"]) {
            found.push(format!("spec.template.spec.containers[{at}].name: Duplicate value: {}", container["name"]));
        }
    }
    found
}

fn of_service(live: Option<&Value>, next: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let spec = &next["spec"];
    let ports = items(spec, "/ports");
    if ports.is_empty() && spec["type"] != "ExternalName" && spec["clusterIP"] != "None" {
        found.push("spec.ports: Required value".to_owned());
    }
    if ports.len() > 1 && ports.iter().any(|port| port.get("name").is_none()) {
        found.push("spec.ports[0].name: Required value".to_owned());
    }
    let repeats = |(at, port): (usize, &Value)| ports[..at].iter().any(|other| other["name"] == port["name"]);
    if ports.iter().enumerate().any(repeats) {
        found.push("spec.ports[1].name: Duplicate value".to_owned());
    }
    let is_port = |port: &Value| port["port"].as_i64().is_some_and(|port| (1..=65_535).contains(&port));
    if !ports.iter().all(is_port) {
        found.push("spec.ports[0].port: Invalid value: must be between 1 and 65535, inclusive".to_owned());
    }
    let is_same = |field: &str| live.is_none_or(|live| live["spec"][field] == spec[field]);
    if is_same("type") && spec["type"] != "ExternalName" && !is_same("clusterIP") {
        found.push("spec.clusterIP: Invalid value: field is immutable".to_owned());
    }
    found
}

/// Names of Services are DNS labels that begin with a letter, those of Namespaces labels, all others subdomains.
fn is_name(kind: Kind, name: &str) -> bool {
    let is_plain = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|one| is_plain(*one) || *one == b'-')
            && bytes.first().zip(bytes.last()).is_some_and(|(first, last)| is_plain(*first) && is_plain(*last))
    };
    match kind {
        SERVICE => is_label(name) && name.len() <= 63 && !name.starts_with(|one: char| one.is_ascii_digit()),
        NAMESPACE => is_label(name) && name.len() <= 63,
        _ => name.len() <= 253 && name.split('.').all(is_label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::RUN;

    #[test]
    fn names_follow_the_rule_of_their_kind() {
        for (kind, name, expected) in [
            (SERVICE, "checkout", true),
            (SERVICE, "1checkout", false),
            (SERVICE, "checkout.v1", false),
            (RUN, "checkout.v1-2", true),
            (RUN, "Checkout", false),
            (RUN, "checkout-", false),
            (RUN, "", false),
        ] {
            assert_eq!(is_name(kind, name), expected, "{name}");
        }
        assert!(!is_name(SERVICE, &"a".repeat(64)));
    }

    #[test]
    fn only_what_counts_as_a_spec_raises_the_generation() {
        let live = json!({"metadata": {"generation": 4, "annotations": {"a": "1"}}, "spec": {"x": 1}, "status": {}});
        let noted = json!({"metadata": {"generation": 4}, "spec": {"x": 1}, "status": {}});
        let changed = json!({"metadata": {}, "spec": {"x": 2}});
        let judged = json!({"metadata": {"annotations": {"a": "1"}}, "spec": {"x": 1}, "status": {"y": 1}});
        for (kind, next, expected) in [
            (DEPLOYMENT, &noted, Some(5)),
            (ROLLOUT, &noted, Some(4)),
            (ROLLOUT, &changed, Some(5)),
            (ROLLOUT, &judged, Some(4)),
            (DEPLOYMENT, &judged, Some(4)),
            (SERVICE, &changed, None),
        ] {
            assert_eq!(generation(kind, "", Some(&live), next), expected, "{}", kind.kind);
        }
    }
}
