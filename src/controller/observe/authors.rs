//! Whether the API server vouches for the author that an action names: a policy compares it with the user that creates it.
//!
//! # Guarantees
//! The policy and its binding ask now what this version ships, of every action of the namespace, and since when their specs
//! are what they are is known. More validations deny more, so there may be more.
//!
//! # Caveats
//! A spec that was changed since its creation is as old as the newest entry of `metadata.managedFields` that has a part of it. What
//! a plain update takes away without changing or adding anything leaves no time there: who adds a `matchConditions` to the
//! policy, or a `matchResources` to its binding, and takes it away again, is not noticed. Both need the right to write admission
//! policies, with which authors can be forged in shorter ways.

use serde_json::Value;

use super::{Gathered, Seen, seconds};
use crate::{
    controller::shipped,
    workload::object::{self, items, number, text},
};

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
    if !is_enforced(policy, binding, object::namespace(&gathered.rollout)) {
        return Seen::Absent;
    }
    match (unchanged_since(policy), unchanged_since(binding)) {
        (Some(policy), Some(binding)) => Seen::Known(policy.max(binding) + SETTLE_SECONDS),
        (None, _) | (_, None) => Seen::Unknown("the admission policy does not say since when it is what it is".into()),
    }
}

/// Since when the spec is what it is. The server counts each change of a spec in the generation, which begins at 1.
fn unchanged_since(document: &Value) -> Option<i64> {
    let created = text(document, "/metadata/creationTimestamp").and_then(seconds)?;
    if number(document, "/metadata/generation") == Some(1) {
        return Some(created);
    }
    let of_spec =
        items(document, "/metadata/managedFields").iter().filter(|it| it.pointer("/fieldsV1/f:spec").is_some());
    let times: Option<Vec<i64>> = of_spec.map(|it| text(it, "/time").and_then(seconds)).collect();
    times?.into_iter().max().map(|changed| changed.max(created))
}

/// It denies every action of the namespace that does not fit, and an error of its own denies too.
fn is_enforced(policy: &Value, binding: &Value, namespace: &str) -> bool {
    text(policy, "/spec/failurePolicy") != Some("Ignore")
        && items(policy, "/spec/matchConditions").is_empty()
        && policy["spec"]["paramKind"].is_null()
        && covers(&policy["spec"]["matchConstraints"], namespace)
        && asks(policy, shipped::actions_policy())
        && text(binding, "/spec/policyName") == text(policy, "/metadata/name")
        && items(binding, "/spec/validationActions").iter().any(|action| action == "Deny")
        && binding["spec"]["paramRef"].is_null()
        && covers(&binding["spec"]["matchResources"], namespace)
        && leaves_in(&binding["spec"]["matchResources"], shipped::actions_policy())
}

/// All that the shipped policy asks, of all that it asks it of.
fn asks(policy: &Value, shipped: &Value) -> bool {
    let expression = |one: &Value| text(one, "/expression").map(str::to_owned);
    let has = |validation: &Value| {
        items(policy, "/spec/validations").iter().any(|it| expression(it) == expression(validation))
    };
    let variables = items(policy, "/spec/variables");
    let validations = items(shipped, "/spec/validations");
    !validations.is_empty()
        && validations.iter().all(has)
        && items(shipped, "/spec/variables").iter().all(|variable| variables.contains(variable))
        && has_rules(&policy["spec"]["matchConstraints"], shipped)
}

/// A binding may name resources, too: then only these are asked about.
fn leaves_in(selection: &Value, shipped: &Value) -> bool {
    items(selection, "/resourceRules").is_empty() || has_rules(selection, shipped)
}

