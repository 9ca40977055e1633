//! Disjoint windows on a wall-clock grid, each consumed exactly once.
//!
//! It decides which time counts and which is dropped, without looking at what was bad in it: dropping is then no bias.

use std::collections::BTreeMap;

use super::latency::Slower;
use crate::api::{Judging, Span};

/// Windows without an answer after which metrics count as unavailable, and the longest gap that one increment may cover.
/// More would let a hole in the metrics pass for a quiet service.
pub const GRACE_WINDOWS: i64 = 6;
/// Seconds after a pod's start that are not judged: cold caches look like an effect.
const WARMUP_SECONDS: i64 = 30;

/// Sums of counters that are no whole numbers differ by as much.
const HAIR: f64 = 1e-9;

/// Lengths that follow from the scrape interval, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub scrape: i64,
    /// One scrape, between 5 and 30 s.
    pub window: i64,
    /// A window is read this long after its end: one scrape and 2 s, until its samples are stored.
    pub ingest_delay: i64,
    /// Not judged after a change of weight.
    pub settle: i64,
    /// Not judged after a pod's start.
    pub warmup: i64,
    /// Windows without an answer after which metrics count as unavailable.
    pub grace: i64,
}

impl Timing {
    pub fn of(scrape_interval: Span) -> Self {
        let scrape = i64::try_from(scrape_interval.as_millis().div_ceil(1_000)).unwrap_or(i64::MAX).clamp(1, 3_600);
        Self {
            scrape,
            window: scrape.clamp(5, 30),
            ingest_delay: scrape + 2,
            settle: (2 * scrape).max(10),
            warmup: WARMUP_SECONDS,
            grace: GRACE_WINDOWS,
        }
    }

    /// The same with what people have set.
    pub fn with(self, judging: &Judging) -> Self {
        let seconds = |given: Option<Span>, usual: i64| {
            given.map_or(usual, |given| i64::try_from(given.as_millis().div_ceil(1_000)).unwrap_or(usual))
        };
        Self {
            ingest_delay: seconds(judging.ingest_delay, self.ingest_delay),
            settle: seconds(judging.settle, self.settle),
            warmup: seconds(judging.warmup, self.warmup),
            grace: judging.metrics_grace.map_or(self.grace, i64::from),
            ..self
        }
    }

    /// Start of the first window that lies wholly after `at`.
    pub fn first_after(&self, at: i64) -> i64 {
        at.div_euclid(self.window) * self.window + if at.rem_euclid(self.window) == 0 { 0 } else { self.window }
    }

    /// End of the last window whose samples are stored at `now`.
    pub fn ready_until(&self, now: i64) -> i64 {
        (now - self.ingest_delay).div_euclid(self.window) * self.window
    }
}

/// Events of one arm: all of them, and the bad ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub bad: f64,
    pub total: f64,
}

impl Counts {
    /// The bad ones are a part of all; what rounding adds is none of it.
    pub fn belong_together(self) -> bool {
        let hair = HAIR * self.total;
        (-hair..=self.total + hair).contains(&self.bad)
    }

    /// The bad ones made a part of all.
    pub fn clamped(self) -> Self {
        Self { bad: self.bad.clamp(0.0, self.total), ..self }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.bad += other.bad;
        self.total += other.total;
    }
}

/// A complete window: both arms over the same time `(start, end]`, in seconds since the epoch. It is longer than the grid
/// where windows were merged because an arm was missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub start: i64,
    pub end: i64,
    pub canary: Counts,
    pub control: Counts,
}

/// One arm in one cell of the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    pub counts: Counts,
    /// Its events up to the end of the cell are known; false is missing, not 0.
    pub present: bool,
}

/// One cell of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    pub end: i64,
    pub canary: Side,
    pub control: Side,
}

/// Which arms have traffic by the weight; one that has none and is missing counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub canary: bool,
    pub control: bool,
}

/// Why a window was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// The weight had just changed.
    Settling,
    /// The pods had just started.
    Warmup,
    /// An arm was missing for too long.
    Gap,
    /// An arm had more bad events than events, or fewer than none: what was counted does not belong together.
    BadAboveTotal,
}

impl Dropped {
    pub const ALL: [Self; 4] = [Self::Settling, Self::Warmup, Self::Gap, Self::BadAboveTotal];

    /// The word for records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Warmup => "warmup",
            Self::Gap => "gap",
            Self::BadAboveTotal => "badAboveTotal",
        }
    }
}

/// From when on windows are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The weight has settled.
    pub settled: i64,
    /// The pods are warm.
    pub warm: i64,
    /// Length of a window of the grid: merged ones count as what they were merged from.
    pub window: i64,
}

impl Judged {
    /// The first second that is judged.
    pub fn from(self) -> i64 {
        self.settled.max(self.warm)
    }

    /// Why a window is not judged; None: it is.
    pub fn verdict_on(self, window: &Window) -> Option<Dropped> {
        if window.start < self.settled {
            Some(Dropped::Settling)
        } else {
            (window.start < self.warm).then_some(Dropped::Warmup)
        }
    }
}

/// Slots made into windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assembly {
    pub windows: Vec<Window>,
    /// By window: what was slower than each boundary, on a latency metric without a threshold.
    pub slower: Vec<Vec<Slower>>,
    /// End of what is consumed: the next read starts here.
    pub watermark: i64,
    pub dropped: BTreeMap<Dropped, u64>,
}

