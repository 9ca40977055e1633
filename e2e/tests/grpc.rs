//! A GRPCRoute as the managed route: calls are split and nothing of the route is left behind, as with an HTTPRoute.

use serde_json::{Value, json};
use tidegate::controller::{GRPC_ROUTE, SERVICE};

use crate::{
    TIDEGATE,
    support::{Stage, Tally, stood::stood},
};

/// The observed share may differ from the weight by this many standard deviations of a binomial share.
const DEVIATIONS: f64 = 4.0;
/// Calls below which a share says too little.
const ENOUGH_CALLS: u64 = 250;

async fn specs(stage: &Stage) -> (Value, Value) {
    let spec = async |kind| stage.space.get(kind, "app").await.unwrap_or_default()["spec"].clone();
    (spec(SERVICE).await, spec(GRPC_ROUTE).await)
}

fn assert_split(tally: &Tally, weight: f64, from: i64, to: i64) {
    let (canary, all) = tally.between("v2", from, to);
    let (expected, observed) = (weight / 100.0, canary as f64 / all.max(1) as f64);
    let allowed = DEVIATIONS * (expected * (1.0 - expected) / all.max(1) as f64).sqrt();
    let numbers = format!("{canary} of {all} calls = {observed:.4}, {expected} +- {allowed:.4} at weight {weight}");
    println!("{numbers}");
    assert!(all >= ENOUGH_CALLS && (observed - expected).abs() <= allowed, "{numbers}");
}

#[tokio::test]
async fn a_grpc_route_is_promoted_through_two_weights_without_a_failed_call() {
    let mut stage = Stage::new("grpc-promote", TIDEGATE, |app| {
        app.grpc = true;
        app.steps = json!([{"weight": 20, "bake": "9s"}, {"weight": 50, "bake": "9s"}]);
    })
    .await;
    let before = specs(&stage).await;
    stage.release("v2").await;
    stage.until_outcome("v2", "Promoted").await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    assert_eq!(run["spec"]["routes"][0]["kind"], GRPC_ROUTE.kind);
    let tally = stage.nothing_failed().await;
    assert!(tally.counts.values().flatten().all(|(code, _)| code == "grpc:0"), "{:?}", tally.counts);
    let stood = stood(&run);
    let weights: Vec<f64> = stood.iter().map(|(weight, ..)| *weight).filter(|weight| *weight < 100.0).collect();
    assert_eq!(weights, [20.0, 50.0]);
    for (weight, from, to) in stood {
        assert_split(&tally, weight, from, to);
    }
    stage.owners_form().await;
    assert_eq!(before, specs(&stage).await, "at rest everything is as its owner wrote it");
}
