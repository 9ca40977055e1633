//! Watches and reads of every story go wrong, one place at a time: an event is hidden, comes twice or late; an answer is on its way
//! until others have changed what it says, once or several times.
//!
//! Some of the places are gone through with every test run; `MISHAPS=all` takes every one.

mod threads;

use std::collections::BTreeMap;

use threads::side_by_side;
use tidegate::sim::{EventFate, Mishap, schedule::Outcome, story::Story};

/// One place in this many is taken in the small form. It shares no factor with the three fates of an event.
const SOME: usize = 397;
/// Versions by which an answer gets old at most.
const VERSIONS: usize = 3;

struct Case<'s> {
    story: &'s Story,
    calm: &'s Outcome,
    mishap: Mishap,
}

fn mishaps(calm: &Outcome) -> Vec<Mishap> {
    let events = (1..=calm.places.events).flat_map(|at| EventFate::ALL.map(|fate| Mishap::Event(at, fate)));
    // The answer comes right after the change that makes it old by one version more.
    let answers = calm.places.outdated.iter().flat_map(|(read, changes)| {
        let mut delays: Vec<u64> = changes.iter().take(VERSIONS).map(|after| after + 1).collect();
        delays.dedup();
        delays.into_iter().map(|delay| Mishap::Read(*read, delay))
    });
    events.chain(answers).collect()
}

fn check(case: &Case) -> Option<String> {
    let outcome = case.story.run_with(case.mishap);
    let what = format!("{} with {:?}", case.story.name, case.mishap);
    if let Some(offence) = outcome.offences.first() {
        return Some(format!("{what}: {offence:?}"));
    }
    // Where somebody comes in between, it hangs on how far the run is then what becomes of it.
    let same = !case.story.is_of_one_moment() || outcome.end == case.calm.end;
    (!same || outcome.lost > 0).then(|| {
        format!("{what} ends as {}, {} requests lost; without as {}", outcome.end, outcome.lost, case.calm.end)
    })
}

#[test]
fn whatever_becomes_of_one_event_or_answer_everything_ends_well() {
    let all = std::env::var("MISHAPS").is_ok_and(|form| form == "all");
    let stories = Story::all();
    let calm: Vec<Outcome> = side_by_side(&stories, |story| story.run(&[]));
    let mut cases = Vec::new();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (story, calm) in stories.iter().zip(&calm) {
        assert_eq!((calm.offences.as_slice(), calm.lost), (&[][..], 0), "{}", story.name);
        let found = mishaps(calm);
        println!("{:>5} events, {:>5} places, {}", calm.places.events, found.len(), story.name);
        let step = if all { 1 } else { SOME };
        cases.extend(found.into_iter().step_by(step).map(|mishap| Case { story, calm, mishap }));
    }
    for case in &cases {
        let kind = match case.mishap {
            Mishap::Event(_, EventFate::Hidden) => "events hidden",
            Mishap::Event(_, EventFate::Twice) => "events twice",
            Mishap::Event(_, EventFate::Late(_)) => "events late",
            Mishap::Read(_, _) => "answers old",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let bad: Vec<String> = side_by_side(&cases, check).into_iter().flatten().collect();
    println!("{} places ({kinds:?}), {} end well", cases.len(), cases.len() - bad.len());
    assert!(bad.is_empty(), "{}", bad[..bad.len().min(40)].join("\n"));
}
