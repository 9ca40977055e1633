//! The selectors of a ratio or latency metric for both arms, and how their series are read.
//!
//! It counts nothing.

use futures::future::try_join3;

use super::{
    order::{Arm, Order},
    promql::selector,
    provider::{Provider, Series},
    series::ArmSeries,
};
use crate::api::{LatencyMetric, Metric, RatioMetric};
use promql_parser::{
    label::{Matcher, Matchers},
    parser::VectorSelector,
};

/// Labels that a scrape target has and its counters share.
const TARGET_LABELS: [&str; 8] = ["job", "instance", "namespace", "pod", "service", "container", "endpoint", "cluster"];

/// What a metric counts.
#[derive(Clone, Copy, Debug)]
pub enum Counters<'a> {
    Ratio(&'a RatioMetric),
    Latency(&'a LatencyMetric),
}

impl<'a> Counters<'a> {
    /// None: the metric counts nothing.
    pub fn of(metric: &'a Metric) -> Option<Self> {
        metric.ratio.as_ref().map(Self::Ratio).or(metric.latency.as_ref().map(Self::Latency))
    }

    /// Latency: tell all requests from those at or below the boundary, which both arms must have.
    pub fn sort(&self, canary: &mut ArmSeries, control: &mut ArmSeries) -> Result<(), String> {
        let Self::Latency(LatencyMetric { threshold, unit, .. }) = self else { return Ok(()) };
        let threshold = threshold.ok_or("the metric has no threshold")?;
        let boundary = boundary(unit.of(threshold), &canary.total, &control.total)
            .ok_or_else(|| format!("no bucket boundary of both arms is at or above {threshold}"))?;
        for arm in [canary, control] {
            let buckets = std::mem::take(&mut arm.total);
            for bucket in buckets {
                match upper_bound(&bucket) {
                    Some(bound) if bound.is_infinite() => arm.total.push(bucket),
                    Some(bound) if bound == boundary => arm.good.push(bucket),
                    _ => {}
                }
            }
            arm.by_good = true;
        }
        Ok(())
    }
}

fn upper_bound(bucket: &Series) -> Option<f64> {
    bucket.labels.get("le")?.parse().ok()
}

/// The smallest boundary at or above the threshold that every arm with series has.
fn boundary(threshold: f64, canary: &[Series], control: &[Series]) -> Option<f64> {
    let bounds = |arm: &[Series]| -> Vec<f64> { arm.iter().filter_map(upper_bound).collect() };
    let (of_canary, of_control) = (bounds(canary), bounds(control));
    let shared = |bound: &f64| {
        (of_canary.is_empty() || of_canary.contains(bound)) && (of_control.is_empty() || of_control.contains(bound))
    };
    // A boundary is written in decimal on both sides: it is compared with a hair's breadth of room.
    let fits = |bound: &f64| bound.is_finite() && *bound >= threshold * (1.0 - 1e-9);
    of_canary.iter().chain(&of_control).copied().filter(fits).filter(shared).min_by(f64::total_cmp)
}

/// One arm's selectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmSelectors {
    pub total: String,
    bad: Option<String>,
    good: Option<String>,
    /// Of the arm's targets, if the selector names them.
    up: Option<String>,
}

impl ArmSelectors {
    fn of(order: &Order, counters: &Counters<'_>, arm: Arm) -> Result<Self, String> {
        let plain = |template: &String| {
            let query = order.query(template, arm).map_err(|error| error.to_string())?;
            let parsed = selector(&query).map_err(|error| error.to_string())?;
            Ok::<_, String>((query, up(&parsed)))
        };
        let text =
            |template: &Option<String>| template.as_ref().map(plain).transpose().map(|found| found.map(|(q, _)| q));
        let (total, bad, good) = match counters {
            Counters::Ratio(ratio) => (plain(&ratio.total)?, text(&ratio.bad)?, text(&ratio.good)?),
            Counters::Latency(latency) => (plain(&latency.histogram)?, None, None),
        };
        Ok(Self { total: total.0, bad, good, up: total.1 })
    }

