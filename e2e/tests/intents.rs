//! What people and pipelines ask for: what is meant for another moment changes nothing and is told why, and the command line
//! does the same with exit codes and sentences.

use std::process::Command;

use serde_json::{Value, json};

use crate::{TIDEGATE, support::Stage};

/// Two gates that hold the run at 20 and at 50.
async fn at_20(namespace: &str, approvals: u32) -> Stage {
    let mut stage = Stage::new(namespace, TIDEGATE, |app| {
        app.steps = json!([
            {"weight": 20, "bake": "1s", "gates": [{"name": "qa", "approvals": approvals}]},
            {"weight": 50, "bake": "1s", "gates": [{"name": "go"}]},
        ]);
    })
    .await;
    stage.release_to("v2", 20).await;
    stage
}

/// What an intent could change.
async fn standing(stage: &Stage) -> Value {
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    let status = &run["status"];
    let keys =
        ["seq", "phase", "step", "weight", "paused", "skipBake", "skipAll", "approvals", "decisions", "consumed"];
    let kept: Vec<&Value> = keys.iter().map(|key| &status[key]).collect();
    json!([run["metadata"]["name"], kept, stage.share().await])
}

/// Refused with this in its sentence, and nothing has changed.
async fn refused(stage: &Stage, kind: &str, rollout: &str, more: Value, why: &str) {
    let before = standing(stage).await;
    let action = stage.space.act(kind, rollout, more.clone()).await;
    let (outcome, message) = stage.space.answer(&action).await;
    assert_eq!(outcome, "Refused", "{kind} {more}: {message}");
    assert!(message.contains(why), "{kind} {more}: {message:?} does not say {why:?}");
    assert_eq!(standing(stage).await, before, "{kind} {more} changed something");
}

async fn accepted(stage: &Stage, kind: &str, more: Value, what: &str) {
    let action = stage.space.act(kind, "app", more).await;
    let (outcome, message) = stage.space.answer(&action).await;
    assert!(outcome == "Accepted" && message.contains(what), "{kind}: {outcome}: {message}");
}

