//! Bugs of what is read and written: a line to the API server that does not do what it was told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::LAPSE;
use crate::{
    api::REVISION_LABEL,
    controller::{Cluster, ClusterError, DEPLOYMENT, ENDPOINT_SLICE, EVENT, Kind, Patch, ROLLOUT, WriteSite},
    sim::{clock::Millis, link::Link},
    workload::object::{items, name, text},
};

/// For how long a list lacks what was written.
const LAG: Millis = 5_000;

/// What the line does wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    NamelessBackend,
    WrongIndex,
    NegativeWeight,
    DropsFields,
    SharedSelector,
    LosesStep,
    Insists,
    OwnWrites,
    HidesWritten,
    AddsDefaults,
    StripsOthers,
    /// Of the metrics server's line.
    IgnoresWarnings,
    DeadWatch,
}

/// One process's line, with a lapse.
pub struct Line {
    inner: Arc<Link>,
    /// What this process wrote last of each object, and when.
    own: Mutex<BTreeMap<(Kind, String), (Value, Millis)>>,
    /// The first answer to each list of endpoints.
    first: Mutex<BTreeMap<String, Vec<Value>>>,
}

impl Line {
    pub fn new(inner: Arc<Link>) -> Self {
        Self { inner, own: Mutex::default(), first: Mutex::default() }
    }

    fn written(&self, kind: Kind, name: &str) -> Option<(Value, Millis)> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).get(&(kind, name.to_owned())).cloned()
    }

    fn keep(&self, kind: Kind, document: &Value) {
        let kept = (document.clone(), self.inner.clock.now());
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.insert((kind, name(document).to_owned()), kept);
    }

    /// What is seen of a document.
    fn seen(&self, kind: Kind, mut document: Value) -> Option<Value> {
        let written = self.written(kind, name(&document));
        match LAPSE.get() {
            Some(Lapse::OwnWrites) => Some(written.map_or(document, |(own, _)| own)),
            Some(Lapse::HidesWritten) if kind == DEPLOYMENT => {
                let is_fresh = written.is_some_and(|(_, at)| at + LAG > self.inner.clock.now());
                (!is_fresh).then_some(document)
            }
            Some(Lapse::AddsDefaults) if kind == ROLLOUT && self.inner.process > 0 => {
                if let Some(container) = document.pointer_mut("/spec/workload/template/spec/containers/0") {
                    container["stdinOnce"] = json!(true);
                }
                Some(document)
            }
            _ => Some(document),
        }
    }
}

/// The lists of backends that a patch writes.
fn backends(patch: &mut Patch) -> impl Iterator<Item = &mut Vec<Value>> {
    let operations = match patch {
        Patch::Json(operations) => operations.as_mut_slice(),
        Patch::Merge(_) | Patch::Apply { .. } => &mut [],
    };
    let lists = operations.iter_mut().filter(|it| text(it, "/path").is_some_and(|path| path.ends_with("/backendRefs")));
    lists.filter_map(|operation| operation.get_mut("value")?.as_array_mut())
}

