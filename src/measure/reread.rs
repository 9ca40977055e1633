//! A whole run read again from the metrics server, with the weights that were in force, and folded anew.
//!
//! Two things are taken from the record because they are no evidence of the run: the times that were judged, and how many bad
//! requests come together, which was measured on the hour before. What the server has no more is said, not guessed.

use super::{
    counting::{Reader, begin, trial},
    order::Order,
    provider::Provider,
    replay::{Replay, Twice, comparison, in_words, recorded},
    room::is_by_boundaries,
    selectors::{Counters, Selectors},
};
use crate::{
    api::{EvidenceRecord, Metric, MetricRecord, Span, StretchRecord},
    stats::{BrokenState, Comparison, FALLBACK_PHI, Fold, Folds, LatencyFold},
};

/// Every metric that compares the arms and is in the record. `order` needs the run's start, and the scrape interval
/// where it is known.
pub async fn reread(order: &Order, evidence: &EvidenceRecord, provider: &dyn Provider) -> Vec<Replay> {
    let mut found = Vec::new();
    // One after the other: the server is shared with runs that are under way.
    for (metric, record) in recorded(order, evidence) {
        if is_by_boundaries(metric) {
            found.push(at_boundaries(order, metric, record, &evidence.stretches, provider).await);
            continue;
        }
        let replay = match comparison(order, metric, record) {
            Ok(stood) => match in_its_windows(order, &stood) {
                Ok(order) => of_metric(&order, metric, record, &stood, &evidence.stretches, provider).await,
                Err(why) => Replay { incomplete: Some(why), ..Replay::of(metric, record) },
            },
            Err(why) => Replay { difference: Some(why), ..Replay::of(metric, record) },
        };
        found.push(replay);
    }
    found
}

/// The order with the windows of the record: where no scrape interval is known it follows from them.
fn in_its_windows(order: &Order, stood: &Comparison) -> Result<Order, String> {
    let window = stood.terms().window_seconds as u64;
    let known = order.scrape_interval > Span::ZERO;
    let scrape_interval = if known { order.scrape_interval } else { Span::seconds(window) };
    let order = Order { scrape_interval, ..order.clone() };
    let now = order.timing().window;
    if now.unsigned_abs() == window {
        Ok(order)
    } else {
        Err(format!("a scrape every {scrape_interval} makes windows of {now} s, the record's are {window} s long"))
    }
}

async fn of_metric(
    order: &Order,
    metric: &Metric,
    record: &MetricRecord,
    stood: &Comparison,
    stretches: &[StretchRecord],
    provider: &dyn Provider,
) -> Replay {
    let phi = stood.compared().phi;
    let (Folds { counts, comparison: again, marks, .. }, problem) =
        whole(order, metric, record, stretches, phi, provider).await;
    let windows = counts.run.windows;
    let twice =
        |of: fn(&Comparison) -> f64| again.as_ref().map(|again| Twice { recorded: of(stood), again: of(again) });
    let incomplete = incomplete(windows, record.windows_used, problem);
    Replay {
        windows,
        fail_evidence: twice(|comparison| comparison.compared().fail.evidence),
        pass_evidence: twice(|comparison| comparison.compared().pass.evidence),
        marks: marks.filter(|_| incomplete.is_none()).unwrap_or_default(),
        // What is not all there must differ: that says nothing of the record.
        difference: again.filter(|_| incomplete.is_none()).and_then(|again| stood.parts_from(&again)).map(in_words),
        incomplete,
        ..Replay::of(metric, record)
    }
}

