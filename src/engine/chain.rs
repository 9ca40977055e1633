//! The chain of a run's decisions: each carries the hash of the one before, and what was dropped leaves its hash behind.
//!
//! # Guarantees
//! A decision that was changed, taken out, put in or moved breaks the chain, whichever version wrote or reads it: the hash
//! is taken over the entry as it is stored, with fields that a reader does not know. So does one that is missing at either
//! end: what is kept begins after what was dropped, and ends where the status stands.
//!
//! # Caveats
//! Who may write the whole status may write a whole new chain, or cut one off and `seq` with it. What cannot be written anew
//! are the hashes that have left the cluster, in notifications.

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

/// Follows the chain of decisions in the status of a RolloutRun, as it is stored: every flaw.
pub fn verify(status: &Value) -> Result<Chain, Vec<Flaw>> {
    let log = &status["decisions"];
    let entries = log["entries"].as_array().map_or(&[][..], Vec::as_slice);
    let dropped = log["dropped"].as_u64().unwrap_or(0);
    let mut flaws = Vec::new();
    let mut before = log["digest"].as_str().unwrap_or_default().to_owned();
    if (dropped > 0) == before.is_empty() {
        flaws.push(Flaw { seq: None, message: format!("{dropped} decisions were dropped, and digest is {before:?}") });
    }
    let mut latest = None;
    // Each transition is one decision, and what is dropped is the oldest.
    let mut expected = i64::try_from(dropped).unwrap_or(i64::MAX).saturating_add(1);
    for entry in entries {
        let seq = entry["seq"].as_i64();
        let previous = entry["previous"].as_str().unwrap_or_default();
        if previous != before {
            let what = if latest.is_some() { "the decision before it" } else { "what was dropped before it" };
            let message = format!("its previous is {}, and {what} has {}", short(previous), short(&before));
            flaws.push(Flaw { seq, message });
        }
        if seq != Some(expected) {
            flaws.push(Flaw { seq, message: format!("seq {expected} is expected here") });
        }
        let found = seq.unwrap_or(expected);
        (latest, expected) = (Some(found), found.saturating_add(1));
        before = hash(entry);
    }
    let head = log["head"].as_str().unwrap_or_default();
    if head != before {
        let message = format!("head is {}, and the latest decision has {}", short(head), short(&before));
        flaws.push(Flaw { seq: latest, message });
    }
    flaws.extend(cut_off(status, latest));
    if flaws.is_empty() { Ok(Chain { kept: entries.len(), dropped, head: before }) } else { Err(flaws) }
}

