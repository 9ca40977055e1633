//! Edits of routes: somebody else's objects, one JSON patch each.

use super::{Change, Changes, services::release};
use crate::{
    api::{RunRoute, mark_of_run},
    controller::{Cluster, ClusterError, Documents, Patch, WriteSite, route_kind},
    engine::{RouteEdit, World},
    traffic::{Tested, router},
};

/// Carries out an intent for a route; nothing if the route is so already.
pub(super) async fn edit(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    original: &RunRoute,
    tested: Tested<'_>,
    total: u32,
    edit: &RouteEdit,
) -> Changes {
    let (kind, name, namespace) = (route_kind(&original.kind), &original.name, &world.rollout.namespace);
    let missing = || ClusterError::NotFound { object: format!("{} {name}", original.kind) };
    let document = documents.get(kind, name).ok_or_else(missing)?;
    let router = router(&original.kind).ok_or_else(missing)?;
    let marked = match edit {
        RouteEdit::Name { run } => RouteEdit::Name { run: mark_of_run(run, world.epoch) },
        RouteEdit::Weight { .. } | RouteEdit::Drop { .. } => edit.clone(),
    };
    let patch = router.edit(document, original, tested, total, &marked);
    if patch.is_empty() {
        return Ok(Vec::new());
    }
    let site = match edit {
        RouteEdit::Name { .. } => WriteSite::RouteName,
        RouteEdit::Weight { .. } => WriteSite::RouteWeight,
        RouteEdit::Drop { .. } => WriteSite::RouteDrop,
    };
    let written = cluster.patch(site, kind, namespace, name, "", &Patch::Json(patch)).await?;
    let released = release(cluster, kind, namespace, &written).await;
    Ok(vec![Change::Put(kind, released.unwrap_or(written))])
}
