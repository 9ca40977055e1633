//! From a proposed document to a stored one, and out again.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ApiServer, Commit, Stored, Target, Verb, Writer, defaults, journal::Deed, owners::Owners, rules};
use crate::{
    controller::{ClusterError, Kind, POD, SERVICE},
    workload::object::{count, is_terminating, items, text},
};

/// Finalizer of an object that is deleted in the foreground: it waits for its dependents.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Seconds that a pod has to end, if it does not say.
const GRACE_SECONDS: i64 = 30;

/// A document that a request would have stored.
pub struct Proposal {
    pub document: Value,
    pub owners: Owners,
    /// An object of this name must not exist.
    pub is_post: bool,
    pub dry_run: bool,
}

impl Proposal {
    pub fn of(document: Value, owners: Owners) -> Self {
        Self { document, owners, is_post: false, dry_run: false }
    }
}

impl ApiServer {
    /// Checks the document and stores it; a write that changes nothing leaves the object as it is.
    pub(super) fn store(
        &mut self,
        writer: &Writer,
        target: Target,
        proposal: Proposal,
    ) -> Result<Arc<Value>, ClusterError> {
        let Proposal { document: mut next, mut owners, is_post, dry_run } = proposal;
        let found = self.stored(target.kind, target.namespace, target.name);
        let exists = found.is_some();
        let stored = found.filter(|_| !is_post).cloned();
        let live = stored.as_ref().map(|stored| &*stored.document);
        target.check_version(live, &next)?;
        self.finish(writer, target, live, &mut next);
        let violations = rules::violations(target.kind, live, &next);
        if !violations.is_empty() {
            return Err(target.refused(&violations.join("; ")));
        }
        if is_post && exists {
            return Err(ClusterError::Exists { object: target.object() });
        }
        if let Some(stored) = &stored
            && stored.is_whole
            && owners.is_as(&stored.owners)
            && is_same(&stored.document, &next)
        {
            return Ok(stored.document.clone());
        }
        if !owners.is_empty() {
            defaults::members(&mut next, "metadata").insert("managedFields".into(), owners.render());
        }
        if dry_run {
            return Ok(Arc::new(next));
        }
        let verb = if stored.is_some() { Verb::Update } else { Verb::Create };
        let before = stored.map(|stored| stored.document);
        Ok(self.commit(writer, target, verb, before, next, owners))
    }

    /// Everything that the server itself writes into a document.
    fn finish(&mut self, writer: &Writer, target: Target, live: Option<&Value>, next: &mut Value) {
        rules::prepare(target.kind, target.subresource, live, next);
        self.serial += u64::from(live.is_none());
        if target.kind == SERVICE {
            defaults::allocate(next, live, self.serial);
        }
        let generation = rules::generation(target.kind, target.subresource, live, next);
        let metadata = defaults::members(next, "metadata");
        for field in ["resourceVersion", "managedFields", "selfLink"] {
            metadata.remove(field);
        }
        defaults::omit_empty(metadata);
        if live.is_none() {
            metadata.insert("uid".into(), json!(uid(self.serial)));
            metadata.insert("creationTimestamp".into(), json!(&*writer.now));
        }
        metadata.insert("name".into(), json!(target.name));
        if target.kind.namespaced {
            metadata.insert("namespace".into(), json!(target.namespace));
        }
        if let Some(generation) = generation {
            metadata.insert("generation".into(), json!(generation));
        }
        if let Some(schema) = super::schema::of(target.kind) {
            super::schema::default(schema, next);
        }
    }

