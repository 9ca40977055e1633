//! `make bench-verdicts`: every claim about the verdicts on all of its runs, as a table. It fails if one does not hold.
//!
//! The figures of `docs/verdicts.md` are these. The claims are in `operating`; the speed of the code is not measured.

mod operating;

use std::{process::ExitCode, time::Instant};

use operating::{
    FULL_RUNS,
    claim::{Slack, percent},
    families,
};

/// The claims are about so many runs: nothing comes on top.
const EXACT: Slack = Slack(0.0);

fn main() -> ExitCode {
    let start = Instant::now();
    let (mut cells, mut broken) = (0, 0);
    println!("Runs of 1 h in windows of 5 s, {FULL_RUNS} of each cell; seen: part of the runs with the verdict\n");
    for (number, family) in (0..).zip(families()) {
        println!("## {}\n", family.title);
        println!(
            "| cell | runs | allowed | seen | median | bad requests | |\n| --- | --- | --- | --- | --- | --- | --- |"
        );
        for (index, claim) in (0..).zip(&family.claims) {
            let seen = claim.simulate(operating::first_seed(number, index), FULL_RUNS);
            let holds = claim.holds(&seen, EXACT);
            let median = seen.median_seconds.map_or("-".to_owned(), |seconds| format!("{seconds} s"));
            let remark = if holds { "" } else { "BROKEN" };
            println!(
                "| {claim} | {} | {} | {} % | {median} | {:.1} | {remark} |",
                seen.runs,
                claim.wanted,
                percent(seen.share()),
                seen.mean_bad
            );
            cells += 1;
            broken += u32::from(!holds);
        }
        println!();
    }
    println!("{cells} cells, {broken} broken, in {:.0} s", start.elapsed().as_secs_f64());
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
