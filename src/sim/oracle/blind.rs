//! S8 no blind overwrite: a patch says which version it builds on.

use serde_json::Value;

use super::broken;
use crate::{
    api::ROLLOUT_LABEL,
    controller::{Kind, Patch},
    engine::Broken,
    workload::object::{label, text},
};

/// An apply without force names none: what others own is checked by the API server. With force it is for objects of our own, which
/// bear the Rollout's label.
pub fn patch(kind: Kind, name: &str, patch: &Patch) -> Option<Broken> {
    if let Patch::Apply { document, force: true } = patch
        && label(document, ROLLOUT_LABEL).is_none()
    {
        return broken("S8", format!("{} {name}, which is not ours, is taken by force", kind.kind));
    }
    let names_version = match patch {
        Patch::Json(operations) => {
            let version = |operation: &Value| text(operation, "/path") == Some("/metadata/resourceVersion");
            operations.iter().any(version)
        }
        Patch::Merge(document) => document.pointer("/metadata/resourceVersion").is_some_and(Value::is_string),
        Patch::Apply { .. } => true,
    };
    if names_version { None } else { broken("S8", format!("{} {name} is patched whatever its version", kind.kind)) }
}
