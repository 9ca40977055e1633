//! The evidence: the verdict's sentence, counts per metric and arm, and what the release has cost.
//!
//! It shows what the record says; it judges nothing.

use super::{
    Line, Tone,
    age::{counted, thousands},
};
use crate::api::{EvidenceRecord, GaugeRecord, MetricRecord, SpendRecord, TestsRecord};

/// "Undecided (InsufficientEvidence): 12 requests, ...".
pub fn title(evidence: &EvidenceRecord) -> Line {
    let tone = match evidence.verdict.as_str() {
        "Pass" => Tone::Good,
        "Fail" => Tone::Bad,
        _ => Tone::Attention,
    };
    let reason = evidence.reason.map(|reason| format!(" ({})", reason.word())).unwrap_or_default();
    let message = if evidence.message.is_empty() { String::new() } else { format!(": {}", evidence.message) };
    Line::plain("Evidence   ").and(tone, format!("{}{reason}", evidence.verdict)).and(Tone::Plain, message)
}

/// One line per metric and one for the budget.
pub fn lines(evidence: &EvidenceRecord) -> Vec<Line> {
    let name_width = evidence.metrics.keys().map(String::len).max().unwrap_or(0).max("budget".len());
    let metrics = evidence.metrics.iter().map(|(name, metric)| metric_line(name, name_width, metric));
    let spend = evidence.spend.as_ref().map(|spend| spend_line(name_width, spend));
    metrics.chain(spend).collect()
}

fn metric_line(name: &str, name_width: usize, metric: &MetricRecord) -> Line {
    if let Some(gauge) = &metric.gauge {
        return gauge_line(name, name_width, gauge).and(Tone::Faint, format!("; {}", used(metric, "block")));
    }
    if let (Some(threshold), None) = (&metric.threshold, &metric.tests) {
        return Line::plain(format!("{name:<name_width$}  {threshold}"));
    }
    let text = format!(
        "{name:<name_width$}  canary {}, control {}",
        share(metric.canary_bad, metric.canary_total),
        share(metric.control_bad, metric.control_total)
    );
    let tests = metric.tests.as_ref().map(|tests| {
        format!(
            "; evidence for a Fail {} of {}, for a Pass {} of {}",
            tests.fail_evidence, tests.fail_threshold, tests.pass_evidence, tests.pass_threshold
        )
    });
    let slow = metric.threshold.as_ref().map(|threshold| format!("; bad is above {threshold}"));
    Line::plain(text)
        .and(Tone::Plain, slow.unwrap_or_default())
        .and(Tone::Plain, tests.unwrap_or_default())
        .and(Tone::Plain, metric.tests.as_ref().map(bounds).unwrap_or_default())
        .and(Tone::Faint, format!("; {}", used(metric, "window")))
}

/// How far the canary is from stable, as far as it is bounded.
fn bounds(tests: &TestsRecord) -> String {
    let difference = match (&tests.difference_lower, &tests.difference_upper) {
        (Some(lower), Some(upper)) => format!("; {lower} to {upper} points above stable's"),
        _ => String::new(),
    };
    let ratio = match (&tests.ratio_lower, &tests.ratio_upper) {
        (Some(lower), Some(upper)) => format!(", {lower} to {upper} times"),
        (Some(lower), None) if lower != "0" => format!(", {lower} times or more"),
        _ => String::new(),
    };
    difference + &ratio
}

/// No tone: nothing is decided by it.
fn gauge_line(name: &str, name_width: usize, gauge: &GaugeRecord) -> Line {
    let GaugeRecord { canary, control, ratio, evidence, tolerated, block_seconds: _ } = gauge;
    let text = if canary.is_empty() {
        "nothing to compare yet".into()
    } else {
        format!(
            "canary {canary}, control {control}; {ratio} times on average; evidence for more than {tolerated} times: \
             {evidence}, reported only"
        )
    };
    Line::plain(format!("{name:<name_width$}  {text}"))
}

/// "3 of 1,204 (0.249 %)".
fn share(bad: u64, total: u64) -> String {
    let text = format!("{} of {}", thousands(bad), thousands(total));
    if total == 0 { text } else { format!("{text} ({:.3} %)", bad as f64 * 100.0 / total as f64) }
}

fn used(metric: &MetricRecord, one: &str) -> String {
    let used = format!("{} used", counted(metric.windows_used, one));
    let dropped: Vec<_> =
        metric.windows_dropped.iter().map(|(reason, count)| format!("{count} dropped ({reason})")).collect();
    if dropped.is_empty() { used } else { format!("{used}, {}", dropped.join(", ")) }
}

fn spend_line(name_width: usize, spend: &SpendRecord) -> Line {
    let excess = spend.excess_hundredths.max(0);
    let (whole, hundredths) = (excess.unsigned_abs() / 100, excess.unsigned_abs() % 100);
    let tone = match whole {
        whole if whole >= spend.allowance => Tone::Bad,
        whole if whole * 2 >= spend.allowance => Tone::Attention,
        _ => Tone::Plain,
    };
    let scaled = if spend.extrapolated { ", extrapolated from less than a day" } else { "" };
    Line::plain(format!("{:<name_width$}  ", "budget"))
        .and(tone, format!("{}.{hundredths:02} of {} bad requests spent", thousands(whole), thousands(spend.allowance)))
        .and(
            Tone::Faint,
            format!(
                "; {} in all, {} requests expected{scaled}",
                thousands(spend.gross),
                thousands(spend.expected_requests)
            ),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(metric: &MetricRecord) -> String {
        metric_line("p99", 6, metric).to_string()
    }

    #[test]
    fn a_threshold_is_shown_as_it_was_used_and_as_it_stands() {
        let snapped = MetricRecord {
            canary_total: 20,
            threshold: Some("130ms, snapped up to 0.25 s".into()),
            tests: Some(TestsRecord::default()),
            ..MetricRecord::default()
        };
        let text = shown(&snapped);
        assert!(
            text.contains("canary 0 of 20 (0.000 %)") && text.contains("; bad is above 130ms, snapped up to 0.25 s;"),
            "{text}"
        );
        let bounded = TestsRecord {
            difference_lower: Some("-0.1".into()),
            difference_upper: Some("0.4".into()),
            ratio_lower: Some("0.5".into()),
            ..TestsRecord::default()
        };
        let with = |tests: TestsRecord| shown(&MetricRecord { tests: Some(tests), ..MetricRecord::default() });
        let text = with(bounded.clone());
        assert!(text.contains("; -0.1 to 0.4 points above stable's, 0.5 times or more; "), "{text}");
        let text = with(TestsRecord { ratio_upper: Some("2.4".into()), ..bounded });
        assert!(text.contains("; -0.1 to 0.4 points above stable's, 0.5 to 2.4 times; "), "{text}");
        let sentence = "1 passed (3 needed), 0 failed (0 tolerated), last value 1, success if >= 1";
        let counted = MetricRecord { threshold: Some(sentence.into()), ..MetricRecord::default() };
        assert_eq!(shown(&counted), format!("p99     {sentence}"), "no requests that it does not count");
    }
}