#[tokio::test]
async fn a_wish_that_is_given_twice_counts_once() {
    let mut stage = at_20("intents-twice", 2).await;
    let ada = || json!({"gate": "qa", "author": "ada"});
    accepted(&stage, "Approve", ada(), "gate qa is approved by ada").await;
    refused(&stage, "Approve", "app", ada(), "ada has approved gate qa already").await;
    accepted(&stage, "Pause", json!({"author": "ada", "reason": "lunch"}), "paused by ada (author: unverified): lunch")
        .await;
    refused(&stage, "Pause", "app", json!({"author": "ada"}), "paused already").await;
    accepted(&stage, "Resume", json!({"author": "bob"}), "resumed by bob").await;
    refused(&stage, "Resume", "app", json!({"author": "bob"}), "not paused").await;
    accepted(&stage, "PromoteFull", json!({"author": "bob"}), "full promotion by bob").await;
    stage.until_outcome("v2", "Promoted").await;
    refused(&stage, "PromoteFull", "app", json!({"author": "bob"}), "no run in progress").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_gate_opens_with_the_approvals_of_two_authors() {
    let mut stage = at_20("intents-gate", 2).await;
    let approve = |gate: &str, author: &str| json!({"gate": gate, "author": author});
    refused(&stage, "Approve", "app", approve("go", "ada"), "no gate go; it has qa").await;
    accepted(&stage, "Approve", approve("qa", "ada"), "approved by ada").await;
    stage.space.until_phase("app", "Paused", 20).await;
    let status = stage.space.status("app").await;
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("gate qa of step 1 has 1 of 2 approvals"), "{message}");
    accepted(&stage, "Approve", approve("qa", "bob"), "approved by bob").await;
    stage.space.until_at("app", 50, 40).await;
    let late = "it is for step 0 (counted from 0); the run is in step 1";
    refused(&stage, "Promote", "app", json!({"step": 0, "author": "ada"}), late).await;
    accepted(&stage, "Promote", json!({"step": 1, "author": "ada"}), "step 2 is promoted by ada").await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn what_is_meant_for_another_run_or_rollout_changes_nothing() {
    let mut stage = at_20("intents-other", 1).await;
    let old = stage.space.newest_run("app").await.unwrap_or_default()["metadata"]["name"].clone();
    accepted(&stage, "Abort", json!({"author": "ada", "reason": "slow"}), "aborted by ada (author: unverified): slow")
        .await;
    stage.until_outcome("v2", "Aborted").await;
    stage.release_to("v3", 20).await;
    let old = old.as_str().unwrap_or_default();
    for kind in ["Promote", "PromoteFull", "Pause", "Abort"] {
        let of_old = json!({"run": old, "author": "ada"});
        refused(&stage, kind, "app", of_old, &format!("it is for RolloutRun {old}; the current one is app-")).await;
    }
    let uid = "00000000-0000-4000-8000-000000000000";
    let stranger = json!({"rolloutUID": uid, "author": "ada"});
    refused(&stage, "Abort", "app", stranger, &format!("it is for a Rollout with uid {uid}; app has uid")).await;
    let nobody = "there is no Rollout checkout in namespace intents-other";
    refused(&stage, "Abort", "checkout", json!({"author": "ada"}), nobody).await;
    accepted(&stage, "PromoteFull", json!({"author": "ada"}), "full promotion").await;
    stage.until_outcome("v3", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

/// The command line in this stage's namespace: exit code, stdout and stderr.
fn tidegate(stage: &Stage, line: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(TIDEGATE);
    command.args(["--namespace", &stage.space.namespace]).args(line.split(' '));
    let out = command.output().expect("tidegate runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

fn done(stage: &Stage, line: &str, sentence: &str) {
    let (code, out, err) = tidegate(stage, line);
    assert_eq!((code, err.as_str()), (Some(0), ""), "tidegate {line}: {out}");
    assert!(out.starts_with("accepted: ") && out.contains(sentence), "tidegate {line}: {out}");
}

fn failed(stage: &Stage, line: &str, sentences: &[&str]) {
    let (code, out, err) = tidegate(stage, line);
    assert_eq!((code, out.as_str()), (Some(1), ""), "tidegate {line}: {err}");
    assert!(sentences.iter().all(|sentence| err.contains(sentence)), "tidegate {line}: {err}");
}

#[tokio::test]
async fn the_command_line_says_what_became_of_an_intent() {
    let mut stage = at_20("intents-cli", 1).await;
    failed(&stage, "promote apq", &["Rollout \"apq\" not found in namespace \"intents-cli\"", "Did you mean app?"]);
    done(&stage, "pause app --reason lunch", ": lunch");
    let paused = async |yes: bool| {
        let run = stage.space.newest_run("app").await.unwrap_or_default();
        assert_eq!(run["status"]["paused"], yes, "{}", run["status"]);
    };
    paused(true).await;
    stage.space.until_phase("app", "Paused", 10).await;
    failed(&stage, "pause app", &["refused: the run is paused already"]);
    done(&stage, "resume app --reason back", ": back");
    paused(false).await;
    done(&stage, "promote app --reason tested", "step 1 is promoted by");
    stage.space.until_at("app", 50, 40).await;
    done(&stage, "abort app --reason slow", ": slow");
    stage.until_outcome("v2", "Aborted").await;
    assert_eq!(stage.share().await, 0.0);
    stage.owners_form().await;
    failed(&stage, "resume app", &["refused: Rollout app has no run in progress"]);
    done(&stage, "retry app --reason again", "was started");
    let again = async || stage.space.list(tidegate::controller::RUN).await.len() == 2;
    stage.space.until("a second run", 20, again).await;
    stage.space.until_at("app", 20, 40).await;
    done(&stage, "promote app --full --reason urgent", "full promotion by");
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}
