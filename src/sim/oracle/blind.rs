//! S8 no blind overwrite: a patch says which version it builds on.

use serde_json::Value;

use super::broken;
use crate::{
    controller::{Kind, Patch},
    engine::Broken,
    workload::object::text,
};

/// Applies are left out: what they own is checked by the API server.
pub fn patch(kind: Kind, name: &str, patch: &Patch) -> Option<Broken> {
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
