//! The selectors of a ratio or latency metric for both arms, and how their series are read.
//!
//! It counts nothing.

use std::collections::BTreeSet;

use futures::future::try_join3;

use super::{
    histogram::{HAIR, Histograms, NOTHING_SHARED, bound_from, shared_bounds},
    order::{Arm, Order},
    placeholder::{Placeholder, uses},
    promql::selector,
    provider::{Labels, Provider, Series, WhyNot},
    series::ArmSeries,
};
use crate::api::{LatencyMetric, LatencyUnit, Metric, RatioMetric, Span};
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

    /// Latency with a threshold: tell all requests from those at or below the boundary, which both arms must have. The
    /// threshold in words, as it is used; None: there is nothing to tell apart.
    pub fn sort(&self, canary: &mut ArmSeries, control: &mut ArmSeries) -> Result<Option<String>, String> {
        let Self::Latency(LatencyMetric { threshold: Some(threshold), unit, .. }) = self else { return Ok(None) };
        let (of_canary, of_control) = (Histograms::of(&canary.total)?, Histograms::of(&control.total)?);
        if of_canary.is_empty() && of_control.is_empty() {
            return Ok(None);
        }
        let boundary = boundary(*threshold, *unit, &of_canary, &of_control)?;
        *canary = of_canary.at(boundary, canary);
        *control = of_control.at(boundary, control);
        let is_exact = boundary <= unit.of(*threshold) * (1.0 + HAIR);
        let sign = unit.sign();
        Ok(Some(if is_exact {
            threshold.to_string()
        } else {
            format!("{threshold}, snapped up to {} {sign}", shown(boundary))
        }))
    }
}

/// The smallest boundary of both arms at or above the threshold.
fn boundary(threshold: Span, unit: LatencyUnit, canary: &Histograms, control: &Histograms) -> Result<f64, String> {
    if let Some(found) = bound_from(canary, control, unit.of(threshold))? {
        return Ok(found);
    }
    let shared = shared_bounds(canary, control)?;
    let largest = shared.last().ok_or(NOTHING_SHARED)?;
    Err(format!(
        "the threshold {threshold} is above every bucket boundary that the canary and stable share, of which {} {} is the \
         largest: lower the threshold, or add a bucket above it",
        shown(*largest),
        unit.sign()
    ))
}

/// Boundaries of native histograms are roots of 2: nobody wants to see all of their digits.
fn shown(bound: f64) -> String {
    let (whole, short) = (bound.to_string(), format!("{bound:.4}"));
    if whole.len() <= short.len() || bound < 0.01 { whole } else { short }
}

/// One arm's selectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmSelectors {
    pub total: String,
    pub bad: Option<String>,
    pub good: Option<String>,
    /// Of the arm's targets, if the selector names them.
    pub up: Option<String>,
    /// How the names of the arm's pods begin, where `up` finds those of other pods too and the pods count themselves: the arm is
    /// told by a label that no target has.
    pub own_pods: Option<String>,
}

impl ArmSelectors {
    fn of(order: &Order, counters: &Counters<'_>, arm: Arm) -> Result<Self, String> {
        let plain = |template: &String| {
            let query = order.query(template, arm).map_err(|error| error.to_string())?;
            let parsed = selector(&query).map_err(|error| error.to_string())?;
            let prefix = || order.pod_prefix(arm);
            let revision = &order.names(arm).revision;
            let own_pods = is_of_pods(template, &parsed, |matcher| matcher.value.contains(revision)).then(prefix);
            Ok::<_, String>((query, up(&parsed), own_pods))
        };
        let text = |template: &Option<String>| {
            template.as_ref().map(plain).transpose().map(|found| found.map(|(query, ..)| query))
        };
        let (total, bad, good) = match counters {
            Counters::Ratio(ratio) => (plain(&ratio.total)?, text(&ratio.bad)?, text(&ratio.good)?),
            Counters::Latency(latency) => (plain(&latency.histogram)?, None, None),
        };
        let (total, up, own_pods) = total;
        Ok(Self { total, bad, good, up, own_pods })
    }