    /// Stores the next state of an object. One that is being deleted goes when nothing holds it any more.
    fn commit(
        &mut self,
        writer: &Writer,
        target: Target,
        verb: Verb,
        before: Option<Arc<Value>>,
        mut next: Value,
        owners: Owners,
    ) -> Arc<Value> {
        self.version += 1;
        next["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let is_held = !items(&next, "/metadata/finalizers").is_empty();
        let grace = next.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
        let next = Arc::new(next);
        let is_gone = !is_held && grace == Some(0) && before.is_some();
        let space = if target.kind.namespaced { target.namespace } else { "" };
        let objects = self.objects.entry(target.kind).or_default().entry(space.to_owned()).or_default();
        if is_gone {
            objects.remove(target.name);
        } else {
            // A status that is filled in is not stored before the next write.
            let is_whole = before.is_some() || !defaults::is_custom(target.kind) || next.get("status").is_none();
            objects.insert(target.name.to_owned(), Stored { document: next.clone(), owners, is_whole });
        }
        self.has_garbage |= is_gone || !items(&next, "/metadata/ownerReferences").is_empty();
        self.commits.push(Commit {
            sequence: self.version,
            verb: if is_gone { Verb::Delete } else { verb },
            kind: target.kind,
            namespace: space.to_owned(),
            name: target.name.to_owned(),
            subresource: target.subresource.to_owned(),
            writer: writer.clone(),
            before,
            after: (!is_gone).then(|| next.clone()),
        });
        next
    }

    /// DELETE in the background. An object with finalizers, and a pod that runs, is only marked.
    pub fn delete(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<(), ClusterError> {
        self.note(writer, (kind, namespace, name), "", || Deed::Delete { uid: uid.map(str::to_owned) });
        let target = Target { kind, namespace, name, subresource: "" };
        self.mark(writer, target, uid, None)
    }

    /// DELETE in the foreground: the object stays until the dependents that block it are gone.
    pub fn delete_in_foreground(
        &mut self,
        writer: &Writer,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<(), ClusterError> {
        let target = Target { kind, namespace, name, subresource: "" };
        self.has_garbage = true;
        self.mark(writer, target, None, Some(FOREGROUND))
    }

    /// DELETE without grace: what a kubelet does when the pod's processes have ended.
    pub fn delete_now(&mut self, writer: &Writer, kind: Kind, namespace: &str, name: &str) -> Result<(), ClusterError> {
        let target = Target { kind, namespace, name, subresource: "" };
        let stored = self.stored(kind, namespace, name).ok_or_else(|| target.not_found())?.clone();
        let mut next = Value::clone(&stored.document);
        terminate(&mut next, &writer.now, 0);
        self.commit(writer, target, Verb::Update, Some(stored.document), next, stored.owners);
        Ok(())
    }

    fn mark(
        &mut self,
        writer: &Writer,
        target: Target,
        uid: Option<&str>,
        finalizer: Option<&str>,
    ) -> Result<(), ClusterError> {
        let stored = self.stored(target.kind, target.namespace, target.name).ok_or_else(|| target.not_found())?.clone();
        let live = &stored.document;
        if uid.is_some_and(|uid| text(live, "/metadata/uid") != Some(uid)) {
            return Err(target.conflict());
        }
        let mut next = Value::clone(live);
        let mut finalizers = items(live, "/metadata/finalizers").to_vec();
        if let Some(finalizer) = finalizer.filter(|finalizer| !finalizers.iter().any(|found| found == finalizer)) {
            finalizers.push(json!(finalizer));
            next["metadata"]["finalizers"] = Value::Array(finalizers);
        } else if is_terminating(live) {
            return Ok(());
        }
        terminate(&mut next, &writer.now, grace_seconds(target.kind, live));
        self.commit(writer, target, Verb::Update, Some(live.clone()), next, stored.owners);
        Ok(())
    }
}

impl Target<'_> {
    fn check_version(self, live: Option<&Value>, next: &Value) -> Result<(), ClusterError> {
        for pointer in ["/metadata/resourceVersion", "/metadata/uid"] {
            let asked = text(next, pointer).filter(|asked| !asked.is_empty());
            let found = live.and_then(|live| text(live, pointer));
            if asked.is_some_and(|asked| found != Some(asked)) {
                return Err(self.conflict());
            }
        }
        if live.is_some() && text(next, "/metadata/name") != Some(self.name) {
            return Err(self.refused("the name of the object does not match the name on the URL"));
        }
        Ok(())
    }
}

/// A pod that runs on a node has time to end; everything else has none.
fn grace_seconds(kind: Kind, live: &Value) -> i64 {
    let has_ended = matches!(text(live, "/status/phase"), Some("Failed" | "Succeeded"));
    if kind != POD || text(live, "/spec/nodeName").is_none() || has_ended {
        return 0;
    }
    let said = live.pointer("/spec/terminationGracePeriodSeconds");
    said.map_or(GRACE_SECONDS, |_| i64::from(count(live, "/spec/terminationGracePeriodSeconds")))
}

fn terminate(document: &mut Value, now: &str, grace_seconds: i64) {
    let metadata = defaults::members(document, "metadata");
    metadata.insert("deletionGracePeriodSeconds".into(), json!(grace_seconds));
    if metadata.contains_key("deletionTimestamp") {
        return;
    }
    let at = now
        .parse::<jiff::Timestamp>()
        .ok()
        .and_then(|now| now.checked_add(jiff::SignedDuration::from_secs(grace_seconds)).ok());
    metadata.insert("deletionTimestamp".into(), json!(at.map_or_else(|| now.to_owned(), |at| at.to_string())));
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".into(), json!(generation + 1));
    }
}

/// The documents are the same but for their versions and owners.
fn is_same(live: &Value, next: &Value) -> bool {
    let (Some(live), Some(next)) = (live.as_object(), next.as_object()) else { return false };
    live.len() == next.len()
        && live.iter().all(|(key, value)| match (key.as_str(), next.get(key)) {
            ("metadata", Some(found)) => is_same_metadata(value, found),
            (_, found) => found == Some(value),
        })
}

fn is_same_metadata(live: &Value, next: &Value) -> bool {
    let (Some(live), Some(next)) = (live.as_object(), next.as_object()) else { return false };
    let counts = |(key, _): &(&String, &Value)| !["managedFields", "resourceVersion"].contains(&key.as_str());
    live.iter().filter(counts).eq(next.iter().filter(counts))
}

/// A uid that looks like one, from a number.
fn uid(serial: u64) -> String {
    let digest = Sha256::digest(serial.to_be_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// The ending of a generated name, of the letters that the server uses.
pub fn suffix(serial: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(serial.to_be_bytes());
    digest.iter().take(5).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}
