//! Presets against the counters that they were written for: Contour's Envoys, and pods that count themselves.
//!
//! The other data planes are not in the lab: their names are compared with what their projects document.

use serde_json::{Value, json};

use crate::{TIDEGATE, support::Stage};

/// The metrics of Contour's preset with its default arguments.
fn contour() -> Vec<Value> {
    let path = format!("{}/deploy/presets/contour.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the preset").replace("{{ args.class }}", "5");
    let preset: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    preset["spec"]["metrics"].as_array().cloned().unwrap_or_default()
}

/// What docs/metrics.md shows, which is the pods' preset with other names.
fn of_pods() -> Vec<Value> {
    let path = format!("{}/docs/metrics.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).expect("the page");
    let (_, rest) = page.split_once("## One of your own\n\n```yaml\n").expect("the example");
    let (text, _) = rest.split_once("```").expect("its end");
    let example: Value = serde_yaml_ng::from_str(text).expect("YAML");
    let mut metrics = example["metrics"].as_array().cloned().unwrap_or_default();
    for metric in &mut metrics {
        metric["name"] = json!(format!("pods-{}", metric["name"].as_str().unwrap_or_default()));
    }
    metrics
}

#[tokio::test]
async fn the_proxy_and_the_pods_count_the_same_requests_of_each_arm() {
    let mut stage = Stage::new("presets", TIDEGATE, |app| {
        app.metrics = [contour(), of_pods()].concat().into();
        app.steps = json!([{"weight": 50, "bake": "45s"}]);
    })
    .await;
    stage.release("v2").await;
    stage.until_outcome("v2", "Promoted").await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    let metrics = &run["status"]["evidence"]["metrics"];
    let total = |name: &str, arm: &str| metrics[name][format!("{arm}Total")].as_u64().unwrap_or_default();
    for arm in ["canary", "control"] {
        let counted = ["errors", "latency", "pods-errors", "pods-latency"].map(|name| total(name, arm));
        let (least, most) = (counted.iter().min().copied().unwrap_or(0), counted.iter().max().copied().unwrap_or(0));
        // Scrapes are not simultaneous: a metric may be a few windows ahead of another.
        assert!(least > 100 && most < 2 * least, "{arm}: {counted:?} requests: {metrics}");
    }
    stage.owners_form().await;
}
