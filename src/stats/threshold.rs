//! A threshold metric: single values against a condition, counted over a step.
//!
//! It cannot tell a bad canary from a bad day, as it knows one arm only. What is no finite number is no measurement: it
//! neither passes nor fails, and without a pass the metric never passes.

use serde_json::{Value, json};

use super::{
    bits::{from_bits, to_bits},
    condition::{Condition, ConditionError},
    fold::BrokenState,
};
use crate::api::{Span, ThresholdMetric};

/// A threshold metric with its defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdPlan {
    condition: Condition,
    /// The condition says when a measurement succeeds; else, when it fails.
    says_success: bool,
    pub interval_seconds: i64,
    count: u32,
    failure_limit: u32,
    error_limit: u32,
}

impl ThresholdPlan {
    const DEFAULT_INTERVAL: Span = Span::seconds(30);
    const DEFAULT_ERROR_LIMIT: u32 = 4;

    pub fn new(metric: &ThresholdMetric) -> Result<Self, ConditionError> {
        let (text, says_success) = match (&metric.success, &metric.failure) {
            (Some(text), _) => (text.as_str(), true),
            (None, Some(text)) => (text.as_str(), false),
            (None, None) => ("", true),
        };
        let interval = metric.interval.unwrap_or(Self::DEFAULT_INTERVAL).as_millis().div_ceil(1_000).max(1);
        Ok(Self {
            condition: text.parse()?,
            says_success,
            interval_seconds: i64::try_from(interval).unwrap_or(i64::MAX),
            count: metric.count.unwrap_or(1).max(1),
            failure_limit: metric.failure_limit.unwrap_or(0),
            error_limit: metric.consecutive_error_limit.unwrap_or(Self::DEFAULT_ERROR_LIMIT),
        })
    }
}

/// What the measurements of a step amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    Undecided,
    /// More measurements in a row without an answer than tolerated.
    Unavailable,
}

/// The measurements of the present step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurements {
    since: i64,
    measured_at: Option<i64>,
    passed: u32,
    failed: u32,
    errors_in_a_row: u32,
    last: Option<f64>,
}

impl Measurements {
    /// They begin anew if the weight has settled since.
    pub fn begin_step(&mut self, settled_at: i64) {
        if settled_at != self.since {
            *self = Self { since: settled_at, ..Self::default() };
        }
    }

    pub fn is_due(&self, plan: &ThresholdPlan, now: i64) -> bool {
        self.measured_at.is_none_or(|at| now - at >= plan.interval_seconds)
    }

    /// None, and any value that is not finite: no answer.
    pub fn add(&mut self, plan: &ThresholdPlan, value: Option<f64>, now: i64) {
        self.measured_at = Some(now);
        let Some(value) = value.filter(|value| value.is_finite()) else {
            self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
            return;
        };
        self.errors_in_a_row = 0;
        self.last = Some(value);
        let counter =
            if plan.condition.holds(value) == plan.says_success { &mut self.passed } else { &mut self.failed };
        *counter = counter.saturating_add(1);
    }

    /// Whether there has been an answer in this step.
    pub fn has_answer(&self) -> bool {
        self.last.is_some()
    }

    pub fn outcome(&self, plan: &ThresholdPlan) -> Outcome {
        if self.failed > plan.failure_limit {
            Outcome::Failed
        } else if self.errors_in_a_row > plan.error_limit {
            Outcome::Unavailable
        } else if self.passed >= plan.count {
            Outcome::Passed
        } else {
            Outcome::Undecided
        }
    }

    /// The counts and what they are compared with.
    pub fn sentence(&self, plan: &ThresholdPlan) -> String {
        let rule = if plan.says_success { "success" } else { "failure" };
        let last = self.last.map_or_else(|| "no value yet".to_owned(), |value| format!("last value {value}"));
        format!(
            "{} passed ({} needed), {} failed ({} tolerated), {last}, {rule} if {}",
            self.passed, plan.count, self.failed, plan.failure_limit, plan.condition
        )
    }

    pub fn state(&self) -> Value {
        json!({
            "since": self.since,
            "measuredAt": self.measured_at,
            "passed": self.passed,
            "failed": self.failed,
            "errorsInARow": self.errors_in_a_row,
            "last": self.last.map(to_bits),
        })
    }

    pub fn restore(&mut self, state: Option<&Value>) -> Result<(), BrokenState> {
        let Some(state) = state else { return Ok(()) };
        let count = |key: &str| u32::try_from(state[key].as_u64()?).ok();
        let read = || {
            let last = &state["last"];
            Some(Self {
                since: state["since"].as_i64()?,
                measured_at: state["measuredAt"].as_i64(),
                passed: count("passed")?,
                failed: count("failed")?,
                errors_in_a_row: count("errorsInARow")?,
                last: if last.is_null() { None } else { Some(from_bits(last)?) },
            })
        };
        *self = read().ok_or(BrokenState("the measurements"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(success: Option<&str>, failure: Option<&str>, limits: [u32; 3]) -> ThresholdPlan {
        ThresholdPlan::new(&ThresholdMetric {
            query: "up".into(),
            success: success.map(Into::into),
            failure: failure.map(Into::into),
            count: Some(limits[0]),
            failure_limit: Some(limits[1]),
            consecutive_error_limit: Some(limits[2]),
            ..ThresholdMetric::default()
        })
        .unwrap()
    }

    #[test]
    fn measurements_pass_fail_or_stay_undecided() {
        let good = || plan(Some(">= 0.99"), None, [2, 1, 1]);
        let bad = || plan(None, Some("> 5"), [1, 0, 0]);
        let (ok, low, none) = (Some(0.995), Some(0.5), None);
        for (name, plan, values, expected) in [
            ("nothing measured never passes", good(), vec![], Outcome::Undecided),
            ("one of two", good(), vec![ok], Outcome::Undecided),
            ("two of two", good(), vec![ok, ok], Outcome::Passed),
            ("one failure is tolerated", good(), vec![ok, low, ok], Outcome::Passed),
            ("two are not", good(), vec![ok, ok, low, low], Outcome::Failed),
            ("NaN is no measurement", good(), vec![Some(f64::NAN), ok], Outcome::Undecided),
            ("errors never pass", good(), vec![none, Some(f64::INFINITY)], Outcome::Unavailable),
            ("an answer ends a row of errors", good(), vec![none, ok, none, ok], Outcome::Passed),
            ("a failure condition that does not hold passes", bad(), vec![Some(4.0)], Outcome::Passed),
            ("and that holds fails", bad(), vec![Some(6.0)], Outcome::Failed),
        ] {
            let mut series = Measurements::default();
            for value in values {
                series.add(&plan, value, 0);
            }
            assert_eq!(series.outcome(&plan), expected, "{name}");
            let mut again = Measurements::default();
            again.restore(Some(&series.state())).unwrap();
            assert_eq!(again, series, "{name}");
        }
    }

    #[test]
    fn the_next_one_is_due_after_the_interval_and_a_step_begins_anew() {
        let plan = plan(Some("> 1"), None, [1, 0, 0]);
        let mut series = Measurements::default();
        series.begin_step(50);
        assert!(series.is_due(&plan, 100));
        series.add(&plan, Some(2.0), 100);
        assert!(!series.is_due(&plan, 129) && series.is_due(&plan, 130));
        assert_eq!(series.sentence(&plan), "1 passed (1 needed), 0 failed (0 tolerated), last value 2, success if > 1");
        series.begin_step(50);
        assert!(series.has_answer());
        series.begin_step(110);
        assert!(!series.has_answer() && series.outcome(&plan) == Outcome::Undecided);
    }
}
