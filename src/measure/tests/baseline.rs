//! Runs whose control is a baseline: whose requests are compared, in which shares, and who answers for the time before.

use super::*;

const BASELINE: &str = "shop_checkout-def-baseline_80";

fn with_baseline(order: Order) -> Order {
    let names = ArmNames { service: "checkout-def-baseline".into(), revision: "def-baseline".into() };
    Order { baseline: Some(names), routed: true, ..order }
}

/// Stable's counters are there as well, and bad.
fn traffic_with_baseline(canary: (f64, f64), baseline: (f64, f64)) -> Fake {
    let mut provider = traffic("errors", canary, (500.0, 250.0));
    for (name, rate) in [("errors_all", baseline.0), ("errors_bad", baseline.1)] {
        let born = counter(rate, START, START + 1_200, START);
        provider.series.insert(format!(r#"{name}{{c="{BASELINE}"}}"#), born);
    }
    provider
}

#[test]
fn the_baselines_requests_are_the_control_and_stables_are_not() {
    let provider = traffic_with_baseline((20.0, 0.1), (20.0, 0.1));
    let (_, view) = until(&mut with_baseline(order()), &provider, 120, never);
    check(&view, OPEN, Reason::InsufficientEvidence);
    let record = &view.record.metrics["errors"];
    assert_eq!((record.canary_total, record.control_total), (2_000, 2_000));
    let bad = traffic_with_baseline((20.0, 4.0), (20.0, 0.1));
    let (_, view) = until(&mut with_baseline(order()), &bad, 300, |view| view.verdict.judgement == Judgement::Fail);
    check(&view, Judgement::Fail, Reason::WorseThanControl);
}

#[test]
fn the_shares_of_the_two_arms_are_checked_against_each_other() {
    // At 10 both arms should get the same; a ratio of 1 to 9 is right for stable and wrong for a baseline.
    let uneven = traffic_with_baseline((20.0, 0.0), (180.0, 0.0));
    let (_, view) = until(&mut with_baseline(order()), &uneven, 120, never);
    check(&view, HOLD, Reason::SampleRatioMismatch);
    assert!(
        view.verdict.message.ends_with("with a baseline 50 % of both arms' are its part"),
        "{}",
        view.verdict.message
    );
    for (weight, canary, baseline) in [(10, 20.0, 20.0), (80, 160.0, 40.0)] {
        let mut order = Order { weight: Percent::whole(weight), ..with_baseline(order()) };
        let even = traffic_with_baseline((canary, 0.0), (baseline, 0.0));
        let verdict = until(&mut order, &even, 120, never).1.verdict;
        assert_ne!(verdict.reason, Reason::SampleRatioMismatch, "{}", verdict.message);
    }
}

#[test]
fn an_arm_that_gets_nothing_is_missed_by_its_own_weight() {
    let silent = traffic_with_baseline((20.0, 0.0), (0.0, 0.0));
    let (_, view) = until(&mut with_baseline(order()), &silent, 60, never);
    check(&view, HOLD, Reason::NoControlTraffic);
    assert!(
        view.verdict.message.contains("no request of the baseline") && view.verdict.message.contains("at weight 10")
    );
}

#[test]
fn what_was_before_the_run_is_asked_of_stable() {
    let provider = traffic_with_baseline((20.0, 0.0), (20.0, 0.0));
    let budget = ErrorBudget { expected_requests: None, ..demo_budget() };
    let mut order = Order { budget: Some(budget), ..with_baseline(order()) };
    until(&mut order, &provider, 60, never);
    let asked = provider.asked.lock().unwrap();
    let before = |query: &&String| query.contains("increase(");
    assert!(asked.iter().any(|query| before(&query)));
    assert!(asked.iter().filter(before).all(|query| query.contains(CONTROL)), "{asked:#?}");
}

#[test]
fn an_arms_pods_begin_as_long_names_are_cut() {
    let mut order = Order { rollout: "r".repeat(40), ..with_baseline(order()) };
    order.baseline = Some(ArmNames { service: "s".into(), revision: "7d9f4a2b1-baseline".into() });
    let template = r#"a{pod=~"{{ pods }}"}"#;
    let cut = order.query(template, order::Arm::Control).unwrap();
    assert_eq!(cut, format!(r#"a{{pod=~"{}-7d9f4a2b1-baselin.*"}}"#, "r".repeat(40)));
    assert!(order.query(template, order::Arm::Canary).unwrap().ends_with(r#"-abc-.*"}"#));
}
