//! Series of one metric and arm made into a reading: increments, and what is known of the time around them.
//!
//! Pure. The one judgement in here is whether a series' first sample counts from 0 (see `Birth`).

use std::collections::{BTreeMap, BTreeSet};

use super::provider::{Labels, Series};
use crate::stats::{Birth, Increment, Reading, increments, usable};

/// What the metrics server gave for one arm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmSeries {
    pub total: Vec<Series>,
    pub bad: Vec<Series>,
    pub good: Vec<Series>,
    /// Good events are counted instead of bad ones: bad is then the rest of total.
    pub by_good: bool,
    /// `up` of the arm's targets, asked for when `total` has no series.
    pub up: Vec<Series>,
    /// The selectors name targets (pods or jobs), so the other arm's targets say nothing of this arm's.
    pub own_targets: bool,
}

impl ArmSeries {
    /// All series that the metric itself has.
    pub fn all(&self) -> impl Iterator<Item = &Series> {
        self.total.iter().chain(&self.bad).chain(&self.good)
    }
}

/// A scrape target: its job, instance and pod.
type Target = [String; 3];

fn target(labels: &Labels) -> Option<Target> {
    let target = ["job", "instance", "pod"].map(|label| labels.get(label).cloned().unwrap_or_default());
    let named = !target[0].is_empty() || !target[1].is_empty();
    named.then_some(target)
}

/// When each target was scraped: every sample proves a scrape.
#[derive(Clone, Debug, Default)]
pub struct Liveness(BTreeMap<Target, BTreeSet<i64>>);

impl Liveness {
    pub fn of(arms: [&ArmSeries; 2]) -> Self {
        let mut live = Self::default();
        for arm in arms {
            for series in arm.all() {
                live.add(&series.labels, series.samples.iter().map(|(at_ms, _)| *at_ms));
            }
            for series in &arm.up {
                let scraped = series.samples.iter().filter(|(_, value)| *value == 1.0);
                live.add(&series.labels, scraped.map(|(at_ms, _)| *at_ms));
            }
        }
        live
    }

    fn add(&mut self, labels: &Labels, times_ms: impl Iterator<Item = i64>) {
        if let Some(target) = target(labels) {
            self.0.entry(target).or_default().extend(times_ms);
        }
    }

    /// The last scrape of the series' target before a time.
    fn last_before(&self, labels: &Labels, at_ms: i64) -> Option<i64> {
        self.0.get(&target(labels)?)?.range(..at_ms).next_back().copied()
    }

    fn times<'a>(&'a self, series: impl Iterator<Item = &'a Series>) -> BTreeSet<i64> {
        let targets: BTreeSet<Target> = series.filter_map(|series| target(&series.labels)).collect();
        targets.iter().filter_map(|target| self.0.get(target)).flatten().copied().collect()
    }
}

/// Pods that this run has made: their counters began at 0.
#[derive(Clone, Debug, Default)]
pub struct NewPods {
    /// How their names begin; empty: there are none in this arm.
    pub prefix: String,
    /// Of these, the ones that had been scraped before what is read now.
    pub seen_before: BTreeSet<String>,
    pub scrape_ms: i64,
}

impl NewPods {
    pub fn has(&self, labels: &Labels) -> bool {
        let pod = labels.get("pod").filter(|pod| !self.prefix.is_empty() && pod.starts_with(&self.prefix));
        pod.is_some_and(|pod| !self.seen_before.contains(pod))
    }
}

fn birth(series: &Series, live: &Liveness, new_pods: &NewPods) -> Birth {
    let Some((first_ms, _)) = series.samples.first() else { return Birth::Unknown };
    if let Some(since_ms) = live.last_before(&series.labels, *first_ms) {
        Birth::Zero { since_ms }
    } else if new_pods.has(&series.labels) {
        Birth::Zero { since_ms: first_ms - new_pods.scrape_ms }
    } else {
        Birth::Unknown
    }
}

