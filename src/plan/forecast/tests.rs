//! Forecasts of small plans, and what must hold of every one.

use super::*;
use crate::{
    api::{ErrorBudget, Plan, PlanStep},
    plan::{Finding, WhyNothing},
};

fn step(weight: &str, bake: &str) -> PlanStep {
    PlanStep { weight: weight.parse().unwrap(), bake: bake.parse().unwrap(), ..PlanStep::default() }
}

fn budget(objective: &str, expected_requests: u64) -> BudgetTerms {
    let budget = ErrorBudget { objective: objective.parse().unwrap(), ..ErrorBudget::default() };
    BudgetTerms::new(&budget, expected_requests, false)
}

/// 1 % for 2 min, 10 % for 5 min, 50 % for 10 min, 100 %, and a soak of 15 min; 40 req/s, 0.1 % bad, objective 99.9 %.
fn question() -> Question {
    let steps = vec![step("1", "2m"), step("10", "5m"), step("50", "10m"), step("100", "0s")];
    Question {
        plan: Plan { steps, soak: Span::minutes(15), known: false },
        is_routed: true,
        has_baseline: false,
        warm: Span::seconds(5),
        drain: Span::seconds(15),
        is_compared: true,
        budget: Some(budget("99.9", 103_680_000)),
        on_insufficient_evidence: OnInsufficientEvidence::Promote,
        judging: Default::default(),
        load: Load { requests_per_second: 40.0, error_ratio: 0.001, overdispersion: 1.0 },
        scrape_interval: Span::seconds(5),
    }
}

fn rise(stage: &Stage) -> f64 {
    match stage.finding {
        Finding::SmallestRise(rise) => rise,
        Finding::SmallestRatio(_) | Finding::Nothing(_) => panic!("{:?}", stage.finding),
    }
}

#[test]
fn a_baseline_finds_less_because_stables_own_requests_do_not_count() {
    let rise = |has_baseline| {
        let stages = forecast(&Question { has_baseline, ..question() }).stages;
        let smallest = |stage: &Stage| match stage.finding {
            Finding::SmallestRise(rise) => Some((stage.weight, rise)),
            Finding::SmallestRatio(_) | Finding::Nothing(_) => None,
        };
        stages.iter().filter_map(smallest).collect::<Vec<_>>()
    };
    let (with, without) = (rise(true), rise(false));
    assert!(!with.is_empty());
    for (weight, found) in with {
        let (_, alone) = without.iter().find(|(other, _)| *other == weight).unwrap();
        if weight < Percent::whole(50) {
            assert!(found > *alone, "at {weight}");
        } else {
            assert_eq!(found, *alone, "at {weight} both get what they would get without one");
        }
    }
}

#[test]
fn every_step_is_a_stage_and_the_soak_too() {
    let forecast = forecast(&question());
    let begins: Vec<String> = forecast.stages.iter().map(|stage| stage.begins.to_string()).collect();
    assert_eq!(begins, ["0s", "2m", "7m", "17m", "17m"]);
    assert_eq!(
        forecast.stages.iter().map(|stage| stage.step).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3), Some(4), None]
    );
    assert!((forecast.stages[1].canary_requests - 1_200.0).abs() < 1e-9);
    // 30 s until pods are warm, then a window, a scrape and 2 s, and a second to go back.
    assert!((forecast.stages[1].judged_seconds - (300.0 - 30.0 - 13.0)).abs() < 1e-9);
    assert_eq!(forecast.stages[1].least_bake, Span::seconds(58));
    let bare = Question { plan: Plan { soak: Span::ZERO, ..question().plan }, ..question() };
    assert_eq!(super::forecast(&bare).stages.len(), 4);
}

#[test]
fn more_weight_and_more_time_find_less_and_take_a_pass_sooner() {
    let forecast = forecast(&question());
    let rises: Vec<f64> = forecast.stages[..3].iter().map(rise).collect();
    assert!(rises.windows(2).all(|pair| pair[1] < pair[0]), "{rises:?}");
    let times: Vec<f64> = forecast.stages[..3].iter().map(|stage| stage.seconds_to_pass.unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[1] < pair[0]), "{times:?}");
    // The published table of the method has 0.49 points for 50 req/s, 10 %, 10 min of judged time and all of alpha.
    assert!(rises[1] > 0.009 && rises[1] < 0.016, "{rises:?}");
}

