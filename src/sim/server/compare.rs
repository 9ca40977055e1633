//! What a write has changed, and which fields a document has, as sets of paths.
//!
//! The rules are those of structured-merge-diff, which the API server tracks ownership with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    fields::Fields,
    shape::{Form, Shape},
};

/// Paths that differ between two documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    pub added: Fields,
    pub removed: Fields,
    pub modified: Fields,
}

impl Comparison {
    /// Paths that the newer document has otherwise.
    pub fn written(&self) -> Fields {
        let mut all = self.added.clone();
        all.add(&self.modified);
        all
    }

    /// Without everything at and below these paths.
    pub fn except(mut self, ignored: &Fields) -> Self {
        for set in [&mut self.added, &mut self.removed, &mut self.modified] {
            set.cut(ignored);
        }
        self
    }

    fn hang(&mut self, element: &str, below: Self) {
        self.added.hang(element, below.added);
        self.removed.hang(element, below.removed);
        self.modified.hang(element, below.modified);
    }
}

/// Compares two values; None is one that is absent, which is not the same as a null.
pub fn compare(shape: &Shape, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let mut result = Comparison::default();
    if old == new {
        return result;
    }
    let is_leaf = match old.filter(|old| !old.is_null()).or(new) {
        Some(Value::Object(_)) => compare_objects(shape, old, new, &mut result),
        Some(Value::Array(_)) => compare_lists(shape, old, new, &mut result),
        Some(_) | None => true,
    };
    match (old, new) {
        (None, _) => result.added.mark(),
        (_, None) => result.removed.mark(),
        (Some(_), Some(_)) if is_leaf => result.modified.mark(),
        (Some(_), Some(_)) => {}
    }
    result
}

/// Whether the values are leaves after all: owned as a whole, or both empty.
fn compare_objects(shape: &Shape, old: Option<&Value>, new: Option<&Value>, result: &mut Comparison) -> bool {
    let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let is_empty = |map: Option<&serde_json::Map<String, Value>>| map.is_none_or(serde_json::Map::is_empty);
    if shape.form == Form::Atomic || (is_empty(old) && is_empty(new)) {
        return true;
    }
    let keys: BTreeSet<&String> = [old, new].into_iter().flatten().flat_map(serde_json::Map::keys).collect();
    for key in keys {
        let pair = [old, new].map(|map| map.and_then(|map| map.get(key)));
        if pair[0] != pair[1] {
            result.hang(&format!("f:{key}"), compare(shape.field(key), pair[0], pair[1]));
        }
    }
    false
}

fn compare_lists(shape: &Shape, old: Option<&Value>, new: Option<&Value>, result: &mut Comparison) -> bool {
    let [old, new] = [old, new].map(|list| list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice));
    if !shape.is_associative() || (old.is_empty() && new.is_empty()) {
        return true;
    }
    let mut pairs: BTreeMap<_, [Option<&Value>; 2]> = BTreeMap::new();
    for (side, list) in [old, new].into_iter().enumerate() {
        for item in list {
            pairs.entry(shape.element(item)).or_default()[side] = Some(item);
        }
    }
    for (element, [old, new]) in pairs {
        result.hang(&element, compare(shape.item(), old, new));
    }
    false
}

/// The fields that a document has, as an apply of it owns them.
pub fn fields_of(shape: &Shape, value: &Value) -> Fields {
    let mut fields = Fields::default();
    match value {
        _ if shape.form == Form::Atomic => fields.mark(),
        Value::Object(members) => {
            for (key, member) in members {
                let mut below = fields_of(shape.field(key), member);
                let is_unnamed = shape.is_open && !shape.names(key);
                if is_unnamed || member.is_null() || member.as_object().is_some_and(serde_json::Map::is_empty) {
                    below.mark();
                }
                fields.hang(&format!("f:{key}"), below);
            }
        }
        Value::Array(items) if shape.is_associative() => {
            for item in items {
                let mut below = fields_of(shape.item(), item);
                below.mark();
                fields.hang(&shape.element(item), below);
            }
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => fields.mark(),
    }
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{controller::SERVICE, sim::server::shape};

    fn rendered(old: &Value, new: &Value) -> [Value; 3] {
        let found = compare(shape::of(SERVICE), Some(old), Some(new));
        [found.added.render(), found.removed.render(), found.modified.render()]
    }

    #[test]
    fn a_comparison_tells_added_removed_and_modified_apart() {
        let old = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"selector": {"app": "x"}}});
        let new = json!({"metadata": {"annotations": {"b": "2"}}, "spec": {"selector": {"app": "x", "pin": "y"}}});
        assert_eq!(
            rendered(&old, &new),
            [
                json!({"f:metadata": {"f:annotations": {".": {}, "f:b": {}}}}),
                json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}),
                json!({"f:spec": {"f:selector": {}}}),
            ]
        );
    }

    #[test]
    fn items_are_compared_by_key_and_empty_objects_are_leaves() {
        let old = json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81}], "x": {}}});
        let new = json!({"spec": {"ports": [{"port": 81}, {"port": 80, "name": "b"}], "y": {}}});
        assert_eq!(
            rendered(&old, &new),
            [
                json!({"f:spec": {"f:y": {}}}),
                json!({"f:spec": {"f:x": {}}}),
                json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}}}),
            ]
        );
    }

    #[test]
    fn an_applied_document_owns_its_leaves_and_its_items() {
        let document = json!({"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}, "type": "ClusterIP"}});
        assert_eq!(
            fields_of(shape::of(SERVICE), &document).render(),
            json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
                "f:selector": {}, "f:type": {}}})
        );
    }
}
