//! The documents that one pass has read: its writes build on exactly these versions.
//!
//! They are of one namespace and live as long as the pass: nothing is cached.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Kind;
use crate::workload::object;

/// Documents by kind and name.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    by_name: BTreeMap<(Kind, String), Value>,
}

impl Documents {
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Value> {
        self.by_name.get(&(kind, name.to_owned()))
    }

    /// Takes a document in, or what the API server answered to a write of it.
    pub fn put(&mut self, kind: Kind, document: Value) {
        let name = object::name(&document).to_owned();
        self.by_name.insert((kind, name), document);
    }

    pub fn put_all(&mut self, kind: Kind, documents: impl IntoIterator<Item = Value>) {
        for document in documents {
            self.put(kind, document);
        }
    }

    pub fn remove(&mut self, kind: Kind, name: &str) {
        self.by_name.remove(&(kind, name.to_owned()));
    }

    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.by_name.iter().filter(move |((of, _), _)| *of == kind).map(|(_, document)| document)
    }
}
