//! A native histogram made into cumulative counts, and the bounds that several of them have in common.
//!
//! A server's answer leaves empty buckets out and names no schema. So a count at a bound is taken to be known if no bucket that
//! was ever filled reaches over it, and a schema is told from the width of the buckets. Nothing is interpolated.

use std::collections::BTreeSet;

use super::provider::{NativeBucket, NativeSample};
use crate::stats::usable;

/// Buckets to a doubling at the finest standard schema, 8; every standard bound is 2^(index / 256).
const FINEST: i32 = 8;
const COARSEST: i32 = -4;
/// How far a bound may be off the finest grid, in its steps: what is lost in writing and logarithms.
const OFF_GRID: f64 = 1e-7;

/// A bucket that was filled, without its count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Segment {
    pub lower: f64,
    pub upper: f64,
}

impl Segment {
    fn of(bucket: &NativeBucket) -> Self {
        Self { lower: on_grid(bucket.lower), upper: on_grid(bucket.upper) }
    }

    pub fn straddles(&self, bound: f64) -> bool {
        self.lower < bound && bound < self.upper
    }

    /// Around 0, and as wide on both sides.
    fn is_zero_bucket(&self) -> bool {
        self.lower == -self.upper
    }
}

/// One scrape: the buckets that were filled, and the counts of cumulative buckets; None: it is broken.
pub(super) struct Scrape {
    pub at_ms: i64,
    pub segments: Vec<Segment>,
    counts: Option<Vec<f64>>,
}

impl Scrape {
    fn of(sample: &NativeSample) -> Self {
        let counts: Vec<f64> = sample.buckets.iter().map(|bucket| bucket.count).collect();
        let all: f64 = counts.iter().sum();
        // Observations that are no number are in `count` alone; fewer than in the buckets it cannot be.
        let whole = counts.iter().all(|count| usable(*count)) && usable(sample.count) && all <= sample.count + 0.5;
        let filled = sample.buckets.iter().filter(|bucket| bucket.count > 0.0);
        let segments = if whole { filled.map(Segment::of).collect() } else { Vec::new() };
        let counts = counts.into_iter().filter(|count| *count > 0.0).collect();
        Self { at_ms: sample.at_ms, segments, counts: whole.then_some(counts) }
    }

    /// Observations at or below a bound that no segment straddles; NaN: the scrape is broken.
    pub fn at_most(&self, bound: f64) -> f64 {
        let Some(counts) = &self.counts else { return f64::NAN };
        let below = self.segments.iter().zip(counts).filter(|(segment, _)| segment.upper <= bound);
        below.map(|(_, count)| count).sum()
    }
}

/// The scrapes of one native histogram, and the bounds at which its counts are known in all of them, ascending: 0, what ends a
/// bucket, and infinity.
pub(super) fn read(samples: &[NativeSample]) -> (Vec<Scrape>, Vec<f64>) {
    let scrapes: Vec<Scrape> = samples.iter().map(Scrape::of).collect();
    let segments = || scrapes.iter().flat_map(|scrape| &scrape.segments);
    let uppers = segments().map(|segment| segment.upper).filter(|upper| *upper > 0.0 && upper.is_finite());
    // Positive numbers are ordered as their bits are. After a change of schema the finer bounds lie within coarser buckets.
    let ends: BTreeSet<u64> = uppers.map(f64::to_bits).collect();
    let known = |bound: &f64| !segments().any(|segment| segment.straddles(*bound));
    let inner = ends.into_iter().map(f64::from_bits).filter(known);
    let bounds = std::iter::once(0.0).chain(inner).chain([f64::INFINITY]).collect();
    (scrapes, bounds)
}

/// Which bounds a set of native histograms has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grid {
    /// No bucket above the one around 0 was ever filled.
    Unknown,
    /// Those of a standard schema, the coarsest of them all: 2^(i * 2^-schema).
    Standard(i32),
    /// Those that somebody has chosen, of which only the ends of filled buckets are known.
    Custom,
}

impl Grid {
    /// Of every filled bucket of one histogram.
    pub fn of(segments: &[Segment]) -> Self {
        let positive = || segments.iter().filter(|segment| segment.upper > 0.0 && !segment.is_zero_bucket());
        let lowest = positive().map(|segment| segment.lower).reduce(f64::min);
        positive().fold(Self::Unknown, |grid, segment| {
            // Beyond the largest number, and a lowest bucket whose lower part belongs to the one around 0.
            let at_zero = Some(segment.lower) == lowest && segment.lower > 0.0;
            let clipped = at_zero && index(segment.lower).is_none() && index(segment.upper).is_some();
            match schema(segment) {
                Some(schema) => grid.and(Self::Standard(schema)),
                None if segment.lower == f64::MAX || clipped => grid,
                None => Self::Custom,
            }
        })
    }

    /// Of both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, grid) | (grid, Self::Unknown) => grid,
            (Self::Standard(one), Self::Standard(other)) => Self::Standard(one.min(other)),
            (Self::Custom, _) | (_, Self::Custom) => Self::Custom,
        }
    }
}

