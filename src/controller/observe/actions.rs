//! RolloutActions that wait for an answer, and those whose answer has been there for long enough.

use serde::Deserialize;
use serde_json::Value;

use super::{Gathered, Seen, authors, seconds};
use crate::{
    api::RolloutActionSpec,
    engine::ActionView,
    workload::object::{self, text},
};

/// Answered actions that no run owns are kept for this long; the others go with their run.
const KEPT_SECONDS: i64 = 24 * 3_600;
/// Answered actions of one Rollout that are kept.
const MOST_KEPT: usize = 50;
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
    let vouched_since = authors::vouched_since(gathered);
    open.into_iter().filter_map(|action| view(action, &vouched_since)).collect()
}

/// The actions that name this Rollout and have no outcome.
pub fn unconsumed<'d>(documents: &'d [Value], rollout: &str) -> Vec<&'d Value> {
    let is_open =
        |action: &&Value| text(action, "/spec/rollout") == Some(rollout) && action.pointer("/status/outcome").is_none();
    documents.iter().filter(is_open).collect()
}

/// The answered actions of this Rollout to delete: those that are old, and the oldest of too many.
pub(super) fn spent(documents: &[Value], rollout: &str, now: &str) -> Vec<String> {
    let is_answered =
        |action: &&Value| text(action, "/spec/rollout") == Some(rollout) && action.pointer("/status/outcome").is_some();
    let mut answered: Vec<&Value> = documents.iter().filter(is_answered).collect();
    answered.sort_by_key(|action| text(action, "/status/consumedAt").unwrap_or_default().to_owned());
    let excess = answered.len().saturating_sub(MOST_KEPT);
    let goes = |(place, action): &(usize, &Value)| *place < excess || expired(action, now);
    answered.into_iter().enumerate().filter(goes).map(|(_, action)| object::name(action).to_owned()).collect()
}

/// The action was answered a day ago, and no run owns it.
pub fn expired(action: &Value, now: &str) -> bool {
    let answered = text(action, "/status/consumedAt").and_then(seconds);
    let old = answered.zip(seconds(now)).is_some_and(|(answered, now)| now - answered > KEPT_SECONDS);
    old && action.pointer("/metadata/ownerReferences/0").is_none()
}

fn view(document: &Value, vouched_since: &Seen<i64>) -> Option<ActionView> {
    // The schema refuses what cannot be read here.
    let spec = RolloutActionSpec::deserialize(&document["spec"]).ok()?;
    let created = text(document, "/metadata/creationTimestamp").and_then(seconds);
    let author = spec.author.filter(|author| !author.is_empty());
    let vouched = match vouched_since {
        Seen::Known(since) => created.is_some_and(|created| created > *since),
        Seen::Absent | Seen::Unknown(_) => false,
    };
    Some(ActionView {
        name: object::name(document).to_owned(),
        uid: text(document, "/metadata/uid").unwrap_or_default().to_owned(),
        kind: spec.kind,
        rollout_uid: spec.rollout_uid,
        run: spec.run,
        step: spec.step,
        gate: spec.gate,
        verified: vouched && author.is_some(),
        author: author.unwrap_or_else(|| UNKNOWN_AUTHOR.into()),
        on_behalf_of: spec.on_behalf_of.filter(|other| !other.is_empty()),
        reason: spec.reason.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(name: &str, rollout: &str, at: &str) -> Value {
        json!({
            "metadata": {"name": name},
            "spec": {"rollout": rollout},
            "status": {"outcome": "Refused", "consumedAt": at},
        })
    }

    #[test]
    fn answered_actions_go_after_a_day_or_when_there_are_too_many() {
        let mut owned = answered("owned", "checkout", "2026-01-01T00:00:00Z");
        owned["metadata"]["ownerReferences"] = json!([{"kind": "RolloutRun"}]);
        let mut open = answered("open", "checkout", "2026-01-01T00:00:00Z");
        open["status"] = json!({});
        let mut all = vec![
            answered("old", "checkout", "2026-01-01T00:00:00Z"),
            answered("young", "checkout", "2026-01-02T12:00:00Z"),
            answered("other", "cart", "2026-01-01T00:00:00Z"),
            owned,
            open,
        ];
        assert_eq!(spent(&all, "checkout", "2026-01-02T12:00:01Z"), ["old"]);
        all.extend((0..50).map(|number| answered(&format!("more-{number}"), "checkout", "2026-01-02T12:00:02Z")));
        assert_eq!(spent(&all, "checkout", "2026-01-02T12:00:03Z"), ["old", "owned", "young"]);
    }
}
