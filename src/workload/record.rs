//! A revision's ControllerRevision: the copy of its template that survives when somebody deletes its Deployment.
//!
//! Its data is never changed; the ordinal of its promotion is an annotation, so that a restore from backup keeps it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    object::{self, annotation, label, name, namespace},
    owners::owner_references,
};
use crate::api::{PROVEN_ANNOTATION, REMADE_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL, revision_name};

/// The ControllerRevision of a template. `source_deployment`: the referenced Deployment. `ordinal`: see [`next_ordinal`].
pub fn build(
    rollout: &Value,
    revision: &str,
    template: &Value,
    source_deployment: Option<&Value>,
    ordinal: i64,
) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": revision_name(name(rollout), revision),
            "namespace": namespace(rollout),
            "labels": {ROLLOUT_LABEL: name(rollout), REVISION_LABEL: revision},
            "ownerReferences": owner_references(rollout, source_deployment),
        },
        "data": {"template": template},
        "revision": ordinal,
    })
}

/// The ordinal for the next ControllerRevision of a Rollout.
pub fn next_ordinal(records: &[Value]) -> i64 {
    records.iter().filter_map(|record| object::number(record, "/revision")).max().unwrap_or(0).saturating_add(1)
}

/// The hash of the revision that this object belongs to.
pub fn revision_of(record: &Value) -> Option<&str> {
    label(record, REVISION_LABEL)
}

/// The stored template as it was written.
pub fn template_of(record: &Value) -> Option<&Value> {
    record.pointer("/data/template")
}

/// The stored templates by revision, for [`super::source::revision_of`]. One that was made again from a Deployment has the
/// server's defaults in it and equals nothing that anybody writes: that revision is found by its hash.
pub fn templates(records: &[Value]) -> BTreeMap<String, Value> {
    let as_written = records.iter().filter(|record| annotation(record, REMADE_ANNOTATION).is_none());
    let pair = |record| Some((revision_of(record)?.to_owned(), template_of(record)?.clone()));
    as_written.filter_map(pair).collect()
}

/// The record is not the first of its revision: it was deleted, and its template was taken from the Deployment.
pub fn mark_as_remade(record: &mut Value) {
    record["metadata"]["annotations"] = json!({REMADE_ANNOTATION: "true"});
}

/// The ordinal of its promotion; None: it was never promoted, or somebody wrote nonsense.
pub fn proven(record: &Value) -> Option<u64> {
    annotation(record, PROVEN_ANNOTATION)?.parse().ok()
}

/// The merge patch that records a promotion; None if it is recorded.
pub fn prove_patch(record: &Value, ordinal: u64) -> Option<Value> {
    if proven(record) == Some(ordinal) {
        return None;
    }
    Some(json!({"metadata": {
        "resourceVersion": record.pointer("/metadata/resourceVersion"),
        "annotations": {PROVEN_ANNOTATION: ordinal.to_string()},
    }}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Value {
        json!({"apiVersion": "tidegate.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "checkout", "namespace": "shop", "uid": "r1"}})
    }

    #[test]
    fn the_template_is_kept_as_written() {
        let template = json!({"metadata": {"creationTimestamp": null}, "spec": {"unknown": [1.5]}});
        let record = build(&rollout(), "abc", &template, None, next_ordinal(&[json!({"revision": 4})]));
        assert_eq!((name(&record), record["revision"].as_i64()), ("checkout-abc", Some(5)));
        assert_eq!(templates(&[record]), BTreeMap::from([("abc".to_owned(), template)]));
    }

    #[test]
    fn the_referenced_deployment_is_a_second_owner_and_nothing_blocks_deletion() {
        let source = json!({"metadata": {"name": "checkout", "uid": "d1"}});
        let record = build(&rollout(), "abc", &json!({}), Some(&source), 1);
        assert_eq!(
            record["metadata"]["ownerReferences"],
            json!([
                {"apiVersion": "tidegate.io/v1alpha1", "kind": "Rollout", "name": "checkout", "uid": "r1",
                    "controller": true, "blockOwnerDeletion": false},
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "d1",
                    "controller": false, "blockOwnerDeletion": false},
            ])
        );
    }

    #[test]
    fn a_promotion_is_recorded_once() {
        let mut record = json!({"metadata": {"resourceVersion": "9"}});
        let patch = prove_patch(&record, 3).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "9");
        record["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
        assert_eq!((proven(&record), prove_patch(&record, 3)), (Some(3), None));
    }
}
