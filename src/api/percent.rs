//! A share in percent with up to three decimals, as people write it: `weight: 5` or `weight: "0.1"`.
//!
//! It is kept in thousandths of a percent, so that arithmetic on weights is exact. It does not round: text with
//! more than three decimals is refused.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The form that the CRD schema and this parser share.
pub const PERCENT_PATTERN: &str = r"^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)$";

/// A share between 0 and 100 percent, in thousandths of a percent (100 % is 100,000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

impl Percent {
    pub const ZERO: Self = Self(0);
    pub const FULL: Self = Self(100_000);

    /// A whole number of percent; more than 100 is read as 100.
    pub const fn whole(percent: u32) -> Self {
        Self(if percent > 100 { 100_000 } else { percent * 1_000 })
    }

    /// A number of thousandths of a percent; more than 100,000 is read as 100,000.
    pub const fn from_thousandths(thousandths: u32) -> Self {
        Self(if thousandths > 100_000 { 100_000 } else { thousandths })
    }

    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// What is left to 100 %.
    pub const fn rest(self) -> Self {
        Self(100_000 - self.0)
    }

    /// What the control gets beside a canary with this share: all the rest, or with a baseline as much as the canary, if so much is
    /// left.
    pub fn of_control(self, has_baseline: bool) -> Self {
        if has_baseline { self.min(self.rest()) } else { self.rest() }
    }

    /// This share as a part of what a canary that has it and its control get together: with a baseline a half, or more where less is
    /// left for it.
    pub fn of_arms(self, has_baseline: bool) -> Self {
        if has_baseline && self > Self::ZERO { self.max(Self::whole(50)) } else { self }
    }

    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 100_000.0
    }

    /// `ceil(count * self)`, exact.
    pub fn of_ceil(self, count: u32) -> u32 {
        u32::try_from((u64::from(count) * u64::from(self.0)).div_ceil(100_000)).unwrap_or(u32::MAX)
    }
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a percentage: write a whole number (5) or a quoted decimal (\"0.1\"), from 0 to 100")]
pub struct PercentError(String);

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PercentError(text.chars().take(32).collect());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 3) || !digits(decimals, 3) {
            return Err(error());
        }
        let whole: u32 = whole.parse().map_err(|_| error())?;
        let thousandths: u32 = format!("{decimals:0<3}").parse().map_err(|_| error())?;
        let value = whole * 1_000 + thousandths;
        if value > 100_000 { Err(error()) } else { Ok(Self(value)) }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            write!(out, "{whole}")
        } else {
            write!(out, "{}", format!("{whole}.{rest:03}").trim_end_matches('0'))
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000) {
            serializer.serialize_u32(self.0 / 1_000)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "write a whole number (5) or a quoted decimal (\"0.1\"), from 0 to 100")]
        enum Written {
            Number(u32),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) if number <= 100 => Ok(Self::whole(number)),
            Written::Number(number) => Err(de::Error::custom(PercentError(number.to_string()))),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": PERCENT_PATTERN,
            "maxLength": 7,
            "minimum": 0,
            "maximum": 100,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_gets_as_much_as_the_canary_or_what_is_left() {
        for (share, control, of_arms) in [(0, 0, 0), (1, 1, 50), (50, 50, 50), (80, 20, 80), (100, 0, 100)] {
            let share = Percent::whole(share);
            assert_eq!(
                (share.of_control(true), share.of_arms(true)),
                (Percent::whole(control), Percent::whole(of_arms))
            );
            assert_eq!((share.of_control(false), share.of_arms(false)), (share.rest(), share));
        }
    }

    #[test]
    fn text_and_numbers_are_read_exactly() {
        for (text, thousandths, shown) in
            [("5", 5_000, "5"), ("0.1", 100, "0.1"), ("99.999", 99_999, "99.999"), ("100.000", 100_000, "100")]
        {
            let percent: Percent = text.parse().unwrap();
            assert_eq!((percent.thousandths(), percent.to_string().as_str()), (thousandths, shown));
        }
        for text in ["", "101", "100.001", "1.2345", "-1", "5%", ".5", "1."] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn need_is_rounded_up() {
        assert_eq!(Percent::from_thousandths(100).of_ceil(10), 1);
        assert_eq!(Percent::whole(50).of_ceil(10), 5);
        assert_eq!(Percent::whole(51).of_ceil(10), 6);
        assert_eq!(Percent::ZERO.of_ceil(10), 0);
    }
}
