//! Answers to RolloutActions.

use serde_json::{Value, json};

use super::{Change, Changes, runs::status_patch};
use crate::{
    api::{ActionOutcome, RolloutActionStatus},
    controller::{ACTION, Cluster, ClusterError, Documents, Key, Moment, Patch, RUN, WriteSite, expired, unconsumed},
    engine::World,
    workload::object::{self, text},
};

/// Writes the outcome; the action then belongs to the run that it was applied to, and goes with it.
#[expect(clippy::too_many_arguments, reason = "the fields of one action")]
pub(super) async fn resolve(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    now: &Moment,
    name: &str,
    outcome: ActionOutcome,
    message: &str,
    run: Option<&str>,
) -> Changes {
    let Some(action) = documents.get(ACTION, name) else { return Ok(Vec::new()) };
    let namespace = &world.rollout.namespace;
    let written = answer(cluster, namespace, action, outcome, message, run, now).await?;
    let owner = run.and_then(|run| documents.get(RUN, run));
    let owned = match owner {
        Some(run) => {
            cluster.patch(WriteSite::ActionOwner, ACTION, namespace, name, "", &owned_by(run, &written)).await.ok()
        }
        None => None,
    };
    Ok(vec![Change::Put(ACTION, owned.unwrap_or(written))])
}

fn owned_by(run: &Value, action: &Value) -> Patch {
    Patch::Merge(json!({"metadata": {
        "resourceVersion": action.pointer("/metadata/resourceVersion"),
        "ownerReferences": [{
            "apiVersion": "tidegate.io/v1alpha1",
            "kind": RUN.kind,
            "name": object::name(run),
            "uid": text(run, "/metadata/uid"),
        }],
    }}))
}

async fn answer(
    cluster: &dyn Cluster,
    namespace: &str,
    action: &Value,
    outcome: ActionOutcome,
    message: &str,
    run: Option<&str>,
    now: &Moment,
) -> Result<Value, ClusterError> {
    let name = object::name(action);
    let status = RolloutActionStatus {
        outcome: Some(outcome),
        message: Some(message.to_owned()),
        run: run.map(str::to_owned),
        consumed_at: Some(now.text.clone()),
    };
    let refused = |error: serde_json::Error| ClusterError::Refused {
        object: format!("RolloutAction {name}"),
        message: error.to_string(),
    };
    let status = serde_json::to_value(status).map_err(refused)?;
    let version = text(action, "/metadata/resourceVersion").unwrap_or_default();
    cluster.patch(WriteSite::ActionOutcome, ACTION, namespace, name, "status", &status_patch(version, &status)).await
}

/// Answers actions that name a Rollout which does not exist, and deletes them a day later. Whether some are still kept.
pub async fn refuse_orphans(cluster: &dyn Cluster, key: &Key, now: &Moment) -> Result<bool, ClusterError> {
    let mut actions = cluster.list(ACTION, &key.namespace, "").await?;
    actions.retain(|action| text(action, "/spec/rollout") == Some(&key.name));
    let message = format!("there is no Rollout {} in namespace {}: correct spec.rollout", key.name, key.namespace);
    for action in unconsumed(&actions, &key.name) {
        answer(cluster, &key.namespace, action, ActionOutcome::Refused, &message, None, now).await?;
    }
    let (old, kept): (Vec<&Value>, Vec<&Value>) = actions.iter().partition(|action| expired(action, &now.text));
    for action in old {
        let uid = text(action, "/metadata/uid").unwrap_or_default();
        cluster.delete(WriteSite::ActionDelete, ACTION, &key.namespace, object::name(action), uid).await?;
    }
    Ok(!kept.is_empty())
}
