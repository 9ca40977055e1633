//! What people are told of a run, against what its record says: in every story of the simulator.

mod threads;

use std::sync::LazyLock;

use threads::side_by_side;
use tidegate::{
    engine::chain,
    sim::{Telling, Tidings, schedule::Outcome, story::Story},
};

/// Every story with what became of it.
fn told() -> &'static [(Story, Outcome)] {
    static TOLD: LazyLock<Vec<(Story, Outcome)>> = LazyLock::new(|| {
        let stories = Story::all();
        let outcomes = side_by_side(&stories, |story| story.run(&[]));
        stories.into_iter().zip(outcomes).collect()
    });
    &TOLD
}

/// What people should be told of the runs, from their records alone: each decision, and each end.
fn expected(tidings: &Tidings) -> Vec<Telling> {
    let telling = |is_warning: bool, reason: &str, note: String| Telling {
        kind: if is_warning { "Warning" } else { "Normal" }.to_owned(),
        reason: reason.to_owned(),
        note,
    };
    let mut all = Vec::new();
    for recorded in tidings.runs.values() {
        let run = &recorded.run;
        for decided in recorded.decisions.values() {
            let is_warning = decided.phase == "Aborting" || decided.message.contains(" was reset");
            all.push(telling(is_warning, &decided.reason, format!("RolloutRun {run}: {}", decided.message)));
        }
        match &recorded.ended {
            Some((outcome, _)) if outcome == "Adopted" => {}
            Some((outcome, message)) => {
                all.push(telling(outcome != "Promoted", outcome, format!("RolloutRun {run}: ended; {message}")));
            }
            None => {}
        }
    }
    all.sort();
    all
}

#[test]
fn each_decision_of_a_run_and_its_end_is_told_by_one_event() {
    let mut count = 0;
    for (story, outcome) in told() {
        let expected = expected(&outcome.tidings);
        let mut events = outcome.tidings.events.clone();
        events.retain(|event| event.note.starts_with("RolloutRun "));
        events.sort();
        count += events.len();
        if story.schedule().habits.candidates.count == 0 {
            assert_eq!(events, expected, "{}", story.name);
            continue;
        }
        // A leader that ends takes what it had not sent with it: nothing is told twice, or otherwise.
        let mut left = expected.clone();
        for event in &events {
            let place = left.iter().position(|telling| telling == event);
            left.remove(place.unwrap_or_else(|| panic!("{}: {event:?} of {expected:#?}", story.name)));
        }
    }
    assert!(count > 150, "only {count} Events");
}

#[test]
fn the_chain_of_every_record_holds() {
    let (mut ended, mut decisions) = (0, 0);
    for (story, outcome) in told() {
        for recorded in outcome.tidings.runs.values() {
            let chain = chain::verify(&recorded.status);
            decisions += chain.unwrap_or_else(|flaws| panic!("{}, {}: {flaws:?}", story.name, recorded.run)).kept;
            ended += usize::from(recorded.ended.is_some());
        }
    }
    assert!(ended > 20 && decisions > 150, "only {ended} runs that have ended, {decisions} decisions");
}

/// The Events that a status is told by and not a decision of a run: the phase, or that it goes on, and the reason.
fn of_standstills(tidings: &Tidings) -> Vec<(&str, &str)> {
    const WORDS: [&str; 4] = ["Paused", "Pending", "Degraded", "Goes on after"];
    let word = |note: &str| WORDS.into_iter().find(|word| note.starts_with(word));
    tidings.events.iter().filter_map(|event| Some((word(&event.note)?, event.reason.as_str()))).collect()
}

#[test]
fn each_standstill_of_a_rollout_is_told_by_its_status_or_by_a_decision() {
    let mut count = 0;
    for (story, outcome) in told() {
        let Tidings { events, standings, .. } = &outcome.tidings;
        let standstills = of_standstills(&outcome.tidings);
        count += standstills.len();
        for (phase, reason) in
            standings.iter().filter(|(phase, _)| ["Paused", "Pending", "Degraded"].contains(&&**phase))
        {
            let of_a_run = |event: &Telling| {
                event.note.starts_with("RolloutRun ") && (event.reason == *reason || event.note.contains(": ended; "))
            };
            let is_told = standstills.contains(&(phase.as_str(), reason.as_str())) || events.iter().any(of_a_run);
            assert!(is_told, "{}: nobody told {phase} {reason}: {events:#?}", story.name);
        }
        for one in &standstills {
            let same = standstills.iter().filter(|other| *other == one).count();
            assert_eq!(same, 1, "{}: {one:?} again and again", story.name);
        }
    }
    assert!(count > 8, "only {count} Events");
}

#[test]
fn a_freeze_is_told_when_it_holds_a_start_and_when_it_holds_a_run() {
    let stories = Story::all();
    let story = stories.iter().find(|story| story.name == "a version is promoted between freeze windows");
    let outcome = story.expect("a story").run(&[]);
    let expected = [("Pending", "Frozen"), ("Goes on after", "Preparing"), ("Paused", "Frozen")];
    assert_eq!(of_standstills(&outcome.tidings), expected);
}

#[test]
fn an_adoption_is_told_once() {
    let outcome = &Story::all()[0].run(&[]);
    let adopted = outcome.tidings.events.iter().filter(|event| event.reason == "Adopted");
    assert_eq!(adopted.map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["Normal"]);
}
