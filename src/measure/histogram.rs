//! Bucket series put together into the histograms they are parts of. The buckets of one histogram are scraped together, break
//! off together and begin anew together; taken one by one a restart would show in some of them and not in others, and the
//! difference would pass for slow requests.
//!
//! It counts nothing and chooses no boundary.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    native::{Grid, Segment, read, standard_bound},
    provider::{Labels, Series},
    series::ArmSeries,
};
use crate::stats::usable;

/// A boundary is written in decimal on both sides: it is compared with this much room.
pub const HAIR: f64 = 1e-9;
/// Of standard schemas every boundary is one of a finer one too: what is compared from the first windows on stays there when a
/// client makes its histogram coarser, down to this schema, powers of 2.
const LASTING_SCHEMA: i32 = 0;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// One target's buckets, cumulative, by upper bound. Every bucket has a sample at every scrape. A restart is taken out: the
/// counts go on where they were.
#[derive(Clone, Debug, PartialEq)]
struct Histogram {
    buckets: Vec<(f64, Series)>,
    /// Of a native histogram: the buckets that were filled at each scrape.
    native: Option<Vec<(i64, Vec<Segment>)>>,
}

/// All histograms of one arm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histograms(Vec<Histogram>);

/// A positive number whose order is that of its bits.
type Key = u64;

