//! Random schedules on the typed model: people, GitOps tools, pods, the API server and crashes do what they like, then stop, and the
//! engine must come to rest with everything given back. The laws are checked on every decision on the way.
//!
//! `SCHEDULES=n` runs more. A failure prints its seed and a smaller schedule that fails in the same way, with what happened;
//! `SEED=n` runs one.

mod model;
mod schedule;
mod threads;

use schedule::Schedule;
use threads::{commit, number, side_by_side};

/// Schedules in the small form that runs with every test run.
const SCHEDULES: u64 = 500;

#[test]
fn every_schedule_keeps_the_laws_and_comes_to_rest() {
    let one = number("SEED");
    let seeds: Vec<u64> =
        one.map_or_else(|| (0..number("SCHEDULES").unwrap_or(SCHEDULES)).collect(), |seed| vec![seed]);
    // What a schedule finds is told once it is as small as it gets.
    std::panic::set_hook(Box::new(|_| {}));
    let faults = side_by_side(&seeds, |seed| Schedule::drawn(*seed).run().fault);
    let bad: Vec<(u64, String)> = seeds.iter().zip(faults).filter_map(|(seed, fault)| Some((*seed, fault?))).collect();
    let told = bad.first().map(|(seed, _)| Schedule::drawn(*seed).shrunk()).or(one.map(Schedule::drawn));
    let timeline = told.as_ref().map(|told| told.run().timeline());
    let _ = std::panic::take_hook();
    println!("{} engine schedules, {} laws broken or without rest", seeds.len(), bad.len());
    if let (Some(told), Some(timeline)) = (told, timeline) {
        println!("{told:#?}\n{timeline}\nat commit {}", commit());
    }
    let lines: Vec<String> = bad.iter().map(|(seed, fault)| format!("SEED={seed}: {fault}")).collect();
    assert!(bad.is_empty(), "{}", lines.join("\n"));
}
