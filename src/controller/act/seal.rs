//! A leader's epoch in the marks of a run, on somebody else's objects.

use super::{Change, Changes, services::release};
use crate::{
    api::mark_of_run,
    controller::{Cluster, ClusterError, Documents, Patch, SERVICE, WriteSite, route_kind},
    engine::World,
    traffic::add_mark,
    workload::patch::versioned,
};

/// Writes the epoch into the run's mark; nothing if it stands there.
pub(super) async fn seal(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    kind: &str,
    name: &str,
    run: &str,
) -> Changes {
    let kind = if kind == SERVICE.kind { SERVICE } else { route_kind(kind) };
    let namespace = &world.rollout.namespace;
    let missing = || ClusterError::NotFound { object: kind.named(namespace, name) };
    let document = documents.get(kind, name).ok_or_else(missing)?;
    let patch = versioned(document, add_mark(document, &mark_of_run(run, world.epoch)));
    if patch.is_empty() {
        return Ok(Vec::new());
    }
    let written = cluster.patch(WriteSite::Seal, kind, namespace, name, "", &Patch::Json(patch)).await?;
    let released = release(cluster, kind, namespace, &written).await;
    Ok(vec![Change::Put(kind, released.unwrap_or(written))])
}
