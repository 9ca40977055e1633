//! RolloutPolicies on the real API server: a run holds in a freeze window and goes on by itself, going back goes through it, a
//! person may override it with a reason, a new version waits while the service burns its error budget, and a Rollout that breaks a
//! policy is stalled before anything moves.
//!
//! Policies are the whole cluster's, so each selects the test's own namespace only. A window is made from the present minute.

use jiff::{Timestamp, tz::TimeZone};
use kube::api::PropagationPolicy;
use serde_json::{Value, json};
use tidegate::controller::{NAMESPACE, ROLLOUT_POLICY};

use crate::{
    TIDEGATE,
    support::{Application, Relay, Stage, space::lab},
};

async fn policy(stage: &Stage, mut spec: Value) {
    let name = &stage.space.namespace;
    if spec.get("namespaces").is_none() {
        spec["namespaces"] = json!({"names": [name]});
    }
    let document = json!({
        "apiVersion": "tidegate.io/v1alpha1", "kind": "RolloutPolicy", "metadata": {"name": name}, "spec": spec,
    });
    stage.space.apply_as("platform", true, ROLLOUT_POLICY, document).await.expect("the policy is applied");
}

async fn no_policy(stage: &Stage) {
    stage.space.delete(ROLLOUT_POLICY, &stage.space.namespace, PropagationPolicy::Background).await;
}

/// A window that is open since this minute began, and when it ends.
fn window(seconds: i64) -> (Value, Timestamp) {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let (minute, hour, since) = (now.minute(), now.hour(), i64::from(now.second()));
    let duration = format!("{}s", since + seconds);
    let ends = Timestamp::from_second(now.timestamp().as_second() + seconds).expect("a time");
    (json!({"name": "now", "schedule": format!("{minute} {hour} * * *"), "duration": duration}), ends)
}

/// A window that opens again before it ends.
fn always() -> Value {
    json!({"freezeWindows": [{"name": "always", "schedule": "* * * * *", "duration": "2m"}]})
}

async fn until_reason(stage: &Stage, reason: &str) -> Value {
    let what = format!("the reason to be {reason}");
    stage.space.until(&what, 30, async || stage.space.reason_of("app").await == reason).await;
    stage.space.status("app").await
}

fn condition<'s>(status: &'s Value, kind: &str) -> &'s Value {
    let found = status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
    found.unwrap_or(&Value::Null)
}

async fn stage(namespace: &str) -> Stage {
    Stage::new(namespace, TIDEGATE, |app| {
        app.steps = json!([{"weight": 20, "bake": "5s"}, {"weight": 50, "bake": "1s"}]);
    })
    .await
}

