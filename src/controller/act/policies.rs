//! Writes to the copies of policies that a revision's Services need. They are made before the Service and go before it, so
//! that a Service is never without them and none of them is left when the Services are gone.

use std::collections::BTreeSet;

use super::{Changes, objects, revisions::source_of};
use crate::{
    api::REVISION_LABEL,
    controller::{COPIED_POLICIES, Cluster, Documents, Kind, WriteSite},
    engine::World,
    workload::{
        backend_policy,
        object::{self, label},
    },
};

/// Creates and updates the copies; those whose original is gone, or targets the Service no more, are deleted.
pub(super) async fn apply(cluster: &dyn Cluster, world: &World, documents: &Documents, revision: &str) -> Changes {
    let rollout = objects::rollout(world, documents)?;
    let services: Vec<&str> = world.services.iter().map(|service| service.name.as_str()).collect();
    let mut changes = Vec::new();
    for kind in COPIED_POLICIES {
        let source = source_of(documents, rollout);
        let wanted = backend_policy::copies(documents.all(kind), &services, rollout, revision, source);
        let kept: BTreeSet<String> = wanted.iter().map(|copy| object::name(copy).to_owned()).collect();
        for copy in wanted {
            let is_so = |found: &_| !backend_policy::stale(&copy, found);
            changes
                .extend(objects::put_own(WriteSite::PolicyApply, cluster, world, documents, kind, &copy, is_so).await?);
        }
        for name in of_revision(world, documents, kind, revision).filter(|name| !kept.contains(*name)) {
            changes.extend(objects::delete(WriteSite::PolicyDelete, cluster, world, documents, kind, name).await?);
        }
    }
    Ok(changes)
}

/// Deletes the copies of a revision.
pub(super) async fn delete(cluster: &dyn Cluster, world: &World, documents: &Documents, revision: &str) -> Changes {
    let mut changes = Vec::new();
    for kind in COPIED_POLICIES {
        for name in of_revision(world, documents, kind, revision) {
            changes.extend(objects::delete(WriteSite::PolicyDelete, cluster, world, documents, kind, name).await?);
        }
    }
    Ok(changes)
}

fn of_revision<'d>(
    world: &World,
    documents: &'d Documents,
    kind: Kind,
    revision: &str,
) -> impl Iterator<Item = &'d str> {
    let is_of_revision = move |policy: &&'d serde_json::Value| {
        backend_policy::is_copy(policy, &world.rollout.name) && label(policy, REVISION_LABEL) == Some(revision)
    };
    documents.all(kind).filter(is_of_revision).map(object::name)
}
