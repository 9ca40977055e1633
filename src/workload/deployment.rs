//! A revision's Deployment: made once from the stored template; afterwards only its scale is written.
//!
//! It never reads the template back from the cluster to correct it: admission may change what we create.

use serde_json::{Map, Value, json};

use super::{
    object::{self, count, is_terminating, label, name, namespace, number, text},
    owners::owner_references,
    patch,
    source::{RESTARTED_ANNOTATION, equal, stamp, template_of_deployment},
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, SOURCE_ANNOTATION, revision_name},
    engine::DeploymentView,
};

/// "No deadline" to the Deployment controller: how long a step may wait is the Rollout's business.
const NO_DEADLINE: i64 = 2_147_483_647;

/// The Deployment of a revision. `source_deployment`: the referenced Deployment.
///
/// Its own metadata has our labels only: with one by which a GitOps tool or Helm tracks objects it would be pruned. The
/// pods' labels stay as written. A restart keeps every ready pod until its successor is ready.
pub fn build(
    rollout: &Value,
    revision: &str,
    template: &Value,
    replicas: u32,
    source_deployment: Option<&Value>,
) -> Value {
    let labels = json!({ROLLOUT_LABEL: name(rollout), REVISION_LABEL: revision});
    let mut metadata = json!({
        "name": revision_name(name(rollout), revision),
        "namespace": namespace(rollout),
        "labels": labels,
        "ownerReferences": owner_references(rollout, source_deployment),
    });
    // Made again from the record after the source has moved on, it must not claim to be the source's present state.
    if let Some(source) = source_deployment.filter(|source| equal(template, &template_of_deployment(source))) {
        metadata["annotations"] = json!({SOURCE_ANNOTATION: stamp(source)});
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "minReadySeconds": number(rollout, "/spec/minReadySeconds").unwrap_or(0),
            "revisionHistoryLimit": 0,
            "progressDeadlineSeconds": NO_DEADLINE,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": labelled(template, &labels),
        },
    })
}

/// The template with our labels added to its own.
fn labelled(template: &Value, ours: &Value) -> Value {
    let members = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut metadata: Map<_, _> = members(template.get("metadata"));
    let mut labels = members(metadata.get("labels"));
    labels.extend(members(Some(ours)));
    metadata.insert("labels".to_owned(), Value::Object(labels));
    let mut result = members(Some(template));
    result.insert("metadata".to_owned(), Value::Object(metadata));
    Value::Object(result)
}

/// How a revision's Deployment stands. `pods` may hold others' pods: those of this revision are counted.
///
/// Pods that have ended (Failed, Succeeded) do not exist here: they serve nothing and may lie around for hours. With
/// minReadySeconds no more are ready than the Deployment calls available.
pub fn view(deployment: &Value, pods: &[Value]) -> DeploymentView {
    let (rollout, revision) = (label(deployment, ROLLOUT_LABEL), label(deployment, REVISION_LABEL));
    let ours = |pod: &&Value| label(pod, ROLLOUT_LABEL) == rollout && label(pod, REVISION_LABEL) == revision;
    let mut view = DeploymentView { desired: desired(deployment), ..DeploymentView::default() };
    for pod in pods.iter().filter(|pod| !has_ended(pod)).filter(ours) {
        view.pods_with_terminating += 1;
        if !is_terminating(pod) {
            view.pods += 1;
            view.ready += u32::from(is_ready(pod));
        }
    }
    if count(deployment, "/spec/minReadySeconds") > 0 && deployment.get("status").is_some() {
        view.ready = view.ready.min(count(deployment, "/status/availableReplicas"));
    }
    view
}

/// Pods asked for; absent is 1, as the API server has it.
pub fn desired(deployment: &Value) -> u32 {
    number(deployment, "/spec/replicas").map_or(1, |found| u32::try_from(found).unwrap_or(0))
}

/// The pod is Ready and not on its way out.
pub fn is_ready(pod: &Value) -> bool {
    !is_terminating(pod) && object::condition_is_true(pod, "Ready")
}

pub fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), Some("Failed" | "Succeeded"))
}

