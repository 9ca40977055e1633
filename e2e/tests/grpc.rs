//! A GRPCRoute as the managed route: calls are split and nothing of the route is left behind, as with an HTTPRoute.

use serde_json::{Value, json};
use tidegate::controller::{GRPC_ROUTE, HTTP_ROUTE, ROLLOUT, SERVICE};

use crate::{
    TIDEGATE,
    support::{Application, Controller, Space, Stage, Tally, stood::stood},
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

/// Contour 1.33 keeps what it has to report by name without the kind, so the HTTPRoute stays at the generation before the
/// GRPCRoute came. Once it no longer does, this fails and the hint can go.
#[tokio::test]
async fn a_route_whose_name_another_kind_has_too_is_said_with_what_to_do() {
    let space = Space::new("grpc-twins").await;
    let mut app = Application::new(&space);
    let mut calls = app.clone();
    (calls.grpc, calls.host) = (true, format!("calls.{}", app.host));
    let rollout = |app: &Application| {
        let mut rollout = app.rollout();
        let kinds = [HTTP_ROUTE.kind, GRPC_ROUTE.kind];
        rollout["spec"]["traffic"]["routes"] =
            kinds.map(|kind| json!({"gatewayAPI": {"kind": kind, "name": "app"}})).into_iter().collect();
        rollout
    };
    let apply = async |kind, document| {
        space.apply_as("owner", false, kind, document).await.expect("it is applied");
    };
    apply(SERVICE, calls.service()).await;
    apply(HTTP_ROUTE, app.route()).await;
    space.until_accepted("app", 20).await;
    apply(GRPC_ROUTE, calls.route()).await;
    apply(ROLLOUT, rollout(&app)).await;
    let _controller = Controller::start(&space, TIDEGATE);
    space.until_healthy("app", 60).await;
    app.version = "v2".into();
    apply(ROLLOUT, rollout(&app)).await;
    let said = "HTTPRoute app waits for Gateway projectcontour/edge (projectcontour.io/gateway-controller): Accepted is True \
                for generation 1 of the route, which is at 2; if that stays so, look whether that controller runs and may \
                write the route's status; GRPCRoute app has the same name, and some controllers then report on one of the \
                two only: give one of them another name";
    space.until("the sentence", 30, async || space.status("app").await["message"] == said).await;
}
