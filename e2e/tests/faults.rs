//! The API server answers with errors, late, or not at all, watches say nothing, and a second controller does the same work:
//! the run comes to its end, no request fails, and no law is broken.

use std::time::Duration;

use tidegate::controller::RUN;

use crate::{
    TIDEGATE,
    support::{
        Controller, Ledger, Proxy, Stage,
        fault::{Fault, Of, Rule},
        watches::Watches,
    },
};

async fn promoted(mut stage: Stage, proxies: &[&Proxy], ledger: &Ledger) {
    stage.until_outcome("v2", "Promoted").await;
    for proxy in proxies {
        proxy.inject(&[]);
    }
    stage.owners_form().await;
    assert_eq!(stage.space.list(RUN).await.len(), 1, "one run");
    ledger.judge(proxies).await.holds();
    stage.nothing_failed().await;
}

const fn rule(of: Of, every: u64, fault: Fault) -> Rule {
    Rule { of, every, fault }
}

#[tokio::test]
async fn with_errors_and_slow_answers_of_the_api_server_a_version_is_promoted() {
    let (mut stage, proxy) = Stage::behind_proxy("faults-answers", TIDEGATE, |_| {}).await;
    let ledger = Ledger::open(&stage.space).await;
    let writes = Of::Writes("");
    proxy.inject(&[
        rule(writes, 9, Fault::Applied504),
        rule(writes, 7, Fault::Refused(409)),
        rule(writes, 11, Fault::Refused(503)),
        rule(writes, 13, Fault::Refused(504)),
        rule(writes, 17, Fault::Refused(429)),
        rule(writes, 19, Fault::Refused(500)),
        rule(writes, 23, Fault::AppliedLost),
        rule(writes, 29, Fault::Lost),
        rule(writes, 3, Fault::Slow(Duration::from_millis(300))),
        // One read in seven.
        rule(Of::Reads, 13, Fault::Refused(503)),
        rule(Of::Reads, 29, Fault::Refused(504)),
        rule(Of::Reads, 37, Fault::Lost),
        rule(Of::Reads, 101, Fault::Refused(429)),
        rule(Of::Reads, 41, Fault::Slow(Duration::from_millis(700))),
    ]);
    stage.release("v2").await;
    // Each write that fails costs a pass and the back-off after it.
    stage.space.until_outcome("app", "v2", "Promoted", 240).await;
    let (injected, asked) = (proxy.injected(), proxy.asked().len());
    println!("{injected} faults, {asked} writes");
    assert!(injected > 20, "only {injected} faults");
    promoted(stage, &[&proxy], &ledger).await;
}

#[tokio::test]
async fn every_write_applied_and_answered_with_504_once_in_two_still_promotes() {
    let (mut stage, proxy) = Stage::behind_proxy("faults-applied", TIDEGATE, |_| {}).await;
    let ledger = Ledger::open(&stage.space).await;
    proxy.inject(&[rule(Of::Writes(""), 2, Fault::Applied504)]);
    stage.release("v2").await;
    promoted(stage, &[&proxy], &ledger).await;
}

/// Polling looks every five minutes at what rests: that it is found earlier is by a list.
#[tokio::test]
async fn with_watches_that_break_off_a_release_is_found_by_listing() {
    let (mut stage, proxy) = Stage::behind_proxy("faults-relist", TIDEGATE, |_| {}).await;
    let ledger = Ledger::open(&stage.space).await;
    proxy.watches(Watches::Dropped);
    stage.release("v2").await;
    stage.space.until_run("app", "a run of v2", 90, |status| !status["phase"].is_null()).await;
    promoted(stage, &[&proxy], &ledger).await;
}

/// Nothing comes by a watch any more from the run's first step on.
async fn without_watches(namespace: &str, rule: Watches) {
    let (mut stage, proxy) = Stage::behind_proxy(namespace, TIDEGATE, |_| {}).await;
    let ledger = Ledger::open(&stage.space).await;
    stage.release("v2").await;
    stage.space.until_run("app", "a run", 30, |status| status["phase"] == "Stepping").await;
    proxy.watches(rule);
    promoted(stage, &[&proxy], &ledger).await;
}

#[tokio::test]
async fn with_silent_watches_a_run_goes_on_by_polling() {
    without_watches("faults-silent", Watches::Silent).await;
}

#[tokio::test]
async fn with_watches_that_break_off_a_run_goes_on_by_polling() {
    without_watches("faults-dropped", Watches::Dropped).await;
}

#[tokio::test]
async fn with_watches_that_are_late_a_version_is_promoted() {
    let (mut stage, proxy) = Stage::behind_proxy("faults-delayed", TIDEGATE, |_| {}).await;
    let ledger = Ledger::open(&stage.space).await;
    proxy.watches(Watches::Delayed(Duration::from_secs(3)));
    stage.release("v2").await;
    promoted(stage, &[&proxy], &ledger).await;
}

#[tokio::test]
async fn two_controllers_at_once_break_no_law_and_promote() {
    let (mut stage, proxy) = Stage::behind_proxy("faults-two", TIDEGATE, |_| {}).await;
    let other = Proxy::start(&stage.space).await;
    let _second = Controller::start_by(&stage.space, TIDEGATE, other.kubeconfig.clone());
    let ledger = Ledger::open(&stage.space).await;
    stage.release("v2").await;
    promoted(stage, &[&proxy, &other], &ledger).await;
    assert!(!proxy.written().is_empty() && !other.written().is_empty(), "both of them wrote");
}
