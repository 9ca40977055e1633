//! What a release has cost: bad requests of the canary above what stable would have had.
//!
//! Accounting, not inference: it says how much, not whether the revision is worse. A shared outage is not charged.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{
    allowance::BudgetTerms,
    bits::{from_bits, to_bits},
    fold::{BrokenState, Fold},
    verdict::Verdict,
    window::{Counts, Window},
};
use crate::api::{Percent, Reason, SpendRecord};

/// Stable's ratio in a window counts if stable had this many requests in `RECENT_SECONDS`.
/// With fewer, one unlucky request of stable would excuse many of the canary's.
const ENOUGH_REQUESTS: f64 = 100.0;
const RECENT_SECONDS: i64 = 300;
/// A revert needs this many bad requests of the canary, whatever the allowance.
const LEAST_BAD: f64 = 10.0;

/// Fewer requests of stable say nothing of its present ratio.
const ENOUGH_TO_TELL: f64 = 20.0;
/// Bad requests below which nothing is an incident: a quiet service has a bad minute after one of them.
const LEAST_BAD_OF_BOTH: f64 = 5.0;
/// Stable is degraded from this speed on, and from this multiple of its usual ratio.
const DEGRADED_BURN: f64 = 2.0;
const DEGRADED_RISE: f64 = 3.0;
/// The objective without an error budget. It is the one that the default passMargin without an objective is half of: stricter, and
/// services that live well with half a percent of errors would be held.
const ASSUMED: Percent = Percent::whole(99);

/// Stable's state in an incident that both arms share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Degradation {
    pub ratio: f64,
    /// Times the speed that just spends the budget in its window.
    pub burn: f64,
    /// Stable's ratio in the hour before the run.
    pub usual: f64,
    /// The objective that nobody has written and that is assumed; None: it is the error budget's.
    pub assumed: Option<Percent>,
}

/// The excess of the canary over stable, window by window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetFold {
    canary: Counts,
    control: Counts,
    /// Signed: a window better than stable gives back.
    excess: f64,
    /// Stable's counts by end of window, over the last 5 min.
    recent: VecDeque<(i64, Counts)>,
    /// Stable's ratio in the hour before the run, if it was measured.
    pub before: Option<f64>,
    /// Requests expected in the budget's window and whether they were extrapolated, once they are known.
    pub expected: Option<(u64, bool)>,
    /// Excess of earlier attempts with this revision, in requests: a retry does not refill the allowance.
    spent_earlier: f64,
}

/// What the fold amounts to, in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spending {
    pub gross: f64,
    pub excess: f64,
    /// Stable's ratio that the excess is measured against.
    pub stable_ratio: f64,
}

impl BudgetFold {
    /// A fold for a run before which the revision has cost this much already.
    pub fn after(spent_earlier_hundredths: i64) -> Self {
        Self { spent_earlier: spent_earlier_hundredths as f64 / 100.0, ..Self::default() }
    }

    /// Stable's ratio to expect in a window: its own, or with too little recent traffic that over the steps, or before them.
    fn stable_ratio(&self, window: &Window) -> f64 {
        let recent: f64 = self.recent.iter().map(|(_, counts)| counts.total).sum();
        let own = recent >= ENOUGH_REQUESTS && window.control.total > 0.0;
        if own { window.control.bad / window.control.total } else { self.usual_ratio() }
    }

    fn usual_ratio(&self) -> f64 {
        let over_steps = (self.control.total > 0.0).then(|| self.control.bad / self.control.total);
        over_steps.or(self.before).unwrap_or(0.0)
    }

    /// Whether stable's ratio before the run is needed: nothing is known of it from the steps.
    pub fn needs_before(&self) -> bool {
        self.before.is_none() && self.control.total == 0.0
    }

    /// Stable's bad ratio over its last windows of so many seconds; None: it had too few requests, or too few bad ones, to tell.
    fn recent_ratio(&self, seconds: i64) -> Option<f64> {
        let last = self.recent.back()?.0;
        let mut sum = Counts::default();
        for (_, counts) in self.recent.iter().filter(|(end, _)| *end > last - seconds) {
            sum += *counts;
        }
        (sum.total >= ENOUGH_TO_TELL && sum.bad >= LEAST_BAD_OF_BOTH).then(|| sum.bad / sum.total)
    }

    /// Stable itself is bad: it burns its budget at twice the speed or more, over one minute and over five, and three times
    /// what it did before the run. The speeds, and stable's ratio over a minute. Without an objective one is assumed: both arms can be
    /// bad where nobody has written what is bad.
    pub fn shared_degradation(&self, objective: Option<Percent>) -> Option<Degradation> {
        let (minute, five) = (self.recent_ratio(60)?, self.recent_ratio(RECENT_SECONDS)?);
        let allowed = objective.unwrap_or(ASSUMED).rest().ratio();
        let assumed = objective.is_none().then_some(ASSUMED);
        let usual = self.before.unwrap_or(0.0);
        let bad = |ratio: f64| ratio >= DEGRADED_BURN * allowed && ratio > DEGRADED_RISE * usual;
        (bad(minute) && bad(five)).then_some(Degradation { ratio: minute, burn: minute / allowed, usual, assumed })
    }

