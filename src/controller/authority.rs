//! Whether a pass may act on what it saw: not if a newer leader has been there.
//!
//! It asks nobody who leads; it hands what it met to whoever does.

use super::{Cluster, ClusterError, Leadership, RUN};
use crate::{
    api::ROLLOUT_LABEL,
    engine::{World, newest_epoch},
    workload::object::number,
};

/// False: a record of a newer epoch stands, and the Lease is asked first.
pub async fn may_act(cluster: &dyn Cluster, leadership: &Leadership, world: &mut World) -> Result<bool, ClusterError> {
    let mut newest = world.newest_record();
    if leadership.is_alone() {
        world.epoch = world.epoch.max(newest);
        return Ok(true);
    }
    // A newer leader raises the record before the marks, and this pass read the record before the marks. A mark without
    // such a record is somebody else's doing, and is written over.
    if newest <= world.epoch && world.newest_mark() > world.epoch {
        let ours = format!("{ROLLOUT_LABEL}={}", world.rollout.name);
        let runs = cluster.list(RUN, &world.rollout.namespace, &ours).await?;
        newest = newest_epoch(runs.iter().filter_map(|run| number(run, "/status/epoch")));
    }
    let may = newest <= world.epoch;
    if !may {
        tracing::warn!(rollout = world.rollout.name, own = world.epoch, newest, "a record of a newer leader was met");
        leadership.contest(newest);
    }
    Ok(may)
}
