//! What the verdicts promise, on simulated rollouts with fixed seeds: the claims of `bench/operating`, with fewer runs of each.
//!
//! A claim "in at most p of the runs" is read as at most two standard errors of a binomial count above p, and without them for
//! all cells of a family together: with 100 runs each and p = 1.5 %, 3 in one cell, 36 in 24 cells. A test that had lost its
//! guarantee would break that, as the last family shows.

#[path = "../bench/operating/mod.rs"]
mod operating;

use std::thread;

use operating::{
    FULL_RUNS, Family,
    claim::{Slack, Wanted},
    families, first_seed,
};

const RUNS: u64 = FULL_RUNS / 20;
const TWO_ERRORS: Slack = Slack(2.0);
const NO_ERROR: Slack = Slack(0.0);

/// What does not hold of a family; `number` is its place, for the seeds.
fn broken(number: u64, family: &Family) -> Vec<String> {
    let mut broken = Vec::new();
    let (mut decided, mut runs, mut allowed) = (0, 0, 0.0);
    for (index, claim) in (0..).zip(&family.claims) {
        let seed = first_seed(number, index);
        let seen = claim.simulate(seed, RUNS);
        if !claim.holds(&seen, TWO_ERRORS) {
            broken.push(format!(
                "{}: {claim}: {} of {RUNS} runs from seed {seed} on, median {:?} s, {:.1} bad requests; wanted: {}",
                family.title, seen.decided, seen.median_seconds, seen.mean_bad, claim.wanted
            ));
        }
        if let Wanted::AtMost(part) = claim.wanted {
            (decided, runs, allowed) = (decided + seen.decided, runs + RUNS, part);
        }
    }
    let most = NO_ERROR.most(allowed, runs);
    if decided > most {
        broken.push(format!("{}: {decided} of {runs} runs in all cells, {most} allowed", family.title));
    }
    broken
}

#[test]
fn verdicts_come_as_rarely_and_as_soon_as_promised() {
    let families = families();
    let broken: Vec<String> = thread::scope(|scope| {
        let started: Vec<_> =
            (0..).zip(&families).map(|(number, family)| scope.spawn(move || broken(number, family))).collect();
        started.into_iter().flat_map(|family| family.join().unwrap()).collect()
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