    pub fn spending(&self) -> Spending {
        let excess = self.excess.max(0.0) + self.spent_earlier.max(0.0);
        Spending { gross: self.canary.bad, excess, stable_ratio: self.usual_ratio() }
    }
}

impl Fold for BudgetFold {
    fn absorb(&mut self, window: &Window) {
        self.control += window.control;
        let Counts { bad, total } = window.control;
        self.recent.push_back((window.end, Counts { bad: bad.round(), total: total.round() }));
        while self.recent.front().is_some_and(|(end, _)| *end <= window.end - RECENT_SECONDS) {
            self.recent.pop_front();
        }
        self.excess += window.canary.bad - window.canary.total * self.stable_ratio(window);
        self.canary += window.canary;
    }

    fn state(&self) -> Value {
        let sums = [self.canary.bad, self.canary.total, self.control.bad, self.control.total, self.excess];
        let recent: Vec<String> =
            self.recent.iter().map(|(end, counts)| format!("{end},{},{}", counts.bad, counts.total)).collect();
        json!({
            "sums": sums.map(to_bits),
            "recent": recent.join(";"),
            "before": self.before.map(to_bits),
            "expected": self.expected,
        })
    }

    fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        let read = || {
            let sum = |index: usize| from_bits(&state["sums"][index]);
            let recent = state["recent"].as_str()?.split(';').filter(|row| !row.is_empty());
            let before = &state["before"];
            Some(Self {
                canary: Counts { bad: sum(0)?, total: sum(1)? },
                control: Counts { bad: sum(2)?, total: sum(3)? },
                excess: sum(4)?,
                recent: recent.map(read_recent).collect::<Option<_>>()?,
                before: if before.is_null() { None } else { Some(from_bits(before)?) },
                expected: serde_json::from_value(state["expected"].clone()).ok()?,
                spent_earlier: self.spent_earlier,
            })
        };
        *self = read().ok_or(BrokenState("the budget"))?;
        Ok(())
    }
}

fn read_recent(row: &str) -> Option<(i64, Counts)> {
    let mut numbers = row.split(',');
    let end = numbers.next()?.parse().ok()?;
    let mut whole = || Some(numbers.next()?.parse::<u64>().ok()? as f64);
    Some((end, Counts { bad: whole()?, total: whole()? }))
}

impl Spending {
    /// Fail if the allowance is spent.
    pub fn spent(&self, terms: &BudgetTerms) -> Option<Verdict> {
        let spent = terms.allowance().is_spent_by(self.excess) && self.gross >= LEAST_BAD;
        spent.then(|| {
            let message = format!("{} spent an allowance of {}", self.sentence(), terms.sentence());
            Verdict::fail(Reason::BudgetSpent, message)
        })
    }

    /// Hold the weight if half of it is.
    pub fn half_spent(&self, terms: &BudgetTerms) -> Option<Verdict> {
        terms.allowance().is_half_spent_by(self.excess).then(|| {
            let message = format!("{} spent half of an allowance of {}", self.sentence(), terms.sentence());
            Verdict::hold(Reason::BudgetHalfSpent, message)
        })
    }

    fn sentence(&self) -> String {
        format!("{:.0} bad requests above stable's {} %", self.excess, percent(self.stable_ratio))
    }

    pub fn record(&self, terms: &BudgetTerms) -> SpendRecord {
        SpendRecord {
            gross: self.gross.round() as u64,
            excess_hundredths: (self.excess * 100.0).round() as i64,
            allowance: terms.allowance().requests(),
            expected_requests: terms.expected_requests,
            extrapolated: terms.extrapolated,
        }
    }
}

