//! What others do to a run while it is on: objects vanish, templates and replicas change, routes are reset.
//!
//! No request fails but those that a deletion itself causes; these are counted apart, by the second.

use jiff::Timestamp;
use kube::api::PropagationPolicy::{Background, Foreground, Orphan};
use serde_json::{Value, json};
use tidegate::controller::{CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE, ROLLOUT, RUN, SERVICE};

use crate::{
    TIDEGATE,
    support::{
        Application, Stage,
        space::{percent, rhythm},
    },
};

/// A gate that is never approved by itself holds the run at 20.
fn gated(app: &mut Application) {
    app.steps = json!([{"weight": 20, "bake": "1s", "gates": [{"name": "go"}]}, {"weight": 50, "bake": "1s"}]);
}

async fn at_20(namespace: &str, shape: impl FnOnce(&mut Application)) -> Stage {
    let mut stage = Stage::new(namespace, TIDEGATE, |app| {
        gated(app);
        shape(app);
    })
    .await;
    stage.release_to("v2", 20).await;
    stage
}

async fn approve(stage: &Stage) {
    let action = stage.space.act("Approve", "app", json!({"gate": "go", "author": "ada"})).await;
    let (outcome, message) = stage.space.answer(&action).await;
    assert_eq!(outcome, "Accepted", "{message}");
}

async fn revision(stage: &Stage, arm: &str) -> String {
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    run["spec"][arm].as_str().unwrap_or_default().to_owned()
}

/// Pods that the arms' Deployments ask for.
async fn pods(stage: &Stage) -> (Value, Value) {
    let of = async |revision: String| {
        let deployment = stage.space.get(DEPLOYMENT, &format!("app-{revision}")).await.unwrap_or_default();
        deployment["spec"]["replicas"].clone()
    };
    (of(revision(stage, "stable").await).await, of(revision(stage, "canary").await).await)
}

