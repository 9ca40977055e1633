//! A kind of object that the controller's user may not update for a while: an admission policy refuses it.
//!
//! It holds open the moment between a decision's record and the write that follows from it.

use serde_json::{Value, json};
use tidegate::controller::Kind;

use super::{Space, space::CONTROLLER};

const POLICY: Kind = admission("ValidatingAdmissionPolicy", "validatingadmissionpolicies");
const BINDING: Kind = admission("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings");

const fn admission(kind: &'static str, plural: &'static str) -> Kind {
    Kind { group: "admissionregistration.k8s.io", version: "v1", kind, plural, namespaced: false, optional: false }
}

pub struct Denial {
    space: Space,
    name: String,
    kind: Kind,
}

impl Denial {
    /// Refused from here on, in this namespace.
    pub async fn of_updates(space: &Space, kind: Kind) -> Self {
        let denial = Self { space: space.clone(), name: format!("{}-{}", space.namespace, kind.plural), kind };
        let rule = json!({"apiGroups": [kind.group], "apiVersions": [kind.version], "resources": [kind.plural], "operations": ["UPDATE"]});
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": POLICY.kind, "metadata": {"name": denial.name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "resourceRules": [rule],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.namespace}},
                },
                "validations": [{
                    "expression": format!("request.userInfo.username != '{CONTROLLER}' && !('lab.tidegate.io/probe' in object.metadata.?annotations.orValue({{}}))"),
                    "message": "denied by the lab",
                }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": BINDING.kind, "metadata": {"name": denial.name},
            "spec": {"policyName": denial.name, "validationActions": ["Deny"]},
        });
        space.apply_as("lab", true, POLICY, policy).await.expect("a policy");
        space.apply_as("lab", true, BINDING, binding).await.expect("its binding");
        space.until("updates to be refused", 30, async || denial.holds().await).await;
        denial
    }

    /// Allowed again.
    pub async fn lift(self) {
        self.space.delete(BINDING, &self.name, kube::api::PropagationPolicy::Background).await;
        self.space.delete(POLICY, &self.name, kube::api::PropagationPolicy::Background).await;
        self.space.until("updates to be allowed", 30, async || !self.holds().await).await;
    }

    /// The API server takes a moment to follow a policy: asked by a dry-run.
    async fn holds(&self) -> bool {
        let probe: Value = json!({"metadata": {"annotations": {"lab.tidegate.io/probe": "x"}}});
        let params = kube::api::PatchParams { dry_run: true, ..Default::default() };
        let names: Vec<String> = self
            .space
            .list(self.kind)
            .await
            .iter()
            .filter_map(|object| Some(object["metadata"]["name"].as_str()?.to_owned()))
            .collect();
        let name = names.first().expect("an object to try it on");
        self.space.api(self.kind).patch(name, &params, &kube::api::Patch::Merge(probe)).await.is_err()
    }
}
