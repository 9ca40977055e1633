//! Writes to the Rollout itself, and what is the same for all objects of our own: applying and deleting one.

use serde_json::{Value, json};

use super::{Change, Changes};
use crate::{
    api::{FINALIZER, ROLLOUT_LABEL},
    controller::{Cluster, ClusterError, Documents, Kind, Patch, ROLLOUT, WriteSite},
    engine::World,
    workload::object::{items, label, name, text},
};

/// Adds or removes our finalizer; those of others stay.
pub(super) async fn finalizer(cluster: &dyn Cluster, world: &World, documents: &Documents, wanted: bool) -> Changes {
    let rollout = rollout(world, documents)?;
    let before = items(rollout, "/metadata/finalizers");
    if before.iter().any(|finalizer| finalizer == FINALIZER) == wanted {
        return Ok(Vec::new());
    }
    let mut after: Vec<Value> = before.iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
    if wanted {
        after.push(json!(FINALIZER));
    }
    write(WriteSite::Finalizer, cluster, world, rollout, json!({"metadata": {"finalizers": after}})).await
}

/// `spec.replicas` was absent. The only write to a spec.
pub(super) async fn replicas(cluster: &dyn Cluster, world: &World, documents: &Documents, replicas: u32) -> Changes {
    let rollout = rollout(world, documents)?;
    if rollout.pointer("/spec/replicas").is_some_and(|replicas| !replicas.is_null()) {
        return Ok(Vec::new());
    }
    write(WriteSite::Replicas, cluster, world, rollout, json!({"spec": {"replicas": replicas}})).await
}

async fn write(site: WriteSite, cluster: &dyn Cluster, world: &World, rollout: &Value, mut patch: Value) -> Changes {
    patch["metadata"]["resourceVersion"] = rollout["metadata"]["resourceVersion"].clone();
    let namespace = &world.rollout.namespace;
    let written = cluster.patch(site, ROLLOUT, namespace, &world.rollout.name, "", &Patch::Merge(patch)).await?;
    Ok(vec![Change::Put(ROLLOUT, written)])
}

pub(super) fn rollout<'d>(world: &World, documents: &'d Documents) -> Result<&'d Value, ClusterError> {
    let missing = || ClusterError::NotFound { object: format!("Rollout {}", world.rollout.name) };
    documents.get(ROLLOUT, &world.rollout.name).ok_or_else(missing)
}

/// Applies an object of ours, unless what was found `is_so` already. One of the same name that is not ours is left alone.
pub(super) async fn put_own(
    site: WriteSite,
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    kind: Kind,
    wanted: &Value,
    is_so: impl Fn(&Value) -> bool,
) -> Changes {
    let (namespace, name) = (&world.rollout.namespace, name(wanted));
    let unseen = match documents.get(kind, name) {
        Some(_) => None,
        None => cluster.get(kind, namespace, name).await?,
    };
    let mut document = wanted.clone();
    if let Some(found) = documents.get(kind, name).or(unseen.as_ref()) {
        if label(found, ROLLOUT_LABEL) != Some(&world.rollout.name) {
            let message =
                format!("a {} of this name exists and does not belong to Rollout {}", kind.kind, world.rollout.name);
            return Err(ClusterError::Refused { object: format!("{} {name}", kind.kind), message });
        }
        if is_so(found) {
            return Ok(Vec::new());
        }
        document["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"].clone();
    }
    let written = cluster.patch(site, kind, namespace, name, "", &Patch::Apply { document, force: true }).await?;
    Ok(vec![Change::Put(kind, written)])
}

/// Deletes the object that was seen; one that was not is gone.
pub(super) async fn delete(
    site: WriteSite,
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    kind: Kind,
    name: &str,
) -> Changes {
    let Some(uid) = documents.get(kind, name).and_then(|document| text(document, "/metadata/uid")) else {
        return Ok(Vec::new());
    };
    cluster.delete(site, kind, &world.rollout.namespace, name, uid).await?;
    Ok(vec![Change::Gone(kind, name.to_owned())])
}
