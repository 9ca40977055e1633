//! Server-side apply on documents: the merge, and taking out what is no longer applied.
//!
//! The rules are those of structured-merge-diff. Ownership is decided in `owners`.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    fields::Fields,
    shape::{Form, Shape},
};

/// The live value with the applied one over it.
pub fn merge(shape: &Shape, live: Option<&Value>, applied: &Value) -> Value {
    match (live, applied) {
        (Some(Value::Object(live)), Value::Object(applied)) if shape.form != Form::Atomic => {
            let mut merged = live.clone();
            for (key, member) in applied {
                merged.insert(key.clone(), merge(shape.field(key), live.get(key), member));
            }
            Value::Object(merged)
        }
        (Some(Value::Array(live)), Value::Array(applied)) if shape.is_associative() => {
            Value::Array(merge_lists(shape, live, applied))
        }
        _ => applied.clone(),
    }
}

/// Items in the applied order; those that only the live list has keep their place between them.
fn merge_lists(shape: &Shape, live: &[Value], applied: &[Value]) -> Vec<Value> {
    let named = |list: &[Value]| -> Vec<Arc<str>> { list.iter().map(|item| shape.element(item)).collect() };
    let (live_names, applied_names) = (named(live), named(applied));
    let index = |names: &[Arc<str>]| -> BTreeMap<Arc<str>, usize> {
        names.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect()
    };
    let (in_live, in_applied) = (index(&live_names), index(&applied_names));
    let mut shared = applied_names.iter().filter(|name| in_live.contains_key(*name)).peekable();
    let merged_item = |at: usize| {
        let before = in_live.get(&applied_names[at]).map(|at| &live[*at]);
        merge(shape.item(), before, &applied[at])
    };
    let (mut merged, mut taken, mut next) = (Vec::new(), 0, 0);
    while taken < live.len() || next < applied.len() {
        let name = live_names.get(taken);
        match name {
            Some(name) if !in_applied.contains_key(name) => {
                merged.push(live[taken].clone());
                taken += 1;
            }
            // It comes, or came, at the place that the applied list gives it.
            Some(name) if next >= applied.len() || shared.peek().is_some_and(|wanted| *wanted != name) => taken += 1,
            _ => {
                taken += usize::from(name.is_some_and(|name| in_applied[name] <= next));
                if shared.peek().is_some_and(|wanted| **wanted == applied_names[next]) {
                    shared.next();
                }
                merged.push(merged_item(next));
                next += 1;
            }
        }
    }
    merged
}

/// The value without these paths; what is left empty by it goes too.
pub fn without(shape: &Shape, value: &Value, removed: &Fields) -> Option<Value> {
    if removed.is_empty() || shape.form == Form::Atomic {
        return Some(value.clone());
    }
    let keep = |element: &str, shape: &Shape, member: &Value| match removed.below(element) {
        Some(node) if node.is_member() => None,
        Some(node) => without(shape, member, node),
        None => Some(member.clone()),
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            let kept: Map<String, Value> = members
                .iter()
                .filter_map(|(key, member)| Some((key.clone(), keep(&format!("f:{key}"), shape.field(key), member)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) if shape.is_associative() => {
            let kept: Vec<Value> =
                items.iter().filter_map(|item| keep(&shape.element(item), shape.item(), item)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        controller::{DEPLOYMENT, SERVICE},
        sim::server::shape,
    };

    fn ports(list: &[(u16, &str)]) -> Value {
        json!({"spec": {"ports": list.iter().map(|(port, name)| json!({"port": port, "name": name})).collect::<Vec<_>>()}})
    }

    #[test]
    fn lists_are_merged_by_key_in_the_applied_order() {
        for (live, applied, expected) in [
            (vec![(1, "a"), (2, "b")], vec![(2, "B")], vec![(1, "a"), (2, "B")]),
            (vec![(1, "a"), (2, "b")], vec![(2, "B"), (1, "A")], vec![(2, "B"), (1, "A")]),
            (vec![(1, "a"), (9, "x"), (2, "b")], vec![(3, "c"), (2, "B"), (1, "A")], {
                vec![(9, "x"), (3, "c"), (2, "B"), (1, "A")]
            }),
            (vec![], vec![(1, "A")], vec![(1, "A")]),
        ] {
            let merged = merge(shape::of(SERVICE), Some(&ports(&live)), &ports(&applied));
            assert_eq!(merged, ports(&expected), "{live:?} {applied:?}");
        }
    }

    #[test]
    fn maps_are_merged_and_wholes_are_replaced() {
        let live = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"selector": {"matchLabels": {"a": "1"}}}});
        let applied = json!({"metadata": {"labels": {"b": "2"}}, "spec": {"selector": {"matchLabels": {"b": "2"}}}});
        assert_eq!(
            merge(shape::of(DEPLOYMENT), Some(&live), &applied),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"selector": {"matchLabels": {"b": "2"}}}})
        );
    }

    #[test]
    fn what_is_taken_out_leaves_nothing_empty_behind() {
        let live = json!({"metadata": {"labels": {"a": "1"}, "name": "x"}, "spec": {"replicas": 1, "paused": true}});
        let removed = Fields::of(&["metadata.labels.a", "spec.paused"]);
        assert_eq!(
            without(shape::of(DEPLOYMENT), &live, &removed),
            Some(json!({"metadata": {"name": "x"}, "spec": {"replicas": 1}}))
        );
    }
}
