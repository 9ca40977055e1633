//! What the records of runs and the Rollout's status say, and what Events say of it, side by side.
//!
//! It reads documents only, and judges nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::oracle::Change;
use crate::{
    controller::{EVENT, ROLLOUT, RUN},
    workload::object::{self, items, number, text},
};

/// As people are told it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Telling {
    /// Normal or Warning.
    pub kind: String,
    pub reason: String,
    pub note: String,
}

/// A decision as it stands in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub phase: String,
    pub reason: String,
    pub message: String,
}

/// A run as its record has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub run: String,
    /// By `seq`.
    pub decisions: BTreeMap<i64, Decided>,
    /// How it ended, and the sentence that it is remembered for.
    pub ended: Option<(String, String)>,
    /// Its status as it was last written.
    pub status: Value,
}

/// Everything since the beginning, also of runs that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tidings {
    /// By uid: a run whose record was lost is recorded anew under its name.
    pub runs: BTreeMap<String, Recorded>,
    pub events: Vec<Telling>,
    /// Each phase and reason that the Rollout's status has had, one after the other.
    pub standings: Vec<(String, String)>,
}

fn word(document: &Value, pointer: &str) -> String {
    text(document, pointer).unwrap_or_default().to_owned()
}

impl Tidings {
    pub(super) fn see(&mut self, change: &Change) {
        let (true, Some(after)) = (change.ours, change.after) else { return };
        match change.kind {
            EVENT if change.before.is_none() => self.events.push(Telling {
                kind: word(after, "/type"),
                reason: word(after, "/reason"),
                note: word(after, "/note"),
            }),
            RUN => self.read(after),
            ROLLOUT => {
                let reason = object::condition(after, "Ready").map(|ready| word(ready, "/reason"));
                let standing = (word(after, "/status/phase"), reason.unwrap_or_default());
                if self.standings.last() != Some(&standing) {
                    self.standings.push(standing);
                }
            }
            _ => {}
        }
    }

    fn read(&mut self, run: &Value) {
        let recorded = self.runs.entry(word(run, "/metadata/uid")).or_default();
        recorded.run = object::name(run).to_owned();
        recorded.status = run["status"].clone();
        for entry in items(run, "/status/decisions/entries") {
            let Some(seq) = number(entry, "/seq") else { continue };
            let (phase, reason, message) = (word(entry, "/phase"), word(entry, "/reason"), word(entry, "/message"));
            recorded.decisions.insert(seq, Decided { phase, reason, message });
        }
        if text(run, "/status/phase") == Some("Ended") {
            recorded.ended = Some((word(run, "/status/outcome"), word(run, "/status/message")));
        }
    }
}
