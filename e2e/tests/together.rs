//! Two Rollouts that meet: on one Service only the older one runs, on different rules of one route neither waits.

use serde_json::{Value, json};
use tidegate::controller::{DEPLOYMENT, HTTP_ROUTE, POD, ROLLOUT, SERVICE};

use crate::{
    TIDEGATE,
    support::{Space, Stage, space::rhythm},
};

/// Revisions that have pods, also those that are going.
async fn revisions(space: &Space) -> Vec<String> {
    let pods = space.list(POD).await;
    let revision = |pod: &Value| pod["metadata"]["labels"]["tidegate.io/revision"].as_str().map(str::to_owned);
    let mut revisions: Vec<String> = pods.iter().filter_map(revision).collect();
    revisions.sort();
    revisions.dedup();
    revisions
}

#[tokio::test]
async fn a_younger_rollout_on_the_same_service_waits_and_the_pin_of_the_older_stands_throughout_its_run() {
    let mut stage = Stage::new("together-service", TIDEGATE, |app| {
        app.strategy = Some(json!({"blueGreen": {"bake": "1s", "soak": "3s"}}));
        app.preview = Some("app-preview".into());
    })
    .await;
    let mut rival = stage.app.clone();
    rival.preview = None;
    rival.version = "rival".into();
    let mut document = rival.rollout();
    document["metadata"]["name"] = json!("rival");
    stage.space.apply_as("owner", false, ROLLOUT, document).await.expect("the Rollout is applied");
    let taken = async || stage.space.reason_of("rival").await == "ServiceTaken";
    stage.space.until("the younger one to be told", 30, taken).await;

    stage.app.version = "v2".into();
    stage.app.release(&stage.space).await;
    let mut looks = 0;
    loop {
        // Pods of two revisions before and after the look at the Service: then it had to be pinned in between.
        let before = revisions(&stage.space).await;
        let service = stage.space.get(SERVICE, "app").await.unwrap_or_default();
        let after = revisions(&stage.space).await;
        if before.len() > 1 && after.len() > 1 {
            looks += 1;
            let pin = &service["spec"]["selector"]["tidegate.io/revision"];
            if !pin.is_string() {
                let status = stage.space.status("app").await;
                let pods: Vec<_> = stage.space.list(POD).await.iter().map(|pod| pod["metadata"].clone()).collect();
                panic!("{before:?}, {after:?} have pods and the Service is not pinned: {service}\n{status}\n{pods:?}");
            }
        }
        let status = stage.space.status("app").await;
        if status["release"]["outcome"] == "Promoted" && status["phase"] == "Healthy" {
            break;
        }
        rhythm(0.1).await;
    }
    assert!(looks > 20, "only {looks} looks during the run");
    assert_eq!(stage.space.reason_of("rival").await, "ServiceTaken");
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn rollouts_on_different_rules_of_one_route_run_at_the_same_time() {
    let mut stage =
        Stage::new("together-rules", TIDEGATE, |app| app.steps = json!([{"weight": 20, "bake": "5s"}])).await;
    let mut cart = stage.app.clone();
    cart.name = "cart".into();
    let mut route = stage.app.route();
    route["spec"]["rules"] = json!([
        {"matches": [{"path": {"type": "PathPrefix", "value": "/cart"}}], "backendRefs": [{"name": "cart", "port": 80}]},
        {"backendRefs": [{"name": "app", "port": 80}]},
    ]);
    stage.space.apply_as("owner", false, SERVICE, cart.service()).await.expect("the Service is applied");
    stage.space.apply_as("owner", false, HTTP_ROUTE, route).await.expect("the route is applied");
    let of_route = |app: &crate::support::Application| {
        let mut document = app.rollout();
        document["spec"]["traffic"]["routes"] = json!([{"gatewayAPI": {"name": "app"}}]);
        document
    };
    stage.space.apply_as("owner", false, ROLLOUT, of_route(&cart)).await.expect("the Rollout is applied");
    stage.space.until_healthy("cart", 60).await;

    let before = stage.space.get(HTTP_ROUTE, "app").await.unwrap_or_default()["spec"].clone();
    cart.version = "v2".into();
    stage.space.apply_as("owner", false, ROLLOUT, of_route(&cart)).await.expect("the Rollout is applied");
    stage.release("v2").await;
    let both = async || {
        let found = stage.space.get(HTTP_ROUTE, "app").await.unwrap_or_default();
        (0..2).all(|rule| found["spec"]["rules"][rule]["backendRefs"][1]["weight"] == 20)
    };
    stage.space.catch("both canaries in the route at once", 60, both).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.space.until_outcome("cart", "v2", "Promoted", 120).await;
    let after = stage.space.get(HTTP_ROUTE, "app").await.unwrap_or_default()["spec"].clone();
    assert_eq!(after, before, "the route has its owner's form");
    assert_eq!(stage.space.list(DEPLOYMENT).await.len(), 2, "one revision each");
    stage.nothing_failed().await;
}
