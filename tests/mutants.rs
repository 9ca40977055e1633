//! Every seeded bug is caught by a law or a story of the simulator, and the controller as it is is not: `make mutants`.
//!
//! `MUTANT=12` looks at one row only. What is printed is a table of what caught what.

mod threads;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use threads::side_by_side;
use tidegate::sim::{
    mutants::{LEFT_OUT, Mutant, all, situations, sources},
    schedule::{Outcome, Schedule},
};

/// Random schedules at most.
const MOST: u64 = 2_000;
/// Schedules of the controller as it is; and every one that catches a bug.
const WHOLE: u64 = 100;
/// Schedules that are started together.
const BATCH: u64 = 16;
const ROWS: usize = 55;

/// A story and how it ends when nothing is broken.
struct Told {
    name: &'static str,
    schedule: Schedule,
    end: String,
    lost: u64,
}

/// What caught a bug.
struct Catch {
    by: String,
    /// Random schedules until then.
    schedules: u64,
    /// The law that a pass would have found broken by itself.
    withheld: Option<&'static str>,
}

fn broken(mutant: &Mutant, schedule: &Schedule) -> (Result<Outcome, ()>, Option<&'static str>) {
    mutant.during(|| catch_unwind(AssertUnwindSafe(|| schedule.run())).map_err(|_| ()))
}

/// What is wrong with how a schedule went.
fn fault(outcome: &Result<Outcome, ()>) -> Option<String> {
    match outcome {
        Ok(outcome) => outcome.offences.first().map(|first| first.law.to_owned()),
        Err(()) => Some("the simulation goes round in circles".into()),
    }
}

fn by_story(mutant: &Mutant, told: &[Told]) -> Option<Catch> {
    let caught = side_by_side(told, |told| {
        let (outcome, withheld) = broken(mutant, &told.schedule);
        let law = fault(&outcome);
        let differs = outcome.ok().and_then(|outcome| {
            let lost = (told.lost == 0 && outcome.lost > 0).then_some("lost requests");
            lost.or((outcome.end != told.end).then_some("another end"))
        });
        let by = law.or(differs.map(str::to_owned)).map(|by| format!("{by} ({})", told.name));
        (by, withheld)
    });
    let withheld = caught.iter().find_map(|(_, withheld)| *withheld);
    let by = caught.into_iter().find_map(|(by, _)| by)?;
    Some(Catch { by, schedules: 0, withheld })
}

fn by_schedule(mutant: &Mutant) -> Option<Catch> {
    let mut before = None;
    for first in (0..MOST).step_by(BATCH as usize) {
        let seeds: Vec<u64> = (first..first + BATCH).collect();
        let outcomes = side_by_side(&seeds, |seed| broken(mutant, &Schedule::drawn(*seed)));
        for (seed, (outcome, withheld)) in seeds.iter().zip(outcomes) {
            // What the controller as it is withholds in the same schedule is not the bug's.
            let is_its_own = || withheld.is_some() && broken(&Mutant::NONE, &Schedule::drawn(*seed)).1 == withheld;
            if before.is_none() && !is_its_own() {
                before = withheld;
            }
            if let Some(by) = fault(&outcome) {
                assert_eq!(Schedule::drawn(*seed).run().offences, [], "the controller as it is, SEED={seed}");
                return Some(Catch { by, schedules: seed + 1, withheld: before });
            }
        }
    }
    None
}

/// The controller as it is keeps every law, in stories and in schedules.
fn whole() -> Vec<Told> {
    let all = situations();
    let outcomes = side_by_side(&all, |(_, schedule)| schedule.run());
    let mut told = Vec::new();
    for ((name, schedule), outcome) in all.into_iter().zip(outcomes) {
        assert_eq!(outcome.offences, [], "{name}");
        told.push(Told { name, schedule, end: outcome.end, lost: outcome.lost });
    }
    let seeds: Vec<u64> = (0..WHOLE).collect();
    let outcomes = side_by_side(&seeds, |seed| Schedule::drawn(*seed).run());
    let bad = seeds.iter().zip(&outcomes).filter_map(|(seed, outcome)| Some((seed, outcome.offences.first()?)));
    let bad: Vec<String> = bad.map(|(seed, first)| format!("SEED={seed}: {first:?}")).collect();
    assert!(bad.is_empty(), "the controller as it is:\n{}", bad.join("\n"));
    told
}

#[test]
fn every_seeded_bug_is_caught() {
    let begun = Instant::now();
    let one: Option<usize> = std::env::var("MUTANT").ok().and_then(|row| row.parse().ok());
    let told = whole();
    eprintln!("{} stories and {WHOLE} schedules of the controller as it is: no law broken", told.len());
    // A simulation that goes round in circles ends in a panic, which says nothing more here.
    std::panic::set_hook(Box::new(|_| {}));
    let mutants: Vec<Mutant> = all().into_iter().filter(|mutant| one.is_none_or(|row| mutant.row == row)).collect();
    let (mut survivors, mut lines) = (Vec::new(), Vec::new());
    for mutant in &mutants {
        let (row, what) = (mutant.row, mutant.what);
        let caught = by_story(mutant, &told).or_else(|| by_schedule(mutant));
        let rest = match &caught {
            Some(Catch { by, schedules, withheld }) => {
                let schedules = if *schedules == 0 { "story".to_owned() } else { schedules.to_string() };
                format!("{by} | {schedules} | {}", withheld.unwrap_or("-"))
            }
            None => {
                survivors.push(format!("row {row}: {what}"));
                format!("nothing | {MOST} | -")
            }
        };
        let line = format!("| {row} | {} | {what} | {rest} |", sources(row));
        eprintln!("{:>4} s {line}", begun.elapsed().as_secs());
        lines.push((row, line));
    }
    for (row, why) in LEFT_OUT {
        lines.push((row, format!("| {row} | {} | cannot apply: {why} | - | - | - |", sources(row))));
    }
    lines.sort_by_key(|(row, _)| *row);
    println!(
        "| Row | Seen in | What was broken | Caught by | After schedules | The pass's own law |\n|---|---|---|---|---|---|"
    );
    for (_, line) in &lines {
        println!("{line}");
    }
    let rows: BTreeSet<usize> = lines.iter().map(|(row, _)| *row).collect();
    assert!(survivors.is_empty(), "not caught:\n{}", survivors.join("\n"));
    assert!(
        one.is_some() || rows.len() == ROWS,
        "rows without a line: {:?}",
        (1..=ROWS).filter(|row| !rows.contains(row))
    );
}
