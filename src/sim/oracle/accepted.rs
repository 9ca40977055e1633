//! Which versions of a route its parents may still work by: the last one that they accepted, and every one since.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Change;
use crate::{
    controller::Kind,
    workload::object::{items, name, namespace, number, text},
};

/// Versions of each route: generation and rules, oldest first.
#[derive(Debug, Default)]
pub struct Accepted {
    versions: BTreeMap<(Kind, String, String), Vec<(i64, Value)>>,
}

impl Accepted {
    pub fn take(&mut self, change: &Change) {
        let Some(document) = change.document() else { return };
        let key = (change.kind, namespace(document).to_owned(), name(document).to_owned());
        let Some(after) = change.after else {
            self.versions.remove(&key);
            return;
        };
        let generation = number(after, "/metadata/generation").unwrap_or(0);
        let versions = self.versions.entry(key).or_default();
        if versions.last().is_none_or(|(last, _)| *last != generation) {
            versions.push((generation, after["spec"]["rules"].clone()));
        }
        if is_accepted(after, generation) {
            versions.retain(|(version, _)| *version >= generation);
        }
    }

    /// All rules that may be in force in a namespace.
    pub fn rules<'a>(&'a self, space: &'a str) -> impl Iterator<Item = &'a Value> {
        let here = self.versions.iter().filter(move |((_, namespace, _), _)| namespace == space);
        here.flat_map(|(_, versions)| versions).flat_map(|(_, rules)| rules.as_array().into_iter().flatten())
    }
}

fn is_accepted(route: &Value, generation: i64) -> bool {
    let parents = items(route, "/status/parents");
    let accepts = |parent: &Value| {
        items(parent, "/conditions").iter().any(|condition| {
            text(condition, "/type") == Some("Accepted")
                && text(condition, "/status") == Some("True")
                && number(condition, "/observedGeneration") == Some(generation)
        })
    };
    !parents.is_empty() && parents.iter().all(accepts)
}
