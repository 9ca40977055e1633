//! What stands in for documents that a file lacks, and for metrics that are not simulated.
//!
//! It chooses nothing.

use serde_json::{Map, Value, json};

use crate::stats::Condition;

pub(super) fn container() -> Value {
    json!({"name": "app", "image": "app:1", "ports": [{"name": "http", "containerPort": 8080}]})
}

/// A template with one metric of errors, whose name no other has.
pub(super) fn errors(args: &[Value], number: usize) -> Value {
    let selector = |more: &str| format!("http_requests_total{{pod=~\"{{{{ pods }}}}\"{more}}}");
    let metric = if number == 0 { "errors".to_owned() } else { format!("errors-{}", number + 1) };
    let ratio = json!({"bad": selector(",code=~\"5..\""), "total": selector("")});
    json!({"spec": {"args": args, "metrics": [{"name": metric, "ratio": ratio}]}})
}

/// A value with which a threshold succeeds; None: it is none, or there is none.
pub(super) fn succeeding(threshold: &Value) -> Option<f64> {
    let (text, wanted) = match (threshold["success"].as_str(), threshold["failure"].as_str()) {
        (Some(success), _) => (success, true),
        (None, Some(failure)) => (failure, false),
        (None, None) => return None,
    };
    let condition: Condition = text.parse().ok()?;
    let bound: f64 = text.trim_start_matches(['<', '>', '=', '!', ' ']).trim_end().parse().ok()?;
    [bound, bound + 1.0, bound - 1.0].into_iter().find(|value| condition.holds(*value) == wanted)
}

/// A namespace with all labels that are selected by.
pub(super) fn namespace(selectors: &[&Value]) -> Value {
    let labels: Map<String, Value> =
        selectors.iter().filter_map(|labels| labels.as_object().cloned()).flatten().collect();
    json!({"metadata": {"labels": labels}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_gets_a_value_that_succeeds() {
        for (threshold, value) in [
            (json!({"success": ">= 0.99"}), Some(0.99)),
            (json!({"success": "< 5"}), Some(4.0)),
            (json!({"failure": "> 0.05"}), Some(0.05)),
            (json!({"failure": "== 0"}), Some(1.0)),
            (json!({"success": "soon"}), None),
            (Value::Null, None),
        ] {
            assert_eq!(succeeding(&threshold), value, "{threshold}");
        }
    }
}
