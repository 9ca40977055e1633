//! The planner's vectors: figures that were computed independently of this code, to a relative error of one in a million.

use serde::Deserialize;
use tidegate::{
    api::{ErrorBudget, Plan},
    stats::{BudgetTerms, Flow, Incident, NextStep, Terms, rises},
};

const TOLERANCE: f64 = 1e-6;
const DAYS_30_SECONDS: f64 = 2_592_000.0;
/// From the end of the last window needed until the traffic is taken back, in the vectors of the advance.
const LAG_SECONDS: f64 = 10.0;

#[derive(Deserialize)]
struct Vectors {
    detection: Vec<Detection>,
    smallest: Vec<Detection>,
    revert: Vec<Revert>,
    advance: Vec<Advance>,
}

/// A canary's bad ratio and the seconds after which it has failed.
#[derive(Deserialize)]
struct Detection {
    rps: f64,
    share: f64,
    stable: f64,
    canary: f64,
    seconds: f64,
}

#[derive(Deserialize)]
struct Revert {
    objective: String,
    expected: u64,
    max_spend: String,
    share: f64,
    seconds: f64,
    bad: f64,
    stable: f64,
    budget: f64,
    allowance: f64,
    cost: f64,
    fraction: f64,
    largest_share: f64,
}

#[derive(Deserialize)]
struct Advance {
    rps: f64,
    stable_bad: f64,
    stable_total: f64,
    largest_rise: f64,
    next_share: f64,
    bake: f64,
    worst_rise: f64,
    seconds: f64,
    cost: f64,
    allowance: f64,
    advance: bool,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("data/planner_vectors.json")).unwrap()
}

/// An objective of 99.9 %: the margins 1.1 and 0.0001; windows of 5 s, three to a Fail.
fn terms() -> Terms {
    Terms::new(Some("99.9".parse().unwrap()), &Plan::default(), 5.0)
}

fn flow(requests_per_second: f64, canary_share: f64, stable_ratio: f64) -> Flow {
    Flow { requests_per_second, canary_share, stable_ratio, overdispersion: 1.0 }
}

fn budget(objective: &str, max_spend: &str, expected: u64) -> BudgetTerms {
    let budget = ErrorBudget {
        objective: objective.parse().unwrap(),
        max_spend: Some(max_spend.parse().unwrap()),
        ..ErrorBudget::default()
    };
    BudgetTerms::new(&budget, expected, false)
}

#[track_caller]
fn assert_close(name: &str, found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= TOLERANCE * wanted.abs(), "{name}: {found}, {wanted} wanted");
}

#[test]
fn the_time_to_a_fail_is_that_of_the_vectors() {
    for Detection { rps, share, stable, canary, seconds } in vectors().detection {
        let found = flow(rps, share, stable).seconds_to_fail(&terms(), 1.0, canary).unwrap();
        assert_close(&format!("{rps} req/s, {share}"), found, seconds);
    }
}

#[test]
fn the_smallest_ratio_that_fails_is_that_of_the_vectors() {
    for Detection { rps, share, stable, canary, seconds } in vectors().smallest {
        let found = flow(rps, share, stable).smallest_failing(&terms(), 1.0, seconds).unwrap();
        assert_close(&format!("{rps} req/s, {share}"), found, canary);
    }
}

#[test]
fn what_a_revert_costs_is_that_of_the_vectors() {
    for vector in vectors().revert {
        let Revert { objective, expected, max_spend, share, seconds, bad, stable, .. } = &vector;
        let terms = budget(objective, max_spend, *expected);
        let allowed_ratio = terms.objective.rest().ratio();
        let incident = Incident {
            requests_per_second: *expected as f64 / DAYS_30_SECONDS,
            canary_share: *share,
            seconds: *seconds,
            excess_ratio: bad - stable,
        };
        assert_close("budget", *expected as f64 * allowed_ratio, vector.budget);
        assert_close("allowance", terms.allowance().hundredths as f64 / 100.0, vector.allowance);
        assert_close("cost", incident.requests(), vector.cost);
        assert_close("fraction", incident.budget_fraction(allowed_ratio, DAYS_30_SECONDS, 1.0), vector.fraction);
        let largest = incident.largest_safe_share(terms.max_spend.ratio(), allowed_ratio, DAYS_30_SECONDS, 1.0);
        assert_close("largest share", largest, vector.largest_share);
    }
}

#[test]
fn the_budget_safe_advance_is_that_of_the_vectors() {
    for vector in vectors().advance {
        let Advance { rps, stable_bad, stable_total, largest_rise, next_share, bake, .. } = vector;
        let stable = stable_bad / stable_total;
        let flow = flow(rps, next_share, stable);
        let step = NextStep { requests_per_second: rps, canary_share: next_share, bake_seconds: bake };
        let worst = step.worst_cost(&rises(largest_rise), |rise| {
            flow.seconds_to_fail(&terms(), 1.0, stable + rise).map_or(f64::INFINITY, |found| found + LAG_SECONDS)
        });
        let allowance = budget("99.9", "1", (rps * DAYS_30_SECONDS) as u64).allowance();
        assert_close("rise", worst.excess_ratio, vector.worst_rise);
        assert_close("seconds", worst.seconds, vector.seconds);
        assert_close("cost", worst.requests, vector.cost);
        assert_close("allowance", allowance.hundredths as f64 / 100.0, vector.allowance);
        assert_eq!(worst.is_affordable(allowance, 0.0), vector.advance, "{rps} {next_share}");
    }
}
