//! The Rollout's runs, with what is remembered but not written yet.

use serde::Deserialize;
use serde_json::Value;

use super::{ClusterError, Memory};
use crate::{
    api::{RolloutRunSpec, RolloutRunStatus, RunPhase},
    engine::RunView,
    workload::object::{self, text},
};

/// All runs of this Rollout, oldest first; those of an earlier Rollout of the same name are not its own.
pub(super) fn views(
    documents: &[Value],
    rollout_uid: &str,
    memory: &mut Memory,
    now: u64,
) -> Result<Vec<RunView>, ClusterError> {
    let own = documents.iter().filter(|run| text(run, "/spec/rolloutUID") == Some(rollout_uid));
    let mut views = Vec::new();
    for document in own {
        views.push((order(document), view(document, memory, now)?));
    }
    views.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(views.into_iter().map(|(_, view)| view).collect())
}

/// By age; in the same second the one that is over came first, then by the number in the name.
fn order(document: &Value) -> (String, bool, u64, String) {
    let name = object::name(document);
    let number = name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let created = text(document, "/metadata/creationTimestamp").unwrap_or_default();
    let over = text(document, "/status/phase") == Some("Ended");
    (created.to_owned(), !over, number, name.to_owned())
}

fn view(document: &Value, memory: &mut Memory, now: u64) -> Result<RunView, ClusterError> {
    let name = object::name(document).to_owned();
    let unreadable = |what: &str, error: serde_json::Error| ClusterError::Unavailable {
        object: format!("RolloutRun {name}"),
        message: format!("{what} cannot be read: {error}"),
    };
    let spec = RolloutRunSpec::deserialize(&document["spec"]).map_err(|error| unreadable("spec", error))?;
    let written =
        <Option<RolloutRunStatus>>::deserialize(&document["status"]).map_err(|error| unreadable("status", error))?;
    let is_open = written.as_ref().is_none_or(|status| status.phase != RunPhase::Ended);
    let (status, unwritten_millis) = if is_open {
        let version = text(document, "/metadata/resourceVersion").unwrap_or_default();
        memory.recall(&name, version, written, now)
    } else {
        (written, 0)
    };
    Ok(RunView { name, spec, status, unwritten_millis })
}