/// What is written in place of a patch.
fn spoil(site: WriteSite, patch: &mut Patch, now: Option<&Value>) {
    match (LAPSE.get(), site) {
        (Some(Lapse::NamelessBackend), WriteSite::RouteDrop) => {
            backends(patch).for_each(|refs| refs.push(json!({"name": "", "port": 80, "weight": 0})));
        }
        (Some(Lapse::WrongIndex), WriteSite::RouteDrop) => {
            let all = now.map(|route| items(route, "/spec/rules/0/backendRefs")).unwrap_or_default();
            backends(patch).for_each(|refs| *refs = all.iter().skip(refs.len()).cloned().collect());
        }
        (Some(Lapse::NegativeWeight), WriteSite::RouteWeight) => {
            let all = backends(patch).flatten();
            all.filter(|one| one["weight"] == 0).for_each(|one| one["weight"] = json!(-1));
        }
        (Some(Lapse::DropsFields), WriteSite::RouteName | WriteSite::RouteWeight) => {
            let known = |one: &Value| json!({"name": one["name"], "port": one["port"], "weight": one["weight"]});
            backends(patch).flatten().for_each(|one| *one = known(one));
        }
        (Some(Lapse::StripsOthers), WriteSite::RouteName | WriteSite::RouteWeight | WriteSite::RouteDrop) => {
            let Patch::Json(operations) = patch else { return };
            let rules = now.map(|route| items(route, "/spec/rules")).unwrap_or_default();
            let stripped = |(index, rule): (usize, &Value)| {
                let path = format!("/spec/rules/{index}/backendRefs");
                let is_ours = operations.iter().any(|it| text(it, "/path").is_some_and(|at| at.starts_with(&path)));
                let first = items(rule, "/backendRefs").first()?;
                (!is_ours).then(|| json!({"op": "replace", "path": path, "value": [first]}))
            };
            let more: Vec<Value> = rules.iter().enumerate().filter_map(stripped).collect();
            operations.extend(more);
        }
        (Some(Lapse::SharedSelector), WriteSite::ServiceApply) => {
            if let Patch::Apply { document, .. } = patch
                && let Some(selector) = document.pointer_mut("/spec/selector").and_then(Value::as_object_mut)
            {
                selector.remove(REVISION_LABEL);
            }
        }
        (Some(Lapse::LosesStep), WriteSite::RunStatus) => {
            let Patch::Json(operations) = patch else { return };
            for operation in operations.iter_mut().filter(|it| text(it, "/path") == Some("/status")) {
                if let Some(step) = operation.pointer_mut("/value/step") {
                    *step = json!(0);
                }
            }
        }
        _ => {}
    }
}

/// The patch without what it builds on.
fn insistent(patch: &Patch) -> Patch {
    let mut patch = patch.clone();
    match &mut patch {
        Patch::Json(operations) => operations.retain(|it| text(it, "/path") != Some("/metadata/resourceVersion")),
        Patch::Merge(document) | Patch::Apply { document, .. } => {
            if let Some(metadata) = document.pointer_mut("/metadata").and_then(Value::as_object_mut) {
                metadata.remove("resourceVersion");
            }
        }
    }
    patch
}

#[async_trait]
impl Cluster for Line {
    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        let found = self.inner.get(kind, namespace, name).await?;
        Ok(found.and_then(|document| self.seen(kind, document)))
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Value>, ClusterError> {
        let mut found = self.inner.list(kind, namespace, selector).await?;
        if LAPSE.get() == Some(Lapse::DeadWatch) && kind == ENDPOINT_SLICE {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            found.clone_from(first.entry(format!("{namespace} {selector}")).or_insert(found.clone()));
        }
        Ok(found.into_iter().filter_map(|document| self.seen(kind, document)).collect())
    }

    async fn create(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Value, ClusterError> {
        self.inner.create(site, kind, namespace, document, dry_run).await
    }

    async fn patch(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Value, ClusterError> {
        if LAPSE.get().is_none() {
            return self.inner.patch(site, kind, namespace, name, subresource, patch).await;
        }
        let now = self.inner.world.lock().server.get(kind, namespace, name);
        let mut patch = patch.clone();
        spoil(site, &mut patch, now.as_deref());
        let mut answer = self.inner.patch(site, kind, namespace, name, subresource, &patch).await;
        if LAPSE.get() == Some(Lapse::Insists) && matches!(answer, Err(ClusterError::Conflict { .. })) {
            answer = self.inner.patch(site, kind, namespace, name, subresource, &insistent(&patch)).await;
        }
        if let Ok(document) = &answer
            && kind != EVENT
        {
            self.keep(kind, document);
        }
        answer
    }

    async fn delete(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        self.inner.delete(site, kind, namespace, name, uid).await
    }
}
