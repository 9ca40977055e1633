//! What the sequential tests say on real counters: a canary that is worse is taken back while the budget still stands, an
//! incident of both arms is nobody's fault, and a good version gets its Pass.

use std::process::Command;

use futures::future::join_all;
use serde_json::{Value, json};
use tidegate::{
    api::Span,
    controller::{HTTP_ROUTE, POD},
    stats::Timing,
};

use crate::{
    TIDEGATE,
    support::{
        Application, Load, Space, Stage,
        audit::writes_in,
        load::Second,
        space::{lab, rhythm},
        stage::{RATE, owners_form},
    },
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

/// How fast a Fail was acted on, in seconds.
struct Reaction {
    /// From the end of the deciding window's ingest delay to the answer to the write of weight 0.
    after_delay: f64,
    /// From the last scrape that the window can hold, at the earliest it can have been.
    after_scrape: f64,
    /// When the write was answered, in seconds since the epoch.
    lowered_at: i64,
}

async fn reaction(stage: &Stage) -> Reaction {
    let (_, _, evidence) = verdict(&stage.space).await;
    let (scrape, timing) = timing();
    let end = evidence["watermark"].as_i64().expect("a watermark");
    let readable = end + timing.ingest_delay;
    let route = writes_in(&stage.space.namespace).into_iter().filter(|write| write.plural == HTTP_ROUTE.plural);
    let lowered = route.map(|write| write.answered.as_millisecond()).find(|at| *at >= readable * 1_000);
    let lowered = lowered.expect("a write to the route");
    let since = |seconds: i64| (lowered - seconds * 1_000) as f64 / 1_000.0;
    Reaction {
        after_delay: since(readable),
        after_scrape: since(end) + scrape.as_seconds(),
        lowered_at: lowered / 1_000,
    }
}

/// How often the lab scrapes, and the lengths that follow.
fn timing() -> (Span, Timing) {
    let scrape: Span = lab("TIDEGATE_LAB_SCRAPE_INTERVAL").parse().expect("a duration");
    (scrape, Timing::of(scrape))
}

/// The run's record folds again to the same bits, and so do the samples that Prometheus still has.
async fn replays(space: &Space) {
    let run = space.newest_run("app").await.unwrap_or_default();
    let name = run["metadata"]["name"].as_str().unwrap_or_default();
    for flags in [&[][..], &["--from-prometheus"]] {
        let mut command = Command::new(TIDEGATE);
        command.args(["replay", &format!("rolloutrun/{name}"), "--namespace", &space.namespace]).args(flags);
        let out = command.output().expect("tidegate runs");
        let (said, why) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        println!("{said}");
        let stretches = &run["status"]["evidence"]["stretches"];
        assert!(out.status.success() && said.contains("identical bit for bit"), "{flags:?}: {said}{why}{stretches}");
    }
}

/// A number from the environment: `make lab-verdicts` asks for more than CI.
fn wanted(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Taken back by the comparison.
async fn taken_back(number: usize) -> Reaction {
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
    let reaction = reaction(&stage).await;
    replays(&stage.space).await;
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
        "weight 0 {:.3} s after the ingest delay, {:.3} s after the last scrape; the last bad answer of v2 in the second {:+} \
         of it; {said}",
        reaction.after_delay,
        reaction.after_scrape,
        last_bad - reaction.lowered_at
    );
    reaction
}

#[tokio::test]
async fn a_canary_with_five_times_the_errors_is_taken_back_while_the_budget_still_stands() {
    let reactions = join_all((0..wanted("VERDICT_REVERTS", 1)).map(taken_back)).await;
    let (_, timing) = timing();
    let bound = (timing.window + timing.ingest_delay + 1) as f64;
    let sorted = |seconds: fn(&Reaction) -> f64| {
        let mut took: Vec<f64> = reactions.iter().map(seconds).collect();
        took.sort_by(f64::total_cmp);
        took
    };
    let (after_delay, after_scrape) =
        (sorted(|reaction| reaction.after_delay), sorted(|reaction| reaction.after_scrape));
    let median = after_delay[after_delay.len() / 2];
    println!("weight 0 after the end of the deciding window's ingest delay: {after_delay:.3?} s, median {median:.3} s");
    println!("weight 0 after the scrape of its last sample: {after_scrape:.3?} s, each at most {bound} s");
    assert!(median < 1.0, "{after_delay:?}");
    assert!(after_scrape.iter().all(|took| *took <= bound), "{after_scrape:?}");
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
    replays(&stage.space).await;
    let (_, said, evidence) = verdict(&stage.space).await;
    assert!(said.contains("for a Pass") && !said.contains("without a Pass"), "{said}");
    let tests = &evidence["metrics"]["errors"]["tests"];
    let number = |key: &str| tests[key].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    assert!(number("passEvidence") >= number("passThreshold") && number("passThreshold") == 20.0, "{tests}");
    stage.nothing_failed().await;
}

/// Rollouts of a version to its equal, with errors in both, at once and two in a namespace; their number can be set.
#[tokio::test]
async fn versions_like_stable_are_never_taken_back() {
    let pair = async |number: usize| {
        let mut stage = Stage::new(&format!("verdicts-same-{number}"), TIDEGATE, |app| {
            compared(app);
            app.steps = json!([{"weight": 20, "bake": "20s"}, {"weight": 50, "bake": "20s"}]);
            app.set("ERROR_RATE", "0.02");
        })
        .await;
        let mut twin = stage.app.clone();
        (twin.name, twin.host) = ("twin".into(), format!("twin.{}", stage.app.host));
        twin.apply(&stage.space).await;
        stage.space.until_healthy("twin", 60).await;
        let _load = Load::when_served(&stage.space, &twin.host, RATE).await;
        twin.version = "v2".into();
        twin.release(&stage.space).await;
        stage.release("v2").await;
        for name in ["app", "twin"] {
            stage.space.until_outcome(name, "v2", "Promoted", 300).await;
        }
        rhythm(0.1).await;
        stage.owners_form().await;
        owners_form(&stage.space, &twin).await;
    };
    join_all((0..wanted("VERDICT_ROLLOUTS", 2).div_ceil(2)).map(pair)).await;
}
