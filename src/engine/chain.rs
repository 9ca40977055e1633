//! The chain of a run's decisions: each carries the hash of the one before, and what was dropped leaves its hash behind.
//!
//! # Guarantees
//! A decision that was changed, taken out, put in or moved breaks the chain, whichever version wrote or reads it: the hash
//! is taken over the entry as it is stored, with fields that a reader does not know.
//!
//! # Caveats
//! Who may write the whole status may write a whole new chain. What cannot be written anew are the hashes that have left
//! the cluster, in notifications.

use serde::Serialize;
use serde_json::Value;

use crate::api::{DecisionLog, canonical::digest};

/// What a chain that holds covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// Decisions in the record.
    pub kept: usize,
    /// Decisions that only their hash is left of.
    pub dropped: u64,
    /// Hash of the latest decision.
    pub head: String,
}

/// One place at which a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// `seq` of the decision; absent: the log as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// What differs.
    pub message: String,
}

/// The hash of a document: SHA-256 over its canonical text, in hexadecimal digits.
pub fn hash(document: &Value) -> String {
    digest(document).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of what a record keeps.
pub(super) fn hash_of(part: &impl Serialize) -> String {
    // What a record is made of is JSON.
    serde_json::to_value(part).map(|document| hash(&document)).unwrap_or_default()
}

/// Takes the oldest decision out of the log; its hash stays.
pub(super) fn drop_oldest(log: &mut DecisionLog) {
    let dropped = log.entries.remove(0);
    log.digest = hash_of(&dropped);
    log.dropped += 1;
}

/// Follows the chain of `status.decisions` of a RolloutRun, as it is stored: every flaw.
pub fn verify(log: &Value) -> Result<Chain, Vec<Flaw>> {
    let entries = log["entries"].as_array().map_or(&[][..], Vec::as_slice);
    let dropped = log["dropped"].as_u64().unwrap_or(0);
    let mut flaws = Vec::new();
    let mut before = log["digest"].as_str().unwrap_or_default().to_owned();
    let mut last_seq = None;
    if (dropped > 0) == before.is_empty() {
        flaws.push(Flaw { seq: None, message: format!("{dropped} decisions were dropped, and digest is {before:?}") });
    }
    for entry in entries {
        let seq = entry["seq"].as_i64();
        let previous = entry["previous"].as_str().unwrap_or_default();
        if previous != before {
            let what = if last_seq.is_some() { "the decision before it" } else { "what was dropped before it" };
            let message = format!("its previous is {}, and {what} has {}", short(previous), short(&before));
            flaws.push(Flaw { seq, message });
        }
        let expected = last_seq.map(|last: i64| last + 1);
        if expected.is_some_and(|expected| seq != Some(expected)) {
            flaws.push(Flaw { seq, message: format!("seq {} is expected here", expected.unwrap_or_default()) });
        }
        before = hash(entry);
        last_seq = seq;
    }
    let head = log["head"].as_str().unwrap_or_default();
    if head != before {
        let message = format!("head is {}, and the latest decision has {}", short(head), short(&before));
        flaws.push(Flaw { seq: last_seq, message });
    }
    if flaws.is_empty() { Ok(Chain { kept: entries.len(), dropped, head: before }) } else { Err(flaws) }
}

/// Enough of a hash to tell it from another one.
fn short(hash: &str) -> String {
    if hash.is_empty() { "nothing".into() } else { hash.chars().take(12).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{Reason, RolloutRunStatus},
        engine::record::{MAX_DECISIONS, transition},
    };

    /// The decisions of a run with this many transitions, as they are stored.
    fn log(transitions: usize) -> Value {
        let mut status = RolloutRunStatus::default();
        for number in 0..transitions {
            transition(&mut status, "2026-01-01T00:00:00Z", Reason::Baking, &format!("decision {number}"), None);
        }
        serde_json::to_value(&status.decisions).unwrap()
    }

    #[test]
    fn a_record_as_it_was_written_holds() {
        assert_eq!(verify(&json!({})), Ok(Chain::default()));
        for (transitions, kept, dropped) in [(1, 1, 0), (5, 5, 0), (MAX_DECISIONS + 3, MAX_DECISIONS, 3)] {
            let chain = verify(&log(transitions)).unwrap();
            assert_eq!((chain.kept, chain.dropped, chain.head.len()), (kept, dropped, 64));
        }
    }

    #[test]
    fn a_field_that_a_reader_does_not_know_belongs_to_the_hash() {
        let mut later = log(2);
        later["entries"][1]["ticket"] = json!("OPS-7");
        later["head"] = json!(hash(&later["entries"][1]));
        assert!(verify(&later).is_ok());
        later["entries"][1]["ticket"] = json!("OPS-8");
        assert_eq!(verify(&later).unwrap_err()[0].seq, Some(2));
    }

    #[test]
    fn whatever_is_done_to_a_record_names_the_decision() {
        type Tamper = (&'static str, fn(&mut Value), Option<i64>, &'static str);
        let cases: [Tamper; 8] = [
            ("a sentence is changed", |log| log["entries"][1]["message"] = json!("x"), Some(6), "its previous is"),
            ("the last is changed", |log| log["entries"][63]["message"] = json!("x"), Some(67), "head is"),
            ("an author is put in", |log| log["entries"][2]["asked"] = json!({"author": "ada"}), Some(7), "previous"),
            ("one is taken out", |log| drop(log["entries"].as_array_mut().unwrap().remove(5)), Some(10), "previous"),
            ("the last is taken out", |log| drop(log["entries"].as_array_mut().unwrap().pop()), Some(66), "head is"),
            ("two change places", |log| log["entries"].as_array_mut().unwrap().swap(3, 4), Some(8), "previous"),
            ("the oldest is dropped", |log| drop(log["entries"].as_array_mut().unwrap().remove(0)), Some(5), "dropped"),
            ("the digest is lost", |log| log["digest"] = json!(""), None, "3 decisions were dropped"),
        ];
        for (what, tamper, seq, message) in cases {
            let mut log = log(MAX_DECISIONS + 3);
            tamper(&mut log);
            let flaws = verify(&log).unwrap_err();
            assert_eq!(flaws[0].seq, seq, "{what}: {flaws:?}");
            assert!(flaws[0].message.contains(message), "{what}: {flaws:?}");
        }
    }
}
