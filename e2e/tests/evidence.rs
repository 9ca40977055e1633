//! What the metrics say decides: the error budget and thresholds take a release back, and their absence holds it.

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate::controller::HTTP_ROUTE;

use crate::{
    TIDEGATE,
    support::{
        Application, Controller, Relay, Space, Stage,
        audit::{Write, writes_in},
        space::{lab, rhythm},
    },
};

/// 1 % of 1 % of 150000 requests: 15 bad ones may be spent.
fn budget() -> Value {
    json!({"objective": "99", "window": "720h", "maxSpend": "1", "expectedRequests": 150_000})
}

/// The newest run's last reason and all its sentences.
async fn sentences(space: &Space) -> (String, String) {
    let run = space.newest_run("app").await.unwrap_or_default();
    let entries = run["status"]["decisions"]["entries"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all: Vec<String> = entries.iter().map(|entry| text(&entry["message"])).collect();
    (text(&run["status"]["reason"]), all.join("\n"))
}

/// The record of the decision to go back and the write to the route that follows from it.
fn going_back(space: &Space, from: Timestamp) -> (Write, Write) {
    let writes = writes_in(&space.namespace);
    let routed = |write: &Write| write.plural == HTTP_ROUTE.plural && write.received > from;
    let at = writes.iter().position(routed).expect("a write to the route");
    let recorded = |write: &&Write| write.plural == "rolloutruns" && write.subresource == "status";
    let record = writes[..at].iter().rev().find(recorded).expect("the record before it");
    (record.clone(), writes[at].clone())
}

#[tokio::test]
async fn a_spent_error_budget_takes_the_traffic_back_within_a_second() {
    let mut stage = Stage::new("evidence-budget", TIDEGATE, |app| {
        app.steps = json!([{"weight": 20, "bake": "60s"}]);
        app.metrics = Application::envoy_errors();
        app.budget = Some(budget());
    })
    .await;
    stage.app.set("ERROR_RATE", "0.5");
    stage.release_to("v2", 20).await;
    let stands = Timestamp::now();
    stage.space.catch("weight 0 in the route", 60, async || stage.share().await == 0.0).await;
    let back = Timestamp::now();
    let (record, write) = going_back(&stage.space, stands);
    let took = write.answered.duration_since(record.received).as_secs_f64();
    println!("from the record of the decision to the route's weight 0: {took:.3} s");
    assert!(took < 1.0, "{took} s from {record:?} to {write:?}");
    stage.until_outcome("v2", "Reverted").await;
    let (reason, said) = sentences(&stage.space).await;
    let arithmetic = "spent an allowance of 15 (1 % of 1500 = 1 % of 150000 requests in 720h)";
    assert!(reason == "BudgetSpent" && said.contains(arithmetic), "{reason}: {said}");
    let status = stage.space.status("app").await;
    assert_eq!(status["phase"], "Degraded", "{status}");
    stage.owners_form().await;
    let tally = stage.curtain().await;
    let of_v2 = tally.counts.get("v2").and_then(|codes| codes.get("500")).copied().unwrap_or_default();
    assert_eq!(tally.failed(), of_v2, "only what v2 answered with 500 failed: {:?}", tally.counts);
    // A second for the gateway to follow the route, and the rest of the one in which it did.
    let (after, all) = tally.between("v2", back.as_second() + 2, i64::MAX);
    assert!(after == 0 && all > 100, "{after} of {all} requests to v2 afterwards: {}", tally.failures());
}

/// No load at all: the run comes to its end.
async fn ships_quietly(namespace: &str, total: &str) {
    let space = Space::new(namespace).await;
    let mut app = Application::new(&space);
    app.metrics = Application::envoy_errors();
    app.metrics[0]["ratio"]["total"] = json!(total);
    app.budget = Some(json!({"objective": "99.9"}));
    // Windows are judged from half a minute after a change of weight on: few steps, then.
    app.steps = json!([{"weight": 20, "bake": "1s"}]);
    let _controller = Controller::start(&space, TIDEGATE);
    app.apply(&space).await;
    space.until_healthy("app", 60).await;
    app.version = "v2".into();
    app.release(&space).await;
    space.until_outcome("app", "v2", "Promoted", 180).await;
    let (_, said) = sentences(&space).await;
    assert!(said.contains("without a Pass") && said.contains("0 of 0 requests of the canary were bad"), "{said}");
}

#[tokio::test]
async fn a_quiet_service_still_ships() {
    ships_quietly("evidence-quiet", "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"{{ route.cluster }}\"}")
        .await;
}

#[tokio::test]
async fn a_quiet_service_whose_counters_are_not_born_yet_still_ships() {
    ships_quietly("evidence-unborn", "envoy_cluster_upstream_rq_xx{envoy_cluster_name=\"{{ route.cluster }}\"}").await;
}

async fn with_threshold(namespace: &str, success: &str) -> Stage {
    let threshold = json!({"query": "vector(1)", "success": success, "interval": "1s"});
    let mut stage = Stage::new(namespace, TIDEGATE, |app| {
        app.metrics = json!([{"name": "one", "threshold": threshold}]);
    })
    .await;
    stage.release("v2").await;
    stage
}

#[tokio::test]
async fn a_threshold_that_holds_lets_the_release_pass() {
    let mut stage = with_threshold("evidence-holds", ">= 0").await;
    stage.until_outcome("v2", "Promoted").await;
    let (_, said) = sentences(&stage.space).await;
    assert!(said.contains("metric one: 1 passed (1 needed), 0 failed (0 tolerated), last value 1"), "{said}");
    assert!(!said.contains("without a Pass"), "{said}");
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_threshold_that_fails_takes_the_release_back() {
    let mut stage = with_threshold("evidence-fails", ">= 2").await;
    stage.until_outcome("v2", "Reverted").await;
    let (reason, said) = sentences(&stage.space).await;
    let sentence = "metric one: 0 passed (1 needed), 1 failed (0 tolerated), last value 1, success if >= 2";
    assert!(reason == "ThresholdFailed" && said.contains(sentence), "{reason}: {said}");
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_run_holds_while_the_metrics_server_is_away_and_goes_on_when_it_is_back() {
    let address = lab("TIDEGATE_LAB_PROMETHEUS");
    let mut relay = Relay::to(address.trim_start_matches("http://").trim_end_matches('/')).await;
    let mut stage = Stage::new("evidence-away", TIDEGATE, |app| {
        app.metrics = Application::envoy_errors();
        app.provider = Some("evidence-away".into());
        app.steps = json!([{"weight": 20, "bake": "5s"}]);
    })
    .await;
    stage.space.provider("evidence-away", &format!("http://{}", relay.address), false).await;
    stage.release_to("v2", 20).await;
    relay.shut().await;
    let held = async || {
        let status = stage.space.status("app").await;
        assert_ne!(status["phase"], "Degraded", "{status}");
        assert_eq!(stage.share().await, 20.0, "the weight stays");
        let rows = status["conditions"].as_array().cloned().unwrap_or_default();
        rows.iter()
            .any(|row| row["type"] == "Ready" && row["status"] == "Unknown" && row["reason"] == "MetricsUnavailable")
    };
    // Half a minute that is not judged yet, and six windows of grace.
    stage.space.until("MetricsUnavailable", 120, held).await;
    for _ in 0..10 {
        rhythm(0.5).await;
        assert!(held().await, "it holds as long as the metrics are away");
    }
    relay.open().await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}
