//! RolloutActions that wait for an answer.

use serde_json::Value;

use super::Gathered;
use crate::{
    api::RolloutActionSpec,
    engine::ActionView,
    workload::object::{self, text},
};

/// Author of an action that names none.
const UNKNOWN_AUTHOR: &str = "unknown";

/// The unconsumed actions that name this Rollout, oldest first.
pub(super) fn views(gathered: &Gathered, unread: &mut Vec<String>) -> Vec<ActionView> {
    let documents = match &gathered.actions {
        Ok(documents) => documents,
        Err(error) => {
            unread.push(error.to_string());
            return Vec::new();
        }
    };
    let mut open = unconsumed(documents, object::name(&gathered.rollout));
    let age = |action: &&Value| {
        let created = text(action, "/metadata/creationTimestamp").unwrap_or_default();
        (created.to_owned(), object::name(action).to_owned())
    };
    open.sort_by_key(age);
    open.into_iter().filter_map(view).collect()
}

/// The actions that name this Rollout and have no outcome.
pub fn unconsumed<'d>(documents: &'d [Value], rollout: &str) -> Vec<&'d Value> {
    let is_open =
        |action: &&Value| text(action, "/spec/rollout") == Some(rollout) && action.pointer("/status/outcome").is_none();
    documents.iter().filter(is_open).collect()
}

fn view(document: &Value) -> Option<ActionView> {
    // The schema refuses what cannot be read here.
    let spec: RolloutActionSpec = serde_json::from_value(document["spec"].clone()).ok()?;
    Some(ActionView {
        name: object::name(document).to_owned(),
        uid: text(document, "/metadata/uid").unwrap_or_default().to_owned(),
        kind: spec.kind,
        rollout_uid: spec.rollout_uid,
        run: spec.run,
        step: spec.step,
        gate: spec.gate,
        author: spec.author.filter(|author| !author.is_empty()).unwrap_or_else(|| UNKNOWN_AUTHOR.into()),
        reason: spec.reason.unwrap_or_default(),
    })
}
