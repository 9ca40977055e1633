//! Those who own the Service, the route and the Rollout go on applying them: kubectl and Helm 4 by server-side apply without
//! force, and a manager that forces.
//!
//! An owner's upgrade resets what a run has written, which is the safe direction; twice within an hour is contention, so
//! each run here meets one upgrade.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};
use tidegate::controller::{HTTP_ROUTE, ROLLOUT, RUN, SERVICE};

use crate::{
    TIDEGATE,
    support::{
        Application, Stage,
        space::{lab, percent, rhythm},
    },
};

/// Somebody who applies the whole application from files. Each upgrade carries a label that differs from the last.
struct Owner {
    tool: fn(&str, &PathBuf) -> Command,
    folder: PathBuf,
    upgrades: u32,
}

fn kubectl(namespace: &str, folder: &PathBuf) -> Command {
    let mut command = Command::new("kubectl");
    command.args(["-n", namespace, "apply", "--server-side", "--field-manager=owner", "--filename"]);
    command.arg(folder.join("templates"));
    command
}

fn helm(namespace: &str, folder: &PathBuf) -> Command {
    let mut command = Command::new("helm");
    command.args(["-n", namespace, "upgrade", "--install", "app"]).arg(folder);
    command
}

impl Owner {
    fn new(namespace: &str, tool: fn(&str, &PathBuf) -> Command) -> Self {
        let folder = PathBuf::from(lab("TIDEGATE_LAB_DIR")).join(format!("chart-{namespace}"));
        std::fs::create_dir_all(folder.join("templates")).expect("a folder");
        std::fs::write(folder.join("Chart.yaml"), "{apiVersion: v2, name: app, version: 0.1.0}").expect("a chart");
        Self { tool, folder, upgrades: 0 }
    }

    /// Applies Service, route and Rollout as the application is now; the tool must succeed.
    fn upgrade(&mut self, namespace: &str, app: &Application) {
        self.upgrades += 1;
        for mut document in [app.service(), app.route(), app.rollout()] {
            document["metadata"]["labels"] = json!({"upgrade": self.upgrades.to_string()});
            let file = format!("templates/{}.yaml", document["kind"].as_str().unwrap_or_default());
            // Placeholders of metrics are not Helm's.
            let text = document.to_string();
            assert!(!text.contains("{{"));
            std::fs::write(self.folder.join(file), text).expect("a manifest");
        }
        let output = (self.tool)(namespace, &self.folder).output().expect("the tool runs");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "upgrade {}: {said}", self.upgrades);
    }
}

fn shape(app: &mut Application) {
    app.steps = json!([{"weight": 20, "bake": "3s"}]);
    (app.soak, app.drain) = ("3s", "1s");
}

/// Upgrades at rest, in a step, in the soak, and after three runs.
async fn upgrades_succeed(namespace: &str, tool: fn(&str, &PathBuf) -> Command) {
    let mut owner = Owner::new(namespace, tool);
    let mut stage = Stage::by(namespace, TIDEGATE, shape, |app| owner.upgrade(namespace, app)).await;
    owner.upgrade(namespace, &stage.app);

    stage.app.version = "v2".into();
    owner.upgrade(namespace, &stage.app);
    stage.until_release("v2", 20).await;
    let in_step = now();
    owner.upgrade(namespace, &stage.app);
    let reset = |status: &Value| status["resets"].as_array().is_some_and(|resets| !resets.is_empty());
    stage.space.until_run("app", "the reset to be noticed", 20, reset).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;

    stage.app.version = "v3".into();
    owner.upgrade(namespace, &stage.app);
    stage.space.until_phase("app", "Soaking", 60).await;
    let in_soak = now();
    owner.upgrade(namespace, &stage.app);
    stage.until_outcome("v3", "Promoted").await;
    stage.owners_form().await;

    stage.app.version = "v4".into();
    owner.upgrade(namespace, &stage.app);
    stage.until_outcome("v4", "Promoted").await;
    stage.owners_form().await;
    owner.upgrade(namespace, &stage.app);
    rhythm(1.0).await;
    stage.owners_form().await;

    let runs = stage.space.list(RUN).await;
    let resets: Vec<_> = runs.iter().map(|run| run["status"]["resets"].clone()).collect();
    assert_eq!(runs.len(), 3, "one run for each version: {resets:?}");
    stage.curtain().await.nothing_failed_but_at(&[in_step, in_soak]);
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test]
async fn kubectl_applies_on_the_server_without_force_and_never_conflicts() {
    upgrades_succeed("owners-kubectl", kubectl).await;
}

#[tokio::test]
async fn helm_upgrades_without_force_and_never_conflicts() {
    upgrades_succeed("owners-helm", helm).await;
}

/// The weight that the canary has at most in this run.
const WEIGHT: u32 = 20;
const PERIOD_SECONDS: f64 = 4.0;

#[tokio::test]
async fn a_manager_that_forces_costs_no_request_and_gives_the_canary_no_more_than_its_weight() {
    let mut stage = Stage::new("owners-force", TIDEGATE, |app| {
        app.steps = json!([{"weight": WEIGHT, "bake": "10m"}]);
    })
    .await;
    stage.release_to("v2", WEIGHT).await;
    let begin = now();
    let mut resets = Vec::new();
    for _ in 0..6 {
        resets.push(now());
        for (kind, document) in
            [(SERVICE, stage.app.service()), (HTTP_ROUTE, stage.app.route()), (ROLLOUT, stage.app.rollout())]
        {
            stage.space.apply_as("gitops", true, kind, document).await.expect("a forced apply succeeds");
        }
        rhythm(PERIOD_SECONDS).await;
    }
    let contended = |status: &Value| {
        let reason = status["reason"].as_str().unwrap_or_default();
        percent(&status["weight"]) == 0.0 && reason.ends_with("Contended")
    };
    stage.space.until_run("app", "the run to be held as contended", 20, contended).await;
    let end = now();
    let tally = stage.curtain().await;
    tally.nothing_failed_but_at(&resets);
    // The second of a reset and the one after it: a second of the clock is not a second of the manager's.
    let (mut of, mut all) = (0, 0);
    for second in (begin..end).filter(|second| !resets.iter().any(|reset| (*reset..=reset + 1).contains(second))) {
        let (canary, total) = tally.between("v2", second, second + 1);
        assert!(canary * 2 <= total, "second {second}: {canary} of {total} requests at weight {WEIGHT} or less");
        (of, all) = (of + canary, all + total);
    }
    let share = f64::from(WEIGHT) / 100.0;
    let allowed = all as f64 * share + 4.0 * (all as f64 * share * (1.0 - share)).sqrt();
    assert!(all > 300 && (of as f64) <= allowed, "{of} of {all} requests, {allowed:.0} allowed for weight {WEIGHT}");
    stage.space.act("Abort", "app", json!({"author": "ada"})).await;
    stage.until_outcome("v2", "Aborted").await;
}
