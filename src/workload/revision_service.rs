//! The Services that Tidegate owns: one per revision under test and application Service, and the preview.
//!
//! They copy what decides how a Service behaves towards clients and the proxy. Never copied: addresses and node ports,
//! publishNotReadyAddresses (it would send traffic to pods that are not ready), and annotations by which a GitOps tool,
//! Helm, external-dns or a cloud would treat the copy as the original.

use serde_json::{Map, Value, json};

use super::{
    object::{items, label, name, namespace, text},
    owners::owner_references,
    service::own_selector,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, Reason, SERVICE_LABEL, revision_service_name},
    engine::Refusal,
};

/// Spec fields that are copied as they are.
const COPIED: [&str; 6] = [
    "sessionAffinity",
    "sessionAffinityConfig",
    "ipFamilies",
    "ipFamilyPolicy",
    "internalTrafficPolicy",
    "trafficDistribution",
];
const COPIED_OF_PORT: [&str; 5] = ["name", "port", "protocol", "appProtocol", "targetPort"];

/// Annotations (or beginnings of them) that stay on the original.
const NOT_COPIED: &[&str] = &[
    "tidegate.io/",
    "kubectl.kubernetes.io/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "fluxcd.io/",
    "config.kubernetes.io/",
    "config.k8s.io/",
    "configmanagement.gke.io/",
    "objectset.rio.cattle.io/",
    "kapp.k14s.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "external-dns.alpha.kubernetes.io/",
    "service.beta.kubernetes.io/",
    "service.kubernetes.io/",
    "service.cloud.tencent.com/",
    "cloud.google.com/",
    "networking.gke.io/",
    "cloud.ibm.com/",
    "kubernetes.digitalocean.com/",
    "load-balancer.hetzner.cloud/",
    "loadbalancer.openstack.org/",
    "oci.oraclecloud.com/",
    "oci-network-load-balancer.oraclecloud.com/",
    "metallb.universe.tf/",
    "metallb.io/",
    "kube-vip.io/",
    "io.cilium/lb-ipam",
    "lbipam.cilium.io/",
];
/// Exceptions: they steer traffic inside the cluster.
const COPIED_NEVERTHELESS: &str = "service.kubernetes.io/topology-";

/// A revision's Service for one application Service.
pub fn build(app: &Value, rollout: &Value, revision: &str, source_deployment: Option<&Value>) -> Value {
    let labels = json!({ROLLOUT_LABEL: name(rollout), REVISION_LABEL: revision, SERVICE_LABEL: name(app)});
    let service = revision_service_name(name(app), revision);
    document(app, rollout, revision, &service, labels, source_deployment)
}

/// The preview: the same with a fixed name. It belongs to the Rollout, not to a revision, so it bears no revision label.
pub fn preview(
    service: &str,
    app: &Value,
    rollout: &Value,
    revision: &str,
    source_deployment: Option<&Value>,
) -> Value {
    document(app, rollout, revision, service, json!({ROLLOUT_LABEL: name(rollout)}), source_deployment)
}

/// The application's Service has changed in something that the revision's (or the preview) copies.
pub fn stale(app: &Value, ours: &Value) -> bool {
    let selector = |document| {
        let mut selector = own_selector(document);
        selector.remove(ROLLOUT_LABEL);
        selector
    };
    let copied = annotations(app);
    let found = ours.pointer("/metadata/annotations");
    let lacks = |(key, value): (&String, &Value)| found.and_then(|found| found.get(key)) != Some(value);
    spec(app) != spec(ours) || selector(app) != selector(ours) || copied.iter().any(lacks)
}

/// Why the preview's name cannot be used, if a Service of this name is somebody else's.
pub fn preview_refusal(found: &Value, rollout_name: &str) -> Option<Refusal> {
    if is_preview_of(found, rollout_name) {
        return None;
    }
    let message = format!(
        "Service {0} exists and is not Tidegate's: give spec.traffic.preview.service another name, or delete Service {0}",
        name(found)
    );
    Some(Refusal { reason: Reason::ServiceUnusable, message })
}

/// This Service is the Rollout's preview.
pub fn is_preview_of(found: &Value, rollout_name: &str) -> bool {
    let owned = items(found, "/metadata/ownerReferences")
        .iter()
        .any(|owner| text(owner, "/kind") == Some("Rollout") && text(owner, "/name") == Some(rollout_name));
    owned && label(found, ROLLOUT_LABEL) == Some(rollout_name) && label(found, REVISION_LABEL).is_none()
}