/// One arm's reading; `other` is the other arm, whose targets stand in where this arm has no series and none of its own.
pub fn reading(arm: &ArmSeries, other: &ArmSeries, live: &Liveness, new_pods: &NewPods) -> Reading {
    let grown = |series: &[Series]| -> Vec<Increment> {
        series.iter().flat_map(|series| increments(&series.samples, birth(series, live, new_pods))).collect()
    };
    let (total, mut bad) = (grown(&arm.total), grown(&arm.bad));
    if arm.by_good {
        bad = total.clone();
        bad.extend(grown(&arm.good).into_iter().map(|good| Increment { value: -good.value, ..good }));
    }
    let proxies = if arm.own_targets || arm.all().next().is_some() { None } else { Some(other) };
    let targets = arm.all().chain(&arm.up).chain(proxies.into_iter().flat_map(ArmSeries::all));
    let broken = arm.all().flat_map(|series| &series.samples).filter(|(_, value)| !usable(*value));
    Reading {
        bad,
        total,
        sampled_ms: arm.total.iter().flat_map(|series| series.samples.iter().map(|(at_ms, _)| *at_ms)).collect(),
        scraped_ms: live.times(targets).into_iter().collect(),
        broken_ms: broken.map(|(at_ms, _)| *at_ms).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series {
            labels,
            samples: samples.iter().map(|(at, value)| (at * 1_000, *value)).collect(),
            ..Series::default()
        }
    }

    const PROXY: [(&str, &str); 2] = [("job", "envoy"), ("instance", "10.0.0.1:8002")];

    fn read(arm: &ArmSeries, other: &ArmSeries, new_pods: &NewPods) -> Reading {
        reading(arm, other, &Liveness::of([arm, other]), new_pods)
    }

    #[test]
    fn the_first_error_of_a_live_target_counts() {
        let arm = ArmSeries {
            total: vec![series(&PROXY, &[(0, 10.0), (15, 20.0), (30, 30.0)])],
            bad: vec![series(&PROXY, &[(30, 3.0)])],
            ..ArmSeries::default()
        };
        let reading = read(&arm, &ArmSeries::default(), &NewPods::default());
        assert_eq!(reading.bad, [Increment { since_ms: 15_000, at_ms: 30_000, value: 3.0 }]);
        assert_eq!(reading.total.len(), 2, "the first sample of total is of unknown age");
    }

    #[test]
    fn a_pod_of_this_run_counts_from_0_unless_it_was_seen_before() {
        let pod = [("job", "app"), ("instance", "10.0.0.9:80"), ("pod", "checkout-abc-x1")];
        let arm = ArmSeries { total: vec![series(&pod, &[(30, 7.0), (45, 9.0)])], ..ArmSeries::default() };
        let total = |new_pods: &NewPods| {
            let reading = read(&arm, &ArmSeries::default(), new_pods);
            reading.total.iter().map(|increment| increment.value).collect::<Vec<_>>()
        };
        let new = NewPods { prefix: "checkout-abc-".into(), scrape_ms: 15_000, ..NewPods::default() };
        assert_eq!(total(&new), [7.0, 2.0]);
        let seen = NewPods { seen_before: BTreeSet::from(["checkout-abc-x1".to_owned()]), ..new.clone() };
        assert_eq!(total(&seen), [2.0]);
        assert_eq!(total(&NewPods { prefix: "checkout-def-".into(), ..new }), [2.0]);
        assert_eq!(total(&NewPods::default()), [2.0]);
    }

    #[test]
    fn an_arm_without_series_is_idle_where_the_shared_proxies_were_scraped() {
        let other = ArmSeries { total: vec![series(&PROXY, &[(0, 10.0), (15, 20.0)])], ..ArmSeries::default() };
        let scraped = |arm: &ArmSeries| read(arm, &other, &NewPods::default()).scraped_ms;
        assert_eq!(scraped(&ArmSeries::default()), [0, 15_000]);
        let pods = ArmSeries { own_targets: true, ..ArmSeries::default() };
        assert_eq!(scraped(&pods), [0; 0], "the other arm's pods say nothing of this arm's");
        let up = vec![series(&[("job", "app"), ("instance", "a")], &[(5, 1.0), (20, 0.0)])];
        assert_eq!(scraped(&ArmSeries { up, ..pods }), [5_000], "a failed scrape proves nothing");
    }

    #[test]
    fn counting_good_events_makes_the_rest_bad() {
        let arm = ArmSeries {
            total: vec![series(&PROXY, &[(0, 10.0), (15, 30.0)])],
            good: vec![series(&PROXY, &[(0, 10.0), (15, 25.0)])],
            by_good: true,
            ..ArmSeries::default()
        };
        let reading = read(&arm, &ArmSeries::default(), &NewPods::default());
        assert_eq!(reading.bad.iter().map(|increment| increment.value).sum::<f64>(), 5.0);
    }
}
