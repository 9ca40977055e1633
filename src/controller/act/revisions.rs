//! Writes to a revision's ControllerRevision and Deployment, and to the referenced Deployment.

use serde_json::Value;

use super::{Change, Changes, objects, services::release};
use crate::{
    api::{ROLLOUT_LABEL, SOURCE_ANNOTATION, recorded_as, revision_name},
    controller::{
        CONTROLLER_REVISION, Cluster, ClusterError, DEPLOYMENT, Documents, Patch, WriteSite, source_template,
    },
    engine::World,
    workload::{
        deployment,
        object::{self, label, text},
        record, scale_source,
        source::template_of_deployment,
    },
};

/// Whether the API server would take the source's template as this revision's Deployment; None: there is no source.
pub async fn dry_run(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    revision: &str,
) -> Result<Option<Result<(), String>>, ClusterError> {
    let rollout = objects::rollout(world, documents)?;
    let Some(template) = source_template(rollout, source_of(documents, rollout)) else { return Ok(None) };
    let wanted = deployment::build(rollout, revision, &template, 0, source_of(documents, rollout));
    match cluster.create(WriteSite::DryRun, DEPLOYMENT, &world.rollout.namespace, &wanted, true).await {
        // A document is checked before its name is.
        Ok(_) | Err(ClusterError::Exists { .. }) => Ok(Some(Ok(()))),
        Err(ClusterError::Refused { object: _, message }) => Ok(Some(Err(message))),
        Err(error) => Err(error),
    }
}

/// Keeps the revision's template under its name: the source's, or for another revision that of its Deployment.
pub(super) async fn record(cluster: &dyn Cluster, world: &World, documents: &Documents, revision: &str) -> Changes {
    if documents.get(CONTROLLER_REVISION, &revision_name(&world.rollout.name, revision)).is_some() {
        return Ok(Vec::new());
    }
    let rollout = objects::rollout(world, documents)?;
    let source = source_of(documents, rollout);
    // The source is the one whose identity was decided on: both come from the same documents.
    let is_source = world.source.known().is_some_and(|source| source.revision == revision);
    let deployment = documents.get(DEPLOYMENT, &revision_name(&world.rollout.name, revision)).filter(|_| !is_source);
    let template = deployment.map(template_of_deployment).or_else(|| source_template(rollout, source));
    let Some(template) = template else { return Ok(Vec::new()) };
    let records: Vec<Value> = documents.all(CONTROLLER_REVISION).cloned().collect();
    let mut wanted = record::build(rollout, revision, &template, source, record::next_ordinal(&records));
    if deployment.is_some() {
        record::mark_as_remade(&mut wanted);
    }
    let made =
        cluster.create(WriteSite::RecordCreate, CONTROLLER_REVISION, &world.rollout.namespace, &wanted, false).await;
    made_or_seen(cluster, world, CONTROLLER_REVISION, &wanted, made).await
}

/// Creates the revision's Deployment from its record, a baseline's from stable's.
pub(super) async fn create(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    revision: &str,
    replicas: u32,
) -> Changes {
    let name = revision_name(&world.rollout.name, revision);
    if documents.get(DEPLOYMENT, &name).is_some() {
        return Ok(Vec::new());
    }
    let rollout = objects::rollout(world, documents)?;
    let recorded = revision_name(&world.rollout.name, recorded_as(revision));
    let template = documents.get(CONTROLLER_REVISION, &recorded).and_then(record::template_of);
    let template =
        template.ok_or_else(|| ClusterError::NotFound { object: format!("ControllerRevision {recorded}") })?;
    let mut wanted = deployment::build(rollout, revision, template, replicas, source_of(documents, rollout));
    // The stamp says that the referenced Deployment asks for this template: true of the source's revision only.
    if world.source.known().is_none_or(|source| source.revision != revision)
        && let Some(annotations) = wanted.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(SOURCE_ANNOTATION);
    }
    let made = cluster.create(WriteSite::DeploymentCreate, DEPLOYMENT, &world.rollout.namespace, &wanted, false).await;
    made_or_seen(cluster, world, DEPLOYMENT, &wanted, made).await
}

/// One that is there although it was not seen: ours is looked at again, somebody else's is in the way.
async fn made_or_seen(
    cluster: &dyn Cluster,
    world: &World,
    kind: crate::controller::Kind,
    wanted: &Value,
    made: Result<Value, ClusterError>,
) -> Changes {
    let object = match made {
        Ok(document) => return Ok(vec![Change::Put(kind, document)]),
        Err(ClusterError::Exists { object }) => object,
        Err(error) => return Err(error),
    };
    let found = cluster.get(kind, &world.rollout.namespace, object::name(wanted)).await?;
    if found.as_ref().is_none_or(|found| label(found, ROLLOUT_LABEL) == Some(&world.rollout.name)) {
        return Err(ClusterError::Conflict { object });
    }
    let message = format!("one of this name exists and does not belong to Rollout {}", world.rollout.name);
    Err(ClusterError::Refused { object, message })
}

