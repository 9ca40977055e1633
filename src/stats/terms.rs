//! The terms that evidence is judged by: error probabilities, margins and lengths, with their defaults.
//!
//! One value for the evaluation, the planner and the replay, so that a plan promises what the verdict keeps. It gathers no
//! evidence and knows no metric: a metric's share of alpha is given where it is asked for.

use super::{grid::Margin, mixture::Restarts};
use crate::api::{Decimal, Judging, Percent, Plan, Span};

/// Parts of the bad ratio that the objective allows, for the absolute margins.
const FAIL_PART: f64 = 0.1;
const PASS_PART: f64 = 0.5;
/// Absolute margins without an objective.
const FAIL_WITHOUT_OBJECTIVE: f64 = 0.0005;
const PASS_WITHOUT_OBJECTIVE: f64 = 0.005;
/// Evidence from which on a canary does not advance: at most one good rollout in ten ever sees it.
pub const SUSPICION: f64 = 10.0;
/// Requests of the canary that a Pass needs.
pub const PASS_REQUESTS: u64 = 100;
/// The horizon is this many times the bakes and the soak: a run also waits for pods, routes and people.
const HORIZON_FACTOR: f64 = 2.0;
/// The least horizon, for plans without bakes: over none the mass kept for late regressions would be spent at once.
const LEAST_HORIZON_SECONDS: f64 = 600.0;

/// What Fail and Pass need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Probability that a good release is failed: per rollout, all metrics together, however often it is looked at.
    pub alpha: f64,
    /// Probability that a bad release is passed, per metric.
    pub beta: f64,
    /// Fail proves that the canary's bad ratio is above this.
    pub fail: Margin,
    /// Pass proves that it is below this.
    pub pass: Margin,
    /// Windows that a Fail needs at least: a shared incident shows in one arm a scrape earlier than in the other.
    pub confirm: u32,
    /// Part of the prior kept for regressions that begin late.
    pub reserve: f64,
    /// Requests of the canary that a Pass needs at least.
    pub min_canary_requests: u64,
    /// Evidence against the canary from which on it does not advance.
    pub suspicion: f64,
    /// Time over which the reserve is spread.
    pub horizon_seconds: f64,
    pub window_seconds: f64,
}

impl Terms {
    /// The defaults for an objective (None: no error budget), the lengths of a plan, and the windows it is read in.
    pub fn new(objective: Option<Percent>, plan: &Plan, window_seconds: f64) -> Self {
        let allowed = objective.map(|objective| objective.rest().ratio());
        let absolute = |part: f64, without: f64| allowed.map_or(without, |allowed| part * allowed);
        let bakes_seconds: f64 = plan.steps.iter().map(|step| step.bake.as_seconds()).sum();
        let horizon_seconds = HORIZON_FACTOR * (bakes_seconds + plan.soak.as_seconds());
        Self {
            alpha: 0.01,
            beta: 0.05,
            fail: Margin { ratio: 1.1, absolute: absolute(FAIL_PART, FAIL_WITHOUT_OBJECTIVE) },
            pass: Margin { ratio: 1.5, absolute: absolute(PASS_PART, PASS_WITHOUT_OBJECTIVE) },
            confirm: 3,
            reserve: 0.5,
            min_canary_requests: PASS_REQUESTS,
            suspicion: SUSPICION,
            horizon_seconds: horizon_seconds.max(LEAST_HORIZON_SECONDS),
            window_seconds,
        }
    }

    /// The same with what people have set.
    pub fn with(mut self, judging: &Judging) -> Self {
        let set = |value: Option<Decimal>, term: &mut f64| *term = value.map_or(*term, Decimal::value);
        set(judging.false_revert_probability, &mut self.alpha);
        set(judging.false_promote_probability, &mut self.beta);
        set(judging.restart_reserve, &mut self.reserve);
        set(judging.suspicion, &mut self.suspicion);
        for (given, margin) in [(&judging.fail_margin, &mut self.fail), (&judging.pass_margin, &mut self.pass)] {
            if let Some(given) = given {
                set(given.ratio, &mut margin.ratio);
                set(given.absolute, &mut margin.absolute);
            }
        }
        self.confirm = judging.confirm_windows.unwrap_or(self.confirm);
        self.min_canary_requests = judging.min_canary_requests.map_or(self.min_canary_requests, u64::from);
        self.horizon_seconds = judging.horizon.map_or(self.horizon_seconds, Span::as_seconds);
        self
    }

