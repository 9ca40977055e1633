//! Policies that name the application's Service: a BackendTLSPolicy has a copy as long as the canary's Service is there,
//! session persistence is refused before anything moves, and what does not follow is said.
//!
//! The gateway's own handling of a policy is not looked at: the policy here names a port that the Service does not have. Of
//! the kinds that are asked for the lab serves two, in one version each.

use serde_json::{Value, json};
use tidegate::controller::{BACKEND_TLS_POLICY_V1ALPHA3, BACKEND_TRAFFIC_POLICY, Kind, RUN};

use crate::{
    TIDEGATE,
    support::{Stage, audit::writes_in},
};

fn policy(kind: Kind, name: &str, mut spec: Value) -> Value {
    let mut target = json!({"group": "", "kind": "Service", "name": "app"});
    if kind == BACKEND_TLS_POLICY_V1ALPHA3 {
        target["sectionName"] = json!("tls");
    }
    spec["targetRefs"] = json!([target]);
    json!({
        "apiVersion": format!("{}/{}", kind.group, kind.version), "kind": kind.kind, "metadata": {"name": name},
        "spec": spec,
    })
}

fn tls(hostname: &str) -> Value {
    let validation = json!({"hostname": hostname, "wellKnownCACertificates": "System"});
    policy(BACKEND_TLS_POLICY_V1ALPHA3, "tls", json!({"validation": validation}))
}

async fn apply(stage: &Stage, kind: Kind, document: Value) {
    stage.space.apply_as("owner", false, kind, document).await.expect("the policy is applied");
}

/// The copy of the policy, if there is one.
async fn copy(stage: &Stage) -> Option<Value> {
    let all = stage.space.list(BACKEND_TLS_POLICY_V1ALPHA3).await;
    let mut copies: Vec<Value> = all.into_iter().filter(|policy| policy["metadata"]["name"] != "tls").collect();
    assert!(copies.len() <= 1, "{copies:?}");
    copies.pop()
}

async fn not_carried(stage: &Stage) -> Option<String> {
    let conditions = stage.space.status("app").await["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == "BackendPolicyNotCarried")?;
    found["message"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_tls_policy_is_there_for_the_canarys_service_as_long_as_the_service_is() {
    let mut stage =
        Stage::new("policies-copied", TIDEGATE, |app| app.steps = json!([{"weight": 20, "bake": "8s"}])).await;
    apply(&stage, BACKEND_TLS_POLICY_V1ALPHA3, tls("one.example")).await;
    apply(&stage, BACKEND_TRAFFIC_POLICY, policy(BACKEND_TRAFFIC_POLICY, "retries", json!({}))).await;
    assert_eq!((copy(&stage).await, not_carried(&stage).await), (None, None), "nothing is made at rest");

    let run = stage.release_to("v2", 20).await;
    let (canary, made) = (run["spec"]["canary"].as_str().unwrap_or_default(), copy(&stage).await.expect("a copy"));
    let mut spec = tls("one.example")["spec"].clone();
    spec["targetRefs"][0]["name"] = json!(format!("app-{canary}"));
    assert_eq!(made["spec"], spec);
    assert_eq!(made["metadata"]["labels"]["tidegate.io/service"], "app");
    assert_eq!(made["metadata"]["ownerReferences"][0]["kind"], "Rollout");
    let said = format!(
        "XBackendTrafficPolicy retries (Service app): named by Service, so not in force for the Services of revision \
         {canary}"
    );
    assert_eq!(not_carried(&stage).await, Some(said));

    apply(&stage, BACKEND_TLS_POLICY_V1ALPHA3, tls("two.example")).await;
    let follows =
        async || copy(&stage).await.is_some_and(|copy| copy["spec"]["validation"]["hostname"] == "two.example");
    stage.space.until("the copy to follow", 10, follows).await;
    stage.until_outcome("v2", "Promoted").await;
    assert_eq!((copy(&stage).await, not_carried(&stage).await), (None, None), "nothing of it is left");
    let original = stage.space.get(BACKEND_TLS_POLICY_V1ALPHA3, "tls").await.unwrap_or_default();
    assert_eq!(original["spec"], tls("two.example")["spec"], "the original is its owner's");
    let writes = writes_in(&stage.space.namespace).into_iter();
    let writes: Vec<_> = writes.filter(|write| write.plural == BACKEND_TLS_POLICY_V1ALPHA3.plural).collect();
    let verbs: Vec<&str> = writes.iter().map(|write| write.verb.as_str()).collect();
    assert_eq!(verbs, ["patch", "patch", "delete"]);
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn session_persistence_of_the_service_is_refused_until_it_is_gone() {
    let mut stage = Stage::new("policies-sticky", TIDEGATE, |_| {}).await;
    let sticky = json!({"sessionPersistence": {"sessionName": "s"}});
    apply(&stage, BACKEND_TRAFFIC_POLICY, policy(BACKEND_TRAFFIC_POLICY, "sticky", sticky)).await;
    stage.release("v2").await;
    stage.space.until_phase("app", "Degraded", 20).await;
    let status = stage.space.status("app").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("XBackendTrafficPolicy sticky gives Service app session persistence"), "{message}");
    assert_eq!(stage.space.list(RUN).await.len(), 0, "nothing has begun");
    // The owner's manifest without it: retries remain, which do not follow and stop nothing.
    apply(&stage, BACKEND_TRAFFIC_POLICY, policy(BACKEND_TRAFFIC_POLICY, "sticky", json!({}))).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}
