//! A model of the Kubernetes API server: versions, conflicts, field ownership, finalizers, garbage collection.
//!
//! # Guarantees
//! It is synchronous and has one owner: the same calls give the same objects, byte for byte. What it answers to the
//! writes of Tidegate and of its neighbours is what the API server answers; the lab compares the two.
//!
//! # Caveats
//! Nothing runs in it but the server: no controller, no kubelet, no admission webhook. The time is the writer's. Kinds are
//! known as far as Tidegate reads or writes them. A scale that changes nothing leaves the owners alone: the real server splits
//! their entries.

mod compare;
mod defaults;
mod fields;
mod garbage;
pub mod journal;
mod merge;
mod owners;
pub mod patching;
mod rules;
mod scale;
pub mod schema;
mod selector;
mod shape;
mod store;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::controller::{ClusterError, Kind, Patch};
use journal::Deed;
use owners::{Owner, Owners, Write};
use selector::Selector;
use store::Proposal;

/// The objects of a cluster, and all that was done to them.
#[derive(Default)]
pub struct ApiServer {
    objects: BTreeMap<Kind, BTreeMap<String, BTreeMap<String, Stored>>>,
    version: u64,
    /// Number for names, addresses and uids.
    serial: u64,
    commits: Vec<Commit>,
    /// Commits that are kept no more.
    forgotten: usize,
    /// Something may have lost its last owner.
    has_garbage: bool,
    /// None: nobody wants to read it.
    journal: Option<journal::Journal>,
}

/// Who writes, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The field manager.
    pub manager: Arc<str>,
    /// RFC 3339 in UTC, whole seconds.
    pub now: Arc<str>,
}

/// One change of the cluster.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The resourceVersion that it made.
    pub sequence: u64,
    pub verb: Verb,
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub subresource: String,
    pub writer: Writer,
    pub before: Option<Arc<Value>>,
    /// None: the object is gone.
    pub after: Option<Arc<Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Debug)]
struct Stored {
    document: Arc<Value>,
    owners: Owners,
    /// All of the document is stored. If not, a write that changes nothing stores the rest.
    is_whole: bool,
}

/// Where a request goes.
#[derive(Clone, Copy)]
struct Target<'t> {
    kind: Kind,
    namespace: &'t str,
    name: &'t str,
    subresource: &'t str,
}

impl Writer {
    pub fn new(manager: &str, now: &str) -> Self {
        Self { manager: manager.into(), now: now.into() }
    }
}

