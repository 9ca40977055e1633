//! A run's record folded again: the recorded windows, from the tests as they stood before them.
//!
//! It asks nobody. What the windows were read from is `reread`'s to read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    counting::{counted, tests_record, trial},
    order::Order,
    room::is_by_boundaries,
    selectors::Counters,
};
use crate::{
    api::{EvidenceRecord, Metric, MetricRecord, Span, TestsRecord},
    stats::{Comparison, CountsFold, Difference, Fold},
};

/// One metric's evidence, as recorded and folded again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    pub metric: String,
    /// Windows that were folded again, and all that the run has judged.
    pub windows: u64,
    pub judged_windows: u64,
    /// None: the record cannot be read.
    pub fail_evidence: Option<Twice>,
    pub pass_evidence: Option<Twice>,
    /// The first difference; None: there is none, bit for bit.
    pub difference: Option<String>,
    /// Why not all could be folded again, so that nothing is to be compared.
    pub incomplete: Option<String>,
    /// Digests of the tests by how many windows were judged, as far as they were folded again.
    #[serde(skip)]
    pub marks: BTreeMap<u64, String>,
}

/// A number of the record, and the same folded again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Twice {
    pub recorded: f64,
    pub again: f64,
}

impl Replay {
    pub fn is_identical(&self) -> bool {
        self.difference.is_none() && self.incomplete.is_none()
    }

    /// Nothing of the record is folded yet.
    pub(super) fn of(metric: &Metric, record: &MetricRecord) -> Self {
        Self { metric: metric.name.clone(), judged_windows: record.windows_used, ..Self::default() }
    }
}

/// Every metric that compares the arms.
pub fn replay(order: &Order, evidence: &EvidenceRecord) -> Vec<Replay> {
    let counted = order.metrics.iter().filter(|metric| Counters::of(metric).is_some());
    let of = |metric: &Metric| match evidence.metrics.get(&metric.name) {
        Some(record) => of_metric(order, metric, record),
        None => Replay {
            difference: Some("the run has this metric, its record has not".into()),
            ..Replay::of(metric, &MetricRecord::default())
        },
    };
    counted.map(of).collect()
}

/// The metrics that are folded, with their records.
pub(super) fn recorded<'a>(
    order: &'a Order,
    evidence: &'a EvidenceRecord,
) -> impl Iterator<Item = (&'a Metric, &'a MetricRecord)> {
    let counted = order.metrics.iter().filter(|metric| Counters::of(metric).is_some());
    counted.filter_map(|metric| Some((metric, evidence.metrics.get(&metric.name)?)))
}

/// The comparison as it stands in the record.
pub(super) fn comparison(order: &Order, metric: &Metric, record: &MetricRecord) -> Result<Comparison, String> {
    let state = record.fold.as_ref().map(|fold| &fold["comparison"]).ok_or("the record has no fold")?;
    let seconds = Comparison::window_seconds(state).ok_or("the record does not say how long its windows are")?;
    // The interval may have been changed since; the windows of the record have this length.
    let order = Order { scrape_interval: Span::seconds(seconds as u64), ..order.clone() };
    let mut comparison = Comparison::new(trial(&order, metric));
    comparison.restore(state).map_err(|error| error.to_string())?;
    Ok(comparison)
}

fn of_metric(order: &Order, metric: &Metric, record: &MetricRecord) -> Replay {
    if is_by_boundaries(metric) {
        let why = "a latency without a threshold keeps no windows to fold again: its tests at up to 12 boundaries need the \
                   room; read the samples again with --from-prometheus";
        return Replay { incomplete: Some(why.into()), ..Replay::of(metric, record) };
    }
    let comparison = match comparison(order, metric, record) {
        Ok(comparison) => comparison,
        Err(why) => return Replay { difference: Some(why), ..Replay::of(metric, record) },
    };
    let (stands, replayed) = (comparison.compared(), comparison.replayed());
    Replay {
        windows: replayed.windows as u64,
        fail_evidence: Some(Twice { recorded: stands.fail.evidence, again: replayed.fail_evidence }),
        pass_evidence: Some(Twice { recorded: stands.pass.evidence, again: replayed.pass_evidence }),
        marks: comparison.marks(record.windows_used),
        difference: replayed.difference.map(in_words).or_else(|| shown_otherwise(order, &comparison, record)),
        ..Replay::of(metric, record)
    }
}

/// The numbers for readers are those of the state. What depends on the traffic of a step that is over is passed over.
fn shown_otherwise(order: &Order, comparison: &Comparison, record: &MetricRecord) -> Option<String> {
    let mut counts = CountsFold::default();
    if let Err(error) = counts.restore(&record.fold.as_ref()?["counts"]) {
        return Some(error.to_string());
    }
    let tests = tests_record(&comparison.compared(), order, None);
    let detectable_rise = record.tests.as_ref().and_then(|tests| tests.detectable_rise.clone());
    let again = MetricRecord {
        tests: Some(TestsRecord { detectable_rise, ..tests }),
        windows_dropped: counts.dropped(),
        threshold: record.threshold.clone(),
        fold: record.fold.clone(),
        ..counted(&counts.run)
    };
    let (shown, again) = (serde_json::to_value(record).ok()?, serde_json::to_value(again).ok()?);
    first_difference("", &shown, &again)
}

/// The first field that is not the same in both, by its name.
fn first_difference(at: &str, shown: &Value, again: &Value) -> Option<String> {
    let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<BTreeSet<_>>());
    match (keys(shown), keys(again)) {
        (Some(these), Some(those)) => these.union(&those).find_map(|key| {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            first_difference(&at, &shown[key], &again[key])
        }),
        _ if shown == again => None,
        _ => {
            let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(format!("{at} is {:.64} in the record, the fold's state makes it {:.64}", word(shown), word(again)))
        }
    }
}

pub(super) fn in_words(difference: Difference) -> String {
    let Difference { test, part, recorded, again } = difference;
    let bits = |value: f64| format!("{value:e} ({:016x})", value.to_bits());
    format!(
        "part {part} of the evidence for a {test} is {} in the record, folded again {}",
        bits(recorded),
        bits(again)
    )
}
