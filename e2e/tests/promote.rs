//! A good version is promoted without a failed request, in every shape of workload and traffic.

use serde_json::json;
use tidegate::controller::{HTTP_ROUTE, SERVICE};

use crate::{
    TIDEGATE,
    support::{Application, Controller, Load, Space, space::rhythm},
};

/// Adopts v1, promotes v2 under load, and checks that nothing failed and everything was given back.
async fn promote(space: &Space, mut app: Application) {
    let _controller = Controller::start(space, TIDEGATE);
    app.apply(space).await;
    space.until_healthy(&app.name, 60).await;
    let before = (space.get(SERVICE, &app.name).await, space.get(HTTP_ROUTE, &app.name).await);
    let load = app.routed.then(|| Load::start(&app.host, 100));
    rhythm(1.5).await;
    app.version = "v2".into();
    app.release(space).await;
    space
        .until("v2 to be promoted", 120, async || {
            let status = space.status(&app.name).await;
            status["phase"] == "Healthy"
                && status["release"]["id"] == "v2"
                && status["release"]["outcome"] == "Promoted"
        })
        .await;
    if let Some(load) = load {
        rhythm(1.0).await;
        let tally = load.stop();
        assert_eq!(tally.failed(), 0, "{:?}", tally.counts);
        assert!(tally.of("v1") > 0 && tally.of("v2") > 0, "{:?}", tally.counts);
    }
    let after = (space.get(SERVICE, &app.name).await, space.get(HTTP_ROUTE, &app.name).await);
    for (before, after) in [(before.0, after.0), (before.1, after.1)] {
        let spec = |object: Option<serde_json::Value>| object.map(|object| object["spec"].clone());
        assert_eq!(spec(before), spec(after), "at rest everything is as its owner wrote it");
    }
}

#[tokio::test]
async fn a_template_in_the_rollout_is_promoted_without_a_failed_request() {
    let space = Space::new("promote-template").await;
    let app = Application::new(&space);
    promote(&space, app).await;
}

#[tokio::test]
async fn a_referenced_deployment_is_adopted_and_promoted_without_a_failed_request() {
    let space = Space::new("promote-reference").await;
    let mut app = Application::new(&space);
    app.deployment_ref = true;
    promote(&space, app).await;
}

#[tokio::test]
async fn blue_green_switches_without_a_failed_request() {
    let space = Space::new("promote-blue-green").await;
    let mut app = Application::new(&space);
    app.strategy = Some(json!({"blueGreen": {"bake": "1s", "soak": "1s"}}));
    promote(&space, app).await;
}

#[tokio::test]
async fn without_a_route_the_endpoints_are_the_split() {
    let space = Space::new("promote-endpoints").await;
    let mut app = Application::new(&space);
    app.routed = false;
    promote(&space, app).await;
}