impl ApiServer {
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.stored(kind, namespace, name).map(|stored| stored.document.clone())
    }

    /// Objects by namespace and name; an empty namespace means all of them.
    pub fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Vec<Arc<Value>> {
        let selector = Selector::parse(selector);
        let is_asked = |space: &str| namespace.is_empty() || !kind.namespaced || space == namespace;
        let spaces = self.objects.get(&kind).into_iter().flatten().filter(|(space, _)| is_asked(space));
        let documents = spaces.flat_map(|(_, objects)| objects.values()).map(|stored| &stored.document);
        documents.filter(|document| selector.selects(document)).cloned().collect()
    }

    /// The resourceVersion of the last change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// What was done, as far as it is kept.
    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// How many commits were made before those that are kept.
    pub const fn forgotten(&self) -> usize {
        self.forgotten
    }

    /// Forgets the oldest commits once there are twice as many as are to be kept.
    pub fn forget_all_but(&mut self, kept: usize) {
        if self.commits.len() >= 2 * kept {
            let excess = self.commits.len() - kept;
            self.commits.drain(..excess);
            self.forgotten += excess;
        }
    }

    /// POST. With `dry_run` everything is checked and nothing is stored.
    pub fn create(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Arc<Value>, ClusterError> {
        let mut proposed = document.clone();
        let metadata = defaults::members(&mut proposed, "metadata");
        if !metadata.contains_key("name")
            && let Some(stem) = metadata.get("generateName").and_then(Value::as_str)
        {
            self.serial += 1;
            let name = format!("{stem}{}", store::suffix(self.serial));
            metadata.insert("name".into(), json!(name));
        }
        let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.note(writer, (kind, namespace, &name), "", || Deed::Create { document: document.clone(), dry_run });
        let target = Target { kind, namespace, name: &name, subresource: "" };
        if metadata.get("resourceVersion").is_some_and(|version| version != "") {
            return Err(target.refused("resourceVersion should not be set on objects to be created"));
        }
        for field in ["managedFields", "uid", "creationTimestamp", "generation", "deletionTimestamp"] {
            metadata.remove(field);
        }
        target.read(&mut proposed);
        let mut owners = Owners::default();
        owners.update(&target.write(writer, false), &defaults::blank(kind), &proposed, true);
        self.store(writer, target, Proposal { document: proposed, owners, is_post: true, dry_run })
    }

    /// PATCH; `subresource` is "", "status" or "scale". The answer of a scale is a Scale.
    pub fn patch(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Arc<Value>, ClusterError> {
        self.note(writer, (kind, namespace, name), subresource, || Deed::Patch(patch.clone()));
        let target = Target { kind, namespace, name, subresource };
        if let Patch::Apply { document, force } = patch {
            return self.apply(writer, target, document, *force);
        }
        let live = self.stored(kind, namespace, name).ok_or_else(|| target.not_found())?.document.clone();
        let scale = (subresource == "scale").then(|| scale::of(&live));
        let shown = scale.as_ref().unwrap_or(&live);
        let proposed = match patch {
            Patch::Json(operations) => {
                patching::json_patched(shown, operations).map_err(|message| target.refused(&message))?
            }
            Patch::Merge(changes) | Patch::Apply { document: changes, .. } => {
                let mut merged = shown.clone();
                patching::merge_patched(&mut merged, changes);
                merged
            }
        };
        self.update(writer, target, proposed)
    }

    /// PUT.
    pub fn replace(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        document: &Value,
    ) -> Result<Arc<Value>, ClusterError> {
        self.note(writer, (kind, namespace, name), subresource, || Deed::Replace(document.clone()));
        let target = Target { kind, namespace, name, subresource };
        let live = self.stored(kind, namespace, name).ok_or_else(|| target.not_found())?.document.clone();
        let mut proposed = document.clone();
        let metadata = defaults::members(&mut proposed, "metadata");
        if metadata.get("resourceVersion").and_then(Value::as_str).is_none_or(str::is_empty) {
            if rules::needs_version(kind, subresource) {
                return Err(
                    target.refused("metadata.resourceVersion: Invalid value: 0: must be specified for an update")
                );
            }
            metadata.insert("resourceVersion".into(), live["metadata"]["resourceVersion"].clone());
        }
        self.update(writer, target, proposed)
    }

    /// An update of an object that exists, by whatever verb.
    fn update(&mut self, writer: &Writer, target: Target, mut proposed: Value) -> Result<Arc<Value>, ClusterError> {
        let stored = self.stored(target.kind, target.namespace, target.name).ok_or_else(|| target.not_found())?;
        let live = stored.document.clone();
        if target.subresource == "scale" {
            return self.scale(writer, target, &proposed);
        }
        target.read(&mut proposed);
        let mut owners = if target.subresource.is_empty() {
            stored.owners.read(Some(&live), &proposed)
        } else {
            stored.owners.clone()
        };
        owners.update(&target.write(writer, false), &live, &proposed, false);
        self.store(writer, target, Proposal::of(proposed, owners))
    }

    /// Server-side apply.
    fn apply(
        &mut self,
        writer: &Writer,
        target: Target,
        document: &Value,
        force: bool,
    ) -> Result<Arc<Value>, ClusterError> {
        let stored = self.stored(target.kind, target.namespace, target.name).cloned();
        if stored.is_none() && !target.subresource.is_empty() {
            return Err(target.not_found());
        }
        if document["apiVersion"] != *target.kind.api_version() || document["kind"] != *target.kind.kind {
            return Err(target.refused("the applied document is of another apiVersion or kind"));
        }
        if document["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(target.refused("metadata.managedFields must be nil"));
        }
        if schema::of(target.kind).is_some_and(|schema| !schema::unknown(schema, document).is_empty()) {
            let message = "a field is not declared in the schema".to_owned();
            return Err(ClusterError::Unavailable { object: target.object(), message });
        }
        let blank = defaults::blank(target.kind);
        let mut owners = stored.as_ref().map_or_else(Owners::default, |stored| stored.owners.clone());
        let live = stored.as_ref().map_or(&blank, |stored| &stored.document);
        if owners.is_empty() && stored.is_some() {
            let before = Writer::new("before-first-apply", &writer.now);
            owners.update(&target.write(&before, false), &blank, live, true);
        }
        let write = target.write(writer, true);
        let applied = owners.apply(&write, live, document, force);
        let mut proposed = applied.map_err(|managers| {
            tracing::debug!(?managers, "an apply conflicts");
            target.conflict()
        })?;
        target.read(&mut proposed);
        self.store(writer, target, Proposal::of(proposed, owners))
    }

    fn stored(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Stored> {
        let space = if kind.namespaced { namespace } else { "" };
        self.objects.get(&kind)?.get(space)?.get(name)
    }
}

impl<'t> Target<'t> {
    /// A document as the server understands it.
    fn read(self, document: &mut Value) {
        document["apiVersion"] = json!(self.kind.api_version());
        document["kind"] = json!(self.kind.kind);
        if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
            defaults::omit_empty(metadata);
        }
        if let Some(schema) = schema::of(self.kind) {
            schema::prune(schema, document);
            schema::default(schema, document);
        }
        defaults::fill(self.kind, document);
    }

    fn write<'w>(self, writer: &'w Writer, applies: bool) -> Write<'w> {
        Write {
            shape: shape::of(self.kind),
            owner: Owner { manager: writer.manager.clone(), applies, subresource: self.subresource.into() },
            api_version: self.kind.api_version().into(),
            now: &writer.now,
            ignored: rules::ignored(self.kind, self.subresource),
        }
    }

    fn object(self) -> String {
        self.kind.named(self.namespace, self.name)
    }

    fn not_found(self) -> ClusterError {
        ClusterError::NotFound { object: self.object() }
    }

    fn conflict(self) -> ClusterError {
        ClusterError::Conflict { object: self.object() }
    }

    fn refused(self, message: &str) -> ClusterError {
        ClusterError::Refused { object: self.object(), message: message.to_owned() }
    }
}
