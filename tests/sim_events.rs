//! What people are told of a run, against what its record says: in every story of the simulator.

mod threads;

use threads::side_by_side;
use tidegate::sim::{Telling, Tidings, story::Story};

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
    let stories = Story::all();
    let outcomes = side_by_side(&stories, |story| story.run(&[]));
    let mut told = 0;
    for (story, outcome) in stories.iter().zip(&outcomes) {
        let expected = expected(&outcome.tidings);
        let mut events = outcome.tidings.events.clone();
        events.retain(|event| event.note.starts_with("RolloutRun "));
        events.sort();
        told += events.len();
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
    assert!(told > 150, "only {told} Events");
}

#[test]
fn an_adoption_is_told_once() {
    let outcome = &Story::all()[0].run(&[]);
    let adopted = outcome.tidings.events.iter().filter(|event| event.reason == "Adopted");
    assert_eq!(adopted.map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["Normal"]);
}
