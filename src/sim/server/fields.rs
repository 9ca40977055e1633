//! Sets of field paths, as `metadata.managedFields` holds them (FieldsV1).
//!
//! An element of a path is kept as FieldsV1 writes it: `f:name` a field, `k:{...}` an item by its keys, `v:...` a member of
//! a set.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

/// A set of paths. A node may be a member itself and have members below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    member: bool,
    children: BTreeMap<Arc<str>, Fields>,
}

impl Fields {
    /// The set of these paths of field names, each `spec.replicas`.
    pub fn of(paths: &[&str]) -> Self {
        let mut all = Self::default();
        for path in paths {
            let elements = path.split('.').map(|name| Arc::from(format!("f:{name}")));
            let node = elements.fold(&mut all, |node, element| node.children.entry(element).or_default());
            node.member = true;
        }
        all
    }

    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    pub fn is_member(&self) -> bool {
        self.member
    }

    pub fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    /// What stands below an element.
    pub fn below(&self, element: &str) -> Option<&Self> {
        self.children.get(element)
    }

    pub fn mark(&mut self) {
        self.member = true;
    }

    /// Hangs a subtree below an element; an empty one leaves no trace.
    pub fn hang(&mut self, element: &str, node: Self) {
        if node.is_empty() {
            return;
        }
        match self.children.get_mut(element) {
            Some(found) => found.add(&node),
            None => drop(self.children.insert(element.into(), node)),
        }
    }

    /// Union.
    pub fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, node) in &other.children {
            match self.children.get_mut(element) {
                Some(found) => found.add(node),
                None => drop(self.children.insert(element.clone(), node.clone())),
            }
        }
    }

    /// Takes out the paths of the other set, path by path: what stands below them stays.
    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (element, node) in &other.children {
            if let Some(found) = self.children.get_mut(element) {
                found.subtract(node);
                if found.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    /// Takes out the paths of the other set and all that stands below them.
    pub fn cut(&mut self, other: &Self) {
        if other.member {
            *self = Self::default();
            return;
        }
        for (element, node) in &other.children {
            if let Some(found) = self.children.get_mut(element) {
                found.cut(node);
                if found.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    pub fn intersection(&self, other: &Self) -> Self {
        let mut shared = Self { member: self.member && other.member, children: BTreeMap::new() };
        for (element, node) in &self.children {
            if let Some(found) = other.children.get(element) {
                shared.hang(element, node.intersection(found));
            }
        }
        shared
    }

    /// With every field that has something below it: a field by name is there when its parts are.
    pub fn with_ancestors(&self) -> Self {
        let mut all = Self { member: self.member, children: BTreeMap::new() };
        for (element, node) in &self.children {
            let mut below = node.with_ancestors();
            below.member |= element.starts_with("f:") && below.has_children();
            all.children.insert(element.clone(), below);
        }
        all
    }

    /// As FieldsV1.
    pub fn render(&self) -> Value {
        let mut members = Map::new();
        if self.member && self.has_children() {
            members.insert(".".into(), json!({}));
        }
        members.extend(self.children.iter().map(|(element, node)| (element.to_string(), node.render())));
        Value::Object(members)
    }

    /// From FieldsV1.
    pub fn parse(rendered: &Value) -> Self {
        let mut all = Self::default();
        for (element, node) in rendered.as_object().into_iter().flatten() {
            if element == "." {
                all.member = true;
                continue;
            }
            let mut below = Self::parse(node);
            below.member |= !below.has_children();
            all.children.insert(element.as_str().into(), below);
        }
        all
    }

    /// Every path, its elements behind each other: `f:spec/f:replicas` (tests only).
    #[cfg(test)]
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (element, node) in &self.children {
            if node.member {
                found.push(element.to_string());
            }
            found.extend(node.paths().into_iter().map(|path| format!("{element}/{path}")));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_rendered_and_read_as_the_server_writes_them() {
        let rendered = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}}});
        let fields = Fields::parse(&rendered);
        assert_eq!(fields.render(), rendered);
        assert_eq!(fields.paths(), ["f:metadata/f:labels", "f:metadata/f:labels/f:app", "f:spec/f:replicas"]);
    }

    #[test]
    fn sets_are_subtracted_path_by_path_and_cut_as_subtrees() {
        let all = Fields::parse(&json!({"f:labels": {".": {}, "f:a": {}, "f:b": {}}}));
        let labels = Fields::of(&["labels"]);
        let mut left = all.clone();
        left.subtract(&labels);
        assert_eq!(left.render(), json!({"f:labels": {"f:a": {}, "f:b": {}}}));
        left.subtract(&Fields::of(&["labels.a", "labels.b"]));
        assert!(left.is_empty());
        let mut left = all.clone();
        left.cut(&labels);
        assert!(left.is_empty());
        assert_eq!(all.intersection(&Fields::of(&["labels.a", "labels.c"])), Fields::of(&["labels.a"]));
        assert_eq!(Fields::of(&["a.b"]).with_ancestors(), Fields::of(&["a", "a.b"]));
    }
}
