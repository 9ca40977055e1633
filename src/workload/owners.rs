//! The owners of a revision's objects.
//!
//! It never blocks an owner's deletion: foreground deletion would wait for serving pods.

use serde_json::{Value, json};

use super::object::text;

/// The Rollout and, with deploymentRef, the referenced Deployment.
///
/// The second owner keeps the serving pods through a foreground deletion of the Rollout: a dependent without another
/// living owner is collected while our finalizer still runs.
pub fn owner_references(rollout: &Value, source_deployment: Option<&Value>) -> Value {
    let reference = |document: &Value, api_version: &str, kind: &str, controller: bool| {
        json!({
            "apiVersion": text(document, "/apiVersion").unwrap_or(api_version),
            "kind": text(document, "/kind").unwrap_or(kind),
            "name": text(document, "/metadata/name"),
            "uid": text(document, "/metadata/uid"),
            "controller": controller,
            "blockOwnerDeletion": false,
        })
    };
    let second = source_deployment.map(|document| reference(document, "apps/v1", "Deployment", false));
    std::iter::once(reference(rollout, "tidegate.io/v1alpha1", "Rollout", true)).chain(second).collect()
}
