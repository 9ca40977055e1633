//! The precedence of the verdicts, and their sentences.

use super::*;
use crate::{
    api::ErrorBudget,
    stats::{Counts, Judgement, Proof},
};

fn tally(canary: (f64, f64), control: (f64, f64)) -> Tally {
    let counts = |(bad, total)| Counts { bad, total };
    Tally { canary: counts(canary), control: counts(control), windows: 4, last_end: 60 }
}

fn counted(supply: Supply, canary: (f64, f64), control: (f64, f64)) -> Counted {
    let tally = tally(canary, control);
    Counted { name: "errors".into(), supply, run: tally, step: tally, compared: None }
}

fn measured(outcome: Outcome) -> Measured {
    Measured { name: "checks".into(), supply: Supply::Flowing, outcome, sentence: "1 of 2 passed".into() }
}

fn spent(excess: f64) -> Option<(BudgetTerms, Spending)> {
    let budget = ErrorBudget { objective: "99.9".parse().unwrap(), ..ErrorBudget::default() };
    Some((BudgetTerms::new(&budget, 10_000_000, false), Spending { gross: excess, excess, stable_ratio: 0.001 }))
}

fn nothing() -> Evidence {
    Evidence {
        weight: Percent::whole(10),
        has_baseline: false,
        counted: vec![],
        measured: vec![],
        budget: None,
        budget_pending: None,
        degradation: None,
        next_step: Some((Percent::whole(50), WorstCost { excess_ratio: 0.01, seconds: 60.0, requests: 60.0 })),
    }
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

/// Nothing is proven either way.
fn open() -> Compared {
    Compared {
        fail: Proof { evidence: 0.5, threshold: 120.0 },
        failed: false,
        pass: Proof { evidence: 3.0, threshold: 20.0 },
        apart: Apart::Bounds { lower: -0.01, upper: 0.012 },
        ratio: Some((0.2, f64::INFINITY)),
        slo: Some((Proof { evidence: 0.5, threshold: 600.0 }, false)),
        mismatch: None,
        phi: 2.0,
        suspicion: 10.0,
        min_canary_requests: 100.0,
    }
}

fn compared(compared: Compared) -> Counted {
    Counted { compared: Some(compared), ..counted(Supply::Flowing, (2.0, 100.0), (9.0, 900.0)) }
}

#[test]
fn the_tests_of_a_metric_decide_in_their_order() {
    let worse =
        Compared { failed: true, apart: Apart::Bounds { lower: 0.02, upper: 0.03 }, ratio: Some((3.0, 8.0)), ..open() };
    let slower = Compared { apart: Apart::Tails { boundary: Some(0.5), of: 7 }, ratio: None, ..worse };
    let unknown = Compared { apart: Apart::Tails { boundary: None, of: 0 }, ratio: None, ..open() };
    let breach = Proof { evidence: 700.0, threshold: 600.0 };
    let breached = |control_too| Compared { slo: Some((breach, control_too)), ..open() };
    let passing = Compared { pass: Proof { evidence: 21.0, threshold: 20.0 }, ..open() };
    let suspected = Compared { fail: Proof { evidence: 11.0, threshold: 120.0 }, ..passing };
    let mismatched = Compared { mismatch: Some((50.0, 1_000.0)), ..suspected };
    let few = Compared { min_canary_requests: 101.0, ..passing };
    let degradation = Some(Degradation { ratio: 0.05, burn: 50.0, usual: 0.001, assumed: None });
    let (hold, undecided) = (Judgement::Undecided { hold: true }, Judgement::Undecided { hold: false });
    let all = |compare: Compared, budget| Evidence { counted: vec![compared(compare)], budget, ..nothing() };
    let dear = Some((Percent::whole(50), WorstCost { excess_ratio: 0.01, seconds: 60.0, requests: 99.5 }));
    let cheap = Some((Percent::whole(50), WorstCost { excess_ratio: 0.01, seconds: 60.0, requests: 1.0 }));
    for (evidence, judgement, reason, said) in [
        (all(worse, spent(100.0)), Judgement::Fail, Reason::BudgetSpent, "spent an allowance of 100"),
        (
            all(worse, None),
            Judgement::Fail,
            Reason::WorseThanControl,
            "at least 2 points above stable's, 3.0 to 8.0 times",
        ),
        (
            all(slower, None),
            Judgement::Fail,
            Reason::WorseThanControl,
            "2 of 100 requests of the canary were above the boundary 0.5, 9 of 900 of stable, in 4 windows; of 7 boundaries",
        ),
        (all(unknown, None), undecided, Reason::InsufficientEvidence, "chosen with its first requests; evidence 3 of"),
        (all(breached(false), None), Judgement::Fail, Reason::SloBreach, "evidence 700 of 600 needed"),
        (all(breached(true), None), undecided, Reason::InsufficientEvidence, "at most 1.2 points above stable's"),
        (all(mismatched, None), hold, Reason::SampleRatioMismatch, "50 of 1000 requests (5 %), the weight is 10"),
        (Evidence { degradation, ..all(suspected, None) }, hold, Reason::SharedDegradation, "50.0 times what"),
        (all(suspected, None), hold, Reason::Suspicious, "evidence 11 of 120 needed for a Fail"),
        (all(passing, spent(60.0)), hold, Reason::BudgetHalfSpent, "spent half"),
        (Evidence { next_step: cheap, ..all(passing, spent(60.0)) }, Judgement::Pass, Reason::NonInferior, "21 of 20"),
        (all(passing, None), Judgement::Pass, Reason::NonInferior, "evidence 21 of 20 needed for a Pass"),
        (all(few, None), undecided, Reason::InsufficientEvidence, "for a Pass"),
        (
            Evidence { next_step: dear, ..all(open(), spent(1.0)) },
            hold,
            Reason::BudgetAtRisk,
            "99 of the allowance of 100",
        ),
        (all(open(), spent(1.0)), undecided, Reason::InsufficientEvidence, "evidence 3 of 20 needed"),
    ] {
        let verdict = judge(&evidence);
        assert_eq!((verdict.judgement, verdict.reason), (judgement, reason), "{}", verdict.message);
        assert!(verdict.message.contains(said), "{}", verdict.message);
    }
}

#[test]
fn every_metric_has_to_pass() {
    let passing = Compared { pass: Proof { evidence: 21.0, threshold: 20.0 }, ..open() };
    let metrics = vec![compared(passing), compared(passing)];
    let checks = |outcome| Evidence { counted: metrics.clone(), measured: vec![measured(outcome)], ..nothing() };
    assert_eq!(judge(&checks(Outcome::Passed)).reason, Reason::NonInferior);
    assert_eq!(judge(&checks(Outcome::Undecided)).reason, Reason::InsufficientEvidence);
    let one = Evidence { counted: vec![compared(passing), compared(open())], ..nothing() };
    assert_eq!(judge(&one).reason, Reason::InsufficientEvidence);
}

#[test]
fn stable_is_missed_too() {
    let metric = counted(Supply::Flowing, (0.0, 10.0), (0.0, 0.0));
    assert_eq!(judge(&Evidence { counted: vec![metric], ..nothing() }).reason, Reason::NoControlTraffic);
}