/// The run stands at its latest decision, which is never dropped; its end raises `seq` once more without one.
fn cut_off(status: &Value, latest: Option<i64>) -> Option<Flaw> {
    let seq = status["seq"].as_i64().unwrap_or(0);
    let has_ended = status["phase"] == "Ended";
    let expected = latest.map_or(0, |latest| latest.saturating_add(i64::from(has_ended)));
    if seq == expected {
        return None;
    }
    let what = if latest.is_some() { "this is the latest decision" } else { "there are no decisions" };
    let end = if latest.is_some() && has_ended { " at the end of the run" } else { "" };
    Some(Flaw { seq: latest, message: format!("status.seq is {seq}, and {what}: {expected} is expected{end}") })
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
        api::{Reason, RolloutRunStatus, RunPhase},
        engine::record::{MAX_DECISIONS, close, transition},
    };

    const AT: &str = "2026-01-01T00:00:00Z";

    /// The status of a run with this many transitions.
    fn run(transitions: usize) -> RolloutRunStatus {
        let mut status = RolloutRunStatus::default();
        for number in 0..transitions {
            transition(&mut status, AT, Reason::Baking, &format!("decision {number}"), None);
        }
        status
    }

    /// The same as it is stored.
    fn stored(transitions: usize) -> Value {
        serde_json::to_value(run(transitions)).unwrap()
    }

    /// The same once the run has ended.
    fn ended(transitions: usize) -> Value {
        let mut status = run(transitions);
        status.phase = RunPhase::Ended;
        close(&mut status, AT);
        serde_json::to_value(status).unwrap()
    }

    fn entries(status: &mut Value) -> &mut Vec<Value> {
        status["decisions"]["entries"].as_array_mut().unwrap()
    }

    #[test]
    fn a_record_as_it_was_written_holds() {
        assert_eq!(verify(&json!({})), Ok(Chain::default()));
        for (transitions, kept, dropped) in [(1, 1, 0), (5, 5, 0), (MAX_DECISIONS + 3, MAX_DECISIONS, 3)] {
            for status in [stored(transitions), ended(transitions)] {
                let chain = verify(&status).unwrap();
                assert_eq!((chain.kept, chain.dropped, chain.head.len()), (kept, dropped, 64));
            }
        }
    }

    #[test]
    fn a_field_that_a_reader_does_not_know_belongs_to_the_hash() {
        let mut later = stored(2);
        let log = &mut later["decisions"];
        log["entries"][1]["ticket"] = json!("OPS-7");
        log["head"] = json!(hash(&log["entries"][1]));
        assert!(verify(&later).is_ok());
        later["decisions"]["entries"][1]["ticket"] = json!("OPS-8");
        assert_eq!(verify(&later).unwrap_err()[0].seq, Some(2));
    }

    #[test]
    fn whatever_is_done_to_a_record_names_the_decision() {
        type Tamper = (&'static str, fn(&mut Value), Option<i64>, &'static str);
        let cases: [Tamper; 8] = [
            ("a sentence is changed", |run| entries(run)[1]["message"] = json!("x"), Some(6), "its previous is"),
            ("the last is changed", |run| entries(run)[63]["message"] = json!("x"), Some(67), "head is"),
            ("an author is put in", |run| entries(run)[2]["asked"] = json!({"author": "ada"}), Some(7), "previous"),
            ("one is taken out", |run| drop(entries(run).remove(5)), Some(10), "previous"),
            ("the last is taken out", |run| drop(entries(run).pop()), Some(66), "head is"),
            ("two change places", |run| entries(run).swap(3, 4), Some(8), "previous"),
            ("the oldest is dropped", |run| drop(entries(run).remove(0)), Some(5), "dropped"),
            ("the digest is lost", |run| run["decisions"]["digest"] = json!(""), None, "3 decisions were dropped"),
        ];
        for (what, tamper, seq, message) in cases {
            let mut status = stored(MAX_DECISIONS + 3);
            tamper(&mut status);
            let flaws = verify(&status).unwrap_err();
            assert_eq!(flaws[0].seq, seq, "{what}: {flaws:?}");
            assert!(flaws[0].message.contains(message), "{what}: {flaws:?}");
        }
    }

    /// The latest decisions are gone, and the head is that of what is left.
    fn cut_to(status: &mut Value, kept: usize) {
        let removed = entries(status).drain(kept..).next().unwrap();
        status["decisions"]["head"] = removed["previous"].clone();
    }

    /// The oldest decisions are gone, and the digest is that of the last of them.
    fn begin_after(status: &mut Value, count: usize, dropped: u64) {
        entries(status).drain(..count);
        let digest = entries(status)[0]["previous"].clone();
        status["decisions"]["digest"] = digest;
        status["decisions"]["dropped"] = json!(dropped);
    }

    #[test]
    fn decisions_missing_at_either_end_are_found_although_every_hash_fits() {
        type Tamper = (&'static str, fn(&mut Value), Option<i64>, &'static str);
        let cases: [Tamper; 6] = [
            ("the last is cut off", |run| cut_to(run, 6), Some(6), "and this is the latest decision"),
            ("all but the first", |run| cut_to(run, 1), Some(1), "and this is the latest decision"),
            ("two, and one is said", |run| begin_after(run, 2, 1), Some(3), "seq 2 is expected here"),
            ("four, and 4000 are said", |run| begin_after(run, 4, 4_000), Some(5), "seq 4001 is expected here"),
            ("all", |run| run["decisions"] = json!({}), None, "and there are no decisions: 0 is expected"),
            (
                "all, as if they were dropped",
                |run| run["decisions"] = json!({"dropped": 7, "digest": "x", "head": "x"}),
                None,
                "and there are no decisions",
            ),
        ];
        for (what, tamper, seq, message) in cases {
            for mut status in [stored(7), ended(7)] {
                tamper(&mut status);
                let flaws = verify(&status).unwrap_err();
                assert_eq!(flaws.len(), 1, "{what}: {flaws:?}");
                assert_eq!(flaws[0].seq, seq, "{what}: {flaws:?}");
                assert!(flaws[0].message.contains(message), "{what}: {flaws:?}");
            }
        }
    }
}
