//! Writes of every story are crashed on each side: before they are sent, after they are stored, after their answer.
//!
//! Some of the points run with every test run; `CRASHES=all` takes every write of every story, `CRASHES=pairs` the first write
//! at each site, two at a time.

mod threads;

use std::collections::BTreeSet;

use threads::side_by_side;
use tidegate::{
    controller::WriteSite,
    sim::{Moment, schedule::Outcome, story::Story},
};

/// Where a process is killed: at which write, and at which side of it.
type Crash = (u64, Moment);

/// One point in this many is taken in the small form. It shares no factor with the three sides.
const SOME: usize = 61;

struct Case<'s> {
    story: &'s Story,
    calm: &'s Outcome,
    crashes: Vec<Crash>,
}

fn points(writes: impl Iterator<Item = u64>) -> Vec<Crash> {
    writes.flat_map(|at| Moment::ALL.map(|moment| (at, moment))).collect()
}

/// All points of a story alone, or the first of each site in pairs.
fn crashes(calm: &Outcome, form: &str) -> Vec<Vec<Crash>> {
    if form != "pairs" {
        let step = if form == "all" { 1 } else { SOME };
        return points(1..=calm.writes).into_iter().step_by(step).map(|point| vec![point]).collect();
    }
    let mut known: BTreeSet<WriteSite> = BTreeSet::new();
    let numbered = (1..).zip(&calm.writes_at);
    let first = numbered.filter(|(_, site)| known.insert(**site)).map(|(at, _)| at);
    let points = points(first.collect::<Vec<u64>>().into_iter());
    let later = |first: &Crash| points.iter().filter(|second| second.0 > first.0).copied().collect::<Vec<_>>();
    points.iter().flat_map(|first| later(first).into_iter().map(|second| vec![*first, second])).collect()
}

fn check(case: &Case) -> Option<String> {
    let outcome = case.story.run(&case.crashes);
    let what = format!("{} crashed at {:?}", case.story.name, case.crashes);
    if let Some(offence) = outcome.offences.first() {
        return Some(format!("{what}: {offence:?}"));
    }
    let same = outcome.end == case.calm.end && outcome.lost == 0;
    (!same).then(|| {
        format!("{what} ends as {}, {} requests lost; without as {}", outcome.end, outcome.lost, case.calm.end)
    })
}

#[test]
fn a_crash_at_any_write_ends_as_if_nothing_had_happened() {
    let form = std::env::var("CRASHES").unwrap_or_default();
    let stories = Story::all();
    let calm: Vec<Outcome> = side_by_side(&stories, |story| story.run(&[]));
    let mut cases = Vec::new();
    for (story, calm) in stories.iter().zip(&calm) {
        assert_eq!((calm.offences.as_slice(), calm.lost), (&[][..], 0), "{}", story.name);
        println!("{:>4} writes, {}: {}", calm.writes, story.name, calm.end);
        cases.extend(crashes(calm, &form).into_iter().map(|crashes| Case { story, calm, crashes }));
    }
    let bad: Vec<String> = side_by_side(&cases, check).into_iter().flatten().collect();
    println!("{} crash points, {} end as if nothing had happened", cases.len(), cases.len() - bad.len());
    assert!(bad.is_empty(), "{}", bad[..bad.len().min(40)].join("\n"));
}

#[test]
fn the_stories_write_at_every_site_that_they_can() {
    let outcomes = side_by_side(&Story::all(), |story| story.run(&[]));
    let reached: BTreeSet<WriteSite> = outcomes.iter().flat_map(|outcome| outcome.writes_at.iter().copied()).collect();
    let unreached: Vec<WriteSite> = WriteSite::ALL.into_iter().filter(|site| !reached.contains(site)).collect();
    assert_eq!(unreached, UNREACHED);
}

/// Answered actions are kept for a day, and stories are short.
const UNREACHED: [WriteSite; 1] = [WriteSite::ActionDelete];
