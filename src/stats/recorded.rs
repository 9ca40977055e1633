//! A recorded window: four numbers of which each may be missing or no count at all.
//!
//! It does not repair: what is no count is neither good nor bad.

use super::window::Counts;

/// 2^53: larger counts are no longer exact, and sums of them would end at infinity.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// What makes a recorded window useless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It cannot be read at all.
    BrokenLine,
    /// NaN or infinite.
    NotFinite,
    NegativeCount,
    /// Beyond the whole numbers that a float holds exactly.
    TooLarge,
    /// More bad events than events.
    BadAboveTotal,
}

impl Flaw {
    pub const fn word(self) -> &'static str {
        match self {
            Self::BrokenLine => "BrokenLine",
            Self::NotFinite => "NotFinite",
            Self::NegativeCount => "NegativeCount",
            Self::TooLarge => "TooLarge",
            Self::BadAboveTotal => "BadAboveTotal",
        }
    }
}

/// Both arms; None was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arms {
    pub canary: Option<Counts>,
    pub control: Option<Counts>,
}

impl Arms {
    /// The arms of bad and all events as they were recorded. An arm with one number of two is missing.
    pub fn of(canary: [Option<f64>; 2], control: [Option<f64>; 2]) -> Result<Self, Flaw> {
        Ok(Self { canary: arm(canary)?, control: arm(control)? })
    }
}

fn arm(numbers: [Option<f64>; 2]) -> Result<Option<Counts>, Flaw> {
    if let Some(flaw) = numbers.into_iter().flatten().find_map(flaw_of) {
        return Err(flaw);
    }
    match numbers {
        [Some(bad), Some(total)] if bad > total => Err(Flaw::BadAboveTotal),
        [Some(bad), Some(total)] => Ok(Some(Counts { bad, total })),
        _ => Ok(None),
    }
}

fn flaw_of(number: f64) -> Option<Flaw> {
    if !number.is_finite() {
        Some(Flaw::NotFinite)
    } else if number < 0.0 {
        Some(Flaw::NegativeCount)
    } else {
        (number > LARGEST).then_some(Flaw::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flaw_has_its_word() {
        let good = [Some(1.0), Some(2.0)];
        let counts = Some(Counts { bad: 1.0, total: 2.0 });
        for (canary, control, wanted) in [
            (good, good, Ok(Arms { canary: counts, control: counts })),
            (good, [None, Some(2.0)], Ok(Arms { canary: counts, control: None })),
            ([None, None], good, Ok(Arms { canary: None, control: counts })),
            ([Some(f64::NAN), None], good, Err(Flaw::NotFinite)),
            (good, [Some(0.0), Some(f64::INFINITY)], Err(Flaw::NotFinite)),
            (good, [Some(-1.0), Some(3.0)], Err(Flaw::NegativeCount)),
            ([None, Some(1e16)], good, Err(Flaw::TooLarge)),
            ([Some(3.0), Some(2.0)], good, Err(Flaw::BadAboveTotal)),
        ] {
            assert_eq!(Arms::of(canary, control), wanted, "{canary:?} {control:?}");
        }
    }
}
