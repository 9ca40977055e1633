//! The precedence of the verdicts, and their sentences.

use super::*;
use crate::{
    api::ErrorBudget,
    stats::{Counts, Judgement},
};

fn tally(canary: (f64, f64), control: (f64, f64)) -> Tally {
    let counts = |(bad, total)| Counts { bad, total };
    Tally { canary: counts(canary), control: counts(control), windows: 4, last_end: 60 }
}

fn counted(supply: Supply, canary: (f64, f64), control: (f64, f64)) -> Counted {
    let tally = tally(canary, control);
    Counted { name: "errors".into(), supply, run: tally, step: tally }
}

fn measured(outcome: Outcome) -> Measured {
    Measured { name: "checks".into(), supply: Supply::Flowing, outcome, sentence: "1 of 2 passed".into() }
}

fn spent(excess: f64) -> Option<(BudgetTerms, Spending)> {
    let budget = ErrorBudget { objective: "99.9".parse().unwrap(), ..ErrorBudget::default() };
    Some((BudgetTerms::new(&budget, 10_000_000, false), Spending { gross: excess, excess, stable_ratio: 0.001 }))
}

fn nothing() -> Evidence {
    Evidence { weight: Percent::whole(10), counted: vec![], measured: vec![], budget: None, budget_pending: None }
}

#[test]
fn the_first_check_that_fires_gives_the_verdict() {
    let quiet = || counted(Supply::Flowing, (0.0, 0.0), (0.0, 0.0));
    let missing = || counted(Supply::Missing("failed to reach the metrics server".into()), (0.0, 0.0), (0.0, 0.0));
    let warming = || counted(Supply::Warming("waiting".into()), (0.0, 0.0), (0.0, 0.0));
    let silent = || counted(Supply::Flowing, (0.0, 0.0), (0.0, 900.0));
    let busy = || counted(Supply::Flowing, (2.0, 100.0), (9.0, 900.0));
    let hold = Judgement::Undecided { hold: true };
    let open = Judgement::Undecided { hold: false };
    let all = |counted, measured, budget| Evidence { counted, measured, budget, ..nothing() };
    let (failed, passed, undecided) =
        (measured(Outcome::Failed), measured(Outcome::Passed), measured(Outcome::Undecided));
    for (evidence, judgement, reason) in [
        (all(vec![missing()], vec![failed.clone()], spent(100.0)), Judgement::Fail, Reason::BudgetSpent),
        (all(vec![missing()], vec![failed], spent(50.0)), Judgement::Fail, Reason::ThresholdFailed),
        (all(vec![warming(), missing()], vec![], spent(50.0)), hold, Reason::MetricsUnavailable),
        (all(vec![silent(), warming()], vec![], None), hold, Reason::Warmup),
        (all(vec![silent()], vec![], spent(50.0)), hold, Reason::NoCanaryTraffic),
        (all(vec![busy()], vec![passed.clone()], spent(50.0)), hold, Reason::BudgetHalfSpent),
        (all(vec![busy()], vec![passed.clone()], spent(1.0)), open, Reason::InsufficientEvidence),
        (all(vec![quiet()], vec![], None), open, Reason::InsufficientEvidence),
        (all(vec![], vec![passed.clone(), undecided], None), open, Reason::InsufficientEvidence),
        (all(vec![], vec![passed], None), Judgement::Pass, Reason::ThresholdsPassed),
        (nothing(), open, Reason::NoAnalysis),
        (
            Evidence { budget_pending: Some(Supply::Missing("why".into())), ..nothing() },
            hold,
            Reason::MetricsUnavailable,
        ),
    ] {
        let verdict = judge(&evidence);
        assert_eq!((verdict.judgement, verdict.reason), (judgement, reason), "{}", verdict.message);
    }
}

#[test]
fn traffic_is_missed_only_where_ten_requests_were_expected() {
    for (weight, control, missed) in
        [(10, 90.0, true), (10, 80.0, false), (50, 10.0, true), (0, 900.0, false), (100, 900.0, false)]
    {
        let metric = counted(Supply::Flowing, (0.0, 0.0), (0.0, control));
        let evidence = Evidence { weight: Percent::whole(weight), counted: vec![metric], ..nothing() };
        assert_eq!(judge(&evidence).reason == Reason::NoCanaryTraffic, missed, "{weight} {control}");
    }
}

#[test]
fn the_sentence_has_the_counts() {
    let metric = counted(Supply::Flowing, (2.0, 100.0), (9.0, 900.0));
    let verdict = judge(&Evidence { counted: vec![metric], ..nothing() });
    let text = "metric errors: 2 of 100 requests of the canary were bad, 9 of 900 of stable, in 4 windows";
    assert_eq!(verdict.message, text);
}

#[test]
fn a_long_sentence_is_cut_between_characters() {
    let metric = Counted { name: "ä".repeat(300), ..counted(Supply::Flowing, (2.0, 100.0), (9.0, 900.0)) };
    let message = judge(&Evidence { counted: vec![metric], ..nothing() }).message;
    assert!(message.len() <= LONGEST_MESSAGE + 4 && message.ends_with(" ..."));
}
