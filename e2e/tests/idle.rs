//! At rest nothing is written: not by a restarted controller, and about a release not by a change of replicas.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};
use tidegate::controller::{ROLLOUT, RUN};

use crate::{
    TIDEGATE,
    support::{Application, Controller, Space, audit::writes_in, space::rhythm},
};

/// Of these two have pods; what a Rollout at rest costs does not depend on how many it has.
const ROLLOUTS: usize = 100;

fn given<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Rollouts of which the controller has said something since it began: one gauge each.
async fn seen(controller: &Controller) -> usize {
    let answer = reqwest::get(format!("http://127.0.0.1:{}/metrics", controller.port)).await;
    let Ok(answer) = answer else { return 0 };
    let text = answer.text().await.unwrap_or_default();
    text.lines().filter(|line| line.starts_with("tidegate_rollout_weight_percent{")).count()
}

#[tokio::test]
async fn a_restart_with_many_rollouts_at_rest_writes_nothing_and_keeps_little() {
    let space = Space::new("idle-many").await;
    let rollouts = given("IDLE_ROLLOUTS", ROLLOUTS);
    let mut controller = Controller::start(&space, &given("IDLE_BIN", TIDEGATE.to_owned()));
    for number in 0..rollouts {
        let mut app = Application::new(&space);
        app.name = format!("app-{number}");
        app.routed = false;
        app.replicas = u32::from(number < 2);
        app.apply(&space).await;
    }
    space
        .until("all Rollouts to be Healthy", 120 + rollouts as u64, async || {
            let healthy = |rollout: &Value| {
                let status = &rollout["status"];
                status["phase"] == "Healthy" && status["observedGeneration"] == rollout["metadata"]["generation"]
            };
            space.list(ROLLOUT).await.iter().filter(|rollout| healthy(rollout)).count() == rollouts
        })
        .await;
    space
        .until("the last writes to have been made", 60, async || {
            let before = writes_in(&space.namespace).len();
            rhythm(3.0).await;
            writes_in(&space.namespace).len() == before
        })
        .await;
    controller.kill();
    let before = writes_in(&space.namespace).len();
    assert!(before > rollouts, "the audit log has only {before} writes");
    controller.restart();
    space
        .until("every Rollout to be looked at again", 60 + rollouts as u64 / 5, async || {
            seen(&controller).await == rollouts
        })
        .await;
    let idle = given("IDLE_SECONDS", 10.0);
    rhythm(idle).await;
    let writes = writes_in(&space.namespace).split_off(before);
    assert!(writes.is_empty(), "{} writes: {:#?}", writes.len(), &writes[..writes.len().min(10)]);
    let (now, most) = controller.memory();
    println!("idle: {rollouts} Rollouts at rest, {now:.1} MB (at most {most:.1} MB), 0 writes in {idle} s");
    let limit = given("IDLE_MOST_MB", f64::INFINITY);
    assert!(now < limit, "{now:.1} MB with {rollouts} Rollouts, {limit} are allowed");
}

#[tokio::test]
async fn a_change_of_replicas_at_rest_is_not_about_the_release() {
    let space = Space::new("idle-scale").await;
    let _controller = Controller::start(&space, TIDEGATE);
    let mut app = Application::new(&space);
    (app.scaled, app.replicas) = (true, 2);
    app.apply(&space).await;
    space.until_healthy("app", 60).await;
    let completed = |rollout: &Value| {
        let rows = rollout["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let row = rows.into_iter().find(|row| row["type"] == "Completed").unwrap_or_default();
        json!([row["status"], row["reason"], row["lastTransitionTime"]])
    };
    let rollout = space.get(ROLLOUT, "app").await.unwrap_or_default();
    let (adopted, version) = (completed(&rollout), rollout["metadata"]["resourceVersion"].as_str().unwrap_or("0"));
    assert_eq!(adopted[0], "True", "{}", rollout["status"]);
    let versions = watch(&space, version).await;
    for replicas in [5, 0, 3] {
        space.scale(ROLLOUT, "app", replicas).await;
        let scaled = async || {
            let status = space.status("app").await;
            let count = |key: &str| status[key].as_u64().unwrap_or_default();
            count("replicas") == u64::from(replicas) && status["phase"] == "Healthy"
        };
        space.until(&format!("{replicas} pods"), 60, scaled).await;
    }
    let seen = versions.lock().expect("no panic").clone();
    assert!(seen.len() >= 6, "only {} versions: the watch saw too little", seen.len());
    for version in &seen {
        assert_eq!(completed(version), adopted, "{}", version["status"]);
    }
    assert!(space.list(RUN).await.is_empty(), "no run for a change of replicas");
}

/// Every version of the namespace's Rollouts from here on.
async fn watch(space: &Space, version: &str) -> Arc<Mutex<Vec<Value>>> {
    let params = WatchParams::default().timeout(290);
    let mut events = space.api(ROLLOUT).watch(&params, version).await.expect("a watch").boxed();
    let versions = Arc::new(Mutex::new(Vec::new()));
    let into = versions.clone();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) = event {
                let object = serde_json::to_value(object).expect("an object is JSON");
                into.lock().expect("no panic").push(object);
            }
        }
    });
    versions
}
