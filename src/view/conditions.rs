//! Conditions that are not as they should be, and what a person can do about the reasons.
//!
//! What is normal while a run is in its steps is not shown: the tree says it better.

use super::{Line, Scene, Tone, scene::reason_of};
use crate::api::{Condition, Phase, Reason};

/// Conditions that need a reader, those with the same sentence as one.
pub fn abnormal(scene: &Scene) -> Vec<(Line, Vec<Line>)> {
    let mut shown: Vec<(Vec<String>, &Condition)> = Vec::new();
    for condition in scene.conditions().iter().filter(|condition| is_abnormal(condition, scene.phase())) {
        let word = format!("{}={}", condition.kind, condition.status);
        let same = |other: &&mut (Vec<String>, &Condition)| {
            other.1.reason == condition.reason && other.1.message == condition.message
        };
        match shown.iter_mut().find(same) {
            Some((words, _)) => words.push(word),
            None => shown.push((vec![word], condition)),
        }
    }
    shown.into_iter().map(|(words, condition)| lines(scene, &words.join(", "), condition)).collect()
}

/// The sentence on the condition's line, unless the page begins with it; several problems have a line each.
fn lines(scene: &Scene, words: &str, condition: &Condition) -> (Line, Vec<Line>) {
    let head = Line::toned(Tone::Attention, format!("{words} ({})", condition.reason));
    match problems(scene, condition).as_slice() {
        [] => (head, Vec::new()),
        [problem] if *problem == scene.message() => (head, Vec::new()),
        [problem] => (head.and(Tone::Plain, format!(": {problem}")), Vec::new()),
        several => (head, several.iter().map(|problem| Line::plain(*problem)).collect()),
    }
}

/// What stands against a run comes as a list; the sentence of an outcome is one, whatever it consists of.
fn problems<'c>(scene: &Scene, condition: &'c Condition) -> Vec<&'c str> {
    let is_outcome = scene.conditions().iter().any(|other| other.kind == "Completed" && other.status == "True");
    if is_outcome {
        return Some(condition.message.as_str()).filter(|message| !message.is_empty()).into_iter().collect();
    }
    condition.message.split("; ").filter(|problem| !problem.is_empty()).collect()
}

/// The Rollout's message is a list of problems that is shown with the conditions.
pub fn says_message(scene: &Scene) -> bool {
    let mut shown = scene.conditions().iter().filter(|condition| is_abnormal(condition, scene.phase()));
    shown.any(|condition| condition.message == scene.message() && problems(scene, condition).len() > 1)
}

fn is_abnormal(condition: &Condition, phase: Option<Phase>) -> bool {
    let (is_true, is_false) = (condition.status == "True", condition.status == "False");
    match condition.kind.as_str() {
        "Ready" => is_false || (condition.status == "Unknown" && matches!(phase, Some(Phase::Healthy))),
        "Stalled" => is_true,
        "Reconciling" | "Completed" | "Serving" | "Paused" => false,
        // Every other condition names something that stands in the way while it is true.
        _ => is_true,
    }
}

/// What a person can do, by the reasons that hold now.
pub fn hints(scene: &Scene) -> Vec<String> {
    let of_conditions = scene
        .conditions()
        .iter()
        .filter(|condition| is_abnormal(condition, scene.phase()))
        .map(|c| reason_of(&c.reason));
    let reasons = std::iter::once(scene.reason()).chain(of_conditions).flatten();
    let mut hints = Vec::new();
    for hint in reasons.filter_map(Reason::hint) {
        let said = scene.message().contains(hint);
        let hint = filled(hint, scene);
        if !said && !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    // Without a time each change is told as it comes, and the controller is always a moment late.
    let unseen_generation = scene.unseen_generation().filter(|_| scene.now.is_some());
    hints.extend(unseen_generation.map(|(observed, generation)| unseen(observed, generation)));
    hints
}

fn unseen(observed: i64, generation: i64) -> String {
    let seen = match observed {
        ..=0 => "The controller has not seen this Rollout yet".to_owned(),
        observed => format!("The controller has seen generation {observed} of {generation}"),
    };
    format!("{seen}; if that stays so, look whether it runs and may read this namespace")
}

fn filled(hint: &str, scene: &Scene) -> String {
    let gate = scene.step().and_then(|step| step.gates.first()).map_or("GATE", |gate| gate.name.as_str());
    hint.replace("NAME", scene.name()).replace("GATE", gate)
}
