//! Random schedules of the whole controller in the simulated cluster. The small form runs with every test run.

use std::collections::BTreeMap;

use tidegate::sim::schedule::Schedule;

const SCHEDULES: u64 = 60;

#[test]
fn every_schedule_keeps_the_laws_and_comes_to_rest() {
    let seeds = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..std::env::var("SCHEDULES").ok().and_then(|count| count.parse().ok()).unwrap_or(SCHEDULES),
    };
    let (mut situations, mut bad) = (BTreeMap::<String, u64>::new(), Vec::new());
    for seed in seeds {
        let tell = std::env::var("SEED").is_ok();
        let (outcome, timeline) = Schedule::drawn(seed).told(tell);
        if tell {
            println!("{:#?}\n{timeline}", Schedule::drawn(seed));
        }
        for (situation, count) in outcome.situations {
            *situations.entry(situation).or_default() += count;
        }
        if let Some(first) = outcome.offences.first() {
            bad.push(format!("SEED={seed}: {} at {} ms: {}", first.law, first.at, first.message));
        }
    }
    for (situation, count) in &situations {
        println!("{count:>6} {situation}");
    }
    assert!(bad.is_empty(), "{}\n{}", bad.len(), bad.join("\n"));
}
