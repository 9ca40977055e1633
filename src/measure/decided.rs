//! The decisions of a run held against its evidence folded again: each must rest on the tests as they stood then.
//!
//! Whether the decisions themselves were changed is for their chain to say.

use serde::Serialize;

use super::replay::Replay;
use crate::{
    api::{DecisionEntry, DecisionLog, EvidenceRecord},
    stats::{Mark, read_marks, tested},
};

/// What became of a run's decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Decisions in the record that rest on judged windows.
    pub resting: usize,
    /// Of these, the ones whose windows were all folded again.
    pub compared: usize,
    /// Those that rest on something else, each as a sentence.
    pub differing: Vec<String>,
}

/// `replays` are of all metrics that compare the arms; a metric of which nothing was folded again leaves a decision uncompared.
pub fn decided(log: &DecisionLog, evidence: &EvidenceRecord, replays: &[Replay]) -> Decided {
    let metrics: Vec<(&str, u64)> = tested(evidence).map(|(name, windows, _)| (name, windows)).collect();
    let mut decided = Decided::default();
    for entry in &log.entries {
        let Some(folds) = &entry.folds else { continue };
        let marks = read_marks(folds).filter(|marks| marks.len() == metrics.len());
        let Some(marks) = marks else {
            decided.resting += 1;
            let message = "its folds are not those of the metrics in the record";
            decided.differing.push(sentence(entry, message));
            continue;
        };
        if marks.iter().all(|mark| mark.digest.is_none()) {
            continue;
        }
        decided.resting += 1;
        let found: Vec<Found> =
            metrics.iter().zip(&marks).map(|(metric, mark)| compare(*metric, mark, replays)).collect();
        if !found.contains(&Found::Nothing) {
            decided.compared += 1;
        }
        let differing = found.into_iter().find_map(|found| match found {
            Found::Another(message) => Some(sentence(entry, &message)),
            Found::Same | Found::Nothing => None,
        });
        decided.differing.extend(differing);
    }
    decided
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Same,
    /// These windows were not folded again.
    Nothing,
    Another(String),
}

fn compare((name, judged): (&str, u64), mark: &Mark<'_>, replays: &[Replay]) -> Found {
    let Some(digest) = mark.digest else { return Found::Same };
    if mark.windows > judged {
        let windows = mark.windows;
        return Found::Another(format!(
            "it rests on {windows} windows of metric {name}, the record has judged {judged}"
        ));
    }
    let replay = replays.iter().find(|replay| replay.metric == name);
    match replay.and_then(|replay| replay.marks.get(&mark.windows)) {
        Some(again) if again == digest => Found::Same,
        Some(again) => Found::Another(format!(
            "after {} windows of metric {name} the digest of its tests is {digest:.12}, folded again {again}",
            mark.windows
        )),
        None => Found::Nothing,
    }
}

fn sentence(entry: &DecisionEntry, message: &str) -> String {
    format!("decision {}: {message}", entry.seq)
}
