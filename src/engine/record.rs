//! The run's record: transitions, the bounded log of decisions, and numbers that follow from the plan.
//!
//! It decides nothing.

use sha2::{Digest, Sha256};

use crate::api::{DecisionEntry, Percent, Reason, RolloutRunStatus};

/// Decisions kept in a record.
pub const MAX_DECISIONS: usize = 64;
/// What the evidence of 12 metrics needs, in bytes, three of them at 12 boundaries: 46 KiB to go on, and some windows for a
/// replay. What is left of a status has room for a few decisions when approvals and resets are as many as they can be.
pub const MAX_EVIDENCE_BYTES: usize = 48 * 1024;
/// All of a status: it is written with each transition, and etcd keeps every version for a while.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;
/// All of a spec, which is frozen for good.
pub const MAX_SPEC_BYTES: usize = 32 * 1024;
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
    append(status, entry);
}

/// Records the end: the last decision's sentence stays what the run is remembered for.
pub fn close(status: &mut RolloutRunStatus, now: &str) {
    status.seq += 1;
    status.since = Some(now.to_owned());
}

/// Appends a decision; the oldest beyond the limits goes into the digest, which chains over all that were dropped. What else
/// stands in a record is needed to go on, so it is the log that gives way to it.
fn append(status: &mut RolloutRunStatus, entry: DecisionEntry) {
    status.decisions.entries.push(entry);
    let evidence = status.evidence.take();
    let bytes = |status: &RolloutRunStatus| serde_json::to_string(status).map_or(0, |text| text.len());
    while status.decisions.entries.len() > MAX_DECISIONS
        || status.decisions.entries.len() > 1 && bytes(status) > MAX_STATUS_BYTES - MAX_EVIDENCE_BYTES
    {
        let log = &mut status.decisions;
        let dropped = log.entries.remove(0);
        let mut hash = Sha256::new();
        hash.update(log.digest.as_bytes());
        hash.update(serde_json::to_vec(&dropped).unwrap_or_default());
        log.digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        log.dropped += 1;
    }
    status.evidence = evidence;
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
    use crate::{
        api::{Approval, EvidenceRecord, Reset},
        engine::{
            contention::MAX_RESETS,
            intent::{MAX_CONSUMED, has_room},
        },
    };

    const AT: &str = "2026-01-01T00:00:00Z";

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

    /// Names and lists as long as the schema lets them be.
    #[test]
    fn a_status_at_the_maximum_of_everything_stays_within_64_kib() {
        let name = || "n".repeat(253);
        let approval = || Approval { gate: "g".repeat(40), author: name(), action: name() };
        let reset = || Reset { what: "service".into(), name: name(), at: AT.into(), manager: Some("m".repeat(128)) };
        let mut status = RolloutRunStatus {
            resets: vec![reset(); MAX_RESETS],
            consumed: vec!["f".repeat(36); MAX_CONSUMED],
            ..RolloutRunStatus::default()
        };
        while has_room(&status.approvals, &approval()) {
            status.approvals.push(approval());
        }
        let (author, reason, until) = (name(), "r".repeat(512), Some(AT.to_owned()));
        status.freeze_override = Some(crate::api::FreezeOverride { author, reason, until });
        let whole = "e".repeat(MAX_EVIDENCE_BYTES);
        status.evidence = Some(EvidenceRecord { message: whole, ..EvidenceRecord::default() });
        for _ in 0..100 {
            transition(&mut status, AT, Reason::SampleRatioMismatch, &"m".repeat(MAX_MESSAGE_BYTES));
        }
        let evidence = serde_json::to_string(&status.evidence).unwrap().len();
        let size = serde_json::to_string(&status).unwrap().len() - evidence + MAX_EVIDENCE_BYTES;
        assert!(size <= MAX_STATUS_BYTES, "{size} bytes");
        let kept = status.decisions.entries.len();
        assert!((3..MAX_DECISIONS).contains(&kept) && status.decisions.dropped as usize == 100 - kept, "{kept}");
        assert!(status.approvals.len() >= 10 && status.evidence.is_some());
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