    /// Of the targets that `up` finds, the arm's own.
    fn scraped(&self, mut found: Vec<Series>) -> Vec<Series> {
        if let Some(prefix) = &self.own_pods {
            found.retain(|series| series.labels.get("pod").is_some_and(|pod| pod.starts_with(prefix)));
        }
        found
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

fn is_of_target(matcher: &Matcher) -> bool {
    TARGET_LABELS.contains(&matcher.name.as_str())
}

/// Whether the counters are of the revision's pods although no label of a target says which; `told_by` says whether a matcher tells
/// the revision. Who was called is told by others: by the proxies of the callers.
pub(super) fn is_of_pods(template: &str, selector: &VectorSelector, told_by: impl Fn(&Matcher) -> bool) -> bool {
    let of_revision = [Placeholder::Revision, Placeholder::Pods].iter().any(|placeholder| uses(template, placeholder));
    let told_by = selector.matchers.matchers.iter().filter(|matcher| told_by(matcher));
    let (of_targets, others): (Vec<_>, Vec<_>) = told_by.partition(|matcher| is_of_target(matcher));
    of_revision && of_targets.is_empty() && others.iter().any(|matcher| !matcher.name.starts_with("destination"))
}

/// A selector of `up` for the targets that a selector names by labels of its target.
pub(super) fn up(selector: &VectorSelector) -> Option<String> {
    // Traefik's own label `service` holds name@provider; no target is called so.
    let named = |matcher: &&Matcher| is_of_target(matcher) && !matcher.value.contains('@');
    let kept: Vec<_> = selector.matchers.matchers.iter().filter(named).cloned().collect();
    (!kept.is_empty()).then(|| VectorSelector::new(Some("up".into()), Matchers::new(kept)).to_string())
}

/// Both arms' selectors, and stable's for what was before the run: the control's, unless that is a baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selectors {
    pub canary: ArmSelectors,
    pub control: ArmSelectors,
    pub stable: ArmSelectors,
}

impl Selectors {
    /// Err: a selector cannot be used, or the arms cannot be told apart.
    pub fn of(order: &Order, counters: &Counters<'_>) -> Result<Self, String> {
        let canary = ArmSelectors::of(order, counters, Arm::Canary)?;
        let control = ArmSelectors::of(order, counters, Arm::Control)?;
        if canary.total == control.total || canary.counted() == control.counted() {
            return Err("both arms select the same series".into());
        }
        Ok(Self { canary, control, stable: ArmSelectors::of(order, counters, Arm::Stable)? })
    }

