//! A run whose control is a baseline: it gets as much as the canary, is what the canary is compared with, and goes with the run.

use serde_json::{Value, json};
use tidegate::controller::{DEPLOYMENT, HTTP_ROUTE, SERVICE};

use crate::{
    TIDEGATE,
    support::{Application, Stage},
};

/// Weights of the application's Service, the canary's and the baseline's.
async fn weights(stage: &Stage) -> Vec<i64> {
    let route = stage.space.get(HTTP_ROUTE, "app").await.unwrap_or_default();
    let refs = route["spec"]["rules"][0]["backendRefs"].as_array().cloned().unwrap_or_default();
    refs.iter().map(|of| of["weight"].as_i64().unwrap_or_default()).collect()
}

/// Requests of the canary and of the control that the run has counted.
async fn counted(stage: &Stage) -> (f64, f64) {
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    let metric = &run["status"]["evidence"]["metrics"]["errors"];
    let total = |arm: &Value| arm.as_f64().unwrap_or_default();
    (total(&metric["canaryTotal"]), total(&metric["controlTotal"]))
}

#[tokio::test]
async fn a_baseline_shares_the_traffic_with_the_canary_and_is_gone_after_the_promotion() {
    let mut stage = Stage::new("baseline-promote", TIDEGATE, |app| {
        let steps = json!([{"weight": 20, "bake": "1s", "gates": [{"name": "go"}]}, {"weight": 80, "bake": "1s"}]);
        app.strategy = Some(json!({"canary": {"baseline": true, "steps": steps, "soak": "1s"}}));
        app.metrics = Application::envoy_errors();
    })
    .await;
    let run = stage.release_to("v2", 20).await;
    assert_eq!(weights(&stage).await, [60, 20, 20]);
    let [canary, baseline] = ["canary", "baseline"].map(|arm| run["spec"][arm].as_str().unwrap_or_default().to_owned());
    assert_eq!(baseline, format!("{}-baseline", run["spec"]["stable"].as_str().unwrap_or_default()));
    let replicas = async |revision: &str| {
        let deployment = stage.space.get(DEPLOYMENT, &format!("app-{revision}")).await.unwrap_or_default();
        deployment["spec"]["replicas"].as_i64()
    };
    assert_eq!((replicas(&canary).await, replicas(&baseline).await), (Some(1), Some(1)));

    // Stable gets three times as much as either: were it the control, the counts would say so.
    stage.space.until("200 counted requests", 90, async || counted(&stage).await.0 >= 200.0).await;
    let (of_canary, of_baseline) = counted(&stage).await;
    assert!((0.6..1.7).contains(&(of_baseline / of_canary)), "{of_canary} and {of_baseline}");

    let action = stage.space.act("Approve", "app", json!({"gate": "go", "author": "ada"})).await;
    assert_eq!(stage.space.answer(&action).await.0, "Accepted");
    stage.space.until_at("app", 80, 60).await;
    assert_eq!(weights(&stage).await, [0, 80, 20]);
    stage.until_outcome("v2", "Promoted").await;
    let tally = stage.nothing_failed().await;
    assert!(tally.of("v1") > 0 && tally.of("v2") > 0, "{:?}", tally.counts);
    stage.owners_form().await;
    for kind in [DEPLOYMENT, SERVICE] {
        let left = stage.space.get(kind, &format!("app-{baseline}")).await;
        assert_eq!(left, None, "nothing of the baseline is left");
    }
}
