//! A good version is promoted without a failed request, in every shape of workload and traffic.

use serde_json::{Value, json};
use tidegate::controller::{DEPLOYMENT, HTTP_ROUTE, RUN, SERVICE};

use crate::{
    TIDEGATE,
    support::{Application, Stage},
};

/// Adopts v1, promotes v2 under load, and checks that nothing failed and everything was given back.
async fn promote(namespace: &str, shape: impl FnOnce(&mut Application)) {
    let mut stage = Stage::new(namespace, TIDEGATE, shape).await;
    let before = specs(&stage).await;
    stage.release("v2").await;
    stage.until_outcome("v2", "Promoted").await;
    let tally = stage.nothing_failed().await;
    assert!(tally.of("v1") > 0 && tally.of("v2") > 0, "{:?}", tally.counts);
    stage.owners_form().await;
    assert_eq!(before, specs(&stage).await, "at rest everything is as its owner wrote it");
}

async fn specs(stage: &Stage) -> (Value, Value) {
    let spec = async |kind| stage.space.get(kind, "app").await.unwrap_or_default()["spec"].clone();
    (spec(SERVICE).await, spec(HTTP_ROUTE).await)
}

#[tokio::test]
async fn a_template_in_the_rollout_is_promoted_without_a_failed_request() {
    promote("promote-template", |_| {}).await;
}

#[tokio::test]
async fn a_referenced_deployment_is_adopted_and_promoted_without_a_failed_request() {
    promote("promote-reference", |app| app.deployment_ref = true).await;
}

#[tokio::test]
async fn blue_green_switches_without_a_failed_request() {
    promote("promote-blue-green", |app| app.strategy = Some(json!({"blueGreen": {"bake": "1s", "soak": "1s"}}))).await;
}

#[tokio::test]
async fn without_a_route_the_endpoints_are_the_split() {
    promote("promote-endpoints", |app| app.routed = false).await;
}

#[tokio::test]
async fn a_revision_that_was_promoted_before_comes_back_in_one_step() {
    let mut stage =
        Stage::new("promote-known", TIDEGATE, |app| app.steps = json!([{"weight": 50, "bake": "1s"}])).await;
    stage.release("v2").await;
    stage.until_outcome("v2", "Promoted").await;
    (stage.app.steps, stage.app.soak) = (json!([{"weight": 1, "bake": "1h"}]), "1h");
    stage.release("v1").await;
    stage.until_outcome("v1", "Promoted").await;
    let known = stage.space.list(RUN).await.iter().filter(|run| run["spec"]["plan"]["known"] == true).count();
    assert_eq!(known, 1, "neither the bake nor the soak of an hour held it");
    stage.owners_form().await;
    stage.nothing_failed().await;
}

/// The route's rules with a second backend that is nobody's, and what an owner may write besides.
fn shared_route(app: &Application) -> Value {
    let mut route = app.route();
    let header =
        json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-lab", "value": "1"}]}});
    route["spec"]["rules"] = json!([
        {"matches": [{"path": {"type": "PathPrefix", "value": "/shared"}}], "filters": [header], "backendRefs": [
            {"name": "app", "port": 80, "weight": 3}, {"name": "other", "port": 80, "weight": 1},
        ]},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/other"}}], "backendRefs": [{"name": "other", "port": 80}]},
        {"backendRefs": [{"name": "app", "port": 80, "filters": [header]}]},
    ]);
    route
}

#[tokio::test]
async fn other_backends_of_a_rule_keep_their_share_and_other_rules_stay_as_they_are() {
    let mut stage =
        Stage::new("promote-shared", TIDEGATE, |app| app.steps = json!([{"weight": 20, "bake": "2s"}])).await;
    let mut other = stage.app.clone();
    (other.name, other.version) = ("other".into(), "other".into());
    let mut deployment = other.deployment();
    deployment["spec"]["replicas"] = json!(1);
    stage.space.apply_as("owner", false, DEPLOYMENT, deployment).await.expect("the Deployment is applied");
    stage.space.apply_as("owner", false, SERVICE, other.service()).await.expect("the Service is applied");
    stage.space.apply_as("owner", false, HTTP_ROUTE, shared_route(&stage.app)).await.expect("the route is applied");
    stage.space.until_accepted("app", 20).await;
    let before = specs(&stage).await.1;

    stage.release_to("v2", 20).await;
    let during = specs(&stage).await.1;
    let weights = |rule: usize| -> Vec<i64> {
        let refs = during["rules"][rule]["backendRefs"].as_array().cloned().unwrap_or_default();
        refs.iter().map(|of| of["weight"].as_i64().unwrap_or_default()).collect()
    };
    assert_eq!(weights(0), [240, 100, 60], "a quarter is the other's, a fifth of the rest the canary's");
    assert_eq!(weights(2), [80, 20]);
    assert_eq!(during["rules"][1], before["rules"][1], "a rule that does not name the Service");
    for rule in [0, 2] {
        let without = |spec: &Value| {
            let mut rule = spec["rules"][rule].clone();
            rule["backendRefs"] = Value::Null;
            rule
        };
        assert_eq!(without(&during), without(&before));
        let copied = &during["rules"][rule]["backendRefs"].as_array().and_then(|refs| refs.last()).cloned();
        let filters = copied.as_ref().map(|copied| copied["filters"].clone()).unwrap_or_default();
        assert_eq!(filters, before["rules"][rule]["backendRefs"][0]["filters"], "the copy has the filters");
    }
    stage.until_outcome("v2", "Promoted").await;
    assert_eq!(specs(&stage).await.1, before, "byte for byte");
    stage.nothing_failed().await;
}
