//! The run's record: created once as the lock, then only its status is written.

use serde_json::{Value, json};

use super::{Change, Changes};
use crate::{
    api::{ROLLOUT_LABEL, RolloutRunSpec, RolloutRunStatus},
    controller::{Cluster, ClusterError, Documents, Patch, ROLLOUT, RUN, WriteSite},
    engine::World,
    workload::{object::text, owners::owner_references},
};

/// Names that are tried if runs of an earlier Rollout of the same name are still there.
const NAMES_TRIED: u32 = 16;

/// Creates the run. A run of that name that is ours was created by somebody else with the same lock: look again.
pub(super) async fn create(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    name: &str,
    spec: &RolloutRunSpec,
) -> Changes {
    let mut name = name.to_owned();
    for _ in 0..NAMES_TRIED {
        let document = document(world, documents, &name, spec)?;
        match cluster.create(WriteSite::RunCreate, RUN, &world.rollout.namespace, &document, false).await {
            Ok(created) => return Ok(vec![Change::Put(RUN, created)]),
            Err(ClusterError::Exists { object }) => {
                let found = cluster.get(RUN, &world.rollout.namespace, &name).await?;
                let uid = found.as_ref().and_then(|found| text(found, "/spec/rolloutUID"));
                if uid.is_none_or(|uid| uid == world.rollout.uid) {
                    return Err(ClusterError::Conflict { object });
                }
                name = next(&name);
            }
            Err(error) => return Err(error),
        }
    }
    Err(ClusterError::Exists { object: format!("RolloutRun {name}") })
}

fn document(world: &World, documents: &Documents, name: &str, spec: &RolloutRunSpec) -> Result<Value, ClusterError> {
    let spec = serde_json::to_value(spec).map_err(|error| refused(name, &error))?;
    let owners = documents.get(ROLLOUT, &world.rollout.name).map(|rollout| owner_references(rollout, None));
    Ok(json!({
        "apiVersion": "tidegate.io/v1alpha1",
        "kind": RUN.kind,
        "metadata": {
            "name": name,
            "namespace": world.rollout.namespace,
            "labels": {ROLLOUT_LABEL: world.rollout.name},
            "ownerReferences": owners,
        },
        "spec": spec,
    }))
}

/// `checkout-abc-1` -> `checkout-abc-2`
fn next(name: &str) -> String {
    let split = name.rsplit_once('-').and_then(|(stem, number)| Some((stem, number.parse::<u32>().ok()?)));
    split.map_or_else(|| format!("{name}-2"), |(stem, number)| format!("{stem}-{}", number.saturating_add(1)))
}

/// Writes the whole status on the version that was read.
pub(super) async fn write(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    name: &str,
    status: &RolloutRunStatus,
) -> Changes {
    let status = serde_json::to_value(status).map_err(|error| refused(name, &error))?;
    let patch = status_patch(&version(documents, name), &status);
    let written = cluster.patch(WriteSite::RunStatus, RUN, &world.rollout.namespace, name, "status", &patch).await?;
    Ok(vec![Change::Put(RUN, written)])
}

/// The version of a run's document in this pass.
pub(super) fn version(documents: &Documents, name: &str) -> String {
    let document = documents.get(RUN, name);
    document.and_then(|run| text(run, "/metadata/resourceVersion")).unwrap_or_default().to_owned()
}

/// Replaces a status as a whole; a stale version is a 409.
pub fn status_patch(version: &str, status: &Value) -> Patch {
    Patch::Json(vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}),
        json!({"op": "add", "path": "/status", "value": status}),
    ])
}

fn refused(name: &str, error: &serde_json::Error) -> ClusterError {
    ClusterError::Refused { object: format!("RolloutRun {name}"), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_name_counts_on() {
        assert_eq!(next("checkout-abc-1"), "checkout-abc-2");
        assert_eq!(next("checkout-abc-9"), "checkout-abc-10");
    }
}