impl Assembly {
    /// Leave the windows out in which an arm's counts do not belong together: they are neither good nor bad. The last one.
    pub fn drop_contradictions(&mut self, window: i64) -> Option<Window> {
        let belongs = |it: &Window| it.canary.belong_together() && it.control.belong_together();
        let found: Vec<Window> = self.windows.extract_if(.., |it| !belongs(it)).collect();
        for it in &mut self.windows {
            (it.canary, it.control) = (it.canary.clamped(), it.control.clamped());
        }
        let windows: i64 = found.iter().map(|it| (it.end - it.start) / window).sum();
        if windows > 0 {
            self.dropped.insert(Dropped::BadAboveTotal, windows.unsigned_abs());
        }
        found.last().copied()
    }
}

/// Merge slots until both arms are there in the same one; drop what stays incomplete over more than the grace.
///
/// `slots` follow each other without a hole from `watermark` on. What is incomplete at the end is not consumed: it is
/// read again, with its first slot, next time.
pub fn assemble(slots: &[Slot], watermark: i64, expected: Expected) -> Assembly {
    let mut done = Assembly { watermark, ..Assembly::default() };
    let (mut canary, mut control, mut pending) = (Counts::default(), Counts::default(), 0);
    for slot in slots {
        canary += slot.canary.counts;
        control += slot.control.counts;
        pending += 1;
        let complete = (slot.canary.present || !expected.canary) && (slot.control.present || !expected.control);
        let too_long = pending > GRACE_WINDOWS;
        if !complete && !too_long {
            continue;
        }
        if too_long {
            *done.dropped.entry(Dropped::Gap).or_default() += pending.unsigned_abs();
        } else {
            done.windows.push(Window { start: done.watermark, end: slot.end, canary, control });
        }
        done.watermark = slot.end;
        (canary, control, pending) = (Counts::default(), Counts::default(), 0);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Expected = Expected { canary: true, control: true };

    fn side(total: Option<f64>) -> Side {
        Side { counts: Counts { bad: 0.0, total: total.unwrap_or(0.0) }, present: total.is_some() }
    }

    fn slots(arms: &[(Option<f64>, Option<f64>)]) -> Vec<Slot> {
        let cell = |(k, &(canary, control)): (usize, &(Option<f64>, Option<f64>))| Slot {
            end: (i64::try_from(k).unwrap() + 1) * 10,
            canary: side(canary),
            control: side(control),
        };
        arms.iter().enumerate().map(cell).collect()
    }

    fn check(
        arms: &[(Option<f64>, Option<f64>)],
        expected: Expected,
        windows: &[(i64, i64, f64, f64)],
        watermark: i64,
    ) {
        let done = assemble(&slots(arms), 0, expected);
        let seen: Vec<_> = done.windows.iter().map(|w| (w.start, w.end, w.canary.total, w.control.total)).collect();
        assert_eq!((seen.as_slice(), done.watermark), (windows, watermark));
    }

    #[test]
    fn windows_merge_until_both_arms_are_there_at_the_same_end() {
        let (yes, no) = (Some(1.0), None);
        check(&[(yes, yes), (yes, yes)], BOTH, &[(0, 10, 1.0, 1.0), (10, 20, 1.0, 1.0)], 20);
        check(&[(yes, no), (yes, Some(2.0))], BOTH, &[(0, 20, 2.0, 2.0)], 20);
        check(&[(yes, no), (no, yes), (yes, yes)], BOTH, &[(0, 30, 2.0, 2.0)], 30);
        check(&[(yes, yes), (yes, no)], BOTH, &[(0, 10, 1.0, 1.0)], 10);
    }

    #[test]
    fn an_arm_without_traffic_by_the_weight_is_not_waited_for() {
        let soak = Expected { canary: true, control: false };
        check(&[(Some(5.0), None)], soak, &[(0, 10, 5.0, 0.0)], 10);
        check(&[(None, Some(5.0))], soak, &[], 0);
    }

    #[test]
    fn a_gap_over_the_grace_is_dropped_whole() {
        let mut arms = vec![(Some(1.0), None); 7];
        arms.push((Some(3.0), Some(4.0)));
        check(&arms, BOTH, &[(70, 80, 3.0, 4.0)], 80);
        assert_eq!(assemble(&slots(&arms), 0, BOTH).dropped, BTreeMap::from([(Dropped::Gap, 7)]));
    }

    #[test]
    fn lengths_follow_the_scrape_interval() {
        for (scrape, expected) in
            [(1, (1, 5, 3, 10)), (5, (5, 5, 7, 10)), (15, (15, 15, 17, 30)), (60, (60, 30, 62, 120))]
        {
            let timing = Timing::of(Span::seconds(scrape));
            assert_eq!((timing.scrape, timing.window, timing.ingest_delay, timing.settle), expected);
        }
        let timing = Timing::of(Span::seconds(15));
        assert_eq!((timing.first_after(30), timing.first_after(31), timing.first_after(44)), (30, 45, 45));
        assert_eq!((timing.ready_until(46), timing.ready_until(47), timing.ready_until(61)), (15, 30, 30));
    }
}
