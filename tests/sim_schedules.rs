//! Random schedules of the whole controller in the simulated cluster. The small form runs with every test run.
//!
//! `SCHEDULES=n` runs more. A failure prints its seed and a smaller schedule that breaks the same law, with what happened;
//! `SEED=n` runs one and tells it.

mod threads;

use std::collections::BTreeMap;

use threads::{commit, number, side_by_side};
use tidegate::sim::schedule::{Outcome, Schedule};

const SCHEDULES: u64 = 60;
/// From this many schedules on every situation of the list has to have come up.
const MANY: u64 = 3_000;
const OFTEN: u64 = 20;

#[test]
fn every_schedule_keeps_the_laws_and_comes_to_rest() {
    if let Some(seed) = number("SEED") {
        let (outcome, timeline) = Schedule::drawn(seed).told(true);
        println!("{:#?}\n{timeline}\nat commit {}", Schedule::drawn(seed), commit());
        assert_eq!(outcome.offences, [], "SEED={seed}");
        return;
    }
    let count = number("SCHEDULES").unwrap_or(SCHEDULES);
    let seeds: Vec<u64> = (0..count).collect();
    let outcomes = side_by_side(&seeds, |seed| {
        let Outcome { offences, situations, .. } = Schedule::drawn(*seed).run();
        (offences, situations)
    });
    let mut situations = BTreeMap::<String, u64>::new();
    let mut bad = Vec::new();
    for (seed, (offences, found)) in seeds.iter().zip(outcomes) {
        for (situation, times) in found {
            *situations.entry(situation).or_default() += times;
        }
        if let Some(first) = offences.first() {
            bad.push((*seed, format!("SEED={seed}: {} at {} ms: {}", first.law, first.at, first.message)));
        }
    }
    println!("{count} schedules of the whole controller, {} laws broken", bad.len());
    for (_, said) in &bad {
        println!("{said}");
    }
    if let Some((seed, _)) = bad.first() {
        let smaller = Schedule::drawn(*seed).shrunk();
        println!("{smaller:#?}\n{}\nat commit {}", smaller.told(true).1, commit());
    }
    let said: Vec<String> = bad.into_iter().map(|(_, said)| said).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
    for (situation, times) in &situations {
        println!("{times:>6} {situation}");
    }
    let comes_up = |(begin, end): &(&str, &str)| -> u64 {
        let is_it = |found: &&String| match found.strip_prefix(begin) {
            // The whole word: a leader that is paused is no pause of a run.
            Some(rest) => (rest.is_empty() || rest.starts_with([' ', '('])) && rest.ends_with(end),
            None => false,
        };
        situations.iter().filter(|(found, _)| is_it(found)).map(|(_, times)| times).sum()
    };
    let rare: Vec<_> = SOMETIMES.iter().filter(|rare| comes_up(rare) < OFTEN).collect();
    assert!(count < MANY || rare.is_empty(), "came up fewer than {OFTEN} times: {rare:#?}");
}

/// Situations that schedules have to reach, else they are all boring: how each begins, and how it ends.
const SOMETIMES: [(&str, &str); 28] = [
    ("Abort", "while Finishing"),
    ("Abort", "while the API server fails"),
    ("Abort", "while the leader changes"),
    ("Deploy", "while the leader changes"),
    ("Pause", "while Aborting"),
    ("Deploy", "while Aborting"),
    ("Deploy", "while Soaking"),
    ("Deploy", "while Finishing"),
    ("Deploy", "while no controller runs"),
    ("DeleteDeployment", "while Finishing"),
    ("KillPods", "while Aborting"),
    ("the route is reset", "while Soaking"),
    ("the route is reset", "while a share is raised"),
    ("the Service is reset", "while Aborting"),
    ("the Service is reset", "while a share is raised"),
    ("Killed", "while Aborting"),
    ("RolloutStatus comes too late", ""),
    ("Release comes too late", "while Finishing"),
    ("the status says RouteContended", ""),
    ("the status says ServiceContended", ""),
    ("the status says StateLost", ""),
    ("a run is Reverted", ""),
    ("the autoscaler scales out", "while Stepping"),
    ("the autoscaler scales in", "while Stepping"),
    ("the autoscaler scales", "while Aborting"),
    ("the autoscaler scales", "while Finishing"),
    ("Autoscale", "while Stepping"),
    ("RemoveAutoscaler", "while Stepping"),
];
