//! Writes to Services: the pin of the application's, and the ones that are our own.

use serde_json::Value;

use super::{Change, Changes, objects, policies, revisions::source_of};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, SERVICE_LABEL, mark_of_run},
    controller::{Cluster, ClusterError, Documents, Kind, Patch, SERVICE, WriteSite, route_kind},
    engine::World,
    workload::{
        object::{self, label},
        release_ownership, revision_service, service,
    },
};

/// Tries of the second PATCH in one pass.
const RELEASE_TRIES: usize = 4;

pub(super) async fn pin(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    name: &str,
    revision: &str,
    run: Option<&str>,
) -> Changes {
    let mark = run.map(|run| mark_of_run(run, world.epoch));
    let patch = service::pin_patch(application(documents, name)?, revision, mark.as_deref());
    edit(WriteSite::Pin, cluster, world, name, patch).await
}

pub(super) async fn share(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    name: &str,
    run: &str,
) -> Changes {
    let patch = service::share_patch(application(documents, name)?, &mark_of_run(run, world.epoch));
    edit(WriteSite::Share, cluster, world, name, patch).await
}

pub(super) async fn unpin(cluster: &dyn Cluster, world: &World, documents: &Documents, name: &str) -> Changes {
    let patch = service::unpin_patch(application(documents, name)?);
    edit(WriteSite::Unpin, cluster, world, name, patch).await
}

fn application<'d>(documents: &'d Documents, name: &str) -> Result<&'d Value, ClusterError> {
    documents.get(SERVICE, name).ok_or_else(|| ClusterError::NotFound { object: format!("Service {name}") })
}

/// The edit of somebody else's Service, and then the field's ownership back to whoever applies it.
async fn edit(site: WriteSite, cluster: &dyn Cluster, world: &World, name: &str, patch: Vec<Value>) -> Changes {
    if patch.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = &world.rollout.namespace;
    let written = cluster.patch(site, SERVICE, namespace, name, "", &Patch::Json(patch)).await?;
    let released = release(cluster, SERVICE, namespace, &written).await;
    Ok(vec![Change::Put(SERVICE, released.unwrap_or(written))])
}

/// The second PATCH after an edit. Whoever writes the status of the object comes in between at times: then it is tried
/// again on what stands there now. Past the last try every later pass does it (`release_all`): until then the owner's apply
/// would meet a conflict, but traffic is where it should be, and that is not worth stopping a pass for.
pub(super) async fn release(cluster: &dyn Cluster, kind: Kind, namespace: &str, written: &Value) -> Option<Value> {
    let name = object::name(written);
    let mut patch = release_ownership(written)?;
    for _ in 0..RELEASE_TRIES {
        let error = match cluster.patch(WriteSite::Release, kind, namespace, name, "", &Patch::Json(patch)).await {
            Ok(released) => return Some(released),
            Err(error) => error,
        };
        tracing::debug!(%error, "the ownership of a field was not given up");
        if !matches!(error, ClusterError::Conflict { .. }) {
            return None;
        }
        let fresh = cluster.get(kind, namespace, name).await.ok().flatten()?;
        match release_ownership(&fresh) {
            Some(again) => patch = again,
            // The owner has applied it: the field is theirs again.
            None => return None,
        }
    }
    None
}

/// What an earlier pass, or a process that was killed between its two writes, still owns of others' objects.
pub(super) async fn release_all(cluster: &dyn Cluster, world: &World, documents: &Documents) -> Vec<Change> {
    let services = world.services.iter().map(|service| (SERVICE, service.name.as_str()));
    let routes = world.routes.iter().map(|route| (route_kind(&route.kind), route.name.as_str()));
    let mut changes = Vec::new();
    for (kind, name) in services.chain(routes) {
        let Some(document) = documents.get(kind, name) else { continue };
        if let Some(released) = release(cluster, kind, &world.rollout.namespace, document).await {
            changes.push(Change::Put(kind, released));
        }
    }
    changes
}

/// Creates or updates the revision's Services and the policies that they need.
pub(super) async fn apply(cluster: &dyn Cluster, world: &World, documents: &Documents, revision: &str) -> Changes {
    let rollout = objects::rollout(world, documents)?;
    let mut changes = policies::apply(cluster, world, documents, revision).await?;
    for view in &world.services {
        let app = application(documents, &view.name)?;
        let wanted = revision_service::build(app, rollout, revision, source_of(documents, rollout));
        changes.extend(put_own(cluster, world, documents, app, wanted).await?);
    }
    Ok(changes)
}

/// Creates the preview Service, or lets it select another revision.
pub(super) async fn preview(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    name: &str,
    revision: &str,
) -> Changes {
    let rollout = objects::rollout(world, documents)?;
    let Some(first) = world.services.first() else { return Ok(Vec::new()) };
    let app = application(documents, &first.name)?;
    let wanted = revision_service::preview(name, app, rollout, revision, source_of(documents, rollout));
    put_own(cluster, world, documents, app, wanted).await
}

/// Applies a Service of ours, if it is not so already.
async fn put_own(cluster: &dyn Cluster, world: &World, documents: &Documents, app: &Value, wanted: Value) -> Changes {
    let selects = |document: &Value| document.pointer("/spec/selector").and_then(|it| it.get(REVISION_LABEL)).cloned();
    let is_so = |found: &Value| !revision_service::stale(app, found) && selects(found) == selects(&wanted);
    objects::put_own(WriteSite::ServiceApply, cluster, world, documents, SERVICE, &wanted, is_so).await
}

/// Deletes the revision's Services and their policies; the preview bears no revision and stays.
pub(super) async fn delete(cluster: &dyn Cluster, world: &World, documents: &Documents, revision: &str) -> Changes {
    let is_of_revision = |document: &&Value| {
        label(document, ROLLOUT_LABEL) == Some(&world.rollout.name)
            && label(document, REVISION_LABEL) == Some(revision)
            && label(document, SERVICE_LABEL).is_some()
    };
    let names: Vec<&str> = documents.all(SERVICE).filter(is_of_revision).map(object::name).collect();
    let mut changes = policies::delete(cluster, world, documents, revision).await?;
    for name in names {
        changes.extend(objects::delete(WriteSite::ServiceDelete, cluster, world, documents, SERVICE, name).await?);
    }
    Ok(changes)
}
