//! `make demo`: the main job on a real control plane, a real gateway and a real Prometheus. Version 2 is promoted without a
//! failed request, version 3 (20 % errors) is taken back by the error budget, version 4 (never ready) by the deadline.
//!
//! It prints the timeline and the load generator's count, and exits 0 only if all of it held.

mod checks;
#[path = "../support/mod.rs"]
mod support;
mod timeline;

use serde_json::json;
use support::{Application, Controller, Load, Space, space::rhythm};
use tidegate::controller::ROLLOUT;
use timeline::Timeline;

/// Requests a second through the gateway.
const RATE: u32 = 200;
/// A 30-day window at this rate.
const EXPECTED_REQUESTS: u64 = RATE as u64 * 720 * 3_600;

#[tokio::main]
async fn main() {
    let space = Space::new("demo").await;
    let mut app = Application::new(&space);
    app.name = "checkout".into();
    app.steps = json!([{"weight": 10, "bake": "20s"}, {"weight": 40, "bake": "20s"}, {"weight": 70, "bake": "20s"}]);
    app.soak = "20s";
    (app.warm, app.drain, app.progress_deadline) = ("5s", "10s", "45s");
    app.replicas = 4;
    app.metrics = Application::envoy_errors();
    // The comparison with stable would take v3 back a moment before the budget is spent; here the budget is to be seen.
    app.judging = json!({"confirmWindows": 10});
    app.budget =
        Some(json!({"objective": "99.9", "window": "720h", "maxSpend": "0.02", "expectedRequests": EXPECTED_REQUESTS}));
    let binary = std::env::var("TIDEGATE_BIN").expect("TIDEGATE_BIN names the tidegate binary");
    let _controller = Controller::start(&space, &binary);
    let mut timeline = Timeline::new(&space);
    println!("\nv1 is adopted: {} pods, an HTTPRoute through Contour and Envoy", app.replicas);
    app.apply(&space).await;
    space.until_healthy(&app.name, 90).await;
    let load = Load::start(&app.host, RATE);
    rhythm(5.0).await;

    println!("\nv2, a good version, under {RATE} requests/s");
    app.version = "v2".into();
    app.release(&space).await;
    let promoted = timeline.follow(&app, "Healthy", 300).await;
    println!("\nv3 answers 20 % of its requests with 500");
    println!(
        "  allowance: {RATE} req/s x 720 h = {EXPECTED_REQUESTS} requests; 0.1 % of them is the budget, 0.02 % of that one release may spend: {:.0} bad requests",
        EXPECTED_REQUESTS as f64 * 0.001 * 0.0002
    );
    app.version = "v3".into();
    app.set("ERROR_RATE", "0.2");
    app.release(&space).await;
    let reverted = timeline.follow(&app, "Degraded", 240).await;
    println!("\nv4 never gets ready");
    app.version = "v4".into();
    app.set("ERROR_RATE", "0");
    app.set("READY_AFTER", "never");
    app.release(&space).await;
    let late = timeline.follow(&app, "Degraded", 240).await;
    rhythm(2.0).await;
    let tally = load.stop();
    let status = space.status(&app.name).await;
    let rollout = space.get(ROLLOUT, &app.name).await.unwrap_or_default();
    let held = checks::all(&tally, &[promoted, reverted, late], &status, &rollout);
    std::process::exit(i32::from(!held));
}