    /// The counter beside total, and whether it counts good events.
    pub fn counted(&self) -> (&str, bool) {
        match (&self.bad, &self.good) {
            (Some(bad), _) => (bad, false),
            (None, Some(good)) => (good, true),
            (None, None) => (&self.total, true),
        }
    }
}

/// A selector of `up` for the targets that a selector names by labels of its target.
fn up(selector: &VectorSelector) -> Option<String> {
    // Traefik's own label `service` holds name@provider; no target is called so.
    let named = |matcher: &&Matcher| TARGET_LABELS.contains(&matcher.name.as_str()) && !matcher.value.contains('@');
    let kept: Vec<_> = selector.matchers.matchers.iter().filter(named).cloned().collect();
    (!kept.is_empty()).then(|| VectorSelector::new(Some("up".into()), Matchers::new(kept)).to_string())
}

/// Both arms' selectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selectors {
    pub canary: ArmSelectors,
    pub control: ArmSelectors,
}

impl Selectors {
    /// Err: a selector cannot be used, or the arms cannot be told apart.
    pub fn of(order: &Order, counters: &Counters<'_>) -> Result<Self, String> {
        let canary = ArmSelectors::of(order, counters, Arm::Canary)?;
        let control = ArmSelectors::of(order, counters, Arm::Control)?;
        if canary.total == control.total || canary.counted() == control.counted() {
            return Err("both arms select the same series".into());
        }
        Ok(Self { canary, control })
    }

    /// One arm's series in `(from, to]`.
    pub async fn read(&self, arm: Arm, provider: &dyn Provider, from: i64, to: i64) -> Result<ArmSeries, String> {
        let selectors = match arm {
            Arm::Canary => &self.canary,
            Arm::Control => &self.control,
        };
        let ask = async |selector: Option<&String>| match selector {
            Some(selector) => provider.raw(selector, from, to).await.map_err(|why| why.to_string()),
            None => Ok(Vec::new()),
        };
        let (total, bad, good) =
            try_join3(ask(Some(&selectors.total)), ask(selectors.bad.as_ref()), ask(selectors.good.as_ref())).await?;
        let up = if total.is_empty() { ask(selectors.up.as_ref()).await? } else { Vec::new() };
        let by_good = selectors.good.is_some();
        Ok(ArmSeries { total, bad, good, by_good, up, own_targets: selectors.up.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(le: &str) -> Series {
        Series { labels: [("le".to_owned(), le.to_owned())].into(), samples: vec![] }
    }

    #[test]
    fn a_threshold_snaps_up_to_a_boundary_of_both_arms() {
        let arm = |bounds: &[&str]| bounds.iter().map(|le| bucket(le)).collect::<Vec<_>>();
        let (fine, coarse) = (arm(&["0.1", "0.25", "0.5", "1", "+Inf"]), arm(&["0.1", "0.5", "1.0", "+Inf"]));
        for (threshold, canary, control, expected) in [
            (0.25, &fine, &fine, Some(0.25)),
            (0.25, &fine, &coarse, Some(0.5)),
            (0.2, &fine, &vec![], Some(0.25)),
            (1.0, &fine, &coarse, Some(1.0)),
            (2.0, &fine, &coarse, None),
            (0.1, &vec![], &vec![], None),
        ] {
            assert_eq!(boundary(threshold, canary, control), expected, "{threshold}");
        }
    }

    #[test]
    fn up_keeps_the_labels_of_targets() {
        let of = |query: &str| up(&selector(query).unwrap());
        assert_eq!(of(r#"a{pod=~"x-.*",code="500"}"#).as_deref(), Some(r#"up{pod=~"x-.*"}"#));
        assert_eq!(of(r#"a{envoy_cluster_name="x"}"#), None);
        assert_eq!(of(r#"a{service="shop-x-80@kubernetesgateway"}"#), None);
    }
}
