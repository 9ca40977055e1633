//! How far a role reaches: not beyond its namespace, not to what it does not name, not to another Rollout.

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tidegate::controller::{ACTION, CLUSTER_ANALYSIS_TEMPLATE, METRICS_PROVIDER, ROLLOUT_POLICY};

use super::{CLUSTER_ROLE, NAMESPACE, wish};
use crate::support::{Application, Space};

/// Everybody with a role in the namespace, up to who may do everything in it.
const ALL: [&str; 7] = ["viewer", "operator", "approver", "admin", "edith", "namespace-admin", "root"];

fn document(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "tidegate.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// What binds the releases of all namespaces is written by those who administer the cluster: a role in a namespace has no part
/// in it, not even one with every right there.
pub async fn what_binds_every_namespace_is_written_by_none_of_them(space: &Space) {
    let prometheus = json!({"address": "https://prometheus.example.com"});
    let freeze = json!({"namespaces": {"names": ["nowhere"]}, "freezeWindows": [
        {"name": "night", "schedule": "0 22 * * *", "duration": "8h"},
    ]});
    // There, so that a change and a deletion are refused for lack of the right and not of the object.
    let metrics = json!({"metrics": Application::envoy_errors()});
    let kinds = [(ROLLOUT_POLICY, freeze), (METRICS_PROVIDER, prometheus), (CLUSTER_ANALYSIS_TEMPLATE, metrics)];
    for (kind, spec) in &kinds {
        space.create(*kind, document(kind.kind, NAMESPACE, spec)).await.expect("an object of the cluster");
    }
    let update = PatchParams { dry_run: true, ..PatchParams::default() };
    let create = PostParams { dry_run: true, ..PostParams::default() };
    let delete = DeleteParams { dry_run: true, ..DeleteParams::default() };
    let labels = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    for (kind, spec) in kinds {
        let other = document(kind.kind, "privileges-other", &spec);
        let other: DynamicObject = serde_json::from_value(other).expect("an object");
        space.api(kind).create(&create, &other).await.expect("an administrator of the cluster may");
        for user in ALL {
            let of_user = space.person(user).api(kind).await;
            for (verb, answer) in [
                ("create", of_user.create(&create, &other).await.err()),
                ("patch", of_user.patch(NAMESPACE, &update, &labels).await.err()),
                ("delete", of_user.delete(NAMESPACE, &delete).await.err()),
            ] {
                let why = answer.map(|error| error.to_string()).unwrap_or_default();
                assert!(why.contains(&format!("cannot {verb} resource")), "{user}, {verb} {}: {why:?}", kind.kind);
            }
        }
    }
}

/// A wish that was given is not taken back by making it unseen: none of the roles deletes actions.
pub async fn an_action_is_deleted_by_who_may_do_everything_only(space: &Space, action: &str) {
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    for user in ALL {
        let answer = space.person(user).api(ACTION).await.delete(action, &dry).await.err();
        let why = answer.map(|error| error.to_string());
        let is_refused = why.as_ref().is_some_and(|why| why.contains("cannot delete resource \"rolloutactions\""));
        assert!(is_refused != (user == "root") && (is_refused || why.is_none()), "{user}: {why:?}");
    }
}

/// A right may be given for single Rollouts.
pub async fn a_right_for_one_rollout_is_none_for_another(space: &Space) {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "lab-pauses-app"},
        "rules": [
            {"apiGroups": ["tidegate.io"], "resources": ["rolloutactions"], "verbs": ["create"]},
            {"apiGroups": ["tidegate.io"], "resources": ["rollouts/abort"], "resourceNames": ["app"], "verbs": ["update"]},
        ],
    });
    space.apply_as("lab", true, CLUSTER_ROLE, role).await.expect("a role");
    let single = space.person("single");
    single.is_given("lab-pauses-app").await;
    let ask = async |kind: &str, rollout: &str| {
        let mut spec = wish(kind, "single");
        spec["rollout"] = json!(rollout);
        single.ask(spec, true).await
    };
    space.until("the right for app to be known", 30, async || ask("Pause", "app").await.is_ok()).await;
    for (kind, rollout, right) in
        [("Abort", "other", "abort"), ("Retry", "app", "retry"), ("Approve", "app", "approve")]
    {
        let why = ask(kind, rollout).await.expect_err("another right");
        let said = format!(
            "single may not ask for {kind} of Rollout {rollout}: that needs the right to update rollouts/{right}"
        );
        assert!(why.contains(&said), "{why}");
    }
    ask("Abort", "app").await.expect("the right for app");
}
