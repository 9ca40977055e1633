//! An incident of both arms, with and without an error budget.

use super::*;

/// 40 requests a second of the canary and 360 of stable, of which this part is bad; before the run it was `usual`.
fn both_bad(part: f64, usual: f64) -> Fake {
    let mut server = traffic("errors", (40.0, 40.0 * part), (360.0, 360.0 * part));
    for (counter, grown) in [("all", 1_000.0), ("bad", 1_000.0 * usual)] {
        server.values.insert(format!("errors_{counter}{{c=\"{CONTROL}\"}}\n[3600s]))"), vec![grown]);
    }
    server
}

fn reason(order: Order, server: &Fake) -> (Judgement, Reason, String) {
    let mut order = order;
    let (_, view) = until(&mut order, server, 400, |_| false);
    (view.verdict.judgement, view.verdict.reason, view.verdict.message)
}

#[test]
fn both_arms_bad_hold_and_blame_nobody_without_an_error_budget_too() {
    let (judgement, reason_word, message) = reason(order(), &both_bad(0.05, 0.001));
    assert_eq!((judgement, reason_word), (HOLD, Reason::SharedDegradation), "{message}");
    let said = "(5.0 times what an objective of 99 % allows; 0.1 % before the run): the revision is not blamed";
    assert!(message.starts_with("5 % of stable's own requests were bad") && message.ends_with(said), "{message}");
    let budget = Order { budget: Some(demo_budget()), ..order() };
    let (judgement, reason_word, message) = reason(budget, &both_bad(0.05, 0.001));
    assert_eq!((judgement, reason_word), (HOLD, Reason::SharedDegradation), "{message}");
    assert!(message.contains("(50.0 times what the objective allows;"), "{message}");
}

#[test]
fn what_is_usual_or_little_is_no_incident() {
    for (part, usual) in [(0.05, 0.02), (0.015, 0.0)] {
        let (_, reason_word, message) = reason(order(), &both_bad(part, usual));
        assert_ne!(reason_word, Reason::SharedDegradation, "{part} after {usual}: {message}");
    }
}
