//! A small cluster in memory, for tests of the shell: versions, conflicts, dry-runs, and errors on demand.
//!
//! No controllers run in it, and field ownership is not kept.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Cluster, ClusterError, Kind, Patch, WriteSite};
use crate::workload::{
    object::{self, label, text},
    patch::applied,
};

type Id = (Kind, String, String);

#[derive(Default)]
pub struct Fake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Id, Value>,
    version: u64,
    writes: Vec<String>,
    /// Errors by "verb Kind name" or "verb Kind", with how often they are left.
    errors: Vec<(String, ClusterError, usize)>,
}

impl Fake {
    pub fn with(objects: impl IntoIterator<Item = (Kind, Value)>) -> Self {
        let fake = Self::default();
        for (kind, document) in objects {
            fake.put(kind, document);
        }
        fake
    }

    /// Puts a document in as somebody else would.
    pub fn put(&self, kind: Kind, mut document: Value) {
        let mut state = self.lock();
        state.version += 1;
        document["metadata"]["resourceVersion"] = json!(state.version.to_string());
        if document["metadata"]["uid"].is_null() {
            document["metadata"]["uid"] = json!(format!("uid-{}", state.version));
        }
        let id = (kind, object::namespace(&document).to_owned(), object::name(&document).to_owned());
        state.objects.insert(id, document);
    }

    pub fn read(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&(kind, namespace.into(), name.into())).cloned()
    }

    /// `call` is "verb Kind" or "verb Kind name"; it fails this many times.
    pub fn fail(&self, call: &str, error: ClusterError, times: usize) {
        self.lock().errors.push((call.into(), error, times));
    }

    /// The writes that were made, as "verb Kind name".
    pub fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().writes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self, verb: &str, kind: Kind, name: &str) -> Result<(), ClusterError> {
        let (wide, narrow) = (format!("{verb} {}", kind.kind), format!("{verb} {} {name}", kind.kind));
        let found = self.errors.iter_mut().find(|(call, _, left)| *left > 0 && (*call == wide || *call == narrow));
        match found {
            Some((_, error, left)) => {
                *left -= 1;
                Err(error.clone())
            }
            None => Ok(()),
        }
    }

    fn store(&mut self, verb: &str, id: Id, mut document: Value) -> Value {
        self.version += 1;
        document["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if document["metadata"]["uid"].is_null() {
            document["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        self.writes.push(format!("{verb} {} {}", id.0.kind, id.2));
        self.objects.insert(id, document.clone());
        document
    }
}

#[async_trait]
impl Cluster for Fake {
    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        self.lock().check("get", kind, name)?;
        Ok(self.read(kind, namespace, name))
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Value>, ClusterError> {
        let mut state = self.lock();
        state.check("list", kind, "")?;
        let of_kind = state.objects.iter().filter(|((of, space, _), _)| *of == kind && space == namespace);
        Ok(of_kind.map(|(_, document)| document).filter(|document| selects(selector, document)).cloned().collect())
    }

    async fn create(
        &self,
        _: WriteSite,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Value, ClusterError> {
        let mut state = self.lock();
        let name = object::name(document);
        state.check(if dry_run { "dry-run" } else { "create" }, kind, name)?;
        let id = (kind, namespace.to_owned(), name.to_owned());
        if state.objects.contains_key(&id) {
            return Err(ClusterError::Exists { object: name.into() });
        }
        if dry_run {
            return Ok(document.clone());
        }
        let mut made = document.clone();
        made["metadata"]["uid"] = json!(format!("uid-{}", state.version + 1));
        Ok(state.store("create", id, made))
    }

    async fn patch(
        &self,
        _: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        _: &str,
        patch: &Patch,
    ) -> Result<Value, ClusterError> {
        let mut state = self.lock();
        state.check("patch", kind, name)?;
        let id = (kind, namespace.to_owned(), name.to_owned());
        let before = state.objects.get(&id).cloned();
        let asked = match patch {
            Patch::Json(operations) => {
                let at_version = |operation: &&Value| operation["path"] == "/metadata/resourceVersion";
                operations.iter().find(at_version).map(|operation| operation["value"].clone())
            }
            Patch::Merge(document) | Patch::Apply { document, .. } => {
                document.pointer("/metadata/resourceVersion").cloned()
            }
        };
        if let (Some(asked), Some(before)) = (asked, &before)
            && asked != before["metadata"]["resourceVersion"]
        {
            return Err(ClusterError::Conflict { object: name.into() });
        }
        let after = match (patch, before) {
            (Patch::Json(operations), Some(before)) => applied(&before, operations),
            (Patch::Merge(document) | Patch::Apply { document, .. }, Some(mut before)) => {
                merge_into(&mut before, document);
                before
            }
            (Patch::Apply { document, .. }, None) => document.clone(),
            (Patch::Json(_) | Patch::Merge(_), None) => return Err(ClusterError::NotFound { object: name.into() }),
        };
        Ok(state.store("patch", id, after))
    }

    async fn delete(
        &self,
        _: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        let mut state = self.lock();
        state.check("delete", kind, name)?;
        let id = (kind, namespace.to_owned(), name.to_owned());
        if state.objects.get(&id).is_some_and(|document| text(document, "/metadata/uid") == Some(uid)) {
            state.objects.remove(&id);
            state.writes.push(format!("delete {} {name}", kind.kind));
        }
        Ok(())
    }
}

/// `a=b`, `a in (b,c)` or nothing: the forms that the shell uses.
fn selects(selector: &str, document: &Value) -> bool {
    if let Some((key, values)) = selector.split_once(" in (") {
        let values: Vec<&str> = values.trim_end_matches(')').split(',').collect();
        return label(document, key).is_some_and(|value| values.contains(&value));
    }
    selector
        .split(',')
        .filter(|part| !part.is_empty())
        .all(|part| part.split_once('=').is_some_and(|(key, value)| label(document, key) == Some(value)))
}

fn merge_into(target: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, member) in members {
        if member.is_null() {
            if let Some(object) = target.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge_into(&mut target[key], member);
        }
    }
}