fn document(
    app: &Value,
    rollout: &Value,
    revision: &str,
    service: &str,
    labels: Value,
    source_deployment: Option<&Value>,
) -> Value {
    let mut spec = spec(app);
    let mut selector = own_selector(app);
    selector.insert(REVISION_LABEL.to_owned(), json!(revision));
    spec.insert("selector".to_owned(), Value::Object(selector));
    spec.insert("type".to_owned(), json!("ClusterIP"));
    let mut metadata = json!({
        "name": service,
        "namespace": namespace(rollout),
        "labels": labels,
        "ownerReferences": owner_references(rollout, source_deployment),
    });
    let annotations = annotations(app);
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
}

/// The fields of the spec that a copy has, but for type and selector.
fn spec(service: &Value) -> Map<String, Value> {
    let pick = |from: &Value, fields: &[&str]| -> Map<String, Value> {
        let present = |field: &&str| from.get(*field).map(|value| ((*field).to_owned(), value.clone()));
        fields.iter().filter_map(present).collect()
    };
    let mut spec = service.get("spec").map(|spec| pick(spec, &COPIED)).unwrap_or_default();
    let ports = items(service, "/spec/ports").iter().map(|port| Value::Object(pick(port, &COPIED_OF_PORT)));
    spec.insert("ports".to_owned(), ports.collect());
    spec
}

fn annotations(service: &Value) -> Map<String, Value> {
    let copied = |key: &str| {
        key.starts_with(COPIED_NEVERTHELESS)
            || !NOT_COPIED.iter().any(|beginning| key.starts_with(beginning) || key.contains(&format!(".{beginning}")))
    };
    let found = service.pointer("/metadata/annotations").and_then(Value::as_object);
    found
        .into_iter()
        .flatten()
        .filter(|(key, _)| copied(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> Value {
        json!({
            "metadata": {"name": "checkout", "namespace": "shop", "labels": {"app.kubernetes.io/instance": "shop"},
                "annotations": {
                    "argocd.argoproj.io/tracking-id": "x", "meta.helm.sh/release-name": "x", "tidegate.io/run": "r",
                    "service.beta.kubernetes.io/aws-load-balancer-type": "nlb", "linkerd.io/inject": "enabled",
                    "service.kubernetes.io/topology-mode": "Auto", "source.toolkit.fluxcd.io/x": "y",
                }},
            "spec": {
                "type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "trafficDistribution": "PreferClose", "publishNotReadyAddresses": true,
                "externalTrafficPolicy": "Local",
                "selector": {"app": "checkout", REVISION_LABEL: "old"},
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http", "targetPort": "web",
                    "nodePort": 30080}],
            },
        })
    }

    fn rollout() -> Value {
        json!({"metadata": {"name": "checkout", "namespace": "shop", "uid": "r1"}})
    }

    #[test]
    fn a_revision_service_behaves_like_the_original_and_is_tracked_by_nobody() {
        let made = build(&app(), &rollout(), "abc", None);
        assert_eq!(made["metadata"]["name"], "checkout-abc");
        assert_eq!(
            made["metadata"]["labels"],
            json!({ROLLOUT_LABEL: "checkout", REVISION_LABEL: "abc", SERVICE_LABEL: "checkout"})
        );
        assert_eq!(
            made["metadata"]["annotations"],
            json!({"linkerd.io/inject": "enabled", "service.kubernetes.io/topology-mode": "Auto"})
        );
        assert_eq!(
            made["spec"],
            json!({
                "type": "ClusterIP", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "trafficDistribution": "PreferClose",
                "selector": {"app": "checkout", REVISION_LABEL: "abc"},
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http", "targetPort": "web"}],
            })
        );
    }

    #[test]
    fn it_is_stale_when_what_is_copied_changes_and_only_then() {
        let mut made = build(&app(), &rollout(), "abc", None);
        made["spec"]["clusterIP"] = json!("10.96.0.10");
        made["metadata"]["annotations"]["somebody/else"] = json!("x");
        assert!(!stale(&app(), &made));
        for (pointer, value) in [
            ("/spec/ports/0/targetPort", json!(8080)),
            ("/spec/selector/app", json!("other")),
            ("/metadata/annotations/linkerd.io~1inject", json!("disabled")),
        ] {
            let mut changed = app();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(stale(&changed, &made), "{pointer}");
        }
        for (pointer, value) in
            [("/spec/ports/0/nodePort", json!(30081)), ("/spec/selector", app()["spec"]["selector"].clone())]
        {
            let mut changed = app();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(!stale(&changed, &made), "{pointer}");
        }
    }

    #[test]
    fn the_preview_is_told_from_a_foreign_service_of_its_name() {
        let made = preview("checkout-preview", &app(), &rollout(), "abc", None);
        assert_eq!(preview_refusal(&made, "checkout"), None);
        assert!(!stale(&app(), &made));
        let refused = preview_refusal(&app(), "checkout").unwrap();
        assert!(refused.message.starts_with("Service checkout exists and is not Tidegate's"), "{}", refused.message);
    }
}