#[test]
fn where_nothing_is_found_it_is_said_why() {
    let alone = |steps: Vec<PlanStep>, change: &dyn Fn(&mut Question)| {
        let mut question = Question { plan: Plan { steps, ..Plan::default() }, ..question() };
        change(&mut question);
        super::forecast(&question).stages.remove(0).finding
    };
    let keep = |_: &mut Question| {};
    for (name, finding, why) in [
        ("no traffic", alone(vec![step("0", "5m")], &keep), WhyNothing::NoTraffic),
        ("no bake", alone(vec![step("10", "0s")], &keep), WhyNothing::NoBake),
        ("too short", alone(vec![step("10", "57s")], &keep), WhyNothing::TooShort),
        ("too few", alone(vec![step("1", "5m")], &|it| it.load.requests_per_second = 0.1), WhyNothing::TooFewRequests),
        ("nothing worse", alone(vec![step("10", "5m")], &|it| it.load.error_ratio = 0.99), WhyNothing::NothingWorse),
        ("no metric", alone(vec![step("10", "5m")], &|it| it.is_compared = false), WhyNothing::NoMetric),
        ("no control", alone(vec![step("100", "5m")], &|it| it.budget = None), WhyNothing::NoControl),
        (
            "all is tolerated",
            alone(vec![step("100", "5m")], &|it| it.budget = Some(budget("90", 1_000))),
            WhyNothing::NoControl,
        ),
    ] {
        assert_eq!(finding, Finding::Nothing(why), "{name}");
    }
    assert!(matches!(alone(vec![step("10", "58s")], &keep), Finding::SmallestRise(_)));
    assert!(matches!(alone(vec![step("100", "5m")], &keep), Finding::SmallestRatio(ratio) if ratio > 0.0144));
}

#[test]
fn the_worst_cost_is_at_least_what_just_escapes_and_the_budget_bounds_it() {
    let forecast = forecast(&question());
    let allowance = 1_036.8;
    for stage in &forecast.stages {
        let bake_seconds = stage.bake.as_seconds();
        if let Finding::SmallestRise(rise) = stage.finding {
            let escapes = 40.0 * stage.weight.ratio() * rise * bake_seconds;
            assert!(stage.worst.requests >= escapes * 0.999, "{stage:?}");
        }
        assert!(stage.worst.seconds <= bake_seconds, "{stage:?}");
        // All bad, until the allowance is spent and that is seen.
        let most = allowance + 40.0 * stage.weight.ratio() * 13.0;
        assert!(stage.worst.requests <= most * 1.001, "{stage:?}");
        let percent = 100.0 * stage.worst.requests / 103_680.0;
        assert!((stage.worst_budget_percent.unwrap() - percent).abs() < 1e-9);
    }
    let without = Question { budget: None, is_compared: false, ..question() };
    let soak = super::forecast(&without).stages.pop().unwrap();
    assert!((soak.worst.requests - 40.0 * 0.999 * 900.0).abs() < 1e-6, "nothing takes it back: {soak:?}");
    assert_eq!(soak.worst_budget_percent, None);
}

#[test]
fn a_pass_is_reached_with_enough_traffic_and_else_the_policy_decides() {
    let few = forecast(&question()).pass.unwrap();
    assert!(few.step.is_none() && few.gathered > 0.1 && few.gathered < 1.0, "{few:?}");
    assert!((few.margin_absolute - 0.0005).abs() < 1e-12);
    let load = Load { requests_per_second: 4_000.0, ..question().load };
    let many = forecast(&Question { load, ..question() });
    assert_eq!(many.pass.unwrap().step, Some(2));
    let blue_green = Plan { steps: vec![step("0", "5m"), step("100", "0s")], ..Plan::default() };
    assert_eq!(forecast(&Question { plan: blue_green, ..question() }).pass, None);
}

#[test]
fn too_little_power_is_a_warning_with_both_numbers() {
    let warning = forecast(&question()).power_insufficient.unwrap();
    assert_eq!(warning.weight, Percent::whole(50));
    assert!((warning.allowed_ratio - 0.002).abs() < 1e-12);
    assert!((warning.horizon_seconds - 2.0 * (17.0 + 15.0) * 60.0).abs() < 1e-9);
    assert!(warning.smallest_ratio.unwrap() > warning.allowed_ratio);
    let load = Load { requests_per_second: 4_000.0, ..question().load };
    assert_eq!(forecast(&Question { load, ..question() }).power_insufficient, None);
    let quiet = Load { requests_per_second: 0.001, ..question().load };
    let warning = forecast(&Question { load: quiet, ..question() }).power_insufficient.unwrap();
    assert_eq!(warning.smallest_ratio, None);
}

#[test]
fn the_length_has_the_constants_of_settling_warming_and_draining() {
    let with = |is_routed: bool, soak: u64, drain: u64| {
        let plan = Plan { soak: Span::seconds(soak), ..question().plan };
        forecast(&Question { is_routed, plan, drain: Span::seconds(drain), ..question() }).lengths
    };
    for (is_routed, soak, drain, before, after) in
        [(true, 900, 15, 8, 38), (true, 0, 160, 8, 488), (true, 900, 60, 8, 128), (false, 900, 15, 3, 18)]
    {
        let lengths = with(is_routed, soak, drain);
        assert_eq!((lengths.before, lengths.after), (Span::seconds(before), Span::seconds(after)));
        assert_eq!(lengths.total, Span::seconds(before + 1_020 + soak + after));
        assert_eq!(lengths.constants(), Span::seconds(before + after));
    }
}
