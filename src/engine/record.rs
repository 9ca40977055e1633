//! The run's record: transitions, the bounded log of decisions, and numbers that follow from the plan.
//!
//! It decides nothing.

use sha2::{Digest, Sha256};

use crate::api::{DecisionEntry, DecisionLog, Percent, Reason, RolloutRunStatus};

/// Decisions kept in a record.
pub const MAX_DECISIONS: usize = 64;
/// And their sentences in bytes: a status may have 64 KiB, and the evidence of 12 metrics needs 40 of them.
const MAX_LOG_BYTES: usize = 12 * 1024;
/// Longest sentence of a decision in bytes.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// Records a transition: raises `seq`, and logs the sentence.
pub fn transition(status: &mut RolloutRunStatus, now: &str, reason: Reason, message: &str) {
    status.seq += 1;
    status.since = Some(now.to_owned());
    status.reason = Some(reason);
    status.message = shorten(message);
    let entry = DecisionEntry {
        seq: status.seq,
        at: now.to_owned(),
        step: status.step,
        weight: status.weight,
        reason,
        message: status.message.clone(),
    };
    append(&mut status.decisions, entry);
}

/// Records the end: the last decision's sentence stays what the run is remembered for.
pub fn close(status: &mut RolloutRunStatus, now: &str) {
    status.seq += 1;
    status.since = Some(now.to_owned());
}

/// Appends a decision; the oldest beyond the limit goes into the digest, which chains over all that were dropped.
fn append(log: &mut DecisionLog, entry: DecisionEntry) {
    log.entries.push(entry);
    let is_full = |log: &DecisionLog| {
        let bytes: usize = log.entries.iter().map(|entry| entry.message.len()).sum();
        log.entries.len() > MAX_DECISIONS || bytes > MAX_LOG_BYTES
    };
    while is_full(log) {
        let dropped = log.entries.remove(0);
        let mut hash = Sha256::new();
        hash.update(log.digest.as_bytes());
        hash.update(serde_json::to_vec(&dropped).unwrap_or_default());
        log.digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        log.dropped += 1;
    }
}

/// Cuts a sentence at a character boundary.
pub fn shorten(message: &str) -> String {
    if message.len() <= MAX_MESSAGE_BYTES {
        return message.to_owned();
    }
    let end = (0..=MAX_MESSAGE_BYTES - 3).rev().find(|&end| message.is_char_boundary(end)).unwrap_or(0);
    format!("{}...", &message[..end])
}

/// The smallest of 100, 1,000, 10,000 and 100,000 in which each of these shares is a whole number. Small, because some
/// routers take no more than 999 or 1,000.
pub fn weight_total(shares: impl Iterator<Item = Percent>) -> u32 {
    shares.map(smallest_total).max().unwrap_or(100)
}

const fn smallest_total(share: Percent) -> u32 {
    let thousandths = share.thousandths();
    if thousandths.is_multiple_of(1_000) {
        100
    } else if thousandths.is_multiple_of(100) {
        1_000
    } else if thousandths.is_multiple_of(10) {
        10_000
    } else {
        100_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_its_digest_depends_on_what_was_dropped() {
        let mut status = RolloutRunStatus::default();
        for _ in 0..MAX_DECISIONS {
            transition(&mut status, "2026-01-01T00:00:00Z", Reason::Baking, "x");
        }
        assert_eq!((status.decisions.dropped, status.decisions.digest.as_str()), (0, ""));
        transition(&mut status, "2026-01-01T00:00:00Z", Reason::Baking, &"é".repeat(600));
        let first = status.decisions.digest.clone();
        assert_eq!((status.decisions.entries.len(), status.decisions.dropped, first.len()), (MAX_DECISIONS, 1, 64));
        assert!(status.message.len() <= MAX_MESSAGE_BYTES);
        transition(&mut status, "2026-01-01T00:00:01Z", Reason::Baking, "y");
        assert_ne!(status.decisions.digest, first);
    }

    #[test]
    fn the_total_is_the_smallest_that_is_exact_for_the_whole_plan() {
        for (weights, total) in [
            (vec!["1", "50", "100"], 100),
            (vec!["0.1", "5", "100"], 1_000),
            (vec!["0.25", "100"], 10_000),
            (vec!["0.125", "100"], 100_000),
        ] {
            let shares = weights.iter().map(|weight| weight.parse().unwrap());
            assert_eq!(weight_total(shares), total, "{weights:?}");
        }
    }
}
