//! What a release may spend of the error budget, exactly.
//!
//! Decimals are integers here (thousandths of a percent, hundredths of a request); nothing is rounded before it is shown.

use crate::api::{ErrorBudget, Percent, Span};

/// The least allowance, in requests: below it a handful of unlucky requests would take a release back.
const LEAST_HUNDREDTHS: u128 = 1_000;

/// The budget with its defaults, and the requests it is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetTerms {
    pub objective: Percent,
    pub window: Span,
    pub max_spend: Percent,
    /// Requests expected in the window.
    pub expected_requests: u64,
    /// Measured over less than a day and scaled.
    pub extrapolated: bool,
}

impl BudgetTerms {
    /// The window of a budget that names none.
    pub const DEFAULT_WINDOW: Span = Span::minutes(720 * 60);
    /// Part of the budget that one release may spend if nothing is said.
    pub const DEFAULT_MAX_SPEND: Percent = Percent::whole(1);

    pub fn new(budget: &ErrorBudget, expected_requests: u64, extrapolated: bool) -> Self {
        Self {
            objective: budget.objective,
            window: budget.window.unwrap_or(Self::DEFAULT_WINDOW),
            max_spend: budget.max_spend.unwrap_or(Self::DEFAULT_MAX_SPEND),
            expected_requests,
            extrapolated,
        }
    }

    /// Bad requests that the objective allows in the window, in hundredths (rounded down).
    fn budget_hundredths(&self) -> u128 {
        u128::from(self.expected_requests) * u128::from(self.objective.rest().thousandths()) / 1_000
    }

    /// max(maxSpend x budget, 10 requests).
    pub fn allowance(&self) -> Allowance {
        let parts = u128::from(self.expected_requests)
            * u128::from(self.objective.rest().thousandths())
            * u128::from(self.max_spend.thousandths());
        // Requests x (1/100,000) x (1/100,000), in hundredths of a request.
        let share_hundredths = parts / 100_000_000;
        Allowance { hundredths: share_hundredths.max(LEAST_HUNDREDTHS), least: share_hundredths < LEAST_HUNDREDTHS }
    }

    /// The arithmetic in words: "104 (0.02 % of 518400 = 0.1 % of 518400000 requests in 720h)".
    pub fn sentence(&self) -> String {
        let Self { objective, window, max_spend, expected_requests, extrapolated } = self;
        let allowance = self.allowance();
        let least = if allowance.least { ", but never less than 10" } else { "" };
        let guess = if *extrapolated { ", extrapolated" } else { "" };
        format!(
            "{} ({max_spend} % of {} = {} % of {expected_requests} requests in {window}{guess}{least})",
            allowance.requests(),
            (self.budget_hundredths() + 50) / 100,
            objective.rest(),
        )
    }
}

/// Bad requests above stable's that a release may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub hundredths: u128,
    /// It is the least one: the share of the budget would be smaller.
    pub least: bool,
}

impl Allowance {
    /// In requests, rounded for people.
    pub fn requests(self) -> u64 {
        u64::try_from((self.hundredths + 50) / 100).unwrap_or(u64::MAX)
    }

    /// Whether an excess, in requests, has used it up.
    pub fn is_spent_by(self, excess: f64) -> bool {
        excess * 100.0 >= self.hundredths as f64
    }

    pub fn is_half_spent_by(self, excess: f64) -> bool {
        self.is_spent_by(excess * 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(objective: &str, max_spend: &str, expected_requests: u64) -> BudgetTerms {
        let budget = ErrorBudget {
            objective: objective.parse().unwrap(),
            max_spend: Some(max_spend.parse().unwrap()),
            ..ErrorBudget::default()
        };
        BudgetTerms::new(&budget, expected_requests, false)
    }

    #[test]
    fn the_allowance_is_exact() {
        for (objective, max_spend, expected, hundredths, least) in [
            ("99.9", "0.02", 129_600_000, 2_592, false),
            ("99.9", "0.02", 518_400_000, 10_368, false),
            ("99.9", "1", 129_600_000, 129_600, false),
            ("99.95", "2", 2_592_000, 2_592, false),
            ("99.9", "1", 0, 1_000, true),
            ("99.999", "0.001", 1_000_000, 1_000, true),
            ("0", "100", u64::MAX, u128::from(u64::MAX) * 100, false),
        ] {
            let allowance = terms(objective, max_spend, expected).allowance();
            assert_eq!(
                (allowance.hundredths, allowance.least),
                (hundredths, least),
                "{objective} {max_spend} {expected}"
            );
        }
    }

    #[test]
    fn the_sentence_states_the_arithmetic() {
        let mut terms = terms("99.9", "0.02", 518_400_000);
        assert_eq!(terms.sentence(), "104 (0.02 % of 518400 = 0.1 % of 518400000 requests in 720h)");
        terms.expected_requests = 1_000;
        terms.extrapolated = true;
        let text = "10 (0.02 % of 1 = 0.1 % of 1000 requests in 720h, extrapolated, but never less than 10)";
        assert_eq!(terms.sentence(), text);
    }

    #[test]
    fn spent_is_compared_in_hundredths() {
        let allowance = terms("99.9", "0.02", 129_600_000).allowance();
        assert!(allowance.is_spent_by(25.92) && !allowance.is_spent_by(25.9));
        assert!(allowance.is_half_spent_by(12.96) && !allowance.is_half_spent_by(12.9));
    }
}