#[tokio::test]
async fn a_run_holds_in_a_freeze_window_and_goes_on_by_itself_when_it_ends() {
    let mut stage = stage("guardrails-hold").await;
    stage.release_to("v2", 20).await;
    let (open, ends) = window(20);
    policy(&stage, json!({"freezeWindows": [open]})).await;
    let status = until_reason(&stage, "Frozen").await;
    assert_eq!((&status["phase"], &status["weight"]), (&json!("Paused"), &json!(20)));
    assert_eq!(condition(&status, "Paused")["status"], "True");
    let said = format!("freeze window now of RolloutPolicy guardrails-hold ends at {ends}; the run stays at weight 20");
    assert_eq!(status["message"], said);

    stage.until_outcome("v2", "Promoted").await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    let decisions = run["status"]["decisions"]["entries"].as_array().cloned().unwrap_or_default();
    let raised = decisions.iter().find(|decision| decision["weight"] == 50).expect("a decision at weight 50");
    let at: Timestamp = raised["at"].as_str().unwrap_or_default().parse().expect("a time");
    assert!(at >= ends && at.as_second() - ends.as_second() < 10, "raised at {at}, the window ended at {ends}");
    no_policy(&stage).await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn an_abort_goes_through_a_freeze_window_and_a_new_template_waits_for_a_persons_word() {
    let mut stage = stage("guardrails-abort").await;
    stage.release_to("v2", 20).await;
    policy(&stage, always()).await;
    until_reason(&stage, "Frozen").await;
    stage.space.act("Abort", "app", json!({"author": "ada"})).await;
    stage.until_outcome("v2", "Aborted").await;
    stage.owners_form().await;

    stage.release("v3").await;
    let status = until_reason(&stage, "Frozen").await;
    assert_eq!((&status["phase"], &condition(&status, "Completed")["status"]), (&json!("Pending"), &json!("False")));
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    assert_eq!(run["spec"]["release"], "v2", "nothing has started");

    let action = stage.space.act("Override", "app", json!({"author": "ada", "reason": "an incident"})).await;
    let (outcome, message) = stage.space.answer(&action).await;
    assert_eq!(
        (outcome.as_str(), message.as_str()),
        ("Accepted", "freeze windows are overridden by ada (author: unverified): an incident")
    );
    stage.until_outcome("v3", "Promoted").await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    assert_eq!(run["status"]["freezeOverride"], json!({"author": "ada", "verified": false, "reason": "an incident"}));
    no_policy(&stage).await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

#[tokio::test]
async fn a_rollout_that_breaks_a_policy_is_stalled_until_one_of_them_changes() {
    let mut stage = stage("guardrails-broken").await;
    let labels = json!({"metadata": {"labels": {"guardrails": "strict"}}});
    policy(
        &stage,
        json!({
            "namespaces": {"matchLabels": {"guardrails": "strict"}},
            "limits": {"maxFirstStep": 5, "minTotalBake": "1h"},
            "traffic": {"hostnames": ["shop.example.com"]},
        }),
    )
    .await;
    stage.space.merge(NAMESPACE, "guardrails-broken", labels).await.expect("the namespace is labelled");
    stage.release("v2").await;
    let status = until_reason(&stage, "PolicyViolation").await;
    assert_eq!((&status["phase"], &condition(&status, "Stalled")["status"]), (&json!("Degraded"), &json!("True")));
    let message = status["message"].as_str().unwrap_or_default();
    for part in [
        "RolloutPolicy guardrails-broken: spec.strategy has a first step to weight 20, 5 at most",
        "the bakes of spec.strategy add up to 6s, 1h at least",
        &format!("HTTPRoute app has the hostname {}, which is not allowed", stage.app.host),
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(stage.space.newest_run("app").await.is_none(), "nothing has started");
    no_policy(&stage).await;
    stage.until_outcome("v2", "Promoted").await;
    stage.owners_form().await;
    stage.nothing_failed().await;
}

/// The service's own metrics server cannot be reached, and then says that half of its requests fail.
#[tokio::test]
async fn a_new_version_waits_while_the_service_burns_its_budget_or_nobody_knows_and_a_person_lets_the_repair_start() {
    let address = lab("TIDEGATE_LAB_PROMETHEUS");
    let mut relay = Relay::to(address.trim_start_matches("http://").trim_end_matches('/')).await;
    let mut stage = Stage::new("guardrails-budget", TIDEGATE, |app| {
        app.steps = json!([{"weight": 20, "bake": "5s"}]);
        app.metrics = Application::envoy_errors();
        app.budget = Some(json!({"objective": "99.9"}));
        app.provider = Some("guardrails-budget".into());
        app.set("ERROR_RATE", "0.5");
    })
    .await;
    stage.space.provider("guardrails-budget", &format!("http://{}", relay.address), false).await;
    policy(&stage, json!({"errorBudget": {"minRemaining": 10}})).await;
    relay.shut().await;
    stage.app.set("ERROR_RATE", "0");
    stage.release("v2").await;
    let status = until_reason(&stage, "MetricsUnavailable").await;
    assert_eq!((&status["phase"], &condition(&status, "Completed")["status"]), (&json!("Pending"), &json!("False")));
    let how = "if this release is the repair: tidegate override app -n guardrails-budget --reason WHY";
    let message = status["message"].as_str().unwrap_or_default().to_owned();
    let said = "a new template waits: the service's error budget, which RolloutPolicy guardrails-budget guards, cannot be read: \
                MetricsProvider guardrails-budget, metric errors: failed to reach the metrics server";
    assert!(message.starts_with(said) && message.ends_with(how), "{message}");

    relay.open().await;
    let burns = async || stage.space.reason_of("app").await == "BudgetBurning";
    stage.space.until("the service to burn its budget", 60, burns).await;
    let message = stage.space.status("app").await["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.starts_with("a new template waits: the service burns its error budget "), "{message}");
    assert!(message.ends_with(&format!("(RolloutPolicy guardrails-budget); {how}")), "{message}");
    println!("{message}");
    assert!(stage.space.newest_run("app").await.is_none(), "nothing has started");

    let action = stage.space.act("Override", "app", json!({"author": "ada", "reason": "the repair"})).await;
    let (outcome, message) = stage.space.answer(&action).await;
    assert!(outcome == "Accepted" && message.ends_with(" was started"), "{outcome}: {message}");
    stage.until_outcome("v2", "Promoted").await;
    let run = stage.space.newest_run("app").await.unwrap_or_default();
    let first = run["status"]["decisions"]["entries"][0]["message"].as_str().unwrap_or_default();
    let word = "the guard of the error budget is overridden by ada (author: unverified): the repair";
    assert!(first.ends_with(word), "{first}");
    no_policy(&stage).await;
    stage.owners_form().await;
    let tally = stage.curtain().await;
    let of_v1 = tally.counts.get("v1").and_then(|codes| codes.get("500")).copied().unwrap_or_default();
    assert_eq!(tally.failed(), of_v1, "only what v1 answered with 500 failed: {:?}", tally.counts);
}
