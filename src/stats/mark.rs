//! Short digests of a metric's tests: by them a decision says on which evidence it rests, and a replay finds that evidence again.
//!
//! They tell folds apart and prove nothing alone: it is the chain of decisions that keeps them from being changed.

use serde_json::{Value, json};

use super::bits::{pack, unpack};
use crate::api::{EvidenceRecord, canonical::short_digest};

/// Hexadecimal digits of a digest: twelve metrics of them fit into a decision.
const DIGITS: usize = 12;

/// What one metric's tests were at a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    pub windows: u64,
    /// None: nothing was judged yet.
    pub digest: Option<&'a str>,
}

/// The metrics of a record that have tests, in the order of their names: how many windows were judged, and their tests.
pub fn tested(evidence: &EvidenceRecord) -> impl Iterator<Item = (&str, u64, &Value)> {
    evidence.metrics.iter().filter_map(|(name, metric)| {
        let tests = tests_of(metric.fold.as_ref()?)?;
        Some((name.as_str(), metric.windows_used, tests))
    })
}

/// A mark for each metric that has tests, as a decision keeps them; None: no metric has any.
pub fn marks(evidence: &EvidenceRecord) -> Option<String> {
    let of = |(_, windows, tests): (&str, u64, &Value)| match windows {
        0 => "0".to_owned(),
        windows => format!("{windows}:{}", digest_of(tests)),
    };
    Some(tested(evidence).map(of).collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
}

/// The marks of a decision; None: it is no list of them.
pub fn read_marks(text: &str) -> Option<Vec<Mark<'_>>> {
    let read = |mark| match str::split_once(mark, ':') {
        Some((windows, digest)) => Some(Mark { windows: windows.parse().ok()?, digest: Some(digest) }),
        None => (mark == "0").then_some(Mark { windows: 0, digest: None }),
    };
    text.split(' ').map(read).collect()
}

/// The tests in the written state of a metric's folds.
pub fn tests_of(folds: &Value) -> Option<&Value> {
    ["comparison", "latency"].into_iter().map(|key| &folds[key]).find(|tests| tests.is_object())
}

/// Digest of the tests of a Fail and of a Pass; the same for the same floats however a version has written them.
pub fn digest_of(tests: &Value) -> String {
    let mut digest = short_digest(&json!([rewritten(&tests["fail"]), rewritten(&tests["pass"])]));
    digest.truncate(DIGITS);
    digest
}

fn rewritten(state: &Value) -> Value {
    match state {
        Value::String(_) => unpack(state).map_or_else(|| state.clone(), |floats| pack(&floats)),
        Value::Array(states) => states.iter().map(rewritten).collect(),
        Value::Object(fields) => fields.iter().map(|(key, state)| (key.clone(), rewritten(state))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MetricRecord;

    fn metric(windows_used: u64, fold: Value) -> MetricRecord {
        MetricRecord { windows_used, fold: Some(fold), ..MetricRecord::default() }
    }

    #[test]
    fn each_metric_with_tests_has_its_mark_and_twelve_fit_into_a_decision() {
        let tests = json!({"fail": pack(&[1.0, 0.5]), "pass": pack(&[0.25])});
        let older = json!({"fail": "3ff00000000000003fe0000000000000", "pass": "3fd0000000000000"});
        assert_eq!(digest_of(&tests), digest_of(&older));
        let mut record = EvidenceRecord::default();
        assert_eq!(marks(&record), None);
        record.metrics.insert("b".into(), metric(7, json!({"comparison": tests})));
        record.metrics.insert("a".into(), metric(0, json!({"latency": tests})));
        record.metrics.insert("threshold".into(), metric(0, json!({"passed": 1})));
        let text = marks(&record).unwrap();
        assert_eq!(text, format!("0 7:{}", digest_of(&tests)));
        let digest = digest_of(&tests);
        let expected = [Mark { windows: 0, digest: None }, Mark { windows: 7, digest: Some(&digest) }];
        assert_eq!(read_marks(&text), Some(expected.to_vec()));
        let many = (0..12).map(|number| (number.to_string(), metric(17_280_000, json!({"comparison": tests}))));
        let record = EvidenceRecord { metrics: many.collect(), ..EvidenceRecord::default() };
        assert!(marks(&record).unwrap().len() <= 512);
    }

    #[test]
    fn what_is_no_mark_is_not_read() {
        for text in ["", "7", "x:0123", "-1:0123", "7:0123  0"] {
            assert_eq!(read_marks(text), None, "{text:?}");
        }
    }
}