pub(super) async fn scale(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    revision: &str,
    replicas: u32,
) -> Changes {
    let Some(document) = documents.get(DEPLOYMENT, &revision_name(&world.rollout.name, revision)) else {
        return Ok(Vec::new());
    };
    edit_own(WriteSite::DeploymentScale, cluster, world, document, deployment::scale_patch(document, replicas)).await
}

pub(super) async fn restart(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    revision: &str,
    at: &str,
) -> Changes {
    let Some(document) = documents.get(DEPLOYMENT, &revision_name(&world.rollout.name, revision)) else {
        return Ok(Vec::new());
    };
    edit_own(WriteSite::DeploymentRestart, cluster, world, document, deployment::restart_patch(document, at)).await
}

async fn edit_own(
    site: WriteSite,
    cluster: &dyn Cluster,
    world: &World,
    document: &Value,
    patch: Vec<Value>,
) -> Changes {
    if patch.is_empty() {
        return Ok(Vec::new());
    }
    let name = object::name(document);
    let written = cluster.patch(site, DEPLOYMENT, &world.rollout.namespace, name, "", &Patch::Json(patch)).await?;
    Ok(vec![Change::Put(DEPLOYMENT, written)])
}

pub(super) async fn delete(cluster: &dyn Cluster, world: &World, documents: &Documents, revision: &str) -> Changes {
    let name = revision_name(&world.rollout.name, revision);
    objects::delete(WriteSite::DeploymentDelete, cluster, world, documents, DEPLOYMENT, &name).await
}

pub(super) async fn forget(cluster: &dyn Cluster, world: &World, documents: &Documents, revision: &str) -> Changes {
    let name = revision_name(&world.rollout.name, revision);
    objects::delete(WriteSite::RecordDelete, cluster, world, documents, CONTROLLER_REVISION, &name).await
}

/// Writes the ordinal of the promotion.
pub(super) async fn prove(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    revision: &str,
    ordinal: u64,
) -> Changes {
    let name = revision_name(&world.rollout.name, revision);
    let missing = || ClusterError::NotFound { object: format!("ControllerRevision {name}") };
    let document = documents.get(CONTROLLER_REVISION, &name).ok_or_else(missing)?;
    let Some(patch) = record::prove_patch(document, ordinal) else { return Ok(Vec::new()) };
    let namespace = &world.rollout.namespace;
    let written =
        cluster.patch(WriteSite::RecordProven, CONTROLLER_REVISION, namespace, &name, "", &Patch::Merge(patch)).await?;
    Ok(vec![Change::Put(CONTROLLER_REVISION, written)])
}

/// Scales the referenced Deployment by its scale subresource.
pub(super) async fn scale_source(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    replicas: u32,
) -> Changes {
    let rollout = objects::rollout(world, documents)?;
    let Some(source) = source_of(documents, rollout) else { return Ok(Vec::new()) };
    let patch = scale_source::scale_patch(source, replicas);
    if patch.is_empty() {
        return Ok(Vec::new());
    }
    let (namespace, name) = (&world.rollout.namespace, object::name(source));
    cluster.patch(WriteSite::SourceScale, DEPLOYMENT, namespace, name, "scale", &Patch::Json(patch)).await?;
    // The answer is a Scale: the Deployment itself has to be read for its managers.
    let written = cluster.get(DEPLOYMENT, namespace, name).await.ok().flatten();
    let Some(written) = written else { return Ok(vec![Change::Gone(DEPLOYMENT, name.to_owned())]) };
    let released = release(cluster, DEPLOYMENT, namespace, &written).await;
    Ok(vec![Change::Put(DEPLOYMENT, released.unwrap_or(written))])
}

/// Gives the referenced Deployment the template that serves (deletion only).
pub(super) async fn restore_source(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    revision: &str,
) -> Changes {
    let rollout = objects::rollout(world, documents)?;
    let name = revision_name(&world.rollout.name, revision);
    let template = documents.get(CONTROLLER_REVISION, &name).and_then(record::template_of);
    let (Some(source), Some(template)) = (source_of(documents, rollout), template) else { return Ok(Vec::new()) };
    let patch = scale_source::restore_patch(source, template);
    if patch.is_empty() {
        return Ok(Vec::new());
    }
    let (namespace, name) = (&world.rollout.namespace, object::name(source));
    let written =
        cluster.patch(WriteSite::SourceTemplate, DEPLOYMENT, namespace, name, "", &Patch::Json(patch)).await?;
    let released = release(cluster, DEPLOYMENT, namespace, &written).await;
    Ok(vec![Change::Put(DEPLOYMENT, released.unwrap_or(written))])
}

/// The referenced Deployment as it was read.
pub(super) fn source_of<'d>(documents: &'d Documents, rollout: &Value) -> Option<&'d Value> {
    documents.get(DEPLOYMENT, text(rollout, "/spec/workload/deploymentRef/name")?)
}
