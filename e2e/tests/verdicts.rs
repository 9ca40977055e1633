//! What the sequential tests say on real counters: a canary that is worse is taken back while the budget still stands, an
//! incident of both arms is nobody's fault, and a good version gets its Pass.

use futures::future::join_all;
use serde_json::{Value, json};
use tidegate::controller::{HTTP_ROUTE, POD};

use crate::{
    TIDEGATE,
    support::{Application, Space, Stage, audit::writes_in, load::Second, space::rhythm},
};

/// Half of the requests, so that a minute is enough, and a budget that nothing here can spend.
fn compared(app: &mut Application) {
    app.metrics = Application::envoy_errors();
    app.steps = json!([{"weight": 50, "bake": "45s"}]);
    app.budget = Some(json!({"objective": "90", "window": "720h", "maxSpend": "100", "expectedRequests": 10_000_000}));
}

/// The run's reason, its sentences, and the record of its metric's tests.
async fn verdict(space: &Space) -> (String, String, Value) {
    let run = space.newest_run("app").await.unwrap_or_default();
    let entries = run["status"]["decisions"]["entries"].as_array().cloned().unwrap_or_default();
    let said: Vec<&str> = entries.iter().filter_map(|entry| entry["message"].as_str()).collect();
    let reason = run["status"]["reason"].as_str().unwrap_or_default();
    (reason.to_owned(), said.join("\n"), run["status"]["evidence"].clone())
}

/// Lets a share of all answers of these pods be errors from now on.
async fn break_all(space: &Space, rate: f64) {
    let client = reqwest::Client::new();
    for pod in space.list(POD).await {
        let Some(address) = pod["status"]["podIP"].as_str() else { continue };
        let url = format!("http://{address}:8080/-/errors?rate={rate}");
        let answer = client.post(url).send().await.expect("the pod answers");
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

/// Seconds from the end of the deciding window's ingest delay to the answer to the write of weight 0, and when that was.
async fn reaction(stage: &Stage) -> (f64, i64) {
    let (_, _, evidence) = verdict(&stage.space).await;
    // One scrape of 2 s, and 2 s.
    let readable = evidence["watermark"].as_i64().expect("a watermark") + 4;
    let route = writes_in(&stage.space.namespace).into_iter().filter(|write| write.plural == HTTP_ROUTE.plural);
    let lowered = route.map(|write| write.answered.as_millisecond()).find(|at| *at >= readable * 1_000);
    let lowered = lowered.expect("a write to the route");
    ((lowered - readable * 1_000) as f64 / 1_000.0, lowered / 1_000)
}

/// A number from the environment: `make lab-verdicts` asks for more than CI.
fn wanted(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Taken back by the comparison. The time from the end of the deciding window's ingest delay to weight 0.
async fn taken_back(number: usize) -> f64 {
    let mut stage = Stage::new(&format!("verdicts-worse-{number}"), TIDEGATE, |app| {
        compared(app);
        app.set("ERROR_RATE", "0.02");
        app.steps = json!([{"weight": 50, "bake": "10m"}]);
    })
    .await;
    stage.app.set("ERROR_RATE", "0.1");
    stage.release("v2").await;
    stage.space.until_outcome("app", "v2", "Reverted", 240).await;
    let (reason, said, evidence) = verdict(&stage.space).await;
    assert_eq!(reason, "WorseThanControl", "{said}");
    assert!(said.contains("points above stable's") && said.contains(" needed"), "{said}");
    let spend = &evidence["spend"];
    assert!(spend["excessHundredths"].as_i64() < spend["allowance"].as_i64().map(|requests| requests * 50), "{spend}");
    let (took, lowered_at) = reaction(&stage).await;
    stage.owners_form().await;
    let tally = stage.curtain().await;
    let own = |version: &str| tally.counts.get(version).and_then(|codes| codes.get("500")).copied().unwrap_or_default();
    assert_eq!(
        tally.failed(),
        own("v1") + own("v2"),
        "only what the versions answered with 500 failed: {:?}",
        tally.counts
    );
    let is_bad = |second: &&Second| second.counts.get("v2").is_some_and(|codes| codes.contains_key("500"));
    let last_bad = tally.seconds.iter().filter(is_bad).map(|second| second.t).max().unwrap_or_default();
    println!(
        "weight 0 after {took:.3} s, the last bad answer of v2 in the second {:+} of it; {said}",
        last_bad - lowered_at
    );
    took
}

#[tokio::test]
async fn a_canary_with_five_times_the_errors_is_taken_back_while_the_budget_still_stands() {
    let mut took = join_all((0..wanted("VERDICT_REVERTS", 1)).map(taken_back)).await;
    took.sort_by(f64::total_cmp);
    let median = took[took.len() / 2];
    println!("from the end of the deciding window's ingest delay to weight 0: {took:.3?} s, median {median:.3} s");
    assert!(median < 1.0, "{took:?}");
}

#[tokio::test]
async fn an_incident_of_both_versions_holds_without_blame_and_the_release_goes_on_after_it() {
    let mut stage = Stage::new("verdicts-shared", TIDEGATE, compared).await;
    stage.release_to("v2", 50).await;
    break_all(&stage.space, 0.9).await;
    let held = async || stage.space.reason_of("app").await == "SharedDegradation";
    stage.space.until("SharedDegradation", 90, held).await;
    assert_eq!(stage.share().await, 50.0, "the weight stays");
    break_all(&stage.space, 0.0).await;
    stage.space.until_outcome("app", "v2", "Promoted", 240).await;
    stage.owners_form().await;
}

#[tokio::test]
async fn a_version_like_stable_is_promoted_with_a_pass() {
    let mut stage = Stage::new("verdicts-pass", TIDEGATE, compared).await;
    stage.release("v2").await;
    stage.until_outcome("v2", "Promoted").await;
    let (_, said, evidence) = verdict(&stage.space).await;
    assert!(said.contains("for a Pass") && !said.contains("without a Pass"), "{said}");
    let tests = &evidence["metrics"]["errors"]["tests"];
    let number = |key: &str| tests[key].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    assert!(number("passEvidence") >= number("passThreshold") && number("passThreshold") == 20.0, "{tests}");
    stage.nothing_failed().await;
}

/// Rollouts of a version to its equal, with errors in both, at once; their number can be set.
#[tokio::test]
async fn versions_like_stable_are_never_taken_back() {
    let one = async |number: usize| {
        let mut stage = Stage::new(&format!("verdicts-same-{number}"), TIDEGATE, |app| {
            compared(app);
            app.steps = json!([{"weight": 20, "bake": "20s"}, {"weight": 50, "bake": "20s"}]);
            app.set("ERROR_RATE", "0.02");
        })
        .await;
        stage.release("v2").await;
        stage.space.until_outcome("app", "v2", "Promoted", 300).await;
        rhythm(0.1).await;
        stage.owners_form().await;
    };
    join_all((0..wanted("VERDICT_ROLLOUTS", 2)).map(one)).await;
}
