//! The referenced Deployment: how it stands, who else scales it, and how it is given back.
//!
//! Its template is written in one case only: on deletion, when the serving template is not its own.

use serde_json::Value;

use super::{
    deployment::{self, desired, has_ended, is_ready},
    endpoints::deployment_of,
    object::{annotation, count, is_terminating, label, name, number, text},
    ownership::claims,
    patch,
    source::{equal, template_of_deployment},
};
use crate::{
    api::{ROLLOUT_LABEL, Reason},
    engine::{Refusal, SourceDeployment},
};

/// Annotation on the referenced Deployment while it is held at 0: who else writes its spec.replicas.
pub const REPLICAS_OWNER_ANNOTATION: &str = "tidegate.io/replicas-owner";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How the referenced Deployment stands. `pods` may hold others' pods: those of its ReplicaSets are counted, terminating
/// ones too, as they may still serve.
pub fn view(source: &Value, pods: &[Value]) -> SourceDeployment {
    let own = || pods.iter().filter(|pod| belongs_to(pod, name(source)) && !has_ended(pod));
    let size = |pods: usize| u32::try_from(pods).unwrap_or(u32::MAX);
    SourceDeployment {
        generation: number(source, "/metadata/generation").unwrap_or(0),
        desired: desired(source),
        pods: size(own().count()),
        ready: size(own().filter(|pod| is_ready(pod)).count()),
        settled: is_settled(source),
        replicas_owner: replicas_owner(source),
    }
}

/// The pod is one of the referenced Deployment's own.
pub fn belongs_to(pod: &Value, deployment: &str) -> bool {
    label(pod, ROLLOUT_LABEL).is_none() && deployment_of(pod) == Some(deployment)
}

/// The Deployment's own rollout is finished: its status is up to date and all pods are new and available.
pub fn is_settled(source: &Value) -> bool {
    let status = |field: &str| count(source, &format!("/status/{field}"));
    let observed = number(source, "/status/observedGeneration") >= number(source, "/metadata/generation");
    let wanted = desired(source);
    observed
        && !is_terminating(source)
        && [status("replicas"), status("updatedReplicas"), status("availableReplicas")] == [wanted; 3]
}

/// Who writes spec.replicas again at the next sync, if anybody does: a manager that applies the field, a client-side apply
/// whose last manifest has it, or Helm, which compares with its last manifest.
///
/// Somebody who set it once (`kubectl scale`, `kubectl create`) is not one. Our own scale takes the field out of the
/// manager's entry: from then on the note tells (see [`owner_note_patch`]), as long as that manager is known on the object.
pub fn replicas_owner(source: &Value) -> Option<String> {
    let claims_of_field = claims(source, "/f:spec/f:replicas");
    if let Some((manager, _)) =
        claims_of_field.iter().find(|(manager, applies)| *applies || manager.starts_with("helm"))
    {
        return Some((*manager).to_owned());
    }
    if let Some(manifest) = annotation(source, LAST_APPLIED) {
        let manifest: Value = serde_json::from_str(manifest).ok()?;
        manifest.pointer("/spec/replicas").filter(|replicas| !replicas.is_null())?;
        return Some(claims_of_field.first().map_or("kubectl-client-side-apply", |(manager, _)| manager).to_owned());
    }
    let noted = annotation(source, REPLICAS_OWNER_ANNOTATION)?;
    let known = claims(source, "").iter().any(|(manager, _)| *manager == noted);
    known.then(|| noted.to_owned())
}

/// The note of who owns spec.replicas, for the object itself and before it is scaled to 0; taken away when it gets its pods
/// back. Without it the pin would go as soon as our scale has taken the field, and the owner's next sync would bring pods of
/// an unproven template behind the Service.
pub fn owner_note_patch(source: &Value, replicas: u32) -> Vec<Value> {
    let operations = match replicas_owner(source) {
        Some(owner) if replicas == 0 => patch::set_annotation(source, REPLICAS_OWNER_ANNOTATION, &owner),
        Some(_) | None => patch::remove_annotation(source, REPLICAS_OWNER_ANNOTATION),
    };
    patch::versioned(source, operations)
}

/// What scales the Deployment by its `scale` subresource; none if it is so.
pub fn scale_patch(source: &Value, replicas: u32) -> Vec<Value> {
    deployment::scale_patch(source, replicas)
}

/// What gives the Deployment this template; none if it has it.
pub fn restore_patch(source: &Value, template: &Value) -> Vec<Value> {
    if equal(template, &template_of_deployment(source)) {
        return Vec::new();
    }
    patch::versioned(source, vec![patch::replace("/spec/template", template.clone())])
}

