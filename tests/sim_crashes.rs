//! Every write of every story is crashed on each side: before it is sent, after it is stored, after its answer.
//!
//! `PAIRS=1` crashes at every two points of each story too.

mod threads;

use threads::side_by_side;
use tidegate::sim::{Moment, story::Story};

/// The crash points of a story: its writes times the sides.
fn points(story: &Story) -> (tidegate::sim::schedule::Outcome, Vec<(u64, Moment)>) {
    let calm = story.run(&[]);
    assert_eq!(calm.offences, [], "{}", story.name);
    let points = (1..=calm.writes).flat_map(|at| Moment::ALL.map(|moment| (at, moment))).collect();
    (calm, points)
}

fn check(story: &Story, calm: &tidegate::sim::schedule::Outcome, crashes: &[(u64, Moment)]) -> Option<String> {
    let outcome = story.run(crashes);
    let same = outcome.end == calm.end && outcome.lost == 0;
    let what = || format!("{} crashed at {crashes:?}: {:?}", story.name, outcome.offences.first());
    match (outcome.offences.is_empty(), same) {
        (true, true) => None,
        (false, _) => Some(what()),
        (true, false) => {
            Some(format!("{} ends as {} with {} lost, not {}", what(), outcome.end, outcome.lost, calm.end))
        }
    }
}

#[test]
fn a_crash_at_any_write_ends_as_if_nothing_had_happened() {
    let mut cases = Vec::new();
    for story in Story::all() {
        let (calm, points) = points(&story);
        assert_eq!(calm.lost, 0, "{}", story.name);
        println!("{:>4} writes, {}: {}", calm.writes, story.name, calm.end);
        let mut crashes: Vec<Vec<(u64, Moment)>> = points.iter().map(|point| vec![*point]).collect();
        if std::env::var("PAIRS").is_ok() {
            for (index, first) in points.iter().enumerate() {
                crashes.extend(
                    points[index + 1..].iter().filter(|second| second.0 > first.0).map(|second| vec![*first, *second]),
                );
            }
        }
        cases.extend(crashes.into_iter().map(|crashes| (story.clone(), calm.clone(), crashes)));
    }
    let bad: Vec<String> =
        side_by_side(&cases, |(story, calm, crashes)| check(story, calm, crashes)).into_iter().flatten().collect();
    println!("{} crash points, {} end as if nothing had happened", cases.len(), cases.len() - bad.len());
    assert!(bad.is_empty(), "{}\n{}", bad.len(), bad[..bad.len().min(40)].join("\n"));
}
