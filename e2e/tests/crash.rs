//! `kill -9` of the controller at the worst moments: restarted, the run comes to the same end, and no request fails.
//!
//! A moment between a record and the write that follows from it is held open by an admission policy that refuses the write.

use serde_json::{Value, json};
use tidegate::controller::{HTTP_ROUTE, RUN};

use crate::{
    TIDEGATE,
    support::{Denial, Stage, space::percent},
};

async fn stage(namespace: &str) -> Stage {
    Stage::new(namespace, TIDEGATE, |_| {}).await
}

/// Waits until the newest run is like this, and kills the controller at once.
async fn kill_when(stage: &mut Stage, what: &str, like: impl Fn(&Value) -> bool) {
    let space = stage.space.clone();
    let seen = async || space.newest_run(&stage.app.name).await.is_some_and(|run| like(&run["status"]));
    space.catch(what, 60, seen).await;
    stage.controller.kill();
}

async fn promoted(mut stage: Stage) {
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
    assert_eq!(stage.space.list(RUN).await.len(), 1, "the run was the same all the time");
}

#[tokio::test]
async fn between_the_record_of_a_weight_and_its_write() {
    let mut stage = stage("crash-before-weight").await;
    stage.release("v2").await;
    stage.space.until_run("app", "a step at weight 0", 60, |status| status["phase"] == "Stepping").await;
    let named = async || stage.share().await == 0.0 && refs(&stage).await == 2;
    stage.space.catch("the backend to be named", 30, named).await;
    let denial = Denial::of_updates(&stage.space, HTTP_ROUTE).await;
    kill_when(&mut stage, "weight 20 to be recorded", |status| percent(&status["weight"]) == 20.0).await;
    assert_eq!(stage.share().await, 0.0, "the route was not written");
    denial.lift().await;
    stage.controller.restart();
    promoted(stage).await;
}

async fn refs(stage: &Stage) -> usize {
    let route = stage.space.get(HTTP_ROUTE, "app").await.unwrap_or_default();
    route["spec"]["rules"][0]["backendRefs"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn after_the_write_of_a_weight() {
    let mut stage = stage("crash-after-weight").await;
    stage.release("v2").await;
    stage.space.catch("weight 20 in the route", 60, async || stage.share().await == 20.0).await;
    stage.controller.kill();
    stage.controller.restart();
    promoted(stage).await;
}

#[tokio::test]
async fn between_the_record_of_an_abort_and_its_write() {
    let mut stage = Stage::new("crash-abort", TIDEGATE, |app| app.steps = json!([{"weight": 20, "bake": "10m"}])).await;
    stage.release_to("v2", 20).await;
    let denial = Denial::of_updates(&stage.space, HTTP_ROUTE).await;
    stage.space.act("Abort", "app", json!({"author": "ada"})).await;
    kill_when(&mut stage, "the abort to be recorded", |status| status["phase"] == "Aborting").await;
    assert_eq!(stage.share().await, 20.0, "the route was not written");
    denial.lift().await;
    stage.controller.restart();
    stage.space.until("weight 0", 20, async || stage.share().await == 0.0).await;
    stage.until_outcome("v2", "Aborted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn at_the_promotion() {
    let mut stage = stage("crash-promotion").await;
    stage.release("v2").await;
    kill_when(&mut stage, "the promotion to be recorded", |status| status["phase"] == "Finishing").await;
    stage.controller.restart();
    promoted(stage).await;
}

#[tokio::test]
async fn at_every_decision_of_a_run() {
    let mut stage = stage("crash-every").await;
    stage.release("v2").await;
    let (mut last, mut kills) = (0, 0);
    while kills < 30 {
        let space = stage.space.clone();
        let fresh = async || {
            let run = space.newest_run("app").await.unwrap_or_default();
            run["status"]["seq"].as_i64() > Some(last) || run["status"]["phase"] == "Ended"
        };
        space.catch("the next decision", 60, fresh).await;
        let run = space.newest_run("app").await.unwrap_or_default();
        if run["status"]["phase"] == "Ended" {
            break;
        }
        last = run["status"]["seq"].as_i64().unwrap_or_default();
        stage.controller.restart();
        kills += 1;
    }
    assert!(kills >= 8, "only {kills} decisions");
    promoted(stage).await;
}