    /// One arm's series in `(from, to]`.
    pub async fn read(&self, arm: Arm, provider: &dyn Provider, from: i64, to: i64) -> Result<ArmSeries, String> {
        let selectors = match arm {
            Arm::Canary => &self.canary,
            Arm::Control => &self.control,
            Arm::Stable => &self.stable,
        };
        let ask = async |selector: Option<&String>| match selector {
            Some(selector) => provider.raw(selector, from, to).await.map_err(|why| why.to_string()),
            None => Ok(Vec::new()),
        };
        let (total, bad, good) =
            try_join3(ask(Some(&selectors.total)), ask(selectors.bad.as_ref()), ask(selectors.good.as_ref())).await?;
        let counts = selectors.bad.is_some() || selectors.good.is_some();
        if counts && [&total, &bad, &good].into_iter().flatten().any(|series| !series.histograms.is_empty()) {
            return Err(WhyNot::Histograms.to_string());
        }
        let up = match selectors.up.as_ref().filter(|_| total.is_empty()) {
            Some(up) => match provider.raw(up, from, to).await.map(|found| selectors.scraped(found)) {
                // A tenant may not see its targets where they lack the label of tenancy: then nothing is known of them.
                Err(WhyNot::Tenancy(_)) => Vec::new(),
                answer => answer.map_err(|why| why.to_string())?,
            },
            None => Vec::new(),
        };
        let by_good = selectors.good.is_some();
        Ok(ArmSeries { total, bad, good, by_good, up, own_targets: selectors.up.is_some() })
    }
}

/// Selectors that differ may select the same series all the same, such as a name that begins as another one does: stable would
/// be compared with itself.
pub fn told_apart(canary: &ArmSeries, control: &ArmSeries) -> Result<(), String> {
    let of_control: BTreeSet<&Labels> = control.all().map(|series| &series.labels).collect();
    let both = canary.all().filter(|series| of_control.contains(&series.labels)).count();
    if both == 0 {
        return Ok(());
    }
    // How many, and not which: what a metrics server answers is no text for a status.
    Err(format!("both arms select the same series, {both} of the canary's {}", canary.all().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(bounds: &[&str]) -> ArmSeries {
        let bucket = |le: &&str| Series { labels: [("le".to_owned(), (*le).to_owned())].into(), ..Series::default() };
        ArmSeries { total: bounds.iter().map(bucket).collect(), ..ArmSeries::default() }
    }

    /// The threshold in words and the bucket of the requests that are not slower.
    fn sorted(threshold: u64, canary: &ArmSeries, control: &ArmSeries) -> Result<(Option<String>, String), String> {
        let (mut canary, mut control) = (canary.clone(), control.clone());
        let threshold = Some(Span::millis(threshold));
        let metric = LatencyMetric { histogram: "x_bucket".into(), threshold, unit: LatencyUnit::Seconds };
        let said = Counters::Latency(&metric).sort(&mut canary, &mut control)?;
        assert!(canary.total.len() <= 1 && canary.by_good == canary.all().next().is_some());
        Ok((said, canary.good.first().map(|bucket| bucket.labels["le"].clone()).unwrap_or_default()))
    }

    #[test]
    fn a_threshold_snaps_up_to_a_boundary_of_both_arms_and_that_is_said() {
        let (fine, coarse) = (arm(&["0.1", "0.25", "0.5", "1", "+Inf"]), arm(&["0.1", "0.5", "1.0", "+Inf"]));
        for (threshold, control, said, bucket) in [
            (250, &fine, "250ms", "0.25"),
            (250, &coarse, "250ms, snapped up to 0.5 s", "0.5"),
            (200, &arm(&[]), "200ms, snapped up to 0.25 s", "0.25"),
            (1_000, &coarse, "1s", "1"),
        ] {
            let expected = (Some(said.to_owned()), bucket.to_owned());
            assert_eq!(sorted(threshold, &fine, control), Ok(expected), "{threshold}");
        }
        assert_eq!(sorted(100, &arm(&[]), &arm(&[])), Ok((None, String::new())), "nothing is there to be slow");
    }

    #[test]
    fn a_threshold_above_every_boundary_of_both_arms_is_no_evidence() {
        let (fine, coarse) = (arm(&["0.1", "0.25", "0.5", "1", "+Inf"]), arm(&["0.1", "0.5", "+Inf"]));
        let why = sorted(600, &fine, &coarse).unwrap_err();
        assert!(why.starts_with("the threshold 600ms is above every") && why.contains("of which 0.5 s is"), "{why}");
        assert_eq!(sorted(600, &fine, &arm(&["0.7", "+Inf"])).unwrap_err(), NOTHING_SHARED);
    }

    #[test]
    fn up_keeps_the_labels_of_targets() {
        let of = |query: &str| up(&selector(query).unwrap());
        assert_eq!(of(r#"a{pod=~"x-.*",code="500"}"#).as_deref(), Some(r#"up{pod=~"x-.*"}"#));
        assert_eq!(of(r#"a{envoy_cluster_name="x"}"#), None);
        assert_eq!(of(r#"a{service="shop-x-80@kubernetesgateway"}"#), None);
    }

    #[test]
    fn an_arm_told_by_a_label_that_no_target_has_is_one_of_pods() {
        let of = |template: &str| {
            let query = template.replace("{{ revision }}", "abc").replace("{{ pods }}", "x-abc-.*");
            let parsed = selector(&query.replace("{{ service }}", "x-abc")).unwrap();
            is_of_pods(template, &parsed, |matcher| matcher.value.contains("abc"))
        };
        for (template, expected) in [
            (r#"a{namespace="shop",revision="{{ revision }}"}"#, true),
            (r#"a{namespace="shop",kubernetes_pod_name=~"{{ pods }}"}"#, true),
            (r#"a{namespace="shop",pod=~"{{ pods }}"}"#, false),
            (r#"a{namespace="shop",destination_pod=~"{{ pods }}"}"#, false),
            (r#"a{namespace="contour",envoy_cluster_name="{{ service }}"}"#, false),
        ] {
            assert_eq!(of(template), expected, "{template}");
        }
    }
}
