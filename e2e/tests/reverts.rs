//! A version that is taken back: by a person, by its deadline, with a route and without one.
//!
//! What evidence takes back is in `evidence`.

use serde_json::json;
use tidegate::controller::{DEPLOYMENT, SERVICE};

use crate::{
    TIDEGATE,
    support::{Application, Stage, space::rhythm},
};

/// From the person's word to the write that takes the traffic back, with a machine that does much besides.
const MOST_MILLIS: u128 = 2_000;

async fn held_at_50(namespace: &str, shape: impl FnOnce(&mut Application)) -> Stage {
    let mut stage = Stage::new(namespace, TIDEGATE, |app| {
        app.steps = json!([{"weight": 50, "bake": "1h"}]);
        shape(app);
    })
    .await;
    stage.release_to("v2", 50).await;
    rhythm(1.5).await;
    stage
}

/// Nothing of v2 is left, and no request met it after the traffic went back.
async fn taken_back(mut stage: Stage) {
    stage.until_outcome("v2", "Aborted").await;
    stage.owners_form().await;
    let end = jiff::Timestamp::now().as_second();
    rhythm(2.0).await;
    let tally = stage.nothing_failed().await;
    assert!(tally.of("v2") > 0, "{:?}", tally.counts);
    assert_eq!(tally.between("v2", end, i64::MAX).0, 0, "v2 answers no more");
    assert_eq!(stage.space.list(DEPLOYMENT).await.len(), 1, "only stable has a Deployment");
    assert_eq!(stage.space.list(SERVICE).await.len(), 1, "only the application's Service is left");
}

#[tokio::test]
async fn an_abort_lowers_the_route_at_once() {
    let stage = held_at_50("reverts-abort", |_| {}).await;
    let begin = std::time::Instant::now();
    stage.space.act("Abort", "app", json!({"author": "ada"})).await;
    stage.space.catch("weight 0 in the route", 20, async || stage.share().await == 0.0).await;
    let millis = begin.elapsed().as_millis();
    assert!(millis < MOST_MILLIS, "{millis} ms from the abort to the route");
    taken_back(stage).await;
}

#[tokio::test]
async fn an_abort_without_a_route_pins_the_service_to_stable_at_once() {
    let stage = held_at_50("reverts-endpoints", |app| app.routed = false).await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    let begin = std::time::Instant::now();
    stage.space.act("Abort", "app", json!({"author": "ada"})).await;
    let pinned = async || {
        let service = stage.space.get(SERVICE, "app").await.unwrap_or_default();
        service["spec"]["selector"]["tidegate.io/revision"] == run["spec"]["stable"]
    };
    stage.space.catch("the Service to select stable", 20, pinned).await;
    let millis = begin.elapsed().as_millis();
    assert!(millis < MOST_MILLIS, "{millis} ms from the abort to the Service");
    taken_back(stage).await;
}

#[tokio::test]
async fn a_version_that_never_gets_ready_is_taken_back_by_its_deadline_and_gets_no_request() {
    let mut stage = Stage::new("reverts-late", TIDEGATE, |app| app.progress_deadline = "6s").await;
    stage.app.set("READY_AFTER", "never");
    stage.release("v2").await;
    stage.until_outcome("v2", "Reverted").await;
    let status = stage.space.status("app").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("0 of 1 canary pods ready") && message.contains("6s"), "{message}");
    stage.owners_form().await;
    let tally = stage.nothing_failed().await;
    assert_eq!(tally.of("v2"), 0);
    assert_eq!(stage.space.list(DEPLOYMENT).await.len(), 1, "only stable has a Deployment");

    stage.app.set("READY_AFTER", "0s");
    stage.release("v3").await;
    stage.until_outcome("v3", "Promoted").await;
}

#[tokio::test]
async fn a_version_that_crashes_is_named_with_its_pod_while_it_is_waited_for_and_when_it_is_taken_back() {
    let mut stage = Stage::new("reverts-crash", TIDEGATE, |app| app.progress_deadline = "12s").await;
    stage.app.set("READY_AFTER", "a while");
    stage.release("v2").await;
    let says = async |what: &str| {
        let message = stage.space.status("app").await["message"].as_str().unwrap_or_default().to_owned();
        message.contains("0 of 1 canary pods ready, 1 needed for weight 20; pod app-") && message.contains(what)
    };
    let named = "is in CrashLoopBackOff (container app: ended with exit code 2)";
    stage.space.until("the pod's trouble to be named", 20, async || says(named).await).await;
    stage.until_outcome("v2", "Reverted").await;
    assert!(says("ended with exit code 2)").await && says("the progress deadline of 12s is over").await);
    assert_eq!(stage.space.reason_of("app").await, "NotReady");
    stage.owners_form().await;
    let tally = stage.nothing_failed().await;
    assert_eq!(tally.of("v2"), 0);
}
