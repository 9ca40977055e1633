//! A route of anybody's: what a run writes into it touches backends and one annotation only, and taking it out again gives the
//! route back.

use serde_json::Value;
use tidegate::{
    api::{Percent, RUN_ANNOTATION},
    engine::RouteEdit,
    traffic::{Tested, router},
};

const TESTED: Tested<'static> = Tested { canary: "abc", baseline: None };
const TOTAL: u32 = 100;

pub fn route(input: &[u8]) -> bool {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return false };
    // An API server shows no object without metadata, and annotations of no other form.
    let annotations = document["metadata"].get("annotations").and_then(Value::as_object);
    let is_object =
        document["metadata"].is_object() && document["metadata"].get("annotations").is_none_or(Value::is_object);
    if !is_object || annotations.into_iter().flatten().any(|(_, value)| !value.is_string()) {
        return false;
    }
    let Some(router) = document["kind"].as_str().and_then(router) else { return false };
    let services = ["checkout".to_owned()];
    let Ok(frozen) = router.freeze(&document, &services, &[], TOTAL, 1) else { return false };
    // Nobody has named the canary in it yet: what comes is the run's.
    if router.read(&document, &frozen, Some(TESTED), TOTAL).canary != tidegate::engine::CanaryRefs::Absent {
        return false;
    }
    let run = || "checkout-abc-1".to_owned();
    let mut now = document.clone();
    for edit in [
        RouteEdit::Name { run: run() },
        RouteEdit::Weight { share: Percent::whole(10), baseline: Percent::ZERO },
        RouteEdit::Weight { share: Percent::FULL, baseline: Percent::ZERO },
        RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO },
        RouteEdit::Drop { run: run() },
    ] {
        let operations = router.edit(&now, &frozen, TESTED, TOTAL, &edit);
        let after = applied(&now, &operations);
        assert_eq!(without_ours(&after), without_ours(&document), "{edit:?} changes more than is ours");
        assert_eq!(router.edit(&after, &frozen, TESTED, TOTAL, &edit), Vec::<Value>::new(), "{edit:?} twice");
        now = after;
    }
    assert_eq!(backends(&now), backends(&document), "the owners' backends are not given back");
    true
}

/// The document without what a run may write.
fn without_ours(document: &Value) -> Value {
    let mut rest = document.clone();
    for rule in rest.pointer_mut("/spec/rules").and_then(Value::as_array_mut).into_iter().flatten() {
        rule.as_object_mut().map(|fields| fields.remove("backendRefs"));
    }
    let metadata = rest.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.and_then(|fields| fields.get_mut("annotations")).and_then(Value::as_object_mut);
    let is_empty = annotations.is_some_and(|annotations| {
        annotations.remove(RUN_ANNOTATION);
        annotations.is_empty()
    });
    if is_empty {
        rest["metadata"].as_object_mut().map(|fields| fields.remove("annotations"));
    }
    rest
}

fn backends(document: &Value) -> Vec<Value> {
    let rules = document["spec"]["rules"].as_array().cloned().unwrap_or_default();
    rules.into_iter().map(|rule| rule["backendRefs"].clone()).collect()
}

/// As an API server carries the operations out: a path that does not exist is an error.
fn applied(document: &Value, operations: &[Value]) -> Value {
    let mut result = document.clone();
    for operation in operations {
        let (path, value) = (operation["path"].as_str().unwrap(), operation["value"].clone());
        if path == "/metadata/resourceVersion" {
            continue;
        }
        let (parent, key) = path.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        match (operation["op"].as_str().unwrap(), result.pointer_mut(parent).expect("the parent exists")) {
            ("add" | "replace", Value::Object(fields)) => drop(fields.insert(key, value)),
            ("replace", Value::Array(items)) => items[key.parse::<usize>().unwrap()] = value,
            ("remove", Value::Object(fields)) => drop(fields.remove(&key).expect("it exists")),
            (other, parent) => panic!("{other} in {parent}"),
        }
    }
    result
}
