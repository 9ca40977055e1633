//! What the API server fills in, or leaves away, of the built-in kinds and of the Gateway API's.
//!
//! Only what the product and its neighbours write is known here: Deployments with their pod templates, Services, routes.

use serde_json::{Map, Value, json};

use super::rules::has_status;
use crate::controller::{CONTROLLER_REVISION, DEPLOYMENT, EVENT, GRPC_ROUTE, HTTP_ROUTE, Kind, POD, SERVICE};

/// Fields that are left away if they are zero or false; elsewhere a zero is a value.
const OMITTED: [&str; 11] = [
    "minReadySeconds",
    "initialDelaySeconds",
    "paused",
    "publishNotReadyAddresses",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
];
/// Maps that are left away if they are empty; an empty object elsewhere is a value.
const OMITTED_MAPS: [&str; 7] =
    ["labels", "annotations", "matchLabels", "nodeSelector", "limits", "requests", "selector"];

/// An object of the kind as a request finds it before it exists: what a built-in kind has in any case.
pub fn blank(kind: Kind) -> Value {
    match kind {
        DEPLOYMENT => json!({"metadata": {}, "status": {}, "spec": {"selector": null, "strategy": {},
            "template": {"metadata": {}, "spec": {"containers": null}}}}),
        SERVICE => json!({"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}}),
        POD => json!({"metadata": {}, "spec": {"containers": null}, "status": {}}),
        CONTROLLER_REVISION => json!({"metadata": {}, "revision": 0}),
        EVENT => json!({"metadata": {}, "deprecatedSource": {}}),
        _ if is_custom(kind) => json!({}),
        _ => json!({"metadata": {}, "spec": {}, "status": {}}),
    }
}

/// The kind is defined by a CustomResourceDefinition.
pub fn is_custom(kind: Kind) -> bool {
    const BUILT_IN: [&str; 8] =
        ["", "apps", "autoscaling", "batch", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "policy"];
    !BUILT_IN.contains(&kind.group)
}

/// The document as the server reads it: without what it leaves away, with what it fills in.
pub fn fill(kind: Kind, document: &mut Value) {
    if !is_custom(kind) {
        let raw = if kind == CONTROLLER_REVISION { document.get_mut("data").map(Value::take) } else { None };
        omit(document);
        if let Some(raw) = raw {
            document["data"] = raw;
        }
        if let Some(all) = document.as_object_mut().filter(|_| !has_status(kind)) {
            all.remove("status");
        }
    }
    match kind {
        DEPLOYMENT => deployment(document),
        SERVICE => service(document),
        EVENT => set(document, "deprecatedSource", json!({})),
        HTTP_ROUTE | GRPC_ROUTE => route(kind, &mut document["spec"]),
        _ => {}
    }
}

/// Maps and lists of the metadata are left away if they are empty, of every kind.
pub fn omit_empty(metadata: &mut Map<String, Value>) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        if metadata.get(field).is_some_and(is_empty) {
            metadata.remove(field);
        }
    }
}

fn omit(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(omit);
            members.retain(|key, member| !is_omitted(key, member));
        }
        Value::Array(items) => items.iter_mut().for_each(omit),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_omitted(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_on) => !is_on && OMITTED.contains(&key),
        Value::Number(number) => number.as_i64() == Some(0) && OMITTED.contains(&key),
        // The endpoints of an empty slice are an empty list.
        Value::Array(items) => items.is_empty() && !["endpoints", "ports"].contains(&key),
        Value::Object(members) => members.is_empty() && OMITTED_MAPS.contains(&key),
        // The core group is "".
        Value::String(text) => text.is_empty() && !["group", "apiGroup"].contains(&key),
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.entry(field).or_insert(value);
    }
}

fn each(object: &mut Value, list: &str, fill: impl FnMut(&mut Value)) {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(fill);
}

