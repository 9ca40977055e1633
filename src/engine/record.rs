//! The run's record: transitions, the bounded log of decisions, and numbers that follow from the plan.
//!
//! It decides nothing.

use super::chain;
use crate::{
    api::{Asked, DecisionEntry, Percent, Reason, RolloutRunStatus, Standing},
    stats::marks,
};

/// Decisions kept in a record.
pub const MAX_DECISIONS: usize = 64;
/// What the evidence of 12 metrics needs, in bytes, three of them at 12 boundaries: 47 KiB to go on, and a few windows for a
/// replay. What is left of a status has room for a few decisions when approvals and resets are as many as they can be.
pub const MAX_EVIDENCE_BYTES: usize = 48 * 1024;
/// All of a status: it is written with each transition, and etcd keeps every version for a while.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;
/// All of a spec, which is frozen for good.
pub const MAX_SPEC_BYTES: usize = 32 * 1024;
/// Longest sentence of a decision in bytes.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// Records a transition: raises `seq`, and logs the sentence, chained to the one before.
pub fn transition(status: &mut RolloutRunStatus, now: &str, reason: Reason, message: &str, asked: Option<Asked>) {
    status.seq += 1;
    status.since = Some(now.to_owned());
    status.reason = Some(reason);
    status.message = shorten(message);
    let log = &status.decisions;
    let before = log.entries.last();
    let entry = DecisionEntry {
        seq: status.seq,
        epoch: status.epoch,
        at: now.to_owned(),
        from: before.map(|DecisionEntry { phase, step, weight, .. }| Standing {
            phase: *phase,
            step: *step,
            weight: *weight,
        }),
        phase: status.phase,
        step: status.step,
        weight: status.weight,
        reason,
        message: status.message.clone(),
        asked,
        evidence: status.evidence.as_ref().map(chain::hash_of),
        folds: status.evidence.as_ref().and_then(marks),
        previous: before.map(chain::hash_of),
    };
    append(status, entry);
}

/// Records the end: the last decision's sentence stays what the run is remembered for.
pub fn close(status: &mut RolloutRunStatus, now: &str) {
    status.seq += 1;
    status.since = Some(now.to_owned());
}

/// Appends a decision; the oldest beyond the limits leave only their hash.
fn append(status: &mut RolloutRunStatus, entry: DecisionEntry) {
    status.decisions.head = chain::hash_of(&entry);
    status.decisions.entries.push(entry);
    while status.decisions.entries.len() > MAX_DECISIONS {
        chain::drop_oldest(&mut status.decisions);
    }
    fit(status);
}

/// Keeps the status within its bound. What else stands in it is needed to go on, so it is the log that gives way.
pub fn fit(status: &mut RolloutRunStatus) {
    let bytes = |status: &RolloutRunStatus| serde_json::to_string(status).map_or(0, |text| text.len());
    while status.decisions.entries.len() > 1 && bytes(status) > MAX_STATUS_BYTES {
        chain::drop_oldest(&mut status.decisions);
    }
}

/// Cuts a sentence to what a decision keeps of it.
pub fn shorten(message: &str) -> String {
    cut(message, MAX_MESSAGE_BYTES)
}

/// Cuts a text at a character boundary.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most - 3).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}...", &text[..end])
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
        api::{ActionType, Approval, EvidenceRecord, MetricRecord, Reset},
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
            transition(&mut status, "2026-01-01T00:00:00Z", Reason::Baking, "x", None);
        }
        assert_eq!((status.decisions.dropped, status.decisions.digest.as_str()), (0, ""));
        transition(&mut status, "2026-01-01T00:00:00Z", Reason::Baking, &"é".repeat(600), None);
        let first = status.decisions.digest.clone();
        assert_eq!((status.decisions.entries.len(), status.decisions.dropped, first.len()), (MAX_DECISIONS, 1, 64));
        assert!(status.message.len() <= MAX_MESSAGE_BYTES);
        transition(&mut status, "2026-01-01T00:00:01Z", Reason::Baking, "y", None);
        assert_ne!(status.decisions.digest, first);
    }

    #[test]
    fn a_decision_says_on_which_folds_it_rests() {
        let fold = serde_json::json!({"comparison": {"fail": ".P/AAAAAAAAA", "pass": ".P/AAAAAAAAA"}});
        let metric = MetricRecord { windows_used: 7, fold: Some(fold), ..MetricRecord::default() };
        let mut status = RolloutRunStatus::default();
        transition(&mut status, AT, Reason::Baking, "x", None);
        let metrics = [("errors".to_owned(), metric)].into();
        status.evidence = Some(EvidenceRecord { metrics, ..EvidenceRecord::default() });
        transition(&mut status, AT, Reason::Baking, "y", None);
        let [first, second] = status.decisions.entries.as_slice() else { panic!("{status:?}") };
        assert_eq!((&first.folds, &second.folds), (&None, &marks(status.evidence.as_ref().unwrap())));
        assert!(second.folds.as_ref().unwrap().starts_with("7:"), "{second:?}");
    }

    /// Names and lists as long as the schema lets them be.
    #[test]
    fn a_status_at_the_maximum_of_everything_stays_within_64_kib() {
        let name = || "n".repeat(253);
        let approval = || Approval { gate: "g".repeat(40), author: name(), action: name(), verified: false };
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
        status.freeze_override = Some(crate::api::FreezeOverride { author, verified: false, reason, until });
        for _ in 0..100 {
            let asked = Asked {
                kind: ActionType::PromoteFull,
                action: name(),
                uid: Some("f".repeat(36)),
                author: name(),
                verified: false,
                on_behalf_of: Some("o".repeat(128)),
            };
            let message = "m".repeat(MAX_MESSAGE_BYTES);
            transition(&mut status, AT, Reason::SampleRatioMismatch, &message, Some(asked));
        }
        let bytes = |part: serde_json::Result<String>| part.unwrap().len();
        let without = status.decisions.entries.len();
        let frame = bytes(serde_json::to_string(&EvidenceRecord::default()));
        let message = "e".repeat(MAX_EVIDENCE_BYTES - frame);
        status.evidence = Some(EvidenceRecord { message, ..EvidenceRecord::default() });
        fit(&mut status);
        let (size, kept) = (bytes(serde_json::to_string(&status)), status.decisions.entries.len());
        assert!(size <= MAX_STATUS_BYTES, "{size} bytes");
        assert!((2..without).contains(&kept) && status.decisions.dropped as usize == 100 - kept, "{kept} of {without}");
        assert!(status.approvals.len() >= 8 && without >= 30, "{without}");
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