async fn until_stalled(stage: &Stage, reason: &str) {
    stage
        .space
        .until(&format!("Stalled ({reason})"), 20, async || {
            let conditions = stage.space.status("app").await["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|row| row["type"] == "Stalled" && row["status"] == "True" && row["reason"] == reason)
        })
        .await;
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

async fn until_gone(stage: &Stage) {
    let gone = async || stage.space.get(ROLLOUT, "app").await.is_none();
    stage.space.catch("the Rollout to be gone", 60, gone).await;
}

#[tokio::test]
async fn a_deleted_rollout_leaves_routes_and_services_in_their_owners_form() {
    let mut stage = at_20("midrun-delete", |_| {}).await;
    stage.space.delete(ROLLOUT, "app", Background).await;
    until_gone(&stage).await;
    let gone = now();
    stage.owners_form().await;
    let tally = stage.curtain().await;
    assert_eq!(tally.failed_before(gone), 0, "until its pods went with it: {}", tally.failures());
}

#[tokio::test]
async fn a_rollout_deleted_with_orphans_leaves_its_pods_serving() {
    let mut stage = at_20("midrun-orphan", |_| {}).await;
    stage.space.delete(ROLLOUT, "app", Orphan).await;
    until_gone(&stage).await;
    stage.owners_form().await;
    rhythm(3.0).await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_foreground_deletion_gives_the_pods_back_to_the_referenced_deployment() {
    let mut stage = at_20("midrun-foreground", |app| app.deployment_ref = true).await;
    stage.space.delete(ROLLOUT, "app", Foreground).await;
    until_gone(&stage).await;
    stage.owners_form().await;
    let deployment = stage.space.get(DEPLOYMENT, "app").await.unwrap_or_default();
    assert_eq!(deployment["spec"]["replicas"], 3);
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(environment[0]["value"], "v1", "the template that was not promoted must not come up");
    rhythm(3.0).await;
    let tally = stage.nothing_failed().await;
    let (v1, all) = tally.between("v1", now() - 3, now());
    assert_eq!(v1, all, "only v1 serves at the end");
    assert_eq!(stage.space.list(DEPLOYMENT).await.len(), 1, "no revision is left");
}

#[tokio::test]
async fn a_deleted_route_stalls_the_run_and_its_step_starts_anew() {
    let mut stage = at_20("midrun-route", |_| {}).await;
    let before = pods(&stage).await;
    let deleted = now();
    stage.space.delete(HTTP_ROUTE, "app", Background).await;
    until_stalled(&stage, "RouteMissing").await;
    rhythm(4.0).await;
    assert_eq!(pods(&stage).await, before, "neither arm is scaled down");
    stage.space.apply_as("owner", false, HTTP_ROUTE, stage.app.route()).await.expect("the route is applied");
    let created = now();
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    assert_eq!(percent(&run["status"]["weight"]), 0.0, "the step starts anew from weight 0");
    stage.space.until_at("app", 20, 40).await;
    approve(&stage).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    let tally = stage.curtain().await;
    let caused = tally.failed_between(deleted, created + 2);
    assert_eq!(tally.failed(), caused, "but those without a route: {}", tally.failures());
}

#[tokio::test]
async fn a_deleted_service_stalls_the_run_and_its_step_starts_anew() {
    let mut stage = at_20("midrun-service", |_| {}).await;
    let before = pods(&stage).await;
    let deleted = now();
    stage.space.delete(SERVICE, "app", Background).await;
    until_stalled(&stage, "ServiceMissing").await;
    rhythm(4.0).await;
    assert_eq!(pods(&stage).await, before, "neither arm is scaled down");
    stage.space.apply_as("owner", false, SERVICE, stage.app.service()).await.expect("the Service is applied");
    let created = now();
    let from_zero = async || stage.share().await == 0.0;
    stage.space.catch("the step to start from weight 0", 20, from_zero).await;
    stage.space.until_at("app", 20, 40).await;
    approve(&stage).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    let tally = stage.curtain().await;
    let caused = tally.failed_between(deleted, created + 2);
    assert_eq!(tally.failed(), caused, "but those without a Service: {}", tally.failures());
}

#[tokio::test]
async fn a_service_deleted_in_the_soak_starts_the_soak_anew_at_its_weight() {
    let mut stage = Stage::new("midrun-service-soak", TIDEGATE, |app| {
        app.steps = json!([{"weight": 50, "bake": "1s"}]);
        app.soak = "8s";
    })
    .await;
    stage.release_to("v2", 100).await;
    stage.space.until_phase("app", "Soaking", 30).await;
    let before = pods(&stage).await;
    let deleted = now();
    stage.space.delete(SERVICE, "app", Background).await;
    until_stalled(&stage, "ServiceMissing").await;
    rhythm(2.0).await;
    assert_eq!(pods(&stage).await, before, "neither arm is scaled down");
    stage.space.apply_as("owner", false, SERVICE, stage.app.service()).await.expect("the Service is applied");
    let created = now();
    let run = stage.space.until_at("app", 100, 40).await;
    assert_eq!(run["status"]["phase"], "Soaking");
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    let tally = stage.curtain().await;
    let caused = tally.failed_between(deleted, created + 2);
    assert_eq!(tally.failed(), caused, "but those without a Service: {}", tally.failures());
}

#[tokio::test]
async fn the_canarys_deployment_is_made_again_from_its_record() {
    let mut stage = at_20("midrun-canary", |_| {}).await;
    let name = format!("app-{}", revision(&stage, "canary").await);
    let uid = async || stage.space.get(DEPLOYMENT, &name).await.unwrap_or_default()["metadata"]["uid"].clone();
    let (deleted, old) = (now(), uid().await);
    stage.space.delete(DEPLOYMENT, &name, Background).await;
    stage.space.until("another Deployment", 20, async || uid().await != old && !uid().await.is_null()).await;
    approve(&stage).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    let tally = stage.curtain().await;
    let caused = tally.failed_between(deleted, deleted + 12);
    assert_eq!(tally.failed(), caused, "but those without pods: {}", tally.failures());
}

#[tokio::test]
async fn without_stables_deployment_the_run_goes_back_when_it_is_ready_again() {
    let mut stage = at_20("midrun-stable", |_| {}).await;
    let deleted = now();
    let name = format!("app-{}", revision(&stage, "stable").await);
    stage.space.delete(DEPLOYMENT, &name, Background).await;
    stage.until_outcome("v2", "Reverted").await;
    stage.owners_form().await;
    let deployment = stage.space.get(DEPLOYMENT, &name).await.unwrap_or_default();
    assert_eq!(deployment["status"]["readyReplicas"], 3, "stable was made again");
    let tally = stage.curtain().await;
    let caused = tally.failed_between(deleted, deleted + 12);
    assert_eq!(tally.failed(), caused, "but those without pods: {}", tally.failures());
}

#[tokio::test]
async fn a_deleted_run_is_made_again_as_an_abort() {
    let mut stage = at_20("midrun-run", |_| {}).await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    stage.space.delete(RUN, run["metadata"]["name"].as_str().unwrap_or_default(), Background).await;
    stage.until_outcome("v2", "Aborted").await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    assert_eq!(run["status"]["reason"], "StateLost");
    assert_eq!(percent(&run["status"]["weight"]), 0.0);
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn without_any_record_of_revisions_an_aborted_version_is_not_adopted() {
    let mut stage = at_20("midrun-records", |_| {}).await;
    for record in stage.space.list(CONTROLLER_REVISION).await {
        stage
            .space
            .delete(CONTROLLER_REVISION, record["metadata"]["name"].as_str().unwrap_or_default(), Background)
            .await;
    }
    stage.space.act("Abort", "app", json!({"author": "ada"})).await;
    stage.until_outcome("v2", "Aborted").await;
    rhythm(5.0).await;
    assert_eq!(stage.space.status("app").await["phase"], "Degraded");
    stage.owners_form().await;
    let tally = stage.nothing_failed().await;
    let (v1, all) = tally.between("v1", now() - 4, now());
    assert_eq!(v1, all, "v1 serves");
    // The owner goes back to v1, which is the revision that serves, also by its new record.
    stage.release("v1").await;
    stage.space.until_healthy("app", 30).await;
    assert_eq!(stage.space.list(RUN).await.len(), 1, "nothing was released again");
}

#[tokio::test]
async fn a_canary_without_its_record_is_promoted_all_the_same() {
    let mut stage = at_20("midrun-record", |_| {}).await;
    let name = format!("app-{}", revision(&stage, "canary").await);
    stage.space.delete(CONTROLLER_REVISION, &name, Background).await;
    approve(&stage).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_foreground_deletion_that_collects_everything_leaves_routes_in_their_owners_form() {
    let mut stage = at_20("midrun-collected", |_| {}).await;
    stage.space.delete(ROLLOUT, "app", Foreground).await;
    until_gone(&stage).await;
    stage.owners_form().await;
    stage.app.version = "v1".into();
    stage.app.release(&stage.space).await;
    stage.space.until_healthy("app", 60).await;
    stage.owners_form().await;
}

#[tokio::test]
async fn a_newer_template_in_a_step_takes_the_runs_place() {
    let mut stage = at_20("midrun-newer", |_| {}).await;
    stage.app.steps = json!([{"weight": 50, "bake": "1s"}]);
    stage.release("v3").await;
    stage.until_outcome("v3", "Promoted").await;
    let outcomes = outcomes(&stage).await;
    assert_eq!(outcomes, ["v2 Superseded", "v3 Promoted"]);
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn the_stable_template_in_a_step_ends_the_run_and_nothing_is_degraded() {
    let mut stage = at_20("midrun-back", |_| {}).await;
    stage.release("v1").await;
    stage
        .space
        .until("Healthy at v1", 60, async || {
            let status = stage.space.status("app").await;
            status["phase"] == "Healthy" && status["release"]["id"] == "v1"
        })
        .await;
    assert_eq!(outcomes(&stage).await, ["v2 Superseded"]);
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_newer_template_in_the_soak_promotes_the_one_under_test_early() {
    let mut stage = Stage::new("midrun-soak", TIDEGATE, |app| {
        app.steps = json!([{"weight": 50, "bake": "1s"}]);
        app.soak = "10m";
    })
    .await;
    stage.release_to("v2", 100).await;
    stage.space.until_phase("app", "Soaking", 30).await;
    stage.app.soak = "1s";
    stage.release("v3").await;
    stage.until_outcome("v3", "Promoted").await;
    assert_eq!(outcomes(&stage).await, ["v2 Promoted", "v3 Promoted"]);
    stage.owners_form().await;
    stage.nothing_failed().await;
}

/// Release and outcome of every run, oldest first.
async fn outcomes(stage: &Stage) -> Vec<String> {
    let mut runs = stage.space.list(RUN).await;
    runs.sort_by_key(|run| run["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned());
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    runs.iter().map(|run| format!("{} {}", text(&run["spec"]["release"]), text(&run["status"]["outcome"]))).collect()
}

#[tokio::test]
async fn an_autoscaler_changes_pods_and_neither_the_weight_nor_completed() {
    let mut stage = Stage::new("midrun-scale", TIDEGATE, |app| {
        gated(app);
        app.scaled = true;
        // Pods that an autoscaler takes away while they serve go on until the gateway has heard of it: the endpoint
        // controller backs off for two seconds when changes come quickly.
        app.set("DRAIN", "6s");
    })
    .await;
    let completed = async |stage: &Stage| {
        let conditions = stage.space.status("app").await["conditions"].as_array().cloned().unwrap_or_default();
        let row = conditions.into_iter().find(|row| row["type"] == "Completed").unwrap_or_default();
        (row["status"].clone(), row["lastTransitionTime"].clone())
    };
    let adopted = completed(&stage).await;
    for replicas in [5, 2, 4] {
        stage.space.scale(ROLLOUT, "app", replicas).await;
        let scaled = async || {
            let status = stage.space.status("app").await;
            assert_eq!(completed(&stage).await, adopted, "Completed is about a release, not about replicas");
            status["replicas"] == replicas && status["readyReplicas"] == replicas
        };
        stage.space.catch(&format!("{replicas} pods"), 40, scaled).await;
    }
    stage.release_to("v2", 20).await;
    for (replicas, canary) in [(8, 2), (3, 1)] {
        stage.space.scale(ROLLOUT, "app", replicas).await;
        let scaled = async || {
            assert_eq!(stage.share().await, 20.0, "the weight stays");
            pods(&stage).await == (json!(replicas), json!(canary))
        };
        stage.space.catch(&format!("{replicas} and {canary} pods"), 30, scaled).await;
    }
    approve(&stage).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_route_that_is_reset_twice_is_contended_and_held_at_weight_0() {
    let mut stage = at_20("midrun-contended", |_| {}).await;
    let reset = async |stage: &Stage| {
        let route = stage.app.route();
        stage.space.apply_as("gitops", true, HTTP_ROUTE, route).await.expect("the route is reset");
    };
    let first = now();
    reset(&stage).await;
    let again = |status: &Value| status["resets"][0]["manager"] == "gitops" && !status["settledAt"].is_null();
    stage.space.until_run("app", "the step to stand again after one reset", 40, again).await;
    let second = now();
    reset(&stage).await;
    stage
        .space
        .until("RouteContended", 20, async || {
            let status = stage.space.status("app").await;
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let message = status["message"].as_str().unwrap_or_default().to_owned();
            status["phase"] == "Paused"
                && message.contains("gitops")
                && conditions.iter().any(|row| row["reason"] == "RouteContended")
        })
        .await;
    for _ in 0..5 {
        rhythm(0.5).await;
        assert_eq!(stage.share().await, 0.0, "held at weight 0");
    }
    stage.space.act("Abort", "app", json!({"author": "ada"})).await;
    stage.until_outcome("v2", "Aborted").await;
    stage.owners_form().await;
    stage.curtain().await.nothing_failed_but_at(&[first, second]);
}