fn has_rules(selection: &Value, shipped: &Value) -> bool {
    // The server writes the default into a rule without a scope.
    let without_default = |rule: &Value| {
        let mut rule = rule.clone();
        if let Some(members) = rule.as_object_mut().filter(|members| members.get("scope").is_some_and(|it| it == "*")) {
            members.remove("scope");
        }
        rule
    };
    let rules: Vec<Value> = items(selection, "/resourceRules").iter().map(without_default).collect();
    items(shipped, "/spec/matchConstraints/resourceRules").iter().all(|rule| rules.contains(rule))
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

    /// As the server has it: the shipped one with defaults, and with these changes at the top of its spec.
    fn policy(more: Value) -> Value {
        let mut policy = shipped::actions_policy().clone();
        policy["spec"]["matchConstraints"]["resourceRules"][0]["scope"] = json!("*");
        policy["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        policy
    }

    /// The shipped constraints with these changes.
    fn constraints(more: Value) -> Value {
        let mut constraints = policy(json!({}))["spec"]["matchConstraints"].clone();
        constraints.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"matchConstraints": constraints})
    }

    fn binding(more: Value) -> Value {
        let name = object::name(shipped::actions_policy());
        let mut binding = json!({"spec": {"policyName": name, "validationActions": ["Deny", "Audit"]}});
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
        let pods = json!([{"apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["pods"]}]);
        let cases = [
            (json!({}), json!({}), true),
            (json!({"failurePolicy": "Ignore"}), json!({}), false),
            (json!({"matchConditions": [{"name": "x"}]}), json!({}), false),
            (json!({"paramKind": {"kind": "ConfigMap"}}), json!({}), false),
            (constraints(json!({"namespaceSelector": {}, "objectSelector": {}})), json!({}), true),
            (constraints(json!({"objectSelector": {"matchLabels": {"a": "b"}}})), json!({}), false),
            (constraints(json!({"namespaceSelector": {"matchLabels": {"a": "b"}}})), json!({}), false),
            (json!({}), json!({"policyName": "q"}), false),
            (json!({}), json!({"validationActions": ["Audit"]}), false),
            (json!({}), json!({"paramRef": {"name": "x", "parameterNotFoundAction": "Allow"}}), false),
            (json!({}), json!({"matchResources": {"excludeResourceRules": [{}]}}), false),
            (json!({}), json!({"matchResources": {"resourceRules": pods}}), false),
            (json!({}), json!({"matchResources": constraints(json!({}))["matchConstraints"]}), true),
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

    #[test]
    fn a_policy_that_asks_less_than_the_shipped_one_vouches_for_nobody() {
        let shipped = shipped::actions_policy();
        let mut stricter = shipped["spec"]["validations"].clone();
        stricter.as_array_mut().unwrap().push(json!({"expression": "request.userInfo.username != 'flux'"}));
        assert!(is_enforced(&policy(json!({"validations": stricter})), &binding(json!({})), "shop"));
        let mut weaker = Vec::new();
        for list in ["validations", "variables"] {
            let shipped = shipped["spec"][list].as_array().unwrap();
            for place in 0..shipped.len() {
                let (mut left_out, mut other) = (shipped.clone(), shipped.clone());
                left_out.remove(place);
                other[place]["expression"] = json!("true");
                weaker.extend([json!({list: left_out}), json!({list: other})]);
            }
        }
        assert!(weaker.len() > 6, "{weaker:?}");
        for (member, value) in [
            ("operations", json!(["UPDATE"])),
            ("resources", json!(["rollouts"])),
            ("apiVersions", json!(["v1"])),
            ("resourceNames", json!(["one"])),
            ("scope", json!("Cluster")),
        ] {
            let mut narrower = constraints(json!({}));
            narrower["matchConstraints"]["resourceRules"][0][member] = value;
            weaker.push(narrower);
        }
        for of_policy in weaker {
            assert!(!is_enforced(&policy(of_policy.clone()), &binding(json!({})), "shop"), "{of_policy}");
        }
    }

    #[test]
    fn a_spec_is_as_old_as_its_last_change() {
        let at = |minute: u32| format!("2026-01-01T00:{minute:02}:00Z");
        let wrote = |part: &str, minute: u32| json!({"manager": "m", "time": at(minute), "fieldsV1": {part: {}}});
        let document = |generation: Value, fields: Value| json!({"metadata": {"creationTimestamp": at(5), "generation": generation, "managedFields": fields}});
        let cases = [
            ("as it was created", document(json!(1), json!([])), Some(5)),
            (
                "a label was written later",
                document(json!(1), json!([wrote("f:spec", 5), wrote("f:metadata", 9)])),
                Some(5),
            ),
            (
                "changed once, and a label later",
                document(json!(2), json!([wrote("f:spec", 7), wrote("f:metadata", 9)])),
                Some(7),
            ),
            (
                "to Audit and back by another",
                document(json!(3), json!([wrote("f:spec", 5), wrote("f:spec", 8)])),
                Some(8),
            ),
            ("a time before the creation", document(json!(2), json!([wrote("f:spec", 1)])), Some(5)),
            ("nobody says when", document(json!(2), json!([wrote("f:metadata", 9)])), None),
            ("one has no time", document(json!(2), json!([wrote("f:spec", 7), {"fieldsV1": {"f:spec": {}}}])), None),
            ("a server that does not count", document(json!(null), json!([wrote("f:spec", 7)])), Some(7)),
            ("never created", json!({"metadata": {"generation": 1}}), None),
        ];
        for (case, document, minute) in cases {
            let expected = minute.map(|minute| seconds(&at(minute)).unwrap());
            assert_eq!(unchanged_since(&document), expected, "{case}");
        }
    }
}