/// HPAs that target a Deployment which Tidegate scales, each with the line to change.
pub fn scale_target_conflicts(hpas: &[Value], deployments: &[String], rollout: &str) -> Vec<Refusal> {
    let target = |hpa: &Value| {
        let found = text(hpa, "/spec/scaleTargetRef/name")?.to_owned();
        let is_deployment = text(hpa, "/spec/scaleTargetRef/kind") == Some("Deployment");
        (is_deployment && deployments.contains(&found)).then_some(found)
    };
    let message = |hpa: &Value, target: String| {
        format!(
            "HorizontalPodAutoscaler {} targets Deployment {target}, which Tidegate scales: set its spec.scaleTargetRef to \
             {{apiVersion: tidegate.io/v1alpha1, kind: Rollout, name: {rollout}}}",
            name(hpa)
        )
    };
    hpas.iter()
        .filter_map(|hpa| target(hpa).map(|target| message(hpa, target)))
        .map(|message| Refusal { reason: Reason::ScaleTargetConflict, message })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source() -> Value {
        json!({
            "metadata": {"name": "checkout", "resourceVersion": "7", "uid": "d1", "generation": 4},
            "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": []}}},
            "status": {"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
        })
    }

    #[test]
    fn a_deployment_is_settled_when_all_its_pods_are_new_and_available() {
        assert!(is_settled(&source()));
        for (pointer, value) in [
            ("/status/observedGeneration", 3),
            ("/status/updatedReplicas", 1),
            ("/status/availableReplicas", 1),
            ("/status/replicas", 3),
            ("/spec/replicas", 3),
        ] {
            let mut changed = source();
            *changed.pointer_mut(pointer).unwrap() = json!(value);
            assert!(!is_settled(&changed), "{pointer}");
        }
    }

    #[test]
    fn its_own_pods_are_counted_and_a_revisions_are_not() {
        let pod = |replica_set: &str, ours: bool| {
            let mut pod = json!({"metadata": {"labels": {"pod-template-hash": "77"}, "ownerReferences":
                [{"kind": "ReplicaSet", "name": replica_set, "controller": true}]},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
            if ours {
                pod["metadata"]["labels"][ROLLOUT_LABEL] = json!("checkout");
            }
            pod
        };
        let pods = [pod("checkout-77", false), pod("checkout-bcd-77", true), pod("checkout-old-77", false)];
        let view = view(&source(), &pods);
        assert_eq!((view.desired, view.pods, view.ready, view.settled), (2, 1, 1, true));
    }

    #[test]
    fn who_writes_the_replicas_again_is_told_from_who_wrote_them_once() {
        let entry = |manager: &str, operation: &str| json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}});
        let manifest = |replicas: Value| json!({"spec": {"replicas": replicas}}).to_string();
        let cases = [
            (json!([entry("kustomize-controller", "Apply")]), None, Some("kustomize-controller")),
            (json!([entry("helm", "Update")]), None, Some("helm")),
            (json!([entry("kubectl-scale", "Update")]), None, None),
            (json!([entry("tidegate", "Update")]), None, None),
            (json!([entry("argocd-controller", "Update")]), Some(manifest(json!(3))), Some("argocd-controller")),
            (json!([]), Some(manifest(json!(3))), Some("kubectl-client-side-apply")),
            (json!([entry("kubectl-scale", "Update")]), Some(manifest(Value::Null)), None),
        ];
        for (entries, last_applied, owner) in cases {
            let mut document = source();
            document["metadata"]["managedFields"] = entries;
            if let Some(manifest) = last_applied {
                document["metadata"]["annotations"] = json!({ LAST_APPLIED: manifest });
            }
            assert_eq!(replicas_owner(&document).as_deref(), owner, "{}", document["metadata"]);
        }
    }

    #[test]
    fn the_owner_of_replicas_is_remembered_while_our_scale_holds_the_field() {
        let entry = |fields: Value| json!({"manager": "flux", "operation": "Apply", "fieldsV1": fields});
        let mut document = source();
        document["metadata"]["managedFields"] = json!([entry(json!({"f:spec": {"f:replicas": {}}}))]);
        let mut noted = patch::applied(&document, &owner_note_patch(&document, 0));
        noted["metadata"]["managedFields"] = json!([entry(json!({"f:spec": {}}))]);
        assert_eq!(replicas_owner(&noted).as_deref(), Some("flux"));
        assert_eq!(owner_note_patch(&noted, 0), Vec::<Value>::new());
        let back = patch::applied(&noted, &owner_note_patch(&noted, 2));
        assert_eq!((replicas_owner(&back), back["metadata"].get("annotations")), (None, None));
        noted["metadata"]["managedFields"] = json!([]);
        assert_eq!(replicas_owner(&noted), None, "that manager is gone");
    }

    #[test]
    fn scale_and_template_are_given_back_once() {
        let scaled = patch::applied(&source(), &scale_patch(&source(), 0));
        assert_eq!((desired(&scaled), scale_patch(&scaled, 0)), (0, Vec::new()));
        let template = json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "app"}]}});
        let restored = patch::applied(&source(), &restore_patch(&source(), &template));
        assert_eq!(restored["spec"]["template"], template);
        assert_eq!(restore_patch(&restored, &template), Vec::<Value>::new());
    }

    #[test]
    fn an_hpa_on_a_deployment_that_we_scale_is_refused_with_the_line_to_change() {
        let hpa = |kind: &str, target: &str| json!({"metadata": {"name": "cpu"}, "spec": {"scaleTargetRef": {"kind": kind, "name": target}}});
        let hpas = [hpa("Deployment", "checkout"), hpa("Rollout", "checkout"), hpa("Deployment", "other")];
        let found = scale_target_conflicts(&hpas, &["checkout".to_owned()], "checkout");
        assert_eq!(
            found.into_iter().map(|refusal| refusal.message).collect::<Vec<_>>(),
            [
                "HorizontalPodAutoscaler cpu targets Deployment checkout, which Tidegate scales: set its spec.scaleTargetRef to \
              {apiVersion: tidegate.io/v1alpha1, kind: Rollout, name: checkout}"
            ]
        );
    }
}
