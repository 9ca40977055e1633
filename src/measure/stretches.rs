//! The times that a run was judged in, kept in its record: what has to be known to read its metrics again as they were read.
//!
//! A weight that is being changed has no stretch: its windows are evidence for neither weight.

use super::order::Order;
use crate::api::StretchRecord;

/// Kept in a record; a run has 50 steps at most.
const MOST: usize = 64;

/// The record's stretches as of an evaluation at `now`.
pub fn stretches(order: &Order, now: i64) -> Vec<StretchRecord> {
    let previous = order.previous.as_ref();
    let mut all = previous.map(|record| record.stretches.clone()).unwrap_or_default();
    let first = order.timing().first_after(order.run_started_at);
    let watermark = previous.map_or(first, |record| record.watermark.max(first));
    let is_changing = order.settled_at >= now;
    let present = StretchRecord {
        from: watermark,
        until: None,
        weight: order.weight,
        settled_at: order.settled_at,
        pods_started_at: order.pods_started_at,
    };
    let last = all.last_mut().filter(|last| last.until.is_none());
    let goes_on = !is_changing
        && last.as_ref().is_some_and(|last| StretchRecord { from: last.from, ..present.clone() } == **last);
    if let (Some(last), false) = (last, goes_on) {
        last.until = Some(watermark);
    }
    if !is_changing && !goes_on {
        all.push(present);
    }
    let surplus = all.len().saturating_sub(MOST);
    all.drain(..surplus);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{EvidenceRecord, Percent, Span};

    /// What is recorded of evaluations at (time, settled, weight), each of which consumes all until 7 s before.
    fn recorded(evaluations: &[(i64, i64, u32)]) -> Vec<StretchRecord> {
        let mut order = Order { run_started_at: 100, scrape_interval: Span::seconds(5), ..Order::default() };
        for (now, settled_at, weight) in evaluations {
            order.settled_at = *settled_at;
            order.weight = Percent::whole(*weight);
            let stretches = stretches(&order, *now);
            let watermark = order.timing().ready_until(*now);
            order.previous = Some(EvidenceRecord { watermark, stretches, ..EvidenceRecord::default() });
        }
        order.previous.map(|record| record.stretches).unwrap_or_default()
    }

    fn stretch(from: i64, until: Option<i64>, weight: u32, settled_at: i64) -> StretchRecord {
        StretchRecord { from, until, weight: Percent::whole(weight), settled_at, pods_started_at: None }
    }

    #[test]
    fn each_settled_weight_is_a_stretch_and_what_is_between_them_is_none() {
        let first = [(102, 102, 5), (107, 103, 5), (112, 103, 5)];
        assert_eq!(recorded(&first), [stretch(100, None, 5, 103)]);
        let changing = [first.as_slice(), &[(117, 117, 20), (122, 122, 20)]].concat();
        assert_eq!(recorded(&changing), [stretch(100, Some(105), 5, 103)]);
        let second = [changing.as_slice(), &[(127, 125, 20), (132, 125, 20)]].concat();
        assert_eq!(recorded(&second), [stretch(100, Some(105), 5, 103), stretch(115, None, 20, 125)]);
    }

    #[test]
    fn the_record_keeps_the_last_64() {
        let many: Vec<_> = (0..100).map(|step| (200 + 10 * step, 195 + 10 * step, 5)).collect();
        let stretches = recorded(&many);
        assert_eq!((stretches.len(), stretches[63].settled_at), (MOST, 195 + 990));
    }
}
