//! A number that is not a percentage, as people write it: `overdispersion: 2` or `falseRevertProbability: "0.01"`.
//!
//! It is kept in billionths, so that it is compared and written exactly. It does not round: more decimals are refused.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The form that the CRD schema and this parser share.
pub const DECIMAL_PATTERN: &str = r"^[0-9]{1,4}(\.[0-9]{1,9})?$";
const BILLION: u64 = 1_000_000_000;

/// A number from 0 to 9999.999999999, in billionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(u64);

impl Decimal {
    pub fn value(self) -> f64 {
        self.0 as f64 / BILLION as f64
    }
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a number from 0 to 9999: write a whole number (2) or a quoted decimal (\"0.01\")")]
pub struct DecimalError(String);

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DecimalError(text.chars().take(32).collect());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 4) || !digits(decimals, 9) {
            return Err(error());
        }
        let whole: u64 = whole.parse().map_err(|_| error())?;
        let parts: u64 = format!("{decimals:0<9}").parse().map_err(|_| error())?;
        Ok(Self(whole * BILLION + parts))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / BILLION, self.0 % BILLION);
        write!(out, "{}", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(BILLION) {
            serializer.serialize_u64(self.0 / BILLION)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "write a whole number (2) or a quoted decimal (\"0.01\"), not below 0")]
        enum Written {
            Number(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": DECIMAL_PATTERN,
            "maxLength": 14,
            "minimum": 0,
            "maximum": 9_999,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_exactly() {
        for (text, value, shown) in
            [("0.01", 0.01, "\"0.01\""), ("2", 2.0, "2"), ("1.10", 1.1, "\"1.1\""), ("9999", 9_999.0, "9999")]
        {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!((decimal.value(), serde_json::to_string(&decimal).unwrap().as_str()), (value, shown));
        }
        for text in ["", "10000", "-1", ".5", "1.", "1e-2", "0.1234567891"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }
}
