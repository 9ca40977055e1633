//! What a Lease says: read from a document, and written into one.
//!
//! Its times are for people: no decision compares them.

use serde_json::{Value, json};

use crate::workload::object::{number, text};

/// A lease that was given back is written with the shortest duration there is, as client-go does.
const RELEASED_SECONDS: i64 = 1;

/// The spec of a Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Identity of who leads; empty: nobody.
    pub holder: String,
    /// `leaseTransitions`: raised whenever the lease is acquired, by whomever.
    pub epoch: i64,
    pub duration_seconds: i64,
    /// RFC 3339 with microseconds.
    pub acquired: String,
    pub renewed: String,
}

impl Record {
    pub fn of(lease: &Value) -> Self {
        let word = |path| text(lease, path).unwrap_or_default().to_owned();
        Self {
            holder: word("/spec/holderIdentity"),
            epoch: number(lease, "/spec/leaseTransitions").unwrap_or_default(),
            duration_seconds: number(lease, "/spec/leaseDurationSeconds").unwrap_or_default(),
            acquired: word("/spec/acquireTime"),
            renewed: word("/spec/renewTime"),
        }
    }

    pub fn spec(&self) -> Value {
        json!({
            "holderIdentity": self.holder,
            "leaseTransitions": self.epoch,
            "leaseDurationSeconds": self.duration_seconds,
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
        })
    }

    /// The same without a holder.
    pub fn released(&self, now: &str) -> Self {
        Self { holder: String::new(), duration_seconds: RELEASED_SECONDS, renewed: now.to_owned(), ..self.clone() }
    }
}