fn deployment(document: &mut Value) {
    set(document, "status", json!({}));
    set(document, "spec", json!({}));
    // Its numbers are left away if they are zero, unlike that of the spec.
    if let Some(status) = document["status"].as_object_mut() {
        status.retain(|_, value| *value != 0);
    }
    let spec = &mut document["spec"];
    for (field, value) in [
        ("replicas", json!(1)),
        ("strategy", json!({})),
        ("revisionHistoryLimit", json!(10)),
        ("progressDeadlineSeconds", json!(600)),
        ("template", json!({})),
    ] {
        set(spec, field, value);
    }
    let strategy = &mut spec["strategy"];
    set(strategy, "type", json!("RollingUpdate"));
    if strategy["type"] == "RollingUpdate" {
        set(strategy, "rollingUpdate", json!({}));
        for field in ["maxSurge", "maxUnavailable"] {
            set(&mut strategy["rollingUpdate"], field, json!("25%"));
        }
    }
    set(&mut spec["template"], "metadata", json!({}));
    set(&mut spec["template"], "spec", json!({}));
    pod_spec(&mut spec["template"]["spec"]);
}

fn pod_spec(spec: &mut Value) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
    ] {
        set(spec, field, value);
    }
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        set(spec, "serviceAccount", account);
    }
    for list in ["containers", "initContainers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", |volume| {
        for source in ["configMap", "secret", "projected", "downwardAPI"] {
            if let Some(source) = volume.get_mut(source) {
                set(source, "defaultMode", json!(420));
            }
        }
    });
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    let is_moving = !image.contains('@') && tag.is_none_or(|tag| tag == "latest");
    for (field, value) in [
        ("imagePullPolicy", json!(if is_moving { "Always" } else { "IfNotPresent" })),
        ("resources", json!({})),
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
    ] {
        set(container, field, value);
    }
    each(container, "ports", |port| set(port, "protocol", json!("TCP")));
    each(container, "env", |variable| {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            set(field, "apiVersion", json!("v1"));
        }
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe) {
            for (field, value) in
                [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
            {
                set(probe, field, json!(value));
            }
            request(probe);
        }
    }
    for hook in ["/lifecycle/preStop", "/lifecycle/postStart"] {
        if let Some(hook) = container.pointer_mut(hook) {
            request(hook);
        }
    }
}

fn request(probe: &mut Value) {
    if let Some(get) = probe.get_mut("httpGet") {
        set(get, "path", json!("/"));
        set(get, "scheme", json!("HTTP"));
    }
    if let Some(grpc) = probe.get_mut("grpc") {
        set(grpc, "service", json!(""));
    }
}

