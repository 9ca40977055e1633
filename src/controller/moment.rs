//! The time of a pass, taken once: monotonic for everything that is compared, wall clock for records only.

use jiff::{RoundMode, TimestampRound, Unit};

use super::Runtime;

/// When a pass began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic milliseconds since the process began.
    pub millis: u64,
    /// RFC 3339 in UTC, whole seconds.
    pub text: String,
    /// Nanoseconds since the epoch: makes names unique, is never compared.
    pub serial: u64,
}

impl Moment {
    pub fn now(runtime: &dyn Runtime) -> Self {
        let now = runtime.now();
        // Cut off, not rounded: a record is never ahead of the clock.
        let whole_seconds = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
        Self {
            millis: runtime.millis(),
            text: now.round(whole_seconds).unwrap_or(now).to_string(),
            serial: u64::try_from(now.as_nanosecond()).unwrap_or_default(),
        }
    }
}
