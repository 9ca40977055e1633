//! Who leads, as one candidate can tell: a pure state machine over what it has seen of the Lease and its own monotonic clock.
//!
//! It follows client-go: another's lease has expired when it was seen unchanged for its whole duration. The times written in
//! it are never compared with a clock. It reads and writes nothing itself.

use std::time::Duration;

use super::record::Record;

/// How long a lease that nobody renews is respected.
pub const LEASE_SECONDS: i64 = 15;
/// A leader that could not renew for this long writes nothing more. With the 5 s that a request may take, the last write of
/// an old leader has ended when another may begin. Longer, and both could write at once; shorter, and an API server that is
/// away for some seconds costs the leader.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Longest duration in a lease that is believed: a mistyped one must not keep everybody out for days.
const MOST_LEASE_SECONDS: i64 = 60;
/// `leaseTransitions` is an int32.
const MOST_EPOCH: i64 = i32::MAX as i64;

/// One candidate's view.
#[derive(Debug, Default)]
pub struct Election {
    identity: String,
    seen: Option<Sighting>,
    term: Option<Term>,
    /// The highest epoch that is known from anywhere: a lease that was deleted does not begin at 1 again.
    highest: i64,
}

/// The Lease as last seen, and since when it has been so.
#[derive(Debug)]
struct Sighting {
    version: String,
    record: Record,
    since: Duration,
}

/// This candidate leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub epoch: i64,
    /// When the last successful renewal was sent: others see it later than that.
    pub renewed: Duration,
    acquired: String,
}

impl Term {
    /// From this moment on nothing may be written.
    pub fn deadline(&self) -> Duration {
        self.renewed + RENEW_DEADLINE
    }
}

/// What to do about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody else leads, as far as can be told: look again.
    StandBy,
    Create(Record),
    /// Replace the spec of this version and of no other.
    Write {
        version: String,
        record: Record,
    },
    /// Somebody else has taken the lease of this leader.
    Lost {
        holder: String,
    },
}

impl Election {
    pub fn new(identity: String) -> Self {
        Self { identity, ..Self::default() }
    }

    pub fn term(&self) -> Option<&Term> {
        self.term.as_ref()
    }

    /// Somewhere a record of this epoch stands. A leader whose own is lower takes a higher one with its next renewal, which
    /// proves that it still leads.
    pub fn knows(&mut self, epoch: i64) {
        self.highest = self.highest.max(epoch.min(MOST_EPOCH));
    }

    /// A leader's renewal on the version that it wrote last; None: it does not lead, or must look first.
    pub fn renewal(&self, wall: &str) -> Option<Step> {
        let (term, seen) = (self.term.as_ref()?, self.seen.as_ref()?);
        let record = self.continued(term, wall);
        Some(Step::Write { version: seen.version.clone(), record })
    }

    /// The Lease was read at `now`.
    pub fn see(&mut self, now: Duration, found: Option<(String, Record)>, wall: &str) -> Step {
        let Some((version, record)) = found else {
            self.seen = None;
            return Step::Create(self.fresh(wall));
        };
        self.knows(record.epoch);
        let same = self.seen.take().filter(|seen| seen.record == record);
        let since = same.map_or(now, |seen| seen.since);
        self.seen = Some(Sighting { version: version.clone(), record: record.clone(), since });
        if record.holder == self.identity {
            // Without a term an earlier answer was lost on its way here.
            let held = Term { epoch: record.epoch, renewed: now, acquired: record.acquired };
            let record = self.continued(self.term.as_ref().unwrap_or(&held), wall);
            return Step::Write { version, record };
        }
        if record.holder.is_empty() {
            return Step::Write { version, record: self.fresh(wall) };
        }
        if self.term.is_some() {
            return Step::Lost { holder: record.holder };
        }
        let respected = record.duration_seconds.clamp(LEASE_SECONDS, MOST_LEASE_SECONDS);
        if now.saturating_sub(since) < Duration::from_secs(respected.unsigned_abs()) {
            return Step::StandBy;
        }
        Step::Write { version, record: self.fresh(wall) }
    }

    /// A write of this candidate's, sent at `sent`, has succeeded.
    pub fn wrote(&mut self, sent: Duration, version: String, record: Record) -> &Term {
        self.knows(record.epoch);
        let term = Term { epoch: record.epoch, renewed: sent, acquired: record.acquired.clone() };
        self.seen = Some(Sighting { version, record, since: sent });
        self.term.insert(term)
    }

    /// What gives the lease back; None: it is not this candidate's.
    pub fn release(&self, found: (String, Record), wall: &str) -> Option<Step> {
        let (version, record) = found;
        (record.holder == self.identity).then(|| Step::Write { version, record: record.released(wall) })
    }

    /// The lease of a new term.
    fn fresh(&self, wall: &str) -> Record {
        Record {
            holder: self.identity.clone(),
            epoch: (self.highest + 1).min(MOST_EPOCH),
            duration_seconds: LEASE_SECONDS,
            acquired: wall.to_owned(),
            renewed: wall.to_owned(),
        }
    }

    /// The lease of a term that goes on; its epoch rises if a higher one than its own is known.
    fn continued(&self, term: &Term, wall: &str) -> Record {
        if self.highest > term.epoch {
            return self.fresh(wall);
        }
        Record { epoch: term.epoch, acquired: term.acquired.clone(), ..self.fresh(wall) }
    }
}

#[cfg(test)]
mod tests;