    /// What is wrong with them, by field.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut needs = |holds: bool, sentence: String| {
            if !holds {
                problems.push(sentence);
            }
        };
        for (field, value) in [("falseRevertProbability", self.alpha), ("falsePromoteProbability", self.beta)] {
            needs(value > 0.0 && value <= 0.5, format!("{field} is {value}: give a number above 0 and up to 0.5"));
        }
        needs(self.reserve < 1.0, format!("restartReserve is {}: give a number below 1", self.reserve));
        needs(self.suspicion >= 1.0, format!("suspicion is {}: give a number of 1 or more", self.suspicion));
        for (field, margin) in [("failMargin", self.fail), ("passMargin", self.pass)] {
            needs(margin.ratio >= 1.0, format!("{field}.ratio is {}: give a number of 1 or more", margin.ratio));
            needs(margin.absolute < 1.0, format!("{field}.absolute is {}: give a part below 1", margin.absolute));
        }
        let wider = self.pass.ratio >= self.fail.ratio && self.pass.absolute >= self.fail.absolute;
        let (pass, fail) = (self.pass, self.fail);
        needs(
            wider,
            format!(
                "passMargin ({} times, plus {}) is below failMargin ({} times, plus {}): a Pass may not be stricter than a Fail",
                pass.ratio, pass.absolute, fail.ratio, fail.absolute
            ),
        );
        problems
    }

    /// Evidence that a Fail needs on a metric with this share of alpha (0 to 1): 1 / (alpha x share).
    pub fn fail_threshold(&self, share: f64) -> f64 {
        1.0 / (self.alpha * share)
    }

    /// Evidence that a Pass needs: 1 / beta.
    pub fn pass_threshold(&self) -> f64 {
        1.0 / self.beta
    }

    /// How the evidence for a Fail is spread and held back.
    pub fn restarts(&self) -> Restarts {
        Restarts { horizon_windows: self.horizon_windows(), confirm_windows: self.confirm, reserve: self.reserve }
    }

    /// Least time to a Fail.
    pub fn confirm_seconds(&self) -> f64 {
        f64::from(self.confirm) * self.window_seconds
    }

    /// Windows in the horizon, as a number of possible starts of a regression.
    pub fn horizon_windows(&self) -> f64 {
        self.horizon_seconds / self.window_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{PlanStep, Span};

    fn plan(bakes_seconds: &[u64], soak_seconds: u64) -> Plan {
        let step = |seconds: &u64| PlanStep { bake: Span::seconds(*seconds), ..PlanStep::default() };
        Plan { steps: bakes_seconds.iter().map(step).collect(), soak: Span::seconds(soak_seconds), known: false }
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-12 * right.abs()
    }

    #[test]
    fn absolute_margins_are_parts_of_what_the_objective_allows() {
        for (objective, fail, pass) in
            [(Some("99.9"), 0.0001, 0.0005), (Some("99"), 0.001, 0.005), (None, 0.0005, 0.005)]
        {
            let terms = Terms::new(objective.map(|text| text.parse().unwrap()), &plan(&[300], 0), 5.0);
            assert!(close(terms.fail.absolute, fail) && close(terms.pass.absolute, pass), "{objective:?} {terms:?}");
            assert_eq!((terms.fail.ratio, terms.pass.ratio), (1.1, 1.5));
        }
    }

    #[test]
    fn the_horizon_is_twice_the_plan_and_never_nothing() {
        for (bakes, soak, horizon_seconds) in
            [(&[300, 600][..], 900, 3_600.0), (&[60], 0, 600.0), (&[], 0, 600.0), (&[0, 0], 1_800, 3_600.0)]
        {
            let terms = Terms::new(None, &plan(bakes, soak), 5.0);
            assert!(close(terms.horizon_seconds, horizon_seconds), "{bakes:?} {soak}");
            assert!(close(terms.horizon_windows(), horizon_seconds / 5.0));
        }
    }

    #[test]
    fn the_cap_makes_a_fail_need_its_windows() {
        let log_cap = |terms: &Terms, share: f64| terms.restarts().log_cap(terms.alpha * share);
        let terms = Terms::new(None, &plan(&[300], 0), 5.0);
        assert!(close(terms.fail_threshold(1.0), 100.0) && close(terms.pass_threshold(), 20.0));
        for (share, confirm) in [(1.0, 3), (0.5, 3), (0.1, 2)] {
            let terms = Terms { confirm, ..terms };
            let most = |windows: u32| f64::from(windows) * log_cap(&terms, share) + libm::log(1.0 - terms.reserve);
            let needed = libm::log(terms.fail_threshold(share));
            assert!(most(confirm - 1) < needed && most(confirm) > needed, "{share} {confirm}");
        }
        assert_eq!(log_cap(&Terms { confirm: 1, ..terms }, 1.0), f64::INFINITY);
        assert!(close(terms.confirm_seconds(), 15.0));
    }
}
