//! A run's record folded again: the recorded windows, from the tests as they stood before them.
//!
//! It asks nobody. What the windows were read from is `reread`'s to read.

use serde::Serialize;

use super::{counting::trial, order::Order, room::is_by_boundaries, selectors::Counters};
use crate::{
    api::{EvidenceRecord, Metric, MetricRecord, Span},
    stats::{Comparison, Difference, Fold, figure},
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

/// Every metric that compares the arms and is in the record.
pub fn replay(order: &Order, evidence: &EvidenceRecord) -> Vec<Replay> {
    recorded(order, evidence).map(|(metric, record)| of_metric(order, metric, record)).collect()
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
        difference: replayed.difference.map(in_words).or_else(|| shown_otherwise(&comparison, record)),
        ..Replay::of(metric, record)
    }
}

/// The numbers for readers are those of the state.
fn shown_otherwise(comparison: &Comparison, record: &MetricRecord) -> Option<String> {
    let (tests, compared) = (record.tests.as_ref()?, comparison.compared());
    let mut pairs = [
        ("failEvidence", &tests.fail_evidence, compared.fail.evidence),
        ("failThreshold", &tests.fail_threshold, compared.fail.threshold),
        ("passEvidence", &tests.pass_evidence, compared.pass.evidence),
        ("passThreshold", &tests.pass_threshold, compared.pass.threshold),
    ]
    .into_iter();
    let (field, shown, state) = pairs.find(|(_, shown, state)| **shown != figure(*state))?;
    Some(format!("tests.{field} is {shown:.64} in the record, the fold's state makes it {}", figure(state)))
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