/// The smallest bound of a standard schema at or above `at`, which is positive.
pub(super) fn standard_bound(at: f64, schema: i32) -> f64 {
    let to_doubling = libm::exp2(f64::from(schema));
    let steps = libm::log2(at) * to_doubling;
    let near = libm::round(steps);
    let step = if (steps - near).abs() < OFF_GRID { near } else { libm::ceil(steps) };
    libm::exp2(step / to_doubling)
}

/// Its place on the finest standard grid.
fn index(bound: f64) -> Option<i64> {
    let steps = libm::log2(bound) * libm::exp2(f64::from(FINEST));
    let near = libm::round(steps);
    ((steps - near).abs() < OFF_GRID).then_some(near as i64)
}

/// The same bound has the same bits, whoever computed it.
fn on_grid(bound: f64) -> f64 {
    let of = |bound: f64| index(bound).map_or(bound, |index| libm::exp2(index as f64 / libm::exp2(f64::from(FINEST))));
    match bound {
        bound if !bound.is_finite() || bound == 0.0 || bound.abs() == f64::MAX => bound,
        bound if bound < 0.0 => -of(-bound),
        bound => of(bound),
    }
}

/// The standard schema of a bucket, by its width and place.
fn schema(segment: &Segment) -> Option<i32> {
    let (lower, upper) = (index(segment.lower)?, index(segment.upper)?);
    let width = upper - lower;
    let fits = |schema: &i32| width == 1 << (FINEST - schema) && upper % width == 0;
    (COARSEST..=FINEST).find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: f64, buckets: &[(f64, f64, f64)]) -> NativeSample {
        let bucket = |&(lower, upper, count): &(f64, f64, f64)| NativeBucket { lower, upper, count };
        NativeSample { at_ms: 0, count, buckets: buckets.iter().map(bucket).collect() }
    }

    fn grid(buckets: &[(f64, f64)]) -> Grid {
        Grid::of(&buckets.iter().map(|&(lower, upper)| Segment { lower, upper }).collect::<Vec<_>>())
    }

    #[test]
    fn a_schema_is_told_from_the_width_of_the_buckets() {
        let root = libm::exp2(0.125);
        for (buckets, expected) in [
            (vec![], Grid::Unknown),
            (vec![(-0.001, 0.001), (-2.0, -1.0)], Grid::Unknown),
            (vec![(1.0, 2.0)], Grid::Standard(0)),
            (vec![(1.0, root)], Grid::Standard(3)),
            (vec![(1.0, root), (1.0, 4.0)], Grid::Standard(-1)),
            (vec![(1.0, 65_536.0)], Grid::Standard(-4)),
            // The lower part of the lowest one belongs to the bucket around 0, and the last one has no end.
            (vec![(0.001, libm::exp2(-9.0)), (1.0, 2.0), (f64::MAX, f64::INFINITY)], Grid::Standard(0)),
            // As wide as a standard bucket, in the wrong place.
            (vec![(2.0, 8.0)], Grid::Custom),
            (vec![(0.05, 0.1)], Grid::Custom),
            (vec![(f64::NEG_INFINITY, 0.25), (0.25, 0.5)], Grid::Custom),
            (vec![(0.5, 1.0), (1.0, f64::INFINITY)], Grid::Custom),
        ] {
            assert_eq!(grid(&buckets), expected, "{buckets:?}");
        }
        assert_eq!(Grid::Standard(3).and(Grid::Custom), Grid::Custom);
    }

    #[test]
    fn a_bound_is_snapped_up_on_the_grid_of_a_schema() {
        for (at, schema, expected) in
            [(0.25, 8, 0.25), (0.3, 0, 0.5), (0.3, -1, 1.0), (1.0, 3, 1.0), (5.0, -4, 65_536.0)]
        {
            assert_eq!(standard_bound(at, schema), expected, "{at} {schema}");
        }
        let next = standard_bound(0.3, 3);
        assert!((next - 0.324_209_889).abs() < 1e-9);
        assert_eq!(
            on_grid(f64::from_bits(next.to_bits() + 1)).to_bits(),
            next.to_bits(),
            "a last bit is no other bound"
        );
        assert_eq!(on_grid(0.3), 0.3);
    }

    #[test]
    fn counts_are_known_where_no_filled_bucket_reaches_over() {
        let samples =
            [sample(6.0, &[(-0.5, 0.5, 1.0), (1.0, 2.0, 2.0), (2.0, 4.0, 3.0)]), sample(9.0, &[(1.0, 4.0, 9.0)])];
        let (scrapes, bounds) = read(&samples);
        // At 2 the second one does not tell.
        assert_eq!(bounds, [0.0, 0.5, 4.0, f64::INFINITY]);
        assert_eq!((scrapes[0].at_most(0.5), scrapes[0].at_most(4.0), scrapes[1].at_most(0.5)), (1.0, 6.0, 0.0));
    }

    #[test]
    fn a_sample_that_cannot_be_is_broken_and_what_was_no_number_counts_as_nothing() {
        let at_most = |count: f64, of_bucket: f64| read(&[sample(count, &[(1.0, 2.0, of_bucket)])]).0[0].at_most(2.0);
        assert!(at_most(3.0, 5.0).is_nan() && at_most(f64::NAN, 5.0).is_nan() && at_most(5.0, -1.0).is_nan());
        assert_eq!((at_most(7.0, 5.0), at_most(0.0, 0.0)), (5.0, 0.0));
    }
}
