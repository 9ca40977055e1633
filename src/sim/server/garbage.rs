//! The garbage collector: objects whose owners are gone go too.
//!
//! It runs when it is told to, as the real one runs some time after the deletion.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{ApiServer, Target, Writer, store::FOREGROUND};
use crate::{
    controller::{ClusterError, Kind, Patch},
    workload::object::{is_terminating, items, name, namespace, text},
};

/// How an owner stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Solid,
    /// It is deleted in the foreground: it waits for its dependents.
    Waiting,
}

impl ApiServer {
    /// One sweep: deletes objects that have no owner left, lets go of owners that are gone, and ends foreground deletions
    /// whose dependents are gone. Returns whether there is anything left to do.
    pub fn collect_garbage(&mut self, now: &str) -> bool {
        if !self.has_garbage {
            return false;
        }
        let writer = Writer::new("generic-garbage-collector", now);
        let owners = self.owners();
        let mut has_changed = false;
        let dependents: Vec<(Kind, Arc<Value>)> =
            self.all().filter(|(_, document)| !items(document, "/metadata/ownerReferences").is_empty()).collect();
        for (kind, document) in &dependents {
            has_changed |= self.collect(&writer, *kind, document, &owners).is_ok_and(|has_changed| has_changed);
        }
        let waiting: Vec<(Kind, Arc<Value>)> = self.all().filter(|(_, document)| is_waiting(document)).collect();
        for (kind, document) in waiting {
            let blocks = |(_, dependent): &(Kind, Arc<Value>)| blocks(dependent, &document);
            if !self.all().any(|dependent| blocks(&dependent)) {
                has_changed |= self.let_go(&writer, kind, &document).is_ok();
            }
        }
        self.has_garbage = has_changed;
        has_changed
    }

    fn all(&self) -> impl Iterator<Item = (Kind, Arc<Value>)> {
        let spaces = self.objects.iter().flat_map(|(kind, spaces)| spaces.values().map(|objects| (*kind, objects)));
        spaces.flat_map(|(kind, objects)| objects.values().map(move |stored| (kind, stored.document.clone())))
    }

    fn owners(&self) -> BTreeMap<String, Owner> {
        let stands = |document: &Value| if is_waiting(document) { Owner::Waiting } else { Owner::Solid };
        let pair =
            |(_, document): (Kind, Arc<Value>)| Some((text(&document, "/metadata/uid")?.to_owned(), stands(&document)));
        self.all().filter_map(pair).collect()
    }

    /// Whether something was done about the object.
    fn collect(
        &mut self,
        writer: &Writer,
        kind: Kind,
        document: &Value,
        owners: &BTreeMap<String, Owner>,
    ) -> Result<bool, ClusterError> {
        let references = items(document, "/metadata/ownerReferences");
        let stands = |reference: &Value| text(reference, "/uid").and_then(|uid| owners.get(uid)).copied();
        let (space, name) = (namespace(document), name(document));
        let is_solid = |reference: &&Value| stands(reference) == Some(Owner::Solid);
        let solid: Vec<&Value> = references.iter().filter(is_solid).collect();
        if solid.len() == references.len() || is_terminating(document) {
            return Ok(false);
        }
        if solid.is_empty() {
            self.delete(writer, kind, space, name, text(document, "/metadata/uid"))?;
            return Ok(true);
        }
        let kept = json!({"metadata": {"ownerReferences": solid}});
        self.patch(writer, kind, space, name, "", &Patch::Merge(kept))?;
        Ok(true)
    }

    /// Takes the finalizer of a foreground deletion away.
    fn let_go(&mut self, writer: &Writer, kind: Kind, document: &Value) -> Result<(), ClusterError> {
        let target = Target { kind, namespace: namespace(document), name: name(document), subresource: "" };
        let finalizers = items(document, "/metadata/finalizers").iter().filter(|finalizer| *finalizer != FOREGROUND);
        let kept: Vec<&Value> = finalizers.collect();
        let patch = Patch::Merge(json!({"metadata": {"finalizers": kept}}));
        self.patch(writer, kind, target.namespace, target.name, "", &patch).map(drop)
    }
}

fn is_waiting(document: &Value) -> bool {
    is_terminating(document) && items(document, "/metadata/finalizers").iter().any(|finalizer| finalizer == FOREGROUND)
}

fn blocks(dependent: &Value, owner: &Value) -> bool {
    items(dependent, "/metadata/ownerReferences")
        .iter()
        .any(|reference| reference["uid"] == owner["metadata"]["uid"] && reference["blockOwnerDeletion"] == true)
}
