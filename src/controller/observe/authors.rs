//! Whether the API server vouches for the author that an action names: a policy compares it with the user that creates it.
//!
//! Only that the policy is in force is looked at. What it asks for is its administrators' to keep.

use serde_json::Value;

use super::{Gathered, Seen, seconds};
use crate::workload::object::{self, items, text};

/// An API server follows a new policy a moment later: what was created in this time may not have met it. If it were too
/// short, a forged author could be shown as verified.
const SETTLE_SECONDS: i64 = 10;
/// Every namespace has it.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Since when authors are compared, in seconds since the epoch; Absent or Unknown: nobody vouches for them.
pub(super) fn vouched_since(gathered: &Gathered) -> Seen<i64> {
    let (policy, binding) = match (&gathered.actions_policy, &gathered.actions_binding) {
        (Ok(Some(policy)), Ok(Some(binding))) => (policy, binding),
        (Err(error), _) | (_, Err(error)) => return Seen::Unknown(error.to_string()),
        (Ok(None), _) | (_, Ok(None)) => return Seen::Absent,
    };
    let created = |document| text(document, "/metadata/creationTimestamp").and_then(seconds);
    let (Some(policy_created), Some(binding_created)) = (created(policy), created(binding)) else {
        return Seen::Unknown("the admission policy has no creation time".into());
    };
    if is_enforced(policy, binding, object::namespace(&gathered.rollout)) {
        Seen::Known(policy_created.max(binding_created) + SETTLE_SECONDS)
    } else {
        Seen::Absent
    }
}

/// It denies every action of the namespace that does not fit, and an error of its own denies too.
fn is_enforced(policy: &Value, binding: &Value, namespace: &str) -> bool {
    text(policy, "/spec/failurePolicy") != Some("Ignore")
        && items(policy, "/spec/matchConditions").is_empty()
        && covers(&policy["spec"]["matchConstraints"], namespace)
        && text(binding, "/spec/policyName") == text(policy, "/metadata/name")
        && items(binding, "/spec/validationActions").iter().any(|action| action == "Deny")
        && covers(&binding["spec"]["matchResources"], namespace)
}

/// Every object of the namespace: a selection is understood if it names namespaces, and nothing else.
fn covers(selection: &Value, namespace: &str) -> bool {
    let selects_all = |selector: &Value| selector.as_object().is_none_or(|selector| selector.is_empty());
    let by_name = &selection["namespaceSelector"];
    let labels = by_name["matchLabels"].as_object().into_iter().flatten();
    let is_ours = |(key, value): (&String, &Value)| key == NAMESPACE_NAME_LABEL && value == namespace;
    let names_ours = |expression: &Value| {
        text(expression, "/key") == Some(NAMESPACE_NAME_LABEL)
            && text(expression, "/operator") == Some("In")
            && items(expression, "/values").iter().any(|value| value == namespace)
    };
    selects_all(&selection["objectSelector"])
        && items(selection, "/excludeResourceRules").is_empty()
        && labels.into_iter().all(is_ours)
        && items(by_name, "/matchExpressions").iter().all(names_ours)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(more: Value) -> Value {
        let mut policy = json!({"metadata": {"name": "p"}, "spec": {
            "failurePolicy": "Fail", "matchConstraints": {"namespaceSelector": {}, "objectSelector": {}},
        }});
        policy["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        policy
    }

    fn binding(more: Value) -> Value {
        let mut binding = json!({"spec": {"policyName": "p", "validationActions": ["Deny", "Audit"]}});
        binding["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        binding
    }

    #[test]
    fn a_policy_that_lets_some_through_vouches_for_nobody() {
        let named = |name: &str| json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
        let one_of = |names: &[&str]| {
            let expression = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": names});
            json!({"matchExpressions": [expression]})
        };
        let cases = [
            (json!({}), json!({}), true),
            (json!({"failurePolicy": "Ignore"}), json!({}), false),
            (json!({"matchConditions": [{"name": "x"}]}), json!({}), false),
            (json!({"matchConstraints": {"objectSelector": {"matchLabels": {"a": "b"}}}}), json!({}), false),
            (json!({"matchConstraints": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}), json!({}), false),
            (json!({}), json!({"policyName": "q"}), false),
            (json!({}), json!({"validationActions": ["Audit"]}), false),
            (json!({}), json!({"matchResources": {"excludeResourceRules": [{}]}}), false),
            (json!({}), json!({"matchResources": {"namespaceSelector": named("shop")}}), true),
            (json!({}), json!({"matchResources": {"namespaceSelector": named("other")}}), false),
            (json!({}), json!({"matchResources": {"namespaceSelector": one_of(&["cart", "shop"])}}), true),
            (json!({}), json!({"matchResources": {"namespaceSelector": one_of(&["cart"])}}), false),
        ];
        for (of_policy, of_binding, enforced) in cases {
            let (policy, binding) = (policy(of_policy), binding(of_binding));
            assert_eq!(is_enforced(&policy, &binding, "shop"), enforced, "{policy} {binding}");
        }
    }
}
