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
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SCHEDULES").unwrap_or(SCHEDULES)).collect(),
    };
    // What a schedule found is printed once it is as small as it gets.
    std::panic::set_hook(Box::new(|_| {}));
    let found = side_by_side(&seeds, |seed| Schedule::drawn(*seed).run().err());
    let _ = std::panic::take_hook();
    let bad: Vec<(u64, String)> =
        seeds.iter().zip(found).filter_map(|(seed, found)| Some((*seed, found?.fault))).collect();
    println!("{} engine schedules, {} laws broken or without rest", seeds.len(), bad.len());
    let Some((seed, _)) = bad.first() else { return };
    std::panic::set_hook(Box::new(|_| {}));
    let (smaller, found) = Schedule::drawn(*seed).shrunk();
    let _ = std::panic::take_hook();
    let lines: Vec<String> = bad.iter().map(|(seed, fault)| format!("SEED={seed}: {fault}")).collect();
    panic!("{smaller:#?}\n{}\n{}\nat commit {}", found.timeline, lines.join("\n"), commit());
}
