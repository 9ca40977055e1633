//! Writes of every story are crashed on each side: before they are sent, after they are stored, after their answer.
//!
//! Some of the points run with every test run; `CRASHES=all` takes every write of every story, `CRASHES=pairs` a crash at the first
//! write at each site, and another at the next write at each site.

mod threads;

use std::collections::{BTreeMap, BTreeSet};

use threads::side_by_side;
use tidegate::{
    controller::WriteSite,
    sim::{Crash, Moment, schedule::Outcome, story::Story},
};

/// One point in this many is taken in the small form. It shares no factor with the three sides.
const SOME: usize = 61;

struct Case<'s> {
    story: &'s Story,
    calm: &'s Outcome,
    crashes: Vec<Crash>,
}

/// All points of a story, or one in so many.
fn points(calm: &Outcome, step: usize) -> Vec<Vec<Crash>> {
    let all = (1..=calm.writes).flat_map(|at| Moment::ALL.map(|moment| vec![Crash::Write(at, moment)]));
    all.step_by(step).collect()
}

/// The first write at each site, and then the next at each that writes again, or is tried again after the first crash.
fn pairs(calm: &Outcome) -> Vec<Vec<Crash>> {
    let mut spans: BTreeMap<WriteSite, (u64, u64)> = BTreeMap::new();
    for (at, site) in (1..).zip(&calm.writes_at) {
        spans.entry(*site).or_insert((at, at)).1 = at;
    }
    let mut pairs = Vec::new();
    for (site, (at, _)) in &spans {
        let later = spans.iter().filter(|(other, (_, last))| last > at || *other == site);
        for (other, _) in later {
            for (first, second) in Moment::ALL.iter().flat_map(|one| Moment::ALL.map(|two| (*one, two))) {
                pairs.push(vec![Crash::Write(*at, first), Crash::Site(*other, second)]);
            }
        }
    }
    pairs
}

fn crashes(calm: &Outcome, form: &str) -> Vec<Vec<Crash>> {
    match form {
        "pairs" => pairs(calm),
        "all" => points(calm, 1),
        _ => points(calm, SOME),
    }
}

/// What went wrong, and whether every crash came.
fn check(case: &Case) -> (Option<String>, bool) {
    let outcome = case.story.run(&case.crashes);
    let what = format!("{} crashed at {:?}", case.story.name, case.crashes);
    if let Some(offence) = outcome.offences.first() {
        return (Some(format!("{what}: {offence:?}")), true);
    }
    let same = outcome.end == case.calm.end && outcome.lost == 0;
    let differs = (!same).then(|| {
        format!("{what} ends as {}, {} requests lost; without as {}", outcome.end, outcome.lost, case.calm.end)
    });
    (differs, outcome.crashes_left == 0)
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
    let found = side_by_side(&cases, check);
    let reached = found.iter().filter(|(_, reached)| *reached).count();
    let bad: Vec<String> = found.into_iter().filter_map(|(bad, _)| bad).collect();
    println!("{reached} crash points, {} end as if nothing had happened", reached - bad.len());
    println!("{} pairs whose second write did not come any more", cases.len() - reached);
    assert!(bad.is_empty(), "{}", bad[..bad.len().min(40)].join("\n"));
    // Up to its crash a run is as it was without.
    assert!(form == "pairs" || reached == cases.len(), "{reached} of {} points are reached", cases.len());
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
