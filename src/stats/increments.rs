//! By how much a counter grew, from one series' raw samples.
//!
//! No extrapolation, unlike `rate()` and `increase()`: an increment is what was counted between two scrapes. What is
//! not known is left out, never 0. It does not know windows or arms.

/// What a counter counted in `(since_ms, at_ms]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Increment {
    pub since_ms: i64,
    pub at_ms: i64,
    pub value: f64,
}

/// What is known of a series before its first sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// It was 0 at this time: its target was scraped then without it, or its pod was made by this run.
    /// This is how the first error of a revision shows; to skip it would be to miss a short outage.
    Zero { since_ms: i64 },
    /// It may have counted for long: the first sample is only where counting starts.
    Unknown,
}

/// The increments of one series; `samples` are (milliseconds, value), oldest first.
///
/// A value below the one before is a reset: all of it was counted since. NaN, infinite and negative values count as no
/// sample, so the next increment covers their time too.
pub fn increments(samples: &[(i64, f64)], birth: Birth) -> Vec<Increment> {
    let mut last = match birth {
        Birth::Zero { since_ms } => Some((since_ms, 0.0)),
        Birth::Unknown => None,
    };
    let mut found = Vec::with_capacity(samples.len());
    for &(at_ms, value) in samples {
        if !usable(value) {
            continue;
        }
        if let Some((since_ms, before)) = last {
            if at_ms <= since_ms {
                continue;
            }
            let grown = if value >= before { value - before } else { value };
            found.push(Increment { since_ms, at_ms, value: grown });
        }
        last = Some((at_ms, value));
    }
    found
}

/// Whether a counter can have this value.
pub fn usable(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: Option<f64> = None;
    const NAN: Option<f64> = Some(f64::NAN);

    /// Scrapes at 0, 10, 20 ... s; the increments by the scrape at which they end, from the second scrape on.
    fn on_grid(samples: &[Option<f64>], birth: Birth) -> Vec<Option<f64>> {
        let at = |index: usize| i64::try_from(index).unwrap() * 10_000;
        let seen: Vec<_> = samples.iter().enumerate().filter_map(|(k, s)| s.map(|value| (at(k), value))).collect();
        let found = increments(&seen, birth);
        (1..samples.len()).map(|k| found.iter().find(|i| i.at_ms == at(k)).map(|i| i.value)).collect()
    }

    #[test]
    fn counter_increments_are_those_of_the_vectors() {
        let zero = Birth::Zero { since_ms: 0 };
        for (name, samples, birth, expected) in [
            ("plain", vec![Some(100.0), Some(130.0), Some(131.0)], Birth::Unknown, vec![Some(30.0), Some(1.0)]),
            ("reset", vec![Some(100.0), Some(4.0), Some(9.0)], Birth::Unknown, vec![Some(4.0), Some(5.0)]),
            (
                "absent when its live target was scraped",
                vec![NO, Some(3.0), Some(5.0)],
                zero,
                vec![Some(3.0), Some(2.0)],
            ),
            ("pod older than the run", vec![NO, Some(3000.0), Some(3005.0)], Birth::Unknown, vec![NO, Some(5.0)]),
            ("canary pod of this run", vec![NO, Some(7.0), Some(9.0)], zero, vec![Some(7.0), Some(2.0)]),
            ("gap", vec![Some(10.0), NO, NO, Some(40.0)], Birth::Unknown, vec![NO, NO, Some(30.0)]),
            ("NaN", vec![Some(10.0), NAN, Some(12.0)], Birth::Unknown, vec![NO, Some(2.0)]),
            ("infinite", vec![Some(10.0), Some(f64::INFINITY), Some(12.0)], Birth::Unknown, vec![NO, Some(2.0)]),
            ("negative", vec![Some(10.0), Some(-3.0), Some(12.0)], Birth::Unknown, vec![NO, Some(2.0)]),
            ("nothing", vec![NO, NO], Birth::Unknown, vec![NO]),
        ] {
            assert_eq!(on_grid(&samples, birth), expected, "{name}");
        }
    }

    #[test]
    fn an_increment_names_the_time_it_covers() {
        let found = increments(&[(0, 10.0), (30_000, 40.0)], Birth::Unknown);
        assert_eq!(found, [Increment { since_ms: 0, at_ms: 30_000, value: 30.0 }]);
    }

    #[test]
    fn a_sample_given_twice_counts_once() {
        let found = increments(&[(0, 10.0), (5_000, 12.0), (5_000, 12.0)], Birth::Unknown);
        assert_eq!(found.len(), 1);
    }
}