/// What scales a Deployment, for the object itself and for its `scale` subresource; none if it is so.
pub fn scale_patch(deployment: &Value, replicas: u32) -> Vec<Value> {
    if number(deployment, "/spec/replicas") == Some(i64::from(replicas)) {
        return Vec::new();
    }
    patch::versioned(deployment, vec![patch::add("/spec/replicas", json!(replicas))])
}

/// What makes the Deployment replace its pods; none if it was asked at that time before.
pub fn restart_patch(deployment: &Value, at: &str) -> Vec<Value> {
    let map = "/spec/template/metadata/annotations";
    patch::versioned(deployment, patch::set_member(deployment, map, RESTARTED_ANNOTATION, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Value {
        json!({"metadata": {"name": "checkout", "namespace": "shop", "uid": "r1"}, "spec": {"minReadySeconds": 5}})
    }

    fn pod(revision: &str, ready: &str) -> Value {
        json!({"metadata": {"labels": {ROLLOUT_LABEL: "checkout", REVISION_LABEL: revision}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn the_deployment_has_our_labels_only_and_its_pods_their_own_too() {
        let template = json!({"metadata": {"labels": {"app": "checkout", "app.kubernetes.io/instance": "shop"},
            "annotations": {"a": "b"}}, "spec": {"containers": []}});
        let mut source = json!({"metadata": {"name": "checkout", "uid": "d1", "generation": 4}});
        let made = build(&rollout(), "abc", &template, 3, Some(&source));
        assert_eq!(made["metadata"].get("annotations"), None, "the source asks for something else");
        source["spec"]["template"] = template.clone();
        let made = build(&rollout(), "abc", &template, 3, Some(&source));
        let ours = json!({ROLLOUT_LABEL: "checkout", REVISION_LABEL: "abc"});
        assert_eq!((&made["metadata"]["labels"], &made["spec"]["selector"]["matchLabels"]), (&ours, &ours));
        assert_eq!(made["metadata"]["annotations"], json!({SOURCE_ANNOTATION: "d1/4"}));
        assert_eq!(
            made["spec"]["template"],
            json!({"metadata": {"labels": {"app": "checkout", "app.kubernetes.io/instance": "shop",
                ROLLOUT_LABEL: "checkout", REVISION_LABEL: "abc"}, "annotations": {"a": "b"}}, "spec": {"containers": []}})
        );
        let spec = |field: &str| made["spec"][field].as_i64();
        assert_eq!(
            (spec("replicas"), spec("minReadySeconds"), spec("revisionHistoryLimit")),
            (Some(3), Some(5), Some(0))
        );
        assert_eq!(template_of_deployment(&made), template);
    }

    #[test]
    fn pods_are_counted_by_revision_and_ended_ones_are_not() {
        let mut deployment = build(&rollout(), "abc", &json!({"spec": {}}), 3, None);
        let mut leaving = pod("abc", "True");
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut evicted = pod("abc", "False");
        evicted["status"]["phase"] = json!("Failed");
        let pods = [pod("abc", "True"), pod("abc", "False"), leaving, evicted, pod("other", "True")];
        assert_eq!(
            view(&deployment, &pods),
            DeploymentView { desired: 3, pods: 2, ready: 1, pods_with_terminating: 3 }
        );
        deployment["status"] = json!({"replicas": 2});
        assert_eq!(view(&deployment, &pods).ready, 0, "ready for less than minReadySeconds");
    }

    #[test]
    fn scale_and_restart_are_idempotent() {
        let mut deployment = build(&rollout(), "abc", &json!({"spec": {}}), 3, None);
        deployment["metadata"]["resourceVersion"] = json!("1");
        assert!(scale_patch(&deployment, 3).is_empty());
        let scaled = patch::applied(&deployment, &scale_patch(&deployment, 0));
        assert_eq!((desired(&scaled), scale_patch(&scaled, 0)), (0, Vec::new()));
        let restarted = patch::applied(&deployment, &restart_patch(&deployment, "2026-01-01T00:00:00Z"));
        assert_eq!(restart_patch(&restarted, "2026-01-01T00:00:00Z"), Vec::<Value>::new());
        assert_eq!(restart_patch(&restarted, "2026-01-02T00:00:00Z").len(), 2);
    }
}
