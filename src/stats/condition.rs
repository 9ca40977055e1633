//! A condition on one number, as people write it: `>= 0.99`, `< 5`.
//!
//! One operator and one finite number; no variables, no `and`.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// Longer operators first: `<=` begins with `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    operator: Operator,
    bound: f64,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a condition: write one of < <= > >= == != and a number, such as \">= 0.99\"")]
pub struct ConditionError(String);

impl Condition {
    /// Whether it holds for a finite value; the caller keeps NaN and infinity away, they are no measurements.
    pub fn holds(&self, value: f64) -> bool {
        match self.operator {
            Operator::Less => value < self.bound,
            Operator::LessOrEqual => value <= self.bound,
            Operator::Greater => value > self.bound,
            Operator::GreaterOrEqual => value >= self.bound,
            Operator::Equal => value == self.bound,
            Operator::NotEqual => value != self.bound,
        }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ConditionError(text.chars().take(64).collect());
        let trimmed = text.trim();
        let (operator, rest) = OPERATORS
            .iter()
            .find_map(|(sign, operator)| trimmed.strip_prefix(sign).map(|rest| (*operator, rest.trim())))
            .ok_or_else(error)?;
        // Only digits, so that `inf` and `nan`, which Rust reads as numbers, are refused by name.
        let numeric = rest.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        let bound = rest.parse::<f64>().ok().filter(|bound| numeric && bound.is_finite()).ok_or_else(error)?;
        Ok(Self { operator, bound })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPERATORS.iter().find(|(_, operator)| *operator == self.operator).map_or("", |(sign, _)| sign);
        write!(out, "{sign} {}", self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_not() {
        for (text, value, holds, shown) in [
            (">= 0.99", 0.99, true, ">= 0.99"),
            (">=0.99", 0.989, false, ">= 0.99"),
            ("< 5", 4.9, true, "< 5"),
            ("<5", 5.0, false, "< 5"),
            (" <= -1e3 ", -1000.0, true, "<= -1000"),
            ("> 0", 0.0, false, "> 0"),
            ("== 1", 1.0, true, "== 1"),
            ("!= 1", 1.0, false, "!= 1"),
        ] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!((condition.holds(value), condition.to_string().as_str()), (holds, shown), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "0.99", ">=", "> x", "= 5", "> 5 %", "> NaN", "< inf", "> 1e999", "< 5 && > 1", "=> 5", "> 0x1"]
        {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