/// A ratio in percent with at most three decimals: "0.1".
pub fn percent(ratio: f64) -> String {
    let text = format!("{:.3}", ratio * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::ErrorBudget, stats::Judgement};

    fn window(end: i64, (xc, nc, xs, ns): (f64, f64, f64, f64)) -> Window {
        let (canary, control) = (Counts { bad: xc, total: nc }, Counts { bad: xs, total: ns });
        Window { start: end - 5, end, canary, control }
    }

    fn folded(windows: &[(f64, f64, f64, f64)]) -> BudgetFold {
        let mut fold = BudgetFold::default();
        for (end, counts) in (5..).step_by(5).zip(windows) {
            fold.absorb(&window(end, *counts));
        }
        fold
    }

    fn terms(objective: &str, max_spend: &str, expected: u64) -> BudgetTerms {
        let (objective, max_spend) = (objective.parse().unwrap(), Some(max_spend.parse().unwrap()));
        BudgetTerms::new(&ErrorBudget { objective, max_spend, ..ErrorBudget::default() }, expected, false)
    }

    #[test]
    fn few_bad_requests_of_a_quiet_service_are_no_incident_of_both() {
        let objective = || Some("99.9".parse().unwrap());
        let of = |bad: f64| folded(&[&[(0.0, 12.0, 0.0, 12.0); 12][..], &[(0.0, 12.0, bad, 12.0)]].concat());
        for bad in [1.0, 4.0] {
            assert_eq!(of(bad).shared_degradation(objective()), None, "{bad}");
        }
        assert_eq!(of(5.0).shared_degradation(objective()).map(|seen| seen.ratio), Some(5.0 / 144.0));
    }

    const VECTOR: [(f64, f64, f64, f64); 10] = [
        (0.0, 48.0, 1.0, 950.0),
        (1.0, 52.0, 0.0, 940.0),
        (2.0, 50.0, 1.0, 955.0),
        (3.0, 47.0, 0.0, 948.0),
        (2.0, 51.0, 2.0, 951.0),
        (4.0, 49.0, 1.0, 947.0),
        (3.0, 50.0, 1.0, 950.0),
        (0.0, 0.0, 1.0, 930.0),
        (4.0, 53.0, 0.0, 946.0),
        (5.0, 50.0, 2.0, 949.0),
    ];

    #[test]
    fn excess_is_that_of_the_vector() {
        let spending = folded(&VECTOR).spending();
        assert_eq!(spending.gross, 24.0);
        assert!((spending.excess - 23.580_114_14).abs() < 1e-7, "{}", spending.excess);
        assert_eq!(spending.record(&terms("99.9", "1", 129_600_000)).excess_hundredths, 2_358);
    }

    #[test]
    fn written_and_restored_it_goes_on_bit_by_bit() {
        let whole = folded(&VECTOR);
        for cut in 0..VECTOR.len() {
            let mut before = folded(&VECTOR[..cut]);
            before.expected = whole.expected;
            let text = before.state().to_string();
            let mut after = BudgetFold::default();
            after.restore(&serde_json::from_str(&text).unwrap()).unwrap();
            for (end, counts) in (5..).step_by(5).zip(VECTOR).skip(cut) {
                after.absorb(&window(end, counts));
            }
            assert_eq!(after.excess.to_bits(), whole.excess.to_bits(), "cut at {cut}");
            assert_eq!(after, whole);
        }
    }

    #[test]
    fn with_little_recent_traffic_the_usual_ratio_of_stable_counts() {
        // 50 requests of stable, 1 bad: the ratio over the steps, the same here.
        assert_eq!(folded(&[(5.0, 100.0, 1.0, 50.0)]).spending().excess, 3.0);
        // A window of stable's own with an outage on both arms charges nothing.
        assert_eq!(folded(&[(50.0, 100.0, 500.0, 1000.0)]).spending().excess, 0.0);
        // Stable without traffic: the ratio before the run, or 0.
        let mut soak = BudgetFold { before: Some(0.01), ..BudgetFold::default() };
        soak.absorb(&window(5, (5.0, 100.0, 0.0, 0.0)));
        assert_eq!(soak.spending().excess, 4.0);
        assert_eq!(folded(&[(5.0, 100.0, 0.0, 0.0)]).spending().excess, 5.0);
    }

    #[test]
    fn stable_without_traffic_is_judged_by_the_steps_before() {
        let fold = folded(&[(0.0, 100.0, 10.0, 1000.0), (20.0, 1000.0, 0.0, 0.0)]);
        assert!((fold.spending().excess - 9.0).abs() < 1e-9);
    }

    #[test]
    fn spent_fails_half_holds_less_does_neither() {
        let demo = terms("99.9", "0.02", 518_400_000);
        let case = |excess, gross| Spending { excess, gross, stable_ratio: 0.001 };
        let fail = case(118.0, 120.0).spent(&demo).unwrap();
        assert_eq!((fail.judgement, fail.reason), (Judgement::Fail, Reason::BudgetSpent));
        assert_eq!(
            fail.message,
            "118 bad requests above stable's 0.1 % spent an allowance of 104 (0.02 % of 518400 = 0.1 % of 518400000 \
             requests in 720h)"
        );
        assert_eq!(case(103.6, 120.0).spent(&demo), None);
        assert_eq!(case(60.0, 60.0).half_spent(&demo).unwrap().reason, Reason::BudgetHalfSpent);
        assert_eq!(case(51.0, 51.0).half_spent(&demo), None);
        assert_eq!(case(12.0, 9.0).spent(&terms("99.9", "1", 0)), None, "fewer than 10 bad requests never revert");
    }

    #[test]
    fn a_retry_does_not_refill_the_allowance() {
        let fold = BudgetFold { spent_earlier: 100.0, ..folded(&VECTOR) };
        assert!(fold.spending().spent(&terms("99.9", "0.02", 518_400_000)).is_some());
    }
}
