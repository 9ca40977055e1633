//! What must have held for the demo to succeed, each line with its numbers.

use serde_json::Value;

use crate::{
    support::{Tally, load::Second},
    timeline::Story,
};

/// The observed share may differ from the weight by this many standard deviations of a binomial share.
const DEVIATIONS: f64 = 4.0;
/// Requests below which a share says too little.
const ENOUGH_REQUESTS: u64 = 2_000;

/// Bad requests that a release may spend: 0.02 % of the budget.
const ALLOWANCE: u64 = 104;
/// A window of 5 s, its samples' way into Prometheus, and the controller's look.
const DETECTION_SECONDS: i64 = 20;

/// Prints every check; true if all held.
pub fn all(tally: &Tally, stories: &[Story; 3], status: &Value, rollout: &Value) -> bool {
    table(tally);
    let [promoted, reverted, late] = stories;
    let failed_v3 = tally.counts.get("v3").and_then(|codes| codes.get("500")).copied().unwrap_or_default();
    let mut held = vec![
        check("v2 was promoted", promoted.run["status"]["outcome"] == "Promoted", &message(promoted)),
        check(
            "at least three weights below 100 on the way",
            promoted.stood.iter().filter(|(weight, ..)| *weight < 100.0).count() >= 3,
            &format!("{:?}", promoted.stood.iter().map(|(weight, ..)| weight).collect::<Vec<_>>()),
        ),
        check(
            "no request failed but those that v3 answered with 500",
            tally.failed() == failed_v3 && tally.sent == tally.answered,
            &format!(
                "{} sent, {} answered, {} failed, {failed_v3} of them v3's",
                tally.sent,
                tally.answered,
                tally.failed()
            ),
        ),
        check(
            "v3 was taken back by the error budget",
            reverted.run["status"]["outcome"] == "Reverted" && reason(reverted) == "BudgetSpent",
            &message(reverted),
        ),
        spent(tally, reverted),
        check(
            "v4 was taken back by the deadline",
            late.run["status"]["outcome"] == "Reverted" && reason(late) == "NotReady",
            &message(late),
        ),
        check("v4 got no request", tally.of("v4") == 0, &format!("{} requests", tally.of("v4"))),
        check(
            "the status is about this generation",
            status["observedGeneration"] == rollout["metadata"]["generation"],
            &format!("phase {}, {}", status["phase"], status["message"]),
        ),
    ];
    for (weight, from, to) in &promoted.stood {
        held.push(share(tally, *weight, *from, *to));
    }
    let all = held.iter().all(|held| *held);
    println!("\n{}", if all { "demo: everything held" } else { "demo: FAILED" });
    all
}

fn share(tally: &Tally, weight: f64, from: i64, to: i64) -> bool {
    let (canary, all) = tally.between("v2", from, to);
    let (expected, observed) = (weight / 100.0, canary as f64 / all.max(1) as f64);
    let allowed = DEVIATIONS * (expected * (1.0 - expected) / all.max(1) as f64).sqrt();
    let held = all >= ENOUGH_REQUESTS && (observed - expected).abs() <= allowed;
    let numbers = format!("{canary} of {all} requests = {:.2} %, allowed +- {:.2}", observed * 100.0, allowed * 100.0);
    check(&format!("the gateway's split at weight {weight}"), held, &numbers)
}

/// The allowance was spent in under half a minute, and the traffic was taken back as soon as the windows showed it.
fn spent(tally: &Tally, story: &Story) -> bool {
    let bad = |second: &Second| second.counts.get("v3").and_then(|codes| codes.get("500")).copied().unwrap_or_default();
    let first = tally.seconds.iter().find(|second| second.counts.contains_key("v3")).map_or(0, |second| second.t);
    let mut sum = 0;
    let end = tally.seconds.iter().find(|second| {
        sum += bad(second);
        sum >= ALLOWANCE
    });
    let (spent, decided) = (end.map_or(i64::MAX, |second| second.t - first), story.decided - first);
    let numbers = format!("request {ALLOWANCE} failed after {spent} s, the verdict came after {decided} s");
    check("v3 spent its allowance in under half a minute", spent < 30 && decided - spent <= DETECTION_SECONDS, &numbers)
}

fn reason(story: &Story) -> &str {
    story.run["status"]["reason"].as_str().unwrap_or_default()
}

fn message(story: &Story) -> String {
    story.run["status"]["message"].as_str().unwrap_or_default().to_owned()
}

fn check(what: &str, held: bool, numbers: &str) -> bool {
    println!("  {} {what}: {numbers}", if held { "ok  " } else { "FAIL" });
    held
}

fn table(tally: &Tally) {
    println!("\nanswers by version and code, as the load generator counted them");
    for (version, codes) in &tally.counts {
        for (code, count) in codes {
            println!("  {:<8} {code:<12} {count:>8}", if version.is_empty() { "-" } else { version });
        }
    }
    println!();
}