/// A latency without a threshold: the boundaries are chosen again, too.
async fn at_boundaries(
    order: &Order,
    metric: &Metric,
    record: &MetricRecord,
    stretches: &[StretchRecord],
    provider: &dyn Provider,
) -> Replay {
    let mut stood = LatencyFold::new(trial(order, metric));
    let state = record.fold.as_ref().map(|fold| &fold["latency"]);
    if let Err(why) = state.ok_or(BrokenState("the latency")).and_then(|state| stood.restore(state)) {
        return Replay { difference: Some(why.to_string()), ..Replay::of(metric, record) };
    }
    let (Folds { counts, latency, marks, .. }, problem) =
        whole(order, metric, record, stretches, FALLBACK_PHI, provider).await;
    let again = latency.unwrap_or_else(|| LatencyFold::new(trial(order, metric)));
    let (stands, replayed) = (stood.compared(), again.compared());
    let others =
        || "what the server has of the hour before makes other boundaries, or bursts of another size".to_owned();
    let incomplete = incomplete(counts.run.windows, record.windows_used, problem)
        .or_else(|| (!again.is_chosen_as(&stood)).then(others));
    let differs = incomplete.is_none() && again != stood;
    Replay {
        windows: counts.run.windows,
        fail_evidence: Some(Twice { recorded: stands.fail.evidence, again: replayed.fail.evidence }),
        pass_evidence: Some(Twice { recorded: stands.pass.evidence, again: replayed.pass.evidence }),
        marks: marks.filter(|_| incomplete.is_none()).unwrap_or_default(),
        difference: differs.then(|| "the tests at the boundaries are not those of the record".into()),
        incomplete,
        ..Replay::of(metric, record)
    }
}

/// Every stretch of the run, and why some windows could not be had.
async fn whole(
    order: &Order,
    metric: &Metric,
    record: &MetricRecord,
    stretches: &[StretchRecord],
    phi: f64,
    provider: &dyn Provider,
) -> (Folds, Option<String>) {
    let end = record.fold.as_ref().and_then(|fold| fold["watermark"].as_i64()).unwrap_or_default();
    let (mut folds, mut problem): (Option<Folds>, _) = (None, None);
    for stretch in stretches {
        let until = stretch.until.unwrap_or(end).min(end);
        let marks = folds.as_mut().and_then(|folds| folds.marks.take()).unwrap_or_default();
        let at = at(order, stretch, metric, folds);
        let mut begun = begin(&at, metric, &at.timing());
        begun.marks = Some(marks);
        let (read, why) = read(&at, metric, begun, (stretch.from, until), phi, provider).await;
        folds = Some(read);
        problem = why.or(problem);
    }
    (folds.unwrap_or_default(), problem)
}

/// The order as it was in a stretch, with what was folded before as its record.
fn at(order: &Order, stretch: &StretchRecord, metric: &Metric, folds: Option<Folds>) -> Order {
    let previous = folds.map(|mut folds| {
        let record = MetricRecord { fold: Some(folds.state()), ..MetricRecord::default() };
        EvidenceRecord { metrics: [(metric.name.clone(), record)].into(), ..EvidenceRecord::default() }
    });
    let StretchRecord { from: _, until: _, weight, settled_at, pods_started_at } = *stretch;
    Order { weight, settled_at, pods_started_at, previous, ..order.clone() }
}

/// Go on with the windows of `(from, until]`; the last reason why some could not be had.
async fn read(
    order: &Order,
    metric: &Metric,
    mut folds: Folds,
    (from, until): (i64, i64),
    phi: f64,
    provider: &dyn Provider,
) -> (Folds, Option<String>) {
    let timing = order.timing();
    folds.watermark = from;
    if let Some(budget) = &mut folds.budget {
        // Stable's usual ratio bears on no test: it is not asked for.
        budget.before = Some(0.0);
    }
    if let Some(comparison) = folds.comparison.as_mut().filter(|comparison| comparison.needs_phi()) {
        comparison.learn_phi(phi);
    }
    let Some(counters) = Counters::of(metric) else { return (folds, None) };
    let selectors = match Selectors::of(order, &counters) {
        Ok(selectors) => selectors,
        Err(why) => return (folds, Some(why)),
    };
    let mut problem = None;
    while folds.watermark < until {
        let before = folds.watermark;
        let stored_at = until + timing.ingest_delay;
        let reader = Reader { order, counters: &counters, selectors: &selectors, provider };
        problem = reader.advance(&mut folds, stored_at).await.err().or(problem);
        if folds.watermark == before {
            break;
        }
    }
    (folds, problem)
}

/// Fewer windows than the run has judged: the server's data are gone, or it did not answer.
fn incomplete(windows: u64, judged: u64, problem: Option<String>) -> Option<String> {
    let why = problem.map(|why| format!(": {why}")).unwrap_or_default();
    (windows != judged).then(|| {
        format!("the metrics server's samples make {windows} windows, the run has judged {judged}: they are not those that it read{why}")
    })
}