fn service(document: &mut Value) {
    set(document, "spec", json!({}));
    set(document, "status", json!({}));
    set(&mut document["status"], "loadBalancer", json!({}));
    let spec = &mut document["spec"];
    set(spec, "sessionAffinity", json!("None"));
    set(spec, "type", json!("ClusterIP"));
    if spec["sessionAffinity"] == "ClientIP" {
        set(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    } else if let Some(spec) = spec.as_object_mut() {
        spec.remove("sessionAffinityConfig");
    }
    if spec["type"] != "ExternalName" {
        set(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "NodePort" || spec["type"] == "LoadBalancer" {
        set(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    each(spec, "ports", |port| {
        set(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        set(port, "targetPort", number);
    });
}

/// What the server allocates for a Service when it stores it: owned by nobody.
pub fn allocate(service: &mut Value, live: Option<&Value>, serial: u64) {
    let spec = &mut service["spec"];
    if spec["type"] == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if let Some(found) = live.and_then(|live| live["spec"].get(field)) {
            set(spec, field, found.clone());
        }
    }
    set(spec, "clusterIP", json!(format!("10.96.{}.{}", serial / 250 % 250, serial % 250 + 1)));
    let address = spec["clusterIP"].clone();
    for (field, value) in
        [("clusterIPs", json!([address])), ("ipFamilies", json!(["IPv4"])), ("ipFamilyPolicy", json!("SingleStack"))]
    {
        set(spec, field, value);
    }
}

fn route(kind: Kind, spec: &mut Value) {
    let reference = |reference: &mut Value, kind: &str, group: &str| {
        set(reference, "group", json!(group));
        set(reference, "kind", json!(kind));
    };
    let backend = |backend: &mut Value| {
        reference(backend, "Service", "");
        set(backend, "weight", json!(1));
    };
    each(spec, "parentRefs", |parent| reference(parent, "Gateway", "gateway.networking.k8s.io"));
    if kind == HTTP_ROUTE {
        set(spec, "rules", json!([{}]));
    }
    each(spec, "rules", |rule| {
        if kind == HTTP_ROUTE {
            set(rule, "matches", json!([{}]));
            each(rule, "matches", matched);
        } else {
            each(rule, "matches", |one| {
                each(one, "headers", |header| set(header, "type", json!("Exact")));
                if let Some(method) = one.get_mut("method") {
                    set(method, "type", json!("Exact"));
                }
            });
        }
        each(rule, "backendRefs", backend);
        each(rule, "filters", |filter| {
            if let Some(mirror) = filter.pointer_mut("/requestMirror/backendRef") {
                reference(mirror, "Service", "");
            }
        });
    });
}

fn matched(one: &mut Value) {
    set(one, "path", json!({}));
    set(&mut one["path"], "type", json!("PathPrefix"));
    set(&mut one["path"], "value", json!("/"));
    for list in ["headers", "queryParams"] {
        each(one, list, |header| set(header, "type", json!("Exact")));
    }
}

/// The members of an object, made if there is none.
pub fn members<'d>(document: &'d mut Value, field: &str) -> &'d mut Map<String, Value> {
    let found = &mut document[field];
    if !found.is_object() {
        *found = json!({});
    }
    match found {
        Value::Object(members) => members,
        _ => unreachable!("it was made an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_gets_its_defaults_and_loses_its_zeros() {
        let mut document = json!({"metadata": {"labels": {}}, "spec": {"minReadySeconds": 0, "paused": false, "replicas": 0,
            "template": {"spec": {"containers": [{"name": "a", "image": "shop/a:1", "env": [{"name": "E", "value": ""}]}]}}}});
        fill(DEPLOYMENT, &mut document);
        let container = &document["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            (&container["imagePullPolicy"], &container["env"]),
            (&json!("IfNotPresent"), &json!([{"name": "E"}]))
        );
        assert_eq!(document["metadata"], json!({}));
        let spec = &document["spec"];
        assert_eq!((spec.get("minReadySeconds"), spec.get("paused"), &spec["replicas"]), (None, None, &json!(0)));
        assert_eq!(spec["strategy"]["rollingUpdate"], json!({"maxSurge": "25%", "maxUnavailable": "25%"}));
    }

    #[test]
    fn a_stored_template_is_kept_as_written() {
        let data = json!({"template": {"spec": {"paused": false, "x": null, "y": []}}});
        let mut document = json!({"data": data, "revision": 1, "metadata": {}});
        fill(CONTROLLER_REVISION, &mut document);
        assert_eq!(document["data"], data);
    }

    #[test]
    fn a_service_gets_an_address_once() {
        let mut first = json!({"spec": {"ports": [{"port": 80}]}});
        fill(SERVICE, &mut first);
        allocate(&mut first, None, 7);
        assert_eq!(first["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]));
        let mut second = json!({"spec": {"type": "ClusterIP"}});
        allocate(&mut second, Some(&first), 8);
        assert_eq!(second["spec"]["clusterIP"], first["spec"]["clusterIP"]);
        let mut external = json!({"spec": {"type": "ExternalName"}});
        allocate(&mut external, None, 9);
        assert_eq!(external["spec"].get("clusterIP"), None);
    }

    #[test]
    fn backends_of_a_route_get_kind_and_weight() {
        let mut document = json!({"spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80}]}]}});
        fill(HTTP_ROUTE, &mut document);
        let rule = &document["spec"]["rules"][0];
        let backend = json!({"group": "", "kind": "Service", "name": "a", "port": 80, "weight": 1});
        assert_eq!(rule["backendRefs"], json!([backend]));
        assert_eq!(rule["matches"], json!([{"path": {"type": "PathPrefix", "value": "/"}}]));
    }
}
