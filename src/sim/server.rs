//! Temporary.
use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    controller::{ClusterError, Kind, POD, Patch},
    workload::{
        object::{self, label, text},
        patch::applied,
    },
};

pub struct Writer {
    pub manager: String,
    pub now: String,
}

#[derive(Clone)]
pub struct Commit {
    pub manager: String,
    pub kind: Kind,
    pub subresource: String,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
}

#[derive(Default)]
pub struct ApiServer {
    objects: BTreeMap<(Kind, String, String), Arc<Value>>,
    version: u64,
    commits: Vec<Commit>,
}

impl ApiServer {
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.get(&(kind, namespace.into(), name.into())).cloned()
    }

    pub fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Vec<Arc<Value>> {
        let of = self
            .objects
            .iter()
            .filter(|((of, space, _), _)| *of == kind && (namespace.is_empty() || space == namespace));
        of.map(|(_, document)| document).filter(|document| selects(selector, document)).cloned().collect()
    }

    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    fn put(&mut self, writer: &Writer, kind: Kind, subresource: &str, mut document: Value) -> Arc<Value> {
        let id = (kind, object::namespace(&document).to_owned(), object::name(&document).to_owned());
        let before = self.objects.get(&id).cloned();
        if let Some(before) = &before {
            let strip = |value: &Value| {
                let mut value = value.clone();
                value["metadata"]["resourceVersion"] = json!(null);
                value["metadata"]["generation"] = json!(null);
                value
            };
            if strip(before) == strip(&document) {
                return before.clone();
            }
        }
        self.version += 1;
        let generation = before.as_ref().map_or(1, |before| {
            let old = before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
            old + i64::from(
                before["spec"] != document["spec"]
                    || before.pointer("/metadata/deletionTimestamp").is_none()
                        && document.pointer("/metadata/deletionTimestamp").is_some(),
            )
        });
        document["metadata"]["resourceVersion"] = json!(self.version.to_string());
        document["metadata"]["generation"] = json!(generation);
        if before.is_none() {
            document["metadata"]["uid"] = json!(format!("uid-{}", self.version));
            document["metadata"]["creationTimestamp"] = json!(writer.now);
        }
        let gone = document.pointer("/metadata/deletionTimestamp").is_some()
            && kind != POD
            && document.pointer("/metadata/finalizers").and_then(Value::as_array).is_none_or(Vec::is_empty);
        let after = Arc::new(document);
        if gone {
            self.objects.remove(&id);
            self.log(writer, kind, subresource, before, None);
            self.collect(writer, &after);
        } else {
            self.objects.insert(id, after.clone());
            self.log(writer, kind, subresource, before, Some(after.clone()));
        }
        after
    }

    fn collect(&mut self, writer: &Writer, owner: &Value) {
        let uid = text(owner, "/metadata/uid").unwrap_or_default().to_owned();
        let owned: Vec<_> = self
            .objects
            .iter()
            .filter(|(_, document)| {
                object::items(document, "/metadata/ownerReferences")
                    .iter()
                    .any(|owner| text(owner, "/uid") == Some(&uid))
            })
            .map(|(id, _)| id.clone())
            .collect();
        for (kind, namespace, name) in owned {
            let _ = self.delete(writer, kind, &namespace, &name, None);
        }
    }

    fn log(
        &mut self,
        writer: &Writer,
        kind: Kind,
        subresource: &str,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        self.commits.push(Commit {
            manager: writer.manager.clone(),
            kind,
            subresource: subresource.into(),
            before,
            after,
        });
    }

    pub fn store(&mut self, writer: &Writer, kind: Kind, document: Value) {
        self.put(writer, kind, "status", document);
    }

    pub fn remove(&mut self, writer: &Writer, kind: Kind, namespace: &str, name: &str) {
        if let Some(before) = self.objects.remove(&(kind, namespace.into(), name.into())) {
            self.log(writer, kind, "", Some(before), None);
        }
    }

    pub fn create(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Arc<Value>, ClusterError> {
        let name = object::name(document);
        if self.get(kind, namespace, name).is_some() {
            return Err(ClusterError::Exists { object: name.into() });
        }
        if dry_run {
            return Ok(Arc::new(document.clone()));
        }
        Ok(self.put(writer, kind, "", document.clone()))
    }

    pub fn replace(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        document: &Value,
    ) -> Result<Arc<Value>, ClusterError> {
        let _ = (namespace, name);
        Ok(self.put(writer, kind, subresource, document.clone()))
    }

    pub fn patch(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Arc<Value>, ClusterError> {
        let before = self.get(kind, namespace, name).map(|found| Value::clone(&found));
        let asked = match patch {
            Patch::Json(operations) => operations
                .iter()
                .find(|operation| operation["path"] == "/metadata/resourceVersion")
                .map(|operation| operation["value"].clone()),
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
        Ok(self.put(writer, kind, subresource, after))
    }

    pub fn delete(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<(), ClusterError> {
        let Some(found) = self.get(kind, namespace, name) else {
            return Err(ClusterError::NotFound { object: name.into() });
        };
        if uid.is_some_and(|uid| text(&found, "/metadata/uid") != Some(uid)) {
            return Err(ClusterError::Conflict { object: name.into() });
        }
        let mut document = Value::clone(&found);
        document["metadata"]["deletionTimestamp"] = json!(writer.now);
        self.put(writer, kind, "", document);
        Ok(())
    }
}

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
