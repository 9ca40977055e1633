//! How much stable's own pods (or proxies) differ in the hour before the run: an A/A test of the metric, whose result tempers
//! all evidence.
//!
//! An estimate: where it cannot be made the usual value stands, and nothing waits for it.

use std::collections::BTreeSet;

use super::{
    histogram::Histograms,
    order::{Arm, Order},
    provider::{Labels, Provider, Series},
    selectors::{Counters, Selectors},
    series::{ArmSeries, Liveness, NewPods, reading},
};
use crate::{
    api::Decimal,
    stats::{Cells, FALLBACK_PHI, Overdispersion, Side, slots},
};

const BEFORE_SECONDS: i64 = 3_600;
const BLOCK_SECONDS: i64 = 60;

/// As it is set, or measured, or the usual value.
pub(super) async fn overdispersion(
    order: &Order,
    counters: &Counters<'_>,
    selectors: &Selectors,
    provider: &dyn Provider,
) -> f64 {
    if let Some(given) = order.judging.overdispersion {
        return Decimal::value(given);
    }
    let (from, to) = hour_before(order);
    let Ok(mut stable) = selectors.read(Arm::Stable, provider, from, to).await else { return FALLBACK_PHI };
    if counters.sort(&mut stable.clone(), &mut stable).is_err() {
        return FALLBACK_PHI;
    }
    estimate(&stable, from, to)
}

/// The same at one bound of histograms that were read for that hour.
pub(super) fn overdispersion_at(order: &Order, stable: &Histograms, bound: f64) -> f64 {
    let (from, to) = hour_before(order);
    estimate(&stable.at(bound, &ArmSeries::default()), from, to)
}

/// The whole blocks of the hour before the run, in seconds since the epoch.
pub(super) fn hour_before(order: &Order) -> (i64, i64) {
    let to = order.run_started_at.div_euclid(BLOCK_SECONDS) * BLOCK_SECONDS;
    (to - BEFORE_SECONDS, to)
}

fn estimate(stable: &ArmSeries, from: i64, to: i64) -> f64 {
    let sources: BTreeSet<&str> = stable.all().filter_map(|series| source(&series.labels)).collect();
    if sources.len() < 2 {
        return FALLBACK_PHI;
    }
    // Every other one: as good as a hash, and both halves have some.
    let first: BTreeSet<&str> = sources.into_iter().step_by(2).collect();
    let half = |is_first: bool| {
        let of_half = |all: &[Series]| -> Vec<Series> {
            let belongs =
                |series: &&Series| source(&series.labels).is_some_and(|source| first.contains(source) == is_first);
            all.iter().filter(belongs).cloned().collect()
        };
        ArmSeries {
            total: of_half(&stable.total),
            bad: of_half(&stable.bad),
            good: of_half(&stable.good),
            by_good: stable.by_good,
            ..ArmSeries::default()
        }
    };
    let (a, b) = (half(true), half(false));
    let live = Liveness::of([&a, &b]);
    let cells = Cells { window: BLOCK_SECONDS, from, to, changed_at: from };
    let of = |one: &ArmSeries, other: &ArmSeries| reading(one, other, &live, &NewPods::default());
    let mut dispersion = Overdispersion::default();
    for slot in slots(&of(&a, &b), &of(&b, &a), &cells) {
        let usable = |side: Side| side.present && side.counts.belong_together();
        if usable(slot.canary) && usable(slot.control) {
            dispersion.absorb(slot.canary.counts, slot.control.counts);
        }
    }
    dispersion.phi()
}

fn source(labels: &Labels) -> Option<&str> {
    labels.get("pod").or(labels.get("instance")).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod with 100 requests a block, and this many bad ones in each.
    fn pod(name: &str, bad: impl Fn(i64) -> f64) -> [Series; 2] {
        let labels: Labels = [("job", "app"), ("instance", name), ("pod", name)]
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .into();
        let grown = |of: &dyn Fn(i64) -> f64| {
            let mut sum = 0.0;
            let sample = |block: i64| {
                sum += of(block);
                (block * BLOCK_SECONDS * 1_000, sum)
            };
            Series { labels: labels.clone(), samples: (0..=60).map(sample).collect(), ..Series::default() }
        };
        [grown(&|_| 100.0), grown(&bad)]
    }

    fn estimated(pods: &[[Series; 2]]) -> f64 {
        let arm = ArmSeries {
            total: pods.iter().map(|pod| pod[0].clone()).collect(),
            bad: pods.iter().map(|pod| pod[1].clone()).collect(),
            ..ArmSeries::default()
        };
        estimate(&arm, 0, BEFORE_SECONDS)
    }

    #[test]
    fn pods_that_fail_in_bursts_of_their_own_temper_the_evidence() {
        let calm = estimated(&[pod("a", |_| 1.0), pod("b", |_| 1.0)]);
        assert_eq!(calm, 1.0);
        let bursts = |odd: i64| move |block: i64| if block % 2 == odd { 10.0 } else { 0.0 };
        let phi = estimated(&[pod("a", bursts(0)), pod("b", bursts(1))]);
        assert!((5.0..=30.0).contains(&phi), "{phi}");
    }

    #[test]
    fn one_pod_or_few_errors_say_nothing() {
        assert_eq!(estimated(&[pod("a", |_| 5.0)]), FALLBACK_PHI);
        assert_eq!(estimated(&[pod("a", |block| f64::from(block == 3)), pod("b", |_| 0.0)]), FALLBACK_PHI);
    }
}
