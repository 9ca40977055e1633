//! Parts of the cluster go away in mid-run and come back: the API server, etcd, Prometheus. The run comes to its end, no
//! request fails, and no law is broken.
//!
//! Each test takes a part away from everything in the lab, so they run one after the other in a lab of their own.

#[path = "../support/mod.rs"]
mod support;

use std::process::Command;

use serde_json::json;
use tidegate::controller::{ROLLOUT, RUN};

use support::{
    Application, Ledger, Stage,
    space::{lab, rhythm},
};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");
/// Longer than a request's limit of 5 s.
const AWAY_SECONDS: f64 = 8.0;

/// Returns when it has happened.
fn part(action: &str, name: &str) {
    let status = Command::new(lab("TIDEGATE_LAB_BIN")).args(["part", action, name]).status().expect("the lab's binary");
    assert!(status.success(), "lab part {action} {name}: {status}");
}

/// A promotion during which these parts are killed together and started again in the same order.
async fn without(namespace: &str, parts: &[&str], shape: impl FnOnce(&mut Application)) {
    let (mut stage, proxy) = Stage::behind_proxy(namespace, TIDEGATE, |app| {
        app.steps = json!([{"weight": 20, "bake": "5s"}, {"weight": 50, "bake": "1s"}]);
        shape(app);
    })
    .await;
    let ledger = Ledger::open(&stage.space).await;
    stage.release_to("v2", 20).await;
    parts.iter().for_each(|name| part("kill", name));
    rhythm(AWAY_SECONDS).await;
    parts.iter().for_each(|name| part("start", name));
    let answers = async || stage.space.api(ROLLOUT).get_opt("app").await.is_ok();
    stage.space.until("the API server", 60, async || answers().await && answers().await && answers().await).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    assert_eq!(stage.space.list(RUN).await.len(), 1, "one run");
    ledger.judge(&[&proxy]).await.holds();
    stage.nothing_failed().await;
}

#[tokio::test]
async fn without_the_api_server_for_a_while() {
    without("outage-api", &["kube-apiserver"], |_| {}).await;
}

#[tokio::test]
async fn without_etcd_for_a_while() {
    without("outage-etcd", &["etcd"], |_| {}).await;
}

#[tokio::test]
async fn without_etcd_and_the_api_server_for_a_while() {
    without("outage-both", &["etcd", "kube-apiserver"], |_| {}).await;
}

#[tokio::test]
async fn without_prometheus_for_a_while() {
    without("outage-metrics", &["prometheus"], |app| app.metrics = Application::envoy_errors()).await;
}