impl Histograms {
    /// Err: the series are no histograms.
    pub fn of(series: &[Series]) -> Result<Self, String> {
        let native = series.iter().filter(|one| !one.histograms.is_empty()).count();
        if native > 0 {
            let only = native == series.len() && series.iter().all(|one| one.samples.is_empty());
            return if only { Ok(Self(series.iter().map(Histogram::native).collect())) } else { Err(MIXED.into()) };
        }
        let mut groups: BTreeMap<Labels, BTreeMap<Key, Vec<&Series>>> = BTreeMap::new();
        for one in series {
            let Some(bound) = bound(one) else { continue };
            let mut labels = one.labels.clone();
            labels.remove(BOUND);
            groups.entry(labels).or_default().entry(bound.to_bits()).or_default().push(one);
        }
        if groups.is_empty() && !series.is_empty() {
            return Err("the selector gives no buckets: name the series of the histogram that end in _bucket, or a native histogram".into());
        }
        let whole = |buckets: &BTreeMap<Key, Vec<&Series>>| buckets.contains_key(&f64::INFINITY.to_bits());
        if !groups.values().all(whole) {
            return Err("the selector leaves out the bucket le=\"+Inf\": write it without a matcher for le".into());
        }
        Ok(Self(groups.into_values().map(|buckets| Histogram::of(&buckets)).collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the counts at a bound are known in every histogram.
    pub fn has(&self, bound: f64) -> bool {
        self.0.iter().all(|histogram| histogram.bucket(bound).is_some())
    }

    /// The finite bounds that every histogram has, ascending; of native ones, where a filled bucket ends.
    fn bounds(&self) -> Vec<f64> {
        let ends = self.0.iter().flat_map(|histogram| &histogram.buckets).map(|(bound, _)| bound.to_bits());
        let all: BTreeSet<Key> = ends.collect();
        let finite = all.into_iter().map(f64::from_bits).filter(|bound| bound.is_finite());
        finite.filter(|bound| (*bound > 0.0 || !self.is_native()) && self.has(*bound)).collect()
    }

    fn is_native(&self) -> bool {
        self.0.iter().any(|histogram| histogram.native.is_some())
    }

    fn grid(&self) -> Grid {
        self.0.iter().map(Histogram::grid).fold(Grid::Unknown, Grid::and)
    }

    /// Those with a sample in `(from, to]`, in seconds since the epoch, and nothing but these samples.
    pub fn within(&self, from: i64, to: i64) -> Self {
        let cut = |series: &Series| {
            let inside = |(at_ms, _): &&(i64, f64)| from * 1_000 < *at_ms && *at_ms <= to * 1_000;
            let samples: Vec<_> = series.samples.iter().filter(inside).copied().collect();
            Series { labels: series.labels.clone(), samples, ..Series::default() }
        };
        let histogram = |histogram: &Histogram| {
            let buckets: Vec<_> = histogram.buckets.iter().map(|(bound, series)| (*bound, cut(series))).collect();
            let native = histogram.native.as_ref().map(|scrapes| {
                let inside = |(at_ms, _): &&(i64, Vec<Segment>)| from * 1_000 < *at_ms && *at_ms <= to * 1_000;
                scrapes.iter().filter(inside).cloned().collect()
            });
            let cut = Histogram { buckets, native };
            cut.buckets.iter().any(|(_, series)| !series.samples.is_empty()).then(|| cut.without_unfilled())
        };
        Self(self.0.iter().filter_map(histogram).collect())
    }

    /// The arm's series for one bound: all requests, and as the good ones those that were not slower. At infinity none is slow.
    pub fn at(&self, bound: f64, arm: &ArmSeries) -> ArmSeries {
        let all = |bound: f64| self.0.iter().filter_map(|histogram| histogram.bucket(bound)).cloned().collect();
        ArmSeries {
            total: all(f64::INFINITY),
            good: if bound.is_finite() { all(bound) } else { Vec::new() },
            bad: Vec::new(),
            by_good: bound.is_finite(),
            up: arm.up.clone(),
            own_targets: arm.own_targets,
        }
    }

    /// By how much a bucket grew in all histograms together, from each one's first sample to its last.
    pub fn growth(&self, bound: f64) -> f64 {
        let grown = |histogram: &Histogram| {
            let samples = &histogram.bucket(bound)?.samples;
            let mut values = samples.iter().map(|(_, value)| *value).filter(|value| usable(*value));
            let first = values.next()?;
            Some(values.next_back().unwrap_or(first) - first)
        };
        self.0.iter().filter_map(grown).sum()
    }
}

pub const NOTHING_SHARED: &str = "the histograms of the canary and of stable have no bucket boundary in common";
const MIXED: &str = "some of the histograms are native and some have _bucket series: name one kind, which the canary and stable both have";

/// Whether both arms are native; an arm without histograms is as the other. Err: they are of two kinds.
pub fn are_native(canary: &Histograms, control: &Histograms) -> Result<bool, String> {
    let mut kinds = [canary, control].into_iter().filter(|arm| !arm.is_empty()).map(Histograms::is_native);
    let first = kinds.next().unwrap_or(false);
    if kinds.all(|kind| kind == first) { Ok(first) } else { Err(MIXED.into()) }
}

/// The bounds that both arms have, ascending; an arm without histograms has nothing against any. Of standard native ones, powers
/// of 2 or what is coarser.
pub fn shared_bounds(canary: &Histograms, control: &Histograms) -> Result<Vec<f64>, String> {
    let native = are_native(canary, control)?;
    let mut both: Vec<f64> = canary.bounds().into_iter().chain(control.bounds()).collect();
    if native && let Grid::Standard(schema) = canary.grid().and(control.grid()) {
        both.iter_mut().for_each(|bound| *bound = standard_bound(*bound, schema.min(LASTING_SCHEMA)));
    }
    both.sort_by(f64::total_cmp);
    both.dedup();
    both.retain(|bound| canary.has(*bound) && control.has(*bound));
    Ok(both)
}

/// The smallest bound at or above this one that both arms have. None: there is none. A native histogram that has not filled a
/// bucket at or above it has nothing above it to tell apart: there it is the bound itself.
pub fn bound_from(canary: &Histograms, control: &Histograms, at: f64) -> Result<Option<f64>, String> {
    if let (true, Grid::Standard(schema)) = (are_native(canary, control)?, canary.grid().and(control.grid())) {
        // Not below the bucket around 0, which may reach higher.
        let mut bounds = std::iter::successors(Some(standard_bound(at, schema)), |bound| {
            Some(standard_bound(bound * (1.0 + HAIR), schema)).filter(|next| next.is_finite() && next > bound)
        });
        return Ok(bounds.find(|bound| canary.has(*bound) && control.has(*bound)));
    }
    let shared = shared_bounds(canary, control)?;
    let next = shared.into_iter().find(|bound| *bound >= at * (1.0 - HAIR));
    let itself = || (are_native(canary, control) == Ok(true) && canary.has(at) && control.has(at)).then_some(at);
    Ok(next.or_else(itself))
}

/// Negative bounds and what is no number are no bounds of a duration.
fn bound(bucket: &Series) -> Option<f64> {
    let bound: f64 = bucket.labels.get(BOUND)?.parse().ok()?;
    (bound >= 0.0).then_some(bound.abs())
}

impl Histogram {
    /// `buckets` by bound; a bound that is written in two ways ("1" and "1.0") has two series, one after the other in time.
    fn of(buckets: &BTreeMap<Key, Vec<&Series>>) -> Self {
        let count = buckets.len();
        let mut scrapes: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (index, parts) in buckets.values().enumerate() {
            for (at_ms, value) in parts.iter().flat_map(|part| &part.samples) {
                scrapes.entry(*at_ms).or_insert_with(|| vec![f64::NAN; count])[index] = *value;
            }
        }
        go_on(&mut scrapes, count);
        let series = |(index, (bound, parts)): (usize, (&Key, &Vec<&Series>))| {
            let labels = parts.first().map(|part| part.labels.clone()).unwrap_or_default();
            let samples = scrapes.iter().map(|(at_ms, values)| (*at_ms, values[index])).collect();
            (f64::from_bits(*bound), Series { labels, samples, ..Series::default() })
        };
        Self { buckets: buckets.iter().enumerate().map(series).collect(), native: None }
    }

    /// Of a series of native histograms.
    fn native(one: &Series) -> Self {
        let (found, bounds) = read(&one.histograms);
        let counts = found.iter().map(|scrape| {
            let counts: Vec<f64> = bounds.iter().map(|bound| scrape.at_most(*bound)).collect();
            (scrape.at_ms, counts)
        });
        let mut scrapes: BTreeMap<i64, Vec<f64>> = counts.collect();
        go_on(&mut scrapes, bounds.len());
        let series = |(index, bound): (usize, &f64)| {
            let samples = scrapes.iter().map(|(at_ms, values)| (*at_ms, values[index])).collect();
            (*bound, Series { labels: one.labels.clone(), samples, ..Series::default() })
        };
        let buckets = bounds.iter().enumerate().map(series).collect();
        Self { buckets, native: Some(found.into_iter().map(|scrape| (scrape.at_ms, scrape.segments)).collect()) }
    }

    /// The counts at a bound. Of a native histogram they are those of the last bucket that ends there or before, unless one that
    /// was filled reaches over it.
    fn bucket(&self, bound: f64) -> Option<&Series> {
        let found = match &self.native {
            None => self.buckets.iter().find(|(own, _)| *own == bound),
            Some(scrapes) if scrapes.iter().flat_map(|(_, all)| all).any(|one| one.straddles(bound)) => None,
            Some(_) => self.buckets.iter().rev().find(|(own, _)| *own <= bound),
        };
        found.map(|(_, series)| series)
    }

    fn grid(&self) -> Grid {
        let segments = self.native.iter().flatten().flat_map(|(_, all)| all);
        Grid::of(&segments.copied().collect::<Vec<_>>())
    }

    /// A native histogram has the bounds of the buckets that are filled, and infinity.
    fn without_unfilled(mut self) -> Self {
        if let Some(scrapes) = &self.native {
            let filled = |bound: f64| scrapes.iter().flat_map(|(_, all)| all).any(|one| one.upper == bound);
            self.buckets.retain(|(bound, _)| *bound == 0.0 || bound.is_infinite() || filled(*bound));
        }
        self
    }
}

/// Take restarts out, and with a broken bucket the whole scrape: a bucket that skips one that the others have would move
/// requests from one window into the next on its own.
fn go_on(scrapes: &mut BTreeMap<i64, Vec<f64>>, count: usize) {
    let (mut before, mut ended) = (vec![0.0; count], vec![0.0; count]);
    for values in scrapes.values_mut() {
        if !values.iter().all(|value| usable(*value)) {
            values.fill(f64::NAN);
            continue;
        }
        if values.iter().zip(&before).any(|(value, before)| value < before) {
            ended.iter_mut().zip(&before).for_each(|(ended, before)| *ended += before);
        }
        before.clone_from(values);
        values.iter_mut().zip(&ended).for_each(|(value, ended)| *value += ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One bucket, scraped every 5 s from 0 on.
    fn bucket(le: &str, values: &[f64]) -> Series {
        let labels = [("pod", "a"), ("le", le)].map(|(label, value)| (label.to_owned(), value.to_owned()));
        Series {
            labels: labels.into(),
            samples: (0..).step_by(5_000).zip(values.iter().copied()).collect(),
            ..Series::default()
        }
    }

    fn grown(series: &[Series]) -> Vec<f64> {
        let histograms = Histograms::of(series).unwrap();
        [0.1, f64::INFINITY].map(|bound| histograms.growth(bound)).into()
    }

    #[test]
    fn a_restart_that_one_bucket_shows_is_one_of_all() {
        // The whole histogram began anew before the second scrape; that all requests are more than before hides it.
        let hidden = [bucket("0.1", &[10.0, 3.0, 4.0]), bucket("+Inf", &[12.0, 50.0, 51.0])];
        assert_eq!(grown(&hidden), [4.0, 51.0]);
        let other = [bucket("0.1", &[10.0, 50.0]), bucket("+Inf", &[100.0, 60.0])];
        assert_eq!(grown(&other), [50.0, 60.0], "and not 20 slow ones");
        let twice = [bucket("0.1", &[10.0, 3.0, 2.0]), bucket("+Inf", &[12.0, 5.0, 7.0])];
        assert_eq!(grown(&twice), [5.0, 12.0]);
    }

    #[test]
    fn a_broken_bucket_breaks_its_scrape_for_all() {
        let broken = [bucket("0.1", &[1.0, f64::NAN, 3.0]), bucket("+Inf", &[1.0, 5.0, 9.0])];
        let arm = Histograms::of(&broken).unwrap().at(0.1, &ArmSeries::default());
        assert!(arm.total[0].samples[1].1.is_nan() && arm.good[0].samples[1].1.is_nan());
        assert_eq!(arm.total[0].samples[2].1, 9.0);
        let mut late = bucket("0.1", &[2.0, 3.0]);
        late.samples.iter_mut().for_each(|(at_ms, _)| *at_ms += 5_000);
        let arm = Histograms::of(&[late, bucket("+Inf", &[1.0, 5.0, 9.0])]).unwrap().at(0.1, &ArmSeries::default());
        assert!(arm.total[0].samples[0].1.is_nan(), "a bucket that is not there yet");
        let nan_at_the_restart = [bucket("0.1", &[10.0, f64::NAN, 3.0]), bucket("+Inf", &[20.0, 5.0, 6.0])];
        assert_eq!(grown(&nan_at_the_restart), [3.0, 6.0]);
    }

    #[test]
    fn bounds_are_those_of_every_histogram_however_they_are_written() {
        let of = |pod: &str, bounds: &[&str]| -> Vec<Series> {
            let one = |le: &&str| {
                let mut series = bucket(le, &[1.0]);
                series.labels.insert("pod".into(), pod.into());
                series
            };
            bounds.iter().map(one).collect()
        };
        let both = [of("a", &["0.1", "1", "5", "+Inf"]), of("b", &["0.10", "1.0", "2", "+Inf"])].concat();
        assert_eq!(Histograms::of(&both).unwrap().bounds(), [0.1, 1.0]);
        let mut renamed = of("a", &["1", "+Inf"]);
        renamed.push(bucket("1.0", &[0.0, 4.0]));
        renamed[2].samples.remove(0);
        renamed[1].samples.push((5_000, 4.0));
        assert_eq!(Histograms::of(&renamed).unwrap().growth(1.0), 3.0);
        assert!(Histograms::of(&of("a", &["0.1"])).unwrap_err().contains("+Inf"));
        let counter = Series::default();
        assert!(Histograms::of(&[counter]).unwrap_err().contains("_bucket"));
        assert!(Histograms::of(&[]).unwrap().is_empty());
    }
}
