//! A length of time in the Gateway API's form: `30s`, `5m`, `1h30m`, `500ms`.
//!
//! Days are not accepted, because CEL's `duration()` has none.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The form that the CRD schema and this parser share.
pub const SPAN_PATTERN: &str = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// Milliseconds: what is shorter has at most five digits of hours.
const LONGEST: u64 = 100_000 * 3_600_000;

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    pub const ZERO: Self = Self(0);

    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }

    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    pub const fn millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a duration: write numbers with h, m, s or ms, such as 5m or 1h30m")]
pub struct SpanError(String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SpanError(text.chars().take(32).collect());
        let (mut total, mut rest, mut parts) = (0u64, text, 0);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| error())?;
            let (unit, after) = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
                .into_iter()
                .find_map(|(unit, millis)| rest[digits..].strip_prefix(unit).map(|after| (millis, after)))
                .ok_or_else(error)?;
            parts += 1;
            // Before the sum, which has no room for numbers of any length.
            if digits > 5 || parts > 4 {
                return Err(error());
            }
            total += number * unit;
            rest = after;
        }
        // More hours could not be written again in this form.
        if parts == 0 || total >= LONGEST { Err(error()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return out.write_str("0s");
        }
        for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if rest >= millis {
                write!(out, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 28, "pattern": SPAN_PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown_in_the_gateway_form() {
        for (text, millis, shown) in [
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("500ms", 500, "500ms"),
            ("0s", 0, "0s"),
            ("99999h59m59s999ms", LONGEST - 1, "99999h59m59s999ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.as_millis(), span.to_string().as_str()), (millis, shown));
        }
        for text in ["", "5", "1d", "-5s", "s", "1h1m1s1ms1ms", "123456s", "18446744073709551615h", "99999h1h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
