//! The scale subresource: the number of replicas behind one form for all kinds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ApiServer, Target, Writer, rules, store::Proposal};
use crate::{
    controller::ClusterError,
    workload::object::{number, text},
};

/// The Scale of an object.
pub fn of(live: &Value) -> Value {
    let metadata = &live["metadata"];
    let mut scale = json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {},
        "status": {"replicas": number(live, "/status/replicas").unwrap_or(0)},
    });
    // A zero is left away.
    if let Some(replicas) = number(live, "/spec/replicas").filter(|replicas| *replicas != 0) {
        scale["spec"]["replicas"] = json!(replicas);
    }
    if let Some(selector) = selector(live) {
        scale["status"]["selector"] = json!(selector);
    }
    scale
}

/// As text: a Deployment's own selector, or what a custom kind says in its status.
fn selector(live: &Value) -> Option<String> {
    let Some(labels) = live.pointer("/spec/selector/matchLabels").and_then(Value::as_object) else {
        return text(live, "/status/selector").map(str::to_owned);
    };
    let pairs: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    Some(pairs.join(","))
}

impl ApiServer {
    /// Takes the replicas of a Scale over to its object.
    pub(super) fn scale(&mut self, writer: &Writer, target: Target, scale: &Value) -> Result<Arc<Value>, ClusterError> {
        let stored = self.stored(target.kind, target.namespace, target.name).ok_or_else(|| target.not_found())?;
        if !rules::has_scale(target.kind) {
            return Err(target.not_found());
        }
        // An absent number is a zero.
        let replicas = number(scale, "/spec/replicas").unwrap_or(0);
        if replicas < 0 {
            return Err(target.refused("spec.replicas: Invalid value: must be greater than or equal to 0"));
        }
        let mut next = Value::clone(&stored.document);
        let mut owners = stored.owners.clone();
        if number(&next, "/spec/replicas") != Some(replicas) {
            next["spec"]["replicas"] = json!(replicas);
            owners.scale(&target.write(writer, false), replicas);
        }
        for field in ["resourceVersion", "uid"] {
            if let Some(asked) = scale["metadata"].get(field) {
                next["metadata"][field] = asked.clone();
            }
        }
        let written = self.store(writer, target, Proposal::of(next, owners))?;
        Ok(Arc::new(of(&written)))
    }
}
